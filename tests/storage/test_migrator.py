"""Every script is applied once and whole, and a database that does not fit the program is left alone."""

import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.storage.meddling import meddle
from webapp.storage import migrator
from webapp.storage.migrator import Migration, MigrationRefused, load_migrations, migrate, status

ROOT = Path(__file__).parents[2]
FIRST = "CREATE TABLE first (id INTEGER PRIMARY KEY) STRICT;\nINSERT INTO first VALUES (1);\n"
SECOND = "CREATE TABLE second (id INTEGER PRIMARY KEY REFERENCES first (id)) STRICT;\nINSERT INTO second VALUES (1);\n"
THIRD = "CREATE TABLE third (id INTEGER PRIMARY KEY) STRICT;\n"
FOREVER = """
UPDATE first SET id = 2;
CREATE TABLE endless (n INTEGER);
INSERT INTO endless WITH RECURSIVE count (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM count) SELECT n FROM count;
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "schema"
    folder.mkdir()
    return folder


@pytest.fixture
def database(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    return tmp_path / "data" / "fairlist.db"


def scripts(folder: Path, *texts: str) -> tuple[Migration, ...]:
    for version, text in enumerate(texts, start=1):
        (folder / f"{version:04}_script.sql").write_text(text)
    return load_migrations(folder)


def query(database: Path, sql: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(database)) as connection:
        return connection.execute(sql).fetchall()


def change(database: Path, sql: str) -> None:
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute(sql)


def tables(database: Path) -> set[object]:
    return {name for (name,) in query(database, "SELECT name FROM sqlite_schema WHERE type = 'table'")}


def backups(database: Path) -> list[Path]:
    return sorted(path for path in database.parent.iterdir() if path.name.startswith(f"{database.name}.20"))


def child(code: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


# What is applied


def test_a_new_database_gets_every_script_once_and_in_order(folder: Path, database: Path) -> None:
    migrations = scripts(folder, FIRST, SECOND)
    assert migrate(database, migrations) == migrator.Migrated(migrations, None)
    assert migrate(database, migrations) == migrator.Migrated((), None)
    assert query(database, "SELECT (SELECT count(*) FROM first), (SELECT count(*) FROM second)") == [(1, 1)]


def test_the_scripts_of_this_program_apply_to_a_new_database(database: Path) -> None:
    migrations = load_migrations(ROOT / "schema" / "sqlite")
    assert migrate(database, migrations).applied == migrations
    assert {"migrations", "events", "orders", "ledger"} <= tables(database)


def test_a_new_database_is_private_and_keeps_a_write_ahead_log(folder: Path, database: Path) -> None:
    umask = os.umask(0)
    try:
        migrate(database, scripts(folder, FIRST))
    finally:
        os.umask(umask)
    assert database.stat().st_mode & 0o777 == 0o600
    assert query(database, "PRAGMA journal_mode") == [("wal",)]
    assert [path.name for path in database.parent.iterdir()] == ["fairlist.db"]


def test_an_empty_file_is_a_new_database(folder: Path, database: Path) -> None:
    database.touch()
    assert len(migrate(database, scripts(folder, FIRST)).applied) == 1


def test_a_restored_database_gets_its_write_ahead_log_back(folder: Path, database: Path) -> None:
    migrations = scripts(folder, FIRST)
    migrate(database, migrations)
    assert query(database, "PRAGMA journal_mode = DELETE") == [("delete",)]
    migrate(database, migrations)
    assert query(database, "PRAGMA journal_mode") == [("wal",)]


def test_turning_the_write_ahead_log_on_waits_for_another_process(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(sqlite3.connect(database)) as starter, closing(sqlite3.connect(database)) as other:
        other.execute("BEGIN IMMEDIATE")
        monkeypatch.setattr(time, "sleep", lambda _: other.execute("COMMIT"))
        migrator._log_ahead(starter)
        assert not other.in_transaction
    assert query(database, "PRAGMA journal_mode") == [("wal",)]


def test_another_process_is_not_waited_for_for_ever(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrator, "BUSY_TIMEOUT_S", -1.0)
    with closing(sqlite3.connect(database)) as starter, closing(sqlite3.connect(database)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            migrator._log_ahead(starter)


def test_each_script_leaves_a_row_with_its_hash_and_time(folder: Path, database: Path) -> None:
    before = datetime.now(UTC)
    (migration,) = scripts(folder, FIRST)
    migrate(database, (migration,))
    (row,) = status(database, (migration,))
    assert (row.version, row.name, row.state) == (1, "0001_script", "applied")
    assert row.applied_at
    assert before - timedelta(seconds=1) <= row.applied_at <= datetime.now(UTC) + timedelta(seconds=1)
    assert query(database, "SELECT sha256 FROM migrations") == [(migration.sha256,)]


def test_semicolons_in_strings_comments_and_triggers_end_no_statement(folder: Path, database: Path) -> None:
    text = """-- a comment; with a semicolon
        CREATE TABLE note (text TEXT); /* BEGIN; another; */
        CREATE TRIGGER note_twice AFTER INSERT ON note WHEN NEW.text = 'a;b' BEGIN
          INSERT INTO note VALUES ('it''s; fine');
          INSERT INTO note VALUES ("COMMIT;");
        END;
        ; INSERT INTO note VALUES ('a;b'); -- the end; really
        -- and no semicolon here"""
    migrations = scripts(folder, text.replace('"', "'"))
    migrate(database, migrations)
    assert query(database, "SELECT text FROM note") == [("a;b",), ("it's; fine",), ("COMMIT;",)]


def test_a_table_can_be_rebuilt_without_losing_the_rows_that_refer_to_it(folder: Path, database: Path) -> None:
    owned = "CREATE TABLE second (id INTEGER REFERENCES first (id) ON DELETE CASCADE); INSERT INTO second VALUES (1);"
    rebuild = """
        CREATE TABLE better (id INTEGER PRIMARY KEY, name TEXT);
        INSERT INTO better (id) SELECT id FROM first;
        DROP TABLE first;
        ALTER TABLE better RENAME TO first;"""
    migrate(database, scripts(folder, FIRST, owned, rebuild))
    assert query(database, "SELECT id FROM second") == [(1,)]


def test_a_change_of_line_ends_or_of_the_name_is_no_edit(folder: Path, database: Path) -> None:
    migrate(database, scripts(folder, FIRST))
    (folder / "0001_script.sql").unlink()
    (folder / "0001_renamed.sql").write_bytes(FIRST.replace("\n", "\r\n").encode())
    assert migrate(database, load_migrations(folder)).applied == ()


def test_the_status_creates_and_changes_nothing(folder: Path, database: Path) -> None:
    migrations = scripts(folder, FIRST, SECOND)
    assert [(row.version, row.state, row.applied_at) for row in status(database, migrations)] == [
        (1, "pending", None),
        (2, "pending", None),
    ]
    assert not database.exists()
    migrate(database, migrations[:1])
    content = database.read_bytes()
    assert [row.state for row in status(database, migrations)] == ["applied", "pending"]
    assert database.read_bytes() == content


# The copy before


def test_a_database_with_data_is_copied_before_it_is_migrated(folder: Path, database: Path) -> None:
    first, second, third = scripts(folder, FIRST, SECOND, THIRD)
    migrate(database, (first,))
    change(database, "INSERT INTO first VALUES (7)")
    migrated = migrate(database, (first, second, third))
    assert migrated.applied == (second, third)
    assert migrated.backup
    assert backups(database) == [migrated.backup]
    assert migrated.backup.name.endswith(".before-migration")
    assert tables(migrated.backup) == {"migrations", "first"}
    assert query(migrated.backup, "SELECT id FROM first") == [(1,), (7,)]


def test_nothing_is_copied_when_nothing_is_pending(folder: Path, database: Path) -> None:
    migrations = scripts(folder, FIRST)
    migrate(database, migrations)
    assert migrate(database, migrations).backup is None
    assert backups(database) == []


def test_without_a_backup_nothing_is_migrated(folder: Path, database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = scripts(folder, FIRST, SECOND)
    migrate(database, (first,))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "link", full)
    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(MigrationRefused, match=r"Nothing was migrated, for want of a backup\. .*No space left"):
        migrate(database, (first, second))
    assert tables(database) == {"migrations", "first"}


# Scripts that fail


def test_a_script_that_fails_in_the_middle_leaves_nothing(folder: Path, database: Path) -> None:
    broken = (
        "CREATE TABLE half (id);\n\n-- the next line is wrong\nINSERT INTO nowhere VALUES (1);\nCREATE TABLE rest (id);"
    )
    first, second = scripts(folder, FIRST, broken)
    migrate(database, (first,))
    with pytest.raises(MigrationRefused, match="Migration 0002_script failed, line 4: no such table: nowhere"):
        migrate(database, (first, second))
    assert tables(database) == {"migrations", "first"}
    assert [row.state for row in status(database, (first, second))] == ["applied", "pending"]
    assert backups(database) == []


def test_after_a_failure_the_scripts_before_it_stay_and_so_does_the_backup(folder: Path, database: Path) -> None:
    first, second, third = scripts(folder, FIRST, SECOND, "INSERT INTO nowhere VALUES (1);")
    migrate(database, (first,))
    with pytest.raises(MigrationRefused, match="before is kept as") as refusal:
        migrate(database, (first, second, third))
    assert [row.state for row in status(database, (first, second, third))] == ["applied", "applied", "pending"]
    (backup,) = backups(database)
    assert str(backup) in str(refusal.value)
    assert tables(backup) == {"migrations", "first"}


def test_a_statement_that_ends_the_transaction_leaves_nothing_either(folder: Path, database: Path) -> None:
    with pytest.raises(MigrationRefused, match="line 2: UNIQUE constraint failed"):
        migrate(database, scripts(folder, FIRST, "CREATE TABLE half (id);\nINSERT OR ROLLBACK INTO first VALUES (1);"))
    assert tables(database) == {"migrations", "first"}


def test_a_script_may_not_leave_a_reference_to_nothing(folder: Path, database: Path) -> None:
    dangling = SECOND.replace("VALUES (1)", "VALUES (99)")
    with pytest.raises(MigrationRefused, match="a row of second refers to a row of first that does not exist"):
        migrate(database, scripts(folder, FIRST, dangling))
    assert tables(database) == {"migrations", "first"}


@pytest.mark.parametrize(
    "statement",
    ["BEGIN;", "begin immediate;", "COMMIT;", "END;", "End transaction;", "ROLLBACK;", "SAVEPOINT a;", "RELEASE a;"],
)
@pytest.mark.parametrize("blank", ["", "\n\t", "-- now\n", "/* now; */ ", "-- one\n/* two */--\n"])
def test_a_script_may_not_begin_or_end_a_transaction(folder: Path, blank: str, statement: str) -> None:
    with pytest.raises(MigrationRefused, match=r"^0001_script\.sql, line \d+: a migration is one transaction"):
        scripts(folder, f"{FIRST}{blank}{statement}")


@pytest.mark.parametrize(
    "text", ["CREATE TABLE a (b)", "SELECT 'open;", "CREATE TABLE a (b); /* open; ", "CREATE TABLE a (b);\nrest"]
)
def test_a_script_may_not_end_in_the_middle_of_a_statement(folder: Path, text: str) -> None:
    with pytest.raises(MigrationRefused, match=r"^0001_script\.sql: the last statement is not complete"):
        scripts(folder, text)


# Scripts and databases that do not fit


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        ([], "There are no migrations in"),
        (["0002_b.sql"], "Migration 0001 is missing before 0002_b"),
        (["0001_a.sql", "0003_c.sql"], "Migration 0002 is missing before 0003_c"),
        (["0000_z.sql", "0001_a.sql"], "0000_z.sql is badly named"),
        (["0001_a.sql", "0002_b.sql", "0002_c.sql"], "Two migrations have the number of 0002_c"),
        (["0001_a.sql", "2_b.sql"], "2_b.sql is badly named"),
        (["0001-a.sql"], "0001-a.sql is badly named"),
        (["0001_A.sql"], "0001_A.sql is badly named"),
        (["0001_a.SQL"], "0001_a.SQL is badly named"),
        (["0001_.sql"], "0001_.sql is badly named"),
        (["00001_a.sql"], "00001_a.sql is badly named"),
        (["\u0660\u0660\u0660\u0661_a.sql"], "is badly named"),
    ],
)
def test_the_names_of_scripts_are_checked(folder: Path, names: list[str], sentence: str) -> None:
    for name in names:
        (folder / name).write_text(FIRST)
    with pytest.raises(MigrationRefused, match=sentence):
        load_migrations(folder)


def test_a_folder_may_hold_other_things_than_scripts(folder: Path) -> None:
    (folder / "README.md").touch()
    assert len(scripts(folder, FIRST)) == 1


def refusal(database: Path, migrations: tuple[Migration, ...]) -> str:
    """Why the database is refused, which must stay as it is, and get no company but what its readers need."""
    content = database.read_bytes()
    with pytest.raises(MigrationRefused) as refused:
        migrate(database, migrations)
    assert database.read_bytes() == content
    assert {path.name.removeprefix("fairlist.db") for path in database.parent.iterdir()} <= {"", "-wal", "-shm"}
    return str(refused.value)


def test_an_edited_script_is_refused(folder: Path, database: Path) -> None:
    migrate(database, scripts(folder, FIRST))
    edited = scripts(folder, FIRST + "-- a remark\n", SECOND)
    assert "0001_script was changed after" in refusal(database, edited)
    assert "Restore the script as it was released" in refusal(database, edited)
    assert [row.state for row in status(database, edited)] == ["edited", "pending"]


def test_a_script_that_has_gone_missing_is_refused(folder: Path, database: Path) -> None:
    first, second, third = scripts(folder, FIRST, SECOND, THIRD)
    migrate(database, (first, second))
    assert "0002_script was applied to" in refusal(database, (first, third))
    assert "Install Fairlist afresh" in refusal(database, (first, third))
    assert [row.state for row in status(database, (first, third))] == ["applied", "missing", "pending"]


def test_a_database_newer_than_the_program_is_refused(folder: Path, database: Path) -> None:
    first, second = scripts(folder, FIRST, SECOND)
    migrate(database, (first, second))
    assert f"{database} is newer than this Fairlist" in refusal(database, (first,))
    assert "Install the newer version again" in refusal(database, (first,))
    assert [row.state for row in status(database, (first,))] == ["applied", "future"]


def test_a_database_that_skipped_a_script_is_refused(folder: Path, database: Path) -> None:
    migrations = scripts(folder, FIRST, SECOND, THIRD)
    migrate(database, migrations)
    change(database, "DELETE FROM migrations WHERE version = 2")
    assert "0002_script was never applied to" in refusal(database, migrations)
    assert [row.state for row in status(database, migrations)] == ["applied", "skipped", "applied"]


@pytest.mark.parametrize("content", [b"no", b"Once upon a time. " * 1000])
def test_a_file_that_is_no_database_is_refused(folder: Path, database: Path, content: bytes) -> None:
    database.write_bytes(content)
    migrations = scripts(folder, FIRST)
    assert refusal(database, migrations) == (
        f"{database} is not a SQLite database. Check the path, or move that file away."
    )
    with pytest.raises(MigrationRefused, match="is not a SQLite database"):
        status(database, migrations)


@pytest.mark.parametrize("table", ["recipes (id, text)", "migrations (id, applied)"])
def test_the_database_of_another_program_is_refused(folder: Path, database: Path, table: str) -> None:
    change(database, f"CREATE TABLE {table}")
    migrations = scripts(folder, FIRST)
    assert refusal(database, migrations) == (
        f"{database} belongs to another program. Give Fairlist a database of its own."
    )
    with pytest.raises(MigrationRefused, match="belongs to another program"):
        status(database, migrations)


def test_a_damaged_database_is_refused(folder: Path, database: Path) -> None:
    migrations = scripts(folder, FIRST)
    migrate(database, migrations)
    ((page,),) = query(database, "SELECT rootpage FROM sqlite_schema WHERE name = 'migrations'")
    assert isinstance(page, int)
    with database.open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(b"\xff" * 4096)
    assert "Restore a backup with `fairlist restore`" in refusal(database, migrations)


def test_a_database_of_which_one_byte_is_left_is_refused(folder: Path, database: Path) -> None:
    migrations = scripts(folder, FIRST)
    migrate(database, migrations)
    os.truncate(database, 1)
    assert refusal(database, migrations) == (
        f"{database} is damaged: it ends within its first page. Restore a backup with `fairlist restore`."
    )
    assert database.stat().st_size == 1


def test_an_emptied_database_does_not_lose_the_log_beside_it(folder: Path, database: Path) -> None:
    database.touch()
    log = database.with_name("fairlist.db-wal")
    log.write_bytes(b"changes")
    assert refusal(database, scripts(folder, FIRST)) == (
        f"{database} is empty, yet fairlist.db-wal beside it holds changes. Restore a backup with `fairlist restore`."
    )
    assert log.read_bytes() == b"changes"


@pytest.mark.parametrize("ending", ["", "-wal"])
def test_a_database_that_cannot_be_written_is_refused(
    folder: Path, database: Path, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    migrations = scripts(folder, FIRST)
    migrate(database, migrations)
    unwritable = database.with_name(database.name + ending)
    unwritable.touch()
    # What root hears of every file does not depend on permissions.
    monkeypatch.setattr(os, "access", lambda path, mode: path != unwritable or mode != os.W_OK)
    assert refusal(database, migrations) == (
        f"{unwritable} cannot be written. Check its permissions, and those of its folder."
    )


def test_a_table_of_migrations_that_holds_something_else_is_refused(folder: Path, database: Path) -> None:
    migrations = scripts(folder, FIRST)
    migrate(database, migrations)
    meddle(database, "UPDATE migrations SET applied_at = 'yesterday'")
    assert refusal(database, migrations) == (
        f"{database} is damaged: its table of migrations is. Restore a backup with `fairlist restore`."
    )


def test_a_database_in_use_is_refused(folder: Path, database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = scripts(folder, FIRST, SECOND)
    migrate(database, (first,))
    monkeypatch.setattr(migrator, "BUSY_TIMEOUT_S", 0)
    with closing(sqlite3.connect(database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(MigrationRefused, match="in use by another program"):
            migrate(database, (first, second))
    assert backups(database) == []


# Several processes, and the death of one


@pytest.mark.parametrize("attempt", range(3))
def test_two_processes_that_migrate_at_once_apply_each_script_once(folder: Path, database: Path, attempt: int) -> None:
    migrations = scripts(folder, FIRST, *["INSERT INTO first SELECT max(id) + 1 FROM first;"] * 29)
    code = """
