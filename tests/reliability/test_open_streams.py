"""Many open streams, some of which nobody reads: the others hear the last state, memory stays, the server ends."""

import asyncio
import resource
import signal
import socket
import struct
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from tests import effort
from tests.client import Connection, raw
from tests.reliability.crowd import ledger
from tests.server import SERVE, TIMEOUT_S, Server
from tests.web.api import ADA, V1, Api
from webapp.server import DRAIN_S

EVENT = "gig"
PAGE = f"GET /ui/events/{EVENT}/stream"
CHANGES = 200
NEVER_READ = 1 / 20
GROWTH_BYTES_MAX = 100_000_000
REQUESTS = 200
EARLY = 20
"""Those that are whole before the signal comes."""
FILES_MORE = 500


# What no server may do: it tells of the first change, and of no later one.
TELLS_ONCE = """
from webapp.cli import main
from webapp.web.broadcast import Broadcast

tell = Broadcast._tell
told = []

async def tell_once(broadcast, *news):
    if not told:
        told.append(news)
        await tell(broadcast, *news)

Broadcast._tell = tell_once
main(["serve"])
"""


# What no server may do: it lets its streams be cut when it ends.
CUTS_STREAMS = """
from webapp.announcements import Announcements
from webapp.cli import main

Announcements.close = lambda announcements: None
main(["serve"])
"""


@contextmanager
def serving(folder: Path, program: Sequence[str] = SERVE) -> Iterator[Server]:
    """A server that lets everybody have a stream."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    assert most >= effort.STREAMS + FILES_MORE, f"a process may open {most} files here, too few: see `ulimit -Hn`"
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    settings = {"STREAMS_MAX": str(effort.STREAMS + 10), "STREAMS_PER_ADDRESS": str(effort.STREAMS + 10)}
    with Server(folder, program=program, **settings) as server:
        Api(server, ADA).event(EVENT, CHANGES + 1_000)
        yield server


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with serving(tmp_path) as server:
        yield server


class Stream:
    """A live page that reads everything at once and keeps the last of it."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.heard = b""
        self.has_ended = False
        self._news = asyncio.Event()
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        try:
            while received := await self.connection.reader.read(65_536):
                self.heard = (self.heard + received)[-10_000:]
                self._news.set()
        except ConnectionError:
            return
        self.has_ended = self.heard.endswith(b"0\r\n\r\n")

    async def says(self, words: bytes) -> None:
        """Wait until it has said some words."""
        while words not in self.heard:
            await self._news.wait()
            self._news.clear()

    async def end(self) -> None:
        """Wait until the server ends it."""
        async with asyncio.timeout(TIMEOUT_S):
            await self._reading
        await self.connection.close()


@asynccontextmanager
async def streams(server: Server, number: int) -> AsyncIterator[list[Stream]]:
    """So many open streams of an event, each of which has been told how things are."""
    opened = []
    for _ in range(number):
        stream = Stream(await Connection.open(server.port))
        stream.connection.send(PAGE)
        opened.append(stream)
    try:
        await all_come(opened, b"counts-")
        yield opened
    finally:
        for stream in opened:
            stream.connection.writer.transport.abort()


async def all_come(opened: list[Stream], words: bytes) -> None:
    """Wait until all streams have said some words."""
    async with asyncio.timeout(TIMEOUT_S):
        for stream in opened:
            await stream.says(words)


def unread(server: Server, number: int) -> list[socket.socket]:
    """So many streams that nobody reads, and that take in little."""
    opened = []
    for _ in range(number):
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.connect(("127.0.0.1", server.port))
        connection.sendall(raw(PAGE))
        opened.append(connection)
    return opened


def resident_bytes(server: Server) -> int:
    return int(Path(f"/proc/{server.process.pid}/statm").read_text().split()[1]) * resource.getpagesize()


