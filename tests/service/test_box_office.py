"""The box office on a real database, sentence by sentence."""

import asyncio
import itertools
import sqlite3
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.service.gated_store import GatedStore, settled
from tests.service.simulated_store import Fate, SimulatedStore
from tests.service.until import until
from webapp.announcements import Announcements
from webapp.booking import decisions
from webapp.booking.answers import Cancellation, Placement, Promotion, Refusal
from webapp.booking.decisions import PROMOTIONS_MAX, Decision
from webapp.booking.ledger import Fact, LedgerDamaged, seal
from webapp.booking.state import Counts, EventState
from webapp.box_office import BoxOffice
from webapp.committer import ENTRIES_PER_STRIDE
from webapp.desk import Settlement, Unavailable
from webapp.storage.sqlite import SqliteStore
from webapp.storage.store import Addition, OutcomeUnknown, Rejected, StoreUnreadable

Start = Callable[[BoxOffice], Awaitable[BoxOffice]]
OpenStore = Callable[[Path], Awaitable[SqliteStore]]


def guests(promoted: Iterable[Promotion]) -> list[str]:
    return [promotion.guest for promotion in promoted]


async def outcomes(asking: Sequence[Awaitable[Any]]) -> list[Any]:
    return await asyncio.gather(*asking, return_exceptions=True)


async def statuses(box_office: BoxOffice, event: str) -> tuple[int, int]:
    """How many are booked, and how many wait."""
    counts = await box_office.counts(event)
    return counts.booked, counts.waiting


async def until_dropped(box_office: BoxOffice, event: str) -> None:
    await until(lambda: not box_office.published(event))


# Booking, cancelling, resizing


async def test_a_tally_is_that_of_one_instant_and_outlives_the_state_in_memory(
    store: SqliteStore, start: Start
) -> None:
    box_office = await start(BoxOffice(store, desk_idle_s=0.0))
    await box_office.open_event("gig", tickets=1)
    for guest in ("Bob", "Cleo", "Dan"):
        await box_office.book("gig", guest)
    await box_office.cancel("gig", "Bob", "guest")
    dan = (await box_office.place("gig", "Dan")).order_id
    await until_dropped(box_office, "gig")
    assert await box_office.tally("gig") == (await box_office.counts("gig"), 3, dan)
    with pytest.raises(Refusal):
        await box_office.tally("talk")


async def test_a_rush_books_exactly_the_capacity(box_office: BoxOffice) -> None:
    await box_office.open_event("gig", tickets=3)
    orders = await asyncio.gather(*(box_office.book("gig", f"guest-{n}") for n in range(50)))
    assert Counter(order.status for order in orders) == {"booked": 3, "waiting": 47}
    assert [order.position for order in orders] == [None] * 3 + list(range(1, 48))
    assert await statuses(box_office, "gig") == (3, 47)


async def test_twenty_nine_cancellations_at_once_promote_in_waiting_order(box_office: BoxOffice) -> None:
    await box_office.open_event("gig", tickets=29)
    for number in range(60):
        await box_office.book("gig", f"guest-{number}")
    cancelled = await asyncio.gather(*(box_office.cancel("gig", f"guest-{n}", "organiser") for n in range(29)))
    assert [guests(cancellation.promoted) for cancellation in cancelled] == [[f"guest-{29 + n}"] for n in range(29)]
    assert await statuses(box_office, "gig") == (29, 2)


async def test_the_same_guest_fifty_times_at_once_has_one_order(box_office: BoxOffice) -> None:
    await box_office.open_event("gig", tickets=3)
    orders = await asyncio.gather(*(box_office.book("gig", "Bob") for _ in range(50)))
    assert len({order.order_id for order in orders}) == 1
    assert [order.is_new for order in orders] == [True] + [False] * 49
    assert await statuses(box_office, "gig") == (1, 0)


async def test_opening_again_in_the_middle_of_a_rush_changes_nothing(box_office: BoxOffice) -> None:
    await box_office.open_event("gig", tickets=3)
    found = await outcomes(
        [
            box_office.open_event("gig", tickets=50) if number == 10 else box_office.book("gig", f"guest-{number}")
            for number in range(20)
        ]
    )
    refused = found.pop(10)
    assert isinstance(refused, Refusal)
    assert refused.code == "event_exists"
    assert Counter(order.status for order in found) == {"booked": 3, "waiting": 16}
    assert (await box_office.open_event("gig", tickets=3)).is_new is False


