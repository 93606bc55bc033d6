"""Rushes over HTTP: everybody at the same instant, each on a connection of his own."""

import asyncio
import json
import resource
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack

import pytest

from tests.client import Connection, Reply
from tests.reliability.crowd import ledger
from tests.server import Server

GUESTS = 1_000
Request = tuple[str, dict[str, object]]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that may have as many connections as there are guests, and so may its clients."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2 * GUESTS), hard))
    with Server(tmp_path_factory.mktemp("rush")) as server:
        yield server
        server.verify()


def at_once(server: Server, requests: Sequence[Request]) -> list[Reply]:
    """Connect for every request, then send them all, then read the replies, in the order of the requests."""
    organiser = {"Authorization": f"Bearer {server.token()}"}

    async def rush() -> list[Reply]:
        async with AsyncExitStack() as opened:
            connections = []
            for _ in requests:
                connections.append(await Connection.open(server.port))
                opened.push_async_callback(connections[-1].close)
            for connection, (request, body) in zip(connections, requests, strict=True):
                connection.send(request, body, {} if request == "POST /book" else organiser)
            return list(await asyncio.gather(*(connection.reply() for connection in connections)))

    return asyncio.run(rush())


def open_event(server: Server, event: str, tickets: int) -> None:
    assert server.as_organiser("POST /initialize", {"eventId": event, "tickets": tickets}).status == 200


def booking(event: str, guest: str) -> Request:
    return "POST /book", {"eventId": event, "userId": guest}


def cancellation(event: str, guest: str) -> Request:
    return "POST /cancel", {"eventId": event, "userId": guest}


def opening(event: str, tickets: int) -> Request:
    return "POST /initialize", {"eventId": event, "tickets": tickets}


def counts(server: Server, event: str) -> tuple[int, int, int]:
    status = server.ask(f"GET /status/{event}").json
    return status["total"], status["available"], status["waitingList"]


def orders(server: Server, event: str) -> dict[str, str]:
    """The status of every guest's order; no guest has two."""
    rows = server.query("SELECT user_id, status FROM orders WHERE event_id = ?", event)
    assert len(dict(rows)) == len(rows)
    return dict(rows)


def test_a_thousand_guests_at_once_get_exactly_the_hundred_tickets(server: Server) -> None:
    guests = [f"guest-{number}" for number in range(GUESTS)]
    open_event(server, "concert", 100)
    replies = at_once(server, [booking("concert", guest) for guest in guests])
    answered = {guest: reply.json for guest, reply in zip(guests, replies, strict=True)}
    assert Counter(json.dumps(answer) for answer in answered.values()) == {
        '{"assigned": true}': 100,
        '{"assigned": false}': 900,
    }
    assert counts(server, "concert") == (100, 0, 900)
    assert orders(server, "concert") == {
        guest: "booked" if answer["assigned"] else "waiting" for guest, answer in answered.items()
    }


@pytest.mark.parametrize(
    ("tickets", "status", "message"), [(1, "booked", "Already booked"), (0, "waiting", "Already on the waiting list")]
)
def test_one_guest_fifty_times_at_once_has_one_order(server: Server, tickets: int, status: str, message: str) -> None:
    event = f"lecture-{tickets}"
    open_event(server, event, tickets)
    replies = at_once(server, [booking(event, "bob")] * 50)
    assert {reply.json["assigned"] for reply in replies} == {status == "booked"}
    assert Counter(reply.json.get("message") for reply in replies) == {None: 1, message: 49}
    assert orders(server, event) == {"bob": status}
    assert counts(server, event) == (tickets, 0, 1 - tickets)


def test_opening_an_event_again_in_the_middle_of_a_rush_changes_nothing(server: Server) -> None:
    guests = [f"guest-{number}" for number in range(300)]
    open_event(server, "fair", 50)
    requests = []
    for number, guest in enumerate(guests):
        requests.append(booking("fair", guest))
        if number % 10 == 5:
            requests += [opening("fair", 50), opening("fair", 500)]
    replies = at_once(server, requests)
    answers = Counter(
        (request, reply.code or reply.body.decode()) for (request, _), reply in zip(requests, replies, strict=True)
    )
    assert answers == {
        ("POST /book", '{"assigned":true}'): 50,
        ("POST /book", '{"assigned":false}'): 250,
        ("POST /initialize", '{"eventId":"fair","tickets":50}'): 30,
        ("POST /initialize", "event_exists"): 30,
    }
    assert counts(server, "fair") == (50, 0, 250)
    assert Counter(entry.kind for entry in ledger(server, "fair")) == {"opened": 1, "booked": 50, "joined": 250}


def test_an_event_that_many_open_at_once_is_opened_once(server: Server) -> None:
    replies = at_once(server, [opening("premiere", 7 + number % 2) for number in range(40)])
    assert Counter(reply.status for reply in replies) == {200: 20, 409: 20}
    tickets = next(reply.json["tickets"] for reply in replies if reply.status == 200)
    assert [reply.json["tickets"] for reply in replies if reply.status == 200] == [tickets] * 20
    assert [entry.kind for entry in ledger(server, "premiere")] == ["opened"]


def test_cancellations_at_once_promote_in_waiting_order(server: Server) -> None:
    booked, waiting = [[f"{kind}-{number}" for number in range(29)] for kind in ("booked", "waiting")]
    open_event(server, "reading", len(booked))
    for guest in [*booked, *waiting, "cleo"]:
        server.ask("POST /book", {"eventId": "reading", "userId": guest})
    replies = at_once(server, [cancellation("reading", guest) for guest in booked])
    answered = {guest: reply.json["reassignedTo"] for guest, reply in zip(booked, replies, strict=True)}

    entries = ledger(server, "reading")
    assert [entry.guest for entry in entries if entry.kind == "promoted"] == waiting
    cancelled = [entry.guest for entry in entries if entry.kind == "cancelled"]
    assert answered == dict(zip(cancelled, waiting, strict=True))
    assert counts(server, "reading") == (29, 0, 1)


def test_guests_who_book_while_tickets_come_free_do_not_overtake_who_waits(server: Server) -> None:
    booked, waiting, late = [[f"{kind}-{number}" for number in range(29)] for kind in ("booked", "waiting", "late")]
    open_event(server, "opera", len(booked))
    for guest in [*booked, *waiting]:
        server.ask("POST /book", {"eventId": "opera", "userId": guest})
    requests = [
        request
        for pair in zip(booked, late, strict=True)
        for request in (cancellation("opera", pair[0]), booking("opera", pair[1]))
    ]
    replies = at_once(server, requests)
    assert {reply.json["assigned"] for reply in replies[1::2]} == {False}
    assert sorted(reply.json["reassignedTo"] for reply in replies[::2]) == sorted(waiting)
    assert [entry.guest for entry in ledger(server, "opera") if entry.kind == "promoted"] == waiting
