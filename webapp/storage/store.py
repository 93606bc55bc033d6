"""What a store promises the box office, which knows nothing else of storage."""

from collections.abc import AsyncIterator, Sequence
from typing import Final, Literal, NamedTuple, Protocol

from webapp.booking.ledger import Entry, Kind
from webapp.booking.state import Arrival, Counts, Event, EventCursor, EventPage, Status

Audience = Literal["guests", "organiser", "verifier"]
"""Who is shown a list of events: guests see no hidden ones, and who verifies sees deleted ones, too."""

ANSWERS_KEPT_US: Final = 24 * 3_600 * 1_000_000
"""How long an answer is kept under somebody's key, in microseconds."""


class NotCommitted(Exception):
    """Nothing of the batch was stored, for certain; it may be tried again once the cause is gone."""


class Rejected(NotCommitted):
    """The database refused the content of the batch: one of its events contradicts what is stored."""


class OutcomeUnknown(Exception):
    """Whether the batch was stored cannot be known. The process must end and read the truth again."""


class Kept(NamedTuple):
    """An answer that was given under somebody's key."""

    key: bytes  # 32 bytes: who asked, for what, under which key
    request: bytes  # 32 bytes: what he said
    event_id: str
    at: int  # microseconds since 1970, UTC
    text: str


class Addition(NamedTuple):
    """New entries of one event, its counts after them, and answers to keep.

    It builds on entry `entries[0].seq - 1`. Where answers alone are kept, there are no entries.
    """

    counts: Counts
    entries: Sequence[Entry]
    kept: Sequence[Kept] = ()


class LiveOrder(NamedTuple):
    """An order that is booked or waiting, as the orders table has it."""

    id: str
    guest: str
    status: Status
    arrival: Arrival | None


class OrderRow(NamedTuple):
    """An order, as the orders table has it. Times are microseconds since 1970, UTC."""

    id: str
    event_id: str
    guest: str
    name: str | None
    email: str | None
    status: Status
    placed_at: int
    placed_entry: int
    cancel_reason: str | None
    checked_in_at: int | None
    gate: str | None
    erased_at: int | None


class Turn(NamedTuple):
    """An entry that may have moved the waiting list; for a cancelled order, where it was placed, and if it waited.

    `promoted` is how many got a ticket through it; `lapsed`, whether instead promotions were over from then on.
    """

    seq: int
    kind: Kind
    at: int  # microseconds since 1970, UTC
    placed_entry: int | None
    waited: bool
    promoted: int = 0
    lapsed: bool = False


class Stretch(NamedTuple):
    """What some successive entries have changed: differences, and the capacity where they set one.

    `at` is the latest time so far, in microseconds since 1970, UTC: a clock that was put back makes none earlier.
    """

    at: int
    booked: int
    waiting: int
    cancelled: int
    capacity: int | None


class ProgrammeCursor(NamedTuple):
    """Where a page of the programme ended: in which part, at which rank, at which of the events that share it.

    The rank is a time in microseconds since 1970, UTC: in part 0, of upcoming events, the start; in part 1, of those
    without a date, minus the opening; in part 2, of past ones, minus the end.
    """

    part: int
    rank: int
    event_id: str


class ProgrammePage(NamedTuple):
    """Some events in the order of the programme, and where the next page starts; None where there is none."""

    events: list[Event]
    next: ProgrammeCursor | None


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

    async def event(self, event_id: str) -> Event | None:
        """An event as last committed, also one that was deleted; None where there never was one.

        Raises StoreUnreadable.
        """

    async def events(self, limit: int, before: EventCursor | None = None, shown_to: Audience = "guests") -> EventPage:
        """Events, newest first, at most `limit`, and where the next page starts.

        Raises StoreUnreadable.
        """


class Archive(Reader, Protocol):
    """What is committed, for who asks what is on, and about single orders, lists of them, and ledgers."""

    async def programme(
        self, now: int, limit: int, after: ProgrammeCursor | None = None, shown_to: Audience = "guests", q: str = ""
    ) -> ProgrammePage:
        """At most `limit` events behind a cursor, at a moment in microseconds since 1970, UTC.

        Upcoming ones, which are not over yet, by their start; then those without a date, newest first; then past ones,
        the last to end first. With `q`, those that have it in their title, whatever the case.

        Raises StoreUnreadable.
        """

    async def order(self, order_id: str) -> OrderRow | None:
        """An order; None where there is none.

        Raises StoreUnreadable.
        """

    async def orders_beginning(self, prefix: str) -> list[OrderRow]:
        """The orders whose ids begin with some hexadecimal digits, by id, at most 1,000.

        Raises StoreUnreadable.
        """

    async def orders_with(self, order_ids: Sequence[str]) -> list[OrderRow]:
        """The orders with these ids, in no order; without those that there are not.

        Raises StoreUnreadable.
        """

    async def orders(self, event_id: str, after: int) -> tuple[list[OrderRow], int | None]:
        """Some orders of an event placed behind entry `after`, in that order, and the entry to go on behind.

        There may be fewer than fit, or none, and yet more to come; None says that this was all.

        Raises StoreUnreadable.
        """

    async def ledger_page(self, event_id: str, after: int, limit: int) -> list[Entry]:
        """At most `limit` entries of an event behind number `after`, in order.

        Raises StoreUnreadable.
        """

    async def turns_of(self, order_id: str) -> list[Entry]:
        """What happened to an order after it was placed, in order.

        Raises StoreUnreadable.
        """

    async def turns_at(self, event_id: str, after: int, until: int, limit: int) -> tuple[list[Turn], bool]:
        """The last cancellations and changes of an event behind `after` up to `until`, latest first, at most `limit`.

        With them comes whether these are all. `after` must not lie between a turn and the promotions it led to.

        Raises StoreUnreadable.
        """

    async def stretches(self, event_id: str, after: int, until: int, latest_at: int, bits: int) -> list[Stretch]:
        """What the entries behind `after` up to `until` have changed, in order, for every 2 ** `bits` microseconds.

        `latest_at` is the latest time up to entry `after`.

        Raises StoreUnreadable.
        """


class Store(Reader, Protocol):
    """Ledgers, and what is derived from them. One task appends."""

    async def kept(self, keys: Sequence[bytes], since: int) -> list[Kept]:
        """What is kept under these keys since a time, in microseconds since 1970, UTC. For the task that appends.

        Raises StoreUnreadable.
        """

    async def append(self, batch: Sequence[Addition]) -> None:
        """Store all additions, or none: one transaction, on disk when this returns.

        Raises Rejected, NotCommitted, OutcomeUnknown.
        """

    async def close(self) -> None:
        """Give everything back. Nothing may be called afterwards."""


class StoreUnreadable(Exception):
    """A read failed."""