import sys
from pathlib import Path
from webapp.storage.migrator import load_migrations, migrate
migrations = load_migrations(Path(sys.argv[2]))
print("ready", flush=True)
sys.stdin.readline()
print(*(migration.version for migration in migrate(Path(sys.argv[1]), migrations).applied))
"""
    starters = [child(code, database, folder) for _ in range(2)]
    for starter in starters:
        assert starter.stdout
        assert starter.stdout.readline() == "ready\n"
    for starter in starters:
        assert starter.stdin
        starter.stdin.write("go\n")
        starter.stdin.flush()
    applied = [int(version) for starter in starters for version in starter.communicate()[0].split()]
    assert [starter.returncode for starter in starters] == [0, 0]
    assert sorted(applied) == list(range(1, 31))
    assert [row.state for row in status(database, migrations)] == ["applied"] * 30
    assert query(database, "SELECT count(*) FROM first") == [(30,)]


def test_a_process_killed_in_the_middle_of_a_script_leaves_nothing_of_it(folder: Path, database: Path) -> None:
    migrate(database, scripts(folder, FIRST))
    scripts(folder, FIRST, FOREVER)
    code = """
import sys
from pathlib import Path
from webapp.storage.migrator import load_migrations, migrate
migrate(Path(sys.argv[1]), load_migrations(Path(sys.argv[2])))
"""
    log = database.with_name("fairlist.db-wal")
    with child(code, database, folder) as starter:
        # The script never ends; that its pages reach the log shows that it has begun.
        until(lambda: log.exists() and log.stat().st_size > 1_000_000)
        starter.send_signal(signal.SIGKILL)
        assert starter.wait() == -signal.SIGKILL
    migrations = scripts(folder, FIRST, SECOND)
    assert [row.state for row in status(database, migrations)] == ["applied", "pending"]
    assert tables(database) == {"migrations", "first"}
    assert [migration.version for migration in migrate(database, migrations).applied] == [2]
    assert query(database, "SELECT id FROM first") == [(1,)]
    assert query(database, "PRAGMA integrity_check") == [("ok",)]
    assert all(re.search("before-migration$", backup.name) for backup in backups(database))
