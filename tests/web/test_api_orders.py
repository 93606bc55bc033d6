"""/api/v1/orders: placing, seeing, ending and checking in; who sees what of it, and what is forgotten."""

import itertools
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.client import Reply, basic
from tests.server import TIMEOUT_S, USER, Server
from tests.web.api import ADA, Api, created, faults
from webapp.web.parsing import slug

NAMES = itertools.count(1)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("orders")) as server:
        yield server


@pytest.fixture
def ada(server: Server) -> Api:
    return Api(server, ADA)


@pytest.fixture
def anyone(server: Server) -> Api:
    return Api(server)


@pytest.fixture
def gig(ada: Api) -> str:
    """An event with one ticket, which no other test knows."""
    return str(ada.event(f"gig-{next(NAMES)}")["slug"])


def holding(server: Server, order: dict[str, Any]) -> Api:
    """Somebody who holds the key of an order."""
    return Api(server, {"Order-Key": order["key"]})


def entry_of(api: Api, event: str, number: int) -> dict[str, Any]:
    """An entry of an event's ledger."""
    (entry,) = api(f"GET /events/{event}/ledger?after={number - 1}&limit=1").json["items"]
    assert isinstance(entry, dict)
    return entry


def receipt_of(entry: dict[str, Any]) -> dict[str, Any]:
    """The receipt for an entry."""
    return {"entry": entry["seq"], "at": entry["at"], "hash": entry["hash"]}


# Placing


def test_who_books_gets_an_order_a_key_and_a_receipt(server: Server, anyone: Api, gig: str) -> None:
    reply = anyone(f"POST /events/{gig}/orders", {"userId": "bob", "name": " Bob B. ", "email": "bob@example.org"})
    order = created(reply)
    identity, key = order["id"], order.pop("key")
    assert re.fullmatch(r"[A-Za-z0-9_-]{22}", key)
    assert order.pop("manage_link") == f"{server.url}/ui/orders/{identity}/{key}"
    assert reply.headers["Location"] == f"/api/v1/orders/{identity}"
    assert reply.headers["Cache-Control"] == "no-store"
    entry = entry_of(anyone, gig, 3)
    assert (entry["kind"], entry["order_id"], entry["actor"]) == ("booked", identity, "guest")
    assert order == {
        "id": identity,
        "eventId": gig,
        "event_slug": gig,
        "userId": "bob",
        "name": "Bob B.",
        "email": "bob@example.org",
        "status": "booked",
        "position": None,
        "ahead": None,
        "placed_at": entry["at"],
        "checked_in": None,
        "cancel_reason": None,
        "receipt": receipt_of(entry),
    }


def test_who_comes_too_late_waits(anyone: Api, gig: str) -> None:
    orders = [anyone.order(gig, guest) for guest in ("bob", "cleo", "dan")]
    assert [(order["status"], order["position"], order["ahead"]) for order in orders] == [
        ("booked", None, None),
        ("waiting", 1, 0),
        ("waiting", 2, 1),
    ]


def test_who_books_again_learns_where_he_stands_and_nothing_that_another_could_misuse(anyone: Api, gig: str) -> None:
    anyone.order(gig, "bob")
    first = anyone.order(gig, "cleo", name="Cleo L.", email="cleo@example.org")
    again = anyone(f"POST /events/{gig}/orders", {"userId": "cleo", "name": "Mallory"})
    assert again.status == 200
    assert again.json == {
        name: first[name] for name in ("id", "eventId", "userId", "status", "position", "ahead", "receipt")
    }
    assert anyone(f"GET /orders/{first['id']}", order_key=first["key"]).json["name"] == "Cleo L."


def test_who_books_again_after_a_cancellation_has_a_new_order(server: Server, anyone: Api, gig: str) -> None:
    first = anyone.order(gig, "bob")
    holding(server, first)(f"POST /orders/{first['id']}/cancellation")
    second = anyone.order(gig, "bob")
    assert second["id"] != first["id"]
    assert holding(server, first)(f"GET /orders/{second['id']}").status == 404
    assert holding(server, first)(f"GET /orders/{first['id']}").json["status"] == "cancelled"


