"""Lively sample events for a look around: guests come and go while somebody watches."""

import asyncio
import random
from typing import Final

from webapp.booking.decisions import Refusal
from webapp.box_office import BoxOffice
from webapp.desk import Unavailable

EVENTS: Final = {
    "Letterpress workshop": (12, 9),
    "Summer night concert": (80, 104),
    "Python meetup": (40, 23),
    "Linear algebra, first lecture": (120, 131),
    "Wine tasting": (16, 16),
}
"""Title, and so many tickets and guests at the start."""

FIRST: Final = (
    "Ada", "Bob", "Cleo", "Dan", "Elif", "Femi", "Grete", "Hugo", "Ines", "Jun", "Kofi", "Lena", "Mira", "Noor",
    "Olga", "Pablo", "Quinn", "Rosa", "Sven", "Tara", "Uma", "Vito", "Wanda", "Xenia", "Yusuf", "Zoe",
)  # fmt: skip
LAST: Final = ("Abel", "Brandt", "Conti", "Diaz", "Eze", "Fink", "Gruber", "Haas", "Ito", "Jansen", "Khan", "Lund")


async def run_demo(box_office: BoxOffice) -> None:
    """Open the sample events, then let somebody book or cancel every other second, until cancelled."""
    chance = random.Random(7)  # noqa: S311 - sample guests need no secrecy
    guests: dict[str, list[str]] = {}
    for event_id, (tickets, count) in EVENTS.items():
        await box_office.open_event(event_id, tickets)
        guests[event_id] = chance.sample([f"{first} {last}" for first in FIRST for last in LAST], count)
        await asyncio.gather(*(box_office.book(event_id, guest) for guest in guests[event_id]))
    while True:
        await asyncio.sleep(chance.uniform(1, 3))
        event_id = chance.choice(list(EVENTS))
        here = guests[event_id]
        try:
            if here and chance.random() < len(here) / (2 * EVENTS[event_id][1]):
                await box_office.cancel(event_id, here.pop(chance.randrange(len(here))), "guest")
            else:
                guest = f"{chance.choice(FIRST)} {chance.choice(LAST)}"
                if (await box_office.book(event_id, guest)).is_new:
                    here.append(guest)
        except (Refusal, Unavailable):
            continue  # a visitor cancelled for this guest, or too many are looking around
