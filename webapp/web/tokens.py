"""The organiser's JSON Web Tokens (RFC 7519): issued and checked. Knows no header and no password."""

import secrets
import time
from collections.abc import Callable
from typing import Any, Final

import jwt

from webapp.web.limiter import CLOCK_SET_BACK_S, Clock
from webapp.web.passwords import Credentials

ALGORITHM: Final = "HS256"
ISSUER: Final = "fairlist"
AUDIENCE: Final = "fairlist"
REQUIRED: Final = ["exp", "iat", "sub", "iss", "aud", "jti", "credentials"]
TOKEN_LENGTH_MAX: Final = 4_096


class Tokens:
    """Issues tokens to the organiser, and tells them from everything else.

    `credentials` gives those of the moment: every token is bound to their fingerprint, and ends when they change.
    `clock` gives seconds since 1970, UTC.
    """

    def __init__(
        self, key: bytes, credentials: Callable[[], Credentials], *, token_exp_s: int, clock: Clock = time.time
    ) -> None:
        self._key = key
        self._credentials = credentials
        self._token_exp_s = token_exp_s
        self._clock = clock
        # The times are compared here, by the clock that made them. Everything else is PyJWT's.
        self._jwt = jwt.PyJWT(
            {
                "require": REQUIRED,
                "verify_exp": False,
                "verify_iat": False,
                "verify_nbf": False,
                "enforce_minimum_key_length": True,
            }
        )

    def issue(self) -> str:
        """A new token for the organiser."""
        credentials, now = self._credentials(), int(self._clock())
        claims = {
            "sub": credentials.user,
            "iss": ISSUER,
            "aud": AUDIENCE,
            "iat": now,
            "exp": now + self._token_exp_s,
            "jti": secrets.token_urlsafe(16),
            "credentials": credentials.fingerprint,
        }
        return self._jwt.encode(claims, self._key, ALGORITHM)

    def is_valid(self, token: str) -> bool:
        """Whether the token was issued here, to who is the organiser now, and has not expired. Raises nothing.

        Nor may it be of a time that is yet to come, or it would last for as long as a clock was wrong.
        """
        credentials = self._credentials()
        claims = self._claims(token, credentials.user)
        return (
            claims.get("credentials") == credentials.fingerprint
            and isinstance(claims["exp"], int)
            and isinstance(claims["iat"], int)
            and claims["iat"] - CLOCK_SET_BACK_S <= self._clock() < claims["exp"]
        )

    def _claims(self, token: str, user: str) -> dict[str, Any]:
        """What the token says, if it is one of this server's for this user, of whatever time; else nothing."""
        if len(token) > TOKEN_LENGTH_MAX:
            return {}
        try:
            return self._jwt.decode(token, self._key, [ALGORITHM], audience=AUDIENCE, issuer=ISSUER, subject=user)
        except (jwt.InvalidTokenError, ValueError):  # the latter: text that is not UTF-8
            return {}
