"""The pages, as a browser without scripts meets them; and what htmx gets where it asks."""

import re
from collections.abc import Awaitable, Callable
from typing import Final

import pytest
from quart.typing import TestClientProtocol as Browser

from tests.web.pages import HTMX, PASSWORD, USER, Clock, app_over, sign_in, words
from tests.web.test_dates import at
from webapp.booking.details import Details
from webapp.box_office import BoxOffice
from webapp.desk import Unavailable
from webapp.storage.sqlite import SqliteStore

GIG = "/ui/events/gig"
ORGANISE_GIG = "/ui/organise/events/gig"
NOINDEX = '<meta name="robots" content="noindex">'
HOSTILE = '<script>alert(1)</script>"><img src=x onerror=alert(1)>'


@pytest.fixture
def browser(box_office: BoxOffice) -> Browser:
    return app_over(box_office).test_client()


@pytest.fixture
async def organiser(box_office: BoxOffice) -> Browser:
    browser = app_over(box_office).test_client()
    await sign_in(browser)
    return browser


async def sell_out(box_office: BoxOffice, *waiting: str) -> None:
    """A gig with one ticket, which is Bob's, and with these people waiting."""
    await box_office.open_event("gig", tickets=1)
    for guest in ("Bob", *waiting):
        await box_office.book("gig", guest)


# An event


async def test_an_event_shows_its_tickets_and_a_button_that_says_what_will_happen(
    browser: Browser, box_office: BoxOffice
) -> None:
    await box_office.open_event("gig", tickets=80)
    answer = await browser.get(GIG)
    assert answer.headers["Cache-Control"] == "no-cache"
    shown = await words(answer)
    assert "80 of 80 left" in shown
    assert "Book a ticket" in shown
    assert "When someone cancels, the first person waiting gets the ticket, at once." in shown


async def test_every_event_has_an_address_of_its_own(browser: Browser, box_office: BoxOffice) -> None:
    for event_id in ("a/b", "a b", "日本", HOSTILE, "a~b", ".hidden", "100%"):
        await box_office.open_event(event_id, tickets=3)
    listed = await (await browser.get("/ui")).get_data(as_text=True)
    addresses = re.findall(r'<a href="(/ui/events/[^"]+)"', listed)
    assert len(set(addresses)) == 7
    for address in addresses:
        answer = await browser.get(address)
        assert answer.status_code == 200
        assert "<script>alert" not in await answer.get_data(as_text=True)


@pytest.mark.parametrize("page", [GIG, f"{GIG}/stream", "/ui/events/~ZZ", "/ui/nowhere", f"{GIG}/nothing"])
async def test_what_is_not_there_is_a_page_that_leads_on(browser: Browser, page: str) -> None:
    answer = await browser.get(page)
    assert answer.status_code == 404
    assert "Is the link complete?" in await words(answer)
    assert 'href="/ui"' in await answer.get_data(as_text=True)


# What an organiser tells about an event


async def test_an_event_shows_what_it_is_and_when_and_where(browser: Browser, box_office: BoxOffice) -> None:
    details = Details(
        title="Summer night", venue="Stadtpark", description="Bring a blanket.\n\nSee https://example.org",
        starts_at=at("2096-11-27T20:00"), ends_at=at("2096-11-27T23:00"), time_zone="Europe/Berlin",
    )  # fmt: skip
    await box_office.create_event("gig", 2, details)
    facts = "Summer night Tuesday 27 November 2096, 20:00–23:00 (Europe/Berlin) Stadtpark"
    shown = await words(await browser.get(GIG))
    assert facts in shown
    assert "Bring a blanket. See https://example.org" in shown
    assert "Booking closes Tuesday 27 November 2096, 20:00 (Europe/Berlin)." in shown


@pytest.mark.parametrize("path", ["/ui", GIG, "/ui/organise", ORGANISE_GIG])
async def test_what_an_organiser_writes_is_never_markup(organiser: Browser, box_office: BoxOffice, path: str) -> None:
    await box_office.create_event("gig", 2, Details(title=HOSTILE, venue=HOSTILE, description=HOSTILE))
    page = await (await organiser.get(path)).get_data(as_text=True)
    assert "<script>alert" not in page
    assert "<img" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


