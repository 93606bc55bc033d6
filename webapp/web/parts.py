"""What the fronts work with: the parts that `app.py` has put together, found through the running Quart app."""

from dataclasses import dataclass
from typing import Final

from quart import current_app

from webapp.box_office import BoxOffice
from webapp.enquiries import Enquiries
from webapp.metrics import Metrics
from webapp.settings import Settings
from webapp.web.auth import Gatekeeper
from webapp.web.limiter import SenderLimit

NAME: Final = "fairlist"


@dataclass(frozen=True, slots=True)
class Parts:
    """The settings, the box office, enquiries, the gatekeeper with its tokens, sessions and memories, and metrics.

    `booking_limit` is on what a sender may book.
    """

    settings: Settings
    box_office: BoxOffice
    enquiries: Enquiries
    gatekeeper: Gatekeeper
    metrics: Metrics
    booking_limit: SenderLimit


def parts() -> Parts:
    """The parts of the app that serves the current request."""
    found = current_app.extensions[NAME]
    if not isinstance(found, Parts):
        raise TypeError("create_app has not put the parts together")
    return found


def box_office() -> BoxOffice:
    """The service that every front shares."""
    return parts().box_office


def enquiries() -> Enquiries:
    """What can be asked about orders and ledgers."""
    return parts().enquiries
