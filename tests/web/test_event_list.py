"""The list of events, as a guest meets it: what is on, in which order, and looking for a title."""

import asyncio
import re
from functools import lru_cache
from html import unescape
from itertools import pairwise
from typing import Any, Final
from urllib.parse import quote

import pytest
from quart import Response
from quart.typing import TestClientProtocol as Browser

from tests.web.pages import HTMX, Clock, app_over, sign_in, text_of, words
from tests.web.test_dates import at
from webapp.booking.details import Details
from webapp.box_office import BoxOffice
from webapp.enquiries import SEARCHES_MAX
from webapp.storage.sqlite import SqliteStore
from webapp.web import rendering
from webapp.web.compression import Content
from webapp.web.event_list import EVENTS_PER_PAGE

NOW: Final = at("2026-11-27T20:00")
HOUR: Final = 3_600_000_000
DAY: Final = 24 * HOUR
NOINDEX: Final = '<meta name="robots" content="noindex">'


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW)


async def create(office: BoxOffice, event_id: str, tickets: int = 2, **details: Any) -> None:
    """Open an event in Berlin."""
    await office.create_event(event_id, tickets, Details(**{"time_zone": "Europe/Berlin", **details}))


async def cards(answer: Response) -> list[str]:
    """The words of each card, in their order on the page."""
    page = await answer.get_data(as_text=True)
    return [text_of(card) for card in re.findall(r'<li class="card.*?</li>', page, flags=re.DOTALL)]


async def titles(browser: Browser, path: str = "/ui") -> list[str]:
    """The titles on all pages from one on, reached by their links."""
    found: list[str] = []
    next_path: str | None = path
    while next_path:
        page = await (await browser.get(next_path)).get_data(as_text=True)
        on_page = [text_of(title) for title in re.findall(r"<h3 .*?</h3>", page)]
        assert len(on_page) <= EVENTS_PER_PAGE
        found += on_page
        more = re.search(r'<a href="([^"]+)" rel="next">More events</a>', page)
        next_path = unescape(more[1]) if more else None
    return found


# What is on, and in which order


async def test_an_empty_list_tells_the_organiser_what_to_do(browser: Browser) -> None:
    answer = await browser.get("/ui")
    assert answer.status_code == 200
    assert "There are no events yet" in await words(answer)
    page = await answer.get_data(as_text=True)
    assert 'href="/ui/organise"' in page
    assert "<form" not in page


async def test_what_comes_next_stands_first_and_what_is_over_stands_last(
    browser: Browser, office: BoxOffice, clock: Clock
) -> None:
    await create(office, "older")
    await create(office, "last week", starts_at=NOW - 7 * DAY)
    await create(office, "tomorrow", starts_at=NOW + DAY)
    await create(office, "an hour ago", starts_at=NOW - 2 * HOUR, ends_at=NOW - HOUR)
    await create(office, "going on", starts_at=NOW - DAY, ends_at=NOW + 9 * DAY)
    await create(office, "in an hour", starts_at=NOW + HOUR)
    clock.now += 1
    await create(office, "younger")
    answer = await browser.get("/ui")
    page = await answer.get_data(as_text=True)
    assert await titles(browser) == [
        "going on", "in an hour", "tomorrow", "younger", "older", "an hour ago", "last week"
    ]  # fmt: skip
    assert page.index(">Coming up</h2>") < page.index(">going on<")
    assert page.index(">older<") < page.index(">Past events</h2>") < page.index(">an hour ago<")


async def test_there_is_no_heading_over_nothing(browser: Browser, office: BoxOffice) -> None:
    await create(office, "gig")
    assert "Past events" not in await words(await browser.get("/ui"))
    await office.revise("gig", details=Details(starts_at=NOW - DAY))
    shown = await words(await browser.get("/ui"))
    assert "Past events" in shown
    assert "Coming up" not in shown


