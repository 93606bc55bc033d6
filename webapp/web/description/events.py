"""What is done with events: listing, creating, changing and following them."""

from typing import Final

from webapp.web.description import examples
from webapp.web.description.operations import SLUG, Answer, Body, Group, Operation
from webapp.web.fields import (
    AFTER,
    CAPACITY,
    CURSOR,
    DRY_RUN,
    EDITABLE,
    ENDS_AT,
    IDEMPOTENCY_KEY,
    IF_MATCH,
    LEDGER_LIMIT,
    LIMIT,
    STARTS_AT,
    TIME_ZONE,
    TITLE,
    VENUE,
)
from webapp.web.parsing import EVENT_ID

_EVENTS: Final = (
    Operation(
        method="GET",
        path="/api/v1/events",
        id="listEvents",
        summary="List the events",
        description="Newest first. With the organiser's credentials, hidden ones are among them.",
        who="anyone_or_organiser",
        query=(LIMIT, CURSOR),
        answers=(
            Answer(200, "A page of the list.", "EventList", {"items": [examples.EVENT], "next": None}, ("Link",)),
        ),
        touches="store",
    ),
    Operation(
        method="POST",
        path="/api/v1/events",
        id="createEvent",
        summary="Create an event",
        description="Without an `eventId`, it gets one made of its title: `Summer night` becomes `summer-night`, or "
        "`summer-night-2` where that is taken.",
        who="organiser",
        headers=(IDEMPOTENCY_KEY,),
        body=Body(
            (CAPACITY,),
            (EVENT_ID, *EDITABLE),
            instead=(TITLE, EVENT_ID),
            example={field.name: field.example for field in (TITLE, VENUE, STARTS_AT, ENDS_AT, TIME_ZONE, CAPACITY)},
        ),
        answers=(
            Answer(
                201,
                "The event.",
                "Event",
                examples.NEW_EVENT,
                ("Location", "ETag", "Idempotent-Replayed"),
            ),
        ),
        touches="ledger",
        errors=("event_exists",),
    ),
    Operation(
        method="GET",
        path="/api/v1/events/{slug}",
        id="getEvent",
        summary="Look at an event",
        description="Hidden or not. Ask again with `If-None-Match`, and what has not changed is not sent.",
        path_parts=(SLUG,),
        answers=(
            Answer(200, "The event.", "Event", examples.EVENT, ("ETag",)),
            Answer(304, "It is what the tag in `If-None-Match` stands for.", headers=("ETag",)),
        ),
        touches="store",
        errors=("event_not_found",),
    ),
    Operation(
        method="PATCH",
        path="/api/v1/events/{slug}",
        id="changeEvent",
        summary="Change an event",
        description="Members that are given change, all others stay. Where a higher capacity, or another time, frees "
        "tickets, they go to those who have waited longest, in the same step. The ledger keeps all of it.",
        who="organiser",
        path_parts=(SLUG,),
        query=(DRY_RUN,),
        headers=(IF_MATCH,),
        body=Body((), (*EDITABLE, CAPACITY), example={"capacity": 82, "venue": VENUE.example}),
        answers=(
            Answer(
                200,
                "The event as it is now, or as it would be, and who gets a ticket. The tag is missing with `dry_run`.",
                "EventChange",
                examples.CHANGE,
                ("ETag",),
            ),
        ),
        touches="ledger",
        errors=("event_not_found", "capacity_below_booked", "too_many_promotions"),
    ),
    Operation(
        method="DELETE",
        path="/api/v1/events/{slug}",
        id="deleteEvent",
        summary="Delete an event",
        description="Only where nobody has ever booked. Else set `closes_at` or `hidden`, since what happened to "
        "people is never removed.",
        who="organiser",
        path_parts=(SLUG,),
        headers=(IF_MATCH,),
        answers=(Answer(204, "It is gone."),),
        touches="ledger",
        errors=("event_not_found", "event_has_orders"),
    ),
)

_FOLLOWING: Final = (
    Operation(
        method="GET",
        path="/api/v1/events/{slug}/stream",
        id="streamCounts",
        summary="Follow an event’s counts",
        description="Server-sent events: the counts at once, and whenever they change. Each message is called "
        "`counts`, its `id` is the number of the ledger's newest entry, and its data is one line of JSON. A browser "
        "that comes back with `Last-Event-ID` hears only what is new. Every 15 seconds without news comes a comment.",
        path_parts=(SLUG,),
        answers=(Answer(200, "A stream.", "Counts", examples.STREAM, media_type="text/event-stream"),),
        touches="store",
        errors=("event_not_found", "too_many_attempts"),
    ),
    Operation(
        method="GET",
        path="/api/v1/events/{slug}/ledger",
        id="listEntries",
        summary="Read an event’s ledger",
        description="All that has happened there, entry by entry, with nobody's name in it. How to check it stands "
        "in the introduction.",
        path_parts=(SLUG,),
        query=(AFTER, LEDGER_LIMIT),
        answers=(Answer(200, "A part of the ledger.", "LedgerPage", examples.LEDGER, ("Link",)),),
        touches="store",
        errors=("event_not_found",),
    ),
)

EVENTS: Final = Group("events", "Events", "What can be booked, and when.", _EVENTS)
FOLLOWING: Final = Group(
    "following", "Live counts and the ledger", "What anybody may follow of an event, and check.", _FOLLOWING
)