def test_the_organiser_books_for_others(ada: Api, anyone: Api, gig: str) -> None:
    order = ada.order(gig, "bob")
    assert entry_of(anyone, gig, 3)["actor"] == "organiser"
    assert anyone(f"GET /orders/{order['id']}", order_key=order["key"]).status == 200


@pytest.mark.parametrize(
    ("body", "at_fault"),
    [
        ({}, {"/userId"}),
        ({"userId": " "}, {"/userId"}),
        ({"userId": 7, "name": "a\nb", "email": "bob"}, {"/userId", "/name", "/email"}),
        ({"userId": "bob", "name": "x" * 201}, {"/name"}),
        ({"userId": "bob", "email": f"{'x' * 250}@example.org"}, {"/email"}),
    ],
)
def test_a_guest_is_told_what_is_wrong_field_by_field(
    anyone: Api, gig: str, body: dict[str, object], at_fault: set[str]
) -> None:
    assert faults(anyone(f"POST /events/{gig}/orders", body)) == at_fault


def test_blank_contact_is_none(anyone: Api, gig: str) -> None:
    order = anyone.order(gig, "bob", name="  ", email="")
    assert (order["name"], order["email"]) == (None, None)


def test_booking_opens_and_closes(ada: Api, anyone: Api) -> None:
    early, late = f"early-{next(NAMES)}", f"late-{next(NAMES)}"
    opens_at, closes_at = "2099-05-01T08:00:00Z", "2001-02-03T04:05:06.000007Z"
    assert ada.event(early, opens_at=opens_at)["policy"]["booking"] == "not_open_yet"
    assert ada.event(late, closes_at=closes_at)["policy"]["booking"] == "closed"
    reply = anyone(f"POST /events/{early}/orders", {"userId": "bob"})
    assert (reply.status, reply.code, reply.json["opens_at"]) == (409, "not_open_yet", opens_at)
    reply = anyone(f"POST /events/{late}/orders", {"userId": "bob"})
    assert (reply.status, reply.code, reply.json["closed_at"]) == (409, "booking_closed", closes_at)


# Seeing


def test_an_order_tells_where_it_stands_and_why(ada: Api, server: Server, anyone: Api, gig: str) -> None:
    bob, cleo, dan = (anyone.order(gig, guest) for guest in ("bob", "cleo", "dan"))
    assert ada(f"POST /orders/{cleo['id']}/cancellation").status == 200
    reply = holding(server, dan)(f"GET /orders/{dan['id']}")
    assert (reply.status, reply.headers["Cache-Control"]) == (200, "no-store")
    order = reply.json
    why = order.pop("why")
    assert order == {name: dan[name] for name in order} | {"position": 1, "ahead": 0}
    assert order.keys() == dan.keys() - {"key", "manage_link"}
    joined, cancelled = entry_of(anyone, gig, 5), entry_of(anyone, gig, 6)
    assert (why["asked_before"], why["complete"]) == (1, True)
    assert why["steps"] == [
        {"entry": 5, "at": joined["at"], "kind": "joined", "moved": 0, "position": why["steps"][0]["position"]},
        {"entry": 6, "at": cancelled["at"], "kind": "cancelled", "moved": 1, "position": 1},
    ]
    assert ada(f"POST /orders/{bob['id']}/cancellation").json["promotions"] == [{"id": dan["id"], "userId": "dan"}]
    order = ada(f"GET /orders/{dan['id']}").json
    assert (order["status"], order["position"], order["ahead"]) == ("booked", None, None)
    assert order["why"]["steps"][-1]["kind"] == "promoted"
    assert order["receipt"] == dan["receipt"]


