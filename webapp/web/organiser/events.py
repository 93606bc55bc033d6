"""The organiser's list of events, and opening another."""

from quart import Response, request

from webapp.booking.answers import Refusal
from webapp.web import parsing, rendering
from webapp.web.event_list import listing
from webapp.web.forms import EMPTY, Form, mistaken
from webapp.web.live import streamed_list
from webapp.web.organiser.access import PANEL, private
from webapp.web.organiser.notices import done
from webapp.web.parsing import EVENT_ID, TICKETS, InvalidInput
from webapp.web.parts import box_office
from webapp.web.rendering import organise_path

events = private("organiser_events", __name__)


@events.get(PANEL, strict_slashes=False)
async def panel() -> Response:
    """The events, and a form that opens another."""
    return await _panel(EMPTY)


@events.get(f"{PANEL}/stream")
async def list_stream() -> Response:
    """What changes at the events on a page of the organiser's list, hidden ones included."""
    return await streamed_list("organiser")


@events.post(f"{PANEL}/events")
async def open_event() -> Response:
    """Open an event. Opening one again with the same tickets leads to it, and changes nothing."""
    form = (await request.form).to_dict()
    try:
        event_id, tickets = parsing.parse_form((EVENT_ID, TICKETS), form)
        opening = await box_office().open_event(event_id, tickets)
    except InvalidInput as invalid:
        return await _panel(mistaken(form, invalid), 422)
    except Refusal as refusal:
        return await _panel(Form(form, {"eventId": f"{refusal.sentence}. Choose another name."}), 422)
    return done(
        organise_path(event_id),
        "The event is open." if opening.is_new else "The event was open already; nothing changed.",
    )


async def _panel(form: Form, status: int = 200) -> Response:
    return rendering.page("organise/events.html", status=status, form=form, **await listing("organiser"))
