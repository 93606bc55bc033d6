"""Memory stays flat under load: what the server holds does not grow with the number of requests that it has answered.

Events, guests and live orders stay the same, and only the ledger grows, on disk. The first half of the load warms up:
caches fill, and Python's heap finds its size.
"""

import asyncio
import json
import random
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from tests import effort
from tests.client import Connection, basic
from tests.server import PASSWORD, TIMEOUT_S, USER, Server
from tests.web.api import V1

CLIENTS: Final = 8
EVENTS: Final = ("gig", "talk")
GUESTS: Final = 40
PAUSE_S: Final = 0.02
"""Between two requests of a client: what is kept of requests shows as well at half the speed, and at half the cost."""
OBJECTS_MAX: Final = 2_000
OBJECTS_PER_REQUEST_MAX: Final = 0.02
BYTES_MAX: Final = 16_000_000
BYTES_PER_REQUEST_MAX: Final = 40
"""What may come in the second half: what bounded caches still take, and hardly anything for each request. Objects are
those that Python's collector knows. One small object that is kept of each request is more, sooner or later.
"""

# The server as it is, which notes at SIGUSR1 what it holds.
WATCHED: Final = """
import asyncio, gc, json, os, signal, sys
from pathlib import Path
from webapp import server
from webapp.cli import main
from webapp.storage import sqlite

sqlite.CACHE_KIB = 1_024  # or pages of the growing ledger would fill 64 MiB first

def held(*_):
    gc.unfreeze()
    gc.collect()
    found = {{
        "objects": len(gc.get_objects()),
        "tasks": len(asyncio.all_tasks()),
        "files": len(os.listdir("/proc/self/fd")),
        "resident": int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE"),
    }}
    Path("held.new").write_text(json.dumps(found))
    Path("held.new").replace("held")

serve = server._serve

async def watched(*arguments):
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, held)
    return await serve(*arguments)

server._serve = watched
{leak}
main(["serve"])
"""

# What no server may do: it keeps something of every request.
LEAK: Final = """
from webapp.metrics import Metrics

note, kept = Metrics.note_request, []

def note_and_keep(self, *request):
    kept.extend([request] for _ in range(20))
    note(self, *request)

Metrics.note_request = note_and_keep
"""


class Held(NamedTuple):
    """What a server holds at a moment when nobody asks for anything; `resident` are bytes."""

    objects: int
    tasks: int
    files: int
    resident: int
    asked: int


@dataclass
class Load:
    """Clients who book and cancel, look at pages, come with keys and tokens right and wrong, and listen and go."""

    server: Server
    chance: random.Random = field(default_factory=lambda: random.Random(effort.FIRST_SEED))
    asked: int = 0

    def run(self, seconds: float) -> Held:
        """Ask for so long; what the server holds after it."""
        asyncio.run(self._ask_until(time.monotonic() + seconds))
        self._have_nobody_booked()
        return self._held()

    async def _ask_until(self, end: float) -> None:
        token = await asyncio.to_thread(self.server.token)
        async with asyncio.TaskGroup() as group:
            for number in range(CLIENTS):
                group.create_task(self._ask_one_after_the_other(f"{number}", token, end))

    async def _ask_one_after_the_other(self, client: str, token: str, end: float) -> None:
        while time.monotonic() < end:
            connection = await Connection.open(self.server.port, f"127.0.0.{2 + self.chance.randrange(50)}")
            for _ in range(self.chance.randint(1, 30)):
                await self._ask_something(connection, client, token)
                await asyncio.sleep(PAUSE_S)
            if self.chance.random() < 0.3:
                connection.send(f"GET /ui/events/{self.chance.choice(EVENTS)}/stream")
                await connection.reader.readuntil(b"event: counts")
                self.asked += 1
            await connection.close()

    async def _ask_something(self, connection: Connection, client: str, token: str) -> None:
        event, number = self.chance.choice(EVENTS), self.chance.randrange(GUESTS)
        guest = f"guest-{client}-{number}"
        organiser = {"Authorization": f"Bearer {token}"}
        body = {"eventId": event, "userId": guest}
        match self.chance.randrange(8):
            case 0 | 1:
                key = {"Idempotency-Key": f"{self.chance.getrandbits(128):032x}"}
                await connection.ask(f"POST {V1}/events/{event}/orders", {"userId": guest}, key)
                await connection.ask("POST /cancel", body, organiser)
                self.asked += 1
            case 2 | 3:
                await connection.ask("POST /book", body)
                await connection.ask("POST /cancel", body, organiser)
                self.asked += 1
            case 4:
                await connection.ask(f"GET /ui/events/{event}")
            case 5:
                await connection.ask("POST /cancel", body, {"Authorization": f"Bearer {token[:-5]}{number:05}"})
            case 6:
                await connection.ask(f"GET {V1}/events/{event}/ledger?after={number}&limit=10")
            case 7:
                await connection.ask(f"GET {V1}/orders/{number:020x}", headers={"Order-Key": f"{number:032x}"})
        self.asked += 1

    def _have_nobody_booked(self) -> None:
        for event in EVENTS:
            assert self.server.ask(f"GET /status/{event}").json["waitingList"] == 0

    def _held(self) -> Held:
        """What the server holds; its answers have been given, and its connections are closed within a moment."""
        time.sleep(1.0)
        note = self.server.folder / "held"
        note.unlink(missing_ok=True)
        self.server.process.send_signal(signal.SIGUSR1)
        deadline = time.monotonic() + TIMEOUT_S
        while not note.exists():
            assert time.monotonic() < deadline, "the server does not say what it holds"
            time.sleep(0.05)
        return Held(**json.loads(note.read_text()), asked=self.asked)


def growth(server: Server, seconds: float) -> tuple[Held, Held]:
    """What a server holds after half of the load, and at its end."""
    for event in EVENTS:
        opened = {"eventId": event, "tickets": 1_000}
        assert server.ask("POST /initialize", opened, {"Authorization": basic(USER, PASSWORD)}).status == 200
    load = Load(server)
    return load.run(seconds / 2), load.run(seconds / 2)


def grew_too_much(first: Held, second: Held) -> bool:
    """Whether more has come than caches explain."""
    requests = second.asked - first.asked
    return (
        second.objects - first.objects > OBJECTS_MAX + OBJECTS_PER_REQUEST_MAX * requests
        or second.resident - first.resident > BYTES_MAX + BYTES_PER_REQUEST_MAX * requests
    )


def test_memory_stays_flat_under_load(tmp_path: Path) -> None:
    with Server(tmp_path, program=("-c", WATCHED.format(leak=""))) as server:
        first, second = growth(server, effort.SOAK_S)
        assert not grew_too_much(first, second), (first, second)
        assert second.tasks <= first.tasks
        assert second.files <= first.files
        server.verify()
        effort.tried(second.asked)


def test_a_server_that_keeps_something_of_every_request_is_found_out(tmp_path: Path) -> None:
    with Server(tmp_path, program=("-c", WATCHED.format(leak=LEAK))) as server:
        assert grew_too_much(*growth(server, 4.0))
