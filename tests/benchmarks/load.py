"""The load: wrk on many keep-alive connections, on the core where this process runs."""

import itertools
import json
import re
import resource
import select
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import IO, Final, NamedTuple, cast

import click

from tests.benchmarks.machine import cpu_s
from tests.server import TIMEOUT_S

SCRIPT: Final = Path(__file__).with_name("load.lua")
BUSY: Final = 0.9
"""The share of its core above which the load, rather than the server, may be what is measured."""

_runs: Final = itertools.count(1)

Sample = dict[str, float]
"""What one measurement has found, by unit: `per_second`, `p99_ms`, `cpu_us`, …"""


class Load(NamedTuple):
    """What wrk tells: requests that were answered, and how many of them with a ticket. `ms` are percentiles.

    Of the last requests, at most those `in_flight`, nobody knows whether they were heard.
    """

    answered: int
    assigned: int
    in_flight: int
    seconds: float
    ms: dict[str, float]
    cpu_share: float


class Target(NamedTuple):
    """Where the load goes: an address, and the process that answers there."""

    url: str
    pid: int


def told(output: str, in_flight: int, cpu_share: float) -> Load:
    """What wrk's output tells. Raises ClickException where any request failed."""
    found = json.loads(output.splitlines()[-1])
    if found["failed"]:
        raise click.ClickException(f"{found['failed']} requests failed, {found['answered']} were answered\n{output}")
    return Load(found["answered"], found["assigned"], in_flight, found["seconds"], found["ms"], cpu_share)


def run(url: str, connections: int, seconds: float, *arguments: str) -> Load:
    """Ask for so long, or until anything is answered. Raises ClickException where any request failed."""
    options = ["--threads", "1", "--connections", str(connections), "--duration", "1h", "--timeout", "60s"]
    script = [str(SCRIPT), url, "--", str(connections), f"{next(_runs)}-", *arguments]
    before, began = _cpu_of_children(), time.perf_counter()
    with subprocess.Popen(["wrk", *options, "--script", *script], stdout=subprocess.PIPE, text=True) as process:
        try:
            _require_answers(process)
            time.sleep(max(0.0, began + seconds - time.perf_counter()))
            output = _stopped(process)
        finally:
            process.kill()
    return told(output, connections, (_cpu_of_children() - before) / (time.perf_counter() - began))


def asked(target: Target, connections: int, seconds: float, *arguments: str) -> tuple[Load, Sample]:
    """Ask for so long, and say what it took. Raises ClickException where any request failed."""
    before = cpu_s(target.pid)
    load = run(target.url, connections, seconds, *arguments)
    return load, {
        "per_second": load.answered / load.seconds,
        "cpu_us": (cpu_s(target.pid) - before) / load.answered * 1e6,
        "load_share": load.cpu_share,
        **{f"p{percentile}_ms": value for percentile, value in load.ms.items()},
    }


def _require_answers(process: "subprocess.Popen[str]") -> None:
    """Wait until the script says that answers come. Raises ClickException."""
    said = select.poll()
    said.register(cast(IO[str], process.stdout), select.POLLIN)
    if not said.poll(TIMEOUT_S * 1_000):
        raise click.ClickException(f"nothing was answered within {TIMEOUT_S:g} s")


def _stopped(process: "subprocess.Popen[str]") -> str:
    """What wrk says at SIGINT, since its own clock knows whole seconds only. Raises ClickException.

    It dies of one that comes before it catches them, and goes to sleep after one that comes just before it does.
    """
    deadline = time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline:
        if process.poll() is None and _catches(process.pid, signal.SIGINT):
            process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            return process.communicate(timeout=0.05)[0]
    raise click.ClickException("the load does not stop")


def _catches(pid: int, number: signal.Signals) -> bool:
    caught = re.search(r"^SigCgt:\s*(\w+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return caught is not None and bool(int(caught[1], 16) >> (number - 1) & 1)


def _cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
