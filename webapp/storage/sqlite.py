"""The store on SQLite: one writing connection used by one task, one read-only connection for everybody else."""

import logging
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import aiosqlite

from webapp.storage.backups import UNREADABLE
from webapp.storage.sqlite_reader import ROWS_PER_CHUNK, SqliteReader, read_only, told
from webapp.storage.sqlite_writer import DatabaseFiles, WritingConnection
from webapp.storage.store import Addition, Kept, StoreUnreadable

log = logging.getLogger(__name__)

CACHE_KIB: Final = 65_536
"""Pages a connection keeps in memory: guests' ids stand in random order in their index, whatever is done."""


class SqliteStore(SqliteReader):
    """Ledgers, orders and events in one SQLite file; the schema is the migrator's work and must be current."""

    def __init__(self, writer: WritingConnection, reader: aiosqlite.Connection, files: DatabaseFiles) -> None:
        super().__init__(reader)
        self._writer = writer
        self._files = files
        self._is_clean = False  # what was erased before the start may be in the -wal file still

    @classmethod
    async def open(cls, database: Path) -> "SqliteStore":
        """Open a migrated database, whose lock the caller holds.

        Raises StoreUnreadable.
        """
        uri = database.absolute().as_uri()
        writer = WritingConnection(lambda: sqlite3.connect(uri, uri=True, isolation_level=None), ROWS_PER_CHUNK)
        try:
            await writer
            for pragma in (
                "journal_mode = WAL",
                "synchronous = FULL",
                "foreign_keys = ON",
                "mmap_size = 0",
                "secure_delete = ON",
            ):
                await writer.execute_fetchall(f"PRAGMA {pragma}")
            await writer.execute_fetchall("SELECT count(*) FROM events WHERE id = ''")  # creates the -wal file
            await _require_events(writer)
            reader = await read_only(database)
            for connection in (writer, reader):
                await connection.execute_fetchall(f"PRAGMA cache_size = -{CACHE_KIB}")
        except UNREADABLE as error:
            await writer.close()
            raise StoreUnreadable(f"{database}: {told(error)}") from error
        except StoreUnreadable:
            await writer.close()
            raise
        log.info("SQLite %s opened %s", sqlite3.sqlite_version, database.name)
        return cls(writer, reader, DatabaseFiles(database))

    async def close(self) -> None:
        """Close both connections; the last to close folds the -wal file into the database."""
        try:
            await self._reader.close()
        finally:
            await self._writer.close()
            self._files.close()

    async def append(self, batch: Sequence[Addition]) -> None:
        """Store all additions, or none: one transaction, on disk when this returns.

        Raises Rejected, NotCommitted, OutcomeUnknown.
        """
        if any(entry.kind == "erased" for addition in batch for entry in addition.entries):
            self._is_clean = False
        await self._writer.write(self._files, batch)

    async def forget(self) -> bool:
        """Have nothing that was erased stay behind in the -wal file; whether that is so now.

        It is not as long as somebody reads what was there before. Raises StoreUnreadable.
        """
        if not self._is_clean:
            self._is_clean = True  # unless something is erased meanwhile
            try:
                is_empty = await self._writer.empty_log(self._files)
            except (sqlite3.Error, OSError) as error:
                self._is_clean = False
                raise StoreUnreadable(told(error)) from error
            self._is_clean = self._is_clean and is_empty
        return self._is_clean

    async def sweep(self) -> bool:
        """Have nothing that was erased stay behind in unused parts of the database; whether there was anything to do.

        It is written anew, as a whole, and nothing else can be written meanwhile. Raises StoreUnreadable.
        """
        self._is_clean = False  # as long as the new pages are in the -wal file, the old ones are in the database
        try:
            return await self._writer.sweep()
        except sqlite3.Error as error:
            raise StoreUnreadable(told(error)) from error

    async def kept(self, keys: Sequence[bytes], since: int) -> list[Kept]:
        """What is kept under these keys since a time, in microseconds since 1970, UTC. For the task that appends.

        Raises StoreUnreadable.
        """
        return await self._writer.kept(keys, since)


async def _require_events(connection: aiosqlite.Connection) -> None:
    """Raises StoreUnreadable where a ledger has no event: nobody would ask for it, and so find out.

    Ledgers are skipped through along their key, which costs a few microseconds for each.
    """
    statement = """
        WITH RECURSIVE ledgers (id) AS (
          SELECT min(event_id) FROM ledger
          UNION ALL
          SELECT (SELECT min(event_id) FROM ledger WHERE event_id > id) FROM ledgers WHERE id IS NOT NULL
        )
        SELECT id FROM ledgers WHERE id IS NOT NULL AND id NOT IN (SELECT id FROM events) LIMIT 1"""
    for (event_id,) in await connection.execute_fetchall(statement):
        raise StoreUnreadable(f"event {event_id!r} has a ledger, and is missing from the events table")
