"""What is told to live subscribers: the latest counts of every event that changed, never a queue of changes."""

import asyncio
from collections import OrderedDict

from webapp.booking.state import Counts


class Announcements:
    """The latest counts of recently changed events, in order of change.

    Every change has a version. A subscriber remembers the last version he has seen, waits for a newer one, and takes
    the latest counts of everything that has changed since; all of them are woken by one shared future.
    """

    def __init__(self, events_max: int = 10_000) -> None:
        self.version = 0
        self.closed = False
        self._latest: OrderedDict[str, tuple[int, Counts]] = OrderedDict()  # oldest change first
        self._events_max = events_max
        self._next_change: asyncio.Future[None] | None = None

    def announce(self, changed: list[Counts]) -> None:
        """Make new counts known and wake whoever waits for them."""
        for counts in changed:
            self.version += 1
            self._latest[counts.event_id] = (self.version, counts)
            self._latest.move_to_end(counts.event_id)
        while len(self._latest) > self._events_max:
            self._latest.popitem(last=False)
        self._wake()

    def since(self, version: int) -> list[Counts]:
        """The counts of what has changed after a version, the latest change last."""
        changed = []
        for changed_at, counts in reversed(self._latest.values()):
            if changed_at <= version:
                break
            changed.append(counts)
        return changed[::-1]

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
