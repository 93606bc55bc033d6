"""A database as it was before events had details and orders a life goes on under the program of now."""

import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, closing
from pathlib import Path
from typing import Any, Final, get_args

import pytest

from tests import effort
from tests.replay import MIGRATIONS, problems
from tests.server import CODE, Server
from tests.storage.meddling import meddle
from webapp.booking.answers import Promotion
from webapp.booking.details import UNTOLD, Details
from webapp.booking.ledger import Contact, Fact, Kind, commitment
from webapp.booking.state import EventState
from webapp.box_office import BoxOffice
from webapp.desk import Once
from webapp.storage.migrator import MigrationRefused, migrate, status
from webapp.storage.sqlite import SqliteStore

AS_IT_WAS: Final = Path(__file__).with_name("as_0001_left_it.sql")

# What each table had before; the rest of its columns is new.
BEFORE: Final = {
    "events": "id, capacity, booked, waiting, head, head_hash, opened_at",
    "orders": "id, event_id, user_id, status, salt, placed_at",
    "ledger": "event_id, seq, kind, at, actor, order_id, reason, detail, hash",
}

OpenStore = Callable[[Path], Awaitable[SqliteStore]]
Start = Callable[[BoxOffice], Awaitable[BoxOffice]]
Rows = dict[str, list[tuple[Any, ...]]]


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A database with schema 0001. At the gig Dan, Eve and Fay hold the tickets; Bob, who was there before, waits."""
    return old_database(tmp_path / "fairlist.db")


def old_database(path: Path) -> Path:
    """Makes a database as a server of then has left it: with a write-ahead log."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(AS_IT_WAS.read_text(encoding="utf-8"))
        connection.execute("PRAGMA journal_mode = WAL")
    return path


def query(database: Path, statement: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(database)) as connection:
        return connection.execute(statement).fetchall()


def rows_of_before(database: Path) -> Rows:
    """All rows, in the columns that they have had from the beginning."""
    return {
        table: sorted(query(database, f"SELECT {columns} FROM {table}"))  # noqa: S608 -- the names stand in this file
        for table, columns in BEFORE.items()
    }


ORGANISED: Final = MIGRATIONS[:3]
"""The scripts after which events had details and orders a life, and rows were still checked against lists."""


async def organised_database(path: Path) -> Path:
    """Makes a database with schema 0003 in which something of everything has happened."""
    migrate(path, ORGANISED)
    async with AsyncExitStack() as opened:
        store = await SqliteStore.open(path)
        opened.push_async_callback(store.close)
        office = BoxOffice(store)
        opened.push_async_callback(office.stop)
        await office.start()
        await office.open_event("off", 1)
        await office.delete_event("off")
        await office.create_event("gig", 2, Details(title="The Gig", venue="Hall", starts_at=2**52))
        orders = {
            guest: (await office.book("gig", guest, contact=Contact(guest.title(), f"{guest}@example.org"), once=once))
            for guest, once in [("ada", None), ("bob", Once(bytes(32), bytes(32), str)), ("cleo", None), ("dan", None)]
        }
        await office.cancel("gig", "ada", "organiser", "She is ill")
        await office.check_in("gig", "bob", orders["bob"].order_id, "west")
        await office.check_in("gig", "cleo", orders["cleo"].order_id, None)
        await office.undo_check_in("gig", "cleo", orders["cleo"].order_id)
        await office.revise("gig", tickets=3)
        await office.erase("gig", "dan", (orders["dan"].order_id,))
        await office.book("gig", "eve")
    return path


def every_row(database: Path) -> Rows:
    """All rows of all tables, but for the list of scripts, with the names of their columns."""
    with closing(sqlite3.connect(database)) as connection:
        connection.row_factory = lambda cursor, row: tuple(
            (column[0], value) for column, value in zip(cursor.description, row, strict=True)
        )
        return {
            table: sorted(connection.execute(f"SELECT * FROM {table}"), key=repr)  # noqa: S608 -- the names stand here
            for table in ("events", "orders", "ledger", "kept_answers")
        }


# What becomes of the rows


