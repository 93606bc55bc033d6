"""A ticket on paper: one page with what the door needs, dark on white whatever the screen shows."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page

from tests.e2e.browser import TIMEOUT_MS
from tests.server import Server

pytestmark = pytest.mark.asyncio(loop_scope="session")

WORDS_PRINTED: Final = """() => {
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const seen = [];
  while (walker.nextNode()) {
    const {parentElement: around, data} = walker.currentNode;
    if (data.trim() && around.checkVisibility() && around.getBoundingClientRect().height > 1) seen.push(data.trim());
  }
  return seen;
}"""
COLOURS: Final = """() => [document.documentElement, ...document.querySelectorAll(".pass, .pass > *")].map((part) => {
  const {color, backgroundColor} = getComputedStyle(part);
  return [color, backgroundColor];
})"""


@pytest_asyncio.fixture(loop_scope="session")
async def ticket(chromium: Browser, tmp_path: Path) -> AsyncIterator[tuple[Page, str]]:
    """The page of Bob's ticket, on a phone that is dark, and its code."""
    with Server(tmp_path / "server") as server:
        event = {
            "eventId": "gig", "capacity": 1, "title": "Summer night", "venue": "Stadtpark", "description": "x" * 5_000,
            "time_zone": "Europe/Berlin", "starts_at": "2030-06-18T18:00:00Z", "ends_at": "2030-06-18T21:00:00Z",
        }  # fmt: skip
        assert server.as_organiser("POST /api/v1/events", event).status == 201
        order = server.ask("POST /api/v1/events/gig/orders", {"userId": "bob", "name": "Bob Brandt"}).json
        context = await chromium.new_context(color_scheme="dark", viewport={"width": 390, "height": 844})
        context.set_default_timeout(TIMEOUT_MS)
        page = await context.new_page()
        await page.goto(f"{server.url}/ui/{order['manage_link'].partition('/ui/')[2]}")
        yield page, (await page.inner_text(".code")).strip()
        await context.close()


@pytest.mark.parametrize("paper", ["A4", "Letter"])
async def test_a_printed_ticket_is_one_page(ticket: tuple[Page, str], paper: str) -> None:
    page, _ = ticket
    assert len(re.findall(rb"/Type /Page\b", await page.pdf(format=paper))) == 1


async def test_on_paper_stands_what_the_door_needs_and_nothing_else(ticket: tuple[Page, str]) -> None:
    page, code = ticket
    await page.emulate_media(media="print")
    assert await page.evaluate(WORDS_PRINTED) == [
        "Ticket", "Summer night", "When", "Tuesday 18 June 2030, 20:00–23:00 (Europe/Berlin)", "Where", "Stadtpark",
        "Name", "Bob Brandt", "Code", code,
    ]  # fmt: skip


async def test_a_ticket_is_printed_dark_on_white_and_large_enough_to_scan(ticket: tuple[Page, str]) -> None:
    page, _ = ticket
    await page.set_viewport_size({"width": 794, "height": 1_123})  # A4 at 96 dots per inch
    await page.emulate_media(media="print")
    for ink, ground in await page.evaluate(COLOURS):
        assert ink == "rgb(0, 0, 0)"
        assert ground in ("rgba(0, 0, 0, 0)", "rgb(255, 255, 255)")
    drawn = await page.locator(".qr").bounding_box()
    assert drawn is not None
    assert drawn["width"] == drawn["height"] >= 40 / 25.4 * 96  # 40 mm
