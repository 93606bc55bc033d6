"""Recovery: an event's state, folded from its ledger and checked against everything that was derived from it."""

import asyncio

from webapp.booking.ledger import LedgerDamaged
from webapp.booking.state import EventState, require_whole
from webapp.storage.store import Reader


async def recover(store: Reader, event_id: str) -> EventState:
    """Replay the ledger of an event, and check its counts and its live orders against the state it leads to.

    The event loop runs on between chunks of entries. Nobody may append to the event meanwhile.

    Raises LedgerDamaged, naming the first bad entry; StoreUnreadable.
    """
    state = EventState(event_id)
    async for entries in store.entries(event_id):
        state.replay(entries)
        await asyncio.sleep(0)
    require_whole(state)
    recorded = await store.counts(event_id)
    if recorded != (state.counts if state.exists else None):
        raise LedgerDamaged(event_id, state.head, f"the events table says {recorded}, the ledger {state.counts}")
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
