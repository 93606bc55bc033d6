"""The command line, each command as a process of its own: what it does, what it refuses, and how it says so."""

import asyncio
import os
import pty
import re
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack, closing
from pathlib import Path
from typing import IO

import pytest

from tests.client import basic
from tests.replay import MIGRATIONS
from tests.server import CODE, Server
from webapp.booking.details import Details
from webapp.booking.ledger import GENESIS, Contact, Entry, seal
from webapp.box_office import BoxOffice
from webapp.cli import main
from webapp.server import PortTaken, listening_socket
from webapp.storage.migrator import migrate
from webapp.storage.sqlite import SqliteStore

COMMANDS = sorted(main.commands)
FAIR = Details(
    title="Book fair", description="Bring a bag.", venue="Town hall", starts_at=4_000_000_000_000_000,
    ends_at=4_000_000_009_000_000, time_zone="Europe/Berlin", opens_at=1, closes_at=4_000_000_005_000_000,
)  # fmt: skip
WHOLE = "Replayed 3 events, 22 entries: nothing is wrong.\n"
SPOILED = "UPDATE ledger SET at = 0 WHERE event_id = 'gig' AND seq = 2"


def at(folder: Path, **settings: str) -> Server:
    """What runs in a folder for a stranger, who has set nothing but what is given here."""
    return Server(folder, **{"DATA_DIR": "data", "ADMIN_USER": "", "ADMIN_PASS": "", **settings})