async def test_a_hidden_event_is_in_no_list_but_at_its_address(
    browser: Browser, organiser: Browser, box_office: BoxOffice
) -> None:
    await box_office.create_event("gig", 2, Details(title="A private view", hidden=True))
    await box_office.open_event("wine", tickets=16)
    assert "A private view" not in await words(await browser.get("/ui"))
    answer = await browser.get(GIG)
    assert "A private view" in await words(answer)
    assert NOINDEX in await answer.get_data(as_text=True)
    assert NOINDEX not in await (await browser.get("/ui/events/wine")).get_data(as_text=True)
    assert (await browser.post(f"{GIG}/orders", form={"userId": "Cleo"})).status_code == 303
    assert "A private view Hidden Page for guests" in await words(await organiser.get("/ui/organise"))
    assert "A private view Hidden In no list;" in await words(await organiser.get(ORGANISE_GIG))


# When booking opens and closes


@pytest.fixture
def clock() -> Clock:
    return Clock(at("2026-11-20T12:00"))


@pytest.fixture
async def office(store: SqliteStore, start: Callable[[BoxOffice], Awaitable[BoxOffice]], clock: Clock) -> BoxOffice:
    """A box office with a gig that can be booked in the evening of 27 November 2026."""
    office = await start(BoxOffice(store, clock=clock))
    opens_at, closes_at = at("2026-11-27T18:00"), at("2026-11-27T22:00")
    await office.create_event("gig", 1, Details(opens_at=opens_at, closes_at=closes_at, time_zone="Europe/Berlin"))
    return office


BEFORE, WHILE_OPEN, AFTER = (at(f"2026-11-27T{time}") for time in ("17:59", "18:00", "22:00"))
WILL_OPEN: Final = "Booking opens Friday 27 November 18:00 (Europe/Berlin)"
HAS_CLOSED: Final = "Booking has closed It closed Friday 27 November 22:00 (Europe/Berlin)."


async def test_an_event_can_be_booked_from_the_moment_it_opens_until_it_closes(office: BoxOffice, clock: Clock) -> None:
    browser = app_over(office).test_client()
    for now, said, listed, is_open in [
        (BEFORE, WILL_OPEN, "gig Opens Friday 27 November 18:00 (Europe/Berlin)", False),
        (WHILE_OPEN, "Book a ticket", "gig 1 of 1 left", True),
        (AFTER, HAS_CLOSED, "gig Booking has closed", False),
    ]:
        clock.now = now
        for _ in range(2):  # the second time, it may come from what was kept
            answer = await browser.get(GIG)
            assert said in await words(answer)
            assert (f'action="{GIG}/orders"' in await answer.get_data(as_text=True)) is is_open
            assert listed in await words(await browser.get("/ui"))
    assert WILL_OPEN not in await words(await browser.get(GIG))


@pytest.mark.parametrize("headers", [{}, HTMX])
@pytest.mark.parametrize(
    ("now", "said"),
    [(BEFORE, f"Booking has not opened yet. {WILL_OPEN}"), (AFTER, f"Booking has closed. {HAS_CLOSED}")],
)
async def test_who_books_too_early_or_too_late_is_told_on_the_page(
    office: BoxOffice, clock: Clock, now: int, said: str, headers: dict[str, str]
) -> None:
    clock.now = now
    answer = await app_over(office).test_client().post(f"{GIG}/orders", form={"userId": "Cleo"}, headers=headers)
    assert answer.status_code == 409
    assert answer.headers["Cache-Control"] == "no-store"
    assert said in await words(answer)
    assert '<main id="main"' in await answer.get_data(as_text=True)
    assert (await office.counts("gig")).booked == 0


