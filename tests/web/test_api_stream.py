"""An event's counts as a stream of JSON: what anybody may follow, and go on following where he was cut off."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.client import TIMEOUT_S, raw
from tests.server import Server
from tests.web.api import ADA, V1, Api


class Stream:
    """An open stream, read message by message."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self.head = ""
        self._reader = reader

    async def open(self) -> None:
        """Read the head of the answer."""
        async with asyncio.timeout(TIMEOUT_S):
            self.head = (await self._reader.readuntil(b"\r\n\r\n")).decode()

    async def message(self) -> dict[str, Any]:
        """The next message: its name, its id and its data. Raises IncompleteReadError where the stream ends."""
        while True:
            async with asyncio.timeout(TIMEOUT_S):
                block = (await self._reader.readuntil(b"\n\n")).decode()
            fields = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line and line[0] != ":")
            if "data" in fields:
                return {**fields, "data": json.loads(fields["data"])}


@asynccontextmanager
async def streaming(server: Server, path: str, **headers: str) -> AsyncIterator[Stream]:
    """A stream, which its reader leaves at the end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    writer.write(raw(f"GET {V1}{path}", None, named))
    try:
        stream = Stream(reader)
        await stream.open()
        yield stream
    finally:
        writer.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("stream")) as server:
        yield server


@pytest.fixture
def ada(server: Server) -> Api:
    return Api(server, ADA)


async def test_a_stream_tells_the_counts_now_and_whenever_they_change(server: Server, ada: Api) -> None:
    ada.event("gig", capacity=1)
    async with streaming(server, "/events/gig/stream") as stream:
        assert stream.head.startswith("HTTP/1.1 200")
        assert "content-type: text/event-stream; charset=utf-8" in stream.head.lower()
        assert "cache-control: no-store" in stream.head.lower()
        first = await stream.message()
        data = {"eventId": "gig", "capacity": 1, "booked": 0, "available": 1, "waiting": 0, "checked_in": 0, "entry": 2}
        assert first == {"event": "counts", "id": "2", "data": data}
        order = ada.order("gig", "bob")
        assert (await stream.message())["data"] == {**data, "booked": 1, "available": 0, "entry": 3}
        ada(f"POST /orders/{order['id']}/check-in")
        told = await stream.message()
        assert (told["id"], told["data"]) == ("4", {**data, "booked": 1, "available": 0, "checked_in": 1, "entry": 4})
        ada("PATCH /events/gig", {"title": "Renamed"}, if_match="*")
        assert (await stream.message())["id"] == "5"


async def test_who_comes_back_hears_only_what_he_has_not_heard(server: Server, ada: Api) -> None:
    ada.event("back", capacity=5)
    async with streaming(server, "/events/back/stream", last_event_id="2") as stream:
        ada.order("back", "bob")
        assert (await stream.message())["id"] == "3"
    async with streaming(server, "/events/back/stream", last_event_id="2") as stream:
        assert (await stream.message())["id"] == "3"
    for rubbish in ("x", "-1", "999", ""):
        async with streaming(server, "/events/back/stream", last_event_id=rubbish) as stream:
            assert (await stream.message())["id"] == "3"


async def test_a_stream_is_that_of_its_event_alone(server: Server, ada: Api) -> None:
    ada.event("mine", capacity=5)
    ada.event("other", capacity=5)
    async with streaming(server, "/events/mine/stream") as stream:
        await stream.message()
        ada.order("other", "bob")
        ada.order("mine", "bob")
        assert (await stream.message())["data"]["eventId"] == "mine"


async def test_streams_are_capped_and_end_with_the_server(tmp_path: Path) -> None:
    with Server(tmp_path, STREAMS_PER_ADDRESS="2") as server:
        Api(server, ADA).event("gig")
        async with (
            streaming(server, "/events/gig/stream") as one,
            streaming(server, "/events/gig/stream", last_event_id="2") as two,
        ):
            await one.message()
            refused = Api(server)("GET /events/gig/stream")
            assert (refused.status, refused.code, refused.headers["Retry-After"]) == (429, "too_many_attempts", "30")
            assert await asyncio.to_thread(server.stop) == 0
            for stream in (one, two):
                with pytest.raises(asyncio.IncompleteReadError):
                    await stream.message()


def test_there_is_no_stream_of_what_is_not_there(server: Server) -> None:
    assert Api(server)("GET /events/missing/stream").code == "event_not_found"
    assert Api(server)("HEAD /events/missing/stream").status == 404
