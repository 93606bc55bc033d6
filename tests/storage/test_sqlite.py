"""The store on a real SQLite file: what it keeps, what it refuses, and what it says when something fails."""

import asyncio
import shutil
import sqlite3
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.storage.meddling import meddle
from tests.storage.unwritten import AT, Unwritten, read
from webapp.booking.details import UNTOLD, Details
from webapp.booking.state import EventCursor
from webapp.storage.sqlite import SqliteStore
from webapp.storage.sqlite_reader import ROWS_PER_CHUNK
from webapp.storage.sqlite_writer import CERTAINLY_NOT_COMMITTED
from webapp.storage.store import Addition, Kept, LiveOrder, NotCommitted, OutcomeUnknown, Rejected, StoreUnreadable

SALTS = {"Bob": (1).to_bytes(16, "big"), "Cleo": (2).to_bytes(16, "big")}

OpenStore = Callable[[Path], Awaitable[SqliteStore]]


@pytest.fixture
def gig() -> Unwritten:
    """Bob has the only ticket, Cleo waits."""
    event = Unwritten("gig", tickets=1)
    event.book("Bob", "Cleo")
    return event


@pytest.fixture
def talk() -> Unwritten:
    return Unwritten("talk", tickets=5)


async def test_what_is_appended_is_read_again(store: SqliteStore, gig: Unwritten) -> None:
    gig.cancel("Bob")
    gig.revise(3)
    batch = gig.addition()
    await store.append([batch])
    assert await read(store.entries("gig")) == [
        entry._replace(salt=SALTS[entry.guest] if entry.guest else None, aside=None) for entry in batch.entries
    ]
    assert await store.event("gig") == (gig.state.counts, UNTOLD)
    assert await read(store.live_orders("gig")) == [LiveOrder("gig-2", "Cleo", "booked", None)]


async def test_an_event_that_was_never_opened_is_nothing(store: SqliteStore) -> None:
    assert await store.event("gig") is None
    assert await read(store.entries("gig")) == []
    assert await read(store.live_orders("gig")) == []
    assert await store.events(10) == ([], None)


async def test_what_was_stored_is_there_after_a_restart(open_store: OpenStore, database: Path, gig: Unwritten) -> None:
    store = await open_store(database)
    await store.append([gig.addition()])
    await store.close()
    store = await open_store(database)
    assert await store.event("gig") == (gig.state.counts, UNTOLD)
    assert len(await read(store.entries("gig"))) == 3


async def test_a_long_ledger_is_read_in_chunks_and_from_anywhere(store: SqliteStore) -> None:
    event = Unwritten("gig", tickets=10)
    event.book(*(f"guest-{number:05}" for number in range(2 * ROWS_PER_CHUNK)))
    await store.append([event.addition()])
    chunks = [len(chunk) async for chunk in store.entries("gig")]
    assert (sum(chunks), max(chunks)) == (2 * ROWS_PER_CHUNK + 1, ROWS_PER_CHUNK)
    assert [entry.seq for entry in await read(store.entries("gig"))] == list(range(1, sum(chunks) + 1))
    assert [entry.seq for entry in await read(store.entries("gig", after=1_500))][:2] == [1_501, 1_502]
    orders = await read(store.live_orders("gig"))
    assert {order.guest: order.id for order in orders} == event.state.live
    assert [order.status for order in orders].count("booked") == 10


async def test_events_are_listed_newest_first_and_page_by_page(store: SqliteStore) -> None:
    names = [f"event-{number}" for number in range(7)]  # all opened at the same instant
    await store.append([Unwritten(name, tickets=1).addition() for name in names])
    pages, cursor = list[list[str]](), None
    while not pages or cursor:
        page = await store.events(3, cursor)
        pages.append([event.counts.event_id for event in page.events])
        cursor = page.next
    assert [len(page) for page in pages] == [3, 3, 1]
    assert [name for page in pages for name in page] == names[::-1]
    assert (await store.events(7)).next is None


async def test_a_guest_may_book_cancel_and_book_again_in_one_batch(store: SqliteStore) -> None:
    event = Unwritten("gig", tickets=1)
    event.book("Bob")
    event.cancel("Bob")
    event.book("Bob")
    await store.append([event.addition()])
    event.cancel("Bob")
    event.book("Bob")
    await store.append([event.addition()])
    assert await read(store.live_orders("gig")) == [LiveOrder("gig-3", "Bob", "booked", None)]
    assert [entry.kind for entry in await read(store.entries("gig"))] == [
        "opened",
        *["booked", "cancelled"] * 2,
        "booked",
    ]


