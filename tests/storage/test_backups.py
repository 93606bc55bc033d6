"""A copy is whole or not there, and a restored database takes nothing away."""

import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from webapp.storage import backups
from webapp.storage.backups import BackupFailed, copy_database, read_only, restore_database

ROOT = Path(__file__).parents[2]
SIDE_FILES = ("-wal", "-shm", "-journal")

COPY = """
import sys
from pathlib import Path
from webapp.storage.backups import BackupFailed, copy_database, restore_database
source, destination = map(Path, sys.argv[1:3])
"""


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A database that nobody has open, with one note: the first."""
    (tmp_path / "data").mkdir()
    return created(tmp_path / "data" / "fairlist.db", "first")


@pytest.fixture
def destination(tmp_path: Path) -> Path:
    (tmp_path / "backups").mkdir()
    return tmp_path / "backups" / "copy.db"


def created(database: Path, *notes: str) -> Path:
    with closing(connect(database)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE migrations (version)")
        connection.execute("CREATE TABLE note (text)")
        connection.execute("CREATE TABLE twin (text)")
        for note in notes:
            write(connection, note)
    return database


def connect(database: Path) -> sqlite3.Connection:
    return sqlite3.connect(database, isolation_level=None)


def write(connection: sqlite3.Connection, note: str) -> None:
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("INSERT INTO note VALUES (?)", (note,))
    connection.execute("INSERT INTO twin VALUES (?)", (note,))
    connection.execute("COMMIT")


def notes(database: Path) -> list[str]:
    """What a database holds, read in a way that changes nothing beside it, so that it must stand alone."""
    with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return [text for (text,) in connection.execute("SELECT text FROM note ORDER BY rowid")]


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def run(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", COPY + code, *map(str, arguments)], cwd=ROOT, capture_output=True, text=True, check=False
    )


def leave_changes_beside(database: Path, note: str) -> None:
    """Add a note as a process does that is killed then: it is in the -wal file and not in the database."""
    code = """
import os, signal, sqlite3
connection = sqlite3.connect(source, isolation_level=None)
connection.execute("INSERT INTO note VALUES (?)", (sys.argv[2],))
os.kill(os.getpid(), signal.SIGKILL)
"""
    assert run(code, database, note).returncode == -signal.SIGKILL
    assert note not in notes(database)


# What is copied


def test_a_copy_holds_what_is_committed_and_nothing_else(database: Path, destination: Path) -> None:
    with closing(connect(database)) as server:
        write(server, "committed")
        server.execute("BEGIN IMMEDIATE")
        server.execute("INSERT INTO note VALUES ('not committed')")
        copy_database(database, destination)
        server.execute("COMMIT")
        write(server, "later")
    assert notes(destination) == ["first", "committed"]


def test_a_copy_made_under_steady_writing_is_one_state_of_the_database(database: Path, destination: Path) -> None:
    code = """
import sqlite3
connection = sqlite3.connect(source, isolation_level=None)
number = 0
while True:
    number += 1
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("INSERT INTO note VALUES (?)", (number,))
    connection.execute("INSERT INTO twin VALUES (?)", (number,))
    connection.execute("COMMIT")
    if number % 100 == 0:
        print(number, flush=True)
