"""When time alone changes what pages show of an event: booking opens or closes, it begins, it is over.

Knows events and the clock, but nobody who listens.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

from webapp.booking.answers import Refusal
from webapp.booking.state import Counts, Event
from webapp.box_office import BoxOffice
from webapp.web.event_view import next_change

LOOK_EVERY_S: Final = 1.0
"""Nobody looks at the clock less often, since it may be set, or the machine may sleep."""


class Moments:
    """The next such moment of each event that somebody looks at: one for all who do."""

    def __init__(self, office: BoxOffice) -> None:
        self._office = office
        self._watching: Counter[str] = Counter()
        self._seen: dict[str, tuple[Event, int | None]] = {}  # an event as it was last, and its next moment

    @contextmanager
    def watched(self, event_ids: Iterable[str]) -> Iterator[None]:
        """Look at some events."""
        self._watching.update(event_ids)
        try:
            yield
        finally:
            for event_id in event_ids:
                self._watching[event_id] -= 1
                if not self._watching[event_id]:
                    del self._watching[event_id]
                    self._seen.pop(event_id, None)

    async def learn(self, event_ids: Iterable[str]) -> None:
        """Find out the moments of events that are looked at. Raises Unavailable."""
        for event_id in event_ids:
            if event_id not in self._seen:
                try:
                    self._note(await self._office.event(event_id))
                except Refusal:
                    continue  # deleted just now

    def passed(self, changed: Iterable[Counts]) -> list[Counts]:
        """The counts of the events for which a moment has come since this was last asked, without the changed ones.

        Those are noted as they are now.
        """
        # All are asked for, and so stay in memory: or pages would go by what was read when they opened.
        present = {event_id: self._office.published_event(event_id) for event_id in self._watching}
        for event_id in {counts.event_id for counts in changed} & self._seen.keys():
            del self._seen[event_id]
            if event := present[event_id]:  # else it was deleted
                self._note(event)
        now = self._office.now()
        passed = [present[event_id] or event for event_id, (event, at) in self._seen.items() if _has_come(at, now)]
        for event in passed:
            self._note(event)
        return [event.counts for event in passed]

    @property
    def wait_s(self) -> float:
        """Seconds until it should next be asked what has passed."""
        moments = [at for _, at in self._seen.values() if at is not None]
        left_s = (min(moments) - self._office.now()) / 1_000_000 if moments else LOOK_EVERY_S
        return max(0.0, min(left_s, LOOK_EVERY_S))

    def _note(self, event: Event) -> None:
        if event.counts.event_id in self._watching:
            self._seen[event.counts.event_id] = (event, next_change(event, self._office.now()))


def _has_come(at: int | None, now: int) -> bool:
    return at is not None and at <= now
