"""A real store whose appends wait at a gate, to look at what goes on meanwhile."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from webapp.storage.sqlite import SqliteStore
from webapp.storage.store import Addition, Kept


class GatedStore:
    """`batches` are all that were to be stored, and `looks` the numbers of keys that were looked up at once."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store
        self.is_appending = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()
        self.batches: list[Sequence[Addition]] = []
        self.looks: list[int] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def append(self, batch: Sequence[Addition]) -> None:
        self.is_appending.set()
        self.batches.append(batch)
        await self.gate.wait()
        await self._store.append(batch)

    async def kept(self, keys: Sequence[bytes], since: int) -> list[Kept]:
        self.looks.append(len(keys))
        return await self._store.kept(keys, since)

    async def hold(self, ask: Callable[[], Awaitable[Any]]) -> "asyncio.Task[Any]":
        """Ask for something, and keep it, and all that comes behind it, from being stored until the gate is set."""
        self.gate.clear()
        self.is_appending.clear()
        first = asyncio.ensure_future(ask())
        await self.is_appending.wait()
        return first


async def settled() -> None:
    """Let everything happen that can happen without the store."""
    for _ in range(20):
        await asyncio.sleep(0)