def test_nobody_learns_of_somebody_elses_order_not_even_whether_there_is_one(
    ada: Api, server: Server, anyone: Api, gig: str
) -> None:
    bob, dan = anyone.order(gig, "bob"), anyone.order(gig, "dan")
    key = bob["key"]
    wrong = [dan["key"], "", "x", key[:-1], key + "=", key[:-1] + ("A" if key[-1] != "A" else "B"), "ß" * 22]
    for request in ("GET /orders/{}", "POST /orders/{}/cancellation"):
        answers = {
            without_request_id(anyone(request.format(order_id), order_key=shown))
            for order_id, shown in [*((bob["id"], shown) for shown in wrong), ("missing", key), (bob["id"] + "x", key)]
        }
        assert len(answers) == 1, answers
        assert without_request_id(ada(request.format("missing"))) in answers
        ((status, body),) = answers
        assert (status, "order_not_found" in body) == (404, True)
        nothing = anyone(request.format(bob["id"]))
        assert (nothing.status, nothing.code, "WWW-Authenticate" in nothing.headers) == (401, "not_authenticated", True)
        for claim in (basic(USER, "a guess"), "Bearer x", "Basic %%%"):
            for headers in ({}, {"order_key": key}):
                assert anyone(request.format(bob["id"]), authorization=claim, **headers).status == 401
    assert ada(f"GET /orders/{bob['id']}").json["status"] == "booked"


def without_request_id(reply: Reply) -> tuple[int, str]:
    return reply.status, re.sub(r'"request_id":"[^"]*"', "", reply.body.decode())


def test_a_lost_link_can_be_sent_again(ada: Api, server: Server, anyone: Api, gig: str) -> None:
    order = anyone.order(gig, "bob")
    reply = ada(f"POST /orders/{order['id']}/manage-link")
    assert created(reply) == {"id": order["id"], "key": order["key"], "manage_link": order["manage_link"]}
    assert reply.headers["Cache-Control"] == "no-store"
    assert holding(server, order)(f"POST /orders/{order['id']}/manage-link").status == 401
    assert ada("POST /orders/missing/manage-link").code == "order_not_found"


# Ending


def test_a_guest_cancels_with_his_key_and_learns_nothing_of_others(server: Server, anyone: Api, gig: str) -> None:
    bob, cleo = anyone.order(gig, "bob"), anyone.order(gig, "cleo")
    reply = holding(server, bob)(f"POST /orders/{bob['id']}/cancellation", {"reason": "I have caught a cold."})
    entry = entry_of(anyone, gig, 5)
    assert (reply.status, reply.json) == (
        200,
        {"id": bob["id"], "status": "cancelled", "promoted": 1, "receipt": receipt_of(entry)},
    )
    assert (entry["kind"], entry["actor"], entry["reason"]) == ("cancelled", "guest", None)
    order = holding(server, bob)(f"GET /orders/{bob['id']}").json
    assert (order["status"], order["cancel_reason"]) == ("cancelled", "I have caught a cold.")
    assert order["why"]["steps"][-1]["kind"] == "left"
    assert holding(server, cleo)(f"GET /orders/{cleo['id']}").json["status"] == "booked"
    again = holding(server, bob)(f"POST /orders/{bob['id']}/cancellation")
    assert (again.status, again.code) == (409, "order_cancelled")


def test_the_organiser_learns_who_was_promoted(ada: Api, anyone: Api, gig: str) -> None:
    bob, cleo = anyone.order(gig, "bob"), anyone.order(gig, "cleo")
    reply = ada(f"POST /orders/{bob['id']}/cancellation", {})
    assert (reply.status, reply.json["promoted"]) == (200, 1)
    assert reply.json["promotions"] == [{"id": cleo["id"], "userId": "cleo"}]
    assert entry_of(anyone, gig, 5)["actor"] == "organiser"


