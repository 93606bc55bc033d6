"""The server, driven over HTTP through random steps, restarts and kills, and held against the model at each of them.

The original routes are those of the server as it is run. For the whole API, a clock stands beside the server, by which
it goes in place of the machine's: so the steps are far apart, whatever a machine needs for them, and can go back.
"""

from collections.abc import Callable, Hashable
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import pytest

from tests import effort
from tests.machine import KeyedMachine, OriginalMachine, Wish, explore
from tests.reliability.api_driver import ApiDriver, OriginalDriver, set_clock
from tests.server import Server

# What no server may do: it shows for ever what an event was like when it was looked at first.
SHOWS_OLD_COUNTS = """
from webapp.box_office import BoxOffice
from webapp.cli import main

BoxOffice.event_now = BoxOffice.published_event
seen = {}

def published_event(box_office, event_id):
    return seen.setdefault(event_id, box_office.event_now(event_id))

BoxOffice.published_event = published_event
main(["serve"])
"""

BY_THE_CLOCK = """
import time
from pathlib import Path

time.time_ns = lambda: int(Path("clock").read_text())
"""
SERVE = """
from webapp.cli import main

main(["serve"])
"""

# What no server may do: it counts those who ask among those who asked before them.
MISCOUNTS = """
from webapp.enquiries import Enquiries

why = Enquiries._why

async def why_now(enquiries, *asked):
    found = await why(enquiries, *asked)
    return found._replace(asked_before=None if found.asked_before is None else found.asked_before + 1)

Enquiries._why = why_now
"""
# What no server may do: it tells another past than the one that its hashes seal.
REWRITES_THE_PAST = """
from webapp.web.api import documents

entry = documents.entry

def another(found):
    return entry(found) | ({"actor": "guest"} if found.kind == "cancelled" else {})

documents.entry = another
"""


class ApiMachine(KeyedMachine):
    """The same, where a key is known at one address; who asks there is always the same."""

    def known_by(self, key: str, wish: Wish) -> Hashable:
        match wish.verb:
            case "create":
                return key, wish.verb
            case "book":
                return key, wish.verb, wish.event
        return key, wish.verb, wish.event, wish.subjects[0]


def original_machines(server: Server) -> Callable[[], OriginalMachine]:
    """Makes machines that use the original routes of a server."""
    runs = count(1)
    return lambda: OriginalMachine(lambda: OriginalDriver(server, next(runs)))


def api_machines(server: Server) -> Callable[[], ApiMachine]:
    """Makes machines that use all of a server that goes by the clock."""
    runs = count(1)
    return lambda: ApiMachine(lambda: ApiDriver(server, next(runs)))


def server_by_the_clock(folder: Path, changed: str = "") -> Server:
    """A server that is not started yet, and perhaps does what no server may do."""
    server = Server(folder, program=("-c", BY_THE_CLOCK + changed + SERVE))
    set_clock(server, datetime(2030, 1, 1, tzinfo=UTC))
    return server


def test_the_original_routes_agree_with_the_model(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        explore(original_machines(server), effort.HTTP_RUNS)
        server.verify()


def test_the_whole_api_agrees_with_the_model(tmp_path: Path) -> None:
    with server_by_the_clock(tmp_path) as server:
        explore(api_machines(server), effort.HTTP_RUNS)
        server.verify()


def test_a_server_that_shows_old_counts_does_not_agree_with_the_model(tmp_path: Path) -> None:
    with Server(tmp_path, program=("-c", SHOWS_OLD_COUNTS)) as server, pytest.raises(AssertionError):
        explore(original_machines(server), effort.ATTEMPTS, shrink=False)


@pytest.mark.parametrize("changed", [MISCOUNTS, REWRITES_THE_PAST], ids=["miscounts", "rewrites the past"])
def test_a_server_with_a_fault_does_not_agree_with_the_model(tmp_path: Path, changed: str) -> None:
    with server_by_the_clock(tmp_path, changed) as server, pytest.raises(AssertionError):
        explore(api_machines(server), effort.ATTEMPTS, shrink=False)
