"""The check of a ledger, in a real browser: what fits, what was doctored, and what cannot be checked.

Doctored ledgers are what a server might answer: its answers are replaced on their way to the browser.
"""

import copy
import hashlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, Route, expect

from tests.e2e.browser import ARGUMENTS, CHROMIUM, visitor
from tests.reliability.public_ledger import canonical_bytes
from tests.server import Server
from tests.web.api import ADA, Api
from webapp.web.assets import asset

EVENT: Final = 'Gala/1 "Übermut" 🎟'
SLUG: Final = "Gala~2F1~20~22~C3~9Cbermut~22~20~F0~9F~8E~9F"
PAGE: Final = f"/ui/events/{SLUG}/ledger"
RESOURCE: Final = f"/api/v1/events/{SLUG}"
STARTS: Final = "2099-01-01T00:00:00Z"

Entries = list[dict[str, Any]]

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with an event at which everything has happened that can, and a long waiting list."""
    with Server(tmp_path_factory.mktemp("ledger")) as server:
        ada, anyone = Api(server, ADA), Api(server)
        ada.event(EVENT, starts_at=STARTS)
        bob, _, dan, eve = (anyone.order(SLUG, guest) for guest in ("bob", "cleo", "dan", "eve"))
        ada(f"PATCH /events/{SLUG}", {"capacity": 2, "venue": "Castle"}, if_match="*")
        ada(f"POST /orders/{bob['id']}/check-in", {"gate": "Tor “Nord” \\ ß"})
        ada(f"DELETE /orders/{bob['id']}/check-in")
        ada(f"POST /orders/{bob['id']}/cancellation", {"reason": "the measles"})
        ada(f"DELETE /orders/{eve['id']}/person")
        ada(f"POST /orders/{dan['id']}/check-in", {})
        for number in range(230):
            anyone.order(SLUG, f"guest {number}")
        ada(f"PATCH /events/{SLUG}", {"capacity": 40}, if_match="*")
        yield server


@pytest.fixture(scope="module")
def ledger(server: Server) -> Entries:
    """The whole ledger, as the server tells it. Never to be changed."""
    found: Entries = []
    after: int | None = 0
    while after is not None:
        page = server.ask(f"GET {RESOURCE}/ledger?after={after}").json
        found, after = found + page["items"], page["next"]
    return found


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def checker(chromium: Browser, server: Server) -> AsyncIterator[Page]:
    """A page that only lends its browser to `verdict`."""
    page = await chromium.new_page(base_url=server.url)
    await page.goto("/robots.txt")
    yield page
    await page.close()


async def verdict(checker: Page, entries: Entries) -> str:
    """What the functions behind the page say of some entries: what is wrong, or nothing."""
    check = """async ([address, event, entries]) => {
        const { Wrong, check } = await import(address);
        const error = await check(event, entries.length, [entries]).then(() => null, (error) => error);
        if (error && !(error instanceof Wrong)) throw error;
        return error ? error.message : "";
    }"""
    return str(await checker.evaluate(check, [asset("ledger.js"), EVENT, entries]))


@pytest_asyncio.fixture(loop_scope="session")
async def page(chromium: Browser, server: Server) -> AsyncIterator[Page]:
    """A page at which nothing may go wrong unnoticed, except for its requests."""
    async with visitor(chromium, server, may_fail=True) as page:
        yield page


async def answer_with(page: Page, entries: Entries, count: int | None = None) -> None:
    """Let the page be answered with these entries, of an event that is said to have `count`."""

    async def answer(route: Route) -> None:
        address = urlsplit(route.request.url)
        if not address.path.endswith("/ledger"):
            await route.fulfill(json={"entry": len(entries) if count is None else count})
            return
        after = int(parse_qs(address.query)["after"][0])
        items = [entry for entry in entries if entry["seq"] > after] if is_numbered(entries) else entries[after:]
        await route.fulfill(json={"eventId": EVENT, "items": items[:100], "next": None})

    await page.route(re.compile("/api/v1/events/"), answer)


def is_numbered(entries: Entries) -> bool:
    """Whether the numbers only grow, as a server could not but answer them."""
    numbers = [entry["seq"] for entry in entries]
    return numbers == sorted(numbers)


async def outcome(page: Page) -> str:
    """What the check comes to."""
    await page.goto(PAGE)
    await page.get_by_role("button", name="Check all").click()
    told = page.locator("#outcome")
    await expect(told).not_to_be_empty()
    await expect(page.get_by_role("button", name="Check all")).to_be_visible()  # it is over
    await expect(page.get_by_role("progressbar")).to_be_hidden()
    assert await told.get_attribute("role") == "status"
    return await told.inner_text()


def resealed(entries: Entries) -> Entries:
    """Entries with new numbers and hashes, as whoever runs a server could make them."""
    previous = bytes(32)
    for seq, entry in enumerate(entries, 1):
        entry["seq"] = seq
        previous = hashlib.sha256(previous + canonical_bytes(EVENT, entry)).digest()
        entry["hash"] = previous.hex()
    return entries


def seq_of(entries: Entries, kind: str) -> int:
    """The number of the first entry of a kind."""
    return int(next(entry["seq"] for entry in entries if entry["kind"] == kind))


async def test_a_whole_ledger_fits_together(page: Page, ledger: Entries) -> None:
    assert len(ledger) > 200
    assert {entry["kind"] for entry in ledger} == {
        "opened", "revised", "booked", "joined", "resized", "promoted", "checked_in", "check_in_undone", "cancelled",
        "erased",
    }  # fmt: skip
    told = await outcome(page)
    assert f"All {len(ledger)} entries fit together. Nobody overtook." in told
    assert f"Keep number {len(ledger)} and its hash" in told
    assert ledger[-1]["hash"] in told
    await page.get_by_role("button", name="Check all").click()
    await expect(page.locator("#outcome")).to_contain_text("Nobody overtook.")


async def test_the_entries_are_sealed_anew_by_the_test_as_by_the_server(ledger: Entries) -> None:
    assert resealed(copy.deepcopy(ledger)) == ledger


# Doctored without new hashes


def with_a_flipped_hash(entries: Entries) -> str:
    entries[149]["hash"] = f"{int(entries[149]['hash'][0], 16) ^ 1:x}" + entries[149]["hash"][1:]
    return "Entry 150 was altered: its hash does not follow from what it says and from the hash before it."


def with_another_time(entries: Entries) -> str:
    entries[3]["at"] = f"{entries[3]['at'][:-2]}{(int(entries[3]['at'][-2]) + 1) % 10}Z"
    return "Entry 4 was altered"


def with_a_time_that_is_none(entries: Entries) -> str:
    entries[3]["at"] = "yesterday"
    return "Entry 4 was altered"


def with_another_order(entries: Entries) -> str:
    entries[-1]["order_id"] = "f" * 20
    return f"Entry {len(entries)} was altered"


def with_a_hash_that_is_none(entries: Entries) -> str:
    entries[4]["hash"] = None
    return "Entry 5 was altered"


def without_one(entries: Entries) -> str:
    del entries[6]
    return "Entry 7 is missing: in its place is number 8."


def without_the_last_of_a_page(entries: Entries) -> str:
    del entries[99]
    return "Entry 100 is missing: in its place is number 101."


def without_the_last(entries: Entries) -> str:
    del entries[-1]
    return f"Entry {len(entries) + 1} is missing: the event has {len(entries) + 1}, but its ledger ends before."


def without_any(entries: Entries) -> str:
    entries.clear()
    return "Entry 1 is missing"


def with_two_in_the_other_order(entries: Entries) -> str:
    entries[10], entries[11] = entries[11], entries[10]
    return "Entry 11 is missing: in its place is number 12."


def with_two_in_the_other_order_and_renumbered(entries: Entries) -> str:
    entries[10], entries[11] = entries[11], entries[10]
    entries[10]["seq"], entries[11]["seq"] = 11, 12
    return "Entry 11 was altered"


@pytest.mark.parametrize(
    "doctor",
    [
        with_a_flipped_hash, with_another_time, with_a_time_that_is_none, with_another_order, with_a_hash_that_is_none,
        without_one, without_the_last_of_a_page, without_the_last, without_any, with_two_in_the_other_order,
        with_two_in_the_other_order_and_renumbered,
    ],
)  # fmt: skip
async def test_what_was_altered_afterwards_shows(page: Page, ledger: Entries, doctor: Callable[[Entries], str]) -> None:
    entries = copy.deepcopy(ledger)
    why = doctor(entries)
    await answer_with(page, entries, len(ledger))
    told = await outcome(page)
    assert why in told
    assert "Nobody overtook" not in told


# Doctored with new hashes, so that only the rules show it


def overtaken_in_the_line(entries: Entries) -> str:
    promoted = [entry for entry in entries if entry["kind"] == "promoted"]
    promoted[-2]["order_id"], promoted[-1]["order_id"] = promoted[-1]["order_id"], promoted[-2]["order_id"]
    return rf"Entry {promoted[-2]['seq']} breaks a rule: order \S+ got a ticket, but order \S+ had waited longer\."


def overtaken_by_a_newcomer(entries: Entries) -> str:
    promoted = next(entry for entry in entries if entry["kind"] == "promoted")
    promoted.update(kind="booked", order_id="f" * 20, detail="0" * 64)
    short = "ZZZZ-ZZZZ·ffff"
    return rf"Entry {promoted['seq']} breaks a rule: order {short} got a ticket, but order \S+ had waited for one\."


def oversold(entries: Entries) -> str:
    joined = next(entry for entry in entries if entry["kind"] == "joined")
    joined["kind"] = "booked"
    return rf"Entry {joined['seq']} breaks a rule: all 1 tickets were booked already, and this is one more\."


def oversold_to_who_waits(entries: Entries) -> str:
    waiting = {entry["order_id"] for entry in entries if entry["kind"] == "joined"}
    waiting -= {entry["order_id"] for entry in entries if entry["kind"] in ("promoted", "cancelled")}
    first = next(entry["order_id"] for entry in entries if entry["order_id"] in waiting)
    entries.append({**entries[-1], "kind": "promoted", "order_id": first, "detail": None})
    return rf"Entry {len(entries)} breaks a rule: all 40 tickets were booked already, and this is one more\."


def with_a_ticket_kept_back(entries: Entries) -> str:
    """One promotion fewer, and nobody else's ticket: it shows at the next entry."""
    del entries[seq_of(entries, "promoted") - 1]
    return r"Entry \d+ breaks a rule: a ticket was free while order \S+ waited for one\."


