"""The page of one event, for guests: what it is, how full it is, booking, and finding out where one stands."""

from typing import Any, Final

from quart import Blueprint, Response, request

from webapp.booking.answers import Refusal
from webapp.desk import Unavailable
from webapp.web import rendering
from webapp.web.asking import is_secure
from webapp.web.booking_limit import count_against_limit
from webapp.web.cookies import GUEST_COOKIE
from webapp.web.event_view import EventView, view
from webapp.web.forms import EMPTY, Form, mistaken
from webapp.web.guest_form import guest_looked_for, guest_typed
from webapp.web.kept_pages import beginning, is_plain, kept_from_now_on, kept_page
from webapp.web.limiter import TooManyAttempts
from webapp.web.links import event_named
from webapp.web.parsing import InvalidInput
from webapp.web.parts import box_office, enquiries, parts
from webapp.web.rendering import counted
from webapp.web.standings import (
    Standing,
    booking_remembered,
    has_place,
    order_link,
    own_standing,
    remembered,
    standing,
)

event_page = Blueprint("event_page", __name__)

NOT_NOW: Final = frozenset({"not_open_yet", "booking_closed"})
WHOSE: Final = "Please enter the e-mail address or the name."


@event_page.get("/ui/events/<event_slug>")
async def show_event(event_slug: str) -> Response:
    """One event, with what this browser has booked there."""
    is_for_everybody = is_plain() and not request.cookies
    if is_for_everybody and (kept := kept_page()):
        return kept
    event_id = event_named(event_slug)
    if not is_for_everybody:
        return await _event(event_id)
    made = beginning()
    event = await box_office().event(event_id)
    return kept_from_now_on(rendering.content("event.html", **_values(view(event, made.now))), made, [event])


@event_page.post("/ui/events/<event_slug>/orders")
async def place_order(event_slug: str) -> Response:
    """Book a ticket, or join the waiting list."""
    event_id = event_named(event_slug)
    form = (await request.form).to_dict()
    try:
        await count_against_limit()
        guest, contact = guest_typed(form, needs_email=True)
        placement = await box_office().book(event_id, guest, contact=contact)
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
        taken = Standing(guest, placement.status, placement.position)
        return await _event(event_id, booking=Form(form), taken=taken)
    answer = rendering.see_other(f"{rendering.event_path(event_id)}#mine")
    cookie = parts().gatekeeper.memories.written(memory.remembering(event_id, guest, placement.order_id))
    answer.set_cookie(**GUEST_COOKIE.setting(cookie, secure=is_secure()))
    return answer


@event_page.post("/ui/events/<event_slug>/place")
async def show_place(event_slug: str) -> Response:
    """Where a guest stands. Asked by POST, because neither name nor e-mail address may stand in one."""
    event_id = event_named(event_slug)
    form = (await request.form).to_dict()
    try:
        await count_against_limit()
        guest = guest_looked_for(form.get("userId", ""))
    except TooManyAttempts as attempts:
        return await _event(event_id, later=attempts, finding=Form(form, problem=_too_many(attempts)))
    except InvalidInput as invalid:
        finding = mistaken(form, invalid) if form.get("userId", "").strip() else Form(form, {"userId": WHOSE})
        return await _event(event_id, "place", status=422, finding=finding)
    return await _event(event_id, "place", finding=Form(form), found=await standing(box_office(), event_id, guest))


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
    """The event's page, or a block of it; `taken` is how one stands who has booked before, perhaps somebody else."""
    event = view(await box_office().event(event_id), box_office().now())
    booked = booking_remembered(event_id)
    mine = await own_standing(box_office(), enquiries(), event_id, booked, order_link(booked)) if booked else None
    is_personal = mine is not None or request.method == "POST"
    is_fresh = request.method == "GET" and "HX-Request" in request.headers
    values = _values(event, mine, booking=booking, taken=taken, finding=finding, found=found, is_fresh=is_fresh)
    if later is not None:
        answer = rendering.page("event.html", status=503 if isinstance(later, Unavailable) else 429, **values)
        answer.headers["Retry-After"] = str(later.retry_after_s)
        return answer
    return rendering.page_or_block("event.html", block, status=status, personal=is_personal, **values)


def _values(
    event: EventView,
    mine: Standing | None = None,
    *,
    booking: Form = EMPTY,
    taken: Standing | None = None,
    finding: Form = EMPTY,
    found: Standing | None = None,
    is_fresh: bool = False,
) -> dict[str, Any]:
    return {
        "event": event, "mine": mine, "is_second": has_place(mine), "is_fresh": is_fresh, "booking": booking,
        "taken": taken, "finding": finding, "found": found,
    }  # fmt: skip


def _too_many(attempts: TooManyAttempts) -> str:
    """Said to one guest, who may have tried once, for all that share his address."""
    wait = counted(attempts.retry_after_s, "second", "seconds")
    return f"Too many requests come from your network just now. Please try again in {wait}."
