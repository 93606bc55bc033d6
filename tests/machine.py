"""State machines that drive any front of Fairlist through random steps, and hold it against the model at each.

A front is a `Driver`. `OriginalMachine` asks for what the original routes can do, `FullMachine` for everything, and
`KeyedMachine` for the same things under keys, again and again.
"""

import json
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from hypothesis import Phase, seed, settings
from hypothesis import strategies as some
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from tests import effort
from tests.model import Answer, Model, Plan

EVENTS = ("gig", "talk")
GUESTS = ("Bob", "Cleo", "Dan", "Eve", "Finn", "Gus")
KEYS = ("key-1", "key-2", "key-3")
TICKS_KEPT = 4
"""How long an answer is kept under its key, in steps of the clock."""
STEPS_TO_FIND = 40
"""Steps of a run that is to find what is broken on purpose."""
RUNS_AT_ONCE = 200
"""Runs that are found from one seed: whoever makes them up remembers them, and slows down."""

Offsets = tuple[str, bool, int | None, int | None, int | None]
"""A plan with its times counted from now on."""

events = some.sampled_from(EVENTS)
mostly_one = some.sampled_from(EVENTS[:1] * 3 + EVENTS[1:])
guests = some.sampled_from(GUESTS)
keys = some.sampled_from(KEYS)
tickets = some.integers(0, 4)
numbers = some.integers(0, 30)
gates = some.sampled_from([None, "east", "west"])
times = some.none() | some.integers(-2, 6)
offsets = some.tuples(some.sampled_from(["", "A talk"]), some.booleans(), times, times, times)


class Record(NamedTuple):
    """An entry of a ledger, and the guest it concerns."""

    kind: str
    order_id: str | None
    guest: str | None
    detail: str | None


class Driver(Protocol):
    """A front, driven from outside. Answers are the model's; a refusal is answered by its code."""

    def open(self, event: str, tickets: int) -> Answer: ...
    def book(self, event: str, guest: str) -> Answer: ...
    def cancel(self, event: str, guest: str) -> Answer: ...
    def status(self, event: str) -> Answer: ...

    def ledger(self, event: str) -> Sequence[Record]:
        """All entries so far."""

    def verify(self) -> None:
        """Raise if the ledgers do not fold, hash by hash, to what is shown."""

    def restart(self) -> None:
        """End, and begin again with what was kept."""

    def close(self) -> None:
        """End, and leave nothing behind."""


class FullDriver(Driver, Protocol):
    """A front that can do everything. Orders go by their number at the event, from 0 on, in the order of placing."""

    def set_clock(self, now: int) -> None:
        """From now on it is so late, in steps of which `TICKS_KEPT` are a day; it may be earlier than before."""

    def create(self, event: str, tickets: int, plan: Plan) -> Answer: ...
    def revise(
        self, event: str, revision: int | None, tickets: int | None, plan: Plan | None, *, is_rehearsal: bool
    ) -> Answer: ...
    def delete(self, event: str, revision: int | None) -> Answer: ...
    def cancel_order(self, event: str, number: int) -> Answer: ...
    def check_in(self, event: str, number: int, gate: str | None) -> Answer: ...
    def undo_check_in(self, event: str, number: int) -> Answer: ...
    def erase(self, event: str, number: int) -> Answer: ...

    def revision(self, event: str) -> int | None:
        """What the next editor of the event has to name; None where there is no event."""

    def place(self, event: str, guest: str) -> Answer: ...
    def event(self, event: str) -> Answer: ...
    def roster(self, event: str) -> list[tuple[object, ...]]: ...


class KeyedDriver(FullDriver, Protocol):
    """A front that does something once, however often it is asked under the same key.

    Asked again, it answers with `replayed`, and with what it had answered, in JSON.
    """

    def book(self, event: str, guest: str, key: str | None = None) -> Answer: ...
    def create(self, event: str, tickets: int, plan: Plan, key: str | None = None) -> Answer: ...
    def cancel_order(self, event: str, number: int, key: str | None = None) -> Answer: ...
    def check_in(self, event: str, number: int, gate: str | None, key: str | None = None) -> Answer: ...


