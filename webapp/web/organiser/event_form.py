"""What organisers type about an event: read with every mistake at once, in sentences that name the labels they see."""

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any, Final

from webapp.booking.details import Details, contradictions
from webapp.web import local_times, parsing
from webapp.web.checks import time_zones
from webapp.web.fields import DESCRIPTION, TIME_ZONE, TITLE, VENUE
from webapp.web.forms import BLANK, WRONG
from webapp.web.local_times import NoSuchTime
from webapp.web.parsing import TICKETS, Field, InvalidInput

TIMES: Final = ("starts_at", "ends_at", "opens_at", "closes_at")
LABELS: Final = {
    "title": "Title",
    "tickets": "Tickets",
    "starts_at": "Starts",
    "ends_at": "Ends",
    "time_zone": "Time zone",
    "venue": "Place",
    "description": "Description",
    "opens_at": "Booking opens",
    "closes_at": "Booking closes",
}
"""What the fields are called on pages, in the order in which they stand there."""

UNREADABLE: Final = {
    "title": "Please use at most 200 characters for the title, all of them visible.",
    "tickets": WRONG["tickets"],
    "time_zone": "We know no time zone of this name. Please choose one from the list, such as Europe/Berlin.",
    "venue": "Please use at most 300 characters for the place, all of them visible.",
    "description": "Please use at most 10,000 characters for the description, all of them visible.",
}
CONTRADICTORY: Final = {
    ("ends_at", "needs a starts_at"): "Please say when the event starts, too, or leave its end open.",
    ("ends_at", "is before starts_at"): "The event would end before it starts.",
    ("opens_at", "is not before starts_at, when booking closes"): (
        "Booking closes when the event starts, which is before it opens. Let it open earlier, or say when it closes."
    ),
    ("opens_at", "is not before closes_at"): "Booking would open no earlier than it closes.",
    ("closes_at", "is after ends_at"): "Booking would close after the event has ended.",
}


class Mistaken(ValueError):
    """What is wrong with what was typed: a sentence by the name of each field at fault, in the order of the page."""

    def __init__(self, mistakes: Mapping[str, str]) -> None:
        super().__init__(" ".join(mistakes.values()))
        self.mistakes = {name: mistakes[name] for name in LABELS if name in mistakes}


def shown(details: Details) -> dict[str, str]:
    """What the fields hold for an event as it is."""
    times = {name: local_times.shown(getattr(details, name), details.time_zone) for name in TIMES}
    words = {name: getattr(details, name) for name in ("title", "venue", "description", "time_zone")}
    return {**words, **times}


def opening(form: Mapping[str, str]) -> tuple[Details, int]:
    """An event to be opened, and its number of tickets. Raises Mistaken."""
    mistakes: dict[str, str] = {}
    tickets = _read(TICKETS, form, mistakes)
    details = None
    try:
        details = revised(Details(hidden=form.get("hidden") == "on"), form)
        if not details.title:
            mistakes["title"] = "Please give the event a title."
    except Mistaken as mistaken:
        mistakes |= mistaken.mistakes
        if not form.get("title", "").strip():
            mistakes["title"] = "Please give the event a title."
    if mistakes or details is None:
        raise Mistaken(mistakes)
    return details, tickets


def revised(details: Details, form: Mapping[str, str]) -> Details:
    """The details with everything that was typed; a time that was left as it was shown stays exactly that.

    Raises Mistaken.
    """
    mistakes: dict[str, str] = {}
    values = {field.name: _read(field, form, mistakes) for field in (TITLE, VENUE, DESCRIPTION, TIME_ZONE)}
    # Without a zone there is no telling which times exist, but those that are none are told all the same.
    time_zone = values["time_zone"] or "UTC"
    before = shown(details)
    for name in TIMES:
        text = form.get(name, "").strip()
        try:
            if time_zone == details.time_zone and text == before[name]:
                values[name] = getattr(details, name)
            else:
                values[name] = local_times.typed(text, time_zone) if text else None
        except NoSuchTime as wrong:
            mistakes[name] = str(wrong)
    if not mistakes:
        found = replace(details, **values)
        mistakes = {name: CONTRADICTORY[name, wrong] for name, wrong in contradictions(found)}
        if not mistakes:
            return found
    raise Mistaken(mistakes)


def tickets_typed(form: Mapping[str, str]) -> int:
    """The number of tickets. Raises Mistaken."""
    mistakes: dict[str, str] = {}
    tickets: int = _read(TICKETS, form, mistakes)
    if mistakes:
        raise Mistaken(mistakes)
    return tickets


def _read(field: Field[Any], form: Mapping[str, str], mistakes: dict[str, str]) -> Any:
    """The typed value of a field; where it has none, None, and why among the mistakes."""
    text = form.get(field.name, "").strip()
    try:
        return parsing.parse_form((field,), {field.name: text})[0]
    except InvalidInput:
        mistakes[field.name] = UNREADABLE[field.name] if text else BLANK.get(field.name, UNREADABLE[field.name])
        return None


@cache
def zones_offered() -> tuple[str, ...]:
    """The time zones that a field suggests: UTC, and those named after places."""
    return ("UTC", *sorted(zone for zone in time_zones() if "/" in zone and not zone.startswith(_UNCOMMON)))


_UNCOMMON: Final = ("Etc/", "SystemV/", "posix/", "right/", "US/", "Brazil/", "Canada/", "Chile/", "Mexico/")
