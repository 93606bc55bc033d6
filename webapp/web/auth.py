"""Who is asking: tells the organiser from everybody else. Knows headers' values, but no request and no response."""

import asyncio
import base64
import hashlib
import hmac
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from webapp.settings import Settings
from webapp.web.calendars import CalendarUids
from webapp.web.cookies import GuestMemories, Sessions
from webapp.web.limiter import BoundedTable, Clock, Limiter, TooManyAttempts, network
from webapp.web.order_keys import OrderKeys
from webapp.web.passwords import Credentials, PasswordFile
from webapp.web.secrets import Secrets
from webapp.web.ticket_codes import TicketCodes
from webapp.web.tokens import Tokens

HASHING_THREADS: Final = 2
HASHING_QUEUE_MAX: Final = 32  # some 3 s of hashing
VERIFIED_S: Final = 60.0
VERIFIED_MAX: Final = 1_000
KNOWN_MAX: Final = 1_000
HEADER_LENGTH_MAX: Final = 8_192

# What the organiser mistypes, a person does within these; guesses get no further than 30 in a minute.
ADDRESS_BURST: Final = 10
ADDRESS_EVERY_S: Final = 6.0
ACCOUNT_BURST: Final = 30
ACCOUNT_EVERY_S: Final = 2.0

BASIC_CHALLENGE: Final = 'Basic realm="Fairlist", charset="UTF-8"'
BEARER_CHALLENGE: Final = 'Bearer realm="Fairlist"'


@dataclass(frozen=True, slots=True)
class Organiser:
    """The organiser, and by what known: `nothing` where authentication is switched off."""

    user: str
    by: Literal["password", "token", "nothing"]


@dataclass(frozen=True, slots=True)
class Nobody:
    """Anybody else: why, in a sentence, and the values of `WWW-Authenticate` for a 401 (RFC 9110, 6750, 7617)."""

    reason: str
    challenges: tuple[str, str] = (BASIC_CHALLENGE, BEARER_CHALLENGE)


UNNAMED: Final = Nobody("Sign in first: this needs the organiser's user name and password, or a token.")
UNREADABLE: Final = Nobody("The Authorization header is neither Basic nor Bearer, or is damaged.")
WRONG_PASSWORD: Final = Nobody("The user name or the password is wrong.")
WRONG_TOKEN: Final = Nobody(
    "The token is not valid, or no longer: POST /auth/token gives a new one.",
    (BASIC_CHALLENGE, f'{BEARER_CHALLENGE}, error="invalid_token"'),
)


