"""A server with few file descriptors, each connection of which is one: it starves, and heals."""

import os
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from tests.client import Reply
from tests.reliability.crowd import ledger
from tests.server import TIMEOUT_S, Server
from tests.web.api import ADA, Api

FILES = 64
STARVED_S = 3.0
LINES_MAX = 20

FEW = f"""
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, ({FILES}, {FILES}))
from webapp import server
from webapp.cli import main
server.FILES_LOOK_TICKS = 10
main(["serve"])
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with Server(tmp_path, program=("-c", FEW)) as server:
        Api(server, ADA).event("gig", 1_000)
        yield server


def cpu_s(server: Server) -> float:
    """Seconds of a processor that the server has used so far."""
    fields = Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_a_server_out_of_files_neither_dies_nor_spins_and_heals(server: Server) -> None:
    booked = []
    with ExitStack() as opened:
        crowd = [
            opened.enter_context(socket.create_connection(("127.0.0.1", server.port), TIMEOUT_S))
            for _ in range(4 * FILES)
        ]
        used, lines = cpu_s(server), len(server.log())
        for number in range(20):
            with suppress(OSError):
                reply = server.ask("POST /book", {"eventId": "gig", "userId": f"early-{number}"})
                booked += [f"early-{number}"] if is_booked(reply) else []
        time.sleep(STARVED_S)
        assert server.is_running
        assert len(list(Path(f"/proc/{server.process.pid}/fd").iterdir())) > FILES - 4
        said = [line["message"] for line in server.log()[lines:] if line.get("level") == "warning"]
        assert said
        assert {sentence.partition(":")[0] for sentence in said} == {"connections are turned away"}
        assert cpu_s(server) - used < STARVED_S / 2
        assert len(server.log()) - lines < LINES_MAX, server.stderr[-2_000:]
        assert any(is_held(connection) for connection in crowd)
    deadline = time.monotonic() + TIMEOUT_S
    while not is_served(server):
        assert time.monotonic() < deadline, "the server does not heal"
        time.sleep(0.1)
    assert is_booked(server.ask("POST /book", {"eventId": "gig", "userId": "late"}))
    guests = {entry.guest for entry in ledger(server, "gig") if entry.kind == "booked"}
    assert guests >= {*booked, "late"}
    assert server.stop() == 0
    server.verify()


def is_booked(reply: Reply) -> bool:
    return reply.status == 200 and reply.json["assigned"] is True


def is_held(connection: socket.socket) -> bool:
    """Whether the server keeps a connection open that says nothing."""
    connection.setblocking(False)
    try:
        return connection.recv(1) != b""
    except BlockingIOError:
        return True
    except ConnectionError:
        return False


def is_served(server: Server) -> bool:
    with suppress(OSError):
        return server.ask("GET /readyz").status == 200
    return False
