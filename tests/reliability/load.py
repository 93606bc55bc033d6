"""A crowd before one server that is killed under it again and again, and what is wrong with all of it together."""

import asyncio
import random
from collections.abc import Iterator
from itertools import islice
from typing import Final

from tests.model import Answer
from tests.reliability.crowd import Crowd, Wish, ledger, wishes
from tests.reliability.history import NEVER, Record, complaints
from tests.server import Server

CLIENTS: Final = 16
EVENTS: Final = ("gig", "talk")
GUESTS: Final = tuple(f"guest-{number}" for number in range(40))
TICKETS: Final = 12
RETRIES: Final = 30


class Load:
    """A crowd before a server that is killed under it, round by round, on one database."""

    def __init__(self, server: Server, seed: int) -> None:
        self._server = server
        self._chance = random.Random(seed)
        self._crowd = Crowd(self._chance, server.token(), heard=self._heard)
        self._answers_left = 0

    @property
    def operations(self) -> int:
        """How many there were."""
        return len(self._crowd.calls)

    def ask_until_killed(self, answers_max: int = 400) -> None:
        """Ask, and kill the server behind one of the first answers, while others are under way."""
        self._answers_left = self._chance.randint(1, answers_max)
        self._ask(wishes(self._chance, EVENTS, GUESTS, TICKETS, self._crowd.orders))
        self._server.kill()

    def ask_until_it_ends(self) -> None:
        """Ask until the server goes away by itself."""
        self._answers_left = 0
        self._ask(wishes(self._chance, EVENTS, GUESTS, TICKETS, self._crowd.orders))

    def ask_for(self, number: int) -> None:
        """Ask for so much, and let the server live."""
        self._answers_left = 0
        self._ask(islice(wishes(self._chance, EVENTS, GUESTS, TICKETS, self._crowd.orders), number))

    def _ask(self, some: Iterator[Wish]) -> None:
        asyncio.run(self._crowd.ask(self._server, some, CLIENTS))

    def ask_again(self) -> None:
        """Ask once more for what was last asked for under a key, whether or not it was answered before the kill."""
        asyncio.run(self._crowd.ask_again(self._server, RETRIES))

    def answers(self, last: int) -> list[Answer]:
        """What came of the last calls, without those whose client did not wait for it."""
        return [call.answer for call in self._crowd.calls[-last:] if call.answered != NEVER]

    def complaints(self, *apart: str) -> list[str]:
        """What is wrong with all rounds together, apart from events that belong to somebody else."""
        found = ledgers(self._server)
        return complaints(self._crowd.calls, {event: found[event] for event in found if event not in apart})

    def _heard(self) -> None:
        self._answers_left -= 1
        if self._answers_left == 0:
            self._server.process.kill()


def ledgers(server: Server) -> dict[str, list[Record]]:
    """The ledgers of all events that there are."""
    return {event: ledger(server, event) for (event,) in server.query("SELECT id FROM events")}
