"""A client who is gone at any byte: his order stands or does not, and nothing of him is left in the server."""

import asyncio
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import astuple
from pathlib import Path

import pytest

from tests import effort
from tests.reliability.crowd import ledger
from tests.reliability.departures import (
    LOOKED_INTO,
    SERVE,
    Departure,
    Inside,
    complaints,
    depart,
    departure,
    guest,
    inside,
    needs_an_order,
)
from tests.reliability.history import Record
from tests.server import TIMEOUT_S, Server
from tests.web.api import ADA, Api

SIDE_BY_SIDE = 16
AT_ONCE = 200
EVENT = "gig"

# What no server may do: it waits for the rest from whoever went away in the middle.
WAITS_FOR_THE_GONE = """
from webapp.web.protocol import BoundedProtocol

lost = BoundedProtocol.connection_lost
waiting = set()

def connection_lost(protocol, error):
    lost(protocol, error)
    if protocol.cycle and protocol.cycle.more_body:
        waiting.add(asyncio.get_running_loop().create_task(asyncio.Event().wait()))

BoundedProtocol.connection_lost = connection_lost
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with Server(tmp_path, program=("-c", LOOKED_INTO + SERVE)) as server:
        yield server


def prepared(server: Server, seeds: range) -> list[Departure]:
    """Those who will come for the seeds; who cancels has booked."""
    orders = {seed: Api(server).order(EVENT, guest(seed)) if needs_an_order(seed) else None for seed in seeds}
    return [departure(seed, EVENT, (order["id"], order["key"]) if order else None) for seed, order in orders.items()]


def is_back_to(before: Inside, server: Server) -> bool:
    """Whether the server soon holds no more open than before."""
    deadline = time.monotonic() + TIMEOUT_S
    while not inside(server).is_within(before):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def test_who_is_gone_at_any_byte_leaves_his_order_or_nothing(server: Server) -> None:
    Api(server, ADA).event(EVENT, 3)
    before = rested(server)
    gone: list[Departure] = []
    for first in range(effort.FIRST_SEED, effort.FIRST_SEED + effort.DEPARTURES, AT_ONCE):
        coming = prepared(server, range(first, min(first + AT_ONCE, effort.FIRST_SEED + effort.DEPARTURES)))
        asyncio.run(depart(server.port, coming, SIDE_BY_SIDE))
        gone += coming
        assert is_back_to(before, server), f"{inside(server)}, not {before}, after FIRST_SEED={first}"
        assert not (found := complaints(coming, ledger(server, EVENT))), found
        effort.tried(len(coming))
    assert any(leaving.is_answered for leaving in gone)
    assert can_be_written(server)
    server.verify()
    assert server.stop() == 0
    assert not [line for line in server.log() if "traceback" in line or line.get("status", 0) >= 500]


def rested(server: Server) -> Inside:
    """What the server holds open at least, once it has done everything that it does for the first time."""
    asyncio.run(depart(server.port, prepared(server, range(-20, 0)), 1))
    looks = []
    for _ in range(5):
        time.sleep(0.1)
        looks.append(astuple(inside(server)))
    return Inside(*map(min, zip(*looks, strict=True)))


def can_be_written(server: Server) -> bool:
    """Whether no transaction is open."""
    with closing(sqlite3.connect(server.database, timeout=0, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("ROLLBACK")
    return True


def test_a_server_that_waits_for_who_is_gone_is_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.reliability.test_departures.TIMEOUT_S", 2.0)
    with Server(tmp_path, program=("-c", LOOKED_INTO + WAITS_FOR_THE_GONE + SERVE)) as server:
        Api(server, ADA).event(EVENT, 3)
        before = inside(server)
        asyncio.run(depart(server.port, prepared(server, range(1, 40)), SIDE_BY_SIDE))
        assert not is_back_to(before, server)
        assert inside(server).tasks > before.tasks


@pytest.mark.parametrize("said", ["half", "all"])
def test_an_order_too_many_is_found_out(said: str) -> None:
    leaving = departure(seed=9, event=EVENT, order=None)
    leaving.said = len(leaving.request) - (said == "half")
    entries = [Record(number, "booked", guest(9), None, "") for number in range(1, 1 + (said == "all") + 1)]
    assert complaints([leaving], entries)
    assert not complaints([leaving], entries[1:])


def test_an_answer_without_an_order_is_found_out() -> None:
    leaving = departure(seed=9, event=EVENT, order=None)
    leaving.said, leaving.answer = len(leaving.request), b"HTTP/1.1 200 OK\r\n"
    assert complaints([leaving], [])
