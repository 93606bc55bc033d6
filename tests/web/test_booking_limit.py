"""How often one address may book: a server behind a proxy is asked, and, to the token, an app whose clock stands still.

On the server an address may book once in a minute, so that it is refused whatever it asks next.
"""

import asyncio
import itertools
import re
from collections import Counter
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from urllib.parse import urlencode

import pytest
from quart import Quart, Response
from quart.typing import TestClientProtocol as Browser

from tests.client import Body, Connection, Reply, basic
from tests.server import PASSWORD, USER, Server
from tests.web import pages
from tests.web.unhurried import Watch
from webapp.box_office import BoxOffice
from webapp.web.parts import NAME

ORDERS = "POST /ui/events/gig/orders"
PLACE = "POST /ui/events/gig/place"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
AWAY = {"client": ("192.0.2.7", 1)}
POLICY = '"booking";q=1;w=60'
NUMBERS = itertools.count(1)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server behind a proxy, where an address may book once in a minute. There is room at the gig."""
    folder = tmp_path_factory.mktemp("limited")
    with Server(folder, TRUSTED_PROXIES="127.0.0.1", BOOKINGS_PER_MINUTE="1") as server:
        open_gig(server)
        yield server
        server.verify()


@pytest.fixture
def bob() -> str:
    """An address that no other test books from."""
    return f"198.51.100.{next(NUMBERS)}"


def open_gig(server: Server) -> None:
    assert server.as_organiser("POST /initialize", {"eventId": "gig", "tickets": 1_000}).status == 200


def book(server: Server, sender: str, guest: str = "bob", **headers: str) -> Reply:
    """Book by a proxy's word for where the request comes from."""
    return server.ask("POST /book", {"eventId": "gig", "userId": guest}, {"X-Forwarded-For": sender, **headers})


def fill_in(server: Server, request: str, sender: str, guest: str, **headers: str) -> Reply:
    """Send one of the guests' forms."""
    email = f"{sha256(guest.encode()).hexdigest()[:12]}@example.org"
    body = urlencode({"userId": guest, "name": guest, "email": email}).encode()
    return server.ask(request, body, {**FORM, "X-Forwarded-For": sender, **headers})


def is_refused(reply: Reply) -> bool:
    """Whether a reply says that, when to try again, and how little is left."""
    if reply.status != 429:
        return False
    wait = reply.headers["Retry-After"]
    assert 1 <= int(wait) <= 60
    assert limit_fields(reply) == [POLICY, f'"booking";r=0;t={wait}']
    return True


def limit_fields(reply: Reply) -> list[str]:
    """What a reply tells of the limit."""
    return [value for name in ("RateLimit-Policy", "RateLimit") for value in reply.headers.get_all(name, [])]


def booked(server: Server) -> int:
    return len(server.query("SELECT 1 FROM ledger WHERE kind = 'booked'"))


def test_who_books_too_often_is_told_when_to_try_again_and_nothing_is_booked(server: Server, bob: str) -> None:
    assert book(server, bob).status == 200
    before = booked(server)
    refused = book(server, bob, "cleo")
    assert is_refused(refused)
    assert refused.code == "too_many_attempts"
    wait = refused.headers["Retry-After"]
    assert refused.json["error"] == refused.json["detail"] == f"Too many attempts. Try again in {wait} s."
    assert refused.headers["Cache-Control"] == "no-store"
    assert booked(server) == before


def test_whatever_the_answer_is_it_tells_what_is_left(server: Server) -> None:
    bodies: list[tuple[Body, int]] = [
        ({"eventId": "gig", "userId": "bob"}, 200),
        ({"eventId": "opera", "userId": "bob"}, 404),
        ({"eventId": "gig"}, 400),
        (b"{}", 415),
        (b"x" * 70_000, 413),
    ]
    for number, (body, status) in enumerate(bodies):
        reply = server.ask("POST /book", body, {"X-Forwarded-For": f"203.0.113.{number}"})
        assert (reply.status, limit_fields(reply)) == (status, [POLICY, '"booking";r=0;t=60'])


def test_what_is_not_limited_tells_nothing_of_limits(server: Server) -> None:
    for request in ("GET /status/gig", "GET /ui/events/gig", "GET /health"):
        reply = server.ask(request, headers={"X-Forwarded-For": "203.0.113.99"})
        assert (reply.status, limit_fields(reply)) == (200, [])


def test_one_address_does_not_use_up_what_another_may_book(server: Server, bob: str) -> None:
    book(server, bob)
    assert is_refused(book(server, bob))
    assert book(server, "192.0.2.1", "cleo").status == 200


def test_a_household_has_one_address_however_many_its_network_gives_it(server: Server) -> None:
    assert book(server, "2001:db8:1:2::1").status == 200
    assert is_refused(book(server, "2001:db8:1:2:ffff::7"))
    assert book(server, "2001:db8:1:3::1").status == 200
    assert book(server, "::ffff:192.0.2.2").status == 200
    assert is_refused(book(server, "192.0.2.2"))


