"""Lively sample events for a look around: guests come and go while somebody watches."""

import asyncio
import random
import time
from typing import Final, NamedTuple

from webapp.booking.answers import Refusal
from webapp.booking.details import Details
from webapp.box_office import BoxOffice
from webapp.desk import Unavailable

HOUR_US: Final = 3_600 * 1_000_000
DAY_US: Final = 24 * HOUR_US


class Sample(NamedTuple):
    """A sample event: when, in days from now and hours of UTC, and how many tickets and guests at the start."""

    title: str
    tickets: int
    guests: int
    days: int
    from_to: tuple[int, int]
    venue: str
    description: str = ""


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
}  # fmt: skip

FIRST: Final = (
    "Ada", "Bob", "Cleo", "Dan", "Elif", "Femi", "Grete", "Hugo", "Ines", "Jun", "Kofi", "Lena", "Mira", "Noor",
    "Olga", "Pablo", "Quinn", "Rosa", "Sven", "Tara", "Uma", "Vito", "Wanda", "Xenia", "Yusuf", "Zoe",
)  # fmt: skip
LAST: Final = ("Abel", "Brandt", "Conti", "Diaz", "Eze", "Fink", "Gruber", "Haas", "Ito", "Jansen", "Khan", "Lund")


async def run_demo(box_office: BoxOffice) -> None:
    """Open the sample events, then let somebody book or cancel every other second, until cancelled."""
    chance = random.Random(7)  # noqa: S311 - sample guests need no secrecy
    today = time.time_ns() // 1_000 // DAY_US * DAY_US
    guests: dict[str, list[str]] = {}
    for event_id, sample in EVENTS.items():
        begins, ends = (today + sample.days * DAY_US + hour * HOUR_US for hour in sample.from_to)
        details = Details(
            title=sample.title, description=sample.description, venue=sample.venue, starts_at=begins, ends_at=ends,
            time_zone="Europe/Berlin",
        )  # fmt: skip
        await box_office.create_event(event_id, sample.tickets, details)
        guests[event_id] = chance.sample([f"{first} {last}" for first in FIRST for last in LAST], sample.guests)
        await asyncio.gather(*(box_office.book(event_id, guest) for guest in guests[event_id]))
    while True:
        await asyncio.sleep(chance.uniform(1, 3))
        event_id = chance.choice(list(EVENTS))
        here = guests[event_id]
        try:
            if here and chance.random() < len(here) / (2 * EVENTS[event_id].guests):
                await box_office.cancel(event_id, here.pop(chance.randrange(len(here))), "guest")
            else:
                guest = f"{chance.choice(FIRST)} {chance.choice(LAST)}"
                if (await box_office.book(event_id, guest)).is_new:
                    here.append(guest)
        except (Refusal, Unavailable):
            continue  # a visitor cancelled for this guest, or too many are looking around
