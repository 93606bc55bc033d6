"""Power loss at any instant: the disk may then lack whatever was not synced, and yet all that was answered is there.

kill -9 proves nothing about that, since the kernel still writes what a killed process gave it.
"""

import asyncio
import random
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import pytest

from tests import effort
from tests.client import basic
from tests.reliability.crowd import wishes
from tests.reliability.disk_trace import Synced, Told, Tracing, under_trace, wait_for_end
from tests.reliability.power_cuts import Judge, NotedCrowd, Opened, images, opened, place_of, placed, room
from tests.server import USER, Server
from tests.storage.test_upgrade import old_database
from webapp.web.passwords import PasswordFile, PasswordUnusable
from webapp.web.secrets import Secrets, SecretUnusable

CLIENTS = 6
EVENTS = ("gig", "talk")
GUESTS = tuple(f"guest-{number}" for number in range(20))
TICKETS = 6
CALLS = 120
"""In each of a server's first two lives."""
PER_HISTORY = 2_500
"""Images of one history, before another is made."""
CONTROLS = 60
"""Images of what does not keep its word; most of them show it."""

# The server as it is, but that it folds the -wal file in after a few pages, and syncs as it is told.
SYNCING = """
import aiosqlite
from webapp.cli import main

execute = aiosqlite.Connection.execute_fetchall

async def execute_another(connection, statement, *parameters):
    if statement == "PRAGMA synchronous = FULL":
        await execute(connection, "PRAGMA wal_autocheckpoint = 30")
    return await execute(connection, statement.replace("synchronous = FULL", "synchronous = {how}"), *parameters)

aiosqlite.Connection.execute_fetchall = execute_another
main(["serve"])
"""


@dataclass
class History:
    """What a server did in three lives, and what is to be there after a power cut."""

    tracing: Tracing
    judge: Judge
    secret: str
    password: str
    showed_password: int
    answered_somebody: int

    def complaints(self, cut: int, image: Path, found: Opened) -> list[str]:
        """All that is wrong with an image."""
        told = [*found.problems, *self.judge.complaints(cut, found.ledgers)]
        if found.keys_kept < self.judge.keys_told(cut):
            told.append("an answer under a key is gone")
        for name, text, since in (
            ("secret", self.secret, self.answered_somebody),
            ("password", self.password, self.showed_password),
        ):
            file = image / "data" / name
            if cut > since and not (file.exists() and file.read_text() == text):
                told.append(f"the {name} is gone")
        return told + unusable(image / "data")


def unusable(data_dir: Path) -> list[str]:
    """Why the next start would refuse a folder's secret or password, if it has them."""
    try:
        if (data_dir / "secret").exists():
            Secrets.load_or_create(data_dir, None)
        if (data_dir / "password").exists():
            PasswordFile(data_dir, USER)
    except (SecretUnusable, PasswordUnusable) as refusal:
        return [str(refusal)]
    return []


