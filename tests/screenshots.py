"""`make screenshots`: takes the pictures in docs/screenshots, in a real browser, and writes the page that shows them.

The guests are made up, and the server's clock stands where it is set, so that another run takes pictures of the same.
"""

import asyncio
import base64
import random
import struct
import tempfile
import zlib
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple

import click
from playwright.async_api import Browser, Page, ViewportSize

from tests.e2e.browser import DESK, PHONE, Theme, chromium, visitor
from tests.e2e.house import House
from tests.server import CODE, Server, free_port
from webapp.demo import FIRST, LAST

DOCS: Final = CODE / "docs"
PICTURES: Final = DOCS / "screenshots"
NIGHT: Final = "/ui/organise/events/summer-night"
HEIGHT_MAX: Final = 1_100
NOW: Final = datetime(2027, 6, 4, 17, 39, 40, tzinfo=UTC)
BY_THE_CLOCK: Final = """
import random
import time
from pathlib import Path
from webapp.box_office import BoxOffice
from webapp.cli import main

BoxOffice.__init__.__kwdefaults__["randomness"] = random.Random(7).randbytes
time.time_ns = lambda: int(Path("clock").read_text())
main(["serve"])
"""


class Picture(NamedTuple):
    """A page to take a picture of: what the file is called, what it shows, where that is, and who sees it."""

    name: str
    shows: str
    address: str
    who: str = "nobody"
    act: Callable[[Page, House], Awaitable[object]] | None = None


async def let_in(page: Page, house: House) -> None:
    """Let a guest in by the code of the ticket, who was perhaps let in for another picture."""
    house.ada(f"DELETE /orders/{house.names['mira_id']}/check-in")
    await page.get_by_label("Code or name").fill(house.names["mira_code"])
    await page.get_by_role("button", name="Check in").first.click()
    await page.get_by_role("heading", name="Come in: Mira Conti").wait_for()


async def preview(page: Page, house: House) -> None:
    """Ask what more tickets would lead to."""
    await page.get_by_label("Tickets", exact=True).fill("83")
    await page.locator("#preview li").first.wait_for()


ALBUM: Final = (
    Picture("events", "What is on, and how full it is", "/ui"),
    Picture("event", "An event that is open", "/ui/events/letterpress"),
    Picture("opening", "Before booking opens: the form comes by itself", "/ui/events/night-walk"),
    Picture("waiting", "An event that one waits for, whom nobody can overtake", "/ui/events/summer-night", "cleo"),
    Picture("ticket", "A ticket", "{mira}"),
    Picture("line", "A place in the waiting list, and why", "{noor}"),
    Picture("ledger", "The ledger, which anybody can check", "/ui/events/summer-night/ledger"),
    Picture("organise", "The organiser’s events", "/ui/organise", "ada"),
    Picture("overview", "How an event fills", NIGHT, "ada"),
    Picture("guests", "Guests", "/ui/organise/events/letterpress/guests", "ada"),
    Picture("door", "At the door", "/ui/organise/events/letterpress/check-in", "ada", let_in),
    Picture(
        "settings", "More tickets, and who would get them", "/ui/organise/events/summer-night/settings", "ada", preview
    ),
)


