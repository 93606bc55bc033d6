"""How a guest stands at an event, as its pages tell it, and what his browser remembers of his orders."""

from dataclasses import dataclass

from quart import request

from webapp.booking.answers import Refusal
from webapp.booking.state import Status
from webapp.box_office import BoxOffice
from webapp.enquiries import Enquiries
from webapp.storage.store import OrderRow
from webapp.web import rendering
from webapp.web.asking import is_secure
from webapp.web.cookies import GUEST_COOKIE, Booking, GuestMemory
from webapp.web.parts import parts


@dataclass(frozen=True, slots=True)
class Standing:
    """How a guest stands at an event: with a ticket, at a 1-based position of the waiting list, or not at all.

    Who placed the order himself also has the `link` to it, and the `name` it is for, empty where that was erased.
    """

    guest: str
    status: Status | None = None
    position: int | None = None
    link: str = ""
    name: str = ""


def has_place(mine: Standing | None) -> bool:
    """Whether somebody has booked and not cancelled, so that another booking would be for somebody else."""
    return mine is not None and mine.status in {"booked", "waiting"}


async def standing(office: BoxOffice, event_id: str, name: str) -> Standing:
    """How a guest stands at an event. Raises Refusal `event_not_found`, Unavailable."""
    try:
        placement = await office.place(event_id, name)
    except Refusal as refusal:
        if refusal.code != "order_not_found":
            raise
        return Standing(name)
    return Standing(name, placement.status, placement.position)


async def own_standing(
    office: BoxOffice, reads: Enquiries, event_id: str, booked: Booking, link: str, name: str = ""
) -> Standing:
    """How somebody stands with the very order that he placed; its `name` is looked up where it is not known yet.

    Another order may go by the same name since that one was cancelled: it is not his, as far as anybody knows.

    Raises Refusal `event_not_found`, Unavailable.
    """
    live = (await office.places(event_id, [booked.user_id])).placements.get(booked.user_id)
    if live is not None and live.order_id == booked.order_id:
        name = name or _name(await reads.order(booked.order_id))
        return Standing(booked.user_id, live.status, live.position, link, name)
    try:  # cancelled since, or its guest's name deleted
        order, position = await reads.standing(await reads.order(booked.order_id))
    except Refusal as refusal:
        if refusal.code != "order_not_found":
            raise
        return Standing(booked.user_id)
    return Standing(booked.user_id, order.status, position, link, _name(order))


def _name(order: OrderRow) -> str:
    return "" if order.erased_at is not None else order.name or order.guest


def remembered() -> GuestMemory:
    """What this browser has booked."""
    return parts().gatekeeper.memories.read(GUEST_COOKIE.found_in(request.cookies, secure=is_secure()))


def booking_remembered(event_id: str) -> Booking | None:
    """What this browser last booked at an event."""
    return remembered().booking_at(event_id)


def order_link(booked: Booking) -> str:
    """The address of the order that a browser placed."""
    return rendering.order_path(booked.order_id, parts().gatekeeper.order_keys.key(booked.order_id))