async def test_a_raised_capacity_promotes_and_a_lowered_one_takes_nothing(box_office: BoxOffice) -> None:
    await box_office.open_event("gig", tickets=1)
    for guest in ("Bob", "Cleo", "Dan"):
        await box_office.book("gig", guest)
    assert guests((await box_office.revise("gig", tickets=2)).promoted) == ["Cleo"]
    with pytest.raises(Refusal, match="can go down to 2"):
        await box_office.revise("gig", tickets=1)
    assert await statuses(box_office, "gig") == (2, 1)


async def test_everybody_knows_his_place(box_office: BoxOffice) -> None:
    await box_office.open_event("gig", tickets=1)
    placed = [await box_office.book("gig", guest) for guest in ("Bob", "Cleo", "Dan")]
    assert [await box_office.place("gig", guest) for guest in ("Bob", "Cleo", "Dan")] == [
        Placement(order.order_id, order.status, order.position, is_new=False) for order in placed
    ]


VERBS: dict[str, Callable[[BoxOffice], Awaitable[object]]] = {
    "book": lambda box_office: box_office.book("gig", "Dan"),
    "cancel": lambda box_office: box_office.cancel("gig", "Dan", "organiser"),
    "revise": lambda box_office: box_office.revise("gig", tickets=1),
    "place": lambda box_office: box_office.place("gig", "Dan"),
    "counts": lambda box_office: box_office.counts("gig"),
}


@pytest.mark.parametrize("verb", VERBS)
async def test_what_was_never_opened_is_not_found_and_takes_no_memory(box_office: BoxOffice, verb: str) -> None:
    with pytest.raises(Refusal) as refusal:
        await VERBS[verb](box_office)
    assert refusal.value.code == "event_not_found"
    assert not list(box_office._desks)


@pytest.mark.parametrize("verb", ["cancel", "place"])
async def test_a_stranger_has_no_order(box_office: BoxOffice, verb: str) -> None:
    await box_office.open_event("gig", tickets=1)
    with pytest.raises(Refusal) as refusal:
        await VERBS[verb](box_office)
    assert refusal.value.code == "order_not_found"


async def test_events_are_listed_with_what_is_published(box_office: BoxOffice) -> None:
    for event in ("gig", "talk"):
        await box_office.open_event(event, tickets=1)
    await box_office.book("gig", "Bob")
    page = await box_office.events(10)
    assert {event.counts.event_id: event.counts.booked for event in page.events} == {"gig": 1, "talk": 0}
    assert [await box_office.event(event.counts.event_id) for event in page.events] == page.events


# Answers and commits


