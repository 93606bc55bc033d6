"""A guest's ten seconds, in a real browser: from the list to a ticket, or to a place in the waiting list."""

import re

import pytest
from playwright.async_api import Browser, expect

from tests.e2e.browser import visitor
from tests.e2e.steps import IN_A_LONG_TIME, LONG_AGO, book, book_here, cancel, fill_in, open_event, revise
from tests.server import Server

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_booking_is_seen_in_other_browsers_without_a_reload(chromium: Browser, server: Server) -> None:
    open_event(server, "gig", 2, "Bob")
    async with visitor(chromium, server) as cleo, visitor(chromium, server) as dan, visitor(chromium, server) as eve:
        await dan.goto("/ui/events/gig")
        await eve.goto("/ui")
        await expect(dan.locator("#counts")).to_contain_text("1 of 2 left")
        await expect(eve.get_by_role("listitem")).to_contain_text("1 of 2 left")

        await cleo.goto("/ui")
        await cleo.get_by_role("link", name="gig").click()
        await fill_in(cleo, "Cleo")
        await cleo.get_by_role("button", name="Book a ticket").click()
        await expect(cleo.get_by_role("heading", name="You’re in")).to_be_focused()
        await expect(cleo.locator(".ticket")).to_contain_text("Cleo")

        await expect(dan.locator("#counts")).to_contain_text("All 2 tickets are taken. Nobody is waiting yet.")
        await expect(dan.get_by_role("button", name="Join the waiting list (you would be 1st)")).to_be_visible()
        await expect(dan.locator("#announcement")).to_have_text("Sold out. The waiting list is open.")
        await expect(eve.get_by_role("listitem")).to_contain_text("Sold out")

        await cleo.get_by_role("link", name="Your order: keep this link").click()
        await expect(cleo.get_by_role("heading", name="Your ticket")).to_be_visible()
        await expect(cleo.get_by_role("img", name="QR code")).to_be_visible()
        await expect(cleo.locator(".code")).to_have_text(re.compile(r"^\w{4}-\w{4}-\w{4}$"))


async def test_who_waits_sees_the_line_move_and_the_ticket_come(chromium: Browser, shared: Server) -> None:
    open_event(shared, "line", 1, "Bob", "Ada")
    async with visitor(chromium, shared) as cleo, visitor(chromium, shared) as cleos_phone:
        await cleo.goto("/ui/events/line")
        await fill_in(cleo, "Cleo")
        await cleo.get_by_role("button", name="Join the waiting list (you would be 2nd)").click()
        await expect(cleo.get_by_role("heading", name="You are 2nd on the waiting list")).to_be_focused()
        await cleos_phone.goto(await cleo.get_by_role("link", name="Your order").get_attribute("href") or "")
        await expect(cleos_phone.get_by_role("heading", name="You are 2nd on the waiting list")).to_be_visible()

        cancel(shared, "line", "Ada")
        for page in (cleo, cleos_phone):
            await expect(page.get_by_role("heading", name="You are 1st on the waiting list")).to_be_visible()
            await expect(page.locator("#announcement")).to_have_text("You are 1st on the waiting list")
        cancel(shared, "line", "Bob")
        await expect(cleo.get_by_role("heading", name="You’re in")).to_be_visible()
        await expect(cleo.locator("#announcement")).to_have_text("You’re in")
        await expect(cleos_phone.get_by_role("heading", name="Your ticket")).to_be_visible()
        await expect(cleos_phone.locator("#announcement")).to_have_text("You have a ticket.")


async def test_nothing_disturbs_who_is_typing(chromium: Browser, shared: Server) -> None:
    open_event(shared, "typing", 2)
    async with visitor(chromium, shared) as cleo:
        await cleo.goto("/ui/events/typing")
        name = cleo.get_by_label("Your name")
        await name.press_sequentially("Cl")
        book(shared, "typing", "Ada")
        await expect(cleo.locator("#counts")).to_contain_text("1 of 2 left")
        book(shared, "typing", "Bob")
        await expect(cleo.get_by_role("button", name="Join the waiting list (you would be 1st)")).to_be_visible()
        await expect(name).to_be_focused()
        await cleo.keyboard.type("eo")
        await cleo.keyboard.press("Tab")
        await cleo.keyboard.type("cleo@example.org")
        await cleo.keyboard.press("Enter")
        await expect(cleo.get_by_role("heading", name="You are 1st on the waiting list")).to_be_visible()
        await expect(cleo.locator("#mine")).to_contain_text("Cleo")


async def test_nothing_typed_is_lost_when_booking_closes(chromium: Browser, shared: Server) -> None:
    open_event(shared, "closing", 2)
    async with visitor(chromium, shared) as page:
        await page.goto("/ui/events/closing")
        await fill_in(page, "Cleo")
        revise(shared, "closing", closes_at=LONG_AGO)
        await expect(page.locator("#action")).to_have_text("Booking has closed. Nothing was booked with this form.")
        await expect(page.get_by_label("Your name")).to_have_value("Cleo")
        await expect(page.get_by_label("Your e-mail address")).to_be_focused()
        await expect(page.locator("#announcement")).to_have_text("Booking has closed.")
        revise(shared, "closing", closes_at=IN_A_LONG_TIME)
        await page.get_by_role("button", name="Book a ticket").click()
        await expect(page.get_by_role("heading", name="You’re in")).to_be_focused()


