"""The state of an event: what each entry changes, and what no entry may."""

from typing import cast

import pytest

from webapp.booking.ledger import GENESIS, Entry, Fact, Kind, LedgerDamaged, commitment, seal
from webapp.booking.state import BrokenInvariant, EventState, fold, require_whole

AT = 1_760_000_000_000_000
SALT = bytes(16)

OPENED = Fact("opened", detail="1")
BOB_BOOKS = Fact("booked", "order-1", "Bob", SALT, commitment(SALT, "Bob"))
CLEO_JOINS = Fact("joined", "order-2", "Cleo", SALT, commitment(SALT, "Cleo"))
DAN_JOINS = Fact("joined", "order-3", "Dan", SALT, commitment(SALT, "Dan"))
BOB_CANCELS = Fact("cancelled", "order-1", "Bob")
CLEO_CANCELS = Fact("cancelled", "order-2", "Cleo")
CLEO_IS_PROMOTED = Fact("promoted", "order-2", "Cleo")
DAN_IS_PROMOTED = Fact("promoted", "order-3", "Dan")


def resized(tickets: int) -> Fact:
    return Fact("resized", detail=str(tickets))


def state_after(*facts: Fact) -> EventState:
    state = EventState("gig")
    for fact in facts:
        state.record(fact, AT, "guest")
    return state


def inside(state: EventState) -> tuple[object, ...]:
    """Everything that a state consists of."""
    return state.counts, dict(state.live), list(state.waiting)


def test_before_its_opening_an_event_is_nothing() -> None:
    state = EventState("gig")
    assert not state.exists
    assert state.counts == ("gig", 0, 0, 0, 0, GENESIS)


def test_an_open_event_has_its_tickets() -> None:
    state = state_after(OPENED)
    assert state.exists
    assert (state.capacity, state.free, state.counts.available) == (1, 1, 1)


def test_a_booking_takes_a_ticket() -> None:
    state = state_after(OPENED, BOB_BOOKS)
    assert (state.booked, state.free, state.status("Bob")) == (1, 0, "booked")


def test_who_joins_waits() -> None:
    state = state_after(OPENED, BOB_BOOKS, CLEO_JOINS)
    assert (state.status("Cleo"), state.counts.waiting) == ("waiting", 1)


def test_who_is_promoted_waits_no_more() -> None:
    state = state_after(OPENED, BOB_BOOKS, CLEO_JOINS, BOB_CANCELS, CLEO_IS_PROMOTED)
    assert (state.status("Cleo"), state.booked, state.counts.waiting) == ("booked", 1, 0)


def test_who_has_cancelled_has_no_order() -> None:
    state = state_after(OPENED, BOB_BOOKS, BOB_CANCELS)
    assert (state.status("Bob"), state.booked) == (None, 0)


def test_who_waited_and_cancelled_frees_no_ticket() -> None:
    state = state_after(OPENED, BOB_BOOKS, CLEO_JOINS, CLEO_CANCELS)
    assert (state.status("Cleo"), state.booked, state.counts.waiting) == (None, 1, 0)


def test_a_stranger_has_no_status() -> None:
    assert state_after(OPENED).status("Dan") is None


def test_head_and_hash_are_those_of_the_last_entry() -> None:
    state = state_after(OPENED)
    entry = state.record(BOB_BOOKS, AT, "guest")
    assert (state.head, state.head_hash) == (entry.seq, entry.hash) == (2, entry.hash)


def test_a_recorded_entry_is_sealed_to_the_one_before() -> None:
    state = state_after(OPENED)
    before = state.head_hash
    entry = state.record(BOB_BOOKS, AT, "organiser")
    assert entry[:7] == (2, "booked", AT, "organiser", "order-1", None, commitment(SALT, "Bob"))
    assert entry[8:] == ("Bob", SALT)
    assert entry.hash == seal(before, "gig", entry)


def test_a_fold_is_what_happened_live() -> None:
    facts = [OPENED, BOB_BOOKS, CLEO_JOINS, DAN_JOINS, BOB_CANCELS, CLEO_IS_PROMOTED, resized(2), DAN_IS_PROMOTED]
    live = EventState("gig")
    entries = [live.record(fact, AT, "guest") for fact in facts]
    assert inside(fold("gig", entries)) == inside(live)


FULL = [OPENED, BOB_BOOKS]
TWO_WAIT = [OPENED, BOB_BOOKS, CLEO_JOINS, DAN_JOINS]
UNKNOWN = Fact(cast(Kind, "checked_in"), "order-1", "Bob")