class OriginalMachine(RuleBasedStateMachine):
    """Two events and six guests, so that they collide.

    Without whole crowds of them, hardly anybody would ever wait, and hardly anybody be promoted.
    """

    def __init__(self, make_driver: Callable[[], Driver]) -> None:
        super().__init__()
        self.driver = make_driver()
        self.models = {event: Model() for event in EVENTS}
        self.last_booking = (EVENTS[0], GUESTS[0])

    @initialize(number=tickets)
    def open_the_first(self, number: int) -> None:
        self.open(EVENTS[0], number)

    @rule(event=events, number=tickets)
    def open(self, event: str, number: int) -> None:
        assert self.driver.open(event, number) == self.models[event].open(number)

    @rule(event=events, guest=guests)
    def book(self, event: str, guest: str) -> None:
        self.last_booking = event, guest
        assert self.driver.book(event, guest) == self.models[event].book(guest)

    @rule()
    def book_again(self) -> None:
        self.book(*self.last_booking)

    @rule(event=mostly_one, order=some.permutations(GUESTS))
    def book_in_turn(self, event: str, order: list[str]) -> None:
        for guest in order:
            self.book(event, guest)

    @rule(event=events, guest=guests)
    def cancel(self, event: str, guest: str) -> None:
        assert self.driver.cancel(event, guest) == self.models[event].cancel(guest)

    @rule()
    def restart(self) -> None:
        self.driver.restart()

    @invariant()
    def counts_are_the_models(self) -> None:
        for event, model in self.models.items():
            assert self.driver.status(event) == model.status()

    @invariant()
    def ledgers_keep_the_promises(self) -> None:
        for event in EVENTS:
            audit(self.driver.ledger(event))

    @invariant()
    def ledgers_verify(self) -> None:
        self.driver.verify()

    def teardown(self) -> None:
        self.driver.close()


class FullMachine(OriginalMachine):
    """The same with all that an organiser can do, and with everything that is shown compared at every step.

    The clock goes on and, now and then, back a little. Whoever revises an event may have looked at it long ago.
    """

    driver: FullDriver

    def __init__(self, make_driver: Callable[[], FullDriver]) -> None:
        super().__init__(make_driver)
        self.now = self.latest = 0
        self.looks: dict[str, tuple[int | None, int]] = dict.fromkeys(EVENTS, (None, 0))

    @initialize(number=tickets)
    def open_the_first(self, number: int) -> None:
        """Begin with a full house, or much would hardly ever happen."""
        self.open(EVENTS[0], number)
        self.book_in_turn(EVENTS[0], list(GUESTS))

    @rule(ticks=some.integers(-1, 3))
    def let_time_pass(self, ticks: int) -> None:
        self.now += ticks
        self.latest = max(self.latest, self.now)
        self.driver.set_clock(self.now)
        for model in self.models.values():
            model.now = self.now

    @rule(event=mostly_one, guest=guests)
    def leave_and_come_back(self, event: str, guest: str) -> None:
        self.cancel(event, guest)
        self.book(event, guest)

    @rule(event=mostly_one, guest=guests)
    def come_back_and_be_forgotten(self, event: str, guest: str) -> None:
        self.leave_and_come_back(event, guest)
        self.erase(event, len(self.models[event].orders) - 1)

    @rule(event=events)
    def look(self, event: str) -> None:
        self.looks[event] = self.driver.revision(event), self.models[event].edits

    @rule(event=events, number=tickets, offsets=offsets)
    def create(self, event: str, number: int, offsets: Offsets) -> None:
        plan = self.planned(offsets)
        assert self.driver.create(event, number, plan) == self.models[event].create(number, plan)

    @rule(
        event=mostly_one,
        number=some.none() | tickets,
        offsets=some.none() | offsets,
        is_rehearsal=some.booleans(),
        looks_first=some.booleans(),
    )
    def revise(
        self, event: str, number: int | None, offsets: Offsets | None, *, is_rehearsal: bool, looks_first: bool
    ) -> None:
        if looks_first:
            self.look(event)
        plan = None if offsets is None else self.planned(offsets)
        revision, edits = self.looks[event]
        before = len(self.driver.ledger(event))
        answer = self.driver.revise(event, revision, number, plan, is_rehearsal=is_rehearsal)
        assert answer == self.models[event].revise(edits, number, plan, is_rehearsal=is_rehearsal)
        assert not is_rehearsal or len(self.driver.ledger(event)) == before, "a rehearsal was recorded"

    @rule(event=mostly_one, number=tickets)
    def resize(self, event: str, number: int) -> None:
        self.revise(event, number, None, is_rehearsal=False, looks_first=True)

    @rule(event=mostly_one)
    def let_it_start(self, event: str) -> None:
        self.revise(event, None, ("", False, None, None, 1), is_rehearsal=False, looks_first=True)
        self.let_time_pass(1)

    @rule(event=mostly_one)
    def put_it_off(self, event: str) -> None:
        self.revise(event, None, ("", False, None, None, 6), is_rehearsal=False, looks_first=True)

    @rule(event=events)
    def delete(self, event: str) -> None:
        revision, edits = self.looks[event]
        assert self.driver.delete(event, revision) == self.models[event].delete(edits)

    @rule(event=mostly_one, number=numbers)
    def cancel_an_order(self, event: str, number: int) -> None:
        if count := len(self.models[event].orders):
            assert self.driver.cancel_order(event, number % count) == self.models[event].cancel_order(number % count)

    @rule(event=mostly_one, number=numbers, gate=gates)
    def check_in(self, event: str, number: int, gate: str | None) -> None:
        if count := len(self.models[event].orders):
            answer = self.driver.check_in(event, number % count, gate)
            assert answer == self.models[event].check_in(number % count, gate)

    @rule(event=mostly_one, number=numbers)
    def undo_a_check_in(self, event: str, number: int) -> None:
        if count := len(self.models[event].orders):
            assert self.driver.undo_check_in(event, number % count) == self.models[event].undo_check_in(number % count)

    @rule(event=mostly_one, number=numbers)
    def erase(self, event: str, number: int) -> None:
        if count := len(self.models[event].orders):
            assert self.driver.erase(event, number % count) == self.models[event].erase(number % count)

    @invariant()
    def everything_shown_is_the_models(self) -> None:
        for event, model in self.models.items():
            assert self.driver.event(event) == model.event()
            assert [self.driver.place(event, guest) for guest in GUESTS] == [model.place(guest) for guest in GUESTS]
            assert self.driver.roster(event) == model.roster()

    def planned(self, offsets: Offsets) -> Plan:
        """A plan from now on; where it would close before it opens, it is open from the beginning."""
        title, hidden, *from_now_on = offsets
        opens_at, closes_at, starts_at = (None if ticks is None else self.now + ticks for ticks in from_now_on)
        ends_at = starts_at if closes_at is None else closes_at
        if opens_at is not None and ends_at is not None and ends_at <= opens_at:
            opens_at = None
        return Plan(title, hidden, opens_at, closes_at, starts_at)