def with_the_last_ticket_kept_back(entries: Entries) -> str:
    assert entries[-1]["kind"] == "promoted"
    del entries[-1]
    return r"At the end, a ticket was free while order \S+ waited for one\."


def made_to_wait_for_nothing(entries: Entries) -> str:
    booked = next(entry for entry in entries if entry["kind"] == "booked")
    booked["kind"] = "joined"
    return rf"Entry {booked['seq']} breaks a rule: a ticket was free, but order \S+ had to wait\."


def cancelled_twice(entries: Entries) -> str:
    cancelled = next(entry for entry in entries if entry["kind"] == "cancelled")
    entries.append({**entries[-1], "kind": "cancelled", "order_id": cancelled["order_id"]})
    return rf"Entry {len(entries)} breaks a rule: order \S+ was not one to be cancelled\."


def cancelled_after_arriving(entries: Entries) -> str:
    arrived = [entry["order_id"] for entry in entries if entry["kind"] == "checked_in"][-1]
    entries.append({**entries[-1], "kind": "cancelled", "order_id": arrived})
    return rf"Entry {len(entries)} breaks a rule: order \S+ was not one to be cancelled\."


def let_in_without_a_ticket(entries: Entries) -> str:
    arrived = next(entry for entry in entries if entry["kind"] == "checked_in")
    arrived["order_id"] = "f" * 20
    return rf"Entry {arrived['seq']} breaks a rule: order \S+ had no ticket to come in with\."


