"""What people do in a browser, and what happens meanwhile elsewhere."""

from typing import Final

from playwright.async_api import Page, expect

from tests.server import PASSWORD, USER, Server
from tests.web.api import ADA, Api

LONG_AGO: Final = "2000-01-01T00:00:00Z"
IN_A_LONG_TIME: Final = "2040-06-15T18:00:00Z"

LOST: Final = "Live updates are interrupted. Trying to get them back…"
POLL_EVERY_MS: Final = 30_000


# Elsewhere


def open_event(server: Server, event: str, tickets: int, *guests: str) -> None:
    """Opens an event, which is called by its id, for which some have booked already, by their names."""
    Api(server, ADA).event(event, tickets)
    for guest in guests:
        book(server, event, guest)


def book(server: Server, event: str, guest: str) -> None:
    """Books for somebody."""
    assert server.ask("POST /book", {"eventId": event, "userId": guest}).status == 200


def cancel(server: Server, event: str, guest: str) -> None:
    """Cancels for somebody."""
    assert server.as_organiser("POST /cancel", {"eventId": event, "userId": guest}).status == 200


def revise(server: Server, event: str, **details: object) -> None:
    """Gives an event other details."""
    assert Api(server, ADA)(f"PATCH /events/{event}", details, if_match="*").status == 200


# In a browser


async def fill_in(page: Page, name: str, email: str | None = None) -> None:
    """Fills in the form for booking."""
    await page.get_by_label("Your name").fill(name)
    await page.get_by_label("Your e-mail address").fill(email or f"{name.lower()}@example.org")


async def book_here(page: Page, name: str, said: str) -> None:
    """Books on the page of an event, and sees what came of it."""
    await fill_in(page, name)
    await page.locator("#action").get_by_role("button").click()
    await expect(page.get_by_role("heading", name=said)).to_be_visible()


async def sign_in(page: Page) -> None:
    """Signs in as the organiser, and comes to the list of events."""
    await page.goto("/ui/organise")
    await page.get_by_label("User name").fill(USER)
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("heading", name="Your events")).to_be_visible()


# On a page whose clock is the test's


async def miss_the_stream(page: Page) -> None:
    """Lets time pass until the page says that it has no stream, which it has to find out first."""
    while await page.locator("#connection").inner_text() != LOST:
        await page.clock.run_for(500)


async def ask_again(page: Page) -> None:
    """Lets time pass until the page, which has no stream, has asked for itself once more."""
    async with page.expect_response(lambda response: response.url == page.url and response.status == 200):
        await page.clock.run_for(POLL_EVERY_MS)
