"""The state of one event, which is the fold of its ledger: `apply` is the only thing that changes it."""

from collections.abc import Callable, Iterable
from typing import Final, Literal, NamedTuple

from webapp.booking.ledger import GENESIS, Actor, Entry, Fact, LedgerDamaged, commitment, seal
from webapp.booking.waiting_list import WaitingList

Status = Literal["booked", "waiting", "cancelled"]


class BrokenInvariant(AssertionError):
    """An entry contradicts the state it is applied to. In a live decision it is a bug, in a fold it is damage."""


class Counts(NamedTuple):
    """What everybody may know of an event: how full it is, and the entry up to which that holds."""

    event_id: str
    capacity: int
    booked: int
    waiting: int
    head: int  # number of the last entry
    head_hash: bytes

    @property
    def available(self) -> int:
        """How many tickets are free."""
        return self.capacity - self.booked


class EventCursor(NamedTuple):
    """Where a page of events ended."""

    opened_at: int  # microseconds since 1970, UTC
    event_id: str


class EventPage(NamedTuple):
    """Some events, newest first, and where the next page starts; None where there is none."""

    events: list[Counts]
    next: EventCursor | None


class EventState:
    """Capacity, who is booked and who waits, at one event; nothing at all before its `opened` entry."""

    __slots__ = ("booked", "capacity", "event_id", "head", "head_hash", "live", "waiting")

    def __init__(self, event_id: str) -> None:
        self.event_id = event_id
        self.capacity = 0
        self.booked = 0
        self.live: dict[str, str] = {}  # guest -> the id of his one live order, booked or waiting
        self.waiting = WaitingList()
        self.head = 0
        self.head_hash = GENESIS

    @property
    def exists(self) -> bool:
        """Whether the event has been opened."""
        return self.head > 0

    @property
    def free(self) -> int:
        """How many tickets nobody holds."""
        return self.capacity - self.booked

    @property
    def counts(self) -> Counts:
        """What may be published of this state."""
        return Counts(self.event_id, self.capacity, self.booked, len(self.waiting), self.head, self.head_hash)

    def status(self, guest: str) -> Status | None:
        """The status of a guest's live order; None where he has none."""
        if guest not in self.live:
            return None
        return "waiting" if guest in self.waiting else "booked"

    def record(self, fact: Fact, at: int, actor: Actor) -> Entry:
        """Seal a decided fact as the next entry, apply it, and return it.

        Raises BrokenInvariant if the fact contradicts the state.
        """
        draft = Entry(
            self.head + 1, fact.kind, at, actor, fact.order_id, fact.reason, fact.detail, b"", fact.guest, fact.salt
        )
        entry = draft._replace(hash=seal(self.head_hash, self.event_id, draft))
        self.apply(entry)
        return entry

    def apply(self, entry: Entry) -> None:
        """Let one entry happen.

        Raises BrokenInvariant, before anything has changed, if it cannot follow the entries so far.
        """
        _require(entry.seq == self.head + 1, "its number does not follow the one before it")
        _require(self.exists or entry.kind == "opened", "the event is not open yet")
        _require(
            entry.kind == "promoted" or not (self.free and self.waiting), "a ticket lay idle while somebody waited"
        )
        change = _CHANGES.get(entry.kind)
        if change is None:
            raise BrokenInvariant(f"its kind {entry.kind!r} is not known")
        change(self, entry)
        self.head, self.head_hash = entry.seq, entry.hash

    def require_settled(self) -> None:
        """Raises BrokenInvariant if a ticket lies idle while somebody waits."""
        _require(not (self.free and self.waiting), "a ticket lies idle while somebody waits")

    def replay(self, entries: Iterable[Entry]) -> None:
        """Check that entries read from a store continue this ledger, and apply them.

        Raises LedgerDamaged, naming the first entry whose number, hash, commitment or meaning is wrong.
        """
        for entry in entries:
            if entry.hash != seal(self.head_hash, self.event_id, entry):
                raise LedgerDamaged(
                    self.event_id, entry.seq, "its hash does not match its content and the entry before"
                )
            if entry.order_id is not None:
                if entry.guest is None:
                    raise LedgerDamaged(self.event_id, entry.seq, "its order is missing from the orders table")
                if entry.kind in _PLACING and entry.salt and entry.detail != commitment(entry.salt, entry.guest):
                    raise LedgerDamaged(self.event_id, entry.seq, "its order now names another guest")
            try:
                self.apply(entry)
            except BrokenInvariant as wrong:
                raise LedgerDamaged(self.event_id, entry.seq, str(wrong)) from wrong


def fold(event_id: str, entries: Iterable[Entry]) -> EventState:
    """The state that a whole ledger, in order, leads to.

    Raises LedgerDamaged, naming the first bad entry.
    """
    state = EventState(event_id)
    state.replay(entries)
    require_whole(state)
    return state


def require_whole(state: EventState) -> None:
    """Raises LedgerDamaged if the ledger folded so far stops in the middle of a decision."""
    try:
        state.require_settled()
    except BrokenInvariant as wrong:
        raise LedgerDamaged(state.event_id, state.head, str(wrong)) from wrong


_PLACING: Final = frozenset({"booked", "joined"})


def _require(condition: bool, otherwise: str) -> None:
    if not condition:
        raise BrokenInvariant(otherwise)


def _opened(state: EventState, entry: Entry) -> None:
    _require(not state.exists, "the event was open already")
    state.capacity = _capacity(entry)


def _resized(state: EventState, entry: Entry) -> None:
    capacity = _capacity(entry)
    _require(capacity >= state.booked, "the capacity falls below what is booked")
    state.capacity = capacity


def _booked(state: EventState, entry: Entry) -> None:
    guest, order_id = _guest_and_order(entry)
    _require(guest not in state.live, "the guest had a live order already")
    _require(state.booked < state.capacity, "no ticket was free")
    state.live[guest] = order_id
    state.booked += 1


def _joined(state: EventState, entry: Entry) -> None:
    guest, order_id = _guest_and_order(entry)
    _require(guest not in state.live, "the guest had a live order already")
    _require(not state.free, "a ticket was free")
    state.live[guest] = order_id
    state.waiting.join(guest)


def _promoted(state: EventState, entry: Entry) -> None:
    guest, order_id = _guest_and_order(entry)
    _require(state.live.get(guest) == order_id, "the order is not a live one of its guest")
    _require(state.waiting.first(1) == [guest], "the guest was not the first who waited")
    _require(state.booked < state.capacity, "no ticket was free")
    state.waiting.leave(guest)
    state.booked += 1


def _cancelled(state: EventState, entry: Entry) -> None:
    guest, order_id = _guest_and_order(entry)
    _require(state.live.get(guest) == order_id, "the order is not a live one of its guest")
    if guest in state.waiting:
        state.waiting.leave(guest)
    else:
        state.booked -= 1
    del state.live[guest]


_CHANGES: Final[dict[str, Callable[[EventState, Entry], None]]] = {
    "opened": _opened,
    "resized": _resized,
    "booked": _booked,
    "joined": _joined,
    "promoted": _promoted,
    "cancelled": _cancelled,
}


def _capacity(entry: Entry) -> int:
    _require(entry.detail is not None and entry.detail.isdecimal(), "its capacity is not a number")
    return int(entry.detail or 0)


def _guest_and_order(entry: Entry) -> tuple[str, str]:
    if entry.guest is None or entry.order_id is None:
        raise BrokenInvariant("it names no order")
    return entry.guest, entry.order_id