async def test_who_has_booked_sees_his_place_after_booking_has_closed(office: BoxOffice, clock: Clock) -> None:
    browser = app_over(office).test_client()
    clock.now = WHILE_OPEN
    await browser.post(f"{GIG}/orders", form={"userId": "Cleo"})
    clock.now = AFTER
    shown = await words(await browser.get(GIG))
    assert "You’re in" in shown
    assert HAS_CLOSED in shown
    again = await browser.post(f"{GIG}/orders", form={"userId": "Cleo"})
    assert (again.status_code, again.headers["Location"]) == (303, f"{GIG}#mine")


async def test_only_a_page_that_waits_for_booking_to_open_looks_for_it(office: BoxOffice, clock: Clock) -> None:
    browser = app_over(office).test_client()
    for now, looks in [(BEFORE, True), (WHILE_OPEN, False), (AFTER, False)]:
        clock.now = now
        page = await (await browser.get(GIG)).get_data(as_text=True)
        assert ('id="booking" aria-label="Booking" data-poll>' in page) is looks
        assert 'id="booking"' in page


@pytest.mark.parametrize(
    ("now", "said"),
    [
        (BEFORE, f"Booking has not opened yet; nobody can be booked now. {WILL_OPEN}."),
        (AFTER, "Booking has closed; nobody can be booked now. Booking has closed: Friday 27 November 22:00"),
    ],
)
async def test_an_organiser_reads_why_nobody_can_be_booked(
    office: BoxOffice, clock: Clock, now: int, said: str
) -> None:
    organiser = app_over(office).test_client()
    await sign_in(organiser)
    clock.now = now
    answer = await organiser.post(f"{ORGANISE_GIG}/orders", form={"userId": "Cleo"})
    assert answer.status_code == 422
    assert said in await words(answer)
    assert 'value="Cleo"' in await answer.get_data(as_text=True)


# Booking


async def test_booking_answers_with_the_page_that_says_you_are_in(browser: Browser, box_office: BoxOffice) -> None:
    await box_office.open_event("gig", tickets=2)
    answer = await browser.post(f"{GIG}/orders", form={"userId": " Cleo "})
    assert (answer.status_code, answer.headers["Location"]) == (303, f"{GIG}#mine")
    page = await browser.get(GIG)
    assert page.headers["Cache-Control"] == "no-store"
    shown = await words(page)
    assert "Ticket gig Cleo You’re in" in shown
    assert "1 of 2 left" in shown
    assert (await box_office.place("gig", "Cleo")).status == "booked"


async def test_who_comes_late_reads_his_place_in_line(browser: Browser, box_office: BoxOffice) -> None:
    await sell_out(box_office, *(f"guest {number}" for number in range(7)))
    await browser.post(f"{GIG}/orders", form={"userId": "Cleo"})
    assert "You are 8th on the waiting list 7 people asked before you" in await words(await browser.get(GIG))


async def test_only_the_browser_that_booked_shows_it(browser: Browser, box_office: BoxOffice) -> None:
    await box_office.open_event("gig", tickets=2)
    await browser.post(f"{GIG}/orders", form={"userId": "Cleo"})
    stranger = app_over(box_office).test_client()
    assert "Cleo" not in await words(await stranger.get(GIG))


async def test_a_cancelled_order_is_said_to_be_gone_and_can_be_made_again(
    browser: Browser, box_office: BoxOffice
) -> None:
    await box_office.open_event("gig", tickets=1)
    await browser.post(f"{GIG}/orders", form={"userId": "Cleo"})
    await box_office.cancel("gig", "Cleo", "organiser")
    assert "You have no place here any more" in await words(await browser.get(GIG))
    await browser.post(f"{GIG}/orders", form={"userId": "Cleo"})
    assert "You’re in" in await words(await browser.get(GIG))


async def test_somebody_elses_order_of_the_same_name_is_not_shown_as_ones_own(
    browser: Browser, box_office: BoxOffice
) -> None:
    await box_office.open_event("gig", tickets=1)
    await browser.post(f"{GIG}/orders", form={"userId": "Cleo"})
    await box_office.cancel("gig", "Cleo", "organiser")
    other = await box_office.book("gig", "Cleo")
    page = await browser.get(GIG)
    assert "You have no place here any more" in await words(page)
    assert other.order_id not in await page.get_data(as_text=True)


