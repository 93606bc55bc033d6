"""An erasure, and the sweep behind it, cut short at any instant: the next start erases again, and nothing is lost.

What was erased is to leave the -wal file within seconds, and the unused parts of the database at the next start, which
makes it anew. Kills, power cuts and errors of the disk may come between any two steps of that.
"""

import asyncio
import random
import shutil
import signal
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from tests import effort
from tests.client import Reply
from tests.reliability.crowd import ledger
from tests.reliability.disk_faults import DiskCall, disk_calls, has_struck, possible_faults, under_faults
from tests.reliability.disk_trace import Told, Tracing, under_trace, wait_for_end
from tests.reliability.history import Record
from tests.reliability.power_cuts import images, opened, place_of, room
from tests.reliability.test_erasure_of_files import BOB, CLEO, erase, left, place, wait_until_gone
from tests.reliability.test_store_faults import life
from tests.replay import MIGRATIONS
from tests.server import SERVE, Server
from webapp.forgetting import sweep
from webapp.storage.migrator import migrate
from webapp.storage.sqlite import SqliteStore

TICKETS: Final = 5
CUTS: Final = 20 * effort.SWEEPS
CONTROLS: Final = 40
LEFTOVER: Final = "a copy of Robert"
"""What SQLite has left in an unused part of the database."""

# What no server may do: it takes the sweep for done before it is.
SWEEPS_TOO_LATE: Final = """
from webapp.cli import main
from webapp.storage import sqlite_writer

def sweep(connection):
    if connection.execute("PRAGMA user_version").fetchone() != (1,):
        return False
    connection.execute("PRAGMA user_version = 0")
    connection.execute("VACUUM")
    return True

sqlite_writer._sweep = sweep
main(["serve"])
"""


@dataclass(frozen=True, slots=True)
class Erased:
    """A data folder whose server was killed when it had just erased Bob, and what is in the ledger."""

    folder: Path
    before: list[Record]

    def copied(self, folder: Path, program: Sequence[str] = SERVE, under: Sequence[str] = ()) -> Server:
        """A server, not started yet, on a copy."""
        shutil.copytree(self.folder, folder / "data")
        return Server(folder, program=program, under=under)


@pytest.fixture(scope="module")
def erased(tmp_path_factory: pytest.TempPathFactory) -> Erased:
    with Server(tmp_path_factory.mktemp("erased")) as server:
        server.as_organiser("POST /initialize", {"eventId": "gig", "tickets": TICKETS})
        bob, _ = place(server, BOB), place(server, CLEO)
        assert server.stop() == 0
        leave_over(server.database)
        server.start()
        erase(server, bob)
        server.kill()
        assert {word for word, _ in left(server.data_dir, [LEFTOVER])} == {LEFTOVER}
        return Erased(server.data_dir, ledger(server, "gig"))


def leave_over(database: Path) -> None:
    """Have a SQLite that overwrites nothing delete something."""
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("PRAGMA secure_delete = OFF")
        connection.execute("CREATE TABLE passing (text TEXT)")
        connection.execute("INSERT INTO passing VALUES (?)", (LEFTOVER * 100,))
        connection.execute("DROP TABLE passing")


def book(server: Server, guest: str) -> Reply:
    return server.ask("POST /book", {"eventId": "gig", "userId": guest})


async def after_the_next_start(database: Path, before: Iterable[Record], gone: Iterable[str]) -> list[str]:
    """What is wrong once a server has started on a database: words that are not gone, entries that are."""
    found = await opened(database)
    migrate(database, MIGRATIONS)
    store = await SqliteStore.open(database)
    try:
        await sweep(store)
        await store.forget()
    finally:
        await store.close()
    swept = await opened(database)
    told = [*found.problems, *swept.problems]
    if found.ledgers != swept.ledgers:
        told.append("the sweep has changed the ledgers")
    recorded = {entry.hash for entry in swept.ledgers.get("gig", ())}
    told += [f"entry {entry.seq} is gone: {entry.kind}" for entry in before if entry.hash not in recorded]
    return told + [f"{word!r} is left in {name}" for word, name in left(database.parent, gone)]


