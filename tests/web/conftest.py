"""What tests of the pages start from: a box office whose clock stands still, and browsers before it.

A file that wants an event to be there, or another time, has an `office` of its own, which begins with this one.
"""

from collections.abc import Awaitable, Callable

import pytest
from quart.typing import TestClientProtocol as Browser

from tests.web.pages import Clock, app_over, sign_in
from tests.web.test_dates import at
from webapp.box_office import BoxOffice
from webapp.storage.sqlite import SqliteStore


@pytest.fixture
def clock() -> Clock:
    """A week before the night on which most events are."""
    return Clock(at("2026-11-20T13:45"))


@pytest.fixture
async def office(store: SqliteStore, start: Callable[[BoxOffice], Awaitable[BoxOffice]], clock: Clock) -> BoxOffice:
    """A box office that goes by the clock, without any event."""
    return await start(BoxOffice(store, clock=clock))


@pytest.fixture
def browser(office: BoxOffice) -> Browser:
    """A browser of somebody whom nobody knows yet."""
    return app_over(office).test_client()


@pytest.fixture
async def ada(office: BoxOffice) -> Browser:
    """The browser of the organiser, who has signed in."""
    ada = app_over(office).test_client()
    await sign_in(ada)
    return ada
