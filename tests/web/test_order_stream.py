"""The stream of an order's page: what its guest sees without a reload, and what that costs."""

from dataclasses import replace
from typing import Any

import pytest
from quart import Quart
from quart.typing import TestClientProtocol as Browser

from tests.web.pages import Clock, app_over
from tests.web.test_dates import at
from tests.web.test_live import Stream, streaming
from tests.web.test_order_page import CODES, GIG, KEYS, booked, path
from webapp.booking.details import Details
from webapp.booking.ledger import Contact
from webapp.box_office import BoxOffice
from webapp.desk import Unavailable
from webapp.enquiries import Enquiries
from webapp.storage.sqlite import SqliteStore
from webapp.web.event_view import EventView, view
from webapp.web.order_view import OrderFrames, Ticket
from webapp.web.rendering import order_path


@pytest.fixture
async def office(office: BoxOffice) -> BoxOffice:
    await office.create_event("gig", 1, GIG)
    return office


@pytest.fixture
def app(office: BoxOffice) -> Quart:
    return app_over(office)


@pytest.fixture
def browser(app: Quart) -> Browser:
    return app.test_client()


def stream(order_id: str) -> str:
    return f"{path(order_id)}/stream"


async def frames(office: BoxOffice, store: SqliteStore, order_id: str) -> OrderFrames:
    """What an open page of an order is sent, change by change."""
    reads = Enquiries(store, office)

    def seen() -> EventView:
        event = office.published_event("gig")
        assert event is not None
        return view(event, office.now())

    ticket = Ticket(path(order_id), CODES.code(order_id), "https://fairlist.example/ui/organise/tickets/x")
    return OrderFrames(reads, await reads.order(order_id), ticket, seen)


