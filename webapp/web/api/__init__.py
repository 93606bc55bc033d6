"""The full JSON API, /api/v1: parse, one call, a document."""

from typing import Final

from webapp.web.api.arrivals import arrivals
from webapp.web.api.events import events
from webapp.web.api.ledger import ledger
from webapp.web.api.orders import orders
from webapp.web.api.roster import roster

fronts: Final = (events, orders, arrivals, roster, ledger)
