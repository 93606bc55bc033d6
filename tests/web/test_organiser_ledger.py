"""The ledger of an event for its organiser: everything that has happened, in words, with names beside it."""

import html
import re
import sys
from dataclasses import replace
from typing import get_args

import pytest
from quart.typing import TestClientProtocol as Browser

from tests.web.door import GIG, HOSTILE, NOW, PANEL_GIG, booked, order_path, shown
from tests.web.pages import Clock
from tests.web.test_dates import at
from webapp.booking.ledger import Contact, Kind
from webapp.box_office import BoxOffice
from webapp.storage.sqlite import SqliteStore

LEDGER = f"{PANEL_GIG}/ledger"


@pytest.fixture
async def office(office: BoxOffice, clock: Clock) -> BoxOffice:
    clock.now = NOW
    await office.create_event("gig", 1, GIG)
    return office


async def test_what_has_happened_is_told_in_words_the_latest_first(
    ada: Browser, office: BoxOffice, store: SqliteStore, clock: Clock
) -> None:
    bob, _, dan = await booked(office, "Bob", "Cleo", "Dan")
    await office.book("gig", "Eve", "organiser", Contact("Eve Abel"))
    await office.check_in("gig", "bob@example.org", bob, "A")
    await office.undo_check_in("gig", "bob@example.org", bob)
    await office.cancel("gig", "bob@example.org", "guest")
    await office.cancel("gig", "Eve", "organiser")
    await office.revise("gig", tickets=2)
    await office.book("gig", "Fay", "organiser")
    await office.erase("gig", "dan@example.org", (dan,))
    clock.now = at("2026-11-27T20:30")
    await office.cancel("gig", "cleo@example.org", "guest")
    answer = await ada.get(LEDGER)
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
    said = await shown(answer)
    lines = [
        "The event was opened with 1 ticket",
        "The times or the words of the event were changed",
        "Bob booked a ticket",
        "Cleo joined the waiting list",
        "Somebody joined the waiting list",
        "Eve Abel was put on the waiting list by the organiser",
        "Bob was let in, gate A",
        "Bob was not let in after all: the check-in was taken back",
        "Bob cancelled",
        "Cleo got a ticket from the waiting list",
        "Eve Abel was cancelled by the organiser",
        "The number of tickets was changed: 2 tickets now",
        "Somebody got a ticket from the waiting list",
        "Fay was put on the waiting list by the organiser",
        "Somebody had name and e-mail address erased",
        "Cleo cancelled",
        "A ticket came free after the start: none goes to the waiting list any more",
    ]
    entries = await store.ledger_page("gig", 0, 100)
    times = ["19:02"] * 15 + ["20:30"] * 2
    expected = [
        f"{entry.seq} 27 November {time} {line} {entry.hash.hex()[:12]}…"
        for entry, time, line in zip(entries, times, lines, strict=True)
    ]
    assert " ".join(reversed(expected)) in said
    assert "Times are in the time zone of the event, Europe/Berlin." in said


def test_every_kind_of_entry_has_words() -> None:
    assert set(sys.modules["webapp.web.organiser.lines"]._WORDS) == set(get_args(Kind))


async def test_a_name_leads_to_its_order_and_the_page_to_the_public_ledger(ada: Browser, office: BoxOffice) -> None:
    (bob,) = await booked(office, "Bob")
    markup = await (await ada.get(LEDGER)).get_data(as_text=True)
    assert f'<a href="{order_path(bob)}"><bdi>Bob</bdi></a>' in markup
    assert 'href="/ui/events/gig/ledger"' in markup


async def test_a_long_ledger_is_read_page_by_page_without_a_gap(
    ada: Browser, office: BoxOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules["webapp.web.organiser.ledger"], "ENTRIES_PER_PAGE", 3)
    await booked(office, *(f"Guest {number}" for number in range(5)))
    seen, address = [], LEDGER
    while address:
        markup = await (await ada.get(address)).get_data(as_text=True)
        seen.append([int(number) for number in re.findall(r'<td role="cell" class="number">(\d+)</td>', markup)])
        assert ("Latest entries" in markup) == (len(seen) > 1)
        older = re.search('<a href="([^"]+)">Older entries</a>', markup)
        address = html.unescape(older[1]) if older else ""
    assert seen == [[7, 6, 5], [4, 3, 2], [1]]


@pytest.mark.parametrize(
    ("query", "numbers"),
    [("", [2, 1]), ("?before=0", [2, 1]), ("?before=99", [2, 1]), ("?before=2", [1]), ("?before=1", [])],
)
async def test_a_page_ends_before_the_entry_that_its_address_names(
    ada: Browser, query: str, numbers: list[int]
) -> None:
    answer = await ada.get(f"{LEDGER}{query}")
    assert answer.status_code == 200
    found = re.findall(r'<td role="cell" class="number">(\d+)</td>', await answer.get_data(as_text=True))
    assert found == [str(number) for number in numbers]


@pytest.mark.parametrize("before", ["x", "-1", "1.5", "9" * 20])
async def test_a_damaged_address_is_no_page(ada: Browser, before: str) -> None:
    answer = await ada.get(f"{LEDGER}?before={before}")
    assert answer.status_code == 400
    assert "Something in this address cannot be read." in await shown(answer)


async def test_an_event_that_is_not_there_has_no_ledger(ada: Browser) -> None:
    assert (await ada.get("/ui/organise/events/missing/ledger")).status_code == 404


async def test_names_are_never_markup(ada: Browser, office: BoxOffice) -> None:
    placed = await office.book("gig", HOSTILE)
    await office.check_in("gig", HOSTILE, placed.order_id, "<b>x</b>")
    markup = await (await ada.get(LEDGER)).get_data(as_text=True)
    assert "&lt;script&gt;alert(1)" in markup
    assert "<script>alert" not in markup
    assert "<b>x" not in markup


async def test_another_year_is_named(ada: Browser, office: BoxOffice, clock: Clock) -> None:
    await office.revise("gig", details=replace(GIG, venue="Mill"))
    clock.now = at("2027-01-02T12:00")
    assert "27 November 2026 19:02 The event was opened" in await shown(await ada.get(LEDGER))
