"""The metrics: what is counted, under which labels, and how late the event loop is."""

import asyncio
import time
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from webapp.app import running
from webapp.log import Log
from webapp.metrics import METHODS, SECONDS, Histogram, Metrics
from webapp.settings import Settings

TIMEOUT_S: Final = 30.0
LAG: Final = "fairlist_loop_lag_seconds"


async def families(metrics: Metrics) -> dict[str, Metric]:
    """What Prometheus would read, by name."""
    text = await metrics.text(pending=0, streams=0)
    return {family.name: family for family in text_string_to_metric_families(text.decode())}


async def value(metrics: Metrics, sample: str) -> float:
    """The value of a sample without labels."""
    read = [found for family in (await families(metrics)).values() for found in family.samples if found.name == sample]
    assert [found.labels for found in read] == [{}]
    return read[0].value


@given(st.lists(st.floats(0.0, 20.0) | st.sampled_from(SECONDS)))
def test_every_value_is_in_all_buckets_that_are_large_enough_for_it(values: list[float]) -> None:
    histogram = Histogram(SECONDS)
    for seconds in values:
        histogram.observe(seconds)
    counted = {float(bound): count for bound, count in histogram.buckets()}
    assert counted == {bound: sum(seconds <= bound for seconds in values) for bound in (*SECONDS, float("inf"))}
    assert histogram.sum == pytest.approx(sum(values))


async def test_no_invented_method_or_address_makes_a_label_of_its_own() -> None:
    metrics = Metrics()
    for number in range(1_000):
        metrics.note_request(f"BREW-{number}", None, 405, 0.001)
        metrics.note_request("GET", None, 404, 0.001)
    for method in METHODS:
        metrics.note_request(method, "/book", 200, 0.001)
    requests = (await families(metrics))["fairlist_http_requests"].samples
    assert {tuple(sample.labels.values()): sample.value for sample in requests} == {
        ("other", "unmatched", "405"): 1_000,
        ("GET", "unmatched", "404"): 1_000,
        **{(method, "/book", "200"): 1 for method in METHODS},
    }


async def test_two_apps_in_one_process_count_for_themselves() -> None:
    here, there = Metrics(), Metrics()
    here.note_commit(5, 0.001)
    assert await value(here, "fairlist_batch_entries_sum") == 5
    assert await value(there, "fairlist_batch_entries_sum") == 0


async def test_requests_may_come_while_the_text_is_written() -> None:
    metrics, routes = Metrics(), 200
    for number in range(routes):
        metrics.note_request("GET", f"/{number}", 200, 0.001)
    writing = asyncio.create_task(metrics.text(pending=0, streams=0))
    await asyncio.sleep(0)  # all is gathered now
    while not writing.done():
        metrics.note_request("GET", f"/{routes}", 200, 0.001)
        routes += 1
        await asyncio.sleep(0)
    assert routes > 200
    read = {family.name: family.samples for family in text_string_to_metric_families(writing.result().decode())}
    written = [sample.labels["route"] for sample in read["fairlist_http_requests"]]
    assert written == [f"/{number}" for number in range(200)]


# The event loop


async def test_a_callback_that_takes_long_shows_as_lag() -> None:
    metrics = Metrics()
    watching = asyncio.create_task(metrics.watch_loop(every_s=0.01))
    await asyncio.sleep(0)  # it waits for its first look now
    asyncio.get_running_loop().call_soon(time.sleep, 0.2)
    async with asyncio.timeout(TIMEOUT_S):
        while await looks_later_than("0.1", metrics) == 0:
            pass
    watching.cancel()
    await asyncio.wait([watching])
    assert watching.cancelled()


async def looks_later_than(seconds: str, metrics: Metrics) -> float:
    """How many looks at the loop were later than one of the bounds."""
    buckets = {sample.labels.get("le"): sample.value for sample in (await families(metrics))[LAG].samples}
    return buckets["+Inf"] - buckets[seconds]


async def test_the_loop_is_watched_as_long_as_the_server_runs_and_no_longer() -> None:
    before = asyncio.all_tasks()
    async with running(Settings.read({"APP_ENV": "test"}), Log(), on_fatal=lambda: None):
        watching = [task for task in asyncio.all_tasks() if "Metrics.watch_loop" in str(task.get_coro())]
    assert [task.cancelled() for task in watching] == [True]
    assert asyncio.all_tasks() == before
