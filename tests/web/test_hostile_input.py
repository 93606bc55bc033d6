"""Whatever is sent: never a 5xx, nothing changed by what was refused, and the next one is served as ever."""

import http.client
import json
import re
import socket
import struct
import unicodedata
from collections.abc import Iterator
from contextlib import ExitStack
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as some

from tests.client import raw
from tests.server import Server
from tests.web.attacker import Attacker, characters_of_every_category, is_event_id, is_id, often

ROUTES = ("POST /initialize", "POST /book", "POST /cancel")
FORMS = ("POST /ui/events/gig/orders", "POST /ui/events/gig/place", "POST /ui/sign-in", "POST /ui/organise/events")


@pytest.fixture(scope="module")
def attacker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attacker]:
    with Server(tmp_path_factory.mktemp("hostile")) as server:
        server.as_organiser("POST /initialize", {"eventId": "gig", "tickets": 1})
        yield Attacker(server)
        server.verify()
        assert server.stop() == 0
        assert not [line for line in server.log() if "traceback" in line]


# Ids


def is_ticket_count(value: object) -> bool:
    """Whether the contract takes a value for a number of tickets."""
    return isinstance(value, int | float) and not isinstance(value, bool) and value in range(1_000_001)


@pytest.mark.parametrize(("category", "characters"), characters_of_every_category().items())
def test_every_character_is_either_taken_whole_or_refused(
    attacker: Attacker, category: str, characters: list[str]
) -> None:
    for character in characters:
        for text in (character, f"{character}x", f"x{character}", f"x{character}y", character * 255):
            opening = attacker.send("POST /initialize", json.dumps({"eventId": text, "tickets": 1}).encode())
            booking = attacker.send("POST /book", json.dumps({"eventId": "gig", "userId": text}).encode())
            assert (opening.status == 200, booking.status == 200) == (is_event_id(text), is_id(text)), ascii(text)
            assert {opening.code, booking.code} <= {None, "invalid_input"}
            if opening.status == 200:
                in_one_form = unicodedata.normalize("NFC", text)
                status = attacker.send(f"GET /status/{quote(text, safe='')}")
                assert opening.json["eventId"] == status.json["eventId"] == in_one_form


def test_ids_are_counted_in_the_form_they_are_kept_in(attacker: Attacker) -> None:
    for text in ("e\u0301" * 255, "e\u0301" * 256, "e" + "\u0301" * 30_000, "\u1e69\u0323" * 127):
        reply = attacker.send("POST /book", json.dumps({"eventId": "gig", "userId": text}).encode())
        assert (reply.status == 200) == is_id(text)


# Bodies

names = some.sampled_from(["eventId", "userId", "tickets", "EventId", "", "__proto__"]) | some.text(max_size=5)
texts = some.sampled_from(["gig", "bob", "/", "..", "gig "]) | some.text(some.characters(), max_size=20)
numbers = some.integers() | some.floats() | some.integers(-1, 1_000_001).map(float)
values = some.recursive(
    some.none() | some.booleans() | numbers | texts,
    lambda inner: some.lists(inner, max_size=4) | some.dictionaries(names, inner, max_size=4),
    max_leaves=12,
)
bodies = some.fixed_dictionaries(
    {"eventId": texts | values},
    optional={
        "userId": texts | values,
        "tickets": some.sampled_from([True, False, 5, 5.0, 5.5, "5", -1, None]) | numbers | values,
        "more": values,
    },
)


@often
@given(some.sampled_from(ROUTES), bodies)
def test_no_json_is_taken_for_what_it_is_not(attacker: Attacker, route: str, body: dict[str, object]) -> None:
    reply = attacker.send(route, json.dumps(body).encode())
    if reply.status == 200:
        assert is_event_id(body.get("eventId"))
        assert is_ticket_count(body.get("tickets")) if route == "POST /initialize" else is_id(body.get("userId"))


@often
@given(some.sampled_from(ROUTES), values)
def test_no_json_value_is_too_odd_to_be_refused(attacker: Attacker, route: str, body: object) -> None:
    assert attacker.send(route, json.dumps(body).encode()).code in {"invalid_json", "invalid_input"}


