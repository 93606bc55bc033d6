"""The file with which one event is added to somebody's calendar."""

from typing import Final

from quart import Blueprint, Response

from webapp.web import calendars, links
from webapp.web.error_pages import error_page
from webapp.web.guard import request_id
from webapp.web.parts import box_office, parts

event_calendar = Blueprint("event_calendar", __name__)

UNDATED: Final = "This event has no date yet. Once it has one, you can add it to your calendar"


@event_calendar.get("/ui/events/<event_slug>/calendar.ics")
async def show_calendar(event_slug: str) -> Response:
    """One event; a calendar that has it already takes a newer file for a change of it."""
    event = await box_office().event(links.event_named(event_slug))
    if event.details.starts_at is None:
        return error_page(404, "undated", "No date yet", UNDATED, request_id=request_id())
    event_id = event.counts.event_id
    uid = parts().gatekeeper.calendar_uids.uid(event_id)
    file = calendars.calendar(event, event.details.starts_at, uid, links.event_page(event_id), box_office().now())
    answer = Response(file, content_type=f"text/calendar; charset=utf-8; method={calendars.METHOD}")
    answer.headers["Content-Disposition"] = f'attachment; filename="{calendars.file_name(event.title)}"'
    answer.headers["Cache-Control"] = "no-cache"
    return answer
