"""The guests of an event, for its organiser: who they are, found, counted, written to a file, and booked for."""

import csv
import html
import io
import re
import sys

import pytest
from quart.typing import TestClientProtocol as Browser

from tests.web.door import GIG, HOSTILE, NOW, PANEL_GIG, booked, led_to, order_path, shown
from tests.web.pages import Clock, app_over
from tests.web.test_dates import at
from tests.web.test_live import streaming
from webapp.booking.ledger import Contact
from webapp.box_office import BoxOffice

GUESTS = f"{PANEL_GIG}/guests"


@pytest.fixture
async def office(office: BoxOffice, clock: Clock) -> BoxOffice:
    clock.now = NOW
    await office.create_event("gig", 2, GIG)
    return office


@pytest.fixture
async def crowd(office: BoxOffice, clock: Clock) -> list[str]:
    """Bob has cancelled, Cleo is in, Dan has a ticket; Eve and Fay wait. Their orders, in that order."""
    clock.now = at("2026-11-20T13:45")
    orders = await booked(office, "Bob Baker", "Cleo Lindqvist", "Dan Okafor", "Eve Abel", "Fay Ito")
    clock.now = NOW
    await office.cancel("gig", "bob.baker@example.org", "guest", "A cold")
    await office.check_in("gig", "cleo.lindqvist@example.org", orders[1], "A")
    return orders


async def test_the_guests_stand_in_the_order_in_which_they_asked(ada: Browser, crowd: list[str]) -> None:
    answer = await ada.get(GUESTS)
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
    said = await shown(answer)
    assert "All 5 Booked 2 Waiting 2 Cancelled 1 Checked in 1" in said
    asked = "Asked 20 November 13:45"
    assert (
        f"Bob Baker bob.baker@example.org Cancelled {asked} "
        f"Cleo Lindqvist cleo.lindqvist@example.org Checked in {asked} Arrived 19:02, gate A "
        f"Dan Okafor dan.okafor@example.org Booked {asked} "
        f"Eve Abel eve.abel@example.org 1st in line {asked} "
        f"Fay Ito fay.ito@example.org 2nd in line {asked} "
        "In the order in which they asked. Times are in the time zone of the event, Europe/Berlin."
    ) in said


async def test_every_guest_leads_to_his_order(ada: Browser, crowd: list[str]) -> None:
    markup = await (await ada.get(GUESTS)).get_data(as_text=True)
    for order_id in crowd:
        assert markup.count(f'href="{order_path(order_id)}"') == 1


NAMES = ("Bob Baker", "Cleo Lindqvist", "Dan Okafor", "Eve Abel", "Fay Ito")


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("?status=booked", ["Cleo Lindqvist", "Dan Okafor"]),
        ("?status=waiting", ["Eve Abel", "Fay Ito"]),
        ("?status=cancelled", ["Bob Baker"]),
        ("?status=checked_in", ["Cleo Lindqvist"]),
        ("?q=LINDQ", ["Cleo Lindqvist"]),
        ("?q=eve.abel@", ["Eve Abel"]),
        ("?q=example.org&status=waiting", ["Eve Abel", "Fay Ito"]),
        ("?q=%20&status=", list(NAMES)),
        ("?q=%25", []),
    ],
)
async def test_the_list_is_narrowed_down_and_so_is_its_file(
    ada: Browser, crowd: list[str], query: str, found: list[str]
) -> None:
    said = await shown(await ada.get(f"{GUESTS}{query}"))
    assert [name for name in NAMES if name in said] == found
    assert [row["name"] for row in await file_of(ada, query)] == found


async def file_of(ada: Browser, query: str = "") -> list[dict[str, str]]:
    answer = await ada.get(f"{GUESTS}.csv{query}")
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="gig-guests.csv"'
    content = (await answer.get_data(as_text=False)).decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(content, newline=""), strict=True))


async def test_a_guest_is_found_by_the_number_of_his_order(ada: Browser, crowd: list[str]) -> None:
    said = await shown(await ada.get(f"{GUESTS}?q={crowd[2]}"))
    assert f"Found for “{crowd[2]}”. Show all" in said
    assert [name for name in NAMES if name in said] == ["Dan Okafor"]


@pytest.mark.parametrize("query", ["", "?status=booked", "?q=example&status=waiting", "?q=nobody"])
async def test_the_file_is_the_same_as_the_apis(ada: Browser, office: BoxOffice, crowd: list[str], query: str) -> None:
    await office.book("gig", "=1+1", contact=Contact("@SUM(A1)", None))
    api = app_over(office, APP_ENV="test").test_client()
    theirs = await api.get(f"/api/v1/events/gig/orders{query}", headers={"Accept": "text/csv"})
    ours = await ada.get(f"{GUESTS}.csv{query}")
    assert await ours.get_data() == await theirs.get_data()
    assert ours.headers["Content-Type"] == theirs.headers["Content-Type"]