class Gatekeeper:
    """Verifies passwords and tokens: slowly for who guesses, quickly for who is known, and never locks anybody out.

    Next to its own judgement it has the `tokens`, the `sessions`, the guests' `memories`, their `order_keys` and
    `ticket_codes`, and the events' `calendar_uids`. `credentials` gives those of the moment; `clock` gives seconds
    since 1970, UTC, and `timer` seconds that never run backwards. With `open_to_all`, everybody is the organiser. Used
    from one event loop; `close` it at the end.
    """

    def __init__(
        self,
        credentials: Callable[[], Credentials],
        secrets: Secrets,
        *,
        token_exp_s: int,
        open_to_all: bool = False,
        clock: Clock = time.time,
        timer: Clock = time.monotonic,
    ) -> None:
        self.tokens = Tokens(secrets.jwt, credentials, token_exp_s=token_exp_s, clock=clock)
        self.sessions = Sessions(secrets.session, credentials, clock=clock)
        self.memories = GuestMemories(secrets.guest_cookie, clock=clock)
        self.order_keys = OrderKeys(secrets.manage_link)
        self.ticket_codes = TicketCodes(secrets.ticket_code)
        self.calendar_uids = CalendarUids(secrets.calendar_uid)
        self.open_to_all = open_to_all
        self._credentials = credentials
        self._cache_key = secrets.basic_cache
        self._timer = timer
        self._by_address = Limiter(burst=ADDRESS_BURST, every_s=ADDRESS_EVERY_S, clock=timer)
        self._by_account = Limiter(burst=ACCOUNT_BURST, every_s=ACCOUNT_EVERY_S, clock=timer)
        self._verified_until: BoundedTable[bytes, float] = BoundedTable(VERIFIED_MAX)
        self._known: BoundedTable[tuple[str, str], None] = BoundedTable(KNOWN_MAX)
        self._running: dict[bytes, asyncio.Task[bool]] = {}
        self._threads = ThreadPoolExecutor(HASHING_THREADS, thread_name_prefix="password")

    @classmethod
    def open(cls, settings: Settings, data_dir: Path) -> tuple["Gatekeeper", str | None]:
        """The gatekeeper of a data folder, and the organiser's password if it was generated just now.

        Without authentication there is no password: none is asked for, and none would be right.

        Raises SecretUnusable, PasswordUnusable; OSError where the folder cannot be written.
        """
        secrets = Secrets.load_or_create(data_dir, settings.auth_secret)
        if not settings.authentication:
            nobody = Credentials(settings.admin_user, password_hash="")
            return cls(lambda: nobody, secrets, token_exp_s=settings.token_exp_s, open_to_all=True), None
        file, generated = PasswordFile.load_or_create(data_dir, settings.admin_user, settings.admin_pass)
        return cls(file.credentials, secrets, token_exp_s=settings.token_exp_s), generated

    async def who_is_asking(self, authorization: str | None, address: str) -> Organiser | Nobody:
        """The organiser, or nobody, by the value of an `Authorization` header and the sender's address.

        Raises TooManyAttempts.
        """
        if (known := self.known_at_once(authorization)) is not None:
            return known
        scheme, rest = _scheme_and_rest(authorization or "")
        if scheme == "basic" and (pair := _user_and_password(rest)):
            user = self._credentials().user
            return Organiser(user, "password") if await self.verify_password(*pair, address) else WRONG_PASSWORD
        return UNREADABLE

    def known_at_once(self, authorization: str | None) -> Organiser | Nobody | None:
        """The same, where no password has to be looked at; None where one has, or the value makes no sense."""
        if self.open_to_all:
            return Organiser(self._credentials().user, "nothing")
        if not authorization:
            return UNNAMED
        scheme, rest = _scheme_and_rest(authorization)
        if scheme == "bearer":
            return Organiser(self._credentials().user, "token") if self.tokens.is_valid(rest) else WRONG_TOKEN
        return None

    async def verify_password(self, user: str, password: str, address: str) -> bool:
        """Whether these are the organiser's. Requests that ask the same at the same time share one hashing.

        Raises TooManyAttempts before anything is hashed.
        """
        attempt = _Attempt(self._credentials(), user, password, network(address))
        key = attempt.digest(self._cache_key)
        if key not in self._running:
            self._take_tokens(attempt)
            # Looked at only now: who is out of tokens must not go on guessing by what is answered from here.
            if self._verified_until.get(key, 0.0) > self._timer():
                self._welcome(attempt)
                return True
            self._refuse_where_too_many_wait(attempt)
            self._running[key] = asyncio.create_task(self._verify(attempt, key))
        # One client that goes away must not take the answer from the others.
        return await asyncio.shield(self._running[key])

    def close(self) -> None:
        """Lets the threads go; what still waits for them is cancelled."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _verify(self, attempt: "_Attempt", key: bytes) -> bool:
        try:
            verified = await asyncio.get_running_loop().run_in_executor(self._threads, attempt.is_right)
        finally:
            del self._running[key]
        if verified:
            self._verified_until[key] = self._timer() + VERIFIED_S
            self._welcome(attempt)
        return verified

    def _take_tokens(self, attempt: "_Attempt") -> None:
        self._by_address.take(attempt.address)
        if attempt.origin in self._known:
            return  # so that guesses from elsewhere cannot keep the organiser out
        try:
            self._by_account.take(attempt.account)
        except TooManyAttempts:
            self._by_address.give_back(attempt.address)
            raise

    def _give_tokens_back(self, attempt: "_Attempt") -> None:
        self._by_address.give_back(attempt.address)
        if attempt.origin not in self._known:
            self._by_account.give_back(attempt.account)

    def _refuse_where_too_many_wait(self, attempt: "_Attempt") -> None:
        if len(self._running) >= HASHING_QUEUE_MAX and attempt.origin not in self._known:
            self._give_tokens_back(attempt)
            raise TooManyAttempts(1)

    def _welcome(self, attempt: "_Attempt") -> None:
        self._give_tokens_back(attempt)
        self._known[attempt.origin] = None


@dataclass(frozen=True, slots=True)
class _Attempt:
    """Somebody's claim to be the organiser, against the credentials of its moment."""

    credentials: Credentials
    user: str
    password: str
    address: str

    def is_right(self) -> bool:
        return self.credentials.match(self.user, self.password)

    @property
    def account(self) -> bytes:
        """The user name in 16 bytes, however long it is."""
        return hashlib.blake2b(_encoded(self.user), digest_size=16).digest()

    @property
    def origin(self) -> tuple[str, str]:
        """Where who signs in is known from, so long as the credentials last."""
        return self.credentials.fingerprint, self.address

    def digest(self, key: bytes) -> bytes:
        """What the attempt is remembered by, which tells nothing of the password without the key."""
        parts = (_encoded(self.credentials.fingerprint), _encoded(self.user), _encoded(self.password))
        return hmac.digest(key, b"".join(len(part).to_bytes(4) + part for part in parts), "sha256")


def _scheme_and_rest(authorization: str) -> tuple[str, str]:
    """The scheme in lower case, and what follows it; neither where the value is too long to be looked at."""
    if len(authorization) > HEADER_LENGTH_MAX:
        return "", ""
    scheme, _, rest = authorization.partition(" ")
    return scheme.lower(), rest.strip()


def _user_and_password(encoded: str) -> tuple[str, str] | None:
    """What Basic authentication carries (RFC 7617); None where it carries rubbish."""
    try:
        user, colon, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except ValueError:
        return None
    return (user, password) if colon else None


def _encoded(text: str) -> bytes:
    return text.encode(errors="surrogatepass")
