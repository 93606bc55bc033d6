"""Dates as people read them."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.web.unhurried import UNHURRIED
from webapp.web import dates


def at(text: str, zone: str = "Europe/Berlin") -> int:
    """The microseconds of a time on the clocks of a zone."""
    return (datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)) - dates.EPOCH) // timedelta(microseconds=1)


LATEST = at("9999-12-31T23:59:59", "UTC")


@pytest.mark.parametrize(
    ("starts", "ends", "said"),
    [
        ("2026-11-27T20:00", None, "Friday 27 November 20:00 (Europe/Berlin)"),
        ("2026-11-27T20:00", "2026-11-27T20:00", "Friday 27 November 20:00 (Europe/Berlin)"),
        ("2026-11-27T20:00", "2026-11-27T23:30", "Friday 27 November 20:00–23:30 (Europe/Berlin)"),
        ("2026-11-27T20:00", "2026-11-28T02:00",
         "Friday 27 November 20:00 – Saturday 28 November 02:00 (Europe/Berlin)"),
        ("2026-12-31T20:00", "2027-01-01T02:00",
         "Thursday 31 December 20:00 – Friday 1 January 2027, 02:00 (Europe/Berlin)"),
        ("2027-07-01T09:05", "2027-07-01T10:00", "Thursday 1 July 2027, 09:05–10:00 (Europe/Berlin)"),
    ],
)  # fmt: skip
def test_an_event_is_told_from_its_start_to_its_end_in_its_own_zone(starts: str, ends: str | None, said: str) -> None:
    assert dates.span(at(starts), at(ends) if ends else None, "Europe/Berlin", 2026) == said


@pytest.mark.parametrize(
    ("starts", "ends", "said"),
    [
        ("2026-11-27T20:00", None, "20:00 (Europe/Berlin)"),
        ("2026-11-27T20:00", "2026-11-27T23:30", "20:00–23:30 (Europe/Berlin)"),
        ("2026-11-27T20:00", "2026-11-28T02:00", "20:00 – Saturday 28 November 02:00 (Europe/Berlin)"),
        ("2027-12-31T20:00", "2028-01-01T02:00", "20:00 – Saturday 1 January 2028, 02:00 (Europe/Berlin)"),
    ],
)
def test_beside_its_day_an_events_hours_are_told_without_it(starts: str, ends: str | None, said: str) -> None:
    assert dates.hours(at(starts), at(ends) if ends else None, "Europe/Berlin", 2026) == said


@pytest.mark.parametrize(
    ("time", "zone", "said"),
    [
        ("2026-11-27T20:00", "Europe/Berlin", ("Fri", 27, "Nov", "", "2026-11-27")),
        ("2027-05-01T00:00", "Europe/Berlin", ("Sat", 1, "May", "2027", "2027-05-01")),
        ("2027-01-01T00:30", "UTC", ("Thu", 31, "Dec", "", "2026-12-31")),
    ],
)
def test_a_tile_shows_the_day_in_a_zone_and_a_year_that_is_not_the_present_one(
    time: str, zone: str, said: tuple[str, int, str, str, str]
) -> None:
    assert dates.tile(at(time), zone, 2026) == said


def test_one_moment_is_another_hour_and_perhaps_another_day_elsewhere() -> None:
    moment = at("2026-11-27T20:00")
    assert dates.moment(moment, "Asia/Tokyo", 2026) == "Saturday 28 November 04:00 (Asia/Tokyo)"
    assert dates.moment(moment, "UTC", 2026) == "Friday 27 November 19:00 (UTC)"
    summer = at("2026-07-03T20:00")
    assert dates.moment(summer, "UTC", 2026) == "Friday 3 July 18:00 (UTC)"


@pytest.mark.parametrize("zone", ["Nowhere/At_All", "", "../../etc/passwd", "/etc/passwd", "Europe", "a\x00b"])
def test_a_zone_that_this_machine_does_not_know_is_told_in_utc(zone: str) -> None:
    assert dates.moment(at("2026-11-27T20:00"), zone, 2026) == "Friday 27 November 19:00 (UTC)"


def test_a_time_that_ends_behind_the_last_year_is_told_in_utc() -> None:
    assert dates.moment(LATEST, "Asia/Tokyo", 2026) == "Friday 31 December 9999, 23:59 (UTC)"


@UNHURRIED
@given(st.integers(0, LATEST), st.sampled_from(sorted(available_timezones())), st.none() | st.integers(0, LATEST))
def test_every_time_in_every_zone_can_be_told(starts_at: int, zone: str, ends_at: int | None) -> None:
    said = dates.span(starts_at, ends_at, zone, 2026)
    assert said.endswith((f"({zone})", "(UTC)"))
    local = dates.local(starts_at, zone)
    assert local.astimezone(UTC) == dates.EPOCH + timedelta(microseconds=starts_at)
    assert dates.clock(local) in said