async def shown(stream: Stream) -> str:
    """The words of the next message, which must be the order's."""
    name, words = await stream.message()
    assert name == "order"
    return words


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is asked about orders, as it is asked."""
    asked: list[str] = []
    for name in ("_placing", "order", "_moved_up"):
        honest = getattr(Enquiries, name)

        async def counted(self: Enquiries, *what: Any, name: str = name, honest: Any = honest) -> Any:
            asked.append(name)
            return await honest(self, *what)

        monkeypatch.setattr(Enquiries, name, counted)
    return asked


async def test_the_stream_begins_with_the_order_of_the_moment(browser: Browser, office: BoxOffice) -> None:
    bobs, cleos = await booked(office, "Bob", "Cleo")
    async with streaming(browser, stream(bobs)) as bob, streaming(browser, stream(cleos)) as cleo:
        ticket, place = await shown(bob), await shown(cleo)
    assert "You have a ticket." in ticket
    assert f"Code {CODES.code(bobs)}" in ticket
    assert "You are 1st on the waiting list" in place
    assert "Why you are 1st" in place


async def test_who_waits_sees_his_place_and_then_his_ticket_come(
    browser: Browser, office: BoxOffice, clock: Clock
) -> None:
    *_, cleos = await booked(office, "Bob", "Eve", "Cleo")
    async with streaming(browser, stream(cleos)) as cleo:
        assert "You are 2nd on the waiting list" in await shown(cleo)
        clock.now = at("2026-11-20T14:02")
        await office.cancel("gig", "Eve", "guest")
        words = await shown(cleo)
        assert "You are 1st on the waiting list" in words
        assert "1 person before you cancelled, at 14:02." in words
        clock.now = at("2026-11-20T15:10")
        await office.cancel("gig", "Bob", "guest")
        words = await shown(cleo)
    assert "Your ticket You have a ticket." in words
    assert "2 people before you cancelled, at 14:02 and 15:10. You got your ticket at 15:10." in words


async def test_newcomers_cost_the_others_nothing(office: BoxOffice, store: SqliteStore, reads: list[str]) -> None:
    orders = await booked(office, "Bob", "Cleo")
    bob, cleo = [await frames(office, store, order_id) for order_id in orders]
    assert b"Your ticket" in await bob([])
    assert b"You are 1st" in await cleo([])
    reads.clear()
    for number in range(3):
        await office.book("gig", f"guest-{number}")
        assert await bob([]) == await cleo([]) == b""
    assert reads == []
    await office.revise("gig", tickets=2)
    assert b"Your ticket" in await cleo([])
    assert reads.count("_placing") == 1


async def test_who_stays_where_he_is_hears_nothing_of_who_leaves_behind_him(
    office: BoxOffice, store: SqliteStore, reads: list[str]
) -> None:
    _, cleos, _ = await booked(office, "Bob", "Cleo", "Dan")
    cleo = await frames(office, store, cleos)
    assert b"You are 1st" in await cleo([])
    reads.clear()
    await office.cancel("gig", "Dan", "guest")
    assert await cleo([]) == b""
    assert reads == []


async def test_what_is_known_is_not_sent_again(office: BoxOffice, store: SqliteStore) -> None:
    bobs, cleos = await booked(office, "Bob", "Cleo")
    await office.cancel("gig", "Cleo", "guest")
    for order_id in (bobs, cleos):
        order = await frames(office, store, order_id)
        assert await order([]) != b""
        for _ in range(2):
            await office.revise("gig", tickets=(await office.counts("gig")).capacity + 1)
            assert await order([]) == b""


async def test_what_the_clock_has_changed_is_shown_with_the_next_change(
    office: BoxOffice, store: SqliteStore, clock: Clock
) -> None:
    await office.revise("gig", details=replace(GIG, ends_at=None, closes_at=at("2026-11-27T21:00")))
    _, cleos, _ = await booked(office, "Bob", "Cleo", "Dan")
    cleo = await frames(office, store, cleos)
    assert b"Add to calendar" in await cleo([])
    clock.now = at("2026-11-27T21:10")
    await office.cancel("gig", "Dan", "guest")
    late = await cleo([])
    assert b"You are 1st on the waiting list" in late
    assert b"Add to calendar" not in late


async def test_a_ticket_says_at_once_that_its_guest_was_let_in(
    browser: Browser, office: BoxOffice, clock: Clock
) -> None:
    (bobs,) = await booked(office, "Bob")
    async with streaming(browser, stream(bobs)) as bob:
        await shown(bob)
        clock.now = at("2026-11-27T19:32")
        await office.check_in("gig", "Bob", bobs, "Gate A")
        assert "Arrived 19:32, Gate A" in await shown(bob)
        await office.undo_check_in("gig", "Bob", bobs)
        words = await shown(bob)
    assert "Arrived" not in words
    assert "You were checked in on 27 November at 19:32. The check-in was taken back at 19:32." in words


async def test_a_cancelled_order_says_so_where_it_is_open(browser: Browser, office: BoxOffice) -> None:
    bobs, cleos = await booked(office, "Bob", "Cleo")
    async with streaming(browser, stream(cleos)) as cleo, streaming(browser, stream(bobs)) as bob:
        await shown(cleo)
        await shown(bob)
        await browser.post(f"{path(cleos)}/cancellation")
        await office.cancel("gig", "Bob", "organiser", "It rains")
        words = await shown(cleo)
        assert "Your order is cancelled" in words
        assert "You left the waiting list at 13:45." in words
        assert "The organiser cancelled your ticket at 13:45. Reason: It rains" in await shown(bob)


@pytest.mark.parametrize("is_cancelled", [False, True])
async def test_a_name_that_was_deleted_goes_from_the_open_page_as_well(
    browser: Browser, office: BoxOffice, is_cancelled: bool
) -> None:
    order_id = (await office.book("gig", "bob", contact=Contact("Bob Brandt", None))).order_id
    if is_cancelled:
        await office.cancel("gig", "bob", "guest")
    async with streaming(browser, stream(order_id)) as bob:
        assert "Bob Brandt" in await shown(bob)
        await office.erase("gig", "bob", (order_id,))
        words = await shown(bob)
    assert "Name and e-mail address of this order were deleted." in words
    assert "Bob" not in words


async def test_what_the_organiser_changes_of_the_event_is_there_at_once(browser: Browser, office: BoxOffice) -> None:
    (bobs,) = await booked(office, "Bob")
    async with streaming(browser, stream(bobs)) as bob:
        assert "Stadtpark" in await shown(bob)
        await office.revise("gig", details=Details(title="Summer night", venue="The hall"))
        words = await shown(bob)
    assert "Where The hall" in words
    assert "Add to calendar" not in words


async def test_who_waits_reads_when_tickets_come_free_in_vain(
    browser: Browser, office: BoxOffice, clock: Clock
) -> None:
    _, cleos = await booked(office, "Bob", "Cleo")
    async with streaming(browser, stream(cleos)) as cleo:
        await shown(cleo)
        clock.now = at("2026-11-27T20:10")
        await office.cancel("gig", "Bob", "guest")
        words = await shown(cleo)
    assert "The event has begun, and no more tickets are given out." in words
    assert "What came free on 27 November at 20:10 went to nobody: the event had begun." in words


async def test_what_could_not_be_read_is_looked_at_with_the_next_change(
    office: BoxOffice, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, _, cleos = await booked(office, "Bob", "Eve", "Cleo")
    cleo = await frames(office, store, cleos)
    await cleo([])

    async def fails(*_: object) -> Any:
        raise Unavailable("storage_unavailable", "The database could not be read; nothing was changed", 2)

    with monkeypatch.context() as trouble:
        trouble.setattr(Enquiries, "_moved_up", fails)
        await office.cancel("gig", "Eve", "guest")
        assert await cleo([]) == b""
    await office.book("gig", "Dan")
    assert b"You are 1st on the waiting list" in await cleo([])


async def test_nobody_hears_of_an_order_without_its_key(browser: Browser, office: BoxOffice) -> None:
    bobs, cleos = await booked(office, "Bob", "Cleo")
    for address in (order_path(bobs, KEYS.key(cleos)), order_path("f" * 20, KEYS.key("f" * 20))):
        answer, page = await browser.get(f"{address}/stream"), await browser.get(address)
        assert answer.status_code == page.status_code == 404
        assert answer.headers["Content-Type"] == page.headers["Content-Type"]


async def test_the_stream_is_kept_by_nobody_and_its_address_goes_nowhere(browser: Browser, office: BoxOffice) -> None:
    (bobs,) = await booked(office, "Bob")
    async with streaming(browser, stream(bobs)) as bob:
        await shown(bob)
        assert bob.headers["Content-Type"] == "text/event-stream; charset=utf-8"
        assert bob.headers["Cache-Control"] == "no-store"
        assert bob.headers["Referrer-Policy"] == "no-referrer"


async def test_nothing_that_is_swapped_holds_what_somebody_may_be_typing(browser: Browser, office: BoxOffice) -> None:
    for order_id in await booked(office, "Bob", "Cleo"):
        page = await (await browser.get(path(order_id))).get_data(as_text=True)
        live = page[page.index('id="standing"') : page.index("</article>")]
        assert "<form" not in live
        assert "<input" not in live
        assert "<button" not in live
