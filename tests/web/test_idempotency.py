"""Idempotency-Key: a wish that is sent twice has one effect and one answer, whatever happens in between."""

import asyncio
import itertools
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.client import Connection, Reply
from tests.server import Server
from tests.web.api import ADA, V1, Api, faults

NUMBERS = itertools.count(1)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("idempotency")) as server:
        yield server


@pytest.fixture
def ada(server: Server) -> Api:
    return Api(server, ADA)


@pytest.fixture
def anyone(server: Server) -> Api:
    return Api(server)


@pytest.fixture
def key() -> str:
    """A key that nobody has used."""
    return f"key-{next(NUMBERS)}"


@pytest.fixture
def gig(ada: Api) -> str:
    """An event with two tickets, which no other test knows."""
    return str(ada.event(f"gig-{next(NUMBERS)}", capacity=2)["slug"])


def is_replay(reply: Reply, first: Reply) -> bool:
    """Whether a reply is another one again, and says so."""
    assert first.headers["Idempotent-Replayed"] is None
    same = [name for name in ("Location", "ETag", "Content-Type", "Cache-Control") if name in first.headers]
    return (
        (reply.status, reply.body) == (first.status, first.body)
        and all(reply.headers[name] == first.headers[name] for name in same)
        and reply.headers["Idempotent-Replayed"] == "true"
    )


def entries(api: Api, event: str) -> int:
    """How many entries an event's ledger has."""
    return int(api(f"GET /events/{event}").json["entry"])


Wishes = Callable[[Api, str], tuple[str, Mapping[str, object] | None]]


def a_new_event(ada: Api, gig: str) -> tuple[str, Mapping[str, object] | None]:
    return "POST /events", {"title": f"After {gig}", "capacity": 3, "starts_at": "2099-01-01T00:00:00Z"}


def a_booking(ada: Api, gig: str) -> tuple[str, Mapping[str, object] | None]:
    return f"POST /events/{gig}/orders", {"userId": "bob", "name": "Bob", "email": "bob@example.org"}


def a_booking_of_somebody_who_is_there(ada: Api, gig: str) -> tuple[str, Mapping[str, object] | None]:
    for guest in ("cleo", "dan", "bob"):
        ada.order(gig, guest)
    return f"POST /events/{gig}/orders", {"userId": "bob"}


def a_cancellation(ada: Api, gig: str) -> tuple[str, Mapping[str, object] | None]:
    orders = [ada.order(gig, guest) for guest in ("bob", "cleo", "dan", "eve")]
    return f"POST /orders/{orders[0]['id']}/cancellation", {"reason": "ill"}


def a_cancellation_without_a_word(ada: Api, gig: str) -> tuple[str, Mapping[str, object] | None]:
    return f"POST /orders/{ada.order(gig, 'bob')['id']}/cancellation", None


def a_check_in(ada: Api, gig: str) -> tuple[str, Mapping[str, object] | None]:
    return f"POST /orders/{ada.order(gig, 'bob')['id']}/check-in", {"gate": "North"}


WISHES = [
    a_new_event,
    a_booking,
    a_booking_of_somebody_who_is_there,
    a_cancellation,
    a_cancellation_without_a_word,
    a_check_in,
]


@pytest.mark.parametrize("wish", WISHES)
def test_a_wish_that_is_sent_again_has_one_effect_and_the_same_bytes(
    ada: Api, gig: str, key: str, wish: Wishes
) -> None:
    request, body = wish(ada, gig)
    first = ada(request, body, idempotency_key=key)
    assert first.status in {200, 201}
    events, before = ada("GET /events?limit=100").json, entries(ada, gig)
    for _ in range(3):
        assert is_replay(ada(request, body, idempotency_key=key), first)
    assert (ada("GET /events?limit=100").json, entries(ada, gig)) == (events, before)


