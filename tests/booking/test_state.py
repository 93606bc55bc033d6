"""The state of an event: what each entry changes, and what no entry may."""

from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.booking.event import inside
from webapp.booking.details import UNTOLD, Details, Schedule
from webapp.booking.ledger import GENESIS, Entry, Fact, Kind, LedgerDamaged, commitment, pseudonym, seal
from webapp.booking.state import BrokenInvariant, Counts, EventState, fold, require_whole

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


BOB_ARRIVES = Fact("checked_in", "order-1", "Bob", detail="east")
BOB_GOES_BACK = Fact("check_in_undone", "order-1", "Bob")
CLEO_ARRIVES = Fact("checked_in", "order-2", "Cleo", detail="east")
DAN_CANCELS = Fact("cancelled", "order-3", "Dan")
EVE_BOOKS = Fact("booked", "order-4", "Eve", SALT, commitment(SALT, "Eve"))
FINN_BOOKS = Fact("booked", "order-5", "Finn", SALT, commitment(SALT, "Finn"))
GUS_JOINS = Fact("joined", "order-6", "Gus", SALT, commitment(SALT, "Gus"))
LAPSED = Fact("lapsed")
DELETED = Fact("deleted")


def revised(**details: Any) -> Fact:
    return Fact("revised", detail=Details(**details).sealed())


def erased(number: int, guest: str) -> Fact:
    return Fact("erased", f"order-{number}", guest)


def resized(tickets: int) -> Fact:
    return Fact("resized", detail=str(tickets))


def state_after(*facts: Fact) -> EventState:
    state = EventState("gig")
    for fact in facts:
        state.record(fact, AT, "guest")
    return state


def test_before_its_opening_an_event_is_nothing() -> None:
    state = EventState("gig")
    assert not state.exists
    assert state.counts == ("gig", 0, 0, 0, 0, GENESIS, 0, 0, False, False)


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
    assert entry[8:] == ("Bob", SALT, None)
    assert entry.hash == seal(before, "gig", entry[:7])


def test_a_fold_is_what_happened_live() -> None:
    facts = [
        OPENED, revised(title="A talk", starts_at=5), BOB_BOOKS, CLEO_JOINS, DAN_JOINS, BOB_CANCELS, CLEO_IS_PROMOTED,
        resized(2), DAN_IS_PROMOTED, CLEO_ARRIVES, resized(3), DAN_CANCELS, EVE_BOOKS, FINN_BOOKS, GUS_JOINS,
        Fact("cancelled", "order-4", "Eve"), LAPSED, Fact("checked_in", "order-5", "Finn"),
        Fact("check_in_undone", "order-5", "Finn"),
    ]  # fmt: skip
    live = EventState("gig")
    entries = [live.record(fact, AT, "guest") for fact in facts]
    assert inside(fold("gig", entries)) == inside(live)


