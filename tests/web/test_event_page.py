"""The page of an event, as a guest's browser without scripts meets it in every state; and what htmx gets."""

import re
from dataclasses import replace
from typing import Final

import pytest
from quart.typing import TestClientProtocol as Browser

from tests.web.pages import HTMX, Clock, app_over, words
from tests.web.test_dates import at
from webapp.booking.details import Details
from webapp.booking.ledger import Contact
from webapp.box_office import BoxOffice
from webapp.desk import Unavailable
from webapp.storage.sqlite import SqliteStore
from webapp.web import event_page

GIG: Final = "/ui/events/gig"
CLEO: Final = {"name": "Cleo Moreau", "email": "cleo@example.org"}
HOSTILE: Final = '<script>alert(1)</script>"><img src=x onerror=alert(1)>'


@pytest.fixture
def browser(box_office: BoxOffice) -> Browser:
    return app_over(box_office).test_client()


async def sell_out(box_office: BoxOffice, *waiting: str) -> None:
    """A gig with one ticket, which is Bob's, and with these people waiting."""
    await box_office.open_event("gig", tickets=1)
    for guest in ("Bob", *waiting):
        await box_office.book("gig", guest)


# What it says before, while and after it can be booked


@pytest.fixture
def clock() -> Clock:
    return Clock(at("2026-11-20T12:00"))


OPENS, CLOSES, STARTS, ENDS = (at(f"2026-11-27T{time}") for time in ("18:00", "22:00", "22:30", "23:00"))
BEFORE: Final = OPENS - 60_000_000
WILL_OPEN: Final = "Opens Friday 27 November 18:00 (Europe/Berlin)"
HAS_CLOSED: Final = (
    "Booking has closed It closed Friday 27 November 22:00 (Europe/Berlin). "
    "Tickets that come free still go to those who wait."
)
IS_OVER: Final = "This event is over See what comes next"
RULE: Final = "First come, first served. When someone cancels, the first person waiting gets the ticket, at once."
DETAILS: Final = Details(
    title="Summer night", venue="Boathouse", description="Bring a blanket.\n\nSee https://example.org",
    opens_at=OPENS, closes_at=CLOSES, starts_at=STARTS, ends_at=ENDS, time_zone="Europe/Berlin",
)  # fmt: skip


@pytest.fixture
async def office(office: BoxOffice) -> BoxOffice:
    """A box office with a gig with one ticket, in the night of 27 November 2026."""
    await office.create_event("gig", 1, DETAILS)
    return office


async def test_an_event_can_be_booked_from_the_moment_it_opens_until_it_closes(office: BoxOffice, clock: Clock) -> None:
    browser = app_over(office).test_client()
    for now, said, is_open in [
        (BEFORE, WILL_OPEN, False),
        (OPENS, "Book a ticket Booking closes Friday 27 November 22:00 (Europe/Berlin).", True),
        (CLOSES, HAS_CLOSED, False),
        (ENDS, IS_OVER, False),
    ]:
        clock.now = now
        for _ in range(2):  # the second time, it may come from what was kept
            answer = await browser.get(GIG)
            assert answer.headers["Cache-Control"] == "no-cache"
            assert said in await words(answer)
            assert (f'action="{GIG}/orders"' in await answer.get_data(as_text=True)) is is_open
    assert WILL_OPEN not in await words(await browser.get(GIG))


@pytest.mark.parametrize(
    ("now", "guests", "said"),
    [
        (BEFORE, 0, "1 ticket Nobody has booked yet."),
        (OPENS, 0, "1 of 1 left Nobody has booked yet."),
        (OPENS, 1, "Sold out The only ticket is taken. Nobody is waiting yet."),
        (OPENS, 3, "Sold out The only ticket is taken. 2 people are waiting."),
        (CLOSES, 0, "0 of 1 ticket booked Nobody is waiting."),
        (CLOSES, 2, "1 of 1 ticket booked 1 person is waiting."),
        (ENDS, 0, "0 of 1 ticket booked 1 ticket was left."),
        (ENDS, 3, "1 of 1 ticket booked 2 people were waiting."),
    ],
)
async def test_the_tickets_are_told_as_they_matter_at_the_time(
    office: BoxOffice, clock: Clock, now: int, guests: int, said: str
) -> None:
    clock.now = OPENS
    for number in range(guests):
        await office.book("gig", f"guest {number}")
    clock.now = now
    assert said in await words(await app_over(office).test_client().get(GIG))


