"""The roster: who has booked, for the organiser alone, page by page as JSON, or as a file for a spreadsheet."""

import csv
import io
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.server import Server
from tests.web.api import ADA, Api
from tests.web.unhurried import UNHURRIED
from webapp.web.spreadsheet import as_csv

GUESTS = [
    {"userId": "bob", "name": "Bob Bobson", "email": "bob@example.org"},
    {"userId": "cleo", "name": "Cléo Ångström"},
    {"userId": "dan", "email": "dan@example.org"},
    {"userId": "eve"},
    {"userId": "fay", "name": 'Fay "F", Fayson'},
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("roster")) as server:
        ada = Api(server, ADA)
        ada.event("gig", capacity=2)
        orders = [ada.order("gig", str(guest["userId"]), **guest) for guest in GUESTS]
        ada(f"POST /orders/{orders[0]['id']}/cancellation", {"reason": "=1+1"})
        ada(f"POST /orders/{orders[1]['id']}/check-in", {"gate": "@North"})
        yield server


@pytest.fixture
def ada(server: Server) -> Api:
    return Api(server, ADA)


def guests(roster: dict[str, Any]) -> list[str]:
    return [order["userId"] for order in roster["items"]]


def table(content: bytes) -> list[dict[str, str]]:
    """The rows of a CSV file, as a program reads it."""
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True))


def test_a_roster_names_everybody_in_the_order_of_their_asking(ada: Api) -> None:
    reply = ada("GET /events/gig/orders")
    assert (reply.status, reply.headers["Cache-Control"], reply.json["next"]) == (200, "no-store", None)
    assert guests(reply.json) == ["bob", "cleo", "dan", "eve", "fay"]
    assert [(order["status"], order["position"], order["ahead"]) for order in reply.json["items"]] == [
        ("cancelled", None, None),
        ("booked", None, None),
        ("booked", None, None),
        ("waiting", 1, 0),
        ("waiting", 2, 1),
    ]
    bob, cleo = reply.json["items"][:2]
    assert (bob["name"], bob["email"], bob["cancel_reason"]) == ("Bob Bobson", "bob@example.org", "=1+1")
    assert cleo["checked_in"]["gate"] == "@North"
    for order in (bob, cleo):
        shown = ada(f"GET /orders/{order['id']}").json
        assert order == {name: shown[name] for name in order}


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("status=booked", ["cleo", "dan"]),
        ("status=waiting", ["eve", "fay"]),
        ("status=cancelled", ["bob"]),
        ("status=checked_in", ["cleo"]),
        ("status=", ["bob", "cleo", "dan", "eve", "fay"]),
        ("q=bobson", ["bob"]),
        ("q=EXAMPLE.org", ["bob", "dan"]),
        ("q=%C3%A5ngstr%C3%B6m", ["cleo"]),
        ("q=A%CC%8Angstro%CC%88m", ["cleo"]),
        ("q=dan&status=waiting", []),
        ("q=%25", []),
    ],
)
def test_a_roster_is_narrowed_down(ada: Api, query: str, found: list[str]) -> None:
    assert guests(ada(f"GET /events/gig/orders?{query}").json) == found
    rows = table(ada(f"GET /events/gig/orders?{query}", accept="text/csv").body)
    assert [row["userId"] for row in rows] == found


@pytest.mark.parametrize("limit", [1, 2, 3, 5])
@pytest.mark.parametrize("query", ["", "&status=waiting", "&q=example.org"])
def test_a_roster_is_read_page_by_page(ada: Api, limit: int, query: str) -> None:
    whole = guests(ada(f"GET /events/gig/orders?{query}").json)
    path, pages = f"/events/gig/orders?limit={limit}{query}", []
    while path:
        reply = ada(f"GET {path}")
        pages.append(guests(reply.json))
        link = re.fullmatch(r'</api/v1(.+)>; rel="next"', reply.headers["Link"] or "")
        assert (link is None) == (reply.json["next"] is None)
        path = link[1] if link else ""
    assert [guest for page in pages for guest in page] == whole
    assert all(len(page) == limit for page in pages[:-1])


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "status=gone", "cursor=!", "cursor=abcd", f"q={'x' * 201}"])
def test_what_no_roster_can_be_asked_is_refused(ada: Api, query: str) -> None:
    for accept in ("application/json", "text/csv"):
        reply = ada(f"GET /events/gig/orders?{query}", accept=accept)
        assert (reply.status, reply.code) == (400, "invalid_input")


def test_a_roster_is_for_the_organiser_alone(server: Server, ada: Api) -> None:
    order = ada.order("gig", "gus")
    for headers in ({}, {"order_key": order["key"]}):
        for accept in ("application/json", "text/csv"):
            assert Api(server)("GET /events/gig/orders", accept=accept, **headers).status == 401
    assert ada("GET /events/missing/orders").code == "event_not_found"
    assert ada("GET /events/missing/orders", accept="text/csv").code == "event_not_found"
    ada(f"DELETE /orders/{order['id']}/person")
    assert ada(f"POST /orders/{order['id']}/cancellation").status == 200
    assert guests(ada("GET /events/gig/orders?limit=100").json)[-1] is None


# The file


