"""Server-sent events: what has changed, sent to everybody who listens, and never to too many.

A stream has no queue: it sends the latest counts that are newer than those it sent last.
Source: https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from quart import Response, current_app, request

from webapp.booking.state import Counts
from webapp.box_office import BoxOffice
from webapp.desk import Unavailable
from webapp.web.asking import address
from webapp.web.broadcast import Broadcast, Channel, Interest, Places
from webapp.web.limiter import TooManyAttempts
from webapp.web.parts import box_office, parts

HEARTBEAT_S: Final = 15.0
HEARTBEAT: Final = b": still here\n\n"
GREETING: Final = b"retry: 2000\n\n"
"""Milliseconds after which a browser comes back to a stream that it has lost."""

CLOCK_SET_US: Final = 1_000_000
"""By so much must the clock have been set that pages are told again what time it is."""

EXTENSION: Final = "fairlist.live"

Frames = Callable[[list[Counts]], Awaitable[bytes]]
"""Makes of the latest counts, the last change last, what is sent about them; nothing where that is known already."""


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

    async def stream() -> AsyncIterator[bytes]:
        try:
            here.places.require_free(sender)  # once more: streams asked for at the same time all found room before
        except (TooManyAttempts, Unavailable):
            return
        with here.places.taken(sender), here.broadcast.listening(interest) as channel:
            version = channel.version
            try:
                await here.broadcast.learn_moments(interest)
            except Unavailable:
                return  # whoever comes back will hear of them
            # Looked up again now that nothing is missed any more; what is not in memory has not changed.
            current = [office.published(counts.event_id) or counts for counts in known]
            begun = first + (await frames(current) if current else b"")
            yield GREETING + (clock(office.now()) if interest.time else b"") + begun
            ahead = _ahead(office)
            while not channel.closed:
                has_news = await _something_newer(channel, version)
                if not is_allowed():
                    return
                if not has_news:
                    yield HEARTBEAT
                elif news := channel.since(version):
                    version = channel.version
                    frame = await frames(news)
                    if interest.time and abs(_ahead(office) - ahead) > CLOCK_SET_US:
                        frame, ahead = clock(office.now()) + frame, _ahead(office)
                    yield frame

    answer = Response(
        b"" if request.method == "HEAD" else stream(),
        content_type="text/event-stream; charset=utf-8",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )
    answer.timeout = None
    return answer


def _ahead(office: BoxOffice) -> int:
    """By how many microseconds the clock is ahead of the one that nobody can set."""
    return office.now() - time.monotonic_ns() // 1_000


async def _something_newer(channel: Channel, version: int) -> bool:
    try:
        async with asyncio.timeout(HEARTBEAT_S):
            await channel.newer_than(version)
    except TimeoutError:
        return False
    return True


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
