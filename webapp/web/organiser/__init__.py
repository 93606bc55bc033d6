"""The panel for organisers, /ui/organise: a sign-in, the events, and for each event a tab for every job."""

from typing import Final

from webapp.web.organiser.access import sign_in
from webapp.web.organiser.door import door
from webapp.web.organiser.events import events
from webapp.web.organiser.guests import guests
from webapp.web.organiser.ledger import ledger
from webapp.web.organiser.new_event import new_event
from webapp.web.organiser.orders import orders
from webapp.web.organiser.overview import overview
from webapp.web.organiser.settings import settings
from webapp.web.organiser.turns import turns

fronts: Final = (sign_in, events, new_event, overview, guests, orders, door, settings, turns, ledger)
