"""An event at a glance: its figures, the plot of how it filled, and what happened last, live."""

import re
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from quart.typing import TestClientProtocol as Browser

from tests.web.pages import Clock, text_of, words
from tests.web.test_dates import at
from tests.web.test_live import streaming
from webapp.booking.details import Details
from webapp.booking.ledger import Contact
from webapp.box_office import BoxOffice
from webapp.turnout import Point, Turnout
from webapp.web.organiser.overview import LIVE
from webapp.web.organiser.plot import SIDE, Plot, plot

GIG: Final = "/ui/organise/events/gig"
HOUR: Final = 3_600 * 1_000_000
DAY: Final = 24 * HOUR
NOW: Final = at("2026-11-20T12:00")


@pytest.fixture
async def office(office: BoxOffice, clock: Clock) -> BoxOffice:
    """A box office with a gig in Berlin."""
    clock.now = NOW
    await office.create_event("gig", 2, Details(title="Summer night", time_zone="Europe/Berlin"))
    return office


async def fill(office: BoxOffice, clock: Clock) -> None:
    """Bob has left his ticket to Cleo; Ada has arrived, and Dan waits."""
    for guest in ("Ada", "Bob", "Cleo", "Dan"):
        clock.now += HOUR
        await office.book("gig", guest.lower(), "guest", Contact(f"{guest} Lindqvist", None))
    await office.cancel("gig", "bob", "organiser")
    await office.check_in("gig", "ada", (await office.place("gig", "ada")).order_id, "North door")


# The page


async def test_an_event_that_nobody_has_booked_says_what_will_be_there(ada: Browser) -> None:
    answer = await ada.get(GIG)
    assert answer.headers["Cache-Control"] == "no-store"
    said = await words(answer)
    assert "Booked 0 of 2 Left 2 Waiting 0 Checked in 0 of 0 Booking is open." in said
    assert "Nobody has booked yet. As soon as somebody does, a line begins here." in said
    assert "Latest activity The times or the words of the event were changed 12:00 The event was opened with 2" in said
    assert 'hx-swap="innerHTML"></div>\n        </details>' in await answer.get_data(as_text=True)


async def test_the_figures_and_the_latest_activity_tell_how_it_stands(
    ada: Browser, office: BoxOffice, clock: Clock
) -> None:
    await fill(office, clock)
    said = await words(await ada.get(GIG))
    assert "Booked 2 of 2 Left 0 Waiting 1 Checked in 1 of 2 Booking is open. Whoever asks now joins the" in said
    assert (
        "Ada Lindqvist was let in, \u2068North door\u2069 16:00 Cleo Lindqvist got a ticket from the waiting list "
        "16:00 Bob Lindqvist was cancelled by the organiser 16:00 Dan Lindqvist joined the waiting list 16:00 "
        "Cleo Lindqvist joined the waiting list 15:00 Bob Lindqvist booked a ticket 14:00 "
        "Ada Lindqvist booked a ticket 13:00"
    ) in said


async def test_the_plot_is_told_in_words_and_in_numbers(ada: Browser, office: BoxOffice, clock: Clock) -> None:
    await fill(office, clock)
    page = await (await ada.get(GIG)).get_data(as_text=True)
    assert '<svg class="plot" role="img" aria-labelledby="plot-title plot-text">' in page
    said = text_of(page)
    assert "Since Friday 20 November 12:00 (Europe/Berlin). Now, 2 tickets are booked of 2, and 1 person waits." in said
    assert "Friday 20 November 14:00 (Europe/Berlin) 2 0" in said
    assert "Friday 20 November 16:00 (Europe/Berlin) 2 1" in said
    assert "Times are in the time zone of the event: Europe/Berlin." in said