@often
@given(some.sampled_from(ROUTES), some.binary(max_size=60))
def test_no_bytes_are_too_odd_to_be_refused(attacker: Attacker, route: str, body: bytes) -> None:
    assert attacker.send(route, body).code in {"invalid_json", "invalid_input"}


@often
@given(some.sampled_from(ROUTES), some.integers(0, 36), some.binary(max_size=3), some.integers(0, 2))
def test_no_broken_json_is_too_odd_to_be_answered(
    attacker: Attacker, route: str, at: int, put_in: bytes, taken_out: int
) -> None:
    whole = b'{"eventId":"gig","userId":"\xc3\xa9","tickets":1}'
    attacker.send(route, whole[:at] + put_in + whole[at + taken_out :])


BOOKING = b'{"eventId":"gig","userId":"bob"}'


@pytest.mark.parametrize(
    ("body", "code"),
    [
        pytest.param(b"\xef\xbb\xbf" + BOOKING, None, id="a byte order mark, which some programs write"),
        pytest.param(b" \t\r\n" + BOOKING + b"\n" * 60_000, None, id="much white space"),
        pytest.param(b'{"eventId":"gig","userId":"\\u0062ob"}', None, id="escapes that need not be"),
        pytest.param(b'{"eventId":"gig","userId":"\\ud83c\\udf89"}', None, id="a pair of surrogates"),
        pytest.param(b"", "invalid_json", id="nothing"),
        pytest.param(b"\x00" * 100, "invalid_json", id="null bytes"),
        pytest.param(b"\xef\xbb\xbf\xef\xbb\xbf" + BOOKING, "invalid_json", id="two byte order marks"),
        pytest.param(BOOKING.decode().encode("utf-16"), "invalid_json", id="UTF-16"),
        pytest.param(BOOKING.decode().encode("utf-32"), "invalid_json", id="UTF-32"),
        pytest.param(BOOKING.replace(b"bob", b"b\xf6b"), "invalid_json", id="Latin-1"),
        pytest.param(BOOKING.replace(b"bob", b"\xed\xa0\x80"), "invalid_json", id="an encoded surrogate"),
        pytest.param(BOOKING.replace(b"bob", b"\xc0\xaf"), "invalid_json", id="an overlong slash"),
        pytest.param(BOOKING.replace(b"bob", b"\xf5\x80\x80\x80"), "invalid_json", id="beyond Unicode"),
        pytest.param(BOOKING.replace(b"bob", b"b\tb"), "invalid_json", id="a bare control character"),
        pytest.param(BOOKING.replace(b"bob", b"\\ud83c"), "invalid_input", id="half a pair of surrogates"),
        pytest.param(BOOKING.replace(b"bob", b"\\udf89\\ud83c"), "invalid_input", id="surrogates the wrong way round"),
        pytest.param(BOOKING.replace(b"bob", b"\\u00"), "invalid_json", id="half an escape"),
        pytest.param(BOOKING[:-1], "invalid_json", id="no end"),
        pytest.param(BOOKING * 2, "invalid_json", id="twice"),
        pytest.param(BOOKING[:-1] + b',"userId":"dan"}', "invalid_json", id="two guests"),
        pytest.param(BOOKING[:-1] + b',"user\\u0049d":"dan"}', "invalid_json", id="two guests, one in disguise"),
        pytest.param(b"[" * 60_000, "invalid_json", id="60,000 levels that never end"),
        pytest.param(b"[" * 30_000 + b"]" * 30_000, "invalid_json", id="30,000 levels"),
        pytest.param(b'{"a":' * 10_000 + b"1" + b"}" * 10_000, "invalid_json", id="10,000 objects in each other"),
        pytest.param(b'{"eventId":"gig","userId":%b}' % (b"9" * 60_000), "invalid_json", id="60,000 digits"),
        pytest.param(b'{"eventId":"gig","userId":1.%b}' % (b"9" * 60_000), "invalid_input", id="a long fraction"),
        pytest.param(b'{"eventId":"gig","userId":1e999999}', "invalid_json", id="a huge exponent"),
        pytest.param(b'{"eventId":"gig","userId":-NaN}', "invalid_json", id="less than no number"),
        pytest.param(b"{%b}" % b",".join(b'"%d":0' % n for n in range(6_000)), "invalid_input", id="6,000 members"),
        pytest.param(BOOKING.replace(b"bob", b"\\" * 60_000), "invalid_input", id="60,000 backslashes"),
        pytest.param(BOOKING.replace(b"bob", "\u0301".encode() * 30_000), "invalid_input", id="30,000 accents"),
        pytest.param(BOOKING + b" " * 65_536, "too_large", id="too much white space"),
        pytest.param(b"x" * 1_000_000, "too_large", id="a million bytes"),
    ],
)
def test_hostile_bodies_are_refused_by_the_right_name(attacker: Attacker, body: bytes, code: str | None) -> None:
    assert attacker.send("POST /book", body).code == code


