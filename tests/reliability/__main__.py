"""`make prove`: every kind of test at full length, and one report of them all.

Each number can be given by its variable, as in `KILLS=50 make prove`.
"""

import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import click

from tests import effort
from tests.reliability import report
from tests.reliability.kinds import KINDS, Kind
from tests.reliability.proof import ROOT, Result, Run, Terms, carry_out

LINE_EVERY_S: Final = 60.0
FINE: Final = 1_000


@click.command()
@click.option("--only", default="", help="Kinds, by the beginning of their names, with commas between them.")
@click.option("--scale", default=1.0, show_default=True, help="Multiplies every number of trials.")
@click.option("--first-seed", default=effort.FIRST_SEED, show_default=True, help="Where all seeds begin.")
@click.option("--side-by-side", default=2, show_default=True, type=click.IntRange(1), help="Kinds at once.")
@click.option("--quick", is_flag=True, help="Only as much as `make test` does.")
@click.option("--timeout", type=float, help="Seconds after which a kind hangs, in place of its own.")
@click.option("--into", default=ROOT / "build" / "proof", show_default="build/proof", type=click.Path(path_type=Path))
def main(
    only: str, scale: float, first_seed: int, side_by_side: int, quick: bool, timeout: float | None, into: Path
) -> None:
    """Put the guarantees under fire, and report."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    terms = Terms(into.resolve(), first_seed=first_seed, scale=scale, is_quick=quick, side_by_side=side_by_side,
                  timeout_s=timeout)  # fmt: skip
    sys.exit(prove(chosen(KINDS, only), terms))


def chosen(kinds: Sequence[Kind], only: str) -> list[Kind]:
    """The kinds whose names begin with one of the words. Raises BadParameter where a word fits none."""
    words = [word.strip() for word in only.split(",") if word.strip()]
    for word in words:
        if not any(kind.name.startswith(word) for kind in kinds):
            raise click.BadParameter(f"no kind is called {word}; there are {', '.join(kind.name for kind in kinds)}")
    return [kind for kind in kinds if not words or kind.name.startswith(tuple(words))]


def prove(kinds: Sequence[Kind], terms: Terms) -> int:
    """Run the kinds, and write and print the report; returns the exit status: 1 where anything failed."""
    began_at, began = datetime.now(UTC), time.monotonic()
    with _progress(kinds) as follow:
        results = carry_out(kinds, terms, follow)
    told = report.made(results, terms, began_at, time.monotonic() - began)
    report.write(told, terms.into)
    click.echo(report.markdown(told), nl=False)
    return 0 if told["passed"] else 1


@contextmanager
def _progress(kinds: Sequence[Kind]) -> Iterator[Callable[[Sequence[Run], Sequence[Result]], None]]:
    """A bar on a terminal, and else a line now and then. A kind weighs as much as it takes."""
    whole = sum(kind.long_s for kind in kinds)
    said_at = 0.0
    with click.progressbar(length=FINE, file=sys.stderr, item_show_func=lambda item: item) as bar:

        def follow(running: Sequence[Run], results: Sequence[Result]) -> None:
            nonlocal said_at
            now = time.monotonic()
            if now - said_at < (1.0 if sys.stderr.isatty() else LINE_EVERY_S) and running:
                return
            said_at = now
            over = sum(result.kind.long_s for result in results)
            part = (over + sum(run.kind.long_s * run.share() for run in running)) / whole
            failed = sum(bool(result.failures) for result in results)
            names = ", ".join(run.kind.name for run in running)
            state = names + (f"; {failed} failed" if failed else "")
            if sys.stderr.isatty():
                bar.update(max(0, round(FINE * part) - bar.pos), state)
            else:
                click.echo(f"{part:4.0%}  {len(results)} of {len(kinds)} kinds are over  {state}", err=True)

        yield follow


if __name__ == "__main__":
    main()
