"""Ids for events that were given a title alone, and opening an event under the first one that is free."""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Final

from webapp.booking.answers import Refusal, Revision
from webapp.booking.details import Details
from webapp.box_office import BoxOffice
from webapp.desk import Once

CANDIDATES_MAX: Final = 1_000
LENGTH_MAX: Final = 100


def candidates(title: str) -> Iterator[str]:
    """Ids made of a title, the best one first: its ASCII words in lower case, then with -2, -3 and so on behind them.

    `event` stands for a title without any: the words are for people to recognise, and nothing depends on them.
    """
    letters = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    words = re.sub("'", "", letters)
    stem = re.sub(r"[^a-z0-9]+", "-", words).strip("-")[:LENGTH_MAX].rstrip("-") or "event"
    yield stem
    for number in range(2, CANDIDATES_MAX + 1):
        yield f"{stem}-{number}"


async def create_under_first_free(
    office: BoxOffice, event_ids: Iterable[str], tickets: int, details: Details, once: Once | None
) -> Revision:
    """Open an event under the first id that no other has.

    Raises Refusal `event_exists` where all are taken, `idempotency_key_reused`, AnsweredBefore, Unavailable.
    """
    for event_id in event_ids:
        try:
            return await office.create_event(event_id, tickets, details, once=once)
        except Refusal as refusal:
            if refusal.code != "event_exists":
                raise
    raise Refusal("event_exists", "Too many events are called like this; give it an eventId of its own")
