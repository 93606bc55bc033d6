"""The rules: from the state of an event and a wish to the facts to record and the answer to give, or a refusal."""

from dataclasses import dataclass
from typing import Generic, TypeVar

from webapp.booking.ledger import Fact, commitment
from webapp.booking.state import EventState, Status

Answer = TypeVar("Answer")


class Refusal(Exception):
    """The rules say no: a stable code for programs, and a sentence for people. Nothing has changed."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence


@dataclass(frozen=True, slots=True)
class Decision(Generic[Answer]):
    """What is to be recorded, in order, and what to answer once it is."""

    facts: list[Fact]
    answer: Answer


@dataclass(frozen=True, slots=True)
class Opening:
    """The event with its number of tickets, and whether it is new."""

    tickets: int
    is_new: bool


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a guest's live order stands; `position` is 1-based, and None unless he waits."""

    order_id: str
    status: Status
    position: int | None
    is_new: bool


@dataclass(frozen=True, slots=True)
class Cancellation:
    """The order that ended, and the guests who got a ticket through it, oldest first."""

    order_id: str
    promoted: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Resizing:
    """The new number of tickets, and the guests who got one through it, oldest first."""

    tickets: int
    promoted: tuple[str, ...]


def open_event(state: EventState, tickets: int) -> Decision[Opening]:
    """Open an event. Opening it again with the same tickets changes nothing.

    Raises Refusal `event_exists` where it is open with another number of tickets.
    """
    if not state.exists:
        return Decision([Fact("opened", detail=str(tickets))], Opening(tickets, is_new=True))
    if state.capacity != tickets:
        raise Refusal("event_exists", f"The event exists already, with {state.capacity} tickets")
    return Decision([], Opening(tickets, is_new=False))


def book(state: EventState, guest: str, order_id: str, salt: bytes) -> Decision[Placement]:
    """Give a guest a ticket, or the last place in the waiting list. A guest with a live order keeps what he has.

    `order_id` and the 16 bytes of `salt` are fresh and random, and used only if the order is new.

    Raises Refusal `event_not_found`.
    """
    _require_open(state)
    if guest in state.live:
        return Decision([], place(state, guest))
    detail = commitment(salt, guest)
    if state.free:  # then nobody waits: whatever frees a ticket promotes
        return Decision([Fact("booked", order_id, guest, salt, detail)], Placement(order_id, "booked", None, True))
    position = len(state.waiting) + 1
    return Decision([Fact("joined", order_id, guest, salt, detail)], Placement(order_id, "waiting", position, True))


def cancel(state: EventState, guest: str, reason: str | None = None) -> Decision[Cancellation]:
    """End a guest's live order; a ticket that it held goes to whoever has waited longest.

    Raises Refusal `event_not_found`, `order_not_found`.
    """
    _require_open(state)
    order_id = state.live.get(guest)
    if order_id is None:
        raise Refusal("order_not_found", "No booking or waiting entry for user")
    freed = 0 if guest in state.waiting else 1
    promoted = promotions(state, state.free + freed)
    cancelled = Fact("cancelled", order_id, guest, reason=reason)
    return Decision([cancelled, *promoted], Cancellation(order_id, _guests(promoted)))


def resize(state: EventState, tickets: int) -> Decision[Resizing]:
    """Change the capacity; tickets that this adds go to those who have waited longest.

    Raises Refusal `event_not_found`, `capacity_below_booked`.
    """
    _require_open(state)
    if tickets < state.booked:
        raise Refusal(
            "capacity_below_booked",
            f"The capacity can go down to {state.booked}, the number of tickets that are booked",
        )
    if tickets == state.capacity:
        return Decision([], Resizing(tickets, ()))
    promoted = promotions(state, tickets - state.booked)
    return Decision([Fact("resized", detail=str(tickets)), *promoted], Resizing(tickets, _guests(promoted)))


def promotions(state: EventState, free: int) -> list[Fact]:
    """Facts that give `free` tickets to the longest waiting, oldest first, as far as either reaches.

    Called by every decision that can free a ticket, so that a newcomer never finds one while anyone waits.
    """
    return [Fact("promoted", state.live[guest], guest) for guest in state.waiting.first(free)]


def place(state: EventState, guest: str) -> Placement:
    """Where a guest's live order stands.

    Raises Refusal `event_not_found`, `order_not_found`.
    """
    _require_open(state)
    status = state.status(guest)
    if status is None:
        raise Refusal("order_not_found", "No booking or waiting entry for user")
    position = state.waiting.position(guest) if status == "waiting" else None
    return Placement(state.live[guest], status, position, is_new=False)


def _require_open(state: EventState) -> None:
    if not state.exists:
        raise Refusal("event_not_found", "Event not found")


def _guests(promoted: list[Fact]) -> tuple[str, ...]:
    return tuple(fact.guest for fact in promoted if fact.guest is not None)
