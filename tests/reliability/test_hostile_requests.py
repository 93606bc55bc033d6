"""Malformed and hostile requests on raw sockets, with and without a proxy: served as one request, or refused."""

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests import effort
from tests.client import Connection, Reply, ask, raw
from tests.reliability.hostile_requests import EVENT, SHAPES, Shape, answers
from tests.reliability.nginx import Nginx
from tests.server import SERVE, Server, free_port
from tests.web.api import ADA, Api
from tests.web.test_hostile_input import HOSTILE_BODIES

BEHIND = "behind"
MARKS = 8
BY_PROXY = {501, 505}
"""What a proxy may say of codings and versions that it does not know."""
LAST = raw(f"GET /status/{BEHIND}", headers={"Connection": "close"})


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("hostile")) as server:
        prepare(server)
        yield server
        server.verify()
        assert server.stop() == 0
        assert not [line for line in server.log() if "traceback" in line or line.get("status", 0) >= 500]


def prepare(server: Server) -> None:
    """Events to ask for, at one of which Bob has a ticket."""
    for event in (EVENT, BEHIND, *map(mark, range(MARKS))):
        Api(server, ADA).event(event)
    server.ask("POST /book", {"eventId": EVENT, "userId": "bob"})


def mark(number: int) -> str:
    """An event that is asked for in between."""
    return f"mark-{number % MARKS}"


def entries(server: Server) -> object:
    return server.query("SELECT count(*), (SELECT count(*) FROM orders) FROM ledger")


def is_behind(reply: Reply) -> bool:
    return reply.status == 200 and reply.body.startswith(b"{") and reply.json.get("eventId") == BEHIND


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_hostile_request_gets_one_answer_or_none(server: Server, shape: Shape) -> None:
    before = entries(server)
    found = answers(server.port, shape.sent + LAST)
    first, behind = found[:1], found[1:]
    assert (first[0].status if first else 0) in shape.statuses, found
    assert [is_behind(reply) for reply in behind] == ([] if shape.ends else [True]), found
    for reply in first:
        assert reply.headers["X-Content-Type-Options"] == "nosniff"
        is_page = reply.headers.get_content_type() == "text/html"
        assert reply.status < 400 or is_page or reply.json["code"] == reply.code
    assert entries(server) == before
    assert server.ask("GET /health").status == 200
    effort.tried()


# What no server may do: it takes the body of a question for the next one.
READS_ON = """
from webapp.cli import main
from webapp.web.protocol import BoundedProtocol

received = BoundedProtocol.data_received

def data_received(protocol, data):
    received(protocol, data.replace(b"Content-Length", b"X-Content-Length") if data[:3] == b"GET" else data)

BoundedProtocol.data_received = data_received
main(["serve"])
"""


@contextmanager
def proxied(folder: Path, program: Sequence[str] = SERVE) -> Iterator[tuple[Server, Nginx]]:
    """A server behind a proxy that it trusts."""
    port = free_port()
    with Nginx.before(folder / "nginx", port) as nginx:
        public_url = f"http://127.0.0.1:{nginx.waiting}"
        settings = {"PORT": str(port), "TRUSTED_PROXIES": "127.0.0.1", "PUBLIC_URL": public_url}
        with Server(folder / "server", program=program, BOOKINGS_PER_MINUTE="0", **settings) as server:
            prepare(server)
            yield server, nginx


@pytest.fixture(scope="module")
def behind_nginx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Nginx]]:
    with proxied(tmp_path_factory.mktemp("behind")) as both:
        yield both


@pytest.mark.parametrize("way", ["waiting", "passing"])
def test_nothing_reaches_the_server_that_the_proxy_did_not_pass(behind_nginx: tuple[Server, Nginx], way: str) -> None:
    server, nginx = behind_nginx
    assert_one_for_one(server, nginx, getattr(nginx, way), SHAPES)
    server.verify()


@pytest.mark.parametrize("way", ["waiting", "passing"])
@pytest.mark.parametrize(("body", "code"), HOSTILE_BODIES)
def test_hostile_bodies_are_refused_by_the_right_name_behind_a_proxy(
    behind_nginx: tuple[Server, Nginx], way: str, body: bytes, code: str | None
) -> None:
    server, nginx = behind_nginx
    before = entries(server)
    reply = ask(getattr(nginx, way), "POST /book", body, {"Content-Type": "application/json"})
    assert reply.code == code
    assert reply.status < 400 or entries(server) == before


def test_a_server_that_takes_a_body_for_a_request_is_found_out(tmp_path: Path) -> None:
    carrying = [shape for shape in SHAPES if shape.name == "a request in the body of another"]
    with proxied(tmp_path, ("-c", READS_ON)) as (server, nginx), pytest.raises(AssertionError):
        assert_one_for_one(server, nginx, nginx.waiting, carrying)


def assert_one_for_one(server: Server, nginx: Nginx, port: int, shapes: Sequence[Shape]) -> None:
    """Every request of the server is one that the proxy passed, and every answer goes to who asked."""
    noted, passed_before, broken_off = asked(server), Counter(nginx.passed()), nginx.broken_off()
    heard = asyncio.run(heard_in_between(port, shapes))
    passed = Counter(nginx.passed()) - passed_before
    del passed["-"]  # what the server would not read as HTTP is no request of its
    assert set(passed.values()) == {1}
    arrived = asked(server) - noted
    assert set(passed) <= arrived
    assert len(arrived) <= len(passed) + nginx.broken_off() - broken_off
    assert len(heard) == len(set(heard))
    assert set(heard) <= set(passed)


async def heard_in_between(port: int, shapes: Sequence[Shape]) -> list[str]:
    """Send every shape to a proxy, and between any two a sound request on another connection, which stays open.

    Returns the ids of all requests that were answered by the server. A shape may stand for several requests where the
    proxy reads it so.
    """
    heard = []
    sound = await Connection.open(port)
    for number, shape in enumerate(shapes):
        for reply in await asyncio.to_thread(answers, port, shape.sent + LAST):
            identity = reply.headers["X-Request-ID"]
            assert reply.status < 500 or (reply.status in BY_PROXY and not identity), (shape.name, reply)
            heard += [identity] if identity else []
        reply = await sound.ask(f"GET /status/{mark(number)}")
        assert reply.json["eventId"] == mark(number), shape.name
        heard.append(reply.headers["X-Request-ID"])
        effort.tried()
    await sound.close()
    return heard


def asked(server: Server) -> set[str]:
    """The ids of all requests that a server has noted so far, but for those that only see whether it is ready."""
    last = server.ask("GET /readyz").headers["X-Request-ID"]
    server.logged(lambda line: line.get("request_id") == last)
    return {line["request_id"] for line in server.log() if line.get("route", "/readyz") != "/readyz"}
