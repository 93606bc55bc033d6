"""Copies a database while it is served, and puts a copy in its place. Must not change the database it copies.

No function here opens a database file but through SQLite: closing a plain descriptor would drop the locks that
SQLite holds on the same file in the same process.
"""

import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from webapp.paths import named_in_errors

BUSY_TIMEOUT_S: Final = 60.0
"""How long to wait for another process that holds a lock in the database; a migration may take that long."""

SIDE_FILES: Final = ("-wal", "-journal", "-shm")
"""What SQLite keeps beside a database; the first two hold changes that the database itself lacks."""


UNREADABLE: Final = (sqlite3.Error, UnicodeDecodeError)
"""What reading a damaged database may raise."""


class BackupFailed(Exception):
    """A sentence for people: what hinders the copy, and the remedy. Nothing was lost."""


def copy_database(source: Path, destination: Path) -> None:
    """Copy what is committed in `source` into the new file `destination`, which is whole and on disk at return.

    The copy is one self-contained file with mode 0600. Until it has been checked, nothing has the name `destination`.

    Raises BackupFailed.
    """
    with _explained(source), _workshop(destination) as folder:
        if destination.exists() or destination.is_symlink():
            raise BackupFailed(f"{destination} exists already. Choose a name that is free.")
        copy = _checked_copy(source, folder)
        _publish(copy, destination)
        sync(destination.parent)


def restore_database(source: Path, database: Path) -> Path | None:
    """Put a copy of `source` in the place of `database`, whose lock the caller holds.

    Returns where the database that was there has been moved, if there was one. `database` names the old or the new
    database at every moment, and whole.

    Raises BackupFailed.
    """
    database = database.resolve()
    with _explained(source), _workshop(database) as folder:
        copy = _checked_copy(source, folder)
        _require_migrations(copy, source)
        _fold_in(database)
        aside = database.with_name(f"{database.name}.{moment()}.before-restore")
        try:
            _set_aside(database, aside)
            copy.replace(database)
        except OSError:
            _put_back(aside, database)
            raise
        sync(database.parent)
    return aside if aside.exists() else None


def read_only(database: Path) -> sqlite3.Connection:
    """A connection that cannot change the database, and has proven that it can read it.

    Beside a WAL database that nobody has open, SQLite leaves an empty -wal and a -shm file, since a reader needs them
    and may not remove them. Where the folder cannot be written, it cannot make them; but then no -wal file means that
    the database is complete and at rest, and may be read as immutable.

    Raises sqlite3.Error.
    """
    uri = f"{database.resolve().as_uri()}?mode=ro"
    try:
        return _reading(uri)
    except sqlite3.OperationalError as error:
        unwritable = error.sqlite_errorcode in (sqlite3.SQLITE_READONLY_DIRECTORY, sqlite3.SQLITE_CANTOPEN)
        if not unwritable or _beside(database.resolve(), "-wal").exists():
            raise
        return _reading(f"{uri}&immutable=1")


def explanation(error: sqlite3.Error | UnicodeDecodeError, database: Path) -> str:
    """What SQLite's error means for the file, and the remedy, as sentences for people."""
    if (damage := unreadable_text(error)) is not None:
        return f"{database} is damaged: {damage}. Restore a backup with `fairlist restore`."
    match getattr(error, "sqlite_errorcode", 0) & 0xFF:  # the rest tells variants of one code apart
        case sqlite3.SQLITE_NOTADB:
            return f"{database} is not a SQLite database. Check the path, or move that file away."
        case sqlite3.SQLITE_CORRUPT:
            return f"{database} is damaged: {error}. Restore a backup with `fairlist restore`."
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return f"{database} is in use by another program. Stop it, then try again."
    return f"SQLite cannot work on {database}: {error}. Check that it exists, its permissions, and the free disk space."


def unreadable_text(error: Exception) -> str | None:
    """What the error tells of bytes that are no UTF-8, without them, since they may be a name; None for other errors.

    Python raises UnicodeDecodeError where SQLite's own words quote a damaged schema.
    """
    if isinstance(error, UnicodeDecodeError):
        return "its schema is not text"
    found = re.match("Could not decode to UTF-8 column '([a-z_0-9]+)'", str(error))
    return f"a value of column {found[1]} is not text" if found else None


