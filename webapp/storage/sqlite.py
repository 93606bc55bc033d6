"""The store on SQLite: one writing connection used by one task, one read-only connection for everybody else."""

import logging
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import aiosqlite

from webapp.booking.ledger import Entry
from webapp.booking.state import Counts, EventCursor, EventPage
from webapp.storage.migrator import SCHEMA_OBJECTS
from webapp.storage.store import (
    Addition,
    LiveOrder,
    NotCommitted,
    OutcomeUnknown,
    Rejected,
    StoreUnreadable,
)

log = logging.getLogger(__name__)

ROWS_PER_CHUNK: Final = 1_000
"""Rows read in one hop to the reading thread, and folded without a pause of the event loop."""

CACHE_KIB: Final = 65_536
"""Pages a connection keeps in memory: guests' ids stand in random order in their index, whatever is done."""

DAMAGED: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})

CERTAINLY_NOT_COMMITTED: Final = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_IOERR_WRITE})
"""Codes out of COMMIT after which the frame that would commit was not written. A failed fsync is not one of them.

Source: SQLite's wal.c: the commit frame is written last (nothing is padded after it, since unix files count as safe to
overwrite), and is void unless it is whole.
"""


class WritingConnection(aiosqlite.Connection):
    """A connection that writes a batch in one hop to its thread; aiosqlite's own calls take a hop per statement."""

    async def write(self, database: "DatabaseFiles", batch: Sequence[Addition]) -> None:
        """Write a batch in one transaction. Raises Rejected, NotCommitted, OutcomeUnknown."""
        in_thread: Callable[..., Awaitable[None]] = self._execute
        await in_thread(_write, self._conn, database, batch)


class DatabaseFiles:
    """The files of an open database, to notice when somebody deletes or replaces them under the server."""

    def __init__(self, database: Path) -> None:
        self._paths = (database, database.with_name(database.name + "-wal"))
        self._seen = [self._identity(path) for path in self._paths]

    def are_in_place(self) -> bool:
        """Whether the paths still name the files that were there at the start."""
        return self._seen == [self._identity(path) for path in self._paths]

    @staticmethod
    def _identity(path: Path) -> tuple[int, int] | None:
        try:
            found = path.stat()
        except FileNotFoundError:
            return None
        return found.st_dev, found.st_ino


