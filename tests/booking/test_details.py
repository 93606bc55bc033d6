"""What an organiser tells about an event: times that can be true together, and the seal over all of it."""

import json
from dataclasses import fields, replace
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webapp.booking.details import UNTOLD, UNTOLD_SEALED, Booking, Details, Schedule, contradictions, sealed_schedule

GIG = Details(
    title="The gig",
    description="Loud.\n\nBring ear plugs.",
    venue="Town hall",
    starts_at=100,
    ends_at=200,
    time_zone="Europe/Berlin",
    opens_at=10,
    closes_at=90,
)
OTHERS: dict[str, Any] = {
    "title": "The  gig",
    "description": "Loud.\n\nBring ear plug",
    "venue": "Town hall ",
    "starts_at": 101,
    "ends_at": None,
    "time_zone": "UTC",
    "opens_at": 11,
    "closes_at": None,
    "hidden": True,
}

some_time = st.none() | st.integers(0, 20)
possible = st.builds(Details, starts_at=some_time, ends_at=some_time, opens_at=some_time, closes_at=some_time).filter(
    lambda details: not contradictions(details)
)


def test_every_detail_is_under_the_seal() -> None:
    assert set(OTHERS) == {field.name for field in fields(Details)}


@pytest.mark.parametrize("name", OTHERS)
def test_another_detail_is_another_seal(name: str) -> None:
    assert replace(GIG, **{name: OTHERS[name]}).sealed() != GIG.sealed()


def test_words_do_not_run_into_one_another() -> None:
    alike = [
        Details(title="ab"), Details(description="ab"), Details(title="a", description="b"),
        Details(title="a", venue="b"), Details(description="a", venue="b"), Details(title='a","b'),
    ]  # fmt: skip
    assert len({details.sealed() for details in alike}) == len(alike)


def test_a_seal_has_the_times_in_clear_and_the_words_as_a_digest() -> None:
    words = '["The gig","Loud.\\n\\nBring ear plugs.","Town hall"]'
    assert json.loads(GIG.sealed()) == {
        "starts_at": 100,
        "ends_at": 200,
        "time_zone": "Europe/Berlin",
        "opens_at": 10,
        "closes_at": 90,
        "hidden": False,
        "words": sha256(words.encode()).hexdigest(),
    }


def test_a_seal_is_what_a_browser_makes_of_the_same_details() -> None:
    # JSON.stringify in Node.js 20, of six values and the sha256 over JSON.stringify(["café ☕ …", "", "Rathaus"])
    details = Details(title='café ☕ "x" \\ \u2028', venue="Rathaus", starts_at=1_760_000_000_000_000)
    assert details.sealed() == (
        '{"starts_at":1760000000000000,"ends_at":null,"time_zone":"UTC","opens_at":null,"closes_at":null,'
        '"hidden":false,"words":"35c68ae727db2eafc15433a015eac6c7b0f9a93e23984b288938cbbb17de65f9"}'
    )


def test_the_times_can_be_read_out_of_a_seal() -> None:
    assert sealed_schedule(GIG.sealed()) == GIG.schedule == Schedule(opens_at=10, closes_at=90, starts_at=100)
    assert sealed_schedule(UNTOLD_SEALED) == Schedule()


