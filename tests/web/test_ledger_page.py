"""The public ledger as people read it: all that happened, in words, by number, with hashes, and with nobody's name."""

import re
from collections.abc import Awaitable, Callable
from typing import get_args

import pytest
from quart import Response
from quart.typing import TestClientProtocol as Browser

from tests.web.pages import Clock, app_over, words
from tests.web.test_dates import at
from tests.web.test_live import Stream, streaming
from webapp.booking.details import Details
from webapp.booking.ledger import Contact, Entry, Kind
from webapp.box_office import BoxOffice
from webapp.enquiries import Enquiries
from webapp.storage.sqlite import SqliteStore
from webapp.web import ledger_words
from webapp.web.ticket_codes import TicketCodes

LEDGER = "/ui/events/gig/ledger"
NOINDEX = '<meta name="robots" content="noindex">'
ORDER_ID = "0123456789abcdef0123"


@pytest.fixture
def browser(box_office: BoxOffice) -> Browser:
    return app_over(box_office).test_client()


async def fill(box_office: BoxOffice, entries: int) -> None:
    """A gig with so many entries."""
    await box_office.open_event("gig", tickets=1)
    for number in range(entries - 1):
        await box_office.book("gig", f"guest {number}")


async def numbers(answer: Response) -> list[int]:
    """The numbers of the entries on a page, from its top to its end."""
    return [int(seq) for seq in re.findall(r'<li id="entry-(\d+)"', await answer.get_data(as_text=True))]


def entry(kind: Kind, detail: str | None = None, actor: str = "guest") -> Entry:
    return Entry(1, kind, 0, "guest" if actor == "guest" else "organiser", ORDER_ID, None, detail, b"", None, None)


@pytest.mark.parametrize(
    ("told", "said"),
    [
        (entry("opened", "1"), "The event was opened with 1 ticket."),
        (entry("opened", "1200"), "The event was opened with 1,200 tickets."),
        (entry("resized", "0"), "The organiser changed the number of tickets: it is 0 tickets now."),
        (entry("revised", "{}"), "The organiser changed what is told about the event: its times, its words, or both."),
        (entry("lapsed"), "A ticket came free after the start: none goes to the waiting list any more."),
        (entry("deleted"), "The organiser deleted the event, at which nobody had booked."),
        (entry("booked", "c0ffee"), "Order 04HM-ASW9·0123 asked, and got a ticket."),
        (entry("joined", "c0ffee"), "Order 04HM-ASW9·0123 asked, and joined the waiting list."),
        (entry("promoted"), "Order 04HM-ASW9·0123 was first in line, and got a ticket."),
        (entry("cancelled"), "Order 04HM-ASW9·0123 was cancelled by its guest."),
        (entry("cancelled", None, "organiser"), "Order 04HM-ASW9·0123 was cancelled by the organiser."),
        (entry("checked_in"), "Order 04HM-ASW9·0123 arrived."),
        (entry("checked_in", "North"), "Order 04HM-ASW9·0123 arrived (\u2068North\u2069)."),
        (entry("check_in_undone"), "The arrival of order 04HM-ASW9·0123 was taken back."),
        (entry("erased"), "Order 04HM-ASW9·0123 stays, but name and address of its guest were deleted."),
    ],
)
def test_an_entry_is_told_in_plain_words(told: Entry, said: str) -> None:
    assert ledger_words.sentence(told) == said


def test_every_kind_of_entry_has_words() -> None:
    assert set(ledger_words._SENTENCES) == set(get_args(Kind))


def test_a_guest_recognises_his_order_by_the_code_he_has_and_nobody_learns_the_code() -> None:
    code = TicketCodes(bytes(32)).code(ORDER_ID)
    assert code.startswith(ledger_words.short(ORDER_ID).partition("·")[0])
    assert code[-4:] not in ledger_words.short(ORDER_ID)


async def test_the_ledger_tells_what_happened_when_and_to_nobody_in_particular(
    store: SqliteStore, start: Callable[[BoxOffice], Awaitable[BoxOffice]]
) -> None:
    box_office = await start(BoxOffice(store, clock=Clock(at("2026-11-27T18:00"))))
    await box_office.create_event("gig", 1, Details(title="Summer night", time_zone="Europe/Berlin"))
    for guest in ("bob@example.org", "cleo@example.org"):
        await box_office.book("gig", guest, contact=Contact("Somebody Somewhat", guest))
    await box_office.cancel("gig", "bob@example.org", "guest")
    answer = await app_over(box_office).test_client().get(LEDGER)
    said = await words(answer)
    assert "Ledger of Summer night" in said
    assert "Entries 1 to 6 of 6 Newest first. Times are in the time zone of the event, Europe/Berlin." in said
    assert re.search(r"Order \S+ was first in line, and got a ticket\. 6 27 November, 18:00:00 Hash [0-9a-f]{6}…", said)
    assert await numbers(answer) == [6, 5, 4, 3, 2, 1]
    for personal in ("bob", "cleo", "Somebody", "example"):
        assert personal not in await answer.get_data(as_text=True)
    for listed in await Enquiries(store, box_office).ledger("gig", 0, 100):
        assert listed.hash.hex() in said


