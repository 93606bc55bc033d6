"""What many orders at one event cost: a start, memory, room on disk, and every further booking."""

import json
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tests.benchmarks import machine
from tests.benchmarks.bookings import booked
from tests.benchmarks.filling import EVENT
from tests.benchmarks.load import Sample
from tests.benchmarks.plan import Measure, Plan
from tests.benchmarks.rush import FEW
from tests.benchmarks.stage import Stage


def booking_at(orders: int) -> str:
    """The name of the measure of bookings at an event with so many orders."""
    return f"POST /book with {orders:,} orders at the event"


def start_over(orders: int) -> str:
    """The name of the measure of a start over so many orders."""
    return f"a start over {orders:,} orders"


def room_for(orders: int) -> str:
    """The name of the measure of a database's size."""
    return f"a database of {orders:,} orders"


def measures(plan: Plan, database: Callable[[int], Path]) -> list[Measure]:
    """Bookings at every size in turn, then a start over each."""
    return [
        *(Measure(booking_at(orders), partial(_booked, plan, database, orders)) for orders in plan.sizes),
        *(Measure(start_over(orders), partial(_started, database, orders)) for orders in plan.sizes if orders),
        Measure(room_for(plan.longest), partial(_room, database, plan.longest)),
    ]


def _booked(plan: Plan, database: Callable[[int], Path], orders: int, stage: Stage) -> Sample:
    fairlist = stage.fairlist(database=database(orders))
    return booked(fairlist, FEW, plan.seconds, tickets=0, name=EVENT.removesuffix("0"))


def _started(database: Callable[[int], Path], orders: int, stage: Stage) -> Sample:
    """What a process of its own finds, on the servers' core."""
    command = [sys.executable, "-m", "tests.benchmarks.recovery", str(database(orders))]
    said = subprocess.run([*machine.on_core(stage.core), *command], stdout=subprocess.PIPE, check=True).stdout
    found: Sample = json.loads(said)
    return found


def _room(database: Callable[[int], Path], orders: int, _stage: Stage) -> Sample:
    return {"bytes_per_order": database(orders).stat().st_size / orders}
