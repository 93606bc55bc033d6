"""Every page in each of its states, in both themes, on a phone and at a desk: for everybody, and within the policy."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from typing import cast
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, ViewportSize, expect

from tests.e2e.browser import DESK, PHONE, Theme, Visit, nothing_goes_wrong, visit
from tests.e2e.house import House, furnished
from tests.e2e.inspection import OF_A_LOOK, axe_violations, broken_rules
from tests.e2e.scenes import EMPTY, GUESTS, ORGANISERS, Scene
from tests.server import Server
from tests.web.pages import app_over
from webapp.box_office import BoxOffice

pytestmark = pytest.mark.asyncio(loop_scope="session")

NO_PAGES = ("/stream", ".csv", ".ics", "/capacity")
"""How addresses end that are no page, or a part of one: the preview of a capacity is shown in the settings."""

LOOKS: list[tuple[Theme, ViewportSize]] = [("light", DESK), ("dark", PHONE), ("light", PHONE), ("dark", DESK)]
"""The first two have everything in them once; what the others could break besides is the contrast, and sizes."""


class Watchers:
    """Those who look at a house: each has one browser, which is opened when it is needed, for all that he looks at."""

    def __init__(self, chromium: Browser, house: House, opened: AsyncExitStack) -> None:
        self._chromium = chromium
        self._house = house
        self._opened = opened
        self._visits: dict[str, Visit] = {}

    async def look_at(self, scene: Scene) -> None:
        """Go to a scene, and find nothing wrong with it from anywhere. Raises AssertionError."""
        page, complaints = await self._visit(scene.who)
        complaints.clear()
        await self._show(page, *LOOKS[0])
        await page.goto(scene.address.format(**self._house.names))
        if scene.act:
            await scene.act(page, self._house.names)
            await expect(page.locator("body")).to_contain_text(scene.reads)
        found = []
        for number, (theme, window) in enumerate(LOOKS[:2] if scene.is_for_programs else LOOKS):
            await self._show(page, theme, window)
            assert scene.reads in await page.locator("body").inner_text()
            broken = await broken_rules(page, is_phone=window is PHONE and not scene.is_for_programs)
            broken += await axe_violations(page, only=() if number < 2 else OF_A_LOOK)
            found += [f"{theme}, {window['width']} px: {rule}" for rule in broken]
        assert not found, "\n".join(found)
        await nothing_goes_wrong(page, complaints)

    async def _show(self, page: Page, theme: Theme, window: ViewportSize) -> None:
        await page.set_viewport_size(window)
        await page.emulate_media(color_scheme=theme)

    async def _visit(self, who: str) -> Visit:
        if who not in self._visits:
            cookies = self._house.cookies.get(who, {})
            assert cookies or who == "nobody"
            coming = visit(self._chromium, self._house.server, cookies=cookies, reduced_motion="reduce")
            self._visits[who] = await self._opened.enter_async_context(coming)
        return self._visits[who]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with Server(tmp_path_factory.mktemp("house")) as server:
        yield furnished(server)


@pytest.fixture(scope="module")
def empty_house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with Server(tmp_path_factory.mktemp("empty-house")) as server:
        house = House(server)
        house.sign_in()
        yield house


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def watchers(chromium: Browser, house: House) -> AsyncIterator[Watchers]:
    async with AsyncExitStack() as opened:
        yield Watchers(chromium, house, opened)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def watchers_of_nothing(chromium: Browser, empty_house: House) -> AsyncIterator[Watchers]:
    async with AsyncExitStack() as opened:
        yield Watchers(chromium, empty_house, opened)


@pytest.mark.parametrize("scene", [*GUESTS, *ORGANISERS], ids=lambda scene: scene.name)
async def test_nothing_is_wrong_with(watchers: Watchers, scene: Scene) -> None:
    await watchers.look_at(scene)


@pytest.mark.parametrize("scene", EMPTY, ids=lambda scene: scene.name)
async def test_nothing_is_wrong_where_nothing_is_open_yet(watchers_of_nothing: Watchers, scene: Scene) -> None:
    await watchers_of_nothing.look_at(scene)


async def test_every_page_of_the_app_is_among_the_scenes(house: House) -> None:
    pages = app_over(cast(BoxOffice, None)).url_map.bind("localhost")
    shown = {
        pages.match(urlsplit(scene.address.format(**house.names)).path, return_rule=True)[0].rule
        for scene in (*GUESTS, *ORGANISERS, *EMPTY)
        if "nowhere" not in scene.address
    }
    all_pages = {rule.rule for rule in pages.map.iter_rules() if "GET" in (rule.methods or ())}
    assert {
        page for page in all_pages - shown if page.startswith(("/ui", "/docs")) and not page.endswith(NO_PAGES)
    } == set()
