"""What a start costs over the ledgers of a database: time to fold and check them, pauses meanwhile, and memory.

`python -m tests.benchmarks.recovery DATABASE` tells what it found as JSON.
"""

import asyncio
import gc
import json
import time
from pathlib import Path
from typing import Final

import click
import uvloop

from tests.benchmarks.bookings import numbers
from tests.benchmarks.load import Sample
from tests.benchmarks.machine import resident_bytes
from webapp.box_office import BoxOffice
from webapp.server import GC_THRESHOLD
from webapp.storage.sqlite import SqliteStore

LOOK_EVERY_S: Final = 0.005


@click.command()
@click.argument("database", type=click.Path(path_type=Path, exists=True))
def main(database: Path) -> None:
    """Start over a database."""
    gc.set_threshold(*GC_THRESHOLD)
    (orders,) = numbers(database, "SELECT count(*) FROM orders WHERE event_id BETWEEN ?1 AND ?2", "gig")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        click.echo(json.dumps(runner.run(_started(database, orders))))


async def _started(database: Path, orders: int) -> Sample:
    store = await SqliteStore.open(database)
    office = BoxOffice(store)
    before, began, cpu_began = resident_bytes(), time.perf_counter(), time.process_time()
    pauses = asyncio.create_task(_longest_pause())
    await office.start()
    taken, cpu = time.perf_counter() - began, time.process_time() - cpu_began
    pauses.cancel()
    longest = await pauses
    memory = resident_bytes() - before
    await office.stop()
    await store.close()
    return {
        "seconds": taken,
        "cpu_us": cpu / orders * 1e6,
        "longest_pause_ms": longest * 1_000,
        "bytes": memory,
        "bytes_per_order": memory / orders,
    }


async def _longest_pause() -> float:
    longest = 0.0
    try:
        while True:
            before = time.perf_counter()
            await asyncio.sleep(LOOK_EVERY_S)  # a task that only spins would slow down what it watches
            longest = max(longest, time.perf_counter() - before - LOOK_EVERY_S)
    except asyncio.CancelledError:
        return longest


if __name__ == "__main__":
    main()
