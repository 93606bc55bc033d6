"""What stands in front of every route: request ids, security headers, the cross-site check.

Every request is noted here, in the log and in the metrics.
"""

import itertools
import logging
import re
import secrets
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from functools import lru_cache
from typing import Any, Final, cast
from urllib.parse import urlsplit

from quart import request

from webapp.log import NO_REMARK, Log
from webapp.metrics import Metrics
from webapp.web.parts import parts
from webapp.web.problem_details import problem_details

log = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Send = Callable[[Any], Awaitable[None]]
Application = Callable[[Any, Any, Any], Awaitable[None]]
Field = tuple[bytes, bytes]
Fields = tuple[Field, ...]
"""Header fields, as ASGI has them: names in small letters, and values."""

SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})

CONTENT_SECURITY_POLICY: Final = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    b"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS: Final[Fields] = (
    (b"content-security-policy", CONTENT_SECURITY_POLICY),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
)
HSTS: Final[Field] = (b"strict-transport-security", b"max-age=31536000; includeSubDomains")

CROSS_SITE_HEADERS: Final = frozenset({b"sec-fetch-site", b"origin"})

HANDLER_CLOSED: Final = "the handler is closed"
"""How uvloop's error ends where a client broke the connection off, before the server has been told."""

HOST_LENGTH_MAX: Final = 260
HOST: Final = re.compile(rb"(?:[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*\.?|\[[0-9A-Fa-f:.]+\])(?::[0-9]{0,5})?")

REQUEST_ID: Final = "fairlist.request_id"
ROUTE: Final = "fairlist.route"
RATE_LIMIT: Final = "fairlist.rate_limit"
"""Where in a request's scope the header fields lie that tell its sender how much is left."""


REMARK: Final = "fairlist.remark"
"""Where in a request's scope lies what its line in the log says besides, by name."""


class CrossOrigin(Exception):
    """A browser sent a change on behalf of another site's page."""


class Guard:
    """ASGI layer around the app: every answer, errors and streams included, leaves through it.

    With `is_https`, browsers reach the server by https, whatever the requests say that a proxy hands on.
    """

    def __init__(self, app: Application, requests: Log, metrics: Metrics, *, is_https: bool = False) -> None:
        self._app = app
        self._requests = requests
        self._metrics = metrics
        self._is_https = is_https
        self._prefix = secrets.token_hex(6)
        self._numbers = itertools.count(1)

    async def __call__(self, scope: Any, receive: Any, send: Send) -> None:
        """Pass a request on, with an id; dress its answer, note it in the log and count it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        answered = 0.0
        status = 0
        scope[REQUEST_ID] = identity = self.new_id()
        dress = self.dress(identity, scope["scheme"])

        async def send_dressed(message: Message) -> None:
            nonlocal answered, status
            if message["type"] == "http.response.start":
                answered = time.perf_counter()
                status = message["status"]
                said = {name for name, _ in message.get("headers", ())}  # a page may be stricter than the rule
                dressed = (field for field in dress if field[0] not in said)
                message["headers"] = [*message.get("headers", ()), *dressed, *scope.get(RATE_LIMIT, ())]
            try:
                await send(message)
            except RuntimeError as error:
                if not str(error).endswith(HANDLER_CLOSED):
                    raise
                status = 0  # the client has gone, which is nobody's mistake

        try:
            if host_is_sound(scope["headers"], scope["http_version"]):
                await self._app(scope, receive, send_dressed)
            else:
                await _answer(send_dressed, 400, "bad_request", "The Host header is missing or malformed", identity)
        except Exception:
            log.exception("request %s failed before the app could answer it", identity)
            if not status:
                await _answer(send_dressed, 500, "internal", "Something went wrong here", identity)
        finally:
            self.note(
                identity, scope["method"], scope.get(ROUTE), status, scope.get(REMARK, NO_REMARK), started, answered
            )

    def new_id(self) -> str:
        """An id that no other request has had."""
        return f"{self._prefix}-{next(self._numbers):x}"

    def dress(self, identity: str, scheme: str) -> Fields:
        """What every answer says: to the request with this id, which came by `http` or `https`."""
        hsts = (HSTS,) if self._is_https or scheme == "https" else ()
        return (*HEADERS, (b"x-request-id", identity.encode()), *hsts)

    def note(
        self,
        identity: str,
        method: str,
        route: str | None,
        status: int,
        remark: Mapping[str, str],
        started: float,
        answered: float = 0.0,
    ) -> None:
        """Note a request that is over, in the log and in the metrics; `answered` is when its answer began, or 0."""
        ended = time.perf_counter()
        self._requests.note(identity, method, route, status, ended - started, remark)
        # Until the answer began, or every stream that somebody leaves open for an hour would count as slow.
        self._metrics.note_request(method, route, status, (answered or ended) - started)


def host_is_sound(headers: Iterable[Field], http_version: str) -> bool:
    """Whether a request names one host, well-formed, as RFC 9112, 3.2 demands of all but HTTP/1.0."""
    hosts = [value for name, value in headers if name == b"host"]
    return _is_host(hosts[0]) if len(hosts) == 1 else not hosts and http_version == "1.0"


@lru_cache(1_024)
def _is_host(value: bytes) -> bool:
    return len(value) <= HOST_LENGTH_MAX and HOST.fullmatch(value) is not None


async def _answer(send: Send, status: int, code: str, sentence: str, identity: str) -> None:
    body = problem_details(status, code, sentence, identity)
    headers = [
        (b"content-type", b"application/problem+json"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def request_id() -> str:
    """The id of the current request, as its answer and the log name it."""
    return str(cast(Scope, request.scope).get(REQUEST_ID, ""))


async def look_before_routing() -> None:
    """Note the route for the log, and refuse changes that another site's page asks for.

    Raises CrossOrigin.
    """
    scope = cast(Scope, request.scope)
    scope[ROUTE] = request.url_rule.rule if request.url_rule else None
    if scope["method"] in SAFE_METHODS:
        return
    said = {name: value.decode("latin-1") for name, value in scope["headers"] if name in CROSS_SITE_HEADERS}
    if said and is_cross_site(said.get(b"sec-fetch-site"), said.get(b"origin"), _own_hosts()):
        raise CrossOrigin


def is_cross_site(sec_fetch_site: str | None, origin: str | None, own_hosts: set[str]) -> bool:
    """Whether a browser says that another site's page sent the request; programs say nothing, and pass.

    Source: Go's net/http.CrossOriginProtection, https://words.filippo.io/csrf/.
    """
    if sec_fetch_site is not None:
        return sec_fetch_site not in {"same-origin", "none"}
    return origin is not None and origin.partition("://")[2] not in own_hosts


def _own_hosts() -> set[str]:
    """Host and port as the request names them, and as the settings do."""
    public_url = parts().settings.public_url
    return {request.host, *([urlsplit(public_url).netloc] if public_url else [])}
