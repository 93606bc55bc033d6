"""What `verify` finds in a database: nothing in a whole one, and every kind of damage, which it never raises."""

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.replay import WHOLE_SCHEMA
from webapp.box_office import BoxOffice
from webapp.storage.sqlite_reader import SqliteReader
from webapp.storage.store import StoreUnreadable
from webapp.verification import Report, verify


async def found(database: Path, progress: Callable[[int], object] = lambda _: None) -> Report:
    async with SqliteReader.snapshot(database) as reader:
        return await verify(reader, WHOLE_SCHEMA, progress)


@pytest.fixture
async def full(box_office: BoxOffice, database: Path) -> Path:
    """A gig where Bob has the ticket and Cleo waits, and a talk that Dan attends: seven entries."""
    await box_office.open_event("gig", tickets=1)
    await box_office.open_event("talk", tickets=9)
    for event, guest in (("gig", "Bob"), ("gig", "Cleo"), ("talk", "Dan"), ("talk", "Eve")):
        await box_office.book(event, guest)
    await box_office.cancel("talk", "Eve", "guest")
    return database


def damage(database: Path, *statements: str) -> None:
    """Do what neither the rules nor the triggers would ever let happen."""
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


async def test_a_whole_database_has_no_problems_and_is_replayed_entry_by_entry(full: Path) -> None:
    told = list[int]()
    assert await found(full, told.append) == Report(events=2, entries=7)
    assert sum(told) == 7


async def test_how_many_entries_there_are_is_known_beforehand(full: Path) -> None:
    async with SqliteReader.snapshot(full) as reader:
        assert await reader.entries_total() == 7


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("DROP TRIGGER ledger_entries_never_change", "the schema is not as it was made: ledger_entries_never_change"),
        ("DELETE FROM orders WHERE user_id = 'Eve'", "a row of ledger refers to a row of orders that is not there"),
        ("DELETE FROM orders WHERE user_id = 'Eve'", "event 'talk': the ledger has 2 orders, the orders table 1"),
        ("UPDATE orders SET placed_at = 1 WHERE user_id = 'Eve'", "event 'talk': order {Eve} is not as the ledger"),
        ("UPDATE orders SET user_id = 'Bab' WHERE user_id = 'Bob'", "event 'gig' is damaged at entry 2: its order now"),
        ("UPDATE events SET booked = 0 WHERE id = 'talk'", "damaged at entry 4: the events table says 0 of 9"),
    ],
)
async def test_damage_of_any_kind_is_told_with_its_place(full: Path, statement: str, told: str) -> None:
    with closing(sqlite3.connect(full)) as connection:
        order_ids = dict(connection.execute("SELECT user_id, id FROM orders"))
    damage(full, "PRAGMA foreign_keys = OFF", statement)
    problems = (await found(full)).problems
    assert any(told.format_map(order_ids) in problem for problem in problems), problems


async def test_a_table_that_cannot_be_read_is_told_and_not_raised(full: Path) -> None:
    damage(full, "PRAGMA foreign_keys = OFF", "PRAGMA legacy_alter_table = ON", "ALTER TABLE orders RENAME TO lost")
    (problem,) = (await found(full)).problems
    assert problem.startswith("the database cannot be read: no such table: ")


async def test_a_database_that_is_not_there_cannot_be_looked_at(tmp_path: Path) -> None:
    threads = set(threading.enumerate())
    with pytest.raises(StoreUnreadable, match=r"missing\.db: unable to open"):
        await found(tmp_path / "missing.db")
    assert not list(tmp_path.iterdir())
    for thread in set(threading.enumerate()) - threads:  # it ends by itself, but needs this loop for its last words
        await asyncio.to_thread(thread.join)