class Stage:
    """A server whose clock is set, and made up events and guests."""

    def __init__(self, server: Server) -> None:
        self.house = House(server)
        self._server = server
        self._chance = random.Random(4)

    def set_clock(self, at: datetime) -> None:
        """Set the server's clock."""
        new = self._server.folder / "clock.new"
        new.write_text(str(int(at.timestamp() * 1_000_000) * 1_000))
        new.replace(self._server.folder / "clock")

    def event(self, event_id: str, tickets: int, title: str, day: int, venue: str, **details: Any) -> None:
        """Open an event that takes place on a day in June, three weeks before."""
        starts_at = datetime(2027, 6, day, 18, tzinfo=UTC)
        self.set_clock(NOW - timedelta(days=21))
        times = {"starts_at": starts_at.isoformat(), "ends_at": (starts_at + timedelta(hours=3)).isoformat()}
        self.house.ada.event(event_id, tickets, title=title, venue=venue, time_zone="Europe/Berlin", **times | details)

    def crowd(self, event_id: str, guests: int, *, hours: float) -> list[str]:
        """Let guests book in the last so many hours, one in nine of whom cancels later; returns the others' orders."""
        names = self._chance.sample([f"{first} {last}" for first in FIRST[4:] for last in LAST], guests)
        comes_after_h = sorted(self._chance.betavariate(1.2, 2.5) * hours for _ in names)
        comings = [(after_h, number, True) for number, after_h in enumerate(comes_after_h)]
        goings = [(after_h + (hours - after_h) * 0.4, number, False) for after_h, number, _ in comings[4::9]]
        orders = dict[int, str]()
        for after_h, number, is_coming in sorted(comings + goings):
            self.set_clock(NOW - timedelta(hours=hours - after_h))
            if is_coming:
                email = f"{names[number].lower().replace(' ', '.')}@example.org"
                orders[number] = self.house.order(event_id, names[number], email=email)["id"]
            else:
                self.house.do(f"POST /orders/{orders.pop(number)}/cancellation")
        return list(orders.values())


def staged(server: Server) -> House:
    """Open events, and let guests come."""
    stage = Stage(server)
    house = stage.house
    stage.event(
        "letterpress", 12, "Letterpress workshop", 4, "Atelier Nord, Mill Lane 4",
        description="Set a line of type by hand, ink it, print it, take it home.\n\nWear clothes that may get stained.",
    )  # fmt: skip
    stage.event(
        "summer-night", 80, "Summer night concert", 18, "Boathouse, Lakeside",
        description="Three bands, one stage, no chairs.\n\nDoors open half an hour before.",
    )  # fmt: skip
    stage.event(
        "night-walk", 20, "Night walk with bats", 12, "The oak at the north gate of the park",
        description="A biologist leads the way and has detectors for everybody.\n\nWear firm shoes.",
        opens_at="2027-06-05T16:00:00Z",
    )  # fmt: skip
    stage.event("python-meetup", 40, "Python meetup", 10, "Town library, room 2")
    stage.event("wine-tasting", 16, "Wine tasting", 25, "Cellar of the Old Mill")
    printers = stage.crowd("letterpress", 9, hours=400)
    listeners = stage.crowd("summer-night", 118, hours=480)
    stage.crowd("python-meetup", 27, hours=300)
    stage.crowd("wine-tasting", 20, hours=90)
    stage.set_clock(NOW - timedelta(hours=3))
    house.order("letterpress", "Mira Conti")
    stage.set_clock(NOW - timedelta(hours=30))
    house.order("summer-night", "Noor Khan")
    house.book("summer-night", "Cleo Moreau", "cleo@example.org")
    for hours_before, order_id in ((22, listeners[11]), (9, listeners[31]), (2, listeners[5])):
        stage.set_clock(NOW - timedelta(hours=hours_before))
        house.do(f"POST /orders/{order_id}/cancellation")
    for minutes_before, order_id in zip((19, 16, 7, 2), printers, strict=False):
        stage.set_clock(NOW - timedelta(minutes=minutes_before))
        house.do(f"POST /orders/{order_id}/check-in")
    stage.set_clock(NOW)
    house.sign_in()
    return house


async def take(browser: Browser, house: House, picture: Picture, theme: Theme, window: ViewportSize) -> bytes:
    """A picture of a page from its top on, as a PNG with a palette."""
    cookies = house.cookies.get(picture.who, {})
    async with visitor(browser, house.server, cookies=cookies, viewport=window, color_scheme=theme) as page:
        await page.goto(picture.address.format(**house.names))
        if picture.act:
            await picture.act(page, house)
        await page.evaluate("document.activeElement.blur()")
        await page.wait_for_timeout(500)  # what comes by the stream at first, and transitions
        height = await page.evaluate("Math.ceil(document.body.getBoundingClientRect().height)")
        await page.set_viewport_size({"width": window["width"], "height": min(height, HEIGHT_MAX)})
        await page.evaluate("scrollTo(0, 0)")
        return await with_palette(page, await page.screenshot(animations="disabled"))


