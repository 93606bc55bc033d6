"""The pages in a real browser, against a real server: live, without scripts, and when the connection is lost."""

import re
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import pytest
import pytest_asyncio
from playwright.async_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Dialog,
    Page,
    ViewportSize,
    async_playwright,
    expect,
)

from tests.server import PASSWORD, USER, Server
from webapp.booking.details import Details
from webapp.box_office import BoxOffice
from webapp.storage.sqlite import SqliteStore

CHROMIUM: Final = "/usr/bin/chromium"
ARGUMENTS: Final = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
TIMEOUT_MS: Final = 60_000
"""How long anything may take on the slowest machine. Nothing waits longer than it must."""

PHONE: Final[ViewportSize] = {"width": 390, "height": 844}
LOST: Final = "Live updates are interrupted. Trying to get them back…"
UNREACHED: Final = "The server could not be reached. Please try again: asking twice does no harm."
REFUSED: Final = "Failed to load resource: the server responded with a status of 4"
HOSTILE: Final = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'><svg onload=alert(1)>",
    "{{ 7*7 }}${7*7}<%= 7*7 %>",
    "javascript:alert(1)",
    "</title><style>*{display:none}</style>",
)

pytestmark = pytest.mark.asyncio(loop_scope="module")
expect.set_options(timeout=TIMEOUT_MS)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with Server(tmp_path / "server", PORT=str(port)) as server:  # at the same address after a restart
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def chromium() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        yield browser
        await browser.close()


@asynccontextmanager
async def visitor(chromium: Browser, server: Server, *, scripts: bool = True) -> AsyncIterator[Page]:
    """A visitor's own browser, at which nothing may go wrong unnoticed."""
    context = await chromium.new_context(base_url=server.url, java_script_enabled=scripts, viewport=PHONE)
    context.set_default_timeout(TIMEOUT_MS)
    complaints: list[str] = []
    listen(context, complaints)
    yield await context.new_page()
    await context.close()
    assert complaints == []


def listen(context: BrowserContext, complaints: list[str]) -> None:
    """Collect what a browser complains about: dialogs, errors, and whatever the content security policy refused."""

    def on_console(message: ConsoleMessage) -> None:
        if message.type == "error" and not message.text.startswith(REFUSED):
            complaints.append(message.text)

    async def on_dialog(dialog: Dialog) -> None:
        complaints.append(f"a dialog: {dialog.message}")
        await dialog.dismiss()

    context.on("console", on_console)
    context.on("dialog", on_dialog)
    context.on("weberror", lambda error: complaints.append(str(error.error)))


def open_event(server: Server, event: str, tickets: int, *guests: str) -> None:
    assert server.as_organiser("POST /initialize", {"eventId": event, "tickets": tickets}).status == 200
    for guest in guests:
        book(server, event, guest)


def book(server: Server, event: str, guest: str) -> None:
    assert server.ask("POST /book", {"eventId": event, "userId": guest}).status == 200


def cancel(server: Server, event: str, guest: str) -> None:
    assert server.as_organiser("POST /cancel", {"eventId": event, "userId": guest}).status == 200


async def sign_in(page: Page) -> None:
    await page.goto("/ui/organise")
    await page.get_by_label("User name").fill(USER)
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Sign in").click()
    await expect(page).to_have_url(re.compile(r"/ui/organise$"))


async def test_a_booking_is_seen_in_other_browsers_without_a_reload(chromium: Browser, server: Server) -> None:
    open_event(server, "gig", 2, "Bob")
    async with visitor(chromium, server) as cleo, visitor(chromium, server) as dan, visitor(chromium, server) as eve:
        await dan.goto("/ui/events/gig")
        await eve.goto("/ui")
        await expect(dan.locator("#counts")).to_contain_text("1 of 2 left")
        await expect(eve.get_by_role("listitem")).to_contain_text("1 of 2 left")

        await cleo.goto("/ui")
        await cleo.get_by_role("link", name="gig").click()
        await cleo.get_by_label("Your name").fill("Cleo")
        await cleo.get_by_role("button", name="Book a ticket").click()
        await expect(cleo.get_by_role("heading", name="You’re in")).to_be_focused()
        await expect(cleo.locator(".ticket")).to_contain_text("Cleo")

        await expect(dan.locator("#counts")).to_contain_text("All 2 tickets are taken. Nobody is waiting yet.")
        await expect(dan.get_by_role("button", name="Join the waiting list (you would be 1st)")).to_be_visible()
        await expect(dan.locator("#announcement")).to_have_text("Sold out. The waiting list is open.")
        await expect(eve.get_by_role("listitem")).to_contain_text("Sold out")

        await cleo.reload()
        await expect(cleo.get_by_role("heading", name="You’re in")).to_be_visible()


