"""Pages as a test reads them: an app over a box office, and the words of a page without its markup."""

import html
import re
import time
from typing import Final, cast

from quart import Quart, Response
from quart.typing import TestClientProtocol as Browser
from werkzeug.security import generate_password_hash

from webapp.app import create_app
from webapp.box_office import BoxOffice
from webapp.enquiries import Enquiries
from webapp.log import Log
from webapp.metrics import Metrics
from webapp.settings import Settings
from webapp.storage.store import Archive
from webapp.web.auth import Gatekeeper
from webapp.web.limiter import Clock as Timer
from webapp.web.limiter import SenderLimit
from webapp.web.parts import Parts
from webapp.web.passwords import Credentials
from webapp.web.secrets import Secrets

USER: Final = "ada"
PASSWORD: Final = "correct: horse, battery"
CREDENTIALS: Final = Credentials(USER, generate_password_hash(PASSWORD, "scrypt:1024:1:1"))
HTMX: Final = {"HX-Request": "true"}


class Clock:
    """The clock of a box office, in microseconds since 1970, UTC; it stands still until it is set."""

    def __init__(self, now: int) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now


def app_over(
    box_office: BoxOffice, *, timer: Timer = time.monotonic, requests: Log | None = None, **environ: str
) -> Quart:
    """The app, with sign-in as USER unless the environment says otherwise; bookings are limited by the timer."""
    settings = Settings.read(environ)
    gatekeeper = Gatekeeper(
        lambda: CREDENTIALS,
        Secrets.derived_from(bytes(32)),
        token_exp_s=3_600,
        open_to_all=not settings.authentication,
    )
    archive = cast(Archive, getattr(box_office, "_store", None))  # a test that looks at the routes alone has none
    limit = SenderLimit(settings.bookings_per_minute, timer)
    parts = Parts(settings, box_office, Enquiries(archive, box_office), gatekeeper, Metrics(), limit)
    return create_app(parts, requests or Log())


async def words(answer: Response) -> str:
    """What a person reads on a page, in one line."""
    return text_of(await answer.get_data(as_text=True))


def text_of(markup: str) -> str:
    """The words of some markup, in one line, titles and all."""
    return " ".join(html.unescape(re.sub(r"<[^>]*>", "", markup)).split())


async def sign_in(browser: Browser, password: str = PASSWORD, **query: str) -> Response:
    """Sign in as the organiser; `next` may say where to go on to."""
    return await browser.post("/ui/sign-in", form={"user": USER, "password": password, **query})