async def test_sending_the_form_twice_does_no_harm(browser: Browser, box_office: BoxOffice) -> None:
    await box_office.open_event("gig", tickets=2)
    for _ in range(2):
        answer = await browser.post(f"{GIG}/orders", form={"userId": "Cleo"})
        assert answer.status_code == 303
    assert (await box_office.counts("gig")).booked == 1


async def test_a_name_that_was_used_before_is_told_kindly(browser: Browser, box_office: BoxOffice) -> None:
    await sell_out(box_office, "Cleo")
    for name, state in {"Bob": "and has a ticket.", "Cleo": "and is 1st on the waiting list."}.items():
        answer = await browser.post(f"{GIG}/orders", form={"userId": name})
        assert answer.status_code == 200
        assert f"Somebody called “{name}” has booked before {state}" in await words(answer)
        assert f'value="{name}"' in await answer.get_data(as_text=True)
        assert answer.headers["Cache-Control"] == "no-store"
    assert "You’re in" not in await words(await browser.get(GIG))


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("", "Please enter a name."),
        ("  \t ", "Please enter a name."),
        ("x" * 256, "Please use at most 255 characters, all of them visible."),
        ("a\u202eb", "Please use at most 255 characters, all of them visible."),
        ("a\x00b", "Please use at most 255 characters, all of them visible."),
    ],
)
async def test_a_mistake_is_explained_next_to_what_was_typed(
    browser: Browser, box_office: BoxOffice, typed: str, said: str
) -> None:
    await box_office.open_event("gig", tickets=2)
    answer = await browser.post(f"{GIG}/orders", form={"userId": typed})
    assert answer.status_code == 422
    page = await answer.get_data(as_text=True)
    assert f'<a href="#booking-userId">{said}</a>' in page
    assert 'aria-invalid="true"' in page
    assert page.count("autofocus") == 1
    assert f'value="{typed.strip()}"' in page
    assert "<title>Not booked yet: gig" in page
    assert (await box_office.counts("gig")).booked == 0


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"", "application/x-www-form-urlencoded"),
        (b"userId=%FF%FE%00", "application/x-www-form-urlencoded"),
        (b'{"userId": "Cleo"}', "application/json"),
        (b"--x\r\nnonsense", "multipart/form-data; boundary=x"),
        (b"nonsense", "multipart/form-data"),
        (b'--x\r\nContent-Disposition: form-data; name="userId"; filename="a"\r\n\r\nCleo\r\n--x--\r\n',
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
    async def busy(*_: object) -> None:
        raise Unavailable("overloaded", "Too many requests are waiting; nothing was changed", 3)

    await box_office.open_event("gig", tickets=2)
    monkeypatch.setattr(box_office, "book", busy)
    answer = await browser.post(f"{GIG}/orders", form={"userId": "Cleo"}, headers=HTMX)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "3")
    page = await answer.get_data(as_text=True)
    assert "nothing was changed" in page
    assert 'value="Cleo"' in page
    assert '<main id="main"' in page


async def test_a_form_from_another_site_is_not_carried_out(browser: Browser, box_office: BoxOffice) -> None:
    await box_office.open_event("gig", tickets=2)
    headers = {"Sec-Fetch-Site": "cross-site"}
    answer = await browser.post(f"{GIG}/orders", form={"userId": "Cleo"}, headers=headers)
    assert answer.status_code == 403
    assert "Another site’s page has sent this in your name." in await words(answer)
    assert (await box_office.counts("gig")).booked == 0


# Finding one's place


async def test_anybody_finds_the_place_he_booked(browser: Browser, box_office: BoxOffice) -> None:
    await sell_out(box_office, "Cleo", "Dan")
    said = {
        "Bob": "Bob has a ticket.",
        "Dan": "Dan is 2nd on the waiting list.",
        "Ada": "Nobody called Ada has a place here. Is it spelt as it was booked?",
    }
    for name, sentence in said.items():
        answer = await browser.post(f"{GIG}/place", form={"userId": name})
        assert answer.status_code == 200
        assert answer.headers["Cache-Control"] == "no-store"
        assert sentence in await words(answer)


