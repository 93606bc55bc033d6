"""The documents that the API answers with, as JSON Schema (draft 2020-12, the dialect of OpenAPI 3.1).

Every member of a document is always there, and null where it has no value, unless `optional` says otherwise.
"""

from collections.abc import Iterable
from typing import Any, Final

from webapp.web import fields
from webapp.web.parsing import EVENT_ID, TICKETS, USER_ID, Field

Schema = dict[str, Any]


def text(description: str, **more: object) -> Schema:
    """A string."""
    return {"description": description, "type": "string", **more}


def whole(description: str, **more: object) -> Schema:
    """A whole number, not negative."""
    return {"description": description, "type": "integer", "minimum": 0, **more}


def yes_or_no(description: str) -> Schema:
    """A boolean."""
    return {"description": description, "type": "boolean"}


def nullable(*types: str, **more: object) -> Schema:
    """One of these types, or null."""
    return {"type": [*types, "null"], **more}


def time(description: str) -> Schema:
    """A time that an entry of a ledger tells."""
    return text(description, format="date-time")


def time_or_null(description: str) -> Schema:
    """A time, if there is one."""
    return {"description": description, **nullable("string", format="date-time")}


def like(field: Field[Any], description: str = "") -> Schema:
    """What a field takes, given back."""
    facts = {name: value for name, value in field.schema.items() if name != "pattern"}
    return {"description": description or field.description, **facts}


def ref(name: str) -> Schema:
    """Another document."""
    return {"$ref": f"#/components/schemas/{name}"}


def list_of(name: str, description: str) -> Schema:
    """An array of documents."""
    return {"description": description, "type": "array", "items": ref(name)}


def document(about: str, /, *, optional: Iterable[str] = (), **members: Schema) -> Schema:
    """A JSON object with these members, which later versions may add to."""
    required = [name for name in members if name not in set(optional)]
    return {"description": about, "type": "object", "required": required, "properties": members}


def closed(schema: Schema) -> Schema:
    """A document that will never have other members."""
    return {**schema, "additionalProperties": False}


def _hash(description: str) -> Schema:
    return text(description, pattern="^[0-9a-f]{64}$")


_ID: Final = text("The order's id.", minLength=1)
_EVENT_ID: Final = like(EVENT_ID, "The event's id.")
_SLUG: Final = text("The event's name in addresses.", minLength=1)
_GUEST: Final = like(USER_ID, "Whose order it is.")
_GUEST_OR_NULL: Final = {"description": "Whose order it is; null where that was erased.", **nullable("string")}
_STATUS: Final = text("How the order stands.", enum=["booked", "waiting", "cancelled"])
_LIVE_STATUS: Final = text("How the order stands.", enum=["booked", "waiting"])
_POSITION: Final = {"description": "1 for who is next; null unless it waits.", **nullable("integer", minimum=1)}
_AHEAD: Final = {
    "description": "How many wait in front; null unless it waits.",
    **nullable("integer", minimum=0),
}
_ENTRY: Final = whole("The number of the newest entry in the event's ledger.")
_NEXT: Final = {"description": "The `cursor` of the next page; null at the end.", **nullable("string")}
_KEY: Final = text("Whoever has it may see and cancel the order. It never changes.", pattern="^[A-Za-z0-9_-]{22}$")
_LINK: Final = text("The page on which the guest sees and cancels his order, with the key in it.", format="uri")
_ARRIVAL: Final = {"at": time("When the guest was let in."), "gate": like(fields.GATE)}
_COUNTS: Final = {
    "capacity": whole("How many tickets there are."),
    "booked": whole("How many are booked."),
    "available": whole("How many tickets nobody holds. While somebody waits, they are not for newcomers."),
    "waiting": whole("How many guests wait."),
    "checked_in": whole("How many guests have arrived."),
}
_ORDER: Final = {
    "id": _ID,
    "eventId": _EVENT_ID,
    "event_slug": _SLUG,
    "userId": _GUEST_OR_NULL,
    "name": like(fields.NAME),
    "email": like(fields.EMAIL),
    "status": _STATUS,
    "position": _POSITION,
    "ahead": _AHEAD,
    "placed_at": time("When it was placed."),
    "checked_in": {"description": "When and where the guest arrived.", "oneOf": [ref("Arrival"), {"type": "null"}]},
    "cancel_reason": like(fields.REASON, "Why it was cancelled, if that was said."),
}
_NEW_ORDER: Final = {**_ORDER, "userId": _GUEST, "status": _LIVE_STATUS}

