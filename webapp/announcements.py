"""What is told to live subscribers: the latest counts of every event that changed, never a queue of changes."""

import asyncio
from collections import OrderedDict
from collections.abc import Collection

from webapp.booking.state import Counts


class Announcements:
    """The latest counts of recently changed events, in order of change.

    Every change has a version. A subscriber remembers the last version he has seen, waits for a newer one, and takes
    the latest counts of everything that has changed since; all of them are woken by one shared future.
    """

    def __init__(self, events_max: int = 10_000) -> None:
        self.version = 0
        self.revised = 0  # the version of the last change that may have been of more than an event's counts
        self.closed = False
        self._latest: OrderedDict[str, tuple[int, Counts]] = OrderedDict()  # oldest change first
        self._appeared: dict[str, int] = {}
        self._events_max = events_max
        self._next_change: asyncio.Future[None] | None = None

    def announce(self, changed: list[Counts], appeared: Collection[str] = ()) -> None:
        """Make new counts known and wake whoever waits for them; `appeared` are the events that lists show only now."""
        for counts in changed:
            self.version += 1
            _, before = self._latest.get(counts.event_id, (0, None))
            if before is None or (before.revision, before.is_deleted) != (counts.revision, counts.is_deleted):
                self.revised = self.version
            self._latest[counts.event_id] = (self.version, counts)
            self._latest.move_to_end(counts.event_id)
            if counts.event_id in appeared:
                self._appeared[counts.event_id] = self.version
        while len(self._latest) > self._events_max:
            event_id, _ = self._latest.popitem(last=False)
            self._appeared.pop(event_id, None)
        self._wake()

    def since(self, version: int) -> list[Counts]:
        """The counts of what has changed after a version, the latest change last."""
        changed = []
        for changed_at, counts in reversed(self._latest.values()):
            if changed_at <= version:
                break
            changed.append(counts)
        return changed[::-1]

    def appeared_since(self, version: int) -> set[str]:
        """The events among `since` that lists show only since then, even if they have changed once more."""
        return {counts.event_id for counts in self.since(version) if self._appeared.get(counts.event_id, 0) > version}

    async def newer_than(self, version: int) -> None:
        """Wait until something has changed after a version, or until no more will come (`closed`)."""
        while self.version <= version and not self.closed:
            if self._next_change is None:
                self._next_change = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._next_change)

    def close(self) -> None:
        """Say that no more will come."""
        self.closed = True
        self._wake()

    def _wake(self) -> None:
        if self._next_change is not None:
            self._next_change.set_result(None)
            self._next_change = None