async def test_who_waits_sees_the_line_move_and_the_ticket_come(chromium: Browser, server: Server) -> None:
    open_event(server, "gig", 1, "Bob", "Ada")
    async with visitor(chromium, server) as cleo:
        await cleo.goto("/ui/events/gig")
        await cleo.get_by_label("Your name").fill("Cleo")
        await cleo.get_by_role("button", name="Join the waiting list (you would be 2nd)").click()
        await expect(cleo.get_by_role("heading", name="You are 2nd on the waiting list")).to_be_focused()
        cancel(server, "gig", "Ada")
        await expect(cleo.get_by_role("heading", name="You are 1st on the waiting list")).to_be_visible()
        await expect(cleo.locator("#announcement")).to_have_text("You are 1st on the waiting list")
        cancel(server, "gig", "Bob")
        await expect(cleo.get_by_role("heading", name="You’re in")).to_be_visible()
        await expect(cleo.locator("#announcement")).to_have_text("You’re in")


async def test_nothing_disturbs_who_is_typing(chromium: Browser, server: Server) -> None:
    open_event(server, "gig", 2)
    async with visitor(chromium, server) as cleo:
        await cleo.goto("/ui/events/gig")
        name = cleo.get_by_label("Your name")
        await name.press_sequentially("Cl")
        book(server, "gig", "Ada")
        await expect(cleo.locator("#counts")).to_contain_text("1 of 2 left")
        book(server, "gig", "Bob")
        await expect(cleo.get_by_role("button", name="Join the waiting list (you would be 1st)")).to_be_visible()
        await expect(name).to_be_focused()
        await cleo.keyboard.type("eo")
        await cleo.keyboard.press("Enter")
        await expect(cleo.get_by_role("heading", name="You are 1st on the waiting list")).to_be_visible()
        await expect(cleo.locator("#mine")).to_contain_text("Cleo")


async def test_a_mistake_is_met_where_it_was_made(chromium: Browser, server: Server) -> None:
    open_event(server, "gig", 2, "Bob")
    async with visitor(chromium, server) as page:
        await page.goto("/ui/events/gig")
        await page.get_by_label("Your name").fill("   ")
        await page.get_by_role("button", name="Book a ticket").click()
        await expect(page.get_by_role("alert")).to_be_focused()
        await page.get_by_role("alert").get_by_role("link", name="Please enter a name.").click()
        await expect(page.get_by_label("Your name")).to_be_focused()
        await page.keyboard.type("Bob")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("alert")).to_contain_text("Somebody called “Bob” has booked before")
        await expect(page.get_by_label("Your name")).to_have_value("Bob")


async def test_pressing_twice_books_once(chromium: Browser, server: Server) -> None:
    open_event(server, "gig", 2)
    async with visitor(chromium, server) as page:
        await page.goto("/ui/events/gig")
        await page.get_by_label("Your name").fill("Cleo")
        await page.get_by_role("button", name="Book a ticket").dblclick()
        await expect(page.get_by_role("heading", name="You’re in")).to_be_visible()
        await expect(page.locator("#counts")).to_contain_text("1 of 2 left")


async def test_one_finds_the_place_one_booked_elsewhere(chromium: Browser, server: Server) -> None:
    open_event(server, "gig", 1, "Bob", "Cleo")
    async with visitor(chromium, server) as page:
        await page.goto("/ui/events/gig")
        await page.get_by_text("Booked before?").click()
        await page.get_by_label("The name you booked with").fill("Cleo")
        await page.get_by_role("button", name="Show my place").click()
        await expect(page.locator("#place")).to_contain_text("Cleo is 1st on the waiting list.")
        await expect(page).to_have_url(f"{server.url}/ui/events/gig")


