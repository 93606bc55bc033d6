"""Server-sent events: what has changed, sent to everybody who listens, and never to too many.

A stream has no queue: it sends the latest counts that are newer than those it sent last.
Source: https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Coroutine, Generator
from dataclasses import dataclass
from types import coroutine
from typing import Any, Final

from quart import Response, current_app, request

from webapp.booking.state import Counts
from webapp.desk import Unavailable
from webapp.web.asking import address
from webapp.web.broadcast import Broadcast, Channel, Interest, News, Places
from webapp.web.connection import LiveAnswer, Send
from webapp.web.limiter import TooManyAttempts
from webapp.web.parts import box_office, parts

HEARTBEAT: Final = b": still here\n\n"
GREETING: Final = b"retry: 2000\n\n"
"""Milliseconds after which a browser comes back to a stream that it has lost."""

CLOCK_SET_US: Final = 1_000_000
"""By so much must the clock have been set that pages are told again what time it is."""

EXTENSION: Final = "fairlist.live"

Frames = Callable[[News], bytes | Awaitable[bytes]]
"""Makes of news what is sent about them, at once or after a look elsewhere; nothing where that is known already."""


def message(name: str, payload: str, number: int | None = None) -> bytes:
    """A server-sent event: every line of its payload is a line of data. With `number`, who comes back can name it."""
    identity = [] if number is None else [f"id: {number}\n"]
    lines = re.split(r"\r\n|\r|\n", payload)
    return "".join([f"event: {name}\n", *identity, *(f"data: {line}\n" for line in lines), "\n"]).encode()


def clock(now: int) -> bytes:
    """The message that tells a page what time it is here, now being in microseconds since 1970, UTC."""
    return message("clock", str(now // 1_000))


def streamed(
    interest: Interest,
    known: list[Counts],
    frames: Frames,
    first: bytes = b"",
    *,
    is_allowed: Callable[[], bool] = lambda: True,
) -> Response:
    """A stream of `first`, then of the frames for what is known already, then of those for whatever changes.

    Who hears of what time changes is told before it what time it is, as `clock`, in milliseconds since 1970, and again
    where the server's clock was set. The stream ends when `is_allowed`, asked before anything is sent, says no.

    Raises TooManyAttempts, Unavailable.
    """
    here, sender, office = _parts(), address(), box_office()
    here.places.require_free(sender)

    async def listen(send: Send, gone: asyncio.Future[None]) -> None:
        try:
            here.places.require_free(sender)  # once more: streams asked for at the same time all found room before
        except (TooManyAttempts, Unavailable):
            return
        with here.places.taken(sender), here.broadcast.listening(interest) as channel:
            stream = _Stream(send, channel, frames, is_allowed, office.now if interest.time else None)
            gone.add_done_callback(lambda _: stream.end())
            try:
                await here.broadcast.learn_moments(interest)
            except Unavailable:
                return  # whoever comes back will hear of them
            # Looked up again now that nothing is missed any more; what is not in memory has not changed.
            await stream.begin(News(office.published(counts.event_id) or counts for counts in known), first)
            with channel.telling(stream):
                await stream.go_on()

    answer = Response(b"") if request.method == "HEAD" else LiveAnswer(listen)
    answer.content_type = "text/event-stream; charset=utf-8"
    answer.headers.update({"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
    return answer


class _Stream:
    """One open page. Whoever tells it of changes sends them on the spot, which costs no switch to a task of its own.

    That task is called only where something has to be waited for: a look elsewhere, or a client who is slow to read.
    Meanwhile the page hears of nothing, and afterwards of the latest.
    """

    def __init__(
        self,
        send: Send,
        channel: Channel,
        frames: Frames,
        is_allowed: Callable[[], bool],
        now: Callable[[], int] | None,
    ) -> None:
        self._send = send
        self._channel = channel
        self._frames = frames
        self._is_allowed = is_allowed
        self._now = now  # the clock that the page is told, if any
        self._ahead = 0
        self._version = channel.version
        self._called: asyncio.Future[Awaitable[None] | None] = asyncio.get_running_loop().create_future()
        self._called.set_result(None)  # its own task waits for nothing yet
        self._has_ended = False
        self._is_silent = False

    async def begin(self, known: News, first: bytes) -> None:
        """Send what comes before any change."""
        begun = first + (await _there(self._frames(known)) if known else b"")
        await self._write(GREETING + self._clock() + begun)

    async def go_on(self) -> None:
        """Send whatever changes, until the stream ends."""
        while not (self._has_ended or self._channel.closed):
            if news := self._channel.since(self._version):
                if not self._is_allowed():
                    return
                self._version = self._channel.version
                await self._send_frame(self._frames(News(news)))
            else:
                self._called = asyncio.get_running_loop().create_future()
                if unfinished := await self._called:
                    await unfinished

    def tell(self, news: News) -> None:
        """Hear what has changed."""
        if self._is_idle:
            self._version = self._channel.version
            self._send_on_the_spot(lambda: self._frames(news))

    def beat(self) -> None:
        """Show, if nothing has been sent since the last time, that the stream is alive."""
        if not self._is_silent:
            self._is_silent = True
        elif self._is_idle:
            self._send_on_the_spot(lambda: HEARTBEAT)

    def end(self) -> None:
        """Hear that no more will come."""
        self._has_ended = True
        if self._is_idle:
            self._called.set_result(None)

    @property
    def _is_idle(self) -> bool:
        return not self._called.done()

    def _send_on_the_spot(self, make: Callable[[], bytes | Awaitable[bytes]]) -> None:
        """Make a frame and send it, or have the page's own task do what has to wait."""
        if not self._is_allowed():
            self.end()
            return
        try:
            frame = make()
            sending = self._send_frame(frame)
            if unfinished := _begun(sending) if isinstance(frame, bytes) else sending:
                self._called.set_result(unfinished)
        except Exception as error:  # it ends this page, and none of those that are told after it
            self._called.set_exception(error)

    async def _send_frame(self, frame: bytes | Awaitable[bytes]) -> None:
        made = await _there(frame)
        if self._now is not None and abs(_ahead(self._now()) - self._ahead) > CLOCK_SET_US:
            made = self._clock() + made
        if made:
            await self._write(made)

    async def _write(self, body: bytes) -> None:
        self._is_silent = False
        await self._send({"type": "http.response.body", "body": body, "more_body": True})

    def _clock(self) -> bytes:
        if self._now is None:
            return b""
        now = self._now()
        self._ahead = _ahead(now)
        return clock(now)


