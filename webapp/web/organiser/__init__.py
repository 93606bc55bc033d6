"""The panel for organisers, /ui/organise: a sign-in, the events, and for each event a tab for every job."""

from typing import Final

from webapp.web.organiser.access import sign_in
from webapp.web.organiser.events import events
from webapp.web.organiser.guests import guests
from webapp.web.organiser.overview import overview

fronts: Final = (sign_in, events, overview, guests)