def test_the_database_of_then_holds_something_of_everything(old: Path) -> None:
    kinds = Counter(kind for _, _, kind, *_ in rows_of_before(old)["ledger"])
    statuses = Counter(status for _, _, _, status, *_ in rows_of_before(old)["orders"])
    assert kinds.keys() == {"opened", "resized", "booked", "joined", "promoted", "cancelled"}
    assert statuses.keys() == {"booked", "waiting", "cancelled"}
    assert [script.state for script in status(old, MIGRATIONS)][:2] == ["applied", "pending"]


async def test_an_upgrade_keeps_every_row_and_every_hash(old: Path) -> None:
    before = rows_of_before(old)
    assert migrate(old, MIGRATIONS).applied == MIGRATIONS[1:]
    assert rows_of_before(old) == before
    assert await problems(old) == []


def test_each_order_knows_the_entry_that_placed_it(old: Path) -> None:
    placed = {
        order_id: seq
        for _, seq, kind, _, _, order_id, *_ in rows_of_before(old)["ledger"]
        if kind in ("booked", "joined")
    }
    migrate(old, MIGRATIONS)
    assert dict(query(old, "SELECT id, placed_entry FROM orders")) == placed


def test_an_events_revision_is_the_last_change_of_its_capacity(old: Path) -> None:
    migrate(old, MIGRATIONS)
    revisions = dict(query(old, "SELECT id, revision FROM events"))
    assert revisions == {"gig": 10, "talk": 7, "Straße 7/β, „Lesung“": 1, "nobody yet": 1, "off": 1, "rush": 28}


async def test_what_is_new_says_nothing_yet(old: Path, open_store: OpenStore) -> None:
    migrate(old, MIGRATIONS)
    store = await open_store(old)
    events = (await store.events(100)).events
    assert {event.details for event in events} == {UNTOLD}
    assert {event.counts[6:7] + event.counts[8:] for event in events} == {(0, False, False)}
    orders, _ = await store.orders("gig", 0)
    assert {(order.name, order.email, *order[8:]) for order in orders} == {(None,) * 6}
    assert query(old, "SELECT count(*) FROM kept_answers") == [(0,)]


async def test_an_upgraded_database_has_the_schema_of_a_new_one(old: Path, database: Path) -> None:
    migrate(old, MIGRATIONS)
    objects = "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY name"
    assert query(old, objects) == query(database, objects)


@pytest.mark.parametrize(
    "statement", ["UPDATE ledger SET at = at", "DELETE FROM ledger WHERE event_id = 'gig' AND seq = 14"]
)
def test_an_upgraded_ledger_is_append_only(old: Path, statement: str) -> None:
    migrate(old, MIGRATIONS)
    with closing(sqlite3.connect(old)) as connection, pytest.raises(sqlite3.IntegrityError, match="append-only"):
        connection.execute(statement)


def test_the_database_of_then_is_kept_as_a_copy(old: Path) -> None:
    before = rows_of_before(old)
    copy = migrate(old, MIGRATIONS).backup
    assert copy is not None
    assert rows_of_before(copy) == before
    assert [script.state for script in status(copy, MIGRATIONS)] == ["applied", *["pending"] * (len(MIGRATIONS) - 1)]


async def test_rows_that_were_checked_against_lists_are_what_they_were(tmp_path: Path, database: Path) -> None:
    organised = await organised_database(tmp_path / "organised.db")
    before = every_row(organised)
    assert {dict(row)["kind"] for row in before["ledger"]} | {"lapsed"} == set(get_args(Kind))
    assert {dict(row)["status"] for row in before["orders"]} == {"booked", "waiting", "cancelled"}
    assert all(any(dict(row)[column] is not None for row in before["orders"]) for column in dict(before["orders"][0]))
    assert before["kept_answers"] != []
    assert migrate(organised, MIGRATIONS).applied == MIGRATIONS[3:]
    assert every_row(organised) == before
    objects = "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY name"
    assert query(organised, objects) == query(database, objects)
    assert await problems(organised) == []


# How it goes on


