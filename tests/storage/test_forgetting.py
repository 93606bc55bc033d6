"""What was erased leaves the -wal file and the unused parts of pages, once the store is told to see to it."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.storage.unwritten import Unwritten
from webapp.booking.ledger import Contact
from webapp.storage.sqlite import SqliteStore
from webapp.storage.store import OutcomeUnknown, StoreUnreadable

NAME = "Robert Bogh"


@pytest.fixture
async def gig(store: SqliteStore) -> Unwritten:
    """Bob has booked at it under his name, and is erased since; Cleo waits, of whom the store has not heard yet."""
    event = Unwritten("gig", tickets=1)
    event.book("Bob", contact=Contact(NAME, None))
    await store.append([event.addition()])
    event.erase("Bob")
    await store.append([event.addition()])
    event.book("Cleo")
    return event


def log_of(database: Path) -> Path:
    return database.with_name(f"{database.name}-wal")


async def test_what_was_erased_is_in_no_file_once_the_store_has_forgotten(
    store: SqliteStore, gig: Unwritten, database: Path
) -> None:
    assert NAME.encode() in log_of(database).read_bytes()
    assert await store.forget()
    assert not any(NAME.encode() in path.read_bytes() for path in database.parent.iterdir())


async def test_where_nothing_was_erased_the_log_is_left_alone(
    store: SqliteStore, gig: Unwritten, database: Path
) -> None:
    assert await store.forget()
    await store.append([gig.addition()])
    before = log_of(database).read_bytes()
    assert await store.forget()
    assert log_of(database).read_bytes() == before != b""


async def test_who_reads_what_was_there_before_holds_up_the_forgetting_and_no_booking(
    store: SqliteStore, gig: Unwritten, database: Path
) -> None:
    with closing(sqlite3.connect(database, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM orders").fetchone()
        assert not await store.forget()
        await store.append([gig.addition()])
    assert await store.event("gig") is not None
    assert await store.forget()
    assert log_of(database).read_bytes() == b""


async def test_the_log_of_another_database_is_left_alone(store: SqliteStore, gig: Unwritten, database: Path) -> None:
    database.rename(database.with_suffix(".moved"))
    assert not await store.forget()
    with pytest.raises(OutcomeUnknown, match="deleted or replaced"):
        await store.append([gig.addition()])


async def test_a_database_is_made_anew_once_after_an_erasure(store: SqliteStore, gig: Unwritten) -> None:
    assert await store.sweep()
    assert not await store.sweep()
    await store.append([gig.addition()])
    assert await store.event("gig") is not None, "the server knows that it has written the file itself"
    assert not await store.sweep()


async def test_a_database_from_which_nothing_was_erased_is_not_made_anew(store: SqliteStore) -> None:
    assert not await store.sweep()


async def test_a_database_that_cannot_be_made_anew_now_is_so_later(
    store: SqliteStore, gig: Unwritten, database: Path
) -> None:
    await store._writer.execute_fetchall("PRAGMA busy_timeout = 0")
    with closing(sqlite3.connect(database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnreadable, match="database is locked"):
            await store.sweep()
        other.execute("ROLLBACK")
    assert await store.sweep()
