"""One process has a database at a time, and the others are told which."""

import fcntl
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from webapp.storage.lock import DatabaseLock, DatabaseLocked

HOLDER = """
import subprocess, sys, time
from pathlib import Path
from webapp.storage.lock import DatabaseLock
DatabaseLock(Path(sys.argv[1])).acquire()
"""


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "fairlist.db"


def is_free(database: Path) -> bool:
    try:
        with DatabaseLock(database):
            return True
    except DatabaseLocked:
        return False


def holder(database: Path, then: str) -> subprocess.Popen[str]:
    """A process that takes the lock, does what `then` says, and has said so when this returns."""
    process = subprocess.Popen(
        [sys.executable, "-c", f"{HOLDER}\n{then}", str(database)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    return process


def test_a_second_process_is_refused_and_told_who_holds_the_database(database: Path) -> None:
    before = datetime.now(UTC) - timedelta(seconds=1)  # the lock file leaves fractions out
    with holder(database, "print('ready', flush=True); sys.stdin.read()") as process:
        with pytest.raises(DatabaseLocked) as refusal:
            DatabaseLock(database).acquire()
        process.communicate()
    assert refusal.value.pid == process.pid
    assert refusal.value.since
    assert before <= refusal.value.since <= datetime.now(UTC)
    assert str(refusal.value).startswith(f"{database} is in use by process {process.pid} (since 20")
    assert is_free(database)


def test_the_lock_of_a_killed_process_is_free_at_once(database: Path) -> None:
    with holder(database, "print('ready', flush=True); sys.stdin.read()") as process:
        process.kill()
        process.wait()
        assert is_free(database)


def test_a_program_that_the_holder_started_does_not_keep_the_lock(database: Path) -> None:
    then = "subprocess.Popen(['cat'], close_fds=False); print('ready', flush=True)"
    with holder(database, then) as process:
        process.wait()
        assert is_free(database)
        process.communicate()  # only now does its child end


def test_a_fork_of_the_holder_does_not_keep_the_lock(database: Path) -> None:
    then = "import os\nif not os.fork(): print('ready', flush=True); sys.stdin.read()"
    with holder(database, then) as process:
        process.wait()
        assert is_free(database)
        process.communicate()


def test_a_fork_that_ends_leaves_its_parent_the_lock(database: Path) -> None:
    then = "import os\npid = os.fork()\nif pid: os.wait(); print('ready', flush=True); sys.stdin.read()"
    with holder(database, then) as process:
        assert not is_free(database)
        process.communicate()


def test_a_lock_is_free_after_its_block_even_after_an_error(database: Path) -> None:
    with DatabaseLock(database):
        assert not is_free(database)
    assert is_free(database)
    with pytest.raises(ZeroDivisionError), DatabaseLock(database):
        raise ZeroDivisionError
    assert is_free(database)


def test_a_lock_that_was_given_back_cannot_be_given_back_once_more(database: Path) -> None:
    lock, next_one = DatabaseLock(database), DatabaseLock(database)
    lock.acquire()
    lock.release()
    with next_one:  # whose file may well have the number of the first one's
        lock.release()
        assert not is_free(database)


def test_another_name_of_the_database_has_the_same_lock(database: Path) -> None:
    alias = database.with_name("alias.db")
    alias.symlink_to(database)
    with DatabaseLock(alias):
        assert not is_free(database)


def test_two_databases_in_one_folder_have_two_locks(database: Path) -> None:
    with DatabaseLock(database):
        assert is_free(database.with_name("other.db"))


def test_the_lock_file_is_private_signed_and_stays(database: Path) -> None:
    lock = DatabaseLock(database)
    umask = os.umask(0)
    try:
        lock.acquire()
        lock.release()
    finally:
        os.umask(umask)
    assert lock.path == database.with_name("fairlist.db.lock")
    assert lock.path.stat().st_mode & 0o777 == 0o600
    pid, since = lock.path.read_text().split()
    assert int(pid) == os.getpid()
    assert datetime.fromisoformat(since).tzinfo is not None


@pytest.mark.parametrize("text", ["", "somebody", "one two", "1 2 3", "\0" * 200, "x" * 200])
def test_a_holder_that_did_not_sign_is_another_process(database: Path, text: str) -> None:
    lock = DatabaseLock(database)
    lock.path.write_text(text)
    with lock.path.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(DatabaseLocked, match="in use by another process") as refusal:
            lock.acquire()
    assert (refusal.value.pid, refusal.value.since) == (None, None)


def test_the_signature_of_an_earlier_holder_is_replaced_whole(database: Path) -> None:
    lock = DatabaseLock(database)
    lock.path.write_text("4194304 2001-01-01T00:00:00+00:00 and something longer behind it\n")
    with lock:
        assert lock.path.read_text().split()[0] == str(os.getpid())
        assert len(lock.path.read_text().split()) == 2


def test_a_refused_lock_leaves_no_file_open(database: Path) -> None:
    with DatabaseLock(database):
        open_files = len(list(Path("/proc/self/fd").iterdir()))
        assert not is_free(database)
        assert len(list(Path("/proc/self/fd").iterdir())) == open_files
