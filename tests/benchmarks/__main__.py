"""`make bench`: what a booking costs, and all else that performance is promised of, beside its peers in the same run.

Servers run on one core and the load on the other, in turn, round by round. All that is answered is checked.
"""

import tempfile
import time
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Final

import click

from tests.benchmarks import (
    callers,
    first_visit,
    long_ledgers,
    machine,
    open_pages,
    pages,
    plan,
    report,
    rows,
    rush,
)
from tests.benchmarks.filling import filled
from tests.benchmarks.load import Sample
from tests.benchmarks.plan import BRIEF, Measure, Plan
from tests.benchmarks.plots import plots
from tests.benchmarks.stage import Stage
from tests.server import CODE

GROUPS: Final = ((rush,), (callers,), (long_ledgers,), (pages, first_visit, open_pages))
"""What is measured in turn, each group on servers that are started anew in every round."""

NAMES: Final = [row.name for row in rows.rows(Plan())]


@click.command()
@click.option("--seconds", type=click.FloatRange(0.1), help=f"Length of one measurement.  [default: {plan.SECONDS:g}]")
@click.option("--rounds", type=click.IntRange(1), help=f"Measurements of each kind, in turn.  [default: {plan.ROUNDS}]")
@click.option("--only", help=f"Rows to measure, with commas between; there are {', '.join(NAMES)}.")
@click.option("--brief", is_flag=True, help="Everything small and once, to see that it runs.")
@click.option(
    "--into",
    type=click.Path(file_okay=False, path_type=Path),
    default=CODE / "build" / "bench",
    help="Folder for the report: `docs` for the documentation.  [default: build/bench]",
)
def main(seconds: float | None, rounds: int | None, only: str | None, brief: bool, into: Path) -> None:
    """Measure Fairlist beside its peers; prints a report, and leaves it with JSON and plots in a folder."""
    server_core, _ = machine.divide()
    wanted = BRIEF if brief else Plan()
    wanted = replace(wanted, seconds=seconds or wanted.seconds, rounds=rounds or wanted.rounds)
    chosen = _chosen(wanted, only)
    began_at, began = datetime.now(UTC), time.monotonic()
    samples = _measured(wanted, None if only is None else set().union(*(row.measures for row in chosen)), server_core)
    drawn = plots(wanted, samples)
    found = report.made(wanted, chosen, samples, began_at, time.monotonic() - began)
    report.write(found, drawn, into)
    click.echo(report.markdown(found, drawn))
    click.echo(f"The report is in {into}.")


def _chosen(wanted: Plan, only: str | None) -> list[rows.Row]:
    names = NAMES if only is None else only.split(",")
    if unknown := set(names) - set(NAMES):
        raise click.BadParameter(f"there is no {', '.join(sorted(unknown))}", param_hint="--only")
    return [row for row in rows.rows(wanted) if row.name in names]


def _measured(wanted: Plan, names: set[str] | None, core: int) -> dict[str, list[Sample]]:
    """What the measures of some names have found, or all of them."""
    samples: dict[str, list[Sample]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)

        @cache
        def database(orders: int) -> Path:
            click.echo(f"Filling a database with {orders:,} orders", err=True)
            return filled(folder / "databases", orders)

        for number in range(1, wanted.rounds + 1):
            for group in GROUPS:
                measures = [one for part in group for one in part.measures(wanted, database)]
                if measures := [one for one in measures if names is None or one.name in names]:
                    with Stage(folder / "stage", core) as stage:
                        for measure in measures:
                            samples.setdefault(measure.name, []).append(_taken(measure, stage, number))
    return samples


def _taken(measure: Measure, stage: Stage, number: int) -> Sample:
    click.echo(f"Round {number}: {measure.name}", err=True)
    try:
        return measure.take(stage)
    except click.ClickException as wrong:
        raise click.ClickException(f"{measure.name}: {wrong.message}") from wrong


if __name__ == "__main__":
    main()
