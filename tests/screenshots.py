"""`make screenshots`: takes the pictures of the README, in a real browser, of the demo."""

import asyncio
import tempfile
from pathlib import Path
from typing import Final

import click
from playwright.async_api import Page, async_playwright

from tests.server import CODE, Server

CHROMIUM: Final = "/usr/bin/chromium"
PICTURES: Final = CODE / "docs"
WIDTH, HEIGHT_MIN = 1_280, 600


async def events(page: Page) -> None:
    """All events, with what is left of them."""
    await page.goto("/ui")
    await page.wait_for_selector("text=Summer night concert")


async def waiting(page: Page) -> None:
    """One event, as somebody sees it who waits."""
    await page.goto("/ui")
    await page.click("text=Summer night concert")
    await page.fill("[name=userId]", "Cleo Moreau")
    await page.press("[name=userId]", "Enter")
    await page.wait_for_selector("text=on the waiting list")


async def take(page: Page, picture: Path) -> None:
    """Take a picture of a page from its top to the end of its content."""
    await page.evaluate("document.activeElement.blur()")
    height = await page.evaluate("Math.ceil(document.body.getBoundingClientRect().height)")
    await page.set_viewport_size({"width": WIDTH, "height": height})
    await page.evaluate("scrollTo(0, 0)")
    await page.screenshot(path=picture)
    click.echo(picture.relative_to(CODE))


async def main() -> None:
    """Take every picture."""
    PICTURES.mkdir(exist_ok=True)
    demo = ("-m", "webapp", "demo")
    with tempfile.TemporaryDirectory() as folder, Server(Path(folder), program=demo, ADMIN_PASS="") as server:
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            for name, scene in (("screenshot.png", events), ("waiting.png", waiting)):
                page = await browser.new_page(
                    base_url=server.url, viewport={"width": WIDTH, "height": HEIGHT_MIN}, color_scheme="light"
                )
                await scene(page)
                await take(page, PICTURES / name)
            await browser.close()


if __name__ == "__main__":
    asyncio.run(main())
