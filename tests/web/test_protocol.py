"""The bounds of a connection, on raw sockets against a real server."""

import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.server import TIMEOUT_S, Server
from webapp.web.protocol import HEAD_BYTES_MAX, PIPELINE_MAX, REQUEST_S

IMPATIENT = """
from webapp.cli import main
from webapp.web import protocol
protocol.REQUEST_S = 1.0
main(["serve"])
"""
REQUEST = b"GET /health HTTP/1.1\r\nHost: x\r\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("protocol")) as server:
        yield server


def spoken(server: Server, *pieces: bytes) -> bytes:
    """What a connection is answered that sends these pieces and then listens until it is closed."""
    with socket.create_connection(("127.0.0.1", server.port), TIMEOUT_S) as connection:
        answer = b""
        with suppress(ConnectionError):
            for piece in pieces:
                connection.sendall(piece)
            while received := connection.recv(65_536):
                answer += received
        return answer


def resident_bytes(server: Server) -> int:
    return int(Path(f"/proc/{server.process.pid}/statm").read_text().split()[1]) * 4_096


@pytest.mark.parametrize(
    "head",
    [
        [REQUEST, b"X-Long: " + b"a" * HEAD_BYTES_MAX + b"\r\n\r\n"],
        [REQUEST, *[b"X-Many: a\r\n"] * (HEAD_BYTES_MAX // 7), b"\r\n"],
        [b"GET /" + b"a" * HEAD_BYTES_MAX + b" HTTP/1.1\r\nHost: x\r\n\r\n"],
        [REQUEST + b"X-Endless: ", *[b"a" * 65_536] * 20],
        [b"GET /", *[b"a" * 65_536] * 20],
    ],
    ids=["a long header", "many headers", "a long address", "an endless header", "an endless address"],
)
def test_a_head_that_is_too_long_is_refused_and_the_next_client_is_served(server: Server, head: list[bytes]) -> None:
    answer = spoken(server, *head)
    # Nothing comes back where more was sent than was read, since closing resets such a connection.
    assert answer == b"" or answer.startswith((b"HTTP/1.1 414 ", b"HTTP/1.1 431 "))
    assert server.ask("GET /health").status == 200


def test_a_head_that_is_just_not_too_long_is_served(server: Server) -> None:
    fitting = b"X-Long: " + b"a" * (HEAD_BYTES_MAX - 200) + b"\r\nConnection: close\r\n\r\n"
    assert spoken(server, REQUEST + fitting).startswith(b"HTTP/1.1 200 ")


def test_a_refused_head_is_told_why_under_the_usual_headers(server: Server) -> None:
    answer = spoken(server, REQUEST + b"X-Long: " + b"a" * HEAD_BYTES_MAX + b"\r\n\r\n")
    assert b'"code":"head_too_long"' in answer
    assert b"x-content-type-options: nosniff" in answer


def test_what_is_not_http_is_told_so_under_the_usual_headers(server: Server) -> None:
    answer = spoken(server, b"BAD\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert b'"code":"bad_request"' in answer
    assert b"content-security-policy:" in answer


def test_sending_far_ahead_without_reading_ends_the_connection_not_the_memory(server: Server) -> None:
    before = resident_bytes(server)
    much = (REQUEST + b"\r\n") * 1_000_000  # 33 MB
    with socket.create_connection(("127.0.0.1", server.port), TIMEOUT_S) as connection, pytest.raises(ConnectionError):
        connection.sendall(much)
    assert resident_bytes(server) - before < 30_000_000
    assert server.ask("GET /health").status == 200


def test_a_few_requests_may_be_sent_ahead(server: Server) -> None:
    requests = [REQUEST + b"\r\n"] * (PIPELINE_MAX - 1) + [REQUEST + b"Connection: close\r\n\r\n"]
    assert spoken(server, b"".join(requests)).count(b"HTTP/1.1 200 ") == PIPELINE_MAX


def test_a_connection_that_does_not_ask_is_closed(tmp_path: Path) -> None:
    with (
        Server(tmp_path, program=("-c", IMPATIENT)) as server,
        socket.create_connection(("127.0.0.1", server.port), TIMEOUT_S) as silent,
        socket.create_connection(("127.0.0.1", server.port), TIMEOUT_S) as slow,
    ):
        slow.sendall(REQUEST)
        for connection in (silent, slow):
            assert connection.recv(65_536).startswith(b"HTTP/1.1 408 ")


def test_ten_seconds_are_given_for_a_request() -> None:
    assert REQUEST_S == 10


@pytest.mark.parametrize(
    "host",
    [b"", b"Host: a\r\nHost: b\r\n", b"Host: a..b\r\n", b"Host: .\r\n", b"Host: a b\r\n", b"Host: [::1\r\n",
     b"Host: " + b"a" * 64 + b"\r\n", b"Host: x/y\r\n", b"Host: \xff\r\n"],
    ids=["none", "two", "an empty label", "a dot", "a space", "half a bracket", "a long label", "a path", "no ASCII"],
)  # fmt: skip
def test_a_request_must_name_one_host(server: Server, host: bytes) -> None:
    answer = spoken(server, b"GET /ui HTTP/1.1\r\n" + host + b"Connection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b'"code":"bad_request"' in answer


@pytest.mark.parametrize("host", [b"localhost:3000", b"[::1]:3000", b"127.0.0.1", b"a_b.example.org."])
def test_any_sound_host_is_served(server: Server, host: bytes) -> None:
    answer = spoken(server, b"GET /health HTTP/1.1\r\nHost: " + host + b"\r\nConnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 ")
