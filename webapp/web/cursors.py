"""Where a page of a list of events ended, as opaque text for an address."""

import base64
import json

from webapp.booking.state import EventCursor
from webapp.web import parsing
from webapp.web.parsing import InvalidInput


def cursor(ended: EventCursor | None) -> str | None:
    """Where a page of events ended, as opaque text for an address."""
    if ended is None:
        return None
    return base64.urlsafe_b64encode(json.dumps(ended).encode()).decode().rstrip("=")


def event_cursor(text: str) -> EventCursor:
    """The cursor that a text stands for. Raises InvalidInput where it is none."""
    try:
        opened_at, event_id = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (ValueError, TypeError, RecursionError):
        opened_at = event_id = None
    is_moment = type(opened_at) is int and 0 <= opened_at < 2**63
    if not is_moment or type(event_id) is not str or parsing.event_id_or_none(event_id) != event_id:
        raise InvalidInput("invalid_input", "This address is damaged: the list has no such page")
    return EventCursor(opened_at, event_id)
