"""The page of an order: for whoever has its key, and for nobody else."""

import re
from collections.abc import Awaitable, Callable
from typing import Final

import pytest
from quart import Response
from quart.typing import TestClientProtocol as Browser

from tests.web.pages import Clock, app_over, words
from tests.web.test_dates import at
from webapp.booking.details import Details
from webapp.booking.ledger import Contact
from webapp.box_office import BoxOffice
from webapp.enquiries import Enquiries
from webapp.storage.sqlite import SqliteStore
from webapp.web.order_keys import OrderKeys
from webapp.web.rendering import order_path
from webapp.web.secrets import Secrets

KEYS: Final = OrderKeys(Secrets.derived_from(bytes(32)).manage_link)
HOSTILE: Final = '<script>alert(1)</script>"><img src=x onerror=alert(1)>'
GIG: Final = Details(
    title="Summer night", venue="Stadtpark", time_zone="Europe/Berlin",
    starts_at=at("2026-11-27T20:00"), ends_at=at("2026-11-27T23:00"),
)  # fmt: skip


@pytest.fixture
def clock() -> Clock:
    return Clock(at("2026-11-20T13:45"))


@pytest.fixture
async def office(store: SqliteStore, start: Callable[[BoxOffice], Awaitable[BoxOffice]], clock: Clock) -> BoxOffice:
    office = await start(BoxOffice(store, clock=clock))
    await office.create_event("gig", 1, GIG)
    return office


@pytest.fixture
def browser(office: BoxOffice) -> Browser:
    return app_over(office).test_client()


async def booked(office: BoxOffice, *guests: str) -> list[str]:
    """The ids of the orders of some guests who book one after the other."""
    return [(await office.book("gig", guest)).order_id for guest in guests]


def path(order_id: str) -> str:
    return order_path(order_id, KEYS.key(order_id))


# Seeing


async def test_a_ticket_shows_what_the_door_needs(browser: Browser, office: BoxOffice) -> None:
    order_id = (await office.book("gig", "bob-17", contact=Contact("Bob Brandt", "bob@example.org"))).order_id
    answer = await browser.get(path(order_id))
    assert answer.status_code == 200
    shown = await words(answer)
    when = "Friday 27 November 20:00–23:00 (Europe/Berlin)"
    assert f"Ticket Summer night {when} Stadtpark Bob Brandt Code {order_id} You’re in" in shown
    assert "bob-17" not in shown
    assert "You asked on 20 November at 13:45, when a ticket was free, and got it at once." in shown


async def test_who_gave_no_name_is_called_by_his_user_id(browser: Browser, office: BoxOffice) -> None:
    (bobs,) = await booked(office, "Bob")
    assert "Stadtpark Bob Code" in await words(await browser.get(path(bobs)))


async def test_who_waits_reads_where_he_stands_and_why(browser: Browser, office: BoxOffice, clock: Clock) -> None:
    *_, cleos = await booked(office, "Ada", "Bob", "Eve", "Cleo")
    shown = await words(await browser.get(path(cleos)))
    assert "You are 3rd 2 people are ahead of you, and nobody can overtake you." in shown
    assert "Why you are 3rd You asked on 20 November at 13:45; 2 people asked before you." in shown
    for guest, when in (("Bob", "2026-11-20T14:02"), ("Ada", "2026-11-20T15:10")):
        clock.now = at(when)
        await office.cancel("gig", guest, "guest")
    shown = await words(await browser.get(path(cleos)))
    assert "You are 1st: nobody is ahead of you The next ticket that comes free is yours, at once." in shown
    assert "2 people before you cancelled, at 14:02 and 15:10." in shown


async def test_who_waited_reads_how_the_ticket_came(browser: Browser, office: BoxOffice, clock: Clock) -> None:
    _, cleos = await booked(office, "Bob", "Cleo")
    clock.now = at("2026-11-21T09:00")
    await office.revise("gig", tickets=2)
    shown = await words(await browser.get(path(cleos)))
    assert "Tickets were added on 21 November at 09:00: you moved up 1 place. You got your ticket at 09:00." in shown


