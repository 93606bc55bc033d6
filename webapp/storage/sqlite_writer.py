"""How a batch gets into a SQLite file: in one transaction, in one hop to the writing connection's thread."""

import os
import sqlite3
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import aiosqlite

from webapp.booking.details import UNTOLD, Details
from webapp.booking.ledger import Contact, Entry, pseudonym
from webapp.booking.state import Status
from webapp.storage.sqlite_reader import told
from webapp.storage.store import (
    ANSWERS_KEPT_US,
    Addition,
    Kept,
    NotCommitted,
    OutcomeUnknown,
    Rejected,
    StoreUnreadable,
)

CERTAINLY_NOT_COMMITTED: Final = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_IOERR_WRITE})
"""Codes out of COMMIT after which the frame that would commit was not written. A failed fsync is not one of them.

Source: SQLite's wal.c: the commit frame is written last (nothing is padded after it, since unix files count as safe to
overwrite), and is void unless it is whole.
"""


ERASED: Final = 1
"""The database's user_version where rows were erased since it was last made anew.

SQLite overwrites what it deletes (secure_delete), yet may leave a copy in the unused part of a page whose rows it has
moved to another before.
"""


class WritingConnection(aiosqlite.Connection):
    """A connection that writes a batch in one hop to its thread; aiosqlite's own calls take a hop per statement."""

    async def write(self, database: "DatabaseFiles", batch: Sequence[Addition]) -> None:
        """Write a batch in one transaction. Raises Rejected, NotCommitted, OutcomeUnknown."""
        in_thread: Callable[..., Awaitable[None]] = self._execute
        await in_thread(_write, self._conn, database, batch)

    async def kept(self, keys: Sequence[bytes], since: int) -> list[Kept]:
        """What is kept under these keys since a time. Raises StoreUnreadable."""
        in_thread: Callable[..., Awaitable[list[Kept]]] = self._execute
        try:
            return await in_thread(_kept, self._conn, keys, since)
        except sqlite3.Error as error:
            raise StoreUnreadable(told(error)) from error

    async def empty_log(self, database: "DatabaseFiles") -> bool:
        """Bring all changes into the database, and leave nothing in the -wal file; whether no reader was in the way.

        Raises sqlite3.Error.
        """
        in_thread: Callable[..., Awaitable[bool]] = self._execute
        return await in_thread(_empty_log, self._conn, database)

    async def sweep(self) -> bool:
        """Make the database anew where something was erased from it; whether that was so. Raises sqlite3.Error."""
        in_thread: Callable[..., Awaitable[bool]] = self._execute
        return await in_thread(_sweep, self._conn)


class DatabaseFiles:
    """The files of an open database, to notice when somebody deletes, replaces or cuts them under the server.

    How much of the -wal file counts, its index says, the -shm file. That one is opened once and kept open: closing it
    would give up the locks which SQLite holds on it in the same process. Another program may well shorten the -wal
    file, if it brings everything into the database before.

    Source: https://sqlite.org/walformat.html, "The WAL-Index Header".
    """

    def __init__(self, database: Path) -> None:
        self._paths = (database, database.with_name(database.name + "-wal"))
        self._seen = [_found(path)[:2] for path in self._paths]
        self._index: int | None = os.open(database.with_name(database.name + "-shm"), os.O_RDONLY | os.O_CLOEXEC)

    def are_in_place(self) -> bool:
        """Whether the paths still name the files that were there at the start, and nothing that counts is cut off."""
        found = [_found(path) for path in self._paths]
        return [file[:2] for file in found] == self._seen and found[1][2] >= self._log_bytes()

    def close(self) -> None:
        """Let go of the index, once SQLite has."""
        if self._index is not None:
            os.close(self._index)
            self._index = None

    def _log_bytes(self) -> int:
        assert self._index is not None, "the files are looked at only while the database is open"
        header = os.pread(self._index, 20, 0)
        page, frames = (int.from_bytes(header[start:end], sys.byteorder) for start, end in ((14, 16), (16, 20)))
        return 32 + frames * (24 + (65_536 if page == 1 else page)) if frames else 0


