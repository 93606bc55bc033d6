"""The rules, driven through random steps and held against the model."""

from collections.abc import Callable, Iterable, Sequence
from itertools import count
from typing import Any, TypeVar

import pytest

from tests import effort
from tests.machine import EVENTS, FullMachine, Record, audit, explore
from tests.model import Answer, Plan, erased_name
from webapp.booking import answers, decisions
from webapp.booking import state as state_module
from webapp.booking.answers import Promotion, Refusal
from webapp.booking.decisions import Decision
from webapp.booking.details import Details, Schedule
from webapp.booking.ledger import Entry, Fact, pseudonym
from webapp.booking.state import EventState, fold
from webapp.booking.waiting_list import WaitingList

A = TypeVar("A", bound=answers.Answer)


class Books:
    """What is kept of one event: its state, its ledger, and the orders as they were placed, each with its guest."""

    def __init__(self, event: str) -> None:
        self.state = EventState(event)
        self.entries: list[Entry] = []
        self.orders: dict[str, str] = {}
        self._led_to: tuple[object, ...] = ()
        self._folded = -1

    def record(self, facts: Iterable[Fact], now: int) -> None:
        for fact in facts:
            entry = self.state.record(fact, now, "guest")
            self.entries.append(entry)
            if entry.order_id and entry.guest:
                self.orders.setdefault(entry.order_id, entry.guest)
                if entry.kind == "erased":
                    self.orders[entry.order_id] = pseudonym(entry.order_id)

    def verify(self) -> None:
        """The ledger leads to the state, as it was written and as it is read; one without a new entry, where it led."""
        if self._folded != len(self.entries):
            self._led_to = inside(fold(self.state.event_id, self.as_read()))
            assert inside(fold(self.state.event_id, self.entries)) == self._led_to
            audit([Record(entry.kind, entry.order_id, entry.guest, entry.detail) for entry in self.entries])
            self._folded = len(self.entries)
        assert inside(self.state) == self._led_to

    def as_read(self) -> list[Entry]:
        """The ledger as a database gives it: without asides, and without a trace of who was erased."""
        return [
            entry._replace(
                guest=self.orders[entry.order_id] if entry.order_id else None,
                salt=entry.salt if entry.order_id and self.orders[entry.order_id] == entry.guest else None,
                aside=None,
            )
            for entry in self.entries
        ]

    def order(self, number: int) -> tuple[str, str]:
        """The guest and the id of an order."""
        order_id, guest = list(self.orders.items())[number]
        return guest, order_id

    def name(self, guest: str) -> str:
        """The guest, or what the model calls him if he was erased."""
        names = {pseudonym(order_id): erased_name(number) for number, order_id in enumerate(self.orders)}
        return names.get(guest, guest)

    def names(self, promoted: Iterable[Promotion]) -> list[str]:
        return [self.name(promotion.guest) for promotion in promoted]


