"""The box office on a real database, driven through random steps and held against the model."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import pytest

from tests import effort
from tests.machine import KeyedMachine, explore
from tests.service.driver import BoxOfficeDriver
from webapp.booking.state import Counts
from webapp.booking.waiting_list import WaitingList
from webapp.box_office import BoxOffice
from webapp.desk import Once, Settlement, Unavailable
from webapp.storage.sqlite import SqliteStore
from webapp.storage.store import Kept


@pytest.fixture
def make_machine(empty_database: Path) -> Callable[[], KeyedMachine]:
    return lambda: KeyedMachine(lambda: BoxOfficeDriver(empty_database))


def test_the_box_office_agrees_with_the_model(make_machine: Callable[[], KeyedMachine]) -> None:
    explore(make_machine, effort.SERVICE_RUNS)


def latest_first(waiting: WaitingList, number: int) -> list[str]:
    return list(waiting)[: -number - 1 : -1]


honest_told_before = Once.told_before
honest_kept = SqliteStore.kept


def answer_whatever_was_asked(once: Once, kept: Kept) -> Exception:
    return honest_told_before(Once(once.key, kept.request, once.told), kept)


async def keep_for_ever(store: SqliteStore, keys: Sequence[bytes], since: int) -> list[Kept]:
    return await honest_kept(store, keys, -(2**62))


async def keep_nothing(store: SqliteStore, keys: Sequence[bytes], since: int) -> list[Kept]:
    return []


def show_old_details(settlement: Settlement) -> Counts:
    settlement.desk.published = settlement.counts
    return settlement.counts


@pytest.mark.parametrize(
    ("owner", "name", "broken"),
    [
        (WaitingList, "first", latest_first),
        (Once, "told_before", answer_whatever_was_asked),
        (SqliteStore, "kept", keep_for_ever),
        (SqliteStore, "kept", keep_nothing),
        (Settlement, "publish", show_old_details),
    ],
)
def test_a_broken_box_office_does_not_agree_with_the_model(
    make_machine: Callable[[], KeyedMachine], monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, broken: object
) -> None:
    monkeypatch.setattr(owner, name, broken)
    with pytest.raises((AssertionError, Unavailable)):  # the latter where it is the database that refuses
        explore(make_machine, effort.ATTEMPTS, shrink=False)


def test_a_box_office_that_shows_old_counts_does_not_agree_with_the_model(
    make_machine: Callable[[], KeyedMachine], monkeypatch: pytest.MonkeyPatch
) -> None:
    first_seen: WeakKeyDictionary[BoxOffice, dict[str, Counts]] = WeakKeyDictionary()
    published = BoxOffice.published

    def stale(box_office: BoxOffice, event_id: str) -> Counts | None:
        counts = published(box_office, event_id)
        return first_seen.setdefault(box_office, {}).setdefault(event_id, counts) if counts else None

    monkeypatch.setattr(BoxOffice, "published", stale)
    with pytest.raises(AssertionError):
        explore(make_machine, effort.ATTEMPTS, shrink=False)