async def test_the_countdown_has_the_exact_time_in_it_for_who_has_no_scripts(office: BoxOffice) -> None:
    page = await (await app_over(office).test_client().get(GIG)).get_data(as_text=True)
    assert (
        f'<time datetime="2026-11-27T17:00:00Z" data-countdown="{OPENS // 1_000}">'
        "Friday 27 November 18:00 (Europe/Berlin)</time>" in page
    )
    assert "<noscript> Without scripts, reload this page then.</noscript>" in page


async def test_an_event_can_be_put_into_a_calendar_where_it_has_a_date_to_come(office: BoxOffice, clock: Clock) -> None:
    browser = app_over(office).test_client()
    link = f'href="{GIG}/calendar.ics">Add to calendar'
    assert link in await (await browser.get(GIG)).get_data(as_text=True)
    clock.now = ENDS
    assert link not in await (await browser.get(GIG)).get_data(as_text=True)
    clock.now = BEFORE
    await office.revise("gig", details=Details())
    assert link not in await (await browser.get(GIG)).get_data(as_text=True)


async def test_an_event_of_which_nothing_is_told_is_still_a_page(browser: Browser, box_office: BoxOffice) -> None:
    await box_office.open_event("gig", tickets=80)
    answer = await browser.get(GIG)
    shown = await words(answer)
    assert "All events gig Your name" in shown
    assert f"80 of 80 left Nobody has booked yet. Tickets are available. {RULE}" in shown
    assert "closes" not in shown
    assert 'aria-label="About the event"' not in await answer.get_data(as_text=True)


async def test_an_event_without_tickets_has_a_waiting_list(browser: Browser, box_office: BoxOffice) -> None:
    await box_office.open_event("gig", tickets=0)
    shown = await words(await browser.get(GIG))
    assert "Join the waiting list (you would be 1st)" in shown
    assert "No tickets yet Nobody is waiting yet." in shown
    await browser.post(f"{GIG}/orders", form=CLEO)
    assert "You are 1st on the waiting list" in await words(await browser.get(GIG))


async def test_an_event_that_goes_on_for_nobody_knows_how_long_is_never_called_over(
    office: BoxOffice, clock: Clock
) -> None:
    await office.revise("gig", details=replace(DETAILS, ends_at=None))
    clock.now = ENDS
    shown = await words(await app_over(office).test_client().get(GIG))
    assert "Booking has closed It closed Friday 27 November 22:00 (Europe/Berlin)." in shown
    assert "over" not in shown


async def test_from_the_start_on_nobody_is_promised_a_ticket(office: BoxOffice, clock: Clock) -> None:
    clock.now = STARTS
    shown = await words(await app_over(office).test_client().get(GIG))
    assert "First come, first served." in shown
    assert "gets the ticket" not in shown
    assert "still go to those who wait" not in shown


@pytest.mark.parametrize("headers", [{}, HTMX])
@pytest.mark.parametrize(
    ("now", "said"),
    [
        (BEFORE, f"Booking has not opened yet. {WILL_OPEN}"),
        (CLOSES, f"Booking has closed. {HAS_CLOSED}"),
        (ENDS, f"Booking has closed. {IS_OVER}"),
    ],
)
async def test_who_books_too_early_or_too_late_is_told_on_the_page(
    office: BoxOffice, clock: Clock, now: int, said: str, headers: dict[str, str]
) -> None:
    clock.now = now
    answer = await app_over(office).test_client().post(f"{GIG}/orders", form=CLEO, headers=headers)
    assert answer.status_code == 409
    assert answer.headers["Cache-Control"] == "no-store"
    assert said in await words(answer)
    assert '<main id="main"' in await answer.get_data(as_text=True)
    assert (await office.counts("gig")).booked == 0


