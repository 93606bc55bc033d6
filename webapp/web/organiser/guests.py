"""Who has booked an event, for its organiser: the list and its file, finding somebody, and booking for somebody."""

from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

from quart import Response, request

from webapp.booking.answers import Refusal
from webapp.booking.state import Tally
from webapp.desk import Unavailable
from webapp.enquiries import Share
from webapp.web import parsing, rendering
from webapp.web.broadcast import Interest, News
from webapp.web.event_page import NOT_NOW
from webapp.web.fields import AFTER, STATUS, Q
from webapp.web.forms import EMPTY, Form, mistaken
from webapp.web.guest_form import guest_typed
from webapp.web.links import event_named
from webapp.web.organiser.access import PANEL, private, still_signed_in
from webapp.web.organiser.guest_view import guest_view
from webapp.web.organiser.notices import done, notice, placed, told
from webapp.web.organiser.overview import seen
from webapp.web.parsing import InvalidInput
from webapp.web.parts import box_office, enquiries
from webapp.web.rendering import organise_path, token
from webapp.web.roster_file import roster_file
from webapp.web.streams import message, streamed

guests = private("organiser_guests", __name__)

EVENT: Final = f"{PANEL}/events/<event_slug>"
GUESTS_PER_PAGE: Final = 100
GUESTS_PRINTED_MAX: Final = 500
DAMAGED: Final = "This address is damaged: it leads to no list of guests"


class Asked(NamedTuple):
    """Which guests somebody wants to see: a share of them, and those in whom a text is found."""

    event_id: str
    share: Share | None
    q: str = ""

    @property
    def path(self) -> str:
        """The address of the list, whole."""
        return f"{organise_path(self.event_id)}/guests"

    @property
    def unsearched(self) -> str:
        """The address of the same share, whole."""
        return self._replace(q="").address()

    def address(self, end: str = "", /, **more: object) -> str:
        """An address that asks for these guests; `end` is put behind the path."""
        query = {name: value for name, value in {"status": self.share, "q": self.q, **more}.items() if value}
        return f"{self.path}{end}?{urlencode(query)}" if query else f"{self.path}{end}"


class ShareTab(NamedTuple):
    """One of the tabs that part the list."""

    name: str
    guests: int
    address: str
    is_current: bool


@guests.get(f"{EVENT}/guests")
async def list_guests(event_slug: str) -> Response:
    """The guests, in the order in which they asked: all, or a share, or those in whom a text is found."""
    return await guests_page(event_named(event_slug))


@guests.get(f"{EVENT}/guests.csv")
async def guests_file(event_slug: str) -> Response:
    """The same guests, all of them, as a file for a spreadsheet."""
    asked = _asked(event_named(event_slug))
    await box_office().counts(asked.event_id)
    return await roster_file(asked.event_id, enquiries().whole_roster(asked.event_id, share=asked.share, q=asked.q))


@guests.get(f"{EVENT}/guests/stream")
async def guests_stream(event_slug: str) -> Response:
    """How many guests there are, now and whenever that changes, and that a page which was made before is old."""
    asked = _asked(event_named(event_slug))
    (since,) = parsing.parse_texts((AFTER,), request.args)
    counts = await box_office().counts(asked.event_id)
    return streamed(
        Interest(frozenset({asked.event_id})),
        [counts],
        _frames(asked, since, box_office().tally),
        is_allowed=still_signed_in(),
    )


@guests.post(f"{EVENT}/orders")
async def place_order(event_slug: str) -> Response:
    """Book for somebody."""
    event_id = event_named(event_slug)
    form = (await request.form).to_dict()
    try:
        guest, contact = guest_typed(form, needs_email=False)
        placement = await box_office().book(event_id, guest, "organiser", contact)
    except InvalidInput as invalid:
        return await guests_page(event_id, booking=mistaken(form, invalid))
    except Refusal as refusal:
        if refusal.code not in NOT_NOW:
            raise
        return await guests_page(event_id, booking=Form(form, problem=f"{refusal.sentence}."))
    # Under the same address, somebody of another name may have booked before.
    return done(Asked(event_id, None).path, placed((placement.is_new and contact.name) or guest, placement))


