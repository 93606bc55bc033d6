"""Whoever wants to know is told of every batch that was stored, and of no other."""

import asyncio
from collections.abc import Awaitable, Callable
from random import Random

import pytest

from tests.service.simulated_store import Fate, SimulatedStore
from webapp.booking.answers import Refusal
from webapp.box_office import BoxOffice
from webapp.desk import Unavailable
from webapp.storage.store import NotCommitted, OutcomeUnknown

Start = Callable[[BoxOffice], Awaitable[BoxOffice]]


class Told:
    """A store, an open box office on it, and how many entries it said were stored, batch by batch."""

    def __init__(self) -> None:
        self.entries: list[int] = []
        self.seconds: list[float] = []
        self.store = SimulatedStore(Random(1))
        self.box_office = BoxOffice(self.store, on_commit=self._listen)

    def _listen(self, entries: int, seconds: float) -> None:
        self.entries.append(entries)
        self.seconds.append(seconds)


@pytest.fixture
async def told(start: Start) -> Told:
    told = Told()
    await start(told.box_office)
    return told


async def test_a_batch_is_told_with_its_entries_and_how_long_it_took(told: Told) -> None:
    await told.box_office.open_event("gig", tickets=1)
    told.store.fates[2] = Fate(delay_s=0.05)
    await told.box_office.book("gig", "Bob")
    await asyncio.gather(*(told.box_office.book("gig", guest) for guest in ("Cleo", "Dan")))
    await told.box_office.cancel("gig", "Bob", "organiser")  # which promotes Cleo
    assert told.entries == [1, 1, 2, 2]
    assert told.seconds[1] >= 0.05
    assert min(told.seconds) > 0


async def test_what_stores_nothing_is_not_told(told: Told) -> None:
    await told.box_office.open_event("gig", tickets=1)
    await told.box_office.book("gig", "Bob")
    assert not (await told.box_office.book("gig", "Bob")).is_new
    with pytest.raises(Refusal):
        await told.box_office.cancel("gig", "Dan", "organiser")
    assert told.entries == [1, 1]


@pytest.mark.parametrize("error", [NotCommitted("the disk is full"), OutcomeUnknown("the disk did not answer")])
async def test_a_batch_that_failed_is_not_told(told: Told, error: Exception) -> None:
    await told.box_office.open_event("gig", tickets=1)
    told.store.fates[2] = Fate(error)
    with pytest.raises(Unavailable):
        await told.box_office.book("gig", "Bob")
    assert told.entries == [1]


async def test_of_a_batch_that_is_refused_each_event_that_is_stored_is_told(told: Told) -> None:
    for event in ("gig", "talk", "wine"):
        await told.box_office.open_event(event, tickets=5)
    told.store.refused.add("talk")
    found = await asyncio.gather(
        *(told.box_office.book(event, guest) for event in ("gig", "talk", "wine") for guest in ("Bob", "Cleo")),
        return_exceptions=True,
    )
    assert [isinstance(outcome, Unavailable) for outcome in found] == [False, False, True, True, False, False]
    assert told.entries == [1, 1, 1, 2, 2]
