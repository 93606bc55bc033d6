"""Every input of the JSON API, each in one `Field`: how it is checked, and what is said of it in the description.

The ids and `tickets` of the original routes stand in `parsing.py`.
"""

from dataclasses import replace
from typing import Any, Final, get_args

from webapp.web import checks
from webapp.web.checks import (
    EMAIL_PATTERN,
    IF_MATCH_PATTERN,
    LINE_PATTERN,
    PARAGRAPHS_PATTERN,
    QUERY_PATTERN,
    RosterStatus,
)
from webapp.web.parsing import TICKETS, USER_ID, Field, number_typed

LIST_MAX: Final = 100
LEDGER_MAX: Final = 100
ENTRY_MAX: Final = 2**53 - 1  # what a double holds exactly, so that no client rounds it


def _filled(text: str) -> str | None:
    """What stands in a query or a form, where a field without a value is as good as none."""
    return text or None


def _number_filled(text: str) -> object:
    return number_typed(text) if text else None


def _nullable(**schema: Any) -> dict[str, Any]:
    return {"type": ["string", "null"], **schema}


def _moment(name: str, description: str, example: str) -> Field[int | None]:
    right = "null, or a time such as 2030-06-18T19:30:00Z or 2030-06-18T21:30:00+02:00"
    return Field(name, description, example, _nullable(format="date-time"), right, checks.time, _filled)


TITLE: Final = Field(
    "title",
    "What the event is called; without a title, it is called by its id.",
    "Summer night",
    {"type": "string", "maxLength": 200, "pattern": LINE_PATTERN},
    "a text of at most 200 characters in one line",
    checks.line(200),
    str,
)
DESCRIPTION: Final = Field(
    "description",
    "Plain text, in which an empty line parts paragraphs.",
    "Music under the lime trees.\n\nBring a blanket.",
    {"type": "string", "maxLength": 10_000, "pattern": PARAGRAPHS_PATTERN},
    "a text of at most 10,000 characters",
    checks.paragraphs(10_000),
    str,
)
VENUE: Final = Field(
    "venue",
    "Where it takes place.",
    "Town garden, 3 Mill Lane",
    {"type": "string", "maxLength": 300, "pattern": LINE_PATTERN},
    "a text of at most 300 characters in one line",
    checks.line(300),
    str,
)
STARTS_AT: Final = _moment(
    "starts_at", "When it begins. Booking closes then, unless `closes_at` says otherwise.", "2030-06-18T19:30:00Z"
)
ENDS_AT: Final = _moment("ends_at", "When it is over; not before `starts_at`.", "2030-06-18T22:00:00Z")
OPENS_AT: Final = _moment("opens_at", "When booking opens; null: at once.", "2030-05-01T08:00:00Z")
CLOSES_AT: Final = _moment("closes_at", "When booking closes; null: when the event begins.", "2030-06-18T18:00:00Z")
TIME_ZONE: Final = Field(
    "time_zone",
    "The time zone of the place, in which the pages show all times: a name of the IANA database.",
    "Europe/Berlin",
    {"type": "string", "minLength": 1, "maxLength": 64},
    "the IANA name of one, such as Europe/Berlin or UTC",
    checks.time_zone,
    str,
)
HIDDEN: Final = Field(
    "hidden",
    "Whether the event is left out of the public list. Its address still leads there.",
    False,
    {"type": "boolean"},
    "true or false",
    checks.boolean,
    lambda text: {"true": True, "on": True, "false": False, "": False}.get(text, text),
)
CAPACITY: Final = replace(TICKETS, name="capacity")
EDITABLE: Final = (TITLE, DESCRIPTION, VENUE, STARTS_AT, ENDS_AT, TIME_ZONE, OPENS_AT, CLOSES_AT, HIDDEN)
"""What an organiser tells about an event, by the names of `Details`; the capacity is apart."""

NAME: Final = Field(
    "name",
    "The guest's name, for the organiser alone.",
    "Cleo Lindqvist",
    _nullable(maxLength=200, pattern=LINE_PATTERN),
    "null, or a text of at most 200 characters in one line",
    checks.or_null(checks.line(200)),
    str,
)
EMAIL: Final = Field(
    "email",
    "The guest's e-mail address, for the organiser alone.",
    "cleo@example.org",
    # Without "format": that of JSON Schema is another one than browsers', which people have passed.
    _nullable(maxLength=254, pattern=f"^(?: *|{EMAIL_PATTERN})$"),
    "null, or an address such as cleo@example.org of at most 254 characters",
    checks.or_null(checks.email),
    str,
)
REASON: Final = Field(
    "reason",
    "Why the order is cancelled, for the guest and the organiser.",
    "I have caught a cold.",
    _nullable(maxLength=500, pattern=LINE_PATTERN),
    "null, or a text of at most 500 characters in one line",
    checks.or_null(checks.line(500)),
    str,
)
GATE: Final = Field(
    "gate",
    "Where the guest was let in. The ledger tells it to everybody, so it must name no person.",
    "North door",
    _nullable(maxLength=50, pattern=LINE_PATTERN),
    "null, or a text of at most 50 characters in one line",
    checks.or_null(checks.line(50)),
    str,
)