def sent_out_without_having_come(entries: Entries) -> str:
    entries.append({**entries[-1], "kind": "check_in_undone", "order_id": "f" * 20})
    return rf"Entry {len(entries)} breaks a rule: order \S+ had not arrived\."


def the_same_order_twice(entries: Entries) -> str:
    joined = [entry for entry in entries if entry["kind"] == "joined"]
    joined[1]["order_id"] = joined[0]["order_id"]
    return rf"Entry {joined[1]['seq']} breaks a rule: there was such an order already\."


def erased_out_of_nothing(entries: Entries) -> str:
    erased = next(entry for entry in entries if entry["kind"] == "erased")
    erased["order_id"] = "f" * 20
    return rf"Entry {erased['seq']} breaks a rule: there was no such order\."


def ended_before_the_start(entries: Entries) -> str:
    promoted = next(entry for entry in entries if entry["kind"] == "promoted")
    promoted.update(kind="lapsed", order_id=None)
    return rf"Entry {promoted['seq']} breaks a rule: tickets still went to those who wait at that time\."


def made_smaller_than_what_is_booked(entries: Entries) -> str:
    entries.append({**entries[-1], "kind": "resized", "order_id": None, "detail": "39"})
    return rf"Entry {len(entries)} breaks a rule: 40 tickets were booked, and cannot become 39\."