@pytest.mark.parametrize(
    ("details", "said"),
    [
        (Details(opens_at=NOW + DAY), "Booking opens Saturday 21 November 11:00 (UTC)."),
        (Details(closes_at=NOW + DAY), "Booking is open until Saturday 21 November 11:00 (UTC)."),
        (Details(closes_at=NOW - DAY), "Booking closed Thursday 19 November 11:00 (UTC)."),
        (Details(starts_at=NOW - DAY), "Booking closed Thursday 19 November 11:00 (UTC)."),
        (Details(starts_at=NOW - DAY, ends_at=NOW - 1), "The event is over."),
        (Details(starts_at=NOW - DAY, closes_at=NOW + DAY), "Booking is open until Saturday 21 November 11:00 (UTC)."),
    ],
)
async def test_the_page_says_whether_it_can_be_booked(
    ada: Browser, office: BoxOffice, details: Details, said: str
) -> None:
    await office.revise("gig", details=details)
    answer = await ada.get(GIG)
    assert said in await words(answer)
    is_open = details.schedule.booking(NOW) == "open"
    assert (f'action="{GIG}/orders"' in await answer.get_data(as_text=True)) is is_open


async def test_the_address_for_guests_can_be_copied(ada: Browser) -> None:
    page = await (await ada.get(GIG)).get_data(as_text=True)
    assert 'hidden data-copy="http://localhost/ui/events/gig"' in page
    assert 'href="/ui/events/gig"' in page


async def test_the_present_tab_is_marked(ada: Browser) -> None:
    page = await (await ada.get(GIG)).get_data(as_text=True)
    tabs = page[page.index('<nav class="tabs"') :].partition("</nav>")[0]
    assert re.findall(r'<a href="([^"]+)"( aria-current="page")?>', tabs) == [
        (GIG, ' aria-current="page"'),
        *[(f"{GIG}/{tab}", "") for tab in ("guests", "check-in", "settings", "ledger")],
    ]


async def test_what_guests_call_themselves_is_never_markup(ada: Browser, office: BoxOffice) -> None:
    hostile = '"><script>alert(1)</script>'
    await office.book("gig", "bob", "guest", Contact(hostile, None))
    page = await (await ada.get(GIG)).get_data(as_text=True)
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page


async def test_the_page_is_live(ada: Browser, office: BoxOffice, clock: Clock) -> None:
    async with streaming(ada, f"{GIG}/stream") as stream:
        assert [(await stream.message())[0] for _ in LIVE] == list(LIVE)
        clock.now += HOUR
        await office.book("gig", "bob", "guest", Contact("Bob Lindqvist", None))
        told = dict([await stream.message() for _ in LIVE])
        assert told["figures"].startswith("Booked 1 of 2 Left 1")
        assert "Now, 1 ticket is booked of 2" in told["plot"]
        assert "13:00" in told["rows"]
        assert told["activity"].startswith("Bob Lindqvist booked a ticket 13:00")
        assert told["action"] == "Book a ticket"
        await office.book("gig", "cleo")
        await stream.until("Put on the waiting list")


@pytest.mark.parametrize("stream", ["/ui/organise/stream?newest=", f"{GIG}/stream", f"{GIG}/guests/stream"])
async def test_a_stream_ends_with_the_session_that_it_came_with(ada: Browser, office: BoxOffice, stream: str) -> None:
    async with streaming(ada, stream) as open_stream:
        await open_stream.block()
        await ada.post("/ui/sign-out")
        await office.book("gig", "cleo", "guest", Contact("Cleo Lindqvist", None))
        assert "Lindqvist" not in await open_stream.rest()


async def test_what_a_page_asks_for_by_itself_does_not_prolong_the_session(ada: Browser) -> None:
    by_itself = await ada.get(GIG, headers={"Fairlist-Poll": "1"})
    assert by_itself.status_code == 200
    assert "Set-Cookie" not in by_itself.headers
    assert "Set-Cookie" not in (await ada.head(f"{GIG}/stream")).headers
    assert "Set-Cookie" in (await ada.get(GIG)).headers


async def test_a_page_of_an_event_that_is_deleted_stays_as_it_was(ada: Browser, office: BoxOffice) -> None:
    async with streaming(ada, f"{GIG}/stream") as stream:
        await stream.until("The event was opened with 2 tickets")
        await office.delete_event("gig")
        await office.open_event("gig", 5)
        await stream.until("Booked 0 of 5")


