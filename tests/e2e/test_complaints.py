"""That the tests in a browser notice what must not happen: each kind of complaint, made on purpose."""

import pytest
from playwright.async_api import Browser, Page, Route

from tests.e2e.browser import VIOLATION, everything_said, listen, visitor
from tests.server import Server

pytestmark = pytest.mark.asyncio(loop_scope="session")

FORBIDDEN = {
    "an inline script": ("<script>alert(1)</script>", "script-src-elem forbids inline"),
    "an event handler": ("<img src=x onerror=alert(1)>", "script-src-attr forbids inline"),
    "an address that is a script": ("<iframe src='javascript:alert(1)'></iframe>", "script-src-elem forbids inline"),
    "an inline style": ("<p style='color: red'>Red</p>", "style-src-attr forbids inline"),
    "a style element": ("<style>p { color: red }</style>", "style-src-elem forbids inline"),
    "a script from elsewhere": (
        "<script src='http://localhost:9/x.js'></script>",
        "script-src-elem forbids http://localhost:9/x.js",
    ),
    "a picture from elsewhere": (
        "<img alt='' src='http://localhost:9/x.png'>",
        "img-src forbids http://localhost:9/x.png",
    ),
    "a base": ("<base href='/elsewhere/'>", "base-uri forbids"),
    "a frame": ("<iframe src='/ui'></iframe>", "frame-src forbids"),
    "an object": ("<object data='/ui'></object>", "object-src forbids"),
}


async def put_in(page: Page, markup: str) -> None:
    """Have every page that is loaded hold some markup that is none of the server's."""

    async def answer(route: Route) -> None:
        reply = await route.fetch()
        await route.fulfill(response=reply, body=(await reply.text()).replace("</main>", f"{markup}</main>"))

    await page.route("**/ui", answer)


@pytest.mark.parametrize("kind", FORBIDDEN)
async def test_what_the_policy_forbids_is_reported_and_does_nothing(
    chromium: Browser, shared: Server, kind: str
) -> None:
    markup, report = FORBIDDEN[kind]
    context = await chromium.new_context(base_url=shared.url)
    complaints = await listen(context)
    page = await context.new_page()
    await put_in(page, markup)
    await page.goto("/ui")
    await everything_said(context)
    await context.close()
    assert [complaint for complaint in complaints if complaint.startswith(f"{VIOLATION}: {report}")], complaints
    assert not [complaint for complaint in complaints if "a dialog" in complaint]


async def visit(
    chromium: Browser, server: Server, markup: str = "", script: str = "0", *, scripts: bool = True
) -> None:
    """Visit a page that holds some markup more, and run a script there."""
    async with visitor(chromium, server, scripts=scripts) as page:
        await put_in(page, markup)
        await page.goto("/ui")
        await page.evaluate(script)


@pytest.mark.parametrize(
    ("script", "complaint"),
    [
        ("alert('Here I am')", "a dialog: Here I am"),
        ("console.error('It is broken')", "It is broken"),
        ("setTimeout(() => { throw new Error('It fell over') })", "It fell over"),
    ],
)
async def test_a_visit_at_which_something_goes_wrong_fails(
    chromium: Browser, shared: Server, script: str, complaint: str
) -> None:
    with pytest.raises(AssertionError, match=complaint):
        await visit(chromium, shared, script=script)


@pytest.mark.parametrize("scripts", [True, False])
async def test_a_visit_to_a_page_against_the_policy_fails(chromium: Browser, shared: Server, scripts: bool) -> None:
    with pytest.raises(AssertionError, match="Content Security Policy"):
        await visit(chromium, shared, "<p style='color: red'>Red</p>", scripts=scripts)


async def test_a_visit_at_which_nothing_is_wrong_passes(chromium: Browser, shared: Server) -> None:
    await visit(chromium, shared)