async def test_an_upgraded_event_goes_on_under_the_rules_of_now(old: Path, open_store: OpenStore, start: Start) -> None:
    migrate(old, MIGRATIONS)
    store = await open_store(old)
    box_office = await start(BoxOffice(store))
    assert (await box_office.place("gig", "bob")).position == 1
    cancelled = await box_office.cancel("gig", "dan", "guest", "ill")
    assert [promotion.guest for promotion in cancelled.promoted] == ["bob"]
    assert (await box_office.book("gig", "hal")).position == 2
    event = await box_office.event("gig")
    revised = await box_office.revise("gig", event.counts.revision, tickets=4, details=Details(title="The Gig"))
    gus = await box_office.place("gig", "gus")
    assert revised.promoted == (Promotion(gus.order_id, "gus"),)
    await box_office.check_in("gig", "gus", gus.order_id, "west")
    await box_office.erase("gig", "gus", (gus.order_id,))
    assert (await box_office.counts("gig"))[1:4] == (4, 4, 1)
    assert await problems(old) == []


def test_a_server_upgrades_at_its_start_and_goes_on(tmp_path: Path) -> None:
    server = Server(tmp_path)
    old_database(server.database)
    with server:
        assert [line["message"] for line in server.log() if "migrated" in str(line.get("message"))] != []
        assert server.ask("GET /status/gig").json["waitingList"] == 2
        assert server.as_organiser("POST /cancel", {"eventId": "gig", "userId": "dan"}).json["reassignedTo"] == "bob"
        assert server.ask("POST /book", {"eventId": "gig", "userId": "hal"}).json == {"assigned": False}
        assert server.ask("POST /book", {"eventId": "talk", "userId": "dan"}).status == 200
        server.restart()
        assert server.ask("GET /status/gig").json["waitingList"] == 2
        server.verify()
    assert len(list(server.data_dir.glob("*.before-migration"))) == 1


def test_a_backup_of_then_can_be_restored(tmp_path: Path) -> None:
    server = Server(tmp_path)
    backup = old_database(tmp_path / "backup.db")
    server.data_dir.mkdir()
    restored = server.run("restore", str(backup))
    assert restored.returncode == 0, restored.stderr
    with server:
        assert server.ask("GET /status/talk").json["available"] == 4
        server.verify()


async def test_a_backup_with_rows_that_were_checked_against_lists_can_be_restored(tmp_path: Path) -> None:
    server = Server(tmp_path)
    backup = await organised_database(tmp_path / "backup.db")
    before = every_row(backup)
    server.data_dir.mkdir()
    restored = server.run("restore", str(backup))
    assert restored.returncode == 0, restored.stderr
    with server:
        assert server.ask("GET /status/gig").json["waitingList"] == 1
        server.verify()
    assert every_row(server.database) == before


# What hinders it


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        ("INSERT INTO orders VALUES ('new', 'gig', 'mallory', 'booked', NULL, 0)", "14: the ledger has 7 orders, .* 8"),
        ("UPDATE ledger SET at = at + 1 WHERE event_id = 'gig' AND seq = 3", "3: its hash does not match"),
        ("DELETE FROM ledger WHERE event_id = 'gig' AND seq = 14", "13: the events table says something else"),
        ("UPDATE orders SET user_id = 'mallory' WHERE id = '64750b2cd0332f8b1224'", "3: its order now names another"),
        ("UPDATE events SET booked = 2, waiting = 0 WHERE id = 'gig'", "14: the events table says something else"),
        ("UPDATE ledger SET detail = x'32' WHERE event_id = 'gig' AND seq = 1", "1: here or later, a value is of"),
    ],
)
def test_a_damaged_database_is_refused_as_it_is_and_the_damage_is_named(old: Path, damage: str, told: str) -> None:
    meddle(old, damage)
    before = old.read_bytes()
    with pytest.raises(MigrationRefused, match=rf"event 'gig' is damaged at entry {told}.* Restore a backup"):
        migrate(old, MIGRATIONS)
    assert old.read_bytes() == before
    assert [path.name for path in old.parent.iterdir() if "before-migration" in path.name] == []