async def test_the_ledger_has_pages_of_a_hundred_and_shows_the_newest_first(
    browser: Browser, box_office: BoxOffice
) -> None:
    await fill(box_office, 230)
    newest = await browser.get(LEDGER)
    assert await numbers(newest) == list(range(230, 130, -1))
    assert "Entries 131 to 230 of 230" in await words(newest)
    assert f'<a href="{LEDGER}?after=30">Older' in await newest.get_data(as_text=True)
    assert "Newer" not in await words(newest)
    older = await browser.get(f"{LEDGER}?after=30")
    assert await numbers(older) == list(range(130, 30, -1))
    assert f'<a href="{LEDGER}?after=130">Newer' in await older.get_data(as_text=True)
    oldest = await browser.get(f"{LEDGER}?after=0")
    assert await numbers(oldest) == list(range(100, 0, -1))
    assert "Older" not in await words(oldest)
    behind = await browser.get(f"{LEDGER}?after=230")
    assert "No entries here The newest entry is number 230." in await words(behind)


async def test_a_ledger_that_fits_on_one_page_has_no_others(browser: Browser, box_office: BoxOffice) -> None:
    await fill(box_office, 1)
    page = await browser.get(LEDGER)
    assert "Entry 1 of 1" in await words(page)
    assert "Check the only entry" in await words(page)
    assert 'aria-label="Pages"' not in await page.get_data(as_text=True)


@pytest.mark.parametrize(
    ("seq", "page"), [(1, range(100, 0, -1)), (100, range(100, 0, -1)), (101, range(120, 100, -1))]
)
async def test_an_entry_is_shown_among_its_neighbours_and_marked(
    browser: Browser, box_office: BoxOffice, seq: int, page: range
) -> None:
    await fill(box_office, 120)
    answer = await browser.get(f"{LEDGER}?entry={seq}")
    assert answer.status_code == 200
    assert await numbers(answer) == list(page)
    marked = re.findall(r'<li id="entry-(\d+)" class="marked"', await answer.get_data(as_text=True))
    assert marked == [str(seq)]


@pytest.mark.parametrize("missing", ["0", "4", "999999999999999", "1,200"])
async def test_an_entry_that_is_not_there_is_not_found(browser: Browser, box_office: BoxOffice, missing: str) -> None:
    await fill(box_office, 3)
    answer = await browser.get(f"{LEDGER}?entry={missing}")
    assert answer.status_code == 404
    assert "in this ledger: the newest is number 3." in await words(answer)
    assert await numbers(answer) == [3, 2, 1]


@pytest.mark.parametrize("typed", ["", "x", "-1", "1.5", "9" * 16, "<b>"])
async def test_what_is_no_number_of_an_entry_is_told(browser: Browser, box_office: BoxOffice, typed: str) -> None:
    await fill(box_office, 3)
    answer = await browser.get(LEDGER, query_string={"entry": typed})
    assert answer.status_code == 404
    assert "Please enter the number of an entry, such as 1." in await words(answer)
    assert "<b>" not in (await answer.get_data(as_text=True)).partition("<h2")[2].partition("</form>")[0]


async def test_a_receipt_is_found_without_scripts(browser: Browser, box_office: BoxOffice, store: SqliteStore) -> None:
    await fill(box_office, 1_002)
    (told,) = await Enquiries(store, box_office).ledger("gig", 1_000, 1)
    right = told.hash.hex()
    for entry_typed, hash_typed, said in [
        ("1001", right, "Your receipt is in the ledger: entry 1,001 has this very hash."),
        (" 1,001 ", f" {right[:32].upper()} {right[32:]}\n", "Your receipt is in the ledger"),
        ("1002", right, "Entry 1,002 has another hash than your receipt."),
        ("1001", "0" * 64, "Entry 1,001 has another hash than your receipt."),
        ("1001", right[:-1], "A hash has 64 signs: digits, and letters from a to f. Please copy all of it."),
        ("1001", "g" * 64, "A hash has 64 signs"),
    ]:
        answer = await browser.get(LEDGER, query_string={"entry": entry_typed, "hash": hash_typed})
        assert answer.status_code == 200
        assert said in await words(answer)