async def test_once_the_event_has_begun_nobody_is_promised_a_ticket(
    browser: Browser, office: BoxOffice, clock: Clock
) -> None:
    bobs, cleos = await booked(office, "Bob", "Cleo")
    clock.now = at("2026-11-27T20:00")
    shown = await words(await browser.get(path(cleos)))
    assert "The event has begun, and no more tickets are given out." in shown
    assert "The next ticket" not in shown
    asked = await words(await browser.get(f"{path(bobs)}/cancellation"))
    assert "The event has begun: nobody else gets the ticket." in asked


async def test_the_receipt_is_the_entry_of_the_ledger(browser: Browser, office: BoxOffice, store: SqliteStore) -> None:
    _, cleos = await booked(office, "Bob", "Cleo")
    entry = next(entry for entry in await Enquiries(store, office).ledger("gig", 0, 100) if entry.order_id == cleos)
    shown = await words(await browser.get(path(cleos)))
    assert f"Entry {entry.seq} of the event’s ledger {entry.hash.hex()} It proves that you asked, and when" in shown


async def test_who_was_checked_in_reads_when_and_where(browser: Browser, office: BoxOffice, clock: Clock) -> None:
    (bobs,) = await booked(office, "Bob")
    clock.now = at("2026-11-27T19:32")
    await office.check_in("gig", "Bob", bobs, "Gate A")
    answer = await browser.get(path(bobs))
    assert "Arrived 19:32, Gate A" in await words(answer)
    assert "/cancellation" not in await answer.get_data(as_text=True)


async def test_an_order_without_a_person_says_so_and_stays_what_it_is(browser: Browser, office: BoxOffice) -> None:
    bobs, cleos = await booked(office, "Bob", "Cleo")
    for guest, order_id in (("Bob", bobs), ("Cleo", cleos)):
        await office.erase("gig", guest, (order_id,))
        answer = await browser.get(path(order_id))
        assert "Name and e-mail address of this order were deleted." in await words(answer)
        page = await answer.get_data(as_text=True)
        assert guest not in page
        assert "\x7f" not in page
    await browser.post(f"{path(bobs)}/cancellation")
    assert "Your ticket" in await words(await browser.get(path(cleos)))


async def test_who_cancels_on_his_page_does_so_as_a_guest(
    browser: Browser, office: BoxOffice, store: SqliteStore
) -> None:
    (bobs,) = await booked(office, "Bob")
    await browser.post(f"{path(bobs)}/cancellation")
    (cancelled,) = [entry async for entries in store.entries("gig") for entry in entries if entry.kind == "cancelled"]
    assert cancelled.actor == "guest"


async def test_an_organisers_words_are_never_markup(browser: Browser, office: BoxOffice) -> None:
    await office.revise("gig", details=Details(title=HOSTILE, venue=HOSTILE))
    (order_id,) = await booked(office, HOSTILE)
    pages = [
        await (await browser.get(f"{path(order_id)}{page}")).get_data(as_text=True) for page in ("", "/cancellation")
    ]
    await office.cancel("gig", HOSTILE, "organiser", HOSTILE)
    pages.append(await (await browser.get(path(order_id))).get_data(as_text=True))
    for page in pages:
        assert "<script>alert" not in page
        assert "<img" not in page
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


# Who may


async def test_only_the_key_of_the_order_opens_it(browser: Browser, office: BoxOffice) -> None:
    bobs, cleos = await booked(office, "Bob", "Cleo")
    key = KEYS.key(bobs)
    wrong = [
        order_path(bobs, KEYS.key(cleos)), order_path(bobs, key[:-1]), order_path(bobs, f"{key}="),
        order_path(bobs, key.swapcase()), order_path(bobs, "x"), order_path(bobs, "%F0%9F%8E%AB"),
        order_path(bobs, "%00"),
        order_path("f" * 20, key), order_path("f" * 20, KEYS.key("f" * 20)), order_path("%00", key),
    ]  # fmt: skip
    pages = set()
    for address in wrong:
        for answer in (
            await browser.get(address),
            await browser.get(f"{address}/cancellation"),
            await browser.post(f"{address}/cancellation"),
        ):
            assert answer.status_code == 404
            assert_private(answer)
            pages.add(await words(answer))
    assert len(pages) == 1
    assert "Is the link complete?" in pages.pop()
    assert (await office.counts("gig")).booked == 1


