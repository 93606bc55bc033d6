"""The pages for guests: the events, one event, booking, and finding out where one stands."""

import base64
import json
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from quart import Blueprint, Response, request

from webapp.booking.answers import Refusal
from webapp.booking.state import EventCursor, EventPage, Status
from webapp.box_office import BoxOffice
from webapp.desk import Unavailable
from webapp.enquiries import Enquiries
from webapp.storage.store import Audience
from webapp.web import parsing, rendering
from webapp.web.asking import is_secure
from webapp.web.booking_limit import count_against_limit
from webapp.web.cookies import GUEST_COOKIE, Booking, GuestMemory
from webapp.web.event_view import view
from webapp.web.forms import EMPTY, Form, mistaken
from webapp.web.limiter import TooManyAttempts
from webapp.web.parsing import USER_ID, InvalidInput
from webapp.web.parts import box_office, enquiries, parts
from webapp.web.rendering import counted

guest = Blueprint("guest", __name__)

EVENTS_PER_PAGE: Final = 20
NOT_NOW: Final = frozenset({"not_open_yet", "booking_closed"})


@dataclass(frozen=True, slots=True)
class Standing:
    """How a guest stands at an event: with a ticket, at a 1-based position of the waiting list, or not at all.

    Who placed the order himself also has the `link` to it.
    """

    guest: str
    status: Status | None = None
    position: int | None = None
    link: str = ""


@guest.get("/ui", strict_slashes=False)
async def events_page() -> Response:
    """The events, newest first."""
    return rendering.page("events.html", personal=False, **await listing())


@guest.get("/ui/events/<event_slug>")
async def event_page(event_slug: str) -> Response:
    """One event, with what this browser has booked there."""
    return await _event(event_named(event_slug))


@guest.post("/ui/events/<event_slug>/orders")
async def place_order(event_slug: str) -> Response:
    """Book a ticket, or join the waiting list."""
    event_id = event_named(event_slug)
    form = (await request.form).to_dict()
    try:
        await count_against_limit()
        (name,) = parsing.parse_form((USER_ID,), form)
        placement = await box_office().book(event_id, name)
    except TooManyAttempts as attempts:
        return await _event(event_id, later=attempts, booking=Form(form, problem=_too_many(attempts)))
    except InvalidInput as invalid:
        return await _event(event_id, status=422, booking=mistaken(form, invalid))
    except Refusal as refusal:
        if refusal.code not in NOT_NOW:
            raise
        return await _event(event_id, status=409, booking=Form(form, problem=f"{refusal.sentence}."))
    except Unavailable as unavailable:
        return await _event(event_id, later=unavailable, booking=Form(form, problem=unavailable.sentence))
    memory, before = remembered(), booking_remembered(event_id)
    if not placement.is_new and (before is None or before.order_id != placement.order_id):
        taken = Standing(name, placement.status, placement.position)
        return await _event(event_id, booking=Form(form), taken=taken)
    answer = rendering.see_other(f"{rendering.event_path(event_id)}#mine")
    cookie = parts().gatekeeper.memories.written(memory.remembering(event_id, name, placement.order_id))
    answer.set_cookie(**GUEST_COOKIE.setting(cookie, secure=is_secure()))
    return answer


@guest.post("/ui/events/<event_slug>/place")
async def show_place(event_slug: str) -> Response:
    """Where a guest stands. Asked by POST, because a name must not stand in an address."""
    event_id = event_named(event_slug)
    form = (await request.form).to_dict()
    try:
        await count_against_limit()
        (name,) = parsing.parse_form((USER_ID,), form)
    except TooManyAttempts as attempts:
        return await _event(event_id, later=attempts, finding=Form(form, problem=_too_many(attempts)))
    except InvalidInput as invalid:
        return await _event(event_id, "place", status=422, finding=mistaken(form, invalid))
    return await _event(event_id, "place", finding=Form(form), found=await standing(box_office(), event_id, name))


async def _event(
    event_id: str,
    block: str = "event",
    *,
    status: int = 200,
    booking: Form = EMPTY,
    taken: Standing | None = None,
    finding: Form = EMPTY,
    found: Standing | None = None,
    later: Unavailable | TooManyAttempts | None = None,
) -> Response:
    """The event's page, or a block of it; `taken` is a name somebody else may have booked with before."""
    event = view(await box_office().event(event_id), box_office().now())
    booked = booking_remembered(event_id)
    mine = await own_standing(box_office(), enquiries(), event_id, booked, order_link(booked)) if booked else None
    is_personal = mine is not None or request.method == "POST"
    values: dict[str, Any] = {
        "event": event,
        "mine": mine,
        "is_fresh": request.method == "GET" and "HX-Request" in request.headers,
        "booking": booking,
        "taken": taken,
        "finding": finding,
        "found": found,
    }
    if later is not None:
        answer = rendering.page("event.html", status=503 if isinstance(later, Unavailable) else 429, **values)
        answer.headers["Retry-After"] = str(later.retry_after_s)
        return answer
    return rendering.page_or_block("event.html", block, status=status, personal=is_personal, **values)


