"""Orders in the SQLite file: what is kept of each, however batches are cut, and how they are found again."""

import random
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.storage.unwritten import AT, Unwritten, read
from webapp.booking import decisions
from webapp.booking.details import Details
from webapp.booking.ledger import Contact, Entry, pseudonym
from webapp.booking.state import Arrival
from webapp.recovery import recover
from webapp.storage import sqlite_reader
from webapp.storage.sqlite import SqliteStore
from webapp.storage.sqlite_reader import ROWS_PER_CHUNK
from webapp.storage.store import Addition, LiveOrder, OrderRow, Turn

OpenStore = Callable[[Path], Awaitable[SqliteStore]]

BOB = Contact("Bob Bee", "bob@example.org")


@pytest.fixture
def gig() -> Unwritten:
    """Bob, of whom name and address are known, has the only ticket; Cleo waits."""
    event = Unwritten("gig", tickets=1)
    event.book("Bob", contact=BOB)
    event.book("Cleo")
    return event


async def order(store: SqliteStore, order_id: str) -> OrderRow:
    found = await store.order(order_id)
    assert found is not None
    return found


# One order


async def test_of_a_new_order_everything_is_known_that_its_guest_has_told(store: SqliteStore, gig: Unwritten) -> None:
    await store.append([gig.addition()])
    assert await order(store, "gig-1") == OrderRow(
        "gig-1", "gig", "Bob", "Bob Bee", "bob@example.org", "booked", AT + 1, 2, None, None, None, None
    )
    assert await order(store, "gig-2") == OrderRow(
        "gig-2", "gig", "Cleo", None, None, "waiting", AT + 2, 3, None, None, None, None
    )


async def test_an_order_that_was_never_placed_is_nothing(store: SqliteStore, gig: Unwritten) -> None:
    await store.append([gig.addition()])
    assert await store.order("gig-3") is None


async def test_orders_are_found_by_what_their_ids_begin_with(store: SqliteStore) -> None:
    ids = ("0a1", "0a1f", "0af", "0b", "f")
    event = Unwritten("gig", tickets=9)
    for order_id in ids:
        fact = decisions.book(event.state, event.now, f"guest of {order_id}", order_id, bytes(16)).facts[0]
        event.new.append(event.state.record(fact, event.now, "guest"))
    await store.append([event.addition()])
    for prefix in ("", "0", "0a", "0a1", "0a1f", "0af", "0b", "f", "1", "0a10"):
        found = [order.id for order in await store.orders_beginning(prefix)]
        assert found == [order_id for order_id in ids if order_id.startswith(prefix)]


async def test_a_cancellation_keeps_its_reason(store: SqliteStore, gig: Unwritten) -> None:
    await store.append([gig.addition()])
    gig.cancel("Cleo", None)
    gig.cancel("Bob", "is ill")
    gig.book("Dan")
    gig.cancel("Dan", "wrong day")
    await store.append([gig.addition()])
    reasons = [(await order(store, f"gig-{number}"))[5:9:3] for number in (1, 2, 3)]
    assert reasons == [("cancelled", "is ill"), ("cancelled", None), ("cancelled", "wrong day")]
    assert {entry.reason for entry in await read(store.entries("gig"))} == {None}  # words can be personal


@pytest.mark.parametrize("gate", [None, "west"])
async def test_a_check_in_is_kept_with_its_time_and_gate_until_it_is_undone(
    store: SqliteStore, gig: Unwritten, gate: str | None
) -> None:
    await store.append([gig.addition()])
    gig.check_in("Bob", gate)
    await store.append([gig.addition()])
    assert (await order(store, "gig-1"))[5:] == ("booked", AT + 1, 2, None, AT + 3, gate, None)
    assert await checked_in(store) == 1
    assert set(await read(store.live_orders("gig"))) == {
        LiveOrder("gig-1", "Bob", "booked", Arrival(AT + 3, gate)),
        LiveOrder("gig-2", "Cleo", "waiting", None),
    }
    gig.undo_check_in("Bob")
    await store.append([gig.addition()])
    assert (await order(store, "gig-1"))[5:] == ("booked", AT + 1, 2, None, None, None, None)
    assert await checked_in(store) == 0


async def checked_in(store: SqliteStore) -> int:
    event = await store.event("gig")
    assert event is not None
    return event.counts.checked_in


