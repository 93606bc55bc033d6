"""An organiser's day: an event is opened, watched, enlarged, and let in at its door; with scripts and without."""

import csv
import re

import pytest
from playwright.async_api import Browser, Page, expect

from tests.e2e.browser import DESK, visitor
from tests.e2e.steps import book_here, open_event, sign_in
from tests.server import PASSWORD, USER, Server

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def open_an_event(ada: Page) -> None:
    """Opens an event with one ticket, at the second go."""
    await ada.get_by_role("link", name="New event").first.click()
    await ada.get_by_label("Title").fill("Summer night")
    await ada.get_by_label("Tickets", exact=True).fill("one")
    await ada.get_by_text("When and where").click()
    await ada.get_by_label("Starts").fill("2040-06-15T20:00")
    await ada.get_by_label("Time zone").fill("Europe/Berlin")
    await ada.get_by_label("Place").fill("Boathouse")
    await ada.get_by_role("button", name="Open the event").click()
    await ada.get_by_role("alert").get_by_role("link", name="whole number").click()
    await expect(ada.get_by_label("Tickets", exact=True)).to_be_focused()
    await ada.get_by_label("Tickets", exact=True).fill("1")
    await ada.get_by_role("button", name="Open the event").click()
    await expect(ada.get_by_text("The event is open.")).to_be_visible()
    await expect(ada.get_by_text("Friday 15 June 2040").first).to_be_visible()


async def see_figures(ada: Page, *figures: str, is_live: bool) -> None:
    """Sees how many tickets are booked and left, and how many wait, on a page that was open before."""
    if not is_live:
        await ada.reload()
    await expect(ada.locator("#figures")).to_contain_text(re.compile(r"\s*".join(figures)))


async def raise_capacity(ada: Page, tickets: str, said: str, *, is_live: bool) -> None:
    """Gives the event more tickets, after having seen who would get them."""
    await ada.get_by_role("link", name="Settings").click()
    await ada.get_by_label("Tickets", exact=True).fill(tickets)
    if not is_live:
        await ada.get_by_role("button", name="Preview").click()
    await expect(ada.locator("#preview")).to_contain_text(said)
    await expect(ada.locator("#preview")).to_contain_text("Cleo")
    await ada.get_by_role("button", name="Set the number").click()
    await expect(ada.get_by_text("The event has 2 tickets now.")).to_contain_text("Cleo")


async def cancel_for(ada: Page, name: str, reason: str, follows: str) -> None:
    """Cancels the ticket of a guest, who is looked for, with a reason."""
    await ada.get_by_label("Event").get_by_role("link", name="Guests").click()
    await ada.get_by_label("Find a guest").fill(name.lower())
    await ada.get_by_role("button", name="Find").click()
    await ada.get_by_role("link", name=name).click()
    await ada.get_by_role("link", name="Cancel the ticket…").click()
    await expect(ada.get_by_role("heading", name=f"Cancel the ticket of {name}?")).to_be_visible()
    await expect(ada.get_by_text(follows)).to_be_visible()
    await ada.get_by_role("link", name="Keep it").click()
    await ada.get_by_role("link", name="Cancel the ticket…").click()
    await ada.get_by_label("Reason").fill(reason)
    await ada.get_by_role("button", name="Cancel the ticket").click()
    await expect(ada.get_by_text(f"{name}\u2069 is cancelled.")).to_be_visible()