FULL = [OPENED, BOB_BOOKS]
TWO_WAIT = [OPENED, BOB_BOOKS, CLEO_JOINS, DAN_JOINS]
UNKNOWN = Fact(cast(Kind, "admitted"), "order-1", "Bob")


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
        ([OPENED], UNKNOWN, "kind 'admitted' is not known"),
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
        ([], revised(), "not open yet"),
        ([], DELETED, "not open yet"),
        ([OPENED, DELETED], DELETED, "not open yet"),
        ([OPENED, DELETED], BOB_BOOKS, "not open yet"),
        ([OPENED, DELETED], LAPSED, "not open yet"),
        (FULL, DELETED, "somebody had booked"),
        ([*FULL, BOB_CANCELS], DELETED, "somebody had booked"),
        ([OPENED], Fact("revised"), "details are unreadable"),
        ([OPENED], Fact("revised", detail="{"), "details are unreadable"),
        ([OPENED], Fact("revised", detail="[]"), "details are unreadable: the details are no object"),
        ([OPENED], Fact("revised", detail='{"starts_at":"now"}'), "details are unreadable: a time is no number"),
        ([OPENED], Fact("revised", detail='{"opens_at":true}'), "details are unreadable: a time is no number"),
        ([OPENED], Fact("revised", detail='{"closes_at":1.5}'), "details are unreadable: a time is no number"),
        ([*TWO_WAIT, BOB_CANCELS], revised(), "lay idle while somebody waited"),
        ([*TWO_WAIT, BOB_CANCELS], BOB_ARRIVES._replace(order_id="order-2", guest="Cleo"), "lay idle"),
        ([*TWO_WAIT, BOB_CANCELS], erased(3, "Dan"), "lay idle while somebody waited"),
        ([*TWO_WAIT, BOB_CANCELS, LAPSED], LAPSED, "promotions were over already"),
        ([*TWO_WAIT, BOB_CANCELS, LAPSED], CLEO_IS_PROMOTED, "promotions were over"),
        ([*TWO_WAIT, BOB_CANCELS, LAPSED], EVE_BOOKS, "somebody had waited longer"),
        ([*TWO_WAIT, BOB_CANCELS, LAPSED, revised(starts_at=9)], EVE_BOOKS, "lay idle while somebody waited"),
        ([OPENED], BOB_ARRIVES, "not a live one of its guest"),
        ([*FULL, BOB_CANCELS], BOB_ARRIVES, "not a live one of its guest"),
        (FULL, BOB_ARRIVES._replace(order_id="order-9"), "not a live one of its guest"),
        (TWO_WAIT, CLEO_ARRIVES, "the guest had no ticket"),
        ([*FULL, BOB_ARRIVES], BOB_ARRIVES, "had arrived already"),
        ([*FULL, BOB_ARRIVES], BOB_CANCELS, "the guest had arrived"),
        (FULL, BOB_GOES_BACK, "had not arrived"),
        ([*FULL, BOB_ARRIVES, BOB_GOES_BACK], BOB_GOES_BACK, "had not arrived"),
        ([OPENED], BOB_GOES_BACK, "not a live one of its guest"),
        (FULL, Fact("checked_in", None, "Bob"), "names no order"),
        (FULL, Fact("erased", None, "Bob"), "names no order"),
        (FULL, Fact("erased", "order-1"), "names no order"),
        ([*FULL, erased(1, "Bob")], BOB_CANCELS, "not a live one of its guest"),
        ([*FULL, erased(1, "Bob")], BOB_ARRIVES, "not a live one of its guest"),
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


@pytest.mark.parametrize("cause", [BOB_CANCELS, resized(2)])
def test_an_idle_ticket_is_settled_when_promotions_are_over(cause: Fact) -> None:
    state = state_after(OPENED, BOB_BOOKS, CLEO_JOINS, cause, LAPSED)
    assert state.counts.has_lapsed
    state.require_settled()
    require_whole(state)


def test_an_event_whose_tickets_were_all_given_back_is_settled() -> None:
    state_after(OPENED, BOB_BOOKS, BOB_CANCELS).require_settled()


# What the newer kinds change


def test_details_are_known_by_their_seal_and_their_times() -> None:
    details = Details(title="A talk", opens_at=1, closes_at=2, starts_at=3)
    state = state_after(OPENED, Fact("revised", detail=details.sealed()))
    assert (state.sealed_details, state.schedule) == (details.sealed(), Schedule(1, 2, 3))


def test_what_can_be_edited_has_the_number_of_its_last_change() -> None:
    state = state_after(OPENED, BOB_BOOKS)
    assert state.revision == 1
    for fact in (revised(title="A talk"), resized(2)):
        state.record(fact, AT, "organiser")
        assert state.revision == state.counts.revision == state.head
    state.record(CLEO_JOINS._replace(kind="booked"), AT, "guest")
    assert state.revision == state.head - 1


def test_new_times_end_the_end_of_promotions_and_other_words_do_not() -> None:
    state = state_after(OPENED, revised(starts_at=5), BOB_BOOKS, CLEO_JOINS, BOB_CANCELS, LAPSED)
    state.record(revised(starts_at=5, title="A talk"), AT, "organiser")
    assert state.has_lapsed
    state.record(revised(starts_at=6, title="A talk"), AT, "organiser")
    assert not state.has_lapsed


def test_who_joins_after_promotions_are_over_waits_though_tickets_lie_idle() -> None:
    state = state_after(OPENED, BOB_BOOKS, CLEO_JOINS, BOB_CANCELS, LAPSED, DAN_JOINS)
    assert (list(state.waiting), state.free) == (["Cleo", "Dan"], 1)


def test_when_nobody_waits_any_more_an_idle_ticket_can_be_booked_again() -> None:
    state = state_after(OPENED, BOB_BOOKS, CLEO_JOINS, BOB_CANCELS, LAPSED, CLEO_CANCELS, EVE_BOOKS)
    assert state.status("Eve") == "booked"