class Wish(NamedTuple):
    """What somebody asks for: a verb of the driver and the model, and what it is told besides the event."""

    event: str
    verb: str
    subjects: tuple[object, ...]


@dataclass
class Kept:
    """What was asked under a key, and answered, in JSON."""

    key: str
    wish: Wish
    answer: str
    at: int

    def is_fresh(self, now: int) -> bool:
        """Whether it is kept still."""
        return self.at > now - TICKS_KEPT


class KeyedMachine(FullMachine):
    """The same, where wishes come under keys, and come again: the same wish, or another one."""

    driver: KeyedDriver

    def __init__(self, make_driver: Callable[[], KeyedDriver]) -> None:
        super().__init__(make_driver)
        self.kept: dict[Hashable, Kept] = {}
        self.last_wish: tuple[str, Wish] | None = None

    @rule(key=keys, event=events, guest=guests)
    def book_under_a_key(self, key: str, event: str, guest: str) -> None:
        self.ask(key, Wish(event, "book", (guest,)))

    @rule(key=keys, event=events, number=numbers)
    def cancel_under_a_key(self, key: str, event: str, number: int) -> None:
        if count := len(self.models[event].orders):
            self.ask(key, Wish(event, "cancel_order", (number % count,)))

    @rule(key=keys, event=events, number=numbers, gate=gates)
    def check_in_under_a_key(self, key: str, event: str, number: int, gate: str | None) -> None:
        if count := len(self.models[event].orders):
            self.ask(key, Wish(event, "check_in", (number % count, gate)))

    @rule(key=keys, event=events, number=tickets, offsets=offsets)
    def create_under_a_key(self, key: str, event: str, number: int, offsets: Offsets) -> None:
        self.ask(key, Wish(event, "create", (number, self.planned(offsets))))

    @rule()
    def ask_again(self) -> None:
        if self.last_wish:
            self.ask(*self.last_wish)

    @rule()
    def ask_again_when_it_is_forgotten(self) -> None:
        self.let_time_pass(TICKS_KEPT)
        self.ask_again()

    @rule()
    def ask_again_after_a_restart(self) -> None:
        self.restart()
        self.ask_again()

    @rule(number=numbers)
    def ask_the_same_as_under_a_key_before(self, number: int) -> None:
        if self.kept:
            kept = list(self.kept.values())[number % len(self.kept)]
            self.ask(kept.key, kept.wish)

    def known_by(self, key: str, _wish: Wish) -> Hashable:
        """What the front knows a wish by. Here it is the key alone; a front may know one key for each address."""
        return key

    def ask(self, key: str, wish: Wish) -> None:
        known_by = self.known_by(key, wish)
        kept = self.kept.get(known_by)
        if kept and kept.is_fresh(self.now) != kept.is_fresh(self.latest):
            return  # it was too old already, and then the clock was put back: perhaps it is there still
        self.last_wish = key, wish
        model = self.models[wish.event]
        expected: Answer
        if not kept or not kept.is_fresh(self.now):
            expected = getattr(model, wish.verb)(*wish.subjects)
            if not isinstance(expected, str):
                self.kept[known_by] = Kept(key, wish, json.dumps(expected), self.now)
        elif kept.wish != wish:
            expected = "idempotency_key_reused"
        else:
            expected = "replayed", kept.answer
        assert getattr(self.driver, wish.verb)(wish.event, *wish.subjects, key=key) == expected


