"""What the API answers with: events, orders, ledgers and receipts as JSON objects. Knows neither requests nor rules."""

from collections.abc import Iterable
from typing import Any, Final

from webapp.booking.answers import Promotion, Receipt
from webapp.booking.ledger import Entry
from webapp.booking.state import Counts, Event
from webapp.enquiries import Standing, Step, Why
from webapp.storage.store import OrderRow
from webapp.web.parsing import slug
from webapp.web.times import exactly, or_null

Document = dict[str, Any]

PROMOTIONS_LISTED_MAX: Final = 1_000


def event(found: Event, now: int, page: str) -> Document:
    """An event as everybody may see it. `now` is in microseconds since 1970, UTC; `page` is its whole address."""
    counts, details = found.counts, found.details
    schedule = details.schedule
    return {
        "eventId": counts.event_id,
        "slug": slug(counts.event_id),
        "title": details.title or counts.event_id,
        "description": details.description,
        "venue": details.venue,
        "starts_at": or_null(details.starts_at),
        "ends_at": or_null(details.ends_at),
        "time_zone": details.time_zone,
        "opens_at": or_null(details.opens_at),
        "closes_at": or_null(details.closes_at),
        "hidden": details.hidden,
        "capacity": counts.capacity,
        "booked": counts.booked,
        "available": counts.available,
        "waiting": counts.waiting,
        "checked_in": counts.checked_in,
        "policy": {
            "booking": schedule.booking(now),
            "promotes_until": or_null(schedule.promotes_until),
            "order": "first_come_first_served",
        },
        "revision": counts.revision,
        "entry": counts.head,
        "page": page,
    }


def counts(found: Counts) -> Document:
    """How full an event is, as its stream tells."""
    return {
        "eventId": found.event_id,
        "capacity": found.capacity,
        "booked": found.booked,
        "available": found.available,
        "waiting": found.waiting,
        "checked_in": found.checked_in,
        "entry": found.head,
    }


def order(standing: Standing) -> Document:
    """An order as its guest and the organiser may see it."""
    found = standing.order
    return {
        "id": found.id,
        "eventId": found.event_id,
        "event_slug": slug(found.event_id),
        "userId": guest(found),
        "name": found.name,
        "email": found.email,
        "status": found.status,
        "position": standing.position,
        "ahead": ahead(standing.position),
        "placed_at": exactly(found.placed_at),
        "checked_in": None if found.checked_in_at is None else arrival(found.checked_in_at, found.gate),
        "cancel_reason": found.cancel_reason,
    }


def guest(found: OrderRow) -> str | None:
    """Whose order it is; None where that was erased."""
    return found.guest if found.erased_at is None else None


def arrival(at: int, gate: str | None) -> Document:
    """When and where a guest was let in; `at` is in microseconds since 1970, UTC."""
    return {"at": exactly(at), "gate": gate}


def ahead(position: int | None) -> int | None:
    """How many wait in front of a 1-based position."""
    return None if position is None else position - 1


def receipt(found: Receipt) -> Document:
    """An entry's number, time and hash, by which a guest can prove later what was recorded."""
    return {"entry": found.entry, "at": exactly(found.at), "hash": found.hash.hex()}


def why(found: Why) -> Document:
    """What has led to an order's standing, oldest first."""
    return {
        "asked_before": found.asked_before,
        "complete": found.is_complete,
        "steps": [_step(step) for step in found.steps],
    }


def _step(step: Step) -> Document:
    return {
        "entry": step.entry,
        "at": exactly(step.at),
        "kind": step.kind,
        "moved": step.moved,
        "position": step.position,
    }


def promotions(promoted: Iterable[Promotion]) -> list[Document]:
    """Orders that got a ticket, and whose they are, unless that was erased: for the organiser alone."""
    return [{"id": one.order_id, "userId": one.named} for one in list(promoted)[:PROMOTIONS_LISTED_MAX]]


def entry(found: Entry) -> Document:
    """An entry of a ledger, without anything personal: all that its hash is taken over, and the hash."""
    return {
        "seq": found.seq,
        "kind": found.kind,
        "at": exactly(found.at),
        "actor": found.actor,
        "order_id": found.order_id,
        "reason": found.reason,
        "detail": found.detail,
        "hash": found.hash.hex(),
    }
