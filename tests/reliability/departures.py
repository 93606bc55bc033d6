"""Clients who go away: after some byte of what they meant to say, or of what they would have heard."""

import asyncio
import json
import random
import socket
import struct
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import astuple, dataclass
from functools import partial
from typing import Final, Literal
from urllib.parse import urlencode

from tests.client import TIMEOUT_S, raw
from tests.reliability.history import Record
from tests.server import Server
from tests.web.api import ADA, V1

Way = Literal["closes", "resets", "half-closes"]
Wish = Literal["book", "book in chunks", "place", "form", "cancel", "cancel order", "resize", "stream", "list stream"]

WAYS: Final[tuple[Way, ...]] = ("closes", "resets", "half-closes")
WISHES: Final[tuple[Wish, ...]] = (
    "book", "book in chunks", "place", "form", "cancel", "cancel order", "resize", "stream", "list stream",
)  # fmt: skip
HEARD_MAX: Final = 4_096
HEARD_OF_STREAM_MAX: Final = 900
"""Bytes that a stream says at once, in any case."""
CAPACITY_MIN: Final = 500_000
CHUNKED: Final = {"Content-Type": "application/json", "Transfer-Encoding": "chunked"}
FORM: Final = {"Content-Type": "application/x-www-form-urlencoded"}

KINDS: Final[dict[Wish, tuple[str, ...]]] = {
    "book": ("booked", "joined"),
    "book in chunks": ("booked", "joined"),
    "place": ("booked", "joined"),
    "form": ("booked", "joined"),
    "cancel": ("cancelled",),
    "cancel order": ("cancelled",),
    "resize": ("resized",),
    "stream": (),
    "list stream": (),
}
"""Entries that a wish may lead to; one of them, at most."""


@dataclass(eq=False, slots=True)
class Departure:
    """Somebody who says `said` of his request's `length` bytes, hears `heard` of the answer, and goes `way`.

    `subject` is a guest of his own, or a capacity that nobody else wants. `answer` is what he did hear.
    """

    seed: int
    wish: Wish
    way: Way
    event: str
    subject: str
    request: bytes
    said: int
    pieces: int
    hears: int
    answer: bytes = b""

    @property
    def is_whole(self) -> bool:
        """Whether the whole request was sent."""
        return self.said == len(self.request)

    @property
    def is_answered(self) -> bool:
        """Whether a success was heard of."""
        return self.answer.startswith((b"HTTP/1.1 200 ", b"HTTP/1.1 201 ", b"HTTP/1.1 303 "))

    def __str__(self) -> str:
        return (
            f"FIRST_SEED={self.seed}: who wishes to {self.wish} for {self.subject}, says {self.said} of "
            f"{len(self.request)} bytes, hears {len(self.answer)} and {self.way}"
        )


def departure(seed: int, event: str, order: tuple[str, str] | None) -> Departure:
    """What a seed stands for, at an event; `order` is the id and the key of one that may be cancelled."""
    chance = random.Random(seed)
    wish: Wish = WISHES[seed % len(WISHES)]
    subject = str(CAPACITY_MIN + seed) if wish == "resize" else guest(seed)
    request = worded(wish, event, subject, order)
    said = len(request) if chance.random() < 0.4 else chance.randrange(len(request))
    most = HEARD_OF_STREAM_MAX if wish.endswith("stream") else HEARD_MAX
    hears = 0 if said < len(request) or chance.random() < 0.3 else chance.randint(1, most)
    return Departure(seed, wish, chance.choice(WAYS), event, subject, request, said, chance.randint(1, 3), hears)


def guest(seed: int) -> str:
    """The guest who belongs to a seed alone."""
    return f"guest-{seed}"


def needs_an_order(seed: int) -> bool:
    """Whether a seed stands for somebody who has booked before."""
    return WISHES[seed % len(WISHES)] in ("cancel", "cancel order")


def worded(wish: Wish, event: str, subject: str, order: tuple[str, str] | None) -> bytes:
    """A wish as the bytes of a request."""
    booking = {"eventId": event, "userId": subject}
    match wish:
        case "book":
            return raw("POST /book", booking)
        case "book in chunks":
            text = json.dumps(booking).encode()
            chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (text[:20], text[20:], b""))
            return raw("POST /book", headers=CHUNKED) + chunks
        case "place":
            return raw(f"POST {V1}/events/{event}/orders", {"userId": subject}, {"Idempotency-Key": f"key-{subject}"})
        case "form":
            details = urlencode({"userId": f"{subject}@example.org", "name": subject})
            return raw(f"POST /ui/events/{event}/orders", details.encode(), FORM)
        case "cancel":
            return raw("POST /cancel", booking, ADA)
        case "cancel order":
            assert order is not None
            return raw(f"POST {V1}/orders/{order[0]}/cancellation", {}, {"Order-Key": order[1]})
        case "resize":
            return raw(f"PATCH {V1}/events/{event}", {"capacity": int(subject)}, {**ADA, "If-Match": "*"})
        case "stream":
            return raw(f"GET /ui/events/{event}/stream")
        case "list stream":
            return raw("GET /ui/stream")


