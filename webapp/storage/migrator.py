"""Brings a SQLite database to the schema of this program: each numbered script once, whole, and in order.

It knows nothing of what the scripts create, and undoes none: the way back is the backup it makes.
"""

import hashlib
import os
import re
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Literal

from webapp.storage.backups import (
    BUSY_TIMEOUT_S,
    UNREADABLE,
    BackupFailed,
    copy_database,
    explanation,
    moment,
    read_only,
    sync,
)  # fmt: skip
from webapp.storage.old_ledgers import first_damage

FILE_NAME: Final = re.compile(r"(?P<version>(?!0000)[0-9]{4})_[a-z0-9_]+\.sql")

BLANK: Final = re.compile(r"(?:\s|--[^\n]*(?:\n|\Z)|/\*.*?\*/)*", re.DOTALL)
"""Space and comments in front of a statement."""

TRANSACTION_CONTROL: Final = re.compile(r"(BEGIN|COMMIT|END|ROLLBACK|SAVEPOINT|RELEASE)\b", re.IGNORECASE)

PAGE_BYTES: Final = 4_096
"""The size of SQLite's pages, and so of the smallest database."""

COLUMNS: Final = ("version", "name", "sha256", "applied_at")

TABLE: Final = """
    CREATE TABLE IF NOT EXISTS migrations (
      version    INTEGER PRIMARY KEY CHECK (version >= 1),
      name       TEXT NOT NULL,
      sha256     TEXT NOT NULL CHECK (length(sha256) = 64),
      applied_at INTEGER NOT NULL -- microseconds since 1970, UTC
    ) STRICT"""

SCHEMA_OBJECTS: Final = "SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL"

State = Literal["applied", "pending", "edited", "missing", "skipped", "future"]

REFUSALS: Final[dict[State, str]] = {
    "edited": "Migration {name} was changed after {database} had it applied. Restore the script as it was released; "
    "a new change of the schema is a new script.",
    "missing": "Migration {name} was applied to {database}, but its script is gone. Install Fairlist afresh.",
    "skipped": "Migration {name} was never applied to {database}, though a later one was. Restore a backup, or bring "
    "back the scripts that this database was made with.",
    "future": "{database} is newer than this Fairlist, which does not know its migration {name}. Install the newer "
    "version again, or restore the backup that was made before the upgrade.",
}


class MigrationRefused(Exception):
    """A sentence for people: why the database was not brought up to date, and the remedy."""


@dataclass(frozen=True, slots=True)
class Statement:
    """One SQL statement, and the line of its script where it starts."""

    line: int
    sql: str


@dataclass(frozen=True, slots=True)
class Migration:
    """One script, named like its file; `sha256` is that of its text with \\n at the ends of lines, in hex."""

    version: int
    name: str
    sha256: str
    statements: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class MigrationStatus:
    """How a script and a database stand to each other; `applied_at` is UTC. Only the first two states are in order."""

    version: int
    name: str
    state: State
    applied_at: datetime | None


@dataclass(frozen=True, slots=True)
class Migrated:
    """What a run has applied, and the copy of the database as it was before, if it held anything."""

    applied: tuple[Migration, ...]
    backup: Path | None


@dataclass(frozen=True, slots=True)
class _Row:
    version: int
    name: str
    sha256: str
    applied_at: int


def load_migrations(folder: Path) -> tuple[Migration, ...]:
    """The scripts of a folder, numbered from 1 without a gap. What does not end in .sql is left alone.

    Raises MigrationRefused.
    """
    paths = sorted(path for path in folder.glob("*") if path.suffix.lower() == ".sql")
    if not paths:
        raise MigrationRefused(f"There are no migrations in {folder}. Install Fairlist afresh.")
    migrations = tuple(_load(path) for path in paths)
    for expected, migration in enumerate(migrations, start=1):
        if migration.version < expected:
            raise MigrationRefused(f"Two migrations have the number of {migration.name}. Renumber the newer one.")
        if migration.version > expected:
            raise MigrationRefused(
                f"Migration {expected:04} is missing before {migration.name}. Numbers start at 0001 and leave no gap: "
                "bring the script back, or renumber."
            )
    return migrations


