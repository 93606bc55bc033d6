"""The page of all events, for guests."""

from typing import Any, Final
from urllib.parse import urlencode

from quart import Blueprint, Response, request

from webapp.booking.state import EventPage
from webapp.storage.store import Audience
from webapp.web import rendering
from webapp.web.cursors import cursor, event_cursor
from webapp.web.event_view import view
from webapp.web.parts import box_office

event_list = Blueprint("event_list", __name__)

EVENTS_PER_PAGE: Final = 20


@event_list.get("/ui", strict_slashes=False)
async def events_page() -> Response:
    """The events, newest first."""
    return rendering.page("events.html", personal=False, **await listing())


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