LIMIT: Final = Field(
    "limit",
    "How many items to answer at most.",
    50,
    {"type": "integer", "minimum": 1, "maximum": LIST_MAX, "default": 50},
    f"a whole number from 1 to {LIST_MAX}",
    checks.whole_number(1, LIST_MAX, 50),
    _number_filled,
    "query",
)
LEDGER_LIMIT: Final = Field(
    "limit",
    "How many entries to answer at most.",
    100,
    {"type": "integer", "minimum": 1, "maximum": LEDGER_MAX, "default": 100},
    f"a whole number from 1 to {LEDGER_MAX:,}",
    checks.whole_number(1, LEDGER_MAX, 100),
    _number_filled,
    "query",
)
CURSOR: Final = Field(
    "cursor",
    "Where to go on: the `next` of the page before.",
    "WzE3OTUzNzk0NzMwMDAwMDAsICJnaWciXQ",
    {"type": "string", "maxLength": 5_000, "pattern": "^[A-Za-z0-9_-]*$"},
    "the next of an earlier answer, unchanged",
    checks.cursor,
    _filled,
    "query",
)
AFTER: Final = Field(
    "after",
    "Answer the entries after the one with this number.",
    0,
    {"type": "integer", "minimum": 0, "maximum": ENTRY_MAX, "default": 0},
    "the number of an entry, or 0",
    checks.whole_number(0, ENTRY_MAX, 0),
    _number_filled,
    "query",
)
STATUS: Final = Field(
    "status",
    "Only orders of this status; `checked_in` are the booked ones whose guests have arrived.",
    "waiting",
    {"type": "string", "enum": list(get_args(RosterStatus))},
    f"one of {', '.join(get_args(RosterStatus))}",
    checks.roster_status,
    _filled,
    "query",
)
Q: Final = Field(
    "q",
    "Only orders with this in their id, or in the guest's `userId`, name or e-mail address.",
    "cleo",
    {"type": "string", "maxLength": 200, "pattern": QUERY_PATTERN},
    "a text of at most 200 characters in one line",
    lambda value: "" if value is None else checks.line(200)(value),
    str,
    "query",
)
DRY_RUN: Final = Field(
    "dry_run",
    "With `1` or `true`, answer what would happen, and change nothing.",
    "1",
    {"type": "string", "enum": ["0", "1", "false", "true"], "default": "0"},
    "1 or true, else 0 or false",
    checks.yes_or_no,
    _filled,
    "query",
)

IDEMPOTENCY_KEY: Final = Field(
    "Idempotency-Key",
    "Makes the request safe to repeat: with the same key it has one effect and one answer, however often it is sent. "
    "Take a new UUID for every wish.",
    "6f1d9c1e-3b0a-4f57-9a55-0f2f4f6f1c2b",
    {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
    "1 to 255 visible ASCII characters, such as a UUID",
    checks.idempotency_key,
    str,
    "header",
)
IF_MATCH: Final = Field(
    "If-Match",
    "The `ETag` of the event as you last saw it, or `*` to overwrite whatever is there. Bookings in the meantime do no "
    "harm; another edit does.",
    '"3-120-9f2c51d0a7be-o"',
    {"type": "string", "pattern": IF_MATCH_PATTERN},
    'an ETag in its quotation marks, such as "3-120-9f2c51d0a7be-o", or *',
    checks.revisions,
    str,
    "header",
)
ORDER_KEY: Final = Field(
    "Order-Key",
    "The key of the order, which whoever booked got along with it.",
    "n3J0c2VjcmV0LWtleS1vZg",
    {"type": "string", "minLength": 22, "maxLength": 22, "pattern": "^[A-Za-z0-9_-]+$"},
    "the key of the order",
    checks.order_key,
    str,
    "header",
)

BODY_FIELDS: Final = (*EDITABLE, CAPACITY, USER_ID, NAME, EMAIL, REASON, GATE)
QUERY_FIELDS: Final = (LIMIT, LEDGER_LIMIT, CURSOR, AFTER, STATUS, Q, DRY_RUN)
HEADER_FIELDS: Final = (IDEMPOTENCY_KEY, IF_MATCH, ORDER_KEY)
