"""Who may what: every route, asked by everybody, in one table."""

import re
import select
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import cast
from urllib.parse import urlencode

import pytest

from tests.client import Reply, basic
from tests.server import PASSWORD, TIMEOUT_S, USER, Server
from tests.web.pages import app_over
from webapp.box_office import BoxOffice
from webapp.web.cookies import SESSION_COOKIE, Sessions
from webapp.web.passwords import PasswordFile
from webapp.web.secrets import Secrets
from webapp.web.ticket_codes import TicketCodes
from webapp.web.tokens import Tokens

GIG = '{"eventId":"gig","tickets":2}'
BOB = '{"eventId":"gig","userId":"bob"}'
CLEO = "name=Cleo&email=cleo%40example.org"
MISSING = '{"eventId":"missing","userId":"bob"}'

TALK = '{"eventId":"talk","capacity":2}'

EVENT = "/api/v1/events/<event_slug>"
ORDER = "/api/v1/orders/<order_id>"
SETTINGS = "/ui/organise/events/<event_slug>/settings"
ORDER_PAGE = "/ui/orders/<order_id>/<key>"
PANEL_EVENT = "/ui/organise/events/<event_slug>"
PANEL_ORDER = f"{PANEL_EVENT}/orders/<order_id>"

# Who is let in: everybody; the organiser by password or token; by password alone; by a session of the panel; everybody
# who does not claim to be the organiser without being it; the organiser, and who has the key of the order in question.
ANYONE, ORGANISER, PASSWORD_ONLY, PANEL = "anyone", "organiser", "password only", "panel"
HONEST, OWNER = "anyone honest", "owner"

