"""Letting guests in, taking that back, and forgetting who they are, sentence by sentence."""

import pytest

from tests.booking.event import Event, full_event, guests, inside, kinds, refusal
from webapp.booking import decisions
from webapp.booking.answers import CheckIn, Erasure
from webapp.booking.decisions import Decision
from webapp.booking.ledger import Fact, pseudonym


@pytest.fixture
def full() -> Event:
    return full_event()


@pytest.fixture
def arrived(full: Event) -> Event:
    """Bob came in through the east gate at 7."""
    full.now = 7
    full.check_in("Bob", "order-1", "east")
    full.now = 9
    return full


# Arriving


def test_who_has_a_ticket_is_let_in(full: Event) -> None:
    full.now = 7
    assert full.check_in("Bob", "order-1", "east") == CheckIn("order-1", 7, "east")
    assert full.state.counts.checked_in == 1


@pytest.mark.parametrize("gate", [None, "east"])
def test_the_gate_is_recorded(full: Event, gate: str | None) -> None:
    (fact,) = decisions.check_in(full.state, 7, "Bob", "order-1", gate).facts
    assert fact == Fact("checked_in", "order-1", "Bob", detail=gate)


def test_nobody_is_let_in_twice(arrived: Event) -> None:
    refused = refusal(arrived.check_in, "Bob", "order-1", "west")
    assert (refused.code, refused.members) == ("already_checked_in", {"checked_in_at": 7, "gate": "east"})


def test_who_waits_is_not_let_in(full: Event) -> None:
    refused = refusal(full.check_in, "Dan", "order-3")
    assert (refused.code, refused.sentence) == (
        "not_booked",
        "The guest has no ticket, but is number 2 on the waiting list",
    )


def test_who_has_cancelled_is_not_let_in(full: Event) -> None:
    full.cancel("Bob")
    refused = refusal(full.check_in, "Bob", "order-1")
    assert (refused.code, refused.sentence) == ("order_cancelled", "The order was cancelled already")


def test_an_old_order_lets_nobody_in_even_if_its_guest_has_a_new_one() -> None:
    event = Event(tickets=2)
    event.book("Bob")
    event.cancel("Bob")
    event.book("Bob")
    assert refusal(event.check_in, "Bob", "order-1").code == "order_cancelled"
    assert event.check_in("Bob", "order-2").order_id == "order-2"


def test_who_was_promoted_is_let_in(full: Event) -> None:
    full.cancel("Bob")
    assert full.check_in("Cleo", "order-2").order_id == "order-2"


def test_who_has_arrived_cannot_cancel_until_that_is_undone(arrived: Event) -> None:
    refused = refusal(arrived.cancel, "Bob")
    assert (refused.code, refused.members) == ("already_checked_in", {"checked_in_at": 7, "gate": "east"})
    assert "undo the check-in" in refused.sentence
    arrived.undo_check_in("Bob", "order-1")
    assert guests(arrived.cancel("Bob").promoted) == ["Cleo"]


def test_undoing_a_check_in_tells_when_and_where_it_was(arrived: Event) -> None:
    assert arrived.undo_check_in("Bob", "order-1") == CheckIn("order-1", 7, "east")
    assert arrived.state.counts.checked_in == 0


def test_who_was_sent_back_can_be_let_in_again(arrived: Event) -> None:
    arrived.undo_check_in("Bob", "order-1")
    assert arrived.check_in("Bob", "order-1", "west") == CheckIn("order-1", 9, "west")


@pytest.mark.parametrize(("guest", "order_id"), [("Bob", "order-1"), ("Cleo", "order-2")])
def test_what_was_not_done_cannot_be_undone(full: Event, guest: str, order_id: str) -> None:
    refused = refusal(full.undo_check_in, guest, order_id)
    assert (refused.code, refused.sentence) == ("not_checked_in", "The guest was not checked in")


def test_a_cancelled_order_has_no_check_in_to_undo(full: Event) -> None:
    full.cancel("Bob")
    assert refusal(full.undo_check_in, "Bob", "order-1").code == "order_cancelled"


def test_an_arrival_changes_nobody_elses_place(arrived: Event) -> None:
    assert arrived.state.counts[1:4] == (1, 1, 2)
    assert arrived.place("Bob").status == "booked"


def test_a_fold_knows_who_has_arrived(arrived: Event) -> None:
    assert arrived.folded().arrivals == {"Bob": (7, "east")}
    arrived.undo_check_in("Bob", "order-1")
    assert arrived.folded().arrivals == {}