async def let_in(ada: Page, code: str, name: str) -> None:
    """Lets a guest in, twice, takes that back, and lets him in by his name."""
    await ada.get_by_label("Event").get_by_role("link", name="Check-in").click()
    field = ada.get_by_label("Code or name")
    await expect(field).to_be_focused()
    await field.fill(code.lower().replace("-", " "))
    await ada.get_by_label("Gate").fill("North")
    await field.press("Enter")
    await expect(ada.get_by_role("heading", name=f"Come in: {name}")).to_be_visible()
    await field.fill(code)
    await ada.get_by_role("button", name="Check in").click()
    await expect(ada.get_by_role("heading", name=re.compile(r"Already in .*North"))).to_be_visible()
    await ada.get_by_role("button", name="Take back").click()
    await expect(ada.get_by_text("is not in yet")).to_be_visible()
    await field.fill("AAAA-AAAA-AAAA")
    await field.press("Enter")
    await expect(ada.get_by_role("heading", name="No such ticket")).to_be_visible()
    await field.fill(name[:3].lower())
    await field.press("Enter")
    await ada.get_by_role("button", name=re.compile(rf"^Check in\s*:\s*{name}")).click()
    await expect(ada.get_by_role("heading", name=f"Come in: {name}")).to_be_visible()
    await expect(ada.locator("#arrived")).to_contain_text("1 of 2")


async def export(ada: Page) -> list[dict[str, str]]:
    """Downloads the list of guests."""
    await ada.get_by_label("Event").get_by_role("link", name="Guests").click()
    async with ada.expect_download() as download:
        await ada.get_by_role("link", name="Download as a table (CSV)").click()
    path = await (await download.value).path()
    return list(csv.DictReader(path.read_text(encoding="utf-8-sig").splitlines()))


@pytest.mark.parametrize("scripts", [True, False])
async def test_an_organisers_day(chromium: Browser, server: Server, scripts: bool) -> None:
    async with (
        visitor(chromium, server, scripts=scripts, viewport=DESK) as ada,
        visitor(chromium, server, scripts=scripts) as bob,
        visitor(chromium, server, scripts=scripts) as cleo,
        visitor(chromium, server, scripts=scripts) as dan,
    ):
        await sign_in(ada)
        await open_an_event(ada)
        for guest, name, said in [
            (bob, "Bob", "You’re in"),
            (cleo, "Cleo", "You are 1st on the waiting list"),
            (dan, "Dan", "You are 2nd on the waiting list"),
        ]:
            await guest.goto("/ui")
            await guest.get_by_role("link", name="Summer night").click()
            await book_here(guest, name, said)
        await see_figures(ada, "Booked", "1", "of 1", "Left", "0", "Waiting", "2", is_live=scripts)
        await expect(ada.locator("#activity")).to_contain_text("Dan")

        await raise_capacity(ada, "2", "2 gives this person a ticket now", is_live=scripts)
        await cancel_for(ada, "Bob", "Not paid", "The ticket goes to Dan")
        if not scripts:
            for guest in (bob, cleo, dan):
                await guest.reload()
        for guest in (cleo, dan):
            await expect(guest.get_by_role("heading", name="You’re in")).to_be_visible()
        await expect(bob.get_by_role("heading", name="You have no place here any more")).to_be_visible()
        await bob.get_by_role("link", name="Your order").click()
        await expect(bob.get_by_text("Not paid").first).to_be_visible()

        await dan.get_by_role("link", name="Your order: keep this link").click()
        code = await dan.locator(".code").inner_text()
        await let_in(ada, code, "Dan")
        if not scripts:
            await dan.reload()
        await expect(dan.get_by_text("Arrived").first).to_be_visible()
        rows = {row["name"]: row for row in await export(ada)}
        assert {name: row["status"] for name, row in rows.items()} == {
            "Bob": "cancelled",
            "Cleo": "booked",
            "Dan": "booked",
        }

        await ada.get_by_label("Event").get_by_role("link", name="Ledger").click()
        await expect(ada.get_by_role("table")).to_contain_text("Dan")
        await ada.get_by_role("button", name="Sign out").click()
        await expect(ada).to_have_url(f"{server.url}/ui")
        await ada.goto("/ui/organise")
        await expect(ada.get_by_role("heading", name="Sign in")).to_be_visible()