class RulesDriver:
    """The rules alone."""

    def __init__(self) -> None:
        self.books = {event: Books(event) for event in EVENTS}
        self.now = 0
        self.numbers = count(1)

    def set_clock(self, now: int) -> None:
        self.now = now

    def open(self, event: str, tickets: int) -> Answer:
        decision = decisions.open_event
        return self._answer(event, lambda opening: "new" if opening.is_new else "as before", decision, tickets)

    def create(self, event: str, tickets: int, plan: Plan) -> Answer:
        return self._answer(event, lambda _: [], decisions.create_event, tickets, details(plan))

    def revise(
        self, event: str, revision: int | None, tickets: int | None, plan: Plan | None, *, is_rehearsal: bool
    ) -> Answer:
        def told(revised: answers.Revision) -> Answer:
            if not is_rehearsal:
                assert self.books[event].state.counts[:4] == revised.counts[:4]
            return self.books[event].names(revised.promoted)

        wish = revision or 0, tickets, plan and details(plan)
        return self._answer(event, told, decisions.revise, *wish, is_rehearsal=is_rehearsal)

    def delete(self, event: str, revision: int | None) -> Answer:
        return self._answer(event, lambda _: [], decisions.delete_event, revision or 0)

    def book(self, event: str, guest: str) -> Answer:
        def told(placement: answers.Placement) -> Answer:
            return placement.status, placement.is_new

        return self._answer(event, told, decisions.book, guest, f"order-{next(self.numbers)}", bytes(16))

    def cancel(self, event: str, guest: str) -> Answer:
        return self._answer(event, self._promoted(event), decisions.cancel, guest)

    def cancel_order(self, event: str, number: int) -> Answer:
        guest, order_id = self.books[event].order(number)
        return self._answer(event, self._promoted(event), decisions.cancel, guest, None, order_id)

    def check_in(self, event: str, number: int, gate: str | None) -> Answer:
        order = self.books[event].order(number)
        return self._answer(event, lambda check_in: (check_in.at, check_in.gate), decisions.check_in, *order, gate)

    def undo_check_in(self, event: str, number: int) -> Answer:
        order = self.books[event].order(number)
        return self._answer(event, lambda check_in: (check_in.at, check_in.gate), decisions.undo_check_in, *order)

    def erase(self, event: str, number: int) -> Answer:
        guest, order_id = self.books[event].order(number)
        if guest == pseudonym(order_id):
            return ()
        ids = list(self.books[event].orders)
        his = tuple(other for other, name in self.books[event].orders.items() if name == guest)
        return self._answer(
            event, lambda erasure: tuple(map(ids.index, erasure.order_ids)), decisions.erase, guest, his
        )

    def revision(self, event: str) -> int | None:
        state = self.books[event].state
        return state.revision if state.exists else None

    def status(self, event: str) -> Answer:
        state = self.books[event].state
        return state.counts[1:4] if state.exists else "event_not_found"

    def event(self, event: str) -> Answer:
        state = self.books[event].state
        if not state.exists:
            return "event_not_found"
        told = [entry.aside for entry in self.books[event].entries[state.revision - 1 :: -1]]
        last = next((aside for aside in told if isinstance(aside, Details)), Details())
        if last.sealed() != state.sealed_details:
            last = Details()  # it was deleted, and opened again
        assert last.sealed() == state.sealed_details
        plan = Plan(last.title, last.hidden, *state.schedule)
        return plan, state.schedule.booking(self.now), state.counts.checked_in

    def place(self, event: str, guest: str) -> Answer:
        try:
            placement = decisions.place(self.books[event].state, guest)
        except Refusal as refusal:
            return refusal.code
        return placement.status, placement.position

    def roster(self, event: str) -> list[tuple[object, ...]]:
        return [self._standing(self.books[event], guest, order) for order, guest in self.books[event].orders.items()]

    def ledger(self, event: str) -> Sequence[Record]:
        entries = self.books[event].as_read()
        return [Record(entry.kind, entry.order_id, entry.guest, entry.detail) for entry in entries]

    def verify(self) -> None:
        for books in self.books.values():
            books.verify()

    def restart(self) -> None:
        for event, books in self.books.items():
            books.state = fold(event, books.as_read())

    def close(self) -> None:
        pass

    def _answer(
        self, event: str, told: Callable[[A], Answer], rule: Callable[..., Decision[A]], *wish: Any, **options: Any
    ) -> Answer:
        books = self.books[event]
        try:
            decision = rule(books.state, self.now, *wish, **options)
        except Refusal as refusal:
            return refusal.code
        books.record(decision.facts, self.now)
        return told(decision.answer)

    def _promoted(self, event: str) -> Callable[[answers.Cancellation], Answer]:
        return lambda cancellation: self.books[event].names(cancellation.promoted)

    @staticmethod
    def _standing(books: Books, guest: str, order_id: str) -> tuple[object, ...]:
        if books.state.live.get(guest) != order_id:
            return books.name(guest), "cancelled", None, None
        placement = decisions.place(books.state, guest)
        arrival = books.state.arrivals.get(guest)
        return books.name(guest), placement.status, placement.position, arrival and tuple(arrival)


def details(plan: Plan) -> Details:
    """The same in the rules' words."""
    return Details(**plan._asdict())


def inside(state: EventState) -> tuple[object, ...]:
    """Everything that a state consists of."""
    positions = [state.waiting.position(guest) for guest in state.waiting]
    return state.counts, state.live, list(state.waiting), positions, state.arrivals, state.orders, state.sealed_details


def test_the_rules_agree_with_the_model() -> None:
    explore(lambda: FullMachine(RulesDriver), effort.MODEL_RUNS)