async def test_who_has_booked_sees_his_place_after_booking_has_closed(office: BoxOffice, clock: Clock) -> None:
    browser = app_over(office).test_client()
    clock.now = OPENS
    await browser.post(f"{GIG}/orders", form=CLEO)
    clock.now = CLOSES
    shown = await words(await browser.get(GIG))
    assert "You’re in" in shown
    assert HAS_CLOSED in shown
    again = await browser.post(f"{GIG}/orders", form=CLEO)
    assert (again.status_code, again.headers["Location"]) == (303, f"{GIG}#mine")
    clock.now = ENDS
    assert "Ticket Summer night Cleo Moreau You had a ticket Your order" in await words(await browser.get(GIG))


async def test_who_has_waited_reads_afterwards_that_no_ticket_came(office: BoxOffice, clock: Clock) -> None:
    browser = app_over(office).test_client()
    clock.now = OPENS
    await office.book("gig", "Bob")
    await browser.post(f"{GIG}/orders", form=CLEO)
    clock.now = ENDS
    assert "You were 1st on the waiting list The event is over, and no ticket came free in time." in await words(
        await browser.get(GIG)
    )


# Booking


async def test_booking_answers_with_the_page_that_says_you_are_in(browser: Browser, box_office: BoxOffice) -> None:
    await box_office.open_event("gig", tickets=2)
    answer = await browser.post(f"{GIG}/orders", form={"name": " Cleo  Moreau ", "email": " cleo@example.org "})
    assert (answer.status_code, answer.headers["Location"]) == (303, f"{GIG}#mine")
    page = await browser.get(GIG)
    assert page.headers["Cache-Control"] == "no-store"
    shown = await words(page)
    assert "Ticket gig Cleo Moreau You’re in Your order: keep this link" in shown
    assert "1 of 2 left" in shown
    assert (await box_office.place("gig", "cleo@example.org")).status == "booked"


async def test_what_a_guest_tells_is_kept_with_his_order(
    browser: Browser, box_office: BoxOffice, store: SqliteStore
) -> None:
    await box_office.open_event("gig", tickets=2)
    await browser.post(f"{GIG}/orders", form={"name": "Cleo Moreau", "email": "Cleo.M@Example.org"})
    placed = await box_office.place("gig", "cleo.m@example.org")
    order = await store.order(placed.order_id)
    assert order is not None
    assert (order.name, order.email) == ("Cleo Moreau", "Cleo.M@Example.org")


async def test_the_form_lets_browsers_help(browser: Browser, box_office: BoxOffice) -> None:
    await box_office.open_event("gig", tickets=2)
    page = await (await browser.get(GIG)).get_data(as_text=True)
    helpful = {"name": 'type="text" autocomplete="name"', "email": 'type="email" autocomplete="email"'}
    for name, attributes in helpful.items():
        field = re.search(rf'<input id="booking-{name}"[^>]*>', page)
        assert field is not None
        assert attributes in field[0]
        assert " required " in field[0]
        assert f'<label for="booking-{name}">' in page


async def test_the_same_address_in_other_capitals_is_the_same_guest(browser: Browser, box_office: BoxOffice) -> None:
    await box_office.open_event("gig", tickets=3)
    for email in ("cleo@example.org", "Cleo@Example.ORG"):
        answer = await browser.post(f"{GIG}/orders", form={"name": "Cleo", "email": email})
        assert answer.status_code == 303
    assert (await box_office.counts("gig")).booked == 1


async def test_two_guests_of_one_name_can_both_book(browser: Browser, box_office: BoxOffice) -> None:
    await box_office.open_event("gig", tickets=3)
    other = app_over(box_office).test_client()
    for guest, email in ((browser, "cleo@example.org"), (other, "other.cleo@example.org")):
        await guest.post(f"{GIG}/orders", form={"name": "Cleo Moreau", "email": email})
        assert "Cleo Moreau You’re in" in await words(await guest.get(GIG))
    assert (await box_office.counts("gig")).booked == 2


async def test_who_comes_late_reads_his_place_in_line(browser: Browser, box_office: BoxOffice) -> None:
    await sell_out(box_office, *(f"guest {number}" for number in range(7)))
    await browser.post(f"{GIG}/orders", form=CLEO)
    shown = await words(await browser.get(GIG))
    assert "Waiting list · Cleo Moreau You are 8th on the waiting list 7 people asked before you" in shown


