"""The server process: how it starts, refuses to start, ends, and what it says meanwhile."""

import asyncio
import itertools
import random
import re
import resource
import secrets
import shutil
import signal
import socket
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests import effort
from tests.client import Body, Connection, Reply, basic, raw
from tests.reliability.crowd import Crowd, ledger, wishes
from tests.reliability.history import complaints
from tests.server import TIMEOUT_S, USER, Server, ServerEnded
from webapp.log import FLUSH_EVERY_S

BOOKING = b'{"eventId":"gig","userId":"guest-%02d"}'
CLIENTS = 16


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a server that has ended, with an event: Bob has its only ticket, Cleo waits. To copy only."""
    with Server(tmp_path_factory.mktemp("stopped")) as server:
        server.as_organiser("POST /initialize", {"eventId": "gig", "tickets": 1})
        for guest in ("bob", "cleo"):
            book(server, guest)
        assert server.stop() == 0
        return server.folder


@pytest.fixture
def server(stopped: Path, tmp_path: Path) -> Iterator[Server]:
    """A server where Bob has the only ticket, and Cleo waits."""
    shutil.copytree(stopped / "data", tmp_path / "data")
    with Server(tmp_path) as server:
        yield server


def book(server: Server, guest: str) -> Reply:
    return server.ask("POST /book", {"eventId": "gig", "userId": guest})


def status(server: Server) -> dict[str, object]:
    return dict(server.ask("GET /status/gig").json)


GIG = {"eventId": "gig", "total": 1, "available": 0, "waitingList": 1}


def logged(server: Server, reply: Reply) -> dict[str, Any]:
    """The line of the log for a request."""
    return server.logged(lambda line: line.get("request_id") == reply.headers["X-Request-ID"])


# Starting


def refusal_to_start(server: Server) -> str:
    """What a server says that ends with status 1 before it is ready: a sentence, no traceback."""
    with pytest.raises(ServerEnded) as ended, server:  # which ends a server that starts all the same
        raise AssertionError("the server has started")
    assert ended.value.status == 1
    assert "Traceback" not in ended.value.said
    return ended.value.said


def test_a_generated_password_is_printed_once_and_works(tmp_path: Path) -> None:
    with Server(tmp_path, ADMIN_PASS="") as server:
        password = server.stdout.split(" and password ")[1].split()[0]
        server.restart()
        assert server.stdout.count(password) == 1
        assert password not in server.stderr
        assert server.ask("POST /auth/token", headers={"Authorization": basic(USER, password)}).status == 200


def test_a_password_that_is_guessed_first_works_and_is_warned_of_in_the_log(tmp_path: Path) -> None:
    with Server(tmp_path, ADMIN_PASS="hunter2") as server:
        assert server.ask("POST /auth/token", headers={"Authorization": basic(USER, "hunter2")}).status == 200
        line = server.logged(lambda line: "ADMIN_PASS" in line.get("message", ""))
        assert (line["level"], "hunter2" in line["message"]) == ("warning", False)


def test_a_taken_port_gets_a_clear_message(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = refusal_to_start(Server(tmp_path, PORT=str(port)))
    assert f"Cannot listen on 127.0.0.1, port {port}: Address already in use. Stop what is using it" in said


def test_a_second_server_on_the_same_data_says_who_is_there(server: Server, tmp_path: Path) -> None:
    said = refusal_to_start(Server(tmp_path / "second", DATA_DIR=str(server.data_dir)))
    assert f"in use by process {server.process.pid} (since " in said
    assert book(server, "dan").json == {"assigned": False}


def changing(statement: str) -> Callable[[Path], None]:
    """Somebody has been at the database, and past its triggers."""

    def change(database: Path) -> None:
        with closing(sqlite3.connect(database, isolation_level=None)) as connection:
            for (trigger,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'").fetchall():
                connection.execute(f"DROP TRIGGER {trigger}")
            assert connection.execute(statement).rowcount > 0

    return change


@pytest.mark.parametrize(
    ("damage", "entry"),
    [
        pytest.param(changing("UPDATE ledger SET hash = zeroblob(32) WHERE seq = 2"), 2, id="a hash"),
        pytest.param(changing("UPDATE ledger SET kind = 'booked' WHERE seq = 3"), 3, id="a kind"),
        pytest.param(changing("UPDATE orders SET user_id = 'dan' WHERE user_id = 'bob'"), 2, id="a guest"),
        pytest.param(changing("UPDATE orders SET status = 'cancelled' WHERE user_id = 'cleo'"), 3, id="a status"),
        pytest.param(changing("UPDATE events SET capacity = 2, waiting = 0"), 3, id="the counts"),
        pytest.param(changing("DELETE FROM ledger WHERE seq = 3"), 2, id="the last entry"),
        pytest.param(changing("DELETE FROM ledger WHERE seq = 2"), 3, id="an entry in the middle"),
    ],
)
def test_damage_is_named_and_not_served_from(
    stopped: Path, tmp_path: Path, damage: Callable[[Path], None], entry: int
) -> None:
    shutil.copytree(stopped / "data", tmp_path / "data")
    server = Server(tmp_path)
    damage(server.database)
    named = f"The ledger of event 'gig' is damaged at entry {entry}: "
    assert named in refusal_to_start(server)
    verified = server.run("verify")
    assert verified.returncode == 1
    assert named in verified.stderr


def test_a_damaged_page_is_noticed(stopped: Path, tmp_path: Path) -> None:
    shutil.copytree(stopped / "data", tmp_path / "data")
    server = Server(tmp_path)
    ((page,),) = server.query("SELECT rootpage FROM sqlite_schema WHERE name = 'ledger'")
    ((size,),) = server.query("PRAGMA page_size")
    with server.database.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * size)
    assert re.search("damaged|malformed", refusal_to_start(server))
    assert server.run("verify").returncode == 1


# Ending


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_streams_and_answers_what_is_in_flight(server: Server, number: signal.Signals) -> None:
    async def stop_in_the_middle() -> list[Reply]:
        streams = [await Connection.open(server.port) for _ in range(5)]
        for stream, page in zip(streams, ["/ui/stream", "/ui/events/gig/stream"] * 3, strict=False):
            stream.send(f"GET {page}")
            async with asyncio.timeout(TIMEOUT_S):
                await stream.reader.readuntil(b"data:")
        clients = [await Connection.open(server.port) for _ in range(5)]
        requests = [raw("POST /book", BOOKING % guest, {"Content-Type": "application/json"}) for guest in range(5)]
        for client, request in zip(clients, requests, strict=True):
            client.writer.write(request[:-20])
            await client.writer.drain()
        server.ask("GET /health")  # what was sent before it has been received
        balancer = await Connection.open(server.port)
        balancer.writer.write(raw("GET /readyz", b"{}")[:-2])

        server.process.send_signal(number)
        async with asyncio.timeout(TIMEOUT_S):
            for stream in streams:
                await stream.reader.read()
        balancer.writer.write(b"{}")
        assert (await balancer.reply()).code == "shutting_down"
        for client, request in zip(clients, requests, strict=True):
            client.writer.write(request[-20:])
        replies = [await client.reply() for client in clients]
        for connection in [*streams, *clients, balancer]:
            await connection.close()
        return replies

    replies = asyncio.run(stop_in_the_middle())
    assert [reply.json for reply in replies] == [{"assigned": False}] * 5
    assert server.wait() == 0
    assert is_closed(server)
    server.start()
    assert status(server) == {**GIG, "waitingList": 6}


def is_closed(server: Server) -> bool:
    """Whether the last one to leave the database has folded everything into it."""
    return not list(server.data_dir.glob("*-wal")) + list(server.data_dir.glob("*-shm"))


def test_clients_who_never_finish_do_not_keep_the_server_from_ending(server: Server) -> None:
    lingering = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(3)]
    for connection, sent in zip(lingering, [b"", b"POST /bo", raw("POST /book", BOOKING % 1)[:-5]], strict=True):
        connection.sendall(sent)
    assert server.ask("GET /health").status == 200
    assert server.stop() == 0
    assert is_closed(server)
    for connection in lingering:
        connection.close()


def test_who_is_answered_while_the_server_ends_has_what_was_answered(server: Server) -> None:
    chance = random.Random(effort.FIRST_SEED)
    crowd = Crowd(chance, server.token())
    answers = itertools.count(1)
    crowd.heard = lambda: server.process.terminate() if next(answers) == 200 else None
    asyncio.run(crowd.ask(server, wishes(chance, ["talk"], ["bob", "cleo", "dan"], 1, crowd.orders), CLIENTS))
    assert server.wait() == 0
    assert complaints(crowd.calls, {"talk": ledger(server, "talk")}) == []
    server.verify()


# The disk


def test_a_full_disk_changes_nothing_and_hinders_nobody_for_longer_than_it_lasts(server: Server) -> None:
    log = server.database.with_name("fairlist.db-wal")
    _, hard = resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (log.stat().st_size, hard))
    for _ in range(3):
        refused = book(server, "dan")
        assert (refused.status, refused.code, refused.headers["Retry-After"]) == (503, "storage_unavailable", "2")
        assert status(server) == GIG
        assert book(server, "bob").json == {"assigned": True, "message": "Already booked"}
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (hard, hard))
    assert book(server, "dan").json == {"assigned": False}
    server.restart()
    assert status(server) == {**GIG, "waitingList": 2}
    server.verify()


def test_a_log_that_cannot_be_written_goes_on_where_there_is_room_again(server: Server) -> None:
    _, hard = resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (len(server.stderr), hard))
    server.ask("GET /health")
    time.sleep(3 * FLUSH_EVERY_S)  # by now, it has been tried
    assert server.ask("GET /health").json == {"ok": True}
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (hard, hard))
    logged(server, server.ask("GET /health"))
    assert server.stop() == 0


# What cannot be known


def remove(server: Server) -> None:
    server.database.rename(server.folder / "aside.db")


def replace(server: Server) -> None:
    remove(server)
    shutil.copy(server.folder / "aside.db", server.database)


def put_back(server: Server) -> None:
    (server.folder / "aside.db").replace(server.database)


def remove_wal(server: Server) -> None:
    server.database.with_name("fairlist.db-wal").unlink()


@pytest.mark.parametrize(
    ("meddle", "repair"),
    [
        pytest.param(remove, put_back, id="the database is moved away"),
        pytest.param(replace, put_back, id="the database is replaced"),
        pytest.param(remove_wal, lambda _: None, id="the write-ahead log is deleted"),
    ],
)
def test_a_server_whose_files_are_taken_away_ends_for_a_restart_to_tell(
    server: Server, meddle: Callable[[Server], object], repair: Callable[[Server], object]
) -> None:
    meddle(server)
    reply = book(server, "dan")
    assert (reply.status, reply.code) == (503, "outcome_unknown")
    assert server.wait() == 70
    repair(server)
    server.start()
    assert status(server) == GIG
    assert book(server, "dan").json == {"assigned": False}
    server.verify()


# The third batch, Cleo's booking, is written or is not, and nobody can tell.
COMMIT_FAILS = """
from webapp.cli import main
from webapp.storage.sqlite import SqliteStore
from webapp.storage.store import OutcomeUnknown

