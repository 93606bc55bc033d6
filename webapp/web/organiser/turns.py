"""Turns of an event's life that ask before they are taken: closing its booking, opening it again, deleting it."""

from dataclasses import dataclass, replace
from typing import Final

from quart import Response, request

from webapp.booking.answers import Refusal
from webapp.booking.state import Event
from webapp.web import rendering
from webapp.web.event_view import view
from webapp.web.links import event_named
from webapp.web.organiser.access import PANEL, private
from webapp.web.organiser.notices import done, isolated
from webapp.web.organiser.preview import names_of, promoted_in_words
from webapp.web.organiser.settings import CHANGED, SETTINGS, revision_seen, settings_path
from webapp.web.parts import box_office
from webapp.web.rendering import counted

turns = private("organiser_turns", __name__)

ASK_AGAIN: Final = f"{CHANGED} Is it still right?"
HAS_ORDERS: Final = "Somebody has booked here, so the event cannot be deleted. Close its booking or hide it instead."
NO_TIME: Final = "The event has begun. Say under “Booking closes” until when it can be booked all the same."


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What an organiser is asked: what will follow if it is done, and who gets a ticket then; no button, no choice."""

    asked: str
    follows: tuple[str, ...]
    button: str = ""
    names: tuple[str, ...] = ()
    more: int = 0
    is_dangerous: bool = False
    problem: str = ""


@turns.get(f"{SETTINGS}/closing")
async def ask_closing(event_slug: str) -> Response:
    """Ask whether booking is to be closed."""
    event = await box_office().event(event_named(event_slug))
    return _asking(event, "closing", _closing_question(event))


@turns.post(f"{SETTINGS}/closing")
async def close_booking(event_slug: str) -> Response:
    """Close booking now."""
    event = await box_office().event(event_named(event_slug))
    event_id = event.counts.event_id
    if _booking(event) != "open":
        return done(settings_path(event_id), "Booking was not open; nothing changed.")
    seen = revision_seen((await request.form).to_dict())
    try:
        await box_office().revise(event_id, seen, details=event.details.closed(box_office().now()))
    except Refusal as refusal:
        if refusal.code != "event_changed":
            raise
        event = await box_office().event(event_id)
        return _asking(event, "closing", replace(_closing_question(event), problem=ASK_AGAIN))
    return done(settings_path(event_id), "Booking is closed now.")


@turns.get(f"{SETTINGS}/opening")
async def ask_opening(event_slug: str) -> Response:
    """Ask whether booking is to be opened, and tell who gets a ticket then."""
    event = await box_office().event(event_named(event_slug))
    return _asking(event, "opening", await _opening_question(event))


@turns.post(f"{SETTINGS}/opening")
async def open_booking(event_slug: str) -> Response:
    """Open booking now."""
    event = await box_office().event(event_named(event_slug))
    event_id = event.counts.event_id
    if _booking(event) == "open":
        return done(settings_path(event_id), "Booking was open already; nothing changed.")
    details = event.details.opened(box_office().now())
    if details is None:
        return _asking(event, "opening", await _opening_question(event))
    seen = revision_seen((await request.form).to_dict())
    try:
        revision = await box_office().revise(event_id, seen, details=details)
    except Refusal as refusal:
        if refusal.code != "event_changed":
            raise
        event = await box_office().event(event_id)
        return _asking(event, "opening", replace(await _opening_question(event), problem=ASK_AGAIN))
    return done(settings_path(event_id), f"Booking is open now.{await promoted_in_words(revision.promoted)}")


@turns.get(f"{SETTINGS}/deletion")
async def ask_deletion(event_slug: str) -> Response:
    """Ask whether the event is to be deleted."""
    event = await box_office().event(event_named(event_slug))
    return _asking(event, "deletion", _deletion_question(event))


@turns.post(f"{SETTINGS}/deletion")
async def delete_event(event_slug: str) -> Response:
    """Delete the event, if nobody has ever booked."""
    event = await box_office().event(event_named(event_slug))
    seen = revision_seen((await request.form).to_dict())
    try:
        await box_office().delete_event(event.counts.event_id, seen)
    except Refusal as refusal:
        event = await box_office().event(event.counts.event_id)
        if refusal.code == "event_changed":
            return _asking(event, "deletion", replace(_deletion_question(event), problem=ASK_AGAIN))
        if refusal.code != "event_has_orders":
            raise
        return _asking(event, "deletion", replace(_deletion_question(event), follows=(), button="", problem=HAS_ORDERS))
    return done(PANEL, f"{isolated(event.title)} is deleted.")


# What would follow


def _closing_question(event: Event) -> Question:
    if _booking(event) != "open":
        return Question(asked="Booking is not open", follows=("There is nothing to close.",))
    follows = ["Nobody can book or join the waiting list any more, until you open booking again."]
    if event.counts.waiting:
        now, waiting = box_office().now(), counted(event.counts.waiting, "person waits", "people wait")
        if event.details.closed(now).schedule.promotes(now + 1) and not event.counts.has_lapsed:
            follows.append(f"{waiting}: a ticket that comes free still goes to the first of them, at once.")
        else:
            follows.append(f"{waiting}, and a ticket that comes free goes to nobody any more.")
    return Question(
        asked="Close booking now?", follows=tuple(follows), button="Close booking", is_dangerous=True
    )  # fmt: skip


async def _opening_question(event: Event) -> Question:
    if _booking(event) == "open":
        return Question(asked="Booking is open", follows=("There is nothing to open.",))
    details = event.details.opened(box_office().now())
    if details is None:
        return Question(asked="Booking cannot be opened as it is", follows=(NO_TIME,))
    try:
        rehearsed = await box_office().revise(event.counts.event_id, details=details, is_rehearsal=True)
    except Refusal as refusal:
        if refusal.code != "too_many_promotions":
            raise
        return Question(asked="Booking cannot be opened as it is", follows=(f"{refusal.sentence}.",))
    until = view(Event(event.counts, details), box_office().now()).closes
    follows = [f"Everybody can book again, until {until}." if until else "Everybody can book again."]
    if rehearsed.promoted:
        people = counted(len(rehearsed.promoted), "person who waits gets", "people who wait get")
        follows.append(f"{people} a ticket at once:")
    names = await names_of(rehearsed.promoted)
    return Question(
        asked="Open booking now?",
        follows=tuple(follows),
        button="Open booking",
        names=names,
        more=len(rehearsed.promoted) - len(names),
    )


def _deletion_question(event: Event) -> Question:
    if event.counts.booked + event.counts.waiting:
        return Question(asked="The event cannot be deleted", follows=(HAS_ORDERS,))
    follows = ("Its page goes, and so does everything that was said about it. This cannot be undone.",)
    return Question(asked="Delete this event?", follows=follows, button="Delete the event", is_dangerous=True)


def _booking(event: Event) -> str:
    return event.details.schedule.booking(box_office().now())


def _asking(event: Event, turn: str, question: Question) -> Response:
    back = settings_path(event.counts.event_id)
    return rendering.page(
        "organise/ask.html",
        status=422 if question.problem else 200,
        event=view(event, box_office().now()),
        question=question,
        action=f"{back}/{turn}",
        back=back,
    )
