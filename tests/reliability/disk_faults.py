"""Calls of a process to its disk that fail, or take long, though nothing is wrong with the disk: strace sees to that.

A call is known by its name, the file that it is about, and how many of the same kind its thread has made before.
"""

import re
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, NamedTuple

from tests.reliability.disk_trace import TIMEOUT_S

Kind = Literal["EIO", "ENOSPC", "busy", "delay"]
KINDS: Final[tuple[Kind, ...]] = ("EIO", "ENOSPC", "busy", "delay")
DELAY_S: Final = 0.2
CALLS: Final = (
    "fallocate", "fcntl", "fdatasync", "fsync", "ftruncate", "openat", "pread64", "pwrite64", "rename", "unlink",
)  # fmt: skip
ABOUT: Final = ("fairlist.db", "fairlist.db-journal", "fairlist.db-shm", "fairlist.db-wal", "fairlist.db.lock",
                "password", "secret", "")  # fmt: skip
"""Files in the data folder, which is the last; those with names that chance makes are not to be found again."""


class DiskCall(NamedTuple):
    """The `number`th call of this name about this file by one thread, counted from 1."""

    name: str
    file: str
    number: int


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens to a call instead."""

    kind: Kind
    call: DiskCall

    @property
    def injection(self) -> str:
        """The words for strace."""
        what = f"delay_enter={round(DELAY_S * 1e6)}" if self.kind == "delay" else f"error={ERRORS[self.kind]}"
        return f"{self.call.name}:{what}:when={self.call.number}"

    @property
    def must_heal(self) -> bool:
        """Whether a running server has to get over it: a write that failed was not made, a lock can be had later."""
        return self.kind in ("busy", "delay") or self.call.name == "pwrite64"


UNLOCKING: Final = "l_type=F_UNLCK"
"""What no kernel refuses: a process that is told so goes on in the belief that it has the lock."""

ERRORS: Final = {"EIO": "EIO", "ENOSPC": "ENOSPC", "busy": "EAGAIN"}


def possible_faults(calls: Sequence[DiskCall], calls_max: int) -> list[Fault]:
    """All the faults that there are of so many calls from the first on, no two the same.

    Any call may fail, or take long. A lock may be somebody else's; as many locks are looked at as other calls. Those of
    several threads are told apart by nothing.
    """
    calls = list(dict.fromkeys(calls))
    locks = [call for call in calls if call.name == "fcntl"]
    return [
        *(Fault(kind, call) for call in calls[:calls_max] for kind in KINDS if kind != "busy"),
        *(Fault("busy", call) for call in locks[:calls_max]),
    ]


def under_faults(trace: Path, data_dir: Path, injections: Sequence[str], about: Sequence[str] = ABOUT) -> list[str]:
    """The words that run a program so that some of its calls fail; its process stays its parent's."""
    return ["strace", "-D", "-f", *_options(trace, data_dir, injections, about)]


@contextmanager
def faults(thread: int, trace: Path, data_dir: Path, *injections: str, about: Sequence[str] = ABOUT) -> Iterator[None]:
    """While it lasts, some calls of one thread fail; counted from now on."""
    trace.unlink(missing_ok=True)
    with _attached([*_options(trace, data_dir, injections, about), "-p", str(thread)]):
        yield


@contextmanager
def _attached(options: Sequence[str]) -> Iterator[None]:
    with subprocess.Popen(["strace", *options], stderr=subprocess.PIPE) as strace:
        assert strace.stderr
        said = strace.stderr.readline()
        assert b"attached" in said, said
        try:
            yield
        finally:
            with suppress(ProcessLookupError):
                strace.terminate()
            strace.stderr.read()
            strace.wait(TIMEOUT_S)


def has_struck(trace: Path) -> bool:
    """Whether a fault has struck a call that may fail: a lock is given back whatever strace says."""
    found = struck(trace)
    return bool(found) and UNLOCKING not in found[0]


def struck(trace: Path) -> list[str]:
    """The calls that did not go as they should, as strace tells them, without those that have not returned."""
    told = trace.read_text(errors="replace") if trace.exists() else ""
    return [line for line in told.splitlines() if line.endswith(("(INJECTED)", "(DELAYED)"))]


def writing_thread(process: int, trace: Path, data_dir: Path, write: Callable[[], object]) -> int:
    """The thread that syncs what `write` has the process write."""
    options = _options(trace, data_dir, (), ABOUT)
    with _attached(["-f", *options, "-p", str(process)]):
        write()
    found = re.search(r"^(\d+) +fdatasync", trace.read_text(errors="replace"), re.MULTILINE)
    assert found, "nothing was synced"
    return int(found[1])


def disk_calls(trace: Path, data_dir: Path) -> list[DiskCall]:
    """The calls about files in a data folder, in the order in which they began, without those that give locks back."""
    made = Counter[tuple[str, str, str]]()
    calls = []
    for line in trace.read_text(errors="replace").splitlines():
        if not (call := re.match(r"(\d+ +)?(\w+)\((.*)", line)) or call[2] not in CALLS:
            continue
        paths = [Path(path) for path in re.findall(r'[<"](/[^>"]*)[>"]', call[3].partition(" = ")[0])]
        names = [str(path.relative_to(data_dir)) for path in paths if path.is_relative_to(data_dir)]
        if known := [name.removesuffix(".") for name in names if name.removesuffix(".") in ABOUT]:
            made[call[1] or "", call[2], known[-1]] += 1
            if UNLOCKING in line:
                continue
            calls.append(DiskCall(call[2], known[-1], made[call[1] or "", call[2], known[-1]]))
    return calls


def _options(trace: Path, data_dir: Path, injections: Sequence[str], about: Sequence[str]) -> list[str]:
    paths = [word for name in about for word in ("-P", str(data_dir / name))]
    chosen = [f"trace={','.join(CALLS)}", *(f"inject={injection}" for injection in injections)]
    words = [word for choice in chosen for word in ("-e", choice)]
    return ["-y", "-s", "0", "-e", "signal=none", *paths, *words, "-o", str(trace)]
