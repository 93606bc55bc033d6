"""What can be said of an event, who has arrived, and who is forgotten: on a real database, sentence by sentence."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.service.gated_store import GatedStore, settled
from tests.storage.meddling import meddle
from webapp.booking.answers import Refusal
from webapp.booking.details import UNTOLD, Details
from webapp.booking.ledger import Contact, LedgerDamaged, pseudonym
from webapp.booking.state import EventCursor
from webapp.box_office import BoxOffice
from webapp.desk import Unavailable
from webapp.storage.sqlite import SqliteStore

Start = Callable[[BoxOffice], Awaitable[BoxOffice]]
OpenStore = Callable[[Path], Awaitable[SqliteStore]]

GIG = Details(
    title="The gig", description="Loud.\n\nBring ear plugs.", venue="Town hall", starts_at=2_000, ends_at=3_000,
    time_zone="Europe/Berlin", opens_at=1_000, closes_at=2_500,
)  # fmt: skip


async def refused(asking: Awaitable[Any]) -> Refusal:
    with pytest.raises(Refusal) as refusal:
        await asking
    return refusal.value


def rows(database: Path, statement: str) -> list[Any]:
    with closing(sqlite3.connect(database)) as connection:
        return connection.execute(statement).fetchall()


# What is said of an event


async def test_an_event_is_shown_as_it_was_created(box_office: BoxOffice) -> None:
    created = await box_office.create_event("gig", 5, GIG)
    event = await box_office.event("gig")
    assert (event.details, event.title, event.counts.capacity, event.counts.revision) == (GIG, "The gig", 5, 2)
    assert created.receipt
    assert created.receipt.entry == 1


async def test_an_event_that_was_only_opened_goes_by_its_id(box_office: BoxOffice) -> None:
    await box_office.open_event("gig", tickets=5)
    event = await box_office.event("gig")
    assert (event.details, event.title) == (UNTOLD, "gig")


async def test_new_details_are_shown_to_nobody_before_they_are_committed(store: SqliteStore, start: Start) -> None:
    gated = GatedStore(store)
    box_office = await start(BoxOffice(gated))
    await box_office.create_event("gig", 5, GIG)
    revising = await gated.hold(lambda: box_office.revise("gig", details=replace(GIG, title="Off")))
    await settled()
    assert (await box_office.event("gig")).title == "The gig"
    assert [event.title for event in (await box_office.events(10)).events] == ["The gig"]
    assert not revising.done()
    gated.gate.set()
    await revising
    assert (await box_office.event("gig")).title == "Off"


async def test_details_that_could_not_be_stored_are_shown_to_nobody(box_office: BoxOffice, store: SqliteStore) -> None:
    await box_office.create_event("gig", 5, GIG)
    await store._writer.execute_fetchall("PRAGMA max_page_count = 1")
    with pytest.raises(Unavailable):
        await box_office.revise("gig", details=replace(GIG, description="x" * 100_000))
    assert (await box_office.event("gig")).details == GIG
    await store._writer.execute_fetchall("PRAGMA max_page_count = 1000000")
    await box_office.revise("gig", details=replace(GIG, title="Off"))
    assert (await box_office.event("gig")).title == "Off"


async def test_two_revisions_in_one_batch_leave_the_second(store: SqliteStore, start: Start) -> None:
    gated = GatedStore(store)
    box_office = await start(BoxOffice(gated))
    await box_office.create_event("gig", 5, GIG)
    first = await gated.hold(lambda: box_office.revise("gig", tickets=6))
    both = [replace(GIG, title=title) for title in ("Off", "On")]
    revising = [asyncio.create_task(box_office.revise("gig", details=details)) for details in both]
    await settled()
    gated.gate.set()
    await asyncio.gather(first, *revising)
    assert (await box_office.event("gig")).title == "On"
    assert await store.event("gig") == await box_office.event("gig")


async def test_a_restart_knows_what_was_said(database: Path, start: Start, open_store: OpenStore) -> None:
    store = await open_store(database)
    box_office = await start(BoxOffice(store))
    await box_office.create_event("gig", 5, GIG)
    await box_office.revise("gig", tickets=6)
    shown = await box_office.event("gig")
    await box_office.stop()
    await store.close()
    again = await start(BoxOffice(await open_store(database)))
    assert await again.event("gig") == shown
    assert (await refused(again.revise("gig", 2, tickets=7))).members == {"revision": 3}
    assert (await again.revise("gig", 3, tickets=7)).counts.capacity == 7


async def test_a_rehearsal_stores_shows_and_announces_nothing(box_office: BoxOffice) -> None:
    await box_office.open_event("gig", tickets=1)
    for guest in ("Bob", "Cleo"):
        await box_office.book("gig", guest)
    before, version = await box_office.event("gig"), box_office.announcements.version
    rehearsed = await box_office.revise("gig", tickets=2, details=Details(title="Off"), is_rehearsal=True)
    assert [promotion.guest for promotion in rehearsed.promoted] == ["Cleo"]
    assert rehearsed.receipt is None
    assert await box_office.event("gig") == before
    assert box_office.announcements.version == version
    assert (await box_office.place("gig", "Cleo")).position == 1


async def test_booking_goes_by_the_clock(store: SqliteStore, start: Start) -> None:
    now = 0
    box_office = await start(BoxOffice(store, clock=lambda: now))
    await box_office.create_event("gig", 1, GIG)
    assert (await refused(box_office.book("gig", "Bob"))).members == {"opens_at": 1_000}
    now = 1_000
    assert (await box_office.book("gig", "Bob")).status == "booked"
    assert (await box_office.book("gig", "Cleo")).status == "waiting"
    now = 2_500
    assert (await refused(box_office.book("gig", "Dan"))).members == {"closed_at": 2_500}
    assert (await box_office.cancel("gig", "Bob", "guest")).promoted == ()
    assert (await box_office.counts("gig")).has_lapsed


async def test_hidden_events_are_listed_for_organisers_alone(box_office: BoxOffice) -> None:
    await box_office.create_event("gig", 5, replace(GIG, hidden=True))
    await box_office.create_event("talk", 5, UNTOLD)
    assert [event.counts.event_id for event in (await box_office.events(10)).events] == ["talk"]
    listed = (await box_office.events(10, shown_to="organiser")).events
    assert {event.counts.event_id for event in listed} == {"gig", "talk"}
    assert (await box_office.event("gig")).details.hidden  # who knows its address finds it


async def test_pages_of_events_leave_no_gap_where_one_is_hidden(store: SqliteStore, start: Start) -> None:
    now = 0
    box_office = await start(BoxOffice(store, clock=lambda: now))
    for now in range(9):
        await box_office.create_event(f"event-{now}", 1, Details(hidden=now % 3 == 0))
    found: list[str] = []
    cursor: EventCursor | None = None
    while True:
        page = await box_office.events(2, cursor)
        found += [event.counts.event_id for event in page.events]
        if (cursor := page.next) is None:
            break
    assert found == [f"event-{number}" for number in (8, 7, 5, 4, 2, 1)]


async def test_the_answer_to_a_revision_tells_what_the_event_has_become(box_office: BoxOffice) -> None:
    await box_office.open_event("gig", tickets=1)
    for guest in ("Bob", "Cleo"):
        await box_office.book("gig", guest)
    revised = await box_office.revise("gig", tickets=2, details=Details(title="Off"))
    assert revised.counts == await box_office.counts("gig")
    assert revised.counts[1:4] == (2, 2, 0)
    assert revised.receipt
    assert revised.receipt.entry == 4


# Deletion


async def test_an_event_that_was_deleted_is_forgotten(box_office: BoxOffice) -> None:
    await box_office.create_event("gig", 5, GIG)
    assert (await box_office.delete_event("gig")).receipt
    asked: list[Awaitable[Any]] = [
        box_office.event("gig"),
        box_office.counts("gig"),
        box_office.place("gig", "Bob"),
        box_office.places("gig", ["Bob"]),
        box_office.book("gig", "Bob"),
        box_office.revise("gig", tickets=1),
        box_office.delete_event("gig"),
    ]
    assert [(await refused(asking)).code for asking in asked] == ["event_not_found"] * len(asked)
    assert (await box_office.events(10, shown_to="organiser")).events == []
    assert box_office.published("gig") is None
    assert not list(box_office._desks)


async def test_its_name_is_free_for_another_that_shares_nothing_with_it(box_office: BoxOffice) -> None:
    await box_office.create_event("gig", 5, GIG)
    await box_office.delete_event("gig")
    assert (await box_office.open_event("gig", tickets=3)).is_new
    event = await box_office.event("gig")
    assert (event.details, event.counts.capacity, event.counts.revision) == (UNTOLD, 3, 4)
    assert (await box_office.book("gig", "Bob")).status == "booked"


async def test_deleted_and_created_again_in_one_batch_it_is_the_new_one(store: SqliteStore, start: Start) -> None:
    gated = GatedStore(store)
    box_office = await start(BoxOffice(gated))
    await box_office.create_event("gig", 5, GIG)
    await box_office.open_event("talk", tickets=1)
    first = await gated.hold(lambda: box_office.book("talk", "first"))
    new = replace(GIG, title="Another gig", opens_at=None)
    deleting = asyncio.create_task(box_office.delete_event("gig"))
    creating = asyncio.create_task(box_office.create_event("gig", 2, new))
    await settled()
    gated.gate.set()
    await asyncio.gather(first, deleting, creating)
    assert await box_office.event("gig") == await store.event("gig")
    assert (await box_office.event("gig")).details == new


async def test_created_and_deleted_in_one_batch_it_was_never_seen(store: SqliteStore, start: Start) -> None:
    gated = GatedStore(store)
    box_office = await start(BoxOffice(gated))
    await box_office.open_event("talk", tickets=1)
    first = await gated.hold(lambda: box_office.book("talk", "first"))
    creating = asyncio.create_task(box_office.create_event("gig", 2, GIG))
    deleting = asyncio.create_task(box_office.delete_event("gig"))
    await settled()
    gated.gate.set()
    await asyncio.gather(first, creating, deleting)
    assert (await refused(box_office.event("gig"))).code == "event_not_found"
    assert box_office.published("gig") is None


async def test_a_restart_finds_a_deleted_event_deleted(database: Path, start: Start, open_store: OpenStore) -> None:
    store = await open_store(database)
    box_office = await start(BoxOffice(store))
    await box_office.create_event("gig", 5, GIG)
    await box_office.delete_event("gig")
    await box_office.stop()
    await store.close()
    again = await start(BoxOffice(await open_store(database)))
    assert (await refused(again.event("gig"))).code == "event_not_found"
    assert again.published("gig") is None
    assert (await again.create_event("gig", 2, UNTOLD)).counts.capacity == 2


# Arrivals and places


async def test_who_has_arrived_is_counted_and_announced(box_office: BoxOffice) -> None:
    await box_office.open_event("gig", tickets=1)
    order = await box_office.book("gig", "Bob")
    version = box_office.announcements.version
    await box_office.check_in("gig", "Bob", order.order_id, "east")
    assert (await box_office.counts("gig")).checked_in == 1
    assert [counts.checked_in for counts in box_office.announcements.since(version)] == [1]
    await box_office.undo_check_in("gig", "Bob", order.order_id)
    assert (await box_office.counts("gig")).checked_in == 0


async def test_places_are_all_of_one_instant(box_office: BoxOffice) -> None:
    await box_office.open_event("gig", tickets=1)
    for guest in ("Bob", "Cleo", "Dan"):
        await box_office.book("gig", guest)
    places = await box_office.places("gig", ["Bob", "Dan", "Stranger"])
    assert places.head == 4
    assert {guest: (found.status, found.position) for guest, found in places.placements.items()} == {
        "Bob": ("booked", None),
        "Dan": ("waiting", 2),
    }


async def test_places_wait_for_what_is_being_stored(store: SqliteStore, start: Start) -> None:
    gated = GatedStore(store)
    box_office = await start(BoxOffice(gated))
    await box_office.open_event("gig", tickets=1)
    booking = await gated.hold(lambda: box_office.book("gig", "Bob"))
    asking = asyncio.create_task(box_office.places("gig", ["Bob"]))
    await settled()
    assert not asking.done()
    gated.gate.set()
    assert (await asking).placements["Bob"].order_id == (await booking).order_id


# Being forgotten


async def test_who_is_erased_leaves_nothing_but_his_place(box_office: BoxOffice, database: Path) -> None:
    await box_office.open_event("gig", tickets=1)
    await box_office.book("gig", "Bob")
    cleo = await box_office.book("gig", "Cleo", contact=Contact("Cleo C.", "cleo@example.org"))
    await box_office.cancel("gig", "Cleo", "guest", "I am ill")
    again = await box_office.book("gig", "Cleo", contact=Contact("Cleo C.", None))
    erased = await box_office.erase("gig", "Cleo", (cleo.order_id, again.order_id))
    assert erased.order_ids == (cleo.order_id, again.order_id)
    left = rows(database, "SELECT user_id, name, email, salt, cancel_reason FROM orders WHERE user_id <> 'Bob'")
    assert sorted(left) == sorted((pseudonym(order.order_id), None, None, None, None) for order in (cleo, again))
    assert (await box_office.place("gig", pseudonym(again.order_id))).position == 1
    queries = ("SELECT * FROM events", "SELECT * FROM ledger", "SELECT * FROM orders")
    everything = str([rows(database, query) for query in queries])
    assert "Cleo" not in everything
    assert "cleo@" not in everything
    assert "ill" not in everything


async def test_who_is_erased_in_the_batch_of_his_booking_leaves_nothing_either(
    store: SqliteStore, start: Start, database: Path
) -> None:
    gated = GatedStore(store)
    box_office = await start(BoxOffice(gated, clock=lambda: 0, randomness=bytes))  # ids are known in advance
    await box_office.open_event("gig", tickets=1)
    await box_office.open_event("talk", tickets=1)
    first = await gated.hold(lambda: box_office.open_event("other", tickets=1))
    booking = asyncio.create_task(box_office.book("gig", "Cleo", contact=Contact("Cleo C.", "cleo@example.org")))
    erasing = asyncio.create_task(box_office.erase("gig", "Cleo", ("00" * 10,)))
    await settled()
    gated.gate.set()
    await asyncio.gather(first, booking, erasing)
    assert rows(database, "SELECT user_id, name, email, salt FROM orders") == [("\x7f" + "00" * 10, None, None, None)]
    assert (await box_office.place("gig", "\x7f" + "00" * 10)).status == "booked"


@pytest.mark.parametrize("erased_first", [False, True])
async def test_who_leaves_and_is_erased_in_one_batch_leaves_nothing_either(
    store: SqliteStore, start: Start, database: Path, erased_first: bool
) -> None:
    gated = GatedStore(store)
    box_office = await start(BoxOffice(gated))
    await box_office.open_event("gig", tickets=2)
    cleo = await box_office.book("gig", "Cleo", contact=Contact("Cleo C.", "cleo@example.org"))
    first = await gated.hold(lambda: box_office.book("gig", "Bob"))
    wishes: list[Callable[[], Awaitable[Any]]] = [
        lambda: box_office.cancel("gig", "Cleo", "guest", None if erased_first else "I am ill", order_id=cleo.order_id),
        lambda: box_office.erase("gig", "Cleo", (cleo.order_id,)),
    ]
    both = [asyncio.ensure_future(wish()) for wish in (reversed(wishes) if erased_first else wishes)]
    await settled()
    gated.gate.set()
    await asyncio.gather(first, *both)
    statement = "SELECT status, name, email, salt, cancel_reason FROM orders WHERE user_id <> 'Bob'"
    assert rows(database, statement) == [("cancelled", None, None, None, None)]
    again = await start(BoxOffice(store))
    assert await again.counts("gig") == await box_office.counts("gig")


async def test_a_restart_knows_who_was_erased_and_who_has_arrived(
    database: Path, start: Start, open_store: OpenStore
) -> None:
    store = await open_store(database)
    box_office = await start(BoxOffice(store))
    await box_office.open_event("gig", tickets=1)
    bob, cleo = [await box_office.book("gig", guest) for guest in ("Bob", "Cleo")]
    await box_office.check_in("gig", "Bob", bob.order_id, "east")
    await box_office.erase("gig", "Bob", (bob.order_id,))
    await box_office.erase("gig", "Cleo", (cleo.order_id,))
    await box_office.book("gig", "Cleo")
    counts = await box_office.counts("gig")
    await box_office.stop()
    await store.close()
    again = await start(BoxOffice(await open_store(database)))
    assert await again.counts("gig") == counts
    assert (await again.place("gig", "Cleo")).position == 2
    assert (await again.place("gig", pseudonym(cleo.order_id))).position == 1
    check_in = await again.undo_check_in("gig", pseudonym(bob.order_id), bob.order_id)
    assert check_in.gate == "east"


# Damage


async def lively(box_office: BoxOffice) -> None:
    """Eight entries: it is created with details, Bob books and comes in, Cleo and Dan wait, and Dan is erased."""
    await box_office.create_event("gig", 1, Details(title="The gig"))
    placed = [await box_office.book("gig", guest) for guest in ("Bob", "Cleo", "Dan")]
    await box_office.check_in("gig", "Bob", placed[0].order_id, "east")
    await box_office.erase("gig", "Dan", (placed[2].order_id,))
    await box_office.revise("gig", tickets=1, details=Details(title="The gig", venue="Town hall"))


DAMAGE = {
    "another title": ("UPDATE events SET title = 'No gig'", 8),
    "another description": ("UPDATE events SET description = 'Quiet.'", 8),
    "another venue": ("UPDATE events SET venue = ''", 8),
    "another start": ("UPDATE events SET starts_at = 1", 8),
    "another opening": ("UPDATE events SET opens_at = 1", 8),
    "another time zone": ("UPDATE events SET time_zone = 'CET'", 8),
    "a hidden event": ("UPDATE events SET hidden = 1", 8),
    "another revision": ("UPDATE events SET revision = 2", 8),
    "promotions that are over": ("UPDATE events SET has_lapsed = 1", 8),
    "an arrival less": ("UPDATE events SET checked_in = 0", 8),
    "other sealed details": ("UPDATE ledger SET detail = replace(detail, 'false', 'true') WHERE seq = 2", 2),
    "an arrival at another gate": ("UPDATE orders SET gate = 'west' WHERE gate = 'east'", 8),
    "an arrival at another time": ("UPDATE orders SET checked_in_at = checked_in_at + 1 WHERE gate = 'east'", 8),
    "an arrival that never was": ("UPDATE orders SET checked_in_at = NULL, gate = NULL WHERE gate = 'east'", 8),
    "an erasure taken back": ("UPDATE orders SET user_id = 'Dan' WHERE user_id LIKE x'7f' || '%'", 5),
    "somebody else without his salt": ("UPDATE orders SET user_id = 'Mallory', salt = NULL WHERE user_id = 'Cleo'", 4),
}


@pytest.mark.parametrize("damage", DAMAGE)
async def test_nothing_is_served_from_a_damaged_database(
    database: Path, damage: str, start: Start, open_store: OpenStore
) -> None:
    store = await open_store(database)
    box_office = await start(BoxOffice(store))
    await lively(box_office)
    assert (await box_office.counts("gig")).head == 8
    await box_office.stop()
    await store.close()
    statement, entry = DAMAGE[damage]
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("DROP TRIGGER ledger_entries_never_change")
        assert connection.execute(statement).rowcount == 1
    box_office = BoxOffice(await open_store(database))
    with pytest.raises(LedgerDamaged) as damaged:
        await box_office.start()
    assert (damaged.value.event_id, damaged.value.seq) == ("gig", entry)
    await box_office.stop()


async def test_a_value_of_another_type_is_damage_too(
    store: SqliteStore, database: Path, box_office: BoxOffice, open_store: OpenStore
) -> None:
    await lively(box_office)
    await box_office.stop()
    await store.close()
    meddle(database, "UPDATE ledger SET detail = CAST(detail AS BLOB) WHERE seq = 3")
    damaged = BoxOffice(await open_store(database))
    with pytest.raises(LedgerDamaged, match="a value is of another type than what was written") as told:
        await damaged.start()
    assert told.value.event_id == "gig"
    await damaged.stop()


async def test_an_event_that_was_hidden_since_a_list_was_read_is_not_on_it(
    store: SqliteStore, box_office: BoxOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    await box_office.create_event("gig", 1, Details(title="Gig"))
    read_before = await store.events(10)
    await box_office.revise("gig", details=Details(title="Gig", hidden=True))

    async def as_it_was(*_: object) -> object:
        return read_before

    monkeypatch.setattr(store, "events", as_it_was)
    assert [event.title for event in read_before.events] == ["Gig"]
    assert (await box_office.events(10)).events == []
    assert [event.title for event in (await box_office.events(10, None, "organiser")).events] == ["Gig"]
