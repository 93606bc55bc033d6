"""What has just been done, told to the organiser on the next page.

It travels in a cookie, since a name must not stand in an address; not signed, because it is only shown, as text, to
whoever's browser kept it.
"""

import base64
from typing import Final

from quart import Response, request

from webapp.booking.answers import Placement
from webapp.web.asking import is_secure
from webapp.web.cookies import Cookie
from webapp.web.rendering import ordinal, see_other

NOTICE_COOKIE: Final = Cookie("fairlist-notice", 60)


def done(path: str, notice: str) -> Response:
    """On to a page, which tells what has been done."""
    answer = see_other(path)
    value = base64.urlsafe_b64encode(notice.encode()).decode()
    answer.set_cookie(**NOTICE_COOKIE.setting(value, secure=is_secure()))
    return answer


def notice() -> str:
    """What the page before has done; empty where that was nothing."""
    value = NOTICE_COOKIE.found_in(request.cookies, secure=is_secure())
    try:
        return base64.urlsafe_b64decode(value).decode()
    except ValueError:
        return ""


def told(answer: Response) -> Response:
    """The page that told it: the next one does not tell it again."""
    if notice():
        answer.set_cookie(**NOTICE_COOKIE.removal(secure=is_secure()))
    return answer


def placed(guest: str, placement: Placement) -> str:
    """What booking for a guest has led to, in a sentence."""
    already = "" if placement.is_new else " already; nothing changed"
    if placement.position is None:
        return f"{isolated(guest)} has a ticket{already}."
    return f"{isolated(guest)} is {ordinal(placement.position)} on the waiting list{already}."


def isolated(name: str) -> str:
    """A name that cannot turn the direction of the sentence around it (Unicode's FSI and PDI)."""
    return f"\u2068{name}\u2069"
