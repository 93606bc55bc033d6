"""Wishes under a key, on a real database: one effect and one answer, however often they are sent."""

import asyncio
import json
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any, NoReturn

import pytest

from tests.service.gated_store import GatedStore, settled
from webapp.booking.answers import Placement, Refusal, Revision
from webapp.booking.details import Details
from webapp.box_office import BoxOffice
from webapp.desk import AnsweredBefore, Once, Unavailable
from webapp.storage.sqlite import SqliteStore
from webapp.storage.store import ANSWERS_KEPT_US, StoreUnreadable

Start = Callable[[BoxOffice], Awaitable[BoxOffice]]
OpenStore = Callable[[Path], Awaitable[SqliteStore]]


def once(key: str = "a key", request: object = "a wish") -> Once:
    """What keeps the order's id, or the capacity, and the receipt's number."""

    def told(answer: Any) -> str:
        said = answer.counts.capacity if isinstance(answer, Revision) else answer.order_id
        return json.dumps([said, answer.receipt and answer.receipt.entry])

    return Once(sha256(key.encode()).digest(), sha256(repr(request).encode()).digest(), told)


async def outcomes(asking: Sequence[Awaitable[Any]]) -> list[Any]:
    return await asyncio.gather(*asking, return_exceptions=True)


async def answered_before(asking: Awaitable[Any]) -> Any:
    with pytest.raises(AnsweredBefore) as before:
        await asking
    return json.loads(before.value.text)


async def refused(asking: Awaitable[Any]) -> str:
    with pytest.raises(Refusal) as refusal:
        await asking
    return refusal.value.code


def rows(database: Path, statement: str) -> list[Any]:
    with closing(sqlite3.connect(database)) as connection:
        return connection.execute(statement).fetchall()


async def test_who_asks_again_is_told_what_he_was_told(box_office: BoxOffice) -> None:
    await box_office.open_event("gig", tickets=1)
    order = await box_office.book("gig", "Bob", once=once())
    assert order.is_new
    assert await answered_before(box_office.book("gig", "Bob", once=once())) == [order.order_id, 2]
    assert (await box_office.counts("gig")).head == 2


async def test_he_is_told_so_even_after_everything_has_changed(box_office: BoxOffice) -> None:
    await box_office.open_event("gig", tickets=1)
    order = await box_office.book("gig", "Bob", once=once())
    await box_office.cancel("gig", "Bob", "guest")
    await box_office.book("gig", "Cleo")
    assert await answered_before(box_office.book("gig", "Bob", once=once())) == [order.order_id, 2]
    assert await refused(box_office.place("gig", "Bob")) == "order_not_found"


async def test_the_same_wish_twice_in_one_batch_has_one_effect(store: SqliteStore, start: Start) -> None:
    gated = GatedStore(store)
    box_office = await start(BoxOffice(gated))
    await box_office.open_event("gig", tickets=5)
    first = await gated.hold(lambda: box_office.book("gig", "first"))
    twice = [asyncio.create_task(box_office.book("gig", "Bob", once=once())) for _ in range(2)]
    await settled()
    gated.batches.clear()
    gated.gate.set()
    order, again = await outcomes(twice)
    assert [len(batch) for batch in gated.batches] == [1]
    assert order.is_new
    assert isinstance(again, AnsweredBefore)
    assert json.loads(again.text)[0] == order.order_id
    await first


async def test_nobody_hears_of_an_answer_before_it_is_kept(store: SqliteStore, start: Start) -> None:
    gated = GatedStore(store)
    box_office = await start(BoxOffice(gated))
    await box_office.open_event("gig", tickets=5)
    first = await gated.hold(lambda: box_office.book("gig", "Bob", once=once()))
    again = asyncio.create_task(box_office.book("gig", "Bob", once=once()))
    await settled()
    assert not first.done()
    assert not again.done()
    gated.gate.set()
    assert (await first).is_new
    await answered_before(again)


async def test_another_wish_under_the_same_key_is_refused(box_office: BoxOffice) -> None:
    await box_office.open_event("gig", tickets=5)
    await box_office.book("gig", "Bob", once=once(request="Bob"))
    assert await refused(box_office.book("gig", "Cleo", once=once(request="Cleo"))) == "idempotency_key_reused"
    assert (await box_office.counts("gig")).booked == 1


async def test_another_key_is_another_wish(box_office: BoxOffice) -> None:
    await box_office.open_event("gig", tickets=5)
    order = await box_office.book("gig", "Bob", once=once("one key"))
    again = await box_office.book("gig", "Bob", once=once("another key"))
    assert (again.order_id, again.is_new) == (order.order_id, False)


async def test_a_key_is_known_at_every_event(box_office: BoxOffice) -> None:
    for event in ("gig", "talk"):
        await box_office.open_event(event, tickets=5)
    await box_office.book("gig", "Bob", once=once(request="gig"))
    assert await refused(box_office.book("talk", "Bob", once=once(request="talk"))) == "idempotency_key_reused"


