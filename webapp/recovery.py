"""Recovery: an event's state, folded from its ledger and checked against everything that was derived from it."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from typing import Final, NamedTuple

from webapp.booking.details import UNTOLD, Details
from webapp.booking.ledger import LedgerDamaged
from webapp.booking.state import Counts, EventCursor, EventState, require_whole
from webapp.storage.store import Reader

log = logging.getLogger(__name__)

EVENTS_PER_PAGE: Final = 100
PROGRESS_EVERY_S: Final = 2.0


async def every_event(store: Reader) -> AsyncIterator[Counts]:
    """The counts of every event, deleted ones too, newest first. Raises StoreUnreadable."""
    before: EventCursor | None = None
    while True:
        page = await store.events(EVENTS_PER_PAGE, before, "verifier")
        for event in page.events:
            yield event.counts
        if page.next is None:
            return
        before = page.next


class Progress:
    """Tells in the log how far the check of all ledgers is: now and then, and at the end."""

    def __init__(self, events: int, entries: int) -> None:
        self._events = events
        self._entries = entries
        self._checked = 0
        self._began = self._told_at = time.monotonic()

    @classmethod
    async def over(cls, store: Reader) -> "Progress":
        """That of a check which begins now. Raises StoreUnreadable."""
        heads = [counts.head async for counts in every_event(store)]
        return cls(len(heads), sum(heads))

    def note(self, entries: int) -> None:
        """Count entries that were checked."""
        self._checked += entries
        if time.monotonic() - self._told_at >= PROGRESS_EVERY_S:
            self._told_at = time.monotonic()
            log.info("checking: %d of %d entries", self._checked, self._entries)

    def end(self) -> None:
        """Tell that everything was checked."""
        seconds = time.monotonic() - self._began
        log.info("checked %d ledgers with %d entries in %.1f s", self._events, self._checked, seconds)


def _untold(_: int) -> None:
    """Nobody watches."""


class Recovered(NamedTuple):
    """An event's state, and the words that go with it."""

    state: EventState
    details: Details


async def recover(store: Reader, event_id: str, progress: Callable[[int], object] = _untold) -> Recovered:
    """Replay the ledger of an event, and check its row and its live orders against the state it leads to.

    The event loop runs on between chunks of entries, and `progress` is told how many each had. Nobody may append to the
    event meanwhile.

    Raises LedgerDamaged, naming the first bad entry; StoreUnreadable.
    """
    state = EventState(event_id)
    try:
        return await _recovered(store, state, progress)
    except (AttributeError, TypeError, ValueError) as wrong:  # one flipped bit makes nothing, or bytes, of a text
        raise LedgerDamaged(event_id, state.head + 1, "a value is of another type than what was written") from wrong


async def _recovered(store: Reader, state: EventState, progress: Callable[[int], object]) -> Recovered:
    event_id = state.event_id
    async for entries in store.entries(event_id):
        state.replay(entries)
        progress(len(entries))
        await asyncio.sleep(0)
    require_whole(state)
    recorded = await store.event(event_id)
    if recorded is None and not state.head:
        return Recovered(state, UNTOLD)
    if recorded is None or recorded.counts != state.counts:
        told = _told(recorded.counts) if recorded else "nothing"
        raise LedgerDamaged(event_id, state.head, f"the events table says {told}, the ledger {_told(state.counts)}")
    if recorded.details.sealed() != state.sealed_details:
        raise LedgerDamaged(event_id, state.revision, "the events table has other details than were recorded")
    await _check_live_orders(store, state)
    return Recovered(state, recorded.details)


async def _check_live_orders(store: Reader, state: EventState) -> None:
    live = 0
    async for orders in store.live_orders(state.event_id):
        for order_id, guest, status, arrival in orders:
            if state.live.get(guest) != order_id or status != ("waiting" if guest in state.waiting else "booked"):
                raise LedgerDamaged(
                    state.event_id, state.head, f"the orders table says that order {order_id} is {status}"
                )
            if state.arrivals.get(guest) != arrival:
                raise LedgerDamaged(
                    state.event_id, state.head, f"the orders table has another check-in of order {order_id}"
                )
        live += len(orders)
    if live != len(state.live):
        raise LedgerDamaged(state.event_id, state.head, f"the orders table lacks {len(state.live) - live} live orders")


def _told(counts: Counts) -> str:
    return (
        f"{counts.booked} of {counts.capacity} booked, {counts.checked_in} of them in, {counts.waiting} waiting, "
        f"{counts.head} entries up to {counts.head_hash.hex()[:12]}"
    )
