"""How often one address may book, or ask where a guest stands; every answer to who is limited says what is left.

The header fields are those of draft 11 of https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/.
"""

import math
from typing import cast

from quart import request

from webapp.web.asking import address, is_organiser
from webapp.web.guard import RATE_LIMIT, Fields, Scope
from webapp.web.limiter import ADDRESS_LENGTH_MAX, MINUTE_S, Left, TooManyAttempts
from webapp.web.parts import parts


async def count_against_limit() -> None:
    """Count the request among its sender's bookings, however it goes on. Over the limit, only the organiser may.

    To have an address forgotten takes a booking from each of 10,000 others, which buys 300 by default.

    Raises TooManyAttempts.
    """
    scope = cast(Scope, request.scope)
    limit = parts().booking_limit
    try:
        left = limit.take(address()[:ADDRESS_LENGTH_MAX])
    except TooManyAttempts as attempts:
        scope[RATE_LIMIT] = limit_fields(limit.per_minute, Left(0, attempts.retry_after_s))
        # Looked at only now, so that a booking does not cost the check of a password or a token.
        if not await is_organiser():
            raise
        del scope[RATE_LIMIT]
    else:
        scope[RATE_LIMIT] = limit_fields(limit.per_minute, left)


def limit_fields(per_minute: int, left: Left | None) -> Fields:
    """The policy; and how many bookings are left, with the whole seconds until there are more. None: no limit."""
    if left is None:
        return ()
    return (
        (b"ratelimit-policy", b'"booking";q=%d;w=%d' % (per_minute, MINUTE_S)),
        (b"ratelimit", b'"booking";r=%d;t=%d' % (left.tokens, max(1, math.ceil(left.more_in_s)))),
    )
