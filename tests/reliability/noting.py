"""A plugin of pytest's that notes what came of each test, as soon as it is known: a hanging run has told by then."""

import json
import os
from pathlib import Path

import pytest


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Append a line of JSON to the file that `OUTCOMES` names."""
    if report.when != "call" and report.passed:
        return
    noted = {"test": report.nodeid, "outcome": report.outcome, "text": report.longreprtext}
    with Path(os.environ["OUTCOMES"]).open("a") as file:
        file.write(json.dumps(noted) + "\n")
