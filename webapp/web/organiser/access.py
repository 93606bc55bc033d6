"""Coming into the panel and leaving it: every page for organisers lies behind the sign-in."""

import re
from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

from quart import Blueprint, Response, g, request

from webapp.web import rendering
from webapp.web.asking import address, is_secure
from webapp.web.cookies import SESSION_COOKIE, Session
from webapp.web.forms import EMPTY, Form
from webapp.web.limiter import TooManyAttempts
from webapp.web.parts import parts
from webapp.web.remarks import remark
from webapp.web.rendering import counted, see_other

PANEL: Final = "/ui/organise"
SIGN_IN: Final = "/ui/sign-in"
LOCAL_PAGE: Final = re.compile(r"/ui(/(?!\.)[A-Za-z0-9_.~-]+)*")
WRONG_PASSWORD: Final = "The user name or the password is wrong."  # noqa: S105 -- a sentence
"""What a sign-in is refused with; which of the two is wrong stays unsaid."""


def private(name: str, module: str) -> Blueprint:
    """A blueprint whose routes are for the organiser alone, and in no cache."""
    blueprint = Blueprint(name, module)
    blueprint.before_request(require_session)
    blueprint.after_request(keep_private)
    return blueprint


async def require_session() -> Response | None:
    """Send whoever is not the organiser to the sign-in, and from there to the page that was asked for."""
    if parts().gatekeeper.open_to_all or request.path == SIGN_IN:
        return None
    cookie = SESSION_COOKIE.found_in(request.cookies, secure=is_secure())
    g.session = parts().gatekeeper.sessions.find(cookie)
    if g.session is not None:
        remark("by_session")
        return None
    remark("session_over" if cookie else "not_authenticated")
    if request.headers.get("HX-Request") == "true":  # or htmx would put the sign-in into a part of the page
        page = _local(urlsplit(request.headers.get("HX-Current-URL", "")).path)
        return Response(status=401, headers={"HX-Redirect": f"{SIGN_IN}?next={page}"})
    wanted = _local(request.path) if request.method == "GET" else PANEL
    return see_other(f"{SIGN_IN}?next={wanted}")


async def keep_private(answer: Response) -> Response:
    """Keep a session that is in use from ending, and these pages out of every cache.

    What a page left open asks for by itself is no use of it.
    """
    answer.headers["Cache-Control"] = "no-store"
    session: Session | None = g.get("session")
    is_used = not request.path.endswith("/stream") and "Fairlist-Poll" not in request.headers
    if session is not None and is_used:
        _set_session(answer, parts().gatekeeper.sessions.prolonged(session))
    return answer


def still_signed_in() -> Callable[[], bool]:
    """Whether the session that the present request came with goes on, for a stream that outlives the request."""
    gatekeeper = parts().gatekeeper
    cookie = SESSION_COOKIE.found_in(request.cookies, secure=is_secure())
    return lambda: gatekeeper.open_to_all or gatekeeper.sessions.find(cookie) is not None


sign_in = private("sign_in", __name__)


@sign_in.get(SIGN_IN)
async def sign_in_page() -> Response:
    """Asks for user name and password."""
    return _asked(EMPTY)


@sign_in.post(SIGN_IN)
async def begin() -> Response:
    """Begin a session in place of the one that this browser may have, and go on to where the organiser wanted to."""
    form = await request.form
    user, password = form.get("user", ""), form.get("password", "")
    try:
        verified = await parts().gatekeeper.verify_password(user, password, address())
    except TooManyAttempts as attempts:
        remark("too_many_attempts")
        wait = counted(attempts.retry_after_s, "second", "seconds")
        answer = _asked(Form({"user": user}, problem=f"Too many attempts. Please try again in {wait}."), 429)
        answer.headers["Retry-After"] = str(attempts.retry_after_s)
        return answer
    if not verified:
        remark("wrong_password")
        return _asked(Form({"user": user}, problem=WRONG_PASSWORD), 422)
    remark("signed_in")
    sessions = parts().gatekeeper.sessions
    if before := sessions.find(SESSION_COOKIE.found_in(request.cookies, secure=is_secure())):
        sessions.end(before)
    answer = see_other(_local(form.get("next", "")))
    _set_session(answer, sessions.begun())
    return answer


@sign_in.post("/ui/sign-out")
async def sign_out() -> Response:
    """End the session."""
    answer = see_other("/ui")
    session: Session | None = g.pop("session", None)
    if session is not None:
        parts().gatekeeper.sessions.end(session)
        remark("signed_out")
        answer.set_cookie(**SESSION_COOKIE.removal(secure=is_secure()))
    return answer


def _asked(form: Form, status: int = 200) -> Response:
    wanted = _local(request.args.get("next", ""))
    return rendering.page("organise/sign_in.html", status=status, form=form, next=wanted)


def _local(wanted: str) -> str:
    """The path of a page to go on to; the panel's where what a request says could lead anywhere else."""
    return wanted if LOCAL_PAGE.fullmatch(wanted) else PANEL


def _set_session(answer: Response, value: str) -> None:
    answer.set_cookie(**SESSION_COOKIE.setting(value, secure=is_secure()))
