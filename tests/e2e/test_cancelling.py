"""A guest gives his ticket back, by the link to his order: with and without scripts, and where browsers tell least."""

import pytest
from playwright.async_api import Browser, expect

from tests.e2e.browser import ARGUMENTS, CHROMIUM, visitor
from tests.e2e.steps import book_here, fill_in, open_event
from tests.server import Server

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.mark.parametrize("scripts", [True, False])
async def test_a_ticket_that_is_cancelled_by_its_link_goes_to_the_next(
    chromium: Browser, shared: Server, scripts: bool
) -> None:
    event = f"link-{'with' if scripts else 'without'}-scripts"
    open_event(shared, event, 1)
    async with (
        visitor(chromium, shared, scripts=scripts) as bob,
        visitor(chromium, shared, scripts=scripts) as bobs_phone,
        visitor(chromium, shared) as cleo,
    ):
        for guest, name, said in [(bob, "Bob", "You’re in"), (cleo, "Cleo", "You are 1st on the waiting list")]:
            await guest.goto(f"/ui/events/{event}")
            await book_here(guest, name, said)

        await bob.get_by_role("link", name="Your order: keep this link").click()
        await expect(bob.get_by_role("heading", name="Your ticket")).to_be_visible()
        link = bob.url

        await bobs_phone.goto(link)
        await bobs_phone.get_by_role("link", name="Cancel the ticket…").click()
        await expect(bobs_phone.get_by_text("It goes to the one person waiting, at once.")).to_be_visible()
        await bobs_phone.get_by_role("link", name="Keep it").click()
        await expect(bobs_phone).to_have_url(link)
        await bobs_phone.get_by_role("link", name="Cancel the ticket…").click()
        await bobs_phone.get_by_label("Why?").fill("The train is late")
        await bobs_phone.get_by_role("button", name="Cancel the ticket").click()
        await expect(bobs_phone).to_have_url(link)
        await expect(bobs_phone.get_by_role("heading", name="Your order is cancelled")).to_be_visible()

        await expect(cleo.get_by_role("heading", name="You’re in")).to_be_visible()
        await cleo.get_by_role("link", name="Your order: keep this link").click()
        await expect(cleo.get_by_text("1 person before you cancelled")).to_be_visible()
        if not scripts:
            await bob.reload()
        await expect(bob.get_by_role("heading", name="Your order is cancelled")).to_be_visible()


async def test_a_ticket_can_be_cancelled_where_browsers_tell_least(chromium: Browser, shared: Server) -> None:
    """By http on a network, browsers send no Sec-Fetch-Site: the form's origin is all that a server has to go by."""
    open_event(shared, "least", 1)
    names = "--host-resolver-rules=MAP fairlist.example 127.0.0.1"
    browser = await chromium.browser_type.launch(executable_path=CHROMIUM, args=[*ARGUMENTS, names])
    page = await browser.new_page(base_url=f"http://fairlist.example:{shared.port}")
    said: list[dict[str, str]] = []
    page.on("request", lambda request: said.append(request.headers) if request.method == "POST" else None)
    await page.goto("/ui/events/least")
    await fill_in(page, "Bob")
    await page.locator("#action").get_by_role("button").click()
    await page.get_by_role("link", name="Your order: keep this link").click()
    await page.get_by_role("link", name="Cancel the ticket…").click()
    await page.get_by_role("button", name="Cancel the ticket").click()
    await expect(page.get_by_role("heading", name="Your order is cancelled")).to_be_visible()
    await browser.close()
    assert not [headers for headers in said if "sec-fetch-site" in headers]
    assert "/ui/orders/" not in said[-1].get("referer", "")
