"""The direct lane answers as Quart does, to the byte: two servers that differ in nothing else hear the same."""

import asyncio
import json
import random
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from shutil import copy
from typing import Any, Final, cast
from urllib.parse import quote

import pytest
from uvicorn.server import ServerState

from tests import effort
from tests.client import Body, raw
from tests.service.until import until
from tests.web import pages
from tests.web.unhurried import Watch
from webapp.box_office import BoxOffice
from webapp.log import Log
from webapp.server import uvicorn_config
from webapp.storage.sqlite import SqliteStore
from webapp.web.direct_lane import DirectLane
from webapp.web.guard import Guard
from webapp.web.parts import NAME, Parts
from webapp.web.protocol import PIPELINE_MAX, BoundedProtocol

NOW: Final = 1_800_000_000_000_000
OPENS: Final = NOW + 3_600_000_000
ADDRESSES: Final = ("127.0.0.1", "192.0.2.1", "192.0.2.7", "2001:db8::7")
PROXY: Final = "192.0.2.1"
ROUND_TRIPS: Final = 12

Lives = Callable[[Path], Awaitable[SqliteStore]]


class Line(asyncio.Transport):
    """A connection without a network: what is written to it stays here."""

    def __init__(self, address: str) -> None:
        super().__init__({"peername": (address, 4_711), "sockname": ("127.0.0.1", 3_000)})
        self.heard = b""
        self.protocol: asyncio.BaseProtocol | None = None
        self.is_paused = self.is_over = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self.is_over:
            raise RuntimeError("unable to perform operation; the handler is closed")  # as uvloop does
        self.heard += data

    def is_closing(self) -> bool:
        return self.is_over

    def close(self) -> None:
        if not self.is_over:
            self.is_over = True
            asyncio.get_running_loop().call_soon(cast(BoundedProtocol, self.protocol).connection_lost, None)

    abort = close

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...

    def pause_reading(self) -> None:
        self.is_paused = True

    def resume_reading(self) -> None:
        self.is_paused = False


class Front:
    """A server without sockets, with the lane or without."""

    def __init__(self, box_office: BoxOffice, *, has_lane: bool, app: Callable[..., Any] | None = None) -> None:
        self.log = Log()
        self.watch = Watch()
        quart = pages.app_over(
            box_office, timer=self.watch, requests=self.log, BOOKINGS_PER_MINUTE="3", TRUSTED_PROXIES=PROXY
        )
        parts = cast(Parts, quart.extensions[NAME])
        self.token = parts.gatekeeper.tokens.issue()
        self.metrics = parts.metrics
        self.lane = DirectLane(parts, cast(Guard, quart.asgi_app)) if has_lane else None
        self._config = uvicorn_config(app or quart, self.lane, parts.settings)
        self._config.load()
        self._server = ServerState()

    def call(self, address: str) -> Line:
        """A new connection from an address."""
        line = Line(address)
        line.protocol = self._config.http_protocol_class(  # type: ignore[call-arg]  # as uvicorn makes it
            config=self._config, server_state=self._server, app_state={}
        )
        line.protocol.connection_made(line)
        return line

    async def say(self, line: Line, *pieces: bytes) -> None:
        """Send pieces, and wait until everything is answered."""
        protocol = cast(BoundedProtocol, line.protocol)
        for piece in pieces:
            await until(lambda: line.is_over or not line.is_paused)
            if not line.is_over:
                protocol.data_received(piece)
            await asyncio.sleep(0)
        await until(lambda: line.is_over or getattr(protocol.cycle, "response_complete", True))
        await until(lambda: not self._server.tasks)

    def lines_of_the_log(self) -> list[dict[str, Any]]:
        """What the log says of the requests, but for what no two requests share."""
        told = [json.loads(line) for line in self.log._waiting]
        return [{name: line[name] for name in line.keys() - {"time", "request_id", "ms"}} for line in told]

    async def counted(self) -> list[str]:
        """What was counted of the requests, but for the time that they took."""
        text = (await self.metrics.text(pending=0, streams=0)).decode()
        return sorted(re.findall(r"fairlist_http_requests_total.*", text))


