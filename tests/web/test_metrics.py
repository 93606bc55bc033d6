"""What Prometheus is told: exactly what happened, under labels that nobody can multiply, and only with the password."""

import asyncio
import re
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from tests.client import Connection, Reply, basic
from tests.server import CODE, PASSWORD, TIMEOUT_S, USER, Server
from tests.service.simulated_store import SimulatedStore
from tests.web.pages import app_over
from webapp.box_office import BoxOffice
from webapp.log import Log
from webapp.metrics import METHODS, OTHER, UNMATCHED, Metrics
from webapp.storage.store import Addition
from webapp.web.auth import ADDRESS_BURST
from webapp.web.guard import Guard, Message, Send

Start = Callable[[BoxOffice], Awaitable[BoxOffice]]

README: Final = (CODE / "README.md").read_text()
REQUESTS: Final = "fairlist_http_requests_total"
STREAMS: Final = "fairlist_streams"
ODD_METHODS: Final = ("PROPFIND", "MKCOL", "PURGE", "REPORT", "TRACE", "SEARCH", "LOCK", "BREW")


@dataclass(frozen=True)
class Scrape:
    """What Prometheus has read: the families in their order."""

    families: list[Metric]

    @classmethod
    def of(cls, text: bytes) -> "Scrape":
        """Raises ValueError where it is not Prometheus's format."""
        return cls(list(text_string_to_metric_families(text.decode())))

    def series(self, name: str, **labels: str) -> dict[tuple[str, ...], float]:
        """The values of the samples of a name that have some labels, by all their labels' values in a fixed order."""
        return {
            tuple(value for _, value in sorted(sample.labels.items())): sample.value
            for family in self.families
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        }

    def total(self, name: str, **labels: str) -> float:
        """The sum of a name's samples that have some labels."""
        return sum(self.series(name, **labels).values())


def scraped(server: Server) -> Scrape:
    reply = server.as_organiser("GET /metrics")
    assert reply.status == 200
    return Scrape.of(reply.body)


def scraped_when(server: Server, is_so: Callable[[Scrape], bool]) -> Scrape:
    """Scrape until something is so."""
    deadline = time.monotonic() + TIMEOUT_S
    while not is_so(scrape := scraped(server)):
        assert time.monotonic() < deadline, "it never was so"
        time.sleep(0.05)
    return scrape


def risen(before: Scrape, after: Scrape, name: str) -> Counter[tuple[str, ...]]:
    """By how much the samples of a name have risen, without those of the scraping itself."""
    rise = Counter(after.series(name))
    rise.subtract(before.series(name))
    return Counter({labels: rise for labels, rise in rise.items() if rise and "/metrics" not in labels})


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with an event, for tests that look at differences."""
    with Server(tmp_path_factory.mktemp("metrics")) as server:
        assert server.as_organiser("POST /initialize", {"eventId": "gig", "tickets": 3}).status == 200
        yield server


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server where nothing has happened yet."""
    with Server(tmp_path) as server:
        yield server


def book(server: Server, guest: str) -> Reply:
    return server.ask("POST /book", {"eventId": "gig", "userId": guest})


# Access


