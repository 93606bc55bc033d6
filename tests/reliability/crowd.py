"""Many clients at once, who ask at random over HTTP, and note every question and every answer with its moment."""

import asyncio
import random
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Final, NamedTuple

from tests.client import Body, Connection, Reply
from tests.model import Answer
from tests.reliability.history import NOTHING, UNKNOWN, Call, Record
from tests.server import Server
from tests.web.api import V1

DEFINITE_NO: Final = {"overloaded", "storage_unavailable", "shutting_down"}
CHANCES: Final = {
    "open": 1, "book": 6, "place": 9, "cancel": 6, "cancel_order": 3, "check_in": 2, "undo_check_in": 2, "resize": 1,
    "status": 6,
}  # fmt: skip
ABOUT_ORDERS: Final = ("cancel_order", "check_in", "undo_check_in")
LATEST: Final = 8
"""So many orders are still remembered."""


class Wish(NamedTuple):
    """What somebody wants of an event; the subject is a guest, a number of tickets, or an order."""

    verb: str
    event: str
    subject: str | int = ""


def wishes(
    chance: random.Random,
    events: Sequence[str],
    guests: Sequence[str],
    tickets: int,
    orders: Mapping[str, Sequence[str]],
) -> Iterator[Wish]:
    """Random wishes without end, few guests and tickets, so that they collide; `orders` are those known by then."""
    yield from (Wish("open", event, tickets) for event in events)
    while True:
        (verb,) = chance.choices(list(CHANCES), list(CHANCES.values()))
        event, guest = chance.choice(events), chance.choice(guests)
        match verb:
            case "open":
                yield Wish(verb, event, tickets + (chance.random() < 0.3))
            case "resize":
                yield Wish(verb, event, chance.randint(max(0, tickets - 1), tickets + 2))
            case "status":
                yield Wish(verb, event)
            case _ if verb not in ABOUT_ORDERS:
                yield Wish(verb, event, guest)
            case _ if orders[event]:
                yield Wish(verb, event, chance.choice(orders[event][-LATEST:]))


