"""The report: where it ran, every row beside its goal, every measure by itself, as JSON, on a page, and as plots."""

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Any, Final

from tests.benchmarks import machine
from tests.benchmarks.load import BUSY
from tests.benchmarks.plan import Plan
from tests.benchmarks.plots import Plot
from tests.benchmarks.rows import Found, Row, Samples
from tests.server import CODE

PAGE: Final = CODE / "docs" / "performance.md"
BEGIN: Final = "<!-- measured: what stands between these two lines is written by `make bench` -->"
END: Final = "<!-- /measured -->"
NAME: Final = "performance"

Report = dict[str, Any]


def made(plan: Plan, rows: Sequence[Row], samples: Samples, began_at: datetime, seconds: float) -> Report:
    """All that is worth knowing, ready for JSON."""
    return {
        "began_at": began_at.isoformat(timespec="seconds"),
        "seconds": round(seconds),
        "machine": machine.described(),
        "plan": {"seconds": plan.seconds, "rounds": plan.rounds},
        "rows": [_row(row, row.found(samples)) for row in rows],
        "measures": {name: list(found) for name, found in samples.items()},
    }


def markdown(report: Report, plots: Sequence[Plot]) -> str:
    """The same as a part of a page."""
    return "\n".join([*_where(report), "", *_rows(report), "", *_pictures(plots), *_measures(report)]) + "\n"


def write(report: Report, plots: Sequence[Plot], into: Path) -> None:
    """Leave all of it in a folder: a page of its own, or the documentation's, if it is the documentation."""
    pictures = into / NAME
    pictures.mkdir(parents=True, exist_ok=True)
    for plot in plots:
        (pictures / f"{plot.name}.svg").write_text(plot.svg())
    (into / f"{NAME}.json").write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n")
    before, _, rest = PAGE.read_text().partition(BEGIN)
    after = rest.partition(END)[2]
    (into / f"{NAME}.md").write_text(f"{before}{BEGIN}\n\n{markdown(report, plots)}\n{END}{after}")


def _row(row: Row, found: Found) -> dict[str, Any]:
    return {
        "name": row.name,
        "says": row.says,
        "goal": row.goal,
        "better": row.is_better,
        "median": found.median,
        "least": found.least,
        "most": found.most,
        "reached": row.is_reached(found),
    }


def _where(report: Report) -> Iterator[str]:
    of, plan = report["machine"], report["plan"]
    versions = ", ".join(f"{name} {number}" for name, number in of["versions"].items())
    yield (
        f"Begun {report['began_at']}, took {report['seconds']:,} s: {plan['rounds']} rounds, {plan['seconds']:g} s for "
        f"each measurement. On {of['cores']} cores ({of['cpu']}, {of['kernel']}), the server on one and the load on "
        f"another; a page is on disk after {of['fsync_us']:,} µs. Commit {of['commit']}."
    )
    yield ""
    yield f"Python {of['python']}, SQLite {of['sqlite']}, {versions}."
    if busy := [name for name, found in report["measures"].items() if _median(found, "load_share") > BUSY]:
        yield ""
        yield f"The load had hardly any time left, so that the server may be faster than told: {'; '.join(busy)}."


def _rows(report: Report) -> Iterator[str]:
    yield "| measure | goal | found | least to most | reached |"
    yield "| --- | ---: | ---: | ---: | --- |"
    for row in report["rows"]:
        sign = "≥" if row["better"] == "more" else "≤"
        goal = "" if row["goal"] is None else f"{sign} {_told(row['goal'])}"
        reached = {True: "yes", False: "**no**", None: ""}[row["reached"]]
        yield (
            f"| {row['says']} | {goal} | {_told(row['median'])} | {_told(row['least'])} to {_told(row['most'])} "
            f"| {reached} |"
        )


def _pictures(plots: Sequence[Plot]) -> Iterator[str]:
    for plot in plots:
        yield f"![{plot.title}]({NAME}/{plot.name}.svg)"
        yield ""


def _measures(report: Report) -> Iterator[str]:
    yield "Each measure by itself; the medians of all rounds, and how far the rates of the rounds lie apart:"
    yield ""
    yield "| measure | a second | spread | 50 %, ms | 99 %, ms | core time, µs |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: |"
    for name, found in report["measures"].items():
        if "per_second" in found[0]:
            rates = [sample["per_second"] for sample in found]
            spread = (max(rates) - min(rates)) / median(rates)
            units = ("p50_ms", "p99_ms", "cpu_us")
            others = " | ".join(_told(_median(found, unit)) if unit in found[0] else "" for unit in units)
            yield f"| {name} | {median(rates):,.0f} | {spread:.0%} | {others} |"


def _median(found: Sequence[dict[str, float]], unit: str) -> float:
    """The median of a unit, 0 where it was not measured."""
    return median(sample.get(unit, 0) for sample in found)


def _told(value: float) -> str:
    """A number with about three digits, or all of its whole ones."""
    digits = next((digits for least, digits in ((100, 0), (10, 1), (0.1, 2)) if value >= least), 3)
    text = f"{value:,.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
