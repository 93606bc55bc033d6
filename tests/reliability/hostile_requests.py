"""Requests that no sound client sends, as bytes: above all those that a proxy reads in one way, a server in another.

Sources: RFC 9112, 11.2; https://portswigger.net/web-security/request-smuggling; https://http-garden.com, for shapes.
"""

import http.client
import json
from contextlib import suppress
from dataclasses import dataclass
from email.message import Message
from io import BytesIO
from socket import SHUT_WR, create_connection
from typing import Final

from tests.client import TIMEOUT_S, Reply, raw
from tests.web.api import ADA, V1

EVENT: Final = "gig"
NO_STATUS: Final = 9
"""What an answer of HTTP/0.9 has, which is a body alone."""

SMUGGLED: Final = raw("POST /book", {"eventId": EVENT, "userId": "smuggled"})
"""A request that nobody sends: it lies in what another request carries."""

BOOKING: Final = json.dumps({"eventId": EVENT, "userId": "bob"}).encode()
"""What Bob has already, so that it changes nothing where it is taken."""

CHUNK: Final = b"%x\r\n%b\r\n" % (len(BOOKING), BOOKING)
CHUNKED: Final = b"Transfer-Encoding: chunked"
LENGTH: Final = b"Content-Length: %d" % len(BOOKING)
UPGRADE: Final = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "x",
}


@dataclass(frozen=True, slots=True)
class Shape:
    """Bytes of one request, the statuses that it may get, 0 for a connection that ends without a word.

    `ends` says whether the connection must end, because nobody knows where the next request would begin.
    """

    name: str
    sent: bytes
    statuses: frozenset[int]
    ends: bool

    def __str__(self) -> str:
        return self.name


def taken(name: str, sent: bytes, *statuses: int) -> Shape:
    """What is served, or refused, as one request like any other; the next one follows."""
    return Shape(name, sent, frozenset(statuses), ends=False)


def fatal(name: str, sent: bytes, *statuses: int) -> Shape:
    """What is refused, and ends the connection."""
    return Shape(name, sent, frozenset(statuses or (400,)), ends=True)


def book_with(*fields: bytes, rest: bytes = b"") -> bytes:
    """A booking in bytes, with header fields, and what follows them."""
    head = b"POST /book HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    return head + b"\r\n".join(fields) + b"\r\n\r\n" + rest


def ask_with(*fields: bytes) -> bytes:
    """A request in bytes, with header fields."""
    return b"GET /health HTTP/1.1\r\nHost: localhost\r\n" + b"\r\n".join(fields) + b"\r\n\r\n"


def ask_for(target: bytes) -> bytes:
    """A request in bytes for any target."""
    return b"GET " + target + b" HTTP/1.1\r\nHost: localhost\r\n\r\n"


