"""What a store promises the box office, which knows nothing else of storage."""

from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple, Protocol

from webapp.booking.ledger import Entry
from webapp.booking.state import Counts, EventCursor, EventPage, Status


class NotCommitted(Exception):
    """Nothing of the batch was stored, for certain; it may be tried again once the cause is gone."""


class Rejected(NotCommitted):
    """The database refused the content of the batch: one of its events contradicts what is stored."""


class OutcomeUnknown(Exception):
    """Whether the batch was stored cannot be known. The process must end and read the truth again."""


class Addition(NamedTuple):
    """New entries of one event, and the event's counts after them. It builds on entry `entries[0].seq - 1`."""

    counts: Counts
    entries: Sequence[Entry]


class LiveOrder(NamedTuple):
    """An order that is booked or waiting, as the orders table has it."""

    id: str
    guest: str
    status: Status


class Reader(Protocol):
    """What is committed, for everybody."""

    def entries(self, event_id: str, after: int = 0) -> AsyncIterator[list[Entry]]:
        """The entries of an event behind number `after`, in order, in chunks.

        Raises StoreUnreadable.
        """

    def live_orders(self, event_id: str) -> AsyncIterator[list[LiveOrder]]:
        """The booked and waiting orders of an event, in no order, in chunks.

        Raises StoreUnreadable.
        """

    async def counts(self, event_id: str) -> Counts | None:
        """The counts of an event as last committed; None where there is none.

        Raises StoreUnreadable.
        """

    async def events(self, limit: int, before: EventCursor | None = None) -> EventPage:
        """Events, newest first, at most `limit`, and where the next page starts.

        Raises StoreUnreadable.
        """


class Store(Reader, Protocol):
    """Ledgers, and what is derived from them. One task appends."""

    async def append(self, batch: Sequence[Addition]) -> None:
        """Store all additions, or none: one transaction, on disk when this returns.

        Raises Rejected, NotCommitted, OutcomeUnknown.
        """

    async def close(self) -> None:
        """Give everything back. Nothing may be called afterwards."""


class StoreUnreadable(Exception):
    """A read failed."""
