"""The seeded loop itself: without it, the interleavings would show nothing."""

import asyncio
from collections.abc import Coroutine
from itertools import count
from typing import Any, TypeVar

import pytest

from tests.service.seeded_loop import SeededLoop, Stuck

T = TypeVar("T")


def run(seed: int, coroutine: Coroutine[Any, Any, T]) -> T:
    with asyncio.Runner(loop_factory=lambda: SeededLoop(seed)) as runner:
        return runner.run(coroutine)


async def order_of_four() -> str:
    finished = []

    async def walk(name: str) -> None:
        for _ in range(3):
            await asyncio.sleep(0)
        finished.append(name)

    await asyncio.gather(*(walk(name) for name in "ABCD"))
    return "".join(finished)


def test_every_order_comes_up() -> None:
    assert len({run(seed, order_of_four()) for seed in range(500)}) == 24


def test_the_same_seed_gives_the_same_order() -> None:
    assert [run(seed, order_of_four()) for seed in range(50)] == [run(seed, order_of_four()) for seed in range(50)]


def test_time_passes_in_order_and_at_once() -> None:
    async def sleepers() -> list[tuple[float, float]]:
        loop = asyncio.get_running_loop()

        async def sleeper(seconds: float) -> tuple[float, float]:
            await asyncio.sleep(seconds)
            return seconds, loop.time()

        return await asyncio.gather(*(sleeper(seconds) for seconds in (3e6, 1e6, 2e6)))

    assert run(1, sleepers()) == [(3e6, 3e6), (1e6, 1e6), (2e6, 2e6)]


def test_a_timer_that_was_called_off_takes_no_time() -> None:
    async def impatient() -> float:
        async with asyncio.timeout(1e6):
            await asyncio.sleep(1)
        await asyncio.sleep(1)
        return asyncio.get_running_loop().time()

    assert run(1, impatient()) == 2


def test_waiting_for_nothing_is_noticed() -> None:
    async def wait() -> None:
        await asyncio.Event().wait()

    with pytest.raises(Stuck, match="nothing can happen"):
        run(1, wait())


def test_going_on_for_ever_is_noticed() -> None:
    async def go_on() -> None:
        for _ in count():
            await asyncio.sleep(0)

    with pytest.raises(Stuck, match="never ends"):
        run(1, go_on())
