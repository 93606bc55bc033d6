"""A file system of a few megabytes, which a test fills up and turns read-only, whoever runs it.

It is a tmpfs in a mount namespace of its own. In a user namespace of his own, anybody may mount one.
"""

import errno
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from tests.server import SERVE, TIMEOUT_S, Server

PAGE_BYTES: Final = 4_096
MOUNT: Final = 'mount -t tmpfs -o size="$1",mode=0700 none "$2" && echo mounted && exec cat'
"""What keeps the namespace alive until its input ends, which it does with the process that runs the tests."""


class SmallDisk:
    """A small file system over a folder. It is there for what runs with the words `inside` in front of it alone."""

    def __init__(self, folder: Path, holder: "subprocess.Popen[bytes]") -> None:
        self.folder = folder
        self._holder = holder

    @property
    def inside(self) -> tuple[str, ...]:
        """The words that run a program where the file system is; its process stays its parent's."""
        return ("nsenter", "--target", str(self._holder.pid), "--user", "--mount", "--preserve-credentials")

    def seen(self, path: Path) -> Path:
        """A path of the file system, for who is outside."""
        return Path(f"/proc/{self._holder.pid}/root{path}")

    def server(self, folder: Path, program: Sequence[str] = SERVE) -> Server:
        """A server whose data folder is the file system."""
        server = _Server(folder, program=program, under=self.inside)
        assert server.data_dir == self.folder, "the file system is somewhere else"
        server.data_dir_seen = self.seen(self.folder)
        return server

    def fill(self, pages_left: int = 0) -> None:
        """Leave no room but so many pages."""
        with self._ballast.open("ab", buffering=0) as file:
            try:
                while file.write(bytes(PAGE_BYTES)):
                    pass
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
            file.truncate(file.tell() - pages_left * PAGE_BYTES)

    def make_room(self) -> None:
        """Give back what has been taken."""
        self._ballast.unlink()

    def remount(self, how: str) -> None:
        """Turn it read-only, `ro`, or back, `rw`. No kernel does that while a file is open that may be written."""
        subprocess.run([*self.inside, "mount", "-o", f"remount,bind,{how}", str(self.folder)], check=True)

    @property
    def _ballast(self) -> Path:
        return self.seen(self.folder / "ballast")


class _Server(Server):
    """A server whose files are found under another name."""

    data_dir_seen: Path

    def verify(self) -> None:
        """Raises AssertionError if `verify`, run where the files are, finds anything wrong."""
        found = self.run("verify")
        assert found.returncode == 0, found.stderr

    def query(self, statement: str, *parameters: object) -> list[Any]:
        """What a copy of the database says, while nothing is written. SQLite looks through links to another place."""
        with TemporaryDirectory(dir=self.folder) as folder:
            copy = Path(folder) / self.database.name
            for end in ("", "-wal"):
                with suppress(FileNotFoundError):
                    shutil.copy(self.data_dir_seen / (copy.name + end), folder)
            with closing(sqlite3.connect(copy)) as connection:
                return connection.execute(statement, parameters).fetchall()


@contextmanager
def small_disk(folder: Path, mebibytes: int) -> Iterator[SmallDisk]:
    """A small file system over a folder, while it lasts.

    Raises AssertionError where nobody may mount one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    words = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", MOUNT, "sh", f"{mebibytes}m", str(folder)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as holder:
        assert holder.stdin
        assert holder.stdout
        assert holder.stderr
        try:
            if holder.stdout.readline() != b"mounted\n":
                said = holder.stderr.read().decode(errors="replace").strip()
                raise AssertionError(
                    f"no file system can be mounted for the test: {said}. Who runs the tests must be allowed to make a "
                    "user namespace: see user_namespaces(7), and kernel.unprivileged_userns_clone, "
                    "kernel.apparmor_restrict_unprivileged_userns and user.max_user_namespaces of sysctl."
                )
            yield SmallDisk(folder, holder)
        finally:
            holder.stdin.close()
            holder.wait(TIMEOUT_S)
