"""The page of an order: for whoever has its key, and for nobody else."""

import html
import re
from dataclasses import replace
from typing import Any, Final

import pytest
from quart import Response
from quart.typing import TestClientProtocol as Browser

from tests.web.pages import Clock, app_over, words
from tests.web.test_dates import at
from webapp.booking.details import Details
from webapp.booking.ledger import Contact
from webapp.box_office import BoxOffice
from webapp.desk import Unavailable
from webapp.enquiries import Enquiries
from webapp.storage.sqlite import SqliteStore
from webapp.web.order_keys import OrderKeys
from webapp.web.qr_codes import qr_code
from webapp.web.rendering import order_path
from webapp.web.secrets import Secrets
from webapp.web.ticket_codes import TicketCodes

KEYS: Final = OrderKeys(Secrets.derived_from(bytes(32)).manage_link)
CLEO: Final = {"name": "Cleo", "email": "cleo@example.org"}
CODES: Final = TicketCodes(Secrets.derived_from(bytes(32)).ticket_code)
HOSTILE: Final = '<script>alert(1)</script>"><img src=x onerror=alert(1)>'
GIG: Final = Details(
    title="Summer night", venue="Stadtpark", time_zone="Europe/Berlin",
    starts_at=at("2026-11-27T20:00"), ends_at=at("2026-11-27T23:00"),
)  # fmt: skip


@pytest.fixture
async def office(office: BoxOffice) -> BoxOffice:
    await office.create_event("gig", 1, GIG)
    return office


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
    assert f"Ticket Summer night When {when} Where Stadtpark Name Bob Brandt Code {CODES.code(order_id)}" in shown
    assert "bob-17" not in shown
    assert order_id not in shown
    assert "You asked on 20 November at 13:45, when a ticket was free, and got it at once." in shown


async def test_who_gave_no_name_is_called_by_his_user_id(browser: Browser, office: BoxOffice) -> None:
    (bobs,) = await booked(office, "Bob")
    assert "Where Stadtpark Name Bob Code" in await words(await browser.get(path(bobs)))


async def test_who_waits_reads_where_he_stands_and_why(browser: Browser, office: BoxOffice, clock: Clock) -> None:
    *_, cleos = await booked(office, "Ada", "Bob", "Eve", "Cleo")
    shown = await words(await browser.get(path(cleos)))
    assert "You are 3rd on the waiting list" in shown
    assert "2 people are ahead of you Nobody can overtake you. As soon as a ticket is yours, you will see it" in shown
    assert "Code" not in shown
    assert "Why you are 3rd You asked on 20 November at 13:45; 2 people asked before you." in shown
    for guest, when in (("Bob", "2026-11-20T14:02"), ("Ada", "2026-11-20T15:10")):
        clock.now = at(when)
        await office.cancel("gig", guest, "guest")
    shown = await words(await browser.get(path(cleos)))
    assert "You are 1st on the waiting list" in shown
    assert "Nobody is ahead of you The next ticket that comes free is yours, at once" in shown
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


async def test_after_the_event_the_page_speaks_of_it_as_over(browser: Browser, office: BoxOffice, clock: Clock) -> None:
    bobs, cleos = await booked(office, "Bob", "Cleo")
    clock.now = at("2026-11-27T23:00")
    shown = await words(await browser.get(path(cleos)))
    assert "You were 1st on the waiting list" in shown
    assert "The event is over, and no ticket came free in time." in shown
    assert "Why you were 1st" in shown
    for order_id in (bobs, cleos):
        page = await (await browser.get(path(order_id))).get_data(as_text=True)
        assert "/cancellation" not in page
        assert "calendar.ics" not in page


async def test_an_event_without_an_end_is_never_called_over(browser: Browser, office: BoxOffice, clock: Clock) -> None:
    await office.revise("gig", details=replace(GIG, ends_at=None))
    _, cleos = await booked(office, "Bob", "Cleo")
    clock.now = at("2026-11-30T12:00")
    shown = await words(await browser.get(path(cleos)))
    assert "You are 1st on the waiting list" in shown
    assert "The event has begun, and no more tickets are given out." in shown


async def test_the_qr_code_leads_the_organiser_to_the_ticket(office: BoxOffice) -> None:
    (bobs,) = await booked(office, "Bob")
    browser = app_over(office, PUBLIC_URL="https://fairlist.example").test_client()
    page = await (await browser.get(path(bobs))).get_data(as_text=True)
    code = qr_code(f"https://fairlist.example/ui/organise/tickets/{CODES.code(bobs)}")
    assert code is not None
    assert f'<path d="{code.path}" stroke="#000"/>' in page
    assert f'viewBox="0 0 {code.size} {code.size}"' in page
    assert f'<rect width="{code.size}" height="{code.size}" fill="#fff"/>' in page
    assert 'role="img" aria-label="QR code for the door. It says the same as the code below."' in page


