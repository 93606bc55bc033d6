"""The story of an order, in the words that its guest reads."""

import pytest

from tests.web.test_dates import at
from webapp.booking.ledger import Actor
from webapp.enquiries import Step, StepKind, Why
from webapp.storage.store import OrderRow
from webapp.web import why

ORDER = OrderRow(
    id="66" * 10, event_id="gig", guest="Cleo", name=None, email=None, status="waiting", placed_at=0, placed_entry=1,
    cancel_reason=None, checked_in_at=None, gate=None, erased_at=None,
)  # fmt: skip


def step(kind: StepKind, when: str = "27T14:02", moved: int = 0, actor: Actor = "guest") -> Step:
    return Step(1, at(f"2026-11-{when}:00"), kind, moved, actor=actor)


def told(*steps: Step, asked_before: int | None = 12, is_complete: bool = True, order: OrderRow = ORDER) -> list[str]:
    return why.sentences(order, Why(asked_before, list(steps), is_complete), "Europe/Berlin", 2026)


JOINED = step("joined", "27T13:45")


def test_who_waits_reads_how_many_asked_before_and_when_they_cancelled() -> None:
    cancelled = [step("cancelled", f"27T{time}", 1) for time in ("14:02", "15:10", "15:11")]
    assert told(JOINED, *cancelled) == [
        "You asked on 27 November at 13:45; 12 people asked before you.",
        "3 people before you cancelled, at 14:02, 15:10 and 15:11.",
    ]


@pytest.mark.parametrize(
    ("asked_before", "said"),
    [
        (0, "You asked on 27 November at 13:45; no ticket was free, and nobody waited before you."),
        (1, "You asked on 27 November at 13:45; 1 person asked before you."),
        (1_000, "You asked on 27 November at 13:45; 1,000 people asked before you."),
        (None, "You asked on 27 November at 13:45."),
    ],
)
def test_how_many_asked_before_is_said_where_it_is_known(asked_before: int | None, said: str) -> None:
    assert told(JOINED, asked_before=asked_before) == [said]


def test_who_got_a_ticket_at_once_reads_that() -> None:
    booked = step("booked", "27T13:45")
    assert told(booked) == ["You asked on 27 November at 13:45, when a ticket was free, and got it at once."]


def test_a_day_is_named_once_for_all_that_happened_on_it() -> None:
    cancelled = [step("cancelled", when, 1) for when in ("27T14:02", "28T09:00", "28T09:30")]
    assert told(JOINED, *cancelled, step("promoted", "28T09:30"))[1:] == [
        "3 people before you cancelled, at 14:02, on 28 November at 09:00 and 09:30.",
        "You got your ticket at 09:30.",
    ]


def test_of_many_cancellations_only_the_last_is_dated() -> None:
    cancelled = [step("cancelled", f"27T15:{minute}", 1) for minute in range(10, 17)]
    assert told(JOINED, *cancelled)[1] == "7 people before you cancelled, the last one at 15:16."


def test_what_freed_tickets_is_told_in_its_order() -> None:
    steps = [
        step("cancelled", "27T14:00", 1), step("resized", "27T14:10", 5), step("cancelled", "27T14:20", 1),
        step("revised", "27T14:30", 1), step("promoted", "27T14:30"), step("checked_in", "27T19:00"),
        step("check_in_undone", "27T19:01"), step("checked_in", "27T19:02"),
    ]  # fmt: skip
    assert told(JOINED, *steps)[1:] == [
        "1 person before you cancelled, at 14:00.",
        "Tickets were added at 14:10: you moved up 5 places.",
        "1 person before you cancelled, at 14:20.",
        "The times of the event were changed at 14:30: you moved up 1 place.",
        "You got your ticket at 14:30.",
        "You were checked in at 19:00.",
        "The check-in was taken back at 19:01.",
        "You were checked in at 19:02.",
    ]


@pytest.mark.parametrize(
    ("actor", "before", "said"),
    [
        ("guest", [], "You left the waiting list on 28 November at 16:00."),
        ("guest", ["promoted"], "You cancelled your ticket on 28 November at 16:00."),
        ("organiser", [], "The organiser took you off the waiting list on 28 November at 16:00."),
        ("organiser", ["promoted"], "The organiser cancelled your ticket on 28 November at 16:00."),
    ],
)
def test_the_end_of_an_order_is_told_with_who_ended_it_and_why(actor: Actor, before: list[StepKind], said: str) -> None:
    left = step("left", "28T16:00", actor=actor)
    steps = [JOINED, *(step(kind) for kind in before), left]
    assert told(*steps)[-1] == said
    order = ORDER._replace(cancel_reason="Moved to Saturday.")
    assert told(*steps, order=order)[-1] == f"{said} Reason: Moved to Saturday."


def test_who_was_put_down_by_the_organiser_reads_that() -> None:
    asked = "The organiser asked for you on 27 November at 13:45"
    assert told(step("booked", "27T13:45", actor="organiser")) == [
        f"{asked}: a ticket was free, and you got it at once."
    ]
    assert told(step("joined", "27T13:45", actor="organiser")) == [f"{asked}; 12 people asked before you."]


def test_what_comes_free_too_late_is_told_as_well() -> None:
    assert told(JOINED, step("lapsed", "27T20:10"), step("revised", "27T20:30", 2), step("lapsed", "28T20:10")) == [
        "You asked on 27 November at 13:45; 12 people asked before you.",
        "What came free at 20:10 went to nobody: the event had begun.",
        "The times of the event were changed at 20:30: you moved up 2 places.",
        "What came free on 28 November at 20:10 went to nobody: the event had begun.",
    ]


def test_a_story_without_its_first_part_says_so() -> None:
    said = told(JOINED, step("cancelled", "27T14:00", 1), asked_before=None, is_complete=False)
    assert said[1] == "So much has happened since that the first part of it is left out here."
    assert said[2] == "1 person before you cancelled, at 14:00."