# The migrator in a process of its own. SQLite's work is counted, in statements and in strides of each. The process
# kills itself once so much is done, or tells in the end how much it was.
WORKING = """
import os, signal, sqlite3, sys
from functools import partial
from itertools import count
from pathlib import Path
from webapp.storage import migrator

last, numbers = int(sys.argv[3]), count(1)

def work(*_):
    if next(numbers) == last:
        os.kill(os.getpid(), signal.SIGKILL)
    return 0

class Counted(sqlite3.Connection):
    def execute(self, sql, *parameters):
        work()
        self.set_progress_handler(work, 50)
        return super().execute(sql, *parameters)

sqlite3.connect = partial(sqlite3.connect, factory=Counted)
migrator.migrate(Path(sys.argv[1]), migrator.load_migrations(Path(sys.argv[2])))
print(next(numbers) - 1)
"""


def work_of_upgrade(database: Path) -> int:
    """Upgrades a database; returns how much SQLite had to do, which is the same on every machine."""
    return int(upgraded_apart(database, until=0).stdout)


def upgraded_apart(database: Path, until: int) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", WORKING, str(database), str(CODE / "schema" / "sqlite"), str(until)]
    return subprocess.run(command, cwd=CODE, capture_output=True, text=True, check=False)


async def test_a_kill_during_the_upgrade_leaves_the_one_version_or_the_other(tmp_path: Path) -> None:
    rehearsed = old_database(tmp_path / "rehearsed.db")
    before = rows_of_before(rehearsed)
    all_work = work_of_upgrade(rehearsed)
    left = Counter[tuple[str, ...]]()
    for until in sorted(
        {*range(1, all_work, max(1, all_work // effort.UPGRADE_KILLS)), *range(all_work - 10, all_work + 1)}
    ):
        database = old_database(tmp_path / f"{until}.db")
        assert upgraded_apart(database, until).returncode == -signal.SIGKILL
        left[tuple(script.state for script in status(database, MIGRATIONS)[1:])] += 1
        assert rows_of_before(database) == before
        assert query(database, "PRAGMA integrity_check") == [("ok",)]
        migrate(database, MIGRATIONS)
        assert rows_of_before(database) == before
        assert await problems(database) == []
        for copy in database.parent.glob(f"{database.name}.*.before-migration"):
            assert rows_of_before(copy) == before
        effort.tried()
    assert {("pending",) * 3, ("applied",) * 2 + ("pending",), ("applied",) * 3} <= left.keys()


def test_an_upgrade_of_twice_the_orders_is_twice_the_work(tmp_path: Path) -> None:
    one, two, four = (work_of_upgrade(crowded(tmp_path / f"{orders}.db", orders)) for orders in (500, 1_000, 2_000))
    assert four - two < 2.5 * (two - one)


def crowded(path: Path, orders: int) -> Path:
    """Makes a database with an event at which so many have booked, and every other one has cancelled since."""
    state, salt = EventState("crowd"), bytes(16)
    facts = [Fact("opened", detail=str(orders))]
    for number in range(orders):
        guest = f"guest-{number}"
        facts.append(Fact("booked", f"order-{number}", guest, salt, commitment(salt, guest)))
    facts += [Fact("cancelled", f"order-{number}", f"guest-{number}") for number in range(0, orders, 2)]
    ledger = [("crowd", *state.record(fact, 0, "guest")[:8]) for fact in facts]
    statuses = [
        (f"order-{number}", f"guest-{number}", ("cancelled", "booked")[number % 2], salt) for number in range(orders)
    ]
    with closing(sqlite3.connect(old_database(path))) as connection:
        connection.execute(
            "INSERT INTO events VALUES ('crowd', ?, ?, 0, ?, ?, 0)", (orders, state.booked, state.head, state.head_hash)
        )
        connection.executemany("INSERT INTO orders VALUES (?, 'crowd', ?, ?, ?, 0)", statuses)
        connection.executemany("INSERT INTO ledger VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", ledger)
        connection.commit()
    return path
