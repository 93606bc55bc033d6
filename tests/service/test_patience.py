"""What the box office does when something takes too long, or too much is asked."""

import asyncio
from collections.abc import Sequence
from random import Random

import pytest

from tests.service.simulated_store import SimulatedStore
from tests.service.until import until
from webapp.booking.answers import Placement, Refusal
from webapp.box_office import BoxOffice
from webapp.desk import Unavailable
from webapp.storage.store import Addition


class SlowStore(SimulatedStore):
    """Stores at once, and says so only when it is let."""

    def __init__(self) -> None:
        super().__init__(Random(1))
        self.may_tell = asyncio.Event()
        self.may_tell.set()

    async def append(self, batch: Sequence[Addition]) -> None:
        await super().append(batch)
        await self.may_tell.wait()


async def until_in_flight(store: SlowStore, appends: int) -> None:
    await until(lambda: store.appends >= appends)


async def test_a_commit_slower_than_the_shutdown_is_answered_as_unknown() -> None:
    store = SlowStore()
    box_office = BoxOffice(store)
    await box_office.start()
    await box_office.open_event("gig", tickets=5)
    store.may_tell.clear()
    bob = asyncio.create_task(box_office.book("gig", "bob"))
    await until_in_flight(store, 2)
    cleo = asyncio.create_task(box_office.book("gig", "cleo"))  # behind Bob, in no batch yet
    await asyncio.sleep(0)
    box_office.wind_down(patience_s=0)
    with pytest.raises(Unavailable) as unknown:
        await bob
    with pytest.raises(Unavailable) as refused:
        await cleo
    assert (unknown.value.code, refused.value.code) == ("outcome_unknown", "shutting_down")
    with pytest.raises(Unavailable):
        await box_office.book("gig", "dan")
    store.may_tell.set()
    await box_office.stop()
    assert [entry.guest for entry in store.ledgers["gig"]] == [None, "bob"]


async def test_patience_that_is_not_needed_disturbs_nobody() -> None:
    box_office = BoxOffice(SlowStore())
    await box_office.start()
    await box_office.open_event("gig", tickets=5)
    box_office.wind_down(patience_s=60)
    assert isinstance(await box_office.book("gig", "bob"), Placement)
    await box_office.stop()


async def test_overload_keeps_no_desk_for_what_it_refuses() -> None:
    store = SlowStore()
    box_office = BoxOffice(store, pending_max=1)
    await box_office.start()
    await box_office.open_event("gig", tickets=5)
    store.may_tell.clear()
    tasks = [asyncio.create_task(box_office.book("gig", "bob"))]
    await until_in_flight(store, 2)
    tasks += [asyncio.create_task(box_office.book(event, "cleo")) for event in ("gig", *map(str, range(100)))]
    await asyncio.sleep(0)
    store.may_tell.set()
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert [isinstance(answer, Unavailable) for answer in answers] == [False, False, *[True] * 100]
    assert [desk.event_id for desk in box_office._desks] == ["gig"]
    await box_office.stop()


async def test_an_event_that_is_only_looked_at_stays_in_memory() -> None:
    box_office = BoxOffice(SlowStore(), desk_idle_s=0.2)
    await box_office.start()
    for event in ("watched", "forgotten"):
        await box_office.open_event(event, tickets=5)
    while box_office.published("forgotten") is not None:
        await box_office.counts("watched")
        await asyncio.sleep(0.01)
    assert box_office.published("watched") is not None
    await box_office.stop()


async def test_a_flood_of_unknown_events_leaves_nothing() -> None:
    box_office = BoxOffice(SlowStore())
    await box_office.start()
    answers = await asyncio.gather(*(box_office.book(str(n), "bob") for n in range(500)), return_exceptions=True)
    assert all(isinstance(answer, Refusal) and answer.code == "event_not_found" for answer in answers)
    assert not list(box_office._desks)
    await box_office.stop()
