"""/api/v1/events: what is opened, shown, changed and deleted, and what is refused."""

import asyncio
import itertools
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.client import Connection
from tests.server import Server, free_port
from tests.web.api import ADA, V1, Api, created, faults
from webapp.booking.details import Details
from webapp.booking.state import Counts, Event
from webapp.web.api.preconditions import tag
from webapp.web.event_ids import CANDIDATES_MAX, candidates

NAMES = itertools.count(1)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder, port = tmp_path_factory.mktemp("events"), str(free_port())
    with Server(folder, PORT=port, PUBLIC_URL="https://tickets.example.org") as server:
        yield server


@pytest.fixture
def ada(server: Server) -> Api:
    return Api(server, ADA)


@pytest.fixture
def dan(server: Server) -> Api:
    return Api(server)


@pytest.fixture
def name() -> str:
    """A name that no other test gives to an event."""
    return f"event-{next(NAMES)}"


GIG: dict[str, Any] = {
    "title": "Summer night",
    "description": "Music.\r\n\r\nBring a blanket.",
    "venue": "Town garden",
    "starts_at": "2099-06-18T21:30:00+02:00",
    "ends_at": "2099-06-18T23:59:00.5+02:00",
    "time_zone": "Europe/Berlin",
    "opens_at": None,
    "closes_at": "2099-06-18T18:00:00Z",
    "hidden": False,
}


def test_an_event_is_shown_as_it_was_described(ada: Api, dan: Api, name: str) -> None:
    reply = ada("POST /events", {"eventId": name, "capacity": 80, **GIG})
    assert reply.headers["Location"] == f"/api/v1/events/{name}"
    document = created(reply)
    assert document == {
        "eventId": name,
        "slug": name,
        "title": "Summer night",
        "description": "Music.\n\nBring a blanket.",
        "venue": "Town garden",
        "starts_at": "2099-06-18T19:30:00Z",
        "ends_at": "2099-06-18T21:59:00.500000Z",
        "time_zone": "Europe/Berlin",
        "opens_at": None,
        "closes_at": "2099-06-18T18:00:00Z",
        "hidden": False,
        "capacity": 80,
        "booked": 0,
        "available": 80,
        "waiting": 0,
        "checked_in": 0,
        "policy": {
            "booking": "open",
            "promotes_until": "2099-06-18T19:30:00Z",
            "order": "first_come_first_served",
        },
        "revision": 2,
        "entry": 2,
        "page": f"https://tickets.example.org/ui/events/{name}",
    }
    shown = dan(f"GET /events/{name}")
    assert (shown.status, shown.json) == (200, document)
    assert shown.headers["ETag"] == reply.headers["ETag"]


def test_an_event_without_a_title_goes_by_its_id(ada: Api, name: str) -> None:
    assert ada.event(name)["title"] == name


def test_an_event_is_reached_by_its_slug_whatever_its_id(ada: Api, dan: Api) -> None:
    document = ada.event("2099/07: a ~ b?")
    assert document["slug"] == "2099~2F07~3A~20a~20~7E~20b~3F"
    assert dan(f"GET /events/{document['slug']}").json == document
    assert dan("GET /events/2099/07").status == 404
    assert dan("GET /events/2099~2f07~3a").code == "event_not_found"


def test_an_event_gets_an_id_made_of_its_title_where_it_has_none(ada: Api) -> None:
    titles = {"title": "Fête d’été, 3e édition!", "capacity": 1}
    ids = [created(ada("POST /events", titles))["eventId"] for _ in range(3)]
    assert ids == ["fete-dete-3e-edition", "fete-dete-3e-edition-2", "fete-dete-3e-edition-3"]
    assert created(ada("POST /events", {"title": "東京", "capacity": 1}))["eventId"] == "event"


def test_ids_made_of_a_title_come_to_an_end() -> None:
    found = list(candidates("x" * 200))
    assert len(found) == len(set(found)) == CANDIDATES_MAX
    assert max(map(len, found)) <= 105


