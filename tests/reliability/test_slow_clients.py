"""Clients who speak or listen slowly, or never: each is ended in time, and nobody else waits for them."""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from itertools import cycle
from pathlib import Path

import pytest

from tests.client import raw
from tests.reliability.departures import LOOKED_INTO, SERVE, inside
from tests.server import TIMEOUT_S, Server
from tests.web.api import ADA, Api

EVENT = "gig"
SLOW = 50
DESCRIPTION = "\n".join(["All about it"] * 300)
IMPATIENT = """
from webapp import app, server
from webapp.web import protocol
protocol.REQUEST_S = 2.0
app.BODY_TIMEOUT_S = 1
server.UNREAD_S = 2
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with Server(tmp_path, program=("-c", LOOKED_INTO + IMPATIENT + SERVE)) as server:
        Api(server, ADA).event(EVENT, 9, description=DESCRIPTION)
        yield server
        server.verify()
        assert server.stop() == 0


def connected(server: Server, receive_buffer: int = 0) -> socket.socket:
    """A new connection, which may take in only so much as long as nobody reads."""
    connection = socket.socket()
    if receive_buffer:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    connection.settimeout(TIMEOUT_S)
    connection.connect(("127.0.0.1", server.port))
    return connection


BOOKING = raw("POST /book", {"eventId": EVENT, "userId": "bob"})
HEAD, _, _ = BOOKING.partition(b"\r\n\r\n")


@pytest.mark.parametrize(
    ("at_once", "dribbled"),
    [
        pytest.param(b"", cycle(b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 9), id="the head"),
        pytest.param(HEAD + b"\r\n\r\n", cycle(b" "), id="the body"),
        pytest.param(raw("GET /health"), cycle(b"\r\n"), id="nothing but empty lines after a request"),
        pytest.param(b"", cycle(b"\r\n"), id="nothing but empty lines"),
    ],
)
def test_who_dribbles_is_told_to_go(server: Server, at_once: bytes, dribbled: "cycle[int]") -> None:
    with connected(server) as slow, suppress(ConnectionError):
        slow.sendall(at_once)
        slow.settimeout(0.05)
        deadline = time.monotonic() + TIMEOUT_S
        while time.monotonic() < deadline:
            slow.send(bytes([next(dribbled)]))
            with suppress(TimeoutError):
                if not slow.recv(65_536):
                    break
        else:
            raise AssertionError("the server still listens")
    assert not server.query("SELECT * FROM orders")


def test_a_server_that_listens_for_ever_is_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    endless = "from webapp.web import protocol\nprotocol.REQUEST_S = 3_600.0\n"
    with Server(tmp_path, program=("-c", LOOKED_INTO + endless + SERVE)) as server:
        monkeypatch.setattr("tests.reliability.test_slow_clients.TIMEOUT_S", 4.0)
        with pytest.raises(AssertionError, match="still listens"):
            test_who_dribbles_is_told_to_go(server, b"", cycle(b"\r\n"))


def test_who_never_goes_on_is_told_to_go_and_keeps_nobody_waiting(server: Server) -> None:
    before = inside(server)
    beginnings = [b"", b"GET", HEAD, BOOKING[:-5], raw("GET /health") + b"G"]
    with ExitStack() as opened:
        slow = [opened.enter_context(connected(server)) for _ in range(SLOW)]
        for connection, beginning in zip(slow, cycle(beginnings), strict=False):
            connection.sendall(beginning)
        for number in range(20):
            assert server.ask("POST /book", {"eventId": EVENT, "userId": f"guest-{number}"}).status == 200
        for connection in slow:
            with suppress(ConnectionError):
                while connection.recv(65_536):
                    pass
    assert comes_true(lambda: inside(server).is_within(before))


def test_who_never_reads_is_cut_off(server: Server) -> None:
    """Of answers larger than what the system buffers, so many are asked for that the server has to wait."""
    before = inside(server)
    asked = raw("GET /static/app.css") * 30
    with ExitStack() as opened:
        never = [opened.enter_context(connected(server, receive_buffer=4_096)) for _ in range(SLOW)]
        for connection in never:
            connection.sendall(asked)
        assert server.ask("POST /book", {"eventId": EVENT, "userId": "cleo"}).json == {"assigned": True}
        assert comes_true(lambda: inside(server).is_within(before))


def test_who_never_reads_a_stream_is_cut_off(server: Server) -> None:
    before = inside(server)
    with ExitStack() as opened:
        never = [opened.enter_context(connected(server, receive_buffer=4_096)) for _ in range(20)]
        for connection in never:
            connection.sendall(raw(f"GET /ui/events/{EVENT}/stream"))
        assert comes_true(lambda: inside(server).streams == len(never))
        number = 0

        def all_are_gone() -> bool:
            nonlocal number
            number += 1
            changed = {"description": f"{DESCRIPTION}{number}"}
            assert Api(server, ADA)(f"PATCH /events/{EVENT}", changed, if_match="*").status == 200
            return inside(server).is_within(before)

        assert comes_true(all_are_gone)


def comes_true(condition: Callable[[], bool]) -> bool:
    """Whether it does, sooner or later."""
    deadline = time.monotonic() + TIMEOUT_S
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True