honest_book = decisions.book
honest_cancel = decisions.cancel
honest_revise = decisions.revise
honest_check_in = decisions.check_in
honest_erase = decisions.erase
honest_takers = decisions._ticket_takers


def promote_nobody(state: EventState, free: int) -> list[Fact]:
    return []


def promote_one_too_few(state: EventState, free: int) -> list[Fact]:
    return [Fact("promoted", state.live[guest], guest) for guest in state.waiting.first(max(0, free - 1))]


def promote_at_once_when_times_change(state: EventState, now: int, free: int, schedule: Schedule) -> list[Fact]:
    return honest_takers(state, now, free, state.schedule)


def promote_for_ever(schedule: Schedule, now: int) -> bool:
    return True


def lapse_in_silence(state: EventState, now: int, free: int, schedule: Schedule) -> list[Fact]:
    return [fact for fact in honest_takers(state, now, free, schedule) if fact.kind != "lapsed"]


def lapse_for_ever(state: EventState, now: int, free: int, schedule: Schedule) -> list[Fact]:
    return [] if state.has_lapsed else honest_takers(state, now, free, schedule)


def cancel_the_first_waiting(state: EventState, now: int, guest: str, *order: Any) -> Decision[Any]:
    return honest_cancel(state, now, (state.waiting.first(1) if guest in state.waiting else [guest])[0])


def cancel_whatever_he_has_now(state: EventState, now: int, guest: str, *order: Any) -> Decision[Any]:
    return honest_cancel(state, now, guest)


def latest_first(waiting: WaitingList, number: int) -> list[str]:
    return list(waiting)[: -number - 1 : -1]


def forget_the_order(state: EventState, now: int, guest: str, order_id: str, salt: bytes) -> Decision[Any]:
    if guest not in state.waiting:
        state.live.pop(guest, None)
    return honest_book(state, now, guest, order_id, salt)


def always_open(schedule: Schedule, now: int) -> str:
    return "open"


def close_at_the_start(schedule: Schedule) -> int | None:
    return schedule.starts_at


def revise_unseen(state: EventState, now: int, revision: int, *wish: Any, **options: Any) -> Decision[Any]:
    return honest_revise(state, now, None, *wish, **options)


def rehearse_in_earnest(state: EventState, now: int, *wish: Any, is_rehearsal: bool = False) -> Decision[Any]:
    return honest_revise(state, now, *wish)


def forget_the_gate(state: EventState, now: int, guest: str, order_id: str, gate: str | None) -> Decision[Any]:
    return honest_check_in(state, now, guest, order_id, None)


def erase_one_order(state: EventState, now: int, guest: str, order_ids: tuple[str, ...]) -> Decision[Any]:
    return honest_erase(state, now, guest, order_ids[:1])


def erase_next_time(state: EventState, entry: Entry) -> None:
    """The guest keeps his name until the ledger is folded."""


@pytest.mark.parametrize(
    ("owner", "name", "broken"),
    [
        (decisions, "promotions", promote_nobody),
        (decisions, "promotions", promote_one_too_few),
        (decisions, "_ticket_takers", promote_at_once_when_times_change),
        (decisions, "_ticket_takers", lapse_in_silence),
        (decisions, "_ticket_takers", lapse_for_ever),
        (Schedule, "promotes", promote_for_ever),
        (decisions, "cancel", cancel_the_first_waiting),
        (decisions, "cancel", cancel_whatever_he_has_now),
        (decisions, "book", forget_the_order),
        (Schedule, "booking", always_open),
        (Schedule, "booking_ends_at", property(close_at_the_start)),
        (WaitingList, "first", latest_first),
        (decisions, "revise", revise_unseen),
        (decisions, "revise", rehearse_in_earnest),
        (decisions, "check_in", forget_the_gate),
        (decisions, "erase", erase_one_order),
        (state_module._CHANGES, "erased", erase_next_time),
    ],
)
def test_broken_rules_do_not_agree_with_the_model(
    monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, broken: object
) -> None:
    (monkeypatch.setitem if isinstance(owner, dict) else monkeypatch.setattr)(owner, name, broken)
    with pytest.raises(AssertionError) as caught:
        explore(lambda: FullMachine(RulesDriver), effort.ATTEMPTS, shrink=False)
    assert caught.type is AssertionError  # from the model or the audit, not from an invariant of the rules