async def test_a_list_that_cannot_be_read_is_no_empty_list(
    box_office: BoxOffice, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(*_: object) -> Any:
        raise StoreUnreadable("the disk is gone")

    await box_office.open_event("gig", tickets=3)
    monkeypatch.setattr(store, "events", fails)
    with pytest.raises(Unavailable) as unavailable:
        await box_office.events(10)
    assert unavailable.value.code == "storage_unavailable"
    monkeypatch.undo()
    assert [event.title for event in (await box_office.events(10)).events] == ["gig"]


async def test_nothing_is_shown_or_answered_before_it_is_committed(store: SqliteStore, start: Start) -> None:
    gated = GatedStore(store)
    box_office = await start(BoxOffice(gated))
    await box_office.open_event("gig", tickets=1)
    gated.gate.clear()
    gated.is_appending.clear()
    bob, again, cleo = (asyncio.create_task(box_office.book("gig", guest)) for guest in ("Bob", "Bob", "Cleo"))
    await gated.is_appending.wait()
    place = asyncio.create_task(box_office.place("gig", "Bob"))
    for _ in range(20):
        await asyncio.sleep(0)
        assert await statuses(box_office, "gig") == (0, 0)
    assert not any(task.done() for task in (bob, again, cleo, place))
    gated.gate.set()
    first, repeated, waiting, placed = await asyncio.gather(bob, again, cleo, place)
    assert (first.is_new, repeated.is_new, waiting.position) == (True, False, 1)
    assert {order.order_id for order in (first, repeated, placed)} == {first.order_id}
    assert await statuses(box_office, "gig") == (1, 1)


async def test_counts_that_are_read_never_run_ahead_of_what_is_published(
    store: SqliteStore, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    box_office = await start(BoxOffice(store, desk_idle_s=0.0))
    await box_office.open_event("gig", tickets=3)
    await until_dropped(box_office, "gig")
    append, read = store.append, store.event
    asked, is_stored, may_be_told = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def append_and_wait(batch: Sequence[Addition]) -> None:
        await append(batch)
        is_stored.set()
        await may_be_told.wait()

    async def first_reader_is_slow(event_id: str) -> Any:
        if not asked.is_set():
            asked.set()
            await is_stored.wait()
        return await read(event_id)

    monkeypatch.setattr(store, "append", append_and_wait)
    monkeypatch.setattr(store, "event", first_reader_is_slow)
    reading = asyncio.create_task(box_office.counts("gig"))
    await asked.wait()
    booking = asyncio.create_task(box_office.book("gig", "Bob"))  # which folds the event, for it is not in memory
    found = [(await reading).booked, (await box_office.counts("gig")).booked]
    may_be_told.set()
    await booking
    assert [*found, (await box_office.counts("gig")).booked] == [0, 0, 1]


async def test_who_goes_away_keeps_his_order(store: SqliteStore, start: Start) -> None:
    gated = GatedStore(store)
    box_office = await start(BoxOffice(gated))
    await box_office.open_event("gig", tickets=1)
    gated.gate.clear()
    gated.is_appending.clear()
    bob = asyncio.create_task(box_office.book("gig", "Bob"))
    await gated.is_appending.wait()
    bob.cancel()
    await asyncio.wait([bob])
    gated.gate.set()
    assert (await box_office.book("gig", "Cleo")).status == "waiting"
    assert (await box_office.place("gig", "Bob")).status == "booked"


async def test_many_commands_at_many_events_share_one_transaction(store: SqliteStore, start: Start) -> None:
    gated = GatedStore(store)
    box_office = await start(BoxOffice(gated))
    await asyncio.gather(*(box_office.open_event(event, tickets=1) for event in ("gig", "talk")))
    gated.gate.clear()
    gated.is_appending.clear()
    first = asyncio.create_task(box_office.book("gig", "Bob"))
    await gated.is_appending.wait()
    gated.batches.clear()
    rush = [
        asyncio.create_task(box_office.book(event, f"guest-{number}"))
        for number in range(100)
        for event in ("gig", "talk")
    ]
    await asyncio.sleep(0)  # all of them are pending now
    gated.gate.set()
    await asyncio.gather(first, *rush)
    assert [len(addition.entries) for batch in gated.batches for addition in batch] == [100, 100]
    assert len(gated.batches) == 1


# Failures


async def test_a_full_disk_refuses_changes_while_reads_go_on_and_heals(
    box_office: BoxOffice, store: SqliteStore
) -> None:
    await box_office.open_event("gig", tickets=1)
    order = await box_office.book("gig", "Bob")
    await store._writer.execute_fetchall("PRAGMA max_page_count = 1")
    found = await outcomes([box_office.book("gig", f"guest-{number:0200}") for number in range(1_000)])
    assert {outcome.code for outcome in found if isinstance(outcome, Unavailable)} == {"storage_unavailable"}
    assert len(found) == 1_000
    assert await statuses(box_office, "gig") == (1, 0)
    assert (await box_office.place("gig", "Bob")).order_id == order.order_id
    await store._writer.execute_fetchall("PRAGMA max_page_count = 1000000")
    assert (await box_office.book("gig", "Cleo")).position == 1
    assert box_office.is_open


async def test_a_file_replaced_under_the_server_ends_it(store: SqliteStore, database: Path, start: Start) -> None:
    ends: list[str] = []
    box_office = await start(BoxOffice(store, on_fatal=lambda: ends.append("the end")))
    await box_office.open_event("gig", tickets=1)
    database.unlink()
    with pytest.raises(Unavailable) as unknown:
        await box_office.book("gig", "Bob")
    assert unknown.value.code == "outcome_unknown"
    with pytest.raises(Unavailable) as closed:
        await box_office.book("gig", "Bob")
    assert closed.value.code == "shutting_down"
    assert (ends, box_office.is_open) == (["the end"], False)
    await box_office.stop()
    assert ends == ["the end"]


async def test_of_a_batch_that_is_tried_event_by_event_nothing_follows_an_unknown_outcome(start: Start) -> None:
    store = SimulatedStore(Random(1))
    box_office = await start(BoxOffice(store))
    for event in ("gig", "talk"):
        await box_office.open_event(event, tickets=1)
    store.fates = {3: Fate(Rejected("one of them is wrong"), is_stored=False), 4: Fate(OutcomeUnknown("no answer"))}
    found = await outcomes([box_office.book(event, "Bob") for event in ("gig", "talk")])
    assert [getattr(outcome, "code", "") for outcome in found] == ["outcome_unknown", "storage_unavailable"]
    assert store.appends == 4
    assert [len(ledger) for ledger in store.ledgers.values()] == [2, 1]


async def test_a_dead_committer_ends_the_server(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch, start: Start
) -> None:
    ended = asyncio.Event()
    box_office = await start(BoxOffice(store, on_fatal=ended.set))
    await box_office.open_event("gig", tickets=1)
    monkeypatch.setattr(box_office._committer, "_decide", lambda *_: 1 / 0)
    lost = asyncio.create_task(box_office.book("gig", "Bob"))
    assert box_office._committing
    await asyncio.wait([box_office._committing])
    await settled()
    assert ended.is_set()
    assert not box_office.is_open
    with pytest.raises(Unavailable, match="restart"):
        await lost


async def test_a_batch_that_a_bug_interrupts_is_answered_at_once(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch, start: Start
) -> None:
    ended = asyncio.Event()
    box_office = await start(BoxOffice(store, on_fatal=ended.set))
    await box_office.open_event("gig", tickets=1)
    monkeypatch.setattr(Settlement, "publish", lambda _: 1 / 0)
    with pytest.raises(Unavailable, match="not known; please look again") as unknown:
        await box_office.book("gig", "Bob")
    assert unknown.value.code == "outcome_unknown"
    await ended.wait()
    monkeypatch.undo()
    again = await start(BoxOffice(store))
    assert (await again.place("gig", "Bob")).status == "booked"


async def test_a_rule_that_fails_hurts_only_its_event(box_office: BoxOffice, monkeypatch: pytest.MonkeyPatch) -> None:
    for event in ("gig", "talk"):
        await box_office.open_event(event, tickets=1)

    def forgets_to_promote(
        state: EventState, now: int, guest: str, reason: str | None, order_id: str | None
    ) -> Decision[Cancellation]:
        return Decision([Fact("cancelled", state.live[guest], guest)], Cancellation("", ()))

    monkeypatch.setattr(decisions, "cancel", forgets_to_promote)
    await asyncio.gather(*(box_office.book(event, guest) for event in ("gig", "talk") for guest in ("Bob", "Cleo")))
    bug, *others = await outcomes(
        [box_office.cancel("gig", "Bob", "organiser"), box_office.book("talk", "Dan"), box_office.book("talk", "Eve")]
    )
    assert isinstance(bug, AssertionError)
    assert [order.position for order in others] == [2, 3]
    assert (await box_office.place("gig", "Bob")).status == "booked"
    assert (await box_office.book("gig", "Dan")).position == 2


async def test_an_answer_tells_the_time_that_is_recorded(store: SqliteStore, start: Start) -> None:
    ticking = itertools.count(10**15)
    box_office = await start(BoxOffice(store, clock=lambda: next(ticking)))
    await box_office.open_event("gig", tickets=1)
    bob = await box_office.book("gig", "Bob")
    arrival = await box_office.check_in("gig", "Bob", bob.order_id, "east")
    assert arrival.receipt
    assert arrival.at == arrival.receipt.at
    assert (await box_office.places("gig", ["Bob"])).arrivals["Bob"] == (arrival.at, "east")


# Bounds


async def test_too_many_pending_commands_are_refused_at_once(store: SqliteStore, start: Start) -> None:
    gated = GatedStore(store)
    box_office = await start(BoxOffice(gated, pending_max=20))
    await asyncio.gather(*(box_office.open_event(event, tickets=5) for event in ("gig", "talk")))
    first = await gated.hold(lambda: box_office.book("gig", "first"))
    rush = [asyncio.create_task(box_office.book("gig", f"guest-{number}")) for number in range(100)]
    refused, _ = await asyncio.wait(rush, return_when=asyncio.FIRST_COMPLETED)
    at_another = asyncio.create_task(box_office.book("talk", "Bob"))  # a crowd at one event leaves room for another
    await asyncio.sleep(0)
    gated.gate.set()
    assert len(refused) == 90
    problems = [task.exception() for task in refused]
    assert {getattr(problem, "code", "") for problem in problems} == {"overloaded"}
    assert min(getattr(problem, "retry_after_s", 0) for problem in problems) > 0
    assert (await at_another).status == "booked"
    await asyncio.wait([first, *rush])
    assert await statuses(box_office, "gig") == (5, 6)
    assert (await box_office.book("gig", "late")).is_new


async def test_all_events_together_are_bounded(store: SqliteStore, start: Start) -> None:
    gated = GatedStore(store)
    box_office = await start(BoxOffice(gated, pending_max=20))
    events = ["gig", *(f"event-{number}" for number in range(10))]
    await asyncio.gather(*(box_office.open_event(event, tickets=5) for event in events))
    first = await gated.hold(lambda: box_office.book("gig", "first"))
    rush = [asyncio.create_task(box_office.book(event, f"guest-{n}")) for n in range(9) for event in events]
    refused, _ = await asyncio.wait(rush, return_when=asyncio.FIRST_COMPLETED)
    assert (len(refused), box_office.pending) == (len(rush) - 20, 20)
    gated.gate.set()
    await asyncio.wait([first, *rush])
    assert box_office.pending == 0
    assert (await box_office.book("gig", "late")).is_new


async def test_promoting_many_lets_the_loop_run_meanwhile(start: Start) -> None:
    waiting = PROMOTIONS_MAX
    store = SimulatedStore(Random(1), pauses_max=0, entries_per_chunk=1_000)
    state = EventState("gig")
    entries = [state.record(Fact("opened", detail="0"), 0, "organiser")]
    for number in range(waiting):
        decision = decisions.book(state, 0, f"guest-{number}", f"order-{number}", b"")
        entries += [state.record(fact, 0, "guest") for fact in decision.facts]
    await store.append([Addition(state.counts, entries)])
    box_office = await start(BoxOffice(store))
    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while store.appends < 2:
            await asyncio.sleep(0)
            turns += 1

    counting = asyncio.create_task(count_turns())
    assert len((await box_office.revise("gig", tickets=waiting)).promoted) == waiting
    await counting
    assert turns >= waiting / ENTRIES_PER_STRIDE


async def test_folding_a_long_ledger_lets_the_loop_run_meanwhile(start: Start) -> None:
    store = SimulatedStore(Random(1), pauses_max=0, entries_per_chunk=10)
    state = EventState("gig")
    entries = [state.record(Fact("opened", detail="0"), 0, "organiser")]
    entries += [state.record(Fact("resized", detail=str(number)), 0, "organiser") for number in range(999)]
    box_office = await start(BoxOffice(store))
    await store.append([Addition(state.counts, entries)])
    folding, turns = asyncio.create_task(box_office.place("gig", "Bob")), 0
    while not folding.done():
        await asyncio.sleep(0)
        turns += 1
    assert isinstance(folding.exception(), Refusal)
    assert turns >= 100


async def test_a_hot_event_delays_another_by_one_batch_at_most(store: SqliteStore, start: Start) -> None:
    gated = GatedStore(store)
    box_office = await start(BoxOffice(gated))
    await asyncio.gather(*(box_office.open_event(event, tickets=5) for event in ("gig", "talk")))
    first = await gated.hold(lambda: box_office.book("gig", "first"))
    rush = [asyncio.create_task(box_office.book("gig", f"guest-{number}")) for number in range(3_000)]
    await asyncio.sleep(0)
    at_another = asyncio.create_task(box_office.book("talk", "Bob"))
    await asyncio.sleep(0)
    gated.batches.clear()
    gated.gate.set()
    assert (await at_another).status == "booked"
    assert [{addition.counts.event_id for addition in batch} for batch in gated.batches][:2] == [
        {"gig"},
        {"gig", "talk"},
    ]
    await asyncio.wait([first, *rush])


# Memory


async def test_an_idle_desk_is_dropped_and_folded_again(store: SqliteStore, start: Start) -> None:
    box_office = await start(BoxOffice(store, desk_idle_s=0.0))
    await box_office.open_event("gig", tickets=1)
    order = await box_office.book("gig", "Bob")
    await until_dropped(box_office, "gig")
    assert await statuses(box_office, "gig") == (1, 0)
    assert (await box_office.place("gig", "Bob")).order_id == order.order_id
    assert (await box_office.book("gig", "Cleo")).position == 1


async def test_a_desk_that_is_used_stays(store: SqliteStore, start: Start) -> None:
    box_office = await start(BoxOffice(store, desk_idle_s=1e9))
    await box_office.open_event("gig", tickets=1)
    box_office._desks.drop_idle_ones()
    assert box_office.published("gig")


async def test_no_more_desks_are_kept_than_may_be(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch, start: Start
) -> None:
    monkeypatch.setattr("webapp.desks.DESKS_MAX", 10)
    box_office = await start(BoxOffice(store))
    for number in range(30):
        await box_office.open_event(f"event-{number}", tickets=1)
    assert len(list(box_office._desks)) <= 11
    assert box_office.published("event-29")
    assert not box_office.published("event-0")
    assert (await box_office.book("event-0", "Bob")).status == "booked"


# Life


async def test_a_restart_gives_the_same_counts_places_and_ledger(
    database: Path, start: Start, open_store: OpenStore
) -> None:
    seen = list[tuple[Counts, list[Placement]]]()
    for _ in range(2):
        store = await open_store(database)
        box_office = await start(BoxOffice(store))
        if not seen:
            await box_office.open_event("gig", tickets=1)
            for guest in ("Bob", "Cleo", "Dan"):
                await box_office.book("gig", guest)
        places = [await box_office.place("gig", guest) for guest in ("Bob", "Cleo", "Dan")]
        seen.append((await box_office.counts("gig"), places))
        await box_office.stop()
        await store.close()
    assert seen[0] == seen[1]


async def test_all_ledgers_are_folded_at_the_start_however_many_there_are(store: SqliteStore, start: Start) -> None:
    events = [f"event-{number}" for number in range(250)]
    box_office = await start(BoxOffice(store))
    await asyncio.gather(*(box_office.open_event(event, tickets=1) for event in events))
    again = await start(BoxOffice(store))
    assert [event for event in events if not again.published(event)] == []


async def test_winding_down_settles_what_still_comes(box_office: BoxOffice) -> None:
    await box_office.open_event("gig", tickets=1)
    assert box_office.is_open
    box_office.wind_down()
    assert not box_office.is_open
    assert (await box_office.book("gig", "Bob")).status == "booked"


async def test_orders_are_named_by_time_and_chance(store: SqliteStore, start: Start) -> None:
    box_office = await start(
        BoxOffice(store, clock=lambda: 0x12_3456_789A_BCDE, randomness=lambda size: b"\xab" * size)
    )
    await box_office.open_event("gig", tickets=1)
    assert (await box_office.book("gig", "Bob")).order_id == "23456789ab" + "ab" * 5


async def test_stopping_settles_what_is_pending(store: SqliteStore, start: Start) -> None:
    gated = GatedStore(store)
    box_office = await start(BoxOffice(gated))
    await box_office.open_event("gig", tickets=1)
    gated.gate.clear()
    orders = [asyncio.create_task(box_office.book("gig", f"guest-{number}")) for number in range(10)]
    await asyncio.sleep(0)
    stopping = asyncio.create_task(box_office.stop())
    await asyncio.sleep(0)
    assert not box_office.is_open
    with pytest.raises(Unavailable) as refused:
        await box_office.book("gig", "late")
    assert refused.value.code == "shutting_down"
    gated.gate.set()
    assert [order.is_new for order in await asyncio.gather(*orders)] == [True] * 10
    await stopping
    assert box_office.pending == 0


async def test_who_asks_for_a_place_while_the_server_stops_is_answered(store: SqliteStore, start: Start) -> None:
    box_office = await start(BoxOffice(store, desk_idle_s=0.0))
    await box_office.open_event("gig", tickets=1)
    await until_dropped(box_office, "gig")
    asking = [asyncio.create_task(box_office.place("gig", "Bob")) for _ in range(3)]
    await asyncio.sleep(0)
    await box_office.stop()
    found = await outcomes(asking)
    assert {getattr(outcome, "code", "") for outcome in found} <= {"shutting_down", "order_not_found"}


async def test_no_task_is_left_behind(store: SqliteStore, start: Start) -> None:
    before = asyncio.all_tasks()
    box_office = await start(BoxOffice(store))
    await box_office.open_event("gig", tickets=1)
    await box_office.stop()
    assert asyncio.all_tasks() == before


# Damage

DAMAGE = {
    "another time": ("UPDATE ledger SET at = at + 1 WHERE seq = 3", 3),
    "another kind": ("UPDATE ledger SET kind = 'booked' WHERE seq = 3", 3),
    "another actor": ("UPDATE ledger SET actor = 'organiser' WHERE seq = 3", 3),
    "a reason": ("UPDATE ledger SET reason = 'none' WHERE seq = 3", 3),
    "another commitment": ("UPDATE ledger SET detail = NULL WHERE seq = 3", 3),
    "another hash": ("UPDATE ledger SET hash = zeroblob(32) WHERE seq = 3", 3),
    "an order for another": (
        "UPDATE ledger SET order_id = (SELECT order_id FROM ledger WHERE seq = 2) WHERE seq = 3",
        3,
    ),
    "an entry less": ("DELETE FROM ledger WHERE seq = 3", 4),
    "the last entry less": ("DELETE FROM ledger WHERE seq = 5", 4),
    "no entry at all": ("DELETE FROM ledger", 0),
    "a guest in place of another": ("UPDATE orders SET user_id = 'Finn' WHERE user_id = 'Cleo'", 3),
    "an order that lost its row": ("DELETE FROM orders WHERE user_id = 'Cleo'", 3),
    "a promotion by hand": ("UPDATE orders SET status = 'booked' WHERE user_id = 'Dan'", 5),
    "a cancellation by hand": ("UPDATE orders SET status = 'cancelled' WHERE user_id = 'Dan'", 5),
    "an order from nowhere": (
        "INSERT INTO orders VALUES ('new', 'gig', 'Finn', 'waiting', NULL, 0, 9, NULL, NULL, NULL, NULL, NULL, NULL)",
        5,
    ),
    "other counts": ("UPDATE events SET waiting = 2", 5),
    "another last hash": ("UPDATE events SET head_hash = zeroblob(32)", 5),
}


async def busy(box_office: BoxOffice, event: str = "gig") -> None:
    """Five entries: it opens, Bob books, and Cleo, Dan and Eve wait."""
    await box_office.open_event(event, tickets=1)
    for guest in ("Bob", "Cleo", "Dan", "Eve"):
        await box_office.book(event, guest)


def tamper(database: Path, *statements: str | tuple[str, bytes, int]) -> None:
    """Carry out statements, some with what is bound in them, past the triggers."""
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        for (trigger,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {trigger}")
        for statement in statements:
            connection.execute(*((statement,) if isinstance(statement, str) else (statement[0], statement[1:])))


@pytest.mark.parametrize("damage", DAMAGE)
async def test_nothing_is_served_from_a_damaged_ledger(
    database: Path, damage: str, start: Start, open_store: OpenStore
) -> None:
    store = await open_store(database)
    box_office = await start(BoxOffice(store))
    await busy(box_office)
    await box_office.stop()
    await store.close()
    statement, entry = DAMAGE[damage]
    tamper(database, statement)
    store = await open_store(database)
    box_office = BoxOffice(store)
    with pytest.raises(LedgerDamaged, match=f"event 'gig' is damaged at entry {entry}: ") as refusal:
        await box_office.start()
    assert (refusal.value.event_id, refusal.value.seq) == ("gig", entry)
    assert not box_office.is_open
    await box_office.stop()


async def test_a_chain_forged_from_some_entry_on_does_not_end_where_it_should(
    database: Path, start: Start, open_store: OpenStore
) -> None:
    store = await open_store(database)
    box_office = await start(BoxOffice(store))
    await busy(box_office)
    await box_office.stop()
    entries = [entry async for chunk in store.entries("gig") for entry in chunk]
    await store.close()
    statements, previous = list[tuple[str, bytes, int]](), entries[1].hash
    for entry in entries[2:]:
        forged = entry._replace(at=0)
        previous = seal(previous, "gig", forged[:7])
        statements.append(("UPDATE ledger SET at = 0, hash = ? WHERE seq = ?", previous, entry.seq))
    tamper(database, *statements)
    store = await open_store(database)
    with pytest.raises(LedgerDamaged, match="at entry 5: the events table says"):
        await BoxOffice(store).start()


async def test_an_event_whose_ledger_is_damaged_meanwhile_is_refused_and_no_other(
    store: SqliteStore, database: Path, start: Start
) -> None:
    box_office = await start(BoxOffice(store, desk_idle_s=0.0))
    await busy(box_office)
    await box_office.open_event("talk", tickets=1)
    await until_dropped(box_office, "gig")
    tamper(database, "UPDATE ledger SET at = 0 WHERE event_id = 'gig' AND seq = 3")
    for verb in ("book", "cancel", "revise", "place"):
        with pytest.raises(Unavailable) as refused:
            await VERBS[verb](box_office)
        assert refused.value.code == "ledger_damaged"
    assert (await box_office.book("talk", "Bob")).status == "booked"


async def test_an_event_that_cannot_be_read_is_refused_until_it_can(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch, start: Start
) -> None:
    box_office = await start(BoxOffice(store, desk_idle_s=0.0))
    await busy(box_office)
    await until_dropped(box_office, "gig")

    def unreadable(event_id: str, after: int = 0) -> Any:
        raise StoreUnreadable("the disk is gone")

    with monkeypatch.context() as patch:
        patch.setattr(store, "entries", unreadable)
        for verb in ("book", "cancel", "revise", "place"):
            with pytest.raises(Unavailable) as refused:
                await VERBS[verb](box_office)
            assert refused.value.code == "storage_unavailable"
    assert (await box_office.place("gig", "Dan")).position == 2


# Announcements


async def test_a_subscriber_hears_of_what_is_committed(box_office: BoxOffice) -> None:
    news = box_office.announcements
    hearing = asyncio.create_task(news.newer_than(news.version))
    await box_office.open_event("gig", tickets=1)
    await ended_soon(hearing)
    assert news.since(0) == [await box_office.counts("gig")]


async def test_the_latest_counts_win_and_the_latest_change_comes_last(box_office: BoxOffice) -> None:
    await busy(box_office, "gig")
    await busy(box_office, "talk")
    version = box_office.announcements.version
    assert guests((await box_office.cancel("gig", "Bob", "organiser")).promoted) == ["Cleo"]
    heard = box_office.announcements.since(0)
    assert heard == [await box_office.counts("talk"), await box_office.counts("gig")]
    assert box_office.announcements.since(version) == heard[1:]
    assert box_office.announcements.since(box_office.announcements.version) == []


async def test_what_changed_nothing_is_not_announced(box_office: BoxOffice) -> None:
    await busy(box_office)
    version = box_office.announcements.version
    await box_office.book("gig", "Bob")
    with pytest.raises(Refusal):
        await box_office.cancel("gig", "Finn", "organiser")
    assert box_office.announcements.version == version


async def test_who_missed_a_change_need_not_wait() -> None:
    news = Announcements()
    news.announce([counts("gig", 1)])
    await ended_soon(asyncio.create_task(news.newer_than(0)))
    assert news.since(0) == [counts("gig", 1)]


async def test_all_subscribers_are_woken_and_one_who_left_disturbs_nobody() -> None:
    news = Announcements()
    hearing = [asyncio.create_task(news.newer_than(0)) for _ in range(10)]
    await asyncio.sleep(0)
    hearing[0].cancel()
    await asyncio.wait(hearing[:1])
    assert not any(task.done() for task in hearing[1:])
    news.announce([counts("gig", 1)])
    await ended_soon(*hearing[1:])


async def test_announcements_are_bounded() -> None:
    news = Announcements(events_max=3)
    for number in range(10):
        news.announce([counts(f"event-{number}", 1)])
    assert [found.event_id for found in news.since(0)] == ["event-7", "event-8", "event-9"]


async def test_an_event_appears_once_however_often_it_changes() -> None:
    news = Announcements(events_max=3)
    news.announce([counts("gig", 1), counts("talk", 1)], {"gig"})
    assert news.appeared_since(0) == {"gig"}
    news.announce([counts("gig", 2)])
    assert news.appeared_since(0) == {"gig"}
    assert news.appeared_since(2) == set()
    news.announce([counts(f"event-{number}", 1) for number in range(3)])  # after which the gig is forgotten
    news.announce([counts("gig", 3)])
    assert news.appeared_since(0) == set()


async def test_stopping_ends_every_subscription(store: SqliteStore, start: Start) -> None:
    box_office = await start(BoxOffice(store))
    hearing = asyncio.create_task(box_office.announcements.newer_than(0))
    await asyncio.sleep(0)
    await box_office.stop()
    await ended_soon(hearing)
    assert box_office.announcements.closed


async def ended_soon(*tasks: asyncio.Task[None]) -> None:
    for _ in range(5):
        await asyncio.sleep(0)
    assert all(task.done() for task in tasks)


def counts(event: str, head: int) -> Counts:
    return Counts(event, 1, 0, 0, head, bytes(32))
