"""Who has booked an event, for its organiser: booking for somebody, and cancelling."""

from quart import Response, request

from webapp.booking.answers import Refusal
from webapp.web import parsing, rendering
from webapp.web.event_page import NOT_NOW
from webapp.web.forms import Form, mistaken
from webapp.web.links import event_named
from webapp.web.organiser.access import PANEL, private
from webapp.web.organiser.notices import cancelled, done, placed
from webapp.web.organiser.overview import event_page, seen
from webapp.web.parsing import USER_ID, InvalidInput
from webapp.web.parts import box_office
from webapp.web.rendering import organise_path, see_other
from webapp.web.standings import standing

guests = private("organiser_guests", __name__)


@guests.post(f"{PANEL}/events/<event_slug>/orders")
async def place_order(event_slug: str) -> Response:
    """Book for somebody."""
    event_id = event_named(event_slug)
    form = (await request.form).to_dict()
    try:
        (guest,) = parsing.parse_form((USER_ID,), form)
        placement = await box_office().book(event_id, guest, "organiser")
    except InvalidInput as invalid:
        return await event_page(event_id, booking=mistaken(form, invalid))
    except Refusal as refusal:
        if refusal.code not in NOT_NOW:
            raise
        return await event_page(event_id, booking=Form(form, problem=f"{refusal.sentence}; nobody can be booked now."))
    return done(organise_path(event_id), placed(guest, placement))


@guests.get(f"{PANEL}/events/<event_slug>/cancellation")
async def cancellation_page(event_slug: str) -> Response:
    """To where the organiser says whose order to cancel."""
    return see_other(f"{organise_path(event_named(event_slug))}#cancel")


@guests.post(f"{PANEL}/events/<event_slug>/cancellation")
async def cancel(event_slug: str) -> Response:
    """Ask, and tell what will follow; once that is confirmed, cancel."""
    event_id = event_named(event_slug)
    form = (await request.form).to_dict()
    try:
        (guest,) = parsing.parse_form((USER_ID,), form)
        if form.get("confirmed"):
            return done(
                organise_path(event_id), cancelled(guest, await box_office().cancel(event_id, guest, "organiser"))
            )
        found = await standing(box_office(), event_id, guest)
    except InvalidInput as invalid:
        return await event_page(event_id, cancelling=mistaken(form, invalid))
    except Refusal as refusal:
        if refusal.code == "already_checked_in":
            return await event_page(event_id, cancelling=Form(form, {"userId": f"{refusal.sentence}."}))
        if refusal.code != "order_not_found":
            raise
        return await event_page(event_id, cancelling=_unknown(form, guest))
    if found.status is None:
        return await event_page(event_id, cancelling=_unknown(form, guest))
    return rendering.page("organise/cancellation.html", event=await seen(event_id), found=found)


def _unknown(form: dict[str, str], guest: str) -> Form:
    return Form(form, {"userId": f"Nobody called “{guest}” has a ticket or waits here. Is it spelt as it was booked?"})
