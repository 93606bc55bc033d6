"""That the benchmarks still run, and check what they measure. How fast anything is, no test asks."""

import json
import subprocess
import sys

import click
import pytest

from tests.benchmarks.__main__ import Measure, checked


def run(*arguments: str) -> str:
    return subprocess.run([sys.executable, "-m", *arguments], capture_output=True, text=True, check=True).stdout


def test_bookings_and_reads_are_measured_against_an_empty_route() -> None:
    report = run("tests.benchmarks", "--seconds", "1", "--rounds", "1", "--connections", "8")
    for measured in ("empty Quart route", "POST /book, one hot event", "POST /book, 1,000 events", "GET /status"):
        assert measured in report
    assert "1,000 events ÷ one hot event:" in report


def test_a_start_over_a_long_ledger_is_measured() -> None:
    report = run("tests.benchmarks.recovery", "--entries", "2000")
    assert "folded and checked in" in report
    assert "bytes of memory per live order" in report


@pytest.mark.parametrize(
    ("failed", "answered", "written"),
    [(1, 100, 100), (0, 100, 99), (0, 100, 109)],
    ids=["failed requests", "a booking that is not in the ledger", "more in the ledger than was asked for"],
)
def test_a_measurement_that_is_not_right_is_refused(failed: int, answered: int, written: int) -> None:
    booking = Measure("POST /book", "", events=1)
    output = json.dumps({"requests": answered, "microseconds": 1_000_000, "failed": failed, "p99_us": 1})
    with pytest.raises(click.ClickException):
        checked(booking, output, written, connections=8)


def test_a_measurement_that_is_right_gives_a_rate() -> None:
    output = json.dumps({"requests": 100, "microseconds": 500_000, "failed": 0, "p99_us": 2_500})
    assert checked(Measure("POST /book", "", events=1), output, 104, connections=8) == (200.0, 2.5)