def moment() -> str:
    """The time now, UTC, in a form that file names can carry and that sorts by time."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}"


def sync(path: Path) -> None:
    """Have the kernel write a file's content, or a folder's names, to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        with named_in_errors(path):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _explained(source: Path) -> Iterator[None]:
    try:
        yield
    except UNREADABLE as error:
        raise BackupFailed(explanation(error, source)) from error
    except OSError as error:
        raise BackupFailed(f"{error.filename or source}: {error.strerror}. Nothing was lost.") from error


@contextmanager
def _workshop(destination: Path) -> Iterator[Path]:
    """A folder of our own beside the destination, on its file system, so that a failure leaves no half file."""
    within, prefix = destination.parent, f".{destination.name}."
    # What is left of it must not turn a success into a failure.
    with TemporaryDirectory(dir=within, prefix=prefix, ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def _checked_copy(source: Path, folder: Path) -> Path:
    copy = folder / "copy"
    os.close(os.open(copy, os.O_CREAT | os.O_EXCL, 0o600))
    with closing(read_only(source)) as reader, closing(sqlite3.connect(copy, isolation_level=None)) as writer:
        _copy_pages(reader, writer)
    with closing(read_only(copy)) as connection:
        if problems := [str(row[0]) for row in connection.execute("PRAGMA integrity_check(1)") if row[0] != "ok"]:
            raise BackupFailed(f"{source} is damaged: {problems[0]}. Use another backup.")
    sync(copy)
    return copy


def _copy_pages(reader: sqlite3.Connection, writer: sqlite3.Connection) -> None:
    """Copy in one step, so that one state of the source is read and a writer cannot make the copy start over."""
    for pragma in ("journal_mode = OFF", "synchronous = OFF", "locking_mode = EXCLUSIVE"):
        writer.execute(f"PRAGMA {pragma}")
    reader.backup(writer)
    # The pages come with the source's WAL mark, and whoever opens such a file needs two more beside it.
    writer.execute("PRAGMA journal_mode = DELETE")


def _publish(copy: Path, destination: Path) -> None:
    """Give the copy its name. A link, unlike a rename, never replaces what another process has put there."""
    try:
        os.link(copy, destination)
    except FileExistsError as error:
        raise BackupFailed(f"{destination} exists already. Choose a name that is free.") from error
    except OSError:  # FAT and some network shares have no links
        os.close(os.open(destination, os.O_CREAT | os.O_EXCL, 0o600))
        copy.replace(destination)


def _require_migrations(copy: Path, source: Path) -> None:
    with closing(read_only(copy)) as connection:
        if not connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'migrations'").fetchone():
            raise BackupFailed(f"{source} is not a database of Fairlist. Choose a file that `fairlist backup` made.")


def _fold_in(database: Path) -> None:
    """Bring the changes that still lie beside the database into it; a damaged one stays as it is."""
    if not database.exists():
        return
    try:
        read_only(database).close()  # first, since a connection that writes mends what it can and drops the rest
        with closing(sqlite3.connect(database, isolation_level=None, timeout=BUSY_TIMEOUT_S)) as connection:
            connection.execute("PRAGMA journal_mode = DELETE")
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
            raise BackupFailed(explanation(error, database)) from error


def _set_aside(database: Path, aside: Path) -> None:
    """Give the database, and what could not be folded into it, a second name; then drop the side files' first names.

    The second names are on disk before anything goes, and the database keeps its first name until a copy takes it.
    A -wal file must not: SQLite would replay it into the new database.
    """
    for end in ("", *SIDE_FILES):
        if _beside(database, end).exists():
            os.link(_beside(database, end), _beside(aside, end))
    sync(database.parent)
    for end in SIDE_FILES:
        _beside(database, end).unlink(missing_ok=True)
    sync(database.parent)


def _put_back(aside: Path, database: Path) -> None:
    for end in ("", *SIDE_FILES):
        first, second = _beside(database, end), _beside(aside, end)
        if first.exists() and second.exists():
            if first.samefile(second):  # or it was there before, and is somebody else's
                second.unlink()
        elif second.exists():
            second.rename(first)


def _beside(database: Path, end: str) -> Path:
    return database.with_name(database.name + end)


def _reading(uri: str) -> sqlite3.Connection:
    connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=BUSY_TIMEOUT_S)
    try:
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    except UNREADABLE:
        connection.close()
        raise
    return connection
