"""uvicorn's HTTP protocol with bounds that it lacks, and with a lane around it for requests that could not be simpler.

The bounds are how long a head may be, how long a request may take to arrive, and how many may be sent ahead. Without
them, one connection that nobody has let in could fill the memory or keep the loop busy.
"""

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from webapp.web.direct_lane import DirectLane, lines
from webapp.web.guard import HEADERS
from webapp.web.problem_details import problem_details

HEAD_BYTES_MAX: Final = 32_768
REQUEST_S: Final = 10.0
PIPELINE_MAX: Final = 32
PUNCTUATION: Final = len(": \r\n")

TOO_LONG: Final = f"The address and the headers must have at most {HEAD_BYTES_MAX:,} bytes together"


class Cycle(RequestResponseCycle):
    """A request that arrived whole, and its answer; uvicorn finds it where it looks for what it is answering itself."""

    message_event = asyncio.Event()  # for which nobody waits here
    disconnected = response_started = response_complete = False

    def __init__(self, protocol: "BoundedProtocol", method: str, body: bytes) -> None:
        self.method = method
        self.url = protocol.url
        self.headers = protocol.headers
        self.client = protocol.client
        self.scheme: str = protocol.scheme or "http"
        self.content = body
        self.keep_alive = protocol.parser.should_keep_alive()
        self.transport = protocol.transport
        self.default_headers = protocol.server_state.default_headers
        self.on_response = protocol.on_response_complete

    def answer(self, status: int, fields: bytes, body: bytes) -> bool:
        """Send an answer with these lines of its head, as uvicorn would; False where nobody is there any more."""
        self.response_started = self.response_complete = True
        if self.disconnected or self.transport.is_closing():  # only the last of many is told that it is lost
            return False
        closing = b"" if self.keep_alive else b"connection: close\r\n"
        self.transport.write(
            b"".join((STATUS_LINE[status], lines(self.default_headers), fields, closing, b"\r\n", body))
        )
        if not self.keep_alive:
            self.transport.close()
        self.on_response()
        return True


class BoundedProtocol(HttpToolsProtocol):
    """One connection. What exceeds a bound is answered where that is possible, and ends it.

    A request for the `lane` is held back until it is whole; if it does not become so at once, or the lane does not take
    it, uvicorn gets it as it came.
    """

    _unfinished_bytes = 0  # received since a head began that is not complete
    _in_head = True
    _in_request = True
    _is_refused = False
    _request_timer: asyncio.TimerHandle | None = None
    _held: bytes | None = None  # the body of the request that is held back

    def __init__(self, *args: Any, lane: DirectLane | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._lane = lane

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
        if self._held is not None:
            self._let_go()
        # Empty lines between two requests begin none, and yet stop uvicorn's timer.
        if self._in_request or (
            self.timeout_keep_alive_task is None and getattr(self.cycle, "response_complete", False)
        ):
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
        if self._is_for_the_lane():
            self._held = b""
            return
        super().on_headers_complete()
        if self.parser.should_upgrade():
            self.cycle.keep_alive = False  # the parser has let go of all that was sent behind it in one go
        if len(self.pipeline) > PIPELINE_MAX:
            self._is_refused = True
            self.transport.abort()

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        if self._held is not None:
            self._held += body
        elif not self._is_refused:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """A request has arrived whole."""
        self._in_request = False
        self._stop_awaiting()
        if self._held is not None and self._is_taken(self._held):
            self._held = None
            return
        if self._held is not None:
            self._let_go()
        if not self._is_refused:
            super().on_message_complete()

    def _is_for_the_lane(self) -> bool:
        return (
            self._lane is not None
            and getattr(self.cycle, "response_complete", True)  # else it has to wait for its turn
            and not self.flow.write_paused
            and not self.expect_100_continue
            and self.parser.get_http_version() == "1.1"
            and not self.parser.should_upgrade()
            and self._lane.leads_to(self.parser.get_method(), self.url)
        )

    def _is_taken(self, body: bytes) -> bool:
        assert self._lane is not None, "only what is for the lane is held back"
        before, self.cycle = self.cycle, Cycle(self, self.parser.get_method().decode(), body)
        if self._lane.takes(self.cycle):
            return True
        self.cycle = before
        return False

    def _let_go(self) -> None:
        body, self._held = self._held, None
        super().on_headers_complete()
        if body:
            super().on_body(body)

    def send_400_response(self, msg: str) -> None:
        """What cannot be read as HTTP."""
        if self._held is not None:
            self._let_go()
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
        self.transport.write(STATUS_LINE[status] + lines(headers) + b"\r\n" + body)
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
