"""A store in memory that takes its time, fails when it is told to, and remembers every commit."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from random import Random
from typing import Final, NamedTuple

from webapp.booking.ledger import Entry
from webapp.booking.state import Counts, EventCursor, EventPage, Status
from webapp.storage.store import Addition, LiveOrder, Rejected

SLOW_S: Final = 1_000.0
STATUSES: Final[dict[str, Status]] = {"booked": "booked", "joined": "waiting", "promoted": "booked"}


class Fate(NamedTuple):
    """How an append goes: whether its batch is stored, how long it takes then, and what it raises at last."""

    error: Exception | None = None
    is_stored: bool = True
    delay_s: float = 0.0


class SimulatedStore:
    """Keeps the promises of a `Store`. `fates` says how the n-th append goes, from 1 on."""

    def __init__(self, random: Random, *, pauses_max: int = 3, entries_per_chunk: int = 5) -> None:
        self.ledgers: dict[str, list[Entry]] = {}
        self.commits: dict[str, list[Counts]] = {}  # what each commit made of an event
        self.fates: dict[int, Fate] = {}
        self.refused: set[str] = set()  # the database rejects whatever concerns these events
        self.appends = 0
        self.slow: set[str] = set()  # the reads that take for ever: counts, events, entries
        self._random = random
        self._pauses_max = pauses_max
        self._entries_per_chunk = entries_per_chunk

    async def append(self, batch: Sequence[Addition]) -> None:
        self.appends += 1
        fate = self.fates.get(self.appends, Fate())
        await self._pause()
        if any(counts.event_id in self.refused or self._has_moved_on(entries, counts) for counts, entries in batch):
            raise Rejected("simulated")
        if fate.is_stored:
            for counts, entries in batch:
                self.ledgers.setdefault(counts.event_id, []).extend(entries)
                self.commits.setdefault(counts.event_id, []).append(counts)
        await asyncio.sleep(fate.delay_s)
        await self._pause()
        if fate.error is not None:
            raise fate.error

    async def entries(self, event_id: str, after: int = 0) -> AsyncIterator[list[Entry]]:
        while chunk := self.ledgers.get(event_id, [])[after : after + self._entries_per_chunk]:
            await self._find("entries")
            yield chunk
            after += len(chunk)

    async def live_orders(self, event_id: str) -> AsyncIterator[list[LiveOrder]]:
        orders: dict[str | None, LiveOrder] = {}
        for entry in self.ledgers.get(event_id, []):
            if entry.kind == "cancelled":
                del orders[entry.order_id]
            elif entry.order_id and entry.guest:
                orders[entry.order_id] = LiveOrder(entry.order_id, entry.guest, STATUSES[entry.kind])
        await self._pause()
        yield list(orders.values())

    async def counts(self, event_id: str) -> Counts | None:
        await self._find("counts")
        found = self.commits[event_id][-1] if event_id in self.commits else None
        await self._pause()
        return found

    async def events(self, limit: int, before: EventCursor | None = None) -> EventPage:
        await self._find("events")
        newest = list(reversed(self.commits))
        start = newest.index(before.event_id) + 1 if before else 0
        page = [self.commits[event_id][-1] for event_id in newest[start : start + limit]]
        await self._pause()
        return EventPage(page, EventCursor(0, page[-1].event_id) if len(newest) > start + limit else None)

    async def close(self) -> None:
        pass

    def _has_moved_on(self, entries: Sequence[Entry], counts: Counts) -> bool:
        return entries[0].seq != len(self.ledgers.get(counts.event_id, [])) + 1

    async def _find(self, what: str) -> None:
        await self._pause()
        if what in self.slow:
            await asyncio.sleep(SLOW_S)

    async def _pause(self) -> None:
        for _ in range(self._random.randint(0, self._pauses_max)):
            await asyncio.sleep(0)