async def test_everything_works_without_scripts(chromium: Browser, server: Server) -> None:
    async with (
        visitor(chromium, server, scripts=False) as organiser,
        visitor(chromium, server, scripts=False) as bob,
        visitor(chromium, server, scripts=False) as cleo,
    ):
        await sign_in(organiser)
        await organiser.get_by_label("Name of the event").fill("Summer night")
        await organiser.get_by_label("Tickets").fill("1")
        await organiser.get_by_role("button", name="Open for booking").click()
        await expect(organiser.get_by_text("The event is open.")).to_be_visible()

        for guest, name, said in [(bob, "Bob", "You’re in"), (cleo, "Cleo", "You are 1st on the waiting list")]:
            await guest.goto("/ui")
            await guest.get_by_role("link", name="Summer night").click()
            await guest.get_by_label("Your name").fill(name)
            await guest.locator("#action").click()
            await expect(guest.get_by_role("heading", name=said)).to_be_visible()

        await organiser.get_by_role("region", name="Cancel an order").get_by_label("Name").fill("Bob")
        await organiser.get_by_role("button", name="Look it up").click()
        await expect(organiser.get_by_role("heading", name="Cancel the ticket of Bob?")).to_be_visible()
        await organiser.get_by_role("button", name="Cancel the ticket").click()
        await expect(organiser.get_by_text("The ticket went to")).to_contain_text("Cleo")

        await cleo.reload()
        await expect(cleo.get_by_role("heading", name="You’re in")).to_be_visible()
        await bob.reload()
        await expect(bob.get_by_role("heading", name="You have no place here any more")).to_be_visible()
        await bob.get_by_text("Booked before?").click()
        await bob.get_by_label("The name you booked with").fill("Bob")
        await bob.get_by_role("button", name="Show my place").click()
        await expect(bob.get_by_text("Nobody called Bob has a place here.")).to_be_visible()


async def test_an_organisers_evening(chromium: Browser, server: Server) -> None:
    async with visitor(chromium, server) as ada, visitor(chromium, server) as guest:
        await guest.goto("/ui")
        await expect(guest.get_by_text("There are no events yet")).to_be_visible()
        await guest.get_by_role("link", name="Open the first event").click()
        await guest.get_by_label("User name").fill(USER)
        await guest.get_by_label("Password").fill("guessed")
        await guest.get_by_role("button", name="Sign in").click()
        await expect(guest.get_by_role("alert")).to_have_text("The user name or the password is wrong.")
        await guest.goto("/ui")

        await sign_in(ada)
        await ada.get_by_label("Name of the event").fill("gig")
        await ada.get_by_label("Tickets").fill("one")
        await ada.get_by_role("button", name="Open for booking").click()
        await expect(ada.get_by_role("alert")).to_contain_text("Please enter a whole number from 0 to 1,000,000.")
        await ada.get_by_label("Tickets").fill("1")
        await ada.get_by_role("button", name="Open for booking").click()

        await guest.get_by_role("link", name="New: gig").click()
        await expect(guest.get_by_role("listitem")).to_contain_text("1 of 1 left")

        for name, said in [("Bob", "Bob\u2069 has a ticket."), ("Cleo", "is 1st on the waiting list.")]:
            await ada.get_by_role("region", name="Book for somebody").get_by_label("Name").fill(name)
            await ada.get_by_role("button", name="Book").click()
            await expect(ada.get_by_text(said)).to_be_visible()
        await expect(guest.get_by_role("listitem")).to_contain_text("Waiting list: 1")

        await ada.get_by_role("region", name="Cancel an order").get_by_label("Name").fill("Bob")
        await ada.get_by_role("button", name="Look it up").click()
        await expect(ada.get_by_text("The ticket goes to the one person waiting, at once.")).to_be_visible()
        await ada.get_by_role("link", name="Keep it").click()
        await expect(ada.locator("#counts")).to_contain_text("1 person is waiting.")
        await ada.get_by_role("region", name="Cancel an order").get_by_label("Name").fill("Bob")
        await ada.get_by_role("button", name="Look it up").click()
        await ada.get_by_role("button", name="Cancel the ticket").click()
        await expect(ada.get_by_text("The ticket went to")).to_be_visible()
        await expect(guest.get_by_role("listitem")).to_contain_text("Waiting list open")

        await ada.get_by_role("button", name="Sign out").click()
        await expect(ada).to_have_url(f"{server.url}/ui")
        await ada.goto("/ui/organise")
        await expect(ada.get_by_role("heading", name="Sign in")).to_be_visible()


