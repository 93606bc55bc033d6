"""What tests of several folders start from: a migrated database, a store on it, a box office that is open."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.replay import MIGRATIONS
from webapp.box_office import BoxOffice
from webapp.storage.migrator import migrate
from webapp.storage.sqlite import SqliteStore

# Before any test imports them; what is imported above does not.
pytest.register_assert_rewrite(
    "tests.e2e.browser",
    "tests.machine",
    "tests.reliability.api_driver",
    "tests.reliability.public_ledger",
    "tests.service.history",
    "tests.service.stage",
)

STOP_TIMEOUT_S = 30.0  # or a box office that never stops would keep the tests from ending


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated database to copy, never to open."""
    path = tmp_path_factory.mktemp("database") / "empty.sqlite3"
    migrate(path, MIGRATIONS)
    return path


@pytest.fixture
def database(empty_database: Path, tmp_path: Path) -> Path:
    """A migrated database that nobody has opened."""
    return Path(shutil.copy(empty_database, tmp_path / "fairlist.sqlite3"))


@pytest.fixture
async def open_store() -> AsyncIterator[Callable[[Path], Awaitable[SqliteStore]]]:
    """Opens stores, and closes them when the test is over, or their connections would keep the process from ending."""
    async with AsyncExitStack() as opened:

        async def open_store(database: Path) -> SqliteStore:
            store = await SqliteStore.open(database)
            opened.push_async_callback(store.close)
            return store

        yield open_store


@pytest.fixture
async def store(database: Path, open_store: Callable[[Path], Awaitable[SqliteStore]]) -> SqliteStore:
    """An open store on the database."""
    return await open_store(database)


@pytest.fixture
async def start(open_store: object) -> AsyncIterator[Callable[[BoxOffice], Awaitable[BoxOffice]]]:
    """Starts box offices, and stops them when the test is over, before their stores are closed."""
    async with AsyncExitStack() as started:

        async def stop(box_office: BoxOffice) -> None:
            async with asyncio.timeout(STOP_TIMEOUT_S):
                await box_office.stop()

        async def start(box_office: BoxOffice) -> BoxOffice:
            started.push_async_callback(stop, box_office)
            await box_office.start()
            return box_office

        yield start


@pytest.fixture
async def box_office(store: SqliteStore, start: Callable[[BoxOffice], Awaitable[BoxOffice]]) -> BoxOffice:
    """An open box office on the store."""
    return await start(BoxOffice(store))
