"""Thousands of open pages of an event: when all have seen a change, what they cost, and what they do to bookings."""

import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final

import click

from tests.benchmarks import machine
from tests.benchmarks.bookings import booked
from tests.benchmarks.load import Sample
from tests.benchmarks.plan import Measure, Plan
from tests.benchmarks.rush import FEW
from tests.benchmarks.stage import Fairlist, Stage
from tests.client import raw
from tests.server import TIMEOUT_S

EVENT: Final = "open-pages"
TICKETS: Final = 1_000_000
QUIET_S: Final = 2.0
"""After which a change is sent at once, and not after a pause."""

SEEN: Final = "a change at the open pages"
UPDATES: Final = "one update a second at the open pages"
BOOKINGS: Final = "POST /book with the open pages"


def measures(plan: Plan, _database: Callable[[int], Path]) -> list[Measure]:
    """The three, one after the other."""
    return [
        Measure(SEEN, partial(_seen, plan)),
        Measure(UPDATES, partial(_updates, plan)),
        Measure(BOOKINGS, partial(_bookings, plan)),
    ]


def _seen(plan: Plan, stage: Stage) -> Sample:
    """How long after somebody began to book the last page has seen it, and the memory of each page."""
    fairlist = stage.fairlist()
    _open(fairlist)
    before = machine.resident_bytes(fairlist.target.pid)
    with _pages(fairlist, plan.pages) as pages:
        held = machine.resident_bytes(fairlist.target.pid) - before
        time.sleep(QUIET_S)
        pages.read_all(until=time.monotonic())
        began = time.perf_counter()
        words = _book(fairlist)
        pages.wait_for(words)
        return {"seconds": time.perf_counter() - began, "bytes_per_page": held / plan.pages}


def _updates(plan: Plan, stage: Stage) -> Sample:
    """The share of a core that goes into one change every second."""
    fairlist = stage.fairlist()
    _open(fairlist)
    updates = max(1, round(plan.seconds))
    with _pages(fairlist, plan.pages) as pages:
        time.sleep(QUIET_S)
        began, before = time.monotonic(), machine.cpu_s(fairlist.target.pid)
        for number in range(updates):
            words = _book(fairlist)
            pages.read_all(until=began + number + 1)
        share = (machine.cpu_s(fairlist.target.pid) - before) / (time.monotonic() - began)
        pages.wait_for(words)
        return {"cores": share}


def _bookings(plan: Plan, stage: Stage) -> Sample:
    """A rush, while all pages are told of it."""
    fairlist = stage.fairlist()
    _open(fairlist)
    with _pages(fairlist, plan.pages) as pages, pages.read_meanwhile():
        return booked(fairlist, FEW, plan.seconds, tickets=0, name=EVENT)


def _open(fairlist: Fairlist) -> None:
    fairlist.open(EVENT, 1, TICKETS)


def _book(fairlist: Fairlist) -> bytes:
    """Somebody books; returns what pages show then."""
    left = TICKETS - fairlist.written(EVENT).tickets - 1
    reply = fairlist.server.ask("POST /book", {"eventId": f"{EVENT}0", "userId": f"Bob-{left}"})
    if reply.json != {"assigned": True}:
        raise click.ClickException(f"a booking was answered with {reply.body.decode()}")
    return f"<b>{left:,}</b> of {TICKETS:,} left".encode()


class Pages:
    """Open pages of an event, read one after the other as something arrives: little work, since it is measured too."""

    def __init__(self, port: int, number: int) -> None:
        self._arrivals = select.epoll()
        self._sockets: dict[int, socket.socket] = {}
        self._heard: dict[int, bytes] = {}
        request = raw(f"GET /ui/events/{EVENT}0/stream")
        for _ in range(number):
            page = socket.create_connection(("127.0.0.1", port))
            page.sendall(request)
            page.setblocking(False)
            self._arrivals.register(page, select.EPOLLIN)
            self._sockets[page.fileno()], self._heard[page.fileno()] = page, b""

    def wait_for(self, words: bytes) -> None:
        """Until every page has said some words last. Raises ClickException."""
        deadline = time.monotonic() + TIMEOUT_S
        missing = {number for number, heard in self._heard.items() if words not in heard}
        while missing:
            if time.monotonic() > deadline:
                raise click.ClickException(f"{len(missing)} open pages were not told of a change")
            missing.difference_update(number for number in self._read() if words in self._heard[number])

    def read_all(self, until: float) -> None:
        """Read what arrives before a moment of the monotonic clock."""
        self._read(timeout_s=0)
        while (left := until - time.monotonic()) > 0:
            self._read(left)

    @contextmanager
    def read_meanwhile(self) -> Iterator[None]:
        """Read beside something else. Raises ClickException where a page has ended."""
        is_over = threading.Event()

        def read() -> None:
            while not is_over.is_set():
                self._read()

        with ThreadPoolExecutor(1) as beside:
            reading = beside.submit(read)
            try:
                yield
            finally:
                is_over.set()
            reading.result()

    def close(self) -> None:
        """Go away."""
        for page in self._sockets.values():
            page.close()
        self._arrivals.close()

    def _read(self, timeout_s: float = 0.1) -> list[int]:
        """The pages that have said something. Raises ClickException where one has ended."""
        arrived = [number for number, _ in self._arrivals.poll(timeout_s)]
        for number in arrived:
            said = self._sockets[number].recv(65_536)
            if not said:
                raise click.ClickException("the server has ended an open page")
            self._heard[number] = said if len(said) > 1_000 else self._heard[number][-1_000:] + said
        return arrived


@contextmanager
def _pages(fairlist: Fairlist, number: int) -> Iterator[Pages]:
    """So many open pages, each of which has been told how things are."""
    machine.let_open_files(number)
    pages = Pages(fairlist.server.port, number)
    try:
        pages.wait_for(b"event: ")
        yield pages
    finally:
        pages.close()
