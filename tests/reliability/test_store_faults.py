"""Calls to the disk that fail, or take long: the k-th, for every k. What was answered stands, and most of it heals.

A write that fails was not made, so the server says so and goes on. After a sync that failed, nobody knows what the disk
has: the server says that, too, ends with status 70, and reads the truth when it is started again.
"""

import asyncio
import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest

from tests import effort
from tests.client import Connection, Reply
from tests.reliability.crowd import Crowd, Wish, wishes
from tests.reliability.disk_faults import (
    KINDS,
    UNLOCKING,
    DiskCall,
    Fault,
    disk_calls,
    faults,
    has_struck,
    possible_faults,
    struck,
    under_faults,
    writing_thread,
)
from tests.reliability.history import NEVER, NOTHING, UNKNOWN, complaints
from tests.reliability.load import ledgers
from tests.reliability.power_cuts import opened
from tests.reliability.test_kill import ONE_BATCH_BEHIND
from tests.reliability.test_power_loss import SYNCING
from tests.server import Server, ServerEnded

CALLS = 300
"""The first so many calls fail, and of those that take a lock so many; fewer where few faults are tried."""
CALLS_MIN = 100
CLIENTS = 4
GUESTS = tuple(f"guest-{number}" for number in range(20))
TICKETS = 6
TRIALS_PER_EVENT = 50
WISHES_MAX = 3_000
TRIES = 20
AFTERWARDS = 5
STARTS = 20
"""One fault in so many strikes a first start, which takes longer."""
STALLED_US = 3_000_000
PENDING = 5
"""Commands that may wait at one event where ten may wait in all."""
OFTEN_CHECKPOINTED = ("-c", SYNCING.format(how="FULL"))
NEVER_RIGHT = ("internal", "ledger_damaged")

# What no server may do: it takes what could not be stored for stored.
SWALLOWS_ERRORS = """
from webapp.cli import main
from webapp.storage.sqlite import SqliteStore

append = SqliteStore.append

async def append_or_not(store, batch):
    try:
        await append(store, batch)
    except Exception:
        pass

SqliteStore.append = append_or_not
main(["serve"])
"""


class Load:
    """A crowd before a server whose disk fails now and then. It is started again whenever it has ended."""

    def __init__(self, server: Server, seed: int) -> None:
        self._server = server
        self._trace = server.folder / "trace"
        self._chance = random.Random(seed)
        self._begin()
        self._find_writer()

    def calls(self, locks: int) -> list[DiskCall]:
        """The calls that the server makes to its disk, one after the other, up to so many that take a lock."""
        self._ask(60)  # or some of them would be such as come but once
        found: list[DiskCall] = []
        with faults(self._writer, self._trace, self._server.data_dir):
            while sum(call.name == "fcntl" for call in found) < locks:
                self._ask(120)
                found = disk_calls(self._trace, self._server.data_dir)
        return found

    def strike(self, fault: Fault) -> bool:
        """Have a call fail while the crowd asks, and see that the server does what it should.

        Returns whether it has failed: chance may have put off the calls a little, and then a lock would be given back.
        """
        before = len(self._crowd.calls)
        where = (self._writer, self._trace, self._server.data_dir)
        with faults(*where, fault.injection, about=[fault.call.file]):
            asyncio.run(self._crowd.ask(self._server, self._until_struck(), CLIENTS))
        has_failed = has_struck(self._trace)
        since = self._crowd.calls[before:]
        assert not [call for call in since if call.answer in NEVER_RIGHT], fault
        if struck(self._trace) and not has_failed:
            self._server.kill()
            self._start_again()
        elif any(call.answered == NEVER or call.answer == UNKNOWN for call in since):
            assert not fault.must_heal, f"the server has ended: {fault}"
            assert self._server.wait() == 70, fault
            self._start_again()
        self._ask(AFTERWARDS)
        answers = [call.answer for call in self._crowd.calls[-AFTERWARDS:]]
        assert all(answer not in (UNKNOWN, NOTHING) for answer in answers), f"it does not heal: {fault}"
        return has_failed

    def complaints(self) -> list[str]:
        """What is wrong with all that was answered since this was asked last; begins anew, at other events."""
        # What came of an unknown outcome may show until the server has ended.
        calls = [replace(call, answered=NEVER) if call.answer == UNKNOWN else call for call in self._crowd.calls]
        found = complaints(calls, {event: ledgers(self._server).get(event, []) for event in self._events})
        self._begin()
        return found

    def _begin(self) -> None:
        self._events = [f"{self._chance.getrandbits(32):08x}-{name}" for name in ("gig", "talk")]
        self._crowd = Crowd(self._chance, self._server.token(), leaving=0)
        self._asked = wishes(self._chance, self._events, GUESTS, TICKETS, self._crowd.orders)

    def _start_again(self) -> None:
        self._server.start()
        self._find_writer()

    def _find_writer(self) -> None:
        process, data_dir = self._server.process.pid, self._server.data_dir
        self._writer = writing_thread(process, self._trace, data_dir, lambda: self._ask(20))

    def _ask(self, number: int) -> None:
        asyncio.run(self._crowd.ask(self._server, islice(self._asked, number), CLIENTS))

    def _until_struck(self) -> Iterator[Wish]:
        for wish in islice(self._asked, WISHES_MAX):
            yield wish
            if found := struck(self._trace):
                if UNLOCKING in found[0]:
                    self._server.kill()
                break
        yield from islice(self._asked, AFTERWARDS)


