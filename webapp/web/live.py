"""Streams for pages: what has changed, rendered once and sent to everybody who looks at it."""

from collections.abc import Awaitable, Callable
from functools import lru_cache
from typing import Final

from quart import Blueprint, Response, request

from webapp.booking.state import Event
from webapp.box_office import BoxOffice
from webapp.desk import Unavailable
from webapp.enquiries import Enquiries
from webapp.storage.store import Audience
from webapp.web import rendering
from webapp.web.broadcast import Interest, News
from webapp.web.cookies import Booking
from webapp.web.event_list import latest_event, list_wanted, shown_events
from webapp.web.event_view import EventView, view
from webapp.web.forms import EMPTY
from webapp.web.links import event_named
from webapp.web.parts import box_office, enquiries
from webapp.web.rendering import token
from webapp.web.standings import Standing, booking_remembered, has_place, order_link, own_standing
from webapp.web.streams import message, streamed

live = Blueprint("live", __name__)

FRAMES_KEPT: Final = 1_024


@live.get("/ui/stream")
async def list_stream() -> Response:
    """What changes at the events on a page of the guests' list."""
    return await streamed_list("guests")


async def streamed_list(
    shown_to: Audience,
    card: Callable[[EventView], bytes] | None = None,
    is_allowed: Callable[[], bool] = lambda: True,
) -> Response:
    """What changes at the events on a page of a list; for the first page of all also that another has opened.

    `card` makes what is sent about an event on it, where that is not what guests get; `is_allowed` says whether the
    stream may go on.

    `newest` stands for the event that had opened last when the page was made, so that none is missed that opened
    between the page and its stream.
    """
    wanted = list_wanted()
    shown = {event.counts.event_id: event for event in (await shown_events(wanted, shown_to)).events}
    latest = await latest_event(shown_to) if wanted.is_front else None
    missed = latest if latest and token(latest.counts.event_id) != request.args.get("newest") else None
    office, made_card = box_office(), card or card_frame

    def frames(news: News) -> bytes:  # whose pages show the same events
        changed = (counts.event_id for counts in news)
        return news.once(made_card, lambda: b"".join(_list_frame(office, shown, name, made_card) for name in changed))

    first = opened_frame(missed) if missed else b""
    events = [event.counts for event in shown.values()]
    return streamed(Interest(frozenset(shown), openings=wanted.is_front), events, frames, first, is_allowed=is_allowed)


def _list_frame(office: BoxOffice, shown: dict[str, Event], event_id: str, card: Callable[[EventView], bytes]) -> bytes:
    event = office.published_event(event_id) or shown.get(event_id)
    if event is None:
        return b""
    return card(view(event, office.now())) if event_id in shown else opened_frame(event)


@live.get("/ui/events/<event_slug>/stream")
async def event_stream(event_slug: str) -> Response:
    """What changes at one event, and for a browser that booked there, its guest's own place."""
    event = await box_office().event(event_named(event_slug))
    event_id = event.counts.event_id
    office, booked = box_office(), booking_remembered(event_id)

    def seen() -> EventView:
        return view(office.published_event(event_id) or event, office.now())

    own = _OwnPlace(office, enquiries(), event_id, booked) if booked else None
    return streamed(Interest(frozenset({event_id})), [event.counts], _EventFrames(seen, own))


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
    """What an event's pages are sent at every change: its counts, and what the button will do."""
    return b"".join(
        frame(name, event, rendering.block("event.html", name, event=event)) for name in ("counts", "action")
    )


@lru_cache(FRAMES_KEPT)
def whole_frame(event: EventView, *, is_second: bool) -> bytes:
    """What an event's pages are sent when more than its counts has changed.

    Among it the section for booking, which only pages listen for that show no form there. Whether what it offers
    would be a second booking is up to who looks.
    """
    booking = rendering.block("event.html", "booking", event=event, is_second=is_second, booking=EMPTY, taken=None)
    others = [
        frame(name, event, rendering.block("event.html", name, event=event)) for name in ("facts", "about", "rule")
    ]
    return b"".join([event_frame(event), *others, frame("booking", event, booking)])


def mine_frame(event: EventView, mine: Standing) -> bytes:
    """What one guest's page is sent about his own place."""
    return frame("mine", event, rendering.block("event.html", "mine", event=event, mine=mine, is_fresh=False))


def frame(part: str, event: EventView, html: str) -> bytes:
    """A message for one part of an event's pages."""
    return message(f"{part}-{token(event.counts.event_id)}", html)


class _OwnPlace:
    """A guest's own place at an event, as his page was last told."""

    def __init__(self, office: BoxOffice, reads: Enquiries, event_id: str, booked: Booking) -> None:
        self._office = office
        self._reads = reads
        self._event_id = event_id
        self._booked = booked
        self._link = order_link(booked)
        self.standing: Standing | None = None

    async def look(self) -> bool:
        """Find out how it is now; whether that could be seen."""
        name = self.standing.name if self.standing else ""
        try:
            self.standing = await own_standing(
                self._office, self._reads, self._event_id, self._booked, self._link, name
            )
        except Unavailable:
            return False
        return True


class _EventFrames:
    """What one page of an event is sent: everything at first, then what may have changed."""

    def __init__(self, seen: Callable[[], EventView], own: _OwnPlace | None) -> None:
        self._seen = seen
        self._own = own
        self._told: EventView | None = None  # None as long as something that was told may be old

    def __call__(self, news: News) -> bytes | Awaitable[bytes]:
        event, told, own = news.once(view, self._seen), self._told, self._own
        self._told = event
        if told is None or told[1:] != event[1:]:  # all but the counts
            return whole_frame(event, is_second=False) if own is None else self._with_own_place(own, event, whole=True)
        if own is None or event.counts.adds_only_newcomers_to(told.counts):
            return news.once(event_frame, lambda: event_frame(event))
        return self._with_own_place(own, event, whole=False)

    async def _with_own_place(self, own: _OwnPlace, event: EventView, *, whole: bool) -> bytes:
        mine = b""
        if not await own.look():
            self._told = None
        elif own.standing:
            mine = mine_frame(event, own.standing)
        return (whole_frame(event, is_second=has_place(own.standing)) if whole else event_frame(event)) + mine