def test_an_event_that_was_deleted_is_no_more_but_its_ledger_goes_on() -> None:
    state = state_after(OPENED, revised(title="A talk", starts_at=5), DELETED)
    assert not state.exists
    assert (state.head, state.counts.is_deleted) == (3, True)
    state.record(Fact("opened", detail="7"), AT, "organiser")
    assert state.exists
    assert (state.capacity, state.revision, state.sealed_details) == (7, 4, UNTOLD.sealed())
    assert state.schedule == Schedule()


def test_an_arrival_is_remembered_until_it_is_undone() -> None:
    state = state_after(OPENED, BOB_BOOKS, BOB_ARRIVES)
    assert (state.arrivals, state.counts.checked_in) == ({"Bob": (AT, "east")}, 1)
    state.record(BOB_GOES_BACK, AT, "organiser")
    assert (state.arrivals, state.counts.checked_in) == ({}, 0)


def test_orders_are_counted_as_long_as_the_ledger_lasts() -> None:
    assert state_after(OPENED, BOB_BOOKS, CLEO_JOINS, CLEO_CANCELS, erased(2, "Cleo")).orders == 2


def test_an_erased_guest_is_a_pseudonym_from_then_on() -> None:
    state = state_after(OPENED, BOB_BOOKS, CLEO_JOINS, BOB_ARRIVES, erased(1, "Bob"), erased(2, "Cleo"))
    bob, cleo = pseudonym("order-1"), pseudonym("order-2")
    assert state.live == {bob: "order-1", cleo: "order-2"}
    assert (list(state.waiting), list(state.arrivals)) == ([cleo], [bob])


def test_a_pseudonym_is_nothing_that_a_person_can_be_called() -> None:
    assert pseudonym("order-1") == "\x7forder-1"


def test_in_a_fold_an_erased_guest_has_his_pseudonym_from_the_beginning() -> None:
    facts = [OPENED, BOB_BOOKS, CLEO_JOINS, DAN_JOINS, erased(2, "Cleo"), BOB_CANCELS]
    live = EventState("gig")
    entries = [live.record(fact, AT, "guest") for fact in facts]
    entries.append(live.record(Fact("promoted", "order-2", pseudonym("order-2")), AT, "guest"))
    read = [
        entry._replace(guest=pseudonym("order-2"), salt=None) if entry.order_id == "order-2" else entry
        for entry in entries
    ]
    assert inside(fold("gig", read)) == inside(live)


def test_what_stands_aside_is_handed_along_with_the_entry() -> None:
    state = state_after(OPENED)
    details = Details(title="A talk")
    entry = state.record(Fact("revised", detail=details.sealed(), aside=details), AT, "organiser")
    assert entry.aside == details
    assert entry.hash == seal(state_after(OPENED).head_hash, "gig", entry[:7])


def test_a_tally_counts_who_has_gone_and_names_who_is_next() -> None:
    state = state_after(OPENED)
    assert (state.tally.placed, state.tally.cancelled, state.tally.first_waiting) == (0, 0, None)
    for fact, placed, cancelled, first in (
        (BOB_BOOKS, 1, 0, None),
        (CLEO_JOINS, 2, 0, "order-2"),
        (DAN_JOINS, 3, 0, "order-2"),
        (CLEO_CANCELS, 3, 1, "order-3"),
        (erased(3, "Dan"), 3, 1, "order-3"),
    ):
        state.record(fact, AT, "guest")
        assert state.tally == (state.counts, placed, first)
        assert state.tally.cancelled == cancelled


# What two counts tell of what lies between


@given(
    joined=st.integers(0, 50),
    others=st.integers(0, 50),
    booked=st.integers(0, 50),
    waiting=st.integers(0, 50),
    head=st.integers(100, 200),
)
def test_only_newcomers_leave_everybody_elses_place_as_it_was(
    joined: int, others: int, booked: int, waiting: int, head: int
) -> None:
    before = Counts("gig", 100, booked, waiting, head, GENESIS)
    after = Counts("gig", 100, booked, waiting + joined, head + joined + others, GENESIS)
    assert after.adds_only_newcomers_to(before) == (others == 0)


def test_more_tickets_are_no_newcomers() -> None:
    before = Counts("gig", 100, 0, 0, 1, GENESIS)
    assert not before._replace(capacity=101, head=2).adds_only_newcomers_to(before)
    assert not before._replace(capacity=101, waiting=1, head=2).adds_only_newcomers_to(before)
