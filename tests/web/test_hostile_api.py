"""Whatever is sent to /api/v1: never a 5xx, no header that somebody else has written, and taken whole or refused."""

import http.client
import json
import re
import socket
import unicodedata
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as some

from tests.client import Headers, Reply, raw
from tests.server import Server
from tests.web.api import V1, created
from tests.web.attacker import Attacker, characters_of_every_category, is_event_id, is_id, often

SLUG: Final = r"[A-Za-z0-9_.~-]+"
LISTS: Final = ("/events", "/events/gig/orders", "/events/gig/ledger")
HEADERS: Final = {
    "Allow", "Cache-Control", "Connection", "Content-Disposition", "Content-Length", "Content-Security-Policy",
    "Content-Type", "Cross-Origin-Opener-Policy", "Cross-Origin-Resource-Policy", "Date", "ETag", "Link", "Location",
    "Permissions-Policy", "Referrer-Policy", "Retry-After", "Transfer-Encoding", "Vary", "WWW-Authenticate",
    "X-Accel-Buffering", "X-Content-Type-Options", "X-Request-Id",
}  # fmt: skip
"""All that the server ever says in its answers' heads, here."""


class ApiAttacker(Attacker):
    """Looks at the head of every answer, too."""

    def send(self, request: str, body: bytes | None = None, headers: Headers | None = None) -> Reply:
        """As `Attacker`; what stands in a head must be the server's own words, and lead nowhere else."""
        reply = super().send(request, body, headers)
        names = {name.lower() for name in reply.headers}
        assert names <= {name.lower() for name in HEADERS}
        for name, value in reply.headers.items():
            assert value.isascii(), name
            assert value.isprintable(), name
        assert re.match(r"(https?:/)?/(?!/)|\Z", reply.headers.get("Location", ""))
        return reply

    def ask(self, request: str, body: dict[str, Any] | None = None, headers: Headers | None = None) -> Reply:
        """Send a request to the API, whose body becomes JSON."""
        method, path = request.split(" ", 1)
        return self.send(f"{method} {V1}{path}", None if body is None else json.dumps(body).encode(), headers)


@pytest.fixture(scope="module")
def attacker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiAttacker]:
    with Server(tmp_path_factory.mktemp("hostile")) as server:
        attacker = ApiAttacker(server)
        created(attacker.ask("POST /events", {"eventId": "gig", "capacity": 10_000}))
        yield attacker
        server.verify()
        assert server.stop() == 0
        assert not [line for line in server.log() if "traceback" in line]


@pytest.fixture(scope="module")
def order(attacker: ApiAttacker) -> dict[str, Any]:
    """An order that nothing here may harm."""
    return created(attacker.ask("POST /events/gig/orders", {"userId": "bob"}))


# Texts

TURNING: Final = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


