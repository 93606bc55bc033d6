"""When time alone changes what pages show of an event: booking opens or closes, it begins, it is over.

Knows events and the clock, but nobody who listens.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

from webapp.booking.answers import Refusal
from webapp.booking.state import Counts, Event
from webapp.box_office import BoxOffice
from webapp.web.event_view import next_change, view

LOOK_EVERY_S: Final = 1.0
"""Nobody looks at the clock less often, since it may be set, or the machine may sleep."""


class Moments:
    """The next such moment of each event that somebody looks at: one for all who do."""

    def __init__(self, office: BoxOffice) -> None:
        self._office = office
        self._watching: Counter[str] = Counter()
        self._seen: dict[str, _Seen] = {}

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

        Or for which it is yet to come once more, since the clock was set back.

        Those are noted as they are now.
        """
        # All are asked for, and so stay in memory: or pages would go by what was read when they opened.
        present = {event_id: self._office.published_event(event_id) for event_id in self._watching}
        for event_id in {counts.event_id for counts in changed} & self._seen.keys():
            del self._seen[event_id]
            if event := present[event_id]:  # else it was deleted
                self._note(event)
        now = self._office.now()
        passed = [(event_id, seen) for event_id, seen in self._seen.items() if seen.is_outdated(now)]
        for event_id, seen in passed:
            self._note(present[event_id] or seen.event)
        return [(present[event_id] or seen.event).counts for event_id, seen in passed if seen.looks_different(now)]

    @property
    def wait_s(self) -> float:
        """Seconds until it should next be asked what has passed."""
        moments = [seen.until for seen in self._seen.values() if seen.until is not None]
        left_s = (min(moments) - self._office.now()) / 1_000_000 if moments else LOOK_EVERY_S
        return max(0.0, min(left_s, LOOK_EVERY_S))

    def _note(self, event: Event) -> None:
        if event.counts.event_id in self._watching:
            now = self._office.now()
            self._seen[event.counts.event_id] = _Seen(event, now, next_change(event, now))


class _Seen(NamedTuple):
    """An event as it was last, and from when until when time alone does not change it; None for ever.

    A clock that is set back to before that time makes moments come again that had passed.
    """

    event: Event
    since: int
    until: int | None

    def is_outdated(self, now: int) -> bool:
        """Whether it must be seen anew."""
        return now < self.since or (self.until is not None and self.until <= now)

    def looks_different(self, now: int) -> bool:
        """Whether pages of it are not what they were."""
        return view(self.event, now) != view(self.event, self.since)
