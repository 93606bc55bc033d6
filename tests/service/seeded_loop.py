"""An event loop whose every choice comes from a seed: any ready callback may be the next, and no time is waited for."""

import asyncio
from collections import deque
from collections.abc import Callable
from random import Random

STEPS_MAX = 50_000


class Stuck(AssertionError):
    """Nothing can ever happen again, or it never ends."""


class _Shuffled(deque[asyncio.Handle]):
    def __init__(self, loop: "SeededLoop") -> None:
        super().__init__()
        self._loop = loop

    def popleft(self) -> asyncio.Handle:
        self._loop.step()
        self.rotate(-self._loop.random.randrange(len(self)))
        return super().popleft()


class SeededLoop(asyncio.SelectorEventLoop):
    """Runs the ready callbacks in random order; time is virtual, and passes when none is ready.

    `watch` is called before every callback. Threads and sockets are not for this loop: it would not wait for them.
    """

    _scheduled: list[asyncio.TimerHandle]

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.steps = 0
        self.watch: Callable[[], None] = lambda: None
        self._now = 0.0
        super().__init__()
        self._ready = _Shuffled(self)

    def time(self) -> float:
        return self._now

    def step(self) -> None:
        """Count a callback that is about to run, and look at the world before it does."""
        self.steps += 1
        try:
            if self.steps > STEPS_MAX:
                raise Stuck("it never ends")
            self.watch()
        except BaseException:  # once is enough: the tasks must still be able to end
            self.steps, self.watch = 0, lambda: None
            raise

    def _run_once(self) -> None:
        if not self._ready:
            timers = [timer.when() for timer in self._scheduled if not timer.cancelled()]
            if not timers:
                raise Stuck("everybody waits, and nothing can happen")
            self._now = max(self._now, min(timers))
        super()._run_once()  # type: ignore[misc]  # private, and the only place where time can pass
