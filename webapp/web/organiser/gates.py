"""The gate at which somebody lets guests in: typed once, and remembered by the browser for the evening."""

import base64
from collections.abc import Mapping
from typing import Final

from quart import Response, request

from webapp.web import parsing
from webapp.web.asking import is_secure
from webapp.web.cookies import SESSION_S, Cookie
from webapp.web.fields import GATE
from webapp.web.parsing import Fault

GATE_COOKIE: Final = Cookie("fairlist-gate", SESSION_S)


def gate_typed(form: Mapping[str, str]) -> str | None:
    """The gate that a form names; None where it names none. Raises InvalidInput, whose problem points at `/gate`."""
    (gate,) = parsing.parse_form((GATE,), {"gate": "", **form})
    return gate


def gate_remembered() -> str:
    """What this browser's last check-in has named; empty where it named none."""
    value = GATE_COOKIE.found_in(request.cookies, secure=is_secure())
    try:
        return GATE.parse(base64.urlsafe_b64decode(value).decode()) or ""
    except (ValueError, Fault):
        return ""


def remember_gate(answer: Response, gate: str | None) -> Response:
    """The answer, which has the browser keep the gate for the next guest."""
    value = base64.urlsafe_b64encode((gate or "").encode()).decode()
    answer.set_cookie(**GATE_COOKIE.setting(value, secure=is_secure()))
    return answer
