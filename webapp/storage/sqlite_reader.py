"""What is committed in a SQLite file, read through a connection that cannot write."""

import json
import sqlite3
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import aiosqlite

from webapp.booking.details import Details
from webapp.booking.ledger import Entry
from webapp.booking.state import Arrival, Counts, Event, EventCursor, EventPage
from webapp.storage import backups
from webapp.storage.backups import UNREADABLE, unreadable_text
from webapp.storage.migrator import SCHEMA_OBJECTS
from webapp.storage.store import (
    Audience,
    LiveOrder,
    OrderRow,
    ProgrammeCursor,
    ProgrammePage,
    StoreUnreadable,
    Stretch,
    Turn,
)  # fmt: skip

ROWS_PER_CHUNK: Final = 1_000
"""Rows read in one hop to the reading thread, and folded without a pause of the event loop."""

CHUNKS_PER_HISTORY: Final = 25
"""So much of an event's turns is looked back on. One decision makes 11 of them at most."""

DAMAGED: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})

ENDLESS: Final = 2**62
"""More microseconds than there are between 1970 and any time that an event can have."""

COUNTS_WIDTH: Final = len(Counts._fields)


class SqliteReader:
    """What is committed, read through a connection that cannot write."""

    def __init__(self, connection: aiosqlite.Connection) -> None:
        self._reader = connection

    @classmethod
    @asynccontextmanager
    async def snapshot(cls, database: Path) -> AsyncIterator["SqliteReader"]:
        """The database as it is at this instant, however much a server writes meanwhile. Raises StoreUnreadable."""
        try:
            connection = await read_only(database)
        except UNREADABLE as error:
            raise StoreUnreadable(f"{database}: {told(error)}") from error
        try:
            await connection.execute("BEGIN")
            yield cls(connection)
        finally:
            await connection.close()

    async def entries(self, event_id: str, after: int = 0) -> AsyncIterator[list[Entry]]:
        """The entries of an event behind number `after`, in order, in chunks. Raises StoreUnreadable."""
        while chunk := await self.ledger_page(event_id, after, ROWS_PER_CHUNK):
            yield chunk
            after = chunk[-1].seq

    async def ledger_page(self, event_id: str, after: int, limit: int) -> list[Entry]:
        """At most `limit` entries of an event behind number `after`, in order. Raises StoreUnreadable."""
        statement = """
            SELECT seq, kind, at, actor, order_id, reason, detail, hash, user_id, salt, NULL
              FROM ledger LEFT JOIN orders ON orders.id = order_id
             WHERE ledger.event_id = ? AND seq > ? ORDER BY seq LIMIT ?"""
        return [Entry._make(row) for row in await self._all(statement, (event_id, after, limit))]

    async def turns_of(self, order_id: str) -> list[Entry]:
        """What happened to an order after it was placed, in order. Raises StoreUnreadable."""
        statement = """
            SELECT seq, kind, at, actor, order_id, reason, detail, hash, NULL, NULL, NULL FROM ledger
             WHERE order_id = ? AND kind NOT IN ('booked', 'joined') ORDER BY event_id, seq"""
        return [Entry._make(row) for row in await self._all(statement, (order_id,))]

    async def turns_at(self, event_id: str, after: int, until: int, limit: int) -> tuple[list[Turn], bool]:
        """The last cancellations and changes of an event behind `after` up to `until`, latest first, at most `limit`.

        With them comes whether these are all: no more than CHUNKS_PER_HISTORY are read. Raises StoreUnreadable.
        """
        statement = """
            SELECT turn.seq, turn.kind, turn.at, placed_entry,
                   turn.kind = 'cancelled'
                   AND EXISTS (
                     SELECT 1 FROM ledger AS placing
                      WHERE placing.event_id = turn.event_id AND placing.seq = placed_entry AND placing.kind = 'joined')
                   AND NOT EXISTS (
                     SELECT 1 FROM ledger AS own
                      WHERE own.order_id = turn.order_id AND own.kind NOT IN ('booked', 'joined')
                        AND own.kind = 'promoted'),
                   turn.kind <> 'promoted'
                   AND EXISTS (
                     SELECT 1 FROM ledger AS next
                      WHERE next.event_id = turn.event_id AND next.seq = turn.seq + 1 AND next.kind = 'lapsed')
              FROM ledger AS turn INDEXED BY ledger_turns_at_events LEFT JOIN orders ON orders.id = turn.order_id
             WHERE turn.event_id = ? AND turn.seq > ? AND turn.seq <= ?
               AND (turn.kind = 'cancelled' OR turn.kind = 'promoted' OR turn.kind = 'resized' OR turn.kind = 'revised')
             ORDER BY turn.seq DESC LIMIT ?"""
        # INDEXED BY: of itself, SQLite goes along the primary key, and so through all bookings. What is said of kinds
        # is the index's condition, word for word.
        turns: list[Turn] = []
        promoted = 0
        for _ in range(CHUNKS_PER_HISTORY):
            rows = await self._all(statement, (event_id, after, until, ROWS_PER_CHUNK))
            for seq, kind, at, placed_entry, waited, lapsed in rows:
                if kind == "promoted":  # by the first turn below it, since promotions stand right behind their cause
                    promoted += 1
                else:
                    turns.append(Turn(seq, kind, at, placed_entry, bool(waited), promoted, bool(lapsed)))
                    promoted = 0
            if len(rows) < ROWS_PER_CHUNK or len(turns) > limit:
                return turns[:limit], len(turns) <= limit
            until = rows[-1][0] - 1
        return turns[:limit], False

    async def stretches(self, event_id: str, after: int, until: int, latest_at: int, bits: int) -> list[Stretch]:
        """What the entries behind `after` up to `until` have changed, in order, for every 2 ** `bits` microseconds.

        `latest_at` is the latest time up to entry `after`. Raises StoreUnreadable.
        """
        statement = """
            WITH happened AS (
              SELECT seq, kind, detail, max(?, max(entry.at) OVER (ORDER BY seq)) AS at,
                     entry.kind = 'cancelled'
                     AND EXISTS (
                       SELECT 1 FROM ledger AS placing
                        WHERE placing.event_id = entry.event_id AND placing.seq = placed_entry
                          AND placing.kind = 'joined')
                     AND NOT EXISTS (
                       SELECT 1 FROM ledger AS own
                        WHERE own.order_id = entry.order_id AND own.kind NOT IN ('booked', 'joined')
                          AND own.kind = 'promoted') AS waited
                FROM ledger AS entry LEFT JOIN orders ON entry.kind = 'cancelled' AND orders.id = entry.order_id
               WHERE entry.event_id = ? AND seq > ? AND seq <= ?
            )
            SELECT max(at),
                   sum((kind IN ('booked', 'promoted')) - (kind = 'cancelled' AND NOT waited)),
                   sum((kind = 'joined') - (kind = 'promoted') - waited),
                   sum(kind = 'cancelled'),
                   max(CASE WHEN kind IN ('opened', 'resized') THEN (seq << 32) + CAST(detail AS INTEGER) END)
              FROM happened GROUP BY at >> ? ORDER BY max(at)"""
        rows = await self._all(statement, (latest_at, event_id, after, until, bits))
        # The last capacity of several, which stands behind the number of its entry.
        return [
            Stretch(at, booked, waiting, cancelled, None if capacity is None else capacity & 0xFFFFFFFF)
            for at, booked, waiting, cancelled, capacity in rows
        ]

    async def live_orders(self, event_id: str) -> AsyncIterator[list[LiveOrder]]:
        """The booked and waiting orders of an event, in no order, in chunks. Raises StoreUnreadable."""
        statement = """
            SELECT id, user_id, status, checked_in_at, gate FROM orders
             WHERE event_id = ? AND status <> 'cancelled' AND user_id > ? ORDER BY user_id LIMIT ?"""
        after = ""
        while rows := await self._all(statement, (event_id, after, ROWS_PER_CHUNK)):
            yield [
                LiveOrder(order_id, guest, status, None if at is None else Arrival(at, gate))
                for order_id, guest, status, at, gate in rows
            ]
            after = rows[-1][1]

    async def order(self, order_id: str) -> OrderRow | None:
        """An order; None where there is none. Raises StoreUnreadable."""
        statement = """
            SELECT id, event_id, user_id, name, email, status, placed_at, placed_entry, cancel_reason, checked_in_at,
                   gate, erased_at
              FROM orders WHERE id = ?"""
        rows = await self._all(statement, (order_id,))
        return OrderRow._make(rows[0]) if rows else None

    async def orders_beginning(self, prefix: str) -> list[OrderRow]:
        """The orders whose ids begin with some hexadecimal digits, by id, at most 1,000. Raises StoreUnreadable."""
        statement = """
            SELECT id, event_id, user_id, name, email, status, placed_at, placed_entry, cancel_reason, checked_in_at,
                   gate, erased_at
              FROM orders WHERE id >= ? AND id < ? || 'g' ORDER BY id LIMIT ?"""
        return [OrderRow._make(row) for row in await self._all(statement, (prefix, prefix, ROWS_PER_CHUNK))]

    async def orders_with(self, order_ids: Sequence[str]) -> list[OrderRow]:
        """The orders with these ids, in no order; without those that there are not. Raises StoreUnreadable."""
        statement = """
            SELECT id, event_id, user_id, name, email, status, placed_at, placed_entry, cancel_reason, checked_in_at,
                   gate, erased_at
              FROM orders WHERE id IN (SELECT value FROM json_each(?))"""
        return [OrderRow._make(row) for row in await self._all(statement, (json.dumps(list(order_ids)),))]

    async def orders(self, event_id: str, after: int) -> tuple[list[OrderRow], int | None]:
        """Some orders of an event placed behind entry `after`, in that order, and the entry to go on behind.

        They are found along the ledger, so that no booking pays for an index. Raises StoreUnreadable.
        """
        statement = """
            SELECT seq, kind, id, orders.event_id, user_id, name, email, status, placed_at, placed_entry,
                   cancel_reason, checked_in_at, gate, erased_at
              FROM ledger LEFT JOIN orders ON orders.id = order_id AND kind IN ('booked', 'joined')
             WHERE ledger.event_id = ? AND seq > ? ORDER BY seq LIMIT ?"""
        rows = await self._all(statement, (event_id, after, ROWS_PER_CHUNK))
        found = [OrderRow._make(row[2:]) for row in rows if row[2] is not None]
        return found, rows[-1][0] if len(rows) == ROWS_PER_CHUNK else None

    async def event(self, event_id: str) -> Event | None:
        """An event as last committed, also one that was deleted; None where there never was one.

        Raises StoreUnreadable.
        """
        statement = """
            SELECT id, capacity, booked, waiting, head, head_hash, checked_in, revision, has_lapsed, is_deleted,
                   title, description, venue, starts_at, ends_at, time_zone, opens_at, closes_at, hidden
              FROM events WHERE id = ?"""
        rows = await self._all(statement, (event_id,))
        return _event(rows[0]) if rows else None

    async def events(self, limit: int, before: EventCursor | None = None, shown_to: Audience = "guests") -> EventPage:
        """Events, newest first, at most `limit`, and where the next page starts. Raises StoreUnreadable."""
        statement = """
            SELECT id, capacity, booked, waiting, head, head_hash, checked_in, revision, has_lapsed, is_deleted,
                   title, description, venue, starts_at, ends_at, time_zone, opens_at, closes_at, hidden, opened_at
              FROM events
             WHERE (opened_at, id) < (?, ?) AND hidden <= ? AND is_deleted <= ?
             ORDER BY opened_at DESC, id DESC LIMIT ?"""
        start = before or EventCursor(2**63 - 1, "")
        seen = (shown_to != "guests", shown_to == "verifier")
        rows = await self._all(statement, (*start, *seen, limit + 1))
        more = EventCursor(rows[limit - 1][-1], rows[limit - 1][0]) if len(rows) > limit else None
        return EventPage([_event(row) for row in rows[:limit]], more)

    async def programme(
        self, now: int, limit: int, after: ProgrammeCursor | None = None, shown_to: Audience = "guests", q: str = ""
    ) -> ProgrammePage:
        """At most `limit` events behind a cursor: upcoming ones at a moment, those without a date, past ones.

        Raises StoreUnreadable.
        """
        starts_at, upcoming_id = _goes_on(0, after)
        opened_at, undated_id = _goes_on(1, after)
        over_at, past_id = _goes_on(2, after)
        asked = {
            "now": now, "hidden": shown_to != "guests", "q": q.casefold(), "limit": limit + 1,
            "starts_at": starts_at, "upcoming_id": upcoming_id,
            "opened_at": -opened_at, "undated_id": undated_id,
            "over_at": min(-over_at, now), "past_id": past_id,
        }  # fmt: skip
        rows = await self._all(_PROGRAMME, asked)
        more = None
        if len(rows) > limit:
            event_id, *_, part, rank = rows[limit - 1]
            more = ProgrammeCursor(part, rank, event_id)
        return ProgrammePage([_event(row) for row in rows[:limit]], more)

    async def structural_problems(self) -> list[str]:
        """What SQLite itself, or a count of orders against ledgers, finds wrong; a sentence each."""
        problems = [f"integrity: {row[0]}" for row in await self._all("PRAGMA integrity_check(20)") if row[0] != "ok"]
        for table, _, referred, _ in await self._all("PRAGMA foreign_key_check"):
            problems.append(f"integrity: a row of {table} refers to a row of {referred} that is not there")
        placed = "SELECT event_id, count(*) FROM ledger WHERE kind IN ('booked', 'joined') GROUP BY event_id"
        kept = "SELECT event_id, count(*) FROM orders GROUP BY event_id"
        in_ledger, in_table = dict(await self._all(placed)), dict(await self._all(kept))
        for event_id in sorted(in_ledger.keys() | in_table.keys(), key=repr):  # damaged ones may be no text
            entries, rows = in_ledger.get(event_id, 0), in_table.get(event_id, 0)
            if entries != rows:
                problems.append(f"event {event_id!r}: the ledger has {entries} orders, the orders table {rows}")
        for event_id, order_id in await self._all(_ORDERS_AGAINST_THE_LEDGER):
            problems.append(f"event {event_id!r}: order {order_id} is not as the ledger tells")
        return problems

    async def schema(self) -> frozenset[tuple[str, str]]:
        """Name and text of every table, index and trigger, as `migrator.schema_of` has them. Raises StoreUnreadable."""
        return frozenset(await self._all(SCHEMA_OBJECTS))

    async def entries_total(self) -> int:
        """How many entries all ledgers have together."""
        return int((await self._all("SELECT coalesce(sum(head), 0) FROM events"))[0][0])

    async def _all(self, statement: str, parameters: Iterable[object] = ()) -> list[Any]:
        """All rows in one hop: a statement left open would hide from the next what was committed meanwhile."""
        was_lenient = self._reader.text_factory is _text
        try:
            return list(await self._reader.execute_fetchall(statement, parameters))
        except UNREADABLE as error:
            if was_lenient or unreadable_text(error) is None:
                raise StoreUnreadable(told(error)) from error
        self._reader.text_factory = _text  # which costs a call for every text, and so is only for damaged databases
        return await self._all(statement, parameters)


