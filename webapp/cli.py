"""The command line: `fairlist`. It puts other parts to work, and tells people in sentences what came of it."""

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, NoReturn

import click

from webapp import __version__
from webapp.booking.ledger import LedgerDamaged
from webapp.paths import SCHEMA
from webapp.settings import Settings, SettingsInvalid, environment
from webapp.storage.backups import BackupFailed, copy_database, restore_database
from webapp.storage.lock import DatabaseLock, DatabaseLocked
from webapp.storage.migrator import REFUSALS, Migration, MigrationRefused, load_migrations, migrate, schema_of, status
from webapp.storage.sqlite_reader import SqliteReader
from webapp.storage.store import StoreUnreadable
from webapp.verification import Report, verify
from webapp.web.passwords import PasswordUnusable, reset_password
from webapp.web.private_files import private_folder
from webapp.web.secrets import SecretUnusable

EXPECTED = (DatabaseLocked, MigrationRefused, StoreUnreadable, BackupFailed, PasswordUnusable, SecretUnusable)
"""What can go wrong through no fault of the program's, and says so itself: no traceback."""

REMEDY: Final = "`fairlist verify` tells all that is wrong; `fairlist restore` brings a backup back."

LONG_ENTRIES: Final = 50_000
"""Entries from which on a replay takes long enough, about a second, to show how far it is."""


@click.group(
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit status: 0 done, 1 refused or damage found, 2 misused, 70 start the server again.",
)
@click.version_option(__version__, prog_name="fairlist")
def main() -> None:
    """Book places at events that fill up.

    A waiting list nobody can jump, a seat nobody gets twice, and an answer that is never taken back.

    Settings are read from the environment, and below it from the file .env in the working directory. The README lists
    them all. `fairlist COMMAND --help` tells more of each command.
    """


@main.command()
def serve() -> None:
    """Serve the pages and the API.

    Makes what is missing: data folder, secret, password, database. Brings an older database up to date, after a copy.
    Ctrl-C or SIGTERM stops it once what is under way is answered.

    \b
    fairlist serve
    HOST=0.0.0.0 PORT=8000 fairlist serve
    """
    with _told():
        _serve(_settings())


@main.command()
def demo() -> None:
    """Serve lively sample events, and keep nothing.

    The database is private, temporary and gone afterwards. Sign in with admin / password.

    \b
    PORT=8000 fairlist demo
    """
    with _told():
        _serve(Settings.read(environment() | {"APP_ENV": "demo"}))


@main.command("migrate")
@click.option("--status", "only_status", is_flag=True, help="Show what is applied and what is not; change nothing.")
def migrate_command(only_status: bool) -> None:
    """Bring the database up to date.

    `fairlist serve` does so, too. A database that holds something is copied first, and the copy is kept beside it.
    """
    with _told():
        database = _database()
        if only_status:
            for found in status(database, _migrations()):
                applied = f"{found.applied_at:%Y-%m-%d %H:%M:%S} UTC" if found.applied_at else ""
                click.echo(f"{found.name}  {found.state}  {applied}".rstrip())
            return
        with _locked(database):
            migrated = migrate(database, _migrations())
        if migrated.backup:
            click.echo(f"The database as it was: {migrated.backup}")
        for migration in migrated.applied:
            click.echo(f"Applied {migration.name}")
        if not migrated.applied:
            click.echo("Nothing to do: the database is up to date.")


@main.command("verify")
def verify_command() -> None:
    """Replay every ledger, and check all that follows from it.

    That is: the chain of hashes, the counts, the orders, and the database itself. Changes nothing, and works while a
    server runs. Each thing that is wrong is told on a line of its own; the exit status is 1 then.
    """
    with _told():
        database = _existing_database()
        if _is_older(database):
            _fail(f"{database} is older than this Fairlist. `fairlist migrate` brings it up to date.")
        sys.exit(_tell(asyncio.run(_replay(database))))


@main.command()
@click.argument("destination", type=click.Path(path_type=Path))
def backup(destination: Path) -> None:
    """Copy the database to the new file DESTINATION.

    Works while a server runs: the copy is one state of the database. Then the copy's ledgers are replayed, as `fairlist
    verify` does; the exit status is 1 if something is wrong there. The secret and the password are not in the copy.

    \b
    fairlist backup /var/backups/fairlist-$(date +%F).db
    """
    with _told():
        database = _existing_database()
        if not destination.parent.is_dir():
            _fail(f"There is no folder {destination.parent} to put the copy into.")
        copy_database(database, destination)
        click.echo(f"Copied to {destination}")
        if _is_older(destination):
            click.echo("Not replayed: it is older than this Fairlist, which must bring it up to date first.")
            return
        sys.exit(_tell(asyncio.run(_replay(destination))))