append = SqliteStore.append
batches = []

async def append_or_not(store, batch):
    batches.append(batch)
    if len(batches) < 3:
        return await append(store, batch)
    if {is_written}:
        await append(store, batch)
    raise OutcomeUnknown("the disk did not answer")

SqliteStore.append = append_or_not
main(["serve"])
"""


@pytest.mark.parametrize("is_written", [True, False])
def test_an_unknown_outcome_is_known_after_a_restart(tmp_path: Path, is_written: bool) -> None:
    with Server(tmp_path, program=("-c", COMMIT_FAILS.format(is_written=is_written))) as failing:
        failing.as_organiser("POST /initialize", {"eventId": "gig", "tickets": 1})
        assert book(failing, "bob").json == {"assigned": True}
        reply = book(failing, "cleo")
        assert (reply.status, reply.code) == (503, "outcome_unknown")
        assert failing.wait() == 70
    with Server(tmp_path) as server:
        assert status(server) == {**GIG, "waitingList": int(is_written)}
        already = {"message": "Already on the waiting list"} if is_written else {}
        assert book(server, "cleo").json == {"assigned": False, **already}
        server.verify()


# The log


def test_every_request_is_a_line_of_json_in_the_log(server: Server) -> None:
    replies = {
        ("GET", "/health", 200): server.ask("GET /health"),
        ("GET", "/status/<path:event_id>", 200): server.ask("GET /status/gig"),
        ("GET", "/status/<path:event_id>", 404): server.ask("GET /status/nowhere"),
        ("POST", "/book", 415): server.ask("POST /book"),
        ("POST", "/cancel", 401): server.ask("POST /cancel"),
        ("GET", None, 404): server.ask("GET /nowhere"),
        ("PUT", None, 405): server.ask("PUT /book"),
    }
    for (method, route, code), reply in replies.items():
        line = logged(server, reply)
        assert (line["method"], line["route"], line["status"]) == (method, route, code)
        assert datetime.fromisoformat(line["time"]).tzinfo == UTC
        assert line["ms"] >= 0


def test_nothing_that_a_person_has_sent_is_in_the_log(tmp_path: Path) -> None:
    password, key, guest, event, query, header, body, guess = (secrets.token_hex(16) for _ in range(8))
    order, form = {"eventId": event, "userId": guest}, {"Content-Type": "application/x-www-form-urlencoded"}
    with Server(tmp_path, ADMIN_PASS=password, AUTH_SECRET=key) as server:
        right, wrong = {"Authorization": basic(USER, password)}, {"Authorization": basic(USER, guess)}
        token = server.ask("POST /auth/token", headers=right).json["token"]
        signed_in = server.ask("POST /ui/sign-in", f"user={USER}&password={password}".encode(), form)
        session = signed_in.headers["Set-Cookie"].partition(";")[0]
        requests: list[tuple[str, Body, dict[str, str]]] = [
            ("POST /initialize", {"eventId": event, "tickets": 1}, {"Authorization": f"Bearer {token}"}),
            ("POST /book", order, {}),
            ("POST /cancel", order, right),
            ("POST /cancel", order, right),
            ("POST /cancel", order, wrong),
            ("POST /cancel", order, {"Authorization": f"Bearer {token}x"}),
            ("POST /book", {"eventId": "nowhere", "userId": guest}, {}),
            ("POST /book", {"eventId": [body], "userId": f" {guest}"}, {}),
            ("POST /book", f'{{"{body}":'.encode(), {"Content-Type": "application/json"}),
            ("POST /book", b"x" * 70_000, {"Content-Type": header}),
            (f"GET /status/{event}?{query}", None, {"Referer": header, "If-None-Match": header}),
            (f"GET /{query}?{query}", None, {"User-Agent": header}),
            (f"GET /ui/events/{event}?{query}", None, {"Cookie": session}),
            ("GET /ui/organise", None, {"Cookie": session}),
            ("POST /ui/sign-in", f"user={guest}&password={guess}".encode(), form),
            (f"POST /ui/events/{event}/orders", f"userId={guest}".encode(), form),
            (f"POST /ui/events/{event}/place", f"userId={guest}".encode(), form),
            (f"POST /ui/events/{event}/place", f"userId=%00{guest}".encode(), form),
        ]
        replies = [server.ask(request, sent, headers) for request, sent, headers in requests]
        assert server.stop() == 0

    cookies = {value.partition("=")[2].partition(";")[0] for reply in replies if (value := reply.headers["Set-Cookie"])}
    assert len({reply.status for reply in replies}) > 4
    assert cookies
    for secret in (password, key, guest, event, query, header, body, guess, token, session, *cookies):
        assert secret not in server.stdout + server.stderr
    for authorization in (right, wrong):
        assert authorization["Authorization"].split()[1] not in server.stdout + server.stderr
    ids = Counter(line.get("request_id") for line in server.log())
    assert {ids[reply.headers["X-Request-ID"]] for reply in [signed_in, *replies]} == {1}


# A server in which something dies that nobody waits for.
DIES = """
from webapp.cli import main
from webapp.box_office import BoxOffice
from webapp.desks import Desks
from webapp.storage.sqlite import SqliteStore