def chosen(possible: Sequence[Fault], number: int) -> Sequence[Fault]:
    """So many of all possible faults, by chance; all of them, if they are no more."""
    assert len(set(possible)) == len(possible)
    return random.Random(effort.FIRST_SEED).sample(possible, min(number, len(possible)))


def test_whichever_call_to_the_disk_fails_under_load_what_was_answered_stands(tmp_path: Path) -> None:
    with Server(tmp_path, program=OFTEN_CHECKPOINTED) as server:
        load = Load(server, effort.FIRST_SEED)
        calls_max = min(CALLS, max(CALLS_MIN, effort.FAULTS))
        possible = possible_faults(load.calls(calls_max), calls_max)
        assert len(possible) == calls_max * len(KINDS)
        for number, fault in enumerate(chosen(possible, effort.FAULTS), start=1):
            assert any(load.strike(fault) for _ in range(TRIES)), f"it does not strike: {fault}"
            effort.tried()
            if number % TRIALS_PER_EVENT == 0:
                assert load.complaints() == []
        assert load.complaints() == []
        server.verify()


@pytest.mark.parametrize("program", [SWALLOWS_ERRORS, ONE_BATCH_BEHIND])
def test_a_server_that_makes_little_of_an_error_is_found_out(tmp_path: Path, program: str) -> None:
    write = Fault("EIO", DiskCall("pwrite64", "fairlist.db-wal", 15))
    with Server(tmp_path, program=("-c", program)) as server:
        load = Load(server, effort.FIRST_SEED)
        for _ in range(10):
            try:
                load.strike(write)
            except AssertionError:
                return
            if load.complaints():
                return
    raise AssertionError("nothing was found missing")


