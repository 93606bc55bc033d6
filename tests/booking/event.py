"""An event at which every decision happens at once, and what its ledger folds to."""

from collections.abc import Callable, Iterable
from itertools import count
from typing import Any, TypeVar

import pytest

from webapp.booking import decisions
from webapp.booking.answers import (
    Answer,
    Cancellation,
    CheckIn,
    Deletion,
    Erasure,
    Opening,
    Placement,
    Promotion,
    Refusal,
    Revision,
)
from webapp.booking.decisions import Decision
from webapp.booking.details import Details
from webapp.booking.ledger import Entry, pseudonym
from webapp.booking.state import EventState, fold

SALT = bytes(range(16))
A = TypeVar("A", bound=Answer)


class Event:
    """Orders are numbered as they are placed: order-1, order-2, … `now` is the time of all decisions; set it freely."""

    def __init__(self, tickets: int | None = None, details: Details | None = None) -> None:
        self.state = EventState("gig")
        self.entries: list[Entry] = []
        self.numbers = count(1)
        self.now = 0
        if tickets is not None:
            self.open(tickets)
        if details is not None:
            self.revise(details=details)

    def open(self, tickets: int) -> Opening:
        return self.happen(decisions.open_event(self.state, self.now, tickets))

    def create(self, tickets: int, details: Details) -> Revision:
        return self.happen(decisions.create_event(self.state, self.now, tickets, details))

    def revise(self, tickets: int | None = None, details: Details | None = None, **options: Any) -> Revision:
        return self.happen(decisions.revise(self.state, self.now, tickets=tickets, details=details, **options))

    def delete(self, revision: int | None = None) -> Deletion:
        return self.happen(decisions.delete_event(self.state, self.now, revision))

    def book(self, guest: str) -> Placement:
        return self.happen(decisions.book(self.state, self.now, guest, f"order-{next(self.numbers)}", SALT))

    def cancel(self, guest: str, order_id: str | None = None) -> Cancellation:
        return self.happen(decisions.cancel(self.state, self.now, guest, order_id=order_id))

    def check_in(self, guest: str, order_id: str, gate: str | None = None) -> CheckIn:
        return self.happen(decisions.check_in(self.state, self.now, guest, order_id, gate))

    def undo_check_in(self, guest: str, order_id: str) -> CheckIn:
        return self.happen(decisions.undo_check_in(self.state, self.now, guest, order_id))

    def erase(self, guest: str, *order_ids: str) -> Erasure:
        return self.happen(decisions.erase(self.state, self.now, guest, order_ids))

    def place(self, guest: str) -> Placement:
        return decisions.place(self.state, guest)

    def happen(self, decision: Decision[A]) -> A:
        self.entries += [self.state.record(fact, self.now, "guest") for fact in decision.facts]
        self.state.require_settled()
        return decision.answer

    def folded(self) -> EventState:
        """What the ledger leads to as a database gives it: without asides, and with nobody who was erased."""
        erased = {entry.order_id for entry in self.entries if entry.kind == "erased"}
        read = [entry._replace(aside=None) for entry in self.entries]
        return fold(
            "gig",
            [
                entry._replace(guest=pseudonym(entry.order_id), salt=None)
                if entry.order_id and entry.order_id in erased
                else entry
                for entry in read
            ],
        )


def full_event() -> Event:
    """Bob has the only ticket; Cleo and Dan wait. Their orders are order-1, order-2 and order-3."""
    event = Event(tickets=1)
    for guest in ("Bob", "Cleo", "Dan"):
        event.book(guest)
    return event


def inside(state: EventState) -> tuple[object, ...]:
    """Everything that a state consists of, but the order in which dictionaries were filled."""
    positions = [state.waiting.position(guest) for guest in state.waiting]
    about_orders = (dict(state.live), list(state.waiting), positions, dict(state.arrivals), state.orders)
    return state.counts, *about_orders, state.sealed_details, state.schedule


def guests(promoted: Iterable[Promotion]) -> list[str]:
    """Who got a ticket."""
    return [promotion.guest for promotion in promoted]


def kinds(decision: Decision[Any]) -> list[tuple[str, str | None]]:
    """What is to be recorded, and about whom."""
    return [(fact.kind, fact.guest) for fact in decision.facts]


def refusal(wish: Callable[..., object], *subjects: object, **options: object) -> Refusal:
    """The refusal that a wish comes to."""
    with pytest.raises(Refusal) as refused:
        wish(*subjects, **options)
    return refused.value