@pytest.fixture
async def fronts(
    empty_database: Path, tmp_path: Path, open_store: Lives, start: Callable[[BoxOffice], Awaitable[BoxOffice]]
) -> tuple[Front, Front]:
    """One with the lane and one without, with the same events, clock and randomness."""
    both = []
    for name in ("lane", "quart"):
        store = await open_store(Path(copy(empty_database, tmp_path / f"{name}.db")))
        box_office = BoxOffice(store, clock=lambda: NOW, randomness=random.Random(7).randbytes, pending_max=20)
        await start(box_office)
        await box_office.open_event("gig", tickets=2)
        await box_office.open_event("a b/c", tickets=1)
        both.append(Front(box_office, has_lane=name == "lane"))
    return both[0], both[1]


def without_ids(said: bytes) -> bytes:
    """An answer without the request's id, of which no two are the same."""
    return re.sub(rb"[0-9a-f]{12}-[0-9a-f]+", b"ID", said)


def made_up(chance: random.Random, token: str) -> bytes:
    """A request: often straight, often not quite."""
    guest, event = chance.choice(["Bob", "Cleo", "Zoë", "Dan"]), chance.choice(["gig", "gig", "gig", "a b/c", "none"])
    body: Body = {"eventId": event, "userId": guest}
    headers: dict[str, str] = {}
    request = chance.choice(["POST /book", "POST /book", "POST /cancel", "STATUS"])
    if request == "STATUS":
        body, request = None, f"GET /status/{quote(event, safe=chance.choice(['', '/']))}"
    if request == "POST /cancel" or chance.random() < 0.1:
        headers["Authorization"] = chance.choice(
            [f"Bearer {token}"] * 4 + [f"bearer {token}", "Bearer x", "Basic eDp5", ""]
        )
    if chance.random() < 0.4:
        request = odd_request(chance, request)
    if chance.random() < 0.4 and body is not None:
        body = odd_body(chance, event, guest)
        headers["Content-Type"] = "application/json"
    for _ in range(chance.choice([0, 0, 1, 2])):
        name, values = chance.choice(HEADERS)
        headers[name] = chance.choice(values)
    sent = raw(request, body, headers)
    if chance.random() < 0.05:
        sent = sent.replace(b" HTTP/1.1", b" HTTP/1.0")
    if chance.random() < 0.05:
        sent = sent.replace(b"Host: localhost\r\n", chance.choice([b"", b"Host: a\r\nHost: b\r\n", b"Host: a b\r\n"]))
    return sent


HEADERS: Final = (
    ("Accept", ("*/*", "application/json", "text/html", "text/html, application/json;q=0.5", "image/png", "")),
    ("Accept-Encoding", ("gzip, br", "identity")),
    ("Connection", ("close", "keep-alive", "Upgrade")),
    (
        "Content-Type",
        ("application/json; charset=utf-8", "application/json; charset=latin-1", "text/plain", ""),
    ),
    ("Content-Encoding", ("gzip",)),
    ("Cookie", ("fairlist_session=x",)),
    ("Expect", ("100-continue", "what")),
    ("If-None-Match", ('"x"', "*", 'W/"3-000000000000"')),
    ("Idempotency-Key", ("k",)),
    ("Origin", ("http://localhost", "https://elsewhere.example", "null")),
    ("Sec-Fetch-Site", ("same-origin", "cross-site", "none")),
    ("Upgrade", ("h2c",)),
    ("User-Agent", ("Mozilla/5.0",)),
    ("X-Forwarded-For", ("198.51.100.4", "198.51.100.4, 192.0.2.1", "nonsense", "")),
    ("X-Forwarded-Proto", ("https", "http", "ftp")),
    ("X-Request-Id", ("mine",)),
)


def odd_request(chance: random.Random, request: str) -> str:
    """A request line that is not quite one of the lane's."""
    method, path = request.split(" ", 1)
    return chance.choice(
        [
            f"{method} {path}?x=1",
            f"{method} {path}/",
            f"{method} /{path}",
            f"{method} http://localhost{path}",
            f"{method} {path}%20",
            f"{method} {path}#part",
            f"{chance.choice(['GET', 'HEAD', 'PUT', 'OPTIONS', 'DELETE', 'POST'])} {path}",
            "GET /status/" + chance.choice(["", ".", "..", "~", "-", "a%20b/c", "%67ig", "gig%0A", "x" * 300, "gig//"]),
        ]
    )


