"""Bookings in process, without HTTP: many callers at once, beside the same callers one by one, a commit for each.

`python -m tests.benchmarks.callers DATABASE --callers 1000 --events 1 --seconds 4` tells what it found as JSON.
"""

import asyncio
import gc
import itertools
import json
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import Final

import click
import uvloop

from tests.benchmarks import machine
from tests.benchmarks.bookings import numbers
from tests.benchmarks.load import Sample
from tests.benchmarks.plan import Measure, Plan
from tests.benchmarks.stage import Stage
from webapp.box_office import BoxOffice
from webapp.paths import SCHEMA
from webapp.server import GC_THRESHOLD, SWITCH_INTERVAL_S
from webapp.storage.migrator import load_migrations, migrate
from webapp.storage.sqlite import SqliteStore

TOGETHER: Final = "in process, a commit for all that wait"
ALONE: Final = "in process, a commit for each booking"


def at(how: str, *, many: bool) -> str:
    """The name of the measure at one event, or at many."""
    return f"{how}, {'many events' if many else 'one event'}"


def measures(plan: Plan, _database: Callable[[int], Path]) -> list[Measure]:
    """Both ways in turn, at one event and at many."""
    return [
        Measure(at(how, many=many), partial(_apart, plan, plan.events if many else 1, how))
        for many in (False, True)
        for how in (TOGETHER, ALONE)
    ]


def _apart(plan: Plan, events: int, how: str, stage: Stage) -> Sample:
    """What a process of its own finds, on the servers' core."""
    command = [
        *machine.on_core(stage.core), sys.executable, "-m", "tests.benchmarks.callers",
        str(stage.folder / f"{how}-{events}.db"), "--callers", str(plan.callers), "--events", str(events),
        "--seconds", str(plan.seconds), *(["--alone"] if how == ALONE else []),
    ]  # fmt: skip
    found: Sample = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    return found


@click.command()
@click.argument("database", type=click.Path(path_type=Path))
@click.option("--callers", default=1_000)
@click.option("--events", default=1)
@click.option("--seconds", default=4.0)
@click.option("--alone", is_flag=True, help="One caller after the other, so that each has a commit of his own.")
def main(database: Path, callers: int, events: int, seconds: float, alone: bool) -> None:
    """Book for so long at a new database."""
    gc.set_threshold(*GC_THRESHOLD)
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    migrate(database, load_migrations(SCHEMA / "sqlite"))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        booked, sample = runner.run(_rush(database, callers, events, seconds, alone=alone))
    written = "SELECT count(*) FROM ledger WHERE kind IN ('booked', 'joined') AND event_id BETWEEN ?1 AND ?2"
    if numbers(database, written, "gig") != (booked,):
        raise click.ClickException(f"{booked} bookings were answered, others written")
    click.echo(json.dumps(sample))


async def _rush(database: Path, callers: int, events: int, seconds: float, *, alone: bool) -> tuple[int, Sample]:
    """How many bookings there were, and what they took."""
    store = await SqliteStore.open(database)
    office = BoxOffice(store)
    await office.start()
    for number in range(events):
        await office.open_event(f"gig-{number}", 10_000_000)
    turn: AbstractAsyncContextManager[object] = asyncio.Lock() if alone else nullcontext()
    guests, booked = itertools.count(), 0
    began, cpu_began = time.perf_counter(), time.process_time()

    async def call() -> None:
        nonlocal booked
        while time.perf_counter() < began + seconds:
            async with turn:
                guest = next(guests)
                await office.book(f"gig-{guest % events}", f"guest-{guest}")
                booked += 1

    await asyncio.gather(*(call() for _ in range(callers)))
    taken, cpu = time.perf_counter() - began, time.process_time() - cpu_began
    await office.stop()
    await store.close()
    return booked, {"per_second": booked / taken, "cpu_us": cpu / booked * 1e6}


if __name__ == "__main__":
    main()
