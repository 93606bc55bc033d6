"""What the log's line of a request says beside the route, where security is concerned: what happened, and from where.

Of other requests no address is kept.
"""

from collections.abc import Mapping
from typing import Literal, cast

from quart import request

from webapp.web.guard import REMARK, Scope
from webapp.web.limiter import ADDRESS_LENGTH_MAX

Remark = Literal[
    "by_password", "by_session", "by_token", "cross_origin", "not_authenticated", "session_over", "signed_in",
    "signed_out", "token_issued", "too_many_attempts", "unreadable_authorization", "wrong_key", "wrong_password",
    "wrong_token",
]  # fmt: skip
"""Who was the organiser and how that is known; what came of signing in; and why somebody was turned away."""


def remark(word: Remark) -> None:
    """Have the log say of the current request what it meant, and who sent it. The last word on a request stands."""
    cast(Scope, request.scope)[REMARK] = remarked(word, request.remote_addr or "")


def remarked(word: Remark, address: str) -> Mapping[str, str]:
    """What the log says of a request from an address."""
    return {"security": word, "address": address[:ADDRESS_LENGTH_MAX]}
