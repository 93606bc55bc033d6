"""What a browser with an empty cache loads for a page, as Chromium counts it."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tests.benchmarks.load import Sample
from tests.benchmarks.plan import Measure, Plan
from tests.e2e.browser import chromium
from tests.e2e.test_first_visit import furnished, weighed
from tests.server import Server

VISIT: Final = "a first visit to an event"


def measures(_plan: Plan, _database: Callable[[int], Path]) -> list[Measure]:
    """One visit."""
    return [Measure(VISIT, lambda stage: asyncio.run(_visited(stage.fairlist().server)))]


async def _visited(server: Server) -> Sample:
    path = furnished(server)["an event"]
    async with chromium() as browser:
        return {"bytes": sum((await weighed(browser, server, path)).values())}
