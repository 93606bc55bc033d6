"""How much a first visit weighs: every file that a browser with an empty cache loads for a page, as it arrives."""

import asyncio
from collections.abc import Iterator
from typing import Any, Final

import pytest
from playwright.async_api import Browser

from tests.server import TIMEOUT_S, Server
from tests.web.api import ADA, Api
from webapp.web.assets import asset

BYTES_MAX: Final = 45_000
"""Compressed, and with the heads of the answers, which are some 6,000 of them."""

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("first-visit")) as server:
        yield server


@pytest.fixture(scope="module")
def pages(server: Server) -> dict[str, str]:
    """What can be visited."""
    return furnished(server)


def furnished(server: Server) -> dict[str, str]:
    """The addresses, at a new server, of a list with twenty events, of one of them, and of orders there."""
    details: dict[str, Any] = {
        "description": "Three bands, one stage, no chairs.\n\nDoors open half an hour before. " * 5,
        "venue": "Boathouse, Lakeside",
        "starts_at": "2099-06-18T19:30:00Z",
        "time_zone": "Europe/Berlin",
    }
    for number in range(20):
        Api(server, ADA).event(f"gig-{number}", title=f"Summer night concert {number}", **details)
    booked, waiting = (Api(server).order("gig-7", guest, name=f"{guest} Moreau") for guest in ("Bob", "Cleo"))
    return {
        "the list": "/ui",
        "an event": "/ui/events/gig-7",
        "a ticket": f"/ui/orders/{booked['id']}/{booked['key']}",
        "a place in line": f"/ui/orders/{waiting['id']}/{waiting['key']}",
    }


class Scale:
    """Weighs what arrives, by address, but for streams, which go on."""

    def __init__(self) -> None:
        self.weights: dict[str, int] = {}
        self.under_way: dict[str, str] = {}
        self.is_quiet = asyncio.Event()

    def sent(self, request: dict[str, Any]) -> None:
        """A request leaves."""
        if request.get("type") != "EventSource":
            self.under_way[request["requestId"]] = request["request"]["url"]
            self.is_quiet.clear()

    def arrived(self, answer: dict[str, Any]) -> None:
        """An answer is complete."""
        if address := self.under_way.pop(answer["requestId"], ""):
            self.weights[address] = int(answer["encodedDataLength"])
        if not self.under_way:
            self.is_quiet.set()


async def weighed(chromium: Browser, server: Server, path: str) -> dict[str, int]:
    """The bytes of every file that a first visit loads, heads included, as Chromium's network log counts them."""
    context = await chromium.new_context(base_url=server.url)
    page, scale = await context.new_page(), Scale()
    log = await context.new_cdp_session(page)
    log.on("Network.requestWillBeSent", scale.sent)
    log.on("Network.loadingFinished", scale.arrived)
    await log.send("Network.enable")
    await page.goto(path, wait_until="load")
    async with asyncio.timeout(TIMEOUT_S):
        await scale.is_quiet.wait()
    await context.close()
    weights = {address.removeprefix(server.url): weight for address, weight in scale.weights.items()}
    icon = asset("favicon.svg")
    if icon not in weights:  # without a window, there is nothing to put it on
        reply = server.ask(f"GET {icon}", None, {"Accept-Encoding": "gzip"})
        weights[icon] = len(reply.body) + len(bytes(reply.headers))
    return weights


@pytest.mark.parametrize("visited", ["the list", "an event", "a ticket", "a place in line"])
async def test_a_first_visit_is_light(chromium: Browser, server: Server, pages: dict[str, str], visited: str) -> None:
    weights = await weighed(chromium, server, pages[visited])
    assert asset("app.css") in weights
    assert asset("vendor/htmx-2.0.11.min.js") in weights
    total = sum(weights.values())
    told = "\n".join(f"{weight:>7,}  {address}" for address, weight in sorted(weights.items(), key=lambda of: -of[1]))
    assert total <= BYTES_MAX, f"{visited} weighs {total:,} bytes\n{told}"


async def test_what_is_weighed_is_what_arrives(chromium: Browser, server: Server) -> None:
    """The scale must count bodies as they are sent, and heads as well."""
    weights = await weighed(chromium, server, "/ui")
    for name in ("vendor/htmx-2.0.11.min.js", "app.css"):
        reply = server.ask(f"GET {asset(name)}", None, {"Accept-Encoding": "gzip"})
        head = len(bytes(reply.headers))
        assert len(reply.body) + 0.8 * head < weights[asset(name)] < len(reply.body) + 1.2 * head
