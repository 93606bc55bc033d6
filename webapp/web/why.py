"""Why an order stands where it stands, in sentences for its guest."""

from collections.abc import Sequence
from itertools import groupby
from typing import Final

from webapp.enquiries import Step, Why
from webapp.storage.store import OrderRow
from webapp.web import dates
from webapp.web.rendering import counted

TIMES_TOLD_MAX: Final = 6
"""So many times are told one by one; of more, only the last."""


def sentences(order: OrderRow, why: Why, time_zone: str, year: int) -> list[str]:
    """What has happened to an order and before it, oldest first; times are told in the zone.

    A day is named where it is not that of the sentence before; `year` is the present one, which is not named.
    """
    telling = _Telling(time_zone, year)
    told = [
        sentence
        for kind, steps in groupby(why.steps, lambda step: step.kind)
        for sentence in telling.of(kind, list(steps), order, why)
    ]
    if not why.is_complete:
        told.insert(1, "So much has happened since that the first part of it is left out here.")
    return told


class _Telling:
    """Tells steps one after the other, and remembers which day it has come to."""

    def __init__(self, time_zone: str, year: int) -> None:
        self._time_zone = time_zone
        self._year = year
        self._day = ""

    def of(self, kind: str, steps: Sequence[Step], order: OrderRow, why: Why) -> list[str]:
        """The sentences for some steps of one kind."""
        match kind:
            case "booked" if steps[0].actor == "organiser":
                return [f"The organiser asked for you {self._at(steps[0])}: a ticket was free, and you got it at once."]
            case "booked":
                return [f"You asked {self._at(steps[0])}, when a ticket was free, and got it at once."]
            case "joined":
                asked = "The organiser asked for you" if steps[0].actor == "organiser" else "You asked"
                return [f"{asked} {self._at(steps[0])}{_ahead(why.asked_before)}."]
            case "cancelled":
                return [f"{counted(len(steps), 'person', 'people')} before you cancelled, {self._at_all(steps)}."]
            case "resized":
                return [f"Tickets were added {self._at(step)}: {_up(step)}." for step in steps]
            case "revised":
                return [f"The times of the event were changed {self._at(step)}: {_up(step)}." for step in steps]
            case "promoted":
                return [f"You got your ticket {self._at(steps[0])}."]
            case "lapsed":
                return [f"What came free {self._at(step)} went to nobody: the event had begun." for step in steps]
            case "left":
                reason = f" Reason: {order.cancel_reason}" if order.cancel_reason else ""
                return [f"{_end(steps[0], why)} {self._at(steps[0])}.{reason}"]
            case "checked_in":
                return [f"You were checked in {self._at(step)}." for step in steps]
        return [f"The check-in was taken back {self._at(step)}." for step in steps]

    def _at_all(self, steps: Sequence[Step]) -> str:
        if len(steps) > TIMES_TOLD_MAX:
            return f"the last one {self._at(steps[-1])}"
        first, *others = [self._at(step) for step in steps]
        *between, last = [first, *(at.removeprefix("at ") for at in others)]
        return f"{', '.join(between)} and {last}" if between else last

    def _at(self, step: Step) -> str:
        """`at 14:02`, or `on 27 November at 14:02`."""
        shown = dates.local(step.at, self._time_zone)
        day, before = dates.day(shown, self._year), self._day
        self._day = day
        return f"at {dates.clock(shown)}" if day == before else f"on {day} at {dates.clock(shown)}"


def _ahead(asked_before: int | None) -> str:
    match asked_before:
        case None:
            return ""
        case 0:
            return "; no ticket was free, and nobody waited before you"
    return f"; {counted(asked_before, 'person', 'people')} asked before you"


def _end(left: Step, why: Why) -> str:
    had_ticket = any(step.kind in ("booked", "promoted") for step in why.steps)
    if left.actor == "organiser":
        return "The organiser cancelled your ticket" if had_ticket else "The organiser took you off the waiting list"
    return "You cancelled your ticket" if had_ticket else "You left the waiting list"


def _up(step: Step) -> str:
    return f"you moved up {counted(step.moved, 'place', 'places')}"
