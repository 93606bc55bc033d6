"""/api/v1/events/<slug>/orders for the organiser: who has booked, page by page as JSON, or all at once as CSV."""

import base64
import re

from quart import Blueprint, Response, request

from webapp.web import parsing
from webapp.web.api import documents
from webapp.web.api.lists import listed
from webapp.web.asking import require_organiser
from webapp.web.fields import CURSOR, LIMIT, STATUS, Q
from webapp.web.links import event_named
from webapp.web.parsing import Fault
from webapp.web.parts import box_office, enquiries
from webapp.web.roster_file import roster_file

roster = Blueprint("roster", __name__, url_prefix="/api/v1")


@roster.get("/events/<event_slug>/orders")
async def list_orders(event_slug: str) -> Response:
    """The orders of an event, in the order of their placing: all, or those of a status, or with a text in them."""
    await require_organiser()
    limit, after, share, text = parsing.parse_texts((LIMIT, CURSOR, STATUS, Q), request.args)
    placed_after = _entry(after)
    event_id = event_named(event_slug)
    await box_office().counts(event_id)
    if request.accept_mimetypes.best_match(["application/json", "text/csv"], "application/json") == "text/csv":
        found = await roster_file(event_id, enquiries().whole_roster(event_id, share=share, q=text))
    else:
        page = await enquiries().roster(event_id, share=share, q=text, after=placed_after, limit=limit)
        found = listed([documents.order(standing) for standing in page.standings], _cursor(page.next))
    found.headers["Cache-Control"] = "no-store"
    found.vary.add("Accept")
    return found


def _cursor(entry: int | None) -> str | None:
    """Where a page ended, as opaque text: the entry that placed its last order."""
    return None if entry is None else base64.urlsafe_b64encode(str(entry).encode()).decode().rstrip("=")


def _entry(cursor: str | None) -> int:
    """The entry that a cursor stands for, 0 without one. Raises InvalidInput where it is none."""
    if cursor is None:
        return 0
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
    except ValueError:
        text = ""
    if not re.fullmatch("[1-9][0-9]{0,15}", text, re.ASCII):
        raise parsing.invalid_input([CURSOR.problem(Fault("is damaged"))])
    return int(text)
