"""The desks of all events in memory: found, folded when their state is missing, and forgotten when nobody asks."""

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any, Final

from webapp.booking.ledger import LedgerDamaged
from webapp.desk import Desk, Unavailable
from webapp.recovery import Progress, every_event, recover
from webapp.storage.store import Reader, StoreUnreadable

log = logging.getLogger(__name__)

DESKS_MAX: Final = 10_000
FOLDS_AT_ONCE: Final = 16
"""Ledgers read at the same time; the others wait their turn, and leave the reading thread to the pages."""

SHUTTING_DOWN: Final = "The server is shutting down; nothing was changed"


class Desks:
    """Desks by event, the least recently used first.

    `on_folded` is called with each desk that was folded in its own task, and the problem if it could not be.
    """

    def __init__(
        self, store: Reader, *, idle_s: float, on_folded: Callable[[Desk, Unavailable | None], object]
    ) -> None:
        self._store = store
        self._idle_s = idle_s
        self._on_folded = on_folded
        self._desks: OrderedDict[str, Desk] = OrderedDict()
        self._folds = asyncio.Semaphore(FOLDS_AT_ONCE)
        self._tasks: set[asyncio.Task[Any]] = set()

    def __iter__(self) -> Iterator[Desk]:
        return iter(self._desks.values())

    def get(self, event_id: str) -> Desk | None:
        """The desk of an event, if it is in memory."""
        return self._desks.get(event_id)

    def touch(self, event_id: str) -> None:
        """Note that somebody asks for an event: if it is in memory, it is not idle."""
        if event_id in self._desks:
            self.at(event_id)

    def at(self, event_id: str) -> Desk:
        """The desk of an event, a new one where there is none."""
        desk = self._desks.get(event_id)
        if desk is None:
            if len(self._desks) >= DESKS_MAX * 1.1:
                self.drop_idle_ones()
            desk = self._desks[event_id] = Desk(event_id)
        self._desks.move_to_end(event_id)
        desk.used_at = time.monotonic()
        return desk

    def forget_if_unknown(self, desk: Desk) -> None:
        """Drop the desk of an event that does not exist, once nothing goes on there."""
        is_known = desk.state is None or desk.state.exists
        if not is_known and desk.is_idle and self._desks.get(desk.event_id) is desk:  # not the desk of a later caller
            del self._desks[desk.event_id]

    # Folding

    async def fold_all(self) -> None:
        """Fold and check every ledger, and tell in the log how far that is. Raises LedgerDamaged, StoreUnreadable."""
        progress = await Progress.over(self._store)
        async for counts in every_event(self._store):
            desk = self.at(counts.event_id)
            async with desk.lock:
                await self._fold(desk, progress.note)
        progress.end()

    async def _fold(self, desk: Desk, progress: Callable[[int], object] = lambda _: None) -> None:
        """Fold a desk's state, if it has none; the caller holds its lock. Raises LedgerDamaged, StoreUnreadable."""
        if desk.state is None:
            desk.state, desk.details = await recover(self._store, desk.event_id, progress)
            desk.published = desk.state.counts if desk.state.exists else None

    def folding(self, desk: Desk) -> asyncio.Task[Unavailable | None]:
        """The task that folds a desk's state, in its own time, so that a long ledger delays nobody else."""
        if desk.folding is None:
            desk.folding = asyncio.create_task(self._fold_and_tell(desk))
            self._tasks.add(desk.folding)
            desk.folding.add_done_callback(self._tasks.discard)
        return desk.folding

    async def folded(self, desk: Desk) -> None:
        """Wait until a desk has been folded. Raises Unavailable."""
        folding = self.folding(desk)
        await asyncio.wait([folding])  # which neither cancels it nor is cancelled with it
        if folding.cancelled():
            raise Unavailable("shutting_down", SHUTTING_DOWN, 5)
        if problem := folding.result():
            raise problem

    async def stop(self) -> None:
        """End all folding."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _fold_and_tell(self, desk: Desk) -> Unavailable | None:
        problem: Unavailable | None = Unavailable("shutting_down", SHUTTING_DOWN, 5)
        try:
            async with self._folds, desk.lock:
                await self._fold(desk)
            problem = None
        except LedgerDamaged as damage:
            log.critical("%s", damage)
            problem = Unavailable(
                "ledger_damaged", "This event's ledger is damaged; it is not served until repaired", 60
            )
        except StoreUnreadable as error:
            log.error("event %r could not be read: %s", desk.event_id, error)
            problem = Unavailable("storage_unavailable", "The event could not be read; nothing was changed", 2)
        finally:
            desk.folding = None
            self._on_folded(desk, problem)
        return problem

    # Housekeeping

    async def drop_idle_ones_forever(self) -> None:
        """Drop idle desks again and again."""
        while True:
            await asyncio.sleep(self._idle_s / 4)
            self.drop_idle_ones()

    def drop_idle_ones(self) -> None:
        """Forget desks where nothing goes on: those unused for long, and the least recently used beyond DESKS_MAX."""
        long_ago = time.monotonic() - self._idle_s
        surplus = len(self._desks) - DESKS_MAX
        for desk in list(self._desks.values()):
            if desk.used_at > long_ago and surplus <= 0:
                break
            if desk.is_idle:
                del self._desks[desk.event_id]
                surplus -= 1
