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
from tests.reliability.hostile_requests import CHUNKED, book_with
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


HOSTILE_BODIES = [
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
]


@pytest.mark.parametrize(("body", "code"), HOSTILE_BODIES)
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


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(book_with(b"Content-Length: 65537"), id="a byte too long"),
        pytest.param(book_with(b"Content-Length: 9999999999"), id="a vast length"),
        pytest.param(book_with(b"Content-Length: 65537", b"Expect: 100-continue"), id="asking first"),
        pytest.param(book_with(b"Content-Length: 9999999999", rest=b"x" * 1_000_000), id="a million bytes of many"),
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
    book_with(b"Content-Length: 31", rest=BOOKING[:15]),
    book_with(CHUNKED, rest=b"1f\r\n" + BOOKING[:15]),
    book_with(CHUNKED, rest=b"1f\r\n" + BOOKING),
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
