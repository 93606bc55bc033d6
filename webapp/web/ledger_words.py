"""The entries of a ledger in plain words, for whoever may read it; it names orders, and never a guest."""

from collections.abc import Callable
from typing import Final

from webapp.booking.ledger import Entry
from webapp.web.rendering import counted
from webapp.web.ticket_codes import public_part


def sentence(entry: Entry) -> str:
    """What happened, in a sentence."""
    return _SENTENCES[entry.kind](entry)


def short(order_id: str) -> str:
    """An order as its guest can recognise it by the code that he has: `06FV-8G2K·0123`.

    The last four digits of the id tell orders of the same few milliseconds apart.
    """
    return f"{public_part(order_id)}·{order_id[-4:]}"


def _opened(entry: Entry) -> str:
    return f"The event was opened with {_tickets(entry)}."


def _resized(entry: Entry) -> str:
    return f"The organiser changed the number of tickets: it is {_tickets(entry)} now."


def _checked_in(entry: Entry) -> str:
    # Unicode's FSI and PDI keep what an organiser has typed from turning the direction of the sentence around it.
    gate = f" (\u2068{entry.detail}\u2069)" if entry.detail else ""
    return f"{_order(entry)} arrived{gate}."


def _check_in_undone(entry: Entry) -> str:
    return f"The arrival of order {short(entry.order_id or '')} was taken back."


def _cancelled(entry: Entry) -> str:
    return f"{_order(entry)} was cancelled by {'its guest' if entry.actor == 'guest' else 'the organiser'}."


def _of_order(happened: str) -> Callable[[Entry], str]:
    return lambda entry: f"{_order(entry)} {happened}"


def _of_event(happened: str) -> Callable[[Entry], str]:
    return lambda _: happened


def _order(entry: Entry) -> str:
    return f"Order {short(entry.order_id or '')}"


def _tickets(entry: Entry) -> str:
    return counted(int(entry.detail or 0), "ticket", "tickets")


_SENTENCES: Final[dict[str, Callable[[Entry], str]]] = {
    "opened": _opened,
    "resized": _resized,
    "revised": _of_event("The organiser changed what is told about the event: its times, its words, or both."),
    "lapsed": _of_event("A ticket came free after the start: none goes to the waiting list any more."),
    "deleted": _of_event("The organiser deleted the event, at which nobody had booked."),
    "booked": _of_order("asked, and got a ticket."),
    "joined": _of_order("asked, and joined the waiting list."),
    "promoted": _of_order("was first in line, and got a ticket."),
    "cancelled": _cancelled,
    "checked_in": _checked_in,
    "check_in_undone": _check_in_undone,
    "erased": _of_order("stays, but name and address of its guest were deleted."),
}
