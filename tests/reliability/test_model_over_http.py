"""The server, driven over HTTP through random steps, restarts and kills, and held against the model at each of them."""

from collections.abc import Sequence
from itertools import count
from pathlib import Path

import pytest
from hypothesis import strategies as some
from hypothesis.stateful import rule

from tests import effort
from tests.client import Body
from tests.machine import EVENTS, GUESTS, OriginalMachine, Record, events, explore
from tests.model import Answer
from tests.reliability.crowd import told
from tests.server import Server
from webapp.booking.ledger import Entry
from webapp.booking.state import fold

RESTARTS_CARRIED_OUT = 10  # one in ten, because each takes as long as hundreds of other steps

# It shows for ever what an event was like when it was looked at first.
SHOWS_OLD_COUNTS = """
from webapp.box_office import BoxOffice
from webapp.cli import main

BoxOffice.counts_now = BoxOffice.counts
seen = {}

async def counts(box_office, event_id):
    if event_id not in seen:
        seen[event_id] = await box_office.counts_now(event_id)
    return seen[event_id]

BoxOffice.counts = counts
main(["serve"])
"""


class HttpDriver:
    """A server process, and events of one run's own; a restart stops it and kills it in turn."""

    def __init__(self, server: Server, run: int) -> None:
        self._server = server
        self._run = run
        self._authorization = {"Authorization": f"Bearer {server.token()}"}
        self._restarts = count(1)

    def open(self, event: str, tickets: int) -> Answer:
        was_open = self.status(event) != "event_not_found"
        answer = self._ask("open", "POST /initialize", {"eventId": self._named(event), "tickets": tickets})
        return answer if answer != "open" else "as before" if was_open else "new"

    def book(self, event: str, guest: str) -> Answer:
        return self._ask("book", "POST /book", {"eventId": self._named(event), "userId": guest})

    def cancel(self, event: str, guest: str) -> Answer:
        return self._ask("cancel", "POST /cancel", {"eventId": self._named(event), "userId": guest})

    def status(self, event: str) -> Answer:
        return self._ask("status", f"GET /status/{self._named(event)}")

    def ledger(self, event: str) -> Sequence[Record]:
        return [Record(entry.kind, entry.order_id, entry.guest, entry.detail) for entry in self._entries(event)]

    def verify(self) -> None:
        """What is shown, the head of the chain included, is what the ledger folds to."""
        for event in EVENTS:
            if entries := self._entries(event):
                counts = fold(self._named(event), entries).counts
                status = self._server.ask(f"GET /status/{self._named(event)}")
                assert status.headers["ETag"].strip('"') == f"{counts.head}-{counts.head_hash.hex()[:12]}"

    def restart(self) -> None:
        number, is_for_another_time = divmod(next(self._restarts), RESTARTS_CARRIED_OUT)
        if is_for_another_time:
            return
        if number % 2:
            self._server.kill()
        else:
            assert self._server.stop() == 0
        self._server.start()

    def close(self) -> None:
        """Leave the server to the next run."""

    def _ask(self, verb: str, request: str, body: Body = None) -> Answer:
        return told(verb, self._server.ask(request, body, self._authorization))

    def _named(self, event: str) -> str:
        return f"{event}-{self._run}"

    def _entries(self, event: str) -> list[Entry]:
        statement = """
            SELECT seq, kind, at, actor, order_id, reason, detail, hash, user_id, salt
              FROM ledger LEFT JOIN orders ON orders.id = order_id WHERE ledger.event_id = ? ORDER BY seq"""
        return [Entry(*row) for row in self._server.query(statement, self._named(event))]


class CrowdedMachine(OriginalMachine):
    """The same with whole crowds, without whom hardly anybody would ever wait, and hardly anybody be promoted."""

    @rule(event=events, order=some.permutations(GUESTS))
    def book_in_turn(self, event: str, order: list[str]) -> None:
        for guest in order:
            self.book(event, guest)

    @rule(event=events, order=some.permutations(GUESTS))
    def cancel_for_half_of_them(self, event: str, order: list[str]) -> None:
        for guest in order[::2]:
            self.cancel(event, guest)


def test_the_server_agrees_with_the_model(tmp_path: Path) -> None:
    runs = count(1)
    with Server(tmp_path) as server:
        explore(lambda: CrowdedMachine(lambda: HttpDriver(server, next(runs))), max(1, effort.MODEL_RUNS // 5))
        server.verify()


def test_a_server_that_shows_old_counts_does_not_agree_with_the_model(tmp_path: Path) -> None:
    runs = count(1)
    with Server(tmp_path, program=("-c", SHOWS_OLD_COUNTS)) as server, pytest.raises(AssertionError):
        explore(lambda: CrowdedMachine(lambda: HttpDriver(server, next(runs))), effort.MODEL_RUNS, shrink=False)
