"""Recovery: an event's state, folded from its ledger and checked against everything that was derived from it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Final

from webapp.booking.ledger import LedgerDamaged
from webapp.booking.state import Counts, EventCursor, EventState, require_whole
from webapp.storage.store import Reader

EVENTS_PER_PAGE: Final = 100


async def every_event(store: Reader) -> AsyncIterator[Counts]:
    """The counts of every event, newest first. Raises StoreUnreadable."""
    before: EventCursor | None = None
    while True:
        page = await store.events(EVENTS_PER_PAGE, before)
        for counts in page.events:
            yield counts
        if page.next is None:
            return
        before = page.next


def _untold(_: int) -> None:
    """Nobody watches."""


async def recover(store: Reader, event_id: str, progress: Callable[[int], object] = _untold) -> EventState:
    """Replay the ledger of an event, and check its counts and its live orders against the state it leads to.

    The event loop runs on between chunks of entries, and `progress` is told how many each had. Nobody may append to the
    event meanwhile.

    Raises LedgerDamaged, naming the first bad entry; StoreUnreadable.
    """
    state = EventState(event_id)
    async for entries in store.entries(event_id):
        state.replay(entries)
        progress(len(entries))
        await asyncio.sleep(0)
    require_whole(state)
    recorded = await store.counts(event_id)
    if recorded != (state.counts if state.exists else None):
        raise LedgerDamaged(
            event_id, state.head, f"the events table says {_told(recorded)}, the ledger {_told(state.counts)}"
        )
    if not state.exists:
        return state
    live = 0
    async for orders in store.live_orders(event_id):
        for order in orders:
            if state.live.get(order.guest) != order.id or state.status(order.guest) != order.status:
                raise LedgerDamaged(
                    event_id, state.head, f"the orders table says that order {order.id} is {order.status}"
                )
        live += len(orders)
    if live != len(state.live):
        raise LedgerDamaged(event_id, state.head, f"the orders table lacks {len(state.live) - live} live orders")
    return state


def _told(counts: Counts | None) -> str:
    if counts is None:
        return "nothing"
    return (
        f"{counts.booked} of {counts.capacity} booked, {counts.waiting} waiting, "
        f"{counts.head} entries up to {counts.head_hash.hex()[:12]}"
    )
