"""What an organiser may do to an event, sentence by sentence."""

from dataclasses import replace

import pytest

from tests.booking.event import Event, full_event, guests, inside, kinds, refusal
from webapp.booking import decisions
from webapp.booking.answers import Deletion, Opening, Promotion, Revision
from webapp.booking.decisions import PROMOTIONS_MAX, Decision
from webapp.booking.details import UNTOLD, Details
from webapp.booking.ledger import Fact

GIG = Details(title="The gig", venue="Town hall", starts_at=1_000, ends_at=2_000)


# Creating


def test_an_event_is_created_with_its_details() -> None:
    event = Event()
    created = event.create(5, GIG)
    assert (created.counts.capacity, created.details, created.promoted) == (5, GIG, ())
    assert [(entry.kind, entry.detail) for entry in event.entries] == [("opened", "5"), ("revised", GIG.sealed())]
    assert event.state.schedule == (None, None, 1_000)


def test_what_was_said_of_an_event_is_handed_to_the_database_beside_its_seal() -> None:
    opened, revised = decisions.create_event(Event().state, 0, 5, GIG).facts
    assert (opened.aside, revised.aside) == (None, GIG)


@pytest.mark.parametrize("tickets", [5, 6])
def test_an_event_that_exists_is_not_created_again(tickets: int) -> None:
    refused = refusal(Event(tickets=5).create, tickets, UNTOLD)
    assert (refused.code, refused.sentence) == ("event_exists", "The event exists already")


def test_contradictory_times_are_a_bug_of_a_front() -> None:
    with pytest.raises(AssertionError, match="a front let contradictory times pass"):
        Event().create(5, Details(ends_at=1))
    with pytest.raises(AssertionError, match="a front let contradictory times pass"):
        Event(tickets=5).revise(details=Details(starts_at=2, ends_at=1))


# Revising


def test_what_is_said_of_an_event_can_be_said_anew() -> None:
    event = Event(tickets=5)
    event.revise(details=GIG)
    later = replace(GIG, starts_at=1_500)
    assert event.revise(details=later).details == later
    assert event.state.schedule.starts_at == 1_500


def test_saying_the_same_again_changes_nothing() -> None:
    event = Event(tickets=5, details=GIG)
    again = decisions.revise(event.state, 0, tickets=5, details=GIG)
    assert again == Decision([], Revision(event.state.counts, GIG, ()))


def test_words_and_capacity_are_revised_in_one_decision() -> None:
    event = full_event()
    revised = decisions.revise(event.state, 0, tickets=2, details=GIG)
    assert kinds(revised) == [("revised", None), ("resized", None), ("promoted", "Cleo")]
    assert revised.answer.promoted == (Promotion("order-2", "Cleo"),)


def test_the_answer_tells_the_counts_as_they_will_be() -> None:
    event = full_event()
    promised = event.revise(2).counts
    assert promised[1:4] == event.state.counts[1:4] == (2, 2, 1)


def test_a_revision_is_the_number_of_the_last_entry_that_changed_what_can_be_edited() -> None:
    event = Event(tickets=1)
    assert event.state.revision == 1
    event.revise(details=GIG)
    assert event.state.revision == 2
    event.book("Bob")
    event.book("Cleo")
    event.cancel("Bob")
    assert event.state.revision == 2
    event.revise(tickets=2)
    assert event.state.revision == event.state.head == 7


def test_bookings_do_not_get_in_an_editors_way() -> None:
    event = Event(tickets=1)
    event.book("Bob")
    assert event.revise(2, revision=1).counts.capacity == 2


@pytest.mark.parametrize("is_rehearsal", [False, True])
def test_who_has_not_seen_the_last_change_may_not_change_anything(is_rehearsal: bool) -> None:
    event = Event(tickets=1)
    event.revise(2)
    refused = refusal(event.revise, 3, revision=1, is_rehearsal=is_rehearsal)
    assert (refused.code, refused.members) == ("event_changed", {"revision": 2})
    assert "look again" in refused.sentence
    assert refusal(event.delete, 1).code == "event_changed"


def test_whether_it_was_seen_is_asked_before_anything_else() -> None:
    event = full_event()
    assert refusal(event.revise, 0, revision=9).code == "event_changed"
    assert refusal(event.delete, 9).code == "event_changed"


def test_a_rehearsal_says_what_would_follow_and_records_nothing() -> None:
    event = full_event()
    before = inside(event.state)
    rehearsed = event.revise(3, GIG, is_rehearsal=True)
    assert inside(event.state) == before
    assert len(event.entries) == 4
    assert rehearsed == event.revise(3, GIG)


def test_a_rehearsal_is_refused_as_the_change_would_be() -> None:
    refused = refusal(full_event().revise, 0, is_rehearsal=True)
    assert (refused.code, refused.members) == ("capacity_below_booked", {"capacity_min": 1})


def waiting(count: int) -> Event:
    """An event without tickets, for which so many wait. It is made by hand, because hashes take their time."""
    event = Event(tickets=0)
    for number in range(count):
        event.state.live[f"guest-{number}"] = f"order-{number}"
        event.state.waiting.join(f"guest-{number}")
    return event


def test_more_than_a_transaction_can_bear_are_not_promoted_at_once() -> None:
    event = waiting(PROMOTIONS_MAX + 1)
    refused = refusal(decisions.revise, event.state, 0, tickets=PROMOTIONS_MAX + 1)
    assert (refused.code, refused.members) == ("too_many_promotions", {"capacity_max": PROMOTIONS_MAX})
    assert "make the capacity 10,000 first" in refused.sentence


def test_as_many_as_that_are_promoted_at_once() -> None:
    event = waiting(PROMOTIONS_MAX + 1)
    revised = decisions.revise(event.state, 0, tickets=PROMOTIONS_MAX)
    assert len(revised.answer.promoted) == PROMOTIONS_MAX
    assert revised.answer.counts[1:4] == (PROMOTIONS_MAX, PROMOTIONS_MAX, 1)


def test_tickets_that_nobody_waits_for_can_be_added_in_any_number() -> None:
    event = waiting(2)
    assert guests(decisions.revise(event.state, 0, tickets=10**9).answer.promoted) == ["guest-0", "guest-1"]


# Deleting


def test_an_event_that_nobody_has_booked_can_be_deleted() -> None:
    event = Event(tickets=5, details=GIG)
    assert decisions.delete_event(event.state, 0) == Decision([Fact("deleted")], Deletion())
    event.delete(revision=2)
    assert not event.state.exists


@pytest.mark.parametrize("has_left", [False, True])
def test_an_event_that_somebody_has_booked_is_not_deleted(has_left: bool) -> None:
    event = Event(tickets=5)
    event.book("Bob")
    if has_left:
        event.cancel("Bob")
    refused = refusal(event.delete)
    assert refused.code == "event_has_orders"
    assert "Close its booking or hide it instead" in refused.sentence


def test_an_event_can_be_opened_again_after_it_was_deleted() -> None:
    event = Event(tickets=5, details=GIG)
    event.delete()
    assert event.open(3) == Opening(3, is_new=True)
    assert event.state.sealed_details == UNTOLD.sealed()
    assert event.state.schedule == (None, None, None)
    event.now = 10_000  # long after what was to be its start
    assert event.book("Bob").status == "booked"


def test_an_event_can_be_created_again_after_it_was_deleted() -> None:
    event = Event(tickets=5, details=GIG)
    event.delete()
    event.create(2, replace(GIG, title="Another gig"))
    assert (event.state.capacity, event.state.revision) == (2, 5)
    assert inside(event.folded()) == inside(event.state)
