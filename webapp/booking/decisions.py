"""The rules: from the state of an event and a wish to the facts to record and the answer to give, or a refusal.

`now` is the time of the decision, in microseconds since 1970, UTC.
"""

from collections.abc import Iterable
from typing import Final, Generic, NamedTuple, TypeVar

from webapp.booking.answers import (
    Answer,
    Cancellation,
    CheckIn,
    Deletion,
    Erasure,
    Opening,
    Placement,
    Places,
    Promotion,
    Refusal,
    Revision,
)
from webapp.booking.details import Details, Schedule, contradictions
from webapp.booking.ledger import Contact, Fact, commitment, pseudonym
from webapp.booking.state import EventState

A = TypeVar("A", bound=Answer)

PROMOTIONS_MAX: Final = 10_000
"""Orders that one change may promote: in one transaction, for which all other events have to wait."""

NOBODY_KNOWN: Final = Contact()


class Decision(NamedTuple, Generic[A]):
    """What is to be recorded, in order, and what to answer once it is."""

    facts: list[Fact]
    answer: A


# Events


def open_event(state: EventState, _now: int, tickets: int) -> Decision[Opening]:
    """Open an event. Opening it again with the same tickets changes nothing.

    Raises Refusal `event_exists` where it is open with another number of tickets.
    """
    if not state.exists:
        return Decision([Fact("opened", detail=str(tickets))], Opening(tickets, is_new=True))
    if state.capacity != tickets:
        raise Refusal("event_exists", f"The event exists already, with {state.capacity} tickets")
    return Decision([], Opening(tickets, is_new=False))


def create_event(state: EventState, _now: int, tickets: int, details: Details) -> Decision[Revision]:
    """Open an event, and say what it is.

    Raises Refusal `event_exists`.
    """
    if state.exists:
        raise Refusal("event_exists", "The event exists already")
    counts = state.counts._replace(capacity=tickets)
    return Decision([Fact("opened", detail=str(tickets)), _revised(details)], Revision(counts, details, ()))


def revise(
    state: EventState,
    now: int,
    revision: int | None = None,
    tickets: int | None = None,
    details: Details | None = None,
    *,
    is_rehearsal: bool = False,
) -> Decision[Revision]:
    """Change the capacity, the details or both; tickets that this frees go to those who have waited longest.

    `details` are complete. With `revision`, the event must not have been revised since. A rehearsal records nothing.

    Raises Refusal `event_not_found`, `event_changed`, `capacity_below_booked`, `too_many_promotions`.
    """
    _require_open(state)
    if revision is not None and revision != state.revision:
        sentence = "The event was changed since you looked; look again, and change what is there now"
        raise Refusal("event_changed", sentence, {"revision": state.revision})
    if tickets is not None and tickets < state.booked:
        sentence = f"The capacity can go down to {state.booked}, the number of tickets that are booked"
        raise Refusal("capacity_below_booked", sentence, {"capacity_min": state.booked})
    facts = []
    if details is not None and details.sealed() != state.sealed_details:
        facts.append(_revised(details))
    if tickets is not None and tickets != state.capacity:
        facts.append(Fact("resized", detail=str(tickets)))
    if state.has_lapsed:  # or new times would let tickets lie idle before the capacity is set
        facts.reverse()
    capacity = state.capacity if tickets is None else tickets
    schedule = state.schedule if details is None else details.schedule
    freed = _ticket_takers(state, now, capacity - state.booked, schedule) if facts else []
    promoted = _promoted(freed)
    counts = state.counts._replace(
        capacity=capacity, booked=state.booked + len(promoted), waiting=len(state.waiting) - len(promoted)
    )
    return Decision([] if is_rehearsal else [*facts, *freed], Revision(counts, details, promoted))


def delete_event(state: EventState, now: int, revision: int | None = None) -> Decision[Deletion]:
    """Delete an event that nobody has ever booked.

    Raises Refusal `event_not_found`, `event_changed`, `event_has_orders`.
    """
    revise(state, now, revision)
    if state.orders:
        sentence = "Somebody has booked here, so the event cannot be deleted. Close its booking or hide it instead"
        raise Refusal("event_has_orders", sentence)
    return Decision([Fact("deleted")], Deletion())


# Orders


def book(
    state: EventState, now: int, guest: str, order_id: str, salt: bytes, contact: Contact = NOBODY_KNOWN
) -> Decision[Placement]:
    """Give a guest a ticket, or the last place in the waiting list. A guest with a live order keeps what he has.

    `order_id` and the 16 bytes of `salt` are fresh and random, and used only if the order is new.

    Raises Refusal `event_not_found`, `not_open_yet`, `booking_closed`.
    """
    _require_open(state)
    if guest in state.live:
        return Decision([], place(state, guest))
    _require_bookable(state.schedule, now)
    detail = commitment(salt, guest)
    if state.free and not state.waiting:
        booked = Fact("booked", order_id, guest, salt, detail, contact)
        return Decision([booked], Placement(order_id, "booked", None, True))
    joined = Fact("joined", order_id, guest, salt, detail, contact)
    return Decision([joined], Placement(order_id, "waiting", len(state.waiting) + 1, True))


