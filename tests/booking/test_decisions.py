"""The rules, sentence by sentence."""

from collections.abc import Callable
from functools import partial
from itertools import count
from typing import Any, TypeVar

import pytest

from tests import effort
from tests.booking.steps import Guest, require_logarithmic
from webapp.booking import decisions
from webapp.booking.decisions import Cancellation, Decision, Opening, Placement, Refusal, Resizing
from webapp.booking.ledger import commitment
from webapp.booking.state import EventState

SALT = bytes(range(16))
Answer = TypeVar("Answer")


class Event:
    """An event at which every decision happens at once. Orders are numbered as they are placed: order-1, order-2, …"""

    def __init__(self, tickets: int | None = None) -> None:
        self.state = EventState("gig")
        self.numbers = count(1)
        if tickets is not None:
            self.open(tickets)

    def open(self, tickets: int) -> Opening:
        return self.happen(decisions.open_event(self.state, tickets))

    def book(self, guest: str) -> Placement:
        return self.happen(decisions.book(self.state, guest, f"order-{next(self.numbers)}", SALT))

    def cancel(self, guest: str) -> Cancellation:
        return self.happen(decisions.cancel(self.state, guest))

    def resize(self, tickets: int) -> Resizing:
        return self.happen(decisions.resize(self.state, tickets))

    def place(self, guest: str) -> Placement:
        return decisions.place(self.state, guest)

    def happen(self, decision: Decision[Answer]) -> Answer:
        for fact in decision.facts:
            self.state.record(fact, 0, "guest")
        self.state.require_settled()
        return decision.answer


@pytest.fixture
def full() -> Event:
    """Bob has the only ticket; Cleo and Dan wait."""
    event = Event(tickets=1)
    for guest in ("Bob", "Cleo", "Dan"):
        event.book(guest)
    return event


def kinds(decision: Decision[Any]) -> list[tuple[str, str | None]]:
    return [(fact.kind, fact.guest) for fact in decision.facts]


def test_an_event_is_opened_once() -> None:
    event = Event()
    assert event.open(5) == Opening(5, is_new=True)
    assert event.state.capacity == 5


def test_opening_it_again_with_the_same_tickets_changes_nothing() -> None:
    event = Event(tickets=5)
    assert decisions.open_event(event.state, 5) == Decision([], Opening(5, is_new=False))


def test_opening_it_again_with_other_tickets_is_refused() -> None:
    with pytest.raises(Refusal, match="exists already, with 5 tickets") as refusal:
        Event(tickets=5).open(6)
    assert refusal.value.code == "event_exists"


@pytest.mark.parametrize("verb", ["book", "cancel", "resize", "place"])
def test_at_an_event_that_is_not_open_nothing_is_to_be_had(verb: str) -> None:
    with pytest.raises(Refusal, match="Event not found") as refusal:
        getattr(Event(), verb)(1 if verb == "resize" else "Bob")
    assert refusal.value.code == "event_not_found"


def test_where_a_ticket_is_free_it_is_booked() -> None:
    assert Event(tickets=1).book("Bob") == Placement("order-1", "booked", None, is_new=True)


def test_where_none_is_free_one_waits() -> None:
    event = Event(tickets=0)
    assert event.book("Bob") == Placement("order-1", "waiting", 1, is_new=True)
    assert event.book("Cleo") == Placement("order-2", "waiting", 2, is_new=True)


@pytest.mark.parametrize("tickets", [0, 1])
def test_a_new_order_is_recorded_with_its_commitment_and_not_with_the_name(tickets: int) -> None:
    (fact,) = decisions.book(Event(tickets).state, "Bob", "order-1", SALT).facts
    assert fact == ("joined" if tickets == 0 else "booked", "order-1", "Bob", SALT, commitment(SALT, "Bob"), None)


def test_booking_again_gives_the_same_ticket(full: Event) -> None:
    assert decisions.book(full.state, "Bob", "order-9", SALT) == Decision(
        [], Placement("order-1", "booked", None, is_new=False)
    )


def test_joining_again_keeps_the_place(full: Event) -> None:
    assert decisions.book(full.state, "Dan", "order-9", SALT) == Decision(
        [], Placement("order-3", "waiting", 2, is_new=False)
    )


