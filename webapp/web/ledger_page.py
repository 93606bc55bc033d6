"""The public ledger of an event: every entry in plain words with its hash, for anybody to read and to check."""

import re
from dataclasses import replace
from functools import lru_cache, partial
from typing import Final, NamedTuple

from quart import Blueprint, Response, request

from webapp.booking.ledger import Entry
from webapp.booking.state import Counts
from webapp.web import dates, ledger_words, parsing, rendering
from webapp.web.broadcast import Interest, News
from webapp.web.event_view import EventView, view
from webapp.web.fields import AFTER
from webapp.web.links import event_named, event_resource
from webapp.web.parts import box_office, enquiries
from webapp.web.rendering import number
from webapp.web.streams import message, streamed
from webapp.web.times import exactly

ledger_page = Blueprint("ledger_page", __name__, url_prefix="/ui/events/<event_slug>/ledger")

ENTRIES_PER_PAGE: Final = 100
FRAMES_KEPT: Final = 1_024
SEEN: Final = replace(AFTER, name="seen", description="The newest entry that there was when the page was loaded.")


class Row(NamedTuple):
    """An entry as the page shows it."""

    seq: int
    sentence: str
    when: str  # in the event's zone
    at: str  # RFC 3339
    hash: str  # 64 hexadecimal digits


class Lookup(NamedTuple):
    """What somebody looks for: the number of an entry and perhaps the hash in his receipt, as he typed them.

    `marked` is the entry's number where there is one, and `verdict` what there is to say.
    """

    entry: str = ""
    hash: str = ""
    marked: int | None = None
    verdict: str = ""
    is_wrong: bool = False


@ledger_page.get("")
async def show_ledger(event_slug: str) -> Response:
    """A page of entries, newest first: the newest, those behind number `after`, or those around number `entry`."""
    event = view(await box_office().event(event_named(event_slug)), box_office().now())
    after, seen = parsing.parse_texts((AFTER, SEEN), request.args)
    head = event.counts.head
    lookup = await _looked_up(event.counts, request.args.get("entry"), request.args.get("hash", ""))
    if lookup.marked is not None:
        after = (lookup.marked - 1) // ENTRIES_PER_PAGE * ENTRIES_PER_PAGE
    elif "after" not in request.args:
        after = max(0, head - ENTRIES_PER_PAGE)
    entries = await enquiries().ledger(event.counts.event_id, after, ENTRIES_PER_PAGE)
    return rendering.page(
        "ledger.html",
        status=404 if lookup.is_wrong and lookup.marked is None else 200,
        personal=bool(lookup.verdict),
        event=event,
        rows=tuple(_row(entry, event) for entry in reversed(entries) if entry.seq <= head),
        after=after,
        older=max(0, after - ENTRIES_PER_PAGE) if after else None,
        newer=after + ENTRIES_PER_PAGE if after + ENTRIES_PER_PAGE < head else None,
        lookup=lookup,
        fresh=max(0, head - seen) if seen else 0,
        is_plain=not request.args,
        resource=event_resource(event.counts.event_id),
    )


@ledger_page.get("/stream")
async def ledger_stream(event_slug: str) -> Response:
    """How many entries have come since the page was loaded, whose newest one was number `seen`."""
    (seen,) = parsing.parse_texts((SEEN,), request.args)
    counts = await box_office().counts(event_named(event_slug))

    def frames(news: News) -> bytes:
        return _news_frame(counts.event_id, news[-1].head - seen)

    return streamed(Interest(frozenset({counts.event_id})), [counts], frames)


@lru_cache(FRAMES_KEPT)
def _news_frame(event_id: str, fresh: int) -> bytes:
    if fresh <= 0:
        return b""
    return message("news", rendering.block("ledger.html", "news", fresh=fresh, path=rendering.ledger_path(event_id)))


def _row(entry: Entry, event: EventView) -> Row:
    shown = dates.local(entry.at, event.details.time_zone)
    when = f"{dates.day(shown, event.year)}, {dates.clock(shown)}:{shown.second:02}"
    return Row(entry.seq, ledger_words.sentence(entry), when, exactly(entry.at), entry.hash.hex())


async def _looked_up(counts: Counts, entry_typed: str | None, hash_typed: str) -> Lookup:
    """What is found of a receipt, or of an entry alone. Raises Refusal `event_not_found`, Unavailable."""
    if entry_typed is None:
        return Lookup()
    found = partial(Lookup, entry_typed.strip(), hash_typed.strip())
    seq = _whole_number(entry_typed)
    if seq is None:
        return found(verdict="Please enter the number of an entry, such as 1.", is_wrong=True)
    if not 1 <= seq <= counts.head:
        newest = f"the newest is number {number(counts.head)}"
        return found(verdict=f"There is no entry {number(seq)} in this ledger: {newest}.", is_wrong=True)
    told = "".join(hash_typed.split()).lower()
    if not told:
        return found(marked=seq)
    if not re.fullmatch("[0-9a-f]{64}", told):
        right = "A hash has 64 signs: digits, and letters from a to f."
        return found(marked=seq, verdict=f"{right} Please copy all of it.", is_wrong=True)
    (entry,) = await enquiries().ledger(counts.event_id, seq - 1, 1)
    if entry.hash.hex() == told:
        return found(marked=seq, verdict=f"Your receipt is in the ledger: entry {number(seq)} has this very hash.")
    other = f"Entry {number(seq)} has another hash than your receipt."
    doubt = "If both are copied right, the ledger is not the one that you were told of."
    return found(marked=seq, verdict=f"{other} {doubt}", is_wrong=True)


def _whole_number(typed: str) -> int | None:
    """The number in a text, also if it is written with its thousands apart, as receipts have it."""
    digits = re.sub(r"[\s,]", "", typed)
    return int(digits) if re.fullmatch("[0-9]{1,15}", digits) else None
