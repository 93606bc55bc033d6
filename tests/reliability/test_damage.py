"""A file that is not what was written is refused and left alone, or told by `verify`, and never served as the truth.

No hash is taken over what may be erased: a guest's name, address and reason are compared with nothing.
"""

import asyncio
import os
import random
import re
import shutil
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, closing
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from tests import effort
from tests.replay import MIGRATIONS, problems
from tests.server import Server, ServerEnded
from webapp.booking.answers import Refusal
from webapp.booking.details import Details
from webapp.booking.ledger import Contact, Entry, LedgerDamaged
from webapp.box_office import BoxOffice
from webapp.desk import Once, Unavailable
from webapp.enquiries import Enquiries, Standing
from webapp.storage.migrator import REFUSALS, MigrationRefused, migrate, status
from webapp.storage.sqlite import SqliteStore
from webapp.storage.store import StoreUnreadable

EVENTS: Final = ("fair", "gig", "talk")
REFUSED: Final = (MigrationRefused, LedgerDamaged, StoreUnreadable)
PAGE: Final = 4_096
AT: Final = 1_800_000_000_000_000
SEALED: Final = ("counts", "ledger", "places")
"""What a chain of hashes vouches for, and so a start: it is right, or not there at all."""


async def fill(database: Path) -> None:
    """Three events, at which something of everything has happened, and nothing that varies from run to run."""
    migrate(database, MIGRATIONS)
    async with AsyncExitStack() as opened:
        store = await SqliteStore.open(database)
        opened.push_async_callback(store.close)
        office = BoxOffice(store, clock=lambda: AT, randomness=random.Random(1).randbytes)
        opened.push_async_callback(office.stop)
        await office.start()
        for event in EVENTS:
            await office.create_event(event, 30, Details(title=f"The {event}", starts_at=2 * AT))
            for number in range(60):
                guest, key = f"guest-{number}", f"{event:>16}{number:>16}".encode()
                once = Once(key, key, str) if number % 5 == 0 else None
                contact = Contact(f"Guest {number}", f"guest-{number}@example.org")
                order_id = (await office.book(event, guest, contact=contact, once=once)).order_id
                match number % 7:
                    case 1:
                        await office.cancel(event, guest, "guest", "is ill")
                    case 2 if number < 30:
                        await office.check_in(event, guest, order_id, "west")
                    case 3:
                        await office.erase(event, guest, (order_id,))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database to copy, never to open."""
    database = tmp_path_factory.mktemp("whole") / "fairlist.db"
    asyncio.run(fill(database))
    return database


@pytest.fixture
def database(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(whole, tmp_path / "fairlist.db"))


# What becomes of it


Truth = dict[tuple[str, str], object]
"""All that is to be known, by kind and event; what cannot be read is None."""


async def served(database: Path) -> Truth:
    """What a server tells that starts on a database. Raises what it refuses it with."""
    async with AsyncExitStack() as opened:
        migrate(database, MIGRATIONS)
        store = await SqliteStore.open(database)
        opened.push_async_callback(store.close)
        office = BoxOffice(store, clock=lambda: AT)
        opened.push_async_callback(office.stop)
        await office.start()
        enquiries = Enquiries(store, office)
        told: Truth = {
            ("list", ""): await _answer(office.events(100, None, "organiser")),
            ("programme", ""): await _answer(enquiries.programme(100)),
        }
        for event in EVENTS:
            told["counts", event] = await _answer(office.event(event))
            told["ledger", event] = await _answer(_ledger(enquiries, event))
            told["places", event] = await _answer(office.places(event, [f"guest-{number}" for number in range(60)]))
            told["roster", event] = await _answer(_roster(enquiries, event))
            told["turnout", event] = await _answer(enquiries.turnout(event))
        return told


async def _answer(asked: Awaitable[object]) -> object:
    try:
        return await asked
    except Unavailable:
        return None
    except Refusal as refusal:
        return refusal.code


async def _ledger(enquiries: Enquiries, event: str) -> list[Entry]:
    return [entry._replace(guest=None, salt=None) for entry in await enquiries.ledger(event, 0, 1_000)]


async def _roster(enquiries: Enquiries, event: str) -> list[Standing]:
    standings = [found async for chunk in enquiries.whole_roster(event, share=None, q="") for found in chunk]
    return [
        Standing(order._replace(name=None, email=None, cancel_reason=None), position) for order, position in standings
    ]


async def reported(database: Path) -> list[str]:
    """What the command `verify` says is wrong."""
    try:
        if refused := [found.name for found in status(database, MIGRATIONS) if found.state in REFUSALS]:
            return refused
        return await problems(database)
    except REFUSED as refusal:
        return [str(refusal)]


async def complaint(database: Path, truth: Truth) -> str | None:
    """What is wrong with how a damaged database is treated."""
    before, found = database.read_bytes(), await reported(database)
    try:
        told = await served(database)
    except REFUSED as refusal:
        if database.read_bytes() != before:
            return f"it was changed, and refused: {refusal}"
        return None if found else f"it verifies, and was refused: {refusal}"
    differing = {kind for kind, event in truth if told[kind, event] != truth[kind, event]}
    lies = {kind for kind in SEALED for event in EVENTS if told[kind, event] not in (truth[kind, event], None)}
    if lies:
        return f"another truth was served: {sorted(lies)}"
    return f"{sorted(differing)} differ, and yet it verifies" if differing and not found else None


# Bytes


class Damage(NamedTuple):
    """Where some bytes are, and what they are now."""

    offset: int
    content: bytes

    def inflict(self, database: Path) -> None:
        """Write them."""
        with database.open("r+b") as file:
            file.seek(self.offset)
            file.write(self.content)


def damage(whole: bytes, chance: random.Random) -> Damage:
    """Random damage: bits of the header, of a page's own, or of anything; or a sector of something else."""
    page = chance.randrange(len(whole) // PAGE) * PAGE
    offset, length = chance.choice(
        [
            (chance.randrange(100), 1),
            (page + chance.randrange(12), 1),
            (chance.randrange(len(whole)), 1),
            (chance.randrange(len(whole) - 8), 8),
            (page + chance.randrange(8) * 512, 512),
        ]
    )
    if length == 512:
        return Damage(offset, chance.choice([bytes(512), b"\xff" * 512, chance.randbytes(512)]))
    return Damage(offset, bytes(byte ^ 1 << chance.randrange(8) for byte in whole[offset : offset + length]))


async def test_no_byte_that_flips_makes_another_truth(whole: Path, tmp_path: Path) -> None:
    truth, content = await served(Path(shutil.copy(whole, tmp_path / "before.db"))), whole.read_bytes()
    for seed in effort.seeds(effort.DAMAGES):
        database = fresh(whole, tmp_path)
        done = damage(content, random.Random(seed))
        done.inflict(database)
        assert (found := await complaint(database, truth)) is None, f"{found}: FIRST_SEED={seed}, {done}"


class AnyHash(bytes):
    """What every hash is taken for."""

    def __ne__(self, _: object) -> bool:
        return False


async def test_a_server_that_does_not_look_at_the_hashes_is_found_out(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    truth, content = await served(Path(shutil.copy(whole, tmp_path / "before.db"))), whole.read_bytes()
    monkeypatch.setattr("webapp.booking.state.seal", lambda *_: AnyHash())
    for seed in range(1_000):
        database = fresh(whole, tmp_path)
        damage(content, random.Random(seed)).inflict(database)
        if "another truth was served" in (await complaint(database, truth) or ""):
            return
    raise AssertionError("no other truth was served")


async def test_a_file_that_ends_too_early_is_refused(whole: Path, tmp_path: Path) -> None:
    content = whole.read_bytes()
    truth = await served(Path(shutil.copy(whole, tmp_path / "before.db")))
    for length in (
        *range(1, len(content), len(content) // 20),
        100,
        512,
        PAGE - 1,
        PAGE,
        len(content) - PAGE,
        len(content) - 1,
    ):
        database = fresh(whole, tmp_path)
        database.write_bytes(content[:length])
        assert (found := await complaint(database, truth)) is None, f"{found}: {length} bytes"
        with pytest.raises(REFUSED):
            await served(database)


def fresh(whole: Path, folder: Path) -> Path:
    """A copy of the database, with nothing left beside it of the one before."""
    for path in folder.glob("fairlist.db*"):
        path.unlink()
    return Path(shutil.copy(whole, folder / "fairlist.db"))


# Rows


ROWS: Final = {
    "an entry is changed": "UPDATE ledger SET at = at + 1 WHERE event_id = 'gig' AND seq = 9",
    "an entry is deleted": "DELETE FROM ledger WHERE event_id = 'gig' AND seq = 9",
    "an entry is put in": """
        UPDATE ledger SET seq = seq + 1000 WHERE event_id = 'gig' AND seq > 9;
        UPDATE ledger SET seq = seq - 999 WHERE event_id = 'gig' AND seq > 1000;
        INSERT INTO ledger SELECT event_id, 10, kind, at, actor, order_id, reason, detail, hash
          FROM ledger WHERE event_id = 'gig' AND seq = 9""",
    "two entries change places": """
        UPDATE ledger SET seq = 1000 WHERE event_id = 'gig' AND seq = 9;
        UPDATE ledger SET seq = 9 WHERE event_id = 'gig' AND seq = 10;
        UPDATE ledger SET seq = 10 WHERE event_id = 'gig' AND seq = 1000""",
    "a hash is changed": "UPDATE ledger SET hash = randomblob(32) WHERE event_id = 'gig' AND seq = 9",
    "the last entry is gone": """
        DELETE FROM ledger WHERE event_id = 'gig' AND seq = (SELECT head FROM events WHERE id = 'gig')""",
    "an order is somebody else's": "UPDATE orders SET user_id = 'Dan' WHERE user_id = 'guest-0' AND event_id = 'gig'",
    "an order is gone": "DELETE FROM orders WHERE user_id = 'guest-0' AND event_id = 'gig'",
    "who waits has a ticket": "UPDATE orders SET status = 'booked' WHERE user_id = 'guest-58' AND event_id = 'gig'",
    "who has a ticket waits": "UPDATE orders SET status = 'waiting' WHERE user_id = 'guest-0' AND event_id = 'gig'",
    "a cancelled order is live": "UPDATE orders SET status = 'booked' WHERE user_id = 'guest-1' AND event_id = 'gig'",
    "a ticket too many is counted": "UPDATE events SET booked = booked - 1 WHERE id = 'gig'",
    "an event has more tickets": "UPDATE events SET capacity = capacity + 1 WHERE id = 'gig'",
    "an event begins later": "UPDATE events SET starts_at = starts_at + 1 WHERE id = 'gig'",
    "an event is gone": "DELETE FROM events WHERE id = 'gig'",
}


@pytest.mark.parametrize("script", [pytest.param(script, id=name) for name, script in ROWS.items()])
async def test_a_row_that_is_not_what_was_written_is_refused_by_name(database: Path, script: str) -> None:
    alter(database, script)
    before = database.read_bytes()
    assert await reported(database)
    named = r"event 'gig' is damaged at entry [0-9]+|event 'gig' has a ledger, and is missing"
    with pytest.raises((LedgerDamaged, StoreUnreadable), match=named):
        await served(database)
    assert database.read_bytes() == before


def alter(database: Path, script: str) -> None:
    """Change rows as no server does: past triggers, references and checks."""
    with closing(sqlite3.connect(database)) as connection:
        triggers = connection.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").fetchall()
        drops, makes = (
            "".join(f"DROP TRIGGER {name};" for name, _ in triggers),
            "".join(f"{sql};" for _, sql in triggers),
        )
        connection.executescript(f"PRAGMA ignore_check_constraints = ON; {drops} {script}; {makes}")


async def test_what_is_damaged_while_it_is_served_is_not_shown(
    database: Path,
    open_store: Callable[[Path], Awaitable[SqliteStore]],
    start: Callable[[BoxOffice], Awaitable[BoxOffice]],
) -> None:
    store = await open_store(database)
    office = await start(BoxOffice(store))
    alter(database, "UPDATE orders SET status = 'booked' WHERE user_id = 'guest-1' AND event_id = 'gig'")
    with pytest.raises(Unavailable, match="orders are damaged"):
        await _roster(Enquiries(store, office), "gig")
    assert len(await _roster(Enquiries(store, office), "talk")) == 60


async def test_a_kept_answer_that_is_no_text_is_told_without_it(
    database: Path, open_store: Callable[[Path], Awaitable[SqliteStore]]
) -> None:
    alter(database, "UPDATE kept_answers SET text = CAST(x'426f62ff' AS TEXT)")
    store = await open_store(database)
    with pytest.raises(StoreUnreadable) as problem:
        await store.kept([f"{'gig':>16}{0:>16}".encode()], 0)
    assert str(problem.value) == "the file is damaged, restore a backup: a value of column text is not text"


# A real server


def flip(server: Server) -> None:
    Damage(server.database.stat().st_size // 2 // PAGE * PAGE, b"\xff" * PAGE).inflict(server.database)


def cut_short(server: Server) -> None:
    os.truncate(server.database, server.database.stat().st_size // 2)


def a_stump(server: Server) -> None:
    os.truncate(server.database, 100)


def something_else(server: Server) -> None:
    server.database.write_text("milk, bread, tickets\n" * 1_000)


def of_another_program(server: Server) -> None:
    server.database.unlink()
    with closing(sqlite3.connect(server.database)) as connection:
        connection.executescript("CREATE TABLE events (id); INSERT INTO events VALUES (1)")


def newer(server: Server) -> None:
    alter(server.database, "INSERT INTO migrations VALUES (9999, '9999_add_wings', printf('%064d', 0), 0)")


def edited(server: Server) -> None:
    alter(server.database, "UPDATE migrations SET sha256 = printf('%064d', 0) WHERE version = 2")


def skipped(server: Server) -> None:
    alter(server.database, "DELETE FROM migrations WHERE version = 1")


def a_folder(server: Server) -> None:
    server.database.unlink()
    server.database.mkdir()


def unreadable(server: Server) -> None:
    server.database.chmod(0)


def not_to_be_written(server: Server) -> None:
    server.database.chmod(0o400)


def in_a_folder_that_cannot_be_written(server: Server) -> None:
    server.data_dir.chmod(0o500)


def a_changed_row(server: Server) -> None:
    alter(server.database, ROWS["an entry is changed"])


def emptied_beside_its_log(server: Server) -> None:
    server.database.with_name("fairlist.db-wal").write_bytes(b"\x37\x7f" * 100)
    os.truncate(server.database, 0)


WITHOUT_PRIVILEGES: Final = """
import ctypes, os, sys
for right in (1, 2):  # to pass over the permissions of files, and of folders, which root has
    ctypes.CDLL(None).prctl(24, right, 0, 0, 0)
os.execv(sys.executable, [sys.executable, "-m", "webapp", "serve"])
"""


@pytest.mark.parametrize(
    ("meddle", "told"),
    [
        (flip, r"fairlist\.db .*damaged.*\n.*`fairlist restore`"),
        (cut_short, r"fairlist\.db .*damaged.*`fairlist restore`"),
        (a_stump, r"fairlist\.db is damaged.*`fairlist restore`"),
        (something_else, r"fairlist\.db is not a SQLite database\. Check the path, or move that file away\."),
        (of_another_program, r"fairlist\.db belongs to another program\. Give Fairlist a database of its own\."),
        (newer, r"fairlist\.db is newer than this Fairlist.*9999_add_wings\. Install the newer version"),
        (edited, r"Migration 0002_\w+ was changed after .*fairlist\.db had it applied\. Restore the script"),
        (skipped, r"Migration 0001_\w+ was never applied to .*fairlist\.db.*Restore a backup"),
        (a_folder, r"fairlist\.db.* Check that it exists, its permissions"),
        (unreadable, r"fairlist\.db cannot be written\. Check its permissions"),
        (not_to_be_written, r"fairlist\.db cannot be written\. Check its permissions"),
        (in_a_folder_that_cannot_be_written, r"fairlist\.db\.lock: Permission denied"),
        (a_changed_row, r"The ledger of event 'gig' is damaged at entry 9: .*\n.*`fairlist restore`"),
        (emptied_beside_its_log, r"fairlist\.db is empty, yet fairlist\.db-wal .*`fairlist restore`"),
    ],
)
def test_a_start_is_refused_in_a_sentence_and_makes_nothing_worse(
    whole: Path, tmp_path: Path, meddle: Callable[[Server], None], told: str
) -> None:
    server = Server(tmp_path, program=("-c", WITHOUT_PRIVILEGES))
    server.data_dir.mkdir()
    shutil.copy(whole, server.database)
    meddle(server)
    before = contents(server)
    with pytest.raises(ServerEnded) as refused, server:
        pass
    server.data_dir.chmod(0o700)
    assert refused.value.status == 1
    complaint = server.stderr.rpartition("Error: ")[2]
    assert re.search(told, complaint), complaint
    assert "Traceback" not in server.stderr
    assert contents(server) == before


# The write-ahead log


def log_of(server: Server) -> Path:
    return server.database.with_name("fairlist.db-wal")


def book(server: Server, *guests: str) -> None:
    for guest in guests:
        assert server.ask("POST /book", {"eventId": "hall", "userId": guest}).status == 200


def hall(server: Server) -> list[str]:
    """The kinds of the hall's entries."""
    return [kind for (kind,) in server.query("SELECT kind FROM ledger WHERE event_id = 'hall' ORDER BY seq")]


@pytest.mark.parametrize("kept", [0.0, 0.6])
def test_what_is_left_of_a_log_that_was_cut_while_the_server_was_down_is_a_beginning(
    tmp_path: Path, kept: float
) -> None:
    with Server(tmp_path) as server:
        server.as_organiser("POST /initialize", {"eventId": "hall", "tickets": 3})
        server.restart()  # which folds the log so far into the database
        book(server, *(f"guest-{number}" for number in range(20)))
        before = hall(server)
        server.kill()
        os.truncate(log_of(server), int(log_of(server).stat().st_size * kept))
        server.start()
        server.verify()
        left = hall(server)
        assert left == before[: len(left)]
        assert 1 <= len(left) < len(before), "nobody can tell what has never been on disk from what was taken away"
        book(server, "dan")


def test_a_server_whose_log_is_cut_under_it_ends_before_it_answers_again(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        server.as_organiser("POST /initialize", {"eventId": "hall", "tickets": 3})
        book(server, "Bob")
        os.truncate(log_of(server), 0)
        reply = server.ask("POST /book", {"eventId": "hall", "userId": "Cleo"})
        assert (reply.status, reply.code) == (503, "outcome_unknown")
        assert server.wait() == 70


@pytest.mark.parametrize(
    "doing", ["PRAGMA wal_checkpoint(TRUNCATE)", "PRAGMA wal_checkpoint(RESTART)", "VACUUM", "PRAGMA optimize"]
)
def test_a_program_that_shortens_the_log_and_loses_nothing_disturbs_nobody(tmp_path: Path, doing: str) -> None:
    with Server(tmp_path) as server:
        server.as_organiser("POST /initialize", {"eventId": "hall", "tickets": 3})
        book(server, "Bob")
        with closing(sqlite3.connect(server.database, isolation_level=None)) as other:
            other.execute(doing)
            other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        book(server, "Cleo")
        server.kill()
        server.start()
        assert server.ask("GET /status/hall").json["available"] == 1
        server.verify()


def test_the_index_of_the_log_is_made_again(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        server.as_organiser("POST /initialize", {"eventId": "hall", "tickets": 3})
        book(server, "Bob", "Cleo")
        server.kill()
        server.database.with_name("fairlist.db-shm").unlink()
        server.start()
        assert hall(server) == ["opened", "booked", "booked"]
        server.verify()


def contents(server: Server) -> dict[str, bytes | None]:
    """All files of the data folder that hold data, and the folders."""
    return {
        path.name: path.read_bytes() if path.is_file() else None
        for path in server.data_dir.iterdir()
        if not path.name.endswith((".lock", "-shm"))
    }
