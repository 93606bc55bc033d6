"""Forgets who was at an event, so many days after it; what happened there, the ledger keeps."""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Final

from webapp.booking.answers import Refusal
from webapp.booking.details import Details
from webapp.booking.state import Event, EventCursor
from webapp.box_office import BoxOffice
from webapp.desk import Unavailable
from webapp.enquiries import Enquiries

log = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 3_600.0
EVENTS_PER_PAGE: Final = 100
ORDERS_AT_ONCE: Final = 200
"""Erased together, so that guests who book meanwhile hardly wait."""

DAY_US: Final = 86_400 * 1_000_000


class Retention:
    """Erases the guests of events that ended more than `days` ago.

    `clock` gives microseconds since 1970, UTC.
    """

    def __init__(
        self,
        box_office: BoxOffice,
        enquiries: Enquiries,
        days: int,
        *,
        clock: Callable[[], int] = lambda: time.time_ns() // 1_000,
    ) -> None:
        self._box_office = box_office
        self._enquiries = enquiries
        self._kept_us = days * DAY_US
        self._clock = clock
        self._done: dict[str, int] = {}  # event -> the last entry up to which nobody is left to erase

    async def keep(self) -> None:
        """Look at once and then every hour, until cancelled. What fails is tried again an hour later."""
        while True:
            try:
                await self.look()
            except Exception as problem:
                log.error("guests of past events could not be erased, and will be later: %s", problem, exc_info=problem)
            await asyncio.sleep(LOOK_EVERY_S)

    async def look(self) -> int:
        """Erase whom it is time to erase; returns how many orders that were. What fails at one event holds up no other.

        Raises Unavailable where the events cannot be read.
        """
        erased = 0
        before: EventCursor | None = None
        while True:
            page = await self._box_office.events(EVENTS_PER_PAGE, before, "organiser")
            for event in page.events:
                if self._is_due(event):
                    erased += await self._erased_at(event.counts.event_id)
            if page.next is None:
                return erased
            before = page.next

    def _is_due(self, event: Event) -> bool:
        over = _over_at(event.details)
        is_new = self._done.get(event.counts.event_id) != event.counts.head
        return is_new and over is not None and over + self._kept_us <= self._clock()

    async def _erased_at(self, event_id: str) -> int:
        try:
            head = (await self._box_office.counts(event_id)).head
            erased = await self._erase(event_id)
        except (Refusal, Unavailable) as problem:
            log.warning("guests of event %r could not be erased, and will be later: %s", event_id, problem)
            return 0
        self._done[event_id] = head + erased  # what else has happened meanwhile is looked at the next time
        return erased

    async def _erase(self, event_id: str) -> int:
        erased = 0
        async for standings in self._enquiries.whole_roster(event_id, share=None, q=""):
            named = [standing.order for standing in standings if standing.order.erased_at is None]
            for first in range(0, len(named), ORDERS_AT_ONCE):
                portion = named[first : first + ORDERS_AT_ONCE]
                await asyncio.gather(*(self._box_office.erase(event_id, order.guest, (order.id,)) for order in portion))
            erased += len(named)
        if erased:
            log.info("erased who had placed %d orders at event %r, which is over", erased, event_id)
        return erased


def _over_at(details: Details) -> int | None:
    """When nothing can happen at an event any more; None where nobody has said."""
    return details.schedule.promotes_until if details.ends_at is None else details.ends_at