def with_an_endless_capacity(entries: Entries) -> str:
    entries[0]["detail"] = "1e9"
    return r"Entry 1 breaks a rule: its number of tickets cannot be read\."


def with_times_that_are_none(entries: Entries) -> str:
    entries[1]["detail"] = '{"starts_at": "soon"}'
    return r"Entry 2 breaks a rule: its times cannot be read\."


def deleted_under_the_feet_of_guests(entries: Entries) -> str:
    entries.append({**entries[-1], "kind": "deleted", "order_id": None})
    return rf"Entry {len(entries)} breaks a rule: somebody had booked\."


def opened_twice(entries: Entries) -> str:
    entries.append({**entries[0], "detail": "1000"})
    return rf"Entry {len(entries)} breaks a rule: the event was open already\."


def never_opened(entries: Entries) -> str:
    del entries[0]
    return r"Entry 1 breaks a rule: the event was not open\."


def of_an_unknown_kind(entries: Entries) -> str:
    entries[5]["kind"] = "constructor"
    return r"Entry 6 breaks a rule: this page does not know what happened there\."


def booked_after_the_start(entries: Entries) -> str:
    entries[1]["detail"] = entries[1]["detail"].replace("4070908800000000", "1000")
    return r"Entry 3 breaks a rule: booking had closed\."


def booked_before_it_opened(entries: Entries) -> str:
    entries[1]["detail"] = entries[1]["detail"].replace('"opens_at":null', '"opens_at":4070908800000000')
    return r"Entry 3 breaks a rule: booking had not opened yet\."


@pytest.mark.parametrize("doctor", [overtaken_in_the_line, overtaken_by_a_newcomer, oversold, with_a_ticket_kept_back])
async def test_what_broke_a_rule_shows_even_with_new_hashes(
    page: Page, ledger: Entries, doctor: Callable[[Entries], str]
) -> None:
    entries = copy.deepcopy(ledger)
    why = doctor(entries)
    resealed(entries)
    await answer_with(page, entries)
    told = await outcome(page)
    assert re.search(why, told), told
    assert "Nobody overtook" not in told


@pytest.mark.parametrize(
    "doctor",
    [
        oversold_to_who_waits, with_the_last_ticket_kept_back, made_to_wait_for_nothing, cancelled_twice,
        cancelled_after_arriving, let_in_without_a_ticket, sent_out_without_having_come, the_same_order_twice,
        erased_out_of_nothing, ended_before_the_start, made_smaller_than_what_is_booked, with_an_endless_capacity,
        with_times_that_are_none, deleted_under_the_feet_of_guests, opened_twice, never_opened, of_an_unknown_kind,
        booked_after_the_start, booked_before_it_opened,
    ],
)  # fmt: skip
async def test_every_rule_is_followed(checker: Page, ledger: Entries, doctor: Callable[[Entries], str]) -> None:
    entries = copy.deepcopy(ledger)
    assert await verdict(checker, entries) == ""
    why = doctor(entries)
    assert re.fullmatch(why, await verdict(checker, resealed(entries)))


# Histories that are right, and less common


def story(*steps: tuple[str, str | None, str | None]) -> Entries:
    """A ledger of steps: kind, order and detail, a second apart, from noon of 1 January 2027 on."""
    return resealed(
        [
            {
                "kind": kind, "at": f"2027-01-01T12:{number // 60:02}:{number % 60:02}.000001Z", "actor": "organiser",
                "order_id": order and order * 20, "reason": None, "detail": detail,
            }
            for number, (kind, order, detail) in enumerate(steps)
        ]
    )  # fmt: skip


def times(starts_at: int | None, closes_at: int | None = None) -> str:
    """Sealed details with times in seconds after noon of 1 January 2027."""
    noon = 1_798_804_800
    shown = ["null" if time is None else str((noon + time) * 1_000_000) for time in (starts_at, closes_at)]
    return f'{{"starts_at":{shown[0]},"ends_at":null,"closes_at":{shown[1]},"opens_at":null}}'


