"""Pages that are kept: nobody can tell them from pages that are made for him, whatever has happened since."""

import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final

import pytest
from quart import Quart

from tests.web.pages import Clock, app_over
from webapp.booking.answers import Refusal
from webapp.booking.details import Details
from webapp.box_office import BoxOffice
from webapp.storage.sqlite import SqliteStore
from webapp.web import kept_pages, rendering
from webapp.web.event_list import EVENTS_PER_PAGE

NOON: Final = 1_800_000_000_000_000
HOUR: Final = 3_600_000_000
STEPS: Final = 40
GIG: Final = "/ui/events/gig"


@pytest.fixture
def clock() -> Clock:
    return Clock(NOON)


@pytest.fixture
async def box_office(store: SqliteStore, start: Callable[[BoxOffice], Awaitable[BoxOffice]], clock: Clock) -> BoxOffice:
    box_office = await start(BoxOffice(store, clock=clock))
    await box_office.open_event("gig", tickets=100)
    return box_office


@pytest.fixture
def app(box_office: BoxOffice) -> Quart:
    return app_over(box_office)


async def read(app: Quart, path: str, **headers: str) -> tuple[int, str]:
    """What a browser is shown that has nothing yet."""
    answer = await app.test_client().get(path, headers=headers)
    return answer.status_code, await answer.get_data(as_text=True)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The templates of the kept pages that are made."""

    def content(template: str, **values: Any) -> Any:
        templates.append(template)
        return as_before(template, **values)

    templates: list[str] = []
    as_before = rendering.content
    monkeypatch.setattr(rendering, "content", content)
    return templates


async def test_a_page_is_made_once_for_all_who_ask(app: Quart, made: list[str]) -> None:
    shown = [await read(app, path) for _ in range(5) for path in ("/ui", GIG)]
    assert made == ["events.html", "event.html"]
    assert len(set(shown)) == 2


async def test_what_happens_at_one_event_leaves_the_page_of_another(
    app: Quart, box_office: BoxOffice, made: list[str]
) -> None:
    await box_office.open_event("wine", tickets=100)
    for number in range(5):
        await read(app, GIG)
        await box_office.book("wine", f"guest {number}")
    assert made == ["event.html"]


async def test_bookings_at_an_event_further_down_leave_the_first_page_of_the_list(
    app: Quart, box_office: BoxOffice, made: list[str]
) -> None:
    for number in range(EVENTS_PER_PAGE):
        await box_office.create_event(f"talk {number}", 9, Details(starts_at=NOON + HOUR))
    await box_office.book("gig", "Bob")
    for number in range(5):
        await read(app, "/ui")
        await box_office.book("gig", f"guest {number}")
    assert made == ["events.html"]
    await box_office.revise("gig", details=Details(starts_at=NOON + HOUR // 2))
    assert GIG in (await read(app, "/ui"))[1]


async def test_a_kept_page_is_given_to_nobody_who_has_another(app: Quart, box_office: BoxOffice) -> None:
    browser = app.test_client()
    await read(app, GIG)
    await browser.post(f"{GIG}/orders", form={"name": "Bob", "email": "bob@example.org"})
    assert 'id="mine"' in await (await browser.get(GIG)).get_data(as_text=True)
    assert 'id="mine"' not in (await read(app, GIG))[1]
    for path in ("/ui", GIG):
        whole, block = (await read(app, path))[1], (await read(app, path, **{"HX-Request": "true"}))[1]
        assert whole.startswith("<!doctype html>")
        assert not block.startswith("<!doctype html>")
        assert await read(app, path) == (200, whole)


async def test_no_more_pages_are_kept_than_agreed(
    app: Quart, box_office: BoxOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_pages, "PAGES_MAX", 3)
    for number in range(6):
        await box_office.open_event(f"talk-{number}", tickets=1)
        await read(app, f"/ui/events/talk-{number}")
    assert list(app.extensions[kept_pages.EXTENSION]) == [f"/ui/events/talk-{number}" for number in (3, 4, 5)]


@pytest.mark.parametrize("seed", range(3))
async def test_kept_pages_show_what_pages_made_anew_show(
    app: Quart, box_office: BoxOffice, clock: Clock, seed: int
) -> None:
    """Beside the app that keeps pages stands one that forgets them at every step."""
    chance = random.Random(seed)
    names = ["gig", "wine", "talk"]

    def details() -> Details:
        starts_at = chance.choice([None, clock.now + chance.randrange(-HOUR, 3 * HOUR)])
        ends_at = starts_at and chance.choice([None, starts_at + HOUR])
        opens_at = chance.choice([None, clock.now + chance.randrange(-HOUR, HOUR)])
        return Details(
            title=chance.choice(["", "A title"]), starts_at=starts_at, ends_at=ends_at, opens_at=opens_at,
            hidden=chance.random() < 0.2,
        )  # fmt: skip

    async def step() -> None:
        name = chance.choice(names)
        match chance.randrange(7):
            case 0:
                await box_office.create_event(name, chance.randrange(3), details())
            case 1:
                await box_office.revise(name, details=details())
            case 2:
                await box_office.revise(name, tickets=chance.randrange(5))
            case 3:
                await box_office.delete_event(name)
            case 4:
                await box_office.cancel(name, f"guest {chance.randrange(5)}", "organiser")
            case 5:
                clock.now += chance.choice([-HOUR, HOUR // 2, HOUR])
            case _:
                await box_office.book(name, f"guest {chance.randrange(5)}")

    forgetful = app_over(box_office)
    for number in range(STEPS):
        with suppress(Refusal):
            await step()
        for path in ("/ui", *(f"/ui/events/{name}" for name in names)):
            kept, anew = await read(app, path), await read(forgetful, path)
            if kept[0] == 404:  # whose page names the request
                kept, anew = (404, ""), (anew[0], "")
            assert kept == anew, f"seed {seed}, step {number}: {path}"