async def test_only_the_browser_that_booked_shows_it(browser: Browser, box_office: BoxOffice) -> None:
    await box_office.open_event("gig", tickets=2)
    await browser.post(f"{GIG}/orders", form=CLEO)
    stranger = app_over(box_office).test_client()
    assert "Cleo" not in await words(await stranger.get(GIG))


async def test_who_has_booked_can_book_for_somebody_else(browser: Browser, box_office: BoxOffice) -> None:
    await box_office.open_event("gig", tickets=3)
    await browser.post(f"{GIG}/orders", form=CLEO)
    assert "Book for somebody else Name" in await words(await browser.get(GIG))
    await browser.post(f"{GIG}/orders", form={"name": "Dan", "email": "dan@example.org"})
    assert "gig Dan You’re in" in await words(await browser.get(GIG))
    assert (await box_office.counts("gig")).booked == 2


async def test_a_cancelled_order_is_said_to_be_gone_and_can_be_made_again(
    browser: Browser, box_office: BoxOffice
) -> None:
    await box_office.open_event("gig", tickets=1)
    await browser.post(f"{GIG}/orders", form=CLEO)
    await box_office.cancel("gig", "cleo@example.org", "organiser")
    assert "Cancelled · Cleo Moreau You have no place here any more" in await words(await browser.get(GIG))
    await browser.post(f"{GIG}/orders", form=CLEO)
    assert "You’re in" in await words(await browser.get(GIG))


async def test_somebody_elses_order_with_the_same_address_is_not_shown_as_ones_own(
    browser: Browser, box_office: BoxOffice
) -> None:
    await box_office.open_event("gig", tickets=1)
    await browser.post(f"{GIG}/orders", form=CLEO)
    await box_office.cancel("gig", "cleo@example.org", "organiser")
    other = await box_office.book("gig", "cleo@example.org", contact=Contact("Somebody", "cleo@example.org"))
    page = await browser.get(GIG)
    assert "You have no place here any more" in await words(page)
    assert other.order_id not in await page.get_data(as_text=True)
    assert "Somebody" not in await words(page)


async def test_a_name_that_was_deleted_is_gone_from_the_page(browser: Browser, box_office: BoxOffice) -> None:
    await sell_out(box_office)
    await browser.post(f"{GIG}/orders", form=CLEO)
    order_id = (await box_office.place("gig", "cleo@example.org")).order_id
    await box_office.erase("gig", "cleo@example.org", (order_id,))
    answer = await browser.get(GIG)
    assert "Waiting list You are 1st on the waiting list" in await words(answer)
    page = await answer.get_data(as_text=True)
    assert "Cleo" not in page
    assert "cleo@" not in page


async def test_sending_the_form_twice_does_no_harm(browser: Browser, box_office: BoxOffice) -> None:
    await box_office.open_event("gig", tickets=2)
    for _ in range(2):
        answer = await browser.post(f"{GIG}/orders", form=CLEO)
        assert answer.status_code == 303
    assert (await box_office.counts("gig")).booked == 1


async def test_an_address_that_was_used_before_is_told_kindly(browser: Browser, box_office: BoxOffice) -> None:
    await sell_out(box_office)
    await box_office.cancel("gig", "Bob", "organiser")
    for guest in ("bob@example.org", "cleo@example.org"):
        await box_office.book("gig", guest, contact=Contact("Told to nobody", guest))
    said = {"Bob@Example.org": "and has a ticket.", "cleo@example.org": "and is 1st on the waiting list."}
    for email, state in said.items():
        answer = await browser.post(f"{GIG}/orders", form={"name": "Dan", "email": email})
        assert answer.status_code == 200
        shown = await words(answer)
        assert f"Somebody with the address {email.lower()} has booked before {state}" in shown
        assert "Told to nobody" not in shown
        page = await answer.get_data(as_text=True)
        assert f'value="{email}"' in page
        assert 'value="Dan"' in page
        assert '<a href="#booking-email">' in page
        assert "/ui/orders/" not in page
        assert answer.headers["Cache-Control"] == "no-store"
    assert "You’re in" not in await words(await browser.get(GIG))


