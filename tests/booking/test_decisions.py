"""The rules, sentence by sentence."""

from collections.abc import Callable
from functools import partial

import pytest

from tests import effort
from tests.booking.event import SALT, Event, full_event, guests, inside, kinds, refusal
from tests.booking.steps import Guest, require_logarithmic
from webapp.booking import decisions
from webapp.booking.answers import Cancellation, Opening, Placement, Promotion, Revision
from webapp.booking.decisions import Decision
from webapp.booking.details import Details
from webapp.booking.ledger import Contact, commitment, pseudonym


@pytest.fixture
def full() -> Event:
    return full_event()


def test_an_event_is_opened_once() -> None:
    event = Event()
    assert event.open(5) == Opening(5, is_new=True)
    assert event.state.capacity == 5


def test_opening_it_again_with_the_same_tickets_changes_nothing() -> None:
    event = Event(tickets=5)
    assert decisions.open_event(event.state, 0, 5) == Decision([], Opening(5, is_new=False))


def test_opening_it_again_with_other_tickets_is_refused() -> None:
    refused = refusal(Event(tickets=5).open, 6)
    assert (refused.code, refused.sentence) == ("event_exists", "The event exists already, with 5 tickets")


WISHES_AT_NO_EVENT: dict[str, Callable[[Event], object]] = {
    "book": lambda event: event.book("Bob"),
    "cancel": lambda event: event.cancel("Bob"),
    "cancel an order": lambda event: event.cancel("Bob", "order-1"),
    "check in": lambda event: event.check_in("Bob", "order-1"),
    "undo a check-in": lambda event: event.undo_check_in("Bob", "order-1"),
    "erase": lambda event: event.erase("Bob", "order-1"),
    "place": lambda event: event.place("Bob"),
    "revise": lambda event: event.revise(1),
    "rehearse": lambda event: event.revise(1, is_rehearsal=True),
    "delete": lambda event: event.delete(),
}


@pytest.mark.parametrize("wish", WISHES_AT_NO_EVENT)
@pytest.mark.parametrize("was_deleted", [False, True])
def test_at_an_event_that_is_not_there_nothing_is_to_be_had(wish: str, was_deleted: bool) -> None:
    event = Event(tickets=1 if was_deleted else None)
    if was_deleted:
        event.delete()
    refused = refusal(WISHES_AT_NO_EVENT[wish], event)
    assert (refused.code, refused.sentence) == ("event_not_found", "Event not found")


def test_where_a_ticket_is_free_it_is_booked() -> None:
    assert Event(tickets=1).book("Bob") == Placement("order-1", "booked", None, is_new=True)


def test_where_none_is_free_one_waits() -> None:
    event = Event(tickets=0)
    assert event.book("Bob") == Placement("order-1", "waiting", 1, is_new=True)
    assert event.book("Cleo") == Placement("order-2", "waiting", 2, is_new=True)


@pytest.mark.parametrize("tickets", [0, 1])
def test_a_new_order_is_recorded_with_its_commitment_and_not_with_the_name(tickets: int) -> None:
    contact = Contact("Bob B.", "bob@example.org")
    (fact,) = decisions.book(Event(tickets).state, 0, "Bob", "order-1", SALT, contact).facts
    kind = "joined" if tickets == 0 else "booked"
    assert fact == (kind, "order-1", "Bob", SALT, commitment(SALT, "Bob"), contact)


def test_booking_again_gives_the_same_ticket(full: Event) -> None:
    assert decisions.book(full.state, 0, "Bob", "order-9", SALT) == Decision(
        [], Placement("order-1", "booked", None, is_new=False)
    )


def test_joining_again_keeps_the_place(full: Event) -> None:
    assert decisions.book(full.state, 0, "Dan", "order-9", SALT) == Decision(
        [], Placement("order-3", "waiting", 2, is_new=False)
    )


def test_a_newcomer_never_overtakes_the_waiting_list(full: Event) -> None:
    full.cancel("Bob")
    assert full.book("Eve").status == "waiting"
    full.revise(2)
    assert full.book("Finn").position == 2
    assert [full.place(guest).status for guest in ("Cleo", "Dan", "Eve")] == ["booked", "booked", "waiting"]