async def die(*_):
    raise RuntimeError("this was not foreseen")

{what} = die
main(["serve"])
"""


def test_what_dies_in_the_background_is_in_the_log_and_bookings_go_on(tmp_path: Path) -> None:
    with Server(tmp_path, program=("-c", DIES.format(what="SqliteStore.forget"))) as server:
        line = server.logged(lambda line: line.get("level") == "critical")
        assert line["message"] == "the forgetting died, and comes back at the next start only"
        assert "this was not foreseen" in line["traceback"]
        server.as_organiser("POST /initialize", {"eventId": "gig", "tickets": 1})
        assert book(server, "bob").json == {"assigned": True}
        assert server.stop() == 0


@pytest.mark.parametrize(
    ("what", "named"),
    [
        ("BoxOffice._answer_late_ones_forever", "the watch over late answers died"),
        ("Desks.drop_idle_ones_forever", "the dropping of idle desks died"),
    ],
)
def test_a_server_whose_promises_nobody_keeps_any_more_ends_even_while_it_starts(
    tmp_path: Path, what: str, named: str
) -> None:
    with pytest.raises(ServerEnded) as ended, Server(tmp_path, program=("-c", DIES.format(what=what))):
        pass
    assert ended.value.status == 70
    assert f'"message": "{named}"' in ended.value.said
