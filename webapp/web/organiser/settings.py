"""What an organiser can change about an event: what is said of it, its times, its tickets, and who finds it."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Final, NamedTuple

from quart import Response, request

from webapp.booking.answers import Refusal
from webapp.booking.state import Event
from webapp.web import rendering
from webapp.web.event_view import view
from webapp.web.forms import Form
from webapp.web.links import event_named
from webapp.web.organiser import event_form
from webapp.web.organiser.access import PANEL, private
from webapp.web.organiser.event_form import LABELS, Mistaken
from webapp.web.organiser.notices import done, notice, told
from webapp.web.organiser.preview import Preview, capacity_preview, promoted_in_words, why_not
from webapp.web.parts import box_office
from webapp.web.rendering import counted, organise_path

settings = private("organiser_settings", __name__)

SETTINGS: Final = f"{PANEL}/events/<event_slug>/settings"
PAGE: Final = "organise/settings.html"
CHANGED: Final = "Somebody has changed the event since this page was made."
REVISION: Final = re.compile(r"[0-9]{1,15}")


class Clash(NamedTuple):
    """A field that holds something else by now than what was typed."""

    label: str
    now: str


def settings_path(event_id: str) -> str:
    """The address of an event's settings."""
    return f"{organise_path(event_id)}/settings"


@settings.get(SETTINGS)
async def show_settings(event_slug: str) -> Response:
    """Everything that can be changed."""
    return await _page(await box_office().event(event_named(event_slug)))


@settings.post(SETTINGS)
async def revise_details(event_slug: str) -> Response:
    """Change what is said of the event, unless somebody else has done so meanwhile."""
    event = await box_office().event(event_named(event_slug))
    event_id = event.counts.event_id
    form = (await request.form).to_dict()
    try:
        details = event_form.revised(event.details, form)
        revision = await box_office().revise(event_id, revision_seen(form), details=details)
    except Mistaken as mistaken:
        return await _page(event, 422, details=Form(form, mistaken.mistakes))
    except Refusal as refusal:
        if refusal.code == "event_changed":
            return await _clashing(await box_office().event(event_id), form)
        if refusal.code != "too_many_promotions":
            raise
        problem = "With these times, too many who wait would get a ticket at once. Lower the number of tickets first."
        return await _page(event, 422, details=Form(form, problem=problem))
    if revision.receipt is None:
        return done(settings_path(event_id), "Nothing was to be changed.")
    return done(settings_path(event_id), f"Saved.{await promoted_in_words(revision.promoted)}")


async def _clashing(event: Event, form: Mapping[str, str]) -> Response:
    """The form as it was filled in, and next to it what is there by now; to be saved all the same, or mended."""
    clashes = tuple(
        Clash(LABELS[name], now.replace("T", " ") if name in event_form.TIMES else now)
        for name, now in event_form.shown(event.details).items()
        if " ".join(form.get(name, "").split()) != " ".join(now.split())
    )
    form = {**form, "revision": str(event.counts.revision)}
    return await _page(event, 422, details=Form(form, problem=CHANGED), clashes=clashes)


@settings.get(f"{SETTINGS}/capacity")
async def preview_capacity(event_slug: str) -> Response:
    """What another number of tickets would lead to."""
    event = await box_office().event(event_named(event_slug))
    form = {"tickets": request.args.get("tickets", "")}
    return await _page(event, capacity=Form(form), preview=await capacity_preview(event, form))


@settings.post(f"{SETTINGS}/capacity")
async def set_capacity(event_slug: str) -> Response:
    """Give the event another number of tickets."""
    event = await box_office().event(event_named(event_slug))
    event_id = event.counts.event_id
    form = (await request.form).to_dict()
    try:
        tickets = event_form.tickets_typed(form)
        revision = await box_office().revise(event_id, revision_seen(form), tickets=tickets)
    except Mistaken as mistaken:
        return await _page(event, 422, capacity=Form(form, mistaken.mistakes))
    except Refusal as refusal:
        event = await box_office().event(event_id)
        if refusal.code == "event_changed":
            now = counted(event.counts.capacity, "ticket", "tickets")
            problem = f"{CHANGED} It has {now} now. If yours is still the right number, press the button once more."
            return await _page(
                event, 422, capacity=Form(form, problem=problem), preview=await capacity_preview(event, form)
            )
        return await _page(event, 422, capacity=Form(form, {"tickets": why_not(refusal)}))
    now = f"The event has {counted(tickets, 'ticket', 'tickets')} now."
    return done(settings_path(event_id), f"{now}{await promoted_in_words(revision.promoted)}")


@settings.post(f"{SETTINGS}/visibility")
async def show_or_hide(event_slug: str) -> Response:
    """Put the event on the list for guests, or take it off."""
    event = await box_office().event(event_named(event_slug))
    is_hidden = (await request.form).get("hidden") == "yes"
    await box_office().revise(event.counts.event_id, details=replace(event.details, hidden=is_hidden))
    said = "The event is hidden now." if is_hidden else "The event is on the list now."
    return done(settings_path(event.counts.event_id), said)


def revision_seen(form: Mapping[str, str]) -> int:
    """The revision of the event that a form was made from; none that there is, where the form does not say so."""
    said = form.get("revision", "")
    return int(said) if REVISION.fullmatch(said) else 0


async def _page(
    event: Event,
    status: int = 200,
    *,
    details: Form | None = None,
    clashes: tuple[Clash, ...] = (),
    capacity: Form | None = None,
    preview: Preview | None = None,
) -> Response:
    """The settings, or the block with the preview; with forms as they were left, or as the event is."""
    counts = event.counts
    can_be_deleted = not (await box_office().tally(counts.event_id)).placed
    answer = rendering.page_or_block(
        PAGE,
        "preview",
        status=status,
        event=view(event, box_office().now()),
        details=details or Form(event_form.shown(event.details)),
        details_revision=details.typed.get("revision", "") if details else counts.revision,
        clashes=clashes,
        capacity=capacity or Form({"tickets": str(counts.capacity)}),
        preview=preview,
        can_be_deleted=can_be_deleted,
        zones=event_form.zones_offered(),
        notice=notice(),
    )
    return told(answer)
