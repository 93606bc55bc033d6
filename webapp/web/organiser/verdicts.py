"""What the door is told about a ticket, a code or a name: whether to let somebody in, and if not, why."""

import re
from typing import Final, Literal, NamedTuple

from webapp.booking.answers import Refusal
from webapp.enquiries import Standing
from webapp.storage.store import OrderRow
from webapp.web.event_view import EventView
from webapp.web.organiser.guest_view import GuestView, guest_view
from webapp.web.organiser.overview import seen
from webapp.web.parts import enquiries, parts
from webapp.web.ticket_codes import code_in, id_prefix

FOUND_MAX: Final = 20
ORDER_ID: Final = re.compile(r"[0-9a-fA-F]{20}")

Word = Literal["in", "already", "expected", "waiting", "cancelled", "elsewhere"]


class Verdict(NamedTuple):
    """What to do with a guest who shows an order; `event` is the one that the order is of.

    `in`: he has just been let in. `already`: he was before. `expected`: he has a ticket, and may come in.
    """

    word: Word
    guest: GuestView
    event: EventView


class Search(NamedTuple):
    """Who may be meant by what was typed: at most FOUND_MAX guests, those who may come in first.

    What was typed is the code of a ticket, the number of an order, which anybody may know, or the rest.
    """

    text: str
    kind: Literal["code", "number", "name"]
    guests: list[GuestView]
    has_more: bool


async def verdict(order: OrderRow, event_id: str | None, let_in_at: int | None = None) -> Verdict:
    """The verdict on an order at the door of an event, or at any.

    Who was checked in at `let_in_at`, in microseconds since 1970, UTC, is the one whom the door has just let in.

    Raises Refusal `order_not_found`, Unavailable.
    """
    event = await seen(order.event_id)
    guest = guest_view(await enquiries().standing(order), event.details.time_zone)
    return Verdict(_word(guest.order, event_id, let_in_at), guest, event)


def _word(order: OrderRow, event_id: str | None, let_in_at: int | None) -> Word:
    if event_id is not None and order.event_id != event_id:
        return "elsewhere"
    if order.status == "cancelled":
        return "cancelled"
    if order.status == "waiting":
        return "waiting"
    if order.checked_in_at is None:
        return "expected"
    return "in" if order.checked_in_at == let_in_at else "already"


async def orders_with_code(code: str) -> list[OrderRow]:
    """The orders that a code fits: one; or two that were placed within the same milliseconds, once in a million.

    Raises Unavailable.
    """
    codes = parts().gatekeeper.ticket_codes
    return [order for order in await enquiries().orders_beginning(id_prefix(code)) if codes.fits(order.id, code)]


async def search(event: EventView, text: str) -> Search:
    """Who at an event is meant by a text: by a code, where it is one, else by name, address or number.

    Raises Refusal `event_not_found`, Unavailable.
    """
    event_id, code = event.counts.event_id, code_in(text)
    coded = [order for order in await orders_with_code(code) if order.event_id == event_id] if code else []
    if coded:
        standings, has_more = [await enquiries().standing(order) for order in coded], False
    else:
        page = await enquiries().roster(event_id, share=None, q=text, after=0, limit=FOUND_MAX)
        standings, has_more = page.standings, page.next is not None
    guests = [guest_view(standing, event.details.time_zone) for standing in sorted(standings, key=_turn)]
    if code and (coded or not guests):  # somebody's name may look like a code
        return Search(code, "code", guests, has_more)
    return Search(text, "number" if ORDER_ID.fullmatch(text) else "name", guests, has_more)


async def numbered(text: str) -> OrderRow | None:
    """The order whose number a text is; None where it is none. Raises Unavailable."""
    if not ORDER_ID.fullmatch(text):
        return None
    try:
        return await enquiries().order(text.lower())
    except Refusal:
        return None


def _turn(standing: Standing) -> int:
    order = standing.order
    return ("booked", "waiting", "cancelled").index(order.status) + (order.checked_in_at is not None)
