"""/api/v1/events: the list, one event, and what the organiser does with it."""

from dataclasses import replace
from typing import Any

from quart import Blueprint, Response, request

from webapp.booking.answers import Revision
from webapp.booking.details import Details, contradictions
from webapp.booking.state import Counts, Event, EventCursor
from webapp.desk import Once
from webapp.web import links, parsing
from webapp.web.api import documents
from webapp.web.api.idempotency import settled
from webapp.web.api.inputs import header
from webapp.web.api.lists import listed
from webapp.web.api.preconditions import changed, revisions_expected, tag
from webapp.web.asking import organiser_or_anyone, require_organiser
from webapp.web.contract import answer, body
from webapp.web.cursors import cursor, event_cursor
from webapp.web.event_ids import candidates, create_under_first_free
from webapp.web.fields import CAPACITY, CURSOR, DRY_RUN, EDITABLE, IDEMPOTENCY_KEY, LIMIT, TITLE
from webapp.web.links import event_named
from webapp.web.parsing import EVENT_ID, Fault, InvalidInput, Problem
from webapp.web.parts import box_office

events = Blueprint("events", __name__, url_prefix="/api/v1")


@events.get("/events")
async def list_events() -> Response:
    """Events, newest first: for the organiser all, for everybody else those that are not hidden."""
    organiser = await organiser_or_anyone()
    limit, after = parsing.parse_texts((LIMIT, CURSOR), request.args)
    page = await box_office().events(limit, _before(after), "organiser" if organiser else "guests")
    found = listed([_document(event, box_office().now()) for event in page.events], cursor(page.next))
    found.headers["Cache-Control"] = "no-store" if organiser else "no-cache"
    found.vary.add("Authorization")
    return found


def _before(cursor: str | None) -> EventCursor | None:
    """Where a cursor leads. Raises InvalidInput where it is none."""
    try:
        return None if cursor is None else event_cursor(cursor)
    except InvalidInput:
        raise parsing.invalid_input([CURSOR.problem(Fault("is damaged"))]) from None


@events.post("/events")
async def create_event() -> Response:
    """Open an event. Without an id of its own, it gets one made of its title."""
    organiser = await require_organiser()
    given = await body()
    names = (EVENT_ID,) if "eventId" in given else (TITLE,)
    values = parsing.parse_some((*names, CAPACITY), EDITABLE, given)
    key = header(IDEMPOTENCY_KEY)
    capacity = values.pop("capacity")
    own_id = values.pop("eventId", None)
    details = _consistent(Details(**values))
    if not own_id and not details.title:
        raise parsing.invalid_input([TITLE.problem(Fault("is blank", "; it must be given where eventId is not"))])

    async def create(once: Once | None) -> Revision:
        if own_id:
            return await box_office().create_event(own_id, capacity, details, once=once)
        return await create_under_first_free(box_office(), candidates(details.title), capacity, details, once)

    created = await settled(create, organiser, {**values, "capacity": capacity, "eventId": own_id}, key, _kept)
    event, at = _restored(created.kept, details)
    return created.dressed(_answer(event, at, 201))


@events.get("/events/<event_slug>")
async def show_event(event_slug: str) -> Response:
    """One event, hidden or not."""
    now = box_office().now()
    event = await box_office().event(event_named(event_slug))
    if request.if_none_match.contains_weak(tag(event, now)):
        return _with_tag(Response("", 304), event, now)
    return _answer(event, now)


@events.patch("/events/<event_slug>")
async def revise_event(event_slug: str) -> Response:
    """Change some of what the organiser has said of an event, or its capacity; or only tell what would follow."""
    await require_organiser()
    values = parsing.parse_some((), (*EDITABLE, CAPACITY), await body())
    (is_rehearsal,) = parsing.parse_texts((DRY_RUN,), request.args)
    expected = revisions_expected()
    capacity = values.pop("capacity", None)

    async def revise(event: Event) -> tuple[Event, Revision]:
        details = _consistent(replace(event.details, **values)) if values else None
        revision = await box_office().revise(
            event.counts.event_id,
            event.counts.revision,
            tickets=capacity,
            details=details,
            is_rehearsal=is_rehearsal,
        )
        return Event(revision.counts, details or event.details), revision

    event, revision = await changed(event_named(event_slug), expected, revise)
    now = box_office().now()
    found = answer(
        {
            "event": _document(event, now),
            "promoted": len(revision.promoted),
            "promotions": documents.promotions(revision.promoted),
            "dry_run": is_rehearsal,
        }
    )
    found.headers["Cache-Control"] = "no-store"
    if not is_rehearsal:
        found.set_etag(tag(event, now))
    return found


@events.delete("/events/<event_slug>")
async def delete_event(event_slug: str) -> Response:
    """Delete an event that nobody has ever booked."""
    await require_organiser()
    expected = revisions_expected()

    async def delete(event: Event) -> None:
        await box_office().delete_event(event.counts.event_id, event.counts.revision)

    await changed(event_named(event_slug), expected, delete)
    return Response(status=204)


def _document(event: Event, now: int) -> documents.Document:
    return documents.event(event, now, links.event_page(event.counts.event_id))


def _answer(event: Event, now: int, status: int = 200) -> Response:
    found = answer(_document(event, now))
    found.status_code = status
    if status == 201:
        found.headers["Location"] = links.event_resource(event.counts.event_id)
    return _with_tag(found, event, now)


def _with_tag(found: Response, event: Event, now: int) -> Response:
    found.set_etag(tag(event, now))
    found.headers["Cache-Control"] = "no-cache"
    return found


def _consistent(details: Details) -> Details:
    """The details, if they can all be true. Raises InvalidInput with every contradiction."""
    if found := contradictions(details):
        raise parsing.invalid_input([Problem(f"/{name}", f"{name} {wrong}.") for name, wrong in found])
    return details


# What is kept of a creation: the event's counts and the time, since the rest is in the request.


def _kept(created: Revision) -> dict[str, Any]:
    counts, receipt = created.counts, created.receipt
    assert receipt is not None, "a new event has entries"
    return {**counts._asdict(), "head_hash": counts.head_hash.hex(), "at": receipt.at}


def _restored(kept: dict[str, Any], details: Details) -> tuple[Event, int]:
    counts = {name: kept[name] for name in Counts._fields}
    return Event(Counts(**counts | {"head_hash": bytes.fromhex(kept["head_hash"])}), details), kept["at"]