async def test_of_one_key_at_two_events_in_one_batch_one_is_stored(store: SqliteStore, start: Start) -> None:
    gated = GatedStore(store)
    box_office = await start(BoxOffice(gated))
    for event in ("gig", "talk", "other"):
        await box_office.open_event(event, tickets=5)
    first = await gated.hold(lambda: box_office.book("other", "first"))
    both = [asyncio.create_task(box_office.book(event, "Bob", once=once(request=event))) for event in ("gig", "talk")]
    bystander = asyncio.create_task(box_office.book("other", "Cleo"))
    await settled()
    gated.batches.clear()
    gated.gate.set()
    order, other = await outcomes(both)
    assert len(gated.batches[0]) == 3, "they were not in one batch"
    assert order.is_new
    assert other.code == "storage_unavailable"
    assert (await box_office.counts("talk")).booked == 0
    assert await refused(box_office.book("talk", "Bob", once=once(request="talk"))) == "idempotency_key_reused"
    assert (await bystander).is_new
    await first


async def test_what_changes_nothing_is_answered_once_too(box_office: BoxOffice, database: Path) -> None:
    await box_office.open_event("gig", tickets=1)
    order = await box_office.book("gig", "Bob")
    again = await box_office.book("gig", "Bob", once=once())
    assert (again.is_new, again.receipt) == (False, None)
    await box_office.cancel("gig", "Bob", "guest")
    assert await answered_before(box_office.book("gig", "Bob", once=once())) == [order.order_id, None]
    assert len(rows(database, "SELECT key FROM kept_answers")) == 1


async def test_a_refusal_is_not_kept(box_office: BoxOffice) -> None:
    assert await refused(box_office.book("gig", "Bob", once=once())) == "event_not_found"
    await box_office.open_event("gig", tickets=1)
    assert (await box_office.book("gig", "Bob", once=once())).is_new


async def test_a_commit_that_fails_keeps_nothing(box_office: BoxOffice, store: SqliteStore, database: Path) -> None:
    await box_office.open_event("gig", tickets=1)
    await store._writer.execute_fetchall("PRAGMA max_page_count = 1")
    crowd = [box_office.book("gig", f"guest-{n:0200}", once=once(f"key-{n}")) for n in range(1_000)]
    found = await outcomes(crowd)
    assert {getattr(outcome, "code", "") for outcome in found} == {"storage_unavailable"}
    assert rows(database, "SELECT key FROM kept_answers") == []
    await store._writer.execute_fetchall("PRAGMA max_page_count = 1000000")
    assert (await box_office.book("gig", f"guest-{0:0200}", once=once("key-0"))).is_new


async def test_a_restart_forgets_no_answer(database: Path, start: Start, open_store: OpenStore) -> None:
    store = await open_store(database)
    box_office = await start(BoxOffice(store))
    await box_office.open_event("gig", tickets=1)
    order = await box_office.book("gig", "Bob", once=once())
    await box_office.stop()
    await store.close()
    again = await start(BoxOffice(await open_store(database)))
    assert await answered_before(again.book("gig", "Bob", once=once())) == [order.order_id, 2]
    assert await refused(again.book("gig", "Cleo", once=once(request="Cleo"))) == "idempotency_key_reused"


async def test_an_answer_is_kept_for_a_day(store: SqliteStore, start: Start) -> None:
    now = 10**15
    box_office = await start(BoxOffice(store, clock=lambda: now))
    await box_office.open_event("gig", tickets=2)
    order = await box_office.book("gig", "Bob", once=once(request="Bob"))
    now += ANSWERS_KEPT_US - 1
    assert await answered_before(box_office.book("gig", "Bob", once=once(request="Bob"))) == [order.order_id, 2]
    now += 1
    assert (await box_office.book("gig", "Cleo", once=once(request="Cleo"))).is_new
    assert await refused(box_office.book("gig", "Bob", once=once(request="Bob"))) == "idempotency_key_reused"


async def test_a_clock_that_is_put_back_forgets_no_answer(store: SqliteStore, start: Start) -> None:
    now = 10**15
    box_office = await start(BoxOffice(store, clock=lambda: now))
    await box_office.open_event("gig", tickets=2)
    await box_office.book("gig", "Bob", once=once())
    now = 0
    await answered_before(box_office.book("gig", "Bob", once=once()))


async def test_old_answers_do_not_pile_up(store: SqliteStore, start: Start, database: Path) -> None:
    now = 10**15
    box_office = await start(BoxOffice(store, clock=lambda: now))
    await box_office.open_event("gig", tickets=2)
    await outcomes([box_office.book("gig", "Bob", once=once(f"key-{n}")) for n in range(300)])
    now += ANSWERS_KEPT_US
    for number in range(30):
        await box_office.book("gig", "Bob", once=once(f"late-{number}"))
    kept = rows(database, "SELECT at FROM kept_answers")
    assert kept == [(now,)] * 30


async def test_one_look_serves_a_rush(store: SqliteStore, start: Start) -> None:
    gated = GatedStore(store)
    box_office = await start(BoxOffice(gated))
    await box_office.open_event("gig", tickets=5)
    first = await gated.hold(lambda: box_office.book("gig", "first"))
    rush = [asyncio.create_task(box_office.book("gig", f"guest-{n}", once=once(f"key-{n}"))) for n in range(400)]
    await settled()
    gated.gate.set()
    assert all(order.is_new for order in await asyncio.gather(first, *rush))
    assert gated.looks == [400]