@pytest.mark.parametrize(
    "entries",
    [
        # After the start nobody is promoted.
        story(("opened", None, "1"), ("revised", None, times(9, 8)), ("booked", "a", "x"), ("joined", "b", "y"),
              ("joined", "c", "z"), *[("erased", "b", None)] * 5, ("cancelled", "a", None), ("lapsed", None, None),
              ("cancelled", "b", None), ("resized", None, "5")),
        # New times end the lapse, and who still waits is promoted, in the order of joining.
        story(("opened", None, "1"), ("revised", None, times(5, 99)), ("booked", "a", "x"), ("joined", "b", "y"),
              ("joined", "c", "z"), ("cancelled", "b", None), ("cancelled", "a", None), ("promoted", "c", None)),
        story(("opened", None, "1"), ("booked", "a", "x"), ("joined", "b", "y"), ("joined", "c", "z"),
              ("revised", None, times(3)), ("cancelled", "a", None), ("lapsed", None, None),
              ("resized", None, "2"), ("revised", None, times(9_999)), ("promoted", "b", None),
              ("promoted", "c", None)),
        # An event may be deleted and opened again, and begins anew.
        story(("opened", None, "1"), ("revised", None, times(1, 2)), ("deleted", None, None), ("opened", None, "2"),
              ("booked", "a", "x"), ("booked", "b", "x"), ("cancelled", "a", None), ("booked", "c", "x")),
    ],
)  # fmt: skip
async def test_uncommon_histories_that_keep_the_rules_are_no_false_alarms(checker: Page, entries: Entries) -> None:
    assert await verdict(checker, entries) == ""


async def test_the_smallest_ledger_fits_too(chromium: Browser, page: Page, server: Server) -> None:
    server.as_organiser("POST /initialize", {"eventId": "solo", "tickets": 1})
    await page.goto("/ui/events/solo/ledger")
    await page.get_by_role("button", name="Check the only entry").click()
    await expect(page.locator("#outcome")).to_contain_text("The only entry fits.")


# Receipts


async def fill_in(page: Page, entry: str, its_hash: str) -> None:
    await page.goto(PAGE)
    await page.get_by_text("Have you got a receipt?").click()
    await page.get_by_label("Number of the entry").fill(entry)
    await page.get_by_label("Hash", exact=True).fill(its_hash)
    await page.get_by_role("button", name="Find it in the ledger").click()


@pytest.mark.parametrize(
    ("entry", "of", "said"),
    [
        (" 3 ", 3, "Nobody overtook. Your receipt is in it: entry 3 has this very hash."),
        ("4", 3, "But entry 4 has another hash than your receipt."),
        ("1,000", 3, "The ledger has no entry 1,000: it ends with number "),
        ("0", 3, "The ledger has no entry 0"),
    ],
)
async def test_a_receipt_is_looked_for_in_what_was_checked(
    page: Page, ledger: Entries, entry: str, of: int, said: str
) -> None:
    own = ledger[of - 1]["hash"].upper()
    await fill_in(page, entry, f"{own[:32]} {own[32:]}")
    await expect(page.locator("#outcome")).to_contain_text(said)
    await expect(page.locator("#outcome")).to_contain_text("entries fit together.")
    await expect(page).to_have_url(re.compile(r"/ledger$"))


async def test_a_receipt_with_a_sign_too_few_is_told_so(page: Page, ledger: Entries) -> None:
    await fill_in(page, "3", ledger[2]["hash"][1:])
    await expect(page.locator("#outcome")).to_contain_text("Please copy all of it.")


async def test_an_entry_alone_is_looked_up_and_shown(page: Page) -> None:
    await fill_in(page, "3", "")
    await expect(page).to_have_url(re.compile(r"\?entry=3"))
    await expect(page.locator(".marked")).to_contain_text("asked, and got a ticket.")


async def test_a_link_from_an_order_shows_its_entry(page: Page) -> None:
    await page.goto(f"{PAGE}?entry=3#entry-3")
    await expect(page.locator("#entry-3")).to_be_in_viewport()
    await expect(page.locator("#entry-3")).to_have_attribute("aria-current", "true")
    await expect(page.get_by_label("Number of the entry")).to_have_value("3")


