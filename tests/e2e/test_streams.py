"""Live pages when the connection is lost, and where there is no room for a stream."""

from pathlib import Path
from typing import Final

import pytest
from playwright.async_api import Browser, expect

from tests.e2e.browser import visitor
from tests.e2e.steps import LOST, ask_again, book, cancel, fill_in, miss_the_stream, open_event
from tests.server import Server
from tests.web.api import Api

pytestmark = pytest.mark.asyncio(loop_scope="session")

UNREACHED: Final = "The server could not be reached. Please try again: asking twice does no harm."


async def test_a_lost_stream_says_so_and_comes_back_by_itself(chromium: Browser, server: Server) -> None:
    open_event(server, "gig", 2, "Bob")
    line = [Api(server).order("gig", name) for name in ("Dan", "Eve")][1]["manage_link"]
    async with visitor(chromium, server, may_fail=True) as page, visitor(chromium, server, may_fail=True) as eve:
        await page.goto("/ui/events/gig")
        await eve.goto(line)
        connection = page.locator("#connection")
        await expect(connection).to_be_empty()
        assert server.stop() == 0
        await expect(connection).to_have_text(LOST)
        await expect(eve.locator("#connection")).to_have_text(LOST)
        await fill_in(page, "Cleo")
        await page.get_by_role("button", name="Join the waiting list").click()
        await expect(connection).to_have_text(UNREACHED)

        server.start()
        cancel(server, "gig", "Bob")
        await expect(eve.get_by_role("heading", name="Your ticket")).to_be_visible()
        await expect(page.get_by_role("button", name="Join the waiting list (you would be 1st)")).to_be_visible()
        await expect(connection).to_be_empty()
        await expect(eve.locator("#connection")).to_be_empty()
        await expect(page.get_by_label("Your name")).to_have_value("Cleo")
        await page.get_by_role("button", name="Join the waiting list").click()
        await expect(page.get_by_role("heading", name="You are 1st on the waiting list")).to_be_visible()


async def test_where_there_is_no_room_for_a_stream_the_page_asks_by_itself(chromium: Browser, tmp_path: Path) -> None:
    with Server(tmp_path / "server", STREAMS_MAX="1") as server:
        open_event(server, "gig", 2)
        async with visitor(chromium, server) as first, visitor(chromium, server, may_fail=True) as second:
            await second.clock.install()
            await first.goto("/ui/events/gig")
            await expect(first.locator("#counts")).to_contain_text("2 of 2 left")
            await second.goto("/ui/events/gig")
            await miss_the_stream(second)
            book(server, "gig", "Bob")
            await expect(first.locator("#counts")).to_contain_text("1 of 2 left")
            await ask_again(second)
            await expect(second.locator("#counts")).to_contain_text("1 of 2 left")
