"""What has led to an order's standing, told to its organiser: for each time, what happened then."""

from collections.abc import Sequence
from itertools import groupby
from typing import Final, NamedTuple

from webapp.enquiries import Step, Why
from webapp.storage.store import OrderRow
from webapp.web.organiser.guest_view import gate_named, stamp
from webapp.web.organiser.notices import isolated
from webapp.web.rendering import counted, ordinal


class Happened(NamedTuple):
    """When something happened, in the event's zone, and what, without its full stop."""

    at: str
    what: str


def history(order: OrderRow, why: Why, time_zone: str, now: int) -> list[Happened]:
    """The story of an order, oldest first; what happened several times in a row stands there once."""
    told = [
        Happened(stamp(steps[-1].at, time_zone, now), _what(steps, order, why))
        for steps in (list(group) for _, group in groupby(why.steps, lambda step: step.kind))
    ]
    if not why.is_complete:
        told.insert(1, Happened("", "So much has happened since that the first part of it is left out here"))
    return told


def _what(steps: Sequence[Step], order: OrderRow, why: Why) -> str:
    match steps[-1].kind:
        case "joined":
            return f"Asked, and joined the waiting list{_behind(why.asked_before)}"
        case "cancelled":
            return f"{counted(len(steps), 'person', 'people')} further ahead cancelled{_up(steps)}"
        case "resized":
            return f"Tickets were added{_up(steps)}"
        case "revised":
            return f"The times of the event were changed{_up(steps)}"
        case "checked_in":
            is_there = order.gate is not None and steps[-1].at == order.checked_in_at
            where = f", {isolated(gate_named(order.gate or ''))}" if is_there else ""
            return f"Arrived{where}"
        case "left":
            return f"Cancelled by the {steps[-1].actor or 'guest'}"
    return _SAID.get(steps[-1].kind, "Something else happened")


def _behind(asked_before: int | None) -> str:
    match asked_before:
        case None:
            return ""
        case 0:
            return " as its first"
    return f" behind {counted(asked_before, 'other', 'others')}"


def _up(steps: Sequence[Step]) -> str:
    moved, position = sum(step.moved for step in steps), steps[-1].position
    if not moved:
        return ""
    to = f", to {ordinal(position)}" if position else ""
    return f": up {counted(moved, 'place', 'places')}{to}"


_SAID: Final = {
    "booked": "Asked when a ticket was free, and got it",
    "promoted": "Got a ticket from the waiting list",
    "check_in_undone": "The check-in was taken back",
    "lapsed": "A ticket came free too late: none goes to the waiting list any more",
}
