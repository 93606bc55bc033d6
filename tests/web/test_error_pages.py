"""What people read where something goes wrong: what happened, what to do next, and when to try again."""

import re
from collections.abc import Awaitable, Callable
from html.parser import HTMLParser
from typing import NoReturn

import pytest
from quart import Response
from quart.typing import TestClientProtocol as Browser

from tests.client import basic
from tests.web.pages import HTMX, USER, app_over, words
from webapp.box_office import BoxOffice
from webapp.desk import Unavailable
from webapp.storage.sqlite import SqliteStore
from webapp.storage.store import StoreUnreadable
from webapp.web.error_pages import WORDS, wait
from webapp.web.parsing import BODY_BYTES_MAX

PERSON = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
PROGRAM = {"Accept": "application/json"}
HARMLESS = "Booking again does no harm: you keep the place you have."


@pytest.fixture
def browser(box_office: BoxOffice) -> Browser:
    return app_over(box_office).test_client()


class Main(HTMLParser):
    """The heading and the links inside of `main`, and whether the heading takes the focus."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.heading = ""
        self.is_focused = False
        self._is_in_main = self._is_in_heading = False
        self.feed(markup)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self._is_in_main |= tag == "main"
        self._is_in_heading = tag == "h1"
        if tag == "h1":
            self.is_focused = "autofocus" in given and given.get("tabindex") == "-1"
        if tag == "a" and self._is_in_main:
            self.links.append(given["href"] or "")

    def handle_endtag(self, tag: str) -> None:
        self._is_in_main &= tag != "main"
        self._is_in_heading &= tag != "h1"

    def handle_data(self, data: str) -> None:
        if self._is_in_heading:
            self.heading += data


async def main_of(answer: Response) -> Main:
    """The main part of a page that is whole, that takes the focus, and that is in no cache."""
    markup = await answer.get_data(as_text=True)
    assert answer.content_type == "text/html; charset=utf-8"
    assert answer.headers["Cache-Control"] == "no-store"
    assert markup.startswith("<!doctype html>")
    main = Main(markup)
    assert main.is_focused
    assert f"<title>{main.heading} – Fairlist</title>" in markup
    return main


@pytest.mark.parametrize(
    ("path", "heading", "links"),
    [
        ("/ui/events/missing", "There is no such event", ["/ui"]),
        ("/ui/events/missing/ledger", "There is no such event", ["/ui"]),
        ("/ui/events/~ZZ", "There is no such event", ["/ui"]),
        ("/ui/orders/0123456789abcdef0123/n3J0c2VjcmV0LWtleS1vZg", "There is no such order", ["/ui"]),
        ("/ui/nowhere", "There is no such page", ["/ui"]),
        ("/ui/events/gig/nowhere", "There is no such page", ["/ui/events/gig", "/ui"]),
        ("/ui/events/~ZZ/nowhere", "There is no such page", ["/ui"]),
        ("/nowhere", "There is no such page", ["/ui"]),
        ("//example.org/ui", "There is no such page", ["/ui"]),
    ],
)
async def test_what_is_not_found_may_be_a_link_that_was_cut(
    browser: Browser, path: str, heading: str, links: list[str]
) -> None:
    answer = await browser.get(path, headers=PERSON)
    assert answer.status_code == 404
    main = await main_of(answer)
    assert (main.heading, main.links) == (heading, links)
    assert "Is the link complete?" in await words(answer)


async def test_what_another_site_sends_is_refused_and_said_so(browser: Browser, box_office: BoxOffice) -> None:
    await box_office.open_event("gig", tickets=1)
    answer = await browser.post("/ui/events/gig/orders", form={"userId": "Bob"}, headers={"Origin": "https://evil.org"})
    assert answer.status_code == 403
    assert (await main_of(answer)).heading == "That is not allowed from there"
    assert "it was not carried out, and nothing was changed." in await words(answer)


async def test_the_address_of_a_form_leads_back_to_its_event(browser: Browser) -> None:
    answer = await browser.get("/ui/events/gig/orders")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "OPTIONS, POST")
    main = await main_of(answer)
    assert (main.heading, main.links) == ("There is no such page", ["/ui/events/gig", "/ui"])
    assert "Please go back to the page with the form." in await words(answer)


async def test_what_is_too_long_can_be_shortened(browser: Browser) -> None:
    answer = await browser.post("/ui/events/gig/orders", form={"userId": "B" * BODY_BYTES_MAX})
    assert answer.status_code == 413
    assert (await main_of(answer)).heading == "That is too much at once"
    assert "longer than 65,536 bytes. Nothing was changed. Please go back, shorten it" in await words(answer)


async def test_who_asks_too_often_is_told_how_long_to_wait(browser: Browser) -> None:
    guess = {**PERSON, "Authorization": basic(USER, "a guess")}
    for _ in range(100):
        answer = await browser.get("/metrics", headers=guess)
        if answer.status_code == 429:
            break
        assert answer.status_code == 401
    seconds = int(answer.headers["Retry-After"])
    assert (await main_of(answer)).heading == "One moment, please"
    assert f"Please try again in {wait(seconds)}." in await words(answer)


@pytest.mark.parametrize("path", ["/ui", "/ui?after=", "/ui/events/gig", "/ui/events/gig/ledger?after=7"])
async def test_the_error_page_needs_no_database(
    browser: Browser, store: SqliteStore, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    async def unreadable(*_: object, **__: object) -> NoReturn:
        raise StoreUnreadable("the disk is gone")

    for read in ("event", "events", "ledger_page", "order"):
        monkeypatch.setattr(store, read, unreadable)
    answer = await browser.get(path)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
    main = await main_of(answer)
    assert main.heading == "Not possible just now"
    assert main.links == [path.removesuffix("?"), "/ui"]
    shown = await words(answer)
    assert f"Nothing was changed. Please try again in 2 seconds. {HARMLESS}" in shown
    assert "mention" not in shown


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("overloaded", "Too busy just now Too many people are asking at the same time. Nothing was changed."),
        ("storage_unavailable", "Not possible just now What is stored here cannot be reached at the moment."),
        ("shutting_down", "Back in a moment The server is being restarted. Nothing was changed."),
        ("outcome_unknown", "Please look again Whether this was carried out is not known here at the moment."),
        ("ledger_damaged", "This event is not available What is stored of this event is damaged."),
    ],
)
async def test_who_cannot_be_served_is_told_what_that_means_for_him(
    browser: Browser, box_office: BoxOffice, monkeypatch: pytest.MonkeyPatch, code: Unavailable.Code, said: str
) -> None:
    async def unavailable(_: str) -> NoReturn:
        raise Unavailable(code, "A sentence for programs", 120)

    monkeypatch.setattr(box_office, "event", unavailable)
    answer = await browser.get("/ui/events/gig")
    assert answer.status_code == 503
    await main_of(answer)
    shown = await words(answer)
    assert said in shown
    assert "Please try again in 2 minutes." in shown
    assert (HARMLESS in shown) is (code != "ledger_damaged")
    assert ("Nothing was changed" in shown or "nothing was changed" in shown) is (code != "outcome_unknown")
    assert "A sentence for programs" not in shown
    assert ("mention" in shown) is (code in {"outcome_unknown", "ledger_damaged"})


async def test_a_rush_turns_people_away_with_a_page(
    store: SqliteStore, start: Callable[[BoxOffice], Awaitable[BoxOffice]]
) -> None:
    box_office = await start(BoxOffice(store))
    app = app_over(box_office)
    await box_office.open_event("gig", tickets=1)
    order_id = (await box_office.book("gig", "Bob")).order_id
    key = app.extensions["fairlist"].gatekeeper.order_keys.key(order_id)
    monkey = pytest.MonkeyPatch()
    with monkey.context() as patched:
        patched.setattr(box_office, "_pending_max", 0)
        answer = await app.test_client().post(f"/ui/orders/{order_id}/{key}/cancellation")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    main = await main_of(answer)
    assert (main.heading, main.links) == ("Too busy just now", ["/ui"])
    assert "Please try again in 1 second." in await words(answer)


async def test_a_bug_is_told_without_detail_and_with_what_to_report(
    browser: Browser, box_office: BoxOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(_: str) -> NoReturn:
        raise ZeroDivisionError("a detail")

    monkeypatch.setattr(box_office, "event", broken)
    answer = await browser.get("/ui/events/gig")
    assert answer.status_code == 500
    main = await main_of(answer)
    assert (main.heading, main.links) == ("Something went wrong on our side", ["/ui/events/gig", "/ui"])
    shown = await words(answer)
    assert HARMLESS in shown
    assert f"If you tell the organiser, mention {answer.headers['X-Request-Id']}." in shown
    assert "a detail" not in shown
    assert "Zero" not in shown


async def test_htmx_gets_the_whole_page_to_take_the_main_part_from(browser: Browser) -> None:
    answer = await browser.post("/ui/events/missing/orders", form={"userId": "Bob"}, headers=HTMX)
    assert answer.status_code == 404
    await main_of(answer)
    assert '<main id="main"' in await answer.get_data(as_text=True)


async def test_programs_are_told_in_their_own_language(browser: Browser) -> None:
    for path in ("/status/missing", "/api/v1/events/missing", "/nowhere"):
        answer = await browser.get(path, headers=PROGRAM)
        assert answer.status_code == 404
        assert answer.content_type == "application/problem+json"
        problem = await answer.get_json(force=True)
        assert set(problem) == {"type", "title", "status", "detail", "error", "code", "request_id"}


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (1, "1 second"),
        (12, "12 seconds"),
        (90, "90 seconds"),
        (91, "2 minutes"),
        (120, "2 minutes"),
        (3_601, "61 minutes"),
    ],
)
def test_a_wait_is_told_as_people_tell_it(seconds: int, said: str) -> None:
    assert wait(seconds) == said


def test_no_error_is_told_in_jargon() -> None:
    for code, (heading, happened, helps) in WORDS.items():
        assert not re.search(
            r"\b(user|users|ID|ids|JSON|HTTP|database|query|parameter)\b", f"{heading} {happened} {helps}"
        )
        assert not re.search(r"[.!?]$", heading)
        assert happened.endswith("."), code