def test_an_id_that_is_taken_is_refused(ada: Api, name: str) -> None:
    ada.event(name)
    reply = ada("POST /events", {"eventId": name, "capacity": 1})
    assert (reply.status, reply.code) == (409, "event_exists")


@pytest.mark.parametrize(
    ("body", "at_fault"),
    [
        ({"eventId": "bad"}, {"/capacity"}),
        ({"capacity": 1}, {"/title"}),
        ({"capacity": 1, "title": " "}, {"/title"}),
        (
            {"eventId": "/bad", "capacity": -1, "title": "a\nb", "hidden": 1},
            {"/eventId", "/capacity", "/title", "/hidden"},
        ),
        ({"eventId": "bad", "capacity": 1, "starts_at": "tomorrow"}, {"/starts_at"}),
        ({"eventId": "bad", "capacity": 1, "time_zone": "Europe/Atlantis"}, {"/time_zone"}),
        ({"eventId": "bad", "capacity": 1, "ends_at": "2099-01-01T00:00:00Z"}, {"/ends_at"}),
        (
            {
                "eventId": "bad",
                "capacity": 1,
                "starts_at": "2099-01-02T00:00:00Z",
                "ends_at": "2099-01-01T00:00:00Z",
                "opens_at": "2099-02-01T00:00:00Z",
            },
            {"/ends_at", "/opens_at"},
        ),
    ],
)
def test_what_cannot_be_true_of_an_event_is_refused_field_by_field(
    ada: Api, dan: Api, body: dict[str, object], at_fault: set[str]
) -> None:
    assert faults(ada("POST /events", body)) == at_fault
    assert dan("GET /events/bad").status == 404


def test_members_that_nobody_knows_are_passed_over(ada: Api, name: str) -> None:
    assert "colour" not in ada.event(name, colour="red", revision=7)


# What has been seen need not be sent again


def test_an_event_that_has_not_changed_is_not_sent_again(ada: Api, dan: Api, name: str) -> None:
    ada.event(name)
    seen = dan(f"GET /events/{name}").headers["ETag"]
    for given in (seen, f"W/{seen}", f'"other", {seen}'):
        reply = dan(f"GET /events/{name}", if_none_match=given)
        assert (reply.status, reply.body, reply.headers["ETag"]) == (304, b"", seen)
    dan.order(name, "bob")
    reply = dan(f"GET /events/{name}", if_none_match=seen)
    assert (reply.status, reply.json["booked"]) == (200, 1)


def test_an_etag_changes_when_booking_opens_though_nothing_was_changed() -> None:
    event = Event(Counts("gig", 1, 0, 0, 2, bytes(32)), Details(opens_at=100, closes_at=200))
    assert len({tag(event, now) for now in (99, 100, 200)}) == 3


# Changing


def test_what_a_patch_leaves_out_stays(ada: Api, dan: Api, name: str) -> None:
    reply = ada("POST /events", {"eventId": name, "capacity": 5, **GIG})
    changed = ada(f"PATCH /events/{name}", {"venue": "Castle", "closes_at": None}, if_match=reply.headers["ETag"])
    assert changed.status == 200
    expected = {
        **reply.json,
        "venue": "Castle",
        "closes_at": None,
        "revision": 3,
        "entry": 3,
    }
    assert changed.json == {"event": expected, "promoted": 0, "promotions": [], "dry_run": False}
    shown = dan(f"GET /events/{name}")
    assert (shown.json, shown.headers["ETag"]) == (expected, changed.headers["ETag"])


def test_a_patch_that_changes_nothing_makes_no_entry(ada: Api, name: str) -> None:
    document = ada.event(name, capacity=5, **GIG)
    for body in ({}, {"title": "Summer night"}, {"capacity": 5}):
        reply = ada(f"PATCH /events/{name}", body, if_match="*")
        assert (reply.status, reply.json["event"]) == (200, document)


