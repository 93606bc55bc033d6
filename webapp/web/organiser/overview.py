"""One event at a glance, for its organiser."""

from quart import Response

from webapp.web import rendering
from webapp.web.event_view import EventView, view
from webapp.web.forms import EMPTY, Form
from webapp.web.links import event_named
from webapp.web.organiser.access import PANEL, private
from webapp.web.organiser.notices import notice, told
from webapp.web.parts import box_office

overview = private("organiser_overview", __name__)


@overview.get(f"{PANEL}/events/<event_slug>")
async def show_event(event_slug: str) -> Response:
    """An event's state, and what can be done about it."""
    return await event_page(event_named(event_slug))


async def event_page(event_id: str, *, booking: Form = EMPTY, cancelling: Form = EMPTY) -> Response:
    """The page, with forms as they were left."""
    answer = rendering.page(
        "organise/event.html",
        status=422 if booking.is_mistaken or cancelling.is_mistaken else 200,
        event=await seen(event_id),
        booking=booking,
        cancelling=cancelling,
        notice=notice(),
    )
    return told(answer)


async def seen(event_id: str) -> EventView:
    """The event at this moment. Raises Refusal `event_not_found`, Unavailable."""
    return view(await box_office().event(event_id), box_office().now())
