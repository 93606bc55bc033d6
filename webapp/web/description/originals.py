"""The routes that were there before /api/v1, which stay as they are, and those about the server itself."""

from typing import Final

from webapp.web.description import examples
from webapp.web.description.operations import EVENT_ID_IN_PATH, Answer, Body, Group, Operation
from webapp.web.parsing import EVENT_ID, TICKETS, USER_ID

_ORIGINALS: Final = (
    Operation(
        method="POST",
        path="/initialize",
        id="initialize",
        summary="Open an event",
        description="Again with the same number of tickets, nothing happens.",
        who="organiser",
        body=Body((EVENT_ID, TICKETS), example={"eventId": "gig", "tickets": 80}),
        answers=(Answer(200, "The event can be booked.", "Initialized", {"eventId": "gig", "tickets": 80}),),
        touches="ledger",
        errors=("event_exists",),
    ),
    Operation(
        method="POST",
        path="/book",
        id="book",
        summary="Book a ticket, or join the waiting list",
        description="Again for the same guest, nothing happens, and a `message` says so.",
        body=Body((EVENT_ID, USER_ID), example={"eventId": "gig", "userId": "cleo"}),
        answers=(
            Answer(
                200,
                "A ticket, or a place on the waiting list.",
                "Assignment",
                {"assigned": True},
                ("RateLimit", "RateLimit-Policy"),
            ),
        ),
        touches="ledger",
        errors=("event_not_found", "not_open_yet", "booking_closed", "too_many_attempts"),
    ),
    Operation(
        method="POST",
        path="/cancel",
        id="cancel",
        summary="Cancel a guest’s order",
        description="A ticket that comes free goes to whoever has waited longest.",
        who="organiser",
        body=Body((EVENT_ID, USER_ID), example={"eventId": "gig", "userId": "cleo"}),
        answers=(Answer(200, "It has ended.", "Reassignment", {"reassignedTo": "bob"}),),
        touches="ledger",
        errors=("event_not_found", "order_not_found", "already_checked_in"),
    ),
    Operation(
        method="GET",
        path="/status/{eventId}",
        id="getStatus",
        summary="See how full an event is",
        description="Ask again with `If-None-Match`, and what has not changed is not sent.",
        path_parts=(EVENT_ID_IN_PATH,),
        answers=(
            Answer(
                200,
                "The counts.",
                "Status",
                {"eventId": "gig", "total": 80, "available": 0, "waitingList": 3},
                ("ETag",),
            ),
            Answer(304, "It is what the tag in `If-None-Match` stands for.", headers=("ETag",)),
        ),
        touches="store",
        errors=("event_not_found",),
    ),
    Operation(
        method="POST",
        path="/auth/token",
        id="makeToken",
        summary="Exchange the password for a token",
        description="It lasts as long as `TOKEN_EXP` says, and ends when the password changes.",
        who="password",
        answers=(Answer(200, "The token.", "Token", {"token": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZG1pbiJ9.c2ln"}),),
        touches="nothing",
    ),
)

_SERVER: Final = (
    Operation(
        method="GET",
        path="/health",
        id="getHealth",
        summary="Ask whether the process answers",
        answers=(Answer(200, "It does.", "Health", {"ok": True}),),
        touches="nothing",
    ),
    Operation(
        method="GET",
        path="/healthz",
        id="getHealthz",
        summary="Ask the same, by the name that Kubernetes uses",
        answers=(Answer(200, "It does.", "Health", {"ok": True}),),
        touches="nothing",
    ),
    Operation(
        method="GET",
        path="/readyz",
        id="getReadyz",
        summary="Ask whether requests are served",
        answers=(Answer(200, "They are.", "Readiness", {"ready": True}),),
        touches="store",
    ),
    Operation(
        method="GET",
        path="/metrics",
        id="getMetrics",
        summary="Read the server’s figures",
        description="For Prometheus, whose text format it is.",
        who="organiser",
        answers=(Answer(200, "The figures.", None, examples.METRICS, media_type="text/plain"),),
        touches="nothing",
    ),
    Operation(
        method="GET",
        path="/openapi.json",
        id="getDescription",
        summary="Read this description as OpenAPI 3.1",
        answers=(
            Answer(200, "The document.", "Description", examples.DESCRIPTION, ("ETag",)),
            Answer(304, "It is what the tag in `If-None-Match` stands for.", headers=("ETag",)),
        ),
        touches="nothing",
    ),
)

ORIGINALS: Final = Group(
    "originals",
    "The original routes",
    "Older and simpler, kept to the letter for programs that use them. They work on the same events.",
    _ORIGINALS,
)
SERVER: Final = Group("server", "The server itself", "For those who keep it running.", _SERVER)
