"""Lively sample events for a look around: guests come and go while somebody watches."""

import asyncio
import random
from dataclasses import replace
from typing import Final, NamedTuple

from webapp.booking.answers import Placement, Refusal
from webapp.booking.details import Details
from webapp.booking.ledger import Contact
from webapp.box_office import BoxOffice
from webapp.desk import Unavailable

MINUTE_US: Final = 60 * 1_000_000
HOUR_US: Final = 60 * MINUTE_US
DAY_US: Final = 24 * HOUR_US


class Sample(NamedTuple):
    """A sample event: when, in days from now and hours of UTC, and how many tickets and guests at the start.

    With `opens_min`, booking opens so many minutes after the start.
    """

    title: str
    tickets: int
    guests: int
    days: int
    from_to: tuple[int, int]
    venue: str
    description: str = ""
    opens_min: int | None = None


EVENTS: Final = {
    "letterpress": Sample(
        "Letterpress workshop", 12, 9, 3, (13, 17), "Atelier Nord, Mill Lane 4",
        "Set a line of type by hand, ink it, print it, take it home.\n\nBring clothes that may get stained.",
    ),
    "summer-night": Sample(
        "Summer night concert", 80, 104, 9, (18, 22), "Boathouse, Lakeside",
        "Three bands, one stage, no chairs.\n\nDoors open half an hour before.",
    ),
    "python-meetup": Sample(
        "Python meetup", 40, 23, 5, (17, 20), "Town library, room 2",
        "Two talks and pizza. What has been shown so far: https://www.python.org",
    ),
    "linear-algebra": Sample("Linear algebra, first lecture", 120, 131, 14, (7, 9), "Lecture hall A"),
    "wine-tasting": Sample("Wine tasting", 16, 16, 21, (17, 19), "Cellar of the Old Mill"),
    "night-walk": Sample(
        "Night walk with bats", 20, 0, 12, (18, 20), "The oak at the north gate of the park",
        "A biologist leads the way and has detectors for everybody.\n\nWear firm shoes.", opens_min=5,
    ),
    "choir-evening": Sample("Choir evening", 60, 51, -3, (18, 20), "St Anne’s Church"),
}  # fmt: skip

FIRST: Final = (
    "Ada", "Bob", "Cleo", "Dan", "Elif", "Femi", "Grete", "Hugo", "Ines", "Jun", "Kofi", "Lena", "Mira", "Noor",
    "Olga", "Pablo", "Quinn", "Rosa", "Sven", "Tara", "Uma", "Vito", "Wanda", "Xenia", "Yusuf", "Zoe",
)  # fmt: skip
LAST: Final = ("Abel", "Brandt", "Conti", "Diaz", "Eze", "Fink", "Gruber", "Haas", "Ito", "Jansen", "Khan", "Lund")


async def run_demo(box_office: BoxOffice) -> None:
    """Open the sample events, then let somebody book or cancel every other second, until cancelled."""
    chance = random.Random(7)  # noqa: S311 -- sample guests need no secrecy
    guests: dict[str, list[str]] = {}
    for event_id, sample in EVENTS.items():
        guests[event_id] = chance.sample([f"{first} {last}" for first in FIRST for last in LAST], sample.guests)
        await _open(box_office, event_id, sample, guests[event_id])
    lively = [event_id for event_id, sample in EVENTS.items() if sample.days > 0]
    while True:
        await asyncio.sleep(chance.uniform(1, 3))
        event_id = chance.choice(lively)
        here, usual = guests[event_id], EVENTS[event_id].guests or EVENTS[event_id].tickets
        try:
            if here and chance.random() < len(here) / (2 * usual):
                await box_office.cancel(event_id, _address(here.pop(chance.randrange(len(here)))), "guest")
            else:
                guest = f"{chance.choice(FIRST)} {chance.choice(LAST)}"
                if (await _book(box_office, event_id, guest)).is_new:
                    here.append(guest)
        except (Refusal, Unavailable):
            continue  # a visitor cancelled for this guest, booking has not opened, or too many are looking around


async def _open(box_office: BoxOffice, event_id: str, sample: Sample, guests: list[str]) -> None:
    now = box_office.now()
    begins, ends = (now // DAY_US * DAY_US + sample.days * DAY_US + hour * HOUR_US for hour in sample.from_to)
    details = Details(
        title=sample.title, description=sample.description, venue=sample.venue, starts_at=begins, ends_at=ends,
        time_zone="Europe/Berlin", opens_at=sample.opens_min and (now // MINUTE_US + sample.opens_min) * MINUTE_US,
    )  # fmt: skip
    # What is past cannot be booked, so that it becomes past only afterwards.
    await box_office.create_event(event_id, sample.tickets, replace(details, starts_at=None, ends_at=None))
    await asyncio.gather(*(_book(box_office, event_id, name) for name in guests))
    await box_office.revise(event_id, details=details)


async def _book(box_office: BoxOffice, event_id: str, name: str) -> Placement:
    return await box_office.book(event_id, _address(name), contact=Contact(name, _address(name)))


def _address(name: str) -> str:
    return f"{name.lower().replace(' ', '.')}@example.org"