def _too_many(attempts: TooManyAttempts) -> str:
    """Said to one guest, who may have tried once, for all that share his address."""
    wait = counted(attempts.retry_after_s, "second", "seconds")
    return f"Too many requests come from your network just now. Please try again in {wait}."


def event_named(event_slug: str) -> str:
    """The id of the event with this slug. Raises Refusal `event_not_found` where no event can have it."""
    event_id = parsing.event_id_from_slug(event_slug)
    if event_id is None:
        raise Refusal("event_not_found", "Event not found")
    return event_id


async def standing(office: BoxOffice, event_id: str, name: str) -> Standing:
    """How a guest stands at an event. Raises Refusal `event_not_found`, Unavailable."""
    try:
        placement = await office.place(event_id, name)
    except Refusal as refusal:
        if refusal.code != "order_not_found":
            raise
        return Standing(name)
    return Standing(name, placement.status, placement.position)


async def own_standing(office: BoxOffice, reads: Enquiries, event_id: str, booked: Booking, link: str) -> Standing:
    """How somebody stands with the very order that he placed.

    Another order may go by the same name since that one was cancelled: it is not his, as far as anybody knows.

    Raises Refusal `event_not_found`, Unavailable.
    """
    live = (await office.places(event_id, [booked.user_id])).placements.get(booked.user_id)
    if live is not None and live.order_id == booked.order_id:
        return Standing(booked.user_id, live.status, live.position, link)
    try:  # cancelled since, or its guest's name deleted
        order, position = await reads.standing(await reads.order(booked.order_id))
    except Refusal as refusal:
        if refusal.code != "order_not_found":
            raise
        return Standing(booked.user_id)
    return Standing(booked.user_id, order.status, position, link)


def remembered() -> GuestMemory:
    """What this browser has booked."""
    return parts().gatekeeper.memories.read(GUEST_COOKIE.found_in(request.cookies, secure=is_secure()))


def booking_remembered(event_id: str) -> Booking | None:
    """What this browser last booked at an event."""
    return remembered().booking_at(event_id)


def order_link(booked: Booking) -> str:
    """The address of the order that a browser placed."""
    return rendering.order_path(booked.order_id, parts().gatekeeper.order_keys.key(booked.order_id))


async def shown_events(after: str | None, shown_to: Audience = "guests") -> EventPage:
    """The events on one page of the list: the newest, or those after a cursor. Raises Unavailable."""
    return await box_office().events(EVENTS_PER_PAGE, event_cursor(after) if after else None, shown_to)


async def listing(shown_to: Audience = "guests") -> dict[str, Any]:
    """What a list of events is made of: one page of them, where it is, where the next is, and its stream."""
    after = request.args.get("after")
    shown = await shown_events(after, shown_to)
    newest = rendering.token(shown.events[0].counts.event_id) if shown.events else ""
    stream = "/ui/stream" if shown_to == "guests" else "/ui/organise/stream"
    return {
        "events": tuple(view(event, box_office().now()) for event in shown.events),
        "after": after,
        "older": cursor(shown.next),
        "stream": f"{stream}?{urlencode({'after': after} if after else {'newest': newest})}",
    }


def cursor(ended: EventCursor | None) -> str | None:
    """Where a page of events ended, as opaque text for an address."""
    if ended is None:
        return None
    return base64.urlsafe_b64encode(json.dumps(ended).encode()).decode().rstrip("=")


def event_cursor(text: str) -> EventCursor:
    """The cursor that a text stands for. Raises InvalidInput where it is none."""
    try:
        opened_at, event_id = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (ValueError, TypeError, RecursionError):
        opened_at = event_id = None
    is_moment = type(opened_at) is int and 0 <= opened_at < 2**63
    if not is_moment or type(event_id) is not str or parsing.event_id_or_none(event_id) != event_id:
        raise InvalidInput("invalid_input", "This address is damaged: the list has no such page")
    return EventCursor(opened_at, event_id)
