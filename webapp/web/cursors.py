"""Where a page of a list of events ended, as opaque text for an address."""

import base64
import json
from typing import Final, TypeGuard

from webapp.booking.state import EventCursor
from webapp.storage.store import ProgrammeCursor
from webapp.web import parsing
from webapp.web.parsing import InvalidInput

PARTS: Final = 3
RANK_MAX: Final = 2**62
"""Beyond the time of any event."""


def cursor(ended: EventCursor | ProgrammeCursor | None) -> str | None:
    """Where a page of events ended, as opaque text for an address."""
    if ended is None:
        return None
    return base64.urlsafe_b64encode(json.dumps(ended).encode()).decode().rstrip("=")


def event_cursor(text: str) -> EventCursor:
    """The cursor that a text stands for. Raises InvalidInput where it is none."""
    opened_at, event_id = _members(text, 2)
    if _is_in(opened_at, range(2**63)) and _is_event_id(event_id):
        return EventCursor(opened_at, event_id)
    raise _damaged()


def programme_cursor(text: str) -> ProgrammeCursor:
    """The cursor in the programme that a text stands for. Raises InvalidInput where it is none."""
    part, rank, event_id = _members(text, 3)
    if _is_in(part, range(PARTS)) and _is_in(rank, range(-RANK_MAX, RANK_MAX)) and _is_event_id(event_id):
        return ProgrammeCursor(part, rank, event_id)
    raise _damaged()


def _members(text: str, count: int) -> list[object]:
    try:
        members = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (ValueError, TypeError, RecursionError):
        raise _damaged() from None
    if type(members) is not list or len(members) != count:
        raise _damaged()
    return members


def _is_in(member: object, bounds: range) -> TypeGuard[int]:
    return type(member) is int and member in bounds


def _is_event_id(member: object) -> TypeGuard[str]:
    return type(member) is str and parsing.event_id_or_none(member) == member


def _damaged() -> InvalidInput:
    return InvalidInput("invalid_input", "This address is damaged: the list has no such page")