async def test_a_guest_may_be_promoted_and_checked_in_and_cancel_in_one_batch(
    store: SqliteStore, gig: Unwritten
) -> None:
    await store.append([gig.addition()])
    gig.check_in("Bob", "west")
    gig.undo_check_in("Bob")
    gig.cancel("Bob")
    gig.check_in("Cleo", "east")
    await store.append([gig.addition()])
    assert (await order(store, "gig-1"))[5:] == ("cancelled", AT + 1, 2, "on the phone", None, None, None)
    assert (await order(store, "gig-2"))[5:] == ("booked", AT + 2, 3, None, AT + 7, "east", None)
    gig.undo_check_in("Cleo")
    gig.cancel("Cleo", None)
    await store.append([gig.addition()])
    assert (await order(store, "gig-2"))[5:] == ("cancelled", AT + 2, 3, None, None, None, None)


# Erasure


async def test_of_an_erased_guest_nothing_is_left_but_what_he_holds(store: SqliteStore, gig: Unwritten) -> None:
    await store.append([gig.addition()])
    gig.check_in("Bob", "west")
    gig.erase("Bob")
    gig.erase("Cleo")
    await store.append([gig.addition()])
    bob, cleo = pseudonym("gig-1"), pseudonym("gig-2")
    assert await order(store, "gig-1") == OrderRow(
        "gig-1", "gig", bob, None, None, "booked", AT + 1, 2, None, AT + 3, "west", AT + 4
    )
    assert await order(store, "gig-2") == OrderRow(
        "gig-2", "gig", cleo, None, None, "waiting", AT + 2, 3, None, None, None, AT + 5
    )
    assert [(entry.guest, entry.salt) for entry in await read(store.entries("gig"))] == [
        (None, None), (bob, None), (cleo, None), (bob, None), (bob, None), (cleo, None)
    ]  # fmt: skip
    assert (await recover(store, "gig")).state.counts == gig.state.counts


@pytest.mark.parametrize("is_stored_between", [True, False])
async def test_an_erased_cancellation_loses_its_reason(
    store: SqliteStore, gig: Unwritten, is_stored_between: bool
) -> None:
    await store.append([gig.addition()])
    gig.cancel("Bob", "is ill")
    if is_stored_between:
        await store.append([gig.addition()])
    gig.erase("Bob", "gig-1")
    await store.append([gig.addition()])
    assert await order(store, "gig-1") == OrderRow(
        "gig-1", "gig", pseudonym("gig-1"), None, None, "cancelled", AT + 1, 2, None, None, None, AT + 5
    )


async def test_an_order_placed_and_erased_in_one_batch_names_nobody(store: SqliteStore, gig: Unwritten) -> None:
    gig.cancel("Bob", "is ill")
    gig.check_in("Cleo", "west")
    gig.erase("Bob", "gig-1")
    gig.erase("Cleo")
    await store.append([gig.addition()])
    assert await order(store, "gig-1") == OrderRow(
        "gig-1", "gig", pseudonym("gig-1"), None, None, "cancelled", AT + 1, 2, None, None, None, AT + 6
    )
    assert await order(store, "gig-2") == OrderRow(
        "gig-2", "gig", pseudonym("gig-2"), None, None, "booked", AT + 2, 3, None, AT + 5, "west", AT + 7
    )
    assert {entry.salt for entry in await read(store.entries("gig"))} == {None}


@pytest.mark.parametrize("is_stored_before", [True, False])
async def test_a_guest_may_be_erased_and_book_again_in_one_batch(
    store: SqliteStore, gig: Unwritten, is_stored_before: bool
) -> None:
    if is_stored_before:
        await store.append([gig.addition()])
    gig.erase("Bob")
    gig.book("Bob", contact=BOB)
    await store.append([gig.addition()])
    assert set(await read(store.live_orders("gig"))) == {
        LiveOrder("gig-1", pseudonym("gig-1"), "booked", None),
        LiveOrder("gig-2", "Cleo", "waiting", None),
        LiveOrder("gig-3", "Bob", "waiting", None),
    }
    assert (await order(store, "gig-3"))[2:5] == ("Bob", *BOB)