def traced(folder: Path, how: str) -> History:
    """Three lives: the first start and load up to a kill, recovery and load up to an orderly stop, and a last start."""
    trace = folder / "trace"
    program = ("-c", SYNCING.format(how=how))
    chance = random.Random(effort.FIRST_SEED)
    with Server(folder / "server", program=program, under=under_trace(trace), ADMIN_PASS="") as server:
        password = re.search(r"password (\S+)\n", server.stdout)
        assert password
        organiser = {"Authorization": basic(USER, password[1])}
        crowd = NotedCrowd(chance, server.ask("POST /auth/token", headers=organiser).json["token"], leaving=0)
        asked = wishes(chance, EVENTS, GUESTS, TICKETS, crowd.orders)

        def ask(calls: int) -> None:
            asyncio.run(crowd.ask(server, islice(asked, calls), CLIENTS))

        def end(how: Callable[[], object]) -> None:
            how()
            wait_for_end(trace, server.process.pid)
            crowd.life += 1

        ask(CALLS)
        answers = chance.randint(20, 60)
        crowd.heard = lambda: server.process.kill() if len(crowd.calls) == CALLS + answers else None
        ask(CALLS)
        end(server.kill)
        server.start()
        ask(CALLS)
        end(server.stop)
        server.start()
        ask(CALLS // 4)
        end(server.kill)
        tracing = Tracing(server.folder)
        tracing.follow(trace)
        return History(
            tracing, Judge(placed(crowd, tracing)),
            (server.data_dir / "secret").read_text(), (server.data_dir / "password").read_text(),
            place_of(tracing.steps, lambda told: told.port == 0 and b"and password" in told.content),
            place_of(tracing.steps, lambda told: told.port != 0 and told.content.startswith(b"HTTP/1.1 2")),
        )  # fmt: skip


def losses(history: History, seeds: Iterable[int]) -> list[str]:
    """What is wrong with the images, a sentence each; those with nothing wrong are counted as trials."""
    found = []
    with room() as folder, asyncio.Runner() as runner:
        for cut, image in images(history.tracing, seeds, folder):
            told = history.complaints(cut, image, runner.run(opened(image / "data" / "fairlist.db")))
            found += [f"{complaint}, if the power goes before step {cut}" for complaint in told]
            effort.tried(int(not told))
    return found


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> History:
    """What the server did that is to be relied on."""
    return traced(tmp_path_factory.mktemp("relied-on"), "FULL")


def test_what_was_answered_survives_a_power_cut_at_any_instant(history: History, tmp_path: Path) -> None:
    last = effort.FIRST_SEED + effort.POWER_CUTS
    for first in range(effort.FIRST_SEED, last, PER_HISTORY):
        if first > effort.FIRST_SEED:
            history = traced(tmp_path / str(first), "FULL")
        assert losses(history, range(first, min(last, first + PER_HISTORY))) == []
        assert syncs(history) > 100


@pytest.mark.parametrize("how", ["NORMAL", "OFF"])
def test_a_server_that_does_not_sync_every_commit_is_found_out(tmp_path: Path, how: str) -> None:
    assert any("this was true at no time" in loss for loss in losses(traced(tmp_path, how), range(CONTROLS)))


def test_an_effect_that_nobody_asked_for_is_found_out(history: History) -> None:
    without_cancellations = [call for call in history.judge.calls if call.call.verb != "cancel"]
    with_a_ghost = replace(history, judge=Judge(without_cancellations))
    assert any("nobody asked for" in loss for loss in losses(with_a_ghost, range(CONTROLS)))


def test_a_power_cut_during_backup_or_restore_leaves_whole_databases(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    server = Server(tmp_path / "server", under=under_trace(trace))
    copy = server.folder / "copy.db"
    with server:
        book(server, "before", 3)
        done = [server.run("backup", str(copy))]
        book(server, "after", 2)
        assert server.stop() == 0
        wait_for_end(trace, server.process.pid)
        done.append(server.run("restore", str(copy)))
    assert [command.returncode for command in done] == [0, 0], done
    tracing = Tracing(server.folder)
    tracing.follow(trace)
    copied = said(tracing, b"Copied to")
    booked, restored = said(tracing, b"HTTP/1.1 2", after=copied), said(tracing, b"Restored")
    assert copied < booked < restored < len(tracing.steps)
    last_answer = max(place for place, step in enumerate(tracing.steps) if isinstance(step, Told) and step.port)

    def complaints(cut: int, served: Opened, backup: Opened, is_copied: bool) -> list[str]:
        guests = [[entry.guest for entry in found.ledgers.get("gig", ())] for found in (served, backup)]
        told = served.problems + backup.problems
        if cut > copied and not is_copied:
            told.append("the backup is gone")
        if is_copied and guests[1] != OF_THE_BACKUP:
            told.append("the backup is another one")
        if cut > restored and guests[0] != OF_THE_BACKUP:
            told.append("what was restored is gone")
        if last_answer < cut <= restored and guests[0] not in (OF_THE_BACKUP, OF_ALL):
            told.append(f"neither the old nor the new database is there: {guests[0]}")
        return told

    def losses_of(tracing: Tracing) -> list[str]:
        found = []
        with room() as folder, asyncio.Runner() as runner:
            for cut, image in images(tracing, a_few_seeds(), folder):
                is_copied = (image / copy.name).exists()
                served, backup = [runner.run(opened(image / path)) for path in ("data/fairlist.db", copy.name)]
                told = complaints(cut, served, backup, is_copied)
                found += [f"{complaint}, if the power goes before step {cut}" for complaint in told]
        return found

    assert losses_of(tracing) == []
    assert losses_of(unsynced(tracing)), "what was never synced is not found missing"


def test_a_power_cut_during_an_upgrade_loses_nothing(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    server = Server(tmp_path / "server", under=under_trace(trace))
    old_database(server.database)
    tracing = Tracing(server.folder)
    tracing.found()
    assert server.run("migrate").returncode == 0
    tracing.follow(trace)
    upgraded = said(tracing, b"The database as it was")
    expected = asyncio.run(opened(server.database))
    assert expected.ledgers

    def losses_of(tracing: Tracing) -> list[str]:
        found = []
        with room() as folder, asyncio.Runner() as runner:
            for cut, image in images(tracing, a_few_seeds(), folder):
                kept = list((image / "data").glob("fairlist.db.*.before-migration"))
                if cut > upgraded and not kept:
                    found.append(f"the copy is gone if the power goes before step {cut}")
                found += [
                    f"{database.name} is another one if the power goes before step {cut}"
                    for database in (*kept, image / "data" / "fairlist.db")
                    if runner.run(opened(database)) != expected
                ]
        return found

    assert losses_of(tracing) == []
    assert losses_of(unsynced(tracing)), "what was never synced is not found missing"


OF_THE_BACKUP = [None, "before-0", "before-1", "before-2"]
OF_ALL = [*OF_THE_BACKUP, "after-0", "after-1"]


def book(server: Server, name: str, guests: int) -> None:
    """Have some guests book tickets for the gig, and wait until the server has nothing more to write.

    Otherwise it would go on while another program runs, and the traces of both mix in the middle of a line.
    """
    server.as_organiser("POST /initialize", {"eventId": "gig", "tickets": TICKETS})
    for number in range(guests):
        reply = server.ask("POST /book", {"eventId": "gig", "userId": f"{name}-{number}"})
        assert reply.status == 200
    server.logged(lambda line: line.get("request_id") == reply.headers["X-Request-ID"])


def said(tracing: Tracing, words: bytes, after: int = 0) -> int:
    """The place at which something was said that begins in such a way."""
    return place_of(tracing.steps, lambda told: told.content.startswith(words), after)


def unsynced(tracing: Tracing) -> Tracing:
    """The same, had nothing been made to last: as many steps, or their places would be others."""
    steps = [replace(step, began=-1) if isinstance(step, Synced) else step for step in tracing.steps]
    return replace(tracing, steps=steps)


def a_few_seeds() -> range:
    """A tenth of the images that there are of a server under load."""
    return range(effort.FIRST_SEED, effort.FIRST_SEED + max(50, effort.POWER_CUTS // 10))


def syncs(history: History) -> int:
    """How often something was made to last."""
    return sum(isinstance(step, Synced) for step in history.tracing.steps)
