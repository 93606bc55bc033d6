"""kill -9, at any moment and again and again on one database: what was answered stands, and nothing else does."""

import asyncio
import hashlib
import json
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from tests import effort
from tests.client import Body, Connection, Headers
from tests.reliability.crowd import ledger
from tests.reliability.history import Record
from tests.reliability.load import EVENTS, GUESTS, TICKETS, Load, ledgers
from tests.server import TIMEOUT_S, Server, ServerEnded
from tests.web.api import V1

# What no server may do: it answers as soon as the answer before is on disk.
ONE_BATCH_BEHIND = """
from webapp.cli import main
from webapp.storage.sqlite import SqliteStore

append = SqliteStore.append
held = []

async def append_the_one_before(store, batch):
    held.append(batch)
    if len(held) > 1:
        await append(store, held.pop(0))

SqliteStore.append = append_the_one_before
main(["serve"])
"""

# What no server may do: it keeps the answers under a key where a kill takes them away.
FORGETS_ANSWERS = """
from webapp.cli import main
from webapp.storage.sqlite import SqliteStore

append = SqliteStore.append
answers = {}

async def append_without_answers(store, batch):
    answers.update({kept.key: kept for addition in batch for kept in addition.kept})
    if remaining := [addition._replace(kept=()) for addition in batch if addition.entries]:
        await append(store, remaining)

async def kept(store, keys, since):
    return [answers[key] for key in keys if key in answers]

SqliteStore.append = append_without_answers
SqliteStore.kept = kept
main(["serve"])
"""

# A server that copies its log into the database all the time, and dies of the n-th page that it copies, where the file
# `dies-at` names n. Nothing but a checkpoint writes to the database's own file, once its log exists.
CHECKPOINTS = """
import os, sys
from pathlib import Path
from webapp.cli import main
from webapp.storage.sqlite import SqliteStore

fate, database = Path("dies-at"), Path("data/fairlist.db").absolute()
if fate.exists() and "SERVES" not in os.environ:
    os.environ["SERVES"] = "yes"
    os.execvp("strace", [
        "strace", "-D", "-f", "-qqq", "-o", "written", "-e", "trace=pwrite64", "-P", str(database),
        "-e", f"inject=pwrite64:signal=KILL:when={fate.read_text()}", sys.executable, "-c", Path("program").read_text(),
    ])
opened = SqliteStore.open.__func__

async def open_and_checkpoint(cls, database):
    store = await opened(cls, database)
    await store._writer.execute_fetchall("PRAGMA wal_autocheckpoint = 8")
    return store

SqliteStore.open = classmethod(open_and_checkpoint)
main(["serve"])
"""


def shown(server: Server) -> list[tuple[object, str]]:
    """What is shown of the events, which names the heads of their chains."""
    replies = [server.ask(f"GET /status/{event}") for event in EVENTS]
    return [(reply.json, reply.headers["ETag"]) for reply in replies]


def is_chained(server: Server, event: str) -> bool:
    """Whether every entry's hash is that of the hash before it and of its own members, worked out here anew."""
    statement = """
        SELECT event_id, seq, kind, at, actor, order_id, reason, detail, hash FROM ledger
         WHERE event_id = ? ORDER BY seq"""
    hash_before = bytes(32)
    for *members, hash_ in server.query(statement, event):
        content = json.dumps(members, ensure_ascii=False, separators=(",", ":")).encode()
        if hash_ != hashlib.sha256(hash_before + content).digest():
            return False
        hash_before = hash_
    return True


def book_some(server: Server) -> None:
    """Have the guests book in turn."""
    for event in EVENTS:
        server.as_organiser("POST /initialize", {"eventId": event, "tickets": TICKETS})
        for guest in GUESTS:
            server.ask("POST /book", {"eventId": event, "userId": guest})