@pytest.mark.parametrize(
    "content_type",
    [
        "", ";", "/", "json", "application/", "application/jsonp", "application/json+", "text/json", "text/html",
        "application/x-www-form-urlencoded", "multipart/form-data", "multipart/form-data; boundary=x",
        "application/json; charset=utf-16", "application/json; charset=rot13", "application/json, text/plain",
        "application/json; charset*=utf-8''x", "\xe9", "x" * 8_000,
    ],
)  # fmt: skip
def test_what_does_not_say_that_it_is_json_is_not_read_as_json(attacker: Attacker, content_type: str) -> None:
    assert attacker.send("POST /book", BOOKING, {"Content-Type": content_type}).code == "unsupported_media_type"


form_bytes = some.binary(max_size=60) | some.text(max_size=30).map(lambda text: f"userId={quote(text)}".encode())


@often
@given(
    some.sampled_from(FORMS),
    form_bytes,
    some.sampled_from(["application/x-www-form-urlencoded", "multipart/form-data; boundary=x"]),
)
def test_no_form_is_too_odd_to_be_answered(attacker: Attacker, form: str, body: bytes, content_type: str) -> None:
    attacker.send(form, body, {"Content-Type": content_type})


# Addresses and headers

odd_paths = some.binary(max_size=20).map(lambda raw_: quote(raw_, safe="/%?&;=.~"))


@often
@given(some.sampled_from(["/", "/status/", "/ui/events/", "/static/", "/ui/organise/events/"]), odd_paths)
def test_no_address_is_too_odd_to_be_answered(attacker: Attacker, start: str, rest: str) -> None:
    attacker.send(f"GET {start}{rest}")


@pytest.mark.parametrize(
    "path",
    [
        "../webapp/app.py", "../../etc/passwd", "..%2f..%2f..%2fetc%2fpasswd", "%2e%2e/%2e%2e/etc/passwd",
        "/etc/passwd", "..\\..\\etc\\passwd", "%5c..%5c", "vendor/../../pyproject.toml", "vendor/", "", ".",
        "app.css%00.html", "%00", "x" * 5_000,
    ],
)  # fmt: skip
def test_no_file_leaves_that_is_not_meant_to(attacker: Attacker, path: str) -> None:
    assert attacker.send(f"GET /static/{path}").status == 404


header_names = some.sampled_from(
    [
        "Accept", "Accept-Encoding", "Authorization", "Connection", "Content-Type", "Cookie", "Expect", "Host",
        "HX-Request", "If-Match", "If-Modified-Since", "If-None-Match", "Last-Event-ID", "Origin", "Range", "Referer",
        "Sec-Fetch-Site", "Upgrade", "X-Forwarded-For", "X-Forwarded-Proto", "X-HTTP-Method-Override",
    ]
)  # fmt: skip
header_values = some.text(
    some.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"), max_size=30
)
odd_headers = some.dictionaries(header_names, header_values | some.sampled_from(["*", "[", "http://[", '"', "bytes=-"]))
requests = some.sampled_from(
    [
        "GET /status/gig",
        "GET /ui",
        "GET /nowhere",
        "GET /ui/organise",
        "POST /book",
        "POST /ui/sign-in",
        "GET /static/app.css",
    ]
)


