"""One order, for its organiser: how it stands and why, and everything that can be done about it."""

import re

import pytest
from quart.typing import TestClientProtocol as Browser

from tests.web.door import CODES, GIG, HOSTILE, NOW, PANEL_GIG, booked, led_to, order_path, shown
from tests.web.pages import Clock
from tests.web.test_dates import at
from webapp.booking.ledger import Contact
from webapp.box_office import BoxOffice
from webapp.storage.sqlite import SqliteStore


@pytest.fixture
async def office(office: BoxOffice) -> BoxOffice:
    await office.create_event("gig", 1, GIG)
    return office


# Seeing


async def test_an_order_with_a_ticket_shows_who_comes_and_with_what(
    ada: Browser, office: BoxOffice, clock: Clock
) -> None:
    bob = (await office.book("gig", "bob-17", contact=Contact("Bob Baker", "Bob@example.org"))).order_id
    clock.now = NOW
    answer = await ada.get(order_path(bob))
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
    said = await shown(answer)
    assert "Bob Baker Booked E-mail Bob@example.org Booked as bob-17 Asked 20 November 13:45" in said
    assert f"Ticket {CODES.code(bob)} Arrived Not yet" in said
    assert "What has happened Asked when a ticket was free, and got it 20 November 13:45" in said
    assert "Times are in the time zone of the event, Europe/Berlin." in said
    assert "The order was placed by entry 3 of the ledger." in said


async def test_who_booked_with_his_address_is_not_said_to_have_booked_as_somebody_else(
    ada: Browser, office: BoxOffice
) -> None:
    (bob,) = await booked(office, "Bob")
    assert "Booked as" not in await shown(await ada.get(order_path(bob)))


async def test_who_waits_is_shown_with_his_place_and_what_moved_him(
    ada: Browser, office: BoxOffice, clock: Clock
) -> None:
    *_, dan = await booked(office, "Ada", "Bob", "Cleo", "Dan")
    clock.now = at("2026-11-20T14:02")
    await office.cancel("gig", "bob@example.org", "guest")
    await office.cancel("gig", "ada@example.org", "guest")
    said = await shown(await ada.get(order_path(dan)))
    assert "Dan 1st in line" in said
    assert "Place in line 1st of 1" in said
    assert "Asked, and joined the waiting list behind 2 others 13:45" in said
    assert "2 people further ahead cancelled: up 2 places, to 1st 14:02" in said
    await office.cancel("gig", "cleo@example.org", "guest")
    assert "Got a ticket from the waiting list 14:02" in await shown(await ada.get(order_path(dan)))


async def test_who_was_the_first_to_wait_and_moved_up_by_more_tickets_reads_so(ada: Browser, office: BoxOffice) -> None:
    _, bob, cleo = await booked(office, "Ada", "Bob", "Cleo")
    assert "joined the waiting list as its first" in await shown(await ada.get(order_path(bob)))
    await office.revise("gig", tickets=2)
    said = await shown(await ada.get(order_path(cleo)))
    assert "joined the waiting list behind 1 other 13:45 Tickets were added: up 1 place, to 1st" in said


async def test_a_cancelled_order_shows_why_it_ended(ada: Browser, office: BoxOffice) -> None:
    (bob,) = await booked(office, "Bob")
    await office.cancel("gig", "bob@example.org", "guest", "A cold")
    said = await shown(await ada.get(order_path(bob)))
    assert "Bob Cancelled" in said
    assert "Reason A cold" in said
    assert "Cancelled by the guest" in said
    assert "Cancel the ticket" not in said


async def test_the_guests_own_link_can_be_passed_on(ada: Browser, office: BoxOffice) -> None:
    (bob,) = await booked(office, "Bob")
    markup = await (await ada.get(order_path(bob))).get_data(as_text=True)
    link = f"http://localhost/ui/orders/{bob}/"
    found = re.search(rf'data-copy="({link}[A-Za-z0-9_-]{{22}})"', markup)
    assert found is not None
    assert (await ada.get(found[1].removeprefix("http://localhost"))).status_code == 200


async def test_an_order_of_another_event_is_not_there(ada: Browser, office: BoxOffice) -> None:
    await office.open_event("talk", 1)
    (dan,) = await booked(office, "Dan", event_id="talk")
    before = await office.counts("talk")
    for path in ("", "/cancellation", "/erasure"):
        for order_id in (dan, "missing"):
            assert (await ada.get(f"{order_path(order_id)}{path}")).status_code == 404
    for path in ("/cancellation", "/erasure", "/check-in", "/check-in/undo"):
        for order_id in (dan, "missing"):
            assert (await ada.post(f"{order_path(order_id)}{path}")).status_code == 404
    assert await office.counts("talk") == before
    assert (await ada.get(f"/ui/organise/events/missing/orders/{dan}")).status_code == 404


