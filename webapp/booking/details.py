"""What an organiser tells about an event, and the times between which it can be booked."""

import json
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Final, Literal, NamedTuple, Self

Booking = Literal["not_open_yet", "open", "closed"]


class Schedule(NamedTuple):
    """The times the rules go by, in microseconds since 1970, UTC; None where there is no such bound."""

    opens_at: int | None = None
    closes_at: int | None = None
    starts_at: int | None = None

    @property
    def booking_ends_at(self) -> int | None:
        """When booking closes: at the start, where nothing else was said."""
        return self.starts_at if self.closes_at is None else self.closes_at

    @property
    def promotes_until(self) -> int | None:
        """Until when who waits may still get a ticket: the start, or the close of booking where that is later."""
        if self.starts_at is None or self.closes_at is None:
            return self.starts_at
        return max(self.starts_at, self.closes_at)

    def booking(self, now: int) -> Booking:
        """Whether booking is possible."""
        if self.opens_at is not None and now < self.opens_at:
            return "not_open_yet"
        return "open" if self.booking_ends_at is None or now < self.booking_ends_at else "closed"

    def promotes(self, now: int) -> bool:
        """Whether who waits may still get a ticket."""
        return self.promotes_until is None or now < self.promotes_until


@dataclass(frozen=True, slots=True, kw_only=True)
class Details:
    """Everything an organiser can edit but the capacity. Times are microseconds since 1970, UTC.

    An event without a title goes by its id. A hidden one is in no public list, but open to who knows its address.
    """

    title: str = ""
    description: str = ""  # plain text, in which links may be found and an empty line parts paragraphs
    venue: str = ""
    starts_at: int | None = None
    ends_at: int | None = None
    time_zone: str = "UTC"  # a name of the IANA database
    opens_at: int | None = None
    closes_at: int | None = None
    hidden: bool = False

    @property
    def schedule(self) -> Schedule:
        """The times the rules go by."""
        return Schedule(self.opens_at, self.closes_at, self.starts_at)

    def closed(self, now: int) -> Self:
        """The same, with booking closed from now on; it has been open for a moment at least."""
        return replace(self, closes_at=now if self.opens_at is None else max(now, self.opens_at + 1))

    def opened(self, now: int) -> Self | None:
        """The same, with booking open now: until it was to close anyway, until the start, or else until the end.

        None where the event has begun, and nothing says when booking should close.
        """
        opens_at = None if self.opens_at is None or now < self.opens_at else self.opens_at
        for closes_at in (self.closes_at, None, self.ends_at):
            opened = replace(self, opens_at=opens_at, closes_at=closes_at)
            if opened.schedule.booking(now) == "open":
                return opened
        return None

    def sealed(self) -> str:
        """What the ledger keeps of the details: times in clear, and the words as a digest.

        Words that should never have been there can then be taken back, which an entry cannot.
        """
        words = _json([self.title, self.description, self.venue])
        return _json(
            {
                "starts_at": self.starts_at,
                "ends_at": self.ends_at,
                "time_zone": self.time_zone,
                "opens_at": self.opens_at,
                "closes_at": self.closes_at,
                "hidden": self.hidden,
                "words": sha256(words.encode()).hexdigest(),
            }
        )


def sealed_schedule(sealed: str) -> Schedule:
    """The times in sealed details. Raises ValueError where they are damaged."""
    members = json.loads(sealed)
    if not isinstance(members, dict):
        raise ValueError("the details are no object")
    times = [members.get(name) for name in Schedule._fields]
    if not all(time is None or type(time) is int for time in times):
        raise ValueError("a time is no number")
    return Schedule(*times)


def contradictions(details: Details) -> list[tuple[str, str]]:
    """Which times cannot be true together: the field at fault, and a sentence to be read after its name."""
    found = []
    if details.ends_at is not None and details.starts_at is None:
        found.append(("ends_at", "needs a starts_at"))
    if _is_before(details.ends_at, details.starts_at):
        found.append(("ends_at", "is before starts_at"))
    booking_ends_at = details.schedule.booking_ends_at
    if details.opens_at is not None and booking_ends_at is not None and booking_ends_at <= details.opens_at:
        later = "starts_at, when booking closes" if details.closes_at is None else "closes_at"
        found.append(("opens_at", f"is not before {later}"))
    if _is_before(details.ends_at, details.closes_at):
        found.append(("closes_at", "is after ends_at"))
    return found


def _is_before(one: int | None, other: int | None) -> bool:
    return one is not None and other is not None and one < other


_json: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


UNTOLD: Final = Details()
"""The details of an event of which only the capacity was said."""

UNTOLD_SEALED: Final = UNTOLD.sealed()
