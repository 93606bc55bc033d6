"""Whether the process lives, and whether it is ready for requests."""

from quart import Blueprint, Response

from webapp.desk import Unavailable
from webapp.web.contract import answer
from webapp.web.parts import box_office

health = Blueprint("health", __name__)


@health.get("/healthz")
async def healthz() -> Response:
    """That the process answers."""
    return answer({"ok": True})


@health.get("/readyz")
async def readyz() -> Response:
    """That commands are taken and the store can be read.

    Raises Unavailable.
    """
    if not box_office().is_open:
        raise Unavailable("shutting_down", "The server is not ready: it is shutting down", 5)
    await box_office().events(1)
    return answer({"ready": True})
