"""What a start costs with a long ledger: time to fold and check it, and the memory its state takes.

`python -m tests.benchmarks.recovery --entries 1000000`
"""

import asyncio
import gc
import resource
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import click

from webapp.box_office import BoxOffice
from webapp.paths import SCHEMA
from webapp.server import GC_THRESHOLD
from webapp.storage.migrator import load_migrations, migrate
from webapp.storage.sqlite import SqliteStore

BATCH = 1_000
LOOK_EVERY_S = 0.005


@click.command()
@click.option("--entries", default=1_000_000, show_default=True, help="Entries of the ledger; half the guests wait.")
def main(entries: int) -> None:
    """Fill one ledger, then start over it."""
    gc.set_threshold(*GC_THRESHOLD)
    with tempfile.TemporaryDirectory() as folder:
        database = Path(folder) / "fairlist.db"
        migrate(database, load_migrations(SCHEMA / "sqlite"))
        with ProcessPoolExecutor(1) as apart:  # so that the memory measured below is the start's alone
            seconds = apart.submit(_filled, database, entries).result()
        click.echo(f"booked {entries:,} guests in {seconds:.1f} s, {entries / seconds:,.0f} a second, in process")
        click.echo(f"{database.stat().st_size / entries:.0f} bytes of database per order, all indexes and the ledger")
        asyncio.run(_start(database, entries))


def _filled(database: Path, entries: int) -> float:
    return asyncio.run(_fill(database, entries))


async def _fill(database: Path, entries: int) -> float:
    store = await SqliteStore.open(database)
    box_office = BoxOffice(store)
    await box_office.start()
    await box_office.open_event("gig", entries // 2)
    started = time.perf_counter()
    with click.progressbar(range(0, entries, BATCH), label="Booking") as firsts:
        for first in firsts:
            await asyncio.gather(*(box_office.book("gig", f"guest-{n}") for n in range(first, first + BATCH)))
    seconds = time.perf_counter() - started
    await box_office.stop()
    await store.close()
    return seconds


async def _start(database: Path, entries: int) -> None:
    store = await SqliteStore.open(database)
    box_office = BoxOffice(store)
    before, started = _resident_bytes(), time.perf_counter()
    pauses = asyncio.create_task(_longest_pause())
    await box_office.start()
    seconds = time.perf_counter() - started
    pauses.cancel()
    longest = await pauses
    click.echo(f"folded and checked in {seconds:.1f} s, {seconds / entries * 1e6:.1f} µs an entry")
    click.echo(f"{(_resident_bytes() - before) / entries:.0f} bytes of memory per live order")
    click.echo(f"longest pause of the event loop meanwhile: {longest * 1_000:.0f} ms")
    await box_office.stop()
    await store.close()


async def _longest_pause() -> float:
    longest = 0.0
    try:
        while True:
            before = time.perf_counter()
            await asyncio.sleep(LOOK_EVERY_S)  # a task that only spins would slow down what it watches
            longest = max(longest, time.perf_counter() - before - LOOK_EVERY_S)
    except asyncio.CancelledError:
        return longest


def _resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


if __name__ == "__main__":
    main()