def is_text(text: str, length_max: int, allowed: str = "") -> bool:
    """Whether the contract takes a text for a title, a name and so on."""
    return len(text) <= length_max and not any(
        (unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"} and character not in allowed)
        or character in TURNING
        for character in text
    )


def is_line(text: str, length_max: int) -> bool:
    """Whether the contract takes a text for one in a single line."""
    return is_text(unicodedata.normalize("NFC", text), length_max)


def refused(reply: Reply) -> set[str]:
    """The members that are at fault."""
    if reply.status != 400:
        return set()
    assert reply.code == "invalid_input"
    return {error["pointer"].removeprefix("/") for error in reply.json["errors"]}


def wrong(**checks: bool) -> set[str]:
    """The names of all that is not right."""
    return {name for name, is_right in checks.items() if not is_right}


@pytest.mark.parametrize(("category", "characters"), characters_of_every_category().items())
def test_every_character_is_either_taken_whole_or_refused_wherever_it_stands(
    attacker: ApiAttacker, order: dict[str, Any], category: str, characters: list[str]
) -> None:
    for character in characters:
        for text in (character, f"x{character}", f"x{character}y", character * 255):
            event = {"eventId": text, "title": text, "description": text, "venue": text, "capacity": 1}
            opening = attacker.ask("POST /events", event)
            assert refused(opening) == wrong(
                eventId=is_event_id(text),
                title=is_line(text, 200),
                description=is_text(re.sub("\r\n?", "\n", text), 10_000, "\n"),
                venue=is_line(text, 300),
            ), ascii(text)
            if opening.status == 201:
                shown_as_told(attacker, opening, text)
            contact = {"userId": text, "name": text, "email": f"{text}@example.org"}
            booking = attacker.ask("POST /events/gig/orders", contact)
            is_mailbox = re.fullmatch(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+", text) and len(text) <= 242
            assert refused(booking) == wrong(userId=is_id(text), name=is_line(text, 200), email=bool(is_mailbox)), (
                ascii(text)
            )
            letting_in = attacker.ask("POST /orders/nobodys/check-in", {"gate": text})
            assert refused(letting_in) == wrong(gate=is_line(text, 50))
            ending = attacker.ask("POST /orders/nobodys/cancellation", {"reason": text})
            assert refused(ending) == wrong(reason=is_line(text, 500))
            assert {letting_in.status, ending.status} <= {400, 404}


def shown_as_told(attacker: ApiAttacker, opening: Reply, text: str) -> None:
    """An event with this text everywhere is found where its answer says, and says the same there."""
    document = opening.json
    assert document["eventId"] == unicodedata.normalize("NFC", text)
    assert re.fullmatch(SLUG, document["slug"])
    assert opening.headers["Location"] == f"{V1}/events/{document['slug']}"
    assert attacker.send(f"GET {opening.headers['Location']}").json == document


def test_every_character_that_is_taken_comes_back_from_the_roster(attacker: ApiAttacker) -> None:
    created(attacker.ask("POST /events", {"eventId": "roster", "capacity": 0}))
    for category, characters in characters_of_every_category().items():
        for text in (f"{category}{character}y" for character in characters):
            if not (is_id(text) and is_line(text, 50)):
                continue
            order = created(attacker.ask("POST /events/roster/orders", {"userId": text, "name": text}))
            found = attacker.ask(f"GET /events/roster/orders?{urlencode({'q': text, 'limit': 1})}").json["items"]
            in_one_form = unicodedata.normalize("NFC", text)
            assert [(one["userId"], one["name"]) for one in found] == [(in_one_form, in_one_form)]
            ending = attacker.ask(f"POST /orders/{order['id']}/cancellation", {"reason": text})
            assert ending.status == 200
            assert attacker.ask(f"GET /orders/{order['id']}").json["cancel_reason"] == in_one_form


# What an id makes of headers

ODD_IDS: Final = [
    'gig"; filename="evil.exe', "a;b", "a, b", "a/b", "../../etc/passwd", ".hidden", "ends.", "x" * 255, "é" * 255,
    "🎫" * 255, "%0d%0aSet-Cookie: x=y", "\\r\\nX: y", "<script>", "a b", "~7E", "gig>; rel=\"prev\"", "CON", "=1+1",
    "http://other.example/", "?limit=1", "#x", "a&b=c", "%", "%00",
]  # fmt: skip


@pytest.mark.parametrize("event_id", ODD_IDS, ids=lambda text: ascii(text)[:30])
def test_an_id_writes_no_header(attacker: ApiAttacker, event_id: str) -> None:
    event = created(attacker.ask("POST /events", {"eventId": event_id, "capacity": 1}))
    path = f"/events/{event['slug']}"
    for guest in ("bob", "cleo", "dan"):
        placed = attacker.ask(f"POST {path}/orders", {"userId": guest})
        assert placed.headers["Location"] == f"{V1}/orders/{created(placed)['id']}"
    pages = [attacker.ask(f"GET {path}/{page}") for page in ("orders?limit=1", "ledger?limit=1")]
    for reply in pages:
        assert re.fullmatch(rf'<{V1}/events/{SLUG}/(orders|ledger)\?[\w=&-]+>; rel="next"', reply.headers["Link"])
        assert attacker.send(f"GET {reply.headers['Link'].split('>')[0][1:]}").status == 200
    file = attacker.ask(f"GET {path}/orders", headers={"Accept": "text/csv"})
    name = re.fullmatch(r'attachment; filename="([A-Za-z0-9_.~-]+)"', file.headers["Content-Disposition"])
    assert name
    assert len(name[1]) <= 255
    assert not name[1].startswith(".")
    assert event["page"].endswith(f"/ui{path}")


# Addresses

NO_SLUGS: Final = [
    "~", "~4", "~zz", "~41", "~c3~a9", "~C3", "~ED~A0~80", "~F5~80~80~80", "~0D~0A", "~00", "~2F", "~2E~2E", ".", "..",
    "%2e%2e", "%00", "%0d%0aX:%20y", "a%2Fb", "a%5Cb", "%C3%A9", "%ff", "gig%20", "%20gig", "gig/", "gig;x", "gig%3F",
    "*", "-1", "x" * 5_000, "~C3~A9" * 2_000, "%F0%9F%8E%AB",
]  # fmt: skip


@pytest.mark.parametrize("slug", NO_SLUGS, ids=lambda slug: slug[:30])
def test_what_is_no_slug_is_no_event(attacker: ApiAttacker, slug: str) -> None:
    booking = {"userId": "cleo"}
    replies = [
        attacker.ask(f"GET /events/{slug}"),
        attacker.ask(f"GET /events/{slug}/orders"),
        attacker.ask(f"POST /events/{slug}/orders", booking),
        attacker.ask(f"GET /events/{slug}/ledger"),
        attacker.ask(f"GET /events/{slug}/stream"),
        attacker.ask(f"PATCH /events/{slug}", {"capacity": 1}, {"If-Match": "*"}),
        attacker.ask(f"DELETE /events/{slug}", headers={"If-Match": "*"}),
    ]
    assert {reply.status for reply in replies} <= {308, 404, 405}
    assert {reply.code for reply in replies if reply.status == 404} <= {"event_not_found", "not_found"}


@pytest.mark.parametrize("order_id", [*NO_SLUGS, "a1b2c3d4e5f60718293a", "' OR 1=1 --".replace(" ", "%20")])
def test_what_is_no_orders_id_is_no_order(attacker: ApiAttacker, order_id: str) -> None:
    replies = [
        attacker.ask(f"GET /orders/{order_id}"),
        attacker.ask(f"POST /orders/{order_id}/cancellation", {}),
        attacker.ask(f"POST /orders/{order_id}/check-in", {}),
        attacker.ask(f"DELETE /orders/{order_id}/check-in"),
        attacker.ask(f"POST /orders/{order_id}/manage-link"),
        attacker.ask(f"DELETE /orders/{order_id}/person"),
    ]
    assert {reply.status for reply in replies} <= {308, 404, 405}


@pytest.mark.parametrize("path", ["//other.example", "//other.example/..", "/\\other.example", "//events", "/%2F%2Fx"])
def test_no_address_leads_to_another_server(attacker: ApiAttacker, path: str) -> None:
    for start in ("", V1, f"{V1}/events"):
        reply = attacker.send(f"GET {start}{path}")
        assert "other.example" not in reply.headers.get("Location", "").split("/")[2:3]


@pytest.mark.parametrize("list_", LISTS)
@pytest.mark.parametrize(
    ("query", "statuses"),
    [
        ("limit=1&limit=2", {200}),
        ("limit=1&limit=x", {200, 400}),
        ("limit", {200}),
        ("=", {200}),
        ("&&&;;;", {200}),
        ("%", {200}),
        ("limit=%ff", {400}),
        ("limit=1%00", {400}),
        ("limit=%1E", {400}),
        ("limit=%EF%BC%91", {400}),
        ("limit=" + "9" * 20_000, {400}),
        ("limit=-" + "9" * 300, {400}),
        ("limit[]=1", {200}),
        ("limit=1&" + "x&" * 10_000, {200}),
        ("limit=1&a%0d%0aSet-Cookie:%20b=c", {200}),
        ("limit=1&q=%0d%0aSet-Cookie:%20b=c", {200, 400}),
        ("limit=1&a=%3E;%20rel=%22prev%22,%20%3Chttp://other.example", {200}),
        ("limit=1&q=%E2%80%AE", {200, 400}),
        ("cursor=&after=&status=&q=", {200}),
    ],
    ids=lambda value: str(value)[:30],
)
def test_an_odd_query_is_answered_and_writes_no_header(
    attacker: ApiAttacker, order: dict[str, Any], list_: str, query: str, statuses: set[int]
) -> None:
    reply = attacker.ask(f"GET {list_}?{query}")
    assert reply.status in statuses
    assert reply.headers.get("Link", "").count(">") <= 1


odd_queries = some.binary(max_size=30).map(lambda bytes_: quote(bytes_, safe="%&;=+[]"))
parameters = some.sampled_from(["limit", "cursor", "after", "status", "q", "dry_run"])


@often
@given(some.sampled_from(LISTS), parameters, odd_queries)
def test_no_query_is_too_odd_to_be_answered(attacker: ApiAttacker, list_: str, name: str, rest: str) -> None:
    attacker.ask(f"GET {list_}?{name}={rest}")


@often
@given(some.sampled_from(["/events/", "/orders/", "/"]), odd_queries, some.sampled_from(["GET", "POST", "DELETE"]))
def test_no_address_is_too_odd_to_be_answered(attacker: ApiAttacker, start: str, rest: str, method: str) -> None:
    attacker.ask(f"{method} {start}{rest}")


# Headers

OWN_HEADERS: Final = ("If-Match", "Idempotency-Key", "Order-Key")
HUGE: Final = ["x" * 8_000, "x" * 30_000, '"' * 8_000, '"a",' * 6_000, '"a"' * 6_000, "," * 30_000, " \t" * 8_000]


def exchanged(attacker: ApiAttacker, request: str, lines: list[bytes], body: bytes = b"{}") -> tuple[int, bytes]:
    """The status and the body for a request with these header lines, sent by the organiser; nothing may change."""
    before = attacker.entries()
    head = [
        f"{request.replace(' ', f' {V1}', 1)} HTTP/1.1".encode(),
        b"Host: localhost",
        f"Authorization: {attacker.authorization['Authorization']}".encode(),
        b"Content-Type: application/json",
        b"Content-Length: %d" % len(body),
        *lines,
    ]
    with attacker.connected() as connection:
        connection.sendall(b"\r\n".join([*head, b"", body]))
        answer = http.client.HTTPResponse(connection)
        try:
            answer.begin()
        except (http.client.BadStatusLine, ConnectionResetError):
            return 0, b""
        said = answer.read()
    assert answer.status < 500
    assert "X-Injected" not in answer.headers
    assert attacker.entries() == before
    return answer.status, said


@pytest.mark.parametrize("name", OWN_HEADERS)
@pytest.mark.parametrize("value", HUGE, ids=lambda value: f"{len(value)} of {value[:4]!r}")
def test_no_header_is_too_long_to_be_refused(
    attacker: ApiAttacker, order: dict[str, Any], name: str, value: str
) -> None:
    line = f"{name}: {value}".encode()
    for request in ("PATCH /events/nowhere", "POST /orders/nobodys/cancellation", "POST /events/nowhere/orders"):
        status, said = exchanged(attacker, request, [line])
        assert status in {400, 404, 412, 428, 431}, said


@pytest.mark.parametrize(
    ("request_", "lines", "statuses"),
    [
        pytest.param("DELETE /events/gig", [b'If-Match: "a"', b'If-Match: "b"'], {412}, id="two tags of nothing"),
        pytest.param("DELETE /events/gig", [b"If-Match: *", b'If-Match: "a"'], {400}, id="any tag and another"),
        pytest.param("DELETE /events/gig", [b'If-Match: "a', b'If-Match: b"'], {400}, id="half a tag each"),
        pytest.param("DELETE /events/gig", [b"If-Match: "], {400}, id="a tag left blank"),
        pytest.param("DELETE /events/gig", [b'If-Match: "\xff\x80"'], {412}, id="a tag in other bytes"),
        pytest.param("POST /orders/x/check-in", [b"Idempotency-Key: a"] * 2, {400}, id="a key twice"),
        pytest.param("POST /orders/x/check-in", [b"Idempotency-Key: a,b"], {404}, id="a key with a comma"),
        pytest.param("POST /orders/x/check-in", [b"Idempotency-Key: \xe9"], {400}, id="a key in Latin-1"),
        pytest.param("POST /orders/x/check-in", [b"Idempotency-Key:"], {400}, id="a key left blank"),
        pytest.param("GET /orders/x", [b"Order-Key: a", b"Order-Key: b"], {404}, id="two keys to an order"),
        pytest.param("GET /orders/x", [b"Order-Key: \xff\xfe"], {404}, id="a key in any bytes"),
        pytest.param("GET /events/gig", [b"If-None-Match: " + b'"a",' * 5_000], {200, 431}, id="many tags"),
        pytest.param("GET /events/gig", [b'If-None-Match: "a', b"If-None-Match: *, *"], {200, 304}, id="odd tags"),
        pytest.param("GET /events/gig/orders", [b"Accept: text/csv;q=nan, */*;q=1e999"], {200}, id="odd weights"),
        pytest.param("GET /events/gig/orders", [b"Accept: " + b"text/csv," * 3_000], {200, 431}, id="many types"),
        pytest.param("GET /events/gig/orders", [b"Accept: \xff/\xff", b"Accept: ;;;"], {200}, id="no types"),
        pytest.param("GET /events?limit=1&é=é", [], {200, 400}, id="letters in an address"),
        pytest.param("GET /events/nowhere/stream", [b"Last-Event-ID: " + b"9" * 30_000], {404, 431}, id="a huge id"),
    ],
)
def test_headers_that_come_twice_or_damaged_are_refused_or_do_no_harm(
    attacker: ApiAttacker, order: dict[str, Any], request_: str, lines: list[bytes], statuses: set[int]
) -> None:
    assert exchanged(attacker, request_, lines)[0] in statuses


@pytest.mark.parametrize("name", [*OWN_HEADERS, "Last-Event-ID", "If-None-Match", "Accept"])
@pytest.mark.parametrize(
    "value",
    [b"a\rX-Injected: b", b"a\nX-Injected: b", b"a\r\n X-Injected: b", b"a\x00b", b"a\x0bb", b"a\x1eb", b"\x7f"],
)
def test_a_header_that_breaks_its_line_breaks_nothing_else(
    attacker: ApiAttacker, order: dict[str, Any], name: str, value: bytes
) -> None:
    for request in ("PATCH /events/nowhere", "POST /orders/x/check-in", "GET /events/nowhere/stream", "GET /orders/x"):
        assert exchanged(attacker, request, [name.encode() + b": " + value])[0] in {0, 400, 404, 412, 428}


header_names = some.sampled_from([*OWN_HEADERS, "Accept", "Authorization", "If-None-Match", "Last-Event-ID", "Host"])
header_values = some.text(
    some.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"), max_size=40
)
requests = some.sampled_from(
    [
        "GET /events", "GET /events/gig", "GET /events/gig/orders", "GET /events/gig/ledger",
        "GET /events/nowhere/stream", "PATCH /events/gig", "DELETE /events/nowhere", "POST /events",
        "POST /events/gig/orders", "GET /orders/x", "POST /orders/x/cancellation", "POST /orders/x/check-in",
        "POST /orders/x/manage-link",
    ]
)  # fmt: skip


@often
@given(requests, some.dictionaries(header_names, header_values))
def test_no_header_is_too_odd_to_be_answered(attacker: ApiAttacker, request_: str, headers: dict[str, str]) -> None:
    method, path = request_.split()
    body = b"" if method in {"POST", "PATCH"} else None
    sent = raw(f"{method} {V1}{path}", body, {**attacker.authorization, **headers})
    assert attacker.exchange(sent)[0] < 500


@often
@given(header_values)
def test_no_host_writes_into_the_description(attacker: ApiAttacker, host: str) -> None:
    with attacker.connected() as connection:
        connection.sendall(raw("GET /openapi.json", headers={"Host": host, "Connection": "close"}))
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        said = json.loads(answer.read())
    if answer.status == 200:
        assert list(said) == ["openapi", "info", "servers", "tags", "paths", "components"]
    else:
        assert (answer.status, said["code"]) == (400, "bad_request")


# Streams


def test_a_stream_is_told_apart_from_what_stands_in_its_data(attacker: ApiAttacker) -> None:
    event_id = "line\u0085s\u3000and data: {}"
    assert not is_event_id(event_id)
    assert attacker.ask("POST /events", {"eventId": event_id, "capacity": 1}).status == 400
    event = created(attacker.ask("POST /events", {"eventId": "id: 9 data: {} event: x", "capacity": 1}))
    with attacker.connected() as connection, connection.makefile("rb") as lines:
        connection.sendall(raw(f"GET {V1}/events/{event['slug']}/stream", headers={"Last-Event-ID": "x" * 5_000}))
        message = read_message(lines)
        connection.shutdown(socket.SHUT_RDWR)
    assert [line.split(b": ")[0] for line in message] == [b"event", b"id", b"data"]
    assert json.loads(message[2].removeprefix(b"data: "))["eventId"] == event["eventId"]


def read_message(lines: Any) -> list[bytes]:
    """The first message of a stream, line by line."""
    found: list[bytes] = []
    for line in iter(lambda: lines.readline().strip(), None):
        if line.startswith(b"event: ") or found:
            if not line:
                return found
            found.append(line)
    raise AssertionError("the stream has ended")