async def test_all_orders_of_a_guest_are_erased_at_once(store: SqliteStore, gig: Unwritten) -> None:
    gig.cancel("Bob")
    gig.book("Bob", contact=BOB)
    await store.append([gig.addition()])
    gig.erase("Bob", "gig-1", "gig-3")
    await store.append([gig.addition()])
    orders, _ = await store.orders("gig", 0)
    assert [(row.guest, row.name, row.email) for row in orders] == [
        (pseudonym("gig-1"), None, None), ("Cleo", None, None), (pseudonym("gig-3"), None, None)
    ]  # fmt: skip


class CarelessConnection(sqlite3.Connection):
    """A connection of a SQLite that was built to leave in the file what is deleted, as it comes by default."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.execute("PRAGMA secure_delete = OFF")


async def test_what_was_erased_is_in_no_byte_of_the_database(
    open_store: OpenStore, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite3, "connect", partial(sqlite3.connect, factory=CarelessConnection))
    store = await open_store(database)
    gig = Unwritten("gig", tickets=50)
    guests = [f"secret-{number}" for number in range(100)]
    for guest in guests:
        gig.book(guest, contact=Contact(f"{guest} of the secrets", f"{guest}@example.org"))
    gig.cancel("secret-0", "the reason is secret")
    await store.append([gig.addition()])
    gig.erase("secret-0", "gig-1")
    for guest in guests[1:]:
        gig.erase(guest)
    await store.append([gig.addition()])
    await store.close()
    assert [path.name for path in database.parent.glob(f"{database.name}*")] == [database.name]
    assert b"secret" not in database.read_bytes()


# However a history is cut into batches

SEEDS = range(12)


def history(chance: random.Random) -> list[Addition]:
    """What happens at an event until everybody is tired of it, decision by decision."""
    event = Unwritten("gig", tickets=2)
    additions = [event.addition()]
    named: dict[str, str] = {}  # by order, its guest; an order may be erased twice
    for number in range(60):
        state = event.state
        booked = [guest for guest in state.live if guest not in state.waiting]
        outside = [guest for guest in booked if guest not in state.arrivals]
        match chance.randrange(9):
            case 0 | 1 | 2:
                guest = chance.choice(["Bob", "Cleo", "Dan", "Eve", "Finn"])
                event.book(guest, contact=Contact(f"{guest} the {number}th", None))
            case 3 | 4 if there := [*outside, *state.waiting]:
                event.cancel(chance.choice(there), chance.choice([None, f"reason {number}"]))
            case 5 if outside:
                event.check_in(chance.choice(outside), chance.choice([None, f"gate {number}"]))
            case 6 if state.arrivals:
                event.undo_check_in(chance.choice([*state.arrivals]))
            case 7:
                event.revise(state.booked + chance.randrange(2))
            case 8 if named:
                order_id = chance.choice([*named])
                event.erase(named[order_id], order_id)
        if (addition := event.addition()).entries:
            additions.append(addition)
            named |= {entry.order_id: entry.guest for entry in addition.entries if entry.order_id and entry.guest}
    return additions


def rows(entries: Sequence[Entry]) -> dict[str, OrderRow]:
    """What a history makes of its orders, told entry by entry."""
    orders: dict[str, OrderRow] = {}
    for entry in entries:
        if entry.order_id is None:
            continue
        row = orders.get(entry.order_id)
        match entry.kind, entry.aside, row:
            case "booked" | "joined", Contact() as contact, _:
                status = "booked" if entry.kind == "booked" else "waiting"
                assert entry.guest is not None
                told = (entry.order_id, "gig", entry.guest, *contact, status, entry.at, entry.seq)
                row = OrderRow._make((*told, None, None, None, None))
            case "promoted", _, OrderRow():
                row = row._replace(status="booked")
            case "cancelled", str() | None as reason, OrderRow():
                row = row._replace(status="cancelled", cancel_reason=None if row.erased_at else reason)
            case "checked_in", _, OrderRow():
                row = row._replace(checked_in_at=entry.at, gate=entry.detail)
            case "check_in_undone", _, OrderRow():
                row = row._replace(checked_in_at=None, gate=None)
            case "erased", _, OrderRow():
                guest = pseudonym(entry.order_id)
                row = row._replace(guest=guest, name=None, email=None, cancel_reason=None, erased_at=entry.at)
        assert row is not None
        orders[entry.order_id] = row
    return orders


def test_the_histories_hold_something_of_everything_that_can_happen_to_an_order() -> None:
    kinds = {entry.kind for seed in SEEDS for addition in history(random.Random(seed)) for entry in addition.entries}
    assert kinds >= {"booked", "joined", "promoted", "cancelled", "checked_in", "check_in_undone", "erased"}


@pytest.mark.parametrize("seed", SEEDS)
async def test_however_a_history_is_cut_into_batches_its_orders_are_kept_as_it_tells(
    store: SqliteStore, seed: int
) -> None:
    chance = random.Random(seed)
    additions = history(chance)
    cuts = sorted({0, len(additions), *chance.choices(range(len(additions)), k=seed)})
    for start, end in pairwise(cuts):
        entries = [entry for addition in additions[start:end] for entry in addition.entries]
        await store.append([Addition(additions[end - 1].counts, entries)])
    expected = rows([entry for addition in additions for entry in addition.entries])
    assert {row.id: row for row in (await store.orders("gig", 0))[0]} == expected
    assert (await recover(store, "gig")).state.counts == additions[-1].counts


# Finding them


async def test_orders_are_found_page_by_page_in_the_order_of_their_placing(store: SqliteStore) -> None:
    gig, talk = Unwritten("gig", tickets=1), Unwritten("talk", tickets=1)
    guests = [f"guest-{number:04}" for number in range(ROWS_PER_CHUNK - 1)][::-1]
    gig.book(*guests)
    for guest in guests[1:]:
        gig.cancel(guest)
    gig.check_in(guests[0])
    gig.undo_check_in(guests[0])
    gig.book("Bob")
    talk.book("Cleo")
    await store.append([gig.addition(), talk.addition()])
    assert await orders(store, "gig", 0) == (guests, ROWS_PER_CHUNK)
    assert await orders(store, "gig", ROWS_PER_CHUNK) == ([], 2 * ROWS_PER_CHUNK)
    assert await orders(store, "gig", 2 * ROWS_PER_CHUNK) == (["Bob"], None)
    assert await orders(store, "gig", 2 * ROWS_PER_CHUNK + 1) == ([], None)
    assert await orders(store, "gig", 3) == (guests[2:], ROWS_PER_CHUNK + 3)
    assert await orders(store, "talk", 0) == (["Cleo"], None)
    assert await orders(store, "party", 0) == ([], None)


async def orders(store: SqliteStore, event_id: str, after: int) -> tuple[list[str], int | None]:
    """The guests of a page, and where the next one starts."""
    found, more = await store.orders(event_id, after)
    return [row.guest for row in found], more


async def test_a_page_of_a_ledger_starts_anywhere_and_is_as_long_as_it_is_wanted(
    store: SqliteStore, gig: Unwritten
) -> None:
    gig.book("Dan", "Eve")
    await store.append([gig.addition()])
    pages = [await store.ledger_page("gig", after, limit) for after, limit in [(0, 2), (2, 2), (4, 2), (5, 2), (3, 9)]]
    assert [[entry.seq for entry in page] for page in pages] == [[1, 2], [3, 4], [5], [], [4, 5]]


# What happened to an order, and around it


async def test_the_turns_of_an_order_are_what_happened_to_it_after_it_was_placed(
    store: SqliteStore, gig: Unwritten
) -> None:
    gig.check_in("Bob", "west")
    gig.undo_check_in("Bob")
    gig.cancel("Bob", "is ill")
    gig.check_in("Cleo")
    gig.erase("Cleo")
    await store.append([gig.addition()])
    assert [(turn.seq, turn.kind, turn.detail) for turn in await store.turns_of("gig-1")] == [
        (4, "checked_in", "west"), (5, "check_in_undone", None), (6, "cancelled", None)
    ]  # fmt: skip
    assert [(turn.seq, turn.kind) for turn in await store.turns_of("gig-2")] == [
        (7, "promoted"), (8, "checked_in"), (9, "erased")
    ]  # fmt: skip
    assert await store.turns_of("gig-3") == []


async def test_the_turns_at_an_event_are_all_that_may_have_moved_its_waiting_list(
    store: SqliteStore, gig: Unwritten
) -> None:
    gig.book("Dan", "Eve")  # 4 and 5
    gig.cancel("Dan")  # 6
    gig.check_in("Bob")  # 7
    gig.undo_check_in("Bob")  # 8
    gig.cancel("Bob")  # 9, and 10 promotes Cleo
    gig.erase("Eve")  # 11
    gig.revise(2)  # 12, and 13 promotes Eve
    gig.cancel("Cleo")  # 14
    gig.revise(details=Details(title="The Gig"))  # 15
    gig.book("Finn")  # 16
    gig.cancel("Finn")  # 17
    talk = Unwritten("talk", tickets=1)
    talk.book("Cleo")
    talk.cancel("Cleo")
    await store.append([gig.addition(), talk.addition()])
    everything = [
        Turn(17, "cancelled", AT + 16, 16, waited=False),
        Turn(15, "revised", AT + 14, None, waited=False),
        Turn(14, "cancelled", AT + 13, 3, waited=False),
        Turn(12, "resized", AT + 11, None, waited=False, promoted=1),
        Turn(9, "cancelled", AT + 8, 2, waited=False, promoted=1),
        Turn(6, "cancelled", AT + 5, 4, waited=True),
    ]
    assert await store.turns_at("gig", 0, 99, 99) == (everything, True)
    assert await store.turns_at("gig", 0, 99, 6) == (everything, True)
    assert await store.turns_at("gig", 0, 99, 5) == (everything[:5], False)
    assert await store.turns_at("gig", 8, 15, 99) == (everything[1:5], True)
    assert await store.turns_at("gig", 0, 12, 1) == ([everything[3]._replace(promoted=0)], False)
    assert await store.turns_at("gig", 17, 99, 99) == ([], True)
    assert await store.turns_at("party", 0, 99, 99) == ([], True)


async def test_the_turn_with_which_promotions_end_says_so(store: SqliteStore, gig: Unwritten) -> None:
    gig.book("Dan")  # 4
    gig.revise(details=Details(starts_at=AT))  # 5
    gig.cancel("Bob")  # 6, and 7 lapses
    gig.cancel("Dan")  # 8
    gig.revise(details=Details(starts_at=AT + 10**9))  # 9, and 10 promotes Cleo
    await store.append([gig.addition()])
    turns, _ = await store.turns_at("gig", 0, 99, 99)
    assert [(turn.seq, turn.lapsed, turn.promoted) for turn in turns] == [
        (9, False, 1), (8, False, 0), (6, True, 0), (5, False, 0)
    ]  # fmt: skip


async def test_promotions_are_counted_however_many_chunks_they_are_read_in(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    gig = Unwritten("gig", tickets=0)
    gig.book(*(f"guest-{number}" for number in range(20)))
    gig.revise(1)
    gig.revise(15)  # 24, and promotes fourteen
    gig.cancel("guest-3")  # 39
    await store.append([gig.addition()])
    everything = [("cancelled", 1), ("resized", 14), ("resized", 1)]
    for rows in range(1, 20):
        monkeypatch.setattr(sqlite_reader, "ROWS_PER_CHUNK", rows)
        turns, are_all = await store.turns_at("gig", 0, 99, 99)
        assert [(turn.kind, turn.promoted) for turn in turns] == everything
        assert are_all
    monkeypatch.setattr(sqlite_reader, "ROWS_PER_CHUNK", 1)
    monkeypatch.setattr(sqlite_reader, "CHUNKS_PER_HISTORY", 10)
    turns, are_all = await store.turns_at("gig", 0, 99, 99)
    assert [(turn.kind, turn.promoted) for turn in turns] == everything[:1]
    assert not are_all


async def test_who_left_waited_if_he_had_joined_and_was_never_promoted(store: SqliteStore, gig: Unwritten) -> None:
    gig.book("Dan", "Eve")
    gig.erase("Dan")
    gig.cancel("Bob")  # promotes Cleo
    gig.cancel("Cleo")  # promotes Dan, who is erased
    gig.book("Bob")
    for guest in ("Bob", "Eve", pseudonym("gig-3")):
        gig.cancel(guest)
    await store.append([gig.addition()])
    turns, _ = await store.turns_at("gig", 0, 99, 99)
    waited = {turn.placed_entry: turn.waited for turn in turns if turn.kind == "cancelled"}
    placed = {row.placed_entry: row.id for row in (await store.orders("gig", 0))[0]}
    assert {placed[entry]: flag for entry, flag in waited.items() if entry} == {
        "gig-1": False, "gig-2": False, "gig-3": False, "gig-4": True, "gig-5": True
    }  # fmt: skip
