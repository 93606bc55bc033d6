"""Server-sent events for pages: what has changed, rendered once and sent to everybody who looks at it.

A stream has no queue: it sends the latest counts that are newer than those it sent last.
Source: https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from quart import Blueprint, Response, current_app, request

from webapp.booking.state import Counts
from webapp.box_office import BoxOffice
from webapp.desk import Unavailable
from webapp.web import rendering
from webapp.web.asking import address
from webapp.web.broadcast import Broadcast, Channel, Interest, Places
from webapp.web.guest import Standing, event_named, remembered, shown_events, standing
from webapp.web.limiter import TooManyAttempts
from webapp.web.parts import box_office, parts
from webapp.web.rendering import token

live = Blueprint("live", __name__)

HEARTBEAT_S: Final = 15.0
HEARTBEAT: Final = b": still here\n\n"
GREETING: Final = b"retry: 2000\n\n"  # milliseconds after which a browser comes back to a stream that it has lost
FRAMES_KEPT: Final = 1_024
EXTENSION: Final = "fairlist.live"

Frames = Callable[[list[Counts]], Awaitable[bytes]]


@live.get("/ui/stream")
async def list_stream() -> Response:
    """What changes at the events on a page of the list; for the newest page also that another has opened.

    `newest` stands for the newest event that the page shows, so that none is missed that opened before the stream.
    """
    after, newest = request.args.get("after"), request.args.get("newest")
    shown = await shown_events(after)
    missed = [counts for counts in shown.events[:1] if not after and token(counts.event_id) != newest]
    event_ids = frozenset(counts.event_id for counts in shown.events)

    async def frames(news: list[Counts]) -> bytes:
        return b"".join(card_frame(counts) if counts.event_id in event_ids else opened_frame(counts) for counts in news)

    first = b"".join(opened_frame(counts) for counts in missed)
    return _answer(Interest(event_ids, openings=not after), shown.events, frames, first)


@live.get("/ui/events/<event_slug>/stream")
async def event_stream(event_slug: str) -> Response:
    """What changes at one event, and for a browser that booked there, its guest's own place."""
    counts = await box_office().counts(event_named(event_slug))
    guest = remembered().user_id_at(counts.event_id)
    return _answer(
        Interest(frozenset({counts.event_id})), [counts], _EventFrames(box_office(), guest) if guest else _event_frames
    )


@lru_cache(FRAMES_KEPT)
def card_frame(counts: Counts) -> bytes:
    """What a list is sent about one of its events."""
    return frame("counts", counts, rendering.block("events.html", "counts", counts=counts))


@lru_cache(FRAMES_KEPT)
def opened_frame(counts: Counts) -> bytes:
    """What a list is sent about an event that it does not show yet."""
    return message("opened", rendering.block("events.html", "opened", opened=counts.event_id))


@lru_cache(FRAMES_KEPT)
def event_frame(counts: Counts) -> bytes:
    """What an event's pages are sent: its counts, and the words on the button."""
    return b"".join(
        frame(name, counts, rendering.block("event.html", name, counts=counts)) for name in ("counts", "action")
    )


def mine_frame(counts: Counts, mine: Standing) -> bytes:
    """What one guest's page is sent about his own place."""
    return frame("mine", counts, rendering.block("event.html", "mine", counts=counts, mine=mine, is_fresh=False))


def frame(part: str, counts: Counts, html: str) -> bytes:
    """A message for one part of an event's pages."""
    return message(f"{part}-{token(counts.event_id)}", html)


def message(name: str, html: str) -> bytes:
    """A server-sent event: every line of its payload is a line of data."""
    lines = re.split(r"\r\n|\r|\n", html)
    return "".join([f"event: {name}\n", *(f"data: {line}\n" for line in lines), "\n"]).encode()


async def _event_frames(news: list[Counts]) -> bytes:
    return event_frame(news[-1])


class _EventFrames:
    """An event's frames, and with them a guest's own place whenever it may have changed."""

    def __init__(self, office: BoxOffice, guest: str) -> None:
        self._office = office
        self._guest = guest
        self._told: Counts | None = None

    async def __call__(self, news: list[Counts]) -> bytes:
        counts = news[-1]
        frames = event_frame(counts)
        if self._told is None or not only_newcomers(self._told, counts):
            try:
                mine = await standing(self._office, counts.event_id, self._guest)
            except Unavailable:
                self._told = None
                return frames
            frames += mine_frame(counts, mine)
        self._told = counts
        return frames


def only_newcomers(before: Counts, after: Counts) -> bool:
    """Whether every entry between two counts is somebody new, which changes nothing for who was there before.

    Any other kind of entry adds to the number of entries, but no guest to those who hold a ticket or wait.
    """
    joined = after.booked + after.waiting - before.booked - before.waiting
    return after.capacity == before.capacity and joined == after.head - before.head


def _answer(interest: Interest, known: list[Counts], frames: Frames, first: bytes = b"") -> Response:
    """A stream of `first`, then of the frames for what is known already, then of those for whatever changes."""
    here, sender, office = _parts(), address(), box_office()
    here.places.require_free(sender)

    async def stream() -> AsyncIterator[bytes]:
        try:
            here.places.require_free(sender)  # once more: streams asked for at the same time all found room before
        except (TooManyAttempts, Unavailable):
            return
        with here.places.taken(sender), here.broadcast.listening(interest) as channel:
            version = channel.version
            # Looked up again now that nothing is missed any more; what is not in memory has not changed.
            current = [office.published(counts.event_id) or counts for counts in known]
            yield GREETING + first + (await frames(current) if current else b"")
            while not channel.closed:
                if not await _something_newer(channel, version):
                    yield HEARTBEAT
                elif news := channel.since(version):
                    version = channel.version
                    yield await frames(news)

    answer = Response(
        b"" if request.method == "HEAD" else stream(),
        content_type="text/event-stream; charset=utf-8",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )
    answer.timeout = None
    return answer


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
            Broadcast(box_office().announcements), Places(settings.streams_max, settings.streams_per_address)
        )
    return found
