"""Times as fields of the type `datetime-local` hold them: by the clocks of an event's zone, without naming it.

Source: https://html.spec.whatwg.org/multipage/input.html#local-date-and-time-state-(type=datetime-local)
"""

import re
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from webapp.web import dates
from webapp.web.dates import EPOCH

_TYPED: Final = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]+([0-9]{2}:[0-9]{2}(?::[0-9]{2})?)(?:\.[0-9]+)?")


class NoSuchTime(ValueError):
    """What was typed stands for no time; a sentence for whoever typed it."""


def shown(at: int | None, time_zone: str) -> str:
    """What a field shows for a time in microseconds since 1970, UTC; nothing for none, and no fractions of a minute."""
    if at is None:
        return ""
    return dates.local(at, time_zone).replace(tzinfo=None).isoformat(timespec="minutes")


def typed(text: str, time_zone: str) -> int:
    """The time that a field stands for, in microseconds since 1970, UTC; of two of the same name, the first.

    Raises NoSuchTime.
    """
    match = _TYPED.fullmatch(text.strip())
    try:
        if match is None:
            raise ValueError
        local = datetime.fromisoformat(f"{match[1]}T{match[2]}")
    except ValueError:
        raise NoSuchTime("Please enter a day and a time, such as 2030-06-18 19:30.") from None
    try:
        zone = ZoneInfo(time_zone)
        moment = local.replace(tzinfo=zone).astimezone(UTC)
        has_existed = moment.astimezone(zone).replace(tzinfo=None) == local
    except OverflowError:
        raise NoSuchTime(OUT_OF_RANGE) from None
    if moment < EPOCH:
        raise NoSuchTime(OUT_OF_RANGE)
    if not has_existed:
        day = dates.day(local, local.year)
        raise NoSuchTime(
            f"{dates.clock(local)} does not exist on {day} {local.year}, when clocks are put forward ({time_zone}). "
            "Please choose an earlier or a later time."
        )
    return (moment - EPOCH) // timedelta(microseconds=1)


OUT_OF_RANGE: Final = "Please enter a year from 1970 to 9999."
