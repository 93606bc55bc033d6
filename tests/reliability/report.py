"""The report of a proof: when and where it ran, and what came of every kind, as a table and as JSON."""

import json
import os
import platform
import sqlite3
import subprocess
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.reliability.proof import ROOT, Result, Terms

Report = dict[str, Any]


def made(results: Sequence[Result], terms: Terms, began_at: datetime, seconds: float) -> Report:
    """All that is worth knowing, ready for JSON."""
    return {
        "began_at": began_at.isoformat(timespec="seconds"),
        "seconds": round(seconds, 1),
        "machine": machine(),
        "commit": commit(),
        "first_seed": terms.first_seed,
        "form": "quick" if terms.is_quick else "long",
        "scale": terms.scale,
        "passed": not any(result.failures for result in results),
        "kinds": [_told(result) for result in results],
    }


def markdown(report: Report) -> str:
    """The same as a page, with a row for every kind."""
    of, kinds = report["machine"], report["kinds"]
    where = f"{of['cores']} cores ({of['cpu']}, {of['kernel']}) with Python {of['python']} and SQLite {of['sqlite']}"
    lines = [
        f"The {report['form']} form, begun {report['began_at']}, took {report['seconds']:,.0f} s on {where}.",
        f"Commit {report['commit']}, first seed {report['first_seed']}, scale {report['scale']:g}.",
        "",
        "| kind | shows | trials | of wanted | tests passed | failed | seconds |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: |",
        *(
            f"| {kind['name']} | {kind['guarantees']} | {kind['done']:,} | {kind['wanted']:,} | {kind['passed']} "
            f"| {len(kind['failures'])} | {kind['seconds']:,.0f} |"
            for kind in kinds
        ),
    ]
    for failure in (failure for kind in kinds for failure in kind["failures"]):
        said = "\n".join(f"    {line}" for line in failure["text"].splitlines())
        lines += ["", f"**{failure['test']}** failed. It comes again with", "", f"    {failure['again']}", "", said]
    return "\n".join(lines) + "\n"


def write(report: Report, into: Path) -> None:
    """Leave both forms in a folder."""
    (into / "report.json").write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n")
    (into / "report.md").write_text(markdown(report))


def machine() -> dict[str, Any]:
    """What it ran on."""
    models = [line.split(":", 1)[1].strip() for line in _said("/proc/cpuinfo") if line.startswith("model name")]
    return {
        "cores": os.cpu_count(),
        "cpu": models[0] if models else platform.machine(),
        "kernel": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
    }


def commit() -> str:
    """The commit that is checked out, and whether anything differs from it."""
    head, changes = _git("rev-parse", "HEAD"), _git("status", "--porcelain", "--untracked-files=no")
    return (head or "unknown") + (" with changes" if changes else "")


def _told(result: Result) -> dict[str, Any]:
    return {
        "name": result.kind.name,
        "guarantees": result.kind.guarantees,
        "numbers": result.numbers,
        "wanted": result.wanted,
        "done": result.done,
        "trials": [trials._asdict() for trials in result.trials],
        "other_trials": result.others,
        "passed": result.passed,
        "failures": [failure._asdict() for failure in result.failures],
        "seconds": result.seconds,
    }


def _said(path: str) -> list[str]:
    file = Path(path)
    return file.read_text().splitlines() if file.exists() else []


def _git(*arguments: str) -> str:
    try:
        said = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return said.stdout.strip()
