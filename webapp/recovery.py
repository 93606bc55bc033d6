"""Recovery: an event's state, folded from its ledger and checked against everything that was derived from it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Final, NamedTuple

from webapp.booking.details import UNTOLD, Details
from webapp.booking.ledger import LedgerDamaged
from webapp.booking.state import Counts, EventCursor, EventState, require_whole
from webapp.storage.store import Reader

EVENTS_PER_PAGE: Final = 100


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
        for order in orders:
            if state.live.get(order.guest) != order.id or state.status(order.guest) != order.status:
                raise LedgerDamaged(
                    state.event_id, state.head, f"the orders table says that order {order.id} is {order.status}"
                )
            if state.arrivals.get(order.guest) != order.arrival:
                raise LedgerDamaged(
                    state.event_id, state.head, f"the orders table has another check-in of order {order.id}"
                )
        live += len(orders)
    if live != len(state.live):
        raise LedgerDamaged(state.event_id, state.head, f"the orders table lacks {len(state.live) - live} live orders")


def _told(counts: Counts) -> str:
    return (
        f"{counts.booked} of {counts.capacity} booked, {counts.checked_in} of them in, {counts.waiting} waiting, "
        f"{counts.head} entries up to {counts.head_hash.hex()[:12]}"
    )