# The route as the app knows it, a request to it, who is let in, and what who is let in may be answered. The name of a
# guest in braces stands for his order: Bob's, Dan's, or one that is missing; and with `_key` or `_code` behind it, for
# its key or the code of its ticket.
ROUTES = [
    ("GET /", "GET /", "", ANYONE, {302}),
    ("GET /health", "GET /health", "", ANYONE, {200}),
    ("GET /healthz", "GET /healthz", "", ANYONE, {200}),
    ("GET /readyz", "GET /readyz", "", ANYONE, {200}),
    ("GET /metrics", "GET /metrics", "", ORGANISER, {200}),
    ("GET /openapi.json", "GET /openapi.json", "", ANYONE, {200}),
    ("GET /docs", "GET /docs", "", ANYONE, {200}),
    ("GET /robots.txt", "GET /robots.txt", "", ANYONE, {200}),
    ("GET /static/<path:name>", "GET /static/app.css", "", ANYONE, {200}),
    ("POST /initialize", "POST /initialize", GIG, ORGANISER, {200}),
    ("POST /book", "POST /book", BOB, ANYONE, {200}),
    ("POST /book", "POST /book", MISSING, ANYONE, {404}),
    ("POST /cancel", "POST /cancel", BOB, ORGANISER, {200, 404}),
    ("POST /cancel", "POST /cancel", MISSING, ORGANISER, {404}),
    ("GET /status/<path:event_id>", "GET /status/gig", "", ANYONE, {200}),
    ("GET /status/<path:event_id>", "GET /status/missing", "", ANYONE, {404}),
    ("POST /auth/token", "POST /auth/token", "", PASSWORD_ONLY, {200}),
    ("GET /ui", "GET /ui", "", ANYONE, {200}),
    ("GET /ui/stream", "HEAD /ui/stream", "", ANYONE, {200}),
    ("GET /ui/events/<event_slug>", "GET /ui/events/gig", "", ANYONE, {200}),
    ("GET /ui/events/<event_slug>", "GET /ui/events/missing", "", ANYONE, {404}),
    ("GET /ui/events/<event_slug>/stream", "HEAD /ui/events/gig/stream", "", ANYONE, {200}),
    ("POST /ui/events/<event_slug>/orders", "POST /ui/events/gig/orders", CLEO, ANYONE, {200, 303}),
    ("GET /ui/events/<event_slug>/calendar.ics", "GET /ui/events/talk/calendar.ics", "", ANYONE, {200}),
    ("GET /ui/events/<event_slug>/calendar.ics", "GET /ui/events/missing/calendar.ics", "", ANYONE, {404}),
    ("GET /ui/events/<event_slug>/ledger", "GET /ui/events/gig/ledger", "", ANYONE, {200}),
    ("GET /ui/events/<event_slug>/ledger", "GET /ui/events/missing/ledger", "", ANYONE, {404}),
    ("GET /ui/events/<event_slug>/ledger/stream", "HEAD /ui/events/gig/ledger/stream", "", ANYONE, {200}),
    ("POST /ui/events/<event_slug>/place", "POST /ui/events/gig/place", "userId=cleo", ANYONE, {200}),
    (f"GET {ORDER_PAGE}", "GET /ui/orders/{bob}/{bob_key}", "", ANYONE, {200}),
    (f"GET {ORDER_PAGE}", "GET /ui/orders/{bob}/{dan_key}", "", ANYONE, {404}),
    (f"GET {ORDER_PAGE}", "GET /ui/orders/{bob}/{tampered_key}", "", ANYONE, {404}),
    (f"GET {ORDER_PAGE}", "GET /ui/orders/{missing}/{dan_key}", "", ANYONE, {404}),
    (f"GET {ORDER_PAGE}/stream", "HEAD /ui/orders/{bob}/{bob_key}/stream", "", ANYONE, {200}),
    (f"GET {ORDER_PAGE}/stream", "GET /ui/orders/{bob}/{dan_key}/stream", "", ANYONE, {404}),
    (f"GET {ORDER_PAGE}/stream", "GET /ui/orders/{bob}/{tampered_key}/stream", "", ANYONE, {404}),
    (f"GET {ORDER_PAGE}/stream", "GET /ui/orders/{missing}/{dan_key}/stream", "", ANYONE, {404}),
    (f"GET {ORDER_PAGE}/cancellation", "GET /ui/orders/{bob}/{dan_key}/cancellation", "", ANYONE, {404}),
    (f"GET {ORDER_PAGE}/cancellation", "GET /ui/orders/{bob}/{tampered_key}/cancellation", "", ANYONE, {404}),
    (f"POST {ORDER_PAGE}/cancellation", "POST /ui/orders/{bob}/{dan_key}/cancellation", "", ANYONE, {404}),
    (f"POST {ORDER_PAGE}/cancellation", "POST /ui/orders/{bob}/{tampered_key}/cancellation", "", ANYONE, {404}),
    (f"POST {ORDER_PAGE}/cancellation", "POST /ui/orders/{dan}/{dan_key}/cancellation", "", ANYONE, {303}),
    # Still there to be cancelled, whatever was tried with wrong keys.
    (f"GET {ORDER_PAGE}/cancellation", "GET /ui/orders/{bob}/{bob_key}/cancellation", "", ANYONE, {200}),
    ("GET /ui/sign-in", "GET /ui/sign-in", "", ANYONE, {200}),
    ("POST /ui/sign-in", "POST /ui/sign-in", urlencode({"user": USER, "password": PASSWORD}), ANYONE, {303}),
    ("POST /ui/sign-out", "POST /ui/sign-out", "", PANEL, {303}),
    ("GET /ui/organise", "GET /ui/organise", "", PANEL, {200}),
    ("GET /ui/organise/stream", "HEAD /ui/organise/stream", "", PANEL, {200}),
    ("GET /ui/organise/new", "GET /ui/organise/new", "", PANEL, {200}),
    ("POST /ui/organise/new", "POST /ui/organise/new", "title=New&tickets=2&time_zone=UTC", PANEL, {303}),
    ("GET /ui/organise/events/<event_slug>", "GET /ui/organise/events/gig", "", PANEL, {200}),
    ("GET /ui/organise/events/<event_slug>", "GET /ui/organise/events/missing", "", PANEL, {404}),
    ("GET /ui/organise/events/<event_slug>/stream", "HEAD /ui/organise/events/gig/stream", "", PANEL, {200}),
    (f"GET {SETTINGS}", "GET /ui/organise/events/gig/settings", "", PANEL, {200}),
    (f"GET {SETTINGS}", "GET /ui/organise/events/missing/settings", "", PANEL, {404}),
    (f"POST {SETTINGS}", "POST /ui/organise/events/gig/settings", "title=Gig", PANEL, {422}),
    (f"POST {SETTINGS}", "POST /ui/organise/events/missing/settings", "title=Gig", PANEL, {404}),
    (f"GET {SETTINGS}/capacity", "GET /ui/organise/events/gig/settings/capacity?tickets=3", "", PANEL, {200}),
    (f"POST {SETTINGS}/capacity", "POST /ui/organise/events/gig/settings/capacity", "tickets=3", PANEL, {422}),
    (f"POST {SETTINGS}/visibility", "POST /ui/organise/events/gig/settings/visibility", "hidden=no", PANEL, {303}),
    (f"GET {SETTINGS}/closing", "GET /ui/organise/events/gig/settings/closing", "", PANEL, {200}),
    (f"POST {SETTINGS}/closing", "POST /ui/organise/events/gig/settings/closing", "revision=0", PANEL, {422}),
    (f"GET {SETTINGS}/opening", "GET /ui/organise/events/gig/settings/opening", "", PANEL, {200}),
    (f"POST {SETTINGS}/opening", "POST /ui/organise/events/gig/settings/opening", "revision=0", PANEL, {303}),
    (f"GET {SETTINGS}/deletion", "GET /ui/organise/events/gig/settings/deletion", "", PANEL, {200}),
    (f"POST {SETTINGS}/deletion", "POST /ui/organise/events/gig/settings/deletion", "revision=0", PANEL, {422}),
    (f"POST {SETTINGS}/deletion", "POST /ui/organise/events/missing/settings/deletion", "", PANEL, {404}),
    (f"POST {PANEL_EVENT}/orders", "POST /ui/organise/events/gig/orders", "name=dan", PANEL, {303}),
    (f"POST {PANEL_EVENT}/orders", "POST /ui/organise/events/gig/orders", "name=", PANEL, {422}),
    (f"GET {PANEL_EVENT}/guests", "GET /ui/organise/events/gig/guests", "", PANEL, {200}),
    (f"GET {PANEL_EVENT}/guests", "GET /ui/organise/events/missing/guests", "", PANEL, {404}),
    (f"GET {PANEL_EVENT}/guests.csv", "GET /ui/organise/events/gig/guests.csv", "", PANEL, {200}),
    (f"GET {PANEL_EVENT}/guests/stream", "HEAD /ui/organise/events/gig/guests/stream", "", PANEL, {200}),
    (f"GET {PANEL_ORDER}", "GET /ui/organise/events/talk/orders/{bob}", "", PANEL, {200}),
    (f"GET {PANEL_ORDER}", "GET /ui/organise/events/gig/orders/{bob}", "", PANEL, {404}),
    (f"POST {PANEL_ORDER}/check-in", "POST /ui/organise/events/talk/orders/{bob}/check-in", "gate=A", PANEL, {303}),
    (f"POST {PANEL_ORDER}/check-in/undo", "POST /ui/organise/events/talk/orders/{bob}/check-in/undo", "", PANEL, {303}),
    (f"GET {PANEL_ORDER}/cancellation", "GET /ui/organise/events/talk/orders/{bob}/cancellation", "", PANEL, {200}),
    (f"POST {PANEL_ORDER}/cancellation", "POST /ui/organise/events/gig/orders/{bob}/cancellation", "", PANEL, {404}),
    (f"POST {PANEL_ORDER}/cancellation", "POST /ui/organise/events/talk/orders/{dan}/cancellation", "", PANEL, {303}),
    (f"GET {PANEL_ORDER}/erasure", "GET /ui/organise/events/talk/orders/{bob}/erasure", "", PANEL, {200}),
    (f"POST {PANEL_ORDER}/erasure", "POST /ui/organise/events/talk/orders/{dan}/erasure", "", PANEL, {303}),
    (f"GET {PANEL_EVENT}/check-in", "GET /ui/organise/events/talk/check-in", "", PANEL, {200}),
    (f"POST {PANEL_EVENT}/check-in", "POST /ui/organise/events/talk/check-in", "ticket={bob_code}", PANEL, {303}),
    (f"POST {PANEL_EVENT}/check-in", "POST /ui/organise/events/talk/check-in", "ticket=bob", PANEL, {200}),
    (f"POST {PANEL_EVENT}/check-in/undo", "POST /ui/organise/events/talk/check-in/undo", "order={bob}", PANEL, {303}),
    ("GET /ui/organise/tickets/<code>", "GET /ui/organise/tickets/{bob_code}", "", PANEL, {200}),
    ("GET /ui/organise/tickets/<code>", "GET /ui/organise/tickets/0000-0000-0000", "", PANEL, {404}),
    ("POST /ui/organise/tickets/<code>", "POST /ui/organise/tickets/{bob_code}", "", PANEL, {303}),
    (f"POST {PANEL_EVENT}/check-in/undo", "POST /ui/organise/events/talk/check-in/undo", "order={bob}", PANEL, {303}),
    (f"GET {PANEL_EVENT}/ledger", "GET /ui/organise/events/gig/ledger", "", PANEL, {200}),
    (f"GET {PANEL_EVENT}/ledger", "GET /ui/organise/events/missing/ledger", "", PANEL, {404}),
]
API_ROUTES = [
    ("GET /api/v1/events", "GET /api/v1/events", "", HONEST, {200}),
    ("POST /api/v1/events", "POST /api/v1/events", TALK, ORGANISER, {409}),
    (f"GET {EVENT}", "GET /api/v1/events/talk", "", ANYONE, {200}),
    (f"GET {EVENT}", "GET /api/v1/events/missing", "", ANYONE, {404}),
    (f"PATCH {EVENT}", "PATCH /api/v1/events/talk", '{"venue":"Mill"}', ORGANISER, {200}),
    (f"PATCH {EVENT}", "PATCH /api/v1/events/missing", '{"venue":"Mill"}', ORGANISER, {404}),
    (f"DELETE {EVENT}", "DELETE /api/v1/events/talk", "", ORGANISER, {409}),
    (f"DELETE {EVENT}", "DELETE /api/v1/events/missing", "", ORGANISER, {404}),
    (f"GET {EVENT}/ledger", "GET /api/v1/events/talk/ledger", "", ANYONE, {200}),
    (f"GET {EVENT}/ledger", "GET /api/v1/events/missing/ledger", "", ANYONE, {404}),
    (f"GET {EVENT}/stream", "HEAD /api/v1/events/talk/stream", "", ANYONE, {200}),
    (f"GET {EVENT}/orders", "GET /api/v1/events/talk/orders", "", ORGANISER, {200}),
    (f"GET {EVENT}/orders", "GET /api/v1/events/missing/orders", "", ORGANISER, {404}),
    (f"POST {EVENT}/orders", "POST /api/v1/events/talk/orders", '{"userId":"eve"}', HONEST, {200, 201}),
    (f"POST {EVENT}/orders", "POST /api/v1/events/missing/orders", '{"userId":"eve"}', HONEST, {404}),
    (f"GET {ORDER}", "GET /api/v1/orders/{bob}", "", OWNER, {200}),
    (f"GET {ORDER}", "GET /api/v1/orders/{dan}", "", OWNER, {200}),
    (f"GET {ORDER}", "GET /api/v1/orders/{missing}", "", OWNER, {404}),
    (f"POST {ORDER}/manage-link", "POST /api/v1/orders/{bob}/manage-link", "", ORGANISER, {201}),
    (f"POST {ORDER}/manage-link", "POST /api/v1/orders/{missing}/manage-link", "", ORGANISER, {404}),
    (f"POST {ORDER}/check-in", "POST /api/v1/orders/{bob}/check-in", "", ORGANISER, {201, 409}),
    (f"POST {ORDER}/check-in", "POST /api/v1/orders/{missing}/check-in", "", ORGANISER, {404}),
    (f"DELETE {ORDER}/check-in", "DELETE /api/v1/orders/{bob}/check-in", "", ORGANISER, {204, 409}),
    (f"DELETE {ORDER}/check-in", "DELETE /api/v1/orders/{missing}/check-in", "", ORGANISER, {404}),
    (f"POST {ORDER}/cancellation", "POST /api/v1/orders/{bob}/cancellation", "", OWNER, {200, 409}),
    (f"POST {ORDER}/cancellation", "POST /api/v1/orders/{dan}/cancellation", "{}", OWNER, {200, 409}),
    (f"POST {ORDER}/cancellation", "POST /api/v1/orders/{missing}/cancellation", "", OWNER, {404}),
    (f"DELETE {ORDER}/person", "DELETE /api/v1/orders/{dan}/person", "", ORGANISER, {204}),
    (f"DELETE {ORDER}/person", "DELETE /api/v1/orders/{missing}/person", "", ORGANISER, {404}),
]


