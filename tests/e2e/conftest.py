"""One Chromium for all tests in a browser, and the servers that they visit."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from tests.e2e import browser
from tests.server import Server, free_port


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def chromium() -> AsyncIterator[Browser]:
    """Chromium, in which every visitor has a context of his own."""
    async with browser.chromium() as running:
        yield running


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server without any events, at the same address after a restart."""
    with Server(tmp_path / "server", PORT=str(free_port())) as server:
        yield server


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server for tests that do not mind what the others have opened at it."""
    with Server(tmp_path_factory.mktemp("shared")) as server:
        yield server
