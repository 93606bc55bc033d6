"""The pages, as a browser without scripts meets them; and what htmx gets where it asks."""

import re
from typing import Final

import pytest
from quart.typing import TestClientProtocol as Browser

from tests.web.pages import PASSWORD, USER, Clock, app_over, sign_in, words
from tests.web.test_dates import at
from webapp.booking.details import Details
from webapp.box_office import BoxOffice

GIG = "/ui/events/gig"
ORGANISE_GIG = "/ui/organise/events/gig"
NOINDEX = '<meta name="robots" content="noindex">'
CLEO = {"name": "Cleo", "email": "cleo@example.org"}
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
    assert (await browser.post(f"{GIG}/orders", form=CLEO)).status_code == 303
    assert "A private view 1 of 2 booked Hidden" in await words(await organiser.get("/ui/organise"))
    assert "A private view Hidden In no list;" in await words(await organiser.get(ORGANISE_GIG))


# When booking opens and closes


@pytest.fixture
def clock() -> Clock:
    return Clock(at("2026-11-20T12:00"))


@pytest.fixture
async def office(office: BoxOffice) -> BoxOffice:
    """A box office with a gig that can be booked in the evening of 27 November 2026."""
    opens_at, closes_at = at("2026-11-27T18:00"), at("2026-11-27T22:00")
    await office.create_event("gig", 1, Details(opens_at=opens_at, closes_at=closes_at, time_zone="Europe/Berlin"))
    return office


BEFORE, WHILE_OPEN, AFTER = (at(f"2026-11-27T{time}") for time in ("17:59", "18:00", "22:00"))
WILL_OPEN: Final = "Booking opens Friday 27 November 18:00 (Europe/Berlin)"
HAS_CLOSED: Final = "Booking has closed It closed Friday 27 November 22:00 (Europe/Berlin)."


@pytest.mark.parametrize(
    ("now", "said"),
    [
        (BEFORE, "not opened yet. Nobody can be booked now: booking opens Friday 27 November 18:00 (Europe/Berlin)."),
        (AFTER, "has closed. Nobody can be booked now: booking closed Friday 27 November 22:00 (Europe/Berlin)."),
    ],
)
async def test_an_organiser_reads_why_nobody_can_be_booked(
    office: BoxOffice, clock: Clock, now: int, said: str
) -> None:
    organiser = app_over(office).test_client()
    await sign_in(organiser)
    clock.now = now
    answer = await organiser.post(f"{ORGANISE_GIG}/orders", form={"name": "Cleo"})
    assert answer.status_code == 422
    assert said in await words(answer)


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
        ("GET", "/ui/organise/new"),
        ("POST", "/ui/organise/new"),
        ("GET", f"{ORGANISE_GIG}/stream"),
        ("GET", f"{ORGANISE_GIG}/settings"),
        ("POST", f"{ORGANISE_GIG}/settings"),
        ("GET", f"{ORGANISE_GIG}/settings/capacity?tickets=9"),
        ("POST", f"{ORGANISE_GIG}/settings/capacity"),
        ("POST", f"{ORGANISE_GIG}/settings/visibility"),
        ("POST", f"{ORGANISE_GIG}/settings/closing"),
        ("POST", f"{ORGANISE_GIG}/settings/opening"),
        ("POST", f"{ORGANISE_GIG}/settings/deletion"),
        ("GET", "/ui/organise/stream"),
        ("GET", ORGANISE_GIG),
        ("GET", f"{ORGANISE_GIG}%0A%00"),
        ("POST", f"{ORGANISE_GIG}/orders"),
        ("GET", f"{ORGANISE_GIG}/guests"),
        ("GET", f"{ORGANISE_GIG}/guests.csv"),
        ("GET", f"{ORGANISE_GIG}/guests/stream"),
        ("POST", f"{ORGANISE_GIG}/check-in"),
        ("GET", f"{ORGANISE_GIG}/ledger"),
        ("GET", "/ui/organise/tickets/0000-0000-0000"),
    ],
)
async def test_a_stranger_organises_nothing(browser: Browser, box_office: BoxOffice, method: str, path: str) -> None:
    await sell_out(box_office)
    form = {"userId": "Bob", "confirmed": "yes", "title": "new", "time_zone": "UTC", "tickets": "9", "revision": "1"}
    answer = await (browser.get(path) if method == "GET" else browser.post(path, form=form))
    assert answer.status_code == 303
    assert answer.headers["Location"].startswith("/ui/sign-in?next=/ui/organise")
    assert (await box_office.counts("gig")).head == 2
    assert len((await box_office.events(2)).events) == 1


