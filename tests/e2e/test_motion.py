"""Nothing moves for those who have asked for that; for others a little does."""

from typing import Final

import pytest
from playwright.async_api import Browser, expect

from tests.e2e.browser import DESK, Motion, visitor
from tests.e2e.steps import book, open_event
from tests.server import Server

pytestmark = pytest.mark.asyncio(loop_scope="session")

MOVEMENTS: Final = """() => {
  window.moved = [];
  const note = (event) => window.moved.push(`${event.type} of ${event.target.className?.baseVal ?? event.target.id}`);
  for (const type of ["transitionrun", "animationstart"]) document.addEventListener(type, note, true);
}"""


@pytest.mark.parametrize("wish", ["reduce", "no-preference"])
async def test_what_changes_moves_only_for_those_who_do_not_mind(
    chromium: Browser, shared: Server, wish: Motion
) -> None:
    event = f"motion-{wish}"
    open_event(shared, event, 2)
    async with visitor(chromium, shared, viewport=DESK, reduced_motion=wish) as page:
        await page.goto(f"/ui/events/{event}")
        await page.evaluate(MOVEMENTS)
        book(shared, event, "Bob")
        await expect(page.locator("#counts")).to_contain_text("1 of 2 left")
        await page.evaluate("new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)))")
        moved = await page.evaluate("window.moved")
        assert (moved == []) == (wish == "reduce"), moved
        assert await page.evaluate("matchMedia('(prefers-reduced-motion: reduce)').matches") == (wish == "reduce")
