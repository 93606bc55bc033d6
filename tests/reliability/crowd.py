"""Many clients at once, who ask at random over HTTP, and note every question and every answer with its moment."""

import asyncio
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Final, NamedTuple

from tests.client import Connection, Reply
from tests.model import Answer
from tests.reliability.history import NOTHING, UNKNOWN, Call, Record
from tests.server import Server

REQUESTS: Final = {"open": "POST /initialize", "book": "POST /book", "cancel": "POST /cancel"}
DEFINITE_NO: Final = {"overloaded", "storage_unavailable", "shutting_down"}


class Wish(NamedTuple):
    """What somebody wants of an event; the subject is a guest, or a number of tickets."""

    verb: str
    event: str
    subject: str | int = ""


def wishes(chance: random.Random, events: Sequence[str], guests: Sequence[str], tickets: int) -> Iterator[Wish]:
    """Random wishes without end, few guests and tickets, so that they collide."""
    yield from (Wish("open", event, tickets) for event in events)
    while True:
        verb = chance.choices(["open", "book", "cancel", "status"], [1, 12, 8, 6])[0]
        event, guest = chance.choice(events), chance.choice(guests)
        match verb:
            case "open":
                yield Wish(verb, event, tickets + (chance.random() < 0.3))
            case "status":
                yield Wish(verb, event)
            case _:
                yield Wish(verb, event, guest)


@dataclass
class Crowd:
    """Clients of one server, who share their wishes, and the notes of what they asked and were answered.

    Now and then one of them goes away after he has asked. `heard` is called after every answer.
    """

    chance: random.Random
    token: str
    heard: Callable[[], object] = lambda: None
    leaving: float = 0.02
    calls: list[Call] = field(default_factory=list)
    moments: Iterator[int] = field(default_factory=count)

    async def ask(self, server: Server, wishes: Iterator[Wish], clients: int) -> None:
        """Have so many clients ask for the wishes until there are none left, or until the server goes away."""
        async with asyncio.TaskGroup() as group:
            for _ in range(clients):
                group.create_task(self._ask_one_after_the_other(server.port, wishes))

    async def _ask_one_after_the_other(self, port: int, wishes: Iterator[Wish]) -> None:
        connection = await Connection.open(port)
        try:
            for wish in wishes:
                call = Call(*wish, next(self.moments))
                self.calls.append(call)
                self._send(connection, call)
                if self.chance.random() < self.leaving:
                    await connection.close()
                    connection = await Connection.open(port)
                    continue
                reply = await connection.reply()
                call.answered, call.answer = next(self.moments), told(call.verb, reply)
                call.head = reply.headers.get("ETag", "").strip('"')
                self.heard()
        except (OSError, EOFError):
            return  # the server was killed
        finally:
            await connection.close()

    def _send(self, connection: Connection, call: Call) -> None:
        if call.verb == "status":
            connection.send(f"GET /status/{call.event}")
            return
        subject = {"tickets" if call.verb == "open" else "userId": call.subject}
        connection.send(
            REQUESTS[call.verb], {"eventId": call.event, **subject}, {"Authorization": f"Bearer {self.token}"}
        )


def told(verb: str, reply: Reply) -> Answer:
    """A reply in the words of the model; UNKNOWN or NOTHING where it could not be carried out."""
    if reply.code is not None:
        return NOTHING if reply.code in DEFINITE_NO else UNKNOWN if reply.code == "outcome_unknown" else reply.code
    said = reply.json
    match verb:
        case "book":
            return "booked" if said["assigned"] else "waiting", "message" not in said
        case "cancel":
            return [] if said["reassignedTo"] is None else [said["reassignedTo"]]
        case "status":
            return said["total"], said["total"] - said["available"], said["waitingList"]
    return "open"


def ledger(server: Server, event: str) -> list[Record]:
    """An event's ledger, from the first entry to the last."""
    statement = """
        SELECT seq, kind, user_id, detail, lower(hex(hash)) FROM ledger LEFT JOIN orders ON id = order_id
         WHERE ledger.event_id = ? ORDER BY seq"""
    return [Record(*row) for row in server.query(statement, event)]