async def test_the_sign_in_masks_the_password_and_lets_password_managers_in(browser: Browser) -> None:
    page = await (await browser.get("/ui/sign-in")).get_data(as_text=True)
    (user,) = re.findall(r'<input [^>]*name="user"[^>]*>', page)
    (password,) = re.findall(r'<input [^>]*name="password"[^>]*>', page)
    assert 'autocomplete="username"' in user
    assert 'type="password"' in password
    assert 'autocomplete="current-password"' in password


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


async def test_signing_in_again_ends_the_session_of_before_and_no_other(browser: Browser) -> None:
    other, copied = browser.app.test_client(), browser.app.test_client(use_cookies=False)
    await sign_in(other)
    before = {"Cookie": (await sign_in(browser)).headers["Set-Cookie"].partition(";")[0]}
    assert (await copied.get("/ui/organise", headers=before)).status_code == 200
    await sign_in(browser)
    assert (await copied.get("/ui/organise", headers=before)).status_code == 303
    assert [(await one.get("/ui/organise")).status_code for one in (browser, other)] == [200, 200]


async def test_behind_https_cookies_are_for_this_host_alone_and_never_sent_in_the_clear(box_office: BoxOffice) -> None:
    browser = app_over(box_office, PUBLIC_URL="https://tickets.example.org").test_client()
    cookie = (await sign_in(browser)).headers["Set-Cookie"]
    assert cookie.startswith("__Host-fairlist-session=")
    assert "Secure" in cookie


@pytest.mark.parametrize("path", ["/ui", "/health", "/api/v1/events", "/openapi.json", "/auth/token", "/ui/organise"])
async def test_no_other_sites_page_may_read_an_answer(browser: Browser, path: str) -> None:
    asked = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    for answer in (await browser.get(path, headers=asked), await browser.options(path, headers=asked)):
        assert [name for name, _ in answer.headers if name.lower().startswith("access-control-")] == []


@pytest.mark.parametrize("path", ["/ui", "/ui/nowhere", "/health", "/static/app.css", "/ui/organise"])
@pytest.mark.parametrize(
    ("public_url", "scheme", "rule"),
    [
        ("https://tickets.example.org", "http", "max-age=31536000; includeSubDomains"),
        ("", "https", "max-age=31536000; includeSubDomains"),
        ("http://tickets.example.org", "http", None),
        ("", "http", None),
    ],
)
async def test_who_came_by_https_once_comes_by_nothing_else_for_a_year(
    box_office: BoxOffice, path: str, public_url: str, scheme: str, rule: str | None
) -> None:
    browser = app_over(box_office, PUBLIC_URL=public_url).test_client()
    assert (await browser.get(path, scheme=scheme)).headers.get("Strict-Transport-Security") == rule


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


async def test_the_panel_shows_every_event_with_what_is_booked(organiser: Browser, box_office: BoxOffice) -> None:
    empty = await organiser.get("/ui/organise")
    assert "There are no events yet Give your first one a title and a number of tickets" in await words(empty)
    assert 'href="/ui/organise/new"' in await empty.get_data(as_text=True)
    await sell_out(box_office, "Cleo")
    answer = await organiser.get("/ui/organise")
    assert "gig 1 of 1 booked 1 waiting" in await words(answer)
    assert f'href="{ORGANISE_GIG}"' in await answer.get_data(as_text=True)
    assert answer.headers["Cache-Control"] == "no-store"


async def test_a_name_never_stands_in_an_address(organiser: Browser, box_office: BoxOffice) -> None:
    await sell_out(box_office, "Cleo")
    answers = [
        await organiser.post(f"{GIG}/orders", form={"name": "Dan", "email": "dan@example.org"}),
        await organiser.post(f"{ORGANISE_GIG}/orders", form={"name": "Dan"}),
    ]
    assert not [answer for answer in answers if "Dan" in answer.headers["Location"]]


async def test_a_notice_that_is_no_notice_is_left_out(organiser: Browser, box_office: BoxOffice) -> None:
    await sell_out(box_office)
    for value in ("x", "%FF", "_w==", "PHNjcmlwdD4="):
        organiser.set_cookie("localhost", "fairlist-notice", value)
        answer = await organiser.get(ORGANISE_GIG)
        assert answer.status_code == 200
        assert "<script>" not in await answer.get_data(as_text=True)