@pytest.mark.parametrize("wish", WISHES)
def test_a_key_counts_for_one_body_alone(ada: Api, gig: str, key: str, wish: Wishes) -> None:
    request, body = wish(ada, gig)
    first = ada(request, body, idempotency_key=key)
    before = entries(ada, gig)
    other = {**(body or {}), "name": "Other", "venue": "Other", "reason": "other", "gate": "Other"}
    reply = ada(request, other, idempotency_key=key)
    assert (reply.status, reply.code) == (422, "idempotency_key_reused")
    assert entries(ada, gig) == before
    assert is_replay(ada(request, body, idempotency_key=key), first)


def test_white_space_and_what_nobody_knows_make_no_other_body(ada: Api, gig: str, key: str) -> None:
    json = {"content_type": "application/json", "idempotency_key": key}
    first = ada(f"POST /events/{gig}/orders", b'{"userId":"bob","name":"Bob"}', **json)
    again = ada(
        f"POST /events/{gig}/orders", b'{ "name": " Bob",\n"colour": "red", "email":null, "userId": "bob"}', **json
    )
    assert is_replay(again, first)


def test_a_key_counts_for_one_address_alone(ada: Api, anyone: Api, gig: str, key: str) -> None:
    other = ada.event(f"other-{gig}")["slug"]
    orders = [anyone(f"POST /events/{event}/orders", {"userId": "bob"}, idempotency_key=key) for event in (gig, other)]
    assert [order.status for order in orders] == [201, 201]
    assert orders[0].json["id"] != orders[1].json["id"]


def test_the_organiser_and_a_guest_may_have_chosen_the_same_key(ada: Api, anyone: Api, gig: str, key: str) -> None:
    first, second = (
        api(f"POST /events/{gig}/orders", {"userId": guest}, idempotency_key=key)
        for api, guest in ((ada, "bob"), (anyone, "cleo"))
    )
    assert (first.status, second.status) == (201, 201)
    assert is_replay(anyone(f"POST /events/{gig}/orders", {"userId": "cleo"}, idempotency_key=key), second)
    assert anyone(f"POST /events/{gig}/orders", {"userId": "bob"}, idempotency_key=key).status == 422


def test_a_booking_is_answered_as_it_was_though_it_was_cancelled_since(
    ada: Api, anyone: Api, gig: str, key: str
) -> None:
    first = anyone(f"POST /events/{gig}/orders", {"userId": "bob"}, idempotency_key=key)
    assert ada(f"POST /orders/{first.json['id']}/cancellation").status == 200
    before = entries(ada, gig)
    assert is_replay(anyone(f"POST /events/{gig}/orders", {"userId": "bob"}, idempotency_key=key), first)
    assert entries(ada, gig) == before
    assert anyone(f"POST /events/{gig}/orders", {"userId": "bob"}, idempotency_key=f"{key}-again").status == 201


def test_an_event_is_answered_as_it_was_though_it_has_changed_since(ada: Api, anyone: Api, gig: str, key: str) -> None:
    request, body = a_new_event(ada, gig)
    first = ada(request, body, idempotency_key=key)
    slug = first.json["slug"]
    anyone.order(slug, "bob")
    assert ada(f"PATCH /events/{slug}", {"title": "Renamed"}, if_match=first.headers["ETag"]).status == 200
    again = ada(request, body, idempotency_key=key)
    assert is_replay(again, first)
    assert ada(f"PATCH /events/{slug}", {"title": "Lost"}, if_match=again.headers["ETag"]).status == 412


def test_a_refusal_is_not_kept(ada: Api, anyone: Api, key: str) -> None:
    missing = f"later-{next(NUMBERS)}"
    assert anyone(f"POST /events/{missing}/orders", {"userId": "bob"}, idempotency_key=key).status == 404
    ada.event(missing, closes_at="2001-01-01T00:00:00Z")
    assert anyone(f"POST /events/{missing}/orders", {"userId": "bob"}, idempotency_key=key).status == 409
    assert ada(f"PATCH /events/{missing}", {"closes_at": None}, if_match="*").status == 200
    reply = anyone(f"POST /events/{missing}/orders", {"userId": "bob"}, idempotency_key=key)
    assert (reply.status, reply.headers["Idempotent-Replayed"]) == (201, None)


