"""The box office on a real database, driven through random steps and held against the model."""

import asyncio
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar
from weakref import WeakKeyDictionary

import pytest

from tests import effort
from tests.machine import EVENTS, FullMachine, Record, explore
from tests.model import Answer
from webapp.booking.decisions import Refusal
from webapp.booking.state import Counts
from webapp.booking.waiting_list import WaitingList
from webapp.box_office import BoxOffice
from webapp.recovery import recover
from webapp.storage.sqlite import SqliteStore

T = TypeVar("T")


class BoxOfficeDriver:
    """A box office on a database of its own; a restart stops it, closes the store and opens both again."""

    def __init__(self, empty_database: Path) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.database = Path(shutil.copy(empty_database, self.folder.name))
        self.runner = asyncio.Runner()
        self.runner.run(self._start())

    def open(self, event: str, tickets: int) -> Answer:
        return self._answer(
            self.box_office.open_event(event, tickets), lambda opening: "new" if opening.is_new else "as before"
        )

    def book(self, event: str, guest: str) -> Answer:
        return self._answer(self.box_office.book(event, guest), lambda placement: (placement.status, placement.is_new))

    def cancel(self, event: str, guest: str) -> Answer:
        return self._answer(
            self.box_office.cancel(event, guest, "organiser"), lambda cancellation: list(cancellation.promoted)
        )

    def resize(self, event: str, tickets: int) -> Answer:
        return self._answer(self.box_office.resize(event, tickets), lambda resizing: list(resizing.promoted))

    def status(self, event: str) -> Answer:
        return self._answer(self.box_office.counts(event), lambda counts: counts[1:4])

    def place(self, event: str, guest: str) -> Answer:
        return self._answer(
            self.box_office.place(event, guest), lambda placement: (placement.status, placement.position)
        )

    def ledger(self, event: str) -> Sequence[Record]:
        return self.runner.run(self._ledger(event))

    def verify(self) -> None:
        self.runner.run(self._verify())

    def restart(self) -> None:
        self.runner.run(self._stop())
        self.runner.run(self._start())

    def close(self) -> None:
        self.runner.run(self._stop())
        self.runner.close()
        self.folder.cleanup()

    def _answer(self, asking: Awaitable[T], told: Callable[[T], Answer]) -> Answer:
        async def answer() -> Answer:
            try:
                return told(await asking)
            except Refusal as refusal:
                return refusal.code

        return self.runner.run(answer())

    async def _start(self) -> None:
        self.store = await SqliteStore.open(self.database)
        self.box_office = BoxOffice(self.store)
        await self.box_office.start()

    async def _stop(self) -> None:
        await self.box_office.stop()
        await self.store.close()

    async def _ledger(self, event: str) -> list[Record]:
        entries = [entry async for chunk in self.store.entries(event) for entry in chunk]
        return [Record(entry.kind, entry.order_id, entry.guest, entry.detail) for entry in entries]

    async def _verify(self) -> None:
        """Fold every ledger again, and compare with all that is shown."""
        folded = {event: (await recover(self.store, event)).counts for event in EVENTS}
        opened = {event: counts for event, counts in folded.items() if counts.head}
        page = await self.box_office.events(100)
        assert {counts.event_id: counts for counts in page.events} == opened
        assert {event: counts for event in EVENTS if (counts := self.box_office.published(event))} == opened


def test_the_box_office_agrees_with_the_model(empty_database: Path) -> None:
    explore(lambda: FullMachine(partial(BoxOfficeDriver, empty_database)), max(1, effort.MODEL_RUNS // 5))


def latest_first(waiting: WaitingList, number: int) -> list[str]:
    return list(waiting)[: -number - 1 : -1]


def test_a_box_office_that_promotes_the_latest_does_not_agree_with_the_model(
    empty_database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(WaitingList, "first", latest_first)
    with pytest.raises(AssertionError):
        explore(lambda: FullMachine(partial(BoxOfficeDriver, empty_database)), effort.MODEL_RUNS, shrink=False)


def test_a_box_office_that_shows_old_counts_does_not_agree_with_the_model(
    empty_database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first_seen: WeakKeyDictionary[BoxOffice, dict[str, Counts]] = WeakKeyDictionary()
    published = BoxOffice.published

    def stale(box_office: BoxOffice, event_id: str) -> Counts | None:
        counts = published(box_office, event_id)
        return first_seen.setdefault(box_office, {}).setdefault(event_id, counts) if counts else None

    monkeypatch.setattr(BoxOffice, "published", stale)
    with pytest.raises(AssertionError):
        explore(lambda: FullMachine(partial(BoxOfficeDriver, empty_database)), effort.MODEL_RUNS, shrink=False)
