"""Every statement that a page or a route of the API leads to finds its rows along an index, without exception.

SQLite plans without statistics here, so that the plan of a statement is the same however many rows there are. What is
looked through nevertheless is the part of an index that a page is made of, or a query's own intermediate rows.
"""

import asyncio
import re
import shutil
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest
from quart.typing import TestClientProtocol as Browser

from tests.web.pages import app_over
from tests.web.test_who_may_what import API_ROUTES, ROUTES
from webapp.box_office import BoxOffice
from webapp.storage.migrator import load_migrations, migrate
from webapp.storage.sqlite import SqliteStore
from webapp.web.secrets import Secrets
from webapp.web.ticket_codes import TicketCodes

SCHEMA: Final = Path(__file__).parents[2] / "schema" / "sqlite"
START: Final = "the start"
GUESTS: Final = 30
TALK: Final = {"eventId": "talk", "capacity": 2, "starts_at": "2030-06-18T19:30:00Z"}

# What the tables of routes do not ask for, since it makes no difference to who may ask.
MORE: Final = [
    "GET /ui?q=gig",
    "GET /ui/organise?q=gig",
    "GET /ui/events/gig/ledger?entry=1",
    "GET /ui/orders/{cleo}/{cleo_key}",
    "GET /ui/organise/events/gig/guests?q=guest",
    "GET /ui/organise/events/gig/guests?share=waiting",
    "GET /ui/organise/events/gig/guests?after=3",
    "GET /api/v1/events?limit=1&cursor={cursor}",
    "GET /api/v1/events/gig/orders?limit=1",
]

INDEXES: Final = [
    "events_latest_end_first",
    "events_newest_first",
    "events_undated_newest_first",
    "kept_answers_oldest_first",
    "ledger_turns_at_events",
    "ledger_turns_of_orders",
    "orders_one_live_per_guest",
]


SIGNED_IN: Final = {302, 303}
"""What who need not sign in is answered where one does."""

ENDED: Final = {404, 409}
"""What is answered about orders that the requests before have ended."""


class Asked(NamedTuple):
    """A statement, what was bound to it when it was first run, and the request that led to it."""

    request: str
    statement: str
    parameters: Any


class Record:
    """Every statement that was run over the connections it has opened, once."""

    def __init__(self) -> None:
        self.request = START
        self.asked: dict[str, Asked] = {}
        self._connect = sqlite3.connect

    def connect(self, *where: Any, **how: Any) -> sqlite3.Connection:
        """As `sqlite3.connect`."""
        note = self._note

        class Connection(sqlite3.Connection):
            def execute(self, statement: str, parameters: Any = ()) -> sqlite3.Cursor:
                note(statement, parameters)
                return super().execute(statement, parameters)

            def executemany(self, statement: str, rows: Iterable[Any]) -> sqlite3.Cursor:
                rows = list(rows)
                for row in rows[:1]:
                    note(statement, row)
                return super().executemany(statement, rows)

            def cursor(self, *_: Any) -> Any:
                raise AssertionError("what runs over cursors is not recorded")

        return self._connect(*where, factory=Connection, **how)

    def _note(self, statement: str, parameters: Any) -> None:
        if re.match(r"\s*(SELECT|WITH|INSERT|UPDATE|DELETE)\b", statement):
            self.asked.setdefault(statement, Asked(self.request, statement, parameters))


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Sequence[Asked]]:
    """A database over which every route was asked, and all statements that this led to."""
    database, record = tmp_path_factory.mktemp("plans") / "fairlist.sqlite3", Record()
    migrate(database, load_migrations(SCHEMA))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(sqlite3, "connect", record.connect)
        asyncio.run(visited(database, record, asks=True))
        asyncio.run(visited(database, record, asks=False))  # this start finds something to fold
    return database, list(record.asked.values())


async def visited(database: Path, record: Record, *, asks: bool) -> None:
    """Start on a database, ask every route if wanted, and stop."""
    record.request = START
    store = await SqliteStore.open(database)
    box_office = BoxOffice(store)
    try:
        await box_office.start()
        if asks:
            await walk(app_over(box_office, APP_ENV="test").test_client(), record)
    finally:
        await box_office.stop()
        await store.close()


