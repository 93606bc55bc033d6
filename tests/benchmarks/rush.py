"""A rush: bookings against connections, beside the peers; at many events; on a slow disk; and questions for counts."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import click

from tests.benchmarks.bookings import WARM_UP, booked
from tests.benchmarks.load import Sample, Target, asked, run
from tests.benchmarks.plan import Measure, Plan
from tests.benchmarks.stage import EMPTY, Stage
from tests.client import ask

FEW: Final = 64
MANY: Final = 256
BOOK: Final = "POST /book"
LANE_OFF: Final = "POST /book, direct lane off"
ORIGINAL: Final = "POST /book of the original"
QUART, ASGI, EXPRESS = EMPTY
SIDES: Final = (BOOK, LANE_OFF, QUART, ASGI, EXPRESS, ORIGINAL)
"""What is measured against connections, as plots name it."""

SLOW: Final = "POST /book, 10 ms more for each commit"
MANY_EVENTS: Final = "POST /book, many events"
STATUS: Final = "GET /status"


def at(side: str, connections: int) -> str:
    """The name of the measure of a side under so many connections."""
    return f"{side}, {connections} connection{'s' if connections > 1 else ''}"


def measures(plan: Plan, _database: Callable[[int], Path]) -> list[Measure]:
    """All sides in turn, for one number of connections after the other, then the rest."""
    return [
        *(Measure(at(side, number), _side(plan, side, number)) for number in plan.connections for side in SIDES),
        Measure(at(MANY_EVENTS, FEW), partial(_booked, plan, "as it is", FEW, plan.events)),
        Measure(at(SLOW, MANY), partial(_booked, plan, "slow", MANY, 1)),
        Measure(at(STATUS, FEW), partial(_status, plan, FEW)),
    ]


def _side(plan: Plan, side: str, connections: int) -> Callable[[Stage], Sample]:
    if side == ORIGINAL:
        return partial(_booked_at_the_original, plan, connections)
    if side in EMPTY:
        return partial(_nothing, plan, side, connections)
    return partial(_booked, plan, "lane off" if side == LANE_OFF else "as it is", connections, 1)


def _booked(plan: Plan, kind: str, connections: int, events: int, stage: Stage) -> Sample:
    return booked(stage.fairlist(kind), connections, plan.seconds, tickets=plan.tickets, events=events)


def _booked_at_the_original(plan: Plan, connections: int, stage: Stage) -> Sample:
    return booked(stage.original(), connections, plan.seconds, tickets=plan.tickets)


def _nothing(plan: Plan, side: str, connections: int, stage: Stage) -> Sample:
    return read(plan, stage.empty(side), connections)


def _status(plan: Plan, connections: int, stage: Stage) -> Sample:
    fairlist = stage.fairlist()
    fairlist.open("status", 1, plan.tickets)
    return read(plan, fairlist.target._replace(url=f"{fairlist.target.url}/status/status0"), connections)


def read(plan: Plan, target: Target, connections: int) -> Sample:
    """The same address asked for all the time, after a warm-up.

    Raises ClickException unless it is a page that is there: of 2xx and 3xx the load says nothing.
    """
    address = urlsplit(target.url)
    if (status := ask(address.port or 80, f"GET {address.path}").status) != 200:
        raise click.ClickException(f"{target.url} is answered with {status}")
    run(target.url, connections, WARM_UP * plan.seconds)
    return asked(target, connections, plan.seconds)[1]