NO_NAME: Final = "Please enter a name."
NO_EMAIL: Final = "Please enter an e-mail address."
WRONG_NAME: Final = "Please use at most 200 characters, all of them visible."
WRONG_EMAIL: Final = "Please enter an address such as cleo@example.org."


@pytest.mark.parametrize(
    ("name", "email", "mistakes"),
    [
        ("", "", {"name": NO_NAME, "email": NO_EMAIL}),
        ("  \t ", "cleo@example.org", {"name": NO_NAME}),
        ("Cleo", " ", {"email": NO_EMAIL}),
        ("", "cleo", {"name": NO_NAME, "email": WRONG_EMAIL}),
        ("Cleo", "cleo@", {"email": WRONG_EMAIL}),
        ("Cleo", "cleo@example.org, dan@example.org", {"email": WRONG_EMAIL}),
        ("Cleo", f"{'x' * 250}@example.org", {"email": WRONG_EMAIL}),
        ("x" * 201, "", {"name": WRONG_NAME, "email": NO_EMAIL}),
        ("a\u202eb", "a\x00b@example.org", {"name": WRONG_NAME, "email": WRONG_EMAIL}),
        (HOSTILE, HOSTILE, {"email": WRONG_EMAIL}),
    ],
)
async def test_every_mistake_is_explained_next_to_what_was_typed(
    browser: Browser, box_office: BoxOffice, name: str, email: str, mistakes: dict[str, str]
) -> None:
    await box_office.open_event("gig", tickets=2)
    answer = await browser.post(f"{GIG}/orders", form={"name": name, "email": email})
    assert answer.status_code == 422
    page = await answer.get_data(as_text=True)
    links = [f'<p><a href="#booking-{field}">{said}</a></p>' for field, said in mistakes.items()]
    assert [page.index(link) for link in links] == sorted(page.index(link) for link in links)  # as the fields stand
    for field in ("name", "email"):
        found = re.search(rf'<input id="booking-{field}"[^>]*>', page)
        assert found is not None
        assert ('aria-invalid="true"' in found[0]) is (field in mistakes)
        assert (f'id="booking-{field}-mistake">{mistakes.get(field)}<' in page) is (field in mistakes)
    assert page.count("autofocus") == 1
    assert '<div class="mistakes" role="alert" tabindex="-1" autofocus>' in page
    assert "<script>alert" not in page
    assert "<img" not in page
    if name.isprintable():
        assert f'value="{name.strip()}"' in page or name == HOSTILE
    assert "<title>Not booked yet: gig" in page
    assert (await box_office.counts("gig")).booked == 0