def test_who_may_not_ask_gets_no_replay(ada: Api, anyone: Api, gig: str, key: str) -> None:
    order = anyone.order(gig, "bob")
    request = f"POST /orders/{order['id']}/cancellation"
    first = anyone(request, order_key=order["key"], idempotency_key=key)
    assert first.status == 200
    assert anyone(request, idempotency_key=key).status == 401
    assert anyone(request, order_key="x" * 22, idempotency_key=key).status == 404
    assert is_replay(anyone(request, order_key=order["key"], idempotency_key=key), first)


@pytest.mark.parametrize("bad", ["", " ", "x" * 256, "a b", "a\tb", "ü"])
def test_a_key_is_1_to_255_visible_characters(ada: Api, anyone: Api, gig: str, bad: str) -> None:
    order = ada.order(gig, "cleo")
    for request, body in (
        (f"POST /events/{gig}/orders", {"userId": "bob"}),
        ("POST /events", {"eventId": f"{gig}-next", "capacity": 1}),
        (f"POST /orders/{order['id']}/cancellation", None),
        (f"POST /orders/{order['id']}/check-in", None),
        (f"POST /orders/{order['id']}/manage-link", None),
    ):
        reply = ada(request, body, idempotency_key=bad)
        assert (reply.status, "Idempotency-Key" in reply.json["error"]) == (400, True)
    assert entries(ada, gig) == 3
    assert ada(f"POST /events/{gig}/orders", {"userId": "bob"}, idempotency_key="~" * 255).status == 201


async def at_once(server: Server, count: int, request: str, body: Any, headers: Mapping[str, str]) -> list[Reply]:
    """The replies to a request that many send at the same time."""
    connections = [await Connection.open(server.port) for _ in range(count)]
    try:
        for connection in connections:
            connection.send(request, body, headers)
        return [await connection.reply() for connection in connections]
    finally:
        for connection in connections:
            await connection.close()


@pytest.mark.parametrize("wish", WISHES)
async def test_of_many_at_once_one_is_carried_out_and_all_get_its_answer(
    server: Server, ada: Api, gig: str, key: str, wish: Wishes
) -> None:
    request, body = wish(ada, gig)
    method, path = request.split(" ")
    before, events = entries(ada, gig), ada("GET /events?limit=100").json["items"]
    headers = {**ADA, "Idempotency-Key": key}
    replies = await at_once(server, 60, f"{method} {V1}{path}", body, headers)
    assert len({(reply.status, reply.body) for reply in replies}) == 1, {reply.body for reply in replies}
    assert replies[0].status in {200, 201}
    assert Counter(reply.headers["Idempotent-Replayed"] for reply in replies) == {None: 1, "true": 59}
    assert entries(ada, gig) - before <= 2
    assert len(ada("GET /events?limit=100").json["items"]) - len(events) == (wish is a_new_event)


async def test_of_many_bodies_at_once_under_one_key_one_is_carried_out(
    server: Server, ada: Api, gig: str, key: str
) -> None:
    connections = [await Connection.open(server.port) for _ in range(40)]
    for number, connection in enumerate(connections):
        connection.send(f"POST {V1}/events/{gig}/orders", {"userId": f"guest-{number}"}, {"Idempotency-Key": key})
    replies = [await connection.reply() for connection in connections]
    for connection in connections:
        await connection.close()
    assert Counter(reply.status for reply in replies) == {201: 1, 422: 39}
    assert entries(ada, gig) == 3