async def test_nothing_that_a_guest_has_typed_is_markup(ada: Browser, office: BoxOffice) -> None:
    bob = (await office.book("gig", HOSTILE, contact=Contact(HOSTILE, "b'`o&b@example.org"))).order_id
    cleo = (await office.book("gig", "cleo", contact=Contact(HOSTILE, None))).order_id
    paths = [order_path(bob), order_path(cleo), f"{order_path(bob)}/cancellation", f"{order_path(bob)}/erasure"]
    pages = [await ada.get(path) for path in paths]
    await ada.post(f"{order_path(bob)}/cancellation", form={"reason": HOSTILE})
    pages.append(await ada.get(order_path(bob)))
    for page in pages:
        assert page.status_code == 200
        markup = await page.get_data(as_text=True)
        assert "&lt;script&gt;alert(1)" in markup
        assert "<script>alert" not in markup
    assert 'href="mailto:b%27%60o%26b%40example.org"' in await pages[0].get_data(as_text=True)


# Arriving


async def test_a_guest_is_let_in_from_his_order_once_and_taken_back(
    ada: Browser, office: BoxOffice, clock: Clock
) -> None:
    clock.now = NOW
    (bob,) = await booked(office, "Bob")
    said = await led_to(ada, await ada.post(f"{order_path(bob)}/check-in", form={"gate": "A"}))
    assert "Bob is in." in said
    assert "Arrived 19:02, gate A" in said
    assert "Who has arrived cannot be cancelled: take the check-in back first." in said
    said = await led_to(ada, await ada.post(f"{order_path(bob)}/check-in", form={}))
    assert "Nothing was changed: the guest was checked in already." in said
    said = await led_to(ada, await ada.post(f"{order_path(bob)}/check-in/undo"))
    assert "The check-in is taken back: Bob is not in." in said
    assert "Arrived, gate A" not in said, "where somebody was let in before is not known any more"
    said = await led_to(ada, await ada.post(f"{order_path(bob)}/check-in/undo"))
    assert "Nothing was changed: the guest was not checked in." in said
    assert (await office.counts("gig")).checked_in == 0


async def test_what_was_done_is_told_once(ada: Browser, office: BoxOffice) -> None:
    (bob,) = await booked(office, "Bob")
    said = "The check-in is taken back: Bob is not in."
    await ada.post(f"{order_path(bob)}/check-in")
    assert said in await led_to(ada, await ada.post(f"{order_path(bob)}/check-in/undo"))
    for path in (order_path(bob), PANEL_GIG, f"{PANEL_GIG}/guests", order_path(bob)):
        assert said not in await shown(await ada.get(path))


async def test_who_waits_is_not_let_in(ada: Browser, office: BoxOffice) -> None:
    _, cleo = await booked(office, "Bob", "Cleo")
    said = await led_to(ada, await ada.post(f"{order_path(cleo)}/check-in"))
    assert "Nothing was changed: the guest has no ticket, but is number 1 on the waiting list." in said


async def test_a_gate_that_cannot_be_is_a_mistake(ada: Browser, office: BoxOffice) -> None:
    (bob,) = await booked(office, "Bob")
    answer = await ada.post(f"{order_path(bob)}/check-in", form={"gate": "x" * 51})
    assert answer.status_code == 422
    assert "Please call the gate by at most 50 characters" in await shown(answer)
    assert (await office.counts("gig")).checked_in == 0


# Cancelling


@pytest.mark.parametrize(
    ("waiting", "whose", "question", "follows"),
    [
        (
            [],
            "Bob",
            "Cancel the ticket of Bob? Nobody waits, so the ticket is free for whoever books next.",
            "Bob is cancelled.",
        ),
        (
            ["Cleo"],
            "Bob",
            "The ticket goes to Cleo, at once: the first of 1 person waiting.",
            "Bob is cancelled. The ticket went to Cleo.",
        ),
        (
            ["Cleo", "Dan"],
            "Bob",
            "The ticket goes to Cleo, at once: the first of 2 people waiting.",
            "Bob is cancelled. The ticket went to Cleo.",
        ),
        (
            ["Cleo", "Dan"],
            "Cleo",
            "Take Cleo off the waiting list? Cleo is 1st of 2. Whoever stands behind moves up.",
            "Cleo is cancelled.",
        ),
        (["Cleo", "Dan"], "Dan", "Take Dan off the waiting list? Dan is 2nd of 2. This", "Dan is cancelled."),
    ],
)
async def test_cancelling_asks_first_and_tells_what_follows(
    ada: Browser, office: BoxOffice, waiting: list[str], whose: str, question: str, follows: str
) -> None:
    names = ["Bob", *waiting]
    orders = dict(zip(names, await booked(office, *names), strict=True))
    before = await office.counts("gig")
    path = f"{order_path(orders[whose])}/cancellation"
    assert question in await shown(await ada.get(path))
    assert await office.counts("gig") == before
    said = await led_to(ada, await ada.post(path, form={"reason": " Has a cold "}))
    assert follows in said
    assert "Reason Has a cold" in said


