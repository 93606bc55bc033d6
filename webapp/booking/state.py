"""The state of one event, which is the fold of its ledger: `apply` is the only thing that changes it."""

from collections.abc import Callable, Iterable
from typing import Final, Literal, NamedTuple

from webapp.booking.details import UNTOLD_SEALED, Details, Schedule, sealed_schedule
from webapp.booking.ledger import GENESIS, Actor, Entry, Fact, LedgerDamaged, commitment, pseudonym, seal
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
    checked_in: int = 0
    revision: int = 1  # number of the last entry that changed what an organiser can edit
    has_lapsed: bool = False  # whether promotions are over
    is_deleted: bool = False

    @property
    def available(self) -> int:
        """How many tickets are free."""
        return self.capacity - self.booked

    def adds_only_newcomers_to(self, before: "Counts") -> bool:
        """Whether every entry since then is somebody new, which changes nothing for who was there before.

        Any other kind of entry adds to the number of entries, but no guest to those who hold a ticket or wait.
        """
        joined = self.booked + self.waiting - before.booked - before.waiting
        return self.capacity == before.capacity and joined == self.head - before.head


class EventCursor(NamedTuple):
    """Where a page of events ended."""

    opened_at: int  # microseconds since 1970, UTC
    event_id: str


class Event(NamedTuple):
    """An event, as everybody may see it."""

    counts: Counts
    details: Details

    @property
    def title(self) -> str:
        """What the event is called."""
        return self.details.title or self.counts.event_id


class EventPage(NamedTuple):
    """Some events, newest first, and where the next page starts; None where there is none."""

    events: list[Event]
    next: EventCursor | None


class Tally(NamedTuple):
    """An event at one instant: its counts, how many orders were ever placed, and the one that has waited longest."""

    counts: Counts
    placed: int
    first_waiting: str | None  # the id of the order

    @property
    def cancelled(self) -> int:
        """How many orders were cancelled."""
        return self.placed - self.counts.booked - self.counts.waiting


class Arrival(NamedTuple):
    """When a guest was checked in, in microseconds since 1970, UTC, and where."""

    at: int
    gate: str | None


class EventState:
    """Capacity, who is booked and who waits, at one event; nothing at all before its `opened` entry."""

    __slots__ = (
        "arrivals", "booked", "capacity", "event_id", "has_lapsed", "head", "head_hash", "is_deleted", "live",
        "orders", "revision", "schedule", "sealed_details", "waiting",
    )  # fmt: skip

    def __init__(self, event_id: str) -> None:
        self.event_id = event_id
        self.capacity = 0
        self.booked = 0
        self.live: dict[str, str] = {}  # guest -> the id of his one live order, booked or waiting
        self.waiting = WaitingList()
        self.arrivals: dict[str, Arrival] = {}  # of booked guests
        self.orders = 0  # ever placed
        self.sealed_details = UNTOLD_SEALED
        self.schedule = Schedule()
        self.revision = 0
        self.has_lapsed = False
        self.is_deleted = False
        self.head = 0
        self.head_hash = GENESIS

    @property
    def exists(self) -> bool:
        """Whether the event has been opened, and not deleted since."""
        return self.head > 0 and not self.is_deleted

    @property
    def free(self) -> int:
        """How many tickets nobody holds."""
        return self.capacity - self.booked

    @property
    def counts(self) -> Counts:
        """What may be published of this state."""
        return Counts(
            self.event_id, self.capacity, self.booked, len(self.waiting), self.head, self.head_hash,
            len(self.arrivals), self.revision, self.has_lapsed, self.is_deleted,
        )  # fmt: skip

    @property
    def tally(self) -> Tally:
        """What an organiser may know besides."""
        first = self.waiting.first(1)
        return Tally(self.counts, self.orders, self.live[first[0]] if first else None)

    @property
    def is_settled(self) -> bool:
        """Whether nobody waits while a ticket lies idle, or promotions are over."""
        return self.has_lapsed or not (self.free and self.waiting)

    def status(self, guest: str) -> Status | None:
        """The status of a guest's live order; None where he has none."""
        if guest not in self.live:
            return None
        return "waiting" if guest in self.waiting else "booked"

    def record(self, fact: Fact, at: int, actor: Actor) -> Entry:
        """Seal a decided fact as the next entry, apply it, and return it.

        Raises BrokenInvariant if the fact contradicts the state.
        """
        kind, order_id, guest, salt, detail, aside = fact
        content = (self.head + 1, kind, at, actor, order_id, None, detail)
        entry = Entry(*content, seal(self.head_hash, self.event_id, content), guest, salt, aside)
        self.apply(entry)
        return entry

    def apply(self, entry: Entry) -> None:
        """Let one entry happen.

        Raises BrokenInvariant, before anything has changed, if it cannot follow the entries so far.
        """
        _require(entry.seq == self.head + 1, "its number does not follow the one before it")
        _require(self.exists or entry.kind == "opened", "the event is not open yet")
        _require(entry.kind in _SETTLING or self.is_settled, "a ticket lay idle while somebody waited")
        change = _CHANGES.get(entry.kind)
        if change is None:
            raise BrokenInvariant(f"its kind {entry.kind!r} is not known")
        change(self, entry)
        self.head, self.head_hash = entry.seq, entry.hash

    def require_settled(self) -> None:
        """Raises BrokenInvariant if a ticket lies idle while somebody waits."""
        _require(self.is_settled, "a ticket lies idle while somebody waits")

    def replay(self, entries: Iterable[Entry]) -> None:
        """Check that entries read from a store continue this ledger, and apply them.

        Raises LedgerDamaged, naming the first entry whose number, hash, commitment or meaning is wrong.
        """
        for entry in entries:
            if entry.hash != seal(self.head_hash, self.event_id, entry[:7]):
                raise LedgerDamaged(
                    self.event_id, entry.seq, "its hash does not match its content and the entry before"
                )
            if entry.order_id is not None:
                if entry.guest is None:
                    raise LedgerDamaged(self.event_id, entry.seq, "its order is missing from the orders table")
                if entry.kind in _PLACING and not _is_explained(entry, entry.order_id, entry.guest):
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
_SETTLING: Final = frozenset({"promoted", "lapsed"})


