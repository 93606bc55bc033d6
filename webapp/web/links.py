"""Addresses that lead here from elsewhere: whole ones for mails and other sites, the paths of the JSON API, and
back from a path to an event."""

from quart import request

from webapp.booking.answers import Refusal
from webapp.web.parsing import event_id_from_slug, slug
from webapp.web.parts import parts
from webapp.web.rendering import event_path, order_path


def event_page(event_id: str) -> str:
    """The whole address of an event's page for guests."""
    return f"{origin()}{event_path(event_id)}"


def manage_link(order_id: str) -> str:
    """The whole address at which a guest sees and cancels his order. Whoever has it can."""
    return f"{origin()}{order_path(order_id, parts().gatekeeper.order_keys.key(order_id))}"


def ticket_at_the_door(code: str) -> str:
    """The whole address at which the organiser sees whose ticket a code is, for the QR code on the ticket."""
    return f"{origin()}/ui/organise/tickets/{code}"


def event_resource(event_id: str) -> str:
    """The path of an event in the JSON API."""
    return f"/api/v1/events/{slug(event_id)}"


def order_resource(order_id: str) -> str:
    """The path of an order in the JSON API."""
    return f"/api/v1/orders/{order_id}"


def origin() -> str:
    """Where people reach this server: PUBLIC_URL, or what the request says."""
    return parts().settings.public_url or f"{request.scheme}://{request.host}"


def event_named(event_slug: str) -> str:
    """The id of the event with this slug. Raises Refusal `event_not_found` where no event can have it."""
    event_id = event_id_from_slug(event_slug)
    if event_id is None:
        raise Refusal("event_not_found", "Event not found")
    return event_id
