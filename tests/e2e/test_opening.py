"""The page of an event before booking opens: it counts down by the server's clock, and becomes the form by itself."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from tests.e2e.browser import visitor
from tests.e2e.steps import IN_A_LONG_TIME, LONG_AGO, ask_again, fill_in, miss_the_stream, open_event, revise
from tests.server import Server

pytestmark = pytest.mark.asyncio(loop_scope="session")

OPENS_AT = datetime(2040, 6, 1, 18, tzinfo=UTC)
# A server whose clock stands still until a test sets it.
BY_THE_CLOCK = """
import time
from pathlib import Path
from webapp.cli import main

time.time_ns = lambda: int(Path("clock").read_text())
main(["serve"])
"""


async def test_the_countdown_runs_and_turns_into_the_button_when_its_time_has_come(
    chromium: Browser, tmp_path: Path
) -> None:
    server = Server(tmp_path / "server", program=("-c", BY_THE_CLOCK))

    def set_clock(after_s: float) -> None:
        (set_to := server.folder / "clock.new").write_text(str(int((OPENS_AT.timestamp() + after_s) * 1e9)))
        set_to.replace(server.folder / "clock")

    set_clock(-3)
    with server:
        open_event(server, "gig", 2)
        revise(server, "gig", opens_at=OPENS_AT.isoformat())
        async with visitor(chromium, server) as page:
            await page.goto("/ui/events/gig")
            heading = page.get_by_role("heading", name="Opens Friday 1 June 18:00 (UTC)")
            await expect(heading).to_be_visible()
            await expect(heading.locator(".countdown")).to_have_text(
                "now"
            )  # after "in 3 s", by the browser's own clock
            await expect(page.get_by_role("button", name="Book a ticket")).to_have_count(0)
            set_clock(0)
            await expect(page.get_by_role("button", name="Book a ticket")).to_be_visible()
            await expect(page.locator("#announcement")).to_have_text("Booking is open.")
            await expect(heading).to_have_count(0)
            await fill_in(page, "Cleo")
            await page.keyboard.press("Enter")
            await expect(page.get_by_role("heading", name="You’re in")).to_be_focused()


async def test_an_opening_that_is_moved_moves_the_page_and_nothing_typed_is_lost(
    chromium: Browser, shared: Server
) -> None:
    open_event(shared, "moved", 2)
    revise(shared, "moved", opens_at=IN_A_LONG_TIME)
    async with visitor(chromium, shared) as page:
        await page.goto("/ui/events/moved")
        await expect(page.get_by_role("heading", name="Opens ")).to_be_visible()
        await expect(page.locator("#booking .countdown")).to_have_text(re.compile(r"^in \d+ days( \d+ h)?$"))
        await expect(page.get_by_role("button", name="Book a ticket")).to_have_count(0)
        await page.get_by_text("Booked before?").click()
        await page.get_by_label("The e-mail address or name").fill("Cl")
        revise(shared, "moved", opens_at=LONG_AGO)
        await expect(page.get_by_role("heading", name="Opens ")).to_have_count(0)
        await expect(page.locator("#announcement")).to_have_text("Booking is open.")
        await expect(page.get_by_label("The e-mail address or name")).to_have_value("Cl")
        await fill_in(page, "Cleo")
        await page.get_by_role("button", name="Book a ticket").click()
        await expect(page.get_by_role("heading", name="You’re in")).to_be_focused()


async def test_the_countdown_goes_by_the_servers_clock(chromium: Browser, shared: Server) -> None:
    opens_at = datetime.now(UTC).replace(microsecond=0) + timedelta(days=400)
    open_event(shared, "clock", 2)
    revise(shared, "clock", opens_at=opens_at.isoformat())
    async with visitor(chromium, shared) as page:
        await page.clock.install(time=0)  # a clock that is far off
        await page.goto("/ui/events/clock")
        countdown = page.locator("#booking .countdown")
        await expect(countdown).to_have_text(re.compile(r"^in (399 days 23 h|400 days)$"))
        for days, said in [(398, "in 1 day 23 h"), (399, "in 23 h 59 min")]:
            await page.clock.set_fixed_time(timedelta(days=days, seconds=5).total_seconds())
            await page.evaluate("document.dispatchEvent(new Event('htmx:afterSettle'))")
            await expect(countdown).to_have_text(re.compile(said))
        await expect(countdown).to_have_attribute("aria-hidden", "true")


async def test_a_page_without_a_stream_hears_of_opening_and_closing_by_asking(
    chromium: Browser, tmp_path: Path
) -> None:
    with Server(tmp_path / "server", STREAMS_MAX="1") as server:
        open_event(server, "gig", 2)
        revise(server, "gig", opens_at=IN_A_LONG_TIME)
        async with visitor(chromium, server) as first, visitor(chromium, server, may_fail=True) as second:
            await second.clock.install()
            await first.goto("/ui/events/gig")
            await expect(first.locator("#booking .countdown")).to_be_visible()
            await second.goto("/ui/events/gig")
            await miss_the_stream(second)
            await ask_again(second)
            await expect(second.locator("#booking .countdown")).to_have_text(re.compile(r"^in \d+ days"))
            revise(server, "gig", opens_at=LONG_AGO)
            await ask_again(second)
            await fill_in(second, "Cleo")
            revise(server, "gig", opens_at=LONG_AGO, closes_at=LONG_AGO.replace("2000", "2001"))
            await ask_again(second)
            await expect(second.locator("#action")).to_contain_text("Booking has closed")
            await expect(second.get_by_label("Your name")).to_have_value("Cleo")
            revise(server, "gig", closes_at=IN_A_LONG_TIME)
            await ask_again(second)
            await second.get_by_role("button", name="Book a ticket").click()
            await expect(second.get_by_role("heading", name="You’re in")).to_be_visible()
