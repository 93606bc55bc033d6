"""What the rules answer: what came of a wish, or that it is refused."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, NamedTuple

from webapp.booking.details import Details
from webapp.booking.ledger import pseudonym
from webapp.booking.state import Arrival, Counts, EventState, Status

NO_MEMBERS: Final[Mapping[str, object]] = MappingProxyType({})


class Refusal(Exception):
    """The rules say no: a stable code for programs, and a sentence for people. Nothing has changed.

    `members` are what a program may want to know besides; names that end in `_at` are microseconds since 1970, UTC.
    """

    def __init__(self, code: str, sentence: str, members: Mapping[str, object] = NO_MEMBERS) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence
        self.members = members


class Receipt(NamedTuple):
    """The first entry that a wish has made, by which a guest can prove later what was recorded."""

    entry: int
    at: int  # microseconds since 1970, UTC
    hash: bytes


class Promotion(NamedTuple):
    """An order that got a ticket, and its guest."""

    order_id: str
    guest: str

    @property
    def named(self) -> str | None:
        """The guest; None where he was erased, and his pseudonym stands there."""
        return None if self.guest == pseudonym(self.order_id) else self.guest


@dataclass(slots=True, kw_only=True)
class Answer:
    """What came of a wish. There is no receipt where it changed nothing.

    It is made with the decision, completed once the decision's entries are made, and given once they are stored.
    """

    receipt: Receipt | None = None

    def complete(self, receipt: Receipt, _state: EventState) -> None:
        """Fill in what only the entries tell; the state is the one after them."""
        self.receipt = receipt


@dataclass(slots=True)
class Opening(Answer):
    """The event with its number of tickets, and whether it is new."""

    tickets: int
    is_new: bool


@dataclass(slots=True)
class Placement(Answer):
    """Where a guest's live order stands; `position` is 1-based, and None unless he waits."""

    order_id: str
    status: Status
    position: int | None
    is_new: bool


class Places(NamedTuple):
    """Where guests stand after entry `head`, and who of them has arrived; without those who have no live order.

    `revision` and `has_lapsed` are as in the event's counts.
    """

    head: int
    placements: dict[str, Placement]
    arrivals: dict[str, Arrival]
    revision: int
    has_lapsed: bool


@dataclass(slots=True)
class Cancellation(Answer):
    """The order that ended, and those that got a ticket through it, oldest first."""

    order_id: str
    promoted: tuple[Promotion, ...]


@dataclass(slots=True)
class Revision(Answer):
    """What an event becomes by a change of what can be edited, and who gets a ticket through it, oldest first.

    Of a rehearsal, `counts` have the head and the revision as they are. `details` are None where they stay so.
    """

    counts: Counts
    details: Details | None
    promoted: tuple[Promotion, ...]

    def complete(self, receipt: Receipt, state: EventState) -> None:
        """Fill in the receipt, and the counts as they have become."""
        self.receipt, self.counts = receipt, state.counts


@dataclass(slots=True)
class Deletion(Answer):
    """An event that is no more."""


@dataclass(slots=True)
class CheckIn(Answer):
    """An order whose guest has arrived, when, in microseconds since 1970, UTC, and where."""

    order_id: str
    at: int
    gate: str | None


@dataclass(slots=True)
class Erasure(Answer):
    """The orders that name nobody any more."""

    order_ids: tuple[str, ...]