async def test_an_event_moves_to_the_past_at_its_end(browser: Browser, office: BoxOffice, clock: Clock) -> None:
    await create(office, "gig", starts_at=NOW, ends_at=NOW + HOUR)
    await create(office, "talk", starts_at=NOW + DAY)
    for now, order in [(NOW + HOUR - 1, ["gig", "talk"]), (NOW + HOUR, ["talk", "gig"])]:
        clock.now = now
        for _ in range(2):  # the second time, it may come from what was kept
            assert await titles(browser) == order


async def test_hidden_events_are_on_no_page_but_the_organisers(office: BoxOffice) -> None:
    app = app_over(office)
    ada = app.test_client()
    await sign_in(ada)
    for number, starts_at in enumerate([NOW + HOUR, None, NOW - HOUR]):
        await create(office, f"open {number}", starts_at=starts_at)
        await create(office, f"secret {number}", starts_at=starts_at, hidden=True)
    assert await titles(app.test_client()) == ["open 0", "open 1", "open 2"]
    assert await titles(app.test_client(), "/ui?q=secret") == []
    page = await (await ada.get("/ui/organise")).get_data(as_text=True)
    assert re.findall(r">((?:open|secret) \d)<", page) == [
        "open 0", "secret 0", "open 1", "secret 1", "open 2", "secret 2"
    ]  # fmt: skip


async def test_the_pages_together_show_every_event_once(browser: Browser, office: BoxOffice) -> None:
    for number in range(EVENTS_PER_PAGE):
        await create(office, f"coming {number:02}", starts_at=NOW + DAY)
        await create(office, f"undated {number:02}")
        await create(office, f"past {number:02}", starts_at=NOW - DAY)
    found = await titles(browser)
    assert len(set(found)) == len(found) == 3 * EVENTS_PER_PAGE
    assert [title.split()[0] for title in found[::EVENTS_PER_PAGE]] == ["coming", "undated", "past"]


async def test_a_page_leads_to_more_events_and_back_to_the_first(browser: Browser, office: BoxOffice) -> None:
    for number in range(EVENTS_PER_PAGE + 1):
        await create(office, f"event {number:02}", starts_at=NOW + number * DAY + 1)
    first = await (await browser.get("/ui")).get_data(as_text=True)
    assert "First events" not in first
    more = re.search(r'href="(/ui\?after=[^"]+)" rel="next">More events', first)
    assert more is not None
    last = await (await browser.get(more[1])).get_data(as_text=True)
    assert '<a href="/ui" rel="first">First events</a>' in last
    assert "More events" not in last
    assert 'sse-connect="/ui/stream?after=' in last
    assert await titles(browser, more[1]) == ["event 20"]


async def test_the_page_behind_the_last_event_says_so(browser: Browser, office: BoxOffice) -> None:
    for number in range(EVENTS_PER_PAGE + 1):
        await create(office, f"event {number:02}", starts_at=NOW + number * DAY + 1)
    page = await (await browser.get("/ui")).get_data(as_text=True)
    more = re.search(r'href="([^"]+)" rel="next"', page)
    assert more is not None
    await office.delete_event("event 20")
    answer = await browser.get(more[1])
    assert "There are no more events" in await words(answer)
    assert '<a href="/ui" rel="first">' in await answer.get_data(as_text=True)


CURSORS: Final = [
    "x", "%00", "%F0%9F%8E%AB", "WzEsIDJd", "WzEsICJnaWciXQ", "WzAsIDEsICIiXQ", "WzMsIDEsICJnaWciXQ",
    "Wy0xLCAxLCAiZ2lnIl0", "WzAsIDFlOTksICJnaWciXQ", "W3RydWUsIDEsICJnaWciXQ", "WzAsIHRydWUsICJnaWciXQ",
    "WzAsIDEsICJcdWQ4MDAiXQ", "WzAsIDEyMzQ1Njc4OTAxMjM0NTY3ODkwLCAiZ2lnIl0", "WzAsIDEsIFsiZ2lnIl1d",
    "W10", "bnVsbA", "W" * 5_000,
]  # fmt: skip


