"""Whoever sends anything at all, with the organiser's token; and what the contract lets a text be."""

import http.client
import random
import socket
import sys
import unicodedata
from typing import Any, Final

from hypothesis import HealthCheck, settings

from tests import effort
from tests.client import TIMEOUT_S, Headers, Reply, raw
from tests.server import Server

INVISIBLE: Final = {"Cc", "Cf", "Cs", "Zl", "Zp"}

often: Final = settings(
    max_examples=3 * effort.ATTEMPTS,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)


class Attacker:
    """Sends anything with the organiser's token, so that it gets as far as possible."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.authorization = {"Authorization": f"Bearer {server.token()}"}

    def send(self, request: str, body: bytes | None = None, headers: Headers | None = None) -> Reply:
        """Send a request, and see that it is answered, and has changed nothing if it was refused."""
        before = self.entries()
        json_ = {"Content-Type": "application/json"} if body is not None else {}
        reply = self.server.ask(request, body, {**self.authorization, **json_, **(headers or {})})
        assert reply.status < 500, f"{reply.status} for {request} {headers} {body!r}"
        assert reply.status < 400 or self.entries() == before
        return reply

    def exchange(self, sent: bytes) -> list[int]:
        """The statuses of the answers to raw bytes, and to an honest request behind them if the connection is kept.

        A status of 0 stands for a connection that ends.
        """
        before = self.entries()
        with self.connected() as connection:
            connection.sendall(sent)
            statuses = [self._status(connection)]
            if not self._closes:
                connection.sendall(raw("GET /health", headers={"Connection": "close"}))
                statuses.append(self._status(connection))
        assert self.entries() == before
        assert self.server.ask("GET /health").json == {"ok": True}
        return statuses

    def connected(self) -> socket.socket:
        """A new connection."""
        return socket.create_connection(("127.0.0.1", self.server.port), TIMEOUT_S)

    def entries(self) -> Any:
        """How much there is in the database."""
        return self.server.query("SELECT count(*), (SELECT count(*) FROM orders) FROM ledger")

    def _status(self, connection: socket.socket) -> int:
        response = http.client.HTTPResponse(connection)
        self._closes = True
        try:
            response.begin()
            response.read()
        except (http.client.BadStatusLine, ConnectionResetError):
            return 0
        self._closes = response.will_close
        return response.status


def is_id(text: object) -> bool:
    """Whether the contract lets a text be the id of a guest."""
    if not isinstance(text, str):
        return False
    text = unicodedata.normalize("NFC", text)
    return (
        1 <= len(text) <= 255
        and text == text.strip()
        and not any(unicodedata.category(character) in INVISIBLE for character in text)
    )


def is_event_id(text: object) -> bool:
    """Whether the contract lets a text be the id of an event."""
    return is_id(text) and not str(text).startswith("/") and text not in {".", ".."}


def characters_of_every_category() -> dict[str, list[str]]:
    """The first and the last of each, and some between."""
    found: dict[str, list[str]] = {}
    for point in range(sys.maxunicode + 1):
        found.setdefault(unicodedata.category(chr(point)), []).append(chr(point))
    chance = random.Random(effort.FIRST_SEED)
    return {
        category: sorted({all_[0], all_[-1], *chance.choices(all_, k=3)}) for category, all_ in sorted(found.items())
    }