@pytest.mark.parametrize(
    ("sealed", "complaint"),
    [
        ("", "Expecting value"),
        ("{", "Expecting property name"),
        ("null", "no object"),
        ("[]", "no object"),
        ('"x"', "no object"),
        ('{"starts_at":"100"}', "no number"),
        ('{"opens_at":false}', "no number"),
    ],
)
def test_a_damaged_seal_is_noticed(sealed: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        sealed_schedule(sealed)


@pytest.mark.parametrize(
    ("schedule", "ends_at", "promotes_until"),
    [
        (Schedule(), None, None),
        (Schedule(opens_at=5), None, None),
        (Schedule(starts_at=100), 100, 100),
        (Schedule(closes_at=90), 90, None),
        (Schedule(closes_at=90, starts_at=100), 90, 100),
        (Schedule(closes_at=110, starts_at=100), 110, 110),
    ],
)
def test_booking_ends_at_its_close_or_the_start_and_promotions_at_the_later(
    schedule: Schedule, ends_at: int | None, promotes_until: int | None
) -> None:
    assert (schedule.booking_ends_at, schedule.promotes_until) == (ends_at, promotes_until)


@pytest.mark.parametrize(
    ("schedule", "now", "booking"),
    [
        (Schedule(), 0, "open"),
        (Schedule(opens_at=10), 9, "not_open_yet"),
        (Schedule(opens_at=10), 10, "open"),
        (Schedule(opens_at=10, closes_at=90), 89, "open"),
        (Schedule(opens_at=10, closes_at=90), 90, "closed"),
        (Schedule(starts_at=100), 99, "open"),
        (Schedule(starts_at=100), 100, "closed"),
        (Schedule(closes_at=110, starts_at=100), 109, "open"),
    ],
)
def test_booking_is_open_from_its_first_moment_until_just_before_its_last(
    schedule: Schedule, now: int, booking: Booking
) -> None:
    assert schedule.booking(now) == booking


@pytest.mark.parametrize(("now", "promotes"), [(99, True), (100, False), (101, False)])
def test_promotions_are_over_from_the_last_moment_on(now: int, promotes: bool) -> None:
    assert Schedule(starts_at=100).promotes(now) is promotes
    assert Schedule().promotes(now)


@pytest.mark.parametrize(
    "details",
    [
        UNTOLD,
        GIG,
        Details(starts_at=100, ends_at=100),
        Details(opens_at=99, starts_at=100),
        Details(opens_at=150, closes_at=160, starts_at=100, ends_at=160),
        Details(opens_at=5),
        Details(closes_at=5),
        Details(closes_at=200, starts_at=100),
    ],
)
def test_times_that_can_be_true_together_are_no_contradiction(details: Details) -> None:
    assert contradictions(details) == []


@pytest.mark.parametrize(
    ("details", "found"),
    [
        (Details(ends_at=200), [("ends_at", "needs a starts_at")]),
        (Details(starts_at=100, ends_at=99), [("ends_at", "is before starts_at")]),
        (Details(opens_at=100, starts_at=100), [("opens_at", "is not before starts_at, when booking closes")]),
        (Details(opens_at=90, closes_at=90, starts_at=100), [("opens_at", "is not before closes_at")]),
        (Details(opens_at=95, closes_at=90), [("opens_at", "is not before closes_at")]),
        (Details(starts_at=100, ends_at=200, closes_at=201), [("closes_at", "is after ends_at")]),
        (
            Details(starts_at=100, ends_at=50, closes_at=60, opens_at=70),
            [
                ("ends_at", "is before starts_at"),
                ("opens_at", "is not before closes_at"),
                ("closes_at", "is after ends_at"),
            ],
        ),
    ],
)
def test_every_contradiction_is_told_with_the_field_at_fault(details: Details, found: list[tuple[str, str]]) -> None:
    assert contradictions(details) == found


@given(possible, st.integers(-5, 25))
def test_closed_booking_is_closed_for_good(details: Details, now: int) -> None:
    closed = details.closed(now)
    afterwards = now if details.opens_at is None else max(now, details.opens_at + 1)
    assert closed.schedule.booking(afterwards) == "closed"
    assert replace(closed, closes_at=details.closes_at) == details


@given(possible, st.integers(-5, 25))
def test_opened_booking_is_open_now_and_never_longer_than_anything_says(details: Details, now: int) -> None:
    opened = details.opened(now)
    bounds = [details.closes_at, details.starts_at, details.ends_at]
    if opened is None:
        assert details.starts_at is not None
        assert all(bound is None or bound <= now for bound in bounds)
    else:
        assert opened.schedule.booking(now) == "open"
        assert opened.schedule.booking_ends_at in (*bounds, None)
        if details.schedule.booking(now) == "open":
            assert opened == details
