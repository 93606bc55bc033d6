"""`make bench`: what a booking costs, as a ratio to an empty Quart route in the same run.

Servers run on one core and the load on the other, in turn. Guests are fresh in every round, and every booking that was
answered must be in the ledger afterwards.
"""

import json
import os
import platform
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import click

HERE = Path(__file__).parent
SERVER_CORE, LOAD_CORE = "0", "1"
EVENTS = 1_000
TICKETS = 1_000_000
PASSWORD = "a benchmark's password"


@dataclass(frozen=True)
class Measure:
    """One kind of request: its name and address; bookings name the number of events they go to."""

    name: str
    url: str
    events: int = 0


@click.command()
@click.option("--seconds", default=4, show_default=True, help="Length of one measurement.")
@click.option("--rounds", default=5, show_default=True, help="Measurements of each kind, in turn.")
@click.option("--connections", default=64, show_default=True, help="Keep-alive connections.")
def main(seconds: int, rounds: int, connections: int) -> None:
    """Measure POST /book and GET /status against an empty Quart route."""
    with tempfile.TemporaryDirectory() as folder, _empty() as empty, _fairlist(Path(folder)) as fairlist:
        measures = [
            Measure("empty Quart route", f"{empty}/empty"),
            Measure("POST /book, one hot event", f"{fairlist}/book", events=1),
            Measure(f"POST /book, {EVENTS:,} events", f"{fairlist}/book", events=EVENTS),
            Measure("GET /status", f"{fairlist}/status/event-0"),
        ]
        rates: dict[str, list[float]] = {measure.name: [] for measure in measures}
        p99: dict[str, list[float]] = {measure.name: [] for measure in measures}
        with click.progressbar(length=rounds * len(measures), label="Measuring", file=sys.stderr) as bar:
            for number in range(rounds):
                for measure in measures:
                    rate, latency = _measured(measure, number, seconds, connections, Path(folder))
                    rates[measure.name].append(rate)
                    p99[measure.name].append(latency)
                    bar.update(1)
        _report(rates, p99, connections)


def _measured(measure: Measure, number: int, seconds: int, connections: int, folder: Path) -> tuple[float, float]:
    before = _booked(folder)
    arguments = [f"{number}-{measure.events}", str(measure.events)] if measure.events else []
    command = [
        "taskset", "-c", LOAD_CORE, "wrk", "--threads", "1", "--connections", str(connections),
        "--duration", f"{seconds}s", "--script", str(HERE / "load.lua"), measure.url, "--", *arguments,
    ]  # fmt: skip
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return checked(measure, output, _booked(folder) - before, connections)


def checked(measure: Measure, output: str, written: int, connections: int) -> tuple[float, float]:
    """Requests per second and the 99th percentile in milliseconds, of the load's report.

    Raises ClickException where a request failed, or where not exactly the answered bookings are in the ledger; of those
    in flight when the load stopped, one per connection, each may be there or not.
    """
    result = json.loads(output.splitlines()[-1])
    if result["failed"]:
        raise click.ClickException(f"{measure.name}: {result['failed']} requests failed\n{output}")
    answered, in_flight = (result["requests"], connections) if measure.events else (0, 0)
    if not answered <= written <= answered + in_flight:
        raise click.ClickException(f"{measure.name}: {answered} bookings were answered, {written} written")
    return result["requests"] / result["microseconds"] * 1e6, result["p99_us"] / 1_000


def _booked(folder: Path) -> int:
    """How many bookings the ledgers hold once those are settled that were in flight when the load stopped."""
    counted, before = 0, -1
    with closing(sqlite3.connect(f"file:{folder / 'fairlist.db'}?mode=ro", uri=True)) as reading:
        while counted != before:
            time.sleep(0.2)
            before = counted
            counted = reading.execute("SELECT count(*) FROM ledger WHERE kind IN ('booked', 'joined')").fetchone()[0]
    return int(counted)


def _report(rates: dict[str, list[float]], p99: dict[str, list[float]], connections: int) -> None:
    medians = {name: statistics.median(found) for name, found in rates.items()}
    empty, hot, many, _ = medians.values()
    click.echo(f"\n{connections} connections; one core for the server, one for the load")
    click.echo(
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {_versions()}, {platform.machine()}"
    )
    click.echo(f"\n{'':32}{'per second':>12}{'spread':>10}{'p99 ms':>10}{'÷ empty':>10}")
    for name, found in rates.items():
        spread = (max(found) - min(found)) / medians[name]
        latency = statistics.median(p99[name])
        click.echo(f"{name:32}{medians[name]:12,.0f}{spread:10.0%}{latency:10.1f}{medians[name] / empty:10.2f}")
    click.echo(f"\n{EVENTS:,} events ÷ one hot event: {many / hot:.2f}")


def _versions() -> str:
    return ", ".join(f"{name} {version(name)}" for name in ("quart", "uvicorn", "uvloop", "httptools", "aiosqlite"))


@contextmanager
def _empty() -> Iterator[str]:
    port = _free_port()
    with _server([sys.executable, str(HERE / "empty.py"), str(port)], os.environ.copy(), port, "/empty") as url:
        yield url


@contextmanager
def _fairlist(folder: Path) -> Iterator[str]:
    port = _free_port()
    environ = os.environ | {"DATA_DIR": str(folder), "PORT": str(port), "ADMIN_PASS": PASSWORD}
    with _server([sys.executable, "-m", "webapp", "serve"], environ, port, "/readyz") as url:
        for number in range(EVENTS):
            _initialize(url, f"event-{number}")
        yield url


@contextmanager
def _server(command: list[str], environ: dict[str, str], port: int, path: str) -> Iterator[str]:
    url = f"http://127.0.0.1:{port}"
    quiet = subprocess.DEVNULL
    with subprocess.Popen(["taskset", "-c", SERVER_CORE, *command], env=environ, stdout=quiet, stderr=quiet) as process:
        try:
            _wait_for(url + path)
            yield url
        finally:
            process.terminate()


def _wait_for(url: str) -> None:
    for _ in range(200):
        try:
            urllib.request.urlopen(url).close()  # noqa: S310 - our own server
            return
        except urllib.error.URLError:
            time.sleep(0.1)
    raise click.ClickException(f"{url} does not answer")


def _initialize(url: str, event_id: str) -> None:
    credentials = urllib.request.HTTPPasswordMgrWithDefaultRealm()
    credentials.add_password(None, url, "admin", PASSWORD)
    opener = urllib.request.build_opener(urllib.request.HTTPBasicAuthHandler(credentials))
    body = json.dumps({"eventId": event_id, "tickets": TICKETS}).encode()
    opener.open(urllib.request.Request(f"{url}/initialize", body, {"Content-Type": "application/json"})).close()  # noqa: S310 - our own server


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    main()
