"""A visitor's own browser, at which nothing may go wrong unnoticed."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final, Literal, NamedTuple

from playwright.async_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Dialog,
    Page,
    ViewportSize,
    async_playwright,
    expect,
)

from tests.server import Server

CHROMIUM: Final = "/usr/bin/chromium"
ARGUMENTS: Final = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
TIMEOUT_MS: Final = 60_000
"""How long anything may take on the slowest machine. Nothing waits longer than it must."""

Theme = Literal["light", "dark"]
Motion = Literal["reduce", "no-preference"]
NONE: Final[Mapping[str, str]] = {}
PHONE: Final[ViewportSize] = {"width": 390, "height": 844}
DESK: Final[ViewportSize] = {"width": 1_280, "height": 800}
FAILED: Final = ("Failed to load resource: ", "[object Event]", "htmx:")
"""What is said of requests that fail and streams that are lost, the latter two by htmx."""

REFUSED: Final = "Failed to load resource: the server responded with a status of 4"
VIOLATION: Final = "against the content security policy"
TELL_VIOLATIONS: Final = """
addEventListener("securitypolicyviolation", ({ effectiveDirective, blockedURI, documentURI }) =>
  tellViolation(`${effectiveDirective} forbids ${blockedURI || "something"} on ${documentURI}`), true);
"""

expect.set_options(timeout=TIMEOUT_MS)


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """Chromium, with no window."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        try:
            yield browser
        finally:
            await browser.close()


class Visit(NamedTuple):
    """A page in a browser of somebody's own, and what has been complained about there: see `listen`."""

    page: Page
    complaints: list[str]


@asynccontextmanager
async def visit(
    chromium: Browser,
    server: Server,
    *,
    scripts: bool = True,
    cookies: Mapping[str, str] = NONE,
    viewport: ViewportSize = PHONE,
    color_scheme: Theme = "light",
    reduced_motion: Motion = "no-preference",
) -> AsyncIterator[Visit]:
    """A browser of somebody's own, on a phone unless something else is said."""
    context = await chromium.new_context(
        base_url=server.url,
        java_script_enabled=scripts,
        viewport=viewport,
        color_scheme=color_scheme,
        reduced_motion=reduced_motion,
        locale="en-GB",
        timezone_id="Europe/Berlin",
    )
    try:
        context.set_default_timeout(TIMEOUT_MS)
        await context.add_cookies([{"name": name, "value": cookies[name], "url": server.url} for name in cookies])
        complaints = await listen(context)
        yield Visit(await context.new_page(), complaints)
    finally:
        await context.close()


@asynccontextmanager
async def visitor(chromium: Browser, server: Server, *, may_fail: bool = False, **options: Any) -> AsyncIterator[Page]:
    """A page in a browser like that, at which nothing may go wrong, unless a test has its requests fail.

    Raises AssertionError.
    """
    async with visit(chromium, server, **options) as (page, complaints):
        yield page
        if may_fail:
            complaints[:] = [complaint for complaint in complaints if not complaint.startswith(FAILED)]
        await nothing_goes_wrong(page, complaints)


async def nothing_goes_wrong(page: Page, complaints: list[str]) -> None:
    """Raises AssertionError if anything was complained about."""
    await everything_said(page.context)
    assert complaints == []


async def listen(context: BrowserContext) -> list[str]:
    """The complaints of a browser from now on: dialogs, errors, and whatever the content security policy forbade."""
    complaints: list[str] = []

    def on_console(message: ConsoleMessage) -> None:
        if message.type == "error" and not message.text.startswith(REFUSED):
            complaints.append(message.text)

    async def on_dialog(dialog: Dialog) -> None:
        complaints.append(f"a dialog: {dialog.message}")
        await dialog.dismiss()

    def on_violation(_: object, violation: str) -> None:
        complaints.append(f"{VIOLATION}: {violation}")

    context.on("console", on_console)
    context.on("dialog", on_dialog)
    context.on("weberror", lambda error: complaints.append(str(error.error)))
    await context.expose_binding("tellViolation", on_violation)
    await context.add_init_script(TELL_VIOLATIONS)
    return complaints


async def everything_said(context: BrowserContext) -> None:
    """Wait until what the pages have reported so far has arrived here: an answer of theirs comes after it."""
    for page in context.pages:
        await page.evaluate("0")