async def test_what_people_type_is_never_run(chromium: Browser, server: Server) -> None:
    async with visitor(chromium, server) as guest, visitor(chromium, server) as ada:
        await sign_in(ada)
        for text in HOSTILE:
            await ada.goto("/ui/organise")
            open_event(server, text, 1)
            await ada.get_by_role("link", name=f"New: {text}").click()
            await guest.goto("/ui")
            await guest.get_by_role("link", name=text, exact=True).click()
            await expect(guest.get_by_role("heading", level=1)).to_have_text(text)
            await guest.get_by_label("Your name").fill(text)
            await guest.get_by_role("button", name="Book a ticket").click()
            await expect(guest.locator(".ticket-guest")).to_have_text(text)

            await expect(ada.get_by_role("listitem").first).to_contain_text("Sold out")
            await ada.goto("/ui/organise")
            await ada.get_by_role("link", name=text, exact=True).click()
            await ada.get_by_role("region", name="Cancel an order").get_by_label("Name").fill(text)
            await ada.get_by_role("button", name="Look it up").click()
            await expect(ada.get_by_role("heading", level=1)).to_have_text(f"Cancel the ticket of {text}?")
            await ada.get_by_role("button", name="Cancel the ticket").click()
            await expect(ada.locator(".notice")).to_contain_text(text)
            await expect(guest.get_by_role("heading", name="You have no place here any more")).to_be_visible()


async def test_a_lost_stream_says_so_and_comes_back_by_itself(chromium: Browser, server: Server) -> None:
    open_event(server, "gig", 2)
    context = await chromium.new_context(base_url=server.url, viewport=PHONE)
    page = await context.new_page()
    await page.goto("/ui/events/gig")
    connection = page.locator("#connection")
    await expect(connection).to_be_empty()
    assert server.stop() == 0
    await expect(connection).to_have_text(LOST)
    await page.get_by_label("Your name").fill("Cleo")
    await page.get_by_role("button", name="Book a ticket").click()
    await expect(connection).to_have_text(UNREACHED)
    server.start()
    book(server, "gig", "Bob")
    await expect(page.locator("#counts")).to_contain_text("1 of 2 left")
    await expect(connection).to_be_empty()
    await expect(page.get_by_label("Your name")).to_have_value("Cleo")
    await page.get_by_role("button", name="Book a ticket").click()
    await expect(page.get_by_role("heading", name="You’re in")).to_be_visible()
    await context.close()


async def test_where_there_is_no_room_for_a_stream_the_page_asks_by_itself(chromium: Browser, tmp_path: Path) -> None:
    with Server(tmp_path / "server", STREAMS_MAX="1") as server:
        open_event(server, "gig", 2)
        context = await chromium.new_context(base_url=server.url, viewport=PHONE)
        first, second = await context.new_page(), await context.new_page()
        await second.clock.install()
        await first.goto("/ui/events/gig")
        await expect(first.locator("#counts")).to_contain_text("2 of 2 left")
        await second.goto("/ui/events/gig")
        await second.clock.run_for(3_000)
        await expect(second.locator("#connection")).to_have_text(LOST)
        book(server, "gig", "Bob")
        await expect(first.locator("#counts")).to_contain_text("1 of 2 left")
        await second.clock.run_for(31_000)
        await expect(second.locator("#counts")).to_contain_text("1 of 2 left")
        await context.close()


@pytest.mark.parametrize("scripts", [True, False])
async def test_a_ticket_that_is_cancelled_by_its_link_goes_to_the_next(
    chromium: Browser, server: Server, scripts: bool
) -> None:
    open_event(server, "gig", 1)
    async with (
        visitor(chromium, server, scripts=scripts) as bob,
        visitor(chromium, server, scripts=scripts) as bobs_phone,
        visitor(chromium, server) as cleo,
    ):
        for guest, name, said in [(bob, "Bob", "You’re in"), (cleo, "Cleo", "You are 1st on the waiting list")]:
            await guest.goto("/ui/events/gig")
            await guest.get_by_label("Your name").fill(name)
            await guest.locator("#action").click()
            await expect(guest.get_by_role("heading", name=said)).to_be_visible()

        await bob.get_by_role("link", name="Your order: keep this link").click()
        await expect(bob.get_by_role("heading", name="Your ticket")).to_be_visible()
        link = bob.url

        await bobs_phone.goto(link)
        await bobs_phone.get_by_role("link", name="Cancel the ticket…").click()
        await expect(bobs_phone.get_by_text("It goes to the one person waiting, at once.")).to_be_visible()
        await bobs_phone.get_by_role("link", name="Keep it").click()
        await expect(bobs_phone).to_have_url(link)
        await bobs_phone.get_by_role("link", name="Cancel the ticket…").click()
        await bobs_phone.get_by_role("button", name="Cancel the ticket").click()
        await expect(bobs_phone).to_have_url(link)
        await expect(bobs_phone.get_by_role("heading", name="Your order is cancelled")).to_be_visible()

        await expect(cleo.get_by_role("heading", name="You’re in")).to_be_visible()
        await cleo.get_by_role("link", name="Your order: keep this link").click()
        await expect(cleo.get_by_text("1 person before you cancelled")).to_be_visible()
        await bob.reload()
        await expect(bob.get_by_role("heading", name="Your order is cancelled")).to_be_visible()