# Of the colours of a picture, the most frequent stay; whatever else there is becomes the nearest of them.
REDUCE: Final = """async (png) => {
  const picture = await createImageBitmap(new Blob([Uint8Array.from(atob(png), (sign) => sign.charCodeAt(0))]));
  const { width, height } = picture;
  const context = new OffscreenCanvas(width, height).getContext("2d");
  context.drawImage(picture, 0, 0);
  const pixels = new Uint32Array(context.getImageData(0, 0, width, height).data.buffer);
  const counts = new Map();
  for (const colour of pixels) counts.set(colour, (counts.get(colour) ?? 0) + 1);
  const kept = [...counts].sort((one, other) => other[1] - one[1]).slice(0, 256).map(([colour]) => colour);
  const part = (colour, at) => (colour >> (8 * at)) & 255;
  const indices = new Map(kept.map((colour, index) => [colour, index]));
  const nearest = (colour) => {
    let [found, least] = [0, Infinity];
    for (let index = 0; index < kept.length; index++) {
      let distance = 0;
      for (let at = 0; at < 3; at++) distance += (part(colour, at) - part(kept[index], at)) ** 2;
      if (distance < least) [found, least] = [index, distance];
    }
    return found;
  };
  for (const colour of counts.keys()) if (!indices.has(colour)) indices.set(colour, nearest(colour));
  let text = "";
  for (const colour of pixels) text += String.fromCharCode(indices.get(colour));
  const palette = kept.flatMap((colour) => [0, 1, 2].map((at) => part(colour, at)));
  return { width, height, palette, pixels: btoa(text) };
}"""


async def with_palette(page: Page, png: bytes) -> bytes:
    """The picture in at most 256 colours, which makes it a third as large (PNG, third edition, W3C 2025)."""
    reduced = await page.evaluate(REDUCE, base64.b64encode(png).decode())
    width, height, pixels = reduced["width"], reduced["height"], base64.b64decode(reduced["pixels"])
    rows = b"".join(b"\0" + pixels[start : start + width] for start in range(0, len(pixels), width))
    chunks = {
        b"IHDR": struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0),
        b"PLTE": bytes(reduced["palette"]),
        b"IDAT": zlib.compress(rows, 9),
        b"IEND": b"",
    }
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
        for name, content in chunks.items()
    )


LOOKS: Final[dict[str, tuple[Theme, ViewportSize]]] = {
    "desk-light": ("light", DESK),
    "desk-dark": ("dark", DESK),
    "phone-light": ("light", PHONE),
    "phone-dark": ("dark", PHONE),
}


def described() -> str:
    """The page that shows the pictures."""
    lines = [
        "# How the pages look",
        "",
        "At a desk and on a phone, in light and in dark, as the device asks for: pictures by `make screenshots`.",
    ]
    for picture in ALBUM:
        lines += ["", f"## {picture.shows}", "", "| light | dark |", "| --- | --- |"]
        for device in ("desk", "phone"):
            cells = [
                f"![{picture.shows}, on a {device}, {theme}](screenshots/{picture.name}-{device}-{theme}.png)"
                for theme in ("light", "dark")
            ]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


async def main() -> None:
    """Take every picture."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        settings = {
            "AUTH_SECRET": "a secret for pictures only, always",
            "PUBLIC_URL": "http://tickets.example.org",
            "PORT": str(free_port()),
        }
        server = Server(Path(folder) / "server", program=("-c", BY_THE_CLOCK), **settings)
        Stage(server).set_clock(NOW - timedelta(days=30))
        with server:
            house = staged(server)
            async with chromium() as browser:
                for picture in ALBUM:
                    for look, (theme, window) in LOOKS.items():
                        file = PICTURES / f"{picture.name}-{look}.png"
                        file.write_bytes(await take(browser, house, picture, theme, window))
                        click.echo(f"{file.relative_to(CODE)}: {file.stat().st_size:,} bytes")
    (DOCS / "screenshots.md").write_text(described())


if __name__ == "__main__":
    asyncio.run(main())