@often
@given(requests, odd_headers)
def test_no_header_is_too_odd_to_be_answered(attacker: Attacker, request_: str, headers: dict[str, str]) -> None:
    body = b"" if request_.startswith("POST") else None
    assert attacker.exchange(raw(request_, body, headers))[0] < 500


# Raw bytes


def book_with(fields: bytes, rest: bytes = b"") -> bytes:
    """A booking in bytes, with header fields, and what follows them."""
    head = b"POST /book HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    return head + fields.replace(b"; ", b"\r\n") + b"\r\n\r\n" + rest


def ask_with(fields: bytes) -> bytes:
    """A request in bytes, with header fields."""
    return b"GET /health HTTP/1.1\r\nHost: localhost\r\n" + fields + b"\r\n\r\n"


CHUNKED = b"Transfer-Encoding: chunked"
UPGRADE = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "x"}


@pytest.mark.parametrize(
    ("sent", "statuses"),
    [
        pytest.param(b"\r\n\r\n" + raw("GET /health"), {200}, id="empty lines first"),
        pytest.param(b"GET /health HTTP/1.0\r\n\r\n", {200}, id="an old version"),
        pytest.param(b"GET /health HTTP/9.9\r\n\r\n", {200, 400}, id="a version to come"),
        pytest.param(raw("GET http://other.example/health"), {200}, id="a whole address"),
        pytest.param(raw("GET http://other.example"), {302, 400}, id="a whole address without a path"),
        pytest.param(raw("OPTIONS *"), {200, 404}, id="options of everything"),
        pytest.param(raw("GET *"), {400, 404}, id="everything"),
        pytest.param(raw("GET ?x"), {400}, id="a query alone"),
        pytest.param(raw("CONNECT other.example:443"), {400, 405}, id="a tunnel"),
        pytest.param(b"GET /health HTTP/1.1\r\n\r\n", {200, 400}, id="no host"),
        pytest.param(raw("GET /", headers={"Host": "["}), {302, 400}, id="a broken host"),
        pytest.param(ask_with(b"Host: other.example"), {200, 400}, id="two hosts"),
        pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", {0, 400}, id="HTTP/2"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500), {0, 400}, id="TLS"),
        pytest.param(b"hello\r\n\r\n", {0, 400}, id="a greeting"),
        pytest.param(bytes(range(256)) * 4, {0, 400}, id="any bytes"),
        pytest.param(raw("get /health"), {400, 405}, id="a method in lower case"),
        pytest.param(raw("BREW /health"), {400, 405}, id="an unknown method"),
        pytest.param(raw("GET /status/\xe9"), {400, 404}, id="an address in Latin-1"),
        pytest.param(raw("GET /status/a b"), {400, 404}, id="a space in an address"),
        pytest.param(raw("GET /status/%zz"), {400, 404}, id="a broken escape"),
        pytest.param(raw("GET /" + "x" * 100_000), {404, 414, 431}, id="a long address"),
        pytest.param(raw("GET /health", headers={"Cookie": "x" * 1_000_000}), {200, 400, 431}, id="a huge header"),
        pytest.param(ask_with(b"A: b\r\n" * 10_000 + b"A: b"), {200, 400, 431}, id="10,000 headers"),
        pytest.param(ask_with(b"A: b\x00c"), {400}, id="a null byte in a header"),
        pytest.param(ask_with(b"A b: c"), {400}, id="a space in a header's name"),
        pytest.param(ask_with(b": c"), {400}, id="a header without a name"),
        pytest.param(ask_with(b"A"), {400}, id="a header without a value"),
        pytest.param(ask_with(b"A: b\r\n c"), {200, 400}, id="a folded header"),
        pytest.param(raw("GET /health", headers=UPGRADE), {200, 400, 426}, id="a web socket"),
        pytest.param(raw("GET /health", headers={**UPGRADE, "Upgrade": "h2c"}), {200, 400}, id="another protocol"),
        pytest.param(book_with(b"Content-Length: -1"), {400}, id="less than no length"),
        pytest.param(book_with(b"Content-Length: 1e1"), {400}, id="no number as length"),
        pytest.param(book_with(b"Content-Length: 2; Content-Length: 3", b"{}"), {400}, id="two lengths"),
        pytest.param(book_with(b"Content-Length: 5; " + CHUNKED, b"0\r\n\r\n"), {400}, id="a length and chunks"),
        pytest.param(book_with(CHUNKED + b"; Content-Length: 5", b"0\r\n\r\n"), {400}, id="chunks and a length"),
        pytest.param(book_with(b"Transfer-Encoding: gzip"), {400, 501}, id="a compressed transfer"),
        pytest.param(book_with(b"Transfer-Encoding: chunked, x", b"0\r\n\r\n"), {400, 501}, id="an odd transfer"),
        pytest.param(book_with(CHUNKED, b"xyz\r\n"), {400}, id="no number as chunk"),
        pytest.param(book_with(CHUNKED, b"f" * 17 + b"\r\n"), {400}, id="a vast chunk"),
        pytest.param(book_with(CHUNKED, b"2\r\n{}{}\r\n0\r\n\r\n"), {400}, id="a chunk longer than it says"),
        pytest.param(book_with(CHUNKED, b"2\r\n{}\r\n0\r\nA: b\r\n\r\n"), {400}, id="a trailer"),
        pytest.param(book_with(CHUNKED, b"1000\r\n%b\r\n" % bytes(4_096) * 20), {413}, id="chunks without end"),
        pytest.param(book_with(b"Content-Length: 3", b"{}{"), {400}, id="an object and a half"),
    ],
)
def test_malformed_requests_do_no_harm(attacker: Attacker, sent: bytes, statuses: set[int]) -> None:
    first, *behind = attacker.exchange(sent)
    assert first in statuses
    assert behind in ([], [0], [200], [400])


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(book_with(b"Content-Length: 65537"), id="a byte too long"),
        pytest.param(book_with(b"Content-Length: 9999999999"), id="a vast length"),
        pytest.param(book_with(b"Content-Length: 65537; Expect: 100-continue"), id="asking first"),
        pytest.param(book_with(b"Content-Length: 9999999999", b"x" * 1_000_000), id="a million bytes of many"),
    ],
)
def test_a_body_that_is_announced_too_long_is_refused_before_it_has_come(attacker: Attacker, sent: bytes) -> None:
    with attacker.connected() as connection:
        connection.sendall(sent)
        response = http.client.HTTPResponse(connection)
        response.begin()
        assert response.status == 413


