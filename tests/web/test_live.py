"""Streams: what changes is sent to every open page, once rendered, latest first served, and never to too many."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from html import unescape
from typing import Any, Final, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from quart import Quart
from quart.testing.connections import TestHTTPConnection as Connection
from quart.typing import TestClientProtocol as Browser
from werkzeug.datastructures import Headers

from tests.web.pages import app_over, sign_in, text_of
from webapp.booking.details import Details
from webapp.booking.state import Counts
from webapp.box_office import BoxOffice
from webapp.storage.sqlite import SqliteStore
from webapp.storage.store import ProgrammePage, Store
from webapp.web import broadcast, rendering
from webapp.web.broadcast import Broadcast, Interest
from webapp.web.event_list import EVENTS_PER_PAGE
from webapp.web.event_view import EventView
from webapp.web.streams import message

TIMEOUT_S: Final = 30.0
GIG: Final = "/ui/events/gig/stream"
RULE: Final = "First come, first served. When someone cancels, the first person waiting gets the ticket, at once."
CLEO: Final = {"name": "Cleo Moreau", "email": "cleo@example.org"}
HOME: Final = "192.0.2.1"
AWAY: Final = "198.51.100.7"
FAR_AWAY: Final = 4_000_000_000_000_000  # in 2096


class Stream:
    """An open stream, read message by message."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._unread = ""

    @property
    def headers(self) -> Headers:
        """The headers of the answer."""
        assert self._connection.headers is not None
        return self._connection.headers

    async def block(self) -> str:
        """The next thing up to an empty line, comments and all."""
        async with asyncio.timeout(TIMEOUT_S):
            while "\n\n" not in self._unread:
                self._unread += (await self._connection.receive()).decode()
        block, _, self._unread = self._unread.partition("\n\n")
        return block

    async def message(self) -> tuple[str, str]:
        """The next message but what time it is: its name without the event's token, and its words."""
        while "data:" not in (block := await self.block()) or block.startswith("event: clock\n"):
            pass
        name, *data = block.split("\n")
        assert all(line.startswith("data: ") for line in data)
        words = text_of("\n".join(line.removeprefix("data: ") for line in data))
        return re.sub(r"^event: (\w+)(-[0-9a-f]{12})?$", r"\1", name), words

    async def counts(self) -> str:
        """The words of the next message about counts."""
        while True:
            name, words = await self.message()
            if name == "counts":
                return words

    async def messages(self, count: int) -> list[tuple[str, str]]:
        """So many messages."""
        return [await self.message() for _ in range(count)]

    async def until(self, said: str) -> None:
        """Read on until something has been said."""
        while said not in (await self.message())[1]:
            pass

    async def end(self) -> None:
        """Read on until the server ends the stream."""
        await self.rest()

    async def rest(self) -> str:
        """All that is sent until the server ends the stream."""
        async with asyncio.timeout(TIMEOUT_S):
            while sent := await self._connection.receive():
                self._unread += sent.decode()
        return self._unread


@asynccontextmanager
async def streaming(browser: Browser, path: str, sender: str = HOME) -> AsyncIterator[Stream]:
    """A stream, from which its reader goes away at the end."""
    async with browser.request(path, scope_base={"client": (sender, 1)}) as connection:
        await connection.send_complete()
        assert isinstance(connection, Connection)
        yield Stream(connection)
        await connection.disconnect()


@pytest.fixture
def app(box_office: BoxOffice) -> Quart:
    return app_over(box_office)


@pytest.fixture
def browser(app: Quart) -> Browser:
    return app.test_client()


async def test_a_stream_begins_with_the_state_of_the_moment(browser: Browser, box_office: BoxOffice) -> None:
    await box_office.open_event("gig", tickets=1)
    async with streaming(browser, GIG) as stream:
        assert await stream.block() == "retry: 2000"
        assert re.fullmatch(r"event: clock\ndata: \d{13}", await stream.block())
        assert await stream.messages(5) == [
            ("counts", "1 of 1 left Nobody has booked yet. Tickets are available."),
            ("action", "Book a ticket"),
            ("facts", "gig"),
            ("about", ""),
            ("rule", f"{RULE} Check for yourself: the ledger"),
        ]
        name, words = await stream.message()
        assert name == "booking"
        assert "Your name" in words


