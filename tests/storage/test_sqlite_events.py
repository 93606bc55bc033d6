"""Events in the SQLite file: their details, what becomes of deleted ones, and who is shown which."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.storage.unwritten import AT, Unwritten, read
from webapp.booking.details import UNTOLD, Details
from webapp.booking.state import Event, EventCursor
from webapp.recovery import recover
from webapp.storage.sqlite import SqliteStore
from webapp.storage.store import Audience

CONCERT = Details(
    title="Summer night concert 🎷",
    description="Bring a blanket.\n\nDoors open at seven.",
    venue="Old Mill, “Hof”",
    starts_at=AT + 3_600_000_000,
    ends_at=AT + 7_200_000_000,
    time_zone="Europe/Berlin",
    opens_at=-1,
    closes_at=AT + 3_500_000_000,
    hidden=True,
)

OpenStore = Callable[[Path], Awaitable[SqliteStore]]


@pytest.fixture
def gig() -> Unwritten:
    return Unwritten("gig", tickets=1)


async def stored(store: SqliteStore, event: Unwritten) -> Event | None:
    """Store what is new at an event, and read the event."""
    await store.append([event.addition()])
    assert (await recover(store, event.state.event_id)).state.counts == event.state.counts
    return await store.event(event.state.event_id)


# Details


async def test_an_event_opened_without_details_has_none(store: SqliteStore, gig: Unwritten) -> None:
    assert await stored(store, gig) == (gig.state.counts, UNTOLD)


async def test_all_details_are_kept_to_the_microsecond_and_to_the_letter(
    open_store: OpenStore, database: Path, gig: Unwritten
) -> None:
    gig.revise(details=CONCERT)
    store = await open_store(database)
    assert await stored(store, gig) == (gig.state.counts, CONCERT)
    await store.close()
    store = await open_store(database)
    assert await store.event("gig") == (gig.state.counts, CONCERT)
    assert (await recover(store, "gig")).details == CONCERT


async def test_new_details_take_the_place_of_the_old_ones(store: SqliteStore, gig: Unwritten) -> None:
    gig.revise(details=CONCERT)
    await stored(store, gig)
    gig.revise(details=Details(title="Concert"))
    assert await stored(store, gig) == (gig.state.counts, Details(title="Concert"))
    gig.revise(details=UNTOLD)
    assert await stored(store, gig) == (gig.state.counts, UNTOLD)


async def test_of_several_details_in_one_batch_the_last_stay(store: SqliteStore, gig: Unwritten) -> None:
    gig.revise(details=CONCERT)
    gig.book("Bob")
    gig.revise(tickets=2, details=Details(title="Concert"))
    gig.revise(tickets=3)
    gig.book("Cleo")
    assert await stored(store, gig) == (gig.state.counts, Details(title="Concert"))
    assert gig.state.revision == 6


async def test_whatever_else_happens_leaves_the_details_and_the_revision(store: SqliteStore, gig: Unwritten) -> None:
    shown = Details(title="Concert", hidden=False)
    gig.revise(details=shown)
    await stored(store, gig)
    gig.book("Bob", "Cleo")
    gig.cancel("Bob")
    gig.check_in("Cleo")
    gig.erase("Cleo")
    found = await stored(store, gig)
    assert found == (gig.state.counts, shown)
    assert (found.counts.revision, found.counts.head) == (2, 8)


async def test_a_change_of_the_capacity_alone_leaves_the_details(store: SqliteStore, gig: Unwritten) -> None:
    gig.revise(details=CONCERT)
    await stored(store, gig)
    gig.revise(tickets=5)
    found = await stored(store, gig)
    assert found == (gig.state.counts, CONCERT)
    assert (found.counts.capacity, found.counts.revision) == (5, 3)


async def test_the_end_of_promotions_is_kept_with_the_tickets_that_it_leaves_free(
    store: SqliteStore, gig: Unwritten
) -> None:
    gig.book("Bob", "Cleo")
    gig.revise(details=Details(starts_at=AT))
    gig.cancel("Bob")
    found = await stored(store, gig)
    assert found == (gig.state.counts, Details(starts_at=AT))
    assert (found.counts.booked, found.counts.waiting, found.counts.has_lapsed) == (0, 1, True)
    gig.revise(details=UNTOLD)
    found = await stored(store, gig)
    assert found == (gig.state.counts, UNTOLD)
    assert (found.counts.booked, found.counts.waiting, found.counts.has_lapsed) == (1, 0, False)


# Deleting, and opening again


async def test_a_deleted_event_is_in_no_list_but_stays_on_record(store: SqliteStore, gig: Unwritten) -> None:
    gig.revise(details=Details(title="Concert"))
    gig.delete()
    await store.append([gig.addition(), Unwritten("talk", tickets=1).addition()])
    found = await store.event("gig")
    assert found == (gig.state.counts, Details(title="Concert"))
    assert found.counts.is_deleted
    assert [await listed(store, audience) for audience in ("guests", "organiser", "verifier")] == [
        ["talk"], ["talk"], ["talk", "gig"]
    ]  # fmt: skip
    assert [entry.kind for entry in await read(store.entries("gig"))] == ["opened", "revised", "deleted"]


@pytest.mark.parametrize("is_stored_between", [True, False])
async def test_an_event_opened_again_begins_without_details_and_as_the_newest(
    store: SqliteStore, gig: Unwritten, is_stored_between: bool
) -> None:
    gig.revise(details=CONCERT)
    await store.append([gig.addition(), Unwritten("talk", tickets=1).addition()])
    gig.delete()
    if is_stored_between:
        await store.append([gig.addition()])
    gig.open(7)
    assert await stored(store, gig) == (gig.state.counts, UNTOLD)
    assert await listed(store, "guests") == ["gig", "talk"]
    assert (await store.events(1)).next == EventCursor(AT + 3, "gig")
    gig.book("Bob")
    found = await stored(store, gig)
    assert found
    assert found.counts[1:5] == (7, 1, 0, 5)


async def test_an_event_may_be_deleted_and_created_again_with_details_in_one_batch(
    store: SqliteStore, gig: Unwritten
) -> None:
    await store.append([gig.addition()])
    gig.delete()
    gig.open(7)
    gig.revise(details=CONCERT)
    assert await stored(store, gig) == (gig.state.counts, CONCERT)
    gig.delete()
    gig.open(8)
    gig.delete()
    found = await stored(store, gig)
    assert found
    assert found.counts.is_deleted


async def test_an_event_may_come_and_go_in_one_batch(store: SqliteStore, gig: Unwritten) -> None:
    gig.delete()
    assert await stored(store, gig) == (gig.state.counts, UNTOLD)
    assert await listed(store, "organiser") == []


# Lists


async def test_hidden_events_are_listed_for_the_organiser_alone(store: SqliteStore, gig: Unwritten) -> None:
    gig.revise(details=CONCERT)
    await store.append([Unwritten("talk", tickets=1).addition(), gig.addition()])
    assert [await listed(store, audience) for audience in ("guests", "organiser", "verifier")] == [
        ["talk"], ["talk", "gig"], ["talk", "gig"]
    ]  # fmt: skip
    gig.revise(details=UNTOLD)
    await store.append([gig.addition()])
    assert await listed(store, "guests") == ["talk", "gig"]


async def test_a_page_is_full_whatever_is_not_shown_in_between(store: SqliteStore) -> None:
    for number in range(12):
        event = Unwritten(f"event-{number:02}", tickets=1)
        if number % 3 == 0:
            event.revise(details=CONCERT)
        elif number % 3 == 1:
            event.delete()
        await store.append([event.addition()])
    first = await store.events(3)
    assert [event.counts.event_id for event in first.events] == ["event-11", "event-08", "event-05"]
    assert first.next is not None
    second = await store.events(3, first.next)
    assert [event.counts.event_id for event in second.events] == ["event-02"]
    assert second.next is None
    assert len(await listed(store, "organiser")) == 8
    assert len(await listed(store, "verifier")) == 12


async def listed(store: SqliteStore, audience: Audience) -> list[str]:
    """The ids of all events that somebody is shown, newest first."""
    return [event.counts.event_id for event in (await store.events(100, shown_to=audience)).events]
