"""The page of an order, for whoever has its key: the ticket or the place in the waiting list, why, and cancelling.

GET changes nothing, since scanners of mails follow links. A wrong key looks like an order that does not exist.
"""

from typing import Any, Final

from quart import Blueprint, Response

from webapp.booking.answers import Refusal
from webapp.enquiries import Standing
from webapp.web import dates, rendering, why
from webapp.web.event_view import EventView, view
from webapp.web.parts import box_office, enquiries, parts
from webapp.web.rendering import order_path, see_other

order_page = Blueprint("order_page", __name__, url_prefix="/ui/orders/<order_id>/<key>")

NO_SUCH_ORDER: Final = "There is no such order. Is the link complete?"


@order_page.after_request
async def keep_private(answer: Response) -> Response:
    """Keep these pages out of caches, and their addresses, which hold the key, from other sites."""
    answer.headers["Cache-Control"] = "no-store"
    answer.headers.setdefault("Referrer-Policy", "no-referrer")
    return answer


@order_page.get("")
async def show_order(order_id: str, key: str) -> Response:
    """The order, and what has led to it."""
    return await _order(await _standing(order_id, key), order_path(order_id, key))


@order_page.get("/cancellation")
async def cancellation_page(order_id: str, key: str) -> Response:
    """Ask, and tell what will follow."""
    standing, path = await _standing(order_id, key), order_path(order_id, key)
    order, position = standing
    if order.status == "cancelled" or order.checked_in_at is not None:
        return see_other(path)
    event = await _event(order.event_id)
    answer = rendering.page("order_cancellation.html", event=event, order=order, position=position, path=path)
    # Told no referrer at all, browsers send the form with `Origin: null`, which looks like another site's. This sends
    # them the origin, still without the path.
    answer.headers["Referrer-Policy"] = "strict-origin"
    return answer


@order_page.post("/cancellation")
async def cancel(order_id: str, key: str) -> Response:
    """Cancel the ticket, or leave the waiting list. What is cancelled already stays so."""
    standing, path = await _standing(order_id, key), order_path(order_id, key)
    order = standing.order
    try:
        await box_office().cancel(order.event_id, order.guest, "guest", order_id=order.id)
    except Refusal as refusal:
        if refusal.code == "already_checked_in":
            problem = "You have been checked in, so this ticket cannot be cancelled here. Please ask the organiser."
            return await _order(await _standing(order_id, key), path, problem)
        if refusal.code != "order_cancelled":
            raise
    return see_other(path)


async def _standing(order_id: str, key: str) -> Standing:
    """How the order with this key stands. Raises Refusal `order_not_found`, Unavailable."""
    if not parts().gatekeeper.order_keys.fits(order_id, key):
        raise Refusal("order_not_found", NO_SUCH_ORDER)
    try:
        return await enquiries().standing(await enquiries().order(order_id))
    except Refusal as refusal:
        raise Refusal("order_not_found", NO_SUCH_ORDER) from refusal


async def _event(event_id: str) -> EventView:
    return view(await box_office().event(event_id), box_office().now())


async def _order(standing: Standing, path: str, problem: str = "") -> Response:
    order, position = standing
    event = await _event(order.event_id)
    explained = await enquiries().explained(order)
    story = why.sentences(order, explained.why, event.details.time_zone, event.year)
    values: dict[str, Any] = {
        "event": event,
        "order": order,
        "position": position,
        "arrived": _arrival(standing, event),
        "story": story,
        "receipt": await enquiries().receipt(order),
        "path": path,
        "problem": problem,
    }
    return rendering.page("order.html", status=409 if problem else 200, **values)


def _arrival(standing: Standing, event: EventView) -> str | None:
    """When and where the guest was let in; None where he was not."""
    order = standing.order
    if order.checked_in_at is None:
        return None
    at = dates.clock(dates.local(order.checked_in_at, event.details.time_zone))
    return f"{at}, {order.gate}" if order.gate else at