def schema_of(migrations: Sequence[Migration]) -> frozenset[tuple[str, str]]:
    """Name and text of every table, index and trigger that the scripts lead to."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        for migration in migrations:
            _apply(connection, migration)
        return frozenset(connection.execute(SCHEMA_OBJECTS))


def status(database: Path, migrations: Sequence[Migration]) -> list[MigrationStatus]:
    """Every migration that the program or the database knows, by number. Changes nothing, and creates no database.

    Raises MigrationRefused: not a database, or not one of ours.
    """
    if not database.exists():
        return _compare({}, migrations)
    with _explained(database), closing(read_only(database)) as connection:
        return _compare(_applied(connection, database), migrations)


def migrate(database: Path, migrations: Sequence[Migration]) -> Migrated:
    """Apply what is pending, and create the database if there is none; a copy of one that holds data is made first.

    Each script is one transaction together with its row in `migrations`. Several processes may do this at once.

    Raises MigrationRefused, OSError. A script that fails leaves nothing; those before it stay applied.
    """
    database = database.resolve()
    _create(database)
    log = database.with_name(f"{database.name}-wal")
    _require_own_log(database, log)
    _require_writable(database, log)
    with _explained(database), _connected(database) as connection:
        with _transaction(connection):
            _pending(connection, database, migrations)  # refuses, before anything in the file changes
        _log_ahead(connection)
        return _apply_pending(connection, database, migrations)


def _load(path: Path) -> Migration:
    match = FILE_NAME.fullmatch(path.name)
    if not match:
        raise MigrationRefused(f"{path} is badly named. A migration is called like 0002_add_a_table.sql: rename it.")
    text = path.read_text(encoding="utf-8-sig")  # ends lines with \n whatever a checkout did, and so keeps the hash
    statements = tuple(_split(path.name, text))
    return Migration(int(match["version"]), path.stem, hashlib.sha256(text.encode()).hexdigest(), statements)


def _split(name: str, text: str) -> Iterator[Statement]:
    start = 0
    for semicolon in re.finditer(";", text):
        sql = text[start : semicolon.end()]
        if not sqlite3.complete_statement(sql):
            continue  # it stands in a string, a comment or a trigger
        line = 1 + text.count("\n", 0, start + _blank(sql))
        if TRANSACTION_CONTROL.match(sql, _blank(sql)):
            raise MigrationRefused(
                f"{name}, line {line}: a migration is one transaction, which it may neither begin nor end. "
                "Take the statement out."
            )
        yield Statement(line, sql)
        start = semicolon.end()
    if _blank(text[start:]) < len(text) - start:
        raise MigrationRefused(f"{name}: the last statement is not complete. End it with a semicolon.")


def _blank(sql: str) -> int:
    match = BLANK.match(sql)
    return match.end() if match else 0


def _create(database: Path) -> None:
    """Make the file ourselves, because SQLite would let others read it."""
    with suppress(FileExistsError):
        os.close(os.open(database, os.O_CREAT | os.O_EXCL, 0o600))
        sync(database.parent)


def _require_own_log(database: Path, log: Path) -> None:
    """Refuse to lose the -wal file of a database that was emptied: SQLite would delete it."""
    if not database.stat().st_size and log.exists() and log.stat().st_size:
        raise MigrationRefused(
            f"{database} is empty, yet {log.name} beside it holds changes. Restore a backup with `fairlist restore`."
        )


def _require_writable(*files: Path) -> None:
    """SQLite would open them all the same, and refuse every change later."""
    for file in files:
        if file.exists() and not os.access(file, os.W_OK):
            raise MigrationRefused(f"{file} cannot be written. Check its permissions, and those of its folder.")


@contextmanager
def _connected(database: Path) -> Iterator[sqlite3.Connection]:
    uri = f"{database.as_uri()}?mode=rw"
    with closing(sqlite3.connect(uri, uri=True, isolation_level=None, timeout=BUSY_TIMEOUT_S)) as connection:
        connection.execute("PRAGMA synchronous = FULL")
        # Or a script that rebuilds a table would delete the rows that refer to it. References are checked at its end.
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute("PRAGMA secure_delete = ON")  # what a rebuilt table leaves behind would hold names
        yield connection


def _log_ahead(connection: sqlite3.Connection) -> None:
    """Turn the write-ahead log on. Here SQLite does not wait by itself when another process does the same."""
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def _apply_pending(connection: sqlite3.Connection, database: Path, migrations: Sequence[Migration]) -> Migrated:
    applied: list[Migration] = []
    backup: Path | None = None
    try:
        while True:
            with _transaction(connection):
                # Read behind the lock: another process may have applied it a moment ago.
                pending = _pending(connection, database, migrations)
                if not pending:
                    return Migrated(tuple(applied), backup)
                if pending[0].version > 1 and not applied:
                    _require_whole(connection, database)
                    backup = _back_up(database)
                _apply(connection, pending[0])
            applied.append(pending[0])
    except MigrationRefused as refusal:
        if backup and not applied:
            backup.unlink()  # the database is still what it holds
        elif backup:
            raise MigrationRefused(f"{refusal} The database as it was before is kept as {backup}.") from refusal
        raise


def _require_whole(connection: sqlite3.Connection, database: Path) -> None:
    """Refuse what a script could not make sense of, or would rebuild into something harder to understand."""
    if damage := first_damage(connection):
        raise MigrationRefused(
            f"{database} was not migrated: {damage}. Restore a backup with `fairlist restore`, or with the version of "
            "Fairlist that you had."
        )


def _pending(connection: sqlite3.Connection, database: Path, migrations: Sequence[Migration]) -> list[Migration]:
    applied = _applied(connection, database)
    for found in _compare(applied, migrations):
        if found.state in REFUSALS:
            raise MigrationRefused(REFUSALS[found.state].format(name=found.name, database=database))
    return [migration for migration in migrations if migration.version not in applied]


def _applied(connection: sqlite3.Connection, database: Path) -> dict[int, _Row]:
    tables = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
    if all(name.startswith("sqlite_") for (name,) in tables):
        if 0 < database.stat().st_size < PAGE_BYTES:  # SQLite takes a single byte for nothing at all
            raise MigrationRefused(
                f"{database} is damaged: it ends within its first page. Restore a backup with `fairlist restore`."
            )
        return {}
    if tuple(row[1] for row in connection.execute("PRAGMA table_info(migrations)")) != COLUMNS:
        raise MigrationRefused(f"{database} belongs to another program. Give Fairlist a database of its own.")
    rows = connection.execute("SELECT version, name, sha256, applied_at FROM migrations").fetchall()
    if any(tuple(map(type, row)) != (int, str, str, int) for row in rows):
        raise MigrationRefused(
            f"{database} is damaged: its table of migrations is. Restore a backup with `fairlist restore`."
        )
    return {row[0]: _Row(*row) for row in rows}


def _compare(applied: dict[int, _Row], migrations: Sequence[Migration]) -> list[MigrationStatus]:
    scripts = {migration.version: migration for migration in migrations}
    return [
        _status(applied.get(version), scripts.get(version), max(scripts, default=0), max(applied, default=0))
        for version in sorted(scripts.keys() | applied.keys())
    ]


def _status(row: _Row | None, script: Migration | None, last_script: int, last_row: int) -> MigrationStatus:
    if row is None:
        assert script is not None
        return MigrationStatus(script.version, script.name, "skipped" if script.version < last_row else "pending", None)
    if script is None:
        state: State = "missing" if row.version < last_script else "future"
    else:
        state = "applied" if script.sha256 == row.sha256 else "edited"
    applied_at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=row.applied_at)
    return MigrationStatus(row.version, row.name, state, applied_at)


def _back_up(database: Path) -> Path:
    backup = database.with_name(f"{database.name}.{moment()}.before-migration")
    try:
        copy_database(database, backup)
    except BackupFailed as failure:
        raise MigrationRefused(f"Nothing was migrated, for want of a backup. {failure}") from failure
    return backup


def _apply(connection: sqlite3.Connection, migration: Migration) -> None:
    connection.execute(TABLE)
    for statement in migration.statements:
        try:
            connection.execute(statement.sql).fetchall()
        except sqlite3.Error as error:
            raise _failure(migration, f"line {statement.line}: {error}") from error
    if dangling := connection.execute("PRAGMA foreign_key_check").fetchone():
        raise _failure(migration, f"a row of {dangling[0]} refers to a row of {dangling[2]} that does not exist")
    connection.execute(
        "INSERT INTO migrations (version, name, sha256, applied_at) VALUES (?, ?, ?, ?)",
        (migration.version, migration.name, migration.sha256, time.time_ns() // 1000),
    )


def _failure(migration: Migration, reason: str) -> MigrationRefused:
    return MigrationRefused(
        f"Migration {migration.name} failed, {reason}. Nothing of it was kept. Check the free disk space, or go back "
        "to the version of Fairlist that you had."
    )


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Hold the database's write lock from the first reading to the commit."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # some errors have rolled back already
            connection.execute("ROLLBACK")
        raise


@contextmanager
def _explained(database: Path) -> Iterator[None]:
    try:
        yield
    except UNREADABLE as error:
        raise MigrationRefused(explanation(error, database)) from error