async def test_asking_for_nobody_is_a_mistake(browser: Browser, box_office: BoxOffice) -> None:
    await box_office.open_event("gig", tickets=2)
    answer = await browser.post(f"{GIG}/place", form={"userId": " "})
    assert answer.status_code == 422
    assert '<a href="#finding-userId">Please enter a name.</a>' in await answer.get_data(as_text=True)


# What htmx gets


async def test_htmx_gets_only_the_block_that_it_swaps(browser: Browser, box_office: BoxOffice) -> None:
    await box_office.open_event("gig", tickets=2)
    mistaken = await browser.post(f"{GIG}/orders", form={"userId": ""}, headers=HTMX)
    found = await browser.post(f"{GIG}/place", form={"userId": "Bob"}, headers=HTMX)
    await browser.post(f"{GIG}/orders", form={"userId": "Cleo"}, headers=HTMX)
    booked = await browser.get(GIG, headers=HTMX)
    for answer, status, element in [(mistaken, 422, "event"), (found, 200, "place"), (booked, 200, "event")]:
        block = (await answer.get_data(as_text=True)).strip()
        assert answer.status_code == status
        assert re.match(rf'<(article|details) class="\w+" id="{element}"', block)
        assert "<html" not in block
        assert "HX-Request" in answer.headers["Vary"]
    assert "autofocus>You’re in" in await booked.get_data(as_text=True)


async def test_the_browser_history_gets_the_whole_page(browser: Browser, box_office: BoxOffice) -> None:
    await box_office.open_event("gig", tickets=2)
    answer = await browser.get(GIG, headers={**HTMX, "HX-History-Restore-Request": "true"})
    assert "<html" in await answer.get_data(as_text=True)


# Signing in


async def test_a_stranger_is_sent_to_the_sign_in_and_back(browser: Browser, box_office: BoxOffice) -> None:
    await box_office.open_event("gig", tickets=2)
    sent = await browser.get(ORGANISE_GIG)
    assert (sent.status_code, sent.headers["Location"]) == (303, f"/ui/sign-in?next={ORGANISE_GIG}")
    page = await (await browser.get(sent.headers["Location"])).get_data(as_text=True)
    assert f'name="next" value="{ORGANISE_GIG}"' in page
    answer = await sign_in(browser, next=ORGANISE_GIG)
    assert (answer.status_code, answer.headers["Location"]) == (303, ORGANISE_GIG)
    assert (await browser.get(ORGANISE_GIG)).status_code == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/ui/organise"),
        ("POST", "/ui/organise/events"),
        ("GET", "/ui/organise/stream"),
        ("GET", ORGANISE_GIG),
        ("GET", f"{ORGANISE_GIG}%0A%00"),
        ("POST", f"{ORGANISE_GIG}/orders"),
        ("GET", f"{ORGANISE_GIG}/cancellation"),
        ("POST", f"{ORGANISE_GIG}/cancellation"),
    ],
)
async def test_a_stranger_organises_nothing(browser: Browser, box_office: BoxOffice, method: str, path: str) -> None:
    await sell_out(box_office)
    form = {"userId": "Bob", "confirmed": "yes", "eventId": "new", "tickets": "1"}
    answer = await (browser.get(path) if method == "GET" else browser.post(path, form=form))
    assert answer.status_code == 303
    assert answer.headers["Location"].startswith("/ui/sign-in?next=/ui/organise")
    assert (await box_office.counts("gig")).head == 2
    assert len((await box_office.events(2)).events) == 1


async def test_a_wrong_password_is_told_and_opens_nothing(browser: Browser) -> None:
    answer = await sign_in(browser, "wrong")
    assert answer.status_code == 422
    assert "The user name or the password is wrong." in await words(answer)
    page = await answer.get_data(as_text=True)
    assert f'value="{USER}"' in page
    assert "wrong" not in re.findall(r'value="([^"]*)"', page)
    assert (await browser.get("/ui/organise")).status_code == 303


