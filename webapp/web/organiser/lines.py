"""The entries of a ledger in words for the organiser, with the guests' names."""

from collections.abc import Callable, Iterable, Mapping
from typing import Final, NamedTuple

from webapp.booking.ledger import Entry
from webapp.storage.store import OrderRow
from webapp.web.organiser.guest_view import gate_named, guest_path, name_of
from webapp.web.organiser.notices import isolated
from webapp.web.rendering import counted

HASH_SHOWN: Final = 12


class Line(NamedTuple):
    """An entry as its organiser reads it. `path` leads to the order that it is about, empty where it is about none.

    `name` is that of the order's guest, None where he was erased or there is none.
    """

    number: int
    at: str
    name: str | None
    path: str
    what: str
    hash: str


def lines(entries: Iterable[Entry], orders: Mapping[str, OrderRow], time: Callable[[int], str]) -> list[Line]:
    """A line for each entry, in their order. `orders` are those that they are about, by id; `time` tells a time."""
    return [_line(entry, orders.get(entry.order_id or ""), time(entry.at)) for entry in entries]


def _line(entry: Entry, order: OrderRow | None, at: str) -> Line:
    return Line(
        entry.seq,
        at,
        None if order is None else name_of(order),
        "" if order is None else guest_path(order),
        _WORDS[entry.kind](entry),
        entry.hash.hex()[:HASH_SHOWN],
    )


def _tickets(entry: Entry) -> str:
    return counted(int(entry.detail or 0), "ticket", "tickets")


def _by(entry: Entry) -> str:
    return " by the organiser" if entry.actor == "organiser" else ""


def _at_gate(entry: Entry) -> str:
    return f", {isolated(gate_named(entry.detail))}" if entry.detail else ""


# Of an order, to be read behind the name of its guest.
_WORDS: Final[dict[str, Callable[[Entry], str]]] = {
    "opened": lambda entry: f"The event was opened with {_tickets(entry)}",
    "resized": lambda entry: f"The number of tickets was changed: {_tickets(entry)} now",
    "revised": lambda _: "The times or the words of the event were changed",
    "lapsed": lambda _: "A ticket came free after the start: none goes to the waiting list any more",
    "deleted": lambda _: "The event was deleted",
    "booked": lambda entry: f"was booked a ticket{_by(entry)}" if _by(entry) else "booked a ticket",
    "joined": lambda entry: f"was put on the waiting list{_by(entry)}" if _by(entry) else "joined the waiting list",
    "promoted": lambda _: "got a ticket from the waiting list",
    "cancelled": lambda entry: f"was cancelled{_by(entry)}" if _by(entry) else "cancelled",
    "checked_in": lambda entry: f"was let in{_at_gate(entry)}",
    "check_in_undone": lambda _: "was not let in after all: the check-in was taken back",
    "erased": lambda _: "had name and e-mail address erased",
}
