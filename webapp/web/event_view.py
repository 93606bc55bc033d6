"""An event as pages show it at one moment: what it is, how full it is, and whether it can be booked."""

from typing import NamedTuple

from webapp.booking.details import Booking, Details
from webapp.booking.state import Counts, Event
from webapp.web import dates


class EventView(NamedTuple):
    """All that an event's pages depend on. Those of two equal views look the same, so that they are rendered once."""

    counts: Counts
    details: Details
    booking: Booking
    promotes: bool  # whether who waits may still get a ticket
    is_past: bool  # over, or begun where no end was said; and nobody can book any more
    year: int  # the present one, which dates do not name

    @property
    def title(self) -> str:
        """What the event is called."""
        return Event(self.counts, self.details).title

    @property
    def is_open(self) -> bool:
        """Whether it can be booked."""
        return self.booking == "open"

    @property
    def is_over(self) -> bool:
        """Whether it has ended, as far as it is known when, and nobody can book any more."""
        return self.is_past and self.details.ends_at is not None

    @property
    def when(self) -> str:
        """When it takes place; empty where that was not said."""
        details = self.details
        if details.starts_at is None:
            return ""
        return dates.span(details.starts_at, details.ends_at, details.time_zone, self.year)

    @property
    def day(self) -> dates.Day | None:
        """The day on which it begins; None where that was not said."""
        details = self.details
        return None if details.starts_at is None else dates.tile(details.starts_at, details.time_zone, self.year)

    @property
    def hours(self) -> str:
        """At what times of that day, or until which other one; empty where that was not said."""
        details = self.details
        if details.starts_at is None:
            return ""
        return dates.hours(details.starts_at, details.ends_at, details.time_zone, self.year)

    @property
    def opens(self) -> str:
        """When booking opens; empty where it always has been."""
        return self._moment(self.details.opens_at)

    @property
    def closes(self) -> str:
        """When booking closes; empty where it never does."""
        return self._moment(self.details.schedule.booking_ends_at)

    @property
    def time_zone(self) -> str:
        """The zone that its times are told in."""
        return dates.zone(dates.local(0, self.details.time_zone))

    def _moment(self, at: int | None) -> str:
        return "" if at is None else dates.moment(at, self.details.time_zone, self.year)


def view(event: Event, now: int) -> EventView:
    """The event at a moment, in microseconds since 1970, UTC."""
    counts, details = event
    promotes = details.schedule.promotes(now) and not counts.has_lapsed
    over_at = details.starts_at if details.ends_at is None else details.ends_at
    booking = details.schedule.booking(now)
    is_past = over_at is not None and over_at <= now and booking == "closed"
    year = dates.local(now, details.time_zone).year
    return EventView(counts, details, booking, promotes, is_past, year)


def next_change(event: Event, now: int) -> int | None:
    """The next moment at which time alone makes another view of the event; both in microseconds since 1970, UTC."""
    present = view(event, now)
    return next((at for at in sorted(moments_after(event, now)) if view(event, at) != present), None)


def moments_after(event: Event, now: int) -> set[int]:
    """The moments to come at which time alone may make another view of the event; all in microseconds since 1970."""
    details, schedule = event.details, event.details.schedule
    moments = {
        details.opens_at, schedule.booking_ends_at, schedule.promotes_until, details.starts_at, details.ends_at,
        dates.year_ends_at(now, details.time_zone),
    }  # fmt: skip
    return {at for at in moments if at is not None and at > now}
