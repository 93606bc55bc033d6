"""Bookings under load, every one of them checked: what was answered is what was written, and nothing was sold twice."""

import http.client
import itertools
import json
import sqlite3
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final, NamedTuple, Protocol

import click

from tests.benchmarks.load import Load, Sample, Target, asked, run

SETTLES_S: Final = 0.1
WARM_UP: Final = 0.1
"""The share of a measurement's time for which the load runs before it, unmeasured."""

_numbers: Final = itertools.count(1)


class Written(NamedTuple):
    """What is in a database about some events: live orders, entries that placed one, tickets that were given."""

    orders: int
    placed: int
    tickets: int
    oversold: int

    def since(self, before: "Written") -> "Written":
        """What has come since an earlier look; nothing may ever be oversold."""
        orders, placed, tickets, _ = (now - then for now, then in zip(self, before, strict=True))
        return Written(orders, placed, tickets, self.oversold)


class Books(Protocol):
    """A server that takes bookings, and tells what it has written."""

    @property
    def target(self) -> Target:
        """Where bookings go."""

    def open(self, name: str, events: int, tickets: int) -> None:
        """Open so many events, called by their name and a number, each with so many tickets."""

    def written(self, name: str) -> Written:
        """What is in its database about events whose ids begin like that."""


def booked(
    books: Books, connections: int, seconds: float, *, tickets: int, events: int = 1, name: str | None = None
) -> Sample:
    """Bookings for so long, each by a guest nobody has seen, at fresh events in turn, or at those of a name.

    Raises ClickException where a request failed, or where not exactly the answered bookings were written.
    """
    if name is None:
        name = f"e{next(_numbers)}-"
        books.open(name, events, max(1, tickets // events))
    before = books.written(name)
    target = Target(f"{books.target.url}/book", books.target.pid)
    first = run(target.url, connections, WARM_UP * seconds, name, str(events))
    load, sample = asked(target, connections, seconds, name, str(events))
    require([first, load], settled(books, name).since(before))
    return sample


def require(loads: Sequence[Load], written: Written) -> None:
    """See that all that was answered is written, and hardly anything else.

    Of those in flight when a load stopped, each may have been written or not.

    Raises ClickException.
    """
    answered, assigned = sum(load.answered for load in loads), sum(load.assigned for load in loads)
    in_flight = sum(load.in_flight for load in loads)
    if written.oversold:
        raise click.ClickException(f"{written.oversold} tickets were sold that there are not")
    if written.orders != written.placed:
        raise click.ClickException(f"{written.orders} orders, but {written.placed} in the ledger")
    for what, told, found in (("bookings", answered, written.orders), ("tickets", assigned, written.tickets)):
        if not told <= found <= told + in_flight:
            raise click.ClickException(f"{told} {what} were answered, {found} written")


def settled(books: Books, name: str) -> Written:
    """What is written once that is settled which was in flight when the load stopped."""
    before, written = None, books.written(name)
    while written != before:
        time.sleep(SETTLES_S)
        before, written = written, books.written(name)
    return written


def open_by_hand(url: str, names: list[str], tickets: int, headers: Mapping[str, str]) -> None:
    """Open events on one connection. Raises ClickException."""
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=60)
    with closing(connection):
        for name in names:
            body = json.dumps({"eventId": name, "tickets": tickets})
            connection.request("POST", "/initialize", body, {"Content-Type": "application/json", **headers})
            reply = connection.getresponse()
            said = reply.read()
            if reply.status != 200:
                raise click.ClickException(f"{name} could not be opened: {said.decode()}")


def numbers(database: Path, statement: str, name: str) -> tuple[int, ...]:
    """The numbers that one row of an answer holds; `?1` and `?2` in the statement enclose the ids of a name."""
    with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True, timeout=60)) as connection:
        return tuple(connection.execute(statement, (name, f"{name}\x7f")).fetchone())