def calls_of_a_sweep(erased: Erased, folder: Path) -> list[DiskCall]:
    """The calls to the disk of a start that makes the database anew, and of the stop behind it."""
    trace = folder / "trace"
    server = erased.copied(folder / "server", under=under_faults(trace, folder / "server" / "data", ()))
    assert life(server) == (0, "")
    return disk_calls(trace, server.data_dir)


WRITING: Final = ("fdatasync", "ftruncate", "pwrite64", "unlink")


def test_a_sweep_that_is_killed_or_meets_a_bad_disk_is_made_up_for(erased: Erased, tmp_path: Path) -> None:
    chance = random.Random(effort.FIRST_SEED)
    calls = calls_of_a_sweep(erased, tmp_path)
    written = dict.fromkeys(call for call in calls if call.name in WRITING)
    kills = [(f"{call.name}:signal=KILL:when={call.number}", call.file) for call in written]
    faults = [(fault.injection, fault.call.file) for fault in possible_faults(calls, len(calls))]
    chosen = [some for kind in (kills, faults) for some in chance.sample(kind, min(len(kind), effort.SWEEPS))]
    for number, (injection, file) in enumerate(chosen):
        folder = tmp_path / str(number)
        trace = folder / "trace"
        strace = under_faults(trace, folder / "server" / "data", [injection], about=[file])
        server = erased.copied(folder / "server", under=strace)
        status, said = life(server)
        if "KILL" in injection:
            assert status == -signal.SIGKILL, f"it does not strike: {injection} {file}: {said}"
        else:
            assert has_struck(trace), f"it does not strike: {injection} {file}"
            assert status in (0, 1, 70), f"{injection} {file}: {said}"
        told = asyncio.run(after_the_next_start(server.database, erased.before, {*BOB.values(), LEFTOVER}))
        assert not told, f"{injection} {file}: {told}"
        effort.tried()


def losses(erased: Erased, folder: Path, cuts: int, program: Sequence[str] = SERVE) -> list[str]:
    """What is wrong with images of a disk while a server sweeps, books, and erases once more."""
    trace = folder / "trace"
    server = erased.copied(folder / "server", program, under_trace(trace))
    cleo = next(entry.order for entry in erased.before if entry.guest == CLEO["userId"])
    tracing = Tracing(server.folder)
    tracing.found()
    with server:
        wait_until_gone(server.data_dir, [*BOB.values(), LEFTOVER])
        dan = book(server, "dan")
        erase(server, str(cleo))
        wait_until_gone(server.data_dir, CLEO.values())
        after = ledger(server, "gig")
        assert server.stop() == 0
        wait_for_end(trace, server.process.pid)
    assert dan.json == {"assigned": True}
    tracing.follow(trace)
    forgotten = place_of(tracing.steps, lambda told: told.content.startswith(b"HTTP/1.1 204"))
    assert forgotten < len(tracing.steps)
    answers = [place for place, step in enumerate(tracing.steps[:forgotten]) if isinstance(step, Told) and step.port]
    booked = answers[-1]
    found = []
    with room() as images_in, asyncio.Runner() as runner:
        for cut, image in images(tracing, range(effort.FIRST_SEED, effort.FIRST_SEED + cuts), images_in):
            to_be_there = after if cut > forgotten else after[:-1] if cut > booked else erased.before
            gone = {*BOB.values(), LEFTOVER} | (set(CLEO.values()) if cut > forgotten else set())
            told = runner.run(after_the_next_start(image / "data" / "fairlist.db", to_be_there, gone))
            found += [f"{complaint}, if the power goes before step {cut}" for complaint in told]
            effort.tried(int(not told))
    return found


def test_a_power_cut_in_a_sweep_or_an_erasure_loses_nothing_but_what_was_erased(erased: Erased, tmp_path: Path) -> None:
    assert losses(erased, tmp_path, CUTS) == []


def test_a_server_that_takes_a_sweep_for_done_too_early_is_found_out(erased: Erased, tmp_path: Path) -> None:
    assert any(LEFTOVER in loss for loss in losses(erased, tmp_path, CONTROLS, ("-c", SWEEPS_TOO_LATE)))
