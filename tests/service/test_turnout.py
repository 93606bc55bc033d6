"""How an event has filled over time, from the ledger of a real database."""

import asyncio
from collections.abc import Awaitable, Callable
from random import Random

import pytest

from tests.service.lives import Life, random_life
from webapp import turnout as module
from webapp.booking.answers import Refusal
from webapp.booking.state import EventState
from webapp.box_office import BoxOffice
from webapp.enquiries import Enquiries
from webapp.storage.sqlite import SqliteStore
from webapp.storage.store import Addition
from webapp.turnout import POINTS_MAX, Point, Turnouts

Start = Callable[[BoxOffice], Awaitable[BoxOffice]]


def told_by_the_rules(life: Life) -> list[Point]:
    """How full the event was after each entry, by applying them one after the other."""
    state, points, latest_at = EventState(life.event), [], 0
    for entry in life.entries:
        state.apply(entry)
        latest_at = max(latest_at, entry.at)
        points.append(Point(latest_at, state.capacity, state.booked, len(state.waiting)))
    return points


def last_at_each_time(points: list[Point]) -> list[Point]:
    return list({point.at: point for point in points}.values())


@pytest.mark.parametrize("seed", range(12))
async def test_a_turnout_tells_what_the_rules_tell_however_it_is_cut(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    random = Random(seed)
    monkeypatch.setattr(module, "ENTRIES_PER_HOP", random.choice((1, 2, 7, 1_000)))
    life = random_life(random, steps=90)
    turnouts = Turnouts(store)
    points, stored = told_by_the_rules(life), 0
    while stored < len(life.entries):
        until = min(len(life.entries), stored + random.randint(1, 60))
        state = EventState(life.event)
        for entry in life.entries[:until]:
            state.apply(entry)
        if not state.is_settled:  # no batch ends in the middle of a decision
            continue
        await store.append([Addition(state.counts, life.entries[stored:until])])
        stored = until
        found = await turnouts.up_to(life.event, until)
        assert found.head == until
        assert list(found.points) == last_at_each_time(points[:until])
        assert found.cancelled == sum(entry.kind == "cancelled" for entry in life.entries[:until])
        assert found.placed == state.orders
    assert await Turnouts(store).up_to(life.event, stored) == found


@pytest.mark.parametrize("seed", range(4))
async def test_a_thinned_turnout_leaves_out_points_and_makes_none_up(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr(module, "POINTS_MAX", 10)
    monkeypatch.setattr(module, "ENTRIES_PER_HOP", 16)
    life = random_life(Random(seed), steps=200)
    await store.append([life.addition])
    found = await Turnouts(store).up_to(life.event, len(life.entries))
    points = last_at_each_time(told_by_the_rules(life))
    assert 3 <= len(found.points) <= 10
    assert set(found.points) <= set(points)
    assert found.points[-1] == points[-1]


async def test_a_clock_that_was_put_back_leaves_the_points_in_order(store: SqliteStore) -> None:
    life = Life()
    life.open(2)
    for guest in ("Bob", "Cleo", "Dan"):
        life.now -= 1_000
        life.book(guest)
    await store.append([life.addition])
    opened_at = life.entries[0].at
    found = await Turnouts(store).up_to(life.event, 4)
    assert found.points == (Point(opened_at, 2, 2, 1),)


async def test_a_turnout_ends_where_the_event_stands(store: SqliteStore, start: Start) -> None:
    life = random_life(Random(99), steps=400)
    await store.append([life.addition])
    office = await start(BoxOffice(store))
    enquiries = Enquiries(store, office)
    for guest in ("Bob", "Cleo"):
        await office.book(life.event, guest) if life.state.schedule.booking(office.now()) == "open" else None
        counts, found = await office.counts(life.event), await enquiries.turnout(life.event)
        assert found.points[-1][1:] == (counts.capacity, counts.booked, counts.waiting)
        assert found.head == counts.head
        assert len(found.points) <= POINTS_MAX


async def test_only_what_is_new_is_read(store: SqliteStore, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    office = await start(BoxOffice(store))
    enquiries = Enquiries(store, office)
    await office.open_event("gig", tickets=5)
    asked: list[tuple[int, int]] = []
    stretches = store.stretches

    async def counted(event_id: str, after: int, until: int, *others: int) -> object:
        asked.append((after, until))
        return await stretches(event_id, after, until, *others)

    monkeypatch.setattr(store, "stretches", counted)
    for guest in ("Bob", "Cleo"):
        await enquiries.turnout("gig")
        await office.book("gig", guest)
    await enquiries.turnout("gig")
    await enquiries.turnout("gig")
    assert asked == [(0, 1), (1, 2), (2, 3)]


async def test_who_look_at_the_same_time_see_the_same(store: SqliteStore) -> None:
    life = random_life(Random(7), steps=200)
    await store.append([life.addition])
    alone = await Turnouts(store).up_to(life.event, len(life.entries))
    together = Turnouts(store)
    found = await asyncio.gather(*(together.up_to(life.event, len(life.entries)) for _ in range(5)))
    assert found == [alone] * 5
    assert alone.placed == life.state.orders


async def test_a_long_ledger_is_added_up_in_hops_between_which_others_read(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    life = random_life(Random(7), steps=400)
    await store.append([life.addition])
    entries, hop = len(life.entries), 50
    monkeypatch.setattr(module, "ENTRIES_PER_HOP", hop)
    asked: list[tuple[int, int]] = []
    stretches = store.stretches

    async def counted(event_id: str, after: int, until: int, *others: int) -> object:
        asked.append((after, until))
        return await stretches(event_id, after, until, *others)

    monkeypatch.setattr(store, "stretches", counted)
    await Turnouts(store).up_to(life.event, entries)
    assert asked == [(after, min(after + hop, entries)) for after in range(0, entries, hop)]
    assert len(asked) > 3


async def test_no_more_events_are_remembered_than_agreed(
    store: SqliteStore, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "EVENTS_MAX", 2)
    office, turnouts = await start(BoxOffice(store)), Turnouts(store)
    for number in range(4):
        await office.open_event(f"event {number}", tickets=number)
        assert (await turnouts.up_to(f"event {number}", 1)).points[-1].capacity == number
    assert list(turnouts._records) == ["event 2", "event 3"]


async def test_an_event_that_is_not_there_has_no_turnout(store: SqliteStore, start: Start) -> None:
    enquiries = Enquiries(store, await start(BoxOffice(store)))
    with pytest.raises(Refusal, match="Event not found"):
        await enquiries.turnout("gig")