def _require(condition: bool, otherwise: str) -> None:
    if not condition:
        raise BrokenInvariant(otherwise)


def _is_explained(entry: Entry, order_id: str, guest: str) -> bool:
    """Whether an order names the guest it was placed for, or nobody any more."""
    return guest == pseudonym(order_id) if entry.salt is None else entry.detail == commitment(entry.salt, guest)


def _opened(state: EventState, entry: Entry) -> None:
    _require(not state.exists, "the event was open already")
    state.capacity = _capacity(entry)
    state.sealed_details, state.schedule = UNTOLD_SEALED, Schedule()
    state.is_deleted = False
    state.revision = entry.seq


def _resized(state: EventState, entry: Entry) -> None:
    capacity = _capacity(entry)
    _require(capacity >= state.booked, "the capacity falls below what is booked")
    state.capacity = capacity
    state.revision = entry.seq


def _revised(state: EventState, entry: Entry) -> None:
    sealed = entry.detail or ""
    try:
        schedule = sealed_schedule(sealed)
    except ValueError as wrong:
        raise BrokenInvariant(f"its details are unreadable: {wrong}") from wrong
    if schedule != state.schedule:
        state.has_lapsed = False
    state.sealed_details, state.schedule = sealed, schedule
    state.revision = entry.seq


def _lapsed(state: EventState, _: Entry) -> None:
    _require(not state.has_lapsed, "promotions were over already")
    state.has_lapsed = True


def _deleted(state: EventState, _: Entry) -> None:
    _require(not state.orders, "somebody had booked")
    state.is_deleted = True


def _booked(state: EventState, entry: Entry) -> None:
    guest, order_id = _guest_and_order(entry)
    _require(guest not in state.live, "the guest had a live order already")
    _require(state.booked < state.capacity, "no ticket was free")
    _require(not state.waiting, "somebody had waited longer")
    state.live[guest] = order_id
    state.booked += 1
    state.orders += 1


def _joined(state: EventState, entry: Entry) -> None:
    guest, order_id = _guest_and_order(entry)
    _require(guest not in state.live, "the guest had a live order already")
    _require(not state.free or bool(state.waiting), "a ticket was free")
    state.live[guest] = order_id
    state.waiting.join(guest)
    state.orders += 1


def _promoted(state: EventState, entry: Entry) -> None:
    guest, _ = _live_guest_and_order(state, entry)
    _require(not state.has_lapsed, "promotions were over")
    _require(state.waiting.first(1) == [guest], "the guest was not the first who waited")
    _require(state.booked < state.capacity, "no ticket was free")
    state.waiting.leave(guest)
    state.booked += 1


def _cancelled(state: EventState, entry: Entry) -> None:
    guest, _ = _live_guest_and_order(state, entry)
    _require(guest not in state.arrivals, "the guest had arrived")
    if guest in state.waiting:
        state.waiting.leave(guest)
    else:
        state.booked -= 1
    del state.live[guest]


def _checked_in(state: EventState, entry: Entry) -> None:
    guest, _ = _live_guest_and_order(state, entry)
    _require(guest not in state.waiting, "the guest had no ticket")
    _require(guest not in state.arrivals, "the guest had arrived already")
    state.arrivals[guest] = Arrival(entry.at, entry.detail)


def _check_in_undone(state: EventState, entry: Entry) -> None:
    guest, _ = _live_guest_and_order(state, entry)
    _require(guest in state.arrivals, "the guest had not arrived")
    del state.arrivals[guest]


def _erased(state: EventState, entry: Entry) -> None:
    """Live, the guest gets his pseudonym here; in a fold he has it from the beginning."""
    guest, order_id = _guest_and_order(entry)
    name = pseudonym(order_id)
    if state.live.get(guest) != order_id or guest == name:
        return
    state.live[name] = state.live.pop(guest)
    if guest in state.waiting:
        state.waiting.rename(guest, name)
    if guest in state.arrivals:
        state.arrivals[name] = state.arrivals.pop(guest)


_CHANGES: Final[dict[str, Callable[[EventState, Entry], None]]] = {
    "opened": _opened,
    "resized": _resized,
    "booked": _booked,
    "joined": _joined,
    "promoted": _promoted,
    "cancelled": _cancelled,
    "revised": _revised,
    "lapsed": _lapsed,
    "deleted": _deleted,
    "checked_in": _checked_in,
    "check_in_undone": _check_in_undone,
    "erased": _erased,
}


def _capacity(entry: Entry) -> int:
    _require(entry.detail is not None and entry.detail.isdecimal(), "its capacity is not a number")
    return int(entry.detail or 0)


def _guest_and_order(entry: Entry) -> tuple[str, str]:
    if entry.guest is None or entry.order_id is None:
        raise BrokenInvariant("it names no order")
    return entry.guest, entry.order_id


def _live_guest_and_order(state: EventState, entry: Entry) -> tuple[str, str]:
    guest, order_id = _guest_and_order(entry)
    _require(state.live.get(guest) == order_id, "the order is not a live one of its guest")
    return guest, order_id