@dataclass(frozen=True)
class Asking:
    """Somebody: how he shows who he is, what that lets him into besides what is open to anyone, and his order."""

    headers: dict[str, str]
    let_into: frozenset[str] = frozenset()
    order: str = ""

    def is_let_in(self, who: str, order: str) -> bool:
        """Whether he is among those who are let in, where it is about an order perhaps."""
        if who == OWNER:
            return ORGANISER in self.let_into or (self.order != "" and order == self.order)
        if who == HONEST:
            return ORGANISER in self.let_into or "Authorization" not in self.headers
        return who == ANYONE or who in self.let_into

    def is_turned_away(self, reply: Reply, who: str) -> bool:
        """Whether the reply is the refusal that is due.

        That is 401 for programs, the way to the sign-in for people, and for a key that does not fit the same as if
        there were no such order.
        """
        if who == PANEL:
            return reply.status == 303 and reply.headers["Location"].startswith("/ui/sign-in?next=")
        if who == OWNER and "Order-Key" in self.headers and "Authorization" not in self.headers:
            return reply.status == 404 and reply.code == "order_not_found"
        return reply.status == 401 and reply.code == "not_authenticated"


class House:
    """A running server, and the means to be anybody there."""

    def __init__(self, server: Server) -> None:
        self.server = server
        secrets = Secrets.load_or_create(server.data_dir, None)
        self._secrets = secrets
        self._codes = TicketCodes(secrets.ticket_code)
        self._credentials = PasswordFile(server.data_dir, USER).credentials
        self.orders = {"missing": "missing"}
        self.keys: dict[str, str] = {}

    def book(self, guest: str) -> None:
        """Place an order at the talk."""
        order = self.server.ask("POST /api/v1/events/talk/orders", {"userId": guest}).json
        self.orders[guest], self.keys[guest] = order["id"], order["key"]

    def names(self) -> dict[str, str]:
        """What stands in braces in requests and forms; the tampered key is Bob's."""
        keys = {f"{guest}_key": key for guest, key in self.keys.items()}
        codes = {f"{guest}_code": self._codes.code(self.orders[guest]) for guest in self.keys}
        return {**self.orders, **keys, **codes, "tampered_key": tampered(self.keys["bob"])}

    def token(self, clock: Callable[[], float] = time.time, key: bytes | None = None) -> str:
        """A token that was issued at a moment."""
        return Tokens(key or self._secrets.jwt, self._credentials, token_exp_s=600, clock=clock).issue()

    def session(self, clock: Callable[[], float] = time.time, key: bytes | None = None) -> str:
        """The cookie of a session that began at a moment."""
        value = Sessions(key or self._secrets.session, self._credentials, clock=clock).begun()
        return f"{SESSION_COOKIE.name(secure=False)}={value}"