def test_the_metrics_are_for_the_organiser(shared: Server) -> None:
    assert shared.ask("GET /metrics").code == "not_authenticated"
    assert "Basic" in shared.ask("GET /metrics").headers["WWW-Authenticate"]
    for authorization in (basic(USER, PASSWORD), f"Bearer {shared.token()}"):
        reply = shared.ask("GET /metrics", None, {"Authorization": authorization})
        assert (reply.status, reply.headers["Content-Type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
        assert reply.headers["Cache-Control"] == "no-store"


def test_prometheus_may_scrape_as_often_as_it_likes(shared: Server) -> None:
    assert {scraped(shared).total(STREAMS) for _ in range(3 * ADDRESS_BURST)} == {0}


def test_without_authentication_the_metrics_are_for_everybody(tmp_path: Path) -> None:
    with Server(tmp_path, APP_ENV="test") as server:
        assert Scrape.of(server.ask("GET /metrics").body).total(REQUESTS, route="/readyz") >= 1


# The format


def test_every_family_stands_once_with_a_type_and_a_meaning(shared: Server) -> None:
    families = scraped(shared).families
    names = [family.name for family in families]
    assert len(set(names)) == len(names)
    assert {name.partition("_")[0] for name in names} == {"fairlist", "process", "python"}
    assert {family.type for family in families} == {"counter", "gauge", "histogram"}
    assert all(family.documentation for family in families)
    assert [name for name in names if name.endswith("_created")] == []


def test_every_histogram_is_cumulative_and_ends_in_its_count(shared: Server) -> None:
    for guest in ("bob", "cleo"):
        book(shared, guest)
    scrape = scraped(shared)
    histograms = [family for family in scrape.families if family.type == "histogram"]
    assert len(histograms) == 4
    for family in histograms:
        by_route: dict[str | None, list[tuple[float, float]]] = {}
        for sample in family.samples:
            if sample.name.endswith("_bucket"):
                by_route.setdefault(sample.labels.get("route"), []).append((float(sample.labels["le"]), sample.value))
        assert by_route
        for route, buckets in by_route.items():
            assert buckets == sorted(buckets)
            assert [count for _, count in buckets] == sorted(count for _, count in buckets)
            labels = {"route": route} if route else {}
            assert buckets[-1] == (float("inf"), scrape.total(f"{family.name}_count", **labels))


def test_the_readme_tells_of_every_metric(shared: Server) -> None:
    table = dict(re.findall(r"^\| `(fairlist_\w+)(?:\{([\w, ]+)\})?` \|", README, re.MULTILINE))
    exposed = {}
    for family in scraped(shared).families:
        if family.name.startswith("fairlist_"):
            name = f"{family.name}_total" if family.type == "counter" else family.name
            exposed[name] = {label for sample in family.samples for label in sample.labels} - {"le"}
    assert {name: set(filter(None, labels.split(", "))) for name, labels in table.items()} == exposed


# What is counted


def test_counts_rise_by_exactly_what_was_sent(shared: Server) -> None:
    sent = {
        ("GET", "/health", "200"): ["GET /health"] * 3,
        ("HEAD", "/health", "200"): ["HEAD /health"],
        ("GET", "/status/<path:event_id>", "200"): ["GET /status/gig"] * 2,
        ("GET", "/status/<path:event_id>", "404"): ["GET /status/nowhere", "GET /status/else/where"],
        ("POST", "/cancel", "401"): ["POST /cancel"],
        ("POST", "/book", "415"): ["POST /book"] * 4,
        ("PUT", UNMATCHED, "405"): ["PUT /book"],
        ("GET", UNMATCHED, "404"): ["GET /nowhere", "GET /neither"],
        ("GET", UNMATCHED, "400"): [],
    }
    before = scraped(shared)
    for (_, _, status), requests in sent.items():
        assert [str(shared.ask(request).status) for request in requests] == [status] * len(requests)
    assert shared.ask("GET /health", None, {"Host": "no host"}).status == 400
    after = scraped(shared)
    expected = Counter({labels: len(requests) for labels, requests in sent.items()} | {("GET", UNMATCHED, "400"): 1})
    assert risen(before, after, REQUESTS) == expected
    by_route: Counter[tuple[str, ...]] = Counter()
    for (_, route, _), count in expected.items():
        by_route[route,] += count
    assert risen(before, after, "fairlist_http_request_seconds_count") == by_route


def test_a_scrape_is_counted_by_the_next_one(server: Server) -> None:
    for number in range(3):
        assert scraped(server).total(REQUESTS, route="/metrics", status="200") == number


def test_odd_methods_and_unknown_addresses_do_not_multiply_the_labels(shared: Server) -> None:
    before = scraped(shared)
    for number in range(5):
        for method in (*ODD_METHODS, "GET"):
            shared.ask(f"{method} /nowhere/{number}?{number}")
            shared.ask(f"{method} /health")
            shared.ask(f"{method} /status/event-{number}")
    after = scraped(shared)
    new = set(after.series(REQUESTS)) - set(before.series(REQUESTS))
    assert new <= {
        (OTHER, UNMATCHED, "404"), (OTHER, UNMATCHED, "405"), ("GET", UNMATCHED, "404"), ("GET", "/health", "200"),
        ("GET", "/status/<path:event_id>", "404"),
    }  # fmt: skip
    assert (OTHER, UNMATCHED, "404") in after.series(REQUESTS)
    assert {method for method, _, _ in after.series(REQUESTS)} <= METHODS | {OTHER}
    assert not [value for family in after.families for sample in family.samples for value in sample.labels.values()
                if "nowhere" in value or "event-" in value]  # fmt: skip


async def test_who_leaves_before_his_answer_is_counted_as_such() -> None:
    async def app(scope: object, receive: object, send: Send) -> None:
        raise asyncio.CancelledError

    metrics = Metrics()
    scope = {"type": "http", "method": "GET", "scheme": "http", "http_version": "1.1", "headers": [(b"host", b"x")]}
    with pytest.raises(asyncio.CancelledError):
        await Guard(app, Log(), metrics)(scope, None, send_to_nobody)
    scrape = Scrape.of(await metrics.text(pending=0, streams=0))
    assert scrape.series(REQUESTS) == {("GET", UNMATCHED, "0"): 1}


@pytest.mark.parametrize(("wrong", "complaints"), [("the handler is closed", 0), ("sent twice", 1)])
async def test_who_breaks_off_is_no_error_in_the_log(
    caplog: pytest.LogCaptureFixture, wrong: str, complaints: int
) -> None:
    async def app(scope: object, receive: object, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def send_into_nothing(message: Message) -> None:
        raise RuntimeError(f"unable to perform operation on <TCPTransport closed=True>; {wrong}")

    metrics = Metrics()
    scope = {"type": "http", "method": "GET", "scheme": "http", "http_version": "1.1", "headers": [(b"host", b"x")]}
    await Guard(app, Log(), metrics)(scope, None, send_into_nothing)
    assert len([record for record in caplog.records if record.levelname == "ERROR"]) == complaints


async def send_to_nobody(message: Message) -> None:
    raise AssertionError("there is nothing to send")


# What happens behind the routes


def test_every_commit_is_counted_with_its_entries(server: Server) -> None:
    assert scraped(server).total("fairlist_batch_entries_count") == 0
    server.as_organiser("POST /initialize", {"eventId": "gig", "tickets": 3})
    for guest in ("ada", "bob", "cleo", "dan"):
        book(server, guest)
    book(server, "bob")  # again: nothing to store
    server.as_organiser("POST /cancel", {"eventId": "gig", "userId": "ada"})  # and Dan gets the ticket
    scrape = scraped(server)
    assert scrape.total("fairlist_batch_entries_count") == 6
    assert scrape.total("fairlist_batch_entries_sum") == 7
    assert scrape.series("fairlist_batch_entries_bucket", le="1.0") == {("1.0",): 5}
    assert scrape.total("fairlist_commit_seconds_count") == 6
    assert scrape.total("fairlist_commit_seconds_sum") > 0
    assert scrape.total("fairlist_pending_commands") == 0


def test_a_rush_is_counted_entry_by_entry(shared: Server) -> None:
    before = scraped(shared)

    async def rush() -> None:
        guests = [await Connection.open(shared.port) for _ in range(50)]
        for number, guest in enumerate(guests):
            guest.send("POST /book", {"eventId": "gig", "userId": f"rush-{number}"})
        assert {(await guest.reply()).status for guest in guests} == {200}
        for guest in guests:
            await guest.close()

    asyncio.run(rush())
    after = scraped(shared)
    batches, commits = (
        after.total(f"{name}_count") - before.total(f"{name}_count")
        for name in ("fairlist_batch_entries", "fairlist_commit_seconds")
    )
    assert after.total("fairlist_batch_entries_sum") - before.total("fairlist_batch_entries_sum") == 50
    assert 1 <= batches == commits <= 50


class GatedStore(SimulatedStore):
    """A store whose appends wait at a gate."""

    def __init__(self) -> None:
        super().__init__(Random(1))
        self.is_appending = asyncio.Event()
        self.gate = asyncio.Event()

    async def append(self, batch: Sequence[Addition]) -> None:
        self.is_appending.set()
        await self.gate.wait()
        await super().append(batch)


async def test_commands_that_wait_are_pending(start: Start) -> None:
    store = GatedStore()
    box_office = await start(BoxOffice(store))
    browser = app_over(box_office, APP_ENV="test").test_client()

    async def pending() -> float:
        text = await (await browser.get("/metrics")).get_data()
        assert isinstance(text, bytes)
        return Scrape.of(text).total("fairlist_pending_commands")

    opening = asyncio.create_task(box_office.open_event("gig", tickets=3))
    await store.is_appending.wait()
    assert await pending() == 0  # what is being stored waits no more
    bookings = [asyncio.create_task(box_office.book("gig", f"guest-{number}")) for number in range(5)]
    await asyncio.sleep(0)
    assert await pending() == 5
    store.gate.set()
    await asyncio.gather(opening, *bookings)
    assert await pending() == 0


def test_streams_are_counted_while_they_are_open(shared: Server) -> None:
    async def open_and_close() -> None:
        streams, deadline = [], time.monotonic() + TIMEOUT_S
        for number, page in enumerate(("/ui/stream", "/ui/events/gig/stream", "/ui/stream"), 1):
            streams.append(await opened(shared, page))
            assert await asyncio.to_thread(streams_open, shared) == number
        for number in (2, 1, 0):
            await streams[number].close()
            while await asyncio.to_thread(streams_open, shared) != number:
                assert time.monotonic() < deadline, "it is open still"

    asyncio.run(open_and_close())


def streams_open(server: Server) -> float:
    return scraped(server).total(STREAMS)


async def opened(server: Server, page: str) -> Connection:
    """A stream that has begun."""
    stream = await Connection.open(server.port)
    stream.send(f"GET {page}")
    async with asyncio.timeout(TIMEOUT_S):
        await stream.reader.readuntil(b"retry:")
    return stream


def test_a_stream_that_stays_open_is_not_a_slow_request(server: Server) -> None:
    async def look_on() -> float:
        asked_at = time.monotonic()
        stream = await opened(server, "/ui/stream")
        begun_after_s = time.monotonic() - asked_at
        await asyncio.sleep(2 * begun_after_s)  # so that the whole stream certainly takes longer than its beginning
        await stream.close()
        return begun_after_s

    begun_after_s = asyncio.run(look_on())
    scrape = scraped_when(server, lambda scrape: scrape.total(REQUESTS, route="/ui/stream") == 1)
    assert scrape.total("fairlist_http_request_seconds_count", route="/ui/stream") == 1
    assert 0 < scrape.total("fairlist_http_request_seconds_sum", route="/ui/stream") <= begun_after_s


def test_the_loop_of_a_server_is_looked_at_again_and_again(shared: Server) -> None:
    looks = scraped(shared).total("fairlist_loop_lag_seconds_count")
    scraped_when(shared, lambda scrape: scrape.total("fairlist_loop_lag_seconds_count") >= looks + 2)


def test_the_process_tells_of_its_memory_and_its_time(shared: Server) -> None:
    scrape = scraped(shared)
    for name in ("process_resident_memory_bytes", "process_cpu_seconds_total", "process_open_fds"):
        assert scrape.total(name) > 0
