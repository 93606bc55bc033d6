"""What the server counts of itself, and its text for Prometheus. Knows neither requests nor bookings, only figures.

The library writes the text and reads the process. What every request touches is counted here instead, and handed to the
library when somebody asks: 0.4 µs for a request, where the library's own counter and histogram take 1.3 µs even if
their labels are looked up only once.

Names: https://prometheus.io/docs/practices/naming/
"""

import asyncio
import time
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from typing import Final

from prometheus_client import CollectorRegistry, GCCollector, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

SECONDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
ENTRIES: Final = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0)
LOOP_LOOK_S: Final = 0.5

METHODS: Final = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})
OTHER: Final = "other"
"""Stands for all methods that no route has, since anybody may invent one, and Prometheus keeps every label for long."""

UNMATCHED: Final = "unmatched"
"""Stands for every address that no route has, and for a route's own asked with a method that it does not take."""


class Metrics:
    """What has been counted since the start. Used from one event loop, and therefore without locks."""

    def __init__(self) -> None:
        self._requests: Counter[tuple[str, str, int]] = Counter()
        self._request_seconds: defaultdict[str, Histogram] = defaultdict(partial(Histogram, SECONDS))
        self._batch_entries = Histogram(ENTRIES)
        self._commit_seconds = Histogram(SECONDS)
        self._loop_lag = Histogram(SECONDS)
        self._process = CollectorRegistry()
        ProcessCollector(registry=self._process)
        GCCollector(registry=self._process)

    def note_request(self, method: str, route: str | None, status: int, seconds: float) -> None:
        """Count a request that took so long until its answer began; `status` is 0 where the client left before."""
        route = route or UNMATCHED
        self._requests[method if method in METHODS else OTHER, route, status] += 1
        self._request_seconds[route].observe(seconds)

    def note_commit(self, entries: int, seconds: float) -> None:
        """Count a batch of so many entries that took so long to be stored."""
        self._batch_entries.observe(entries)
        self._commit_seconds.observe(seconds)

    async def watch_loop(self, every_s: float = LOOP_LOOK_S) -> None:
        """Note again and again how much later than it asked to the loop wakes this up, until cancelled."""
        while True:
            due = time.perf_counter() + every_s  # the loop's own clock counts whole milliseconds
            await asyncio.sleep(every_s)
            self._loop_lag.observe(max(0.0, time.perf_counter() - due))

    async def text(self, *, pending: int, streams: int) -> bytes:
        """Everything in Prometheus's text format, with so many commands pending and streams open at the moment.

        It is gathered at once, while nothing else can happen, and written in a thread, which takes three times as long.
        """
        gathered = _Gathered(list(self._families(pending, streams)), self._process)
        return await asyncio.to_thread(generate_latest, gathered)

    def _families(self, pending: int, streams: int) -> Iterator[Metric]:
        requests = CounterMetricFamily(
            "fairlist_http_requests_total",
            "Requests that were answered; status 0 where the client left before.",
            labels=("method", "route", "status"),
        )
        for (method, route, status), count in self._requests.items():
            requests.add_metric((method, route, str(status)), count)
        yield requests
        latency = HistogramMetricFamily(
            "fairlist_http_request_seconds",
            "Seconds from the head of a request to the beginning of its answer.",
            labels=("route",),
        )
        for route, histogram in self._request_seconds.items():
            latency.add_metric((route,), histogram.buckets(), histogram.sum)
        yield latency
        for name, meaning, histogram in (
            ("fairlist_batch_entries", "Ledger entries that were stored in one transaction.", self._batch_entries),
            ("fairlist_commit_seconds", "Seconds that storing a batch took.", self._commit_seconds),
            ("fairlist_loop_lag_seconds", "Seconds by which the event loop was late, twice a second.", self._loop_lag),
        ):
            yield HistogramMetricFamily(name, meaning, histogram.buckets(), histogram.sum)
        yield GaugeMetricFamily("fairlist_pending_commands", "Commands that wait to be settled.", pending)
        yield GaugeMetricFamily("fairlist_streams", "Live streams that are open.", streams)


class Histogram:
    """How many values were at most as large as each of the `bounds`, which ascend."""

    __slots__ = ("_bounds", "_counts", "sum")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.sum = 0.0
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)  # between two bounds, and beyond the last

    def observe(self, value: float) -> None:
        """Count a value."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self.sum += value

    def buckets(self) -> list[tuple[str, float]]:
        """Every bound as Prometheus writes it, with the number of values up to it; all of them under +Inf."""
        return list(zip([*map(str, self._bounds), "+Inf"], accumulate(self._counts), strict=True))


@dataclass(frozen=True, slots=True)
class _Gathered:
    """What the library asks for when it writes: what was gathered already, then what it reads of the process."""

    families: list[Metric]
    process: CollectorRegistry

    def collect(self) -> Iterable[Metric]:
        yield from self.families
        yield from self.process.collect()
