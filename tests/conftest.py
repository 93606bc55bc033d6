"""What tests of several folders start from: a migrated database, a store on it, a box office that is open."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

pytest.register_assert_rewrite("tests.machine", "tests.service.history", "tests.service.stage")

from webapp.box_office import BoxOffice  # noqa: E402
from webapp.storage.migrator import load_migrations, migrate  # noqa: E402
from webapp.storage.sqlite import SqliteStore  # noqa: E402

SCHEMA = Path(__file__).parents[1] / "schema" / "sqlite"


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated database to copy, never to open."""
    path = tmp_path_factory.mktemp("database") / "empty.sqlite3"
    migrate(path, load_migrations(SCHEMA))
    return path


@pytest.fixture
def database(empty_database: Path, tmp_path: Path) -> Path:
    """A migrated database that nobody has opened."""
    return Path(shutil.copy(empty_database, tmp_path / "fairlist.sqlite3"))


@pytest.fixture
async def store(database: Path) -> AsyncIterator[SqliteStore]:
    """An open store on the database."""
    store = await SqliteStore.open(database)
    yield store
    await store.close()


@pytest.fixture
async def box_office(store: SqliteStore) -> AsyncIterator[BoxOffice]:
    """An open box office on the store."""
    box_office = BoxOffice(store)
    await box_office.start()
    yield box_office
    await box_office.stop()