def test_whichever_call_to_the_disk_fails_at_the_first_start_the_next_start_goes_well(tmp_path: Path) -> None:
    calls = calls_of_a_first_start(tmp_path / "without-faults")
    possible = possible_faults(calls, len(calls))
    for number, fault in enumerate(chosen(possible, max(1, effort.FAULTS // STARTS))):
        folder = tmp_path / str(number)
        folder.mkdir()
        trace, data_dir = folder / "trace", folder / "server" / "data"
        strace = under_faults(trace, data_dir, [fault.injection], about=[fault.call.file])
        status, said = life(Server(data_dir.parent, under=strace))
        assert status in (0, 1, 70), f"{fault}: {said}"
        assert has_struck(trace), f"it does not strike: {fault}"
        assert status == 0 or fault.kind in ("EIO", "ENOSPC"), f"it has not started: {fault}: {said}"
        if status == 1:
            sentence = f"\n{said}".rpartition("\nError: ")[2]
            assert sentence, f"no sentence for {fault}: {said}"
            assert "Traceback" not in said, f"{fault}: {said}"
            assert str(data_dir.parent) in sentence, f"nobody knows where {fault} was: {said}"
        with Server(data_dir.parent) as server:
            assert server.as_organiser("POST /initialize", {"eventId": "gig", "tickets": TICKETS}).status == 200, fault
        assert asyncio.run(opened(server.database)).problems == []
        effort.tried()


def test_a_folder_that_cannot_be_synced_is_named(tmp_path: Path) -> None:
    trace, data_dir = tmp_path / "trace", tmp_path / "server" / "data"
    strace = under_faults(trace, data_dir, ["fsync:error=EIO:when=1"], about=[""])
    status, said = life(Server(data_dir.parent, under=strace))
    assert status == 1
    assert f"Error: {data_dir}: Input/output error." in said
    assert struck(trace)


def life(server: Server) -> tuple[int, str]:
    """Start and stop a server; returns its exit status, and what it said where it ended by itself."""
    try:
        with server:
            return server.stop(), ""
    except ServerEnded as ended:
        return ended.status, ended.said


def calls_of_a_first_start(folder: Path) -> list[DiskCall]:
    """The calls to the disk of a server that makes everything."""
    folder.mkdir()
    trace, data_dir = folder / "trace", folder / "server" / "data"
    with Server(data_dir.parent, under=under_faults(trace, data_dir, ())) as server:
        server.stop()
    return disk_calls(trace, data_dir)


@pytest.mark.parametrize("error", ["ENOSPC", "EROFS"])  # the latter where the system turns a bad disk read-only
def test_a_disk_that_takes_nothing_is_told_and_reads_go_on_until_it_does(tmp_path: Path, error: str) -> None:
    with Server(tmp_path) as server:
        server.as_organiser("POST /initialize", {"eventId": "gig", "tickets": TICKETS})
        writer = writing_thread(
            server.process.pid, tmp_path / "trace", server.data_dir, lambda: book(server, "Ada", status=200)
        )
        with faults(writer, tmp_path / "trace", server.data_dir, f"pwrite64:error={error}"):
            for guest in ("Bob", "Cleo"):
                refused = book(server, guest, status=503)
                assert (refused.code, refused.headers["Retry-After"]) == ("storage_unavailable", "2")
                shown = server.ask("GET /status/gig")
                assert (shown.status, shown.json["available"]) == (200, TICKETS - 1)
                assert server.ask("GET /ui").status == 200
        assert struck(tmp_path / "trace")
        book(server, "Bob", status=200)
        assert server.ask("GET /status/gig").json["available"] == TICKETS - 2
        assert server.stop() == 0
        server.verify()


async def test_while_the_disk_is_stalled_too_many_are_told_so_at_once_and_reads_go_on(tmp_path: Path) -> None:
    with Server(tmp_path, PENDING_MAX="10") as server:
        server.as_organiser("POST /initialize", {"eventId": "gig", "tickets": TICKETS})
        trace = tmp_path / "trace"
        writer = writing_thread(server.process.pid, trace, server.data_dir, lambda: book(server, "Ada", status=200))
        clients = [await Connection.open(server.port) for _ in range(20)]
        with faults(writer, trace, server.data_dir, f"fdatasync:delay_enter={STALLED_US}:when=1"):
            clients[0].send("POST /book", {"eventId": "gig", "userId": "Bob"})
            await asyncio.sleep(0.3)  # so that what follows is pending, and not in the same batch
            asking = [
                asyncio.create_task(client.ask("POST /book", {"eventId": "gig", "userId": f"guest-{number}"}))
                for number, client in enumerate(clients[1:])
            ]
            first = asyncio.create_task(clients[0].reply())
            refused = [await done for done in islice(asyncio.as_completed(asking), len(asking) - PENDING)]
            assert {(reply.status, reply.code) for reply in refused} == {(503, "overloaded")}
            assert all(reply.headers["Retry-After"] for reply in refused)
            shown = await asyncio.to_thread(server.ask, "GET /status/gig")
            assert (shown.status, shown.json["available"]) == (200, TICKETS - 1)
            assert not first.done(), "the disk was not stalled at all"
            assert (await first).status == 200
            replies = await asyncio.gather(*asking)
            assert [reply.status for reply in replies].count(200) == PENDING
        for client in clients:
            await client.close()
        book(server, "Dan", status=200)
        assert server.stop() == 0
        server.verify()


def book(server: Server, guest: str, *, status: int) -> Reply:
    """Book a ticket for the gig."""
    reply = server.ask("POST /book", {"eventId": "gig", "userId": guest})
    assert reply.status == status, reply.body
    return reply