async def test_where_no_qr_code_can_hold_the_address_the_code_is_enough(office: BoxOffice) -> None:
    (bobs,) = await booked(office, "Bob")
    answer = await app_over(office, PUBLIC_URL=f"https://{'x' * 3_000}.example").test_client().get(path(bobs))
    assert answer.status_code == 200
    assert f"Code {CODES.code(bobs)}" in await words(answer)
    assert 'class="qr"' not in await answer.get_data(as_text=True)


async def test_an_event_with_a_date_can_be_added_to_a_calendar(browser: Browser, office: BoxOffice) -> None:
    orders = await booked(office, "Bob", "Cleo")
    for details, is_offered in ((GIG, True), (Details(title="Some day"), False)):
        await office.revise("gig", details=details)
        for order_id in orders:
            page = await (await browser.get(path(order_id))).get_data(as_text=True)
            assert (
                '<a class="button second" href="/ui/events/gig/calendar.ics">Add to calendar</a>' in page
            ) is is_offered
    await office.cancel("gig", "Cleo", "guest")
    assert "calendar.ics" not in await (await browser.get(path(orders[1]))).get_data(as_text=True)


async def test_the_receipt_is_the_entry_of_the_ledger(browser: Browser, office: BoxOffice, store: SqliteStore) -> None:
    _, cleos = await booked(office, "Bob", "Cleo")
    entry = next(entry for entry in await Enquiries(store, office).ledger("gig", 0, 100) if entry.order_id == cleos)
    answer = await browser.get(path(cleos))
    said = f"Entry {entry.seq} of the event’s ledger {entry.hash.hex()} It proves that you asked, and when"
    assert said in await words(answer)
    link = f'href="/ui/events/gig/ledger?entry={entry.seq}#entry-{entry.seq}">Check it in the ledger</a>'
    assert link in await answer.get_data(as_text=True)


async def test_who_was_checked_in_reads_when_and_where(browser: Browser, office: BoxOffice, clock: Clock) -> None:
    (bobs,) = await booked(office, "Bob")
    clock.now = at("2026-11-27T19:32")
    await office.check_in("gig", "Bob", bobs, "Gate A")
    answer = await browser.get(path(bobs))
    assert "Arrived 19:32, Gate A" in await words(answer)
    page = await answer.get_data(as_text=True)
    assert "/cancellation" not in page
    assert "can see your order: keep it to yourself." in page


async def test_an_arrival_on_another_day_is_told_with_that_day(
    browser: Browser, office: BoxOffice, clock: Clock
) -> None:
    (bobs,) = await booked(office, "Bob")
    clock.now = at("2026-11-28T00:10")
    await office.check_in("gig", "Bob", bobs, None)
    assert "Arrived 28 November 00:10 " in await words(await browser.get(path(bobs)))


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
            await browser.get(f"{address}/stream"),
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


