"""/api/v1/events/<slug>/orders for the organiser: who has booked, page by page as JSON, or all at once as CSV."""

import base64
import re
from collections.abc import AsyncIterator
from typing import Final

from quart import Blueprint, Response, request

from webapp.enquiries import Standing
from webapp.web import parsing
from webapp.web.api import documents
from webapp.web.api.lists import listed
from webapp.web.api.spreadsheet import BYTE_ORDER_MARK, as_csv
from webapp.web.asking import require_organiser
from webapp.web.fields import CURSOR, LIMIT, STATUS, Q
from webapp.web.links import event_named
from webapp.web.parsing import Fault, slug
from webapp.web.parts import box_office, enquiries
from webapp.web.times import exactly

roster = Blueprint("roster", __name__, url_prefix="/api/v1")

COLUMNS: Final = (
    "id", "userId", "name", "email", "status", "position", "placed_at", "checked_in_at", "gate", "cancel_reason",
)  # fmt: skip
CSV: Final = "text/csv; charset=utf-8; header=present"
SLUG_SHOWN_MAX: Final = 200  # so that the file's name fits into 255 bytes


@roster.get("/events/<event_slug>/orders")
async def list_orders(event_slug: str) -> Response:
    """The orders of an event, in the order of their placing: all, or those of a status, or with a text in them."""
    await require_organiser()
    limit, after, share, text = parsing.parse_texts((LIMIT, CURSOR, STATUS, Q), request.args)
    placed_after = _entry(after)
    event_id = event_named(event_slug)
    await box_office().counts(event_id)
    if request.accept_mimetypes.best_match(["application/json", "text/csv"], "application/json") == "text/csv":
        found = await _whole(event_id, enquiries().whole_roster(event_id, share=share, q=text))
    else:
        page = await enquiries().roster(event_id, share=share, q=text, after=placed_after, limit=limit)
        found = listed([documents.order(standing) for standing in page.standings], _cursor(page.next))
    found.headers["Cache-Control"] = "no-store"
    found.vary.add("Accept")
    return found


async def _whole(event_id: str, chunks: AsyncIterator[list[Standing]]) -> Response:
    """All chunks as one CSV file; the first is fetched now, while a problem with it can still be answered."""
    none: list[Standing] = []
    first = await anext(chunks, none)

    async def lines() -> AsyncIterator[bytes]:
        yield (BYTE_ORDER_MARK + as_csv([COLUMNS])).encode()
        yield as_csv(map(_row, first)).encode()
        async for chunk in chunks:
            yield as_csv(map(_row, chunk)).encode()

    found = Response(b"" if request.method == "HEAD" else lines(), content_type=CSV)
    found.headers["Content-Disposition"] = f'attachment; filename="{slug(event_id)[:SLUG_SHOWN_MAX]}-guests.csv"'
    found.timeout = None  # Quart would cut it after a minute, and a slow reader may need more for a million guests
    return found


def _row(standing: Standing) -> list[str | int | None]:
    order = standing.order
    return [
        order.id,
        documents.guest(order),
        order.name,
        order.email,
        order.status,
        standing.position,
        exactly(order.placed_at),
        None if order.checked_in_at is None else exactly(order.checked_in_at),
        order.gate,
        order.cancel_reason,
    ]


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
