"""The public pages while counts change: asked for again and again, and made anew after every change."""

import http.client
import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, Final

import click

from tests.benchmarks.load import Sample, Target
from tests.benchmarks.machine import cpu_s
from tests.benchmarks.plan import Measure, Plan
from tests.benchmarks.rush import FEW, QUART, read
from tests.benchmarks.stage import Fairlist, Stage
from tests.server import TIMEOUT_S
from tests.web.api import ADA, Api

EVENT: Final = "pages-0"
EVENTS: Final = 50
TICKETS: Final = 1_000_000
CHANGE_EVERY_S: Final = 0.1
PAGES: Final = {"the event page": f"/ui/events/{EVENT}", "the list": "/ui"}
DETAILS: Final[dict[str, Any]] = {
    "description": "Three bands, one stage, no chairs.\n\nDoors open half an hour before. " * 5,
    "venue": "Boathouse, Lakeside",
    "starts_at": "2099-06-18T19:30:00Z",
    "time_zone": "Europe/Berlin",
}

_guests: Final = count(1)


def asked_for(page: str) -> str:
    """The name of the measure of a page that many ask for while its counts change now and then."""
    return f"{page}, asked for while counts change"


def made_anew(page: str) -> str:
    """The name of the measure of a page before each of whose readers somebody books."""
    return f"{page}, made anew after every booking"


QUART_BESIDE: Final = f"{QUART}, beside pages"
ONE_BY_ONE: Final = f"{QUART}, asked one by one"


def measures(plan: Plan, _database: Callable[[int], Path]) -> list[Measure]:
    """An empty route, then both pages, each in both ways."""
    return [
        Measure(QUART_BESIDE, lambda stage: read(plan, stage.empty(QUART), FEW)),
        *(Measure(asked_for(page), partial(_asked_for, plan, path)) for page, path in PAGES.items()),
        Measure(ONE_BY_ONE, partial(_empty_one_by_one, plan)),
        *(Measure(made_anew(page), partial(_made_anew, plan, path)) for page, path in PAGES.items()),
    ]


def _asked_for(plan: Plan, path: str, stage: Stage) -> Sample:
    fairlist = _fairlist(stage)
    with _changing(fairlist):
        return read(plan, fairlist.target._replace(url=fairlist.target.url + path), FEW)


def _made_anew(plan: Plan, path: str, stage: Stage) -> Sample:
    """What is used for bookings and pages in turn, less what the same number of bookings alone use.

    Raises ClickException where a page does not show the booking before it.
    """
    fairlist = _fairlist(stage)
    with _connection(fairlist.target) as connection:
        for wanted in (path, None):  # the first of either kind are slow
            _alternate(connection, 5, wanted)
        began = cpu_s(fairlist.target.pid)
        _alternate(connection, plan.alternations, path)
        between = cpu_s(fairlist.target.pid)
        _alternate(connection, plan.alternations, None)
        ended = cpu_s(fairlist.target.pid)
    return {"cpu_us": (between - began - (ended - between)) / plan.alternations * 1e6}


def _empty_one_by_one(plan: Plan, stage: Stage) -> Sample:
    target = stage.empty(QUART)
    with _connection(target) as connection:
        began = cpu_s(target.pid)
        for _ in range(4 * plan.alternations):
            _ask(connection, "GET", "/empty")
        return {"cpu_us": (cpu_s(target.pid) - began) / (4 * plan.alternations) * 1e6}


def _fairlist(stage: Stage) -> Fairlist:
    """A server with some events, whose pages can be asked for."""
    fairlist = stage.fairlist()
    if fairlist.server.ask(f"GET /status/{EVENT}").status == 404:
        for number in range(EVENTS):
            details = {"title": f"Summer night concert {number}", **DETAILS}
            Api(fairlist.server, ADA).event(f"pages-{number}", TICKETS, **details)
    return fairlist


@contextmanager
def _changing(fairlist: Fairlist) -> Iterator[None]:
    """Somebody books ten times a second."""
    is_over = threading.Event()

    def book() -> None:
        with _connection(fairlist.target) as connection:
            while not is_over.wait(CHANGE_EVERY_S):
                _book(connection)

    with ThreadPoolExecutor(1) as beside:
        booking = beside.submit(book)
        try:
            yield
        finally:
            is_over.set()
        booking.result()


@contextmanager
def _connection(target: Target) -> Iterator[http.client.HTTPConnection]:
    address = target.url.removeprefix("http://").partition("/")[0]
    with closing(http.client.HTTPConnection(address, timeout=TIMEOUT_S)) as connection:
        yield connection


def _alternate(connection: http.client.HTTPConnection, times: int, path: str | None) -> None:
    left = json.loads(_ask(connection, "GET", f"/status/{EVENT}"))["available"]
    for number in range(1, times + 1):
        _book(connection)
        if path and f"<b>{left - number:,}</b> of".encode() not in _ask(connection, "GET", path):
            raise click.ClickException(f"{path} does not show the last booking")


def _book(connection: http.client.HTTPConnection) -> None:
    body = f'{{"eventId":"{EVENT}","userId":"page-{next(_guests)}"}}'
    if _ask(connection, "POST", "/book", body) != b'{"assigned":true}':
        raise click.ClickException("a booking was not taken")


def _ask(connection: http.client.HTTPConnection, method: str, path: str, body: str | None = None) -> bytes:
    """Raises ClickException unless it is answered well."""
    connection.request(method, path, body, {"Content-Type": "application/json"} if body else {})
    reply = connection.getresponse()
    said = reply.read()
    if reply.status != 200:
        raise click.ClickException(f"{method} {path} was answered with {reply.status}: {said.decode()}")
    return said
