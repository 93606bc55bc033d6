"""Streams for pages: what has changed, rendered once and sent to everybody who looks at it."""

from collections.abc import Callable
from functools import lru_cache
from typing import Final

from quart import Blueprint, Response, request

from webapp.booking.state import Counts, Event
from webapp.box_office import BoxOffice
from webapp.desk import Unavailable
from webapp.enquiries import Enquiries
from webapp.storage.store import Audience
from webapp.web import rendering
from webapp.web.broadcast import Interest
from webapp.web.cookies import Booking
from webapp.web.event_list import latest_event, list_wanted, shown_events
from webapp.web.event_view import EventView, view
from webapp.web.links import event_named
from webapp.web.parts import box_office, enquiries
from webapp.web.rendering import token
from webapp.web.standings import Standing, booking_remembered, order_link, own_standing
from webapp.web.streams import message, streamed

live = Blueprint("live", __name__)

FRAMES_KEPT: Final = 1_024


@live.get("/ui/stream")
async def list_stream() -> Response:
    """What changes at the events on a page of the guests' list."""
    return await streamed_list("guests")


async def streamed_list(shown_to: Audience) -> Response:
    """What changes at the events on a page of a list; for the first page of all also that another has opened.

    `newest` stands for the event that had opened last when the page was made, so that none is missed that opened
    between the page and its stream.
    """
    wanted = list_wanted()
    shown = {event.counts.event_id: event for event in (await shown_events(wanted, shown_to)).events}
    latest = await latest_event(shown_to) if wanted.is_front else None
    missed = latest if latest and token(latest.counts.event_id) != request.args.get("newest") else None
    office = box_office()

    async def frames(news: list[Counts]) -> bytes:
        return b"".join(_list_frame(office, shown, counts.event_id) for counts in news)

    first = opened_frame(missed) if missed else b""
    events = [event.counts for event in shown.values()]
    return streamed(Interest(frozenset(shown), openings=wanted.is_front), events, frames, first)


def _list_frame(office: BoxOffice, shown: dict[str, Event], event_id: str) -> bytes:
    event = office.published_event(event_id) or shown.get(event_id)
    if event is None:
        return b""
    return card_frame(view(event, office.now())) if event_id in shown else opened_frame(event)


@live.get("/ui/events/<event_slug>/stream")
async def event_stream(event_slug: str) -> Response:
    """What changes at one event, and for a browser that booked there, its guest's own place."""
    event = await box_office().event(event_named(event_slug))
    event_id = event.counts.event_id
    office, booked = box_office(), booking_remembered(event_id)

    def seen() -> EventView:
        return view(office.published_event(event_id) or event, office.now())

    async def frames(_: list[Counts]) -> bytes:
        return event_frame(seen())

    own_frames = _OwnFrames(office, enquiries(), booked, order_link(booked), seen) if booked else None
    return streamed(Interest(frozenset({event_id})), [event.counts], own_frames or frames)


@lru_cache(FRAMES_KEPT)
def card_frame(event: EventView) -> bytes:
    """What a list is sent about one of its events."""
    return frame("counts", event, rendering.block("events.html", "counts", event=event))


@lru_cache(FRAMES_KEPT)
def opened_frame(event: Event) -> bytes:
    """What a list is sent about an event that it does not show yet."""
    return message("opened", rendering.block("events.html", "opened", opened=event.title))


@lru_cache(FRAMES_KEPT)
def event_frame(event: EventView) -> bytes:
    """What an event's pages are sent: its counts, and the words on the button."""
    return b"".join(
        frame(name, event, rendering.block("event.html", name, event=event)) for name in ("counts", "action")
    )


def mine_frame(event: EventView, mine: Standing) -> bytes:
    """What one guest's page is sent about his own place."""
    return frame("mine", event, rendering.block("event.html", "mine", event=event, mine=mine, is_fresh=False))


def frame(part: str, event: EventView, html: str) -> bytes:
    """A message for one part of an event's pages."""
    return message(f"{part}-{token(event.counts.event_id)}", html)


class _OwnFrames:
    """An event's frames, and with them a guest's own place whenever it may have changed."""

    def __init__(
        self, office: BoxOffice, reads: Enquiries, booked: Booking, link: str, seen: Callable[[], EventView]
    ) -> None:
        self._office = office
        self._reads = reads
        self._booked = booked
        self._link = link
        self._seen = seen
        self._told: Counts | None = None

    async def __call__(self, _: list[Counts]) -> bytes:
        event = self._seen()
        frames = event_frame(event)
        if self._told is None or not only_newcomers(self._told, event.counts):
            try:
                mine = await own_standing(self._office, self._reads, event.counts.event_id, self._booked, self._link)
            except Unavailable:
                self._told = None
                return frames
            frames += mine_frame(event, mine)
        self._told = event.counts
        return frames


def only_newcomers(before: Counts, after: Counts) -> bool:
    """Whether every entry between two counts is somebody new, which changes nothing for who was there before.

    Any other kind of entry adds to the number of entries, but no guest to those who hold a ticket or wait.
    """
    joined = after.booked + after.waiting - before.booked - before.waiting
    return after.capacity == before.capacity and joined == after.head - before.head
