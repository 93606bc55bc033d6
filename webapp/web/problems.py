"""Every exception becomes one answer here: problem+json for programs (RFC 9457), a page where people look."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

from quart import Quart, Response, request
from werkzeug.datastructures import Headers
from werkzeug.exceptions import HTTPException, MethodNotAllowed, RequestEntityTooLarge
from werkzeug.routing import RequestRedirect

from webapp.booking.answers import Refusal
from webapp.desk import Unavailable
from webapp.web.asking import NotAuthenticated
from webapp.web.error_pages import error_page
from webapp.web.guard import CrossOrigin, request_id
from webapp.web.limiter import TooManyAttempts
from webapp.web.parsing import BODY_BYTES_MAX, InvalidInput
from webapp.web.problem_details import problem_details
from webapp.web.remarks import remark
from webapp.web.times import rfc3339

log = logging.getLogger(__name__)

REFUSAL_STATUS: Final = {
    "event_not_found": 404,
    "order_not_found": 404,
    "event_exists": 409,
    "event_has_orders": 409,
    "capacity_below_booked": 409,
    "too_many_promotions": 409,
    "not_open_yet": 409,
    "booking_closed": 409,
    "not_booked": 409,
    "order_cancelled": 409,
    "already_checked_in": 409,
    "not_checked_in": 409,
    "event_changed": 412,
    "idempotency_key_reused": 422,
}
"""The HTTP status of each code that the rules refuse with."""


CONTENT_TYPE: Final = "application/problem+json"


@dataclass(frozen=True, slots=True)
class Problem:
    """What went wrong: status, a stable word for programs, a sentence for people, and the fields at fault.

    `facts` are members more that go with the code.
    """

    status: int
    code: str
    sentence: str
    errors: list[dict[str, str]] = field(default_factory=list)
    headers: tuple[tuple[str, str], ...] = ()
    facts: Mapping[str, object] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """The status in words."""
        return HTTPStatus(self.status).phrase

    def details(self, request_id: str) -> bytes:
        """What programs are told: a body of the type CONTENT_TYPE."""
        return problem_details(self.status, self.code, self.sentence, request_id, self.errors, self.facts)

    @property
    def fields(self) -> tuple[tuple[str, str], ...]:
        """The header fields of its answer."""
        return (("Cache-Control", "no-store"), *self.headers)

    @property
    def retry_after_s(self) -> int | None:
        """After how many seconds another try is worth it; None where it will not be, or nobody knows."""
        seconds = dict(self.headers).get("Retry-After")
        return None if seconds is None else int(seconds)


def logged_problem_of(error: BaseException, request_id: str) -> Problem:
    """The problem that an exception stands for; what nobody expected is logged."""
    problem = problem_of(error)
    if problem.code == "internal":
        log.error("request %s failed", request_id, exc_info=error)
    return problem


def problem_of(error: BaseException) -> Problem:
    """The problem that an exception stands for; what nobody expected is `internal`, without detail."""
    match error:
        case InvalidInput():
            errors = [{"pointer": problem.pointer, "detail": problem.detail} for problem in error.problems]
            return Problem(error.status, error.code, error.error, errors)
        case Refusal():
            return Problem(REFUSAL_STATUS[error.code], error.code, error.sentence, facts=_facts(error))
        case NotAuthenticated():
            challenges = tuple(("WWW-Authenticate", challenge) for challenge in error.challenges)
            return Problem(401, "not_authenticated", str(error), headers=challenges)
        case TooManyAttempts():
            return Problem(429, "too_many_attempts", str(error), headers=_retry_after(error.retry_after_s))
        case Unavailable():
            return Problem(503, error.code, error.sentence, headers=_retry_after(error.retry_after_s))
        case CrossOrigin():
            return Problem(403, "cross_origin", "This request came from another site's page, and was not carried out")
        case HTTPException():
            return _http_problem(error)
    return Problem(500, "internal", "Something went wrong here; it has been logged under the request id")


def _facts(refusal: Refusal) -> dict[str, object]:
    """A refusal's members, its times as RFC 3339 has them."""
    return {
        name: rfc3339(value) if name.endswith("_at") and isinstance(value, int) else value
        for name, value in refusal.members.items()
    }


def _http_problem(error: HTTPException) -> Problem:
    status = HTTPStatus(error.code or 500)
    match error:
        case MethodNotAllowed():
            allowed = ", ".join(sorted(error.valid_methods or ()))
            sentence = f"This method is not allowed here; allowed: {allowed}"
            return Problem(405, "method_not_allowed", sentence, headers=(("Allow", allowed),))
        case RequestEntityTooLarge():
            return Problem(413, "too_large", f"The body must have at most {BODY_BYTES_MAX:,} bytes.")
    if status == HTTPStatus.NOT_FOUND:
        return Problem(404, "not_found", "There is nothing at this address")
    return Problem(status, status.name.lower(), error.description or status.description or status.phrase)


def _retry_after(seconds: int) -> tuple[tuple[str, str], ...]:
    return (("Retry-After", str(seconds)),)


def problem_json(problem: Problem) -> Response:
    """A problem as an `application/problem+json` answer."""
    answer = Response(problem.details(request_id()), problem.status, content_type=CONTENT_TYPE)
    return _with_headers(answer, problem)


async def answer_problem(error: Exception) -> Response:
    """The answer to a request that ended in an exception."""
    if isinstance(error, RequestRedirect):
        return Response("", error.code, {"Location": error.new_url})
    problem = logged_problem_of(error, request_id())
    if isinstance(error, CrossOrigin | TooManyAttempts):
        remark("cross_origin" if isinstance(error, CrossOrigin) else "too_many_attempts")
    if _reader_is_a_person():
        page = error_page(
            problem.status, problem.code, problem.title, problem.sentence,
            retry_after_s=problem.retry_after_s, request_id=request_id(),
        )  # fmt: skip
        return _with_headers(page, problem)
    return problem_json(problem)


def _with_headers(answer: Response, problem: Problem) -> Response:
    answer.headers.update(Headers(problem.fields))
    return answer


def _reader_is_a_person() -> bool:
    if request.path == "/ui" or request.path.startswith("/ui/"):
        return True
    best = request.accept_mimetypes.best_match(["application/json", "text/html"], "application/json")
    return best == "text/html"


def register(app: Quart) -> None:
    """Let every exception of every route be answered here."""
    app.register_error_handler(Exception, answer_problem)