def test_a_larger_capacity_promotes_and_says_whom(ada: Api, dan: Api, name: str) -> None:
    ada.event(name, capacity=1)
    orders = [dan.order(name, guest) for guest in ("bob", "cleo", "dan", "eve")]
    rehearsed = ada(f"PATCH /events/{name}?dry_run=1", {"capacity": 3}, if_match="*")
    assert dan(f"GET /events/{name}").json["waiting"] == 3
    done = ada(f"PATCH /events/{name}", {"capacity": 3}, if_match="*")
    promoted = [{"id": order["id"], "userId": order["userId"]} for order in orders[1:3]]
    for reply, is_rehearsal in ((rehearsed, True), (done, False)):
        assert reply.status == 200
        assert (reply.json["promoted"], reply.json["promotions"]) == (2, promoted)
        assert reply.json["dry_run"] is is_rehearsal
        event = reply.json["event"]
        assert (event["capacity"], event["booked"], event["waiting"]) == (3, 3, 1)
    assert "ETag" not in rehearsed.headers
    assert dan(f"GET /events/{name}").json == done.json["event"]


def test_a_capacity_below_what_is_booked_is_refused_with_the_least_there_can_be(ada: Api, dan: Api, name: str) -> None:
    ada.event(name, capacity=3)
    for guest in ("bob", "cleo"):
        dan.order(name, guest)
    for query in ("", "?dry_run=true"):
        reply = ada(f"PATCH /events/{name}{query}", {"capacity": 1, "title": "Smaller"}, if_match="*")
        assert (reply.status, reply.code, reply.json["capacity_min"]) == (409, "capacity_below_booked", 2)
    assert dan(f"GET /events/{name}").json["title"] == name


def test_a_change_that_contradicts_what_stays_is_refused(ada: Api, name: str) -> None:
    ada.event(name, **GIG)
    assert faults(ada(f"PATCH /events/{name}", {"starts_at": "2099-06-19T00:00:00Z"}, if_match="*")) == {"/ends_at"}
    assert faults(ada(f"PATCH /events/{name}", {"starts_at": None}, if_match="*")) == {"/ends_at"}


def test_a_change_needs_to_say_what_was_looked_at(ada: Api, name: str) -> None:
    etag = ada("POST /events", {"eventId": name, "capacity": 1}).headers["ETag"]
    for request in (f"PATCH /events/{name}", f"DELETE /events/{name}"):
        body = {"title": "A"} if request.startswith("PATCH") else None
        assert ada(request, body).status == 428
        assert ada(request, body).code == "precondition_required"
        for damaged in ("2", '"2', "W/2"):
            assert ada(request, body, if_match=damaged).status == 400
        for other in ('"other"', '""', '"1-1-000000000000-o"', '"99-99-000000000000-o"', '"3-other"'):
            reply = ada(request, body, if_match=other)
            assert (reply.status, reply.code, reply.json["revision"]) == (412, "event_changed", 2)
    assert ada(f"PATCH /events/{name}", {"title": "A"}, if_match=f'"other", W/{etag}').status == 200
    assert ada(f"PATCH /events/{name}", {"title": "B"}, if_match=etag).status == 412


def test_bookings_do_not_get_in_an_editors_way(ada: Api, dan: Api, name: str) -> None:
    etag = ada("POST /events", {"eventId": name, "capacity": 1}).headers["ETag"]
    for guest in ("bob", "cleo"):
        dan.order(name, guest)
    assert dan(f"GET /events/{name}").headers["ETag"] != etag
    assert ada(f"PATCH /events/{name}", {"title": "A"}, if_match=etag).status == 200


# Deleting