"""
    sizes = []
    with subprocess.Popen(
        [sys.executable, "-c", COPY + code, str(database), ""], cwd=ROOT, stdout=subprocess.PIPE
    ) as writer:
        assert writer.stdout
        for number in range(5):
            writer.stdout.readline()  # a hundred more
            copy = destination.with_name(f"{number}.db")
            copy_database(database, copy)
            sizes.append(len(notes(copy)))
            with closing(connect(copy)) as connection:
                assert connection.execute("SELECT * FROM note EXCEPT SELECT * FROM twin").fetchall() == []
                assert connection.execute("SELECT * FROM twin EXCEPT SELECT * FROM note").fetchall() == []
        writer.kill()
    assert sizes == sorted(set(sizes))
    assert sizes[0] > 100


def test_a_copy_has_the_changes_that_a_killed_process_left_beside_the_database(
    database: Path, destination: Path
) -> None:
    leave_changes_beside(database, "survivor")
    database.with_name("fairlist.db-shm").unlink()
    copy_database(database, destination)
    assert notes(destination) == ["first", "survivor"]


def test_a_copy_is_one_private_file_that_needs_none_beside_it(database: Path, destination: Path) -> None:
    umask = os.umask(0)
    try:
        copy_database(database, destination)
    finally:
        os.umask(umask)
    assert destination.stat().st_mode & 0o777 == 0o600
    with closing(read_only(destination)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchall() == [("delete",)]
        assert names(destination.parent) == {"copy.db"}


def test_copying_does_not_change_the_database(database: Path, destination: Path) -> None:
    leave_changes_beside(database, "survivor")
    log = database.with_name("fairlist.db-wal")
    content = database.read_bytes(), log.read_bytes()
    copy_database(database, destination)
    assert (database.read_bytes(), log.read_bytes()) == content


def test_a_name_that_means_something_in_a_uri_is_just_a_name(database: Path, destination: Path) -> None:
    odd = database.rename(database.with_name("50% off?mode=memory#1.db"))
    copy_database(odd, destination)
    assert notes(destination) == ["first"]


@pytest.fixture
def readable_folder() -> Iterator[Path]:
    """A folder that others may read and nobody but root may write; it lies where everybody can reach it."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        folder = Path(name) / "data"
        folder.mkdir()
        yield folder
        folder.chmod(0o755)


def copy_without_rights(database: Path) -> tuple[list[str], str]:
    """The notes of a copy made by a process that may not write beside the database, and what it said."""
    code = """
import os
if os.geteuid() == 0:
    os.seteuid(65534)
try:
    copy_database(source, destination)
except BackupFailed as failure:
    print(failure)
"""
    for path in database.parent.iterdir():
        path.chmod(0o644)
    database.parent.chmod(0o555)
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        copy = Path(folder) / "copy.db"
        said = run(code, database, copy).stdout
        return (notes(copy) if copy.exists() else []), said


def test_a_database_at_rest_is_copied_from_a_folder_that_cannot_be_written(readable_folder: Path) -> None:
    database = created(readable_folder / "fairlist.db", "first")
    assert copy_without_rights(database) == (["first"], "")


def test_a_served_database_is_copied_from_a_folder_that_cannot_be_written(readable_folder: Path) -> None:
    database = created(readable_folder / "fairlist.db", "first")
    with closing(connect(database)) as server:
        write(server, "second")
        assert copy_without_rights(database) == (["first", "second"], "")


def test_no_copy_is_made_that_would_lack_what_lies_beside_the_database(readable_folder: Path) -> None:
    database = created(readable_folder / "fairlist.db", "first")
    leave_changes_beside(database, "survivor")
    database.with_name("fairlist.db-shm").unlink()
    copied, said = copy_without_rights(database)
    assert copied == []
    assert "unable to open database file" in said


# What stands in the way


def test_a_copy_never_takes_the_place_of_a_file(database: Path, destination: Path) -> None:
    destination.write_text("precious")
    with pytest.raises(BackupFailed, match=r"copy\.db exists already\. Choose a name that is free"):
        copy_database(database, destination)
    assert destination.read_text() == "precious"
    assert names(destination.parent) == {"copy.db"}


def test_a_name_that_is_taken_is_refused_before_anything_is_copied(database: Path, destination: Path) -> None:
    destination.write_text("precious")
    with pytest.raises(BackupFailed, match="exists already"):
        copy_database(database.with_name("missing.db"), destination)


def test_a_copy_never_takes_the_place_of_a_link_that_leads_nowhere(database: Path, destination: Path) -> None:
    destination.symlink_to("nowhere")
    with pytest.raises(BackupFailed, match="exists already"):
        copy_database(database, destination)
    assert names(destination.parent) == {"copy.db"}