def test_a_cancellation_needs_no_body_but_reads_one(ada: Api, anyone: Api, gig: str) -> None:
    order = anyone.order(gig, "bob")
    assert ada(f"POST /orders/{order['id']}/cancellation", b"x").status == 415
    assert faults(ada(f"POST /orders/{order['id']}/cancellation", {"reason": "x" * 501})) == {"/reason"}
    assert ada("POST /orders/missing/cancellation", {"reason": 1}).status == 400
    empty = ada(f"POST /orders/{order['id']}/cancellation", b"", content_type="application/json")
    assert empty.status == 200


# Arriving


def test_a_guest_is_let_in_once(ada: Api, anyone: Api, gig: str) -> None:
    order = anyone.order(gig, "bob")
    reply = ada(f"POST /orders/{order['id']}/check-in", {"gate": "North"})
    entry = entry_of(anyone, gig, 4)
    assert created(reply) == {
        "id": order["id"],
        "userId": "bob",
        "name": None,
        "checked_in": {"at": entry["at"], "gate": "North", "by": "organiser"},
        "receipt": receipt_of(entry),
    }
    assert anyone(f"GET /events/{gig}").json["checked_in"] == 1
    again = ada(f"POST /orders/{order['id']}/check-in")
    assert (again.status, again.code) == (409, "already_checked_in")
    assert (again.json["checked_in_at"], again.json["gate"]) == (entry["at"], "North")
    shown = anyone(f"GET /orders/{order['id']}", order_key=order["key"]).json
    assert shown["checked_in"] == {"at": entry["at"], "gate": "North"}
    cancelling = anyone(f"POST /orders/{order['id']}/cancellation", order_key=order["key"])
    assert (cancelling.status, cancelling.code) == (409, "already_checked_in")


def test_a_check_in_by_mistake_is_taken_back(ada: Api, anyone: Api, gig: str) -> None:
    order = anyone.order(gig, "bob")
    path = f"/orders/{order['id']}/check-in"
    assert ada(f"DELETE {path}").code == "not_checked_in"
    assert ada(f"POST {path}").json["checked_in"]["gate"] is None
    gone = ada(f"DELETE {path}")
    assert (gone.status, gone.body) == (204, b"")
    assert (ada(f"DELETE {path}").status, anyone(f"GET /events/{gig}").json["checked_in"]) == (409, 0)
    assert ada(f"POST {path}").status == 201


def test_only_who_has_a_ticket_is_let_in(ada: Api, anyone: Api, gig: str) -> None:
    bob, cleo = anyone.order(gig, "bob"), anyone.order(gig, "cleo")
    waiting = ada(f"POST /orders/{cleo['id']}/check-in")
    assert (waiting.status, waiting.code) == (409, "not_booked")
    ada(f"POST /orders/{bob['id']}/cancellation")
    gone = ada(f"POST /orders/{bob['id']}/check-in")
    assert (gone.status, gone.code) == (409, "order_cancelled")
    assert ada("POST /orders/missing/check-in").code == "order_not_found"
    assert ada("DELETE /orders/missing/check-in").code == "order_not_found"
    assert anyone(f"POST /orders/{bob['id']}/check-in", order_key=bob["key"]).status == 401
    assert faults(ada(f"POST /orders/{cleo['id']}/check-in", {"gate": "x" * 51})) == {"/gate"}


# Forgetting