KINDS: Final = (
    "opened", "resized", "revised", "lapsed", "deleted", "booked", "joined", "promoted", "cancelled", "checked_in",
    "check_in_undone", "erased",
)  # fmt: skip
"""What an entry of a ledger can be."""

STEPS: Final = (
    "booked", "joined", "cancelled", "resized", "revised", "lapsed", "promoted", "left", "checked_in",
    "check_in_undone",
)  # fmt: skip
"""What can have brought an order to where it stands."""

DOCUMENTS: Final[dict[str, Schema]] = {
    "Event": document(
        "An event.",
        eventId=_EVENT_ID,
        slug=_SLUG,
        title=text("What it is called; its id where it has no title."),
        description=like(fields.DESCRIPTION),
        venue=like(fields.VENUE),
        starts_at=like(fields.STARTS_AT),
        ends_at=like(fields.ENDS_AT),
        time_zone=like(fields.TIME_ZONE),
        opens_at=like(fields.OPENS_AT),
        closes_at=like(fields.CLOSES_AT),
        hidden=like(fields.HIDDEN),
        **_COUNTS,
        policy=ref("Policy"),
        revision=whole("The number of the last entry that changed what `PATCH` can change."),
        entry=_ENTRY,
        page=text("The event's page for guests.", format="uri"),
    ),
    "Policy": document(
        "By which rules an event is booked.",
        booking=text("Whether it can be booked now.", enum=["not_open_yet", "open", "closed"]),
        promotes_until=time_or_null("Until when who waits may still get a ticket; null: without end."),
        order=text("Who gets the tickets.", enum=["first_come_first_served"]),
    ),
    "EventList": document("Events, newest first.", items=list_of("Event", "At most `limit`."), next=_NEXT),
    "EventChange": document(
        "What a change has done to an event, or would do.",
        event=ref("Event"),
        promoted=whole("How many who waited get a ticket by it."),
        promotions=list_of("Promotion", "Who they are, at most 1,000 of them, in the order of the waiting list."),
        dry_run=yes_or_no("Whether nothing was changed in fact."),
    ),
    "Promotion": document("An order that got a ticket.", id=_ID, userId=_GUEST_OR_NULL),
    "Receipt": document(
        "What a guest can prove later: the ledger's entry about his wish.",
        entry=whole("The entry's number."),
        at=time("When it was recorded."),
        hash=_hash("The entry's hash, which seals all that happened up to it."),
    ),
    "Arrival": document("When and where a guest was let in.", **_ARRIVAL),
    "NewOrder": document(
        "An order that was just placed, with the key to it.",
        **_NEW_ORDER,
        receipt=ref("Receipt"),
        key=_KEY,
        manage_link=_LINK,
    ),
    "KnownOrder": document(
        "An order that the guest had before, as far as anybody may know who only knows his `userId`.",
        id=_ID,
        eventId=_EVENT_ID,
        userId=_GUEST,
        status=_LIVE_STATUS,
        position=_POSITION,
        ahead=_AHEAD,
        receipt=ref("Receipt"),
    ),
    "Order": document("An order.", **_ORDER),
    "OrderList": document(
        "Orders in the order of their placing.", items=list_of("Order", "At most `limit`."), next=_NEXT
    ),
    "OrderWithHistory": document("An order, and what has led to it.", **_ORDER, receipt=ref("Receipt"), why=ref("Why")),
    "Why": document(
        "What has led an order to where it stands, from the ledger.",
        asked_before={
            "description": "How many waited in front when the order was placed; null where it got a ticket at once, "
            "where it left the waiting list, or where not all steps are told.",
            **nullable("integer", minimum=0),
        },
        complete=yes_or_no("Whether these are all steps; else the oldest are left out."),
        steps=list_of("Step", "Oldest first."),
    ),
    "Step": document(
        "Something that happened to an order.",
        entry=whole("The number of the ledger's entry."),
        at=time("When."),
        kind=text(
            "`cancelled`: somebody in front left. `resized`, `revised`: tickets came free. `left`: the order was "
            "cancelled itself.",
            enum=list(STEPS),
        ),
        moved=whole("How many places forward the order came by it."),
        position=_POSITION,
    ),
    "Cancellation": document(
        "An order that has ended.",
        optional=["promotions"],
        id=_ID,
        status=text("How the order stands.", const="cancelled"),
        promoted=whole("How many who waited got a ticket by it."),
        promotions=list_of("Promotion", "Who they are; for the organiser alone."),
        receipt=ref("Receipt"),
    ),
    "CheckIn": document(
        "A guest who was let in.",
        id=_ID,
        userId=_GUEST_OR_NULL,
        name=_ORDER["name"],
        checked_in=document("When, where and by whom.", **_ARRIVAL, by=text("Who let him in.", enum=["organiser"])),
        receipt=ref("Receipt"),
    ),
    "ManageLink": document("The key to an order, once more.", id=_ID, key=_KEY, manage_link=_LINK),
    "LedgerPage": document(
        "A part of an event's ledger.",
        eventId=_EVENT_ID,
        items=list_of("Entry", "Oldest first, at most `limit`."),
        next={"description": "The `after` of the next part; null at the end.", **nullable("integer", minimum=1)},
    ),
    "Entry": document(
        "Something that happened at an event. It is never changed and never removed.",
        seq=whole("1, 2, 3, … at each event."),
        kind=text("What happened.", enum=list(KINDS)),
        at=time("When, always with six digits of fraction."),
        actor=text("Who did it.", enum=["guest", "organiser"]),
        order_id={"description": "The order it concerns; null where it is the whole event.", **nullable("string")},
        reason={"description": "Nothing so far: words can be personal, and are kept elsewhere.", **nullable("string")},
        detail={
            "description": "opened, resized: the capacity. revised: what was said of the event, its words as a digest. "
            "booked, joined: the commitment to the guest. checked_in: the gate.",
            **nullable("string"),
        },
        hash=_hash("SHA-256 of the hash before it and of all the other members."),
    ),
    "Counts": document("How full an event is.", eventId=_EVENT_ID, **_COUNTS, entry=_ENTRY),
    "Initialized": closed(document("An event that can be booked.", eventId=_EVENT_ID, tickets=like(TICKETS))),
    "Assignment": closed(
        document(
            "What came of a booking.",
            optional=["message"],
            assigned=yes_or_no("Whether the guest has a ticket; else he is on the waiting list."),
            message=text("Only where he had it before.", enum=["Already booked", "Already on the waiting list"]),
        )
    ),
    "Reassignment": closed(
        document(
            "What came of a cancellation.",
            reassignedTo={
                "description": "The `userId` of who got the ticket; null where nobody did, or his name was erased.",
                **nullable("string"),
            },
        )
    ),
    "Status": closed(
        document(
            "How full an event is.",
            eventId=_EVENT_ID,
            total=whole("How many tickets there are."),
            available=whole("How many tickets nobody holds. While somebody waits, they are not for newcomers."),
            waitingList=whole("How many guests wait."),
        )
    ),
    "Token": closed(document("A token.", token=text("For `Authorization: Bearer`, as long as `TOKEN_EXP` says."))),
    "Health": closed(document("That the process answers.", ok={"description": "True.", "const": True})),
    "Readiness": closed(document("That requests are served.", ready={"description": "True.", "const": True})),
    "Description": document(
        "An OpenAPI document (https://spec.openapis.org/oas/v3.1.0).",
        openapi=text("The version of OpenAPI.", const="3.1.0"),
        info={"description": "What it describes.", "type": "object"},
        servers={"description": "Where.", "type": "array", "items": {"type": "object"}},
        tags={"description": "In which groups.", "type": "array", "items": {"type": "object"}},
        paths={"description": "What can be asked.", "type": "object"},
        components={"description": "What all of that is made of.", "type": "object"},
    ),
}
"""Every document but problems, by its name."""

PROBLEM: Final = document(
    "What went wrong (RFC 9457). `error` and `code` are Fairlist's own; some codes tell more.",
    optional=["request_id", "errors"],
    type=text("Always about:blank.", const="about:blank"),
    title=text("The status in words."),
    status={"description": "The status.", "type": "integer", "minimum": 400, "maximum": 599},
    detail=text("A sentence for people."),
    error=text("The same sentence."),
    code=text("A stable word for programs."),
    request_id=text("What the server's log knows the request by."),
    errors={"description": "The fields at fault.", "type": "array", "items": ref("FieldProblem")},
)

FIELD_PROBLEM: Final = document(
    "What is wrong with one field.",
    pointer=text(
        "A JSON pointer into the body (RFC 6901), such as `/title`. Empty where a query parameter or a header is at "
        "fault, which `detail` names.",
        format="json-pointer",
    ),
    detail=text("A sentence that also says what would be right."),
)
