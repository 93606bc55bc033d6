"""A disk that is really full, and one that is really read-only: what was answered stands, and a sentence says why.

Errors that are put in the way of single calls are in `test_store_faults.py`; here the kernel itself refuses.
"""

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from tests import effort
from tests.client import Reply
from tests.reliability.history import NOTHING, UNKNOWN
from tests.reliability.load import Load, ledgers
from tests.reliability.small_disk import SmallDisk, small_disk
from tests.reliability.test_store_faults import SWALLOWS_ERRORS
from tests.server import Server, ServerEnded

MEBIBYTES = 4
TICKETS = 6
ASKED = 60
ASKED_MAX = 1_200
ROOM_PAGES = (40, 3, 0)
"""What is left of a disk: for a while, for one booking or two, and for none."""


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with small_disk(tmp_path / "data", MEBIBYTES) as disk:
        yield disk


class Hall:
    """An event beside those of the load, and who has been told that he has a place there."""

    def __init__(self, server: Server) -> None:
        assert server.as_organiser("POST /initialize", {"eventId": "hall", "tickets": TICKETS}).status == 200
        self._server = server
        self._names = (f"guest-{number}" for number in count())
        self.told: list[str] = []

    def book(self) -> Reply:
        """Have somebody new book."""
        name = next(self._names)
        reply = self._server.ask("POST /book", {"eventId": "hall", "userId": name})
        if reply.status == 200:
            self.told.append(name)
        return reply

    def book_until_full(self, load: Load) -> Reply:
        """Have everybody book until the disk is full; the answer to who found it so."""
        for _ in range(0, ASKED_MAX, ASKED):
            load.ask_for(ASKED)
            reply = self.book()
            if reply.status != 200:
                return reply
        raise AssertionError("the disk does not fill up")

    def is_shown(self) -> bool:
        """Whether guests can read it, and what was told."""
        shown = self._server.ask("GET /status/hall")
        assert (shown.status, self._server.ask("GET /ui").status) == (200, 200)
        booked, waiting = shown.json["total"] - shown.json["available"], shown.json["waitingList"]
        return (booked, waiting) == (min(TICKETS, len(self.told)), max(0, len(self.told) - TICKETS))

    def is_as_told(self) -> bool:
        """Whether its ledger has those who were told so, in that order, and nobody else."""
        return [entry.guest for entry in ledgers(self._server)["hall"]] == [None, *self.told]


def test_what_was_answered_on_a_disk_that_fills_up_stands_and_the_server_heals(disk: SmallDisk, tmp_path: Path) -> None:
    with disk.server(tmp_path) as server:
        hall, load = Hall(server), Load(server, effort.FIRST_SEED)
        load.ask_for(ASKED)
        for pages in ROOM_PAGES:
            disk.fill(pages)
            refused = hall.book_until_full(load)
            assert (refused.status, refused.code) == (503, "storage_unavailable")
            assert (refused.headers["Retry-After"], refused.json["detail"]) == ("2", NOT_STORED)
            assert hall.is_shown()
            disk.make_room()
            assert hall.book().status == 200, "it does not heal"
        load.ask_for(ASKED)
        assert not {NOTHING, UNKNOWN} & {str(answer) for answer in load.answers(ASKED)}, "it does not heal"
        assert server.stop() == 0
        server.verify()
        assert load.complaints("hall") == []
        assert hall.is_as_told()


NOT_STORED = "The order could not be stored; nothing was changed"


def test_a_server_that_is_killed_on_a_full_disk_has_lost_nothing_with_and_without_room(
    disk: SmallDisk, tmp_path: Path
) -> None:
    with disk.server(tmp_path) as server:
        hall, load = Hall(server), Load(server, effort.FIRST_SEED)
        disk.fill(ROOM_PAGES[0])
        hall.book_until_full(load)
        server.kill()
        disk.fill()
        server.start()
        assert hall.is_shown()
        hall.book()  # there may be room by now, since the log of the last life is emptied
        server.kill()
        disk.seen(disk.folder / "fairlist.db-shm").unlink()  # as a copy of the folder may lack it
        disk.fill()
        said = refusal(server)
        assert str(disk.folder / "fairlist.db") in said
        assert "free disk space" in said
        disk.make_room()
        server.start()
        server.verify()
        load.ask_for(ASKED)
        assert load.complaints("hall") == []
        assert hall.is_as_told()


def test_a_first_start_on_a_full_disk_says_what_is_missing_and_where_and_the_next_goes_well(
    disk: SmallDisk, tmp_path: Path
) -> None:
    server = disk.server(tmp_path)
    for pages in (0, 1, 5, 20):
        disk.fill(pages)
        said = refusal(server)
        assert str(disk.folder / "fairlist.db") in said
        assert "No space left on device" in said or "free disk space" in said
        disk.make_room()
    with server:
        assert Hall(server).book().status == 200
        server.verify()


@pytest.mark.parametrize("was_killed", [False, True])
def test_a_read_only_disk_refuses_a_start_and_can_be_verified(
    disk: SmallDisk, tmp_path: Path, was_killed: bool
) -> None:
    with disk.server(tmp_path) as server:
        hall = Hall(server)
        for _ in range(2 * TICKETS):
            hall.book()
        if was_killed:
            server.kill()
        else:
            assert server.stop() == 0
        disk.remount("ro")
        assert f"{disk.folder / 'fairlist.db.lock'}: Read-only file system." in refusal(server)
        server.verify()
        disk.remount("rw")
        server.start()
        assert hall.book().json == {"assigned": False}
        assert hall.is_as_told()


def test_a_server_that_takes_a_full_disk_for_none_is_found_out(disk: SmallDisk, tmp_path: Path) -> None:
    with disk.server(tmp_path, ("-c", SWALLOWS_ERRORS)) as server:
        load = Load(server, effort.FIRST_SEED)
        load.ask_for(ASKED)
        disk.fill()
        load.ask_for(ASKED)
        disk.make_room()
        assert load.complaints()


def refusal(server: Server) -> str:
    """What a server says that does not start, in a sentence."""
    with pytest.raises(ServerEnded) as refused:
        server.start()
    assert refused.value.status == 1
    said = refused.value.said.rpartition("Error: ")[2]
    assert said
    assert "Traceback" not in refused.value.said
    return said
