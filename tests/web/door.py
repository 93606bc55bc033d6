"""What the tests of the organiser's pages share: Ada at her panel, and the codes that stand on tickets."""

import re
from typing import Final

from quart import Response
from quart.typing import TestClientProtocol as Browser

from tests.web.pages import text_of
from tests.web.test_dates import at
from webapp.booking.details import Details
from webapp.booking.ledger import Contact
from webapp.box_office import BoxOffice
from webapp.web.secrets import Secrets
from webapp.web.ticket_codes import TicketCodes

PANEL_GIG: Final = "/ui/organise/events/gig"
CODES: Final = TicketCodes(Secrets.derived_from(bytes(32)).ticket_code)
HOSTILE: Final = '<script>alert(1)</script>"><img src=x onerror=alert(1)>'
NOW: Final = at("2026-11-27T19:02")
"""An hour before the gig begins."""

GIG: Final = Details(
    title="Summer night", venue="Stadtpark", time_zone="Europe/Berlin",
    starts_at=at("2026-11-27T20:00"), ends_at=at("2026-11-27T23:00"),
)  # fmt: skip


async def booked(office: BoxOffice, *names: str, event_id: str = "gig") -> list[str]:
    """The ids of the orders of some people who book one after the other, each with an address of his own."""
    return [
        (await office.book(event_id, _address(name), contact=Contact(name, _address(name)))).order_id for name in names
    ]


def _address(name: str) -> str:
    return f"{re.sub('[^a-z0-9]+', '.', name.lower()).strip('.')}@example.org"


def order_path(order_id: str) -> str:
    """The address of an order's page for the organiser of the gig."""
    return f"{PANEL_GIG}/orders/{order_id}"


async def shown(answer: Response, part: str = "") -> str:
    """What a person reads on a page, or in its element with an id, without the marks that keep names apart."""
    markup = await answer.get_data(as_text=True)
    if part:
        start = markup.index(f'id="{part}"')
        markup = markup[markup.index(">", start) + 1 : markup.index("</section>", start)]
    return text_of(markup).replace("\u2068", "").replace("\u2069", "")


async def led_to(browser: Browser, answer: Response) -> str:
    """What a person reads on the page that an answer leads to."""
    assert answer.status_code == 303, await shown(answer)
    return await shown(await browser.get(answer.headers["Location"]))
