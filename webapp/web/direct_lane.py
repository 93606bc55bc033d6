"""The direct lane: POST /book, POST /cancel and GET /status answered without Quart, where they could not be simpler.

The straight case is that of a program which asks for nothing but that. Whatever is odd, or wrong, is left to Quart
before anything has happened; what the rules answer is answered here. Fields, rules, words and the guard's headers are
those of the routes themselves, and a test demands the same bytes from both.
"""

import asyncio
import logging
import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, Final, Protocol

from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from webapp.booking.state import Counts
from webapp.log import NO_REMARK
from webapp.web import contract, parsing
from webapp.web.auth import Organiser
from webapp.web.booking_limit import limit_fields
from webapp.web.guard import Field, Guard, host_is_sound
from webapp.web.limiter import ADDRESS_LENGTH_MAX, TooManyAttempts
from webapp.web.parsing import EVENT_ID, USER_ID, InvalidInput
from webapp.web.parts import Parts
from webapp.web.problems import CONTENT_TYPE, logged_problem_of
from webapp.web.remarks import remarked

log = logging.getLogger(__name__)

STATUS: Final = re.compile(rb"/status/([A-Za-z0-9_.~-]+)")
ODD: Final = frozenset({b"if-none-match", b"origin", b"sec-fetch-site"})
"""What only Quart's routes, and the guard in front of them, know how to answer to."""

PROGRAMS_ACCEPT: Final = frozenset({None, b"*/*", b"application/json"})


class Exchange(Protocol):
    """A request that arrived whole, with its header fields' names in small letters, and a way to answer it, once."""

    method: str
    url: bytes
    headers: list[Field]
    client: tuple[str, int] | None
    scheme: str
    content: bytes

    def answer(self, status: int, fields: bytes, body: bytes) -> bool:
        """Send an answer, with the lines of its head that are its own; False where nobody is there any more."""


class NotStraight(Exception):
    """This is for Quart."""


Route = tuple[str, Callable[["Wish", Mapping[bytes, bytes]], None]]
"""The route as the log names it, and what carries out a wish; takes what its header fields say, by name."""

Outcome = asyncio.Future[Any]
Told = Callable[[Any], dict[str, Any]]


@dataclass(slots=True, repr=False)  # or an address could come into the log
class Wish:
    """A request that was taken: when, as which route, and what its answer and its line in the log say besides."""

    exchange: Exchange
    started: float
    route: str
    scheme: str
    address: str
    limit: bytes = b""
    remark: Mapping[str, str] | None = None