async def test_a_ticket_can_be_cancelled_where_browsers_tell_least(chromium: Browser, server: Server) -> None:
    """By http on a network, browsers send no Sec-Fetch-Site: the form's origin is all that a server has to go by."""
    open_event(server, "gig", 1)
    names = "--host-resolver-rules=MAP fairlist.example 127.0.0.1"
    browser = await chromium.browser_type.launch(executable_path=CHROMIUM, args=[*ARGUMENTS, names])
    page = await browser.new_page(base_url=f"http://fairlist.example:{server.port}")
    said: list[dict[str, str]] = []
    page.on("request", lambda request: said.append(request.headers) if request.method == "POST" else None)
    await page.goto("/ui/events/gig")
    await page.get_by_label("Your name").fill("Bob")
    await page.locator("#action").click()
    await page.get_by_role("link", name="Your order: keep this link").click()
    await page.get_by_role("link", name="Cancel the ticket…").click()
    await page.get_by_role("button", name="Cancel the ticket").click()
    await expect(page.get_by_role("heading", name="Your order is cancelled")).to_be_visible()
    await browser.close()
    assert not [headers for headers in said if "sec-fetch-site" in headers]
    assert "/ui/orders/" not in said[-1].get("referer", "")


async def test_a_page_that_waits_for_booking_to_open_gets_the_form_by_itself(chromium: Browser, server: Server) -> None:
    now, year = time.time_ns() // 1_000, 365 * 86_400 * 1_000_000
    open_event(server, "gig", 2)
    await revise_while_stopped(server, "gig", Details(opens_at=now + year))
    context = await chromium.new_context(base_url=server.url, viewport=PHONE)
    page = await context.new_page()
    page.set_default_timeout(TIMEOUT_MS)
    await page.clock.install()
    await page.goto("/ui/events/gig")
    await expect(page.get_by_role("heading", name="Booking opens")).to_be_visible()
    await expect(page.get_by_role("button", name="Book")).to_have_count(0)
    await page.get_by_text("Booked before?").click()
    await page.get_by_label("The name you booked with").fill("Cl")
    await revise_while_stopped(server, "gig", Details(opens_at=now - year))
    await page.clock.run_for(21_000)
    await expect(page.get_by_role("heading", name="Booking opens")).to_have_count(0)
    await expect(page.get_by_label("The name you booked with")).to_have_value("Cl")
    await page.clock.resume()
    await page.get_by_label("Your name").fill("Cleo")
    await page.get_by_role("button", name="Book a ticket").click()
    await expect(page.get_by_role("heading", name="You’re in")).to_be_focused()
    await context.close()


async def revise_while_stopped(server: Server, event: str, details: Details) -> None:
    """Give an event other details, between two lives of its server."""
    assert server.stop() == 0
    store = await SqliteStore.open(server.database)
    box_office = BoxOffice(store)
    await box_office.start()
    await box_office.revise(event, details=details)
    await box_office.stop()
    await store.close()
    server.start()


@pytest.mark.parametrize("scripts", [True, False])
async def test_the_reference_is_read_on_a_phone_and_loads_nothing_from_elsewhere(
    chromium: Browser, server: Server, scripts: bool
) -> None:
    async with visitor(chromium, server, scripts=scripts) as dan:
        loaded: list[str] = []
        dan.on("request", lambda request: loaded.append(request.url))
        await dan.goto("/ui")
        await dan.get_by_role("link", name="For programs: the API").click()
        await expect(dan.get_by_role("heading", name="The API", level=1)).to_be_visible()
        await dan.get_by_role("link", name="Errors").click()
        await expect(dan).to_have_url(re.compile(r"/docs#errors$"))
        await dan.get_by_role("article", name="400 invalid_input").get_by_text("Example").click()
        await expect(dan.get_by_text('"pointer": "/capacity"')).to_be_visible()
        width = await dan.evaluate("document.documentElement.scrollWidth") if scripts else PHONE["width"]
        assert width == PHONE["width"]
        assert all(url.startswith(f"{server.url}/") for url in loaded)
