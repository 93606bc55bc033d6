"""One event at a glance, for its organiser: how full it is, how it filled, and what happened last, all of it live."""

from typing import Any, Final

from quart import Response

from webapp.booking.answers import Refusal
from webapp.booking.state import Event
from webapp.desk import Unavailable
from webapp.enquiries import Enquiries
from webapp.web import links, rendering
from webapp.web.broadcast import Interest, News
from webapp.web.event_view import EventView, view
from webapp.web.forms import EMPTY
from webapp.web.links import event_named
from webapp.web.organiser.access import PANEL, private, still_signed_in
from webapp.web.organiser.guest_view import stamp
from webapp.web.organiser.lines import lines
from webapp.web.organiser.notices import notice, told
from webapp.web.organiser.plot import plot
from webapp.web.parts import box_office, enquiries
from webapp.web.streams import message, streamed

overview = private("organiser_overview", __name__)

EVENT: Final = f"{PANEL}/events/<event_slug>"
PAGE: Final = "organise/overview.html"
LINES: Final = 10
LIVE: Final = ("figures", "plot", "rows", "activity", "action")
"""The blocks of the page that its stream sends."""


@overview.get(EVENT)
async def show_event(event_slug: str) -> Response:
    """An event's state, and what can be done about it."""
    return await _page(event_named(event_slug))


@overview.get(f"{EVENT}/stream")
async def event_stream(event_slug: str) -> Response:
    """What changes on that page."""
    event = await box_office().event(event_named(event_slug))
    office, reads = box_office(), enquiries()

    async def frames(_: News) -> bytes:
        latest = office.published_event(event.counts.event_id) or event
        try:
            values = await _values(reads, latest, office.now())
        except (Refusal, Unavailable):  # it was deleted, or cannot be read just now
            return b""
        return b"".join(message(name, rendering.block(PAGE, name, **values)) for name in LIVE)

    return streamed(Interest(frozenset({event.counts.event_id})), [event.counts], frames, is_allowed=still_signed_in())


async def _page(event_id: str) -> Response:
    event = await box_office().event(event_id)
    answer = rendering.page(
        PAGE,
        booking=EMPTY,
        notice=notice(),
        address=links.event_page(event_id),
        **await _values(enquiries(), event, box_office().now()),
    )
    return told(answer)


async def seen(event_id: str) -> EventView:
    """The event at this moment. Raises Refusal `event_not_found`, Unavailable."""
    return view(await box_office().event(event_id), box_office().now())


async def _values(reads: Enquiries, event: Event, now: int) -> dict[str, Any]:
    """What the live blocks show."""
    event_id, time_zone = event.counts.event_id, event.details.time_zone
    latest = await reads.ledger(event_id, max(0, event.counts.head - LINES), LINES)

    def time(at: int) -> str:
        return stamp(at, time_zone, now)

    return {
        "event": view(event, now),
        "plot": plot(await reads.turnout(event_id), time_zone, now),
        "activity": lines(reversed(latest), await reads.named(latest), time),
    }