def ended(home: Server, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run a command to its end, which is never a traceback."""
    run = home.run(*arguments)
    assert "Traceback" not in run.stderr
    return run


def done(home: Server, *arguments: str) -> str:
    """Run a command; returns what it prints where all is well."""
    run = ended(home, *arguments)
    assert (run.returncode, run.stderr) == (0, "")
    return run.stdout


def refused(home: Server, *arguments: str) -> str:
    """Run a command; returns the sentences that it is refused with."""
    run = ended(home, *arguments)
    assert run.returncode == 1
    assert run.stderr.startswith("Error: ")
    return run.stderr.removeprefix("Error: ").rstrip()


def book(server: Server, event_id: str, *guests: str) -> None:
    """Book for guests, one after the other."""
    for guest in guests:
        assert server.ask("POST /book", {"eventId": event_id, "userId": guest}).status == 200


def counts(server: Server, event_id: str) -> tuple[int, int]:
    """How many tickets are available, and how many guests wait."""
    status = server.ask(f"GET /status/{event_id}").json
    return status["available"], status["waitingList"]


def sign_in(server: Server, user: str, password: str) -> int:
    """The status that a user and a password get."""
    return server.ask("POST /auth/token", None, {"Authorization": basic(user, password)}).status


def change(database: Path, script: str) -> None:
    """Alter a database as no server does: past the triggers, the references and the checks."""
    with closing(sqlite3.connect(database)) as connection:
        triggers = connection.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").fetchall()
        drops = "".join(f"DROP TRIGGER {name};" for name, _ in triggers)
        makes = "".join(f"{sql};" for _, sql in triggers)
        connection.executescript(f"PRAGMA ignore_check_constraints = ON; {drops} {script}; {makes}")


def names(folder: Path, pattern: str = "*") -> list[str]:
    return sorted(path.name for path in folder.glob(pattern))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database to copy. At the gig Bob cancelled, so Dan has his ticket; Eve and Fay wait. The talk has room.

    The fair has details. Gus and Ines have arrived, and Ines is erased; Hal cancelled, so Jo has his ticket.
    """
    database = tmp_path_factory.mktemp("made") / "fairlist.db"
    migrate(database, MIGRATIONS)

    async def make() -> None:
        async with AsyncExitStack() as opened:
            store = await SqliteStore.open(database)
            opened.push_async_callback(store.close)
            box_office = BoxOffice(store)
            opened.push_async_callback(box_office.stop)
            await box_office.start()
            await box_office.open_event("gig", 2)
            for guest in ("bob", "cleo", "dan", "eve", "fay"):
                await box_office.book("gig", guest)
            await box_office.cancel("gig", "bob", "guest")
            await box_office.open_event("talk", 5)
            await box_office.book("talk", "bob")
            await box_office.cancel("talk", "bob", "guest")
            await box_office.create_event("fair", 3, FAIR)
            orders = {
                guest: (await box_office.book("fair", guest, contact=Contact(f"{guest} the guest"))).order_id
                for guest in ("gus", "hal", "ines", "jo")
            }
            await box_office.check_in("fair", "gus", orders["gus"], "west")
            await box_office.check_in("fair", "ines", orders["ines"], None)
            await box_office.cancel("fair", "hal", "organiser", "is ill")
            await box_office.erase("fair", "ines", (orders["ines"],))

    asyncio.run(make())
    return database


@pytest.fixture
def home(made: Path, tmp_path: Path) -> Server:
    """A folder whose data folder holds a copy of the database. Nothing runs."""
    home = at(tmp_path)
    home.data_dir.mkdir(mode=0o700)
    shutil.copy(made, home.database)
    return home


@pytest.fixture(scope="module")
def next_version(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The program as its next version could be, with one more migration: what PYTHONPATH has to be."""
    tree = tmp_path_factory.mktemp("next")
    for folder in ("webapp", "schema", "static", "templates"):
        shutil.copytree(CODE / folder, tree / folder, ignore=shutil.ignore_patterns("__pycache__"))
    number = len(names(tree / "schema" / "sqlite", "*.sql")) + 1
    script = tree / "schema" / "sqlite" / f"{number:04}_remember_the_weather.sql"
    script.write_text("CREATE TABLE weather (day INTEGER PRIMARY KEY) STRICT;\n")
    return os.pathsep.join([str(tree), *filter(None, [os.environ.get("PYTHONPATH")])])


# Help


def test_the_help_lists_every_command(tmp_path: Path) -> None:
    told = done(at(tmp_path), "--help")
    listed = told.split("Commands:\n")[1].split("\n\n")[0]
    assert [line.split()[0] for line in listed.splitlines()] == COMMANDS
    assert "..." not in listed
    assert "0 done, 1 refused or damage found, 2 misused, 70 start the server again" in " ".join(told.split())
    assert done(at(tmp_path), "-h") == told


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_of_its_own_whatever_the_settings_are(tmp_path: Path, command: str) -> None:
    told = done(at(tmp_path, PORT="no port"), command, "--help")
    description = (main.commands[command].help or "").split("\b")[0]
    assert told.startswith(f"Usage: python -m webapp {command} ")
    assert " ".join(description.split()) in " ".join(told.split())
    assert names(tmp_path) == []


def test_fairlist_and_python_m_webapp_are_one(tmp_path: Path) -> None:
    script = Path(sys.executable).with_name("fairlist")
    run = subprocess.run([script, "--version"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert run.stdout == done(at(tmp_path), "--version")
    assert run.stdout.startswith("fairlist, version ")


@pytest.mark.parametrize("arguments", [(), ("book",), ("serve", "now"), ("backup",), ("restore", "missing.db")])
def test_misuse_is_status_2_and_shows_the_right_use(tmp_path: Path, arguments: Sequence[str]) -> None:
    run = ended(at(tmp_path), *arguments)
    assert run.returncode == 2
    assert "Usage: python -m webapp" in run.stderr
    assert names(tmp_path) == []


# Settings


@pytest.mark.parametrize("command", ["serve", "demo", "migrate", "verify", "reset-password"])
def test_all_mistakes_in_the_settings_are_told_at_once(tmp_path: Path, command: str) -> None:
    wrong = {"HOST": "1.2.3", "PORT": "x", "TOKEN_EXP": "soon", "AUTH_SECRET": "hunter2", "DATABASE_URL": "mysql://m"}
    told = refused(at(tmp_path, **wrong), command)
    assert told.splitlines()[0] == "These settings are not right:"
    for name in wrong:
        assert f"\n  {name} must " in told
    assert "hunter2" not in told
    assert names(tmp_path) == []


def test_the_environment_wins_over_the_file_env_and_the_file_over_the_default(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("DATABASE_URL=sqlite:///from-file.db\n")
    done(at(tmp_path), "migrate")
    assert names(tmp_path, "*.db") == ["from-file.db"]
    done(at(tmp_path, DATABASE_URL="sqlite:///from-environment.db"), "migrate")
    assert names(tmp_path, "*.db") == ["from-environment.db", "from-file.db"]


def test_an_env_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"ADMIN_USER=\xff\n")
    assert "The file .env cannot be read" in refused(at(tmp_path), "migrate")


@pytest.mark.parametrize("mode", ["demo", "test"])
def test_a_mode_with_a_temporary_database_has_none_to_work_on(home: Server, mode: str) -> None:
    private = at(home.folder, APP_ENV=mode)
    for command in (["migrate"], ["verify"], ["backup", "copy.db"], ["restore", "data/fairlist.db"]):
        assert "there is no database to work on" in refused(private, *command)
    assert "there is no password to reset" in refused(private, "reset-password")
    assert names(home.folder) == ["data"]
    assert names(home.data_dir) == ["fairlist.db"]


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    for command in ("serve", "migrate", "reset-password"):
        assert refused(at(tmp_path), command).startswith("data: ")


# Migrating


def test_migrating_makes_a_private_database_once(tmp_path: Path) -> None:
    home = at(tmp_path)
    assert done(home, "migrate").startswith("Applied 0001_")
    assert done(home, "migrate") == "Nothing to do: the database is up to date.\n"
    assert stat.S_IMODE(home.data_dir.stat().st_mode) == 0o700
    assert stat.S_IMODE(home.database.stat().st_mode) == 0o600


def test_the_status_of_migrations_is_shown_and_nothing_is_made(tmp_path: Path) -> None:
    home = at(tmp_path)
    scripts = [name.removesuffix(".sql") for name in names(CODE / "schema" / "sqlite", "*.sql")]
    assert done(home, "migrate", "--status") == "".join(f"{name}  pending\n" for name in scripts)
    assert names(tmp_path) == []
    done(home, "migrate")
    lines = done(home, "migrate", "--status").splitlines()
    assert [line.split()[:2] for line in lines] == [[name, "applied"] for name in scripts]
    assert all(line.endswith(" UTC") for line in lines)


def test_migrating_a_database_with_data_keeps_a_copy_beside_it(home: Server, next_version: str) -> None:
    newer = at(home.folder, PYTHONPATH=next_version)
    first, second = done(newer, "migrate").splitlines()
    copy = first.removeprefix("The database as it was: ")
    assert second.endswith("_remember_the_weather")
    assert done(newer, "verify") == WHOLE
    assert done(at(home.folder, DATABASE_URL=f"sqlite:///{copy}"), "verify") == WHOLE


def test_a_database_of_a_newer_version_is_refused_by_every_command(home: Server, next_version: str) -> None:
    done(at(home.folder, PYTHONPATH=next_version), "migrate")
    before = home.database.read_bytes()
    shutil.copy(home.database, home.folder / "newer.db")
    for command in (["serve"], ["migrate"], ["verify"], ["backup", "copy.db"], ["restore", "newer.db"]):
        told = refused(home, *command)
        assert "is newer than this Fairlist" in told
        assert "_remember_the_weather" in told
        assert "Install the newer version again" in told
    assert "_remember_the_weather  future" in done(home, "migrate", "--status")
    assert home.database.read_bytes() == before


def test_a_database_of_an_older_version_is_verified_once_it_is_migrated(home: Server, next_version: str) -> None:
    newer = at(home.folder, PYTHONPATH=next_version)
    assert "`fairlist migrate` brings it up to date" in refused(newer, "verify")
    assert "Not replayed" in done(newer, "backup", "copy.db")
    assert done(at(home.folder, DATABASE_URL="sqlite:///copy.db"), "verify") == WHOLE


# Verifying


def test_a_whole_database_verifies(home: Server) -> None:
    assert done(home, "verify") == WHOLE


def test_without_a_database_there_is_nothing_to_verify_or_to_copy(tmp_path: Path) -> None:
    assert "There is no database at data/fairlist.db" in refused(at(tmp_path), "verify")
    assert "There is no database at data/fairlist.db" in refused(at(tmp_path), "backup", "copy.db")
    assert names(tmp_path) == []


DAMAGE = {
    "an entry has another time": (
        "UPDATE ledger SET at = at + 1 WHERE event_id = 'gig' AND seq = 3",
        "event 'gig' is damaged at entry 3",
    ),
    "an entry has another kind": (
        "UPDATE ledger SET kind = 'joined' WHERE event_id = 'gig' AND seq = 2",
        "event 'gig' is damaged at entry 2",
    ),
    "an entry has another capacity": (
        "UPDATE ledger SET detail = '9' WHERE event_id = 'talk' AND seq = 1",
        "event 'talk' is damaged at entry 1",
    ),
    "an entry has another actor": (
        "UPDATE ledger SET actor = 'organiser' WHERE event_id = 'talk' AND seq = 3",
        "event 'talk' is damaged at entry 3",
    ),
    "an entry has another reason": (
        "UPDATE ledger SET reason = 'late' WHERE event_id = 'gig' AND seq = 7",
        "event 'gig' is damaged at entry 7",
    ),
    "a hash has changed": (
        "UPDATE ledger SET hash = zeroblob(32) WHERE event_id = 'gig' AND seq = 4",
        "event 'gig' is damaged at entry 4",
    ),
    "the last hash has changed": (
        "UPDATE ledger SET hash = zeroblob(32) WHERE event_id = 'gig' AND seq = 8",
        "event 'gig' is damaged at entry 8",
    ),
    "an entry is gone": (
        "DELETE FROM ledger WHERE event_id = 'gig' AND seq = 3",
        "event 'gig' is damaged at entry 4",
    ),
    "a promotion is gone from the end": (
        "DELETE FROM ledger WHERE event_id = 'gig' AND seq = 8",
        "event 'gig' is damaged at entry 7: a ticket lies idle",
    ),
    "several entries are gone from the end": (
        "DELETE FROM ledger WHERE event_id = 'gig' AND seq > 6",
        "event 'gig' is damaged at entry 6: the events table says",
    ),
    "two entries have changed places": (
        """UPDATE ledger SET seq = 99 WHERE event_id = 'gig' AND seq = 4;
           UPDATE ledger SET seq = 4 WHERE event_id = 'gig' AND seq = 5;
           UPDATE ledger SET seq = 5 WHERE event_id = 'gig' AND seq = 99""",
        "event 'gig' is damaged at entry 4",
    ),
    "an order is somebody else's": (
        "UPDATE orders SET user_id = 'mallory' WHERE user_id = 'cleo'",
        "event 'gig' is damaged at entry 3: its order now names another guest",
    ),
    "a booked order waits": (
        "UPDATE orders SET status = 'waiting' WHERE user_id = 'cleo'",
        "event 'gig' is damaged at entry 8: the orders table says",
    ),
    "a waiting order is cancelled": (
        "UPDATE orders SET status = 'cancelled' WHERE user_id = 'eve'",
        "event 'gig' is damaged at entry 8: the orders table lacks 1",
    ),
    "an order is gone": (
        "DELETE FROM orders WHERE user_id = 'dan'",
        "event 'gig' is damaged at entry 4: its order is missing",
    ),
    "an order came from nowhere": (
        "INSERT INTO orders VALUES ('x', 'gig', 'mal', 'booked', NULL, 1, 9, NULL, NULL, NULL, NULL, NULL, NULL)",
        "event 'gig' is damaged at entry 8: the orders table says that order x is booked",
    ),
    "a cancelled order came from nowhere": (
        "INSERT INTO orders VALUES ('x', 'gig', 'mal', 'cancelled', NULL, 1, 9, NULL, NULL, NULL, NULL, NULL, NULL)",
        "event 'gig': the ledger has 5 orders, the orders table 6",
    ),
    "an event has another capacity": (
        "UPDATE events SET capacity = 6 WHERE id = 'talk'",
        "event 'talk' is damaged at entry 3: the events table says",
    ),
    "a count is too high": (
        "UPDATE events SET booked = 1 WHERE id = 'talk'",
        "event 'talk' is damaged at entry 3: the events table says",
    ),
    "a count is too low": (
        "UPDATE events SET waiting = 1 WHERE id = 'gig'",
        "event 'gig' is damaged at entry 8: the events table says",
    ),
    "a count is impossible": (
        "UPDATE events SET waiting = -1 WHERE id = 'talk'",
        "event 'talk' is damaged at entry 3: the events table says",
    ),
    "an event's last hash has changed": (
        "UPDATE events SET head_hash = zeroblob(32) WHERE id = 'gig'",
        "event 'gig' is damaged at entry 8: the events table says",
    ),
    "a name is no text any more": (
        "UPDATE orders SET user_id = CAST(x'ff6f62' AS TEXT) WHERE user_id = 'cleo'",
        "event 'gig' is damaged at entry 3: its order now names another guest",
    ),
    "an index is gone": (
        "DROP INDEX orders_one_live_per_guest",
        "the schema is not as it was made: orders_one_live_per_guest is missing or altered",
    ),
    "an index is another": (
        "DROP INDEX events_newest_first; CREATE INDEX events_newest_first ON events (id)",
        "the schema is not as it was made: events_newest_first is missing or altered",
    ),
    "an event is gone": (
        "DELETE FROM events WHERE id = 'gig'",
        "a row of ledger refers to a row of events that is not there",
    ),
    "an event got details from nowhere": (
        "UPDATE events SET title = 'The Gig' WHERE id = 'gig'",
        "event 'gig' is damaged at entry 1: the events table has other details than were recorded",
    ),
    "an order is placed by another entry": (
        "UPDATE orders SET placed_entry = 4 WHERE user_id = 'gus'",
        "event 'fair'",
    ),
    "a cancelled order is placed by another entry": (
        "UPDATE orders SET placed_entry = 3 WHERE user_id = 'hal'",
        "event 'fair'",
    ),
    "an order is placed at another time": (
        "UPDATE orders SET placed_at = placed_at + 1 WHERE user_id = 'gus'",
        "event 'fair'",
    ),
    "a check-in is gone": (
        "UPDATE orders SET checked_in_at = NULL, gate = NULL WHERE user_id = 'gus'",
        "event 'fair' is damaged at entry 11: the orders table has another check-in of order",
    ),
    "a check-in came from nowhere": (
        "UPDATE orders SET checked_in_at = 1 WHERE user_id = 'jo'",
        "event 'fair' is damaged at entry 11: the orders table has another check-in of order",
    ),
    "a check-in has another time": (
        "UPDATE orders SET checked_in_at = checked_in_at + 1 WHERE user_id = 'gus'",
        "event 'fair' is damaged at entry 11: the orders table has another check-in of order",
    ),
    "a check-in has another gate": (
        "UPDATE orders SET gate = 'east' WHERE user_id = 'gus'",
        "event 'fair' is damaged at entry 11: the orders table has another check-in of order",
    ),
    "a check-in got a gate": (
        "UPDATE orders SET gate = 'east' WHERE erased_at IS NOT NULL",
        "event 'fair' is damaged at entry 11: the orders table has another check-in of order",
    ),
    "the check-in of a cancelled order came from nowhere": (
        "UPDATE orders SET checked_in_at = 1 WHERE user_id = 'hal'",
        "event 'fair'",
    ),
    "an order without its salt is somebody else's": (
        "UPDATE orders SET user_id = 'mallory', salt = NULL WHERE user_id = 'jo'",
        "event 'fair'",
    ),
    "an erased order names somebody": (
        "UPDATE orders SET user_id = 'mallory' WHERE erased_at IS NOT NULL",
        "event 'fair'",
    ),
    "an erased order has a name": (
        "UPDATE orders SET name = 'Ines', erased_at = NULL WHERE erased_at IS NOT NULL",
        "event 'fair'",
    ),
    "an erased order has a name, and says that it is erased": (
        "UPDATE orders SET name = 'Ines' WHERE erased_at IS NOT NULL",
        "event 'fair'",
    ),
    "an order that stands has a reason for its end": (
        "UPDATE orders SET cancel_reason = 'is ill' WHERE user_id = 'jo'",
        "event 'fair'",
    ),
}
"""What is done to the database, and what `verify` says of it."""


def test_a_missing_trigger_is_damage(home: Server) -> None:
    with closing(sqlite3.connect(home.database)) as connection:
        connection.execute("DROP TRIGGER ledger_entries_never_change")
    found = home.run("verify")
    assert found.returncode == 1
    assert "schema is not as it was made: ledger_entries_never_change is missing or altered" in found.stderr


def test_an_order_that_lost_its_event_is_damage(home: Server) -> None:
    change(
        home.database,
        "PRAGMA writable_schema = ON;"
        "UPDATE sqlite_schema SET sql = replace(sql, 'NOT NULL REFERENCES', 'REFERENCES') WHERE name = 'orders'",
    )
    change(home.database, "UPDATE orders SET event_id = NULL WHERE user_id = 'hal'")
    run = ended(home, "verify")
    assert run.returncode == 1
    assert "Event None: the ledger has 0 orders, the orders table 1" in run.stderr


@pytest.mark.parametrize(("damage", "told"), DAMAGE.values(), ids=DAMAGE)
def test_damage_is_told_with_the_entry_and_is_status_1(home: Server, damage: str, told: str) -> None:
    change(home.database, damage)
    run = ended(home, "verify")
    assert run.returncode == 1
    assert told.lower() in run.stderr.lower()
    assert re.fullmatch(r"Replayed . events?, \d+ entries: \d+ problems?\.\n", run.stdout)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("title", "'Book burning'"),
        ("description", "''"),
        ("venue", "'Town hall '"),
        ("starts_at", "starts_at + 1"),
        ("ends_at", "NULL"),
        ("time_zone", "'UTC'"),
        ("opens_at", "opens_at - 1"),
        ("closes_at", "NULL"),
        ("hidden", "1"),
    ],
)
def test_details_that_nobody_recorded_are_damage(home: Server, column: str, value: str) -> None:
    change(home.database, f"UPDATE events SET {column} = {value} WHERE id = 'fair'")  # noqa: S608 -- the names stand in this file
    run = ended(home, "verify")
    assert run.returncode == 1
    assert "event 'fair' is damaged at entry 2: the events table has other details than were recorded" in run.stderr


@pytest.mark.parametrize("column", ["capacity", "booked", "checked_in", "revision", "has_lapsed", "is_deleted", "head"])
def test_counts_that_the_ledger_does_not_lead_to_are_damage(home: Server, column: str) -> None:
    change(home.database, f"UPDATE events SET {column} = 1 - min({column}, 1) WHERE id = 'fair'")  # noqa: S608 -- the names stand in this file
    run = ended(home, "verify")
    assert run.returncode == 1
    assert "event 'fair' is damaged at entry 11: the events table says" in run.stderr


def test_damage_at_one_event_does_not_hide_damage_at_another(home: Server) -> None:
    change(home.database, "UPDATE ledger SET reason = 'late' WHERE seq = 2")
    run = ended(home, "verify")
    assert "event 'gig' is damaged at entry 2" in run.stderr
    assert "event 'talk' is damaged at entry 2" in run.stderr
    assert "event 'fair' is damaged at entry 2" in run.stderr
    assert run.stdout == "Replayed 3 events, 0 entries: 3 problems.\n"


def test_a_forged_ledger_whose_hashes_are_right_is_found_by_replaying_it(home: Server) -> None:
    change(
        home.database,
        "UPDATE ledger SET order_id = (SELECT id FROM orders WHERE user_id = 'eve') WHERE kind = 'promoted'",
    )
    entries = """
        SELECT seq, kind, at, actor, order_id, reason, detail, hash, NULL, NULL, NULL
          FROM ledger WHERE event_id = 'gig' ORDER BY seq"""
    previous = GENESIS
    for row in home.query(entries):
        previous = seal(previous, "gig", Entry._make(row)[:7])
        change(home.database, f"UPDATE ledger SET hash = x'{previous.hex()}' WHERE event_id || seq = 'gig{row[0]}'")  # noqa: S608 -- the hash was computed here
    run = ended(home, "verify")
    assert run.returncode == 1
    assert "event 'gig' is damaged at entry 8: the guest was not the first who waited" in run.stderr


@pytest.mark.parametrize("table", ["ledger", "orders", "events", "migrations"])
def test_a_damaged_page_is_told(home: Server, table: str) -> None:
    ((page,),) = home.query("SELECT rootpage FROM sqlite_schema WHERE name = ?", table)
    ((size,),) = home.query("PRAGMA page_size")
    with home.database.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * size)
    run = ended(home, "verify")
    assert run.returncode == 1
    assert "malformed" in run.stderr


def test_a_file_that_is_no_database_is_told(home: Server) -> None:
    home.database.write_text("A shopping list: milk, bread, tickets.\n" * 100)
    for command in (["serve"], ["migrate"], ["verify"], ["backup", "copy.db"]):
        assert "data/fairlist.db is not a SQLite database" in refused(home, *command)
    assert names(home.folder) == ["data"]


def test_a_database_of_another_program_is_left_alone(home: Server) -> None:
    with closing(sqlite3.connect(home.folder / "other.db")) as connection:
        connection.execute("CREATE TABLE recipes (name TEXT)")
    before = (home.folder / "other.db").read_bytes()
    for command in ("serve", "migrate", "verify"):
        assert "belongs to another program" in refused(at(home.folder, DATABASE_URL="sqlite:///other.db"), command)
    assert "belongs to another program" in refused(home, "restore", "other.db")
    assert (home.folder / "other.db").read_bytes() == before


def test_progress_is_shown_on_a_terminal_alone_and_only_where_it_takes_long(home: Server) -> None:
    always = ["-c", "import webapp.cli; webapp.cli.LONG_ENTRIES = 1; webapp.cli.main()"]
    assert "Replaying" in on_a_terminal(home, *always, "verify")
    assert on_a_terminal(home, "-m", "webapp", "verify") == ""
    assert python(home, *always, "verify", stdout=subprocess.PIPE) == (0, "")


# Copying and restoring


def test_a_copy_is_private_whole_and_stands_alone(home: Server) -> None:
    assert done(home, "backup", "copy.db") == f"Copied to copy.db\n{WHOLE}"
    assert names(home.folder) == ["copy.db", "data"]
    assert stat.S_IMODE((home.folder / "copy.db").stat().st_mode) == 0o600
    assert done(at(home.folder, DATABASE_URL="sqlite:///copy.db"), "verify") == WHOLE


def test_a_copy_never_replaces_a_file_and_needs_a_folder(home: Server) -> None:
    (home.folder / "copy.db").write_text("precious")
    assert refused(home, "backup", "copy.db") == "copy.db exists already. Choose a name that is free."
    assert refused(home, "backup", "data") == "data exists already. Choose a name that is free."
    assert refused(home, "backup", "no/where/copy.db") == "There is no folder no/where to put the copy into."
    assert (home.folder / "copy.db").read_text() == "precious"
    assert names(home.folder) == ["copy.db", "data"]


def test_damaged_ledgers_are_copied_and_told_with_status_1(home: Server) -> None:
    change(home.database, SPOILED)
    run = ended(home, "backup", "copy.db")
    assert run.returncode == 1
    assert "event 'gig' is damaged at entry 2" in run.stderr
    assert (home.folder / "copy.db").exists()


def test_a_restored_server_is_as_it_was_at_the_backup(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        server.as_organiser("POST /initialize", {"eventId": "gig", "tickets": 2})
        book(server, "gig", "bob", "cleo", "dan")
        assert "Replayed 1 event, 4 entries: nothing is wrong." in done(server, "backup", "copy.db")
        book(server, "gig", "eve", "fay")
        server.as_organiser("POST /cancel", {"eventId": "gig", "userId": "bob"})
        server.as_organiser("POST /initialize", {"eventId": "talk", "tickets": 5})
        assert counts(server, "gig") == (0, 2)
        assert server.stop() == 0

        told = done(server, "restore", "copy.db").splitlines()
        assert told[:2] == ["Replayed 1 event, 4 entries: nothing is wrong.", "Restored copy.db"]
        assert told[3] == f"The secret and the password are not in a backup: those in {server.data_dir} go on."
        server.start()
        assert counts(server, "gig") == (0, 1)
        assert server.ask("GET /status/talk").status == 404
        assert done(server, "verify") == "Replayed 1 event, 4 entries: nothing is wrong.\n"
        reply = server.as_organiser("POST /cancel", {"eventId": "gig", "userId": "cleo"})
        assert reply.json == {"reassignedTo": "dan"}
        assert server.stop() == 0

    aside = Path(told[2].removeprefix("The database as it was: "))
    assert aside.parent == server.data_dir
    kept = at(tmp_path, DATABASE_URL=f"sqlite:///{aside}")
    assert done(kept, "verify") == "Replayed 2 events, 9 entries: nothing is wrong.\n"


def test_a_backup_is_restored_where_there_is_no_database_yet(made: Path, tmp_path: Path) -> None:
    home = at(tmp_path)
    assert "The database as it was" not in done(home, "restore", str(made))
    assert done(home, "verify") == WHOLE
    assert stat.S_IMODE(home.database.stat().st_mode) == 0o600


def test_a_backup_of_an_older_version_is_restored_and_brought_up_to_date_when_served(
    made: Path, tmp_path: Path, next_version: str
) -> None:
    newer = at(tmp_path, PYTHONPATH=next_version)
    assert WHOLE in done(newer, "restore", str(made))
    assert "_remember_the_weather  pending" in done(newer, "migrate", "--status")
    with newer:
        assert counts(newer, "gig") == (0, 2)
    assert "_remember_the_weather  applied" in done(newer, "migrate", "--status")


def test_damaged_ledgers_are_restored_only_where_that_is_asked_for(home: Server) -> None:
    shutil.copy(home.database, home.folder / "damaged.db")
    change(home.folder / "damaged.db", SPOILED)
    run = ended(home, "restore", "damaged.db")
    assert run.returncode == 1
    assert "event 'gig' is damaged at entry 2" in run.stderr
    assert "Error: Nothing was restored." in run.stderr
    assert done(home, "verify") == WHOLE

    run = ended(home, "restore", "damaged.db", "--even-if-damaged")
    assert run.returncode == 0
    assert "event 'gig' is damaged at entry 2" in run.stderr
    assert "Restored damaged.db" in run.stdout
    assert ended(home, "verify").returncode == 1


def test_what_is_no_backup_is_refused_and_changes_nothing(home: Server) -> None:
    (home.folder / "text.db").write_text("A shopping list: milk, bread, tickets.\n" * 100)
    sqlite3.connect(home.folder / "empty.db").close()
    assert "text.db is not a SQLite database" in refused(home, "restore", "text.db")
    run = ended(home, "restore", "empty.db")
    assert (run.returncode, "empty.db is not a database of Fairlist" in run.stderr) == (1, True)
    assert done(home, "verify") == WHOLE
    assert names(home.data_dir, "*before-restore*") == []


# While a server runs


def test_while_a_server_runs_its_database_is_verified_and_copied(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        server.as_organiser("POST /initialize", {"eventId": "gig", "tickets": 1})
        book(server, "gig", "bob", "cleo")
        assert done(server, "verify") == "Replayed 1 event, 3 entries: nothing is wrong.\n"
        done(server, "backup", "copy.db")
        book(server, "gig", "dan")
        assert done(server, "verify") == "Replayed 1 event, 4 entries: nothing is wrong.\n"
    copy = at(tmp_path, DATABASE_URL="sqlite:///copy.db")
    assert done(copy, "verify") == "Replayed 1 event, 3 entries: nothing is wrong.\n"


def test_while_a_server_runs_nobody_else_migrates_restores_or_serves(home: Server, made: Path) -> None:
    with home:
        for command in (["migrate"], ["restore", str(made)], ["serve"]):
            told = refused(home, *command)
            assert f"data/fairlist.db is in use by process {home.process.pid} (since " in told
            assert "Stop it first" in told
        book(home, "talk", "cleo")
        assert counts(home, "talk") == (4, 0)
    assert done(home, "verify") == "Replayed 3 events, 23 entries: nothing is wrong.\n"


def test_a_new_password_ends_the_old_one_and_its_tokens_at_a_running_server(tmp_path: Path) -> None:
    with at(tmp_path) as server:
        old = server.stdout.split(" and password ")[1].split()[0]
        reply = server.ask("POST /auth/token", None, {"Authorization": basic("admin", old)})
        token = {"Authorization": f"Bearer {reply.json['token']}"}
        event = {"eventId": "gig", "tickets": 1}
        assert server.ask("POST /initialize", event, token).status == 200

        printed = re.fullmatch(r"user: admin\npassword: (\S+)\n", done(server, "reset-password"))
        assert printed is not None
        assert server.ask("POST /initialize", event, token).status == 401
        assert sign_in(server, "admin", old) == 401
        assert sign_in(server, "admin", printed[1]) == 200


def test_a_password_from_the_settings_is_not_reset(tmp_path: Path) -> None:
    assert "ADMIN_PASS sets the password" in refused(at(tmp_path, ADMIN_PASS="from a safe place"), "reset-password")
    assert names(tmp_path) == []


# Serving


def test_a_generated_password_is_kept_nowhere_but_in_the_readers_head(tmp_path: Path) -> None:
    with at(tmp_path) as server:
        password = server.stdout.split("user admin and password ")[1].split()[0]
        assert "This password is not shown again" in server.stdout
        assert server.stop() == 0
    for path in [*server.data_dir.iterdir(), tmp_path / "stderr"]:
        assert password.encode() not in path.read_bytes()


def test_a_taken_port_is_told_with_a_way_out(tmp_path: Path) -> None:
    with Server(tmp_path / "first") as first:
        told = refused(at(tmp_path / "second", PORT=str(first.port)), "serve")
    assert told.startswith(f"Cannot listen on 127.0.0.1, port {first.port}: Address already in use.")
    assert told.endswith("PORT=3001.")
    assert names(tmp_path / "second") == []


def test_two_servers_that_start_at_once_do_not_get_the_same_port() -> None:
    with listening_socket("127.0.0.1", 0) as first, pytest.raises(PortTaken, match="Address already in use"):
        listening_socket("127.0.0.1", first.getsockname()[1])


def test_a_start_that_fails_does_not_swallow_the_password(tmp_path: Path) -> None:
    home = at(tmp_path)
    home.data_dir.mkdir(mode=0o700)
    home.database.write_text("A shopping list: milk, bread, tickets.\n" * 100)
    assert "is not a SQLite database" in refused(home, "serve")
    home.database.unlink()
    with home:
        assert "signs in with user admin and password" in home.stdout


def test_a_server_refuses_a_damaged_ledger_and_names_the_remedy(home: Server) -> None:
    change(home.database, SPOILED)
    run = ended(home, "serve")
    assert (run.returncode, run.stdout) == (1, "")
    assert "Error: The ledger of event 'gig' is damaged at entry 2" in run.stderr
    assert "`fairlist restore`" in run.stderr


def test_the_demo_shows_events_and_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "temporary").mkdir()
    demo = Server(tmp_path, program=("-m", "webapp", "demo"), ADMIN_PASS="", TMPDIR=str(tmp_path / "temporary"))
    with demo:
        assert "Demo: the events are samples, nothing is kept. Sign in with admin / password." in demo.stdout
        assert sign_in(demo, "ada", "password") == 200
        assert names(tmp_path / "temporary") != []
        assert demo.stop() == 0
    assert names(tmp_path) == ["stderr", "stdout", "temporary"]
    assert names(tmp_path / "temporary") == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_server_that_is_asked_to_stop_ends_with_status_0(tmp_path: Path, number: signal.Signals) -> None:
    with Server(tmp_path) as server:
        server.process.send_signal(number)
        assert server.wait() == 0
    assert names(server.data_dir, "fairlist.db*") == ["fairlist.db", "fairlist.db.lock"]


# Where the words go


def test_a_reader_who_leaves_early_causes_no_complaint(home: Server) -> None:
    for command in (["--help"], ["migrate", "--status"], ["verify"], ["backup", "copy.db"]):
        reader, writer = os.pipe()
        os.close(reader)
        with os.fdopen(writer, "wb") as stdout:
            assert python(home, "-m", "webapp", *command, stdout=stdout) == (1, "")


def test_words_that_cannot_be_written_are_an_error(home: Server) -> None:
    with Path("/dev/full").open("wb") as stdout:
        status, told = python(home, "-m", "webapp", "verify", stdout=stdout)
    assert status != 0
    assert told.startswith("Error: No space left on device.\n")
    assert "Traceback" not in told


def python(home: Server, *arguments: str, stdout: IO[bytes] | int) -> tuple[int, str]:
    """Run Python in a server's folder; returns its exit status, and what it wrote to its standard error."""
    command = [sys.executable, *arguments]
    run = subprocess.run(
        command, cwd=home.folder, env=bare(), stdout=stdout, stderr=subprocess.PIPE, text=True, check=False
    )
    return run.returncode, run.stderr


def on_a_terminal(home: Server, *arguments: str) -> str:
    """Run Python in a server's folder; returns what it wrote to its standard error, which is a terminal."""
    ours, theirs = pty.openpty()
    command = [sys.executable, *arguments]
    with subprocess.Popen(command, cwd=home.folder, env=bare(), stdout=subprocess.DEVNULL, stderr=theirs) as run:
        os.close(theirs)
        seen = b""
        try:
            while piece := os.read(ours, 4_096):
                seen += piece
        except OSError:
            pass  # how Linux says that nobody has the terminal open any more
    os.close(ours)
    assert run.returncode == 0
    return seen.decode()


def bare() -> dict[str, str]:
    """An environment without settings."""
    path = [str(CODE), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(path)}
