"""Who is erased is in no file of the data folder any more: not in the database, its log, or what lies between.

The -wal file follows within seconds, as soon as nobody reads what was there before; the unused parts of pages, into
which SQLite may have copied something, at the next start.
"""

import asyncio
import json
import random
import sqlite3
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import closing
from pathlib import Path
from typing import Final
from urllib.parse import quote

import pytest

from tests.server import TIMEOUT_S, Server
from tests.web.api import V1
from webapp.booking.ledger import Contact
from webapp.box_office import BoxOffice
from webapp.storage.sqlite import SqliteStore

BOB: Final = {"userId": "bob-4711", "name": "Robert Bøgh", "email": "robert@boegh.example"}
CLEO: Final = {"userId": "cleo-0815", "name": "Cléo Moreau", "email": "cleo@moreau.example"}
REASON: Final = "has caught a „cold“"
GUESTS: Final = 2_000

# What no server may do: it says that nothing is left without a look.
FORGETS_NOTHING = """
from webapp.cli import main
from webapp.storage.sqlite import SqliteStore

async def forget(store):
    return True

SqliteStore.forget = forget
main(["serve"])
"""


def forms(word: str) -> set[bytes]:
    """A word as it is, as JSON may have it, and as a URL has it."""
    return {word.encode(), json.dumps(word)[1:-1].encode(), quote(word).encode()}


def left(folder: Path, words: Iterable[str]) -> list[tuple[str, str]]:
    """Which of the words are in which files of a folder, in whatever form."""
    contents = {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return [
        (word, name) for word in words for name, content in contents.items() if any(f in content for f in forms(word))
    ]


def wait_until_gone(folder: Path, words: Iterable[str]) -> None:
    words, deadline = list(words), time.monotonic() + TIMEOUT_S
    while found := left(folder, words):
        assert time.monotonic() < deadline, f"still there: {found}"
        time.sleep(0.1)


def open_gig(server: Server) -> None:
    assert server.as_organiser("POST /initialize", {"eventId": "gig", "tickets": 1}).status == 200


def place(server: Server, guest: dict[str, str]) -> str:
    """Book under a key; the order's id."""
    key = {"Idempotency-Key": f"of-{guest['userId']}"}
    reply = server.ask(f"POST {V1}/events/gig/orders", guest, key)
    assert reply.status == 201, reply.body
    return str(reply.json["id"])


def erase(server: Server, order_id: str) -> None:
    assert server.as_organiser(f"DELETE {V1}/orders/{order_id}/person").status == 204


def test_a_guest_who_is_erased_leaves_every_file_while_bookings_go_on(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        open_gig(server)
        bob, _ = place(server, BOB), place(server, CLEO)
        reply = server.as_organiser(f"POST {V1}/orders/{bob}/cancellation", {"reason": REASON})
        assert reply.status in (200, 201), reply.body
        words = {*BOB.values(), REASON}
        assert {word for word, _ in left(server.data_dir, words)} == words, "the search finds what is there"
        erase(server, bob)
        wait_until_gone(server.data_dir, words)
        assert {word for word, _ in left(server.data_dir, CLEO.values())} == set(CLEO.values())
        assert server.ask("POST /book", {"eventId": "gig", "userId": "dan"}).json == {"assigned": False}
        server.kill()
        server.start()
        assert left(server.data_dir, words) == []
        server.verify()


def test_a_reader_who_holds_it_up_holds_up_no_booking(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        open_gig(server)
        bob = place(server, BOB)
        with closing(sqlite3.connect(f"{server.database.as_uri()}?mode=ro", uri=True)) as reader:
            reader.execute("BEGIN")
            assert reader.execute("SELECT count(*) FROM orders").fetchone() == (1,)
            erase(server, bob)
            began = time.monotonic()
            while time.monotonic() - began < 2.5:  # the server has tried more than once by then
                assert server.ask("POST /book", {"eventId": "gig", "userId": "dan"}).status == 200
                time.sleep(0.2)
            assert reader.execute("SELECT name FROM orders").fetchone() == (BOB["name"],)
            assert {name for _, name in left(server.data_dir, BOB.values())} >= {"fairlist.db-wal"}
        wait_until_gone(server.data_dir, BOB.values())
        server.verify()


def test_a_guest_of_a_past_event_leaves_every_file_after_the_days_that_are_set(tmp_path: Path) -> None:
    server = Server(tmp_path, ERASE_AFTER_DAYS="1")
    with server:
        open_gig(server)
        place(server, BOB)
        long_ago = {"starts_at": "2020-01-01T20:00:00Z"}
        authority = {"If-Match": "*", "Authorization": f"Bearer {server.token()}"}
        assert server.ask(f"PATCH {V1}/events/gig", long_ago, authority).status == 200
        assert {word for word, _ in left(server.data_dir, BOB.values())} == set(BOB.values())
        server.restart()
        wait_until_gone(server.data_dir, BOB.values())


def test_a_server_that_does_not_empty_its_log_is_found_out(tmp_path: Path) -> None:
    with Server(tmp_path, program=("-c", FORGETS_NOTHING)) as server:
        open_gig(server)
        erase(server, place(server, BOB))
        time.sleep(2.5)
        assert {name for _, name in left(server.data_dir, BOB.values())} == {"fairlist.db-wal"}


@pytest.mark.parametrize("sweeps", [True, False])
async def test_no_copy_is_left_in_unused_parts_of_pages(
    database: Path,
    open_store: Callable[[Path], Awaitable[SqliteStore]],
    start: Callable[[BoxOffice], Awaitable[BoxOffice]],
    monkeypatch: pytest.MonkeyPatch,
    sweeps: bool,
) -> None:
    chance = random.Random(1)
    store = await open_store(database)
    if not sweeps:
        monkeypatch.setattr(store._writer, "sweep", unswept)
    office = await start(BoxOffice(store, clock=lambda: 1_800_000_000_000_000, randomness=chance.randbytes))
    await office.open_event("gig", GUESTS // 2)
    guests = [f"{chance.getrandbits(64):x}-guest-{number:05}" for number in range(GUESTS)]
    placed: list[str] = []
    for first in range(0, GUESTS, 100):
        batch = guests[first : first + 100]
        orders = await asyncio.gather(
            *(office.book("gig", guest, contact=Contact(f"named {guest}", f"{guest}@example.org")) for guest in batch)
        )
        await asyncio.gather(*(office.cancel("gig", guest, "guest", f"so {guest} says") for guest in batch[::3]))
        placed += [order.order_id for order in orders]
    await erase_all(office, guests, placed)
    assert await store.sweep() == sweeps
    assert await everything_is_gone(store, database, b"-guest-") == sweeps


async def erase_all(office: BoxOffice, guests: list[str], order_ids: list[str]) -> None:
    await asyncio.gather(
        *(office.erase("gig", guest, (order_id,)) for guest, order_id in zip(guests, order_ids, strict=True))
    )


async def everything_is_gone(store: SqliteStore, database: Path, words: bytes) -> bool:
    """Whether no file has the words, once the store has forgotten."""
    assert await store.forget()
    return not any(words in path.read_bytes() for path in database.parent.iterdir())


async def unswept() -> bool:
    return False
