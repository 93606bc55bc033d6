"""What anybody may follow of an event: its ledger, to check, and its counts, as they change."""

import json
from functools import lru_cache

from quart import Blueprint, Response, request

from webapp.booking.state import Counts
from webapp.web import parsing
from webapp.web.api import documents
from webapp.web.api.lists import listed
from webapp.web.broadcast import Interest, News
from webapp.web.fields import AFTER, LEDGER_LIMIT
from webapp.web.links import event_named
from webapp.web.live import FRAMES_KEPT
from webapp.web.parts import box_office, enquiries
from webapp.web.streams import Frames, message, streamed

ledger = Blueprint("ledger", __name__, url_prefix="/api/v1")


@ledger.get("/events/<event_slug>/ledger")
async def list_entries(event_slug: str) -> Response:
    """What has happened at an event, entry by entry, with nothing personal in it."""
    after, limit = parsing.parse_texts((AFTER, LEDGER_LIMIT), request.args)
    counts = await box_office().counts(event_named(event_slug))
    entries = await enquiries().ledger(counts.event_id, after, limit)
    more = entries[-1].seq if entries and entries[-1].seq < counts.head else None
    found = listed([documents.entry(entry) for entry in entries], more, "after", eventId=counts.event_id)
    found.headers["Cache-Control"] = "no-cache"
    return found


@ledger.get("/events/<event_slug>/stream")
async def stream_counts(event_slug: str) -> Response:
    """How full an event is, now and whenever that changes. Who comes back hears only what he has not heard."""
    counts = await box_office().counts(event_named(event_slug))
    frames = _frames_after(request.headers.get("Last-Event-ID"))
    return streamed(Interest(frozenset({counts.event_id}), time=False), [counts], frames)


def _frames_after(last_heard: str | None) -> Frames:
    def frames(news: News) -> bytes:
        return b"" if str(news[-1].head) == last_heard else counts_frame(news[-1])

    return frames


@lru_cache(FRAMES_KEPT)
def counts_frame(counts: Counts) -> bytes:
    """What everybody is sent about an event's counts."""
    return message("counts", json.dumps(documents.counts(counts), ensure_ascii=False), counts.head)