def test_the_routes_of_booking_share_one_limit(server: Server, bob: str) -> None:
    assert fill_in(server, PLACE, bob, "Bob").status == 200
    assert is_refused(book(server, bob))
    assert is_refused(fill_in(server, ORDERS, bob, "Bob"))
    assert is_refused(fill_in(server, PLACE, bob, "Bob"))


@pytest.mark.parametrize(("request_", "name"), [(ORDERS, "booking-name"), (PLACE, "finding-userId")])
@pytest.mark.parametrize("headers", [{}, pages.HTMX], ids=["whole", "htmx"])
def test_the_page_keeps_what_was_typed_and_says_when_to_try_again(
    server: Server, bob: str, request_: str, name: str, headers: dict[str, str]
) -> None:
    book(server, bob)
    before = booked(server)
    refused = fill_in(server, request_, bob, "Cleo & <b>", **headers)
    assert is_refused(refused)
    page = refused.body.decode()
    wait = refused.headers["Retry-After"]
    assert f"Too many requests come from your network just now. Please try again in {wait} second" in page
    field = re.search(rf'<input id="{name}"[^>]*>', page)
    assert field is not None
    assert 'value="Cleo &amp; &lt;b&gt;"' in field[0]
    assert '<main id="main"' in page
    assert refused.headers["Cache-Control"] == "no-store"
    assert booked(server) == before


def test_a_guest_who_asks_where_he_stands_too_often_is_not_told(server: Server, bob: str) -> None:
    assert book(server, bob, "Known").status == 200
    assert b"has a ticket" not in fill_in(server, PLACE, bob, "Known").body


def test_an_order_by_form_tells_what_is_left(server: Server, bob: str) -> None:
    reply = fill_in(server, ORDERS, bob, "Gus")
    assert (reply.status, limit_fields(reply)) == (303, [POLICY, '"booking";r=0;t=60'])


def test_the_organiser_is_not_limited_by_password_or_token(server: Server, bob: str) -> None:
    book(server, bob)
    for known in (basic(USER, PASSWORD), f"Bearer {server.token()}"):
        for number in range(3):
            reply = book(server, bob, f"group {number}", Authorization=known)
            assert (reply.status, limit_fields(reply)) == (200, [])
    assert is_refused(book(server, bob))


def test_the_organiser_is_not_limited_in_a_session_of_the_panel(server: Server, bob: str) -> None:
    book(server, bob)
    signing = urlencode({"user": USER, "password": PASSWORD}).encode()
    signed_in = server.ask("POST /ui/sign-in", signing, {**FORM, "X-Forwarded-For": bob})
    session = {"Cookie": signed_in.headers["Set-Cookie"].partition(";")[0]}
    for request in (ORDERS, "POST /ui/organise/events/gig/orders"):
        for number in range(3):
            reply = fill_in(server, request, bob, f"{request} {number}", **session)
            assert (reply.status, limit_fields(reply)) == (303, [])
    assert is_refused(fill_in(server, ORDERS, bob, "Bob", Cookie="fairlist-session=x"))


def test_who_is_taken_for_the_organiser_by_nobody_is_limited(server: Server, bob: str) -> None:
    book(server, bob)
    for claim in (basic(USER, "guess"), "Bearer x", "Basic", "x" * 9_000):
        assert is_refused(book(server, bob, Authorization=claim))


def test_programs_on_this_machine_are_not_limited_whatever_the_proxy_calls_them(server: Server) -> None:
    replies = [book(server, here) for here in ("127.0.0.1", "127.0.0.9", "::1", "::ffff:127.0.0.1") for _ in range(3)]
    replies += [server.ask("POST /book", {"eventId": "gig", "userId": "kiosk"}) for _ in range(3)]
    assert {reply.status for reply in replies} == {200}
    assert not any(limit_fields(reply) for reply in replies)


def test_a_proxy_on_this_machine_that_is_not_named_does_not_make_all_guests_one(tmp_path: Path) -> None:
    with Server(tmp_path, BOOKINGS_PER_MINUTE="1") as server:
        open_gig(server)
        assert {book(server, f"192.0.2.{number}", f"guest {number}").status for number in range(5)} == {200}


def test_a_lecture_hall_behind_one_address_books_at_once(tmp_path: Path) -> None:
    async def at_once(server: Server) -> list[Reply]:
        connections = [await Connection.open(server.port) for _ in range(300)]
        try:
            for number, connection in enumerate(connections):
                body = {"eventId": "gig", "userId": f"student {number}"}
                connection.send("POST /book", body, {"X-Forwarded-For": "192.0.2.7"})
            return [await connection.reply() for connection in connections]
        finally:
            for connection in connections:
                await connection.close()

    with Server(tmp_path, TRUSTED_PROXIES="127.0.0.1") as server:
        open_gig(server)
        replies = asyncio.run(at_once(server))
        assert Counter(reply.status for reply in replies) == {200: 300}
        assert {reply.headers["RateLimit-Policy"] for reply in replies} == {'"booking";q=300;w=60'}