async def test_the_ledger_says_that_it_was_the_organiser_who_cancelled(
    ada: Browser, office: BoxOffice, store: SqliteStore
) -> None:
    (bob,) = await booked(office, "Bob")
    await ada.post(f"{order_path(bob)}/cancellation")
    (cancelled,) = [entry async for entries in store.entries("gig") for entry in entries if entry.kind == "cancelled"]
    assert (cancelled.order_id, cancelled.actor) == (bob, "organiser")


async def test_who_cancels_after_the_start_reads_that_nobody_follows(
    ada: Browser, office: BoxOffice, clock: Clock
) -> None:
    bob, _ = await booked(office, "Bob", "Cleo")
    clock.now = at("2026-11-27T20:01")
    path = f"{order_path(bob)}/cancellation"
    assert "The event has begun: nobody else gets the ticket." in await shown(await ada.get(path))
    assert "Bob is cancelled." in await led_to(ada, await ada.post(path))


async def test_who_is_erased_and_gets_a_ticket_is_not_named(ada: Browser, office: BoxOffice) -> None:
    bob, cleo = await booked(office, "Bob", "Cleo")
    await office.erase("gig", "cleo@example.org", (cleo,))
    path = f"{order_path(bob)}/cancellation"
    said = await shown(await ada.get(path))
    assert "The ticket goes to the first person waiting, whose name was erased, at once." in said
    said = await led_to(ada, await ada.post(path))
    assert "The ticket went to somebody whose name was erased." in said


async def test_who_has_arrived_cannot_be_cancelled(ada: Browser, office: BoxOffice) -> None:
    (bob,) = await booked(office, "Bob")
    await office.check_in("gig", "bob@example.org", bob, None)
    path = f"{order_path(bob)}/cancellation"
    asked = await ada.get(path)
    assert "Bob has arrived" in await shown(asked)
    assert "<form method" not in (await asked.get_data(as_text=True)).partition("<main")[2]
    said = await led_to(ada, await ada.post(path))
    assert "Nothing was changed: the guest has arrived: undo the check-in before cancelling." in said
    assert (await office.counts("gig")).booked == 1


async def test_a_second_click_finds_the_order_cancelled(ada: Browser, office: BoxOffice) -> None:
    (bob,) = await booked(office, "Bob")
    path = f"{order_path(bob)}/cancellation"
    await ada.post(path)
    assert "Nothing was changed: the order was cancelled already." in await led_to(ada, await ada.post(path))
    assert (await ada.get(path)).headers["Location"] == order_path(bob)


async def test_a_reason_that_cannot_be_is_a_mistake_and_stays_in_its_field(ada: Browser, office: BoxOffice) -> None:
    (bob,) = await booked(office, "Bob")
    answer = await ada.post(f"{order_path(bob)}/cancellation", form={"reason": "x" * 501})
    assert answer.status_code == 422
    assert "Please use at most 500 characters, all of them visible." in await shown(answer)
    assert "x" * 501 in await answer.get_data(as_text=True)
    assert (await office.counts("gig")).booked == 1


# Forgetting


async def test_erasing_asks_first_and_then_nobody_is_named_any_more(ada: Browser, office: BoxOffice) -> None:
    first, cleo = await booked(office, "Bob", "Cleo")
    await office.cancel("gig", "bob@example.org", "guest", "A cold")
    (bob,) = await booked(office, "Bob")
    path = f"{order_path(bob)}/erasure"
    said = await shown(await ada.get(path))
    assert "Erase who Bob is?" in said
    assert "The place in the waiting list stays" in said
    assert "The ticket stays valid" in await shown(await ada.get(f"{order_path(cleo)}/erasure"))
    assert "The order stays cancelled." in await shown(await ada.get(f"{order_path(first)}/erasure"))
    said = await led_to(ada, await ada.post(path))
    assert "Name and e-mail address are erased." in said
    assert "Name erased 1st in line" in said
    for order_id in (first, bob):
        said = await shown(await ada.get(order_path(order_id)))
        assert "Erased 13:45" in said
        assert not [word for word in ("Bob", "bob@", "A cold", "\x7f", "Erase name") if word in said]
    assert (await ada.get(path)).headers["Location"] == order_path(bob)
    assert (await ada.post(path)).headers["Location"] == order_path(bob)
    assert "Cleo" in await shown(await ada.get(f"{PANEL_GIG}/guests"))


async def test_who_was_erased_can_still_be_cancelled_and_let_in(ada: Browser, office: BoxOffice) -> None:
    bob, cleo = await booked(office, "Bob", "Cleo")
    for name, order_id in (("bob", bob), ("cleo", cleo)):
        await office.erase("gig", f"{name}@example.org", (order_id,))
    said = await led_to(ada, await ada.post(f"{order_path(bob)}/cancellation"))
    assert "Somebody whose name was erased is cancelled. The ticket went to somebody whose name was erased." in said
    assert "Somebody whose name was erased is in." in await led_to(ada, await ada.post(f"{order_path(cleo)}/check-in"))