@pytest.mark.parametrize("cursor", CURSORS)
@pytest.mark.parametrize("page", ["/ui", "/ui/stream"])
async def test_a_damaged_page_address_is_told_and_breaks_nothing(browser: Browser, page: str, cursor: str) -> None:
    answer = await browser.get(f"{page}?after={cursor}")
    assert answer.status_code == 400
    assert "Something in this address cannot be read." in await words(answer)


# What a card says


async def test_a_card_shows_the_day_the_title_the_hours_the_place_and_what_is_left(
    browser: Browser, office: BoxOffice
) -> None:
    times = {"starts_at": at("2096-11-27T20:00"), "ends_at": at("2096-11-27T23:00")}
    await create(office, "gig", title="Summer night", venue="Stadtpark", **times)
    answer = await browser.get("/ui")
    assert await cards(answer) == [
        "Tue 27 Nov 2096 Summer night 20:00–23:00 (Europe/Berlin) Stadtpark 2 of 2 left"
    ]  # fmt: skip
    assert '<time class="tile" datetime="2096-11-27">' in await answer.get_data(as_text=True)


async def test_the_day_is_that_of_the_events_own_zone(browser: Browser, office: BoxOffice) -> None:
    starts_at = at("2026-11-30T00:30", "Europe/Berlin")
    for zone in ("Pacific/Auckland", "Europe/Berlin", "America/New_York"):
        await create(office, zone, starts_at=starts_at, time_zone=zone)
    days = {card.split()[3]: card.split()[:3] for card in await cards(await browser.get("/ui"))}
    assert days == {
        "Pacific/Auckland": ["Mon", "30", "Nov"],
        "Europe/Berlin": ["Mon", "30", "Nov"],
        "America/New_York": ["Sun", "29", "Nov"],
    }


@pytest.mark.parametrize(
    ("details", "said"),
    [
        ({}, "gig Sold out Waiting list: 7"),
        ({"starts_at": NOW + HOUR}, "gig 21:00 (Europe/Berlin) Sold out Waiting list: 7"),
        ({"starts_at": NOW - HOUR, "ends_at": NOW + HOUR}, "gig 19:00–21:00 (Europe/Berlin) Booking has closed"),
        ({"closes_at": NOW}, "gig Booking has closed"),
        ({"starts_at": NOW - HOUR}, "gig 19:00 (Europe/Berlin) Past"),
        ({"starts_at": NOW - HOUR, "ends_at": NOW}, "gig 19:00–20:00 (Europe/Berlin) Past"),
        ({"opens_at": NOW + HOUR}, "gig Opens Friday 27 November 21:00 (Europe/Berlin)"),
    ],
)
async def test_a_card_says_in_one_line_how_the_event_stands(
    browser: Browser, office: BoxOffice, details: dict[str, Any], said: str
) -> None:
    await create(office, "gig", 1)
    for number in range(8):
        await office.book("gig", f"guest {number}")
    await office.revise("gig", details=Details(time_zone="Europe/Berlin", **details))
    (card,) = await cards(await browser.get("/ui"))
    assert card.removeprefix("Fri 27 Nov ") == said


async def test_before_it_opens_a_card_says_exactly_when_for_a_clock_to_count_down(
    browser: Browser, office: BoxOffice
) -> None:
    await create(office, "gig", opens_at=NOW + HOUR)
    page = await (await browser.get("/ui")).get_data(as_text=True)
    opens = f'data-countdown="{(NOW + HOUR) // 1_000}">Friday 27 November 21:00 (Europe/Berlin)</time>'
    assert opens in page


async def test_a_card_has_one_link(browser: Browser, office: BoxOffice) -> None:
    await create(office, "gig", starts_at=NOW + HOUR, venue="https://example.org")
    page = await (await browser.get("/ui")).get_data(as_text=True)
    (card,) = re.findall(r'<li class="card.*?</li>', page, flags=re.DOTALL)
    assert re.findall(r'<a href="([^"]+)"', card) == ["/ui/events/gig"]


