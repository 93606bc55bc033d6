"""The server's figures, for Prometheus to fetch."""

from quart import Blueprint, Response

from webapp.metrics import CONTENT_TYPE
from webapp.web.asking import require_organiser
from webapp.web.parts import box_office, parts
from webapp.web.streams import open_streams

metrics = Blueprint("metrics", __name__)


@metrics.get("/metrics")
async def scrape() -> Response:
    """What the server has counted of itself, in Prometheus's text format, for the organiser."""
    await require_organiser()
    text = await parts().metrics.text(pending=box_office().pending, streams=open_streams())
    return Response(text, content_type=CONTENT_TYPE, headers={"Cache-Control": "no-store"})
