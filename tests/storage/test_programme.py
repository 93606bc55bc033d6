"""What is on, as the SQLite file tells it: upcoming events first, past ones last, in pages; and found by a title."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from tests.storage.unwritten import AT, Unwritten
from webapp.booking.details import Details
from webapp.storage.sqlite import SqliteStore
from webapp.storage.sqlite_reader import _PROGRAMME
from webapp.storage.store import Audience, ProgrammeCursor

HOUR: Final = 3_600_000_000
TIMES: Final = [None, -5 * HOUR, AT, AT + HOUR, AT + 2 * HOUR]
ALL: Final = 1_000


class Told(NamedTuple):
    """What decides where an event stands in the programme."""

    event_id: str
    details: Details
    opened_at: int


async def opened(store: SqliteStore, *details: Details) -> list[Told]:
    """Stores an event for each of the details; every third one is opened again later, with the same id."""
    told = []
    for number, detail in enumerate(details):
        event = Unwritten(f"event-{number * 7 % len(details):03}", tickets=1)
        opened_at = AT
        if number % 3 == 0:
            event.delete()
            opened_at = event.now
            event.open(1)
        event.revise(details=detail)
        told.append(Told(event.state.event_id, detail, opened_at))
        await store.append([event.addition()])
    return told


def in_order(told: list[Told], now: int) -> list[str]:
    """The ids in the order of the programme."""

    def rank(event: Told) -> tuple[int, int, str]:
        starts_at, ends_at = event.details.starts_at, event.details.ends_at
        if starts_at is None:
            return 1, -event.opened_at, event.event_id
        over_at = starts_at if ends_at is None else ends_at
        return (0, starts_at, event.event_id) if over_at > now else (2, -over_at, event.event_id)

    return [event.event_id for event in sorted(told, key=rank)]


async def listed(
    store: SqliteStore, now: int, shown_to: Audience = "guests", q: str = "", limit: int = ALL
) -> list[str]:
    """The ids of all events of the programme, read in pages."""
    found: list[str] = []
    after: ProgrammeCursor | None = None
    while True:
        page = await store.programme(now, limit, after, shown_to, q)
        assert len(page.events) <= limit
        found += [event.counts.event_id for event in page.events]
        if page.next is None:
            return found
        assert page.events
        after = page.next


SOMETIME: Final = [
    Details(starts_at=starts_at, ends_at=ends_at, hidden=hidden)
    for starts_at in TIMES
    for ends_at in (None, AT + HOUR, AT + 3 * HOUR)
    if ends_at is None or (starts_at is not None and starts_at <= ends_at)
    for hidden in (False, True, False)
]
"""Every combination, some of them twice, so that many share all their times."""


async def test_upcoming_events_come_by_their_start_then_those_without_a_date_then_past_ones_latest_first(
    store: SqliteStore,
) -> None:
    times = {
        "was yesterday": (-30, -28), "was an hour ago": (-3, -1), "goes on": (-1, 1), "goes on for weeks": (-100, 900),
        "ends now": (-2, 0), "begins now": (0, None), "soon": (1, 2), "at the same time": (1, 9),
        "much later": (500, None),
    }  # fmt: skip
    for title, (starts, ends) in times.items():
        event = Unwritten(title, tickets=1)
        event.revise(details=Details(starts_at=AT + starts * HOUR, ends_at=None if ends is None else AT + ends * HOUR))
        await store.append([event.addition()])
    for title in ("first undated", "later undated"):
        event = Unwritten(title, tickets=1)
        if title == "later undated":
            event.delete()
            event.open(1)
        await store.append([event.addition()])
    assert await listed(store, AT) == [
        "goes on for weeks", "goes on", "at the same time", "soon", "much later",
        "later undated", "first undated",
        "begins now", "ends now", "was an hour ago", "was yesterday",
    ]  # fmt: skip


@pytest.mark.parametrize("limit", [1, 2, 3, 7, ALL])
async def test_pages_lose_and_double_nothing_even_where_all_times_are_equal(store: SqliteStore, limit: int) -> None:
    told = await opened(store, *SOMETIME)
    shown = [event for event in told if not event.details.hidden]
    for now in (-9 * HOUR, -5 * HOUR, AT - 1, AT, AT + 1, AT + HOUR, AT + 3 * HOUR, AT + 9 * HOUR):
        assert await listed(store, now, limit=limit) == in_order(shown, now)
        assert await listed(store, now, "organiser", limit=limit) == in_order(told, now)


async def test_deleted_events_are_in_nobodys_programme(store: SqliteStore) -> None:
    for starts_at in (None, AT - HOUR, AT + HOUR):
        event = Unwritten(f"event {starts_at}", tickets=1)
        event.revise(details=Details(starts_at=starts_at))
        event.delete()
        await store.append([event.addition()])
    assert await listed(store, AT) == await listed(store, AT, "organiser") == []


async def test_what_is_over_before_the_next_page_is_read_is_not_lost(store: SqliteStore) -> None:
    for number in range(6):
        event = Unwritten(f"event-{number}", tickets=1)
        event.revise(details=Details(starts_at=AT + number * HOUR))
        await store.append([event.addition()])
    first = await store.programme(AT - 1, 2)
    assert [event.counts.event_id for event in first.events] == ["event-0", "event-1"]
    second = await store.programme(AT + 3 * HOUR, 10, first.next)
    assert {event.counts.event_id for event in second.events} >= {f"event-{number}" for number in range(2, 6)}


TITLES: Final = {
    "gig": "Summer Night — Straße", "talk": "ΣΊΣΥΦΟΣ", "fair": "50 % off_all\\now", "café": "", "tea": "Čaj v pět",
    "later": "summer night again",
}  # fmt: skip


@pytest.mark.parametrize(
    ("q", "found"),
    [
        ("summer", ["gig", "later"]),
        ("SUMMER NIGHT", ["gig", "later"]),
        ("r n", ["gig", "later"]),
        ("STRASSE", ["gig"]),
        ("ﬅra", ["gig"]),
        ("σίσυφοσ", ["talk"]),
        ("ς", ["talk"]),
        ("%", ["fair"]),
        ("_", ["fair"]),
        ("\\", ["fair"]),
        ("off%all", []),
        ("*", []),
        ("' OR '1'='1", []),
        ("CAFÉ", ["café"]),
        ("ČAJ", ["tea"]),
        ("caj", []),
        ("gig", []),
        ("Garden", []),
        ("", ["gig", "later", "talk", "fair", "café", "tea"]),
    ],
)
async def test_a_part_of_the_title_finds_an_event_in_any_case_and_script(
    store: SqliteStore, q: str, found: list[str]
) -> None:
    for event_id, title in TITLES.items():
        event = Unwritten(event_id, tickets=1)
        event.revise(details=Details(title=title, venue="Garden", description="Garden"))
        await store.append([event.addition()])
    for limit in (1, ALL):
        assert sorted(await listed(store, AT, q=q, limit=limit)) == sorted(found)


async def test_a_search_keeps_the_order_and_hides_what_is_hidden(store: SqliteStore) -> None:
    for number, starts_at in enumerate([AT - HOUR, None, AT + HOUR, AT + 2 * HOUR]):
        for title, hidden in [("Night", False), ("Day", False), ("Secret night", True)]:
            event = Unwritten(f"{title} {number}", tickets=1)
            event.revise(details=Details(title=title, starts_at=starts_at, hidden=hidden))
            await store.append([event.addition()])
    assert await listed(store, AT, q="night", limit=1) == ["Night 2", "Night 3", "Night 1", "Night 0"]
    assert len(await listed(store, AT, "organiser", q="night", limit=1)) == 8


async def test_the_programme_finds_its_parts_by_indexes(database: Path) -> None:
    asked = dict.fromkeys(("starts_at", "opened_at", "over_at", "now", "hidden", "limit"), 0)
    names = dict.fromkeys(("upcoming_id", "undated_id", "past_id", "q"), "")
    with closing(sqlite3.connect(database)) as connection:
        connection.create_function("casefold", 1, str.casefold, deterministic=True)
        steps = [step for *_, step in connection.execute(f"EXPLAIN QUERY PLAN {_PROGRAMME}", asked | names)]
    assert [step for step in steps if " events" in step] == [
        "SEARCH events USING INDEX events_latest_end_first (<expr>>?)",
        "SEARCH events USING INDEX events_undated_newest_first (opened_at<?)",
        "SEARCH events USING INDEX events_latest_end_first (<expr><?)",
        "SEARCH events USING INDEX sqlite_autoindex_events_1 (id=?)",
    ]
    # What is sorted is the upcoming events, and the few of each part that are left.
    assert steps.count("USE TEMP B-TREE FOR ORDER BY") == 2
