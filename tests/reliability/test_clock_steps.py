"""The wall clock is set, by hours and years, under load and between a server's lives; nothing but times obeys it."""

import asyncio
import http.client
import random
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from pathlib import Path
from threading import Thread
from typing import Final, NamedTuple

import pytest

from tests.reliability.crowd import Crowd, ledger, wishes
from tests.reliability.history import complaints
from tests.server import Server
from tests.web.api import V1

HOUR: Final = 3_600
DAY: Final = 24 * HOUR
YEAR: Final = 365 * DAY
TO_1970: Final = DAY - int(time.time())
STEPS: Final = (HOUR, YEAR, 0, -HOUR, -DAY, TO_1970, 0)
"""By how many seconds the server's clock is ahead of ours, one after the other."""

GUESTS: Final = ("Bob", "Cleo", "Dan", "Eve", "Finn", "Gus", "Hal", "Ida", "Jo", "Kim")
ANSWER_MAX_S: Final = 10.0
SIGN_IN: Final = b"user=ada&password=correct%3A+horse%2C+battery"


class Clock:
    """The wall clock of a server, which runs on, ahead of ours by what it is set to, in seconds."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file = folder / "clock"
        self.ahead = 0
        self.set(0)

    def set(self, ahead: int) -> None:
        """Set it, at once."""
        written = self._file.with_suffix(".new")
        written.write_text(f"{ahead:+d}\n")
        written.replace(self._file)
        self.ahead = ahead

    @property
    def now(self) -> datetime:
        """What it shows."""
        return datetime.now(UTC) + timedelta(seconds=self.ahead)

    def settings(self, *, monotonic: bool = True) -> dict[str, str]:
        """What has a server go by it; its monotonic clock is left alone, unless that is to be found out."""
        return {
            "LD_PRELOAD": libfaketime(),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": str(int(monotonic)),
            "NO_FAKE_STAT": "1",
        }


def libfaketime() -> str:
    """The library for programs with threads, of the Debian package `faketime`."""
    command = ["faketime", "-f", "+0", "sh", "-c", "echo $LD_PRELOAD"]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    return told.replace("libfaketime.so", "libfaketimeMT.so")


@pytest.fixture
def clock(tmp_path: Path) -> Clock:
    return Clock(tmp_path / "clocks")


class Shared(NamedTuple):
    """A server that some tests share, each with an event of its own, and its clock, which each finds right."""

    server: Server
    clock: Clock


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    folder = tmp_path_factory.mktemp("clocks")
    clock = Clock(folder)
    with Server(folder / "server", TOKEN_EXP="1h", **clock.settings()) as server:
        yield Shared(server, clock)
        clock.set(0)
        server.verify()


@pytest.fixture
def shared(running: Shared) -> Shared:
    running.clock.set(0)
    return running


def book(server: Server, guest: str, event: str = "gig") -> tuple[int, str | None]:
    """Book; the status and the code of a problem, within the time that every answer is promised in."""
    began = time.monotonic()
    reply = server.ask("POST /book", {"eventId": event, "userId": guest})
    assert time.monotonic() - began < ANSWER_MAX_S
    return reply.status, reply.code


def at(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def test_no_step_of_the_clock_is_seen_in_what_concurrent_clients_are_answered(tmp_path: Path, clock: Clock) -> None:
    chance, events = random.Random(1), ["gig", "talk"]
    with Server(tmp_path / "server", TOKEN_EXP="365d", **clock.settings()) as server:
        clock.set(-DAY)  # so that the token is good for a day before, and a year after
        heard = [time.monotonic()]
        crowd = Crowd(chance, server.token(), heard=lambda: heard.append(time.monotonic()))
        clock.set(0)
        some = wishes(chance, events, GUESTS, 4, crowd.orders)
        load = Thread(target=lambda: asyncio.run(crowd.ask(server, islice(some, 120), 8)))
        load.start()
        steps = [HOUR, 0, DAY, -HOUR, YEAR - 2 * DAY, -DAY, 0]
        while load.is_alive():
            clock.set(steps[0])
            steps.append(steps.pop(0))
            assert server.ask("GET /status/gig").status in (200, 404)
            load.join(0.1)
        found = complaints(crowd.calls, {event: ledger(server, event) for event in events})
        assert not found, found
        assert max(later - sooner for sooner, later in pairwise(heard)) < ANSWER_MAX_S
        times = [at for (at,) in server.query("SELECT at FROM ledger ORDER BY event_id, seq")]
        assert max(times) - min(times) > HOUR * 1_000_000, "the clock was not set, as far as the server saw"
        server.verify()


def test_the_waiting_order_is_that_of_asking_whatever_the_clock_shows_over_restarts(
    tmp_path: Path, clock: Clock
) -> None:
    with Server(tmp_path / "server", **clock.settings()) as server:
        server.as_organiser("POST /initialize", {"eventId": "gig", "tickets": 1})
        waiting = []
        for number, ahead in enumerate(STEPS):
            assert book(server, f"first-{number}") == (200, None)
            clock.set(ahead)
            assert book(server, f"second-{number}") == (200, None)
            waiting += [f"first-{number}", f"second-{number}"]
            if number == 2:
                server.restart()
            elif number == 5:
                server.kill()
                server.start()
        server.verify()
        promoted = [
            server.as_organiser("POST /cancel", {"eventId": "gig", "userId": guest}).json["reassignedTo"]
            for guest in waiting
        ]
        assert promoted == [*waiting[1:], None]


def test_booking_opens_and_closes_by_the_servers_clock_however_often_it_is_set(shared: Shared) -> None:
    server, clock = shared
    opens, closes = clock.now + timedelta(hours=2), clock.now + timedelta(hours=4)
    times = {"opens_at": at(opens), "closes_at": at(closes), "starts_at": at(closes)}
    server.as_organiser(f"POST {V1}/events", {"eventId": "times", "capacity": 5, **times})
    for number, (ahead, outcome) in enumerate(
        [
            (0, (409, "not_open_yet")),
            (3 * HOUR, (200, None)),
            (HOUR, (409, "not_open_yet")),
            (3 * HOUR, (200, None)),
            (YEAR, (409, "booking_closed")),
            (TO_1970, (409, "not_open_yet")),
            (3 * HOUR, (200, None)),
        ]
    ):
        clock.set(ahead)
        assert book(server, f"guest-{number}", "times") == outcome


def test_an_answer_is_kept_for_a_day_of_the_servers_clock(shared: Shared) -> None:
    server, clock = shared
    server.as_organiser("POST /initialize", {"eventId": "answers", "tickets": 1})

    def ask() -> tuple[int, bool]:
        reply = server.ask(f"POST {V1}/events/answers/orders", {"userId": "Bob"}, {"Idempotency-Key": "key-of-bob"})
        return reply.status, reply.headers["Idempotent-Replayed"] is not None

    assert ask() == (201, False)
    for ahead in (HOUR, -HOUR, -YEAR, TO_1970, 23 * HOUR):
        clock.set(ahead)
        assert ask() == (201, True)
    clock.set(25 * HOUR)
    assert ask() == (200, False), "he has a ticket, and keeps it"


def test_tokens_and_sessions_outlive_a_clock_that_is_set_a_little_and_no_other(shared: Shared) -> None:
    server, clock = shared
    form = {"Content-Type": "application/x-www-form-urlencoded"}

    def signed_in() -> dict[str, dict[str, str]]:
        cookie = str(server.ask("POST /ui/sign-in", SIGN_IN, form).headers["Set-Cookie"]).partition(";")[0]
        return {"token": {"Authorization": f"Bearer {server.token()}"}, "session": {"Cookie": cookie}}

    def let_in(who: dict[str, dict[str, str]]) -> set[str]:
        asked = {
            "token": server.ask(f"GET {V1}/events/tokens/orders", headers=who["token"]).status == 200,
            "session": server.ask("GET /ui/organise", headers=who["session"]).status == 200,
        }
        return {name for name, is_in in asked.items() if is_in}

    server.as_organiser("POST /initialize", {"eventId": "tokens", "tickets": 1})
    now = signed_in()
    for ahead, who in [
        (0, {"token", "session"}),
        (20 * 60, {"token", "session"}),
        (45 * 60, {"token"}),
        (2 * HOUR, set[str]()),
        (-HOUR // 2, {"token", "session"}),
        (-DAY, set[str]()),
        (TO_1970, set[str]()),
        (0, {"token", "session"}),
    ]:
        clock.set(ahead)
        assert let_in(now) == who, ahead
    clock.set(YEAR)
    from_the_future = signed_in()
    assert let_in(from_the_future) == {"token", "session"}
    clock.set(0)
    assert let_in(from_the_future) == set()


def hears(server: Server, clock: Clock, event: str, patience_s: float) -> bool:
    """Whether a page of an open event hears that it is yet to open, and that it opens, as the clock is set."""
    opens = clock.now - timedelta(hours=1)
    server.as_organiser(f"POST {V1}/events", {"eventId": event, "capacity": 5, "opens_at": at(opens)})
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=patience_s)
    try:
        connection.request("GET", f"/ui/events/{event}/stream")
        stream, told = connection.getresponse(), b""
        for ahead, words in [(0, b"Book a ticket"), (-2 * HOUR, b"Booking opens"), (0, b"Book a ticket")]:
            clock.set(ahead)
            while words not in told:
                told += stream.read1()
            told = b""
    except TimeoutError:
        return False
    finally:
        connection.close()
    return True


def test_whoever_waits_for_the_clock_hears_of_it_when_it_is_set(shared: Shared) -> None:
    server, clock = shared
    assert hears(server, clock, "opening", ANSWER_MAX_S)


def test_a_server_whose_timers_obey_the_clock_that_is_set_is_found_out(tmp_path: Path, clock: Clock) -> None:
    with Server(tmp_path / "server", **clock.settings(monotonic=False)) as server:
        # Now and then the clock is set before the first timer is.
        assert not all(hears(server, clock, f"gig-{number}", 3.0) for number in range(10))
