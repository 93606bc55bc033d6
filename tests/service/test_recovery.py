"""What a start tells while it folds and checks the ledgers."""

import asyncio
import logging

import pytest

from webapp import recovery
from webapp.box_office import BoxOffice
from webapp.storage.sqlite import SqliteStore

GUESTS = 2_499


@pytest.fixture
async def crowded(store: SqliteStore) -> SqliteStore:
    """A store in which one event has 2,500 entries, and another one, which was deleted, has two."""
    box_office = BoxOffice(store)
    await box_office.start()
    await box_office.open_event("gig", GUESTS // 2)
    await box_office.open_event("off", 1)
    await box_office.delete_event("off")
    await asyncio.gather(*(box_office.book("gig", f"guest-{number}") for number in range(GUESTS)))
    await box_office.stop()
    return store


async def told_at_start(store: SqliteStore, caplog: pytest.LogCaptureFixture) -> list[str]:
    caplog.clear()
    box_office = BoxOffice(store)
    with caplog.at_level(logging.INFO, logger="webapp"):
        await box_office.start()
    await box_office.stop()
    return [record.getMessage() for record in caplog.records]


async def test_a_long_start_tells_how_far_it_is(
    crowded: SqliteStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(recovery, "PROGRESS_EVERY_S", 0)
    *steps, end = await told_at_start(crowded, caplog)
    assert steps == [f"checking: {done} of 2502 entries" for done in (2, 1_002, 2_002, 2_502)]
    assert end.startswith("checked 2 ledgers with 2502 entries in ")


async def test_a_short_start_tells_only_its_end(crowded: SqliteStore, caplog: pytest.LogCaptureFixture) -> None:
    (end,) = await told_at_start(crowded, caplog)
    assert end.startswith("checked 2 ledgers with 2502 entries in ")


async def test_the_event_loop_runs_on_while_a_long_ledger_is_folded(crowded: SqliteStore) -> None:
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    progress: list[tuple[int, int]] = []
    task = asyncio.create_task(others())
    await recovery.recover(crowded, "gig", lambda entries: progress.append((entries, turns)))
    task.cancel()
    assert [entries for entries, _ in progress] == [1_000, 1_000, 500]
    assert len({seen for _, seen in progress}) == 3