LENGTHS: Final = [
    fatal(f"a length {name}", book_with(b"Content-Length: " + value, rest=BOOKING + SMUGGLED))
    for name, value in {
        "below nothing": b"-1",
        "with a plus": b"+%d" % len(BOOKING),
        "with an exponent": b"1e1",
        "in hexadecimal": b"0x20",
        "with a space inside": b"3 2",
        "with a comma": b"32, 32",
        "with a comma and another": b"32, 0",
        "with a semicolon": b"32;",
        "in quotes": b'"32"',
        "with a fraction": b"32.0",
        "with an underscore": b"3_2",
        "in digits of another script": "\u0663\u0662".encode(),
        "beyond every number": b"9" * 40,
        "with a null byte": b"32\x00",
        "with a vertical tab": b"\x0b32",
    }.items()
]
TWO_LENGTHS: Final = [
    fatal("two lengths", book_with(b"Content-Length: 0", LENGTH, rest=BOOKING)),
    fatal("two lengths, the other way round", book_with(LENGTH, b"Content-Length: 0", rest=BOOKING + SMUGGLED)),
    fatal("the same length twice", book_with(LENGTH, LENGTH, rest=BOOKING)),
    fatal("a length and chunks", book_with(LENGTH, CHUNKED, rest=CHUNK + b"0\r\n\r\n" + SMUGGLED)),
    fatal("chunks and a length", book_with(CHUNKED, LENGTH, rest=CHUNK + b"0\r\n\r\n" + SMUGGLED)),
    fatal(
        "chunks that end before the length", book_with(b"Content-Length: 200", CHUNKED, rest=b"0\r\n\r\n" + SMUGGLED)
    ),
    fatal("chunks and no length at all", book_with(CHUNKED, b"Content-Length: 0", rest=CHUNK + b"0\r\n\r\n")),
]
TRANSFERS: Final = [
    fatal(f"a transfer {name}", book_with(field, LENGTH, rest=BOOKING + SMUGGLED), 400, 501)
    for name, field in {
        "in chunks, said oddly": b"Transfer-Encoding: xchunked",
        "in chunks, after a tab": b"Transfer-Encoding:\tchunked",
        "in chunks, after a vertical tab": b"Transfer-Encoding: \x0bchunked",
        "in chunks, with a space before the colon": b"Transfer-Encoding : chunked",
        "in chunks, on a folded line": b"Transfer-Encoding:\r\n chunked",
        "in chunks, in capitals": b"TRANSFER-ENCODING: CHUNKED",
        "in chunks, in quotes": b'Transfer-Encoding: "chunked"',
        "in chunks, and then not": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        "not, and then in chunks": b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
        "in chunks in chunks": b"Transfer-Encoding: chunked, chunked",
        "in chunks, then compressed": b"Transfer-Encoding: chunked, gzip",
        "compressed": b"Transfer-Encoding: gzip",
        "as nothing": b"Transfer-Encoding: ",
        "in chunks with a parameter": b"Transfer-Encoding: chunked;q=1",
        "behind a null byte": b"Transfer-Encoding: \x00chunked",
        "behind a carriage return": b"X: y\rTransfer-Encoding: chunked",
    }.items()
]
CODINGS: Final = [
    fatal(f"a coding that is {name}", book_with(field, rest=b"0\r\n\r\n" + SMUGGLED), 400, 501)
    for name, field in {
        "compression": b"Transfer-Encoding: gzip",
        "chunks, then another": b"Transfer-Encoding: chunked, x",
        "identity": b"Transfer-Encoding: identity",
        "unheard of": b"Transfer-Encoding: cow",
    }.items()
]
CHUNKS: Final = [
    taken("chunks", book_with(CHUNKED, rest=CHUNK + b"0\r\n\r\n"), 200),
    taken("chunks with leading zeroes", book_with(CHUNKED, rest=b"000" + CHUNK + b"0\r\n\r\n"), 200),
    taken("a chunk with an extension", book_with(CHUNKED, rest=CHUNK.replace(b"\r", b";a=b\r", 1) + b"0\r\n\r\n"), 200),
    taken("chunks with a trailer", book_with(CHUNKED, rest=CHUNK + b"0\r\nX-Trailer: b\r\n\r\n"), 200),
    fatal("a trailer that says a length", book_with(CHUNKED, rest=CHUNK + b"0\r\nContent-Length: 9\r\n\r\n")),
    *(
        fatal(f"a chunk's size {name}", book_with(CHUNKED, rest=b"%b\r\n%b\r\n0\r\n\r\n" % (size, BOOKING) + SMUGGLED))
        for name, size in {
            "that is no number": b"xyz",
            "below nothing": b"-20",
            "with a plus": b"+20",
            "in another notation": b"0x20",
            "beyond 64 bits": b"1" + b"0" * 15 + b"20",
            "with a space before": b" 20",
            "left out": b"",
            "with an underscore": b"2_0",
        }.items()
    ),
    fatal("a chunk longer than it says", book_with(CHUNKED, rest=b"2\r\n{}{}\r\n0\r\n\r\n" + SMUGGLED)),
    fatal("a chunk that ends in a bare line feed", book_with(CHUNKED, rest=b"2\r\n{}\n0\r\n\r\n" + SMUGGLED)),
    fatal("a chunk's size that ends in a bare line feed", book_with(CHUNKED, rest=b"2\n{}\r\n0\r\n\r\n" + SMUGGLED)),
    fatal("an extension with a line feed", book_with(CHUNKED, rest=b"2;a\nb\r\n{}\r\n0\r\n\r\n" + SMUGGLED)),
    fatal("a trailer that is none", book_with(CHUNKED, rest=CHUNK + b"0\r\n: x\r\n\r\n" + SMUGGLED)),
    fatal("chunks without end", book_with(CHUNKED, rest=b"1000\r\n%b\r\n" % bytes(4_096) * 20), 400, 413),
]  # fmt: skip
HEADS: Final = [
    taken("empty lines first", b"\r\n\r\n" + raw("GET /health"), 200),
    taken("a header without a value", ask_with(b"A:"), 200),
    fatal("a method in lower case", b"get /health HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    fatal("a bare line feed after a header", b"GET /health HTTP/1.1\r\nHost: localhost\nA: b\r\n\r\n" + SMUGGLED),
    fatal("bare line feeds alone", b"GET /health HTTP/1.1\nHost: localhost\n\n" + SMUGGLED),
    fatal("a bare carriage return in a header", ask_with(b"A: b\rContent-Length: 99") + SMUGGLED),
    fatal("bare carriage returns alone", b"GET /health HTTP/1.1\rHost: localhost\r\r" + SMUGGLED),
    fatal("a folded header", ask_with(b"A: b\r\n c")),
    fatal("a folded first header", b"GET /health HTTP/1.1\r\n Host: localhost\r\n\r\n"),
    fatal("a null byte in a header", ask_with(b"A: b\x00c")),
    fatal("a null byte in a header's name", ask_with(b"A\x00b: c")),
    fatal("a control character in a header", ask_with(b"A: b\x01c")),
    fatal("a space in a header's name", ask_with(b"A b: c")),
    fatal("a space before the colon", ask_with(b"Content-Length : 99") + SMUGGLED),
    fatal("a header without a name", ask_with(b": c")),
    fatal("a header without a colon", ask_with(b"A")),
    fatal("a name beyond ASCII", ask_with("Content-L\u00e9ngth: 9".encode())),
    fatal("10,000 headers", ask_with(*[b"A: b"] * 10_000), 0, 431),
    fatal("a huge header", ask_with(b"Cookie: " + b"x" * 1_000_000), 0, 400, 431),
    fatal("a huge name", ask_with(b"x" * 1_000_000 + b": y"), 0, 400, 431),
    taken("many cookies", ask_with(b"Cookie: " + b"; ".join([b"a=b"] * 4_000)), 200),
    taken("odd cookies", ask_with(b'Cookie: =;;="; \xff=\xff; session; __Host-session=e30.e30'), 200),
    taken("any bytes in a header", ask_with(b"A: \xff\xfe\x80"), 200),
]
LINES: Final = [
    fatal("a version to come", b"GET /health HTTP/1.2\r\nHost: localhost\r\n\r\n"),
    fatal("an old version", b"GET /health HTTP/1.0\r\n\r\n", 200),
    fatal("an old version with chunks", book_with(CHUNKED, rest=CHUNK + b"0\r\n\r\n").replace(b"/1.1", b"/1.0"), 200),
    fatal("no version", b"GET /health\r\n\r\n", 0, 200, 400),
    fatal("a version that there never was", b"GET /health HTTP/9.9\r\nHost: localhost\r\n\r\n"),
    fatal("half a version", b"GET /health HTTP/1\r\nHost: localhost\r\n\r\n"),
    fatal("another protocol's name", b"GET /health HTTQ/1.1\r\nHost: localhost\r\n\r\n"),
    fatal("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    fatal("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500)),
    fatal("a greeting", b"hello\r\n\r\n"),
    fatal("any bytes", bytes(range(256)) * 4),
    fatal("an invented method", raw("BREW /health"), 400),
    taken("a known but odd method", raw("PROPFIND /health"), 405),
    taken("a trace", raw("TRACE /health"), 405),
    fatal("a tunnel", raw("CONNECT other.example:443") + SMUGGLED, 400, 405),
    fatal("a method alone", b"GET\r\n\r\n"),
    fatal("a method with a null byte", b"GE\x00T /health HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    taken("two spaces", b"GET  /health HTTP/1.1\r\nHost: localhost\r\n\r\n", 200, 400),
]  # fmt: skip
TARGETS: Final = [
    taken("a whole address", ask_for(b"http://other.example/health"), 200),
    fatal("a whole address without a path", ask_for(b"http://other.example")),
    taken("options of everything", raw("OPTIONS *"), 200, 404),
    taken("everything", ask_for(b"*"), 400, 404),
    fatal("a query alone", ask_for(b"?x")),
    fatal("an authority", ask_for(b"other.example:443")),
    fatal("no path", b"GET  HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    fatal("a space in an address", ask_for(b"/status/a b")),
    fatal("a control character in an address", ask_for(b"/status/a\x01b")),
    fatal("a null byte in an address", ask_for(b"/status/a\x00b")),
    fatal("an address in Latin-1", ask_for(b"/status/\xe9")),
    fatal("an address in UTF-8", ask_for("/status/\u00e9".encode())),
    fatal("a long address", ask_for(b"/" + b"x" * 100_000), 0, 414, 431),
    fatal("an address of a million bytes", ask_for(b"/" + b"x" * 1_000_000), 0, 414, 431),
    *(
        taken(f"the path {path.decode('latin-1')}", ask_for(path), 400, 404)
        for path in (
            b"/status/%00", b"/status/gig%00", b"/status/%zz", b"/status/%", b"/status/%c0%af", b"/status/%ff",
            b"/status/%ed%a0%80", b"/%2e%2e/%2e%2e/etc/passwd", b"/static/%2e%2e/app.py", b"/static/..%2fapp.py",
            b"/static/%c0%ae%c0%ae/app.py", b"/static/%252e%252e/app.py", b"//etc/passwd", b"/status/%0d%0aA:a",
            b"/status/gig%3fx", b"/status/gig%23x", b"/static/\\..\\app.py", b"/ui/events/%00/stream",
        )
    ),
    taken("a path with dots", ask_for(b"/static/../webapp/app.py"), 400, 404),
    taken("a fragment", ask_for(b"/health#x"), 200, 400, 404),
]  # fmt: skip
CONNECTIONS: Final = [
    fatal("a web socket", raw("GET /health", headers=UPGRADE) + SMUGGLED, 200),
    fatal("an upgrade to HTTP/2", raw("GET /health", headers={**UPGRADE, "Upgrade": "h2c"}) + SMUGGLED, 200),
    taken("a connection that strips the host", ask_with(b"Connection: keep-alive, Host"), 200),
    taken("a connection that strips a length", book_with(LENGTH, b"Connection: Content-Length", rest=BOOKING), 200),
    fatal("a connection to be closed and kept", ask_with(b"Connection: keep-alive", b"Connection: close"), 200),
    taken("a connection that is nothing", ask_with(b"Connection: ,,;\x80"), 200),
    taken("asking first", book_with(LENGTH, b"Expect: 100-continue", rest=BOOKING), 200),
    taken("expecting what nobody can", book_with(LENGTH, b"Expect: 200-ok", rest=BOOKING), 200, 417),
    taken("a body that nobody asked for", ask_with(LENGTH) + BOOKING, 200),
    taken("a request in the body of another", ask_with(b"Content-Length: %d" % len(SMUGGLED)) + SMUGGLED, 200),
    taken(
        "a request in a body that is refused",
        book_with(b"Content-Length: %d" % len(SMUGGLED), rest=SMUGGLED),
        400,
    ),
    taken(
        "a request in the chunks of another",
        b"GET /nowhere HTTP/1.1\r\nHost: localhost\r\n" + CHUNKED + b"\r\n\r\n"
        + b"%x\r\n%b\r\n0\r\n\r\n" % (len(SMUGGLED), SMUGGLED),
        404,
    ),
    taken("an overridden method", ask_with(b"X-HTTP-Method-Override: DELETE", b"X-Original-URL: /ui"), 200),
    fatal("a length too large", book_with(b"Content-Length: 65537", rest=SMUGGLED), 413),
    taken("an object and a half", book_with(b"Content-Length: 3", rest=b"{}{"), 400),
    fatal("a vast length", book_with(b"Content-Length: 9999999999", rest=SMUGGLED), 413),
    fatal("a vast length, asking first", book_with(b"Content-Length: 65537", b"Expect: 100-continue"), 413),
]  # fmt: skip
HOSTS: Final = [
    taken("no host", b"GET /health HTTP/1.1\r\n\r\n", 400),
    *(
        taken(f"the host {host!r}", b"GET /ui HTTP/1.1\r\nHost: " + host + b"\r\n\r\n", 400)
        for host in (b"", b"[", b"a b", b"a/b", b"a@b", b"a?b", b"a#b", b"a,b", b"a\\b", b"localhost:x", b"\xff")
    ),
    taken("two hosts", ask_with(b"Host: other.example"), 400),
    taken("another host", b"GET /health HTTP/1.1\r\nHost: other.example\r\n\r\n", 200),
]
FORM: Final = b"Content-Type: application/x-www-form-urlencoded\r\n"


def form(body: bytes, content_type: bytes = b"application/x-www-form-urlencoded") -> bytes:
    """A booking in a page's form."""
    head = b"POST /ui/events/gig/orders HTTP/1.1\r\nHost: localhost\r\nContent-Type: %b\r\nContent-Length: %d\r\n\r\n"
    return head % (content_type, len(body)) + body


FORMS: Final = [
    taken("a form of 10,000 fields", form(b"&".join([b"a=b"] * 10_000)), 400, 413, 422),
    taken("a form of nothing but separators", form(b"&=" * 5_000), 400, 422),
    taken("a form with broken escapes", form(b"userId=%zz%&name=%ff%00"), 400, 422),
    taken("a form in parts without an end", form(b"--x\r\n\r\n", b"multipart/form-data; boundary=x"), 400, 415, 422),
    taken("a form in parts without a boundary", form(b"--x\r\n\r\n", b"multipart/form-data"), 400, 415, 422),
]
PIPELINES: Final = [
    fatal("a request behind one that cannot be read", ask_with(b"A b: c") + SMUGGLED),
    fatal("a request behind the last one", ask_with(b"Connection: close") + SMUGGLED, 200),
    taken("a request that the organiser may send alone", raw(f"PATCH {V1}/events/{EVENT}", {"capacity": 9}), 401),
    taken("a change without a condition", raw(f"PATCH {V1}/events/{EVENT}", {"capacity": 9}, ADA), 428),
]

SHAPES: Final = (
    *LENGTHS, *TWO_LENGTHS, *TRANSFERS, *CODINGS, *CHUNKS, *HEADS, *LINES, *TARGETS, *CONNECTIONS, *HOSTS, *FORMS,
    *PIPELINES,
)  # fmt: skip


def answers(port: int, sent: bytes) -> list[Reply]:
    """Every answer to bytes that are sent in one go, until the server ends the connection; no interim ones.

    Who is told that he sends too much, sends no more.
    """
    heard = b""
    with create_connection(("127.0.0.1", port), TIMEOUT_S) as connection, suppress(ConnectionError):
        connection.sendall(sent)
        while received := connection.recv(65_536):
            heard += received
            if b"HTTP/1.1 413 " in heard and heard.endswith(b"}"):
                connection.shutdown(SHUT_WR)
    return list(_split(BytesIO(heard)))


def _split(heard: BytesIO) -> list[Reply]:
    found: list[Reply] = []
    while line := heard.readline():
        version, _, rest = line.partition(b" ")
        if version != b"HTTP/1.1":
            found.append(Reply(NO_STATUS, Message(), line + heard.read()))
            break
        headers: Message = http.client.parse_headers(heard)
        if (status := int(rest[:3])) >= 200:
            found.append(Reply(status, headers, _body(heard, headers)))
    return found


def _body(heard: BytesIO, headers: Message) -> bytes:
    if headers["Transfer-Encoding"] != "chunked":
        return heard.read(int(headers["Content-Length"] or 0))
    body = b""
    while size := int(heard.readline(), 16):
        body += heard.read(size)
        heard.readline()
    heard.readline()
    return body