async def test_guessing_is_slowed_down_in_words(browser: Browser) -> None:
    for number in range(50):
        answer = await sign_in(browser, f"guess {number}")
        if answer.status_code == 429:
            break
    assert int(answer.headers["Retry-After"]) >= 1
    assert re.search(r"Too many attempts. Please try again in \d+ seconds?\.", await words(answer))


@pytest.mark.parametrize(
    "wanted",
    ["https://evil.example", "//evil.example", "/\\evil.example", "/ui//evil.example", "javascript:alert(1)",
     "/ui/../book", "/ui\r\nSet-Cookie: a=b", "/ui@evil.example", "/book", " /ui"],
)  # fmt: skip
async def test_the_sign_in_leads_nowhere_else(browser: Browser, wanted: str) -> None:
    answer = await sign_in(browser, next=wanted)
    assert answer.headers["Location"] == "/ui/organise"


async def test_signing_out_ends_the_session_for_copies_of_its_cookie_too(
    organiser: Browser, box_office: BoxOffice
) -> None:
    assert (await organiser.get("/ui/organise")).status_code == 200
    answer = await organiser.post("/ui/sign-out")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/ui")
    assert (await organiser.get("/ui/organise")).status_code == 303


async def test_behind_https_cookies_are_for_this_host_alone_and_never_sent_in_the_clear(box_office: BoxOffice) -> None:
    browser = app_over(box_office, PUBLIC_URL="https://tickets.example.org").test_client()
    cookie = (await sign_in(browser)).headers["Set-Cookie"]
    assert cookie.startswith("__Host-fairlist-session=")
    assert "Secure" in cookie


async def test_the_session_cookie_is_kept_from_scripts_and_other_sites(browser: Browser) -> None:
    cookie = (await sign_in(browser)).headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert PASSWORD not in cookie


async def test_in_the_test_mode_everybody_is_the_organiser(box_office: BoxOffice) -> None:
    browser = app_over(box_office, APP_ENV="test").test_client()
    shown = await words(await browser.get("/ui/organise"))
    assert "Test mode: everybody is the organiser, and nothing is kept." in shown
    assert "Sign out" not in shown


async def test_the_demo_says_so_on_every_page(box_office: BoxOffice) -> None:
    await box_office.open_event("gig", tickets=2)
    browser = app_over(box_office, APP_ENV="demo").test_client()
    for page in ("/ui", GIG, "/ui/sign-in", "/ui/nowhere"):
        assert "This is a demo: its data is temporary. Organisers sign in with admin and password." in await words(
            await browser.get(page)
        )


# Organising


async def test_an_organiser_opens_an_event_and_is_led_to_it(organiser: Browser, box_office: BoxOffice) -> None:
    answer = await organiser.post("/ui/organise/events", form={"eventId": "Summer night", "tickets": " 80 "})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/ui/organise/events/Summer~20night")
    shown = await organiser.get(answer.headers["Location"])
    assert "The event is open." in await words(shown)
    assert 'href="/ui/events/Summer~20night"' in await shown.get_data(as_text=True)
    assert (await box_office.counts("Summer night")).capacity == 80


async def test_what_was_done_is_told_once(organiser: Browser) -> None:
    answer = await organiser.post("/ui/organise/events", form={"eventId": "gig", "tickets": "80"})
    assert "The event is open." in await words(await organiser.get(answer.headers["Location"]))
    assert "The event is open." not in await words(await organiser.get(answer.headers["Location"]))


