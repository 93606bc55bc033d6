"""What people read where something went wrong: what happened, what to do next, and when to try again.

Needs nothing but templates, so that it can be told when nothing else works.
"""

import re
from typing import Final, NamedTuple

from quart import Response, request

from webapp.web import rendering
from webapp.web.parsing import BODY_BYTES_MAX, event_id_from_slug
from webapp.web.rendering import counted, event_path

SECONDS_TOLD_MAX: Final = 90
"""Longer waits are told in minutes."""

HARMLESS: Final = "Booking again does no harm: you keep the place you have."
COMPLETE: Final = "Is the link complete? Long ones are sometimes cut in two on their way."


class Words(NamedTuple):
    """What an error page says: a heading, what happened, and what helps, besides trying again."""

    heading: str
    happened: str
    helps: str = ""


WORDS: Final = {
    "event_not_found": Words("There is no such event", "Nothing is known of an event at this address.", COMPLETE),
    "order_not_found": Words("There is no such order", "Nothing is known of an order at this address.", COMPLETE),
    "not_found": Words("There is no such page", "Nothing is to be found at this address.", COMPLETE),
    "invalid_input": Words("That did not work", "Something in this address cannot be read.", COMPLETE),
    "cross_origin": Words(
        "That is not allowed from there",
        "Another site’s page has sent this in your name. So it was not carried out, and nothing was changed.",
        "If it is what you want, look for the page here, and do it there.",
    ),
    "method_not_allowed": Words(
        "There is no such page",
        "What is sent with a form arrives at this address, but it is no page to look at.",
        "Please go back to the page with the form.",
    ),
    "too_large": Words(
        "That is too much at once",
        f"What you have sent is longer than {BODY_BYTES_MAX:,} bytes. Nothing was changed.",
        "Please go back, shorten it, and send it again.",
    ),
    "too_many_attempts": Words(
        "One moment, please", "Too many requests come from your network just now. This one was not carried out."
    ),
    "overloaded": Words(
        "Too busy just now", "Too many people are asking at the same time. Nothing was changed.", HARMLESS
    ),
    "storage_unavailable": Words(
        "Not possible just now", "What is stored here cannot be reached at the moment. Nothing was changed.", HARMLESS
    ),
    "shutting_down": Words("Back in a moment", "The server is being restarted. Nothing was changed.", HARMLESS),
    "outcome_unknown": Words(
        "Please look again", "Whether this was carried out is not known here at the moment.", HARMLESS
    ),
    "ledger_damaged": Words(
        "This event is not available",
        "What is stored of this event is damaged. It is shown to nobody until the organiser has repaired it, and "
        "nothing was changed.",
    ),
    "internal": Words(
        "Something went wrong on our side", "It is not your fault, and it was noted, to be mended.", HARMLESS
    ),
}
"""By the code of the problem."""

HEADINGS: Final = {400: "That did not work", 409: "That is not possible now"}
"""By the status of others, where its name would not help a person."""

MENTIONED: Final = frozenset({"internal", "outcome_unknown", "ledger_damaged"})
"""What people should report, with the id that the server's log knows their request by."""


def error_page(
    status: int, code: str, title: str, sentence: str, *, retry_after_s: int | None = None, request_id: str
) -> Response:
    """The page about a problem; `title` and `sentence` are for those codes that this module has no words for."""
    words = WORDS.get(code) or Words(HEADINGS.get(status, title), _whole(sentence))
    return rendering.page(
        "error.html",
        status=status,
        code=status,
        words=words,
        retry="" if retry_after_s is None else f"Please try again in {wait(retry_after_s)}.",
        again=_this_page() if retry_after_s is not None or code == "internal" else "",
        event=_event_above() if code in {"not_found", "method_not_allowed"} else "",
        request_id=request_id if code in MENTIONED else "",
    )


def wait(seconds: int) -> str:
    """How long something takes: `12 seconds`, `2 minutes`."""
    if seconds <= SECONDS_TOLD_MAX:
        return counted(seconds, "second", "seconds")
    return counted(-(-seconds // 60), "minute", "minutes")


def _whole(sentence: str) -> str:
    return sentence if sentence.endswith((".", "!", "?")) else f"{sentence}."


def _this_page() -> str:
    """The address to try again; empty where something was sent, which only the page with its form can do again."""
    is_page = request.method == "GET" and re.match(r"/ui(/|\Z)", request.path)
    return request.full_path.rstrip("?") if is_page else ""


def _event_above() -> str:
    """The address of the event below whose page the request went; empty where it went elsewhere."""
    match = re.match(r"/ui/events/([^/]+)/", request.path)
    event_id = event_id_from_slug(match[1]) if match else None
    return event_path(event_id) if event_id is not None else ""
