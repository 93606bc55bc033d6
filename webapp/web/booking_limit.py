"""How often one address may book, or ask where a guest stands; every answer to who is limited says what is left.

The header fields are those of draft 11 of https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/.
"""

import math
from functools import lru_cache
from typing import Final, cast

from quart import current_app, request

from webapp.web.asking import address, is_organiser
from webapp.web.guard import RATE_LIMIT, Scope
from webapp.web.limiter import ADDRESS_LENGTH_MAX, Limiter, TooManyAttempts, is_loopback, network
from webapp.web.parts import parts

WINDOW_S: Final = 60
SENDERS_KEPT: Final = 1_024
EXTENSION: Final = "fairlist.booking_limit"


async def count_against_limit() -> None:
    """Count the request among its sender's bookings, however it goes on. Over the limit, only the organiser may.

    Raises TooManyAttempts.
    """
    sender = _limited_sender(address()[:ADDRESS_LENGTH_MAX])
    if sender is None:
        return
    per_minute = parts().settings.bookings_per_minute
    if per_minute:
        await _count(sender, per_minute)


async def _count(sender: str, per_minute: int) -> None:
    scope = cast(Scope, request.scope)
    try:
        left = _limiter(per_minute).take(sender)
    except TooManyAttempts as attempts:
        scope[RATE_LIMIT] = _fields(per_minute, 0, attempts.retry_after_s)
        # Looked at only now, so that a booking does not cost the check of a password or a token.
        if not await is_organiser():
            raise
        del scope[RATE_LIMIT]
    else:
        scope[RATE_LIMIT] = _fields(per_minute, left.tokens, left.more_in_s)


def _limiter(per_minute: int) -> Limiter:
    """The limiter of the app that serves the current request, made at its first booking from elsewhere.

    To have an address forgotten by it takes a booking from each of 10,000 others, which buys 300 by default.
    """
    found = current_app.extensions.get(EXTENSION)
    if not isinstance(found, Limiter):
        found = current_app.extensions[EXTENSION] = Limiter(burst=per_minute, every_s=WINDOW_S / per_minute)
    return found


def _fields(per_minute: int, left: int, more_in_s: float) -> tuple[tuple[bytes, bytes], ...]:
    """The policy; and how many bookings are left, with the whole seconds until there are more."""
    return (
        (b"ratelimit-policy", b'"booking";q=%d;w=%d' % (per_minute, WINDOW_S)),
        (b"ratelimit", b'"booking";r=%d;t=%d' % (left, max(1, math.ceil(more_in_s)))),
    )


@lru_cache(SENDERS_KEPT)
def _limited_sender(address: str) -> str | None:
    """What an address counts as; None for this machine's, which is the owner's, or a proxy's that is not named."""
    return None if is_loopback(address) else network(address)
