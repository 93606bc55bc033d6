"""What a browser makes of an error page that comes in answer to a form: it is swapped in, and takes the focus."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect

from tests.server import Server
from tests.web.api import ADA, Api

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with Server(tmp_path / "server") as server:
        Api(server, ADA).event("gig")
        yield server


async def book(page: Page) -> None:
    """Fill in whatever the form asks for, and send it."""
    for field in await page.locator("#booking form input:not([type=hidden])").all():
        await field.fill("cleo@example.org")
    await page.locator("#booking form button").last.click()


@pytest.mark.parametrize("scripts", [True, False])
async def test_who_books_at_an_event_that_is_gone_is_told_and_led_on(
    chromium: Browser, server: Server, scripts: bool
) -> None:
    context = await chromium.new_context(base_url=server.url, java_script_enabled=scripts)
    page = await context.new_page()
    await page.goto("/ui/events/gig")
    assert Api(server, ADA)("DELETE /events/gig", if_match="*").status == 204
    await book(page)
    heading = page.get_by_role("heading", level=1)
    await expect(heading).to_have_text("There is no such event")
    await expect(heading).to_be_focused()
    await expect(page).to_have_title(re.compile("^There is no such event – "))
    await expect(page.get_by_role("main")).to_have_count(1)
    await page.get_by_role("main").get_by_role("link", name="All events").click()
    await expect(page).to_have_url(f"{server.url}/ui")
    await context.close()