async def read_only(database: Path) -> aiosqlite.Connection:
    """A connection that cannot write. Raises sqlite3.Error, UnicodeDecodeError."""
    connection = await aiosqlite.Connection(partial(backups.read_only, database), ROWS_PER_CHUNK)
    await connection.create_function("casefold", 1, str.casefold, deterministic=True)
    return connection


def _text(stored: bytes) -> str:
    """Text from the database. Where it is damaged, its hash or commitment will not match, and name the entry."""
    return stored.decode(errors="replace")


def _event(row: tuple[Any, ...]) -> Event:
    counts = Counts(*row[:8], *map(bool, row[8:COUNTS_WIDTH]))
    title, description, venue, starts_at, ends_at, time_zone, opens_at, closes_at, hidden = row[
        COUNTS_WIDTH : COUNTS_WIDTH + 9
    ]
    details = Details(
        title=title, description=description, venue=venue, starts_at=starts_at, ends_at=ends_at, time_zone=time_zone,
        opens_at=opens_at, closes_at=closes_at, hidden=bool(hidden),
    )  # fmt: skip
    return Event(counts, details)


def told(error: Exception) -> str:
    """What went wrong, in a sentence with the code; where the file is damaged, also what to do."""
    if (damage := unreadable_text(error)) is not None:
        return f"the file is damaged, restore a backup: {damage}"
    name, code = getattr(error, "sqlite_errorname", None), getattr(error, "sqlite_errorcode", 0)
    told = f"{error} ({name})" if name else str(error)
    return f"the file is damaged, restore a backup: {told}" if code & 0xFF in DAMAGED else told