class SqliteReader:
    """What is committed, read through a connection that cannot write."""

    def __init__(self, connection: aiosqlite.Connection) -> None:
        self._reader = connection

    @classmethod
    @asynccontextmanager
    async def snapshot(cls, database: Path) -> AsyncIterator["SqliteReader"]:
        """The database as it is at this instant, however much a server writes meanwhile. Raises StoreUnreadable."""
        try:
            connection = await _read_only(database)
        except sqlite3.Error as error:
            raise StoreUnreadable(f"{database}: {_told(error)}") from error
        try:
            await connection.execute("BEGIN")
            yield cls(connection)
        finally:
            await connection.close()

    async def entries(self, event_id: str, after: int = 0) -> AsyncIterator[list[Entry]]:
        """The entries of an event behind number `after`, in order, in chunks. Raises StoreUnreadable."""
        statement = """
            SELECT seq, kind, at, actor, order_id, reason, detail, hash, user_id, salt
              FROM ledger LEFT JOIN orders ON orders.id = order_id
             WHERE ledger.event_id = ? AND seq > ? ORDER BY seq LIMIT ?"""
        while rows := await self._all(statement, (event_id, after, ROWS_PER_CHUNK)):
            chunk = [Entry._make(row) for row in rows]
            yield chunk
            after = chunk[-1].seq

    async def live_orders(self, event_id: str) -> AsyncIterator[list[LiveOrder]]:
        """The booked and waiting orders of an event, in no order, in chunks. Raises StoreUnreadable."""
        statement = """
            SELECT id, user_id, status FROM orders
             WHERE event_id = ? AND status <> 'cancelled' AND user_id > ? ORDER BY user_id LIMIT ?"""
        after = ""
        while rows := await self._all(statement, (event_id, after, ROWS_PER_CHUNK)):
            chunk = [LiveOrder._make(row) for row in rows]
            yield chunk
            after = chunk[-1].guest

    async def counts(self, event_id: str) -> Counts | None:
        """The counts of an event as last committed; None where there is none. Raises StoreUnreadable."""
        statement = "SELECT id, capacity, booked, waiting, head, head_hash FROM events WHERE id = ?"
        rows = await self._all(statement, (event_id,))
        return Counts._make(rows[0]) if rows else None

    async def events(self, limit: int, before: EventCursor | None = None) -> EventPage:
        """Events, newest first, at most `limit`, and where the next page starts. Raises StoreUnreadable."""
        statement = """
            SELECT id, capacity, booked, waiting, head, head_hash, opened_at FROM events
             WHERE (opened_at, id) < (?, ?) ORDER BY opened_at DESC, id DESC LIMIT ?"""
        start = before or EventCursor(2**63 - 1, "")
        rows = await self._all(statement, (*start, limit + 1))
        more = EventCursor(rows[limit - 1][6], rows[limit - 1][0]) if len(rows) > limit else None
        return EventPage([Counts._make(row[:6]) for row in rows[:limit]], more)

    async def structural_problems(self) -> list[str]:
        """What SQLite itself, or a count of orders against ledgers, finds wrong; a sentence each."""
        problems = [f"integrity: {row[0]}" for row in await self._all("PRAGMA integrity_check(20)") if row[0] != "ok"]
        for table, _, referred, _ in await self._all("PRAGMA foreign_key_check"):
            problems.append(f"integrity: a row of {table} refers to a row of {referred} that is not there")
        placed = "SELECT event_id, count(*) FROM ledger WHERE kind IN ('booked', 'joined') GROUP BY event_id"
        kept = "SELECT event_id, count(*) FROM orders GROUP BY event_id"
        in_ledger, in_table = dict(await self._all(placed)), dict(await self._all(kept))
        for event_id in sorted(in_ledger.keys() | in_table.keys()):
            entries, rows = in_ledger.get(event_id, 0), in_table.get(event_id, 0)
            if entries != rows:
                problems.append(f"event {event_id!r}: the ledger has {entries} orders, the orders table {rows}")
        return problems

    async def schema(self) -> frozenset[tuple[str, str]]:
        """Name and text of every table, index and trigger, as `migrator.schema_of` has them. Raises StoreUnreadable."""
        return frozenset(await self._all(SCHEMA_OBJECTS))

    async def entries_total(self) -> int:
        """How many entries all ledgers have together."""
        return int((await self._all("SELECT coalesce(sum(head), 0) FROM events"))[0][0])

    async def _all(self, statement: str, parameters: Iterable[object] = ()) -> list[Any]:
        """All rows in one hop: a statement left open would hide from the next what was committed meanwhile."""
        try:
            return list(await self._reader.execute_fetchall(statement, parameters))
        except sqlite3.Error as error:
            raise StoreUnreadable(_told(error)) from error


class SqliteStore(SqliteReader):
    """Ledgers, orders and events in one SQLite file; the schema is the migrator's work and must be current."""

    def __init__(self, writer: WritingConnection, reader: aiosqlite.Connection, files: DatabaseFiles) -> None:
        super().__init__(reader)
        self._writer = writer
        self._files = files

    @classmethod
    async def open(cls, database: Path) -> "SqliteStore":
        """Open a migrated database, whose lock the caller holds.

        Raises StoreUnreadable.
        """
        uri = database.absolute().as_uri()
        writer = WritingConnection(lambda: sqlite3.connect(uri, uri=True, isolation_level=None), ROWS_PER_CHUNK)
        try:
            await writer
            for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "mmap_size = 0"):
                await writer.execute_fetchall(f"PRAGMA {pragma}")
            await writer.execute_fetchall("SELECT count(*) FROM events WHERE id = ''")  # creates the -wal file
            reader = await _read_only(database)
            for connection in (writer, reader):
                await connection.execute_fetchall(f"PRAGMA cache_size = -{CACHE_KIB}")
        except sqlite3.Error as error:
            await writer.close()
            raise StoreUnreadable(f"{database}: {_told(error)}") from error
        log.info("SQLite %s opened %s", sqlite3.sqlite_version, database.name)
        return cls(writer, reader, DatabaseFiles(database))

    async def close(self) -> None:
        """Close both connections; the last to close folds the -wal file into the database."""
        try:
            await self._reader.close()
        finally:
            await self._writer.close()

    async def append(self, batch: Sequence[Addition]) -> None:
        """Store all additions, or none: one transaction, on disk when this returns.

        Raises Rejected, NotCommitted, OutcomeUnknown.
        """
        await self._writer.write(self._files, batch)