async def test_a_read_sees_all_that_was_stored_before_it_while_another_read_is_under_way(
    store: SqliteStore, gig: Unwritten, talk: Unwritten
) -> None:
    talk.book(*(f"guest-{number}" for number in range(3 * ROWS_PER_CHUNK)))
    await store.append([talk.addition()])
    long_reads = [store.entries("talk"), store.live_orders("talk")]
    for long_read in long_reads:
        await anext(long_read)
    await store.append([gig.addition()])
    assert await store.event("gig") == (gig.state.counts, UNTOLD)
    assert len(await read(store.entries("gig"))) == 3
    assert len(await read(store.live_orders("gig"))) == 2
    assert len((await store.events(10)).events) == 2


async def test_a_read_that_somebody_gave_up_holds_up_no_other(
    store: SqliteStore, gig: Unwritten, talk: Unwritten
) -> None:
    talk.book(*(f"guest-{number}" for number in range(2 * ROWS_PER_CHUNK)))
    await store.append([talk.addition()])
    async for _ in store.entries("talk"):
        break
    await store.append([gig.addition()])
    assert await store.event("gig") == (gig.state.counts, UNTOLD)


# All or nothing


def moved_on(talk: Unwritten) -> Addition:
    talk.book("Dan", "Eve")
    addition = talk.addition()
    return addition._replace(entries=addition.entries[1:])


def opened_twice(talk: Unwritten) -> Addition:
    return Unwritten("talk", tickets=9).addition()


def order_of_another(talk: Unwritten) -> Addition:
    talk.book("Dan")
    addition = talk.addition()
    return addition._replace(entries=[addition.entries[0]._replace(order_id="gig-1")])


def two_live_orders(talk: Unwritten) -> Addition:
    del talk.state.live["Finn"]
    talk.book("Finn")
    return talk.addition()


def oversold(talk: Unwritten) -> Addition:
    talk.book("Dan")
    addition = talk.addition()
    return addition._replace(counts=addition.counts._replace(booked=6))


def unknown_order(talk: Unwritten) -> Addition:
    talk.cancel("Finn")
    addition = talk.addition()
    return addition._replace(entries=[addition.entries[0]._replace(order_id="talk-9")])


@pytest.mark.parametrize("wrong", [moved_on, opened_twice, order_of_another, two_live_orders, oversold, unknown_order])
async def test_a_batch_is_stored_whole_or_not_at_all(
    store: SqliteStore, gig: Unwritten, talk: Unwritten, wrong: Callable[[Unwritten], Addition]
) -> None:
    talk.book("Finn")
    await store.append([gig.addition(), talk.addition()])
    before = await everything(store)
    gig.cancel("Bob")
    good, bad = gig.addition(), wrong(talk)
    for batch in ([good, bad], [bad, good]):
        with pytest.raises(Rejected):
            await store.append(batch)
        assert await everything(store) == before
    await store.append([good])
    assert await store.event("gig") == (gig.state.counts, UNTOLD)


async def everything(store: SqliteStore) -> list[object]:
    return [
        (event, await read(store.entries(event.counts.event_id)), await read(store.live_orders(event.counts.event_id)))
        for event in (await store.events(100)).events
    ]


# When something fails


@dataclass
class Rig:
    """What the store's connections do in place of what they should."""

    failing: dict[str, sqlite3.Error] = field(default_factory=dict)  # a statement -> what it raises
    is_done_all_the_same: bool = False
    statements: list[str] = field(default_factory=list)  # everything that was run, with its parameters filled in


@pytest.fixture
def rig(monkeypatch: pytest.MonkeyPatch) -> Rig:
    """Rigs every connection that is opened from now on; none of them waits for a lock."""
    rig = Rig()

    class RiggedConnection(sqlite3.Connection):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.set_trace_callback(rig.statements.append)

        def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
            error = rig.failing.get(sql)
            if error is None:
                return super().execute(sql, parameters)
            if rig.is_done_all_the_same:
                super().execute(sql, parameters)
            raise error

    monkeypatch.setattr(sqlite3, "connect", partial(sqlite3.connect, factory=RiggedConnection, timeout=0))
    return rig


@pytest.fixture
async def rigged_store(rig: Rig, database: Path) -> AsyncIterator[SqliteStore]:
    store = await SqliteStore.open(database)
    yield store
    rig.failing = {}
    await store.close()


