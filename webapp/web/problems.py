"""Every exception becomes one answer here: problem+json for programs (RFC 9457), a page where people look."""

import logging
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

from quart import Quart, Response, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed, RequestEntityTooLarge
from werkzeug.routing import RequestRedirect

from webapp.booking.decisions import Refusal
from webapp.desk import Unavailable
from webapp.web import rendering
from webapp.web.asking import NotAuthenticated
from webapp.web.guard import CrossOrigin, request_id
from webapp.web.limiter import TooManyAttempts
from webapp.web.parsing import BODY_BYTES_MAX, InvalidInput
from webapp.web.problem_details import problem_details

log = logging.getLogger(__name__)

REFUSAL_STATUS: Final = {
    "event_not_found": 404,
    "order_not_found": 404,
    "event_exists": 409,
    "capacity_below_booked": 409,
}
"""The HTTP status of each code that the rules refuse with."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What went wrong: status, a stable word for programs, a sentence for people, and the fields at fault."""

    status: int
    code: str
    sentence: str
    errors: list[dict[str, str]] = field(default_factory=list)
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def title(self) -> str:
        """The status in words."""
        return HTTPStatus(self.status).phrase


def problem_of(error: BaseException) -> Problem:
    """The problem that an exception stands for; what nobody expected is `internal`, without detail."""
    match error:
        case InvalidInput():
            errors = [{"pointer": problem.pointer, "detail": problem.detail} for problem in error.problems]
            return Problem(error.status, error.code, error.error, errors)
        case Refusal():
            return Problem(REFUSAL_STATUS[error.code], error.code, error.sentence)
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
    body = problem_details(problem.status, problem.code, problem.sentence, request_id(), problem.errors)
    answer = Response(body, problem.status, content_type="application/problem+json")
    return _with_headers(answer, problem)


async def answer_problem(error: Exception) -> Response:
    """The answer to a request that ended in an exception."""
    if isinstance(error, RequestRedirect):
        return Response("", error.code, {"Location": error.new_url})
    problem = problem_of(error)
    if problem.code == "internal":
        log.error("request %s failed", request_id(), exc_info=error)
    if _reader_is_a_person():
        page = rendering.error_page(problem.status, problem.title, problem.sentence, request_id())
        return _with_headers(page, problem)
    return problem_json(problem)


def _with_headers(answer: Response, problem: Problem) -> Response:
    answer.headers["Cache-Control"] = "no-store"
    for name, value in problem.headers:
        answer.headers.add(name, value)
    return answer


def _reader_is_a_person() -> bool:
    if request.path == "/ui" or request.path.startswith("/ui/"):
        return True
    best = request.accept_mimetypes.best_match(["application/json", "text/html"], "application/json")
    return best == "text/html"


def register(app: Quart) -> None:
    """Let every exception of every route be answered here."""
    app.register_error_handler(Exception, answer_problem)