@pytest.mark.parametrize("path", ["/ui", "/ui?q=gig", "/ui?q=past", "/ui?q=nothing"])
async def test_headings_are_in_order(browser: Browser, office: BoxOffice, path: str) -> None:
    await create(office, "gig")
    await create(office, "past gig", starts_at=NOW - DAY)
    page = await (await browser.get(path)).get_data(as_text=True)
    levels = [int(level) for level in re.findall(r"<h([1-6])\b", page)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(below <= above + 1 for above, below in pairwise(levels))


async def test_what_is_equal_is_rendered_once(
    browser: Browser, office: BoxOffice, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await create(office, "gig", opens_at=NOW + DAY)
    rendered = []

    def render(template: str, **values: object) -> Content:
        rendered.append(template)
        return Content(as_before(template, **values).encode())

    as_before = rendering._rendered
    monkeypatch.setattr(rendering, "_rendered_once", lru_cache(render))
    for moment in range(3):
        clock.now += moment
        assert (await browser.get("/ui")).status_code == 200
    assert rendered == ["events.html"]
    await office.open_event("wine", tickets=2)
    for _ in range(2):
        await browser.get("/ui")
    assert rendered == ["events.html", "events.html"]


# Looking for a title


@pytest.fixture
async def two_nights(office: BoxOffice) -> None:
    await create(office, "gig", title="Summer Night — Straße", starts_at=NOW + DAY)
    await create(office, "talk", title="100 % off_all", starts_at=NOW + 2 * DAY)
    await create(office, "past", title="Winter night", starts_at=NOW - DAY)


@pytest.mark.usefixtures("two_nights")
@pytest.mark.parametrize(
    ("q", "found"),
    [
        ("NIGHT", ["Summer Night — Straße", "Winter night"]),
        ("strasse", ["Summer Night — Straße"]),
        ("  Winter   ", ["Winter night"]),
        ("%", ["100 % off_all"]),
        ("f_a", ["100 % off_all"]),
        ("", ["Summer Night — Straße", "100 % off_all", "Winter night"]),
        (" \t", ["Summer Night — Straße", "100 % off_all", "Winter night"]),
    ],
)
async def test_a_search_finds_a_part_of_a_title(browser: Browser, q: str, found: list[str]) -> None:
    assert await titles(browser, f"/ui?q={quote(q)}") == found


@pytest.mark.usefixtures("two_nights")
@pytest.mark.parametrize(("q", "said"), [("night", "2 events match “night”"), ("WINTER", "1 event matches “WINTER”")])
async def test_results_say_what_was_searched_and_how_much_was_found(browser: Browser, q: str, said: str) -> None:
    answer = await browser.get(f"/ui?q={q}")
    page = await answer.get_data(as_text=True)
    assert f"{said} Show all events" in await words(answer)
    assert f'value="{q}"' in page
    assert f'sse-connect="/ui/stream?q={q}"' in page
    assert f"<title>“{q}”: Events – Fairlist</title>" in page
    assert NOINDEX in page
    assert NOINDEX not in await (await browser.get("/ui")).get_data(as_text=True)


@pytest.mark.usefixtures("two_nights")
async def test_where_nothing_is_found_the_page_says_what_to_do(browser: Browser) -> None:
    answer = await browser.get("/ui?q=nowhere")
    assert answer.status_code == 200
    assert "Nothing called “nowhere” A part of the title is enough" in await words(answer)
    page = await answer.get_data(as_text=True)
    assert '<a href="/ui">Show all events</a>' in page
    assert 'value="nowhere"' in page
    assert "match" not in await words(answer)


@pytest.mark.usefixtures("two_nights")
@pytest.mark.parametrize("q", ["x" * 201, "a\x00b", "a\u202eb", "a\nb", "a\ufffdb"])
async def test_what_nobody_can_search_for_is_told_next_to_what_was_typed(browser: Browser, q: str) -> None:
    answer = await browser.get(f"/ui?q={quote(q)}")
    page = await answer.get_data(as_text=True)
    assert answer.status_code == 422
    assert '<a href="#q">Please search with at most 200 characters, all of them visible.</a>' in page
    assert 'aria-invalid="true" aria-describedby="q-mistake" autofocus' in page
    assert f'value="{q}"' in page
    assert len(await cards(answer)) == 3
    assert (await browser.get(f"/ui/stream?q={quote(q)}")).status_code == 400


async def test_a_search_has_pages_that_keep_what_is_searched(browser: Browser, office: BoxOffice) -> None:
    q = "night & day"
    for number in range(EVENTS_PER_PAGE + 3):
        await create(office, f"Night & Day {number:02}", starts_at=NOW + number * DAY + 1)
        await create(office, f"Noon {number:02}", starts_at=NOW + number * DAY + 1)
    path = f"/ui?q={quote(q)}"
    assert await titles(browser, path) == [f"Night & Day {number:02}" for number in range(EVENTS_PER_PAGE + 3)]
    answer = await browser.get(path)
    assert f"The first {EVENTS_PER_PAGE} events that match “{q}”" in await words(answer)
    more = re.search(r'href="([^"]+)" rel="next"', await answer.get_data(as_text=True))
    assert more is not None
    last = await browser.get(unescape(more[1]))
    assert f"More events that match “{q}”" in await words(last)
    page = await last.get_data(as_text=True)
    assert '<a href="/ui?q=night+%26+day" rel="first">' in page
    assert 'sse-connect="/ui/stream?q=night+%26+day&amp;after=' in page
    assert 'data-page="/ui?q=night+%26+day&amp;after=' in page


@pytest.mark.usefixtures("two_nights")
async def test_what_is_searched_is_never_markup(browser: Browser) -> None:
    hostile = "\"'><script>alert(1)</script>"
    page = await (await browser.get(f"/ui?q={quote(hostile)}")).get_data(as_text=True)
    assert "<script>alert" not in page
    assert 'value="&#34;&#39;&gt;&lt;script&gt;' in page


@pytest.mark.usefixtures("two_nights")
async def test_htmx_gets_the_list_without_the_field_that_is_typed_in(browser: Browser) -> None:
    for path, status in [("/ui?q=winter", 200), ("/ui?q=", 200), (f"/ui?q={'x' * 201}", 422)]:
        answer = await browser.get(path, headers=HTMX)
        block = (await answer.get_data(as_text=True)).strip()
        assert answer.status_code == status
        assert block.startswith('<div id="events" sse-connect="/ui/stream?')
        assert block.endswith("</div>")
        assert "<form" not in block
        assert "autofocus" not in block
        assert "HX-Request" in answer.headers["Vary"]
    page = await browser.get("/ui?q=winter", headers={**HTMX, "HX-History-Restore-Request": "true"})
    assert "<html" in await page.get_data(as_text=True)
    assert "HX-Request" in (await browser.get("/ui")).headers["Vary"]


async def test_an_event_that_can_still_be_booked_is_not_past(browser: Browser, office: BoxOffice) -> None:
    await create(office, "gig", starts_at=NOW - HOUR, closes_at=NOW + HOUR)
    said = await words(await browser.get("/ui"))
    assert "2 of 2 left" in said
    assert "Past" not in said


async def test_searches_wait_for_each_other_in_small_numbers_only(
    browser: Browser, office: BoxOffice, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or everybody's reads would wait until all of them had looked at every event."""
    await create(office, "gig")
    held, full, found = asyncio.Event(), asyncio.Event(), store.programme

    waiting = []

    async def slow(now: int, limit: int, after: Any, shown_to: Any, q: str = "") -> Any:
        if q:
            waiting.append(q)
            if len(waiting) == SEARCHES_MAX:
                full.set()
            await held.wait()
        return await found(now, limit, after, shown_to, q)

    monkeypatch.setattr(store, "programme", slow)
    searches = [asyncio.create_task(browser.get(f"/ui?q={number}")) for number in range(SEARCHES_MAX)]
    async with asyncio.timeout(30):
        await full.wait()
    refused = await browser.get("/ui?q=more")
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
    assert (await browser.get("/ui")).status_code == 200
    held.set()
    assert [(await search).status_code for search in searches] == [200] * SEARCHES_MAX
    assert (await browser.get("/ui?q=gig")).status_code == 200