@pytest.mark.parametrize(
    ("so_far", "fact", "complaint"),
    [
        ([], BOB_BOOKS, "not open yet"),
        ([], resized(1), "not open yet"),
        ([OPENED], OPENED, "open already"),
        ([], Fact("opened", detail="many"), "not a number"),
        ([], Fact("opened", detail="-1"), "not a number"),
        ([], Fact("opened", detail=""), "not a number"),
        ([], Fact("opened"), "not a number"),
        ([OPENED], Fact("resized", detail="1.5"), "not a number"),
        ([OPENED], UNKNOWN, "kind 'checked_in' is not known"),
        (FULL, resized(0), "falls below what is booked"),
        (FULL, BOB_BOOKS._replace(order_id="order-9"), "a live order already"),
        (FULL, Fact("booked", "order-9", "Cleo"), "no ticket was free"),
        ([OPENED, BOB_BOOKS, CLEO_JOINS], CLEO_JOINS._replace(order_id="order-9"), "a live order already"),
        (FULL, Fact("joined", "order-9", "Bob"), "a live order already"),
        ([OPENED], CLEO_JOINS, "a ticket was free"),
        (TWO_WAIT, CLEO_IS_PROMOTED, "no ticket was free"),
        ([*TWO_WAIT, BOB_CANCELS], DAN_IS_PROMOTED, "not the first who waited"),
        ([*TWO_WAIT, resized(2)], Fact("promoted", "order-1", "Bob"), "not the first who waited"),
        ([*TWO_WAIT, BOB_CANCELS], Fact("promoted", "order-9", "Cleo"), "not a live one of its guest"),
        ([*TWO_WAIT, BOB_CANCELS], Fact("promoted", "order-9", "Eve"), "not a live one of its guest"),
        ([*TWO_WAIT, BOB_CANCELS], Fact("joined", "order-9", "Eve"), "lay idle while somebody waited"),
        ([*TWO_WAIT, BOB_CANCELS], Fact("booked", "order-9", "Eve"), "lay idle while somebody waited"),
        ([*TWO_WAIT, resized(3), CLEO_IS_PROMOTED], CLEO_CANCELS, "lay idle while somebody waited"),
        ([*TWO_WAIT, resized(2)], resized(1), "lay idle while somebody waited"),
        (FULL, Fact("cancelled", "order-9", "Bob"), "not a live one of its guest"),
        (FULL, Fact("cancelled", "order-1", "Cleo"), "not a live one of its guest"),
        ([*FULL, BOB_CANCELS], BOB_CANCELS, "not a live one of its guest"),
        ([OPENED], Fact("booked", "order-1", None), "names no order"),
        ([OPENED], Fact("booked", None, "Bob"), "names no order"),
        (FULL, Fact("joined", None, "Cleo"), "names no order"),
        (FULL, Fact("cancelled", None, "Bob"), "names no order"),
        ([*TWO_WAIT, BOB_CANCELS], Fact("promoted", "order-2", None), "names no order"),
    ],
)
def test_what_contradicts_the_state_is_refused_before_anything_changes(
    so_far: list[Fact], fact: Fact, complaint: str
) -> None:
    state = state_after(*so_far)
    before = inside(state)
    with pytest.raises(BrokenInvariant, match=complaint):
        state.record(fact, AT, "guest")
    assert inside(state) == before


@pytest.mark.parametrize("seq", [0, 1, 3, -2])
def test_numbers_follow_one_another(seq: int) -> None:
    state = state_after(OPENED)
    with pytest.raises(BrokenInvariant, match="number does not follow"):
        state.apply(Entry(seq, "booked", AT, "guest", "order-1", None, "", b"", "Bob", SALT))


@pytest.mark.parametrize("cause", [BOB_CANCELS, resized(2)])
def test_no_decision_ends_with_an_idle_ticket_while_somebody_waits(cause: Fact) -> None:
    state = state_after(OPENED, BOB_BOOKS, CLEO_JOINS)
    state.require_settled()
    state.record(cause, AT, "guest")
    with pytest.raises(BrokenInvariant, match="lies idle"):
        state.require_settled()
    with pytest.raises(LedgerDamaged, match=r"entry 4.*lies idle"):
        require_whole(state)
    state.record(CLEO_IS_PROMOTED, AT, "guest")
    state.require_settled()
    require_whole(state)


def test_an_event_whose_tickets_were_all_given_back_is_settled() -> None:
    state_after(OPENED, BOB_BOOKS, BOB_CANCELS).require_settled()
