"""Addresses that lead here from elsewhere: whole ones for mails and other sites, and the paths of the JSON API."""

from quart import request

from webapp.web.parsing import slug
from webapp.web.parts import parts
from webapp.web.rendering import event_path, order_path


def event_page(event_id: str) -> str:
    """The whole address of an event's page for guests."""
    return f"{origin()}{event_path(event_id)}"


def manage_link(order_id: str) -> str:
    """The whole address at which a guest sees and cancels his order. Whoever has it can."""
    return f"{origin()}{order_path(order_id, parts().gatekeeper.order_keys.key(order_id))}"


def event_resource(event_id: str) -> str:
    """The path of an event in the JSON API."""
    return f"/api/v1/events/{slug(event_id)}"


def order_resource(order_id: str) -> str:
    """The path of an order in the JSON API."""
    return f"/api/v1/orders/{order_id}"


def origin() -> str:
    """Where people reach this server: PUBLIC_URL, or what the request says."""
    return parts().settings.public_url or f"{request.scheme}://{request.host}"
