"""What a browser keeps for the server, in signed cookies: the organiser's session, and a guest's own bookings.

Knows no request and no response: values come in and go out as text, with the attributes to set them with.
"""

import base64
import hashlib
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple, TypedDict

from itsdangerous import BadData, TimestampSigner, URLSafeTimedSerializer

from webapp.web.limiter import CLOCK_SET_BACK_S, BoundedTable, Clock
from webapp.web.passwords import Credentials

SESSION_S: Final = 12 * 3_600
SESSION_IDLE_S: Final = 30 * 60
SESSIONS_ENDED_MAX: Final = 10_000
GUEST_S: Final = 180 * 86_400
GUEST_EVENTS_MAX: Final = 20
GUEST_COOKIE_LENGTH_MAX: Final = 3_500  # with name and attributes well under the 4,096 that every browser keeps


class CookieAttributes(TypedDict):
    """The arguments of `response.set_cookie`."""

    key: str
    value: str
    max_age: int
    path: str
    secure: bool
    httponly: bool
    samesite: Literal["Lax"]


@dataclass(frozen=True, slots=True)
class Cookie:
    """A cookie by its plain name, and how long browsers keep it."""

    plain_name: str
    max_age_s: int

    def name(self, secure: bool) -> str:
        """With `__Host-` on https, where no other host or path can then plant one like it (RFC 6265bis, 4.1.3.2)."""
        return f"__Host-{self.plain_name}" if secure else self.plain_name

    def found_in(self, cookies: Mapping[str, str], *, secure: bool) -> str:
        """The cookie's value in a request, empty where there is none."""
        return cookies.get(self.name(secure), "")

    def setting(self, value: str, *, secure: bool) -> CookieAttributes:
        """How to set the cookie; scripts and other sites' requests cannot use it."""
        return {
            "key": self.name(secure),
            "value": value,
            "max_age": self.max_age_s if value else 0,
            "path": "/",
            "secure": secure,
            "httponly": True,
            "samesite": "Lax",
        }

    def removal(self, *, secure: bool) -> CookieAttributes:
        """How to make the browser forget the cookie."""
        return self.setting("", secure=secure)


SESSION_COOKIE: Final = Cookie("fairlist-session", SESSION_S)
GUEST_COOKIE: Final = Cookie("fairlist-guest", GUEST_S)


@dataclass(frozen=True, slots=True)
class Session:
    """The organiser's stay in the panel: a random id, and when it began, in seconds since 1970."""

    id: str
    began_at: int


class Sessions:
    """Begins, finds and ends sessions: 12 hours at most, 30 minutes without a request, one password long.

    The cookie holds no secret: who has it is the organiser because it is signed, with a key of the present credentials.
    """

    def __init__(self, key: bytes, credentials: Callable[[], Credentials], *, clock: Clock = time.time) -> None:
        self._key = key
        self._credentials = credentials
        self._clock = clock
        self._ended: BoundedTable[str, None] = BoundedTable(SESSIONS_ENDED_MAX)

    def begun(self) -> str:
        """The cookie's value for a new session, at a sign-in."""
        return self.prolonged(Session(secrets.token_urlsafe(16), int(self._clock())))

    def prolonged(self, session: Session) -> str:
        """The cookie's value that gives a session another 30 minutes from now."""
        return self._serializer().dumps([session.id, session.began_at])

    def find(self, value: str) -> Session | None:
        """The session that a cookie's value stands for; None where it is over, or never was."""
        loaded = _loaded(self._serializer(), value, self._clock, SESSION_IDLE_S)
        session = Session(*loaded) if loaded else None
        if session and session.id not in self._ended and self._clock() < session.began_at + SESSION_S:
            return session
        return None

    def end(self, session: Session) -> None:
        """Ends a session at a sign-out, copies of its cookie included, so long as this server runs."""
        self._ended[session.id] = None

    def _serializer(self) -> URLSafeTimedSerializer:
        return _serializer(self._key, f"session {self._credentials().fingerprint}", self._clock)


class Booking(NamedTuple):
    """An order that a browser placed, and the userId it is for.

    The event is kept as a digest of its id, so that long ids take no more room than short ones.
    """

    event: str
    user_id: str
    order_id: str


@dataclass(frozen=True, slots=True)
class GuestMemory:
    """What a browser has booked; the latest booking last, and the last 20 only."""

    bookings: tuple[Booking, ...] = ()

    def booking_at(self, event_id: str) -> Booking | None:
        """What this browser last booked at the event."""
        digest = _digest(event_id)
        return next((booking for booking in self.bookings if booking.event == digest), None)

    def remembering(self, event_id: str, user_id: str, order_id: str) -> "GuestMemory":
        """The memory after a booking."""
        others = self.forgetting(event_id).bookings
        return GuestMemory((*others, Booking(_digest(event_id), user_id, order_id))[-GUEST_EVENTS_MAX:])

    def forgetting(self, event_id: str) -> "GuestMemory":
        """The memory without an event."""
        digest = _digest(event_id)
        return GuestMemory(tuple(booking for booking in self.bookings if booking.event != digest))


class GuestMemories:
    """Writes memories into cookies and reads them again, for 180 days after the last booking."""

    def __init__(self, key: bytes, *, clock: Clock = time.time) -> None:
        self._clock = clock
        self._serializer = _serializer(key, "guest's orders", clock)

    def written(self, memory: GuestMemory) -> str:
        """The cookie's value, of at most 3,500 ASCII characters: where ids are long, the oldest bookings go."""
        for oldest in range(len(memory.bookings)):
            value = self._serializer.dumps(memory.bookings[oldest:])
            if len(value) <= GUEST_COOKIE_LENGTH_MAX:
                return value
        return ""

    def read(self, value: str) -> GuestMemory:
        """What a cookie's value says; nothing where it is not from here."""
        return GuestMemory(tuple(Booking(*booking) for booking in self._loaded(value)))

    def _loaded(self, value: str) -> Any:
        return _loaded(self._serializer, value, self._clock, GUEST_S) or ()


class _Signer(TimestampSigner):
    """A signer that takes the time from a clock of its maker's."""

    def __init__(self, *args: Any, clock: Clock, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._clock = clock

    def get_timestamp(self) -> int:
        return int(self._clock())


def _serializer(key: bytes, salt: str, clock: Clock) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(
        key,
        salt=salt,
        signer=_Signer,
        signer_kwargs={"clock": clock, "key_derivation": "hmac", "digest_method": hashlib.sha256},
    )


def _loaded(serializer: URLSafeTimedSerializer, value: str, clock: Clock, max_age_s: int) -> Any:
    """What was signed, if it was signed here and not too long ago; else None. A new shape needs a new salt.

    The library would take no signature from the future, and so end sessions whenever a clock is set back by a second.
    """
    try:
        signed, at = serializer.loads(value, return_timestamp=True)
    except (BadData, ValueError):  # the latter: text that is not UTF-8
        return None
    return signed if -CLOCK_SET_BACK_S <= int(clock()) - at.timestamp() <= max_age_s else None


def _digest(event_id: str) -> str:
    return base64.urlsafe_b64encode(hashlib.blake2b(event_id.encode(), digest_size=9).digest()).decode()
