"""Pages that are the same for everybody, kept ready to send as long as they would be made the same again.

They are made of published events and of the time alone. Whatever happens at one of their events ends them, at once.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple

from quart import Response, current_app, request

from webapp.booking.state import Event
from webapp.box_office import BoxOffice
from webapp.web.compression import Content
from webapp.web.event_view import moments_after
from webapp.web.parts import box_office
from webapp.web.rendering import page_of

EXTENSION: Final = "fairlist.kept_pages"
PAGES_MAX: Final = 256

CHANGES_MAX: Final = 1_000
"""After so many changes, a page is made anew rather than looking whether one of them concerns it."""

LIFE_US: Final = 60_000_000
"""A page is made anew every minute, which keeps its events in memory: of others, it cannot be seen what they are."""


@dataclass(slots=True)
class KeptPage:
    """A page; what it was made of, and when; both times are microseconds since 1970, UTC.

    `version` is that of the announcements up to which it is known to be current. A list is made of all events, since
    any of them may come to be on it; but only what is more than counts can bring it there.
    """

    content: Content
    version: int
    since: int
    until: int
    event_ids: frozenset[str]
    is_list: bool

    def is_current(self, office: BoxOffice) -> bool:
        """Whether it would be made the same now."""
        announced = office.announcements
        if not self.since <= office.now() < self.until:
            return False
        if not all(map(office.published, self.event_ids)):  # deleted, which nobody announces
            return False
        if announced.version != self.version:
            if announced.version - self.version > CHANGES_MAX or (self.is_list and announced.revised > self.version):
                return False
            if any(counts.event_id in self.event_ids for counts in announced.since(self.version)):
                return False
            self.version = announced.version
        return True


class Beginning(NamedTuple):
    """The moment before a page is read and made: from then on, nothing may be missed that changes it."""

    now: int
    version: int


def beginning() -> Beginning:
    """The present."""
    office = box_office()
    return Beginning(office.now(), office.announcements.version)


def is_plain() -> bool:
    """Whether the request asks for the page that everybody gets at its address."""
    return not request.query_string and "HX-Request" not in request.headers


def kept_page() -> Response | None:
    """What the request asks for, if it is plain, and the page is kept and current."""
    kept, path = _kept(), request.path
    page = kept.get(path)
    if page is None or not is_plain():
        return None
    office = box_office()
    if page.is_current(office):
        return page_of(page.content)
    del kept[path]
    return None


def kept_from_now_on(content: Content, made: Beginning, events: Iterable[Event], *, is_list: bool = False) -> Response:
    """The page that the plain request asks for, which was made of these events."""
    kept, shown = _kept(), list(events)
    until = min([made.now + LIFE_US, *(at for event in shown for at in moments_after(event, made.now))])
    event_ids = frozenset(event.counts.event_id for event in shown)
    while len(kept) >= PAGES_MAX:
        del kept[next(iter(kept))]
    kept[request.path] = KeptPage(content, made.version, made.now, until, event_ids, is_list)
    return page_of(content)


def _kept() -> dict[str, KeptPage]:
    """Those of the app that serves the current request, by path."""
    found: dict[str, KeptPage] = current_app.extensions.setdefault(EXTENSION, {})
    return found
