"""/api/v1/orders/<id>/check-in: the organiser lets guests in, once, and takes back what was a mistake."""

from quart import Blueprint, Response

from webapp.booking.answers import CheckIn
from webapp.desk import Once
from webapp.web import parsing
from webapp.web.api import documents
from webapp.web.api.idempotency import Kept, settled
from webapp.web.api.inputs import header, optional_body
from webapp.web.asking import require_organiser
from webapp.web.contract import answer
from webapp.web.fields import GATE, IDEMPOTENCY_KEY
from webapp.web.parts import box_office, enquiries

arrivals = Blueprint("arrivals", __name__, url_prefix="/api/v1")


@arrivals.post("/orders/<order_id>/check-in")
async def check_in(order_id: str) -> Response:
    """Let a guest in."""
    organiser = await require_organiser()
    gate = parsing.parse_some((), (GATE,), await optional_body()).get("gate")
    key = header(IDEMPOTENCY_KEY)
    order = await enquiries().order(order_id)

    async def let_in(once: Once | None) -> CheckIn:
        return await box_office().check_in(order.event_id, order.guest, order.id, gate, once=once)

    arrived = await settled(let_in, organiser, [gate], key, _kept)
    found = answer({"id": order.id, "userId": documents.guest(order), "name": order.name, **arrived.kept})
    found.status_code = 201
    found.headers["Cache-Control"] = "no-store"
    return arrived.dressed(found)


@arrivals.delete("/orders/<order_id>/check-in")
async def undo_check_in(order_id: str) -> Response:
    """Take a check-in back."""
    await require_organiser()
    order = await enquiries().order(order_id)
    await box_office().undo_check_in(order.event_id, order.guest, order.id)
    return Response(status=204)


def _kept(arrived: CheckIn) -> Kept:
    assert arrived.receipt is not None, "a check-in is an entry"
    return {
        "checked_in": documents.arrival(arrived.at, arrived.gate) | {"by": "organiser"},
        "receipt": documents.receipt(arrived.receipt),
    }
