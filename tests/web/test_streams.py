"""Pages are told on the spot, one after the other: none of them may keep the others waiting, or miss the latest."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Any, Final

import pytest
from quart import Quart

from tests.web.pages import app_over
from webapp.booking.state import Counts
from webapp.box_office import BoxOffice
from webapp.web.broadcast import Channel, News
from webapp.web.live import _EventFrames
from webapp.web.streams import HEARTBEAT, _Stream

TIMEOUT_S: Final = 30.0
GIG: Final = "/ui/events/gig/stream"


class Client:
    """Who has a page open, and takes in what is sent to him as long as there is `room`."""

    def __init__(self) -> None:
        self.heard = b""
        self.room = asyncio.Event()
        self.room.set()
        self.gone = asyncio.Event()
        self._has_asked = False
        self._news = asyncio.Event()

    async def receive(self) -> dict[str, Any]:
        """His request, then, one day, that he has gone."""
        if not self._has_asked:
            self._has_asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: dict[str, Any]) -> None:
        """Take in what is sent to him."""
        await self.room.wait()
        self.heard += message.get("body", b"")
        self._news.set()

    async def hears(self, words: bytes) -> None:
        """Wait until he has heard some words."""
        async with asyncio.timeout(TIMEOUT_S):
            while words not in self.heard:
                await self._news.wait()
                self._news.clear()

    @property
    def left(self) -> list[int]:
        """The numbers of tickets left that he was told, in order."""
        return [int(number) for number in re.findall(rb"<b>(\d+)</b> of 100 left", self.heard)]


@asynccontextmanager
async def looking(app: Quart) -> AsyncIterator[Client]:
    """A page that is open."""
    client = Client()
    scope = {
        "type": "http", "http_version": "1.1", "method": "GET", "scheme": "http", "path": GIG, "root_path": "",
        "raw_path": GIG.encode(), "query_string": b"", "headers": [(b"host", b"localhost")],
        "client": ("192.0.2.1", 1), "server": ("localhost", 80),
    }  # fmt: skip
    served = asyncio.create_task(app(scope, client.receive, client.send))  # type: ignore[arg-type]
    try:
        await client.hears(b"retry:")
        yield client
    finally:
        client.room.set()
        client.gone.set()
        async with asyncio.timeout(TIMEOUT_S):
            await served


@pytest.fixture
async def app(box_office: BoxOffice, monkeypatch: pytest.MonkeyPatch) -> Quart:
    monkeypatch.setattr("webapp.web.broadcast.PAUSE_S", 0.001)
    await box_office.open_event("gig", tickets=100)
    return app_over(box_office)


async def test_who_is_slow_to_read_holds_nobody_up_and_hears_the_latest_afterwards(
    app: Quart, box_office: BoxOffice
) -> None:
    async with looking(app) as slow, looking(app) as quick:
        slow.room.clear()
        for number in range(1, 10):
            await box_office.book("gig", f"guest {number}")
            await quick.hears(b"<b>%d</b> of 100 left" % (100 - number))
        slow.room.set()
        await slow.hears(b"<b>91</b> of 100 left")
        assert slow.left == [100, 99, 91]
        await box_office.book("gig", "Dan")
        for client in (slow, quick):
            await client.hears(b"<b>90</b> of 100 left")


async def test_a_page_that_cannot_be_made_ends_alone(
    app: Quart, box_office: BoxOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    def make(frames: _EventFrames, news: News) -> bytes | Awaitable[bytes]:
        broken.setdefault("first", frames)
        if broken["first"] is frames and news[0].booked:
            raise ZeroDivisionError
        return as_before(frames, news)

    broken: dict[str, _EventFrames] = {}
    as_before = _EventFrames.__call__
    monkeypatch.setattr(_EventFrames, "__call__", make)
    async with looking(app) as first, looking(app) as second:
        await box_office.book("gig", "Bob")
        await second.hears(b"<b>99</b> of 100 left")
        await box_office.book("gig", "Cleo")
        await second.hears(b"<b>98</b> of 100 left")
        assert first.left == [100]


async def test_a_stream_shows_that_it_is_alive_also_where_nothing_that_happens_is_news() -> None:
    channel, client = Channel(), Client()
    stream = _Stream(client.send, channel, lambda _: b"", lambda: True, None)
    with channel.telling(stream):
        listening = asyncio.create_task(stream.go_on())
        await asyncio.sleep(0)
        for head in range(1, 6):
            channel.tell(News([Counts("gig", 100, head - 1, 0, head, bytes(32))]))
            channel.beat()
        assert client.heard == HEARTBEAT * 2  # after every second beat
        channel.close()
        await listening
