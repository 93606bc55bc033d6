"""/api/v1/orders, and how they come about: placing an order, seeing it, ending it, and forgetting who placed it."""

from typing import Final

from quart import Blueprint, Response

from webapp.booking.answers import Cancellation, Placement, Refusal
from webapp.booking.ledger import Contact
from webapp.desk import Once
from webapp.storage.store import OrderRow
from webapp.web import links, parsing
from webapp.web.api import documents
from webapp.web.api.documents import Document
from webapp.web.api.idempotency import Kept, Outcome, settled
from webapp.web.api.inputs import header, optional_body
from webapp.web.asking import OrderKey, organiser_or_anyone, organiser_or_order_key, require_organiser
from webapp.web.auth import Organiser
from webapp.web.booking_limit import count_against_limit
from webapp.web.contract import answer, body
from webapp.web.fields import EMAIL, IDEMPOTENCY_KEY, NAME, REASON
from webapp.web.links import event_named
from webapp.web.parsing import USER_ID, slug
from webapp.web.parts import box_office, enquiries, parts
from webapp.web.remarks import remark

orders = Blueprint("orders", __name__, url_prefix="/api/v1")

ORDER_NOT_FOUND: Final = "Order not found"


@orders.after_request
async def keep_private(found: Response) -> Response:
    """Keep what is personal out of every cache."""
    found.headers["Cache-Control"] = "no-store"
    return found


# Placing


@orders.post("/events/<event_slug>/orders")
async def place_order(event_slug: str) -> Response:
    """Book a ticket, or join the waiting list. Of a guest who has an order, only tell how it stands."""
    organiser = await organiser_or_anyone()
    if organiser is None:
        await count_against_limit()
    values = parsing.parse_some((USER_ID,), (NAME, EMAIL), await body())
    key = header(IDEMPOTENCY_KEY)
    event_id, guest = event_named(event_slug), values["userId"]
    contact = Contact(values.get("name"), values.get("email"))

    async def book(once: Once | None) -> Placement:
        return await box_office().book(event_id, guest, "organiser" if organiser else "guest", contact, once=once)

    placed = await settled(book, organiser, [guest, *contact], key, _kept_placement)
    if not placed.kept["is_new"]:
        return placed.dressed(answer(await _already_there(event_id, guest, placed.kept)))
    found = answer(_new_order(event_id, guest, contact, placed.kept) | _key_to(placed.kept["id"]))
    found.status_code = 201
    found.headers["Location"] = links.order_resource(placed.kept["id"])
    return placed.dressed(found)


def _kept_placement(placement: Placement) -> Kept:
    return {
        "id": placement.order_id,
        "is_new": placement.is_new,
        "status": placement.status,
        "position": placement.position,
        "receipt": placement.receipt and documents.receipt(placement.receipt),
    }


async def _already_there(event_id: str, guest: str, kept: Kept) -> Document:
    """What somebody may know of an order who only knows the name of its guest."""
    receipt = await enquiries().receipt(await enquiries().order(kept["id"]))
    return {
        "id": kept["id"],
        "eventId": event_id,
        "userId": guest,
        "status": kept["status"],
        "position": kept["position"],
        "ahead": documents.ahead(kept["position"]),
        "receipt": documents.receipt(receipt),
    }


def _new_order(event_id: str, guest: str, contact: Contact, kept: Kept) -> Document:
    return {
        "id": kept["id"],
        "eventId": event_id,
        "event_slug": slug(event_id),
        "userId": guest,
        "name": contact.name,
        "email": contact.email,
        "status": kept["status"],
        "position": kept["position"],
        "ahead": documents.ahead(kept["position"]),
        "placed_at": kept["receipt"]["at"],
        "checked_in": None,
        "cancel_reason": None,
        "receipt": kept["receipt"],
    }


def _key_to(order_id: str) -> Document:
    return {"key": parts().gatekeeper.order_keys.key(order_id), "manage_link": links.manage_link(order_id)}


# Seeing


@orders.get("/orders/<order_id>")
async def show_order(order_id: str) -> Response:
    """An order, where it stands, and what has led there."""
    order = await _order_asked_for(order_id, await organiser_or_order_key())
    standing, why, receipt, _ = await enquiries().explained(order)
    return answer(documents.order(standing) | {"receipt": documents.receipt(receipt), "why": documents.why(why)})


@orders.post("/orders/<order_id>/manage-link")
async def make_manage_link(order_id: str) -> Response:
    """The link once more, for a guest who has lost it. It is the same one, so that an Idempotency-Key adds nothing."""
    asking = await require_organiser()
    header(IDEMPOTENCY_KEY)
    order = await _order_asked_for(order_id, asking)
    found = answer({"id": order.id} | _key_to(order.id))
    found.status_code = 201
    return found


async def _order_asked_for(order_id: str, asking: Organiser | OrderKey) -> OrderRow:
    """The order, for the organiser and for who has its key: nobody else learns whether there is one.

    Raises Refusal `order_not_found`, Unavailable.
    """
    if isinstance(asking, OrderKey) and not parts().gatekeeper.order_keys.fits(order_id, asking.text):
        remark("wrong_key")
        raise Refusal("order_not_found", ORDER_NOT_FOUND)
    try:
        return await enquiries().order(order_id)
    except Refusal as refusal:
        raise Refusal("order_not_found", ORDER_NOT_FOUND) from refusal


# Ending


@orders.post("/orders/<order_id>/cancellation")
async def cancel_order(order_id: str) -> Response:
    """End an order, whose ticket goes to who has waited longest. A guest learns how many got one, and not who."""
    asking = await organiser_or_order_key()
    reason = parsing.parse_some((), (REASON,), await optional_body()).get("reason")
    key = header(IDEMPOTENCY_KEY)
    order = await _order_asked_for(order_id, asking)
    is_organiser = isinstance(asking, Organiser)

    async def cancel(once: Once | None) -> Cancellation:
        return await box_office().cancel(
            order.event_id,
            order.guest,
            "organiser" if is_organiser else "guest",
            reason,
            order_id=order.id,
            once=once,
        )

    cancelled = await settled(cancel, asking, [reason], key, _kept_cancellation)
    kept = cancelled.kept
    promotions = {"promotions": await _promotions(cancelled)} if is_organiser else {}
    return cancelled.dressed(
        answer(
            {
                "id": order.id,
                "status": "cancelled",
                "promoted": kept["promoted"],
                **promotions,
                "receipt": kept["receipt"],
            }
        )
    )


def _kept_cancellation(cancellation: Cancellation) -> Kept:
    assert cancellation.receipt is not None, "a cancellation is an entry"
    return {
        "promoted": len(cancellation.promoted),
        "order_ids": [order_id for order_id, _ in cancellation.promoted[: documents.PROMOTIONS_LISTED_MAX]],
        "receipt": documents.receipt(cancellation.receipt),
    }


async def _promotions(cancelled: Outcome[Cancellation]) -> list[Document]:
    """Who got a ticket. Names are not kept, but looked up again."""
    if cancelled.answer is not None:
        return documents.promotions(cancelled.answer.promoted)
    found = [await enquiries().order(order_id) for order_id in cancelled.kept["order_ids"]]
    return [{"id": order.id, "userId": documents.guest(order)} for order in found]


@orders.delete("/orders/<order_id>/person")
async def erase_person(order_id: str) -> Response:
    """Forget who placed this order, and all other orders of his at the event. What they hold, they keep."""
    order = await _order_asked_for(order_id, await require_organiser())
    if order.erased_at is None:
        await box_office().erase(order.event_id, order.guest, await enquiries().same_guest(order))
    return Response(status=204)
