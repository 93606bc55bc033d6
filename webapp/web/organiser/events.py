"""The organiser's list of events."""

from functools import lru_cache

from quart import Response

from webapp.web import rendering
from webapp.web.event_list import listing_asked_for
from webapp.web.event_view import EventView
from webapp.web.live import FRAMES_KEPT, frame, streamed_list
from webapp.web.organiser.access import PANEL, private, still_signed_in
from webapp.web.organiser.notices import notice, told

events = private("organiser_events", __name__)

PAGE = "organise/events.html"


@events.get(PANEL, strict_slashes=False)
async def panel() -> Response:
    """The events, hidden ones included, in the order in which guests see them; or those that were searched for."""
    status, values = await listing_asked_for("organiser")
    return told(rendering.page_or_block(PAGE, "listed", status=status, notice=notice(), **values))


@events.get(f"{PANEL}/stream")
async def list_stream() -> Response:
    """What changes at the events on a page of the organiser's list, hidden ones included."""
    return await streamed_list("organiser", _row_frame, still_signed_in())


@lru_cache(FRAMES_KEPT)
def _row_frame(event: EventView) -> bytes:
    return frame("counts", event, rendering.block(PAGE, "counts", event=event))
