"""The door of an event: guests are let in by the code of their ticket, typed or scanned, or by name.

Only a POST lets anybody in, with a code that stands on the ticket alone, or with the order that the organiser has
chosen by its guest's name. It leads to a page that tells what came of it, which is safe to reload. What is no ticket is
looked for, and answered at once: that changes nothing, and a name must not stand in an address.
"""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode

from quart import Response, request

from webapp.booking.answers import Refusal
from webapp.desk import Unavailable
from webapp.storage.store import OrderRow
from webapp.web import parsing, rendering
from webapp.web.fields import AFTER, Q
from webapp.web.forms import EMPTY, Form, mistaken
from webapp.web.links import event_named
from webapp.web.organiser.access import PANEL, private
from webapp.web.organiser.gates import gate_remembered, gate_typed, remember_gate
from webapp.web.organiser.guest_view import standing_at
from webapp.web.organiser.notices import notice, told
from webapp.web.organiser.orders import NO_MORE
from webapp.web.organiser.overview import seen
from webapp.web.organiser.verdicts import Search, Verdict, numbered, orders_with_code, search, verdict
from webapp.web.parsing import InvalidInput
from webapp.web.parts import box_office, enquiries
from webapp.web.rendering import organise_path, see_other
from webapp.web.ticket_codes import code_in

door = private("organiser_door", __name__)

CHECK_IN: Final = f"{PANEL}/events/<event_slug>/check-in"
TICKET: Final = f"{PANEL}/tickets/<code>"
SCANNED_LENGTH_MAX: Final = 2_000


@door.get(CHECK_IN)
async def show_door(event_slug: str) -> Response:
    """The field for codes and names, and what came of the last one."""
    event_id, order_id = event_named(event_slug), request.args.get("order", "")
    found = await verdict(await enquiries().order(order_id), event_id, _let_in_at()) if order_id else None
    return await _door(event_id, found)


@door.post(CHECK_IN)
async def check_in(event_slug: str) -> Response:
    """Let in whoever has the ticket with this code, or whom the organiser has chosen; otherwise look who is meant."""
    event_id = event_named(event_slug)
    form = (await request.form).to_dict()
    try:
        return await _come(event_id, form)
    except Unavailable as unavailable:  # the whole page, with what was scanned, which can be sent again
        answer = await _door(event_id, form=Form(form, problem=f"{unavailable.sentence}."), status=503)
        answer.headers["Retry-After"] = str(unavailable.retry_after_s)
        return answer


async def _come(event_id: str, form: Mapping[str, str]) -> Response:
    try:
        gate = gate_typed(form)
        if order_id := form.get("order"):
            return await _let_in((await standing_at(event_id, order_id)).order, gate)
        text = _scanned(form)
    except InvalidInput as invalid:
        return await _door(event_id, form=mistaken(form, invalid))
    code = code_in(text)
    fitting = await orders_with_code(code) if code else []
    here = [order for order in fitting if order.event_id == event_id]
    if len(here) == len(fitting) == 1:
        return await _let_in(here[0], gate)
    if fitting and not here:
        return remember_gate(_on(event_id, order=fitting[0].id), gate)
    return remember_gate(await _door(event_id, await _found(event_id, text), Form({"gate": gate or ""})), gate)


@door.post(f"{CHECK_IN}/undo")
async def undo(event_slug: str) -> Response:
    """Take a check-in back. What was taken back already stays so."""
    event_id = event_named(event_slug)
    order = (await standing_at(event_id, (await request.form).get("order", ""))).order
    try:
        await box_office().undo_check_in(event_id, order.guest, order.id)
    except Refusal as refusal:
        if refusal.code not in NO_MORE:
            raise
    return _on(event_id, order=order.id)


@door.get(TICKET)
async def show_ticket(code: str) -> Response:
    """What a telephone's camera leads to: whose ticket it is, and a button that lets him in."""
    verdicts = [await verdict(order, None, _let_in_at()) for order in await _with_ticket(code)]
    return _ticket(code, verdicts, EMPTY)