def test_a_file_holds_what_a_spreadsheet_can_show_and_nothing_that_it_would_run(ada: Api) -> None:
    reply = ada("GET /events/gig/orders?limit=1", accept="text/csv")
    assert reply.status == 200
    assert reply.headers["Content-Type"] == "text/csv; charset=utf-8; header=present"
    assert reply.headers["Content-Disposition"] == 'attachment; filename="gig-guests.csv"'
    assert reply.headers["Cache-Control"] == "no-store"
    assert "Accept" in reply.headers["Vary"]
    assert reply.body.startswith("\ufeffid,userId,name,email,status,position,".encode())
    assert reply.body.count(b"\r\n") == reply.body.count(b"\n") >= 6
    rows = {row["userId"]: row for row in table(reply.body)}
    items = {order["userId"]: order for order in ada("GET /events/gig/orders?limit=100").json["items"]}
    for guest in ("bob", "cleo", "dan", "eve", "fay"):
        row, order = rows[guest], items[guest]
        for name in ("id", "name", "email", "status", "position", "placed_at"):
            assert row[name] == ("" if order[name] is None else str(order[name]))
    assert rows["bob"]["cancel_reason"] == "'=1+1"
    assert rows["cleo"]["gate"] == "'@North"
    assert rows["cleo"]["checked_in_at"] == items["cleo"]["checked_in"]["at"]


def test_who_was_erased_is_a_row_without_anybody_in_it(ada: Api) -> None:
    ada.event("talk")
    dan = ada.order("talk", "dan", name="Dan", email="dan@example.org")
    ada.order("talk", "eve", name="Eve", email="eve@example.org")
    assert ada(f"DELETE /orders/{dan['id']}/person").status == 204
    content = ada("GET /events/talk/orders", accept="text/csv").body
    erased, kept = table(content)
    assert (erased["id"], erased["status"]) == (dan["id"], "booked")
    assert (erased["userId"], erased["name"], erased["email"]) == ("", "", "")
    assert (kept["userId"], kept["name"], kept["email"]) == ("eve", "Eve", "eve@example.org")
    assert b"dan" not in content.lower()
    assert b"\x7f" not in content


def test_a_browser_that_takes_anything_gets_no_file(ada: Api) -> None:
    for accept in ("*/*", "text/html", "application/json, text/csv;q=0.5", "text/*;q=0.1, application/json"):
        assert ada("GET /events/gig/orders", accept=accept).headers.get_content_type() == "application/json"


def test_the_names_of_files_are_as_harmless_as_slugs(ada: Api) -> None:
    slug = ada.event('a"b\u202f/../c;')["slug"]
    reply = ada(f"GET /events/{slug}/orders", accept="text/csv")
    assert reply.headers["Content-Disposition"] == f'attachment; filename="{slug}-guests.csv"'
    assert table(reply.body) == []
    long = ada.event("\N{PARTY POPPER}" * 255)["slug"]
    name = ada(f"GET /events/{long}/orders", accept="text/csv").headers["Content-Disposition"]
    assert len(name) < 255
    assert re.fullmatch(r'attachment; filename="[A-Za-z0-9._~-]+-guests\.csv"', name)


FORMULAS = ["=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20"]


@pytest.mark.parametrize("sign", FORMULAS)
@pytest.mark.parametrize("before", ["", " ", "\u00a0\u3000", "\ufeff", "\u200b", '"', ' " '])
def test_a_cell_that_could_be_a_formula_is_none_any_more(sign: str, before: str) -> None:
    ((cell,),) = csv.reader(io.StringIO(as_csv([[f"{before}{sign}1"]]), newline=""))
    assert cell == f"'{before}{sign}1"


@pytest.mark.parametrize("text", ["\tx", "\rx", "\nx", "\x00=1"])
def test_a_cell_that_begins_with_a_control_character_is_text(text: str) -> None:
    assert "'" + text in as_csv([[text]])


@pytest.mark.parametrize("text", ["Zoë", "O'Neill", "a=b", "3 - 2", "bob@example.org", "x; y", "", "2026-11-22", "~"])
def test_a_cell_that_is_no_formula_stays_as_it_is(text: str) -> None:
    assert list(csv.reader(io.StringIO(as_csv([[text, 7, None]]), newline=""))) == [[text, "7", ""]]


@UNHURRIED
@given(st.lists(st.text(st.sampled_from("=+-@;,\" \t\r\nab'\uff1d"), max_size=8), min_size=1, max_size=3))
def test_no_spreadsheet_finds_a_formula_whichever_sign_it_takes_for_a_separator(cells: list[str]) -> None:
    content = as_csv([cells])
    (row,) = csv.reader(io.StringIO(content, newline=""))
    assert [cell.replace("'", "") for cell in row] == [cell.replace("'", "") for cell in cells]
    for found in row:
        for cell in found.split(";"):
            assert not cell.strip(' \t\r\n"').startswith(tuple(FORMULAS))


def test_a_roster_that_takes_long_is_sent_whole(tmp_path_factory: pytest.TempPathFactory) -> None:
    with Server(tmp_path_factory.mktemp("long")) as server:
        ada = Api(server, ADA)
        ada.event("gig", capacity=1_000)
        for number in range(1_200):
            server_books(server, number)
        rows = table(ada("GET /events/gig/orders", accept="text/csv").body)
        assert [row["userId"] for row in rows] == [f"guest-{number}" for number in range(1_200)]
        assert [row["position"] for row in rows[1_000:]] == [str(position) for position in range(1, 201)]
        page = ada("GET /events/gig/orders?q=guest-10&limit=100").json
        assert (len(page["items"]), page["next"] is None) == (100, False)


def server_books(server: Server, number: int) -> None:
    assert server.ask("POST /book", {"eventId": "gig", "userId": f"guest-{number}"}).status == 200
