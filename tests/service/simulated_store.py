"""A store in memory that takes its time, fails when it is told to, and remembers every commit."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from random import Random
from typing import Final, NamedTuple

from webapp.booking.details import UNTOLD, Details
from webapp.booking.ledger import Entry, pseudonym
from webapp.booking.state import Arrival, Event, EventCursor, EventPage, Status
from webapp.storage.store import ANSWERS_KEPT_US, Addition, Audience, Kept, LiveOrder, Rejected, StoreUnreadable

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
        self.ledgers: dict[str, list[Entry]] = {}  # with the names of those who were erased, too
        self.commits: dict[str, list[Event]] = {}  # what each commit made of an event
        self.answers: dict[bytes, Kept] = {}
        self.fates: dict[int, Fate] = {}
        self.refused: set[str] = set()  # the database rejects whatever concerns these events
        self.appends = 0
        self.slow: set[str] = set()  # the reads that take for ever: event, events, entries, kept
        self.unreadable: set[str] = set()  # the reads that fail
        self._erased: set[str | None] = set()  # orders
        self._random = random
        self._pauses_max = pauses_max
        self._entries_per_chunk = entries_per_chunk

    async def append(self, batch: Sequence[Addition]) -> None:
        self.appends += 1
        fate = self.fates.get(self.appends, Fate())
        await self._pause()
        if any(addition.counts.event_id in self.refused or self._has_moved_on(addition) for addition in batch):
            raise Rejected("simulated")
        answers = [kept for addition in batch for kept in addition.kept]
        if len({kept.key for kept in answers}) < len(answers) or any(map(self._is_kept, answers)):
            raise Rejected("an answer is kept already")
        if fate.is_stored:
            for addition in batch:
                self._store(addition)
        await asyncio.sleep(fate.delay_s)
        await self._pause()
        if fate.error is not None:
            raise fate.error

    async def kept(self, keys: Sequence[bytes], since: int) -> list[Kept]:
        await self._find("kept")
        found = [kept for key in keys if (kept := self.answers.get(key)) and kept.at > since]
        await self._pause()
        return found

    async def entries(self, event_id: str, after: int = 0) -> AsyncIterator[list[Entry]]:
        while chunk := self.ledgers.get(event_id, [])[after : after + self._entries_per_chunk]:
            await self._find("entries")
            yield [self._as_read(entry) for entry in chunk]
            after += len(chunk)

    async def live_orders(self, event_id: str) -> AsyncIterator[list[LiveOrder]]:
        orders: dict[str | None, LiveOrder] = {}
        for entry in map(self._as_read, self.ledgers.get(event_id, [])):
            if entry.kind == "cancelled":
                del orders[entry.order_id]
            elif entry.kind in ("checked_in", "check_in_undone"):
                arrival = Arrival(entry.at, entry.detail) if entry.kind == "checked_in" else None
                orders[entry.order_id] = orders[entry.order_id]._replace(arrival=arrival)
            elif entry.kind in STATUSES and entry.order_id and entry.guest:
                orders[entry.order_id] = LiveOrder(entry.order_id, entry.guest, STATUSES[entry.kind], None)
        await self._pause()
        yield list(orders.values())

    async def event(self, event_id: str) -> Event | None:
        await self._find("event")
        found = self.commits[event_id][-1] if event_id in self.commits else None
        await self._pause()
        return found

    async def events(self, limit: int, before: EventCursor | None = None, shown_to: Audience = "guests") -> EventPage:
        await self._find("events")
        newest = [event for commits in reversed(self.commits.values()) if _is_shown(event := commits[-1], shown_to)]
        start = [event.counts.event_id for event in newest].index(before.event_id) + 1 if before else 0
        page = newest[start : start + limit]
        await self._pause()
        return EventPage(page, EventCursor(0, page[-1].counts.event_id) if len(newest) > start + limit else None)

    async def close(self) -> None:
        pass

    def guest_of(self, event_id: str, order_id: str) -> str:
        """Whom the orders table would name now."""
        names = [entry.guest for entry in map(self._as_read, self.ledgers[event_id]) if entry.order_id == order_id]
        return str(names[0])

    def orders_of(self, event_id: str, guest: str) -> tuple[str, ...]:
        """The ids of all orders for which the orders table would name this guest."""
        entries = map(self._as_read, self.ledgers[event_id])
        return tuple(dict.fromkeys(entry.order_id for entry in entries if entry.guest == guest and entry.order_id))

    def _has_moved_on(self, addition: Addition) -> bool:
        builds_on = addition.entries[0].seq - 1 if addition.entries else addition.counts.head
        return builds_on != len(self.ledgers.get(addition.counts.event_id, []))

    def _is_kept(self, answer: Kept) -> bool:
        kept = self.answers.get(answer.key)
        return kept is not None and kept.at > answer.at - ANSWERS_KEPT_US

    def _store(self, addition: Addition) -> None:
        event_id = addition.counts.event_id
        self.ledgers.setdefault(event_id, []).extend(addition.entries)
        self.answers |= {kept.key: kept for kept in addition.kept}
        details = self.commits[event_id][-1].details if event_id in self.commits else UNTOLD
        for entry in addition.entries:
            if entry.kind == "opened":
                details = UNTOLD
            elif isinstance(entry.aside, Details):
                details = entry.aside
            elif entry.kind == "erased" and entry.order_id:
                self._erased.add(entry.order_id)
        if addition.entries:
            self.commits.setdefault(event_id, []).append(Event(addition.counts, details))

    def _as_read(self, entry: Entry) -> Entry:
        """What is read has no asides, and names nobody who was erased."""
        entry = entry._replace(aside=None)
        if entry.order_id is None or entry.order_id not in self._erased:
            return entry
        return entry._replace(guest=pseudonym(entry.order_id), salt=None)

    async def _find(self, what: str) -> None:
        await self._pause()
        if what in self.unreadable:
            raise StoreUnreadable("simulated")
        if what in self.slow:
            await asyncio.sleep(SLOW_S)

    async def _pause(self) -> None:
        for _ in range(self._random.randint(0, self._pauses_max)):
            await asyncio.sleep(0)


def _is_shown(event: Event, shown_to: Audience) -> bool:
    if shown_to == "verifier":
        return True
    return not event.counts.is_deleted and (shown_to == "organiser" or not event.details.hidden)
