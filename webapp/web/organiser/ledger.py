"""The ledger of an event for its organiser: what has happened, latest first, with the guests' names beside it."""

from dataclasses import replace
from typing import Any, Final

from quart import Response, request

from webapp.web import dates, parsing, rendering
from webapp.web.fields import AFTER
from webapp.web.links import event_named
from webapp.web.organiser.access import PANEL, private
from webapp.web.organiser.guest_view import dated
from webapp.web.organiser.lines import lines
from webapp.web.organiser.notices import notice, told
from webapp.web.organiser.overview import seen
from webapp.web.parsing import InvalidInput
from webapp.web.parts import enquiries
from webapp.web.rendering import organise_path

ledger = private("organiser_ledger", __name__)

ENTRIES_PER_PAGE: Final = 50
BEFORE: Final = replace(AFTER, name="before")


@ledger.get(f"{PANEL}/events/<event_slug>/ledger")
async def show_ledger(event_slug: str) -> Response:
    """The entries, the latest first, page by page."""
    event = await seen(event_named(event_slug))
    head = event.counts.head
    end = min(_before() or head + 1, head + 1)  # an entry that there is not yet is as good as none
    start = max(0, end - 1 - ENTRIES_PER_PAGE)
    entries = await enquiries().ledger(event.counts.event_id, start, end - 1 - start) if end > 1 else []
    orders = await enquiries().named(entries)

    def time(at: int) -> str:
        return dated(dates.local(at, event.details.time_zone), event.year)

    path = f"{organise_path(event.counts.event_id)}/ledger"
    values: dict[str, Any] = {
        "event": event,
        "lines": lines(reversed(entries), orders, time),
        "here": f"{path}?before={end}" if end <= head else path,
        "newest": path if end <= head else None,
        "older": f"{path}?before={start + 1}" if start else None,
        "notice": notice(),
    }
    return told(rendering.page("organise/ledger.html", **values))


def _before() -> int:
    """The entry that a page ends before; 0 for the latest page. Raises InvalidInput."""
    try:
        (before,) = parsing.parse_texts((BEFORE,), request.args)
    except InvalidInput as invalid:
        raise InvalidInput("invalid_input", "This address is damaged: the ledger has no such page") from invalid
    return before