async def test_a_mistake_is_met_where_it_was_made(chromium: Browser, shared: Server) -> None:
    open_event(shared, "mistakes", 2, "bob@example.org")
    async with visitor(chromium, shared) as page:
        await page.goto("/ui/events/mistakes")
        await fill_in(page, "   ", "Bob@example.org")
        await page.get_by_role("button", name="Book a ticket").click()
        await expect(page.get_by_role("alert")).to_be_focused()
        await page.get_by_role("alert").get_by_role("link", name="Please enter a name.").click()
        await expect(page.get_by_label("Your name")).to_be_focused()
        await page.keyboard.type("Bob")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("alert")).to_contain_text("the address bob@example.org has booked before")
        await expect(page.get_by_label("Your name")).to_have_value("Bob")


@pytest.mark.parametrize("scripts", [True, False])
async def test_pressing_twice_going_back_and_reloading_book_once(
    chromium: Browser, shared: Server, scripts: bool
) -> None:
    event = f"twice-{'with' if scripts else 'without'}-scripts"
    open_event(shared, event, 2)
    async with visitor(chromium, shared, scripts=scripts) as page:
        await page.goto("/ui")
        await page.goto(f"/ui/events/{event}")
        await fill_in(page, "Cleo")
        await page.get_by_role("button", name="Book a ticket").dblclick()
        await expect(page.get_by_role("heading", name="You’re in")).to_be_visible()
        await page.reload()
        await expect(page.get_by_role("heading", name="You’re in")).to_be_visible()
        await page.go_back()
        await page.go_forward()
        await expect(page.get_by_role("heading", name="You’re in")).to_be_visible()
        await expect(page.locator("#counts")).to_contain_text("1 of 2 left")
    assert shared.ask(f"GET /status/{event}").json["available"] == 1


async def test_who_goes_back_to_the_form_and_sends_it_again_keeps_the_ticket(chromium: Browser, shared: Server) -> None:
    open_event(shared, "again", 2)
    async with visitor(chromium, shared, scripts=False) as page:
        await page.goto("/ui/events/again")
        await book_here(page, "Cleo", "You’re in")
        await page.go_back()
        if await page.get_by_role("button", name="Book a ticket").is_visible():
            await book_here(page, "Cleo", "You’re in")
    assert shared.ask("GET /status/again").json["available"] == 1


async def test_one_finds_the_place_one_booked_elsewhere(chromium: Browser, shared: Server) -> None:
    open_event(shared, "elsewhere", 1, "Bob", "Cleo")
    async with visitor(chromium, shared) as page:
        await page.goto("/ui/events/elsewhere")
        await page.get_by_text("Booked before?").click()
        await page.get_by_label("The e-mail address or name").fill("Cleo")
        await page.get_by_role("button", name="Show my place").click()
        await expect(page.locator("#place")).to_contain_text("Cleo is 1st on the waiting list.")
        await expect(page).to_have_url(f"{shared.url}/ui/events/elsewhere")


async def test_events_are_found_while_one_types(chromium: Browser, server: Server) -> None:
    for event in ("Summer night", "Winter night", "Chess"):
        open_event(server, event, 3)
    async with visitor(chromium, server) as page:
        await page.goto("/ui")
        await expect(page.get_by_role("listitem")).to_have_count(3)
        await page.get_by_label("Search for a title").press_sequentially("NIGHT")
        await expect(page.get_by_role("listitem")).to_have_count(2)
        await expect(page.locator("#announcement")).to_have_text("2 events match “NIGHT”")
        await expect(page.get_by_label("Search for a title")).to_be_focused()
        await page.get_by_role("link", name="Summer night").click()
        await page.go_back()
        await expect(page.get_by_label("Search for a title")).to_have_value("NIGHT")
        await expect(page.get_by_role("listitem")).to_have_count(2)


async def test_a_ticket_goes_into_a_calendar(chromium: Browser, shared: Server) -> None:
    open_event(shared, "dated", 1)
    revise(shared, "dated", title="Summer night", starts_at=IN_A_LONG_TIME, time_zone="Europe/Berlin")
    async with visitor(chromium, shared) as page:
        await page.goto("/ui/events/dated")
        await book_here(page, "Cleo", "You’re in")
        await page.get_by_role("link", name="Your order: keep this link").click()
        async with page.expect_download() as download:
            await page.get_by_role("link", name="Add to calendar").click()
        assert (await download.value).suggested_filename.endswith(".ics")
        assert "SUMMARY:Summer night" in (await (await download.value).path()).read_text()
