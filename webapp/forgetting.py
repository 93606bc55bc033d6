"""Sees to it that what was erased leaves the files, too, while bookings go on."""

import asyncio
import logging
import time
from typing import Final, Protocol

from webapp.storage.store import StoreUnreadable

log = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 1.0
LATE_S: Final = 60.0


class Forgetful(Protocol):
    """A store that can be told to forget, as `SqliteStore` is."""

    async def forget(self) -> bool:
        """Have nothing that was erased stay behind beside the database; whether that is so now.

        Raises StoreUnreadable.
        """

    async def sweep(self) -> bool:
        """Have nothing of it stay behind in unused parts of the database; whether there was anything to do.

        Raises StoreUnreadable.
        """


async def sweep(store: Forgetful) -> None:
    """Make a database anew from which something was erased; at a start, when nobody has to wait for it."""
    began = time.monotonic()
    try:
        if await store.sweep():
            log.info("made the database anew after erasures, in %.1f s", time.monotonic() - began)
    except StoreUnreadable as problem:
        log.error("what was erased may be left in unused parts of the database until the next start: %s", problem)


async def forget_forever(store: Forgetful) -> None:
    """Look every second whether something erased is left, until cancelled; what fails is tried again."""
    clean_at, was_told = time.monotonic(), False
    while True:
        problem: object = "somebody reads the database as it was before"
        try:
            is_clean = await store.forget()
        except StoreUnreadable as error:
            is_clean, problem = False, error
        now = time.monotonic()
        if is_clean:
            clean_at, was_told = now, False
        elif now - clean_at > LATE_S and not was_told:
            log.warning("what was erased is still in the -wal file, and will be gone later: %s", problem)
            was_told = True
        await asyncio.sleep(LOOK_EVERY_S)
