"""Whether the ledgers of an older database are whole: looked at before a migration makes its tables anew.

Uses only what every schema has had. What a later one has besides is compared when a server starts.
"""

import sqlite3
from collections.abc import Iterator
from typing import Final

from webapp.booking.ledger import Entry, LedgerDamaged
from webapp.booking.state import fold

TABLES: Final = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name IN ('events', 'ledger', 'orders')"


def first_damage(connection: sqlite3.Connection) -> LedgerDamaged | None:
    """The first thing that is wrong, if anything is. Raises sqlite3.Error, UnicodeDecodeError."""
    if connection.execute(TABLES).fetchone() != (3,):
        return None
    events = connection.execute("SELECT id FROM events UNION SELECT event_id FROM ledger").fetchall()
    try:
        for (event_id,) in events:
            _require_whole(connection, event_id)
    except LedgerDamaged as damage:
        return damage
    return None


def _require_whole(connection: sqlite3.Connection, event_id: str) -> None:
    try:
        state = fold(event_id, _entries(connection, event_id))
    except (AttributeError, TypeError, ValueError) as wrong:
        raise LedgerDamaged(event_id, 1, "here or later, a value is of another type than what was written") from wrong
    row = "SELECT capacity, booked, waiting, head, head_hash FROM events WHERE id = ?"
    told = (state.capacity, state.booked, len(state.waiting), state.head, state.head_hash)
    if connection.execute(row, (event_id,)).fetchone() != told:
        raise LedgerDamaged(event_id, state.head, "the events table says something else than the ledger")
    (orders,) = connection.execute("SELECT count(*) FROM orders WHERE event_id = ?", (event_id,)).fetchone()
    if orders != state.orders:
        raise LedgerDamaged(event_id, state.head, f"the ledger has {state.orders} orders, the orders table {orders}")


def _entries(connection: sqlite3.Connection, event_id: str) -> Iterator[Entry]:
    statement = """
        SELECT seq, kind, at, actor, order_id, reason, detail, hash, user_id, salt, NULL
          FROM ledger LEFT JOIN orders ON orders.id = order_id
         WHERE ledger.event_id = ? ORDER BY seq"""
    return map(Entry._make, connection.execute(statement, (event_id,)))