async def test_what_a_guest_calls_himself_is_never_markup(browser: Browser, box_office: BoxOffice) -> None:
    await sell_out(box_office)
    await browser.post(f"{GIG}/orders", form={"name": HOSTILE, "email": "dan@example.org"})
    page = await (await browser.get(GIG)).get_data(as_text=True)
    assert "<script>alert" not in page
    assert "<bdi>&lt;script&gt;alert(1)&lt;/script&gt;" in page


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"", "application/x-www-form-urlencoded"),
        (b"name=%FF%FE%00&email=%FF&userId=%FF%FE%00", "application/x-www-form-urlencoded"),
        (b"name=Cleo&email=%00@example.org&userId=%00", "application/x-www-form-urlencoded"),
        (b'{"name": "Cleo", "email": "cleo@example.org", "userId": "Cleo"}', "application/json"),
        (b"--x\r\nnonsense", "multipart/form-data; boundary=x"),
        (b"nonsense", "multipart/form-data"),
        (b'--x\r\nContent-Disposition: form-data; name="userId"; filename="a"\r\n\r\nCleo\r\n--x--\r\n',
         "multipart/form-data; boundary=x"),
        (b'--x\r\nContent-Disposition: form-data; name="name"; filename="a"\r\n\r\nCleo\r\n--x--\r\n',
         "multipart/form-data; boundary=x"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("form", ["orders", "place"])
async def test_a_broken_form_changes_nothing(
    browser: Browser, box_office: BoxOffice, form: str, body: bytes, content_type: str
) -> None:
    await box_office.open_event("gig", tickets=2)
    answer = await browser.post(f"{GIG}/{form}", data=body, headers={"Content-Type": content_type})
    assert answer.status_code in {400, 422}
    assert (await box_office.counts("gig")).head == 1


async def test_a_busy_server_keeps_what_was_typed(
    browser: Browser, box_office: BoxOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def busy(*_: object, **__: object) -> None:
        raise Unavailable("overloaded", "Too many requests are waiting; nothing was changed", 3)

    await box_office.open_event("gig", tickets=2)
    monkeypatch.setattr(box_office, "book", busy)
    answer = await browser.post(f"{GIG}/orders", form=CLEO, headers=HTMX)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "3")
    page = await answer.get_data(as_text=True)
    assert "nothing was changed" in page
    for typed in CLEO.values():
        assert f'value="{typed}"' in page
    assert '<main id="main"' in page


async def test_a_form_from_another_site_is_not_carried_out(browser: Browser, box_office: BoxOffice) -> None:
    await box_office.open_event("gig", tickets=2)
    answer = await browser.post(f"{GIG}/orders", form=CLEO, headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 403
    assert "Another site’s page has sent this in your name." in await words(answer)
    assert (await box_office.counts("gig")).booked == 0


async def test_neither_name_nor_address_ever_stands_in_an_address(browser: Browser, box_office: BoxOffice) -> None:
    await box_office.open_event("gig", tickets=2)
    answer = await browser.post(f"{GIG}/orders", form=CLEO)
    assert answer.headers["Location"] == f"{GIG}#mine"
    page = await (await browser.get(GIG)).get_data(as_text=True)
    assert not [address for address in re.findall(r'(?:href|action|hx-[a-z]+)="([^"]*)"', page) if "leo" in address]


# Finding one's place


async def test_anybody_finds_the_place_he_booked(browser: Browser, box_office: BoxOffice) -> None:
    await sell_out(box_office, "cleo@example.org", "Dan")
    said = {
        "Bob": "Bob has a ticket.",
        " Cleo@example.org ": "cleo@example.org is 1st on the waiting list.",
        "Dan": "Dan is 2nd on the waiting list.",
        "Ada": "Nobody has booked here as Ada. Is it written as it was then?",
        HOSTILE: f"Nobody has booked here as {HOSTILE}.",
    }
    for typed, sentence in said.items():
        answer = await browser.post(f"{GIG}/place", form={"userId": typed})
        assert answer.status_code == 200
        assert answer.headers["Cache-Control"] == "no-store"
        assert sentence in await words(answer)
        assert "<script>alert" not in await answer.get_data(as_text=True)


async def test_asking_for_nobody_is_a_mistake(browser: Browser, box_office: BoxOffice) -> None:
    await box_office.open_event("gig", tickets=2)
    answer = await browser.post(f"{GIG}/place", form={"userId": " "})
    assert answer.status_code == 422
    page = await answer.get_data(as_text=True)
    assert f'<a href="#finding-userId">{event_page.WHOSE}</a>' in page


# What htmx gets


async def test_htmx_gets_only_the_block_that_it_swaps(browser: Browser, box_office: BoxOffice) -> None:
    await box_office.open_event("gig", tickets=2)
    mistaken = await browser.post(f"{GIG}/orders", form={"name": ""}, headers=HTMX)
    found = await browser.post(f"{GIG}/place", form={"userId": "Bob"}, headers=HTMX)
    await browser.post(f"{GIG}/orders", form=CLEO, headers=HTMX)
    booked = await browser.get(GIG, headers=HTMX)
    for answer, status, element in [(mistaken, 422, "event"), (found, 200, "place"), (booked, 200, "event")]:
        block = (await answer.get_data(as_text=True)).strip()
        assert answer.status_code == status
        assert re.match(rf'<(article|details) class="\w+" id="{element}"', block)
        assert "<html" not in block
        assert "HX-Request" in answer.headers["Vary"]
    page = await booked.get_data(as_text=True)
    assert "autofocus>You’re in" in page
    assert page.count("autofocus") == 1


async def test_the_browser_history_gets_the_whole_page(browser: Browser, box_office: BoxOffice) -> None:
    await box_office.open_event("gig", tickets=2)
    answer = await browser.get(GIG, headers={**HTMX, "HX-History-Restore-Request": "true"})
    assert "<html" in await answer.get_data(as_text=True)