# What cannot be checked


@pytest.mark.parametrize(
    "go_wrong", [lambda route: route.fulfill(status=503), lambda route: route.abort()], ids=["503", "cut off"]
)
async def test_a_reading_that_fails_ends_the_check_and_is_told(
    page: Page, go_wrong: Callable[[Route], Awaitable[None]]
) -> None:
    await page.route(re.compile(r"/ledger\?after=100"), go_wrong)
    said = "The check could not go on: not all entries could be read, only the first 100, which fit. Please try again."
    assert await outcome(page) == said
    await page.unroute(re.compile(r"/ledger\?after=100"))
    await page.get_by_role("button", name="Check all").click()
    await expect(page.locator("#outcome")).to_contain_text("Nobody overtook.")


async def test_an_answer_that_is_no_ledger_ends_the_check_and_is_told(page: Page) -> None:
    await page.route(re.compile(r"/ledger\?after=0"), lambda route: route.fulfill(body="<!doctype html>"))
    assert "The check could not go on: not all entries could be read." in await outcome(page)


async def test_a_check_can_be_stopped(page: Page) -> None:
    held: list[Route] = []

    async def hold(route: Route) -> None:
        held.append(route)

    await page.route(re.compile(r"/ledger\?after=100"), hold)
    await page.goto(PAGE)
    await page.get_by_role("button", name="Check all").click()
    await expect(page.get_by_role("progressbar", name="Entries checked")).to_have_attribute("value", "100")
    await page.get_by_role("button", name="Stop").click()
    await expect(page.locator("#outcome")).to_have_text("Stopped at entry 100. So far, everything fits.")
    await expect(page.get_by_role("button", name="Check all")).to_be_visible()


async def test_what_comes_while_it_is_checked_does_no_harm(page: Page, ledger: Entries) -> None:
    await answer_with(page, copy.deepcopy(ledger), 130)
    assert "All 130 entries fit together." in await outcome(page)


async def test_an_open_page_says_that_there_is_more_and_stays_as_it_is(page: Page, server: Server) -> None:
    server.as_organiser("POST /initialize", {"eventId": "live", "tickets": 1})
    await page.goto("/ui/events/live/ledger")
    await expect(page.locator("#news")).to_be_empty()
    Api(server).order("live", "bob")
    await expect(page.get_by_role("link", name="1 new entry: show the newest")).to_be_visible()
    Api(server).order("live", "cleo")
    await expect(page.get_by_role("link", name="2 new entries: show the newest")).to_be_visible()
    await expect(page.locator("#announcement")).to_have_text("There are new entries.")
    await expect(page.locator("li[id^=entry-]")).to_have_count(1)
    await page.get_by_role("link", name="2 new entries: show the newest").click()
    await expect(page.locator("li[id^=entry-]")).to_have_count(3)


async def test_without_https_the_page_says_why_it_cannot_check(chromium: Browser, server: Server) -> None:
    names = "--host-resolver-rules=MAP fairlist.example 127.0.0.1"
    browser = await chromium.browser_type.launch(executable_path=CHROMIUM, args=[*ARGUMENTS, names])
    page = await browser.new_page(base_url=f"http://fairlist.example:{server.port}")
    await page.goto(PAGE)
    await expect(page.get_by_text("Browsers work out hashes only on pages that come by https")).to_be_visible()
    await expect(page.get_by_role("button", name="Check all")).to_be_hidden()
    await browser.close()


async def test_without_scripts_the_page_says_how_else_to_check(
    chromium: Browser, server: Server, ledger: Entries
) -> None:
    context = await chromium.new_context(base_url=server.url, java_script_enabled=False)
    page = await context.new_page()
    await page.goto(PAGE)
    why = page.locator("noscript p")
    await expect(why).to_be_visible()
    assert "This check needs scripts, which are switched off in your browser." in await why.inner_text()
    await expect(page.get_by_role("button", name="Check all")).to_be_hidden()
    await fill_in(page, "3", ledger[2]["hash"])
    await expect(page.get_by_role("alert")).to_have_text("Your receipt is in the ledger: entry 3 has this very hash.")
    await expect(page.locator(".marked")).to_contain_text("asked, and got a ticket.")
    await why.locator("a").click()
    await expect(page).to_have_url(re.compile(r"/docs#checking$"))
    await context.close()