def an_hour_ago() -> float:
    return time.time() - 3_600


PEOPLE: dict[str, Callable[[House], Asking]] = {
    "Dan, who shows nothing": lambda _: Asking({}),
    "Dan, with a wrong password": lambda _: Asking({"Authorization": basic(USER, "a guess")}),
    "Dan, with another user's name": lambda _: Asking({"Authorization": basic("dan", PASSWORD)}),
    "Dan, with rubbish": lambda _: Asking({"Authorization": "Basic %%%"}),
    "Dan, with a token of his own making": lambda house: Asking(
        {"Authorization": f"Bearer {house.token(key=b'd' * 32)}"}
    ),
    "Dan, with a tampered token": lambda house: Asking({"Authorization": f"Bearer {house.token()[:-4]}AAAA"}),
    "Dan, with a session as a token": lambda house: Asking(
        {"Authorization": f"Bearer {house.session().partition('=')[2]}"}
    ),
    "Dan, with a session of his own making": lambda house: Asking({"Cookie": house.session(key=b"d" * 32)}),
    "Dan, with a token as a session": lambda house: Asking({"Cookie": f"fairlist-session={house.token()}"}),
    "Ada, with an expired token": lambda house: Asking({"Authorization": f"Bearer {house.token(an_hour_ago)}"}),
    "Ada, with an expired session": lambda house: Asking({"Cookie": house.session(an_hour_ago)}),
    "Ada, with her password": lambda _: Asking(
        {"Authorization": basic(USER, PASSWORD)}, frozenset({ORGANISER, PASSWORD_ONLY})
    ),
    "Ada, with a token": lambda house: Asking({"Authorization": f"Bearer {house.token()}"}, frozenset({ORGANISER})),
    "Ada, with a session": lambda house: Asking({"Cookie": house.session()}, frozenset({PANEL})),
    "Bob, with his order's key": lambda house: Asking({"Order-Key": house.keys["bob"]}, order="bob"),
    "Dan, with another order's key": lambda house: Asking({"Order-Key": house.keys["dan"]}, order="dan"),
    "Dan, with a tampered key": lambda house: Asking({"Order-Key": tampered(house.keys["bob"])}),
    "Dan, with his order's key and rubbish": lambda house: Asking(
        {"Order-Key": house.keys["dan"], "Authorization": "Basic %%%"}
    ),
}