async def test_the_page_is_kept_by_nobody_and_its_address_goes_nowhere(browser: Browser, office: BoxOffice) -> None:
    (bobs,) = await booked(office, "Bob")
    for page in ("", "/cancellation"):
        answer = await browser.get(f"{path(bobs)}{page}")
        assert_private(answer, "strict-origin" if page else "no-referrer")
        assert '<meta name="robots" content="noindex">' in await answer.get_data(as_text=True)
        assert answer.headers.getlist("X-Content-Type-Options") == ["nosniff"]
    assert_private(await browser.post(f"{path(bobs)}/cancellation"))
    elsewhere = await browser.get("/ui/events/gig")
    assert elsewhere.headers.getlist("Referrer-Policy") == ["same-origin"]


def assert_private(answer: Response, referrer: str = "no-referrer") -> None:
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers.getlist("Referrer-Policy") == [referrer]


# Cancelling


async def test_looking_changes_nothing(browser: Browser, office: BoxOffice) -> None:
    orders = await booked(office, "Bob", "Cleo")
    before = await office.counts("gig")
    for order_id in orders:
        for page in ("", "/cancellation"):
            assert (await browser.get(f"{path(order_id)}{page}")).status_code == 200
            assert (await browser.head(f"{path(order_id)}{page}")).status_code == 200
    assert await office.counts("gig") == before


@pytest.mark.parametrize(
    ("guests", "guest", "said"),
    [
        (["Bob"], "Bob", "Cancel your ticket? Nobody waits, so it is free for whoever books next."),
        (["Bob", "Cleo"], "Bob", "Cancel your ticket? It goes to the one person waiting, at once."),
        (["Bob", "Cleo", "Dan"], "Bob", "Cancel your ticket? It goes to the first of 2 people waiting, at once."),
        (
            ["Bob", "Cleo", "Dan"],
            "Cleo",
            "Leave the waiting list? You are 1st of 2. Whoever stands behind you moves up.",
        ),
        (["Bob", "Cleo", "Dan"], "Dan", "Leave the waiting list? You are 2nd of 2. This cannot be undone."),
    ],
)
async def test_cancelling_asks_and_tells_what_follows(
    browser: Browser, office: BoxOffice, guests: list[str], guest: str, said: str
) -> None:
    orders = dict(zip(guests, await booked(office, *guests), strict=True))
    answer = await browser.get(f"{path(orders[guest])}/cancellation")
    assert said in await words(answer)
    form = re.search(r'<form[^>]*action="([^"]+)"', await answer.get_data(as_text=True))
    assert form is not None
    assert form[1] == f"{path(orders[guest])}/cancellation"


async def test_a_cancelled_ticket_goes_to_who_waits(browser: Browser, office: BoxOffice, clock: Clock) -> None:
    bobs, cleos = await booked(office, "Bob", "Cleo")
    clock.now = at("2026-11-20T16:00")
    answer = await browser.post(f"{path(bobs)}/cancellation")
    assert (answer.status_code, answer.headers["Location"]) == (303, path(bobs))
    assert (await office.place("gig", "Cleo")).status == "booked"
    shown = await words(await browser.get(path(bobs)))
    assert "Your order is cancelled" in shown
    assert "The order was cancelled at 16:00." in shown
    assert "Your ticket" in await words(await browser.get(path(cleos)))


