"""uvicorn's HTTP protocol with bounds that it lacks.

They are how long a head may be, how long a request may take to arrive, and how many may be sent ahead.

Without them, one connection that nobody has let in could fill the memory or keep the loop busy.
"""

import asyncio
from http import HTTPStatus
from typing import Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from webapp.web.guard import HEADERS
from webapp.web.problem_details import problem_details

HEAD_BYTES_MAX: Final = 32_768
REQUEST_S: Final = 10.0
PIPELINE_MAX: Final = 32
PUNCTUATION: Final = len(": \r\n")

TOO_LONG: Final = f"The address and the headers must have at most {HEAD_BYTES_MAX:,} bytes together"


class BoundedProtocol(HttpToolsProtocol):
    """One connection. What exceeds a bound is answered where that is possible, and ends it."""

    _unfinished_bytes = 0  # received since a head began that is not complete
    _in_head = True
    _in_request = True
    _is_refused = False
    _request_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvicorn hands it nothing else
        """Wait for a request, but not for ever."""
        super().connection_made(transport)
        self._await_request()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._stop_awaiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what has arrived, unless a head is longer already than it may become."""
        if self._is_refused:
            return
        if self._in_head:
            if self._unfinished_bytes > HEAD_BYTES_MAX:
                self._refuse(431, "head_too_long", TOO_LONG)
                return
            self._unfinished_bytes += len(data)
        super().data_received(data)
        # Empty lines between two requests begin none, and yet stop uvicorn's timer.
        if self._in_request or getattr(self.cycle, "response_complete", False):
            self._await_request()

    def on_message_begin(self) -> None:
        """A request begins."""
        self._in_head, self._in_request, self._unfinished_bytes = True, True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """A request can be handled, once those before it are answered."""
        self._in_head = False
        if self._is_refused:
            return
        if len(self.url) > HEAD_BYTES_MAX:
            self._refuse(414, "address_too_long", TOO_LONG)
            return
        if len(self.url) + sum(len(name) + len(value) + PUNCTUATION for name, value in self.headers) > HEAD_BYTES_MAX:
            self._refuse(431, "head_too_long", TOO_LONG)
            return
        super().on_headers_complete()
        if self.parser.should_upgrade():
            self.cycle.keep_alive = False  # the parser has let go of all that was sent behind it in one go
        if len(self.pipeline) > PIPELINE_MAX:
            self._is_refused = True
            self.transport.abort()

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        if not self._is_refused:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """A request has arrived whole."""
        self._in_request = False
        self._stop_awaiting()
        if not self._is_refused:
            super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """What cannot be read as HTTP."""
        self._refuse(400, "bad_request", msg)

    def _refuse(self, status: int, code: str, sentence: str) -> None:
        if self._is_refused:
            return
        self._is_refused = True
        body = problem_details(status, code, sentence)
        headers = (
            *HEADERS,
            (b"content-type", b"application/problem+json"),
            (b"content-length", str(len(body)).encode()),
            (b"cache-control", b"no-store"),
            (b"connection", b"close"),
        )
        head = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n".encode()
        self.transport.write(
            head + b"".join(name + b": " + value + b"\r\n" for name, value in headers) + b"\r\n" + body
        )
        self.transport.close()

    def _await_request(self) -> None:
        if self._request_timer is None:
            self._request_timer = self.loop.call_later(REQUEST_S, self._request_is_late)

    def _stop_awaiting(self) -> None:
        if self._request_timer is not None:
            self._request_timer.cancel()
            self._request_timer = None

    def _request_is_late(self) -> None:
        self._request_timer = None
        if getattr(self.cycle, "response_started", False):  # an answer that did not need the whole request
            self.transport.close()
        elif not self.transport.is_closing():
            self._refuse(408, "request_timeout", f"A request must arrive within {REQUEST_S:.0f} seconds")