def test_a_person_is_forgotten_and_the_ledger_still_verifies(ada: Api, server: Server, anyone: Api, gig: str) -> None:
    first = anyone.order(gig, "bob the guest", name="Bob Bobson", email="bob@example.org")
    ada(f"POST /orders/{first['id']}/cancellation", {"reason": "broke his leg"})
    second = anyone.order(gig, "bob the guest", name="Bob Bobson")
    other = anyone.order(gig, "cleo", name="Cleo")
    before = anyone(f"GET /events/{gig}/ledger").json["items"]
    for _ in range(2):
        reply = ada(f"DELETE /orders/{first['id']}/person")
        assert (reply.status, reply.body) == (204, b"")
    for order in (first, second):
        shown = holding(server, order)(f"GET /orders/{order['id']}").json
        assert [shown[name] for name in ("userId", "name", "email", "cancel_reason")] == [None] * 4
        assert shown["receipt"] == order["receipt"]
    assert holding(server, other)(f"GET /orders/{other['id']}").json["name"] == "Cleo"
    assert anyone(f"GET /events/{gig}/ledger").json["items"][: len(before)] == before
    assert anyone(f"GET /events/{gig}").json["booked"] == 1
    roster = ada(f"GET /events/{gig}/orders").body + ada(f"GET /events/{gig}/orders", accept="text/csv").body
    for word in (b"bob the guest", b"Bobson", b"bob@", b"leg"):
        assert word not in roster
    assert holding(server, second)(f"POST /orders/{second['id']}/cancellation").json["promoted"] == 1
    assert ada("DELETE /orders/missing/person").code == "order_not_found"
    assert holding(server, first)(f"DELETE /orders/{first['id']}/person").status == 401
    server.verify()


def test_who_is_erased_and_gets_a_ticket_is_not_named(ada: Api, server: Server, anyone: Api, gig: str) -> None:
    bob, cleo, dan, eve = [anyone.order(gig, guest) for guest in ("bob", "cleo", "dan", "eve")]
    for order in (cleo, dan, eve):
        ada(f"DELETE /orders/{order['id']}/person")
    nobody = [{"id": cleo["id"], "userId": None}]
    assert ada(f"POST /orders/{bob['id']}/cancellation").json["promotions"] == nobody
    nobody = [{"id": dan["id"], "userId": None}]
    assert ada(f"PATCH /events/{gig}", {"capacity": 2}, if_match="*").json["promotions"] == nobody
    anyone.order(gig, "finn")
    ada(f"PATCH /events/{gig}", {"capacity": 4}, if_match="*")
    hal = anyone.order(gig, "hal")
    ada(f"DELETE /orders/{hal['id']}/person")
    reply = server.as_organiser("POST /cancel", {"eventId": gig, "userId": "finn"})
    assert (reply.status, reply.json) == (200, {"reassignedTo": None})
    assert anyone(f"GET /events/{gig}").json["waiting"] == 0


def test_words_about_somebody_who_was_erased_are_not_kept(server: Server, ada: Api, anyone: Api, gig: str) -> None:
    order = anyone.order(gig, "bob")
    assert ada(f"DELETE /orders/{order['id']}/person").status == 204
    assert (
        holding(server, order)(f"POST /orders/{order['id']}/cancellation", {"reason": "I, Bob, am ill"}).status == 200
    )
    assert ada(f"GET /orders/{order['id']}").json["cancel_reason"] is None
    assert b"Bob" not in ada(f"GET /events/{gig}/orders").body


def test_a_file_of_guests_has_no_name_for_who_was_erased(ada: Api, gig: str) -> None:
    order = ada.order(gig, "bob")
    assert ada(f"DELETE /orders/{order['id']}/person").status == 204
    (_, row) = ada(f"GET /events/{gig}/orders", accept="text/csv").body.decode().splitlines()
    assert row.split(",")[:4] == [order["id"], "", "", ""]


def test_guests_are_erased_so_many_days_after_their_event(tmp_path: Path) -> None:
    with Server(tmp_path, ERASE_AFTER_DAYS="1") as server:
        ada = Api(server, ADA)
        for event in ("past", "to come"):
            ada.event(event)
            ada.order(slug(event), "bob")
        assert ada("PATCH /events/past", {"starts_at": "2001-01-01T00:00:00Z"}, if_match="*").status == 200
        server.stop()
        server.start()
        deadline = time.monotonic() + TIMEOUT_S
        while b"bob" in ada("GET /events/past/orders").body:
            assert time.monotonic() < deadline, "nobody was erased"
            time.sleep(0.05)
        assert b"bob" in ada("GET /events/to~20come/orders").body
        server.stop()
        server.verify()