async def test_opening_an_event_again_leads_to_it(organiser: Browser, box_office: BoxOffice) -> None:
    await box_office.open_event("gig", tickets=80)
    answer = await organiser.post("/ui/organise/events", form={"eventId": "gig", "tickets": "80"})
    assert answer.headers["Location"] == ORGANISE_GIG
    assert "The event was open already; nothing changed." in await words(await organiser.get(ORGANISE_GIG))


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({}, "Please give the event a name. Please say how many tickets there are."),
        ({"eventId": "/a", "tickets": "x"}, "A name cannot begin with a slash. Please enter a whole number from 0"),
        ({"eventId": "new", "tickets": "-1"}, "Please enter a whole number from 0 to 1,000,000."),
        ({"eventId": "new", "tickets": "1000001"}, "Please enter a whole number from 0 to 1,000,000."),
        ({"eventId": "gig", "tickets": "81"}, "The event exists already, with 80 tickets. Choose another name."),
    ],
)
async def test_an_event_that_cannot_be_opened_is_explained(
    organiser: Browser, box_office: BoxOffice, form: dict[str, str], said: str
) -> None:
    await box_office.open_event("gig", tickets=80)
    answer = await organiser.post("/ui/organise/events", form=form)
    assert answer.status_code == 422
    assert said in await words(answer)
    for value in form.values():
        assert f'value="{value}"' in await answer.get_data(as_text=True)


async def test_an_organiser_books_for_others(organiser: Browser, box_office: BoxOffice) -> None:
    await box_office.open_event("gig", tickets=1)
    said = {
        "Bob": "\u2068Bob\u2069 has a ticket.",
        "Cleo": "\u2068Cleo\u2069 is 1st on the waiting list.",
    }
    for name, sentence in [*said.items(), ("Cleo", "1st on the waiting list already; nothing changed.")]:
        answer = await organiser.post(f"{ORGANISE_GIG}/orders", form={"userId": name})
        assert (answer.status_code, answer.headers["Location"]) == (303, ORGANISE_GIG)
        assert sentence in await words(await organiser.get(ORGANISE_GIG))


async def test_booking_for_nobody_is_a_mistake(organiser: Browser, box_office: BoxOffice) -> None:
    await box_office.open_event("gig", tickets=1)
    answer = await organiser.post(f"{ORGANISE_GIG}/orders", form={"userId": ""})
    assert answer.status_code == 422
    assert '<a href="#book-userId">Please enter a name.</a>' in await answer.get_data(as_text=True)


@pytest.mark.parametrize(
    ("waiting", "guest", "question", "said"),
    [
        ([], "Bob", "Cancel the ticket of Bob? Nobody waits, so the ticket is free", "cancelled."),
        (
            ["Cleo"],
            "Bob",
            "The ticket goes to the one person waiting, at once.",
            "The ticket went to \u2068Cleo\u2069.",
        ),
        (["Cleo", "Dan"], "Bob", "The ticket goes to the first of 2 people waiting", "went to \u2068Cleo\u2069."),
        (
            ["Cleo", "Dan"],
            "Cleo",
            "Take Cleo off the waiting list? Cleo is 1st of 2. Whoever stands behind",
            "cancelled.",
        ),
        (["Cleo", "Dan"], "Dan", "Take Dan off the waiting list? Dan is 2nd of 2. This", "cancelled."),
    ],
)
async def test_cancelling_asks_first_and_tells_what_follows(
    organiser: Browser, box_office: BoxOffice, waiting: list[str], guest: str, question: str, said: str
) -> None:
    await sell_out(box_office, *waiting)
    before = await box_office.counts("gig")
    asked = await organiser.post(f"{ORGANISE_GIG}/cancellation", form={"userId": guest})
    assert asked.status_code == 200
    assert question in await words(asked)
    assert await box_office.counts("gig") == before
    answer = await organiser.post(f"{ORGANISE_GIG}/cancellation", form={"userId": guest, "confirmed": "yes"})
    assert (answer.status_code, answer.headers["Location"]) == (303, ORGANISE_GIG)
    assert said in await words(await organiser.get(ORGANISE_GIG))