async def test_guests_hear_of_a_new_event_and_of_what_becomes_of_it(chromium: Browser, server: Server) -> None:
    async with visitor(chromium, server) as guest, visitor(chromium, server, viewport=DESK) as ada:
        await guest.goto("/ui")
        await expect(guest.get_by_text("There are no events yet")).to_be_visible()
        await guest.get_by_role("link", name="Open the first event").click()
        await guest.get_by_label("User name").fill(USER)
        await guest.get_by_label("Password").fill("guessed")
        await guest.get_by_role("button", name="Sign in").click()
        await expect(guest.get_by_role("alert")).to_have_text("The user name or the password is wrong.")
        await expect(guest.get_by_label("User name")).to_have_value(USER)
        await guest.goto("/ui")

        await sign_in(ada)
        await open_an_event(ada)
        await guest.get_by_role("link", name="New: Summer night").click()
        await expect(guest.get_by_role("listitem")).to_contain_text("1 of 1 left")
        for name in ("Bob", "Cleo"):
            await ada.get_by_label("Event").get_by_role("link", name="Guests").click()
            await ada.get_by_text("Book for somebody").first.click()
            form = ada.locator("#book")
            if not await form.get_by_label("Name").is_visible():
                await ada.get_by_text("Book for somebody").first.click()
            await form.get_by_label("Name").fill(name)
            await form.get_by_role("button").click()
            await expect(ada.locator(".notice")).to_contain_text(name)
        await expect(guest.get_by_role("listitem")).to_contain_text("Waiting list: 1")
        await guest.get_by_role("link", name="Summer night").click()

        await ada.get_by_label("Event").get_by_role("link", name="Settings").click()
        await ada.get_by_label("Title").fill("Summer night, by the lake")
        await ada.get_by_role("button", name="Save").click()
        await expect(guest.get_by_role("heading", level=1)).to_have_text("Summer night, by the lake")
        await ada.get_by_role("link", name="Close booking now…").click()
        await ada.get_by_role("button", name="Close").click()
        await expect(guest.locator("#announcement")).to_have_text("Booking has closed.")
        await ada.get_by_role("link", name="Open booking again…").click()
        await ada.get_by_role("button", name="Open").click()
        await expect(guest.get_by_role("button", name="Join the waiting list (you would be 2nd)")).to_be_visible()
        assert PASSWORD not in server.stderr


async def test_an_event_that_nobody_has_booked_can_be_deleted(chromium: Browser, server: Server) -> None:
    open_event(server, "mistake", 3)
    async with visitor(chromium, server) as ada:
        await sign_in(ada)
        await ada.get_by_role("link", name="mistake").click()
        await ada.get_by_label("Event").get_by_role("link", name="Settings").click()
        await ada.get_by_role("link", name="Delete…").click()
        await ada.get_by_role("link", name="No, go back").click()
        await ada.get_by_role("link", name="Delete…").click()
        await ada.get_by_role("button", name="Delete").click()
        await expect(ada.get_by_text("is deleted.")).to_contain_text("mistake")
        await expect(ada.get_by_text("There are no events yet")).to_be_visible()


async def test_the_number_of_tickets_is_previewed_while_it_is_typed(chromium: Browser, shared: Server) -> None:
    open_event(shared, "preview", 2, "Bob", "Dan", "Cleo", "Eve")
    async with visitor(chromium, shared) as ada:
        await sign_in(ada)
        await ada.goto("/ui/organise/events/preview/settings")
        field, preview = ada.get_by_label("Tickets", exact=True), ada.locator("#preview")
        await field.fill("3")
        await expect(preview.get_by_role("listitem")).to_have_text(["Cleo"])
        await field.fill("1")
        await expect(preview).to_contain_text("not possible")
        await expect(field).to_be_focused()
        await field.fill("9")
        await expect(preview.get_by_role("listitem")).to_have_text(["Cleo", "Eve"])
    assert shared.ask("GET /status/preview").json["total"] == 2