async def test_no_cell_of_the_file_is_a_formula(ada: Browser, office: BoxOffice) -> None:
    await office.book("gig", "=1+1", contact=Contact("@SUM(A1)", None))
    (row,) = await file_of(ada)
    assert (row["userId"], row["name"]) == ("'=1+1", "'@SUM(A1)")


async def test_what_the_list_and_its_file_hold_is_the_same_for_the_same_address(ada: Browser, crowd: list[str]) -> None:
    markup = await (await ada.get(f"{GUESTS}?status=waiting&q=e")).get_data(as_text=True)
    assert f'href="{GUESTS}.csv?status=waiting&amp;q=e"' in markup


async def test_a_long_list_goes_on_on_the_next_page(
    ada: Browser, office: BoxOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = sys.modules["webapp.web.organiser.guests"]
    monkeypatch.setattr(module, "GUESTS_PER_PAGE", 2)
    monkeypatch.setattr(module, "GUESTS_PRINTED_MAX", 4)
    await booked(office, *(f"Guest {number}" for number in range(1, 6)))
    seen, address = [], f"{GUESTS}?q=guest"
    while address:
        markup = await (await ada.get(address)).get_data(as_text=True)
        seen.append([number for number in range(1, 6) if f"Guest {number}<" in markup])
        assert ("First guests" in markup) == (len(seen) > 1)
        more = re.search('<a href="([^"]+)">More guests</a>', markup)
        address = html.unescape(more[1]) if more else ""
    assert seen == [[1, 2], [3, 4], [5]]
    assert "There are no more guests." in await shown(await ada.get(f"{GUESTS}?after=99"))
    printed = await shown(await ada.get(f"{GUESTS}?all=1"))
    assert all(f"Guest {number}" in printed for number in range(1, 5))
    assert "Guest 5" not in printed


async def test_a_list_that_fits_on_one_page_offers_no_other(ada: Browser, crowd: list[str]) -> None:
    said = await shown(await ada.get(GUESTS))
    assert "More guests" not in said
    assert "to print" not in said


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("", "Nobody has booked yet Pass on the page for guests, or book for somebody above."),
        ("?status=booked", "Nobody has a ticket How many there are stands under Settings."),
        ("?status=waiting", "Nobody is waiting When all tickets are taken, whoever asks next waits here"),
        ("?status=cancelled", "Nobody has cancelled To cancel for somebody, find the guest here"),
        ("?status=checked_in", "Nobody is in yet Let guests in under Check-in."),
        ("?q=Dan", "Nobody found for “Dan”. Show all"),
    ],
)
async def test_an_empty_list_says_what_to_do(ada: Browser, query: str, said: str) -> None:
    assert said in await shown(await ada.get(f"{GUESTS}{query}"))


@pytest.mark.parametrize("query", ["?status=gone", "?after=x", "?after=-1", "?since=x"])
async def test_a_damaged_address_is_no_list(ada: Browser, query: str) -> None:
    answer = await ada.get(f"{GUESTS}{query}")
    assert answer.status_code == 400
    assert "Something in this address cannot be read." in await shown(answer)


async def test_what_nobody_can_be_found_by_is_a_mistake_and_stays_in_its_field(ada: Browser) -> None:
    for text in ("x" * 201, "x%00y"):
        answer = await ada.get(f"{GUESTS}?q={text}")
        assert answer.status_code == 422
        assert "Please look for at most 200 characters, all of them visible." in await shown(answer)
        assert '<a href="#find-q">' in await answer.get_data(as_text=True)
    assert (await ada.get(f"{GUESTS}.csv?q={'x' * 201}")).status_code == 400


async def test_an_event_that_is_not_there_has_no_guests(ada: Browser) -> None:
    for path in ("guests", "guests.csv", "guests/stream"):
        assert (await ada.get(f"/ui/organise/events/missing/{path}")).status_code == 404
    assert (await ada.post("/ui/organise/events/missing/orders", form={"name": "Bob"})).status_code == 404


async def test_hostile_names_are_never_markup(ada: Browser, office: BoxOffice) -> None:
    await office.book("gig", "x@example.org", contact=Contact(HOSTILE, None))
    await office.book("gig", HOSTILE)
    for path in (GUESTS, f"{GUESTS}?q=%3Cscript%3E"):
        markup = await (await ada.get(path)).get_data(as_text=True)
        assert markup.count("&lt;script&gt;alert(1)") >= 2
        assert "<script>alert" not in markup


async def test_who_was_erased_is_on_the_list_without_a_name(ada: Browser, office: BoxOffice, crowd: list[str]) -> None:
    await office.erase("gig", "dan.okafor@example.org", (crowd[2],))
    said = await shown(await ada.get(GUESTS))
    assert "Name erased Booked Asked" in said
    assert "Dan" not in said
    assert "\x7f" not in said


# Booking for somebody