@pytest.mark.parametrize("confirmed", ["", "yes"])
async def test_cancelling_nobody_is_told_with_the_name_kept(
    organiser: Browser, box_office: BoxOffice, confirmed: str
) -> None:
    await sell_out(box_office)
    form = {"userId": "Dan", "confirmed": confirmed}
    answer = await organiser.post(f"{ORGANISE_GIG}/cancellation", form=form)
    assert answer.status_code == 422
    assert "Nobody called “Dan” has a ticket or waits here." in await words(answer)
    assert 'value="Dan"' in await answer.get_data(as_text=True)


async def test_who_is_erased_and_gets_a_ticket_is_not_named(organiser: Browser, box_office: BoxOffice) -> None:
    await box_office.open_event("gig", tickets=1)
    await box_office.book("gig", "Bob")
    cleo = await box_office.book("gig", "Cleo")
    await box_office.erase("gig", "Cleo", (cleo.order_id,))
    await organiser.post(f"{ORGANISE_GIG}/cancellation", form={"userId": "Bob", "confirmed": "yes"})
    assert "The ticket went to somebody whose name was erased." in await words(await organiser.get(ORGANISE_GIG))


async def test_who_has_arrived_cannot_be_cancelled(organiser: Browser, box_office: BoxOffice) -> None:
    await sell_out(box_office)
    await box_office.check_in("gig", "Bob", (await box_office.place("gig", "Bob")).order_id, None)
    answer = await organiser.post(f"{ORGANISE_GIG}/cancellation", form={"userId": "Bob", "confirmed": "yes"})
    assert answer.status_code == 422
    assert "The guest has arrived: undo the check-in before cancelling." in await words(answer)
    assert 'value="Bob"' in await answer.get_data(as_text=True)
    assert (await box_office.counts("gig")).booked == 1


async def test_who_cancels_for_others_after_the_start_reads_that_nobody_follows(
    organiser: Browser, box_office: BoxOffice
) -> None:
    await sell_out(box_office, "Cleo")
    await box_office.revise("gig", details=Details(starts_at=at("2020-01-01T20:00")))
    answer = await organiser.post(f"{ORGANISE_GIG}/cancellation", form={"userId": "Bob"})
    assert "The event has begun: nobody else gets the ticket." in await words(answer)


async def test_the_address_of_a_cancellation_leads_to_its_form(organiser: Browser, box_office: BoxOffice) -> None:
    await sell_out(box_office)
    answer = await organiser.get(f"{ORGANISE_GIG}/cancellation")
    assert (answer.status_code, answer.headers["Location"]) == (303, f"{ORGANISE_GIG}#cancel")


async def test_the_panel_shows_every_event_with_its_state_and_both_its_pages(
    organiser: Browser, box_office: BoxOffice
) -> None:
    assert "Nothing is open yet." in await words(await organiser.get("/ui/organise"))
    await sell_out(box_office, "Cleo")
    answer = await organiser.get("/ui/organise")
    page = await answer.get_data(as_text=True)
    assert "gig Page for guests Sold out Waiting list: 1" in await words(answer)
    assert f'href="{GIG}"' in page
    assert f'href="{ORGANISE_GIG}"' in page
    assert answer.headers["Cache-Control"] == "no-store"


async def test_a_name_never_stands_in_an_address(organiser: Browser, box_office: BoxOffice) -> None:
    await sell_out(box_office, "Cleo")
    answers = [
        await organiser.post(f"{GIG}/orders", form={"userId": "Dan"}),
        await organiser.post(f"{ORGANISE_GIG}/orders", form={"userId": "Dan"}),
        await organiser.post(f"{ORGANISE_GIG}/cancellation", form={"userId": "Dan", "confirmed": "yes"}),
    ]
    assert not [answer for answer in answers if "Dan" in answer.headers["Location"]]


async def test_a_notice_that_is_no_notice_is_left_out(organiser: Browser, box_office: BoxOffice) -> None:
    await sell_out(box_office)
    for value in ("x", "%FF", "_w==", "PHNjcmlwdD4="):
        organiser.set_cookie("localhost", "fairlist-notice", value)
        answer = await organiser.get(ORGANISE_GIG)
        assert answer.status_code == 200
        assert "<script>" not in await answer.get_data(as_text=True)
