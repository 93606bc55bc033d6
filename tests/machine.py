"""A state machine that drives any front of Fairlist through random steps, and holds it against the model at each.

A front is a `Driver`. `OriginalMachine` asks for what the original routes can do; `FullMachine` asks for everything.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from hypothesis import Phase, seed, settings
from hypothesis import strategies as some
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from tests import effort
from tests.model import Answer, Model

EVENTS = ("gig", "talk")
GUESTS = ("Bob", "Cleo", "Dan", "Eve", "Finn", "Gus")

events = some.sampled_from(EVENTS)
guests = some.sampled_from(GUESTS)
tickets = some.integers(0, 4)


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
    """A front that can do everything."""

    def resize(self, event: str, tickets: int) -> Answer: ...
    def place(self, event: str, guest: str) -> Answer: ...


class OriginalMachine(RuleBasedStateMachine):
    """Two events and six guests, so that they collide."""

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
    """The same, with changed capacities, and with every guest's place known at every step."""

    driver: FullDriver

    def __init__(self, make_driver: Callable[[], FullDriver]) -> None:
        super().__init__(make_driver)

    @rule(event=events, number=tickets)
    def resize(self, event: str, number: int) -> None:
        assert self.driver.resize(event, number) == self.models[event].resize(number)

    @invariant()
    def places_are_the_models(self) -> None:
        for event, model in self.models.items():
            assert [self.driver.place(event, guest) for guest in GUESTS] == [model.place(guest) for guest in GUESTS]


def audit(ledger: Sequence[Record]) -> None:
    """Hold a ledger against the invariants G1 to G5, entry by entry, with lists and sets."""
    capacity = 0
    live: dict[str | None, str | None] = {}  # order -> guest
    booked: list[str | None] = []
    waiting: list[str | None] = []
    for kind, order, guest, detail in ledger:
        if kind == "promoted":
            assert waiting[:1] == [order], "G3: a promotion does not follow the waiting order"
            booked.append(waiting.pop(0))
        else:  # every ticket that came free has found its owner before anything else happens
            assert not waiting or len(booked) == capacity, "G2, G5: a ticket lies idle while somebody waits"
        if kind in ("opened", "resized"):
            capacity = int(detail or "")
        if kind in ("booked", "joined"):
            assert guest not in live.values(), "G4: a guest has two live orders"
            live[order] = guest
            (booked if kind == "booked" else waiting).append(order)
        if kind == "cancelled":
            assert live.pop(order, None) == guest, "an order is cancelled that is not live"
            (booked if order in booked else waiting).remove(order)
        assert 0 <= len(booked) <= capacity, "G1: more is booked than there are tickets"
    assert not waiting or len(booked) == capacity, "G2, G5: a ticket lies idle while somebody waits"


def explore(make_machine: Callable[[], OriginalMachine], runs: int, *, shrink: bool = True) -> None:
    """Run a machine many times. A failure prints its shortest form, and comes again with the same `FIRST_SEED`."""

    @seed(effort.FIRST_SEED)
    def factory() -> OriginalMachine:
        return make_machine()

    phases = [Phase.generate, *([Phase.shrink] if shrink else [])]
    options = settings(
        max_examples=runs, stateful_step_count=effort.MODEL_STEPS, deadline=None, database=None, phases=phases
    )
    try:
        run_state_machine_as_test(factory, settings=options)  # type: ignore[arg-type]  # it takes any factory
    except BaseException as failure:
        failure.add_note(f"It comes again with FIRST_SEED={effort.FIRST_SEED} MODEL_STEPS={effort.MODEL_STEPS}")
        raise
