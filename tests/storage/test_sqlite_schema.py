"""The second line of defence: what the database itself refuses, were the rules ever wrong."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest

from tests.storage.unwritten import Unwritten
from webapp.storage.sqlite import SqliteStore

FITTING: Final = {
    "events": {
        "id": "'talk'", "capacity": "5", "booked": "0", "waiting": "0", "checked_in": "0", "has_lapsed": "0",
        "is_deleted": "0", "revision": "1", "head": "1", "head_hash": "zeroblob(32)", "opened_at": "0",
    },
    "ledger": {
        "event_id": "'gig'", "seq": "4", "kind": "'booked'", "at": "0", "actor": "'guest'", "order_id": "'gig-1'",
        "hash": "zeroblob(32)",
    },
    "orders": {
        "id": "'new'", "event_id": "'gig'", "user_id": "'Dan'", "status": "'waiting'", "salt": "zeroblob(16)",
        "placed_at": "0", "placed_entry": "4",
    },
    "kept_answers": {
        "key": "zeroblob(32)", "request": "zeroblob(32)", "event_id": "'gig'", "at": "0", "text": "'{}'",
    },
}  # fmt: skip
"""A row of each table, in SQL, that fits to what is stored."""

OF_AN_EVENT: Final = ("opened", "resized", "revised", "lapsed", "deleted")
OF_AN_ORDER: Final = ("booked", "joined", "promoted", "cancelled", "checked_in", "check_in_undone", "erased")


def a_row_of(table: str, **values: str) -> str:
    """A statement that inserts a fitting row, but for these values."""
    row = FITTING[table] | values
    return f"INSERT INTO {table} ({', '.join(row)}) VALUES ({', '.join(row.values())})"  # noqa: S608 -- the rows stand in this file


def an_event(**values: str) -> str:
    return a_row_of("events", **values)


def an_entry(**values: str) -> str:
    return a_row_of("ledger", **values)


def an_order(**values: str) -> str:
    return a_row_of("orders", **values)


def an_answer(**values: str) -> str:
    return a_row_of("kept_answers", **values)


@pytest.fixture
async def connection(store: SqliteStore, database: Path) -> AsyncIterator[sqlite3.Connection]:
    """To a database in which Bob has the gig's only ticket, and Cleo waits."""
    gig = Unwritten("gig", tickets=1)
    gig.book("Bob", "Cleo")
    await store.append([gig.addition()])
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("PRAGMA foreign_keys = ON")
        yield connection


@pytest.mark.parametrize(
    ("statement", "complaint"),
    [
        ("UPDATE ledger SET kind = 'joined' WHERE seq = 2", "entries never change"),
        ("UPDATE ledger SET at = 0", "entries never change"),
        ("UPDATE OR REPLACE ledger SET seq = 1 WHERE seq = 2", "entries never change"),
        ("DELETE FROM ledger WHERE seq = 3", "entries are never removed"),
        ("DELETE FROM ledger", "entries are never removed"),
        (an_entry(seq="3"), "UNIQUE constraint"),
        (an_entry(seq="0"), "CHECK constraint"),
        (an_entry(event_id="'lost'"), "FOREIGN KEY"),
        (an_entry(order_id="'lost'"), "FOREIGN KEY"),
        *((an_entry(kind=f"'{kind}'"), "CHECK constraint") for kind in OF_AN_EVENT),
        *((an_entry(kind=f"'{kind}'", order_id="NULL"), "CHECK constraint") for kind in OF_AN_ORDER),
        (an_entry(kind="'lost'"), "CHECK constraint"),
        (an_entry(kind="'lost'", order_id="NULL"), "CHECK constraint"),
        (an_entry(actor="'stranger'"), "CHECK constraint"),
        (an_entry(hash="zeroblob(31)"), "CHECK constraint"),
        (an_entry(hash="'text'"), "cannot store TEXT"),
        (an_entry(hash="NULL"), "NOT NULL constraint"),
        (an_entry(at="'noon'"), "cannot store TEXT"),
    ],
)
def test_the_ledger_refuses_what_the_rules_would_never_record(
    connection: sqlite3.Connection, statement: str, complaint: str
) -> None:
    with pytest.raises(sqlite3.IntegrityError, match=complaint):
        connection.execute(statement)


@pytest.mark.parametrize(
    ("statement", "complaint"),
    [
        (an_order(user_id="'Bob'"), "UNIQUE constraint"),
        (an_order(user_id="'Cleo'"), "UNIQUE constraint"),
        (an_order(id="'gig-1'"), "UNIQUE constraint"),
        (an_order(event_id="'lost'"), "FOREIGN KEY"),
        (an_order(status="'lost'"), "CHECK constraint"),
        (an_order(user_id="''"), "CHECK constraint"),
        (an_order(salt="zeroblob(15)"), "CHECK constraint"),
        (an_order(placed_entry="0"), "CHECK constraint"),
        (an_order(placed_entry="NULL"), "NOT NULL constraint"),
        (an_order(placed_at="NULL"), "NOT NULL constraint"),
        (an_order(cancel_reason="'ill'"), "CHECK constraint"),
        (an_order(cancel_reason="'ill'", status="'booked'"), "CHECK constraint"),
        (an_order(checked_in_at="1"), "CHECK constraint"),
        (an_order(checked_in_at="1", status="'cancelled'"), "CHECK constraint"),
        (an_order(gate="'west'", status="'booked'"), "CHECK constraint"),
        (an_order(erased_at="1"), "CHECK constraint"),
        (an_order(erased_at="1", salt="NULL", name="'Dan Dee'"), "CHECK constraint"),
        (an_order(erased_at="1", salt="NULL", email="'dan@example.org'"), "CHECK constraint"),
        (an_order(erased_at="'noon'", salt="NULL"), "cannot store TEXT"),
        ("UPDATE orders SET status = 'cancelled', checked_in_at = 1 WHERE id = 'gig-1'", "CHECK constraint"),
        ("UPDATE orders SET checked_in_at = 1 WHERE id = 'gig-2'", "CHECK constraint"),
        ("DELETE FROM orders WHERE id = 'gig-1'", "FOREIGN KEY"),
    ],
)
def test_the_orders_refuse_what_the_rules_would_never_do(
    connection: sqlite3.Connection, statement: str, complaint: str
) -> None:
    with pytest.raises(sqlite3.IntegrityError, match=complaint):
        connection.execute(statement)


