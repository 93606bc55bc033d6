"""An event as a file that calendars take. It is public, and so names no guest and no order.

Source: https://www.rfc-editor.org/rfc/rfc5545
"""

import hmac
import re
import unicodedata
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Final
from zoneinfo import ZoneInfo

import icalendar

from webapp import __version__
from webapp.booking.state import Event
from webapp.web import dates

METHOD: Final = "PUBLISH"
PRODUCT: Final = f"-//Fairlist//Fairlist {__version__}//EN"
NAME_LENGTH_MAX: Final = 60
DAYS_AROUND: Final = 200
"""Changes of the clocks so near to an event are told, for calendars that do not know its zone."""

LAST_DAY: Final = datetime(9999, 12, 30, tzinfo=UTC)


class CalendarUids:
    """What calendars know events by: derived from a secret of 32 bytes, and so the same for good."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def uid(self, event_id: str) -> str:
        """The UID of an event, which no other event has, here or elsewhere."""
        return f"{hmac.digest(self._secret, event_id.encode(), 'sha256').hex()[:32]}@fairlist"


def calendar(event: Event, starts_at: int, uid: str, address: str, now: int) -> bytes:
    """The file; `address` is that of the event's page. Times are microseconds since 1970, UTC."""
    counts, details = event
    entry = icalendar.Event()
    entry.add("uid", uid)
    entry.add("sequence", counts.revision)
    entry.add("dtstamp", dates.local(now, "UTC").replace(microsecond=0))
    starts = _moment(starts_at, details.time_zone)
    ends = starts if details.ends_at is None else _moment(details.ends_at, details.time_zone)
    entry.add("dtstart", starts)
    if ends > starts:  # an event without an end has none here either: it would have to be later than the start
        entry.add("dtend", ends)
    entry.add("summary", event.title)
    if details.venue:
        entry.add("location", details.venue)
    entry.add("description", f"{details.description}\n\n{address}".strip())
    entry.add("url", address)

    file = icalendar.Calendar()
    file.add("version", "2.0")
    file.add("prodid", PRODUCT)
    file.add("method", METHOD)
    file.add_component(entry)
    if file.get_missing_tzids():  # none where all times are in UTC
        file.subcomponents.insert(0, _time_zone(details.time_zone, [starts, ends]))
    return bytes(file.to_ical())


def _moment(at: int, time_zone: str) -> datetime:
    """A time in its zone; in UTC where clocks show that time twice, since it would be taken for the first one."""
    shown = dates.local(at, time_zone).replace(microsecond=0)
    return shown.astimezone(UTC) if shown.fold else shown


def _time_zone(name: str, times: Iterable[datetime]) -> icalendar.Timezone:
    """The offsets of a zone around some times, without gaps.

    The package can make one, too, but says of every change to summer time that it comes an hour late.
    """
    zone = ZoneInfo(name)
    days = sorted({day for at in times for day in _days_around(at)})
    told = icalendar.Timezone()
    told.add("tzid", name)
    told.add_component(_offset_from(days[0], days[0], zone))
    for before, after in pairwise(days):
        for change in _changes(before, after, zone):
            told.add_component(_offset_from(change, change - timedelta(seconds=1), zone))
    return told


def _days_around(at: datetime) -> Iterator[datetime]:
    """The beginnings of days in UTC, but for those so late that a zone's clock may show the year 10000."""
    day = at.astimezone(UTC).replace(hour=0, minute=0, second=0)
    for number in range(-DAYS_AROUND, min(DAYS_AROUND, (LAST_DAY - day).days) + 1):
        yield day + timedelta(days=number)


def _changes(before: datetime, after: datetime, zone: ZoneInfo) -> Iterator[datetime]:
    """The first seconds, in UTC, from which another offset holds, until it is the one that holds at the end."""
    while _offset(before, zone) != _offset(after, zone):
        low, high = before, after
        while high - low > timedelta(seconds=1):
            middle = low + timedelta(seconds=(high - low) // timedelta(seconds=2))
            low, high = (middle, high) if _offset(middle, zone) == _offset(before, zone) else (low, middle)
        yield high
        before = high


def _offset_from(start: datetime, before: datetime, zone: ZoneInfo) -> icalendar.Component:
    """The offset that holds from a time in UTC on; the time is told by clocks that have not changed yet."""
    now = start.astimezone(zone)
    told = icalendar.TimezoneDaylight() if now.dst() else icalendar.TimezoneStandard()
    told.add("dtstart", (start + _offset(before, zone)).replace(tzinfo=None))
    told.add("tzoffsetfrom", _offset(before, zone))
    told.add("tzoffsetto", _offset(start, zone))
    told.add("tzname", now.tzname())
    return told


def _offset(at: datetime, zone: ZoneInfo) -> timedelta:
    return at.astimezone(zone).utcoffset() or timedelta()


def file_name(title: str) -> str:
    """What a title leaves of itself in a file's name, in ASCII letters and digits: `Summer-night.ics`."""
    plain = unicodedata.normalize("NFKD", title[:NAME_LENGTH_MAX]).encode("ascii", "ignore").decode()
    return f"{re.sub(r'[^A-Za-z0-9]+', '-', plain).strip('-') or 'event'}.ics"
