"""Dates and times as people read them: in an event's time zone, in English, by a clock of 24 hours."""

from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Day(NamedTuple):
    """A day as a tile of a calendar shows it; `year` is empty where it is the present one."""

    weekday: str
    day: int
    month: str
    year: str
    iso: str


def local(at: int, time_zone: str) -> datetime:
    """A time in microseconds since 1970 as clocks show it in a zone of the IANA database.

    In UTC where this machine does not know the zone (any more), or where that would leave the years 1 to 9999.
    """
    moment = EPOCH + timedelta(microseconds=at)
    try:
        return moment.astimezone(ZoneInfo(time_zone))
    except (KeyError, ValueError, OSError, OverflowError):
        return moment


def moment(at: int, time_zone: str, year: int) -> str:
    """`Friday 27 November 18:00 (Europe/Berlin)`; with the year where it is not the present one."""
    shown = local(at, time_zone)
    return f"{_day_and_time(shown, year)} ({zone(shown)})"


def span(starts_at: int, ends_at: int | None, time_zone: str, year: int) -> str:
    """`Friday 27 November 20:00–23:00 (Europe/Berlin)`; with both days where it ends on another."""
    starts, ends = local(starts_at, time_zone), local(starts_at if ends_at is None else ends_at, time_zone)
    return f"{_day_and_time(starts, year)}{_rest(starts, ends, year)}"


def hours(starts_at: int, ends_at: int | None, time_zone: str, year: int) -> str:
    """As `span`, without the day on which it begins: `20:00–23:00 (Europe/Berlin)`."""
    starts, ends = local(starts_at, time_zone), local(starts_at if ends_at is None else ends_at, time_zone)
    return f"{clock(starts)}{_rest(starts, ends, year)}"


def tile(at: int, time_zone: str, year: int) -> Day:
    """The day on which a time falls: Fri, 27, Nov."""
    shown = local(at, time_zone)
    named = "" if shown.year == year else str(shown.year)
    return Day(_WEEKDAYS[shown.weekday()][:3], shown.day, _MONTHS[shown.month - 1][:3], named, shown.date().isoformat())


def clock(shown: datetime) -> str:
    """`18:00`."""
    return f"{shown.hour:02}:{shown.minute:02}"


def day(shown: datetime, year: int) -> str:
    """`27 November`; with the year where it is not the given one."""
    return f"{shown.day} {month(shown)}{'' if shown.year == year else f' {shown.year}'}"


def month(shown: datetime) -> str:
    """`November`."""
    return _MONTHS[shown.month - 1]


def year_ends_at(at: int, time_zone: str) -> int | None:
    """When the year of a moment ends in a zone, all in microseconds since 1970; None for the last year there is."""
    shown = local(at, time_zone)
    try:
        new_year = shown.replace(shown.year + 1, 1, 1, 0, 0, 0, 0, fold=0)
        return (new_year - EPOCH) // timedelta(microseconds=1)
    except (ValueError, OverflowError):
        return None


def zone(shown: datetime) -> str:
    """The name of the zone that a local time is told in: `Europe/Berlin`."""
    return shown.tzinfo.key if isinstance(shown.tzinfo, ZoneInfo) else "UTC"


def _rest(starts: datetime, ends: datetime, year: int) -> str:
    said = ""
    if ends.date() != starts.date():
        said = f" – {_day_and_time(ends, year)}"
    elif clock(ends) != clock(starts):
        said = f"–{clock(ends)}"
    return f"{said} ({zone(starts)})"


def _day_and_time(shown: datetime, year: int) -> str:
    comma = "" if shown.year == year else ","
    return f"{_WEEKDAYS[shown.weekday()]} {day(shown, year)}{comma} {clock(shown)}"


# Not the standard library's, which speaks whatever language the process was started in.
_WEEKDAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS: Final = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