def tampered(key: str) -> str:
    """A key of which one bit is another one."""
    return ("A" if key[0] != "A" else "B") + key[1:]


# A server for each, because it takes no more than so many wrong passwords for one account in a minute.
TABLES = {"pages and contract": ROUTES, "api": API_ROUTES}


@pytest.fixture(scope="module", params=TABLES)
def table(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def house(table: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with Server(tmp_path_factory.mktemp("who-may-what")) as server:
        assert server.as_organiser("POST /initialize", {"eventId": "gig", "tickets": 2}).status == 200
        talk = {"eventId": "talk", "capacity": 2, "starts_at": "2030-06-18T19:30:00Z"}
        assert server.as_organiser("POST /api/v1/events", talk).status == 201
        house = House(server)
        for guest in ("bob", "dan"):
            house.book(guest)
        yield house


@pytest.mark.parametrize("person", PEOPLE)
def test_everybody_may_what_the_table_says_and_nothing_else(house: House, table: str, person: str) -> None:
    wrong = []
    for number, (_, request, body, who, answers) in enumerate(TABLES[table]):
        asking = PEOPLE[person](house)
        media_type = "application/json" if body.startswith("{") else "application/x-www-form-urlencoded"
        content = {"Content-Type": media_type} if body else {}
        condition = {"If-Match": "*"} if table == "api" else {}
        # Everybody comes from an address of his own, or the limiter would turn guesses away before anybody else does.
        reply = house.server.ask(
            request.format(**house.names()),
            (body if body.startswith("{") else body.format(**house.names())).encode() or None,
            {**asking.headers, **content, **condition},
            f"127.0.{list(PEOPLE).index(person)}.{number + 2}",
        )
        order = re.search(r"{(\w+)}", request)
        is_let_in = asking.is_let_in(who, order[1] if order else "")
        if is_let_in and (reply.status not in answers or asking.is_turned_away(reply, who)):
            wrong.append(f"{request}: {reply.status} instead of {answers}")
        if not is_let_in and not asking.is_turned_away(reply, who):
            wrong.append(f"{request}: {reply.status}, but {person} must be turned away")
    assert not wrong, "\n".join(wrong)


def test_no_key_is_in_the_log(house: House) -> None:
    for request in (
        "GET /ui/orders/{bob}/{bob_key}",
        "GET /ui/orders/{bob}/{bob_key}/",
        "GET /ui/orders/{bob}/{dan_key}/stream",
        "HEAD /ui/orders/{bob}/{bob_key}/stream",
        "GET /ui/orders/{bob}/{dan_key}/cancellation",
        "POST /ui/orders/{bob}/{dan_key}/cancellation",
        "PUT /ui/orders/{bob}/{bob_key}",
    ):
        house.server.ask(request.format(**house.names()))
    last = house.server.ask("GET /healthz").headers["X-Request-Id"]
    house.server.logged(lambda line: line.get("request_id") == last)
    assert f"{ORDER_PAGE}/cancellation" in {line.get("route") for line in house.server.log()}
    said = house.server.stdout + house.server.stderr
    assert not [guest for guest, key in house.keys.items() if key in said]


def test_the_table_names_every_route_of_the_app() -> None:
    app = app_over(cast(BoxOffice, None))
    routes = {
        f"{method} {rule.rule}"
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert routes == {route for rows in TABLES.values() for route, *_ in rows}


def test_streams_asked_for_at_the_same_time_share_the_same_bounds(tmp_path: Path) -> None:
    with Server(tmp_path, STREAMS_PER_ADDRESS="5") as server, ExitStack() as opened:
        sockets = [
            opened.enter_context(socket.create_connection(("127.0.0.1", server.port), TIMEOUT_S)) for _ in range(40)
        ]
        for stream in sockets:
            stream.sendall(b"GET /ui/stream HTTP/1.1\r\nHost: x\r\n\r\n")
        heard = dict.fromkeys(sockets, b"")
        deadline = time.monotonic() + TIMEOUT_S
        while len(live_streams(heard)) != 5 or not all(heard.values()):
            assert time.monotonic() < deadline, f"{len(live_streams(heard))} streams go on"
            for stream in select.select(sockets, [], [], 0.1)[0]:
                heard[stream] += stream.recv(65_536)


def live_streams(heard: dict[socket.socket, bytes]) -> list[socket.socket]:
    """Those that were let in, and whose chunked body has not come to its end."""
    return [
        stream for stream, said in heard.items() if said.startswith(b"HTTP/1.1 200") and not said.endswith(b"0\r\n\r\n")
    ]


def test_a_token_and_a_session_end_when_the_password_changes(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        house = House(server)
        bearer = {"Authorization": f"Bearer {house.token()}"}
        session = {"Cookie": house.session()}
        assert (
            server.ask("POST /initialize", GIG.encode(), {**bearer, "Content-Type": "application/json"}).status == 200
        )
        assert server.ask("GET /ui/organise", None, session).status == 200
        PasswordFile.load_or_create(server.data_dir, USER, "another password")
        assert (
            server.ask("POST /initialize", GIG.encode(), {**bearer, "Content-Type": "application/json"}).status == 401
        )
        assert server.ask("GET /ui/organise", None, session).status == 303