def test_a_newcomer_never_overtakes_the_waiting_list(full: Event) -> None:
    full.cancel("Bob")
    assert full.book("Eve").status == "waiting"
    full.resize(2)
    assert full.book("Finn").position == 2
    assert [full.place(guest).status for guest in ("Cleo", "Dan", "Eve")] == ["booked", "booked", "waiting"]


def test_a_cancelled_ticket_goes_to_who_has_waited_longest(full: Event) -> None:
    assert full.cancel("Bob") == Cancellation("order-1", ("Cleo",))
    assert (full.place("Cleo").status, full.place("Dan").position) == ("booked", 1)


def test_a_cancellation_and_its_promotion_are_one_decision(full: Event) -> None:
    assert kinds(decisions.cancel(full.state, "Bob")) == [("cancelled", "Bob"), ("promoted", "Cleo")]


def test_who_leaves_the_waiting_list_promotes_nobody(full: Event) -> None:
    assert kinds(decisions.cancel(full.state, "Cleo")) == [("cancelled", "Cleo")]
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
    assert decisions.cancel(full.state, "Bob", "He is ill").facts[0].reason == "He is ill"
    assert decisions.cancel(full.state, "Bob").facts[0].reason is None


def test_twenty_nine_cancellations_promote_in_waiting_order() -> None:
    event = Event(tickets=29)
    for number in range(58):
        event.book(f"guest-{number}")
    promoted = [event.cancel(f"guest-{number}").promoted for number in reversed(range(29))]
    assert promoted == [(f"guest-{number}",) for number in range(29, 58)]


@pytest.mark.parametrize("guest", ["Dan", "Bob "])
def test_who_has_no_order_can_neither_cancel_nor_be_placed(guest: str) -> None:
    event = Event(tickets=1)
    event.book("Bob")
    for wish in (event.cancel, event.place):
        with pytest.raises(Refusal, match="No booking or waiting entry for user") as refusal:
            wish(guest)
        assert refusal.value.code == "order_not_found"


def test_nobody_cancels_twice(full: Event) -> None:
    full.cancel("Bob")
    with pytest.raises(Refusal, match="No booking") as refusal:
        full.cancel("Bob")
    assert refusal.value.code == "order_not_found"


def test_a_raised_capacity_promotes_as_many_as_it_adds(full: Event) -> None:
    assert full.resize(2) == Resizing(2, ("Cleo",))


def test_a_raised_capacity_promotes_no_more_than_wait(full: Event) -> None:
    assert full.resize(10) == Resizing(10, ("Cleo", "Dan"))
    assert full.state.free == 7


def test_raising_the_capacity_and_its_promotions_are_one_decision(full: Event) -> None:
    assert kinds(decisions.resize(full.state, 3)) == [("resized", None), ("promoted", "Cleo"), ("promoted", "Dan")]


def test_the_capacity_may_fall_to_what_is_booked() -> None:
    event = Event(tickets=5)
    event.book("Bob")
    assert event.resize(1) == Resizing(1, ())
    assert event.book("Cleo").status == "waiting"


def test_the_capacity_never_falls_below_what_is_booked(full: Event) -> None:
    full.resize(3)
    with pytest.raises(
        Refusal, match="The capacity can go down to 3, the number of tickets that are booked"
    ) as refusal:
        full.resize(2)
    assert refusal.value.code == "capacity_below_booked"


def test_the_same_capacity_again_changes_nothing(full: Event) -> None:
    assert decisions.resize(full.state, 1) == Decision([], Resizing(1, ()))


def test_a_place_is_the_status_and_how_many_are_before_one(full: Event) -> None:
    assert full.place("Bob") == Placement("order-1", "booked", None, is_new=False)
    assert full.place("Dan") == Placement("order-3", "waiting", 2, is_new=False)


def test_no_decision_changes_the_state_by_itself(full: Event) -> None:
    before = full.state.counts
    decisions.book(full.state, "Eve", "order-9", SALT)
    decisions.cancel(full.state, "Bob")
    decisions.resize(full.state, 3)
    assert full.state.counts == before


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
    "adding a ticket": lambda event, _: event.resize(event.state.capacity + 1),
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
            [partial(decisions.resize, crowded(10).state, 11)],
            [partial(decisions.resize, crowded(1_000).state, 1_001)],
        )