# Being forgotten


def test_an_erasure_is_recorded_for_every_order_it_concerns(full: Event) -> None:
    full.cancel("Cleo")
    full.book("Cleo")
    decision = decisions.erase(full.state, 0, "Cleo", ("order-2", "order-4"))
    assert decision == Decision(
        [Fact("erased", "order-2", "Cleo"), Fact("erased", "order-4", "Cleo")], Erasure(("order-2", "order-4"))
    )


@pytest.mark.parametrize(
    ("guest", "order_id", "status", "position"),
    [("Bob", "order-1", "booked", None), ("Cleo", "order-2", "waiting", 1), ("Dan", "order-3", "waiting", 2)],
)
def test_who_is_erased_keeps_his_place_under_a_pseudonym(
    full: Event, guest: str, order_id: str, status: str, position: int | None
) -> None:
    full.erase(guest, order_id)
    placement = full.place(pseudonym(order_id))
    assert (placement.order_id, placement.status, placement.position) == (order_id, status, position)
    assert refusal(full.place, guest).code == "order_not_found"
    assert inside(full.folded()) == inside(full.state)


def test_an_order_of_somebody_erased_can_be_promoted_let_in_and_cancelled(full: Event) -> None:
    full.erase("Cleo", "order-2")
    nobody = pseudonym("order-2")
    assert guests(full.cancel("Bob").promoted) == [nobody]
    full.check_in(nobody, "order-2")
    assert inside(full.folded()) == inside(full.state)
    full.undo_check_in(nobody, "order-2")
    assert guests(full.cancel(nobody, "order-2").promoted) == ["Dan"]
    assert inside(full.folded()) == inside(full.state)


def test_who_has_arrived_stays_inside_when_he_is_erased(arrived: Event) -> None:
    arrived.erase("Bob", "order-1")
    assert arrived.state.arrivals == {pseudonym("order-1"): (7, "east")}
    assert inside(arrived.folded()) == inside(arrived.state)


def test_erasing_who_has_cancelled_changes_nobodys_place(full: Event) -> None:
    full.cancel("Bob")
    before = inside(full.state)[1:]
    full.erase("Bob", "order-1")
    assert inside(full.state)[1:] == before
    assert inside(full.folded()) == inside(full.state)


def test_erasing_an_old_order_leaves_its_guests_new_one(full: Event) -> None:
    full.cancel("Cleo")
    full.book("Cleo")
    full.erase("Cleo", "order-2")
    assert full.place("Cleo").order_id == "order-4"
    assert inside(full.folded()) == inside(full.state)


def test_who_was_erased_may_book_again_as_a_newcomer(full: Event) -> None:
    full.erase("Cleo", "order-2")
    assert full.book("Cleo").position == 3
    assert inside(full.folded()) == inside(full.state)


def test_who_is_erased_while_others_leave_and_come_keeps_his_place(full: Event) -> None:
    full.book("Eve")
    full.erase("Dan", "order-3")
    full.cancel("Cleo")
    full.book("Cleo")
    assert list(full.state.waiting) == [pseudonym("order-3"), "Eve", "Cleo"]
    assert inside(full.folded()) == inside(full.state)


@pytest.mark.parametrize("was_erased", [False, True])
def test_a_front_may_know_the_guest_under_the_name_he_had_until_now(full: Event, was_erased: bool) -> None:
    """Between its look at an order and its wish, the guest may have been erased."""
    if was_erased:
        full.erase("Bob", "order-1")
        full.book("Bob")
    assert full.check_in("Bob", "order-1").order_id == "order-1"
    assert full.undo_check_in("Bob", "order-1").order_id == "order-1"
    assert guests(full.cancel("Bob", "order-1").promoted) == ["Cleo"]
    assert inside(full.folded()) == inside(full.state)


def test_erasing_twice_changes_nothing_more(full: Event) -> None:
    full.erase("Cleo", "order-2")
    before = inside(full.state)[1:]
    full.erase(pseudonym("order-2"), "order-2")
    assert inside(full.state)[1:] == before
    assert inside(full.folded()) == inside(full.state)


def test_erasing_the_last_who_waits_keeps_the_waiting_list_whole() -> None:
    event = Event(tickets=0)
    event.book("Bob")
    event.erase("Bob", "order-1")
    assert kinds(decisions.revise(event.state, 0, tickets=1)) == [("resized", None), ("promoted", pseudonym("order-1"))]
    event.revise(1)
    assert inside(event.folded()) == inside(event.state)