async def _read_only(database: Path) -> aiosqlite.Connection:
    connection = await aiosqlite.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
    connection.text_factory = _text
    return connection


def _text(stored: bytes) -> str:
    """Text from the database. Where it is damaged, its hash or commitment will not match, and name the entry."""
    return stored.decode(errors="replace")


def _write(connection: sqlite3.Connection, files: DatabaseFiles, batch: Sequence[Addition]) -> None:
    if not files.are_in_place():
        raise OutcomeUnknown("the database or its -wal file was deleted or replaced under the running server")
    try:
        connection.execute("BEGIN IMMEDIATE")
        _write_rows(connection, batch)
    except sqlite3.Error as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_IOERR_FSYNC:  # what the disk has kept is anybody's guess
            raise OutcomeUnknown(_told(error)) from error
        _roll_back(connection)
        kind = Rejected if isinstance(error, sqlite3.IntegrityError) else NotCommitted
        raise kind(_told(error)) from error
    except NotCommitted:
        _roll_back(connection)
        raise
    try:
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", None) not in CERTAINLY_NOT_COMMITTED:
            raise OutcomeUnknown(_told(error)) from error
        _roll_back(connection)
        raise NotCommitted(_told(error)) from error


def _roll_back(connection: sqlite3.Connection) -> None:
    try:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
    except sqlite3.Error as error:
        raise OutcomeUnknown(f"a transaction could not be rolled back: {_told(error)}") from error


def _write_rows(connection: sqlite3.Connection, batch: Sequence[Addition]) -> None:
    opened = [(*counts, entries[0].at) for counts, entries in batch if entries[0].seq == 1]
    moved = [
        (counts.capacity, counts.booked, counts.waiting, counts.head, counts.head_hash, counts.event_id, before)
        for counts, entries in batch
        if (before := entries[0].seq - 1)
    ]
    placed: dict[str, list[object]] = {}  # order id -> the row to insert
    changed: dict[str, str] = {}  # order id -> the status to set
    for counts, entries in batch:
        for entry in entries:
            _collect_order(counts.event_id, entry, placed, changed)
    connection.executemany(
        "INSERT INTO events (id, capacity, booked, waiting, head, head_hash, opened_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
        opened,
    )
    found = connection.executemany(
        "UPDATE events SET capacity = ?, booked = ?, waiting = ?, head = ?, head_hash = ? WHERE id = ? AND head = ?",
        moved,
    )
    if moved and found.rowcount != len(moved):
        raise Rejected("an event's ledger has moved on since it was read")
    connection.executemany(
        "UPDATE orders SET status = ? WHERE id = ?", [(status, order_id) for order_id, status in changed.items()]
    )
    connection.executemany(
        "INSERT INTO orders (id, event_id, user_id, salt, placed_at, status) VALUES (?, ?, ?, ?, ?, ?)",
        placed.values(),
    )
    connection.executemany(
        "INSERT INTO ledger (event_id, seq, kind, at, actor, order_id, reason, detail, hash)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [(counts.event_id, *entry[:8]) for counts, entries in batch for entry in entries],
    )


def _collect_order(event_id: str, entry: Entry, placed: dict[str, list[object]], changed: dict[str, str]) -> None:
    """Note what an entry does to its order. Only the last status of a batch is written.

    Otherwise a guest who cancels and books again inside one batch would have two live orders for an instant.
    """
    status = {"booked": "booked", "joined": "waiting", "promoted": "booked", "cancelled": "cancelled"}.get(entry.kind)
    if status is None or entry.order_id is None:
        return
    if entry.kind in ("booked", "joined"):
        placed[entry.order_id] = [entry.order_id, event_id, entry.guest, entry.salt, entry.at, status]
    elif entry.order_id in placed:
        placed[entry.order_id][-1] = status
    else:
        changed[entry.order_id] = status


def _told(error: sqlite3.Error) -> str:
    name, code = getattr(error, "sqlite_errorname", None), getattr(error, "sqlite_errorcode", 0)
    told = f"{error} ({name})" if name else str(error)
    return f"the file is damaged, restore a backup: {told}" if code & 0xFF in DAMAGED else told