def test_what_was_answered_survives_kill_after_kill(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        load = Load(server, effort.FIRST_SEED)
        before: dict[str, list[Record]] = {}
        for _ in range(effort.KILLS):
            load.ask_until_killed()
            server.start()
            server.verify()
            after = ledgers(server)
            assert {event: after[event][: len(past)] for event, past in before.items()} == before
            before = after
            load.ask_again()
            effort.tried()
        found = load.complaints()
        assert not found, f"{found}; something like it may come again with FIRST_SEED={effort.FIRST_SEED}"


def test_a_server_that_answers_before_it_has_written_is_found_out(tmp_path: Path) -> None:
    with Server(tmp_path, program=("-c", ONE_BATCH_BEHIND)) as server:
        load = Load(server, effort.FIRST_SEED)
        for _ in range(10):  # a round finds nothing if the last batch was written, and the next was not answered yet
            load.ask_until_killed()
            server.start()
            if load.complaints():
                return
    raise AssertionError("nothing was found missing")


def test_a_server_that_forgets_its_answers_when_it_is_killed_is_found_out(tmp_path: Path) -> None:
    with Server(tmp_path, program=("-c", FORGETS_ANSWERS)) as server:
        load = Load(server, effort.FIRST_SEED)
        for _ in range(10):  # a round finds nothing if it ends before anybody had a place under a key
            load.ask_until_killed()
            server.start()
            load.ask_again()
            if any("has had two answers" in complaint for complaint in load.complaints()):
                return
    raise AssertionError("nothing was found forgotten")


def test_a_kill_changes_neither_counts_nor_waiting_order_nor_chain(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        book_some(server)
        before = shown(server), ledgers(server)
        server.kill()
        server.start()
        assert (shown(server), ledgers(server)) == before
        assert is_chained(server, "gig")
        promoted = [
            server.as_organiser("POST /cancel", {"eventId": "gig", "userId": guest}).json["reassignedTo"]
            for guest in GUESTS[:TICKETS]
        ]
        assert promoted == list(GUESTS[TICKETS : 2 * TICKETS])


def test_a_kill_while_the_server_starts_or_stops_changes_nothing(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        book_some(server)
        before = shown(server), ledgers(server)
        stopping_s = duration_s(server.stop)
        starting_s = duration_s(server.start)
        for moment in range(1, effort.START_KILLS + 1):
            server.process.terminate()
            time.sleep(stopping_s * moment / effort.START_KILLS)
            server.kill()
            server.launch()
            time.sleep(starting_s * moment / effort.START_KILLS)
            server.kill()
            server.start()
            effort.tried()
        assert (shown(server), ledgers(server)) == before
        server.verify()


def test_a_kill_in_the_middle_of_a_checkpoint_loses_nothing(tmp_path: Path) -> None:
    chance = random.Random(effort.FIRST_SEED)
    (tmp_path / "program").write_text(CHECKPOINTS)
    with Server(tmp_path, program=("-c", CHECKPOINTS)) as server:
        load = Load(server, effort.FIRST_SEED)
        for _ in range(effort.CHECKPOINT_KILLS):
            server.kill()
            die_at_a_checkpoint(server, load, chance.randint(1, 60))
            server.start()
            server.verify()
            load.ask_again()
            effort.tried()
        found = load.complaints()
        assert not found, f"{found}; something like it may come again with FIRST_SEED={effort.FIRST_SEED}"


def test_a_server_that_answers_too_early_is_found_out_by_a_kill_in_a_checkpoint(tmp_path: Path) -> None:
    program = CHECKPOINTS.replace('main(["serve"])', ONE_BATCH_BEHIND)
    (tmp_path / "program").write_text(program)
    with Server(tmp_path, program=("-c", program)) as server:
        load = Load(server, effort.FIRST_SEED)
        for page in range(20, 30):
            server.kill()
            die_at_a_checkpoint(server, load, page)
            server.start()
            if load.complaints():
                return
    raise AssertionError("nothing was found missing")


def die_at_a_checkpoint(server: Server, load: Load, page: int) -> None:
    """Have a server that is ended live until it writes so many pages to its database, under load."""
    fate = server.folder / "dies-at"
    fate.write_text(str(page))
    try:
        server.start()
        load.ask_until_it_ends()
    except* (ServerEnded, OSError):
        pass  # it has copied so much before it was ready
    assert server.process.wait(TIMEOUT_S) == -signal.SIGKILL
    fate.unlink()
    assert "pwrite64" in (server.folder / "written").read_text()


def test_a_kill_while_the_very_first_start_makes_everything_does_no_harm(tmp_path: Path) -> None:
    first = Server(tmp_path / "to-know-how-long-it-takes")
    starting_s = duration_s(first.start)
    first.kill()
    for moment in range(1, effort.START_KILLS + 1):
        with_data_made_halfway = Server(tmp_path / str(moment))
        with_data_made_halfway.launch()
        time.sleep(starting_s * moment / effort.START_KILLS)
        with_data_made_halfway.kill()
        with with_data_made_halfway as server:
            assert server.as_organiser("POST /initialize", {"eventId": "gig", "tickets": TICKETS}).status == 200
        effort.tried()


def test_an_order_whose_answer_the_kill_swallowed_stands_once_or_not_at_all(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        book_some(server)
        for number in range(6):
            late, careful = f"late-{number}", f"careful-{number}"
            under_a_key = (f"POST {V1}/events/gig/orders", {"userId": careful}, {"Idempotency-Key": f"key-{number}"})
            asyncio.run(send_and_kill(server, ("POST /book", {"eventId": "gig", "userId": late}), under_a_key))
            server.start()
            entries = Counter(entry.guest for entry in ledger(server, "gig"))
            again = server.ask("POST /book", {"eventId": "gig", "userId": late}).json
            assert ("message" in again) == bool(entries[late])
            first, second = [server.ask(*under_a_key) for _ in range(2)]
            assert (first.status, first.body) == (second.status, second.body) == (201, first.body)
            assert (first.headers["Idempotent-Replayed"] is not None) == bool(entries[careful])
            assert Counter(entry.guest for entry in ledger(server, "gig")) == entries | {late: 1, careful: 1}
        server.verify()


Request = tuple[str, Body] | tuple[str, Body, Headers]


async def send_and_kill(server: Server, *requests: Request) -> None:
    """Kill the server right after it has been asked, before it can be heard."""
    connections = [await Connection.open(server.port) for _ in requests]
    for connection, request in zip(connections, requests, strict=True):
        connection.send(*request)
    for connection in connections:
        await connection.writer.drain()
    await asyncio.to_thread(server.kill)
    for connection in connections:
        await connection.close()


def duration_s(act: Callable[[], object]) -> float:
    started = time.monotonic()
    act()
    return time.monotonic() - started
