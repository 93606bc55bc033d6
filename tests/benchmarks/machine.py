"""The machine that is measured on: its cores and who runs on which, what it is, and what a process has used of it."""

import json
import os
import resource
import subprocess
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any, Final

import click

from tests.reliability import report
from tests.server import CODE

PACKAGES: Final = ("quart", "uvicorn", "uvloop", "httptools", "aiosqlite")
PEERS: Final = CODE / "build" / "peers" / "node_modules"
"""Where `make peers` installs what the peers on Node.js need."""

FILES_MORE: Final = 500
SYNCS: Final = 50
TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")


def divide() -> tuple[int, int]:
    """The core for servers and the one for the load, on which this process and all it starts run from now on.

    Raises ClickException where there is only one.
    """
    server, *others = sorted(os.sched_getaffinity(0))
    if not others:
        raise click.ClickException("There is one core only: a server and its load would take it from each other.")
    os.sched_setaffinity(0, {others[0]})
    return server, others[0]


def on_core(core: int) -> list[str]:
    """What a command begins with that is to run on one core."""
    return ["taskset", "--cpu-list", str(core)]


def let_open_files(number: int) -> None:
    """Have this process be allowed to open so many files, and some more. Raises ClickException."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if most < number + FILES_MORE:
        raise click.ClickException(f"A process may open {most} files here, too few: see `ulimit -Hn`")
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def described() -> dict[str, Any]:
    """What it runs on, with the versions of everything that is measured. `fsync_us` is the median of some syncs."""
    versions = {name: version(name) for name in PACKAGES}
    return {
        **report.machine(),
        "commit": report.commit(),
        "fsync_us": round(_sync_us()),
        "versions": {**versions, "node": _said("node", "--version"), "wrk": _said("wrk", "--version"), **_of_peers()},
    }


def cpu_s(pid: int) -> float:
    """The seconds of a core that a process has used, all its threads together, in steps of 10 ms."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def resident_bytes(pid: int | str = "self") -> int:
    """The memory that a process holds."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize()


def _sync_us() -> float:
    """What it takes to have one page on disk, where the databases are."""
    taken = []
    with tempfile.NamedTemporaryFile() as file:
        for _ in range(SYNCS):
            file.write(bytes(4_096))
            began = time.perf_counter()
            file.flush()
            os.fsync(file.fileno())
            taken.append(time.perf_counter() - began)
    return median(taken) * 1e6


def _said(*command: str) -> str:
    """The first word with a digit that a program says of its version; wrk ends with a status of 1."""
    try:
        said = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    except FileNotFoundError:
        return "none"
    return next((word for word in said.split() if any(map(str.isdigit, word))), "unknown")


def _of_peers() -> dict[str, str]:
    """The versions that `make peers` installs."""
    package = json.loads((CODE / "tests" / "benchmarks" / "peers" / "package.json").read_text())
    return dict(package["dependencies"])
