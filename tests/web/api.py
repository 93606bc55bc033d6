"""The full JSON API, as its tests ask it: a server, and whoever asks."""

from collections.abc import Mapping
from typing import Any, Final

from tests.client import Body, Reply, basic
from tests.server import PASSWORD, USER, Server

V1: Final = "/api/v1"
ADA: Final = {"Authorization": basic(USER, PASSWORD)}
"""What the organiser shows."""

NOBODY: Final[Mapping[str, str]] = {}


class Api:
    """Somebody at a server's API. Paths are given without /api/v1; headers go with every request."""

    def __init__(self, server: Server, headers: Mapping[str, str] = NOBODY) -> None:
        self.server = server
        self.headers = headers

    def __call__(self, request: str, body: Body = None, **headers: str) -> Reply:
        """Ask, with headers such as `if_match`."""
        method, path = request.split(" ", 1)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.server.ask(f"{method} {V1}{path}", body, {**self.headers, **named})

    def event(self, event_id: str, capacity: int = 1, **details: Any) -> dict[str, Any]:
        """Opens an event; returns its document."""
        return created(self("POST /events", {"eventId": event_id, "capacity": capacity, **details}))

    def order(self, event_id: str, guest: str, **contact: Any) -> dict[str, Any]:
        """Books for a guest; returns the order's document, with its key."""
        return created(self(f"POST /events/{event_id}/orders", {"userId": guest, **contact}))


def created(reply: Reply) -> dict[str, Any]:
    """The document in a 201."""
    assert reply.status == 201, reply.body
    document = reply.json
    assert isinstance(document, dict)
    return document


def faults(reply: Reply) -> set[str]:
    """The fields that a 400 is about."""
    assert (reply.status, reply.code) == (400, "invalid_input"), reply.body
    return {error["pointer"] for error in reply.json["errors"]}
