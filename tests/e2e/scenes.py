"""Every page in each of its states: where it is, who sees it, and what is then to be read on it."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final, NamedTuple

from playwright.async_api import Page

Names = Mapping[str, str]
Act = Callable[[Page, Names], Awaitable[None]]

NIGHT: Final = "/ui/organise/events/summer-night"
EMPTY_EVENT: Final = "/ui/organise/events/empty"
SOLD_OUT: Final = "/ui/organise/events/sold-out"


class Scene(NamedTuple):
    """A page in a state.

    `address` may hold names that a House knows; `who` is in whose browser it is seen; `act` is what is done there until
    the page `reads` so, anywhere on it.
    """

    name: str
    address: str
    reads: str
    who: str = "nobody"
    act: Act | None = None
    is_for_programs: bool = False
    """Whether it is a page that nobody reads with a thumb."""


def pressing(button: str, fields: Mapping[str, str]) -> Act:
    """Fills in fields, known by their labels, with texts that may hold names that a House knows; presses a button."""

    async def act(page: Page, names: Names) -> None:
        for label, text in fields.items():
            await page.get_by_label(label, exact=True).fill(text.format(**names))
        await page.get_by_role("button", name=button).first.click()

    return act


def looking_up(guest: str) -> Act:
    """Looks for somebody at the door."""
    return pressing("Check in", {"Code or name": guest})


def previewing(tickets: str) -> Act:
    """Asks what another number of tickets would change."""
    return pressing("Preview", {"Tickets": tickets})


async def opening_everything(page: Page, _: Names) -> None:
    """Opens whatever can be opened."""
    await page.evaluate("document.querySelectorAll('details').forEach((details) => (details.open = true))")


async def letting_in(page: Page, names: Names) -> None:
    """Lets Grete in, whom another look at this page may have let in before."""
    if await (undo := page.get_by_role("button", name="Take back")).is_visible():
        await undo.click()
        await page.get_by_text("is not in yet").wait_for()
    await pressing("Check in", {"Code or name": "{grete_code}"})(page, names)


GUESTS: Final = (
    Scene("the list of events", "/ui", "Letterpress workshop"),
    Scene("events that were found", "/ui?q=night", "2 events match"),
    Scene("no events found", "/ui?q=opera", "Nothing called"),
    Scene("a search for what no title holds", "/ui?q=%07", "search"),
    Scene("an event that is open", "/ui/events/summer-night", "Book a ticket", act=opening_everything),
    Scene("an event that is sold out", "/ui/events/sold-out", "Join the waiting list"),
    Scene("an event that is not open yet", "/ui/events/later", "Opens Friday 1 June 2040"),
    Scene("an event that is closed", "/ui/events/closed", "Booking has closed"),
    Scene("an event that is past", "/ui/events/past", "This event is over"),
    Scene("an event without a guest", "/ui/events/empty", "30 of 30 left"),
    Scene("an event that is hidden", "/ui/events/hidden", "Rehearsal"),
    Scene("an event one has a ticket for", "/ui/events/summer-night", "You’re in", who="zoe"),
    Scene("an event one waits for", "/ui/events/sold-out", "You are 5th", who="wanda"),
    Scene(
        "a mistake when booking",
        "/ui/events/summer-night",
        "Please enter",
        act=pressing("Book a ticket", {"Your name": " ", "Your e-mail address": "bob@example.org"}),
    ),
    Scene(
        "booking for one who has booked",
        "/ui/events/summer-night",
        "has booked before",
        act=pressing("Book a ticket", {"Your name": "Bob", "Your e-mail address": "bob@example.org"}),
    ),
    Scene("an order with a ticket", "{bob}", "Your ticket"),
    Scene("an order that waits", "{line4}", "You are 3rd on the waiting list"),
    Scene("an order that is cancelled", "{dan}", "Your order is cancelled"),
    Scene("an order that has arrived", "{eve}", "Arrived"),
    Scene("an order of the past", "{winter}", "Winter night concert"),
    Scene("cancelling a ticket", "{bob}/cancellation", "Cancel your ticket?"),
    Scene("leaving the waiting list", "{line4}/cancellation", "Leave the waiting list?"),
    Scene("the ledger", "/ui/events/summer-night/ledger", "What it proves", act=opening_everything),
    Scene("an entry of the ledger", "/ui/events/summer-night/ledger?entry=3", "Entries 1 to"),
    Scene("a receipt that is wrong", "/ui/events/summer-night/ledger?entry=3&hash=abc", "Have you got a receipt?"),
    Scene(
        "a ledger that was checked",
        "/ui/events/summer-night/ledger",
        "fits together",
        act=pressing("Check all", {}),
    ),
    Scene("what is not there", "/ui/events/nowhere", "All events"),
    Scene("the reference", "/docs", "The API", is_for_programs=True),
)

ORGANISERS: Final = (
    Scene("signing in", "/ui/sign-in", "For organisers."),
    Scene(
        "signing in with a wrong password",
        "/ui/sign-in",
        "is wrong",
        act=pressing("Sign in", {"User name": "ada", "Password": "a guess"}),
    ),
    Scene("the organiser's events", "/ui/organise", "Your events", who="ada"),
    Scene("the organiser finds no event", "/ui/organise?q=opera", "Nothing called", who="ada"),
    Scene("a new event", "/ui/organise/new", "New event", who="ada", act=opening_everything),
    Scene(
        "a mistake in a new event",
        "/ui/organise/new",
        "whole number",
        who="ada",
        act=pressing("Open the event", {"Title": "Gig", "Tickets": "many"}),
    ),
    Scene("overview", NIGHT, "Latest activity", who="ada", act=opening_everything),
    Scene("overview of an event without a guest", EMPTY_EVENT, "Nobody has booked yet", who="ada"),
    Scene("guests", f"{NIGHT}/guests", "Cleo Moreau", who="ada", act=opening_everything),
    Scene("guests who wait", f"{SOLD_OUT}/guests?status=waiting", "1st in line", who="ada"),
    Scene("no guest at all", f"{EMPTY_EVENT}/guests", "Nobody has booked yet", who="ada"),
    Scene("no guest found", f"{NIGHT}/guests?q=nobody", "Nobody found", who="ada"),
    Scene("a guest with a ticket", f"{NIGHT}/orders/{{bob_id}}", "Bob Brandt", who="ada"),
    Scene("a guest who waits", f"{SOLD_OUT}/orders/{{line4_id}}", "3rd of 5", who="ada"),
    Scene("a guest who has cancelled", f"{NIGHT}/orders/{{dan_id}}", "The train is late", who="ada"),
    Scene("a guest who has arrived", f"{NIGHT}/orders/{{eve_id}}", "Take the check-in back", who="ada"),
    Scene("cancelling for a guest", f"{NIGHT}/orders/{{bob_id}}/cancellation", "Cancel the ticket of", who="ada"),
    Scene(
        "cancelling for a guest of a full event",
        f"{SOLD_OUT}/orders/{{line0_id}}/cancellation",
        "The ticket goes to Dan Fink",
        who="ada",
    ),
    Scene("erasing a guest", f"{NIGHT}/orders/{{bob_id}}/erasure", "Erase who Bob Brandt", who="ada"),
    Scene("the door", f"{NIGHT}/check-in", "Code or name", who="ada"),
    Scene("coming in", f"{NIGHT}/check-in?order={{grete_id}}", "Come in: Grete Haas", "ada", act=letting_in),
    Scene("being in already", f"{NIGHT}/check-in?order={{eve_id}}", "Already in", who="ada"),
    Scene("being expected", f"{NIGHT}/check-in?order={{bob_id}}", "is not in yet", who="ada"),
    Scene("having cancelled", f"{NIGHT}/check-in?order={{dan_id}}", "no longer valid", who="ada"),
    Scene("being at the wrong event", f"{NIGHT}/check-in?order={{line0_id}}", "Not of this event", who="ada"),
    Scene("waiting at the door", f"{SOLD_OUT}/check-in?order={{line4_id}}", "3rd", who="ada"),
    Scene("a name at the door", f"{NIGHT}/check-in", "Found for", "ada", act=looking_up("o")),
    Scene("nobody at the door", f"{NIGHT}/check-in", "Nobody found", "ada", act=looking_up("Xavier")),
    Scene("a ticket that was scanned", "/ui/organise/tickets/{bob_code}", "is not in yet", who="ada"),
    Scene("a ticket that was scanned again", "/ui/organise/tickets/{eve_code}", "Already in", who="ada"),
    Scene("settings", f"{NIGHT}/settings", "What guests read", who="ada"),
    Scene("settings of an event without a guest", f"{EMPTY_EVENT}/settings", "it can be deleted", who="ada"),
    Scene("more tickets", f"{SOLD_OUT}/settings", "Eve Ito", "ada", act=previewing("4")),
    Scene("fewer tickets than are booked", f"{SOLD_OUT}/settings", "not possible", "ada", act=previewing("1")),
    Scene(
        "a mistake in the settings",
        f"{NIGHT}/settings",
        "Please",
        who="ada",
        act=pressing("Save", {"Time zone": "Europe/Nowhere"}),
    ),
    Scene("closing the booking", f"{NIGHT}/settings/closing", "Close", who="ada"),
    Scene("opening the booking", "/ui/organise/events/later/settings/opening", "Open", who="ada"),
    Scene("deleting an event", f"{EMPTY_EVENT}/settings/deletion", "Delete", who="ada"),
    Scene("the organiser's ledger", f"{NIGHT}/ledger", "Everything that has happened here", who="ada"),
)

EMPTY: Final = (
    # At a server without any events.
    Scene("the list without an event", "/ui", "There are no events yet"),
    Scene("the organiser's events without one", "/ui/organise", "There are no events yet", who="ada"),
)
