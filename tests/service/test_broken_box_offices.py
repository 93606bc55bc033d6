"""Box offices that are broken on purpose: each must be caught by the checks that `test_interleavings.py` relies on."""

import asyncio
from typing import Literal

import pytest

from tests.service.stage import Scenario, find
from tests.service.test_interleavings import (
    anything,
    cancellations_and_raised_capacity,
    outcome_unknown,
    rush,
    two_events,
)
from webapp import box_office, desks
from webapp.booking.waiting_list import WaitingList
from webapp.committer import Committer
from webapp.desk import Desk, Settlement


class AnswersTooEarly(Committer):
    async def _store_and_answer(self, changed: list[Settlement]) -> None:
        for settlement in changed:
            settlement.answer()
        await super()._store_and_answer(changed)


class PublishesTooEarly(Committer):
    async def _store_and_answer(self, changed: list[Settlement]) -> None:
        for settlement in changed:
            settlement.publish()
        await super()._store_and_answer(changed)


class PublishesTooLate(Committer):
    async def _store_and_answer(self, changed: list[Settlement]) -> None:
        shown = [settlement.desk.published for settlement in changed]
        await super()._store_and_answer(changed)
        current = [settlement.desk.published for settlement in changed]
        for settlement, before in zip(changed, shown, strict=True):
            settlement.desk.published = before
        await asyncio.sleep(0)
        for settlement, after in zip(changed, current, strict=True):
            settlement.desk.published = after


class Guesses(Committer):
    def _fail(self, changed: list[Settlement]) -> None:
        self._undo(changed)


class Oversleeps(Committer):
    async def run(self) -> None:
        while True:
            while not self._line:
                if self._is_closing and not self.pending:
                    return
                await asyncio.sleep(0)
                self._wake.clear()
                await self._wake.wait()
            await self._settle_batch()


class ForgetsAnAnswer(Committer):
    async def _store_and_answer(self, changed: list[Settlement]) -> None:
        for settlement in changed:
            settlement.answers = settlement.answers[:3]
        await super()._store_and_answer(changed)


class StickyLock(asyncio.Lock):
    times = 0

    def release(self) -> None:
        self.times += 1
        if self.times < 4:
            super().release()


class NoLock(asyncio.Lock):
    async def acquire(self) -> Literal[True]:
        return True

    def release(self) -> None:
        pass


@pytest.mark.parametrize(
    ("broken", "scenario", "complaint"),
    [
        (AnswersTooEarly, rush, "an answer before its commit"),
        (AnswersTooEarly, anything, "an answer before its commit|acknowledged, and lost"),
        (PublishesTooEarly, two_events, "shown, but not committed"),
        (PublishesTooLate, two_events, "went backwards|this was true at no time"),
        (Guesses, outcome_unknown, "a ghost, or an answer"),
        (Oversleeps, two_events, "not answered in time"),
        (ForgetsAnAnswer, cancellations_and_raised_capacity, "not answered in time"),
    ],
)
def test_a_broken_committer_is_caught(
    monkeypatch: pytest.MonkeyPatch, broken: type[Committer], scenario: Scenario, complaint: str
) -> None:
    monkeypatch.setattr(box_office, "Committer", broken)
    with pytest.raises(AssertionError, match=complaint):
        find(scenario)


def test_a_desk_without_a_lock_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desks, "Desk", lambda event_id: Desk(event_id, lock=NoLock()))
    with pytest.raises(AssertionError, match="this was true at no time"):
        find(two_events)


def test_a_lock_that_is_not_given_back_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desks, "Desk", lambda event_id: Desk(event_id, lock=StickyLock()))
    with pytest.raises(AssertionError, match="never ends"):
        find(two_events)


def test_a_state_that_keeps_what_was_not_stored_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Settlement, "undo", Settlement.answer)
    with pytest.raises(AssertionError, match="this was true at no time"):
        find(anything)


def test_promoting_the_latest_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(WaitingList, "first", lambda waiting, number: list(waiting)[: -number - 1 : -1])
    with pytest.raises(AssertionError, match="in place of"):
        find(cancellations_and_raised_capacity)
