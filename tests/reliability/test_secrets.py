"""What a server prints holds no secret and nobody's name; every server that tests start is searched at its end."""

from pathlib import Path
from typing import Final

import pytest

from tests.client import Reply
from tests.server import Server
from tests.web.api import ADA, V1

# What no server may do: it logs what everybody says.
TALKATIVE: Final = """
import logging
from quart import request
from webapp import app
from webapp.cli import main

look = app.guard.look_before_routing

async def look_and_tell():
    said = [request.headers.get(name) for name in ("Authorization", "Cookie", "Order-Key", "Idempotency-Key")]
    logging.getLogger("gossip").info("%s %s %s", said, request.query_string.decode(), await request.get_data())
    logging.getLogger("gossip").info("%s", (await request.get_json(silent=True) or {}).get("name"))
    await look()

app.guard.look_before_routing = look_and_tell
main(["serve"])
"""


def walk(server: Server) -> set[str]:
    """Say and hear something of everything that is confidential; returns one of each kind."""
    server.as_organiser("POST /initialize", {"eventId": "gig", "tickets": 1})
    contact = {"userId": "bob@example.org", "name": "Robért „Bob“ Bøgh", "email": "bob@example.org"}
    placed = server.ask(f"POST {V1}/events/gig/orders", contact, {"Idempotency-Key": "key-of-the-clients-own"})
    own, session, token = {"Order-Key": placed.json["key"]}, cookie(sign_in(server)), server.token()
    server.ask(f"GET {V1}/orders/{placed.json['id']}", headers=own)
    server.ask(f"GET {V1}/events/gig/orders?q=bob%40example.org", headers=ADA)
    server.ask("GET /ui/organise", headers={"Cookie": session})
    server.ask("GET /ui", headers={"Authorization": f"Bearer {token}"})
    server.ask(f"POST {V1}/orders/{placed.json['id']}/cancellation", {"reason": "has a cold"}, own)
    said = {*contact.values(), *own.values(), ADA["Authorization"], session, token, "has a cold"}
    return said | {"key-of-the-clients-own", "q=bob%40example.org"}


def sign_in(server: Server) -> Reply:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    return server.ask("POST /ui/sign-in", b"user=ada&password=correct%3A+horse%2C+battery", form)


def cookie(reply: Reply) -> str:
    return str(reply.headers["Set-Cookie"]).partition(";")[0]


def test_a_server_is_discreet(tmp_path: Path) -> None:
    with Server(tmp_path, AUTH_SECRET="no-32-bytes-are-as-secret-as-these") as server:
        walk(server)
        assert server.stop() == 0
        server.require_discretion()


def test_a_server_that_is_not_discreet_is_found_out(tmp_path: Path) -> None:
    server = Server(tmp_path, program=("-c", TALKATIVE))
    try:
        server.start()
        said = walk(server)
        assert server.stop() == 0
    finally:
        server.kill()
    with pytest.raises(AssertionError, match="told in confidence") as complaint:
        server.require_discretion()
    assert [word for word in said if word not in str(complaint.value)] == []
