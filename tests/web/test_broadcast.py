"""How often pages hear of changes, in virtual time: seldom enough for the server, whatever happens at the events."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from itertools import pairwise
from typing import cast

import pytest

from tests.service.seeded_loop import SeededLoop
from webapp.booking.state import Counts
from webapp.box_office import BoxOffice
from webapp.desk import Unavailable
from webapp.storage.store import Store
from webapp.web.broadcast import PAUSE_PER_STREAM_S, PAUSE_S, Broadcast, Channel, Interest, Places
from webapp.web.limiter import TooManyAttempts

GIG = Interest(frozenset({"gig"}))
EVERY_S = 0.01
"""How often the gig is booked in a rush."""


async def heard(pages: int, rush_s: float) -> list[float]:
    """When a page, one of so many, hears of a rush, in seconds since its beginning."""
    office = BoxOffice(cast(Store, None))  # it is not open: what it announces is up to the test
    broadcast, loop, times = Broadcast(office), asyncio.get_running_loop(), list[float]()

    async def listen(channel: Channel, version: int) -> None:
        while True:
            await channel.newer_than(version)
            version = channel.version
            times.append(loop.time() - began)

    with ExitStack() as listening:
        channels = [listening.enter_context(broadcast.listening(GIG)) for _ in range(pages)]
        began = loop.time()
        listener = asyncio.create_task(listen(channels[0], channels[0].version))
        for booked in range(1, int(rush_s / EVERY_S)):
            office.announcements.announce([Counts("gig", 10**6, booked, 0, booked + 1, bytes(32))])
            await asyncio.sleep(EVERY_S)
        listener.cancel()
    return times


def played(scenario: Callable[[], Awaitable[list[float]]]) -> list[float]:
    async def play() -> list[float]:
        return await scenario()

    with asyncio.Runner(loop_factory=lambda: SeededLoop(1)) as runner:
        return runner.run(play())


def test_pages_hear_of_a_rush_twice_a_second_at_most() -> None:
    times = played(lambda: heard(pages=1, rush_s=5.0))
    assert times[0] <= EVERY_S  # when all was quiet, at once
    assert len(times) >= 5 / (PAUSE_S + 2 * EVERY_S)
    assert min(later - earlier for earlier, later in pairwise(times)) >= PAUSE_S


@pytest.mark.parametrize("pages", [7_500, 10_000])
def test_the_more_pages_are_open_the_less_often_each_hears(pages: int) -> None:
    times = played(lambda: heard(pages=pages, rush_s=10.0))
    assert len(times) >= 3
    assert min(later - earlier for earlier, later in pairwise(times)) >= pages * PAUSE_PER_STREAM_S > PAUSE_S


def test_an_address_has_its_share_of_the_places_and_all_of_them_have_a_bound() -> None:
    places = Places(streams_max=5, per_address_max=2)
    with ExitStack() as opened:
        for address in ("192.0.2.1", "192.0.2.1", "2001:db8::1", "2001:db8::2"):
            places.require_free(address)
            opened.enter_context(places.taken(address))
        for address in ("192.0.2.1", "2001:db8::ffff"):  # of one household
            with pytest.raises(TooManyAttempts):
                places.require_free(address)
        places.require_free("198.51.100.7")
        opened.enter_context(places.taken("198.51.100.7"))
        with pytest.raises(Unavailable, match="Too many live pages"):
            places.require_free("203.0.113.9")
        assert places.count == 5
    assert places.count == 0
    places.require_free("192.0.2.1")