@pytest.mark.parametrize(
    ("statement", "complaint"),
    [
        (an_event(id="'gig'"), "UNIQUE constraint"),
        (an_event(id="''"), "CHECK constraint"),
        (an_event(booked="6"), "CHECK constraint"),
        (an_event(booked="-1"), "CHECK constraint"),
        (an_event(capacity="-1", booked="-1", checked_in="-1"), "CHECK constraint"),
        (an_event(booked="5", waiting="-1"), "CHECK constraint"),
        (an_event(booked="4", waiting="1"), "CHECK constraint"),
        (an_event(booked="2", checked_in="3"), "CHECK constraint"),
        (an_event(booked="2", checked_in="-1"), "CHECK constraint"),
        (an_event(has_lapsed="2"), "CHECK constraint"),
        (an_event(is_deleted="2"), "CHECK constraint"),
        (an_event(is_deleted="1", booked="1"), "CHECK constraint"),
        (an_event(is_deleted="1", waiting="1", has_lapsed="1"), "CHECK constraint"),
        (an_event(revision="0"), "CHECK constraint"),
        (an_event(revision="2"), "CHECK constraint"),
        (an_event(head="0", revision="0"), "CHECK constraint"),
        (an_event(head_hash="zeroblob(0)"), "CHECK constraint"),
        (an_event(hidden="2"), "CHECK constraint"),
        (an_event(title="NULL"), "NOT NULL constraint"),
        (an_event(time_zone="NULL"), "NOT NULL constraint"),
        (an_event(starts_at="'noon'"), "cannot store TEXT"),
        ("UPDATE events SET booked = 2, capacity = 1", "CHECK constraint"),
        ("DELETE FROM events", "FOREIGN KEY"),
    ],
)
def test_the_events_refuse_what_the_rules_would_never_do(
    connection: sqlite3.Connection, statement: str, complaint: str
) -> None:
    with pytest.raises(sqlite3.IntegrityError, match=complaint):
        connection.execute(statement)


@pytest.mark.parametrize(
    ("statement", "complaint"),
    [
        (an_answer(key="zeroblob(31)"), "CHECK constraint"),
        (an_answer(key="NULL"), "NOT NULL constraint"),
        (an_answer(request="zeroblob(33)"), "CHECK constraint"),
        (an_answer(event_id="'lost'"), "FOREIGN KEY"),
        (an_answer(at="NULL"), "NOT NULL constraint"),
        (an_answer(text="NULL"), "NOT NULL constraint"),
    ],
)
def test_the_kept_answers_refuse_what_no_server_would_keep(
    connection: sqlite3.Connection, statement: str, complaint: str
) -> None:
    with pytest.raises(sqlite3.IntegrityError, match=complaint):
        connection.execute(statement)


def test_one_key_has_one_answer(connection: sqlite3.Connection) -> None:
    connection.execute(an_answer())
    with pytest.raises(sqlite3.IntegrityError, match="UNIQUE constraint"):
        connection.execute(an_answer(text="'another'"))


@pytest.mark.parametrize(
    "statement",
    [
        an_event(),
        an_event(booked="5", waiting="1", checked_in="5"),
        an_event(booked="4", waiting="1", has_lapsed="1"),
        an_event(is_deleted="1", head="2", revision="2"),
        an_event(title="'A'", venue="'B'", starts_at="1", ends_at="2", opens_at="-1", closes_at="1", hidden="1"),
        *(an_entry(kind=f"'{kind}'") for kind in OF_AN_ORDER),
        *(an_entry(kind=f"'{kind}'", order_id="NULL") for kind in OF_AN_EVENT),
        an_order(),
        an_order(salt="NULL"),
        an_order(salt="NULL", erased_at="1"),
        an_order(name="'Dan'", email="'dan@example.org'"),
        an_order(status="'booked'", checked_in_at="1"),
        an_order(status="'booked'", checked_in_at="1", gate="'west'"),
        an_order(status="'booked'", checked_in_at="1", salt="NULL", erased_at="1"),
        an_order(status="'cancelled'", user_id="'Bob'"),
        an_order(status="'cancelled'", cancel_reason="'ill'"),
        an_answer(),
        an_answer(text="''"),
    ],
)
def test_the_schema_takes_what_the_rules_do(connection: sqlite3.Connection, statement: str) -> None:
    connection.execute(statement)