def _found(path: Path) -> tuple[int, int, int]:
    """Device, number and length of a file; nothing of one that is not there."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return 0, 0, 0
    return found.st_dev, found.st_ino, found.st_size


def _write(connection: sqlite3.Connection, files: DatabaseFiles, batch: Sequence[Addition]) -> None:
    if not files.are_in_place():
        raise OutcomeUnknown("the database or its -wal file was deleted or replaced, or cut, under the running server")
    try:
        connection.execute("BEGIN IMMEDIATE")
        _write_rows(connection, batch)
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", None)  # none where SQLite could not even be told a value
        if code == sqlite3.SQLITE_IOERR_FSYNC:  # what the disk has kept is anybody's guess
            raise OutcomeUnknown(told(error)) from error
        _roll_back(connection)
        kind = Rejected if code is None or isinstance(error, sqlite3.IntegrityError) else NotCommitted
        raise kind(told(error)) from error
    except (OverflowError, UnicodeError) as error:  # of the same kind: a number, or a text, that SQLite cannot hold
        _roll_back(connection)
        raise Rejected(str(error)) from error
    except NotCommitted:
        _roll_back(connection)
        raise
    try:
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", None) not in CERTAINLY_NOT_COMMITTED:
            raise OutcomeUnknown(told(error)) from error
        _roll_back(connection)
        raise NotCommitted(told(error)) from error


def _empty_log(connection: sqlite3.Connection, files: DatabaseFiles) -> bool:
    if not files.are_in_place():
        return False  # the next batch says so
    (patience_ms,) = connection.execute("PRAGMA busy_timeout").fetchone()
    connection.execute("PRAGMA busy_timeout = 0")  # bookings wait meanwhile
    try:
        was_hindered, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    finally:
        connection.execute(f"PRAGMA busy_timeout = {patience_ms}")
    return not was_hindered


def _sweep(connection: sqlite3.Connection) -> bool:
    if connection.execute("PRAGMA user_version").fetchone() != (ERASED,):
        return False
    connection.execute("VACUUM")
    connection.execute("PRAGMA user_version = 0")
    return True


def _roll_back(connection: sqlite3.Connection) -> None:
    try:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
    except sqlite3.Error as error:
        raise OutcomeUnknown(f"a transaction could not be rolled back: {told(error)}") from error


def _kept(connection: sqlite3.Connection, keys: Sequence[bytes], since: int) -> list[Kept]:
    statement = "SELECT key, request, event_id, at, text FROM kept_answers WHERE key = ? AND at > ?"
    return [Kept._make(row) for key in keys for row in connection.execute(statement, (key, since))]


def _write_rows(connection: sqlite3.Connection, batch: Sequence[Addition]) -> None:
    _write_events(connection, batch)
    _write_orders(connection, batch)
    connection.executemany(
        "INSERT INTO ledger (event_id, seq, kind, at, actor, order_id, reason, detail, hash)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [(counts.event_id, *entry[:8]) for counts, entries, _ in batch for entry in entries],
    )
    if kept := [answer for _, _, answers in batch for answer in answers]:
        _keep_answers(connection, kept)


def _write_events(connection: sqlite3.Connection, batch: Sequence[Addition]) -> None:
    changed = [(counts, entries) for counts, entries, _ in batch if entries]
    opened = [(*counts, entries[0].at) for counts, entries in changed if entries[0].seq == 1]
    moved = [(*counts[1:], counts.event_id, before) for counts, entries in changed if (before := entries[0].seq - 1)]
    connection.executemany(
        """
        INSERT INTO events (
          id, capacity, booked, waiting, head, head_hash, checked_in, revision, has_lapsed, is_deleted, opened_at
        ) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
        opened,
    )
    found = connection.executemany(
        """
        UPDATE events SET capacity = ?, booked = ?, waiting = ?, head = ?, head_hash = ?, checked_in = ?, revision = ?,
               has_lapsed = ?, is_deleted = ?
         WHERE id = ? AND head = ?""",
        moved,
    )
    if moved and found.rowcount != len(moved):
        raise Rejected("an event's ledger has moved on since it was read")
    for counts, entries in changed:
        if counts.revision >= entries[0].seq:
            _write_details(connection, counts.event_id, entries)


def _write_details(connection: sqlite3.Connection, event_id: str, entries: Sequence[Entry]) -> None:
    """Write the last details among the entries; an event that is opened again begins without any."""
    for entry in entries:
        if entry.kind == "opened" and entry.seq > 1:
            connection.execute("UPDATE events SET opened_at = ? WHERE id = ?", (entry.at, event_id))
        details = UNTOLD if entry.kind == "opened" else entry.aside
        if isinstance(details, Details):
            connection.execute(
                """
                UPDATE events SET title = ?, description = ?, venue = ?, starts_at = ?, ends_at = ?, time_zone = ?,
                       opens_at = ?, closes_at = ?, hidden = ?
                 WHERE id = ?""",
                (
                    details.title, details.description, details.venue, details.starts_at, details.ends_at,
                    details.time_zone, details.opens_at, details.closes_at, details.hidden, event_id,
                ),
            )  # fmt: skip


