"""The reference of the API, on a phone."""

import re

import pytest
from playwright.async_api import Browser, expect

from tests.e2e.browser import PHONE, visitor
from tests.server import Server

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.mark.parametrize("scripts", [True, False])
async def test_the_reference_is_read_on_a_phone_and_loads_nothing_from_elsewhere(
    chromium: Browser, shared: Server, scripts: bool
) -> None:
    async with visitor(chromium, shared, scripts=scripts) as dan:
        loaded: list[str] = []
        dan.on("request", lambda request: loaded.append(request.url))
        await dan.goto("/ui")
        await dan.get_by_role("link", name="For programs: the API").click()
        await expect(dan.get_by_role("heading", name="The API", level=1)).to_be_visible()
        await dan.get_by_role("link", name="Errors").click()
        await expect(dan).to_have_url(re.compile(r"/docs#errors$"))
        await dan.get_by_role("article", name="400 invalid_input").get_by_text("Example").click()
        await expect(dan.get_by_text('"pointer": "/capacity"')).to_be_visible()
        width = await dan.evaluate("document.documentElement.scrollWidth") if scripts else PHONE["width"]
        assert width == PHONE["width"]
        assert all(url.startswith(f"{shared.url}/") for url in loaded)
