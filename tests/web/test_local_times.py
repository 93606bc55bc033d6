"""Times as fields of forms hold them, in zones whose clocks are put forward and back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.web.test_dates import at
from webapp.web import local_times
from webapp.web.local_times import NoSuchTime


@pytest.mark.parametrize(
    ("text", "time_zone", "utc"),
    [
        ("2026-11-27T20:00", "Europe/Berlin", "2026-11-27T19:00"),
        ("2026-07-27T20:00", "Europe/Berlin", "2026-07-27T18:00"),
        ("2026-11-27 20:00", "UTC", "2026-11-27T20:00"),
        (" 2026-11-27T20:00:30.5 ", "Asia/Kolkata", "2026-11-27T14:30:30"),
        ("2026-10-25T02:30", "Europe/Berlin", "2026-10-25T00:30"),  # the first of two
    ],
)
def test_a_time_is_told_by_the_clocks_of_its_zone(text: str, time_zone: str, utc: str) -> None:
    assert local_times.typed(text, time_zone) == at(utc, "UTC")


@pytest.mark.parametrize("time_zone", ["Europe/Berlin", "America/New_York", "Asia/Kolkata", "UTC"])
@given(minutes=st.integers(0, 4_000_000_000))
def test_what_is_shown_is_read_as_the_same_minute(time_zone: str, minutes: int) -> None:
    moment = minutes * 60_000_000
    read = local_times.typed(local_times.shown(moment, time_zone), time_zone)
    assert moment - read in (0, 3_600_000_000)  # the second of two times of one name is read as the first


def test_a_time_that_is_left_out_by_the_clocks_is_told() -> None:
    with pytest.raises(NoSuchTime) as told:
        local_times.typed("2026-03-29T02:30", "Europe/Berlin")
    assert str(told.value) == (
        "02:30 does not exist on 29 March 2026, when clocks are put forward (Europe/Berlin). "
        "Please choose an earlier or a later time."
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("tomorrow", "Please enter a day and a time, such as 2030-06-18 19:30."),
        ("2026-11-27", "Please enter a day and a time"),
        ("2026-02-30T20:00", "Please enter a day and a time"),
        ("2026-11-27T25:00", "Please enter a day and a time"),
        ("12026-11-27T20:00", "Please enter a day and a time"),
        ("٢٠٢٦-11-27T20:00", "Please enter a day and a time"),
        ("1969-12-31T23:59", "Please enter a year from 1970 to 9999."),
        ("0001-01-01T00:00", "Please enter a year from 1970 to 9999."),
        ("0000-01-01T00:00", "Please enter a day and a time"),
    ],
)
def test_what_is_no_time_is_told(text: str, said: str) -> None:
    with pytest.raises(NoSuchTime, match=said):
        local_times.typed(text, "Asia/Tokyo")


def test_the_last_hours_that_a_clock_can_show_are_no_crash() -> None:
    with pytest.raises(NoSuchTime, match="from 1970 to 9999"):
        local_times.typed("9999-12-31T23:59", "America/New_York")
    assert local_times.shown(None, "UTC") == ""
