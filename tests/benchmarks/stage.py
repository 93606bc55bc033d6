"""The servers that are compared: each on the servers' core, started when it is first asked for, checked at its end."""

import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import click

from tests.benchmarks import machine
from tests.benchmarks.bookings import Written, numbers, open_by_hand
from tests.benchmarks.load import Target
from tests.client import basic
from tests.server import SERVE, TIMEOUT_S, Server, free_port

HERE: Final = Path(__file__).parent / "peers"
EMPTY: Final = {
    "an empty Quart route": (sys.executable, str(HERE / "empty_quart.py")),
    "an empty ASGI answer": (sys.executable, str(HERE / "empty_asgi.py")),
    "an empty Express route": ("node", str(HERE / "empty_express.js")),
}
ORIGINAL = ("node", str(HERE / "original.js"))

# The server as it is, on a disk that takes 10 ms longer for every commit.
SLOWED: Final = """
import asyncio
from webapp.cli import main
from webapp.storage.sqlite import SqliteStore

append = SqliteStore.append

async def append_slowly(store, batch):
    await append(store, batch)
    await asyncio.sleep(0.01)

SqliteStore.append = append_slowly
main(["serve"])
"""

PROGRAMS: Final[dict[str, Sequence[str]]] = {"slow": ("-c", SLOWED)}
SETTINGS: Final = {"lane off": {"DIRECT_LANE": "off"}}
LONG_S: Final = 600.0
"""How long a start over a million orders may take on the slowest machine, and a look whether all is well with them."""

STREAMS: Final = {"STREAMS_MAX": "20000", "STREAMS_PER_ADDRESS": "20000"}


class Stage:
    """The servers of one round of some measurements, and a folder for them. At its end, every ledger is verified."""

    def __init__(self, folder: Path, core: int) -> None:
        self.folder = folder
        self.core = core
        self._servers: dict[str, Fairlist] = {}
        self._peers: dict[str, Target] = {}
        self._original: Original | None = None
        self._ends = ExitStack()

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ends.close()
        if kind is None:
            for server in self._servers.values():
                server.verify()
        shutil.rmtree(self.folder)

    def fairlist(self, kind: str = "as it is", database: Path | None = None) -> "Fairlist":
        """Fairlist of a kind: see `PROGRAMS` and `SETTINGS`; over a copy of a database, if one is given."""
        name = f"{kind} {database.parent.name}" if database else kind
        if name not in self._servers:
            folder = self.folder / name.replace(" ", "-")
            if database is not None:
                (folder / "data").mkdir(parents=True)
                shutil.copy(database, folder / "data" / "fairlist.db")
            fairlist = Fairlist(folder, kind, self.core)
            self._ends.callback(fairlist.server.kill)
            fairlist.server.start()
            self._ends.callback(fairlist.end)
            self._servers[name] = fairlist
        return self._servers[name]

    def empty(self, name: str) -> Target:
        """One of `EMPTY`."""
        if name not in self._peers:
            self._peers[name] = self._started(EMPTY[name], "/empty")
        return self._peers[name]

    def original(self) -> "Original":
        """The original."""
        if self._original is None:
            database = self.folder / "original.sqlite3"
            self._original = Original(self._started(ORIGINAL, "/status/none", str(database)), database)
        return self._original

    def _started(self, command: Sequence[str], path: str, *arguments: str) -> Target:
        """A peer that answers at a path. Raises ClickException."""
        if command[0] == "node" and not (shutil.which("node") and machine.PEERS.is_dir()):
            raise click.ClickException(f"{Path(command[1]).name} needs what `make peers` installs")
        port = free_port()
        environ = os.environ | {"NODE_PATH": str(machine.PEERS), "NODE_ENV": "production"}
        process = subprocess.Popen([*machine.on_core(self.core), *command, str(port), *arguments], env=environ)
        self._ends.callback(process.wait)
        self._ends.callback(process.kill)
        _wait_for(f"http://127.0.0.1:{port}{path}", process)
        return Target(f"http://127.0.0.1:{port}{path if path == '/empty' else ''}", process.pid)


class Fairlist:
    """The server itself."""

    def __init__(self, folder: Path, kind: str, core: int) -> None:
        program, settings = PROGRAMS.get(kind, SERVE), {**STREAMS, **SETTINGS.get(kind, {})}
        self.server = Server(folder, program=program, under=machine.on_core(core), **settings)
        self.server.timeout_s = LONG_S

    @property
    def target(self) -> Target:
        """Where it is reached."""
        return Target(self.server.url, self.server.process.pid)

    def open(self, name: str, events: int, tickets: int) -> None:
        """Open events."""
        names = [f"{name}{number}" for number in range(events)]
        open_by_hand(self.server.url, names, tickets, {"Authorization": f"Bearer {self.server.token()}"})

    def written(self, name: str) -> Written:
        """What is in orders, ledger and events."""
        statement = """
            SELECT (SELECT count(*) FROM orders WHERE event_id BETWEEN ?1 AND ?2 AND status <> 'cancelled'),
                   (SELECT count(*) FROM ledger WHERE event_id BETWEEN ?1 AND ?2 AND kind IN ('booked', 'joined')),
                   coalesce(sum(booked), 0), coalesce(sum(max(0, booked - capacity)), 0)
              FROM events WHERE id BETWEEN ?1 AND ?2"""
        return Written(*numbers(self.server.database, statement, name))

    def end(self) -> None:
        """Stop. Raises ClickException if it does not stop well."""
        if self.server.stop():
            raise click.ClickException(f"the server has failed:\n{self.server.stderr[-2_000:]}")

    def verify(self) -> None:
        """Raises ClickException unless every ledger folds, hash by hash, to what is in the tables."""
        found = self.server.run("verify")
        if found.returncode:
            raise click.ClickException(f"the ledgers are not what was answered:\n{found.stderr}")


class Original:
    """What Fairlist grew out of."""

    def __init__(self, target: Target, database: Path) -> None:
        self.target = target
        self._database = database
        self._tickets = 0

    def open(self, name: str, events: int, tickets: int) -> None:
        """Open events."""
        self._tickets = tickets
        names = [f"{name}{number}" for number in range(events)]
        open_by_hand(self.target.url, names, tickets, {"Authorization": basic("admin", "password")})

    def written(self, name: str) -> Written:
        """What is in its only table."""
        statement = """
            WITH sold AS (
              SELECT event_id, count(*) AS orders, sum(status = 'booked') AS tickets
                FROM orders WHERE event_id BETWEEN ?1 AND ?2 GROUP BY event_id
            )
            SELECT coalesce(sum(orders), 0), coalesce(sum(orders), 0), coalesce(sum(tickets), 0), max(0, max(tickets))
              FROM sold"""
        orders, placed, tickets, most = numbers(self._database, statement, name)
        return Written(orders, placed, tickets, max(0, (most or 0) - self._tickets))


def _wait_for(url: str, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while process.poll() is None and time.monotonic() < deadline:
        try:
            urllib.request.urlopen(url).close()  # noqa: S310 - our own server
            return
        except urllib.error.HTTPError as answer:
            answer.close()
            return
        except urllib.error.URLError:
            time.sleep(0.02)
    raise click.ClickException(f"{url} does not answer")