def test_a_cancelled_ticket_goes_to_who_has_waited_longest(full: Event) -> None:
    assert full.cancel("Bob") == Cancellation("order-1", (Promotion("order-2", "Cleo"),))
    assert (full.place("Cleo").status, full.place("Dan").position) == ("booked", 1)


def test_a_cancellation_and_its_promotion_are_one_decision(full: Event) -> None:
    assert kinds(decisions.cancel(full.state, 0, "Bob")) == [("cancelled", "Bob"), ("promoted", "Cleo")]


def test_who_leaves_the_waiting_list_promotes_nobody(full: Event) -> None:
    assert kinds(decisions.cancel(full.state, 0, "Cleo")) == [("cancelled", "Cleo")]
    assert full.cancel("Cleo") == Cancellation("order-2", ())
    assert full.place("Dan").position == 1


def test_where_nobody_waits_a_cancelled_ticket_is_free_again() -> None:
    event = Event(tickets=1)
    event.book("Bob")
    assert event.cancel("Bob").promoted == ()
    assert event.book("Cleo").status == "booked"


def test_who_books_after_cancelling_has_a_new_order_at_the_back(full: Event) -> None:
    full.cancel("Cleo")
    assert full.book("Cleo") == Placement("order-4", "waiting", 2, is_new=True)


def test_a_cancellation_records_its_reason(full: Event) -> None:
    assert decisions.cancel(full.state, 0, "Bob", "He is ill").facts[0].aside == "He is ill"
    assert decisions.cancel(full.state, 0, "Bob").facts[0].aside is None


def test_twenty_nine_cancellations_promote_in_waiting_order() -> None:
    event = Event(tickets=29)
    for number in range(58):
        event.book(f"guest-{number}")
    promoted = [event.cancel(f"guest-{number}").promoted for number in reversed(range(29))]
    assert promoted == [(Promotion(f"order-{number + 1}", f"guest-{number}"),) for number in range(29, 58)]


@pytest.mark.parametrize("guest", ["Dan", "Bob "])
def test_who_has_no_order_can_neither_cancel_nor_be_placed(guest: str) -> None:
    event = Event(tickets=1)
    event.book("Bob")
    for wish in (event.cancel, event.place):
        refused = refusal(wish, guest)
        assert (refused.code, refused.sentence) == ("order_not_found", "No booking or waiting entry for user")


def test_nobody_cancels_twice(full: Event) -> None:
    full.cancel("Bob")
    assert refusal(full.cancel, "Bob").code == "order_not_found"
    assert refusal(full.cancel, "Bob", "order-1").code == "order_cancelled"


def test_an_order_can_be_cancelled_by_its_id(full: Event) -> None:
    assert full.cancel("Cleo", "order-2").order_id == "order-2"
    assert full.place("Dan").position == 1


def test_cancelling_an_old_order_leaves_the_new_one_of_the_same_guest(full: Event) -> None:
    full.cancel("Cleo")
    full.book("Cleo")
    refused = refusal(full.cancel, "Cleo", "order-2")
    assert (refused.code, refused.sentence) == ("order_cancelled", "The order was cancelled already")
    assert full.place("Cleo").order_id == "order-4"


def test_a_raised_capacity_promotes_as_many_as_it_adds(full: Event) -> None:
    revision = full.revise(2)
    assert (revision.counts.capacity, revision.promoted) == (2, (Promotion("order-2", "Cleo"),))


def test_a_raised_capacity_promotes_no_more_than_wait(full: Event) -> None:
    assert guests(full.revise(10).promoted) == ["Cleo", "Dan"]
    assert full.state.free == 7


def test_raising_the_capacity_and_its_promotions_are_one_decision(full: Event) -> None:
    assert kinds(decisions.revise(full.state, 0, tickets=3)) == [
        ("resized", None),
        ("promoted", "Cleo"),
        ("promoted", "Dan"),
    ]


def test_the_capacity_may_fall_to_what_is_booked() -> None:
    event = Event(tickets=5)
    event.book("Bob")
    assert event.revise(1).promoted == ()
    assert event.book("Cleo").status == "waiting"