def _goes_on(part: int, after: ProgrammeCursor | None) -> tuple[int, str]:
    """The rank and the id behind which a part of the programme goes on; one before the cursor's part has ended."""
    if after is None or part > after.part:
        return -ENDLESS, ""
    return (after.rank, after.event_id) if part == after.part else (ENDLESS, "")


# Every part is found along an index, and cut off, before events are read. Only the upcoming ones are sorted, all of
# them: their index is in the order of their ends. NOT MATERIALIZED, or `shown` would be a table without indexes.
_PROGRAMME: Final = """
    WITH shown AS NOT MATERIALIZED (
      SELECT id, opened_at, starts_at, coalesce(ends_at, starts_at) AS over_at
        FROM events
       WHERE hidden <= :hidden AND NOT is_deleted
         AND (:q = '' OR instr(casefold(iif(title = '', id, title)), :q))
    ), listed (part, rank, listed_id) AS (
      SELECT * FROM (
        SELECT 0, starts_at, id FROM shown
         WHERE over_at > :now AND (starts_at, id) > (:starts_at, :upcoming_id)
         ORDER BY starts_at, id LIMIT :limit)
      UNION ALL
      SELECT * FROM (
        SELECT 1, -opened_at, id FROM shown
         WHERE starts_at IS NULL AND opened_at <= :opened_at AND (opened_at < :opened_at OR id > :undated_id)
         ORDER BY opened_at DESC, id LIMIT :limit)
      UNION ALL
      SELECT * FROM (
        SELECT 2, -over_at, id FROM shown
         WHERE over_at <= :over_at AND (over_at < :over_at OR id > :past_id)
         ORDER BY over_at DESC, id LIMIT :limit)
    )
    SELECT id, capacity, booked, waiting, head, head_hash, checked_in, revision, has_lapsed, is_deleted,
           title, description, venue, starts_at, ends_at, time_zone, opens_at, closes_at, hidden, part, rank
      FROM listed JOIN events ON id = listed_id
     ORDER BY part, rank, id LIMIT :limit"""

# What replaying a ledger does not see: all of orders that are not live, and when the others were placed. A CHECK
# is no help, since integrity_check of SQLite 3.40 passes over those of tables without rowids.
_ORDERS_AGAINST_THE_LEDGER: Final = """
    SELECT orders.event_id, orders.id
      FROM orders LEFT JOIN ledger AS placing
        ON placing.event_id = orders.event_id AND placing.seq = placed_entry AND placing.order_id = orders.id
       AND placing.at = placed_at AND placing.kind IN ('booked', 'joined')
     WHERE placing.seq IS NULL
        OR (status = 'cancelled' AND coalesce(checked_in_at, gate) IS NOT NULL)
        OR (status <> 'cancelled' AND cancel_reason IS NOT NULL)
        OR (salt IS NULL) <> (erased_at IS NOT NULL)
        OR erased_at IS NOT (
             SELECT max(own.at) FROM ledger AS own
              WHERE own.order_id = orders.id AND own.kind NOT IN ('booked', 'joined') AND own.kind = 'erased')
        OR (erased_at IS NOT NULL AND user_id <> char(127) || orders.id)
        OR (erased_at IS NOT NULL AND coalesce(name, email, cancel_reason) IS NOT NULL)
     LIMIT 20"""