def error_with(code: int) -> sqlite3.Error:
    error = sqlite3.OperationalError(f"injected error {code}")
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize("code", sorted(CERTAINLY_NOT_COMMITTED))
async def test_a_commit_that_certainly_failed_changes_nothing_and_heals(
    rigged_store: SqliteStore, rig: Rig, gig: Unwritten, code: int
) -> None:
    batch = [gig.addition()]
    rig.failing = {"COMMIT": error_with(code)}
    for _ in range(2):
        with pytest.raises(NotCommitted):
            await rigged_store.append(batch)
    rig.failing = {}
    assert await everything(rigged_store) == []
    await rigged_store.append(batch)
    assert await rigged_store.event("gig") == (gig.state.counts, UNTOLD)


@pytest.mark.parametrize("is_done_all_the_same", [True, False])
@pytest.mark.parametrize(
    "code",
    [
        sqlite3.SQLITE_ERROR,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_IOERR_FSYNC,
        sqlite3.SQLITE_IOERR_DIR_FSYNC,
        sqlite3.SQLITE_IOERR_SHMMAP,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_INTERRUPT,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_MISUSE,
    ],
)
async def test_of_any_other_failed_commit_the_outcome_is_unknown(
    rigged_store: SqliteStore, rig: Rig, gig: Unwritten, code: int, is_done_all_the_same: bool
) -> None:
    rig.failing, rig.is_done_all_the_same = {"COMMIT": error_with(code)}, is_done_all_the_same
    with pytest.raises(OutcomeUnknown):
        await rigged_store.append([gig.addition()])


async def test_of_a_sync_that_failed_before_the_commit_the_outcome_is_unknown(
    rigged_store: SqliteStore, rig: Rig, gig: Unwritten
) -> None:
    rig.failing = {"BEGIN IMMEDIATE": error_with(sqlite3.SQLITE_IOERR_FSYNC)}
    with pytest.raises(OutcomeUnknown):
        await rigged_store.append([gig.addition()])


async def test_of_a_commit_that_failed_without_a_code_the_outcome_is_unknown(
    rigged_store: SqliteStore, rig: Rig, gig: Unwritten
) -> None:
    rig.failing = {"COMMIT": sqlite3.ProgrammingError("Cannot operate on a closed database.")}
    with pytest.raises(OutcomeUnknown):
        await rigged_store.append([gig.addition()])


async def test_what_cannot_be_rolled_back_is_an_unknown_outcome(
    rigged_store: SqliteStore, rig: Rig, gig: Unwritten
) -> None:
    rig.failing = {"COMMIT": error_with(sqlite3.SQLITE_FULL), "ROLLBACK": error_with(sqlite3.SQLITE_IOERR)}
    with pytest.raises(OutcomeUnknown, match="rolled back"):
        await rigged_store.append([gig.addition()])


async def test_a_transaction_that_cannot_begin_changes_nothing(
    rigged_store: SqliteStore, rig: Rig, gig: Unwritten
) -> None:
    batch = [gig.addition()]
    rig.failing = {"BEGIN IMMEDIATE": error_with(sqlite3.SQLITE_IOERR)}
    with pytest.raises(NotCommitted):
        await rigged_store.append(batch)
    rig.failing = {}
    await rigged_store.append(batch)


@pytest.mark.parametrize("value", [object(), 2**63, "\ud800"])
async def test_a_batch_with_a_value_that_cannot_be_stored_is_refused_and_changes_nothing(
    store: SqliteStore, gig: Unwritten, talk: Unwritten, value: Any
) -> None:
    counts, entries, kept = gig.addition()
    with pytest.raises(Rejected):
        await store.append([talk.addition(), Addition(counts, [entries[0]._replace(detail=value), *entries[1:]], kept)])
    assert await everything(store) == []
    await store.append([Addition(counts, entries, kept)])
    assert await store.event("gig") == (gig.state.counts, UNTOLD)


async def test_a_log_that_cannot_be_emptied_is_told_and_tried_again(
    rigged_store: SqliteStore, rig: Rig, gig: Unwritten
) -> None:
    gig.erase("Bob")
    await rigged_store.append([gig.addition()])
    rig.failing = {"PRAGMA wal_checkpoint(TRUNCATE)": error_with(sqlite3.SQLITE_IOERR)}
    for _ in range(2):
        with pytest.raises(StoreUnreadable, match="injected"):
            await rigged_store.forget()
    rig.failing = {}
    assert await rigged_store.forget()