def odd_body(chance: random.Random, event: str, guest: str) -> bytes:
    """A body that is not quite one of the lane's."""
    return chance.choice(
        [
            b"",
            b"{}",
            b"[]",
            b"null",
            b'{"eventId":"gig"',
            b'{"eventId":"gig","userId":"Bob","userId":"Cleo"}',
            b'{"eventId":"gig","userId":7}',
            b'{"eventId":"gig","userId":" Bob"}',
            b'{"eventId":"/gig","userId":"Bob"}',
            b'{"eventId":"gig","userId":"\\ud800"}',
            b'{"eventId":"gig","userId":"Bo\\u0000b"}',
            b'{"eventId":"gig","userId":"\xff"}',
            b'\xef\xbb\xbf{"eventId":"gig","userId":"Bob"}',
            json.dumps({"userId": guest, "eventId": event, "more": [1.5, None, {"x": "y"}]}, indent=1).encode(),
            json.dumps({"eventId": event, "userId": guest, "padding": "x" * 70_000}).encode(),
        ]
    )


def in_pieces(chance: random.Random, sent: bytes) -> list[bytes]:
    """What is sent, whole or as it may arrive."""
    if chance.random() < 0.7:
        return [sent]
    cuts = sorted(chance.randrange(len(sent)) for _ in range(chance.randint(1, 3)))
    return [sent[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(sent)], strict=True)]


async def differ(lane: Front, quart: Front, seed: int) -> bool:
    """Whether a series of requests is answered, noted or counted by one otherwise than by the other."""
    chance = random.Random(seed)
    for _ in range(ROUND_TRIPS):
        address = chance.choice(ADDRESSES)
        here, there = lane.call(address), quart.call(address)
        lane.watch.now = quart.watch.now = lane.watch.now + chance.choice([0, 1, 20])
        for _ in range(chance.randint(1, 3)):
            sent = b"".join(made_up(chance, lane.token) for _ in range(chance.choice([1, 1, 1, 2, 4])))
            pieces = in_pieces(chance, sent)
            await lane.say(here, *pieces)
            await quart.say(there, *pieces)
            if without_ids(here.heard) != without_ids(there.heard) or here.is_over != there.is_over:
                return True
        here.close()
        there.close()
    noted, counted = (
        [front.lines_of_the_log() for front in (lane, quart)],
        [await lane.counted(), await quart.counted()],
    )
    return noted[0] != noted[1] or counted[0] != counted[1]


async def test_both_answer_whatever_is_sent_with_the_same_bytes_and_note_the_same(fronts: tuple[Front, Front]) -> None:
    for seed in effort.seeds(effort.SAME_ANSWERS):
        assert not await differ(*fronts, seed), seed


@pytest.mark.parametrize(
    ("target", "broken"),
    [
        ("webapp.web.direct_lane.ODD", frozenset()),
        ("webapp.web.direct_lane.PROGRAMS_ACCEPT", frozenset({None, b"*/*", b"text/html"})),
        ("webapp.web.direct_lane.limit_fields", lambda *_: ()),
        ("webapp.web.direct_lane.host_is_sound", lambda *_: True),
        ("webapp.web.direct_lane.remarked", lambda *_: {}),
        ("webapp.web.direct_lane.DirectLane._origin", lambda _, exchange: ("http", exchange.client[0])),
        ("webapp.web.protocol.Cycle.keep_alive", property(lambda _: True, lambda *_: None)),
        ("webapp.web.protocol.Cycle.on_response", property(lambda _: lambda: None, lambda *_: None)),
        ("webapp.web.protocol.BoundedProtocol._let_go", lambda protocol: setattr(protocol, "_held", None)),
    ],
    ids=["odd", "accept", "limit", "host", "remark", "proxy", "close", "pipeline", "let go"],
)
async def test_a_lane_that_differs_is_found_out(
    fronts: tuple[Front, Front], monkeypatch: pytest.MonkeyPatch, target: str, broken: Any
) -> None:
    monkeypatch.setattr(target, broken, raising=False)
    monkeypatch.setattr("tests.service.until.TIMEOUT_S", 1.0)
    for seed in range(1, effort.ATTEMPTS):
        try:
            if await differ(*fronts, seed):
                return
        except TimeoutError:  # it does not answer at all
            return
    pytest.fail("nothing was found")


