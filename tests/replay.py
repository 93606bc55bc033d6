"""A database replayed as `fairlist verify` does it, but in this process: a new one starts longer than it works."""

from pathlib import Path
from typing import Final

from webapp.paths import SCHEMA
from webapp.storage.migrator import load_migrations, schema_of
from webapp.storage.sqlite_reader import SqliteReader
from webapp.verification import verify

MIGRATIONS: Final = load_migrations(SCHEMA / "sqlite")
WHOLE_SCHEMA: Final = schema_of(MIGRATIONS)


async def problems(database: Path) -> list[str]:
    """What `verify` finds wrong with a database of this version. Raises StoreUnreadable."""
    async with SqliteReader.snapshot(database) as reader:
        return (await verify(reader, WHOLE_SCHEMA, lambda _: None)).problems