async def test_a_kill_in_the_middle_neither_loses_nor_doubles_a_wish(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        Api(server, ADA).event("gig", capacity=1_000)
        guests = [f"guest-{number}" for number in range(200)]
        sent = {guest: {"Idempotency-Key": f"key of {guest}".replace(" ", "-")} for guest in guests}
        told: dict[str, Reply] = {}
        enough = asyncio.Semaphore(0)

        async def book(guest: str) -> None:
            connection = await Connection.open(server.port)
            try:
                told[guest] = await connection.ask(f"POST {V1}/events/gig/orders", {"userId": guest}, sent[guest])
                enough.release()
            finally:
                await connection.close()

        for _ in range(3):
            booking = [asyncio.create_task(book(guest)) for guest in guests if guest not in told]
            for _ in range(50):
                await enough.acquire()
            server.kill()
            await asyncio.gather(*booking, return_exceptions=True)
            await asyncio.to_thread(server.start)
        for guest, reply in told.items():
            again = server.ask(f"POST {V1}/events/gig/orders", {"userId": guest}, sent[guest])
            body = reply.body.replace(reply.json["manage_link"].encode(), again.json["manage_link"].encode())
            assert (again.status, again.body, again.headers["Idempotent-Replayed"]) == (reply.status, body, "true")
        for guest in guests:
            assert server.ask(f"POST {V1}/events/gig/orders", {"userId": guest}, sent[guest]).status == 201
        assert server.ask(f"GET {V1}/events/gig").json["booked"] == len(guests)
        assert server.stop() == 0
        server.verify()


def test_nothing_secret_or_personal_is_kept(server: Server, ada: Api, anyone: Api, gig: str) -> None:
    unguessable = "0f3f6a52-8f0e-4f3e-9f57-1d0f7b0c5b0e"
    contact = {"userId": "Bob the unforgettable", "name": "Bob Bobson", "email": "bob@example.org"}
    order = anyone(f"POST /events/{gig}/orders", contact, idempotency_key=unguessable).json
    for guest in ("cleo", "Dan the unforgettable"):
        ada.order(gig, guest)
    assert (
        ada(f"POST /orders/{order['id']}/cancellation", {"reason": "lame"}, idempotency_key=unguessable).status == 200
    )
    kept = server.query("SELECT text FROM kept_answers WHERE event_id = ?", gig)
    assert len(kept) == 2
    for word in ("unforgettable", "Bobson", "bob@", "lame", order["key"], unguessable):
        assert not any(word in text for (text,) in kept)


def test_who_was_erased_is_in_no_replay(server: Server, ada: Api, gig: str, key: str) -> None:
    request, body = a_cancellation(ada, gig)
    first = ada(request, body, idempotency_key=key)
    assert [order["userId"] for order in first.json["promotions"]] == ["dan"]
    ada(f"DELETE /orders/{first.json['promotions'][0]['id']}/person")
    again = ada(request, body, idempotency_key=key)
    assert (again.status, again.headers["Idempotent-Replayed"]) == (200, "true")
    assert again.json == first.json | {"promotions": [{"id": first.json["promotions"][0]["id"], "userId": None}]}
    assert ada(request, {"reason": "another"}, idempotency_key=key).status == 422


def test_after_a_day_a_key_is_new_again(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        Api(server, ADA).event("gig", capacity=2)
        request, body, header = f"POST {V1}/events/gig/orders", {"userId": "bob"}, {"Idempotency-Key": "k"}
        assert server.ask(request, body, header).status == 201
        server.stop()
        with sqlite3.connect(server.database) as connection:
            connection.execute("UPDATE kept_answers SET at = at - 24 * 3600 * 1000000")
        connection.close()
        server.start()
        assert server.ask(request, {"userId": "cleo"}, header).status == 201


def test_a_link_that_is_asked_for_twice_is_the_same_one(ada: Api, gig: str, key: str) -> None:
    order = ada.order(gig, "bob")
    one, two = (ada(f"POST /orders/{order['id']}/manage-link", None, idempotency_key=key) for _ in range(2))
    assert (one.status, one.body) == (two.status, two.body)
    assert faults(ada(f"POST /events/{gig}/orders", {"userId": ""}, idempotency_key=key)) == {"/userId"}
