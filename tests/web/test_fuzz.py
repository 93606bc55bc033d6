"""The description of the API against the server: thousands of requests made of it, and every answer held against it.

They are what it allows and what it forbids; some follow from the answers before: an order is placed, looked at and
cancelled. By https://schemathesis.readthedocs.io, as tests/schemathesis.toml says.
"""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from tests import effort
from tests.server import CODE, TIMEOUT_S, Server
from tests.web.api import ADA, Api
from webapp.web.description.document import GROUPS

CASES_MIN: Final = 2_000
OPERATIONS: Final = [operation for group in GROUPS for operation in group.operations]
ASKED: Final = {
    "organiser": [operation.id for operation in OPERATIONS],
    "guest": [operation.id for operation in OPERATIONS if operation.who not in ("organiser", "password")],
}
"""What each of them asks for, by the ids of operations."""
PHASES: Final = {"examples", "coverage", "fuzzing", "stateful"}


@dataclass(frozen=True)
class Run:
    """What schemathesis has found: its exit status, its words, and its report."""

    status: int
    said: str
    report: dict[str, Any]

    @property
    def cases(self) -> int:
        """How many requests it has made up."""
        return int(self.report["test_cases"]["generated"])

    @property
    def tested(self) -> int:
        """At how many operations."""
        return int(self.report["operations"]["tested"])


def fuzz(
    server: Server,
    folder: Path,
    operations: list[str],
    *arguments: str,
    examples: int = effort.FUZZ_EXAMPLES,
    **environment: str,
) -> Run:
    """Runs schemathesis at operations of a server, in a new folder for what it writes."""
    folder.mkdir()
    report = folder / "report.json"
    command = [
        *("--config-file", str(CODE / "tests" / "schemathesis.toml"), "run", f"{server.url}/openapi.json"),
        *("--checks", "all", "--continue-on-failure", "--max-examples", str(examples)),
        *("--seed", str(effort.FIRST_SEED), "--generation-database", "none"),
        *(word for operation in operations for word in ("--include-operation-id", operation)),
        *("--request-timeout", str(TIMEOUT_S), "--report-json-path", str(report), "--no-color"),
    ]
    done = subprocess.run(
        [sys.executable, "-m", "schemathesis.cli", *command, *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(CODE), os.environ.get("PYTHONPATH", "")])} | environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TIMEOUT_S * (1 + examples),
        check=False,
    )
    return Run(done.returncode, done.stdout, json.loads(report.read_text()) if report.exists() else {})


def prepared(server: Server) -> dict[str, str]:
    """The keys of the orders at two events: one with tickets left, and one where a guest waits."""
    ada, anybody = Api(server, ADA), Api(server)
    ada.event("summer-night", 80, title="Summer night", starts_at="2030-06-18T19:30:00Z")
    ada.event("gig", 1)
    orders = [anybody.order(event, guest) for event in ("summer-night", "gig") for guest in ("cleo", "bob")]
    return {order["id"]: order["key"] for order in orders}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    """What was found by the organiser, and after that by a guest, who has nothing but the keys to orders."""
    folder = tmp_path_factory.mktemp("fuzz")
    with Server(folder / "server") as server:
        keys = json.dumps(prepared(server))
        sign_in = f"Authorization: {ADA['Authorization']}"
        no_credentials = ("--generation-with-security-parameters", "false")
        runs = {
            "organiser": fuzz(server, folder / "organiser", ASKED["organiser"], "--header", sign_in),
            "guest": fuzz(server, folder / "guest", ASKED["guest"], *no_credentials, ORDER_KEYS=keys),
        }
        server.verify()
        assert server.stop() == 0
        assert not [line for line in server.log() if "traceback" in line]
    return runs


@pytest.mark.parametrize("asker", ["organiser", "guest"])
def test_whatever_the_description_allows_or_forbids_is_answered_as_it_says(runs: dict[str, Run], asker: str) -> None:
    assert runs[asker].status == 0, runs[asker].said


def test_enough_was_asked_in_every_way_and_of_every_route(runs: dict[str, Run]) -> None:
    assert sum(run.cases for run in runs.values()) >= CASES_MIN
    assert {asker: run.tested for asker, run in runs.items()} == {asker: len(ids) for asker, ids in ASKED.items()}
    for run in runs.values():
        assert {name: phase["status"] for name, phase in run.report["phases"].items()} == dict.fromkeys(
            PHASES, "success"
        )


# What it would be worth if it found nothing in any server


BROKEN: Final = """
import sys
from webapp.cli import main
from webapp.web.api import documents
{mistake}
main(["serve"])
"""
FALLS_OVER: Final = """
from webapp.box_office import BoxOffice
book = BoxOffice.book
async def falling(self, event_id, guest, *arguments, **more):
    assert guest.isascii()
    return await book(self, event_id, guest, *arguments, **more)
BoxOffice.book = falling
"""
HAS_A_STATUS_OF_ITS_OWN: Final = """
from webapp.web.problems import REFUSAL_STATUS
REFUSAL_STATUS["event_not_found"] = 418
"""
FORGETS_A_MEMBER: Final = """
order = documents.order
documents.order = lambda standing: {name: value for name, value in order(standing).items() if name != "ahead"}
"""
TAKES_ANYTHING: Final = """
from webapp.web import checks
checks.roster_status.__code__ = (lambda value: None).__code__
"""
TELLS_EVERYBODY: Final = """
async def anybody(): pass
sys.modules["webapp.web.api.roster"].require_organiser = anybody
"""


@pytest.mark.parametrize(
    ("mistake", "operation", "complaint"),
    [
        pytest.param(FALLS_OVER, "placeOrder", "Server error", id="a server that fails where names are not ASCII"),
        pytest.param(HAS_A_STATUS_OF_ITS_OWN, "getEvent", "Undocumented status code", id="a status of its own"),
        pytest.param(FORGETS_A_MEMBER, "listOrders", "Response violates schema", id="a member that is not there"),
        pytest.param(TAKES_ANYTHING, "listOrders", "Schema-violating request accepted", id="taking anything"),
        pytest.param(TELLS_EVERYBODY, "listOrders", "without authentication", id="telling everybody"),
    ],
)
def test_a_server_with_a_mistake_is_complained_about(
    tmp_path: Path, mistake: str, operation: str, complaint: str
) -> None:
    with Server(tmp_path / "server", program=("-c", BROKEN.format(mistake=mistake))) as server:
        prepared(server)
        sign_in = f"Authorization: {ADA['Authorization']}"
        at_once = ("--no-shrink", "--max-failures", "1")
        run = fuzz(server, tmp_path / "fuzz", [operation], "--header", sign_in, *at_once, examples=200)
    assert run.status == 1
    assert complaint in run.said, run.said
