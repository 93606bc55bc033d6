"""HTTP from outside: plain requests that change nothing on their way, one by one or on many connections at once.

A request is a line such as `POST /book`; its target is sent as it stands. A body that is no bytes becomes JSON.
"""

import asyncio
import base64
import http.client
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message
from typing import Any, Self

from tests import confidences

TIMEOUT_S = 60.0
SENDER = "127.0.0.1"

Body = bytes | Mapping[str, object] | None
Headers = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back."""

    status: int
    headers: Message
    body: bytes

    @property
    def json(self) -> Any:
        """The body, which is JSON."""
        return json.loads(self.body)

    @property
    def code(self) -> str | None:
        """The code of a problem; None where there is none."""
        return str(self.json["code"]) if self.headers.get_content_type() == "application/problem+json" else None


def basic(user: str, password: str) -> str:
    """The value of `Authorization` for a user name and a password."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def ask(port: int, request: str, body: Body = None, headers: Headers | None = None, sender: str = SENDER) -> Reply:
    """Send a request from the loopback address `sender`, on a connection of its own, and wait for the reply."""
    method, target = request.split(" ", 1)
    confidences.note_request(port, target, _encoded(body), headers or {})
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S, source_address=_bound_to(sender))
    try:
        connection.request(method, target, _encoded(body), {**_typed(body), **(headers or {})})
        response = connection.getresponse()
        reply = Reply(response.status, response.headers, response.read())
        confidences.note_reply(port, reply.headers, reply.body)
        return reply
    finally:
        connection.close()


class Connection:
    """A connection that is kept alive, for one request after the other."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int = 0) -> None:
        self.reader = reader
        self.writer = writer
        self._port = port

    @classmethod
    async def open(cls, port: int, sender: str = SENDER) -> Self:
        """A new connection from the loopback address `sender`. Raises OSError."""
        return cls(*await asyncio.open_connection("127.0.0.1", port, local_addr=_bound_to(sender)), port)

    async def ask(self, request: str, body: Body = None, headers: Headers | None = None) -> Reply:
        """Send a request and wait for the reply. Raises OSError and EOFError where the server goes away."""
        self.send(request, body, headers)
        return await self.reply()

    def send(self, request: str, body: Body = None, headers: Headers | None = None) -> None:
        """Send a request, and wait for nothing."""
        confidences.note_request(self._port, request, _encoded(body), headers or {})
        self.writer.write(raw(request, body, headers))

    async def reply(self) -> Reply:
        """The next reply. Raises OSError and EOFError where the server goes away."""
        async with asyncio.timeout(TIMEOUT_S):
            head = await self.reader.readuntil(b"\r\n\r\n")
            status_line, _, fields = head.partition(b"\r\n")
            status, headers = int(status_line.split()[1]), http.client.parse_headers(io.BytesIO(fields))
            body = await self.reader.readexactly(int(headers["Content-Length"] or 0))
        confidences.note_reply(self._port, headers, body)
        return Reply(status, headers, body)

    async def close(self) -> None:
        """Go away, whatever is still under way."""
        self.writer.close()
        try:
            await self.writer.wait_closed()
        except OSError:
            return  # the server was faster


def raw(request: str, body: Body = None, headers: Headers | None = None) -> bytes:
    """A request as the bytes that are sent."""
    content = _encoded(body)
    length = {"Content-Length": str(len(content))} if content is not None else {}
    fields = {"Host": "localhost", **_typed(body), **length, **(headers or {})}
    lines = [f"{request} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + (content or b"")


def _bound_to(sender: str) -> tuple[str, int] | None:
    """Where a socket is bound to. A bound port stays taken for a minute, and 28,000 of them are all there are."""
    return None if sender == SENDER else (sender, 0)


def _encoded(body: Body) -> bytes | None:
    return json.dumps(body).encode() if isinstance(body, Mapping) else body


def _typed(body: Body) -> Headers:
    return {"Content-Type": "application/json"} if isinstance(body, Mapping) else {}