async def walk(browser: Browser, record: Record) -> None:
    """Ask every route, as the organiser, who may everything."""
    names = await some_orders(browser)
    for request in MORE:
        record.request = request
        assert await status(browser, request.format(**names), "") == 200, request
    for route, request, body, _, answers in ROUTES + API_ROUTES:
        record.request = route
        filled = body if body.startswith("{") else body.format(**names)
        answered = await status(browser, request.format(**names), filled)
        assert answered in answers | SIGNED_IN | ENDED, f"{request}: {answered}"


async def some_orders(browser: Browser) -> dict[str, str]:
    """Two events with orders; returns what stands in braces in requests."""
    await browser.post("/initialize", json={"eventId": "gig", "tickets": 2})
    await browser.post("/api/v1/events", json=TALK)
    for number in range(GUESTS):
        await browser.post("/book", json={"eventId": "gig", "userId": f"guest-{number}"})
    names, codes = {"missing": "missing"}, TicketCodes(Secrets.derived_from(bytes(32)).ticket_code)
    for guest in ("bob", "dan", "cleo"):
        order = await (await browser.post("/api/v1/events/talk/orders", json={"userId": guest})).get_json()
        names |= {guest: order["id"], f"{guest}_key": order["key"], f"{guest}_code": codes.code(order["id"])}
    page = await (await browser.get("/api/v1/events?limit=1")).get_json()
    return {**names, "tampered_key": "x" * 22, "cursor": page["next"]}


async def status(browser: Any, request: str, body: str) -> int:
    """How a request is answered that is sent with what changes need besides."""
    method, _, address = request.partition(" ")
    media_type = "application/json" if body.startswith("{") else "application/x-www-form-urlencoded"
    headers = {"If-Match": "*", "Idempotency-Key": re.sub(r"\W", "-", request)[:64]}
    if body:
        headers["Content-Type"] = media_type
    return int((await browser.open(address, method=method, data=body or None, headers=headers)).status_code)


def scans(database: Path, asked: Iterable[Asked]) -> Iterator[str]:
    """What goes through a whole table, or relies on an index that is not there: how, for whom, and the statement."""
    with closing(sqlite3.connect(database)) as connection:
        connection.create_function("casefold", 1, str.casefold, deterministic=True)
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        for request, statement, parameters in asked:
            names = tables | {alias for name, alias in re.findall(r"\b(\w+) AS (\w+)", statement) if name in tables}
            try:
                plan = connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters).fetchall()
            except sqlite3.OperationalError as error:
                yield f"{request}: {error}: {statement}"
                continue
            for *_, step in plan:
                scanned = re.match(r"SCAN (\w+)", step)
                if scanned and scanned[1] in names:
                    yield f"{request}: {step}: {statement}"


def test_every_statement_finds_its_rows_along_an_index(walked: tuple[Path, Sequence[Asked]]) -> None:
    database, asked = walked
    found = list(scans(database, asked))
    assert not found, "\n\n".join(found)


# Without the one that is left out, its query goes along `events_newest_first`, past the events that have a date.
@pytest.mark.parametrize("index", [index for index in INDEXES if index != "events_undated_newest_first"])
def test_an_index_that_is_missing_is_found_out(
    walked: tuple[Path, Sequence[Asked]], index: str, tmp_path: Path
) -> None:
    database, asked = walked
    without = Path(shutil.copy(database, tmp_path / "without.sqlite3"))
    with closing(sqlite3.connect(without)) as connection:
        connection.execute(f"DROP INDEX {index}")
    assert list(scans(without, asked))


def test_no_index_is_without_a_query(walked: tuple[Path, Sequence[Asked]]) -> None:
    with closing(sqlite3.connect(walked[0])) as connection:
        found = connection.execute("SELECT name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL")
        assert sorted(name for (name,) in found) == INDEXES