async def depart(port: int, departures: Sequence[Departure], side_by_side: int) -> None:
    """Have everybody come, speak, listen and go; so many at a time."""
    coming = iter(departures)

    async def one_after_the_other() -> None:
        for leaving in coming:
            try:
                await _come_and_go(port, leaving)
            except TimeoutError:
                raise AssertionError(f"{leaving}, and hears no more: {leaving.answer!r}") from None

    async with asyncio.TaskGroup() as group:
        for _ in range(side_by_side):
            group.create_task(one_after_the_other())


async def _come_and_go(port: int, leaving: Departure) -> None:
    loop = asyncio.get_running_loop()
    with socket.socket() as connection:
        connection.setblocking(False)
        async with asyncio.timeout(TIMEOUT_S):
            await loop.sock_connect(connection, ("127.0.0.1", port))
            try:
                await _speak(partial(loop.sock_sendall, connection), leaving)
                while len(leaving.answer) < leaving.hears:
                    heard = await loop.sock_recv(connection, leaving.hears - len(leaving.answer))
                    leaving.answer += heard
                    if not heard or _is_all(leaving.answer):
                        break
                if leaving.way == "half-closes":
                    connection.shutdown(socket.SHUT_WR)
                    while await loop.sock_recv(connection, 65_536):
                        pass
            except ConnectionError:
                return  # the server would not hear the rest
        if leaving.way == "resets":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


async def _speak(send: Callable[[bytes], Awaitable[None]], leaving: Departure) -> None:
    said = leaving.request[: leaving.said]
    size = -(-len(said) // leaving.pieces) or 1
    for start in range(0, len(said), size):
        await send(said[start : start + size])
        await asyncio.sleep(0)


def _is_all(answer: bytes) -> bool:
    """Whether an answer has come that says how long it is. A stream never has."""
    head, found, body = answer.partition(b"\r\n\r\n")
    lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return bool(found and lengths) and len(body) >= int(lengths[0].partition(b":")[2])


def complaints(departures: Sequence[Departure], ledger: Sequence[Record]) -> list[str]:
    """What the ledger has of those who went away that it must not have, or has not that it must."""
    entries = Counter((entry.kind, entry.detail if entry.kind == "resized" else entry.guest) for entry in ledger)
    found = []
    for leaving in departures:
        subject = f"{leaving.subject}@example.org" if leaving.wish == "form" else leaving.subject
        effects = sum(entries[kind, subject] for kind in KINDS[leaving.wish])
        if effects > leaving.is_whole:
            found.append(f"{leaving}: {effects} effects")
        if KINDS[leaving.wish] and leaving.is_answered and not effects:
            found.append(f"{leaving}: answered without an effect")
    return found


@dataclass(frozen=True, slots=True)
class Inside:
    """What a server holds open."""

    tasks: int
    futures: int
    locks: int
    pending: int
    streams: int
    files: int

    def is_within(self, other: "Inside") -> bool:
        """Whether it is no more than another, of anything."""
        return all(mine <= theirs for mine, theirs in zip(astuple(self), astuple(other), strict=True))


# Tells with its metrics what else a client may leave behind.
LOOKED_INTO: Final = """
import asyncio
import gc
from webapp.cli import main
from webapp.metrics import Metrics

text = Metrics.text

async def text_and_what_is_left(metrics, **figures):
    gc.collect()
    everything = gc.get_objects()
    futures = sum(isinstance(it, asyncio.Future) and not it.done() for it in everything)
    locks = sum(isinstance(it, asyncio.Lock) and it.locked() for it in everything)
    left = f"tasks {len(asyncio.all_tasks())}\\nfutures {futures}\\nlocks {locks}\\n"
    return await text(metrics, **figures) + left.encode()

Metrics.text = text_and_what_is_left
"""
SERVE: Final = 'main(["serve"])\n'


def inside(server: Server) -> Inside:
    """What a server that is LOOKED_INTO holds open at the moment."""
    text = server.as_organiser("GET /metrics").body.decode()
    figures = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    names = ("tasks", "futures", "locks", "fairlist_pending_commands", "fairlist_streams", "process_open_fds")
    return Inside(*(int(float(figures[name])) for name in names))
