"""What the log keeps for whoever has to find out what happened: every sign-in, and everybody who was turned away."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.client import SENDER, Reply, basic
from tests.server import PASSWORD, USER, Server
from webapp.web.auth import ADDRESS_BURST

BASIC = basic(USER, PASSWORD)
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
ELSEWHERE = {"Sec-Fetch-Site": "cross-site"}
LONG = "guess" * 300  # too long to be anybody's password, so that it costs no hashing
ORDER = "0123456789abcdef0123"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("remarks"), TRUSTED_PROXIES=SENDER) as server:
        yield server


def logged(server: Server, reply: Reply) -> dict[str, Any]:
    """The line of the log for a request."""
    return server.logged(lambda line: line.get("request_id") == reply.headers["X-Request-ID"])


def signed_in(server: Server) -> Reply:
    return server.ask("POST /ui/sign-in", f"user={USER}&password={PASSWORD}".encode(), FORM)


TURNS: Final[list[tuple[str, dict[str, str], int, str]]] = [
    ("GET /metrics", {}, 401, "not_authenticated"),
    ("GET /metrics", {"Authorization": "Digest x"}, 401, "unreadable_authorization"),
    ("GET /metrics", {"Authorization": basic(USER, "guess")}, 401, "wrong_password"),
    ("GET /metrics", {"Authorization": basic("dan", PASSWORD)}, 401, "wrong_password"),
    ("GET /metrics", {"Authorization": "Bearer a.b.c"}, 401, "wrong_token"),
    ("GET /metrics", {"Authorization": BASIC}, 200, "by_password"),
    ("POST /auth/token", {"Authorization": BASIC}, 200, "token_issued"),
    ("POST /book", ELSEWHERE, 403, "cross_origin"),
    (f"GET /api/v1/orders/{ORDER}", {}, 401, "not_authenticated"),
    (f"GET /api/v1/orders/{ORDER}", {"Order-Key": "guess"}, 404, "wrong_key"),
    (f"GET /ui/orders/{ORDER}/guess", {}, 404, "wrong_key"),
    ("GET /ui/organise", {}, 303, "not_authenticated"),
    ("GET /ui/organise", {"Cookie": "fairlist-session=guess"}, 303, "session_over"),
]
"""Requests, the status they get, and what the log says of them."""


def test_the_log_says_who_was_let_in_or_turned_away_and_from_where(server: Server) -> None:
    replies = [server.ask(request, headers={"X-Forwarded-For": "203.0.113.7"} | said) for request, said, *_ in TURNS]
    lines = [logged(server, reply) for reply in replies]
    assert [reply.status for reply in replies] == [status for _, _, status, _ in TURNS]
    assert [line["security"] for line in lines] == [word for *_, word in TURNS]
    assert {line["address"] for line in lines} == {"203.0.113.7"}


def test_the_log_tells_a_session_from_its_beginning_to_its_end(server: Server) -> None:
    cookie = {"Cookie": (begun := signed_in(server)).headers["Set-Cookie"].partition(";")[0]}
    replies = [
        begun,
        server.ask("GET /ui/organise", headers=cookie),
        server.ask("POST /ui/sign-out", b"", FORM | cookie),
        server.ask("GET /ui/organise", headers=cookie),
    ]
    words = [logged(server, reply)["security"] for reply in replies]
    assert words == ["signed_in", "by_session", "signed_out", "session_over"]


def test_the_log_tells_a_token_from_a_password(server: Server) -> None:
    token = server.ask("POST /auth/token", headers={"Authorization": BASIC}).json["token"]
    reply = server.ask("GET /metrics", headers={"Authorization": f"Bearer {token}"})
    assert logged(server, reply)["security"] == "by_token"


@pytest.mark.parametrize(
    ("request_", "headers", "body"),
    [
        ("POST /ui/sign-in", FORM, f"user={USER}&password={LONG}".encode()),
        ("GET /metrics", {"Authorization": basic(USER, LONG)}, None),
    ],
    ids=["by the form", "by the API"],
)
def test_the_log_shows_somebody_who_goes_on_guessing(
    tmp_path: Path, request_: str, headers: dict[str, str], body: bytes | None
) -> None:
    with Server(tmp_path) as server:
        replies = [server.ask(request_, body, headers)]
        while replies[-1].status != 429:
            replies.append(server.ask(request_, body, headers))
        lines = [logged(server, reply) for reply in replies]
    words = [line["security"] for line in lines]
    assert words == ["wrong_password"] * (len(words) - 1) + ["too_many_attempts"]
    assert len(words) > ADDRESS_BURST
    assert {line["address"] for line in lines} == {SENDER}


def test_no_address_is_kept_of_who_only_looks_and_books(server: Server) -> None:
    server.as_organiser("POST /initialize", {"eventId": "gig", "tickets": 1})
    replies = [
        server.ask("GET /ui"),
        server.ask("POST /book", {"eventId": "gig", "userId": "bob"}),
        server.ask("POST /book", {"eventId": "gig"}),
    ]
    assert [reply.status for reply in replies] == [200, 200, 400]
    for reply in replies:
        assert not {"security", "address"} & logged(server, reply).keys()


def test_a_proxy_writes_nothing_into_the_log_but_an_address(server: Server) -> None:
    forged = {"X-Forwarded-For": '203.0.113.7", "security": "signed_in" ' + "x" * 100}
    line = logged(server, server.ask("GET /metrics", headers=forged))
    assert line["security"] == "not_authenticated"
    assert len(line["address"]) <= 45
