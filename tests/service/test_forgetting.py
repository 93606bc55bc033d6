"""What was erased leaves the files sooner or later; where that takes long, the log says why."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.service.until import until
from webapp import forgetting
from webapp.booking.ledger import Contact
from webapp.box_office import BoxOffice
from webapp.forgetting import forget_forever, sweep
from webapp.storage.sqlite import SqliteStore


@pytest.fixture
async def office(store: SqliteStore, start: Callable[[BoxOffice], Awaitable[BoxOffice]]) -> BoxOffice:
    """A box office where Bob was erased."""
    office = await start(BoxOffice(store))
    await office.open_event("gig", 1)
    bob = await office.book("gig", "Bob", contact=Contact("Robert Boegh"))
    await office.erase("gig", "Bob", (bob.order_id,))
    return office


@contextmanager
def held(database: Path, *statements: str) -> Iterator[None]:
    """Somebody else who has the database open, and has said something."""
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement).fetchall()
        yield


@pytest.mark.usefixtures("office")
async def test_a_reader_who_holds_it_up_is_told_once_and_not_waited_for(
    store: SqliteStore, database: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(forgetting, "LOOK_EVERY_S", 0.001)
    monkeypatch.setattr(forgetting, "LATE_S", 0.0)
    log = database.with_name(f"{database.name}-wal")
    forget, answers = store.forget, list[bool]()

    async def forget_once_more() -> bool:
        answers.append(await forget())
        return answers[-1]

    monkeypatch.setattr(store, "forget", forget_once_more)
    with held(database, "BEGIN", "SELECT count(*) FROM orders"):
        task = asyncio.create_task(forget_forever(store))
        await until(lambda: len(answers) > 5)
        assert not any(answers)
        assert b"Robert Boegh" in log.read_bytes()
    await until(lambda: not log.stat().st_size)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    (said,) = (record.getMessage() for record in caplog.records)
    assert said.startswith("what was erased is still in the -wal file, and will be gone later: somebody reads")


async def test_bookings_and_erasures_go_on_after_the_log_was_emptied(
    office: BoxOffice, store: SqliteStore, database: Path
) -> None:
    assert await store.forget()
    cleo = await office.book("gig", "Cleo", contact=Contact("Cleo Moreau"))
    await office.erase("gig", "Cleo", (cleo.order_id,))
    assert b"Cleo Moreau" in database.with_name(f"{database.name}-wal").read_bytes()
    assert await store.forget()
    assert b"Cleo Moreau" not in database.with_name(f"{database.name}-wal").read_bytes()


@pytest.mark.usefixtures("office")
async def test_a_database_is_made_anew_once_after_an_erasure(
    store: SqliteStore, database: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await store._writer.execute_fetchall("PRAGMA busy_timeout = 0")
    with held(database, "BEGIN IMMEDIATE"):
        await sweep(store)
    assert "may be left in unused parts of the database until the next start: " in caplog.text
    assert await store.forget()
    assert await store.sweep()
    log = database.with_name(f"{database.name}-wal")
    assert log.stat().st_size
    assert await store.forget()
    assert not log.stat().st_size, "as long as the new pages are there, the old ones are in the database"
    assert not await store.sweep()


async def test_a_database_from_which_nobody_was_erased_stays_as_it_is(store: SqliteStore) -> None:
    assert not await store.sweep()
