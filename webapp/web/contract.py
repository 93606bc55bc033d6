"""The JSON routes of the original description, kept to the letter."""

import json
from typing import Any, Final, cast

from quart import Blueprint, Response, redirect, request
from werkzeug.wrappers import Response as AnyResponse

from webapp.booking.answers import Cancellation, Placement, Refusal
from webapp.booking.state import Counts
from webapp.web import parsing
from webapp.web.asking import require_organiser, require_password
from webapp.web.booking_limit import count_against_limit
from webapp.web.parsing import EVENT_ID, TICKETS, USER_ID
from webapp.web.parts import box_office, parts
from webapp.web.remarks import remark

contract = Blueprint("contract", __name__)

ALREADY: Final = {"booked": "Already booked", "waiting": "Already on the waiting list"}


@contract.get("/")
async def home() -> AnyResponse:
    """To the pages."""
    return redirect("/ui")


@contract.get("/health")
async def health() -> Response:
    """That the process answers."""
    return answer({"ok": True})


@contract.post("/initialize")
async def initialize() -> Response:
    """Open an event; again with the same tickets, nothing happens."""
    await require_organiser()
    event_id, tickets = parsing.parse((EVENT_ID, TICKETS), await body())
    await box_office().open_event(event_id, tickets)
    return answer({"eventId": event_id, "tickets": tickets})


@contract.post("/book")
async def book() -> Response:
    """Book a ticket, or join the waiting list."""
    await count_against_limit()
    event_id, user_id = parsing.parse((EVENT_ID, USER_ID), await body())
    return answer(booking_told(await box_office().book(event_id, user_id)))


@contract.post("/cancel")
async def cancel() -> Response:
    """End a guest's order; names who got the ticket."""
    await require_organiser()
    event_id, user_id = parsing.parse((EVENT_ID, USER_ID), await body())
    return answer(cancellation_told(await box_office().cancel(event_id, user_id, "organiser")))


@contract.get("/status/<path:event_id>")
async def status(event_id: str) -> Response:
    """How full an event is."""
    known = parsing.event_id_or_none(event_id)
    if known is None:
        raise Refusal("event_not_found", "Event not found")
    counts = await box_office().counts(known)
    tag = etag(counts)
    if request.if_none_match.contains_weak(tag):
        return Response("", 304, {"ETag": f'"{tag}"', "Cache-Control": "no-cache"})
    found = answer(status_told(counts))
    found.headers.add("ETag", f'"{tag}"')
    found.headers.add("Cache-Control", "no-cache")
    return found


@contract.post("/auth/token")
async def token() -> Response:
    """Exchange the organiser's password for a token."""
    await require_password()
    remark("token_issued")
    issued = answer({"token": parts().gatekeeper.tokens.issue()})
    issued.headers["Cache-Control"] = "no-store"
    return issued


def etag(counts: Counts) -> str:
    """What changes whenever the counts of an event may have changed: its ledger's head."""
    return f"{counts.head}-{counts.head_hash[:6].hex()}"


def booking_told(placement: Placement) -> dict[str, Any]:
    """What who booked is told."""
    assigned = {"assigned": placement.status == "booked"}
    return assigned if placement.is_new else {**assigned, "message": ALREADY[placement.status]}


def cancellation_told(cancellation: Cancellation) -> dict[str, Any]:
    """What who cancelled is told: the guest who got the ticket."""
    return {"reassignedTo": cancellation.promoted[0].named if cancellation.promoted else None}


def status_told(counts: Counts) -> dict[str, Any]:
    """How full an event is, as programs are told."""
    return {
        "eventId": counts.event_id,
        "total": counts.capacity,
        "available": counts.available,
        "waitingList": counts.waiting,
    }


encoded: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
"""A JSON object as text."""


def answer(members: dict[str, Any]) -> Response:
    """A JSON object as an answer."""
    return Response(encoded(members), content_type="application/json")


async def body() -> dict[str, Any]:
    """The request's body, a JSON object.

    Raises InvalidInput, RequestEntityTooLarge, RequestTimeout.
    """
    given = cast(bytes, await request.get_data(cache=False))
    return parsing.json_object(given, request.headers.get("Content-Type"))
