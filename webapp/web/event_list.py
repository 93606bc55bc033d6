"""The page of all events, for guests: what is on, and looking for a title."""

from dataclasses import replace
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

from quart import Blueprint, Response, request

from webapp.booking.state import Event
from webapp.storage.store import Audience, ProgrammePage
from webapp.web import fields, parsing, rendering
from webapp.web.cursors import cursor, programme_cursor
from webapp.web.event_view import view
from webapp.web.kept_pages import beginning, is_plain, kept_from_now_on, kept_page
from webapp.web.parsing import InvalidInput
from webapp.web.parts import box_office, enquiries

event_list = Blueprint("event_list", __name__)

EVENTS_PER_PAGE: Final = 20
Q: Final = replace(fields.Q, description="Only events with this in their title.")
UNSEARCHABLE: Final = "Please search with at most 200 characters, all of them visible."


class Wanted(NamedTuple):
    """Which page of a list is asked for: behind a cursor, if any, and of the events with `q` in their title."""

    after: str | None
    q: str

    @property
    def is_front(self) -> bool:
        """Whether it is where everybody begins, and where one looks for what has opened lately."""
        return not (self.after or self.q)


EVERYTHING: Final = Wanted(None, "")


@event_list.get("/ui", strict_slashes=False)
async def events_page() -> Response:
    """What is on: upcoming events, then those without a date, then past ones; or those that were searched for."""
    if kept := kept_page():
        return kept
    made = beginning()
    status, values = await listing_asked_for("guests")
    if is_plain():
        events = [Event(event.counts, event.details) for event in values["events"]]
        return kept_from_now_on(rendering.content("events.html", **values), made, events, is_list=True)
    if values["typed"]:  # not kept for others: few type the same, and it would push out what many look at
        return rendering.page_or_block("events.html", "listed", status=status, **values)
    return rendering.page_or_block("events.html", "listed", personal=False, **values)


async def listing_asked_for(shown_to: Audience) -> tuple[int, dict[str, Any]]:
    """The list that the request asks for, and its status; all events, and the mistake, for an impossible search.

    Raises InvalidInput for what no page would ask for, and Unavailable.
    """
    try:
        wanted = list_wanted()
    except InvalidInput:
        told = {"typed": request.args["q"], "mistake": UNSEARCHABLE}
        return 422, {**told, **await listing(shown_to, EVERYTHING)}
    return 200, {"typed": wanted.q, "mistake": "", **await listing(shown_to, wanted)}


def list_wanted() -> Wanted:
    """Which page of a list the request asks for. Raises InvalidInput."""
    (q,) = parsing.parse_texts((Q,), request.args)
    return Wanted(request.args.get("after") or None, q)


async def shown_events(wanted: Wanted, shown_to: Audience = "guests") -> ProgrammePage:
    """The events on a page of a list. Raises InvalidInput, Unavailable."""
    after = programme_cursor(wanted.after) if wanted.after else None
    return await enquiries().programme(EVENTS_PER_PAGE, after, shown_to, q=wanted.q)


async def latest_event(shown_to: Audience = "guests") -> Event | None:
    """The event that has opened last; None where there is none. Raises Unavailable."""
    events = (await box_office().events(1, shown_to=shown_to)).events
    return events[0] if events else None


async def listing(shown_to: Audience = "guests", wanted: Wanted | None = None) -> dict[str, Any]:
    """What a list is made of: the events of the page that is wanted or asked for, where more are, and its stream.

    Raises InvalidInput, Unavailable.
    """
    wanted = wanted or list_wanted()
    latest = await latest_event(shown_to) if wanted.is_front else None  # first, or what opens meanwhile is missed
    shown, now = await shown_events(wanted, shown_to), box_office().now()
    query = {name: value for name, value in {"q": wanted.q, "after": wanted.after}.items() if value}
    newest = {"newest": rendering.token(latest.counts.event_id) if latest else ""} if wanted.is_front else {}
    stream = "/ui/stream" if shown_to == "guests" else "/ui/organise/stream"
    return {
        "events": tuple(view(event, now) for event in shown.events),
        "q": wanted.q,
        "after": wanted.after,
        "more": cursor(shown.next),
        "query": urlencode(query),
        "stream": f"{stream}?{urlencode(query | newest)}",
    }