def cancel(
    state: EventState, now: int, guest: str, reason: str | None = None, order_id: str | None = None
) -> Decision[Cancellation]:
    """End a guest's live order; a ticket that it held goes to whoever has waited longest.

    With `order_id`, only if that is his live order.

    Raises Refusal `event_not_found`, `order_not_found`, `order_cancelled`, `already_checked_in`.
    """
    if order_id is None:
        _require_open(state)
        order_id = state.live.get(guest)
        if order_id is None:
            raise Refusal("order_not_found", "No booking or waiting entry for user")
    else:
        guest = _holder(state, guest, order_id)
    if guest in state.arrivals:
        raise _already_checked_in(state, guest, "The guest has arrived: undo the check-in before cancelling")
    freed = 0 if guest in state.waiting else 1
    takers = _ticket_takers(state, now, state.free + freed, state.schedule) if freed else []
    return Decision(
        [Fact("cancelled", order_id, guest, aside=reason), *takers], Cancellation(order_id, _promoted(takers))
    )


def check_in(state: EventState, now: int, guest: str, order_id: str, gate: str | None) -> Decision[CheckIn]:
    """Let a guest with a ticket in, once.

    Raises Refusal `event_not_found`, `order_cancelled`, `not_booked`, `already_checked_in`.
    """
    guest = _holder(state, guest, order_id)
    if guest in state.waiting:
        position = state.waiting.position(guest)
        raise Refusal("not_booked", f"The guest has no ticket, but is number {position} on the waiting list")
    if guest in state.arrivals:
        raise _already_checked_in(state, guest, "The guest was checked in already")
    return Decision([Fact("checked_in", order_id, guest, detail=gate)], CheckIn(order_id, now, gate))


def undo_check_in(state: EventState, _now: int, guest: str, order_id: str) -> Decision[CheckIn]:
    """Take a check-in back; the answer says when and where it was.

    Raises Refusal `event_not_found`, `order_cancelled`, `not_checked_in`.
    """
    guest = _holder(state, guest, order_id)
    arrival = state.arrivals.get(guest)
    if arrival is None:
        raise Refusal("not_checked_in", "The guest was not checked in")
    return Decision([Fact("check_in_undone", order_id, guest)], CheckIn(order_id, arrival.at, arrival.gate))


def erase(state: EventState, _now: int, guest: str, order_ids: tuple[str, ...]) -> Decision[Erasure]:
    """Forget who placed these orders; what they hold they keep, under a pseudonym.

    Raises Refusal `event_not_found`.
    """
    _require_open(state)
    return Decision([Fact("erased", order_id, guest) for order_id in order_ids], Erasure(order_ids))


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


def places(state: EventState, guests: Iterable[str]) -> Places:
    """Where those of some guests stand who have a live order.

    Raises Refusal `event_not_found`.
    """
    _require_open(state)
    live = [guest for guest in guests if guest in state.live]
    return Places(
        state.head,
        {guest: place(state, guest) for guest in live},
        {guest: state.arrivals[guest] for guest in live if guest in state.arrivals},
        state.revision,
        state.has_lapsed,
    )


# What several of them need


def promotions(state: EventState, free: int) -> list[Fact]:
    """Facts that give `free` tickets to the longest waiting, oldest first, as far as either reaches."""
    return [Fact("promoted", state.live[guest], guest) for guest in state.waiting.first(free)]


def _ticket_takers(state: EventState, now: int, free: int, schedule: Schedule) -> list[Fact]:
    """What follows when so many tickets will be free: promotions, or, from the start on, that they are over.

    Called by every decision that can free a ticket, so that a newcomer never finds one while anyone waits.

    Raises Refusal `too_many_promotions`.
    """
    has_lapsed = state.has_lapsed and schedule == state.schedule
    if not free or not state.waiting or has_lapsed:
        return []
    if not schedule.promotes(now):
        return [Fact("lapsed")]
    if min(free, len(state.waiting)) > PROMOTIONS_MAX:
        most = state.booked + PROMOTIONS_MAX
        sentence = f"At most {PROMOTIONS_MAX:,} who wait can get a ticket at once: make the capacity {most:,} first"
        raise Refusal("too_many_promotions", sentence, {"capacity_max": most})
    return promotions(state, free)


def _promoted(facts: list[Fact]) -> tuple[Promotion, ...]:
    return tuple(
        Promotion(fact.order_id, fact.guest) for fact in facts if fact.order_id is not None and fact.guest is not None
    )


def _revised(details: Details) -> Fact:
    if contradictions(details):
        raise AssertionError(f"a front let contradictory times pass: {contradictions(details)}")
    return Fact("revised", detail=details.sealed(), aside=details)


def _require_open(state: EventState) -> None:
    if not state.exists:
        raise Refusal("event_not_found", "Event not found")


def _require_bookable(schedule: Schedule, now: int) -> None:
    match schedule.booking(now):
        case "not_open_yet":
            raise Refusal("not_open_yet", "Booking has not opened yet", {"opens_at": schedule.opens_at})
        case "closed":
            raise Refusal("booking_closed", "Booking has closed", {"closed_at": schedule.booking_ends_at})


def _holder(state: EventState, guest: str, order_id: str) -> str:
    """The name under which an order is live: its guest's, or his pseudonym, if he was erased just now."""
    _require_open(state)
    for name in (guest, pseudonym(order_id)):
        if state.live.get(name) == order_id:
            return name
    raise Refusal("order_cancelled", "The order was cancelled already")


def _already_checked_in(state: EventState, guest: str, sentence: str) -> Refusal:
    arrival = state.arrivals[guest]
    return Refusal("already_checked_in", sentence, {"checked_in_at": arrival.at, "gate": arrival.gate})
