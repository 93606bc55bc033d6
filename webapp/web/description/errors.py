"""Every error by its code: its status, when it comes, what it says, and what it tells besides."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

from webapp.web.description.schemas import nullable, whole

TIME: Final = {"type": "string", "format": "date-time"}


@dataclass(frozen=True, slots=True)
class Member:
    """A fact that goes with an error: what it is, its JSON Schema, and an example."""

    description: str
    schema: Mapping[str, Any]
    example: object


@dataclass(frozen=True, slots=True)
class ErrorKind:
    """An error. `sentence` is an example of what it says; `anywhere` is one that may come of any request at all."""

    code: str
    status: int
    meaning: str
    sentence: str
    members: Mapping[str, Member] = field(default_factory=dict)
    headers: tuple[str, ...] = ()
    problems: tuple[tuple[str, str], ...] = ()
    anywhere: bool = False

    @property
    def schema_name(self) -> str:
        """What its document is called: `EventExistsProblem`."""
        return "".join(word.capitalize() for word in self.code.split("_")) + "Problem"

    @property
    def example(self) -> dict[str, object]:
        """The whole document."""
        errors = [{"pointer": pointer, "detail": detail} for pointer, detail in self.problems]
        return {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.sentence,
            "error": self.sentence,
            "code": self.code,
            **{name: member.example for name, member in self.members.items()},
            "request_id": "5f0c3a9be1d2-2a",
            **({"errors": errors} if errors else {}),
        }


_TITLE_TOO_LONG: Final = "title is too long; it must be a text of at most 200 characters in one line."
_CAPACITY_MISSING: Final = "capacity is missing; it must be a whole number from 0 to 1,000,000."
_RETRY: Final = ("Retry-After",)

_KINDS: Final = (
    ErrorKind(
        "bad_request",
        400,
        "The request cannot be read as HTTP, or its Host header is missing or malformed.",
        "The Host header is missing or malformed",
        anywhere=True,
    ),
    ErrorKind(
        "invalid_json",
        400,
        "The body is not what JSON is: a syntax error, not UTF-8, a name twice, NaN, too deep, or no object.",
        "The body is not valid JSON at line 1 column 13: Expecting value.",
    ),
    ErrorKind(
        "invalid_input",
        400,
        "Fields are missing or wrong: `errors` has one entry for each.",
        f"{_CAPACITY_MISSING} {_TITLE_TOO_LONG}",
        problems=(("/capacity", _CAPACITY_MISSING), ("/title", _TITLE_TOO_LONG)),
    ),
    ErrorKind(
        "not_authenticated",
        401,
        "The request needs credentials and has none, or has wrong ones.",
        "Sign in first: this needs the organiser's user name and password, or a token.",
        headers=("WWW-Authenticate",),
    ),
    ErrorKind(
        "cross_origin",
        403,
        "A browser sent the request for a page of another site.",
        "This request came from another site's page, and was not carried out",
    ),
    ErrorKind("not_found", 404, "There is no such address.", "There is nothing at this address", anywhere=True),
    ErrorKind("event_not_found", 404, "There is no such event.", "Event not found"),
    ErrorKind(
        "order_not_found",
        404,
        "There is no such order, or the key does not fit: which of both is not told.",
        "Order not found",
    ),
    ErrorKind(
        "method_not_allowed",
        405,
        "The address does not take this method.",
        "This method is not allowed here; allowed: GET, HEAD, OPTIONS",
        headers=("Allow",),
        anywhere=True,
    ),
    ErrorKind(
        "request_timeout",
        408,
        "The request did not arrive in time, which is 10 seconds at most.",
        "A request must arrive within 10 seconds",
    ),
    ErrorKind("event_exists", 409, "There is an event of this id already.", "The event exists already"),
    ErrorKind(
        "event_has_orders",
        409,
        "Somebody has booked there before, perhaps cancelled since. Close the event's booking or hide it instead.",
        "Somebody has booked here, so the event cannot be deleted. Close its booking or hide it instead",
    ),
    ErrorKind(
        "capacity_below_booked",
        409,
        "More tickets are booked than the event would have.",
        "The capacity can go down to 41, the number of tickets that are booked",
        {"capacity_min": Member("What the capacity can go down to.", whole("Tickets."), 41)},
    ),
    ErrorKind(
        "too_many_promotions",
        409,
        "More orders would get a ticket than can at once. Raise the capacity in steps.",
        "At most 10,000 who wait can get a ticket at once: make the capacity 10,080 first",
        {"capacity_max": Member("What the capacity can be raised to now.", whole("Tickets."), 10_080)},
    ),
    ErrorKind(
        "not_open_yet",
        409,
        "Booking has not opened.",
        "Booking has not opened yet",
        {"opens_at": Member("When it opens.", TIME, "2030-05-01T08:00:00Z")},
    ),
    ErrorKind(
        "booking_closed",
        409,
        "Booking has closed, by `closes_at` or because the event has begun.",
        "Booking has closed",
        {"closed_at": Member("When it closed.", TIME, "2030-06-18T18:00:00Z")},
    ),
    ErrorKind("order_cancelled", 409, "The order was cancelled before.", "The order was cancelled already"),
    ErrorKind(
        "not_booked",
        409,
        "The guest has no ticket, but waits.",
        "The guest has no ticket, but is number 3 on the waiting list",
    ),
    ErrorKind(
        "already_checked_in",
        409,
        "The guest was let in before. Whoever has arrived cannot be cancelled either.",
        "The guest was checked in already",
        {
            "checked_in_at": Member("When he was let in.", TIME, "2030-06-18T19:02:11.402113Z"),
            "gate": Member("Where.", nullable("string"), "North door"),
        },
    ),
    ErrorKind("not_checked_in", 409, "There is no check-in to take back.", "The guest was not checked in"),
    ErrorKind(
        "event_changed",
        412,
        "`If-Match` names another revision than the event's: somebody has edited it since.",
        "The event was changed since you looked; look again, and change what is there now",
        {"revision": Member("The event's revision now.", whole("A number."), 7)},
    ),
    ErrorKind("too_large", 413, "The body is longer than 64 KiB.", "The body must have at most 65,536 bytes."),
    ErrorKind(
        "address_too_long",
        414,
        "The address is longer than 32 KiB.",
        "The address and the headers must have at most 32,768 bytes together",
        anywhere=True,
    ),
    ErrorKind(
        "unsupported_media_type",
        415,
        "The body is not called JSON.",
        "The Content-Type is missing; it must be application/json.",
    ),
    ErrorKind(
        "idempotency_key_reused",
        422,
        "The Idempotency-Key was used with another body before.",
        "This Idempotency-Key was used with another request already; a new request needs a key of its own",
    ),
    ErrorKind(
        "precondition_required",
        428,
        "`If-Match` is missing.",
        "Send If-Match with the event's ETag, so that nobody else's change gets lost.",
    ),
    ErrorKind(
        "too_many_attempts",
        429,
        "Too many requests of this kind came from this address.",
        "Too many attempts. Try again in 6 s.",
        headers=(*_RETRY, "RateLimit", "RateLimit-Policy"),
    ),
    ErrorKind(
        "head_too_long",
        431,
        "The headers are longer than 32 KiB.",
        "The address and the headers must have at most 32,768 bytes together",
        anywhere=True,
    ),
    ErrorKind(
        "internal",
        500,
        "A mistake of the server's. Its log tells more under the `request_id`.",
        "Something went wrong here; it has been logged under the request id",
        anywhere=True,
    ),
    ErrorKind(
        "overloaded",
        503,
        "More is asked at once than can be served; nothing was changed.",
        "Too many requests are waiting; nothing was changed",
        headers=_RETRY,
    ),
    ErrorKind(
        "storage_unavailable",
        503,
        "The database cannot be read or written, as when the disk is full; nothing was changed.",
        "The event could not be read; nothing was changed",
        headers=_RETRY,
    ),
    ErrorKind(
        "shutting_down",
        503,
        "The server is about to stop; nothing was changed.",
        "The server is shutting down; nothing was changed",
        headers=_RETRY,
    ),
    ErrorKind(
        "ledger_damaged",
        503,
        "The event's ledger is not what was written, and is not served until it is repaired.",
        "This event's ledger is damaged; it is not served until repaired",
        headers=_RETRY,
    ),
    ErrorKind(
        "outcome_unknown",
        503,
        "Whether the change was stored cannot be known. The server ends, and its next start finds out. Send the same "
        "request again then, which does no harm with an `Idempotency-Key`.",
        "Whether this was stored is not known; please look again in a moment",
        headers=_RETRY,
    ),
)

ERRORS: Final = {kind.code: kind for kind in _KINDS}
"""By their codes, in the order of their statuses."""