class DirectLane:
    """Answers what is straight, for the parts of a server and with the guard in front of them."""

    def __init__(self, parts: Parts, guard: Guard) -> None:
        self._parts = parts
        self._guard = guard
        self._routes: dict[bytes, Route] = {b"/book": ("/book", self._book), b"/cancel": ("/cancel", self._cancel)}
        self._status: Route = ("/status/<path:event_id>", self._tell_status)
        self._dress = {scheme: lines(guard.dress("%b", scheme)) for scheme in ("http", "https")}
        proxies = [str(network) for network in parts.settings.trusted_proxies]
        self._believing = ProxyHeadersMiddleware(_nothing, proxies) if proxies else None

    def leads_to(self, method: bytes, url: bytes) -> bool:
        """Whether a request may be one of those that are answered here; `url` is what stands in its first line."""
        if method == b"POST":
            return url in self._routes
        return method == b"GET" and url.startswith(b"/status/")

    def takes(self, exchange: Exchange) -> bool:
        """Answer a request now or later, or leave it as it is, which is False."""
        started = time.perf_counter()
        said = dict(exchange.headers)
        if (
            len(said) < len(exchange.headers)  # something is said twice
            or not ODD.isdisjoint(said)
            or said.get(b"accept") not in PROGRAMS_ACCEPT
            or not host_is_sound(exchange.headers, "1.1")
        ):
            return False
        route, carry_out = self._routes.get(exchange.url, self._status)
        wish = Wish(exchange, started, route, *self._origin(exchange))
        try:
            carry_out(wish, said)
        except (NotStraight, InvalidInput, TooManyAttempts):
            return False
        except Exception as error:
            self._answer_problem(wish, error)
        return True

    def _origin(self, exchange: Exchange) -> tuple[str, str]:
        """The scheme and the sender's address; a trusted proxy's word for them."""
        if self._believing is None:
            return exchange.scheme, exchange.client[0] if exchange.client else ""
        seen: Any = {"type": "http", "scheme": exchange.scheme, "client": exchange.client, "headers": exchange.headers}
        _run(self._believing(seen, _nothing, _nothing))
        return seen["scheme"], seen["client"][0] if seen["client"] else ""

    def _book(self, wish: Wish, said: Mapping[bytes, bytes]) -> None:
        event_id, user_id = _named(wish.exchange.content, said)
        limit = self._parts.booking_limit
        wish.limit = lines(limit_fields(limit.per_minute, limit.take(wish.address[:ADDRESS_LENGTH_MAX])))
        outcome = self._parts.box_office.booking(event_id, user_id)
        outcome.add_done_callback(partial(self._settled, wish, contract.booking_told))

    def _cancel(self, wish: Wish, said: Mapping[bytes, bytes]) -> None:
        organiser = self._parts.gatekeeper.known_at_once(said.get(b"authorization", b"").decode("latin-1"))
        if not isinstance(organiser, Organiser):
            raise NotStraight
        if organiser.by == "token":
            wish.remark = remarked("by_token", wish.address)
        event_id, user_id = _named(wish.exchange.content, said)
        cancelling = self._parts.box_office.cancel(event_id, user_id, "organiser")
        asyncio.ensure_future(cancelling).add_done_callback(partial(self._settled, wish, contract.cancellation_told))

    def _tell_status(self, wish: Wish, _: Mapping[bytes, bytes]) -> None:
        match = STATUS.fullmatch(wish.exchange.url)
        event_id = match and parsing.event_id_or_none(match[1].decode())
        event = event_id and self._parts.box_office.published_event(event_id)
        if not event:
            raise NotStraight
        self._answer(wish, 200, *_status(event.counts))

    def _settled(self, wish: Wish, told: Told, outcome: Outcome) -> None:
        if outcome.cancelled():  # as everything is when the process ends by force
            return
        try:
            answer = _json(told(outcome.result()))
        except Exception as error:
            self._answer_problem(wish, error)
        else:
            self._answer(wish, 200, *answer)

    def _answer_problem(self, wish: Wish, error: BaseException) -> None:
        identity = self._guard.new_id()
        problem = logged_problem_of(error, identity)
        body = problem.details(identity)
        fields = [(name.lower().encode(), value.encode()) for name, value in problem.fields]
        self._answer(wish, problem.status, _head(CONTENT_TYPE, body) + lines(fields), body, identity)

    def _answer(self, wish: Wish, status: int, fields: bytes, body: bytes, identity: str = "") -> None:
        identity = identity or self._guard.new_id()
        dress = self._dress[wish.scheme] % identity.encode()
        is_told = wish.exchange.answer(status, fields + dress + wish.limit, body)
        noted = status if is_told else 0
        self._guard.note(identity, wish.exchange.method, wish.route, noted, wish.remark or NO_REMARK, wish.started)


def lines(fields: Iterable[Field]) -> bytes:
    """Header fields as lines of a head."""
    return b"".join([b"%b: %b\r\n" % field for field in fields])


def _named(body: bytes, said: Mapping[bytes, bytes]) -> tuple[str, str]:
    """The event and the guest that a body names. Raises InvalidInput."""
    members = parsing.json_object(body, said.get(b"content-type", b"").decode("latin-1"))
    return parsing.parse((EVENT_ID, USER_ID), members)


@lru_cache(1_024)
def _status(counts: Counts) -> tuple[bytes, bytes]:
    fields, body = _json(contract.status_told(counts))
    return fields + b'etag: "%b"\r\ncache-control: no-cache\r\n' % contract.etag(counts).encode(), body


def _json(members: dict[str, Any]) -> tuple[bytes, bytes]:
    body = contract.encoded(members).encode()
    return _head("application/json", body), body


def _head(content_type: str, body: bytes) -> bytes:
    return b"content-type: %b\r\ncontent-length: %d\r\n" % (content_type.encode(), len(body))


async def _nothing(*_: Any) -> Any:
    """An application for a layer that is asked for what it does before it calls one."""


def _run(work: Any) -> None:
    """Run to its end what waits for nothing."""
    try:
        work.send(None)
    except StopIteration:
        return
    raise RuntimeError("it waits for something")
