"""What the page of an order shows at one moment, and what its stream sends once that has changed."""

from collections.abc import Callable
from typing import Any, NamedTuple

from webapp.desk import Unavailable
from webapp.enquiries import Enquiries, Explained
from webapp.storage.store import OrderRow
from webapp.web import dates, rendering, why
from webapp.web.event_view import EventView
from webapp.web.qr_codes import QrCode, qr_code
from webapp.web.rendering import event_path
from webapp.web.streams import message


class Ticket(NamedTuple):
    """What never changes of an order's page: its path, its ticket's code, and the address that the QR code holds."""

    path: str
    code: str
    address: str

    @property
    def qr(self) -> QrCode | None:
        """The QR code; None where the address is too long for one."""
        return qr_code(self.address)


def shown(explained: Explained, event: EventView, ticket: Ticket) -> dict[str, Any]:
    """The values of the page's live part."""
    order, position = explained.standing
    is_dated = event.details.starts_at is not None and not event.is_past
    return {
        "event": event,
        "is_over": event.is_over,
        "order": order,
        "position": position,
        "ticket": ticket,
        "arrived": _arrival(order, event),
        "story": why.sentences(order, explained.why, event.details.time_zone, event.year),
        "receipt": explained.receipt,
        "calendar": f"{event_path(order.event_id)}/calendar.ics" if is_dated else "",
    }


def _arrival(order: OrderRow, event: EventView) -> str | None:
    """When and where the guest was let in, with the day unless it is that of the event; None where he was not."""
    if order.checked_in_at is None:
        return None
    details = event.details
    at = dates.local(order.checked_in_at, details.time_zone)
    starts = at if details.starts_at is None else dates.local(details.starts_at, details.time_zone)
    day = "" if at.date() == starts.date() else f"{dates.day(at, event.year)} "
    return f"{day}{dates.clock(at)}{f', {order.gate}' if order.gate else ''}"


class OrderFrames:
    """What the open page of one order is sent: its live part, whenever that has changed.

    `seen` gives the event as it is published at the moment. Newcomers, who change nothing for anybody before them,
    cost neither a read nor a look.
    """

    def __init__(self, reads: Enquiries, order: OrderRow, ticket: Ticket, seen: Callable[[], EventView]) -> None:
        self._reads = reads
        self._order = order
        self._ticket = ticket
        self._seen = seen
        self._event: EventView | None = None
        self._explained: Explained | None = None

    async def __call__(self, _: object) -> bytes:
        event, before = self._seen(), self._event
        looks_the_same = before is not None and before[1:] == event[1:]  # but for the counts, which the page is without
        if before is not None and looks_the_same and event.counts.adds_only_newcomers_to(before.counts):
            self._event = event
            return b""
        try:
            explained = await self._reads.explained(self._order, self._explained)
        except Unavailable:
            self._event = None  # so that the next change, whatever it is, is looked at
            return b""
        if self._explained is not None and looks_the_same and explained[:3] == self._explained[:3]:
            self._event = event
            return b""
        self._event, self._explained = event, explained
        return message("order", rendering.block("order.html", "standing", **shown(explained, event, self._ticket)))
