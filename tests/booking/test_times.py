"""When one can book, and until when a place in the waiting list can become a ticket. `now` is any number."""

import pytest

from tests.booking.event import Event, guests, inside, kinds, refusal
from webapp.booking import decisions
from webapp.booking.decisions import PROMOTIONS_MAX
from webapp.booking.details import Details

START = 100


def starting(*guests: str, tickets: int = 1, closes_at: int | None = None) -> Event:
    """An event that starts at 100; at 0, these guests have booked: Bob, Cleo and Dan, unless others are named."""
    event = Event(tickets, Details(starts_at=START, closes_at=closes_at))
    for guest in guests or ("Bob", "Cleo", "Dan"):
        event.book(guest)
    return event


def lapsed(*, tickets: int = 1) -> Event:
    """The event has started, Bob has cancelled, and Cleo and Dan wait in vain."""
    event = starting(tickets=tickets)
    event.now = START
    event.cancel("Bob")
    return event


# Booking


def test_nobody_can_book_before_it_opens() -> None:
    event = Event(1, Details(opens_at=50, starts_at=START))
    event.now = 49
    refused = refusal(event.book, "Bob")
    assert (refused.code, refused.members) == ("not_open_yet", {"opens_at": 50})
    event.now = 50
    assert event.book("Bob").status == "booked"


@pytest.mark.parametrize(
    ("details", "closed_at"),
    [
        (Details(starts_at=START), START),
        (Details(starts_at=START, closes_at=60), 60),
        (Details(starts_at=START, closes_at=150), 150),
        (Details(closes_at=60), 60),
    ],
)
def test_nobody_can_book_once_it_has_closed(details: Details, closed_at: int) -> None:
    event = Event(1, details)
    event.now = closed_at - 1
    assert event.book("Bob").status == "booked"
    event.now = closed_at
    refused = refusal(event.book, "Cleo")
    assert (refused.code, refused.members) == ("booking_closed", {"closed_at": closed_at})


@pytest.mark.parametrize("now", [0, 60, START, 10**18])
def test_whoever_has_a_place_finds_it_at_any_time(now: int) -> None:
    event = starting(closes_at=60)
    event.now = now
    assert [(order.order_id, order.status, order.is_new) for order in map(event.book, ("Bob", "Cleo"))] == [
        ("order-1", "booked", False),
        ("order-2", "waiting", False),
    ]


def test_who_has_cancelled_cannot_book_again_once_it_has_closed() -> None:
    event = starting(closes_at=60)
    event.now = 60
    event.cancel("Cleo")
    assert refusal(event.book, "Cleo").code == "booking_closed"


# Promotions


@pytest.mark.parametrize("now", [60, START - 1])
def test_a_ticket_that_comes_free_after_booking_closed_goes_to_who_waits(now: int) -> None:
    event = starting(closes_at=60)
    event.now = now
    assert guests(event.cancel("Bob").promoted) == ["Cleo"]


@pytest.mark.parametrize(("closes_at", "ends_at"), [(None, START), (60, START), (150, 150)])
def test_who_waits_is_promoted_until_the_start_or_the_close_of_booking_if_that_is_later(
    closes_at: int | None, ends_at: int
) -> None:
    event = starting(closes_at=closes_at)
    event.now = ends_at - 1
    assert guests(event.cancel("Bob").promoted) == ["Cleo"]
    event.now = ends_at
    assert event.cancel("Cleo").promoted == ()
    assert event.state.has_lapsed


def test_without_a_start_promotions_never_end() -> None:
    event = Event(1, Details(closes_at=60))
    for guest in ("Bob", "Cleo"):
        event.book(guest)
    event.now = 10**18
    assert guests(event.cancel("Bob").promoted) == ["Cleo"]


def test_that_promotions_are_over_is_recorded_once_a_ticket_lies_idle_and_only_once() -> None:
    event = starting(tickets=2)
    event.now = START
    assert kinds(decisions.cancel(event.state, START, "Bob")) == [("cancelled", "Bob"), ("lapsed", None)]
    event.cancel("Bob")
    assert kinds(decisions.cancel(event.state, START, "Cleo")) == [("cancelled", "Cleo")]


@pytest.mark.parametrize("guest", ["Cleo", "Dan"])
def test_who_leaves_the_waiting_list_after_the_start_ends_nothing(guest: str) -> None:
    event = starting()
    event.now = START
    assert kinds(decisions.cancel(event.state, START, guest)) == [("cancelled", guest)]


