"""One order, for its organiser: how it stands and why, letting its guest in, cancelling, and forgetting who it was."""

from typing import Any, Final

from quart import Response, request

from webapp.booking.answers import Cancellation, Refusal
from webapp.storage.store import OrderRow
from webapp.web import links, parsing, rendering
from webapp.web.fields import REASON
from webapp.web.forms import EMPTY, Form, mistaken
from webapp.web.links import event_named
from webapp.web.organiser.access import PANEL, private
from webapp.web.organiser.gates import gate_remembered, gate_typed, remember_gate
from webapp.web.organiser.guest_view import GuestView, guest_at, guest_path, name_of, standing_at, told_name
from webapp.web.organiser.history import history
from webapp.web.organiser.notices import done, isolated, notice, told
from webapp.web.organiser.overview import seen
from webapp.web.parsing import InvalidInput
from webapp.web.parts import box_office, enquiries, parts
from webapp.web.rendering import see_other

orders = private("organiser_orders", __name__)

ORDER: Final = f"{PANEL}/events/<event_slug>/orders/<order_id>"
NO_MORE: Final = frozenset({"order_cancelled", "not_booked", "already_checked_in", "not_checked_in"})
"""What an order may have become since the page was made that offered something else; the page then shows that."""


@orders.get(ORDER)
async def show_order(event_slug: str, order_id: str) -> Response:
    """The order, and what can be done about it."""
    return await _page(event_named(event_slug), order_id)


@orders.post(f"{ORDER}/check-in")
async def check_in(event_slug: str, order_id: str) -> Response:
    """Let the guest in. Who is in already stays so."""
    order = (await standing_at(event_named(event_slug), order_id)).order
    form = (await request.form).to_dict()
    try:
        gate = gate_typed(form)
    except InvalidInput as invalid:
        return await _page(order.event_id, order_id, mistaken(form, invalid))
    try:
        await box_office().check_in(order.event_id, order.guest, order.id, gate)
    except Refusal as refusal:
        return _as_it_is(order, refusal)
    return remember_gate(done(guest_path(order), f"{told_name(order)} is in."), gate)


@orders.post(f"{ORDER}/check-in/undo")
async def undo_check_in(event_slug: str, order_id: str) -> Response:
    """Take a check-in back."""
    order = (await standing_at(event_named(event_slug), order_id)).order
    try:
        await box_office().undo_check_in(order.event_id, order.guest, order.id)
    except Refusal as refusal:
        return _as_it_is(order, refusal)
    return done(guest_path(order), f"The check-in is taken back: {told_name(order)} is not in.")


@orders.get(f"{ORDER}/cancellation")
async def cancellation_page(event_slug: str, order_id: str) -> Response:
    """Ask, and tell what will follow."""
    return await _cancelling(event_named(event_slug), order_id, EMPTY)


@orders.post(f"{ORDER}/cancellation")
async def cancel(event_slug: str, order_id: str) -> Response:
    """Cancel the ticket, or take the guest off the waiting list."""
    order = (await standing_at(event_named(event_slug), order_id)).order
    form = (await request.form).to_dict()
    try:
        (reason,) = parsing.parse_form((REASON,), {"reason": "", **form})
        cancelled = await box_office().cancel(order.event_id, order.guest, "organiser", reason, order_id=order.id)
    except InvalidInput as invalid:
        return await _cancelling(order.event_id, order_id, mistaken(form, invalid))
    except Refusal as refusal:
        return _as_it_is(order, refusal)
    return done(guest_path(order), f"{told_name(order)} is cancelled.{await _follows(cancelled)}")


@orders.get(f"{ORDER}/erasure")
async def erasure_page(event_slug: str, order_id: str) -> Response:
    """Ask, and tell what will be gone and what stays."""
    event = await seen(event_named(event_slug))
    guest = await guest_at(event, order_id)
    if guest.name is None:
        return see_other(guest.path)
    return rendering.page("organise/erasure.html", event=event, guest=guest)


@orders.post(f"{ORDER}/erasure")
async def erase(event_slug: str, order_id: str) -> Response:
    """Forget who placed this order, and all other orders of his at the event. What they hold, they keep."""
    order = (await standing_at(event_named(event_slug), order_id)).order
    if order.erased_at is None:
        await box_office().erase(order.event_id, order.guest, await enquiries().same_guest(order))
    return done(guest_path(order), "Name and e-mail address are erased.")


async def _page(event_id: str, order_id: str, arriving: Form = EMPTY) -> Response:
    event = await seen(event_id)
    guest = await guest_at(event, order_id)
    order = guest.order
    values: dict[str, Any] = {
        "event": event,
        "guest": guest,
        "story": history(order, (await enquiries().explained(order)).why, event.details.time_zone, guest.now),
        "receipt": await enquiries().receipt(order),
        "code": parts().gatekeeper.ticket_codes.code(order.id),
        "link": links.manage_link(order.id),
        "arriving": arriving,
        "gate": gate_remembered(),
        "notice": notice(),
    }
    return told(rendering.page("organise/order.html", status=422 if arriving.is_mistaken else 200, **values))


async def _cancelling(event_id: str, order_id: str, form: Form) -> Response:
    event = await seen(event_id)
    guest = await guest_at(event, order_id)
    if guest.order.status == "cancelled":
        return see_other(guest.path)
    values: dict[str, Any] = {"event": event, "guest": guest, "taker": await _taker(event_id, guest), "form": form}
    return rendering.page("organise/cancellation.html", status=422 if form.is_mistaken else 200, **values)


async def _taker(event_id: str, guest: GuestView) -> OrderRow | None:
    """Who would get the ticket if it came free now and promotions were not over; None where nobody would."""
    if guest.order.status != "booked":
        return None
    first = (await box_office().tally(event_id)).first_waiting
    return None if first is None else await enquiries().order(first)


async def _follows(cancelled: Cancellation) -> str:
    """Who got the ticket, in a sentence."""
    if not cancelled.promoted:
        return ""
    taker = name_of(await enquiries().order(cancelled.promoted[0].order_id))
    return f" The ticket went to {'somebody whose name was erased' if taker is None else isolated(taker)}."


def _as_it_is(order: OrderRow, refusal: Refusal) -> Response:
    """Back to the order, which shows what has become of it; a second click finds its work done. Raises Refusal."""
    if refusal.code not in NO_MORE:
        raise refusal
    return done(guest_path(order), f"Nothing was changed: {refusal.sentence[0].lower()}{refusal.sentence[1:]}.")