OPENED = Record("opened", None, None, "1")
RAISED = Record("resized", None, None, "2")
STARTED = Record("revised", None, None, '{"opens_at":null,"closes_at":null,"starts_at":5}')
LAPSED = Record("lapsed", None, None, None)
DELETED = Record("deleted", None, None, None)
BOB = Record("booked", "1", "Bob", None)
CLEO = Record("joined", "2", "Cleo", None)
DAN = Record("joined", "3", "Dan", None)
BOB_CANCELS = Record("cancelled", "1", "Bob", None)
CLEO_IS_PROMOTED = Record("promoted", "2", "Cleo", None)
BOB_ARRIVES = Record("checked_in", "1", "Bob", "east")
BOB_GOES_BACK = Record("check_in_undone", "1", "Bob", None)
BOB_IS_ERASED = Record("erased", "1", "Bob", None)
NOBODY_CANCELS = Record("cancelled", "1", "\x7f1", None)


@pytest.mark.parametrize(
    ("invariant", "ledger"),
    [
        ("G1", [OPENED, BOB, CLEO, CLEO_IS_PROMOTED]),
        ("G1", [OPENED, BOB, Record("resized", None, None, "0")]),
        ("G2", [OPENED, CLEO]),
        ("G2", [OPENED, BOB, CLEO, BOB_CANCELS]),
        ("G2", [OPENED, BOB, CLEO, BOB_CANCELS, LAPSED, STARTED]),
        ("G3", [OPENED, BOB, CLEO, DAN, BOB_CANCELS, Record("promoted", "3", "Dan", None)]),
        ("G4", [OPENED, BOB, Record("joined", "4", "Bob", None)]),
        ("G5", [OPENED, BOB, CLEO, BOB_CANCELS, Record("booked", "3", "Dan", None)]),
        ("not live", [OPENED, BOB, BOB_CANCELS, BOB_CANCELS]),
        ("after promotions were over", [OPENED, BOB, CLEO, BOB_CANCELS, LAPSED, CLEO_IS_PROMOTED]),
        ("nobody waits", [OPENED, BOB, BOB_CANCELS, LAPSED]),
        ("no ticket is free", [OPENED, BOB, CLEO, LAPSED]),
        ("somebody has booked", [OPENED, BOB, BOB_CANCELS, DELETED]),
        ("is no more", [OPENED, DELETED, BOB]),
        ("has no ticket", [OPENED, BOB, CLEO, Record("checked_in", "2", "Cleo", None)]),
        ("twice", [OPENED, BOB, BOB_ARRIVES, BOB_ARRIVES]),
        ("never was", [OPENED, BOB, BOB_GOES_BACK]),
        ("has arrived", [OPENED, BOB, BOB_ARRIVES, BOB_CANCELS]),
        ("another guest", [OPENED, BOB, Record("cancelled", "1", "Cleo", None)]),
        ("another guest", [OPENED, BOB, BOB_IS_ERASED, BOB_CANCELS]),
    ],
)
def test_the_audit_finds_a_broken_promise(invariant: str, ledger: list[Record]) -> None:
    with pytest.raises(AssertionError, match=invariant):
        audit(ledger)


@pytest.mark.parametrize(
    "ledger",
    [
        [OPENED, BOB, CLEO, DAN, BOB_CANCELS, CLEO_IS_PROMOTED],
        [OPENED, STARTED, BOB, CLEO, BOB_CANCELS, LAPSED, DAN, RAISED],
        [OPENED, BOB, CLEO, BOB_CANCELS, LAPSED, STARTED, CLEO_IS_PROMOTED],
        [OPENED, BOB, BOB_ARRIVES, BOB_GOES_BACK, BOB_CANCELS],
        [
            OPENED,
            BOB,
            BOB_IS_ERASED,
            Record("joined", "4", "Bob", None),
            NOBODY_CANCELS,
            Record("promoted", "4", "Bob", None),
        ],
        [OPENED, STARTED, DELETED, OPENED, BOB],
    ],
)
def test_the_audit_lets_a_good_ledger_pass(ledger: list[Record]) -> None:
    audit(ledger)
