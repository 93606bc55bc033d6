"""Who is asking, for a route: the organiser, or an answer that says what is missing."""

from typing import Final, NamedTuple

from quart import request

from webapp.web.auth import UNREADABLE, WRONG_PASSWORD, WRONG_TOKEN, Nobody, Organiser
from webapp.web.cookies import SESSION_COOKIE
from webapp.web.parts import parts
from webapp.web.remarks import Remark, remark

WHY_NOT: Final[dict[Nobody, Remark]] = {
    UNREADABLE: "unreadable_authorization",
    WRONG_PASSWORD: "wrong_password",
    WRONG_TOKEN: "wrong_token",
}
"""What the log says of who is taken for nobody; of all others, that they are `not_authenticated`."""


class NotAuthenticated(Exception):
    """Only the organiser may do this: a sentence, and the values of `WWW-Authenticate`."""

    def __init__(self, nobody: Nobody) -> None:
        super().__init__(nobody.reason)
        self.challenges = nobody.challenges


async def require_organiser() -> Organiser:
    """The organiser, by password or token in the request's `Authorization`.

    Raises NotAuthenticated, TooManyAttempts.
    """
    asking = await parts().gatekeeper.who_is_asking(request.headers.get("Authorization"), address())
    if isinstance(asking, Nobody):
        remark(WHY_NOT.get(asking, "not_authenticated"))
        raise NotAuthenticated(asking)
    if asking.by != "nothing":
        remark("by_token" if asking.by == "token" else "by_password")
    return asking


async def require_password() -> Organiser:
    """The organiser, by password: a token must not make another token, or it would never end.

    Raises NotAuthenticated, TooManyAttempts.
    """
    organiser = await require_organiser()
    if organiser.by == "token":
        raise NotAuthenticated(Nobody("A token is given for the user name and password only."))
    return organiser


async def is_organiser() -> bool:
    """Whether the organiser asks, by a session of the panel, or by password or token. Raises TooManyAttempts."""
    gatekeeper = parts().gatekeeper
    if gatekeeper.sessions.find(SESSION_COOKIE.found_in(request.cookies, secure=is_secure())):
        return True
    return isinstance(await gatekeeper.who_is_asking(request.headers.get("Authorization"), address()), Organiser)


async def organiser_or_anyone() -> Organiser | None:
    """The organiser; None where the request claims to be nobody in particular.

    Raises NotAuthenticated where a claim is wrong, TooManyAttempts.
    """
    if parts().gatekeeper.open_to_all or "Authorization" in request.headers:
        return await require_organiser()
    return None


class OrderKey(NamedTuple):
    """What somebody shows as the key to an order, right or wrong."""

    text: str


async def organiser_or_order_key() -> Organiser | OrderKey:
    """The organiser, or a key that somebody shows and that has yet to be tried.

    Raises NotAuthenticated where the request has neither, or claims wrongly to be the organiser's; TooManyAttempts.
    """
    if organiser := await organiser_or_anyone():
        return organiser
    if (key := request.headers.get("Order-Key")) is not None:
        return OrderKey(key)
    remark("not_authenticated")
    raise NotAuthenticated(Nobody("Send the order's key in the header Order-Key, or sign in as the organiser."))


def address() -> str:
    """The sender's address; a trusted proxy's word for it where one is set."""
    return request.remote_addr or ""


def is_secure() -> bool:
    """Whether browsers reach this server by https, as far as the request or PUBLIC_URL tells."""
    return request.is_secure or parts().settings.is_https