async def test_who_has_no_key_costs_no_look(store: SqliteStore, start: Start) -> None:
    gated = GatedStore(store)
    box_office = await start(BoxOffice(gated))
    await box_office.open_event("gig", tickets=5)
    await box_office.book("gig", "Bob")
    assert gated.looks == []


async def test_where_the_past_cannot_be_read_nothing_is_changed(
    box_office: BoxOffice, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await box_office.open_event("gig", tickets=5)

    async def unreadable(*_: object) -> Any:
        raise StoreUnreadable("the disk is gone")

    with monkeypatch.context() as patch:
        patch.setattr(store, "kept", unreadable)
        with pytest.raises(Unavailable) as unavailable:
            await box_office.book("gig", "Bob", once=once())
        assert unavailable.value.code == "storage_unavailable"
        assert (await box_office.book("gig", "Cleo")).is_new
    assert (await box_office.book("gig", "Bob", once=once())).is_new


async def test_a_text_that_cannot_be_made_keeps_nothing_and_changes_nothing(box_office: BoxOffice) -> None:
    await box_office.open_event("gig", tickets=5)

    def speechless(_: object) -> str:
        raise RuntimeError("no words")

    with pytest.raises(RuntimeError, match="no words"):
        await box_office.book("gig", "Bob", once=Once(bytes(32), bytes(32), speechless))
    assert (await box_office.counts("gig")).booked == 0
    assert (await box_office.book("gig", "Bob", once=once())).is_new


def buggy_words(_: object) -> NoReturn:
    raise ZeroDivisionError


async def test_a_bug_keeps_nothing_of_its_batch(store: SqliteStore, start: Start, database: Path) -> None:
    gated = GatedStore(store)
    box_office = await start(BoxOffice(gated))
    await box_office.open_event("gig", tickets=5)
    first = await gated.hold(lambda: box_office.book("gig", "first"))
    bob = asyncio.create_task(box_office.book("gig", "Bob", once=once()))
    buggy = asyncio.create_task(box_office.book("gig", "Cleo", once=Once(bytes(32), bytes(32), buggy_words)))
    await settled()
    gated.gate.set()
    await first
    assert [type(outcome) for outcome in await outcomes([bob, buggy])] == [ZeroDivisionError] * 2
    assert rows(database, "SELECT key FROM kept_answers") == []
    assert (await box_office.book("gig", "Bob", once=once())).is_new


async def test_an_event_is_created_once(box_office: BoxOffice) -> None:
    gig = Details(title="The gig")
    created = await box_office.create_event("gig", 5, gig, once=once())
    assert created.receipt
    assert await answered_before(box_office.create_event("gig", 5, gig, once=once())) == [5, 1]
    assert await refused(box_office.create_event("gig", 5, gig)) == "event_exists"
    assert await refused(box_office.create_event("talk", 5, gig, once=once(request="talk"))) == "idempotency_key_reused"


async def test_an_event_is_created_once_even_if_it_was_deleted_meanwhile(box_office: BoxOffice) -> None:
    await box_office.create_event("gig", 5, Details(), once=once())
    await box_office.delete_event("gig")
    assert await answered_before(box_office.create_event("gig", 5, Details(), once=once())) == [5, 1]
    assert await refused(box_office.counts("gig")) == "event_not_found"


async def test_cancelling_and_letting_in_happen_once(box_office: BoxOffice) -> None:
    await box_office.open_event("gig", tickets=1)
    order: Placement = await box_office.book("gig", "Bob")
    wishes: list[Callable[[], Awaitable[Any]]] = [
        lambda: box_office.check_in("gig", "Bob", order.order_id, "east", once=once("key-1")),
        lambda: box_office.cancel("gig", "Bob", "guest", once=once("key-2")),
    ]
    await wishes[0]()
    await answered_before(wishes[0]())
    await box_office.undo_check_in("gig", "Bob", order.order_id)
    await wishes[1]()
    await answered_before(wishes[1]())
    await answered_before(wishes[0]())
    assert (await box_office.counts("gig"))[1:5] == (1, 0, 0, 5)


async def test_a_past_that_cannot_be_read_is_looked_for_once_by_all_who_wait(
    store: SqliteStore, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    box_office = await start(BoxOffice(store))
    await box_office.open_event("gig", tickets=9)
    looks: list[int] = []

    async def fail(keys: Sequence[bytes], since: int) -> Any:
        looks.append(len(keys))
        raise StoreUnreadable("not now")

    monkeypatch.setattr(store, "kept", fail)
    told = await outcomes([box_office.book("gig", f"guest-{n}", once=once(f"key {n}")) for n in range(9)])
    assert [getattr(problem, "code", None) for problem in told] == ["storage_unavailable"] * 9
    assert looks == [9]
    assert (await box_office.counts("gig")).booked == 0