# The plot


def drawn(*points: tuple[int, int, int, int], now: int = NOW, zone: str = "Europe/Berlin") -> Plot:
    found = plot(Turnout(len(points), tuple(Point(*point) for point in points), 0), zone, now)
    assert found is not None
    return found


def test_lines_are_level_until_something_changes() -> None:
    begin = NOW - 10 * HOUR
    shown = drawn((begin, 10, 0, 0), (begin + 5 * HOUR, 10, 5, 0), (begin + 5 * HOUR, 10, 10, 0), (NOW, 20, 10, 2))
    top = 20 * 1.08
    half, full = round(SIDE - SIDE * 5 / top), round(SIDE - SIDE * 10 / top)
    assert shown.booked == f"M500 1000V{half}V{full}H1000"
    assert shown.filled == f"{shown.booked}V1000Z"
    assert shown.waiting == f"M1000 1000V{round(SIDE - SIDE * 2 / top)}H1000"
    assert shown.capacity == f"M0 {full}H1000V{round(SIDE - SIDE * 20 / top)}H1000"


@pytest.mark.parametrize(
    ("span", "labels"),
    [
        (10 * 60 * 1_000_000, ["11:50", "11:55", "12:00"]),
        (20 * HOUR, ["18:00", "20 Nov", "06:00", "12:00"]),
        (5 * DAY, ["17 Nov", "19 Nov"]),
        (40 * DAY, ["25 Oct", "8 Nov"]),
        (200 * DAY, ["Jul 2026", "Sep 2026", "Nov 2026"]),
        (2_000 * DAY, ["Jan 2022", "Jan 2024", "Jan 2026"]),
    ],
)
def test_ticks_are_round_times_on_the_clocks_of_the_event(span: int, labels: list[str]) -> None:
    days = drawn((NOW - span, 2, 1, 0)).days
    assert [tick.label for tick in days] == labels
    assert [tick.at for tick in days] == sorted(tick.at for tick in days)
    assert all(0 <= tick.at <= 100 for tick in days)


def test_ticks_are_at_midnight_on_both_sides_of_a_change_of_clocks() -> None:
    begin, end = at("2026-10-24T00:00"), at("2026-10-27T00:00")
    days = drawn((begin, 2, 1, 0), now=end).days
    assert [tick.label for tick in days] == ["24 Oct", "25 Oct", "26 Oct", "27 Oct"]
    hours = [round(tick.at / 100 * (end - begin) / HOUR, 1) for tick in days]
    assert hours == [0, 24, 49, 73]


points = st.builds(
    Point,
    at=st.integers(NOW - 3_000 * DAY, NOW),
    capacity=st.integers(0, 1_000_000),
    booked=st.integers(0, 1_000_000),
    waiting=st.integers(0, 1_000_000),
)


@given(st.lists(points, min_size=1, max_size=12), st.sampled_from(["UTC", "Europe/Berlin", "Asia/Kolkata"]))
def test_nothing_is_drawn_outside(some: list[Point], zone: str) -> None:
    turnout = Turnout(len(some), tuple(sorted(some)), 1)
    shown = plot(turnout, zone, NOW)
    assert shown is not None
    for path in (shown.booked, shown.filled, shown.waiting, shown.capacity):
        assert re.fullmatch(r"(M\d+ \d+([HV]\d+)+Z?)?", path)
        assert all(0 <= int(number) <= SIDE for number in re.findall(r"\d+", path))
    assert all(0 <= tick.at <= 100 for tick in (*shown.levels, *shown.days))
    assert len(shown.levels) <= 6
    assert 1 <= len(shown.rows) <= 6
    assert (shown.rows[-1].booked, shown.rows[-1].waiting) == turnout.points[-1][2:]


def test_nothing_is_drawn_of_an_event_that_nobody_has_booked() -> None:
    assert plot(Turnout(1, (Point(NOW, 2, 0, 0),), 0), "UTC", NOW) is None
