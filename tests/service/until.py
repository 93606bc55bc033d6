"""What tests await of which nobody tells them: the housekeeping, a store, a file, the log."""

import asyncio
from collections.abc import Callable
from typing import Final

TIMEOUT_S: Final = 30.0
PAUSE_S: Final = 0.001


async def until(condition: Callable[[], bool]) -> None:
    """Let everybody else go on until it is so. Raises TimeoutError where it never is."""
    async with asyncio.timeout(TIMEOUT_S):
        while not condition():  # noqa: ASYNC110 -- there is nothing else to await
            await asyncio.sleep(PAUSE_S)