def test_where_nobody_waits_a_ticket_that_comes_free_after_the_start_ends_nothing() -> None:
    event = starting("Bob")
    assert kinds(decisions.cancel(event.state, START, "Bob")) == [("cancelled", "Bob")]


def test_a_raised_capacity_after_the_start_promotes_nobody() -> None:
    event = starting()
    event.now = START
    assert kinds(decisions.revise(event.state, START, tickets=2)) == [("resized", None), ("lapsed", None)]
    assert event.revise(2).promoted == ()
    assert event.state.counts[1:4] == (2, 1, 2)


def test_promotions_stay_over_even_when_the_clock_is_put_back() -> None:
    event = lapsed()
    event.now = 0
    assert event.revise(5).promoted == ()
    assert event.book("Eve").status == "waiting"  # behind those who asked before, though tickets lie idle
    assert event.place("Cleo").position == 1


def test_who_books_when_the_clock_is_put_back_does_not_overtake_who_waits_beside_an_idle_ticket() -> None:
    event = lapsed()
    assert event.state.free == 1
    assert kinds(decisions.book(event.state, START - 1, "Eve", "order-eve", bytes(16))) == [("joined", "Eve")]
    assert event.place("Cleo").position == 1


def test_an_event_that_is_put_off_gives_its_idle_tickets_to_who_has_waited_longest() -> None:
    event = lapsed()
    revised = event.revise(details=Details(starts_at=200))
    assert guests(revised.promoted) == ["Cleo"]
    assert not event.state.has_lapsed
    assert inside(event.folded()) == inside(event.state)


def test_new_times_and_a_new_capacity_together_promote_once() -> None:
    event = lapsed()
    assert guests(event.revise(2, Details(starts_at=200)).promoted) == ["Cleo", "Dan"]


def test_new_times_and_a_lower_capacity_together_promote_as_many_as_there_is_room_for() -> None:
    event = lapsed(tickets=2)
    event.cancel("Cleo")  # two tickets lie idle
    assert guests(event.revise(1, Details(starts_at=200)).promoted) == ["Dan"]
    assert event.state.counts[1:4] == (1, 1, 0)


def test_without_tickets_new_times_promote_nobody() -> None:
    event = lapsed()
    assert event.revise(0, Details(starts_at=200)).promoted == ()
    assert event.state.counts[1:4] == (0, 0, 2)
    assert guests(event.revise(1).promoted) == ["Cleo"]


def test_an_event_that_is_moved_within_the_past_gives_no_ticket_away() -> None:
    event = lapsed()
    revised = decisions.revise(event.state, START, details=Details(starts_at=50))
    assert kinds(revised) == [("revised", None), ("lapsed", None)]
    event.revise(details=Details(starts_at=50))
    assert event.state.has_lapsed


@pytest.mark.parametrize("details", [Details(starts_at=START, title="A talk"), Details(starts_at=START, hidden=True)])
def test_other_words_give_no_ticket_away(details: Details) -> None:
    event = lapsed()
    assert kinds(decisions.revise(event.state, START, details=details)) == [("revised", None)]
    event.revise(details=details)
    assert event.state.has_lapsed


def test_an_event_that_is_moved_into_the_past_keeps_its_waiting_list_for_whoever_asks() -> None:
    event = starting()
    event.now = 50
    event.revise(details=Details(starts_at=10))
    assert not event.state.has_lapsed  # no ticket lies idle yet
    event.cancel("Bob")
    assert event.state.has_lapsed
    assert event.place("Cleo").position == 1


def test_putting_off_an_event_with_more_idle_tickets_than_can_be_given_at_once_says_what_to_do() -> None:
    event = Event(PROMOTIONS_MAX + 1, Details(starts_at=START))
    for number in range(PROMOTIONS_MAX + 1):
        event.state.live[f"guest-{number}"] = f"order-{number}"
        event.state.waiting.join(f"guest-{number}")
    event.state.has_lapsed = True
    refused = refusal(decisions.revise, event.state, START, details=Details(starts_at=200))
    assert (refused.code, refused.members) == ("too_many_promotions", {"capacity_max": PROMOTIONS_MAX})
    together = decisions.revise(event.state, START, tickets=PROMOTIONS_MAX, details=Details(starts_at=200))
    assert len(together.answer.promoted) == PROMOTIONS_MAX


@pytest.mark.parametrize("details", [Details(starts_at=START), Details(opens_at=5, closes_at=60, starts_at=START)])
def test_a_fold_knows_the_times(details: Details) -> None:
    event = Event(1, details)
    assert event.folded().schedule == details.schedule
