"""The ledger in the API: all that the hashes are taken over, so that anybody can check them, and nothing personal."""

import hashlib
import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.server import Server
from tests.web.api import ADA, Api

EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with an event at which everything has happened."""
    with Server(tmp_path_factory.mktemp("ledger")) as server:
        ada, anyone = Api(server, ADA), Api(server)
        ada.event("Gala/1", title="Gala", starts_at="2099-01-01T00:00:00Z")
        slug = "Gala~2F1"
        orders = [anyone.order(slug, guest, name=f"Name of {guest}") for guest in ("bob", "cleo", "dan", "eve")]
        ada(f"PATCH /events/{slug}", {"capacity": 2, "venue": "Castle"}, if_match="*")
        ada(f"POST /orders/{orders[0]['id']}/check-in", {"gate": "North"})
        ada(f"DELETE /orders/{orders[0]['id']}/check-in")
        ada(f"POST /orders/{orders[0]['id']}/cancellation", {"reason": "the measles"})
        ada(f"DELETE /orders/{orders[3]['id']}/person")
        yield server


@pytest.fixture
def anyone(server: Server) -> Api:
    return Api(server)


def pages(api: Api, slug: str, limit: int) -> list[list[dict[str, Any]]]:
    """All pages of a ledger."""
    found, after = [], 0
    while after is not None:
        reply = api(f"GET /events/{slug}/ledger?after={after}&limit={limit}")
        found.append(reply.json["items"])
        after = reply.json["next"]
        link = f'</api/v1/events/{slug}/ledger?after={after}&limit={limit}>; rel="next"'
        assert reply.headers["Link"] == (link if after is not None else None)
    return found


def test_anybody_can_check_the_whole_ledger(anyone: Api) -> None:
    entries = anyone("GET /events/Gala~2F1/ledger").json["items"]
    before = bytes(32)
    for number, entry in enumerate(entries, 1):
        micros = (datetime.fromisoformat(entry["at"]) - EPOCH) // timedelta(microseconds=1)
        told = [
            "Gala/1",
            number,
            entry["kind"],
            micros,
            *(entry[name] for name in ("actor", "order_id", "reason", "detail")),
        ]
        content = json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()
        before = hashlib.sha256(before + content).digest()
        assert (entry["seq"], entry["hash"]) == (number, before.hex())
        assert len(entry["at"]) == len("2026-11-22T19:31:13.000000Z")
    event = anyone("GET /events/Gala~2F1")
    assert event.json["entry"] == len(entries)
    assert before[:6].hex() in event.headers["ETag"]


def test_every_kind_of_entry_is_told_and_nothing_personal(anyone: Api) -> None:
    reply = anyone("GET /events/Gala~2F1/ledger")
    assert [entry["kind"] for entry in reply.json["items"]] == [
        "opened", "revised", "booked", "joined", "joined", "joined", "revised", "resized", "promoted", "checked_in",
        "check_in_undone", "cancelled", "promoted", "erased",
    ]  # fmt: skip
    for word in (b"bob", b"Name of", b"measles", b"Castle"):
        assert word not in reply.body
    assert reply.json["eventId"] == "Gala/1"
    assert reply.headers["Cache-Control"] == "no-cache"


@pytest.mark.parametrize("limit", [1, 3, 13, 14, 15, 100])
def test_a_ledger_is_read_page_by_page(anyone: Api, limit: int) -> None:
    found = pages(anyone, "Gala~2F1", limit)
    assert [entry["seq"] for page in found for entry in page] == list(range(1, 15))
    assert len(found) == -(-14 // limit)


def test_behind_the_last_entry_there_is_nothing(anyone: Api) -> None:
    for after in (14, 15, 2**53 - 1):
        reply = anyone(f"GET /events/Gala~2F1/ledger?after={after}")
        assert reply.json == {"eventId": "Gala/1", "items": [], "next": None}


@pytest.mark.parametrize("query", ["after=-1", "after=x", f"after={2**64}", "limit=0", "limit=1001", "after=1.5"])
def test_what_no_ledger_can_be_asked_is_refused(anyone: Api, query: str) -> None:
    reply = anyone(f"GET /events/Gala~2F1/ledger?{query}")
    assert (reply.status, reply.code) == (400, "invalid_input")
    assert anyone("GET /events/missing/ledger").code == "event_not_found"