def _write_orders(connection: sqlite3.Connection, batch: Sequence[Addition]) -> None:
    orders = _Orders()
    for counts, entries, _ in batch:
        for entry in entries:
            if entry.order_id is not None:
                orders.collect(counts.event_id, entry.order_id, entry)
    connection.executemany(
        """
        UPDATE orders SET user_id = ?, salt = NULL, name = NULL, email = NULL, cancel_reason = NULL, erased_at = ?
         WHERE id = ?""",
        [(pseudonym(order_id), at, order_id) for order_id, at in orders.erased.items()],
    )
    if orders.erased:
        connection.execute(f"PRAGMA user_version = {ERASED}")
    connection.executemany(
        """
        UPDATE orders SET status = coalesce(?, status), cancel_reason = CASE WHEN erased_at IS NULL THEN ? END,
               checked_in_at = ?, gate = ?
         WHERE id = ?""",
        [(*turn, order_id) for order_id, turn in orders.turned.items()],
    )
    connection.executemany(
        """
        INSERT INTO orders (
          id, event_id, user_id, salt, placed_at, placed_entry, name, email, erased_at,
          status, cancel_reason, checked_in_at, gate
        ) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
        [(order_id, *order, *orders.placed_turns[order_id]) for order_id, order in orders.placed.items()],
    )


class Turned(NamedTuple):
    """What becomes of an order that stands in the table; a status of None is the one it has."""

    status: Status | None = None
    cancel_reason: str | None = None
    checked_in_at: int | None = None
    gate: str | None = None


PLACED: Final[Mapping[str, Turned]] = {"booked": Turned("booked"), "joined": Turned("waiting")}
"""What an order is at first, by the kind of the entry that places it."""


class _Orders:
    """What a batch does to orders. Only what they are after it is written.

    Otherwise a guest who cancels and books again inside one batch would have two live orders for an instant.
    """

    def __init__(self) -> None:
        self.placed: dict[str, tuple[object, ...]] = {}
        self.placed_turns: dict[str, Turned] = {}
        self.turned: dict[str, Turned] = {}  # those that stood in the table before
        self.erased: dict[str, int] = {}

    def collect(self, event_id: str, order_id: str, entry: Entry) -> None:
        if placed := PLACED.get(entry.kind):
            name, email = entry.aside if isinstance(entry.aside, Contact) else (None, None)
            self.placed[order_id] = (event_id, entry.guest, entry.salt, entry.at, entry.seq, name, email, None)
            self.placed_turns[order_id] = placed
        elif entry.kind == "erased":
            self._erase(event_id, order_id, entry)
        else:
            turns = self.placed_turns if order_id in self.placed else self.turned
            turned, before = _turned(entry), turns.get(order_id, Turned())
            if order_id in self.placed and self.placed[order_id][-1] is not None:
                turned = turned._replace(cancel_reason=None)  # whoever was erased leaves no words behind
            turns[order_id] = turned if turned.status else turned._replace(status=before.status)

    def _erase(self, event_id: str, order_id: str, entry: Entry) -> None:
        if order_id in self.placed:
            _, _, _, at, seq, *_ = self.placed[order_id]
            self.placed[order_id] = (event_id, pseudonym(order_id), None, at, seq, None, None, entry.at)
            self.placed_turns[order_id] = self.placed_turns[order_id]._replace(cancel_reason=None)
        else:
            self.erased[order_id] = entry.at
            if order_id in self.turned:
                self.turned[order_id] = self.turned[order_id]._replace(cancel_reason=None)


def _turned(entry: Entry) -> Turned:
    match entry.kind:
        case "promoted":
            return Turned("booked")
        case "cancelled":
            return Turned("cancelled", entry.aside if isinstance(entry.aside, str) else None)
        case "checked_in":
            return Turned(None, None, entry.at, entry.detail)
    assert entry.kind == "check_in_undone", f"an entry of the kind {entry.kind} turns no order"
    return Turned()


def _keep_answers(connection: sqlite3.Connection, kept: Sequence[Kept]) -> None:
    """Keep answers, and forget some that are too old: more than come, so that they never pile up."""
    too_old = max(answer.at for answer in kept) - ANSWERS_KEPT_US
    connection.executemany(
        "DELETE FROM kept_answers WHERE key = ? AND at <= ?", [(answer.key, too_old) for answer in kept]
    )
    connection.execute(
        "DELETE FROM kept_answers WHERE key IN (SELECT key FROM kept_answers WHERE at <= ? ORDER BY at LIMIT ?)",
        (too_old, 2 * len(kept) + 10),
    )
    connection.executemany("INSERT INTO kept_answers (key, request, event_id, at, text) VALUES (?, ?, ?, ?, ?)", kept)