def test_the_capacity_never_falls_below_what_is_booked(full: Event) -> None:
    full.revise(3)
    refused = refusal(full.revise, 2)
    assert (refused.code, refused.members) == ("capacity_below_booked", {"capacity_min": 3})
    assert refused.sentence == "The capacity can go down to 3, the number of tickets that are booked"


def test_the_same_capacity_again_changes_nothing(full: Event) -> None:
    assert decisions.revise(full.state, 0, tickets=1) == Decision([], Revision(full.state.counts, None, ()))


def test_a_place_is_the_status_and_how_many_are_before_one(full: Event) -> None:
    assert full.place("Bob") == Placement("order-1", "booked", None, is_new=False)
    assert full.place("Dan") == Placement("order-3", "waiting", 2, is_new=False)


def test_no_decision_changes_the_state_by_itself(full: Event) -> None:
    before = inside(full.state)
    decisions.book(full.state, 0, "Eve", "order-9", SALT)
    decisions.cancel(full.state, 0, "Bob")
    decisions.revise(full.state, 0, tickets=3, details=Details(title="A talk"))
    decisions.check_in(full.state, 0, "Bob", "order-1", "east")
    decisions.erase(full.state, 0, "Bob", ("order-1",))
    assert inside(full.state) == before


def crowded(size: int) -> Event:
    """An event with so many guests booked, and as many waiting. It is made by hand, because hashes take their time."""
    event = Event(tickets=size)
    event.state.booked = size
    for number in range(size):
        event.state.live[Guest(f"booked-{number}")] = f"order-b{number}"
        waiting = Guest(f"waiting-{number}")
        event.state.live[waiting] = f"order-w{number}"
        event.state.waiting.join(waiting)
    return event


@pytest.fixture(scope="module")
def few() -> Event:
    return crowded(2**10)


@pytest.fixture(scope="module")
def many() -> Event:
    return crowded(effort.WAITING_MANY)


WISHES: dict[str, Callable[[Event, int], object]] = {
    "joining": lambda event, number: event.book(Guest(f"late-{number}")),
    "booking again": lambda event, number: event.book(Guest(f"waiting-{500 + number}")),
    "asking for a place": lambda event, number: event.place(Guest(f"waiting-{600 + number}")),
    "cancelling a ticket": lambda event, number: event.cancel(Guest(f"booked-{number}")),
    "leaving the waiting list": lambda event, number: event.cancel(Guest(f"waiting-{800 + number}")),
    "adding a ticket": lambda event, _: event.revise(event.state.capacity + 1),
    "putting it off": lambda event, number: event.revise(details=Details(starts_at=number + 1)),
    "checking in": lambda event, number: event.check_in(Guest(f"booked-{100 + number}"), f"order-b{100 + number}"),
    "erasing a ticket's holder": lambda event, number: event.erase(
        Guest(f"booked-{200 + number}"), f"order-b{200 + number}"
    ),
    "erasing who waits": lambda event, number: event.erase(Guest(f"waiting-{900 + number}"), f"order-w{900 + number}"),
}


@pytest.mark.parametrize("wish", WISHES)
def test_among_a_million_it_takes_no_longer(few: Event, many: Event, wish: str) -> None:
    def wishes(event: Event) -> list[Callable[[], object]]:
        return [partial(WISHES[wish], event, number) for number in range(50)]

    require_logarithmic(wishes(few), wishes(many))


def test_a_decision_that_looks_at_everybody_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decisions, "promotions", lambda state, _: [fact for fact in state.waiting if not fact])
    with pytest.raises(AssertionError, match="steps among many"):
        require_logarithmic(
            [partial(decisions.revise, crowded(10).state, 0, tickets=11)],
            [partial(decisions.revise, crowded(1_000).state, 0, tickets=1_001)],
        )


def test_who_was_promoted_is_named_unless_he_was_erased() -> None:
    assert Promotion("c0ffee", "Cleo").named == "Cleo"
    assert Promotion("c0ffee", pseudonym("c0ffee")).named is None
    assert Promotion("c0ffee", pseudonym("decaf")).named == pseudonym("decaf")
