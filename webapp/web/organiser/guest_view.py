"""A guest as his organiser's pages show him: who he is, how his order stands, and when what happened to it."""

from datetime import datetime
from typing import Final, NamedTuple

from webapp.booking.answers import Refusal
from webapp.enquiries import Standing
from webapp.storage.store import OrderRow
from webapp.web import dates
from webapp.web.event_view import EventView
from webapp.web.organiser.notices import isolated
from webapp.web.parts import box_office, enquiries
from webapp.web.rendering import organise_path

BARE_GATE_MAX: Final = 3
"""What a gate is called in so few characters, such as A or 12, needs the word in front."""

JUST_NOW_US: Final = 60 * 1_000_000


class GuestView(NamedTuple):
    """An order of an event's, with its guest. Times are in the event's zone."""

    order: OrderRow
    position: int | None
    time_zone: str
    now: int

    @property
    def name(self) -> str | None:
        """What the guest is called; None where that was erased."""
        return name_of(self.order)

    @property
    def path(self) -> str:
        """The address of the order's page."""
        return guest_path(self.order)

    @property
    def asked(self) -> str:
        """When the order was placed."""
        return self.time(self.order.placed_at)

    @property
    def arrived(self) -> str | None:
        """When and where the guest was let in; None where he was not."""
        at = self.order.checked_in_at
        return None if at is None else f"{self.time(at)}{self._at_gate}"

    @property
    def let_in(self) -> str:
        """When and where the guest was let in, in a sentence: `at 19:02, gate A`; empty where he was not."""
        at = self.order.checked_in_at
        if at is None:
            return ""
        *day, clock = self.time(at).rsplit(" ", 1)
        return f"{'on ' + day[0] + ' ' if day else ''}at {clock}{self._at_gate}"

    @property
    def arrived_just_now(self) -> bool:
        """Whether a second scan of the ticket would be no surprise."""
        at = self.order.checked_in_at
        return at is not None and 0 <= self.now - at < JUST_NOW_US

    @property
    def _at_gate(self) -> str:
        return f", {isolated(gate_named(self.order.gate))}" if self.order.gate else ""

    def time(self, at: int) -> str:
        """`19:02`; with the day where that is not today."""
        return stamp(at, self.time_zone, self.now)


def guest_view(standing: Standing, time_zone: str) -> GuestView:
    """The guest as he stands at this moment."""
    return GuestView(*standing, time_zone, box_office().now())


async def guest_at(event: EventView, order_id: str) -> GuestView:
    """An order of this very event. Raises Refusal `order_not_found`, Unavailable."""
    return guest_view(await standing_at(event.counts.event_id, order_id), event.details.time_zone)


async def standing_at(event_id: str, order_id: str) -> Standing:
    """How an order of this very event stands. Raises Refusal `order_not_found`, Unavailable."""
    order = await enquiries().order(order_id)
    if order.event_id != event_id:
        raise Refusal("order_not_found", "There is no such order at this event")
    return await enquiries().standing(order)


def name_of(order: OrderRow) -> str | None:
    """What a guest is called, else what he booked with; None where he was erased."""
    return None if order.erased_at is not None else order.name or order.guest


def told_name(order: OrderRow) -> str:
    """A guest, to be read in a sentence; it begins with a capital."""
    name = name_of(order)
    return "Somebody whose name was erased" if name is None else isolated(name)


def guest_path(order: OrderRow) -> str:
    """The address of an order's page for organisers."""
    return f"{organise_path(order.event_id)}/orders/{order.id}"


def gate_named(gate: str) -> str:
    """A gate as people speak of it: `gate A`, `North door`."""
    return f"gate {gate}" if len(gate) <= BARE_GATE_MAX else gate


def stamp(at: int, time_zone: str, now: int) -> str:
    """A time in microseconds since 1970 as clocks show it: `19:02`; with the day where that is not today's."""
    shown, present = dates.local(at, time_zone), dates.local(now, time_zone)
    return dates.clock(shown) if shown.date() == present.date() else dated(shown, present.year)


def dated(shown: datetime, year: int) -> str:
    """`27 November 19:02`; with the year where it is not the given one."""
    return f"{dates.day(shown, year)} {dates.clock(shown)}"