async def test_a_change_is_sent_to_an_open_page(browser: Browser, box_office: BoxOffice) -> None:
    await box_office.open_event("gig", tickets=1)
    async with streaming(browser, GIG) as stream:
        assert "1 of 1 left" in await stream.counts()
        await box_office.book("gig", "Bob")
        assert "Sold out" in await stream.counts()
        await box_office.book("gig", "Cleo")
        await stream.until("Join the waiting list (you would be 2nd)")


async def test_of_a_rush_only_the_latest_counts_are_sent() -> None:
    office = quiet_office()
    source = office.announcements
    with Broadcast(office).listening(Interest(frozenset({"gig"}))) as channel:
        source.announce([counts(1, 0, 2)])
        async with asyncio.timeout(TIMEOUT_S):
            await channel.newer_than(0)
        for booked in range(2, 100):
            source.announce([counts(booked, 0, booked + 1)])
        async with asyncio.timeout(TIMEOUT_S):
            await channel.newer_than(1)
        assert channel.version == 2
        assert channel.since(1) == [counts(99, 0, 100)]


async def test_one_change_is_rendered_once_for_everybody(
    browser: Browser, box_office: BoxOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    await box_office.open_event("gig", tickets=10)
    async with AsyncExitStack() as opened:
        streams = [await opened.enter_async_context(streaming(browser, GIG)) for _ in range(30)]
        for stream in streams:
            await stream.until("Book a ticket")
        rendered = []

        def render(template: str, name: str, event: EventView) -> str:
            rendered.append((name, event.counts.head))
            return as_before(template, name, event=event)

        as_before = rendering.block
        monkeypatch.setattr(rendering, "block", render)
        await box_office.book("gig", "Bob")
        for stream in streams:
            assert "9 of 10 left" in await stream.counts()
    assert rendered == [("counts", 2), ("action", 2)]


async def test_a_page_hears_only_of_its_own_event(browser: Browser, box_office: BoxOffice) -> None:
    for event_id in ("gig", "wine"):
        await box_office.open_event(event_id, tickets=3)
    async with streaming(browser, GIG) as stream:
        await stream.until("Book a ticket")
        await box_office.book("wine", "Bob")
        await box_office.book("gig", "Bob")
        assert "2 of 3 left" in await stream.counts()


async def list_stream(browser: Browser, path: str = "/ui", page_path: str = "") -> str:
    """The address of the stream that the list names, or one of its pages."""
    page = await (await browser.get(unescape(page_path or path))).get_data(as_text=True)
    address = re.search(r'sse-connect="([^"]+)"', page)
    assert address is not None
    assert address[1].startswith(f"{path}/stream?")
    return unescape(address[1])


async def test_the_list_hears_of_every_event_it_shows_and_of_new_ones(browser: Browser, box_office: BoxOffice) -> None:
    for event_id in ("gig", "wine"):
        await box_office.open_event(event_id, tickets=3)
    async with streaming(browser, await list_stream(browser)) as stream:
        assert [await stream.message() for _ in range(2)] == [("counts", "3 of 3 left")] * 2
        await box_office.book("wine", "Bob")
        assert await stream.message() == ("counts", "2 of 3 left")
        await box_office.open_event("<b>new</b>", tickets=1)
        assert await stream.message() == ("opened", "New: <b>new</b>")


async def test_an_organisers_list_is_live_for_hidden_events_too(app: Quart, box_office: BoxOffice) -> None:
    ada = app.test_client()
    await sign_in(ada)
    await box_office.create_event("secret", 1, Details(title="A private view", hidden=True))
    async with streaming(ada, await list_stream(ada, "/ui/organise")) as stream:
        assert await stream.message() == ("counts", "0 of 1 booked Hidden")
        await box_office.book("secret", "Bob")
        assert await stream.message() == ("counts", "1 of 1 booked Hidden")


async def test_a_page_hears_that_booking_has_closed_when_anything_changes(
    browser: Browser, box_office: BoxOffice
) -> None:
    await box_office.open_event("gig", tickets=1)
    async with streaming(browser, GIG) as stream, streaming(browser, await list_stream(browser)) as listed:
        await stream.until("Your e-mail address")
        assert await listed.message() == ("counts", "1 of 1 left")
        await box_office.revise("gig", details=Details(closes_at=1))
        assert await stream.messages(2) == [
            ("counts", "0 of 1 ticket booked Nobody is waiting. Booking has closed."),
            ("action", "Booking has closed. Nothing was booked with this form."),
        ]
        assert await listed.message() == ("counts", "Booking has closed")


async def test_the_list_hears_of_an_event_once_it_is_no_longer_hidden(browser: Browser, box_office: BoxOffice) -> None:
    async with streaming(browser, await list_stream(browser)) as stream:
        await stream.block()
        hidden = await box_office.create_event("secret", 1, Details(hidden=True))
        await box_office.book("secret", "Bob")
        await box_office.create_event("wine", 1, Details(title="Wine"))
        assert await stream.message() == ("opened", "New: Wine")
        await box_office.book("wine", "Bob")
        await box_office.revise("secret", hidden.counts.revision, details=Details())
        assert await stream.message() == ("opened", "New: secret")


async def test_of_an_event_that_changes_as_it_appears_the_list_hears_still() -> None:
    office = quiet_office()
    source = office.announcements
    with Broadcast(office).listening(Interest(frozenset(), openings=True)) as channel:
        source.announce([counts(0, 0, 1)], {"gig"})
        for booked in range(1, 100):
            source.announce([counts(booked, 0, booked + 1)])
        async with asyncio.timeout(TIMEOUT_S):
            await channel.newer_than(0)
        assert channel.since(0) == [counts(99, 0, 100)]
        assert source.appeared_since(1) == set()


async def test_the_list_of_no_events_hears_of_the_first(browser: Browser, box_office: BoxOffice) -> None:
    async with streaming(browser, await list_stream(browser)) as stream:
        await stream.block()
        await box_office.open_event("gig", tickets=1)
        assert await stream.message() == ("opened", "New: gig")


@pytest.mark.parametrize("before", [[], ["gig"]])
async def test_an_event_that_opens_before_the_stream_is_not_missed(
    browser: Browser, box_office: BoxOffice, before: list[str]
) -> None:
    for event_id in before:
        await box_office.open_event(event_id, tickets=3)
    address = await list_stream(browser)
    for event_id in ("wine", "talk"):
        await box_office.open_event(event_id, tickets=3)
    async with streaming(browser, address) as stream:
        assert await stream.message() == ("opened", "New: talk")


async def test_what_opened_last_is_not_missed_wherever_it_stands_in_the_list(
    browser: Browser, box_office: BoxOffice
) -> None:
    for number in range(EVENTS_PER_PAGE):
        await box_office.create_event(f"event {number}", 1, Details(starts_at=FAR_AWAY))
    address = await list_stream(browser)
    async with streaming(browser, address) as stream:
        assert [(await stream.message())[0] for _ in range(EVENTS_PER_PAGE)] == ["counts"] * EVENTS_PER_PAGE
        await box_office.create_event("party", 1, Details(starts_at=FAR_AWAY + 1))
        assert await stream.message() == ("opened", "New: party")
    async with streaming(browser, address) as late:
        assert await late.message() == ("opened", "New: party")
    async with streaming(browser, await list_stream(browser)) as fresh:
        assert (await fresh.message())[0] == "counts"


async def test_what_opens_while_the_list_is_read_is_not_missed(
    browser: Browser, box_office: BoxOffice, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def read_too_early(*asked: Any) -> ProgrammePage:
        page = await programme(*asked)
        await box_office.open_event("wine", tickets=1)
        return page

    programme = store.programme
    monkeypatch.setattr(store, "programme", read_too_early)
    address = await list_stream(browser)
    monkeypatch.undo()
    async with streaming(browser, address) as stream:
        assert await stream.message() == ("opened", "New: wine")


async def test_the_next_page_hears_of_its_own_events_alone(browser: Browser, box_office: BoxOffice) -> None:
    for number in range(EVENTS_PER_PAGE + 1):
        await box_office.create_event(f"event {number:02}", 3, Details(starts_at=FAR_AWAY + number))
    page = await (await browser.get("/ui")).get_data(as_text=True)
    more = re.search(r'href="(/ui[^"]+)" rel="next"', page)
    assert more is not None
    async with streaming(browser, await list_stream(browser, "/ui", more[1])) as stream:
        assert await stream.message() == ("counts", "3 of 3 left")
        await box_office.book("event 00", "Bob")
        await box_office.open_event("wine", tickets=1)
        await box_office.book("event 20", "Bob")
        assert await stream.message() == ("counts", "2 of 3 left")


async def test_the_next_page_never_hears_what_has_opened(browser: Browser, box_office: BoxOffice) -> None:
    for number in range(EVENTS_PER_PAGE + 1):
        await box_office.create_event(f"event {number:02}", 3, Details(starts_at=FAR_AWAY + number))
    page = await (await browser.get("/ui")).get_data(as_text=True)
    more = re.search(r'href="(/ui[^"]+)" rel="next"', page)
    assert more is not None
    address = await list_stream(browser, "/ui", more[1])
    assert "newest=" not in address
    await box_office.open_event("wine", tickets=1)
    async with streaming(browser, f"{address}&newest=0") as stream:
        said = [await stream.message() for _ in range(2)]
        await box_office.open_event("party", tickets=1)
        for guest in ("Bob", "Cleo"):
            await box_office.book("event 20", guest)
            said.append(await stream.message())
    assert {name for name, _ in said} == {"counts"}
    assert said[-1] == ("counts", "1 of 3 left")


async def test_a_search_hears_of_what_it_has_found_alone(browser: Browser, box_office: BoxOffice) -> None:
    for event_id in ("Night walk", "Day trip"):
        await box_office.open_event(event_id, tickets=3)
    async with streaming(browser, await list_stream(browser, "/ui", "/ui?q=NIGHT")) as stream:
        assert await stream.message() == ("counts", "3 of 3 left")
        await box_office.book("Day trip", "Bob")
        await box_office.open_event("Night of nights", tickets=1)
        await box_office.book("Night walk", "Bob")
        assert await stream.message() == ("counts", "2 of 3 left")


async def test_an_event_that_is_over_says_so_on_the_list_when_anything_changes(
    browser: Browser, box_office: BoxOffice
) -> None:
    await box_office.open_event("gig", tickets=1)
    async with streaming(browser, await list_stream(browser)) as stream:
        assert await stream.message() == ("counts", "1 of 1 left")
        await box_office.revise("gig", details=Details(starts_at=1))
        assert await stream.message() == ("counts", "Past")


async def test_a_guest_who_waits_sees_his_ticket_come(browser: Browser, box_office: BoxOffice) -> None:
    await box_office.open_event("gig", tickets=1)
    for guest in ("Ada", "Bob"):
        await box_office.book("gig", guest)
    await browser.post("/ui/events/gig/orders", form=CLEO)
    async with streaming(browser, GIG) as stream:
        await stream.until("You are 2nd on the waiting list")
        await box_office.cancel("gig", "Bob", "organiser")
        await stream.until("You are 1st on the waiting list")
        await box_office.book("gig", "Dan")
        await stream.until("you would be 3rd")
        await box_office.cancel("gig", "Ada", "organiser")
        await stream.until("You’re in")
        await box_office.cancel("gig", "cleo@example.org", "organiser")
        await stream.until("You have no place here any more")


async def test_nobody_else_hears_whose_place_it_is(app: Quart, browser: Browser, box_office: BoxOffice) -> None:
    await box_office.open_event("gig", tickets=1)
    await browser.post("/ui/events/gig/orders", form=CLEO)
    async with streaming(app.test_client(), GIG) as stream:
        await stream.until("Your name")
        await box_office.cancel("gig", "cleo@example.org", "organiser")
        names = [(await stream.message())[0] for _ in range(2)]
    assert names == ["counts", "action"]


async def test_streams_are_never_kept_by_anybody_on_the_way(browser: Browser, box_office: BoxOffice) -> None:
    await box_office.open_event("gig", tickets=1)
    for path in (GIG, "/ui/stream"):
        async with streaming(browser, path) as stream:
            await stream.block()
            headers = stream.headers
        assert headers["Content-Type"] == "text/event-stream; charset=utf-8"
        assert headers["Cache-Control"] == "no-store"
        assert headers["X-Accel-Buffering"] == "no"
        assert "default-src 'none'" in headers["Content-Security-Policy"]


async def test_asking_only_for_the_headers_of_a_stream_opens_none(browser: Browser, box_office: BoxOffice) -> None:
    await box_office.open_event("gig", tickets=1)
    answer = await browser.head(GIG)
    assert (answer.status_code, await answer.get_data()) == (200, b"")


async def test_a_quiet_stream_shows_that_it_is_alive(
    browser: Browser, box_office: BoxOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("webapp.web.broadcast.HEARTBEAT_S", 0.01)
    await box_office.open_event("gig", tickets=1)
    async with streaming(browser, GIG) as stream:
        while await stream.block() != ": still here":
            pass


async def test_streams_end_when_the_server_does(browser: Browser, box_office: BoxOffice) -> None:
    await box_office.open_event("gig", tickets=1)
    async with streaming(browser, GIG) as quiet, streaming(browser, "/ui/stream") as changing:
        for stream in (quiet, changing):
            await stream.block()
        await box_office.book("gig", "Bob")
        box_office.announcements.close()
        await quiet.end()
        await changing.end()
    async with streaming(browser, GIG) as late:
        await late.end()


async def test_an_address_gets_only_its_share_of_the_streams(box_office: BoxOffice) -> None:
    await box_office.open_event("gig", tickets=1)
    browser = app_over(box_office, STREAMS_PER_ADDRESS="2", STREAMS_MAX="3").test_client()
    async with streaming(browser, GIG) as first, streaming(browser, "/ui/stream") as second:
        for stream in (first, second):
            await stream.block()
        assert await refused(browser, HOME) == (429, "30")
        async with streaming(browser, GIG, AWAY) as third:
            await third.block()
            assert await refused(browser, AWAY) == (503, "30")
        async with streaming(browser, GIG, AWAY) as after_third:
            await after_third.block()


async def test_a_reader_who_goes_away_frees_his_place(box_office: BoxOffice) -> None:
    await box_office.open_event("gig", tickets=1)
    browser = app_over(box_office, STREAMS_MAX="1").test_client()
    for _ in range(5):
        async with streaming(browser, GIG) as stream:
            await stream.block()


async def test_many_streams_share_channels_that_stay_short() -> None:
    office = quiet_office()
    source, relay = office.announcements, Broadcast(office)
    interest = Interest(frozenset({"gig"}))
    async with AsyncExitStack() as opened:
        channels = [opened.enter_context(relay.listening(interest)) for _ in range(broadcast.STREAMS_PER_CHANNEL + 1)]
        assert len(set(channels)) == 2
        source.announce([counts(1, 0, 2)])
        async with asyncio.timeout(TIMEOUT_S):
            for channel in channels:
                await channel.newer_than(0)
                assert channel.since(0) == [counts(1, 0, 2)]


@given(st.text())
def test_every_line_of_a_payload_is_a_line_of_data(payload: str) -> None:
    name, *data, end, rest = message("counts", payload).decode().split("\n")
    assert (name, end, rest) == ("event: counts", "", "")
    assert all(line.startswith("data: ") for line in data)
    sent = "\n".join(line.removeprefix("data: ") for line in data)
    assert sent == re.sub(r"\r\n|\r", "\n", payload)


def quiet_office() -> BoxOffice:
    """A box office that is not open: what it announces is up to the test."""
    return BoxOffice(cast(Store, None))


async def refused(browser: Browser, sender: str) -> tuple[int, str]:
    answer = await browser.get(GIG, scope_base={"client": (sender, 1)})
    return answer.status_code, answer.headers["Retry-After"]


def counts(booked: int, waiting: int, head: int) -> Counts:
    return Counts("gig", 100, booked, waiting, head, bytes(32))
