"""Who has booked an event, as a CSV file: the same one from the API and from the organiser's pages."""

from collections.abc import AsyncIterator
from typing import Final

from quart import Response, request

from webapp.enquiries import Standing
from webapp.web.parsing import slug
from webapp.web.spreadsheet import BYTE_ORDER_MARK, as_csv
from webapp.web.times import exactly

COLUMNS: Final = (
    "id", "userId", "name", "email", "status", "position", "placed_at", "checked_in_at", "gate", "cancel_reason",
)  # fmt: skip
CSV: Final = "text/csv; charset=utf-8; header=present"
SLUG_SHOWN_MAX: Final = 200  # so that the file's name fits into 255 bytes


async def roster_file(event_id: str, chunks: AsyncIterator[list[Standing]]) -> Response:
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
        order.guest if order.erased_at is None else None,
        order.name,
        order.email,
        order.status,
        standing.position,
        exactly(order.placed_at),
        None if order.checked_in_at is None else exactly(order.checked_in_at),
        order.gate,
        order.cancel_reason,
    ]
