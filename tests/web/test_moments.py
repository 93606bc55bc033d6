"""What time alone changes: told when it happens, to everybody who looks, and rendered once for them all."""

import re
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from quart.typing import TestClientProtocol as Browser

from tests.web.pages import Clock, app_over
from tests.web.test_dates import at
from tests.web.test_live import CLEO, GIG, list_stream, streaming
from webapp.booking.details import Details, contradictions
from webapp.booking.state import Counts, Event
from webapp.box_office import BoxOffice
from webapp.storage.sqlite import SqliteStore
from webapp.web import rendering
from webapp.web.event_view import EventView, next_change, view
from webapp.web.moments import LOOK_EVERY_S, Moments

NOW: Final = at("2026-11-20T12:00")
OPENS, CLOSES, STARTS, ENDS = (at(f"2026-11-27T{time}") for time in ("18:00", "19:00", "20:00", "22:00"))
DETAILS: Final = Details(
    title="Gig", opens_at=OPENS, closes_at=CLOSES, starts_at=STARTS, ends_at=ENDS, time_zone="Europe/Berlin"
)
OPENS_THEN: Final = "Opens Friday 27 November 18:00 (Europe/Berlin)"
NEW_YEAR: Final = at("2027-01-01T00:00")


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW)


@pytest.fixture
async def office(
    store: SqliteStore,
    start: Callable[[BoxOffice], Awaitable[BoxOffice]],
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> BoxOffice:
    """A box office with a gig, whose clock somebody looks at all the time."""
    monkeypatch.setattr("webapp.web.moments.LOOK_EVERY_S", 0.001)
    monkeypatch.setattr("webapp.web.broadcast.PAUSE_S", 0.001)
    office = await start(BoxOffice(store, clock=clock))
    await office.create_event("gig", 2, DETAILS)
    return office


@pytest.fixture
def browser(office: BoxOffice) -> Browser:
    return app_over(office).test_client()


# When


def gig(details: Details = DETAILS, *, has_lapsed: bool = False) -> Event:
    return Event(Counts("gig", 2, 0, 0, 2, bytes(32), has_lapsed=has_lapsed), details)


def moments_of(event: Event) -> list[int]:
    """All moments at which the event's view changes, until the year after next."""
    found, now = [], NOW
    while (now_or_never := next_change(event, now)) is not None and now_or_never < at("2028-01-01T00:00"):
        now = now_or_never
        found.append(now)
    return found


def test_a_view_changes_when_booking_opens_and_closes_and_when_the_event_begins_and_ends() -> None:
    assert moments_of(gig()) == [OPENS, CLOSES, STARTS, ENDS, NEW_YEAR]
    assert moments_of(gig(replace(DETAILS, closes_at=None))) == [OPENS, STARTS, ENDS, NEW_YEAR]
    assert moments_of(gig(replace(DETAILS, starts_at=None, ends_at=None))) == [OPENS, CLOSES, NEW_YEAR]


def test_what_happens_without_being_seen_is_no_moment() -> None:
    assert moments_of(gig(has_lapsed=True)) == [OPENS, CLOSES, ENDS, NEW_YEAR]
    assert moments_of(gig(Details())) == [at("2027-01-01T00:00", "UTC")]


TIMES: Final = st.none() | st.integers(NOW - 20, NOW + 20)


@given(
    st.builds(Details, starts_at=TIMES, ends_at=TIMES, opens_at=TIMES, closes_at=TIMES).filter(
        lambda details: not contradictions(details)
    ),
    st.booleans(),
    st.integers(NOW - 25, NOW + 25),
)
def test_between_two_moments_nothing_changes(details: Details, has_lapsed: bool, now: int) -> None:
    event = gig(details, has_lapsed=has_lapsed)
    changes = [later for later in range(now + 1, NOW + 30) if view(event, later) != view(event, later - 1)]
    found = next_change(event, now)
    assert found is not None, "a year ends at the latest"
    assert [found][: found < NOW + 30] == changes[:1]


def test_the_last_year_there_is_does_not_end() -> None:
    assert next_change(gig(Details(time_zone="Europe/Berlin")), at("9999-12-31T23:59")) is None


# Who is told


async def looking_at(office: BoxOffice, opened: AsyncExitStack) -> Moments:
    moments = Moments(office)
    opened.enter_context(moments.watched(["gig"]))
    await moments.learn(["gig"])
    return moments


async def test_a_moment_comes_once(office: BoxOffice, clock: Clock) -> None:
    async with AsyncExitStack() as opened:
        moments = await looking_at(office, opened)
        assert moments.passed([]) == []
        clock.now = OPENS - 1
        assert moments.passed([]) == []
        clock.now = OPENS
        assert moments.passed([]) == [office.published("gig")]
        assert moments.passed([]) == []
        clock.now = ENDS  # while nobody looked, closing and the start have passed as well
        assert moments.passed([]) == [office.published("gig")]
        assert moments.passed([]) == []


async def test_a_clock_that_is_set_back_brings_a_moment_again(office: BoxOffice, clock: Clock) -> None:
    clock.now = OPENS + 2
    async with AsyncExitStack() as opened:
        moments = await looking_at(office, opened)
        clock.now = OPENS + 1
        assert moments.passed([]) == [], "what is seen has not changed"
        clock.now = OPENS - 1
        assert moments.passed([]) == [office.published("gig")]
        assert moments.passed([]) == []
        assert moments.wait_s > 0
        clock.now = OPENS
        assert moments.passed([]) == [office.published("gig")]
        assert moments.passed([]) == []


@pytest.mark.parametrize("opens_at", [OPENS - 60_000_000, OPENS + 60_000_000])
async def test_an_event_that_is_revised_changes_at_its_new_moments(
    office: BoxOffice, clock: Clock, opens_at: int
) -> None:
    async with AsyncExitStack() as opened:
        moments = await looking_at(office, opened)
        await office.revise("gig", details=replace(DETAILS, opens_at=opens_at))
        assert moments.passed([await office.counts("gig")]) == []
        clock.now = opens_at - 1
        assert moments.passed([]) == []
        clock.now = opens_at
        assert moments.passed([]) == [await office.counts("gig")]
        clock.now = max(opens_at, OPENS)
        assert moments.passed([]) == []


async def test_what_was_deleted_or_is_not_looked_at_any_more_has_no_moments(office: BoxOffice, clock: Clock) -> None:
    async with AsyncExitStack() as opened:
        moments = await looking_at(office, opened)
        with moments.watched(["gig"]):
            pass
        clock.now = OPENS
        assert len(moments.passed([])) == 1
        counts = await office.counts("gig")
        await office.delete_event("gig")
        moments.passed([counts])
        await moments.learn(["gig"])
        clock.now = CLOSES
        assert moments.passed([]) == []
    await office.create_event("gig", 2, DETAILS)
    async with AsyncExitStack() as opened:
        moments = await looking_at(office, opened)
    clock.now = ENDS
    assert moments.passed([]) == []


async def test_nobody_waits_longer_than_until_the_next_moment_or_the_next_look(
    office: BoxOffice, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("webapp.web.moments.LOOK_EVERY_S", LOOK_EVERY_S)
    async with AsyncExitStack() as opened:
        moments = await looking_at(office, opened)
        assert moments.wait_s == LOOK_EVERY_S
        clock.now = OPENS - 250_000
        assert moments.wait_s == 0.25
        clock.now = OPENS + 1
        assert moments.wait_s == 0


async def test_an_event_that_somebody_looks_at_stays_in_memory(
    office: BoxOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("webapp.desks.DESKS_MAX", 3)

    async def is_kept(moments: Moments) -> bool:
        for number in range(10):
            await office.open_event(f"{moments}-{number}", tickets=1)
            moments.passed([])
        return office.published("gig") is not None

    async with AsyncExitStack() as opened:
        assert await is_kept(await looking_at(office, opened))
    assert not await is_kept(Moments(office))


# What pages are sent


async def test_a_page_becomes_what_it_would_be_after_a_reload(
    office: BoxOffice, browser: Browser, clock: Clock
) -> None:
    async with streaming(browser, GIG) as stream:
        assert OPENS_THEN in (await stream.messages(6))[-1][1]
        for now, counts, action, booking in [
            (OPENS, "2 of 2 left", "Book a ticket", "Your e-mail address"),
            (CLOSES, "0 of 2 tickets booked", "Booking has closed.", "Booking has closed"),
            (ENDS, "2 tickets were left. This event is over.", "This event is over.", "This event is over"),
        ]:
            clock.now = now
            while counts not in await stream.counts():  # the start, when nobody is promoted any more, comes between
                await stream.messages(5)
            said = dict(await stream.messages(5))
            assert action in said["action"]
            assert booking in said["booking"]


async def test_a_page_that_was_opened_before_the_clock_was_set_back_sees_the_second_opening(
    office: BoxOffice, browser: Browser, clock: Clock
) -> None:
    clock.now = OPENS + 3_600_000_000
    async with streaming(browser, GIG) as stream:
        await stream.until("Booking has closed.")
        clock.now = OPENS - 60_000_000
        await stream.until(OPENS_THEN)
        clock.now = OPENS
        await stream.until("Book a ticket")
        clock.now = OPENS - 60_000_000
        await stream.until(OPENS_THEN)
        clock.now = OPENS
        await stream.until("Book a ticket")


async def test_a_page_is_told_the_time_again_where_the_clock_was_set(
    office: BoxOffice, browser: Browser, clock: Clock
) -> None:
    clock.now = OPENS
    async with streaming(browser, GIG) as stream:
        await stream.until("Book a ticket")
        clock.now = OPENS - 60_000_000
        while f"event: clock\ndata: {clock.now // 1_000}" not in (block := await stream.block()):
            assert "counts" not in block, "it has not been told before what has changed"


async def test_only_a_section_without_a_form_is_live(office: BoxOffice, browser: Browser, clock: Clock) -> None:
    for now, is_live in [(NOW, True), (OPENS, False), (CLOSES, True), (ENDS, True)]:
        clock.now = now
        page = await (await browser.get("/ui/events/gig")).get_data(as_text=True)
        section = re.search(r'<section [^>]*id="booking"[^>]*>', page)
        assert section is not None
        assert ('sse-swap="booking-' in section[0]) is is_live
        assert (f'action="{GIG.removesuffix("/stream")}/orders"' in page) is not is_live


async def test_lists_hear_of_moments_too(office: BoxOffice, browser: Browser, clock: Clock) -> None:
    async with streaming(browser, await list_stream(browser)) as stream:
        assert OPENS_THEN in await stream.counts()
        clock.now = OPENS
        assert "2 of 2 left" in await stream.counts()


async def test_a_moment_that_was_put_off_is_told_when_it_comes(
    office: BoxOffice, browser: Browser, clock: Clock
) -> None:
    async with streaming(browser, GIG) as stream:
        await stream.until(OPENS_THEN)
        await office.revise("gig", details=replace(DETAILS, opens_at=OPENS + 60_000_000))
        await stream.until("Opens Friday 27 November 18:01 (Europe/Berlin)")
        clock.now = OPENS
        await office.revise("gig", tickets=3)
        assert "3 tickets" in await stream.counts()
        await stream.until("Booking opens Friday 27 November 18:01")
        clock.now += 60_000_000
        await stream.until("Book a ticket")


async def test_a_moment_is_rendered_once_for_everybody(
    office: BoxOffice, browser: Browser, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await office.revise("gig", details=replace(DETAILS, title="Of no other test"))  # or its frames may be kept
    async with AsyncExitStack() as opened:
        senders = [f"192.0.2.{number}" for number in range(150)]
        streams = [await opened.enter_async_context(streaming(browser, GIG, sender)) for sender in senders]
        for stream in streams:
            await stream.until(OPENS_THEN)
        rendered = []

        def render(template: str, name: str, event: EventView, **values: object) -> str:
            rendered.append(name)
            return as_before(template, name, event=event, **values)

        as_before = rendering.block
        monkeypatch.setattr(rendering, "block", render)
        clock.now = OPENS
        for stream in streams:
            await stream.until("Your e-mail address")
    assert sorted(rendered) == ["about", "action", "booking", "counts", "facts", "rule"]


async def test_a_guest_who_waits_reads_that_no_more_tickets_are_given_out(
    office: BoxOffice, browser: Browser, clock: Clock
) -> None:
    clock.now = OPENS
    for guest in ("Ada", "Bob"):
        await office.book("gig", guest)
    await browser.post("/ui/events/gig/orders", form=CLEO)
    async with streaming(browser, GIG) as stream:
        await stream.until("The next ticket that comes free is yours")
        clock.now = STARTS
        await stream.until("The event has begun, and no more tickets are given out.")


async def test_what_opens_for_somebody_who_has_booked_is_a_booking_for_somebody_else(
    office: BoxOffice, browser: Browser, clock: Clock
) -> None:
    clock.now = OPENS
    await browser.post("/ui/events/gig/orders", form=CLEO)
    await office.revise("gig", details=replace(DETAILS, opens_at=OPENS + 60_000_000))
    async with streaming(browser, GIG) as stream:
        await stream.until("Opens Friday 27 November 18:01")
        clock.now += 60_000_000
        await stream.until("Book for somebody else")


async def test_programs_hear_nothing_of_time(office: BoxOffice, browser: Browser, clock: Clock) -> None:
    async with streaming(browser, "/api/v1/events/gig/stream") as stream, streaming(browser, GIG) as page:
        assert await stream.block() == "retry: 2000"
        assert '"entry": 2' in await stream.block()
        await page.until(OPENS_THEN)
        clock.now = OPENS
        await page.until("Book a ticket")
        await office.book("gig", "Bob")
        assert '"entry": 3' in await stream.block()