def test_the_limit_can_be_switched_off(tmp_path: Path) -> None:
    with Server(tmp_path, TRUSTED_PROXIES="127.0.0.1", BOOKINGS_PER_MINUTE="0") as server:
        open_gig(server)
        replies = [book(server, "192.0.2.7", f"guest {number}") for number in range(400)]
        assert {reply.status for reply in replies} == {200}
        assert not any(limit_fields(reply) for reply in replies)


# An app whose clock stands still


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
async def app(box_office: BoxOffice, watch: Watch) -> Quart:
    """An app where an address may book three times in a minute, with a gig."""
    await box_office.open_event("gig", tickets=1_000)
    return pages.app_over(box_office, timer=watch, BOOKINGS_PER_MINUTE="3")


async def post(browser: Browser, guest: str = "Bob", **headers: str) -> Response:
    """Book, always from the same address."""
    body = {"eventId": "gig", "userId": guest}
    return await browser.post("/book", json=body, headers=headers, scope_base=AWAY)


def told(answer: Response) -> tuple[int, str, str | None]:
    return answer.status_code, answer.headers["RateLimit"], answer.headers.get("Retry-After")


async def test_what_is_left_is_counted_down_and_comes_back_evenly(app: Quart, watch: Watch) -> None:
    browser = app.test_client()
    assert [told(await post(browser)) for _ in range(5)] == [
        (200, '"booking";r=2;t=20', None),
        (200, '"booking";r=1;t=20', None),
        (200, '"booking";r=0;t=20', None),
        (429, '"booking";r=0;t=20', "20"),
        (429, '"booking";r=0;t=20', "20"),
    ]
    watch.now += 15
    assert told(await post(browser)) == (429, '"booking";r=0;t=5', "5")
    watch.now += 5
    assert told(await post(browser)) == (200, '"booking";r=0;t=20', None)
    watch.now += 3_600
    assert told(await post(browser)) == (200, '"booking";r=2;t=20', None)


async def test_the_page_says_how_long_to_wait_in_words(app: Quart, watch: Watch) -> None:
    browser = app.test_client()
    for _ in range(3):
        await post(browser)
    for pause, wait in ((0, "20 seconds"), (19, "1 second")):
        watch.now += pause
        form = {"name": "Bob", "email": "bob@example.org"}
        refused = await browser.post("/ui/events/gig/orders", form=form, scope_base=AWAY)
        shown = await pages.words(refused)
        assert f"Too many requests come from your network just now. Please try again in {wait}." in shown
        assert "Not booked yet: gig" in shown


async def test_nobody_is_looked_at_for_being_the_organiser_while_he_may_book_anyway(
    app: Quart, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str | None] = []
    gatekeeper = app.extensions[NAME].gatekeeper
    who_is_asking = gatekeeper.who_is_asking

    async def noting(authorization: str | None, address: str) -> object:
        asked.append(authorization)
        return await who_is_asking(authorization, address)

    monkeypatch.setattr(gatekeeper, "who_is_asking", noting)
    browser = app.test_client()
    known = basic(pages.USER, pages.PASSWORD)
    for _ in range(3):
        assert (await post(browser, Authorization=known)).status_code == 200
        assert asked == []
    assert (await post(browser, Authorization=known)).status_code == 200
    assert asked == [known]


async def test_guessing_the_password_by_booking_is_slowed_down_like_any_guessing(app: Quart) -> None:
    browser = app.test_client()
    waits = {
        (await post(browser, Authorization=basic(pages.USER, f"guess {number}"))).headers.get("Retry-After")
        for number in range(50)
    }
    assert waits - {None, "20"}, "only the limit of bookings was met"


async def test_everybody_is_the_organiser_in_the_test_mode(box_office: BoxOffice) -> None:
    await box_office.open_event("gig", tickets=1_000)
    browser = pages.app_over(box_office, APP_ENV="test", BOOKINGS_PER_MINUTE="1").test_client()
    assert {(await post(browser, f"Bob {number}")).status_code for number in range(5)} == {200}


def test_bookings_through_the_full_api_count_as_well(server: Server, bob: str) -> None:
    orders, sender = "POST /api/v1/events/gig/orders", {"X-Forwarded-For": bob}
    first = server.ask(orders, {"userId": f"first of {bob}"}, sender)
    assert (first.status, first.headers["RateLimit-Policy"]) == (201, POLICY)
    again = server.ask(orders, {"userId": f"second of {bob}"}, sender)
    assert (again.status, again.code) == (429, "too_many_attempts")
    organiser = {**sender, "Authorization": basic(USER, PASSWORD)}
    assert server.ask(orders, {"userId": f"third of {bob}"}, organiser).status == 201
