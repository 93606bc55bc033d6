"""How an event has filled over time: kept in memory, thinned, and brought up to date by reading only what is new."""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from webapp.storage.store import Archive, Stretch

POINTS_MAX: Final = 300
EVENTS_MAX: Final = 64
ENTRIES_PER_HOP: Final = 2_000
"""Entries added up in one hop to the reading thread, about 10 ms: others read in between."""


class Point(NamedTuple):
    """How full an event was, from a time on, in microseconds since 1970, UTC."""

    at: int
    capacity: int
    booked: int
    waiting: int


class Turnout(NamedTuple):
    """How an event has filled up to entry `head`: at most POINTS_MAX points, oldest first, none before it was opened.

    Between two points there may have been more ups and downs than fit; the last one is how it stands. `cancelled` is
    the number of orders that ended.
    """

    head: int
    points: tuple[Point, ...]
    cancelled: int

    @property
    def placed(self) -> int:
        """How many orders were ever placed."""
        return self.cancelled + (self.points[-1].booked + self.points[-1].waiting if self.points else 0)


@dataclass(slots=True)
class _Record:
    """What is known of one event so far; a point stands for 2 ** `bits` microseconds."""

    head: int = 0
    points: list[Point] = field(default_factory=list)
    cancelled: int = 0
    bits: int = 0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    def add(self, stretches: list[Stretch], head: int) -> None:
        """Continue it up to entry `head`."""
        for at, booked, waiting, cancelled, capacity in stretches:
            last = self.points[-1] if self.points else Point(at, 0, 0, 0)
            if self.points and last.at >> self.bits == at >> self.bits:
                self.points.pop()
            tickets = last.capacity if capacity is None else capacity
            self.points.append(Point(at, tickets, last.booked + booked, last.waiting + waiting))
            self.cancelled += cancelled
        while len(self.points) > POINTS_MAX:
            self.bits += 1
            self.points = list({point.at >> self.bits: point for point in self.points}.values())
        self.head = head


class Turnouts:
    """The turnouts of the events that were asked about last."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._records: OrderedDict[str, _Record] = OrderedDict()

    async def up_to(self, event_id: str, head: int) -> Turnout:
        """The turnout of an event, at least up to entry `head`, which must be committed. Raises StoreUnreadable.

        Who gives up waiting loses nothing: the next one goes on from there.
        """
        record = self._records.setdefault(event_id, _Record())
        self._records.move_to_end(event_id)
        if len(self._records) > EVENTS_MAX:
            self._records.popitem(last=False)
        async with record.lock:
            while record.head < head:
                until = min(record.head + ENTRIES_PER_HOP, head)
                latest_at = record.points[-1].at if record.points else 0
                record.add(await self._archive.stretches(event_id, record.head, until, latest_at, record.bits), until)
            return Turnout(record.head, tuple(record.points), record.cancelled)
