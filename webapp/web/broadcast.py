"""How many live pages hear of one change: no more often than they can bear, and no more of them than agreed.

Knows announcements, moments and addresses, but neither requests nor what a page shows.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeVar, cast

from webapp.announcements import Announcements
from webapp.booking.state import Counts
from webapp.box_office import BoxOffice
from webapp.desk import Unavailable
from webapp.web.limiter import TooManyAttempts, network
from webapp.web.moments import Moments

PAUSE_S: Final = 0.5
BREATH_S: Final = 0.001
PAUSE_PER_STREAM_S: Final = 0.0001
"""Telling a page costs some 15 µs, so that all of them together never take more than a sixth of a core."""

STREAMS_PER_CHANNEL: Final = 100
HEARTBEAT_S: Final = 15.0
RETRY_AFTER_S: Final = 30

T = TypeVar("T")


class News(list[Counts]):
    """The latest counts of what has changed, the last change last, and what was made of them.

    Pages that are told the same share it, so that it is made once.
    """

    def __init__(self, changed: Iterable[Counts]) -> None:
        super().__init__(changed)
        self._made: dict[Hashable, Any] = {}

    def once(self, key: Hashable, make: Callable[[], T]) -> T:
        """What was made under a key, or is made now."""
        if key not in self._made:
            self._made[key] = make()
        return cast(T, self._made[key])


class Listener(Protocol):
    """An open page that is told on the spot. It neither waits nor raises."""

    def tell(self, news: News) -> None:
        """Hear what has changed."""

    def beat(self) -> None:
        """Show, if nothing has been sent since the last time, that the stream is alive."""

    def end(self) -> None:
        """Hear that no more will come."""


@dataclass(frozen=True, slots=True)
class Interest:
    """What a page wants to hear of: the changes of some events, and perhaps that a new one has opened.

    Of changes that time alone makes it hears, too: who counts only entries, and has no use for `time`, does not.
    """

    event_ids: frozenset[str]
    openings: bool = False
    time: bool = True

    def selected(self, latest: dict[str, Counts], opened: list[Counts], by_time: dict[str, Counts]) -> News:
        """What of the latest changes the page wants."""
        told = {**by_time, **latest} if self.time else latest
        news = News(told[event_id] for event_id in self.event_ids if event_id in told)
        if self.openings:
            news += [counts for counts in opened if counts.event_id not in self.event_ids]
        return news


class Channel(Announcements):
    """What pages with the same interest are told. Few enough share one that telling them all stays short."""

    def __init__(self) -> None:
        super().__init__()
        self.listeners = 0
        self._told_on_the_spot: set[Listener] = set()

    @contextmanager
    def telling(self, listener: Listener) -> Iterator[None]:
        """Tell a page on the spot, from now on."""
        self._told_on_the_spot.add(listener)
        try:
            yield
        finally:
            self._told_on_the_spot.remove(listener)

    def tell(self, news: News) -> None:
        """Make news known to everybody who listens."""
        self.announce(news)
        for listener in self._told_on_the_spot:
            listener.tell(news)

    def beat(self) -> None:
        """Have all pages show that their streams are alive."""
        for listener in self._told_on_the_spot:
            listener.beat()

    def close(self) -> None:
        """Say that no more will come."""
        super().close()
        for listener in self._told_on_the_spot:
            listener.end()


class Broadcast:
    """Passes announcements on to channels: at once when all was quiet, else after a pause, latest counts only.

    What time alone changes takes the same way, so that a moment costs no more than a booking, however many wait for it.
    """

    def __init__(self, office: BoxOffice) -> None:
        self._source = office.announcements
        self._moments = Moments(office)
        self._channels: dict[Interest, list[Channel]] = {}
        self._passing_on: asyncio.Task[None] | None = None

    @contextmanager
    def listening(self, interest: Interest) -> Iterator[Channel]:
        """A channel that tells everything of interest from now on. Nothing runs while nobody listens.

        Of the moments of an event it tells once they have been learnt.
        """
        channels = self._channels.setdefault(interest, [])
        channel = next((channel for channel in channels if channel.listeners < STREAMS_PER_CHANNEL), None)
        if channel is None:
            channel = Channel()
            channels.append(channel)
        channel.listeners += 1
        if self._passing_on is None or self._passing_on.done():
            self._passing_on = asyncio.create_task(self._pass_on(self._source.version))
        try:
            with self._moments.watched(interest.event_ids if interest.time else ()):
                yield channel
        finally:
            channel.listeners -= 1
            self._forget_if_unheard(interest, channel)

    async def learn_moments(self, interest: Interest) -> None:
        """Find out when time alone changes the events that somebody listens to. Raises Unavailable."""
        if interest.time:
            await self._moments.learn(interest.event_ids)

    def _forget_if_unheard(self, interest: Interest, channel: Channel) -> None:
        if not channel.listeners:
            self._channels[interest].remove(channel)
            if not self._channels[interest]:
                del self._channels[interest]
        if not self._channels and self._passing_on is not None:
            self._passing_on.cancel()
            self._passing_on = None

    async def _pass_on(self, version: int) -> None:
        loop = asyncio.get_running_loop()
        beat_at = loop.time() + HEARTBEAT_S / 2
        while not self._source.closed:
            await self._something_to_tell(version, beat_at - loop.time())
            changed, appeared = self._source.since(version), self._source.appeared_since(version)
            version = self._source.version
            by_time = self._moments.passed(changed)
            if changed or by_time:
                await self._tell(changed, appeared, by_time)
                streams = sum(channel.listeners for channel in self._all_channels())
                await asyncio.sleep(max(PAUSE_S, streams * PAUSE_PER_STREAM_S))
            if loop.time() >= beat_at:
                beat_at = loop.time() + HEARTBEAT_S / 2  # by the second that finds it silent, a page speaks
                await self._beat()
        for channel in self._all_channels():
            channel.close()

    async def _something_to_tell(self, version: int, wait_s: float) -> None:
        """Wait for a change, or until somebody should look at the clock, at most so many seconds."""
        try:
            async with asyncio.timeout(min(self._moments.wait_s, wait_s)):
                await self._source.newer_than(version)
        except TimeoutError:
            return

    async def _tell(self, changed: list[Counts], appeared: set[str], by_time: list[Counts]) -> None:
        latest = {counts.event_id: counts for counts in changed}
        passed = {counts.event_id: counts for counts in by_time}
        opened = [counts for counts in changed if counts.event_id in appeared]
        for interest, channels in list(self._channels.items()):
            if news := interest.selected(latest, opened, passed):
                for channel in list(channels):
                    channel.tell(news)
                    await asyncio.sleep(BREATH_S)  # for bookings, which must not wait until every page is served

    async def _beat(self) -> None:
        for channel in self._all_channels():
            channel.beat()
            await asyncio.sleep(BREATH_S)

    def _all_channels(self) -> list[Channel]:
        return [channel for channels in self._channels.values() for channel in channels]


class Places:
    """The places for streams: so many in all, and so many for one address."""

    def __init__(self, streams_max: int, per_address_max: int) -> None:
        self._streams_max = streams_max
        self._per_address_max = per_address_max
        self._taken: Counter[str] = Counter()

    @property
    def count(self) -> int:
        """How many are taken."""
        return self._taken.total()

    def require_free(self, address: str) -> None:
        """Raises TooManyAttempts where the address has its share, Unavailable where nobody gets another."""
        if self._taken[network(address)] >= self._per_address_max:
            raise TooManyAttempts(RETRY_AFTER_S)
        if self.count >= self._streams_max:
            raise Unavailable("overloaded", "Too many live pages are open just now", RETRY_AFTER_S)

    @contextmanager
    def taken(self, address: str) -> Iterator[None]:
        """Hold a place."""
        sender = network(address)
        self._taken[sender] += 1
        try:
            yield
        finally:
            self._taken[sender] -= 1
            if not self._taken[sender]:
                del self._taken[sender]