def _ahead(now: int) -> int:
    """By how many microseconds the clock is ahead of the one that nobody can set."""
    return now - time.monotonic_ns() // 1_000


async def _there(frame: bytes | Awaitable[bytes]) -> bytes:
    return frame if isinstance(frame, bytes) else await frame


def _begun(work: Coroutine[Any, Any, None]) -> Awaitable[None] | None:
    """Do of a work what needs no waiting; returns the rest, if any is left."""
    try:
        waits_for = work.send(None)
    except StopIteration:
        return None
    return _rest(work, waits_for)


@coroutine
def _rest(work: Coroutine[Any, Any, None], waits_for: Any) -> Generator[Any, Any, None]:
    yield waits_for
    yield from work


def open_streams() -> int:
    """How many streams the app that serves the current request has open."""
    return _parts().places.count


@dataclass(frozen=True, slots=True)
class _Live:
    broadcast: Broadcast
    places: Places


def _parts() -> _Live:
    """The broadcast of the app that serves the current request, made when it is first asked for."""
    found = current_app.extensions.get(EXTENSION)
    if not isinstance(found, _Live):
        settings = parts().settings
        found = current_app.extensions[EXTENSION] = _Live(
            Broadcast(box_office()), Places(settings.streams_max, settings.streams_per_address)
        )
    return found