@dataclass
class Crowd:
    """Clients of one server, who share their wishes, and the notes of what they asked and were answered.

    Now and then one of them goes away after he has asked. Some places are asked for under a key; then somebody may ask
    twice at once, and asks again if he went away. `heard` is called after every answer.
    """

    chance: random.Random
    token: str
    heard: Callable[[], object] = lambda: None
    leaving: float = 0.02
    careful: float = 0.5
    impatient: float = 0.3
    calls: list[Call] = field(default_factory=list)
    moments: Iterator[int] = field(default_factory=count)
    orders: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))  # of each event
    keys: dict[str, str] = field(default_factory=dict)  # to the orders

    async def ask(self, server: Server, wishes: Iterator[Wish], clients: int) -> None:
        """Have so many clients ask for the wishes until there are none left, or until the server goes away."""
        async with asyncio.TaskGroup() as group:
            for _ in range(clients):
                group.create_task(self._ask_one_after_the_other(server.port, wishes))

    async def ask_again(self, server: Server, number: int) -> None:
        """Ask once more for so many of the places that were last asked for under a key, answered or not."""
        asked = {call.key: Wish(call.verb, call.event, call.subject) for call in self.calls if call.key}
        for key, wish in list(asked.items())[-number:]:
            await self._ask_once(server.port, wish, key)

    async def _ask_one_after_the_other(self, port: int, wishes: Iterator[Wish]) -> None:
        connection = await Connection.open(port)
        try:
            for wish in wishes:
                key = f"{self.chance.getrandbits(128):032x}" if self._is_to_have_a_key(wish) else ""
                call = self._send(connection, wish, key)
                if self.chance.random() < self.leaving:
                    await connection.close()
                    connection = await Connection.open(port)
                    if key:
                        await self._ask_once(port, wish, key)
                elif key and self.chance.random() < self.impatient:
                    await asyncio.gather(self._hear(connection, call), self._ask_once(port, wish, key))
                else:
                    await self._hear(connection, call)
        except (OSError, EOFError):
            return  # the server was killed
        finally:
            await connection.close()

    def _is_to_have_a_key(self, wish: Wish) -> bool:
        return wish.verb == "place" and self.chance.random() < self.careful

    async def _ask_once(self, port: int, wish: Wish, key: str) -> None:
        """Ask on a connection of its own. Raises OSError and EOFError where the server goes away."""
        connection = await Connection.open(port)
        try:
            await self._hear(connection, self._send(connection, wish, key))
        finally:
            await connection.close()

    def _send(self, connection: Connection, wish: Wish, key: str) -> Call:
        call = Call(*wish, next(self.moments), key=key)
        self.calls.append(call)
        organiser = {"Authorization": f"Bearer {self.token}"}
        event, subject = wish.event, wish.subject
        request: tuple[str, Body, dict[str, str]]
        match wish.verb:
            case "open":
                request = "POST /initialize", {"eventId": event, "tickets": subject}, organiser
            case "book" | "cancel":
                request = f"POST /{wish.verb}", {"eventId": event, "userId": subject}, organiser
            case "status":
                request = f"GET /status/{event}", None, {}
            case "place":
                own_key = {"Idempotency-Key": key} if key else {}
                request = f"POST {V1}/events/{event}/orders", {"userId": subject}, own_key
            case "resize":
                request = f"PATCH {V1}/events/{event}", {"capacity": subject}, {**organiser, "If-Match": "*"}
            case "cancel_order":
                request = f"POST {V1}/orders/{subject}/cancellation", b"", {"Order-Key": self.keys[str(subject)]}
            case _:
                method = "POST" if wish.verb == "check_in" else "DELETE"
                request = f"{method} {V1}/orders/{subject}/check-in", b"", organiser
        connection.send(*request)
        return call

    async def _hear(self, connection: Connection, call: Call) -> None:
        """Note the answer. Raises OSError and EOFError where the server goes away."""
        reply = await connection.reply()
        call.answered, call.answer = next(self.moments), told(call.verb, reply)
        call.head = head(reply)
        if reply.code is None and call.verb in ("place", "cancel_order", "check_in"):
            said = reply.json
            is_new = reply.status == 201 or call.verb == "cancel_order"
            call.receipt = f"{said['receipt']['entry']}-{said['receipt']['hash'][:12]}" if is_new else ""
            if "key" in said:
                self.keys[said["id"]] = said["key"]
                self.orders[call.event].append(said["id"])
        if call.key and reply.code is None:
            call.text, call.is_replay = reply.body, reply.headers["Idempotent-Replayed"] is not None
        self.heard()


def told(verb: str, reply: Reply) -> Answer:
    """A reply in the words of the model; UNKNOWN or NOTHING where it could not be carried out."""
    if reply.code is not None:
        return NOTHING if reply.code in DEFINITE_NO else UNKNOWN if reply.code == "outcome_unknown" else reply.code
    if verb in ("check_in", "undo_check_in"):
        return "done"
    said = reply.json
    match verb:
        case "book":
            return "booked" if said["assigned"] else "waiting", "message" not in said
        case "place":
            return said["status"], said["position"], reply.status == 201, said["id"]
        case "cancel":
            return [] if said["reassignedTo"] is None else [said["reassignedTo"]]
        case "cancel_order":
            return said["status"], said["promoted"]
        case "resize":
            return [promotion["userId"] for promotion in said["promotions"]]
        case "status":
            return said["total"], said["total"] - said["available"], said["waitingList"]
    return "open"


def head(reply: Reply) -> str:
    """The head of the ledger that a tag names: `3-9f2c51d0a7be` on a status, `1-3-9f2c51d0a7be-o` on an event."""
    tag = reply.headers.get("ETag", "").strip('"').split("-")
    return "-".join(tag[-3:-1] if len(tag) == 4 else tag)


def ledger(server: Server, event: str) -> list[Record]:
    """An event's ledger, from the first entry to the last."""
    statement = """
        SELECT seq, kind, user_id, detail, lower(hex(hash)), order_id FROM ledger LEFT JOIN orders ON id = order_id
         WHERE ledger.event_id = ? ORDER BY seq"""
    return [Record(*row) for row in server.query(statement, event)]
