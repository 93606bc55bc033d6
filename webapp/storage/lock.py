"""Keeps a second server away from a database, for as long as the process that holds the lock lives.

The kernel drops the lock with the process, however it ends, so nobody ever removes a stale one by hand.
The lock file stays: deleting it would let two processes lock two files of one name.
"""

import fcntl
import os
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from webapp.paths import named_in_errors


class DatabaseLocked(Exception):
    """Another process holds the database: `pid`, and `since` when, where its lock file says so."""

    def __init__(self, database: Path, pid: int | None, since: datetime | None) -> None:
        holder = f"process {pid} (since {since:%Y-%m-%d %H:%M:%S} UTC)" if pid and since else "another process"
        super().__init__(f"{database} is in use by {holder}. Stop it first, or choose another data folder.")
        self.pid = pid
        self.since = since


class DatabaseLock:
    """The right to serve or replace one database, however its path is spelled; child processes do not share it."""

    def __init__(self, database: Path) -> None:
        self._database = database.resolve()
        self._descriptor: int | None = None

    @property
    def path(self) -> Path:
        """The lock file, beside the database."""
        return self._database.with_name(self._database.name + ".lock")

    def acquire(self) -> None:
        """Take the lock at once, or not at all.

        Raises DatabaseLocked, OSError.
        """
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            with named_in_errors(self.path):
                self._lock(descriptor)
                _sign(descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor
        os.register_at_fork(after_in_child=self.release)

    def release(self) -> None:
        """Give the lock back; in a forked child, give up its share of the lock and leave the parent's alone."""
        if self._descriptor is not None:
            # Closing, not LOCK_UN: that would unlock for every process that shares the descriptor.
            os.close(self._descriptor)
            self._descriptor = None

    def _lock(self, descriptor: int) -> None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DatabaseLocked(self._database, *_signature(descriptor)) from error

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def _sign(descriptor: int) -> None:
    line = f"{os.getpid()} {datetime.now(UTC).isoformat(timespec='seconds')}\n".encode()
    os.pwrite(descriptor, line, 0)
    os.ftruncate(descriptor, len(line))  # last, so that nobody finds the file empty


def _signature(descriptor: int) -> tuple[int | None, datetime | None]:
    """Process id and start of the holder; nothing where the file is unsigned yet, or says something else."""
    try:
        pid, since = os.pread(descriptor, 100, 0).decode().split()
        return int(pid), datetime.fromisoformat(since)
    except ValueError:
        return None, None