async def test_who_reads_a_stream_hears_the_last_state_whoever_does_not(server: Server) -> None:
    deaf = unread(server, int(effort.STREAMS * NEVER_READ))
    async with streams(server, effort.STREAMS - len(deaf)) as opened:
        before = resident_bytes(server)
        organiser = await Connection.open(server.port)
        for number in range(CHANGES):
            guest = {"eventId": EVENT, "userId": f"guest-{number}"}
            assert (await organiser.ask("POST /book", guest)).json == {"assigned": True}
            if number % 20 == 0:  # what more than counts has changed of is told at length
                described = {"description": f"{number} " * 900}
                reply = await organiser.ask(f"PATCH {V1}/events/{EVENT}", described, {**ADA, "If-Match": "*"})
                assert reply.status == 200
        last = {"title": "The last state"}
        assert (await organiser.ask(f"PATCH {V1}/events/{EVENT}", last, {**ADA, "If-Match": "*"})).status == 200
        await all_come(opened, b"The last state")
        await all_come(opened, b"<b>1,000</b> of 1,200 left")
        assert resident_bytes(server) - before < GROWTH_BYTES_MAX
        await organiser.close()
    for connection in deaf:
        connection.close()
    assert server.stop() == 0
    server.verify()
    effort.tried(effort.STREAMS)


async def test_a_server_that_does_not_tell_the_last_state_is_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(tmp_path, ("-c", TELLS_ONCE)) as server:
        async with streams(server, 3) as opened:
            for guest in ("bob", "cleo"):
                await asyncio.to_thread(server.ask, "POST /book", {"eventId": EVENT, "userId": guest})
                if guest == "bob":
                    await all_come(opened, b"<b>1,199</b> of 1,200 left")
            monkeypatch.setattr("tests.reliability.test_open_streams.TIMEOUT_S", 2.0)
            with pytest.raises(TimeoutError):
                await all_come(opened, b"<b>1,198</b> of 1,200 left")


async def test_a_signal_ends_all_streams_and_cuts_no_request(server: Server) -> None:
    asked = [raw("POST /book", {"eventId": EVENT, "userId": f"guest-{number}"}) for number in range(REQUESTS)]
    async with streams(server, min(effort.STREAMS, 500)) as opened:
        clients = [await Connection.open(server.port) for _ in asked]
        for client, request in zip(clients, asked, strict=True):
            client.writer.write(request[:-10])
            await client.writer.drain()
        for client, request in zip(clients[:EARLY], asked, strict=False):
            client.writer.write(request[-10:])
            await client.writer.drain()
        deaf = unread(server, 20)
        balancer = await Connection.open(server.port)
        assert (await balancer.ask("GET /readyz")).status == 200
        balancer.writer.write(raw("GET /readyz", b"{}")[:-2])
        await balancer.writer.drain()
        await asyncio.to_thread(server.ask, "GET /health")  # what was sent before it has been received
        server.process.send_signal(signal.SIGTERM)
        await asyncio.gather(*(stream.end() for stream in opened))
        assert all(stream.has_ended for stream in opened)
        balancer.writer.write(b"{}")
        assert (await balancer.reply()).code == "shutting_down"
        for client, request in zip(clients[EARLY:], asked[EARLY:], strict=True):
            client.writer.write(request[-10:])
        replies = [await client.reply() for client in clients]
        for client in [*clients, balancer]:
            await client.close()
    # By its own clock, it ends with another status where it has taken longer than it may.
    assert await asyncio.to_thread(server.wait) == 0
    assert DRAIN_S + 1 <= 5
    for connection in deaf:
        connection.close()
    assert {reply.status for reply in replies[:EARLY]} == {200}
    assert {reply.status for reply in replies} <= {200, 503}
    acknowledged = {f"guest-{number}" for number, reply in enumerate(replies) if reply.status == 200}
    assert {entry.guest for entry in ledger(server, EVENT) if entry.kind == "booked"} == acknowledged
    server.verify()


async def test_a_server_that_lets_its_streams_be_cut_is_found_out(tmp_path: Path) -> None:
    with serving(tmp_path, ("-c", CUTS_STREAMS)) as server:
        async with streams(server, 3) as opened:
            server.process.send_signal(signal.SIGTERM)
            await asyncio.gather(*(stream.end() for stream in opened))
            assert not any(stream.has_ended for stream in opened)