def test_an_event_that_nobody_has_booked_can_be_deleted_and_opened_again(ada: Api, dan: Api, name: str) -> None:
    etag = ada("POST /events", {"eventId": name, "capacity": 1, "title": "Old"}).headers["ETag"]
    reply = ada(f"DELETE /events/{name}", if_match=etag)
    assert (reply.status, reply.body) == (204, b"")
    for request in (f"GET /events/{name}", f"GET /events/{name}/ledger", f"GET /events/{name}/stream"):
        assert dan(request).code == "event_not_found"
    assert dan(f"POST /events/{name}/orders", {"userId": "bob"}).code == "event_not_found"
    assert ada(f"DELETE /events/{name}", if_match="*").code == "event_not_found"
    assert name not in {event["eventId"] for event in ada("GET /events?limit=100").json["items"]}
    again = ada.event(name)
    assert (again["title"], again["booked"]) == (name, 0)


def test_an_event_that_somebody_has_booked_is_never_deleted(ada: Api, dan: Api, name: str) -> None:
    ada.event(name)
    order = dan.order(name, "bob")
    for _ in range(2):
        reply = ada(f"DELETE /events/{name}", if_match="*")
        assert (reply.status, reply.code) == (409, "event_has_orders")
        dan(f"POST /orders/{order['id']}/cancellation", order_key=order["key"])


# The list


def test_the_list_is_read_page_by_page_newest_first(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        ada, dan = Api(server, ADA), Api(server)
        assert dan("GET /events").json == {"items": [], "next": None}
        for number in range(5):
            ada.event(f"event-{number}", hidden=number == 2)
        for anybody, shown in ((dan, [4, 3, 1, 0]), (ada, [4, 3, 2, 1, 0])):
            found, path = [], "/events?limit=2"
            while path:
                reply = anybody(f"GET {path}")
                found += reply.json["items"]
                path = reply.json["next"] and f"/events?limit=2&cursor={reply.json['next']}"
                assert reply.headers["Link"] == (f'</api/v1{path}>; rel="next"' if path else None)
            assert [event["eventId"] for event in found] == [f"event-{number}" for number in shown]
        assert dan("GET /events/event-2").json["hidden"] is True
        assert ada("GET /events").headers["Cache-Control"] == "no-store"
        assert dan("GET /events").headers["Vary"] == "Authorization"


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=x", "limit=1.5", "cursor=%25", "cursor=abc"])
def test_a_list_is_not_read_from_nowhere(dan: Api, query: str) -> None:
    reply = dan(f"GET /events?{query}")
    assert faults(reply) == {""}
    assert f"The query parameter {query.partition('=')[0]} is " in reply.json["error"]


# The order of checks


def test_what_is_wrong_is_said_in_the_same_order_everywhere(ada: Api, dan: Api, name: str) -> None:
    ada.event(name)
    rubbish = b"{"
    json = {"Content_Type": "application/json"}
    assert dan("POST /events", rubbish).status == 401
    assert dan(f"PATCH /events/{name}", rubbish).status == 401
    assert ada(f"PATCH /events/{name}", rubbish).status == 415
    assert ada(f"PATCH /events/{name}", rubbish, **json).code == "invalid_json"
    assert ada(f"PATCH /events/{name}", {"capacity": -1}).code == "invalid_input"
    assert ada(f"PATCH /events/{name}?dry_run=2", {}).code == "invalid_input"
    assert ada("PATCH /events/missing", {}).code == "precondition_required"
    assert ada("PATCH /events/missing", {}, if_match="*").code == "event_not_found"
    assert ada("DELETE /events/missing").code == "precondition_required"
    assert ada("PUT /events/missing").code == "method_not_allowed"


async def test_of_two_changes_to_the_same_revision_one_is_refused(server: Server, ada: Api, name: str) -> None:
    ada.event(name)
    seen = ada(f"GET /events/{name}").headers["ETag"]

    async def change(title: str) -> int:
        connection = await Connection.open(server.port)
        headers = {**ADA, "If-Match": seen}
        reply = await connection.ask(f"PATCH {V1}/events/{name}", {"title": title}, headers)
        await connection.close()
        return reply.status

    statuses = await asyncio.gather(*(change(f"title {number}") for number in range(20)))
    assert Counter(statuses) == {200: 1, 412: 19}
