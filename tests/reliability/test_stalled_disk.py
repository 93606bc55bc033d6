"""A disk that stalls for longer than anybody waits: all are told in time that nobody knows; the truth comes right."""

import asyncio
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

from tests import effort
from tests.client import Body, Connection, Headers, Reply
from tests.reliability.crowd import DEFINITE_NO, ledger
from tests.reliability.disk_faults import faults, writing_thread
from tests.server import TIMEOUT_S, Server
from tests.web.api import V1

LATE: Final = "The answer is late: whether anything changed is not known"
TICKETS: Final = 9
TOO_LATE: Final = (503, "outcome_unknown", LATE)
EVENTS: Final = ("gig", "talk")
ANSWER_TIMEOUT_S: Final = min(9.0, effort.COMMIT_TIMEOUT_S / 4)
FOREVER_S: Final = 3_600.0

# The server as it is, but that it waits for less time.
IMPATIENT: Final = f"""
from webapp import box_office, committer, server
from webapp.cli import main
box_office.ANSWER_TIMEOUT_S = {ANSWER_TIMEOUT_S}
committer.COMMIT_TIMEOUT_S = {effort.COMMIT_TIMEOUT_S}
server.DRAIN_S = 1
main(["serve"])
"""

# What no server may do: where it has waited for too long, it says that nothing was changed.
GUESSES: Final = IMPATIENT.replace(
    "main([",
    """
def refused(code, sentence, *more):
    return committer.Unavailable("storage_unavailable" if code == "outcome_unknown" else code, sentence, *more)
box_office.Unavailable = refused
main([""",
)

WISHES: Final[dict[str, tuple[str, Body, Headers]]] = {
    "Bob": ("POST /book", {"eventId": "gig", "userId": "Bob"}, {}),  # the one that is being written
    "Cleo": (f"POST {V1}/events/gig/orders", {"userId": "Cleo"}, {"Idempotency-Key": "Cleo's"}),
    "Dan": ("POST /book", {"eventId": "talk", "userId": "Dan"}, {}),
}


async def answers_in_a_stall(server: Server, stall_s: float, *, until_it_ends: bool) -> dict[str, Reply]:
    """What everybody is answered whose wish meets a stalled disk, the first when it stalls, the others behind him."""
    clients = {name: await Connection.open(server.port) for name in WISHES}
    where = server.folder / "trace", server.data_dir
    for event in EVENTS:
        server.as_organiser("POST /initialize", {"eventId": event, "tickets": TICKETS})
    booking = partial(server.ask, "POST /book", {"eventId": "gig", "userId": "Ada"})
    writer = await asyncio.to_thread(writing_thread, server.process.pid, *where, booking)
    log = server.database.with_name("fairlist.db-wal")
    before = log.stat().st_mtime_ns
    with faults(writer, *where, f"fdatasync:delay_enter={round(stall_s * 1e6)}:when=1"):
        clients["Bob"].send(*WISHES["Bob"])
        async with asyncio.timeout(TIMEOUT_S):
            while log.stat().st_mtime_ns == before:  # noqa: ASYNC110  # it changes in a file
                await asyncio.sleep(0.01)
        for name in ("Cleo", "Dan"):
            clients[name].send(*WISHES[name])
        replies = {name: await client.reply() for name, client in clients.items()}
        shown = await asyncio.to_thread(server.ask, "GET /status/gig")
        assert (shown.status, shown.json["available"]) == (200, TICKETS - 1), "what is not stored is shown, or nothing"
        await asyncio.to_thread(comes_true, partial(is_dead if until_it_ends else has_stored_all, server))
    for client in clients.values():
        await client.close()
    return replies


def comes_true(condition: Callable[[], bool]) -> None:
    """Wait until it does."""
    deadline = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline, "it never does"
        time.sleep(0.05)


def is_dead(server: Server) -> bool:
    """Whether the process has ended; its exit status can be had only when strace lets its last thread go."""
    return Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(") ")[2].startswith("Z")


def has_stored_all(server: Server) -> bool:
    """Whether the last of the wishes is in the ledger."""
    return "Dan" in guests(server)["talk"]


def guests(server: Server) -> dict[str, list[str | None]]:
    """Who has placed orders, by the ledgers."""
    return {event: [entry.guest for entry in ledger(server, event) if entry.guest] for event in EVENTS}


def untrue(server: Server, replies: dict[str, Reply]) -> list[str]:
    """Who was told that nothing was changed, and has an order; or that he has one, which is not there."""
    recorded = [guest for found in guests(server).values() for guest in found]
    return [
        name
        for name, reply in replies.items()
        if (reply.code in DEFINITE_NO and name in recorded) or (reply.code is None and name not in recorded)
    ]


def everybody_asks_again(server: Server) -> None:
    """Whoever was not told asks once more, and then has one order."""
    for request in WISHES.values():
        assert server.ask(*request).status in (200, 201)
    assert {event: sorted(map(str, found)) for event, found in guests(server).items()} == {
        "gig": ["Ada", "Bob", "Cleo"], "talk": ["Dan"],
    }  # fmt: skip
    server.verify()


async def test_who_meets_a_disk_that_stalls_for_a_while_is_told_in_time_that_nobody_knows(tmp_path: Path) -> None:
    with Server(tmp_path, program=("-c", IMPATIENT)) as server:
        replies = await answers_in_a_stall(server, 2 * ANSWER_TIMEOUT_S, until_it_ends=False)
        assert {(reply.status, reply.code, reply.json["detail"]) for reply in replies.values()} == {TOO_LATE}
        assert untrue(server, replies) == []
        everybody_asks_again(server)
        assert server.stop() == 0


async def test_a_disk_that_stalls_for_longer_than_a_commit_may_take_ends_the_process_and_not_the_truth(
    tmp_path: Path,
) -> None:
    with Server(tmp_path, program=("-c", IMPATIENT)) as server:
        replies = await answers_in_a_stall(server, FOREVER_S, until_it_ends=True)
        assert await asyncio.to_thread(server.wait) == 70
        assert {(reply.status, reply.code, reply.json["detail"]) for reply in replies.values()} == {TOO_LATE}
        assert server.logged(lambda line: line.get("message", "").startswith("whether a batch was stored is not known"))
        server.start()
        assert untrue(server, replies) == []
        everybody_asks_again(server)


async def test_a_server_that_takes_a_stalled_commit_for_none_is_found_out(tmp_path: Path) -> None:
    with Server(tmp_path, program=("-c", GUESSES)) as server:
        replies = await answers_in_a_stall(server, 2 * ANSWER_TIMEOUT_S, until_it_ends=False)
        assert "Bob" in untrue(server, replies)