def audit(ledger: Sequence[Record]) -> None:
    """Hold a ledger against the invariants G1 to G5 and its other promises, entry by entry, with lists and sets."""
    audited = _Audited()
    for record in ledger:
        audited.before(record)
        if record.order_id is None:
            audited.at_the_event(record)
        else:
            audited.with_an_order(record)
        assert len(audited.booked) <= audited.capacity, "G1: more is booked than there are tickets"
    audited.rest()


@dataclass
class _Audited:
    """What a ledger has led to so far. Orders go by their ids."""

    capacity: int = 0
    times: tuple[object, ...] = ()
    has_lapsed: bool = False
    is_deleted: bool = False
    guest_of: dict[str, str | None] = field(default_factory=dict)  # of every order ever placed
    booked: list[str] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)
    arrived: set[str] = field(default_factory=set)

    def rest(self) -> None:
        """Every ticket that came free has found its owner, before anything else happens."""
        is_full = len(self.booked) == self.capacity
        assert is_full or self.has_lapsed or not self.waiting, "G2, G5: a ticket lies idle while somebody waits"

    def before(self, record: Record) -> None:
        if record.kind not in ("promoted", "lapsed"):
            self.rest()
        assert not self.is_deleted or record.kind == "opened", "something happens at an event that is no more"

    def at_the_event(self, record: Record) -> None:
        match record.kind:
            case "opened":
                self.capacity, self.times, self.is_deleted = int(record.detail or ""), (None, None, None), False
            case "resized":
                self.capacity = int(record.detail or "")
            case "revised":
                told = json.loads(record.detail or "")
                before, self.times = self.times, (told["opens_at"], told["closes_at"], told["starts_at"])
                self.has_lapsed = self.has_lapsed and before == self.times
            case "lapsed":
                assert self.waiting, "promotions are over, but nobody waits"
                assert len(self.booked) < self.capacity, "promotions are over, but no ticket is free"
                self.has_lapsed = True
            case "deleted":
                assert not self.guest_of, "an event is deleted that somebody has booked"
                self.is_deleted = True

    def with_an_order(self, record: Record) -> None:
        kind, order, guest, _ = record
        assert order is not None
        match kind:
            case "booked" | "joined":
                live = [self.guest_of[other] for other in [*self.booked, *self.waiting]]
                assert guest not in live, "G4: a guest has two live orders"
                self.guest_of[order] = guest
                (self.booked if kind == "booked" else self.waiting).append(order)
            case "promoted":
                assert self.waiting[:1] == [order], "G3: a promotion does not follow the waiting order"
                assert not self.has_lapsed, "a promotion after promotions were over"
                self.booked.append(self.waiting.pop(0))
            case "cancelled":
                assert order in [*self.booked, *self.waiting], "an order is cancelled that is not live"
                assert order not in self.arrived, "an order is cancelled whose guest has arrived"
                (self.booked if order in self.booked else self.waiting).remove(order)
            case "checked_in":
                assert order in self.booked, "a guest is checked in who has no ticket"
                assert order not in self.arrived, "a guest is checked in twice"
                self.arrived.add(order)
            case "check_in_undone":
                assert order in self.arrived, "a check-in is undone that never was"
                self.arrived.remove(order)
            case "erased":
                self.guest_of[order] = guest = f"\x7f{order}"
        assert self.guest_of[order] == guest, "an order names another guest than before"


def explore(make_machine: Callable[[], OriginalMachine], runs: int, *, shrink: bool = True) -> None:
    """Run a machine many times. A failure prints its shortest form, and comes again with the same `FIRST_SEED`.

    Where it is not to `shrink`, the failure is what is looked for.
    """
    steps = effort.MODEL_STEPS if shrink else STEPS_TO_FIND
    phases = [Phase.generate, *([Phase.shrink] if shrink else [])]
    options = settings(stateful_step_count=steps, deadline=None, database=None, phases=phases)
    for number, begun in enumerate(range(0, runs, RUNS_AT_ONCE)):
        first, at_once = effort.FIRST_SEED + number, min(RUNS_AT_ONCE, runs - begun)

        @seed(first)
        def factory() -> OriginalMachine:
            return make_machine()

        try:
            run_state_machine_as_test(factory, settings=settings(options, max_examples=at_once))  # type: ignore[arg-type]  # it takes any factory
        except BaseException as failure:
            failure.add_note(f"It comes again with FIRST_SEED={first} MODEL_STEPS={steps}")
            raise
        effort.tried(at_once)
