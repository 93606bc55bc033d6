"""The rules, driven through random steps and held against the model."""

from collections.abc import Sequence
from itertools import count
from typing import Any

import pytest

from tests import effort
from tests.machine import EVENTS, FullMachine, Record, audit, explore
from tests.model import Answer
from webapp.booking import decisions
from webapp.booking.decisions import Decision, Refusal
from webapp.booking.ledger import Entry, Fact
from webapp.booking.state import EventState, fold
from webapp.booking.waiting_list import WaitingList


class RulesDriver:
    """The rules alone: a ledger and a state per event. Its clock runs backwards, for order is never a clock's."""

    def __init__(self) -> None:
        self.entries: dict[str, list[Entry]] = {event: [] for event in EVENTS}
        self.states = {event: EventState(event) for event in EVENTS}
        self.clock = count(10**15, -1)
        self.numbers = count(1)

    def open(self, event: str, tickets: int) -> Answer:
        opening = self._answer(event, decisions.open_event, tickets)
        return opening if isinstance(opening, str) else "new" if opening.is_new else "as before"

    def book(self, event: str, guest: str) -> Answer:
        placement = self._answer(event, decisions.book, guest, f"order-{next(self.numbers)}", bytes(16))
        return placement if isinstance(placement, str) else (placement.status, placement.is_new)

    def cancel(self, event: str, guest: str) -> Answer:
        cancellation = self._answer(event, decisions.cancel, guest)
        return cancellation if isinstance(cancellation, str) else list(cancellation.promoted)

    def resize(self, event: str, tickets: int) -> Answer:
        resizing = self._answer(event, decisions.resize, tickets)
        return resizing if isinstance(resizing, str) else list(resizing.promoted)

    def status(self, event: str) -> Answer:
        counts = self.states[event].counts
        return counts[1:4] if self.states[event].exists else "event_not_found"

    def place(self, event: str, guest: str) -> Answer:
        try:
            placement = decisions.place(self.states[event], guest)
        except Refusal as refusal:
            return refusal.code
        return placement.status, placement.position

    def ledger(self, event: str) -> Sequence[Record]:
        return [Record(entry.kind, entry.order_id, entry.guest, entry.detail) for entry in self.entries[event]]

    def verify(self) -> None:
        for event, state in self.states.items():
            assert inside(fold(event, self.entries[event])) == inside(state)

    def restart(self) -> None:
        self.states = {event: fold(event, entries) for event, entries in self.entries.items()}

    def close(self) -> None:
        pass

    def _answer(self, event: str, rule: Any, *wish: object) -> Any:
        state = self.states[event]
        try:
            decision: Decision[object] = rule(state, *wish)
        except Refusal as refusal:
            return refusal.code
        self.entries[event] += [state.record(fact, next(self.clock), "guest") for fact in decision.facts]
        return decision.answer


def inside(state: EventState) -> tuple[object, ...]:
    """Everything that a state consists of."""
    return state.counts, state.live, list(state.waiting), [state.waiting.position(guest) for guest in state.waiting]


def test_the_rules_agree_with_the_model() -> None:
    explore(lambda: FullMachine(RulesDriver), effort.MODEL_RUNS)


honest_book = decisions.book
honest_cancel = decisions.cancel


def promote_nobody(state: EventState, free: int) -> list[Fact]:
    return []


def promote_one_too_few(state: EventState, free: int) -> list[Fact]:
    return [Fact("promoted", state.live[guest], guest) for guest in state.waiting.first(max(0, free - 1))]


def cancel_the_first_waiting(state: EventState, guest: str) -> Decision[Any]:
    return honest_cancel(state, (state.waiting.first(1) if guest in state.waiting else [guest])[0])


def latest_first(waiting: WaitingList, number: int) -> list[str]:
    return list(waiting)[: -number - 1 : -1]


def forget_the_order(state: EventState, guest: str, order_id: str, salt: bytes) -> Decision[Any]:
    if guest not in state.waiting:
        state.live.pop(guest, None)
    return honest_book(state, guest, order_id, salt)


@pytest.mark.parametrize(
    ("owner", "name", "broken"),
    [
        (decisions, "promotions", promote_nobody),
        (decisions, "promotions", promote_one_too_few),
        (decisions, "cancel", cancel_the_first_waiting),
        (decisions, "book", forget_the_order),
        (WaitingList, "first", latest_first),
    ],
)
def test_broken_rules_do_not_agree_with_the_model(
    monkeypatch: pytest.MonkeyPatch, owner: object, name: str, broken: object
) -> None:
    monkeypatch.setattr(owner, name, broken)
    with pytest.raises(AssertionError) as caught:
        explore(lambda: FullMachine(RulesDriver), effort.MODEL_RUNS, shrink=False)
    assert caught.type is AssertionError  # from the model or the audit, not from an invariant of the rules


OPENED = Record("opened", None, None, "1")
BOB = Record("booked", "1", "Bob", None)
CLEO = Record("joined", "2", "Cleo", None)
DAN = Record("joined", "3", "Dan", None)
BOB_CANCELS = Record("cancelled", "1", "Bob", None)


@pytest.mark.parametrize(
    ("invariant", "ledger"),
    [
        ("G1", [OPENED, BOB, CLEO, Record("promoted", "2", "Cleo", None)]),
        ("G1", [OPENED, BOB, Record("resized", None, None, "0")]),
        ("G2", [OPENED, CLEO]),
        ("G2", [OPENED, BOB, CLEO, BOB_CANCELS]),
        ("G3", [OPENED, BOB, CLEO, DAN, BOB_CANCELS, Record("promoted", "3", "Dan", None)]),
        ("G4", [OPENED, BOB, Record("joined", "4", "Bob", None)]),
        ("G5", [OPENED, BOB, CLEO, BOB_CANCELS, Record("booked", "3", "Dan", None)]),
        ("not live", [OPENED, BOB, BOB_CANCELS, BOB_CANCELS]),
    ],
)
def test_the_audit_finds_a_broken_promise(invariant: str, ledger: list[Record]) -> None:
    with pytest.raises(AssertionError, match=invariant):
        audit(ledger)


def test_the_audit_lets_a_good_ledger_pass() -> None:
    audit([OPENED, BOB, CLEO, DAN, BOB_CANCELS, Record("promoted", "2", "Cleo", None)])
