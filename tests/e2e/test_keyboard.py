"""By keyboard alone: from the list to a ticket, and an evening at the door. Where one is always shows."""

from typing import Final

import pytest
from playwright.async_api import Browser, Locator, Page, expect

from tests.e2e.browser import DESK, visitor
from tests.e2e.house import House
from tests.e2e.steps import open_event
from tests.server import PASSWORD, USER, Server

pytestmark = pytest.mark.asyncio(loop_scope="session")

STEPS_MAX: Final = 60
"""How often Tab may have to be pressed until one is where one wants to be."""

FOCUS_SHOWS: Final = """() => {
  const focused = document.activeElement;
  const isOutlined = (part) => {
    const { outlineStyle, outlineWidth } = getComputedStyle(focused, part);
    return outlineStyle !== "none" && parseFloat(outlineWidth) >= 2;
  };
  const { width, height } = focused.getBoundingClientRect();
  if (focused.tabIndex < 0) return true; // where a script has put the focus; nobody has pressed Tab to get there
  return width > 0 && height > 0 && (isOutlined() || isOutlined("::after"));
}"""


async def tab_to(page: Page, wanted: Locator) -> None:
    """Presses Tab until something has the focus, which shows on the way wherever it is. Raises AssertionError."""
    for _ in range(STEPS_MAX):
        await page.keyboard.press("Tab")
        assert await page.evaluate(FOCUS_SHOWS), await page.evaluate("document.activeElement.outerHTML")
        if await wanted.evaluate("(wanted) => wanted === document.activeElement"):
            return
    raise AssertionError(f"Tab does not lead to {wanted}")


async def test_one_books_and_cancels_by_keyboard(chromium: Browser, server: Server) -> None:
    open_event(server, "gig", 2)
    async with visitor(chromium, server, viewport=DESK) as page:
        await page.goto("/ui")
        await page.keyboard.press("Tab")
        await expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
        await expect(page.get_by_role("link", name="Skip to the content")).to_be_in_viewport()
        await page.keyboard.press("Enter")
        await tab_to(page, page.get_by_role("link", name="gig"))
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", level=1)).to_have_text("gig")

        await tab_to(page, page.get_by_label("Your name"))
        await page.keyboard.type("Cleo")
        await page.keyboard.press("Tab")
        await expect(page.get_by_label("Your e-mail address")).to_be_focused()
        await page.keyboard.type("cleo@example.org")
        await tab_to(page, page.get_by_role("button", name="Book a ticket"))
        await page.keyboard.press("Space")
        await expect(page.get_by_role("heading", name="You’re in")).to_be_focused()

        await tab_to(page, page.get_by_role("link", name="Your order: keep this link"))
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", name="Your ticket")).to_be_visible()
        await tab_to(page, page.get_by_role("link", name="Cancel the ticket…"))
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", name="Cancel your ticket?")).to_be_visible()
        await tab_to(page, page.get_by_role("button", name="Cancel the ticket"))
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", name="Your order is cancelled")).to_be_visible()


async def test_a_mistake_is_mended_by_keyboard(chromium: Browser, shared: Server) -> None:
    open_event(shared, "mended", 2)
    async with visitor(chromium, shared, viewport=DESK) as page:
        await page.goto("/ui/events/mended")
        await tab_to(page, page.get_by_label("Your name"))
        await page.keyboard.type(" ")
        await page.keyboard.press("Tab")
        await page.keyboard.type("cleo@example.org")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("alert")).to_be_focused()
        await page.keyboard.press("Tab")
        await expect(page.get_by_role("link", name="Please enter a name.")).to_be_focused()
        await page.keyboard.press("Enter")
        await expect(page.get_by_label("Your name")).to_be_focused()
        await page.keyboard.press("ControlOrMeta+A")
        await page.keyboard.type("Cleo")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", name="You’re in")).to_be_focused()


async def test_guests_are_let_in_by_keyboard(chromium: Browser, server: Server) -> None:
    open_event(server, "gig", 3)
    house = House(server)
    for name in ("Bob", "Cleo"):
        house.order("gig", name)
    async with visitor(chromium, server, viewport=DESK) as ada:
        await ada.goto("/ui/organise")
        await expect(ada.get_by_label("User name")).to_be_focused()
        await ada.keyboard.type(USER)
        await ada.keyboard.press("Tab")
        await ada.keyboard.type(PASSWORD)
        await ada.keyboard.press("Enter")
        await expect(ada.get_by_role("heading", name="Your events")).to_be_visible()
        await tab_to(ada, ada.get_by_role("link", name="gig"))
        await ada.keyboard.press("Enter")
        await expect(ada.get_by_role("heading", level=1)).to_have_text("gig")
        await tab_to(ada, ada.get_by_label("Event").get_by_role("link", name="Check-in"))
        await ada.keyboard.press("Enter")

        field = ada.get_by_label("Code or name")
        await expect(field).to_be_focused()
        for name in ("Bob", "Cleo"):  # one after the other, as a scanner does, which presses Enter at the end
            await ada.keyboard.type(house.names[f"{name.lower()}_code"])
            await ada.keyboard.press("Enter")
            await expect(ada.get_by_role("heading", name=f"Come in: {name}")).to_be_visible()
            await expect(field).to_be_focused()
            await expect(field).to_have_value("")
        await expect(ada.locator("#arrived")).to_contain_text("2 of 2 are in")
        await tab_to(ada, ada.get_by_role("button", name="Take back"))
        await ada.keyboard.press("Space")
        await expect(ada.get_by_text("is not in yet")).to_be_visible()
        await expect(ada.locator("#arrived")).to_contain_text("1 of 2")
        await expect(field).to_be_focused()
        await tab_to(ada, ada.locator("#result").get_by_role("button", name="Check in"))
        await ada.keyboard.press("Enter")
        await expect(ada.get_by_role("heading", name="Come in: Cleo")).to_be_visible()


async def test_a_focus_that_does_not_show_is_noticed(chromium: Browser, shared: Server) -> None:
    async with visitor(chromium, shared, viewport=DESK) as page:
        await page.goto("/ui")
        await page.evaluate("document.adoptedStyleSheets = [new CSSStyleSheet()]")
        await page.evaluate("document.adoptedStyleSheets[0].replaceSync(':focus-visible { outline: none !important }')")
        with pytest.raises(AssertionError, match="Skip to the content"):
            await tab_to(page, page.get_by_role("link", name="For organisers"))