async def test_while_somebody_else_writes_nothing_is_changed(
    rigged_store: SqliteStore, database: Path, gig: Unwritten
) -> None:
    batch = [gig.addition()]
    with closing(sqlite3.connect(database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(NotCommitted, match="database is locked"):
            await rigged_store.append(batch)
        other.execute("ROLLBACK")
    await rigged_store.append(batch)
    assert await rigged_store.event("gig") == (gig.state.counts, UNTOLD)


async def test_a_full_disk_changes_nothing_and_heals(store: SqliteStore, talk: Unwritten) -> None:
    await store.append([talk.addition()])
    before = await everything(store)
    talk.book(*(f"guest-{number}" for number in range(2_000)))
    batch = [talk.addition()]
    await limit_size(store, 0)  # which is understood as: no larger than it is
    for _ in range(3):
        with pytest.raises(NotCommitted, match="full"):
            await store.append(batch)
        assert await everything(store) == before
    await limit_size(store, 1_000_000)
    await store.append(batch)
    assert await store.event("talk") == (talk.state.counts, UNTOLD)


async def limit_size(store: SqliteStore, pages: int) -> None:
    await store._writer.execute_fetchall(f"PRAGMA max_page_count = {max(pages, 1)}")


def delete(path: Path) -> None:
    path.unlink()


def replace_by_a_copy(path: Path) -> None:
    shutil.copy(path, path.with_suffix(".copy"))
    path.with_suffix(".copy").replace(path)


def move_away(path: Path) -> None:
    path.rename(path.with_suffix(".moved"))


@pytest.mark.parametrize("what_happens", [delete, replace_by_a_copy, move_away])
@pytest.mark.parametrize("ending", ["", "-wal"])
async def test_a_file_deleted_or_replaced_under_the_server_is_noticed(
    store: SqliteStore, database: Path, gig: Unwritten, what_happens: Callable[[Path], None], ending: str
) -> None:
    await store.append([gig.addition()])
    gig.book("Dan")
    what_happens(database.with_name(database.name + ending))
    with pytest.raises(OutcomeUnknown, match="deleted or replaced"):
        await store.append([gig.addition()])


async def test_a_damaged_file_cannot_be_read(open_store: OpenStore, database: Path, gig: Unwritten) -> None:
    async def read_ledger() -> None:
        await read((await open_store(database)).entries("gig"))

    gig.book(*(f"guest-{number}" for number in range(500)))
    store = await open_store(database)
    await store.append([gig.addition()])
    await store.close()
    content = bytearray(database.read_bytes())
    for page in range(4_096, len(content), 4_096):
        content[page : page + 100] = bytes(100)
    database.write_bytes(content)
    with pytest.raises(StoreUnreadable):
        await read_ledger()


async def test_a_ledger_without_its_event_is_noticed_when_a_database_is_opened(
    store: SqliteStore, open_store: OpenStore, database: Path, gig: Unwritten
) -> None:
    await store.append([gig.addition()])
    meddle(database, "DELETE FROM events")
    threads = set(threading.enumerate())
    with pytest.raises(StoreUnreadable, match="event 'gig' has a ledger, and is missing from the events table"):
        await open_store(database)
    for thread in set(threading.enumerate()) - threads:  # or it would keep the process from ending
        await asyncio.to_thread(thread.join)


async def test_a_kept_answer_that_is_no_text_is_told_without_it(
    store: SqliteStore, database: Path, gig: Unwritten
) -> None:
    await store.append([gig.addition(Kept(b"k" * 32, b"r" * 32, "gig", AT, "Bob"))])
    meddle(database, "UPDATE kept_answers SET text = CAST(x'426f62ff' AS TEXT)")
    with pytest.raises(StoreUnreadable) as problem:
        await store.kept([b"k" * 32], 0)
    assert str(problem.value) == "the file is damaged, restore a backup: a value of column text is not text"


async def test_an_id_that_is_no_text_is_told_as_far_as_it_is_some(
    store: SqliteStore, database: Path, gig: Unwritten
) -> None:
    await store.append([gig.addition()])
    meddle(database, "UPDATE orders SET user_id = CAST(x'426fff62' AS TEXT) WHERE user_id = 'Bob'")
    for _ in range(2):
        assert [entry.guest for entry in await read(store.entries("gig"))] == [
            None,
            "Bo\N{REPLACEMENT CHARACTER}b",
            "Cleo",
        ]


async def test_whoever_gives_up_an_append_takes_nothing_back(store: SqliteStore, gig: Unwritten) -> None:
    appending = asyncio.ensure_future(store.append([gig.addition()]))
    await asyncio.sleep(0)
    appending.cancel()
    await asyncio.wait([appending])
    gig.book("Dan")
    await store.append([gig.addition()])
    assert [entry.seq for entry in await read(store.entries("gig"))] == [1, 2, 3, 4]


# How it is opened, and how it looks things up


async def test_the_writer_is_as_careful_as_it_can_be(store: SqliteStore) -> None:
    pragmas = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "mmap_size": 0, "secure_delete": 1}
    found = {pragma: list(await store._writer.execute_fetchall(f"PRAGMA {pragma}")) for pragma in pragmas}
    assert {pragma: rows[0][0] for pragma, rows in found.items() if rows} == {
        pragma: value for pragma, value in pragmas.items() if found[pragma]
    }


@pytest.mark.parametrize("statement", ["DELETE FROM orders", "CREATE TABLE t (x)", "UPDATE events SET booked = 0"])
async def test_the_reader_cannot_write(store: SqliteStore, statement: str) -> None:
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        await store._reader.execute_fetchall(statement)


async def test_a_database_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    threads = set(threading.enumerate())
    with pytest.raises(StoreUnreadable):
        await SqliteStore.open(tmp_path / "missing" / "fairlist.sqlite3")
    assert not list(tmp_path.iterdir())
    for thread in set(threading.enumerate()) - threads:  # it ends by itself, but needs this loop for its last words
        await asyncio.to_thread(thread.join)


def plan(database: Path, statement: str) -> list[str]:
    """The steps by which a statement finds its rows."""
    with closing(sqlite3.connect(database)) as connection:
        return [step for *_, step in connection.execute(f"EXPLAIN QUERY PLAN {statement}")]


def slow_steps(database: Path, statements: Sequence[str]) -> Iterator[str]:
    """Every step of every statement's plan that reads a table from end to end, or sorts."""
    for statement in statements:
        for step in plan(database, statement):
            if "SCAN" in step or "TEMP B-TREE" in step:
                yield f"{step}: {statement}"


async def test_every_statement_finds_its_rows_by_an_index(
    rigged_store: SqliteStore, rig: Rig, database: Path, gig: Unwritten, talk: Unwritten
) -> None:
    await rigged_store.append([gig.addition(), talk.addition()])
    rig.statements.clear()
    gig.cancel("Bob")
    gig.book("Dan")
    gig.revise(2, Details(title="The Gig"))
    gig.check_in("Cleo")
    gig.erase("Cleo")
    talk.delete()
    talk.open(3)
    kept = Kept(bytes(32), bytes(32), "gig", AT, "{}")
    await rigged_store.append([gig.addition(kept), talk.addition(), Unwritten("party", tickets=1).addition()])
    await read(rigged_store.entries("gig"))
    await read(rigged_store.live_orders("gig"))
    await rigged_store.event("gig")
    await rigged_store.events(1, EventCursor(AT, "talk"))
    await rigged_store.order("gig-1")
    await rigged_store.orders("gig", 0)
    await rigged_store.turns_of("gig-1")
    await rigged_store.turns_at("gig", 0, 99, 99)
    await rigged_store.kept([kept.key], 0)
    statements = [line for line in rig.statements if line.split()[0] in ("SELECT", "INSERT", "UPDATE", "DELETE")]
    assert {line.split()[0] for line in statements} == {"SELECT", "INSERT", "UPDATE", "DELETE"}
    assert len(statements) >= 30
    assert list(slow_steps(database, statements)) == []


async def test_what_happened_since_somebody_booked_is_found_without_the_bookings(
    rigged_store: SqliteStore, rig: Rig, database: Path
) -> None:
    rig.statements.clear()
    await rigged_store.turns_of("gig-1")
    await rigged_store.turns_at("gig", 0, 99, 99)
    of_an_order, at_an_event = (plan(database, statement) for statement in rig.statements)
    assert of_an_order == ["SEARCH ledger USING INDEX ledger_turns_of_orders (order_id=?)"]
    assert at_an_event[0] == "SEARCH turn USING INDEX ledger_turns_at_events (event_id=? AND seq>? AND seq<?)"
    assert "SEARCH own USING INDEX ledger_turns_of_orders (order_id=?)" in at_an_event


async def test_a_statement_without_an_index_is_caught(database: Path) -> None:
    slow = [
        "SELECT * FROM orders WHERE user_id = 'Bob'",
        "SELECT id FROM events ORDER BY waiting",
        "UPDATE orders SET status = 'cancelled' WHERE user_id = 'Bob'",
    ]
    assert len(list(slow_steps(database, slow))) == 4