async def test_cancelling_twice_changes_nothing_more(browser: Browser, office: BoxOffice) -> None:
    bobs, *_ = await booked(office, "Bob", "Cleo", "Dan")
    for _ in range(2):
        assert (await browser.post(f"{path(bobs)}/cancellation")).headers["Location"] == path(bobs)
    assert (await office.counts("gig")).waiting == 1
    answer = await browser.get(f"{path(bobs)}/cancellation")
    assert (answer.status_code, answer.headers["Location"]) == (303, path(bobs))


async def test_the_link_of_a_cancelled_order_does_not_cancel_the_next_one(browser: Browser, office: BoxOffice) -> None:
    (first,) = await booked(office, "Bob")
    await browser.post(f"{path(first)}/cancellation")
    (second,) = await booked(office, "Bob")
    await browser.post(f"{path(first)}/cancellation")
    assert (await office.place("gig", "Bob")).order_id == second


async def test_who_is_inside_cannot_cancel(browser: Browser, office: BoxOffice) -> None:
    (bobs,) = await booked(office, "Bob")
    await office.check_in("gig", "Bob", bobs, None)
    assert (await browser.get(f"{path(bobs)}/cancellation")).headers["Location"] == path(bobs)
    answer = await browser.post(f"{path(bobs)}/cancellation")
    assert answer.status_code == 409
    assert "You have been checked in, so this ticket cannot be cancelled here." in await words(answer)
    assert (await office.counts("gig")).booked == 1


async def test_another_sites_page_cancels_nothing(browser: Browser, office: BoxOffice) -> None:
    (bobs,) = await booked(office, "Bob")
    headers = {"Sec-Fetch-Site": "cross-site"}
    answer = await browser.post(f"{path(bobs)}/cancellation", headers=headers)
    assert answer.status_code == 403
    assert (await office.counts("gig")).booked == 1


# From booking to the link


async def link_on(browser: Browser) -> str | None:
    page = await (await browser.get("/ui/events/gig")).get_data(as_text=True)
    found = re.search(r'href="(/ui/orders/[^"]+)">Your order', page)
    return found[1] if found else None


@pytest.mark.parametrize("heading", ["Your ticket", "Your place in the waiting list"])
async def test_who_books_gets_the_link_to_his_order(browser: Browser, office: BoxOffice, heading: str) -> None:
    if heading != "Your ticket":
        await booked(office, "Bob")
    await browser.post("/ui/events/gig/orders", form={"userId": "Cleo"})
    link = await link_on(browser)
    assert link == path((await office.place("gig", "Cleo")).order_id)
    assert heading in await words(await browser.get(link))


async def test_who_only_knows_a_name_gets_no_link(browser: Browser, office: BoxOffice) -> None:
    await booked(office, "Bob", "Cleo")
    for name in ("Bob", "Cleo"):
        for form in ("orders", "place"):
            answer = await browser.post(f"/ui/events/gig/{form}", form={"userId": name})
            assert "/ui/orders/" not in await answer.get_data(as_text=True)
    assert await link_on(browser) is None


async def test_a_name_once_used_gives_no_link_to_who_uses_it_next(browser: Browser, office: BoxOffice) -> None:
    await browser.post("/ui/events/gig/orders", form={"userId": "Bob"})
    link = await link_on(browser)
    assert link is not None
    await browser.post(f"{link}/cancellation")
    (another,) = await booked(office, "Bob")
    for _ in range(2):
        assert await link_on(browser) == link
        assert another not in await (await browser.get("/ui/events/gig")).get_data(as_text=True)
        answer = await browser.post("/ui/events/gig/orders", form={"userId": "Bob"})
        assert "Somebody called “Bob” has booked before" in await words(answer)


async def test_a_browser_still_knows_the_order_whose_name_was_deleted(browser: Browser, office: BoxOffice) -> None:
    await browser.post("/ui/events/gig/orders", form={"userId": "Bob"})
    link = await link_on(browser)
    await office.erase("gig", "Bob", ((await office.place("gig", "Bob")).order_id,))
    shown = await words(await browser.get("/ui/events/gig"))
    assert "You’re in" in shown
    assert await link_on(browser) == link
