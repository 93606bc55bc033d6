"""The page of an order, for whoever has its key: the ticket or the place in the waiting list, why, and cancelling.

GET changes nothing, since scanners of mails follow links. A wrong key looks like an order that does not exist.
"""

from typing import Any, Final

from quart import Blueprint, Response, request

from webapp.booking.answers import Refusal
from webapp.enquiries import Standing
from webapp.storage.store import OrderRow
from webapp.web import links, parsing, rendering
from webapp.web.broadcast import Interest
from webapp.web.event_view import EventView, view
from webapp.web.fields import REASON
from webapp.web.forms import EMPTY, Form, mistaken
from webapp.web.order_view import OrderFrames, Ticket, shown
from webapp.web.parsing import InvalidInput
from webapp.web.parts import box_office, enquiries, parts
from webapp.web.remarks import remark
from webapp.web.rendering import order_path, see_other
from webapp.web.streams import streamed

order_page = Blueprint("order_page", __name__, url_prefix="/ui/orders/<order_id>/<key>")

NO_SUCH_ORDER: Final = "There is no such order. Is the link complete?"
INSIDE: Final = "You have been let in already, so this ticket cannot be cancelled here. Please ask the organiser."


@order_page.after_request
async def keep_private(answer: Response) -> Response:
    """Keep these pages out of caches, and their addresses, which hold the key, from other sites."""
    answer.headers["Cache-Control"] = "no-store"
    answer.headers.setdefault("Referrer-Policy", "no-referrer")
    return answer


@order_page.get("")
async def show_order(order_id: str, key: str) -> Response:
    """The order, and what has led to it."""
    return await _page(await _order(order_id, key), key)


@order_page.get("/stream")
async def order_stream(order_id: str, key: str) -> Response:
    """What changes of the order, and of what its page says about the event."""
    order = await _order(order_id, key)
    office, event = box_office(), await box_office().event(order.event_id)

    def seen() -> EventView:
        return view(office.published_event(order.event_id) or event, office.now())

    frames = OrderFrames(enquiries(), order, _ticket(order, key), seen)
    return streamed(Interest(frozenset({order.event_id})), [event.counts], frames)


@order_page.get("/cancellation")
async def cancellation_page(order_id: str, key: str) -> Response:
    """Ask, and tell what will follow."""
    standing, path = await _standing(order_id, key), order_path(order_id, key)
    if standing.order.status == "cancelled" or standing.order.checked_in_at is not None:
        return see_other(path)
    return await _question(standing, path, EMPTY)


@order_page.post("/cancellation")
async def cancel(order_id: str, key: str) -> Response:
    """Cancel the ticket, or leave the waiting list. What is cancelled already stays so."""
    standing, path = await _standing(order_id, key), order_path(order_id, key)
    order, form = standing.order, (await request.form).to_dict()
    if order.status == "cancelled":
        return see_other(path)
    try:
        (reason,) = parsing.parse_form((REASON,), {"reason": "", **form})
        await box_office().cancel(order.event_id, order.guest, "guest", reason, order_id=order.id)
    except InvalidInput as invalid:
        return await _question(standing, path, mistaken(form, invalid))
    except Refusal as refusal:
        if refusal.code == "already_checked_in":
            return await _page(order, key, INSIDE)
        if refusal.code != "order_cancelled":
            raise
    return see_other(path)


async def _order(order_id: str, key: str) -> OrderRow:
    """The order with this key. Raises Refusal `order_not_found`, Unavailable."""
    if not parts().gatekeeper.order_keys.fits(order_id, key):
        remark("wrong_key")
        raise Refusal("order_not_found", NO_SUCH_ORDER)
    try:
        return await enquiries().order(order_id)
    except Refusal as refusal:
        raise Refusal("order_not_found", NO_SUCH_ORDER) from refusal


async def _standing(order_id: str, key: str) -> Standing:
    """How the order with this key stands. Raises Refusal `order_not_found`, Unavailable."""
    return await enquiries().standing(await _order(order_id, key))


async def _event(event_id: str) -> EventView:
    return view(await box_office().event(event_id), box_office().now())


def _ticket(order: OrderRow, key: str) -> Ticket:
    code = parts().gatekeeper.ticket_codes.code(order.id)
    return Ticket(order_path(order.id, key), code, links.ticket_at_the_door(code))


async def _page(order: OrderRow, key: str, problem: str = "") -> Response:
    explained, event = await enquiries().explained(order), await _event(order.event_id)
    values: dict[str, Any] = shown(explained, event, _ticket(order, key))
    return rendering.page("order.html", status=409 if problem else 200, problem=problem, **values)


async def _question(standing: Standing, path: str, form: Form) -> Response:
    order, position = standing
    event = await _event(order.event_id)
    status = 422 if form.is_mistaken else 200
    values: dict[str, Any] = {"event": event, "order": order, "position": position, "path": path, "form": form}
    answer = rendering.page("order_cancellation.html", status=status, **values)
    # Told no referrer at all, browsers send the form with `Origin: null`, which looks like another site's. This sends
    # them the origin, still without the path.
    answer.headers["Referrer-Policy"] = "strict-origin"
    return answer
