"""That the benchmarks still run, and check what they measure. How fast anything is, no test asks."""

import json
import os
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from xml.etree import ElementTree

import click
import pytest

from tests.benchmarks import report, stage
from tests.benchmarks.bookings import Written, booked, require
from tests.benchmarks.load import Load, told
from tests.benchmarks.plan import BRIEF, Plan
from tests.benchmarks.rows import Row, rows
from tests.benchmarks.stage import Stage

# What no server may do: it acknowledges bookings that it does not store.
FORGETFUL = """
from webapp.cli import main
from webapp.storage.sqlite import SqliteStore

append = SqliteStore.append

async def append_but_bookings(store, batch):
    if not any(entry.kind in ("booked", "joined") for addition in batch for entry in addition.entries):
        await append(store, batch)

SqliteStore.append = append_but_bookings
main(["serve"])
"""


@pytest.fixture
def servers(tmp_path: Path) -> Stage:
    """Servers on a core, none of which has been started."""
    return Stage(tmp_path / "stage", min(os.sched_getaffinity(0)))


def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "tests.benchmarks", *arguments], capture_output=True, text=True, check=False
    )


def load(answered: int = 100, assigned: int = 40, in_flight: int = 8) -> Load:
    return Load(answered, assigned, in_flight, 1.0, {}, 0.5)


def test_everything_is_measured_once_and_reported_as_a_page_with_plots(tmp_path: Path) -> None:
    ran = run("--brief", "--into", str(tmp_path))
    assert ran.returncode == 0, ran.stderr
    page, found = ((tmp_path / f"performance.{kind}").read_text() for kind in ("md", "json"))
    assert [row["name"] for row in json.loads(found)["rows"]] == [row.name for row in rows(BRIEF)]
    for row in rows(BRIEF):
        assert f"| {row.says} |" in ran.stdout
        assert f"| {row.says} |" in page
    pictures = re.findall(r"\]\((performance/\w+\.svg)\)", page)
    assert len(pictures) == 4
    for picture in pictures:
        assert ElementTree.fromstring((tmp_path / picture).read_text()).tag.endswith("svg")  # noqa: S314 - our own plot


def test_a_row_that_there_is_not_is_refused() -> None:
    refused = run("--only", "hot,hotter")
    assert refused.returncode == 2
    assert "there is no hotter" in refused.stderr


def test_the_documentation_has_a_place_for_the_report() -> None:
    before, _, after = report.PAGE.read_text().partition(report.BEGIN)
    assert before
    assert report.END in after


@pytest.mark.parametrize(
    "written",
    [
        Written(orders=99, placed=99, tickets=40, oversold=0),
        Written(orders=109, placed=109, tickets=40, oversold=0),
        Written(orders=100, placed=99, tickets=40, oversold=0),
        Written(orders=100, placed=100, tickets=39, oversold=0),
        Written(orders=100, placed=100, tickets=49, oversold=0),
        Written(orders=100, placed=100, tickets=40, oversold=1),
    ],
    ids=["a booking lost", "bookings unasked", "an order unrecorded", "a ticket lost", "tickets unasked", "oversold"],
)
def test_bookings_that_are_not_what_was_answered_are_refused(written: Written) -> None:
    with pytest.raises(click.ClickException):
        require([load()], written)


def test_bookings_in_flight_may_have_been_written_or_not() -> None:
    require([load(), load()], Written(orders=200, placed=200, tickets=80, oversold=0))
    require([load(), load()], Written(orders=216, placed=216, tickets=96, oversold=0))


def test_requests_that_failed_are_refused() -> None:
    output = {"answered": 100, "assigned": 0, "seconds": 1.0, "failed": 1, "ms": {}}
    with pytest.raises(click.ClickException):
        told(json.dumps(output), 8, 0.5)
    assert told(json.dumps(output | {"failed": 0}), 8, 0.5).answered == 100


def test_a_server_that_forgets_what_it_acknowledged_is_found_out(
    servers: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(stage.PROGRAMS, "forgetful", ("-c", FORGETFUL))
    with servers, pytest.raises(click.ClickException, match=r"bookings were answered, 0 written"):
        booked(servers.fairlist("forgetful"), 8, 0.1, tickets=10)


def test_a_server_that_sells_what_it_does_not_have_is_found_out(
    servers: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = Path(stage.ORIGINAL[1]).read_text()
    generous = tmp_path / "generous.js"
    generous.write_text(program.replace("event.booked.size < event.total", "true"))
    monkeypatch.setattr(stage, "ORIGINAL", ("node", str(generous)))
    with servers, pytest.raises(click.ClickException, match=r"tickets were sold that there are not"):
        booked(servers.original(), 8, 0.1, tickets=1)


def test_a_database_that_does_not_verify_is_found_out(servers: Stage) -> None:
    with pytest.raises(click.ClickException, match="the ledgers are not what was answered"):
        _meddle_with_what_was_booked(servers)


def _meddle_with_what_was_booked(servers: Stage) -> None:
    with servers:
        fairlist = servers.fairlist()
        booked(fairlist, 1, 0.1, tickets=10)
        with closing(sqlite3.connect(fairlist.server.database)) as meddling, meddling:
            meddling.execute("UPDATE orders SET user_id = 'Dan' WHERE id = (SELECT min(id) FROM orders)")


def test_a_ratio_is_the_median_of_those_of_the_rounds() -> None:
    row = Row(name="hot", says="", measure="book", over="empty", goal=3)
    rates = {"book": [2.0, 30.0, 400.0], "empty": [1.0, 10.0, 100.0]}
    found = row.found({name: [{"per_second": rate} for rate in of] for name, of in rates.items()})
    assert (found.least, found.median, found.most) == (2, 3, 4)
    assert row.is_reached(found)


def test_a_ratio_of_times_is_one_of_speeds() -> None:
    row = Row(name="page", says="", measure="page", over="empty", unit="cpu_us", goal=0.5)
    found = row.found({"page": [{"cpu_us": 100.0}], "empty": [{"cpu_us": 40.0}]})
    assert found.median == 0.4
    assert not row.is_reached(found)


def test_where_less_is_better_a_goal_is_what_is_not_passed() -> None:
    row = Row(name="p99", says="", measure="book", unit="p99_ms", goal=20, is_better="less")
    assert row.is_reached(row.found({"book": [{"p99_ms": 20.0}]}))
    assert not row.is_reached(row.found({"book": [{"p99_ms": 20.1}]}))


def test_every_row_has_a_name_of_its_own() -> None:
    names = [row.name for row in rows(Plan())]
    assert len(set(names)) == len(names)