@pytest.mark.parametrize(
    ("form", "guest", "contact"),
    [
        ({"name": " Bob Brandt ", "email": " Bob@Example.org "}, "bob@example.org", ("Bob Brandt", "Bob@Example.org")),
        ({"name": "Bob Brandt"}, "Bob Brandt", ("Bob Brandt", None)),
        ({"name": "Bob Brandt", "email": ""}, "Bob Brandt", ("Bob Brandt", None)),
    ],
)
async def test_an_organiser_books_for_somebody(
    ada: Browser, office: BoxOffice, form: dict[str, str], guest: str, contact: tuple[str, str | None]
) -> None:
    answer = await ada.post(f"{PANEL_GIG}/orders", form=form)
    assert answer.headers["Location"] == GUESTS
    assert "Bob Brandt has a ticket." in await led_to(ada, answer)
    order_id = (await office.place("gig", guest)).order_id
    (row,) = await file_of(ada)
    assert (row["id"], row["name"], row["email"]) == (order_id, contact[0], contact[1] or "")


async def test_who_finds_no_ticket_is_put_on_the_waiting_list(ada: Browser, crowd: list[str]) -> None:
    answer = await ada.post(f"{PANEL_GIG}/orders", form={"name": "Gus"})
    assert "Gus is 3rd on the waiting list." in await led_to(ada, answer)
    answer = await ada.post(f"{PANEL_GIG}/orders", form={"name": "Gus"})
    assert "Gus is 3rd on the waiting list already; nothing changed." in await led_to(ada, answer)


async def test_under_an_address_that_has_booked_before_nobody_else_is_said_to_have(
    ada: Browser, crowd: list[str]
) -> None:
    answer = await ada.post(f"{PANEL_GIG}/orders", form={"name": "Gus", "email": "dan.okafor@example.org"})
    assert "dan.okafor@example.org has a ticket already; nothing changed." in await led_to(ada, answer)


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"name": " ", "email": "bob@example.org"}, {"name": "Please enter a name."}),
        ({"name": "Bob", "email": "bob"}, {"email": "Please enter an address such as cleo@example.org."}),
        ({"name": "x" * 201, "email": "bob"}, {"name": "Please use at most 200", "email": "Please enter an address"}),
        ({}, {"name": "Please enter a name."}),
    ],
)
async def test_a_mistake_is_told_and_what_was_typed_is_kept(
    ada: Browser, office: BoxOffice, form: dict[str, str], said: dict[str, str]
) -> None:
    answer = await ada.post(f"{PANEL_GIG}/orders", form=form)
    assert answer.status_code == 422
    markup = await answer.get_data(as_text=True)
    for name, sentence in said.items():
        assert f'<a href="#book-{name}">{sentence}' in markup
    for text in form.values():
        assert f'value="{text.strip()}"' in markup
    assert '<details class="panel" id="book" open>' in markup
    assert (await office.counts("gig")).booked == 0


# Live


async def test_a_page_that_was_made_before_says_so(ada: Browser, office: BoxOffice) -> None:
    markup = await (await ada.get(f"{GUESTS}?status=booked")).get_data(as_text=True)
    head = (await office.counts("gig")).head
    assert f'sse-connect="{GUESTS}/stream?status=booked&amp;after={head}"' in markup
    assert "The list has changed" not in markup
    polled = f"{GUESTS}?status=booked&since={head}"
    assert f'data-page="{polled.replace("&", "&amp;")}"' in markup
    assert "The list has changed" not in await shown(await ada.get(polled))
    await booked(office, "Bob")
    assert "The list has changed: show it" in await shown(await ada.get(polled))


async def test_the_stream_tells_the_tabs_and_that_the_list_is_old(ada: Browser, office: BoxOffice) -> None:
    head = (await office.counts("gig")).head
    async with streaming(ada, f"{GUESTS}/stream?after={head}") as stream:
        tabs = "All 0 Booked 0 Waiting 0 Cancelled 0 Checked in 0"
        for message in (("shares", tabs), ("changed", ""), ("arrived", "0 of 0 are in")):
            assert await stream.message() == message
        (bob,) = await booked(office, "Bob")
        assert await stream.message() == ("shares", "All 1 Booked 1 Waiting 0 Cancelled 0 Checked in 0")
        assert await stream.message() == ("changed", "The list has changed: show it")
        await office.check_in("gig", "bob@example.org", bob, None)
        await stream.until("1 of 1 is in")


async def test_the_file_and_the_list_look_at_the_orders_in_short_hops(
    ada: Browser, office: BoxOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("webapp.storage.sqlite_reader.ROWS_PER_CHUNK", 3)
    await booked(office, *(f"Guest {number}" for number in range(10)))
    assert len(await file_of(ada)) == 10
    assert (await shown(await ada.get(f"{GUESTS}?q=Guest 9"))).count("Guest 9 guest") == 1
