"""A database with one long ledger: an event that everybody wants, half of whose guests wait.

The box office fills it, so that its rows lie as they do in a server's.
"""

import asyncio
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Final

from webapp.box_office import BoxOffice
from webapp.paths import SCHEMA
from webapp.storage.migrator import load_migrations, migrate
from webapp.storage.sqlite import SqliteStore

EVENT: Final = "gig-0"
AT_ONCE: Final = 1_000


def filled(folder: Path, orders: int) -> Path:
    """A new database with so many orders, filled by a process of its own, which takes its memory with it."""
    database = folder / f"{orders}" / "fairlist.db"
    database.parent.mkdir(parents=True)
    migrate(database, load_migrations(SCHEMA / "sqlite"))
    with ProcessPoolExecutor(1) as apart:
        apart.submit(_fill, database, orders).result()
    return database


def _fill(database: Path, orders: int) -> None:
    asyncio.run(_book(database, orders))


async def _book(database: Path, orders: int) -> None:
    store = await SqliteStore.open(database)
    office = BoxOffice(store)
    await office.start()
    await office.open_event(EVENT, orders // 2)
    for first in range(0, orders, AT_ONCE):
        guests = range(first, min(first + AT_ONCE, orders))
        await asyncio.gather(*(office.book(EVENT, f"guest-{number}") for number in guests))
    await office.stop()
    await store.close()