async def guests_page(event_id: str, booking: Form = EMPTY) -> Response:
    """The page, with the form that books as it was left."""
    event, searching = await seen(event_id), EMPTY
    try:
        asked = _asked(event_id)
    except InvalidInput as invalid:
        if not invalid.problems:
            raise
        searching, asked = mistaken({"q": request.args["q"]}, invalid), Asked(event_id, None)
    after, since = _numbers()
    is_whole = request.args.get("all") == "1"
    limit = GUESTS_PRINTED_MAX if is_whole else GUESTS_PER_PAGE
    tally = await box_office().tally(event_id)
    found = await enquiries().roster(event_id, share=asked.share, q=asked.q, after=after, limit=limit)
    more: dict[str, object] = {"all": int(is_whole), "after": after}
    values: dict[str, Any] = {
        "event": event,
        "asked": asked,
        "tabs": _tabs(asked, tally),
        "guests": [guest_view(standing, event.details.time_zone) for standing in found.standings],
        "after": after,
        "is_whole": is_whole,
        "next": found.next and asked.address(all=int(is_whole), after=found.next),
        "here": asked.address(**more),
        "polled": asked.address(**more, since=tally.counts.head),
        "stream": asked.address("/stream", after=tally.counts.head),
        "is_old": bool(since) and tally.counts.head > since,
        "searching": searching,
        "booking": booking,
        "notice": notice(),
    }
    status = 422 if booking.is_mistaken or searching.is_mistaken else 200
    return told(rendering.page("organise/guests.html", status=status, **values))


def _asked(event_id: str) -> Asked:
    """Which guests the query asks for. Raises InvalidInput, with problems where people have typed it."""
    try:
        (share,) = parsing.parse_texts((STATUS,), request.args)
    except InvalidInput as invalid:
        raise InvalidInput("invalid_input", DAMAGED) from invalid
    try:
        (text,) = parsing.parse_texts((Q,), request.args)
    except InvalidInput as invalid:
        raise InvalidInput("invalid_input", invalid.error, problems=(parsing.Problem("/q", invalid.error),)) from None
    return Asked(event_id, share, text)


def _numbers() -> tuple[int, int]:
    """The entry that a page goes on behind, and the one up to which it was made before; 0 without."""
    try:
        (after,) = parsing.parse_texts((AFTER,), request.args)
        (since,) = parsing.parse_texts((AFTER,), {AFTER.name: request.args.get("since", "")})
    except InvalidInput as invalid:
        raise InvalidInput("invalid_input", DAMAGED) from invalid
    return after, since


def _tabs(asked: Asked, tally: Tally) -> list[ShareTab]:
    counts = tally.counts
    shares: list[tuple[str, Share | None, int]] = [
        ("All", None, tally.placed),
        ("Booked", "booked", counts.booked),
        ("Waiting", "waiting", counts.waiting),
        ("Cancelled", "cancelled", tally.cancelled),
        ("Checked in", "checked_in", counts.checked_in),
    ]
    return [
        ShareTab(name, count, asked._replace(share=share).address(), share == asked.share)
        for name, share, count in shares
    ]


def _frames(asked: Asked, since: int, tally: Callable[[str], Awaitable[Tally]]) -> Callable[[News], Awaitable[bytes]]:
    async def frames(_: News) -> bytes:
        try:
            now = await tally(asked.event_id)
        except (Refusal, Unavailable):  # the next change tells the rest
            return b""
        return guests_frame(asked, now, is_old=now.counts.head > since)

    return frames


def guests_frame(asked: Asked, tally: Tally, *, is_old: bool) -> bytes:
    """What the pages about an event's guests are sent: the tabs with their counts, who is in, and if they are old."""
    name = token(asked.event_id)
    blocks = {
        "shares": rendering.block("organise/guests.html", "shares", tabs=_tabs(asked, tally)),
        "changed": rendering.block("organise/guests.html", "changed", is_old=is_old),
        "arrived": rendering.block("organise/check_in.html", "arrived", counts=tally.counts),
    }
    return b"".join(message(f"{block}-{name}", html) for block, html in blocks.items())