@pytest.mark.parametrize("links", [True, False])
def test_a_copy_never_takes_the_place_of_a_file_that_appears_meanwhile(
    database: Path, destination: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    link = os.link

    def just_too_late(copy: Path, name: Path) -> None:
        destination.write_text("precious")
        if not links:
            raise PermissionError(1, "Operation not permitted")
        link(copy, name)

    monkeypatch.setattr(os, "link", just_too_late)
    with pytest.raises(BackupFailed, match="exists"):
        copy_database(database, destination)
    assert destination.read_text() == "precious"
    assert names(destination.parent) == {"copy.db"}


def test_a_copy_needs_no_links(database: Path, destination: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    copy_database(database, destination)
    assert notes(destination) == ["first"]
    assert destination.stat().st_mode & 0o777 == 0o600
    assert names(destination.parent) == {"copy.db"}


def test_a_copy_is_on_disk_before_it_has_its_name(
    database: Path, destination: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[tuple[str, int]] = []
    fsync, link = os.fsync, os.link

    def recorded_fsync(descriptor: int) -> None:
        steps.append(("sync", os.fstat(descriptor).st_ino))
        fsync(descriptor)

    def recorded_link(copy: Path, name: Path) -> None:
        steps.append(("name", copy.stat().st_ino))
        link(copy, name)

    monkeypatch.setattr(os, "fsync", recorded_fsync)
    monkeypatch.setattr(os, "link", recorded_link)
    copy_database(database, destination)
    copy, folder = destination.stat().st_ino, destination.parent.stat().st_ino
    assert steps == [("sync", copy), ("name", copy), ("sync", folder)]


def test_a_full_disk_leaves_no_half_file(database: Path, destination: Path) -> None:
    with closing(connect(database)) as connection:
        write(connection, "x" * 1_000_000)
    code = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, 500_000))
try:
    copy_database(source, destination)
except BackupFailed as failure:
    print(failure)
"""
    result = run(code, database, destination)
    assert "Check that it exists, its permissions, and the free disk space." in result.stdout
    assert names(destination.parent) == set()


@pytest.mark.parametrize("content", [None, b"Once upon a time. " * 1000])
def test_what_is_no_database_is_not_copied(database: Path, destination: Path, content: bytes | None) -> None:
    database.unlink()
    if content:
        database.write_bytes(content)
    with pytest.raises(BackupFailed, match="is not a SQLite database" if content else "unable to open database file"):
        copy_database(database, destination)
    assert names(destination.parent) == set()
    assert database.exists() == bool(content)


@pytest.mark.parametrize("damage", [b"\xff" * 4096, b"\x0d" + bytes(4095)])
def test_a_damaged_database_is_not_copied(database: Path, destination: Path, damage: bytes) -> None:
    with closing(connect(database)) as connection:
        connection.execute("CREATE INDEX note_text ON note (text)")
        ((page,),) = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'note'").fetchall()
    with database.open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(damage)
    with pytest.raises(BackupFailed, match="is damaged"):
        copy_database(database, destination)
    assert names(destination.parent) == set()


def test_a_database_whose_schema_is_not_text_is_not_copied(database: Path, destination: Path) -> None:
    content = database.read_bytes()
    database.write_bytes(content.replace(b"CREATE TABLE", b"CREATE T\xff\xfeLE"))
    with pytest.raises(BackupFailed, match=r"is damaged: .* Restore a backup with `fairlist restore`"):
        copy_database(database, destination)
    assert names(destination.parent) == set()


def test_a_copy_into_a_folder_that_does_not_exist_says_so(database: Path, destination: Path) -> None:
    with pytest.raises(BackupFailed, match=r"nowhere.*: No such file or directory"):
        copy_database(database, destination.parent / "nowhere" / "copy.db")


def test_a_database_that_is_locked_for_good_is_not_waited_for_for_ever(
    database: Path, destination: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backups, "BUSY_TIMEOUT_S", 0)
    with closing(connect(database)) as other:
        other.execute("PRAGMA journal_mode = DELETE")
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(BackupFailed, match="in use by another program"):
            copy_database(database, destination)


# What is restored


@pytest.fixture
def backup(destination: Path) -> Path:
    return created(destination, "from the backup")


def test_a_restored_database_is_the_backup_and_the_one_before_is_kept(database: Path, backup: Path) -> None:
    aside = restore_database(backup, database)
    assert aside
    assert names(database.parent) == {"fairlist.db", aside.name}
    assert aside.name.startswith("fairlist.db.20")
    assert aside.name.endswith(".before-restore")
    assert (notes(database), notes(aside)) == (["from the backup"], ["first"])
    assert notes(backup) == ["from the backup"]
    assert database.stat().st_mode & 0o777 == 0o600
    assert database.stat().st_nlink == aside.stat().st_nlink == 1


def test_what_a_killed_server_left_beside_its_database_is_kept_with_it(database: Path, backup: Path) -> None:
    leave_changes_beside(database, "survivor")
    aside = restore_database(backup, database)
    assert aside
    assert names(database.parent) == {"fairlist.db", aside.name}
    assert (notes(database), notes(aside)) == (["from the backup"], ["first", "survivor"])


def test_a_damaged_database_is_set_aside_byte_for_byte(database: Path, backup: Path) -> None:
    leave_changes_beside(database, "survivor")
    with database.open("r+b") as file:
        file.write(b"\xff" * 4096)
    log = database.with_name("fairlist.db-wal")
    log.write_bytes(log.read_bytes()[:-1] + b"\xff")
    content = database.read_bytes(), log.read_bytes()
    aside = restore_database(backup, database)
    assert aside
    assert (aside.read_bytes(), aside.with_name(aside.name + "-wal").read_bytes()) == content
    assert notes(database) == ["from the backup"]
    assert not any(database.with_name(database.name + end).exists() for end in SIDE_FILES)


def test_a_lost_database_is_restored_without_what_was_left_beside_it(database: Path, backup: Path) -> None:
    leave_changes_beside(database, "survivor")
    database.unlink()
    log = database.with_name("fairlist.db-wal").read_bytes()
    assert restore_database(backup, database) is None
    assert notes(database) == ["from the backup"]
    assert not any(database.with_name(database.name + end).exists() for end in SIDE_FILES)
    assert [path.read_bytes() for path in database.parent.glob("*.before-restore-wal")] == [log]


def test_a_database_is_restored_into_an_empty_folder(database: Path, backup: Path) -> None:
    database.unlink()
    assert restore_database(backup, database) is None
    assert names(database.parent) == {"fairlist.db"}
    assert notes(database) == ["from the backup"]


def test_a_link_to_the_database_still_leads_to_it(database: Path, backup: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.db"
    link.symlink_to(database)
    aside = restore_database(backup, link)
    assert aside
    assert aside.parent == database.parent
    assert link.is_symlink()
    assert notes(database) == ["from the backup"]


@pytest.mark.parametrize("content", [None, b"", b"Once upon a time. " * 1000])
def test_what_is_no_backup_is_not_restored(database: Path, backup: Path, content: bytes | None) -> None:
    backup.unlink()
    if content is not None:
        backup.write_bytes(content)
    with pytest.raises(BackupFailed):
        restore_database(backup, database)
    assert names(database.parent) == {"fairlist.db"}
    assert notes(database) == ["first"]


def test_the_database_of_another_program_is_not_restored(database: Path, backup: Path) -> None:
    with closing(connect(backup)) as connection:
        connection.execute("DROP TABLE migrations")
    with pytest.raises(BackupFailed, match="is not a database of Fairlist"):
        restore_database(backup, database)
    assert names(database.parent) == {"fairlist.db"}


def test_nothing_is_restored_while_the_database_is_read(database: Path, backup: Path) -> None:
    with closing(read_only(database)), pytest.raises(BackupFailed, match="in use by another program"):
        restore_database(backup, database)
    assert notes(database) == ["first"]


def test_each_step_of_a_restore_is_on_disk_before_the_next(
    database: Path, backup: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave_changes_beside(database, "survivor")
    with database.open("r+b") as file:
        file.write(b"\xff" * 100)  # so that the -wal file cannot be folded in, and must go
    steps: list[str] = []
    fsync, link, unlink, replace = os.fsync, os.link, os.unlink, os.replace

    def recorded_fsync(descriptor: int) -> None:
        if os.fstat(descriptor).st_ino == database.parent.stat().st_ino:
            steps.append("sync")
        fsync(descriptor)

    def recorded_link(old: Path, new: Path) -> None:
        steps.append("set aside")
        link(old, new)

    def recorded_unlink(path: Path, *, dir_fd: int | None = None) -> None:
        if dir_fd is None:
            steps.append("drop")
        unlink(path, dir_fd=dir_fd)

    def recorded_replace(old: Path, new: Path) -> None:
        steps.append("put in place")
        replace(old, new)

    monkeypatch.setattr(os, "fsync", recorded_fsync)
    monkeypatch.setattr(os, "link", recorded_link)
    monkeypatch.setattr(os, "unlink", recorded_unlink)
    monkeypatch.setattr(os, "replace", recorded_replace)
    restore_database(backup, database)
    changes = [step for step, before in zip(steps, ["", *steps], strict=False) if step != before]
    assert changes == ["set aside", "sync", "drop", "sync", "put in place", "sync"]


def test_a_restore_never_takes_the_place_of_an_earlier_database_set_aside(
    database: Path, backup: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    earlier = restore_database(backup, database)
    assert earlier
    monkeypatch.setattr(backups, "moment", lambda: earlier.name.split(".")[2] + "." + earlier.name.split(".")[3])
    with pytest.raises(BackupFailed, match="File exists"):
        restore_database(backup, database)
    assert notes(earlier) == ["first"]
    assert names(database.parent) == {"fairlist.db", earlier.name}


def test_a_restore_that_fails_at_its_last_step_leaves_everything_where_it_was(
    database: Path, backup: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave_changes_beside(database, "survivor")
    with database.open("r+b") as file:
        file.write(b"\xff" * 100)  # so that the -wal file cannot be folded in, and is set aside
    before = durable(database.parent)

    def refuse(*_: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(BackupFailed, match="Input/output error"):
        restore_database(backup, database)
    assert durable(database.parent) == before


def durable(folder: Path) -> dict[str, bytes]:
    """Every file and what it holds, except what SQLite makes anew from the others."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if not path.name.endswith("-shm")}


@pytest.mark.parametrize("end", ["killed", "failing"])
@pytest.mark.parametrize("damaged", [False, True])
def test_wherever_a_restore_stops_nothing_is_lost(database: Path, backup: Path, end: str, damaged: bool) -> None:
    """The process is killed before, or gets an error from, the first, second, … step that touches a file."""
    code = """
import os, signal
steps, fails_at = 0, int(sys.argv[3])
def stop(event, arguments):
    global steps
    if event in ("os.link", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "sqlite3.connect"):
        steps += 1
        if steps == fails_at:
            if sys.argv[4] == "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            raise OSError(5, "Input/output error")
sys.addaudithook(stop)
try:
    restore_database(source, destination)
except BackupFailed as failure:
    sys.exit(3)
"""
    outcomes = []
    for step in range(1, 100):
        folder = database.parent / str(step)
        folder.mkdir()
        victim = created(folder / "fairlist.db", "first")
        leave_changes_beside(victim, "survivor")
        if damaged:
            with victim.open("r+b") as file:
                file.write(b"\xff" * 100)
        before = {victim.read_bytes(), victim.with_name("fairlist.db-wal").read_bytes()}
        outcomes.append(run(code, backup, victim, step, end).returncode)
        assert victim.exists()
        if damaged:
            kept = {path.read_bytes() for path in folder.iterdir() if path.is_file()}
            assert before <= kept
        else:
            found = [everything(path) for path in folder.glob("fairlist.db*") if path.name.endswith(("db", "restore"))]
            assert ["first", "survivor"] in found
        if everything(victim) == ["from the backup"]:
            assert not any(victim.with_name(victim.name + side).exists() for side in SIDE_FILES)
        if outcomes[-1] == 3:
            assert names(folder) <= {"fairlist.db", "fairlist.db-wal", "fairlist.db-shm"}
            assert everything(victim) == ([] if damaged else ["first", "survivor"])
        if outcomes[-1] == 0:
            break
    assert len(outcomes) > 8
    assert set(outcomes[:-1]) == {-signal.SIGKILL if end == "killed" else 3}


def everything(database: Path) -> list[str]:
    """What a database holds together with the files beside it; nothing if it cannot be read."""
    with tempfile.TemporaryDirectory() as folder:
        for path in database.parent.glob(f"{database.name}*"):
            if path.name.removeprefix(database.name) in ("", *SIDE_FILES):
                (Path(folder) / path.name).write_bytes(path.read_bytes())
        try:
            with closing(connect(Path(folder) / database.name)) as connection:
                return [text for (text,) in connection.execute("SELECT text FROM note ORDER BY rowid")]
        except sqlite3.DatabaseError:
            return []
