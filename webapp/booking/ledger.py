"""The ledger: what happened at an event, entry by entry, each sealed to the one before it by a SHA-256 hash."""

from hashlib import sha256
from json.encoder import encode_basestring as _quoted
from typing import Final, Literal, NamedTuple

from webapp.booking.details import Details

Kind = Literal[
    "opened", "resized", "revised", "lapsed", "deleted",
    "booked", "joined", "promoted", "cancelled", "checked_in", "check_in_undone", "erased",
]  # fmt: skip
Actor = Literal["guest", "organiser"]

GENESIS: Final = bytes(32)
"""The hash that the first entry of every ledger builds on."""


class LedgerDamaged(Exception):
    """A ledger, or what was derived from it, is not what was written; names the first bad entry."""

    def __init__(self, event_id: str, seq: int, what: str) -> None:
        super().__init__(f"the ledger of event {event_id!r} is damaged at entry {seq}: {what}")
        self.event_id = event_id
        self.seq = seq


class Contact(NamedTuple):
    """What a guest tells about himself besides his id."""

    name: str | None = None
    email: str | None = None


Aside = Contact | Details | str | None
"""What the database keeps beside an entry, where it can be changed and erased.

booked, joined: the guest's contact; cancelled: the reason; revised: the details.
"""


class Fact(NamedTuple):
    """What a decision wants recorded, before it has a number, a time and a hash."""

    kind: Kind
    order_id: str | None = None
    guest: str | None = None
    salt: bytes | None = None
    detail: str | None = None
    aside: Aside = None


class Entry(NamedTuple):
    """One fact in a ledger.

    `guest`, `salt` and `aside` are not part of it: they stand in other tables, and are handed along here. Whoever reads
    a ledger finds no `aside`.
    """

    seq: int  # 1, 2, 3, … per event
    kind: Kind
    at: int  # microseconds since 1970, UTC
    actor: Actor
    order_id: str | None  # None for what concerns the event as a whole
    reason: str | None  # nothing so far: words can be personal, and stand aside
    detail: (
        str | None
    )  # opened, resized: capacity; revised: sealed details; booked, joined: commitment; checked_in: gate
    hash: bytes  # 32 bytes
    guest: str | None
    salt: bytes | None
    aside: Aside = None


Content = tuple[int, str, int, str, str | None, str | None, str | None]
"""What an entry says and its hash is taken over: its first seven members, from the number to the detail."""


def canonical_bytes(
    event_id: str,
    seq: int,
    kind: str,
    at: int,
    actor: str,
    order_id: str | None,
    reason: str | None,
    detail: str | None,
) -> bytes:
    """The bytes an entry's hash is taken over: a JSON array without white space, in UTF-8.

    It is what `JSON.stringify` gives in a browser for the same eight values, so that anybody can check a ledger.
    """
    # Written out: a JSONEncoder, which is prepared for everything, takes twice as long.
    order = "null" if order_id is None else _quoted(order_id)
    why = "null" if reason is None else _quoted(reason)
    what = "null" if detail is None else _quoted(detail)
    return f"[{_quoted(event_id)},{seq:d},{_quoted(kind)},{at:d},{_quoted(actor)},{order},{why},{what}]".encode()


def seal(previous: bytes, event_id: str, content: Content) -> bytes:
    """The 32-byte hash of an entry that follows the one with the hash `previous`."""
    return sha256(previous + canonical_bytes(event_id, *content)).digest()


def commitment(salt: bytes, guest: str) -> str:
    """What ties an order to its guest without naming him: 64 hex digits, which only the salt's holder can explain."""
    return sha256(salt + guest.encode()).hexdigest()


def pseudonym(order_id: str) -> str:
    """What stands for a guest who was erased; the DEL in front keeps anybody from calling himself that."""
    return f"\x7f{order_id}"
