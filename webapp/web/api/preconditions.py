"""ETags of events, and the If-Match without which nothing of an event is changed."""

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from werkzeug.exceptions import PreconditionRequired

from webapp.booking.answers import Refusal
from webapp.booking.state import Event
from webapp.web.api.inputs import header
from webapp.web.checks import Revisions
from webapp.web.fields import IF_MATCH
from webapp.web.parts import box_office

T = TypeVar("T")

ATTEMPTS_MAX: Final = 10

_LETTERS: Final = {"open": "o", "not_open_yet": "n", "closed": "c"}


def tag(event: Event, now: int) -> str:
    """What an event's ETag holds: another one whenever the event's document is another one.

    That is its revision, its ledger's head, and whether it can be booked, which changes by the clock alone.
    """
    counts = event.counts
    letter = _LETTERS[event.details.schedule.booking(now)]
    return f"{counts.revision}-{counts.head}-{counts.head_hash[:6].hex()}-{letter}"


def revisions_expected() -> Revisions:
    """The revisions of an event that the request's If-Match is content with.

    Bookings do not revise an event, so that a rush does not get in an editor's way.

    Raises InvalidInput, PreconditionRequired.
    """
    expected = header(IF_MATCH)
    if expected is None:
        raise PreconditionRequired("Send If-Match with the event's ETag, so that nobody else's change gets lost")
    return expected


async def changed(event_id: str, expected: Revisions, change: Callable[[Event], Awaitable[T]]) -> T:
    """What comes of changing an event, whose revision must be one of those expected, and stay that meanwhile.

    Where any revision will do, a change that comes too late is made once more, to the event as it is then.

    Raises Refusal `event_not_found`, `event_changed`, and what the change raises.
    """
    for _ in range(ATTEMPTS_MAX):
        event = await box_office().event(event_id)
        if event.counts.revision not in expected:
            raise _changed(event.counts.revision)
        try:
            return await change(event)
        except Refusal as refusal:
            if refusal.code != "event_changed" or expected.numbers is not None:
                raise
    raise _changed((await box_office().event(event_id)).counts.revision)


def _changed(revision: int) -> Refusal:
    sentence = "The event was changed since you looked; look again, and change what is there now"
    return Refusal("event_changed", sentence, {"revision": revision})