@main.command()
@click.argument("source", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--even-if-damaged", is_flag=True, help="Restore it even if its ledgers do not verify.")
def restore(source: Path, even_if_damaged: bool) -> None:
    """Put the backup SOURCE in the place of the database.

    Stop the server first. SOURCE is checked as `fairlist verify` does, and stays as it is. The database of now is not
    lost: it is kept beside the new one, under another name. The secret and the password are not in a backup: those of
    now go on.

    \b
    fairlist restore /var/backups/fairlist-2030-01-31.db
    """
    with _told():
        settings, database = _settings(), _database()
        with _locked(database):
            report = _replayed_apart(source, database)
            if _tell(report) and not even_if_damaged:
                _fail("Nothing was restored. Use another backup, or take this one with --even-if-damaged.")
            aside = restore_database(source, database)
        click.echo(f"Restored {source}")
        if aside:
            click.echo(f"The database as it was: {aside}")
        click.echo(f"The secret and the password are not in a backup: those in {settings.data_dir} go on.")


@main.command("reset-password")
def reset_password_command() -> None:
    """Give the organiser a new password, and print it.

    Every sign-in and every token ends. A running server follows at once; no restart is needed.
    """
    with _told():
        settings = _settings()
        if settings.data_dir is None:
            _fail(f"With APP_ENV={settings.app_env} there is no password to reset.")
        if settings.admin_pass is not None:
            _fail("ADMIN_PASS sets the password: change it there, and start the server again.")
        click.echo(f"user: {settings.admin_user}\npassword: {reset_password(settings.data_dir)}")


def _serve(settings: Settings) -> NoReturn:
    # Imported here: the other commands start twice as fast without the server and its pages.
    from webapp.server import PortTaken, serve

    try:
        sys.exit(serve(settings))
    except PortTaken as taken:
        _fail(f"{taken}.")
    except LedgerDamaged as damaged:
        _fail(_sentence(damaged), REMEDY)
    except StoreUnreadable as unreadable:
        _fail(_sentence(f"{settings.database} cannot be read: {unreadable}"), REMEDY)


def _replayed_apart(backup: Path, database: Path) -> Report:
    """What a replay of the backup finds, in a copy brought up to date; the backup may be of an older version.

    Raises BackupFailed, MigrationRefused, StoreUnreadable.
    """
    older = _is_older(backup)
    with TemporaryDirectory(dir=database.parent, prefix=f".{database.name}.") as folder:
        copy = Path(folder) / "copy"
        copy_database(backup, copy)
        if older:
            migrate(copy, _migrations())
        return asyncio.run(_replay(copy))


async def _replay(database: Path) -> Report:
    async with SqliteReader.snapshot(database) as reader:
        total = await reader.entries_total()
        shown = total >= LONG_ENTRIES and sys.stderr.isatty()
        with click.progressbar(length=total, label="Replaying", file=sys.stderr, hidden=not shown) as bar:
            return await verify(reader, schema_of(_migrations()), bar.update)


def _tell(report: Report) -> int:
    """Print what a replay has found; returns the exit status."""
    for problem in report.problems:
        click.echo(_sentence(problem), err=True)
    found = _number(len(report.problems), "problem") if report.problems else "nothing is wrong"
    click.echo(f"Replayed {_number(report.events, 'event')}, {_number(report.entries, 'entry', 'entries')}: {found}.")
    return 1 if report.problems else 0


def _is_older(database: Path) -> bool:
    """Whether the database must be brought up to date before this version can read it.

    Raises MigrationRefused where a newer version, or another program, made it.
    """
    found = status(database, _migrations())
    for migration in found:
        if migration.state in REFUSALS:
            raise MigrationRefused(REFUSALS[migration.state].format(name=migration.name, database=database))
    return any(migration.state == "pending" for migration in found)


@contextmanager
def _locked(database: Path) -> Iterator[None]:
    """Keep servers away from a database, which need not exist yet. Raises DatabaseLocked, OSError."""
    private_folder(database.parent)
    with DatabaseLock(database):
        yield


def _existing_database() -> Path:
    database = _database()
    if not database.exists():
        _fail(f"There is no database at {database}; `fairlist serve` makes one.")
    return database


def _database() -> Path:
    settings = _settings()
    if settings.database is None:
        _fail(f"With APP_ENV={settings.app_env} there is no database to work on.")
    return settings.database


def _settings() -> Settings:
    return Settings.read(environment())


def _migrations() -> tuple[Migration, ...]:
    return load_migrations(SCHEMA / "sqlite")


@contextmanager
def _told() -> Iterator[None]:
    """Tell people in sentences what hindered a command."""
    try:
        yield
    except SettingsInvalid as invalid:
        _fail("These settings are not right:", *invalid.mistakes)
    except EXPECTED as hindrance:
        _fail(str(hindrance))
    except BrokenPipeError:
        raise  # whoever was reading has seen enough; click ends quietly
    except OSError as error:
        _fail(f"{error.filename}: {error.strerror}." if error.filename else f"{error.strerror or error}.")


def _fail(*lines: str) -> NoReturn:
    raise click.ClickException("\n  ".join(lines))


def _sentence(words: object) -> str:
    text = str(words)
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")


def _number(count: int, one: str, many: str | None = None) -> str:
    return f"{count:,} {one if count == 1 else many or f'{one}s'}"