UNFINISHED = [
    b"",
    b"P",
    b"POST /book HTTP/1.1\r\n",
    b"POST /book HTTP/1.1\r\nHost: localhost\r\nContent-Le",
    book_with(b"Content-Length: 31"),
    book_with(b"Content-Length: 31", BOOKING[:15]),
    book_with(CHUNKED, b"1f\r\n" + BOOKING[:15]),
    book_with(CHUNKED, b"1f\r\n" + BOOKING),
    raw("GET /ui/stream")[:-2],
]


@pytest.mark.parametrize("abruptly", [False, True])
def test_who_goes_away_in_the_middle_leaves_nothing_behind(attacker: Attacker, abruptly: bool) -> None:
    before = attacker.entries()
    for sent in UNFINISHED * 5:
        with attacker.connected() as connection:
            if abruptly:  # the connection is reset, not closed
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.sendall(sent)
    assert attacker.server.ask("GET /health").json == {"ok": True}
    assert attacker.entries() == before


def test_who_never_finishes_keeps_nobody_waiting(attacker: Attacker) -> None:
    with ExitStack() as opened:
        for sent in UNFINISHED * 20:
            opened.enter_context(attacker.connected()).sendall(sent)
        assert attacker.server.ask("GET /health").json == {"ok": True}
        assert attacker.send("POST /book", BOOKING).status == 200


def test_requests_sent_in_one_go_are_answered_in_turn(attacker: Attacker) -> None:
    with attacker.connected() as connection, connection.makefile("rb") as answers:
        connection.sendall(
            raw("POST /book", b"nonsense", {"Content-Type": "application/json"})
            + raw("GET /health")
            + raw("GET /nowhere", headers={"Connection": "close"})
        )
        statuses = re.findall(rb"HTTP/1.1 (\d+)", answers.read())
    assert statuses == [b"400", b"200", b"404"]
