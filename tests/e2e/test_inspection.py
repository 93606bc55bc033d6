"""That the inspection of a page finds what it looks for, and nothing where nothing is wrong."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from playwright.async_api import Browser, Page, Route

from tests.e2e.browser import PHONE
from tests.e2e.inspection import axe_violations, broken_rules

pytestmark = pytest.mark.asyncio(loop_scope="session")

PAGE = """<!doctype html>
<html lang="en"><head><title>A page</title><link rel="stylesheet" href="/a.css"></head>
<body><header>Fairlist</header><main><h1>A page</h1><p>With <a href="/ui">a link</a> in its words.</p>
<form method="post" action="/ui"><label for="name">Name</label><input id="name" name="name"><button>Book</button></form>
{}</main></body></html>"""

BY_AXE = {
    "a field without a name": ("<input name=email>", "label: "),
    "pale words": ("<p id=pale>Pale</p>", "color-contrast: "),
    "a skipped level": ("<h4>Deep</h4>", "heading-order: "),
    "a list of nothing but words": ("<ul>Words</ul>", "list: "),
    "words outside of landmarks": ("</main><p>Lost</p><main>", "region: "),
}
BY_HOUSE_RULES = {
    "an inline style": ("<p style='color: red'>Red</p>", "has an inline style"),
    "a style element": ("<style>p { color: red }</style>", "has an inline style"),
    "an inline script": ("<script>1</script>", "has an inline script"),
    "a handler": ("<p onclick='go()'>Go</p>", "has a handler"),
    "a handler of htmx": ("<p hx-on:click='go()'>Go</p>", "has a handler"),
    "another one of htmx": ("<p data-hx-on--load='go()'>Go</p>", "has a handler"),
    "an address that is a script": ("<p>To <a href='JavaScript:go()'>go</a></p>", "leads to a script"),
    "a picture from elsewhere": ("<img alt='' src='https://example.org/x.png'>", "is not the server's"),
    "a style sheet from elsewhere": ("<link rel=stylesheet href='//example.org/x.css'>", "is not the server's"),
    "two headings of the page": ("<h1>Another</h1>", "has 2 × h1"),
    "two main parts": ("</main><main>", "has 2 × main"),
    "an id that is another's": ("<p id=name>Name</p>", "has the id of another"),
    "a picture without a name": ("<img src='/static/x.png'>", "is a picture without a name"),
    "a drawing without a name": ("<svg role=img><path d='M0 0'/></svg>", "is a drawing that is neither"),
    "a drawing with an empty name": ("<svg role=img><title> </title></svg>", "is a drawing that is neither"),
    "a label for nothing": ("<label for=nobody>Nobody</label>", "points at nothing"),
    "a description that is not there": ("<p aria-describedby='name nobody'>Somebody</p>", "points at nothing"),
    "a form without a method": ("<form action='/ui'></form>", "is a form without"),
    "a form without an address": ("<form method=post></form>", "is a form without"),
    "a button for nothing": ("<button>Nothing</button>", "is a button outside any form"),
    "something wide": ("<p id=wide>Wide</p>", "pixels wide in a window of"),
    "a small button": (
        "<form method=post action='/ui'><button id=small>Small</button></form>",
        "is less than 44 pixels",
    ),
    "a small link": ("<p><a href='/ui'>Small</a></p>", "is less than 44 pixels"),
    "a small box to tick": ("<label><input type=checkbox id=small>Small</label>", "is less than 44 pixels"),
}
STYLE = """
body, main, header { background: white; color: black }
button, input:not([type]) { min-height: 44px }
#pale { color: #bbb }
#wide { width: 2000px }
#small { min-height: 0; height: 20px }
#card { position: relative; padding: 20px }
#card a::after { content: ""; position: absolute; inset: 0 }
"""


@asynccontextmanager
async def page_with(chromium: Browser, markup: str) -> AsyncIterator[Page]:
    """A page of this test's own, with some markup at its end, on a phone."""

    async def answer(route: Route) -> None:
        is_style = route.request.url.endswith("/a.css")
        await route.fulfill(
            body=STYLE if is_style else PAGE.format(markup), content_type="text/css" if is_style else "text/html"
        )

    context = await chromium.new_context(viewport=PHONE)
    page = await context.new_page()
    await page.route("http://fairlist.invalid/**", answer)
    await page.route("**/x.*", lambda route: route.abort())
    await page.goto("http://fairlist.invalid/ui")
    yield page
    await context.close()


async def test_with_a_page_that_is_right_nothing_is_wrong(chromium: Browser) -> None:
    async with page_with(chromium, "") as page:
        assert await broken_rules(page, is_phone=True) == []
        assert await axe_violations(page) == []


@pytest.mark.parametrize("kind", BY_AXE)
async def test_axe_finds(chromium: Browser, kind: str) -> None:
    markup, complaint = BY_AXE[kind]
    async with page_with(chromium, markup) as page:
        found = await axe_violations(page)
    assert [sentence for sentence in found if sentence.startswith(complaint)], found


@pytest.mark.parametrize("kind", BY_HOUSE_RULES)
async def test_the_house_rules_find(chromium: Browser, kind: str) -> None:
    markup, complaint = BY_HOUSE_RULES[kind]
    async with page_with(chromium, markup) as page:
        found = await broken_rules(page, is_phone=True)
    assert [sentence for sentence in found if complaint in sentence], found


async def test_a_page_needs_a_language_and_a_title(chromium: Browser) -> None:
    async with page_with(chromium, "") as page:
        await page.evaluate("document.title = ''; document.documentElement.removeAttribute('lang')")
        assert await broken_rules(page, is_phone=True) == ["has no language", "has no title"]


async def test_what_is_pressed_may_be_small_if_there_is_room_around_it_or_a_mouse(chromium: Browser) -> None:
    async with page_with(chromium, "<p id=card><a href='/ui'>A card that is a link</a></p>") as page:
        assert await broken_rules(page, is_phone=True) == []
    async with page_with(chromium, "<p><a href='/ui'>Small</a></p>") as page:
        assert await broken_rules(page, is_phone=False) == []