STRAIGHT: Final[tuple[tuple[str, Body, dict[str, str], bytes], ...]] = (
    ("POST /book", {"eventId": "gig", "userId": "Bob"}, {}, b'{"assigned":true}'),
    ("POST /book", {"userId": "Zoë", "eventId": "a b/c", "more": [1]}, {"Accept": "*/*"}, b'{"assigned":true}'),
    ("POST /book", {"eventId": "none", "userId": "Bob"}, {}, b'"code":"event_not_found"'),
    ("POST /book", {"eventId": "gig", "userId": "Bob"}, {"Connection": "close"}, b'{"assigned":true}'),
    ("POST /cancel", {"eventId": "gig", "userId": "Bob"}, {"Authorization": "Bearer {}"}, b'"code":"order_not_found"'),
    ("GET /status/gig", None, {"Accept": "application/json"}, b'{"eventId":"gig","total":2,'),
)


@pytest.mark.parametrize(("request_line", "body", "headers", "answer"), STRAIGHT)
async def test_what_is_straight_goes_round_quart(
    box_office: BoxOffice, request_line: str, body: Body, headers: dict[str, str], answer: bytes
) -> None:
    await box_office.open_event("gig", tickets=2)
    await box_office.open_event("a b/c", tickets=1)
    front = Front(box_office, has_lane=True, app=unreachable)
    line = front.call("127.0.0.1")
    headers = {name: value.format(front.token) for name, value in headers.items()}
    await front.say(line, raw(request_line, body, headers))
    assert answer in line.heard
    assert line.is_over == ("Connection" in headers)


async def unreachable(_scope: object, _receive: object, _send: object) -> None:
    """An application that nothing should come to."""
    raise AssertionError("a straight request has come to Quart")


async def test_a_busy_server_and_one_that_ends_say_so(box_office: BoxOffice) -> None:
    await box_office.open_event("gig", tickets=2)
    front = Front(box_office, has_lane=True, app=unreachable)
    line = front.call("127.0.0.1")
    await box_office.stop()
    await front.say(line, raw("POST /book", {"eventId": "gig", "userId": "Bob"}))
    assert line.heard.startswith(b"HTTP/1.1 503 ")
    assert b"retry-after: 5\r\n" in line.heard
    assert b'"code":"shutting_down"' in line.heard


async def test_a_mistake_of_ours_is_an_answer_and_a_line_in_the_log(
    box_office: BoxOffice, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await box_office.open_event("gig", tickets=2)
    front = Front(box_office, has_lane=True, app=unreachable)
    for target in ("webapp.web.direct_lane.limit_fields", "webapp.web.contract.booking_told"):
        with monkeypatch.context() as mistaken:
            mistaken.setattr(target, lambda *_: 1 / 0)
            line = front.call("127.0.0.1")
            await front.say(line, raw("POST /book", {"eventId": "gig", "userId": "Bob"}))
            assert line.heard.startswith(b"HTTP/1.1 500 "), target
            assert "ZeroDivisionError" in caplog.text
            caplog.clear()


async def test_who_is_cut_off_while_the_lane_works_is_noted_as_gone(
    box_office: BoxOffice, caplog: pytest.LogCaptureFixture
) -> None:
    await box_office.open_event("gig", tickets=2)
    front = Front(box_office, has_lane=True)
    line = front.call("127.0.0.1")
    sent = raw("POST /book", {"eventId": "gig", "userId": "Bob"}) + raw("GET /health") * (PIPELINE_MAX + 2)
    cast(BoundedProtocol, line.protocol).data_received(sent)
    await until(lambda: bool(front.log._waiting))
    assert (line.is_over, line.heard) == (True, b"")
    assert front.lines_of_the_log() == [{"method": "POST", "route": "/book", "status": 0}]
    assert (await box_office.place("gig", "Bob")).status == "booked"
    assert caplog.text == ""


async def test_who_reads_nothing_is_left_to_quart(fronts: tuple[Front, Front]) -> None:
    """It waits until what was written is read."""
    lane, _ = fronts
    line = lane.call("127.0.0.1")
    protocol = cast(BoundedProtocol, line.protocol)
    protocol.pause_writing()
    protocol.data_received(raw("GET /status/gig") * 3)
    for _ in range(100):
        await asyncio.sleep(0)
    assert line.heard == b""
    protocol.resume_writing()
    await lane.say(line)
    assert line.heard.count(b"HTTP/1.1 200 OK") == 3