async def test_a_hash_that_is_another_in_its_last_sign_alone_is_not_found(
    browser: Browser, box_office: BoxOffice, store: SqliteStore
) -> None:
    await fill(box_office, 2)
    (told,) = await Enquiries(store, box_office).ledger("gig", 1, 1)
    right = told.hash.hex()
    for wrong in (f"{right[:-1]}{'1' if right[-1] == '0' else '0'}", f"{'1' if right[0] == '0' else '0'}{right[1:]}"):
        answer = await browser.get(LEDGER, query_string={"entry": "2", "hash": wrong})
        assert "Entry 2 has another hash than your receipt." in await words(answer)
        assert "Your receipt is in the ledger" not in await words(answer)


async def test_what_somebody_has_typed_is_kept_by_nobody(
    browser: Browser, box_office: BoxOffice, store: SqliteStore
) -> None:
    await fill(box_office, 2)
    (told,) = await Enquiries(store, box_office).ledger("gig", 1, 1)
    for entry_typed, hash_typed in [("2", told.hash.hex()), ("2", "0" * 64), ("2", "x"), ("3", ""), ("x", "")]:
        answer = await browser.get(LEDGER, query_string={"entry": entry_typed, "hash": hash_typed})
        assert answer.headers["Cache-Control"] == "no-store"
        assert "ETag" not in answer.headers
    assert (await browser.get(LEDGER)).headers["Cache-Control"] == "no-cache"


@pytest.mark.parametrize("query", ["after=-1", "after=x", "seen=x", f"after={2**64}"])
async def test_a_damaged_address_of_a_page_is_told(browser: Browser, box_office: BoxOffice, query: str) -> None:
    await fill(box_office, 3)
    answer = await browser.get(f"{LEDGER}?{query}")
    assert answer.status_code == 400
    assert "Something in this address cannot be read. Is the link complete?" in await words(answer)


async def test_an_open_page_hears_that_there_is_more_and_nothing_moves(browser: Browser, box_office: BoxOffice) -> None:
    await fill(box_office, 2)
    page = await (await browser.get(LEDGER)).get_data(as_text=True)
    assert f'sse-connect="{LEDGER}/stream?seen=2"' in page
    async with streaming(browser, f"{LEDGER}/stream?seen=2") as stream:
        assert await stream.block() == "retry: 2000"
        assert await news_after(box_office, "Cleo", stream) == "1 new entry: show the newest There are new entries."
        assert await news_after(box_office, "Dan", stream) == "2 new entries: show the newest There are new entries."
    async with streaming(browser, f"{LEDGER}/stream?seen=2") as stream:
        assert (await stream.message())[1].startswith("2 new entries")


async def news_after(box_office: BoxOffice, guest: str, stream: Stream) -> str:
    """What the page hears when somebody has booked."""
    await box_office.book("gig", guest)
    name, said = await stream.message()
    assert name == "news"
    return said


async def test_a_page_that_has_lost_its_stream_asks_for_no_more_than_the_news(
    browser: Browser, box_office: BoxOffice
) -> None:
    await fill(box_office, 200)
    page = await (await browser.get(LEDGER)).get_data(as_text=True)
    asked = re.search(r'data-page="([^"]+)"', page)
    assert asked is not None
    await box_office.book("gig", "Cleo")
    answer = await browser.get(asked[1].replace("&amp;", "&"))
    assert "1 new entry: show the newest" in await words(answer)
    assert await numbers(answer) == [201]


async def test_search_engines_are_shown_the_newest_entries_of_a_public_event_only(
    browser: Browser, box_office: BoxOffice
) -> None:
    await fill(box_office, 3)
    assert NOINDEX not in await (await browser.get(LEDGER)).get_data(as_text=True)
    assert NOINDEX in await (await browser.get(f"{LEDGER}?after=0")).get_data(as_text=True)
    await box_office.revise("gig", details=Details(hidden=True))
    assert NOINDEX in await (await browser.get(LEDGER)).get_data(as_text=True)


async def test_the_event_leads_to_its_ledger_and_back(browser: Browser, box_office: BoxOffice) -> None:
    await box_office.open_event("a/b", tickets=1)
    assert 'href="/ui/events/a~2Fb/ledger"' in await (await browser.get("/ui/events/a~2Fb")).get_data(as_text=True)
    assert 'href="/ui/events/a~2Fb"' in await (await browser.get("/ui/events/a~2Fb/ledger")).get_data(as_text=True)


async def test_the_script_is_told_where_to_read(browser: Browser, box_office: BoxOffice) -> None:
    await box_office.open_event('a/"b"', tickets=1)
    page = await (await browser.get("/ui/events/a~2F~22b~22/ledger")).get_data(as_text=True)
    assert 'data-event="a/&#34;b&#34;" data-resource="/api/v1/events/a~2F~22b~22"' in page
    assert "ledger.js" not in await (await browser.get("/ui")).get_data(as_text=True)