@door.post(TICKET)
async def let_in(code: str) -> Response:
    """Let in whoever has the ticket; of several whom the code fits, the one that was chosen by name."""
    fitting = await _with_ticket(code)
    form = (await request.form).to_dict()
    chosen = [order for order in fitting if len(fitting) == 1 or order.id == form.get("order")]
    try:
        gate = gate_typed(form)
    except InvalidInput as invalid:
        return _ticket(code, [await verdict(order, None) for order in fitting], mistaken(form, invalid))
    if not chosen:
        return see_other(f"{PANEL}/tickets/{code}")
    order = chosen[0]
    address = f"{PANEL}/tickets/{code}?{urlencode(await _arrival(order, gate))}"
    return remember_gate(see_other(address), gate)


async def _let_in(order: OrderRow, gate: str | None) -> Response:
    return remember_gate(_on(order.event_id, **await _arrival(order, gate)), gate)


async def _arrival(order: OrderRow, gate: str | None) -> dict[str, object]:
    """Let a guest in, if he may come in; which order it was, and when he was let in just now, for an address."""
    try:
        arrived = await box_office().check_in(order.event_id, order.guest, order.id, gate)
    except Refusal as refusal:
        if refusal.code not in NO_MORE:
            raise
        return {"order": order.id}
    return {"order": order.id, "at": arrived.at}


def _scanned(form: Mapping[str, str]) -> str:
    """What was typed or scanned: an address with a code in it, or what somebody can be looked for by.

    Raises InvalidInput, whose problem points at `/ticket`.
    """
    text = form.get("ticket", "").strip()
    if not text:
        raise _unusable()
    if len(text) <= SCANNED_LENGTH_MAX and code_in(text):
        return text
    try:
        (text,) = parsing.parse_form((Q,), {"q": text})
    except InvalidInput as invalid:
        raise _unusable() from invalid
    return text


def _unusable() -> InvalidInput:
    return InvalidInput("invalid_input", "", problems=(parsing.Problem("/ticket", ""),))


def _let_in_at() -> int | None:
    """When the one whom a page is about was let in, as the address tells it; None where it tells nothing."""
    try:
        (at,) = parsing.parse_texts((AFTER,), {AFTER.name: request.args.get("at", "")})
    except InvalidInput:
        return None
    return at


async def _with_ticket(code: str) -> list[OrderRow]:
    """The orders that a code in an address fits. Raises Refusal `order_not_found`, Unavailable."""
    known = code_in(code)
    fitting = await orders_with_code(known) if known else []
    if not fitting:
        raise Refusal("order_not_found", "There is no ticket with this code")
    return fitting


async def _found(event_id: str, text: str) -> Verdict | Search:
    """Who is meant: somebody at this event; or, of a number of an order, somebody elsewhere."""
    found = await search(await seen(event_id), text)
    if not found.guests and (order := await numbered(text)):
        return await verdict(order, event_id)
    return found


def _on(event_id: str, **query: object) -> Response:
    return see_other(f"{organise_path(event_id)}/check-in?{urlencode(query)}")


async def _door(
    event_id: str, found: Verdict | Search | None = None, form: Form = EMPTY, status: int = 200
) -> Response:
    event = await seen(event_id)
    values: dict[str, Any] = {
        "event": event,
        "counts": event.counts,
        "verdict": found if isinstance(found, Verdict) else None,
        "search": found if isinstance(found, Search) else None,
        "form": form,
        "gate": gate_remembered(),
        "notice": notice(),
    }
    status = 422 if form.is_mistaken and status == 200 else status
    return told(rendering.page_or_block("organise/check_in.html", "result", status=status, **values))


def _ticket(code: str, verdicts: list[Verdict], form: Form) -> Response:
    values: dict[str, Any] = {"code": code_in(code), "verdicts": verdicts, "form": form, "gate": gate_remembered()}
    return rendering.page("organise/ticket.html", status=422 if form.is_mistaken else 200, **values)