async def test_no_answer_below_an_order_is_kept_by_anybody(
    browser: Browser, office: BoxOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    (bobs,) = await booked(office, "Bob")
    page, wrong = path(bobs), order_path(bobs, "x")
    told = [
        (200, await browser.get(page)),
        (200, await browser.head(f"{page}/stream")),
        (422, await browser.post(f"{page}/cancellation", form={"reason": "x" * 501})),
        (404, await browser.get(wrong)),
        (404, await browser.get(wrong, headers={"Accept": "application/json"})),
        (404, await browser.get(f"{page}/nowhere")),
        (405, await browser.post(page)),
        (303, await browser.post(f"{page}/cancellation")),
        (303, await browser.get(f"{page}/cancellation")),
    ]

    async def unavailable(*_: object) -> None:
        raise Unavailable("storage_unavailable", "The storage is not available", 3)

    monkeypatch.setattr(Enquiries, "order", unavailable)
    told.append((503, await browser.get(page)))
    for status, answer in told:
        assert (answer.status_code, answer.headers.getlist("Cache-Control")) == (status, ["no-store"])
        assert "ETag" not in answer.headers


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
    assert "You cancelled your ticket at 16:00. If you want to come after all, book again: you would ask anew." in shown
    assert "Your ticket" in await words(await browser.get(path(cleos)))


async def test_who_cancels_may_say_why(browser: Browser, office: BoxOffice, store: SqliteStore) -> None:
    bobs, cleos, dans = await booked(office, "Bob", "Cleo", "Dan")
    for order_id, typed, said in (
        (bobs, "  I have caught a cold. ", "I have caught a cold."),
        (cleos, "   ", None),
        (dans, HOSTILE, HOSTILE),
    ):
        answer = await browser.post(f"{path(order_id)}/cancellation", form={"reason": typed})
        assert answer.status_code == 303
        order = await store.order(order_id)
        assert order is not None
        assert (order.status, order.cancel_reason) == ("cancelled", said)
    assert "You cancelled your ticket at 13:45. Reason: I have caught a cold." in await words(
        await browser.get(path(bobs))
    )


@pytest.mark.parametrize("reason", ["x" * 501, "one\nline more", "\u202eturned"])
async def test_a_reason_that_cannot_be_kept_cancels_nothing(browser: Browser, office: BoxOffice, reason: str) -> None:
    (bobs,) = await booked(office, "Bob")
    answer = await browser.post(f"{path(bobs)}/cancellation", form={"reason": reason})
    assert answer.status_code == 422
    assert_private(answer, "strict-origin")
    page = await answer.get_data(as_text=True)
    assert '<a href="#cancelling-reason">Please use at most 500 characters, all of them visible.</a>' in page
    assert 'aria-invalid="true"' in page
    assert html.escape(reason)[:10] in page
    assert (await office.counts("gig")).booked == 1


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


async def test_who_cancels_and_books_again_meanwhile_keeps_his_new_order(
    browser: Browser, office: BoxOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    (first,) = await booked(office, "Bob")
    cancel = office.cancel

    async def overtaken(*wish: Any, **options: Any) -> Any:
        await cancel("gig", "Bob", "guest")
        await booked(office, "Bob")
        return await cancel(*wish, **options)

    monkeypatch.setattr(office, "cancel", overtaken)
    answer = await browser.post(f"{path(first)}/cancellation")
    assert (answer.status_code, answer.headers["Location"]) == (303, path(first))
    assert (await office.place("gig", "Bob")).order_id != first
    assert "Your order is cancelled" in await words(await browser.get(path(first)))


async def test_who_is_inside_cannot_cancel(browser: Browser, office: BoxOffice) -> None:
    (bobs,) = await booked(office, "Bob")
    await office.check_in("gig", "Bob", bobs, None)
    assert (await browser.get(f"{path(bobs)}/cancellation")).headers["Location"] == path(bobs)
    answer = await browser.post(f"{path(bobs)}/cancellation")
    assert answer.status_code == 409
    assert "You have been let in already, so this ticket cannot be cancelled here." in await words(answer)
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


@pytest.mark.parametrize("heading", ["Your ticket", "You are 1st on the waiting list"])
async def test_who_books_gets_the_link_to_his_order(browser: Browser, office: BoxOffice, heading: str) -> None:
    if heading != "Your ticket":
        await booked(office, "Bob")
    await browser.post("/ui/events/gig/orders", form=CLEO)
    link = await link_on(browser)
    assert link == path((await office.place("gig", "cleo@example.org")).order_id)
    assert heading in await words(await browser.get(link))


async def test_who_only_knows_an_address_gets_no_link(browser: Browser, office: BoxOffice) -> None:
    await booked(office, "bob@example.org", "cleo@example.org")
    for email in ("bob@example.org", "cleo@example.org"):
        for form in ("orders", "place"):
            typed = {"name": "Dan", "email": email, "userId": email}
            answer = await browser.post(f"/ui/events/gig/{form}", form=typed)
            assert answer.status_code == 200
            assert "/ui/orders/" not in await answer.get_data(as_text=True)
    assert await link_on(browser) is None


async def test_an_address_once_used_gives_no_link_to_who_uses_it_next(browser: Browser, office: BoxOffice) -> None:
    await browser.post("/ui/events/gig/orders", form=CLEO)
    link = await link_on(browser)
    assert link is not None
    await browser.post(f"{link}/cancellation")
    (another,) = await booked(office, "cleo@example.org")
    for _ in range(2):
        assert await link_on(browser) == link
        assert another not in await (await browser.get("/ui/events/gig")).get_data(as_text=True)
        answer = await browser.post("/ui/events/gig/orders", form=CLEO)
        assert "Somebody with the address cleo@example.org has booked before" in await words(answer)


async def test_a_browser_still_knows_the_order_whose_name_was_deleted(browser: Browser, office: BoxOffice) -> None:
    await browser.post("/ui/events/gig/orders", form=CLEO)
    link = await link_on(browser)
    await office.erase("gig", "cleo@example.org", ((await office.place("gig", "cleo@example.org")).order_id,))
    shown = await words(await browser.get("/ui/events/gig"))
    assert "You’re in" in shown
    assert await link_on(browser) == link
