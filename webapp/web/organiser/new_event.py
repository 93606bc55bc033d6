"""Opening an event: a title and a number of tickets, and whatever else is known already."""

import hashlib
import json
import re
import secrets
from collections.abc import Mapping
from typing import Final

from quart import Response, request

from webapp.booking.answers import Refusal, Revision
from webapp.booking.details import Details
from webapp.desk import AnsweredBefore, Once, Unavailable
from webapp.web import rendering
from webapp.web.event_ids import candidates, create_under_first_free
from webapp.web.forms import Form
from webapp.web.organiser import event_form
from webapp.web.organiser.access import PANEL, private
from webapp.web.organiser.event_form import Mistaken
from webapp.web.organiser.notices import done
from webapp.web.parts import box_office
from webapp.web.rendering import organise_path

new_event = private("organiser_new_event", __name__)

NEW: Final = f"{PANEL}/new"
ONCE: Final = re.compile(r"[A-Za-z0-9_-]{16,64}")
WHERE_FIELDS: Final = ("starts_at", "ends_at", "venue", "description")
BOOKING_FIELDS: Final = ("opens_at", "closes_at", "hidden")
USED_BEFORE: Final = (
    "This form has opened an event already, with other words in it. To open another one, press the button once more."
)


@new_event.get(NEW)
async def new_event_page() -> Response:
    """Asks for what there is to say about an event."""
    return await _page(Form({"time_zone": await _likely_zone()}))


@new_event.post(NEW)
async def open_event() -> Response:
    """Open an event. The same form sent again leads to the event that it has opened."""
    form = (await request.form).to_dict()
    try:
        details, tickets = event_form.opening(form)
        event_id, said = await _opened(details, tickets, _once(form)), "The event is open."
    except Mistaken as mistaken:
        return await _page(Form(form, mistaken.mistakes), 422)
    except AnsweredBefore as before:
        event_id, said = before.text, "The event was open already; nothing changed."
    except Refusal as refusal:
        problem = USED_BEFORE if refusal.code == "idempotency_key_reused" else "Too many events have this title."
        return await _page(Form(form, problem=problem), 422)
    except Unavailable as unavailable:  # the same secret again, since perhaps it is open already
        answer = await _page(Form(form, problem=f"{unavailable.sentence}."), 503, form.get("once", ""))
        answer.headers["Retry-After"] = str(unavailable.retry_after_s)
        return answer
    return done(organise_path(event_id), said)


async def _opened(details: Details, tickets: int, once: Once | None) -> str:
    """The id of the event, under which it is open now. Raises Refusal, AnsweredBefore, Unavailable."""
    ids = candidates(details.title)
    created = await create_under_first_free(box_office(), ids, tickets, details, once)
    return created.counts.event_id


def _once(form: Mapping[str, str]) -> Once | None:
    """What makes pressing twice, or again after going back, open one event only."""
    if not ONCE.fullmatch(form.get("once", "")):
        return None

    def told(created: Revision) -> str:
        return created.counts.event_id

    return Once(_digest(NEW, form["once"]), _digest(form), told)


def _digest(*said: object) -> bytes:
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).digest()


async def _likely_zone() -> str:
    """The time zone of the event that was opened last."""
    newest = (await box_office().events(1, shown_to="organiser")).events
    return newest[0].details.time_zone if newest else "UTC"


async def _page(form: Form, status: int = 200, once: str = "") -> Response:
    def has_something(names: tuple[str, ...]) -> bool:
        return any(form.typed.get(name) or name in form.mistakes for name in names)

    return rendering.page(
        "organise/new.html",
        status=status,
        form=form,
        once=once or secrets.token_urlsafe(16),
        zones=event_form.zones_offered(),
        opened_parts={
            "where": has_something(WHERE_FIELDS) or "time_zone" in form.mistakes,
            "booking": has_something(BOOKING_FIELDS),
        },
    )
