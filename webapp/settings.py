"""What a server can be told from outside: read once from the environment, checked whole, then frozen.

Touches no database and makes no folder. One table describes every setting, for this module and for the README.
"""

import ipaddress
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Generic, Literal, TypeVar, cast, get_args

from dotenv import dotenv_values

from webapp.weak_passwords import weakness

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
AppEnv = Literal["production", "demo", "test"]
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

USER_LENGTH_MAX: Final = 255
PASSWORD_LENGTH_MAX: Final = 1_024
DEMO_PASSWORD: Final = "password"  # noqa: S105 -- well known, so it guards sample events alone

_SECRET_BYTES_MIN: Final = 32
_FILE_BYTES_MAX: Final = 65_536
_TOKEN_EXP_MAX_S: Final = 365 * 86_400
_UNIT_S: Final = {"": 1, "s": 1, "m": 60, "h": 3_600, "d": 86_400}
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_HOST_NAME: Final = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9-]+)*\.?")

_ORIGIN: Final = re.compile(
    r"(?P<origin>(?P<scheme>https?)://([a-z0-9._-]+|\[[0-9a-f:.]+\]))(:0*(?P<port>[0-9]{1,5}))?/?", re.ASCII
)
_DEFAULT_PORT: Final = {"http": "80", "https": "443"}


class SettingsInvalid(Exception):
    """Every mistake in the settings: `mistakes` holds a sentence for each, none of which shows a secret."""

    def __init__(self, mistakes: list[str]) -> None:
        super().__init__("\n".join(mistakes))
        self.mistakes = mistakes


class _Mistake(ValueError):
    """What is wrong with one value and what would be right, to be read after the setting's name."""


@dataclass(frozen=True, slots=True)
class Setting(Generic[T_co]):
    """One setting: `default` is read where nothing is set, `otherwise` says what happens where that is empty."""

    name: str
    default: str
    meaning: str
    parse: Callable[[str], T_co]
    otherwise: str = ""
    secret: bool = False


def _host(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        if _HOST_NAME.fullmatch(text) and not re.fullmatch(r"[0-9.]+", text):
            return text
    raise _Mistake("must be an address or a host name without port, such as 127.0.0.1, 0.0.0.0, :: or localhost")


def _whole_number(at_least: int, at_most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if re.fullmatch(r"[0-9]{1,12}", text) and at_least <= int(text) <= at_most:
            return int(text)
        raise _Mistake(f"must be a whole number from {at_least} to {at_most}")

    return parse


def _switch(text: str) -> bool:
    if text in {"on", "off"}:
        return text == "on"
    raise _Mistake("must be on or off")


def _app_env(text: str) -> AppEnv:
    if text in get_args(AppEnv):
        return cast(AppEnv, text)
    raise _Mistake("must be production, demo or test")


def _sqlite_file(url: str) -> Path | None:
    """The file that a `sqlite:///` URL names. No message repeats the URL, since other databases' hold passwords."""
    if not url:
        return None
    path = url.removeprefix("sqlite:///")
    if path == url:
        raise _Mistake("must begin with sqlite:///, because SQLite is the one database that Fairlist can use")
    if path in {"", ":memory:"}:
        raise _Mistake("must name a file, such as sqlite:///data/fairlist.db. Without one, use APP_ENV=test")
    if path.endswith("/") or "?" in path or _CONTROL.search(path):
        raise _Mistake("must name a file and nothing else: sqlite:///below/here.db or sqlite:////from/the/root.db")
    return Path(path)


def _admin_user(text: str) -> str:
    if ":" in text or _CONTROL.search(text):
        raise _Mistake("must have neither a colon nor control characters, which Basic authentication cannot carry")
    return _bounded(text, USER_LENGTH_MAX)


def _admin_pass(text: str) -> str | None:
    if _CONTROL.search(text):
        raise _Mistake("must have no control characters, which Basic authentication cannot carry")
    return _bounded(text, PASSWORD_LENGTH_MAX) or None


def _bounded(text: str, length_max: int) -> str:
    if len(text) > length_max:
        raise _Mistake(f"must have at most {length_max} characters, and has {len(text)}")
    return text


def _auth_secret(text: str) -> bytes | None:
    secret = text.encode()
    if 0 < len(secret) < _SECRET_BYTES_MIN:
        raise _Mistake(
            f"must have at least {_SECRET_BYTES_MIN} bytes, and has {len(secret)}. "
            "`openssl rand -base64 32` makes a good one; without the setting, one is generated and kept"
        )
    return secret or None


def _duration_s(text: str) -> int:
    match = re.fullmatch(r"([0-9]{1,9})([smhd]?)", text)
    seconds = int(match[1]) * _UNIT_S[match[2]] if match else 0
    if not 0 < seconds <= _TOKEN_EXP_MAX_S:
        raise _Mistake("must be a time such as 30s, 15m, 1h, 7d, or seconds such as 3600; at least 1s, at most 365d")
    return seconds


def _networks(text: str) -> tuple[Network, ...]:
    return tuple(_network(item.strip()) for item in text.split(",") if item.strip())


def _network(text: str) -> Network:
    try:
        return ipaddress.ip_network(text)
    except ValueError as problem:
        raise _Mistake(
            f"must be addresses or networks with commas between, such as 127.0.0.1, 10.0.0.0/8, fd00::/8: {problem}"
        ) from None


def _origin(text: str) -> str | None:
    if not text:
        return None
    match = _ORIGIN.fullmatch(text.lower())
    if match is None or int(match["port"] or 1) not in range(1, 65_536):
        raise _Mistake("must be an origin without path, such as https://tickets.example.org")
    port_is_said_by_scheme = match["port"] in {None, _DEFAULT_PORT[match["scheme"]]}
    return match["origin"] if port_is_said_by_scheme else f"{match['origin']}:{match['port']}"


HOST: Final = Setting("HOST", "127.0.0.1", "Address to listen on; `0.0.0.0` or `::` for every one", _host)
PORT: Final = Setting("PORT", "3000", "Port to listen on; `0` for any that is free", _whole_number(0, 65_535))
DATA_DIR: Final = Setting("DATA_DIR", "data", "Folder of the database, the secret and the password", Path)
DATABASE_URL: Final = Setting(
    "DATABASE_URL",
    "",
    "Database: `sqlite:///below/here.db` or `sqlite:////from/the/root.db`",
    _sqlite_file,
    otherwise="`sqlite:///<DATA_DIR>/fairlist.db`",
)
ADMIN_USER: Final = Setting("ADMIN_USER", "admin", "The organiser's user name", _admin_user)
ADMIN_PASS: Final = Setting(
    "ADMIN_PASS", "", "The organiser's password", _admin_pass, otherwise="generated, printed once", secret=True
)
AUTH_SECRET: Final = Setting(
    "AUTH_SECRET",
    "",
    "What tokens, sessions and guests’ cookies are signed with; at least 32 bytes",
    _auth_secret,
    otherwise="generated, kept in `DATA_DIR`",
    secret=True,
)
TOKEN_EXP: Final = Setting(
    "TOKEN_EXP", "1h", "How long a token lasts: `30s`, `15m`, `1h`, `7d`, or seconds", _duration_s
)
APP_ENV: Final = Setting(
    "APP_ENV",
    "production",
    "`production`; `demo`: sample events, sign in with `admin` / `password`; `test`: no sign-in. "
    "The last two use a private, temporary database",
    _app_env,
)
TRUSTED_PROXIES: Final = Setting(
    "TRUSTED_PROXIES",
    "",
    "Addresses or networks whose `X-Forwarded-*` headers are believed, with commas between",
    _networks,
    otherwise="none",
)
PUBLIC_URL: Final = Setting(
    "PUBLIC_URL",
    "",
    "Where people reach the server, if not where it listens: `https://tickets.example.org`",
    _origin,
    otherwise="what the request says",
)
PENDING_MAX: Final = Setting(
    "PENDING_MAX", "10000", "Commands that may wait to be settled; above it, 503", _whole_number(1, 1_000_000)
)
STREAMS_MAX: Final = Setting("STREAMS_MAX", "2000", "Live streams that may be open", _whole_number(1, 100_000))
STREAMS_PER_ADDRESS: Final = Setting(
    "STREAMS_PER_ADDRESS", "50", "Live streams that one address may have open", _whole_number(1, 100_000)
)
BOOKINGS_PER_MINUTE: Final = Setting(
    "BOOKINGS_PER_MINUTE",
    "300",
    "Bookings, and questions for a guest’s place, that one address (of IPv6, a /64) may send in a minute, also all at "
    "once; `0`: any number. Not limited: the organiser, and loopback addresses, because programs on this machine are "
    "the owner’s, and a proxy on it that `TRUSTED_PROXIES` leaves out would make one of all guests",
    _whole_number(0, 1_000_000),
)
DESK_IDLE_S: Final = Setting(
    "DESK_IDLE_S",
    "600",
    "Seconds after which an event that nobody asks for leaves memory",
    _whole_number(1, 31_536_000),
)
ERASE_AFTER_DAYS: Final = Setting(
    "ERASE_AFTER_DAYS",
    "0",
    "Days after an event when its guests’ names and e-mail addresses are erased; `0` for never",
    _whole_number(0, 36_500),
)
DIRECT_LANE: Final = Setting(
    "DIRECT_LANE",
    "on",
    "Whether simple bookings, cancellations and questions of programs go round the web framework; `off` changes speed "
    "alone",
    _switch,
)

SETTINGS: Final[tuple[Setting[object], ...]] = (
    HOST, PORT, PUBLIC_URL, TRUSTED_PROXIES, DATA_DIR, DATABASE_URL, ADMIN_USER, ADMIN_PASS, AUTH_SECRET, TOKEN_EXP,
    APP_ENV, PENDING_MAX, STREAMS_MAX, STREAMS_PER_ADDRESS, BOOKINGS_PER_MINUTE, DESK_IDLE_S,
    ERASE_AFTER_DAYS, DIRECT_LANE,
)  # fmt: skip

# What would be passed over in silence where data is private and temporary, though somebody relies on it.
_PRODUCTION_ONLY: Final[tuple[Setting[object], ...]] = (DATABASE_URL, ADMIN_PASS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Every setting, valid. `data_dir` and `database` are None where both must be private and temporary."""

    host: str
    port: int
    public_url: str | None
    trusted_proxies: tuple[Network, ...]
    data_dir: Path | None
    database: Path | None
    admin_user: str
    admin_pass: str | None = field(repr=False)
    auth_secret: bytes | None = field(repr=False)
    token_exp_s: int
    app_env: AppEnv
    pending_max: int
    streams_max: int
    streams_per_address: int
    bookings_per_minute: int
    desk_idle_s: int
    erase_after_days: int
    direct_lane: bool

    @property
    def authentication(self) -> bool:
        """Whether organisers sign in; in the test mode everybody is one."""
        return self.app_env != "test"

    @property
    def warning(self) -> str | None:
        """Why the password is too easily guessed, in a sentence; None where there is no such fear.

        It is no mistake: whoever has set one for the original goes on with it.
        """
        if self.app_env != "production" or not self.admin_pass:
            return None
        weak = weakness(self.admin_pass, self.admin_user)
        return weak and f"{ADMIN_PASS.name} {weak}."

    @property
    def is_https(self) -> bool:
        """Whether PUBLIC_URL says that people come by https."""
        return self.public_url is not None and self.public_url.startswith("https://")

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> "Settings":
        """The settings in an environment, where empty means not set. Reads the files that `NAME_FILE` names.

        Raises SettingsInvalid with every mistake found.
        """
        reader = _Reader(environ)
        app_env = reader.value(APP_ENV)
        private = app_env != "production"
        data_dir = reader.value(DATA_DIR)
        database = reader.value(DATABASE_URL) or data_dir / "fairlist.db"
        admin_pass = reader.value(ADMIN_PASS)
        settings = cls(
            host=reader.value(HOST),
            port=reader.value(PORT),
            public_url=reader.value(PUBLIC_URL),
            trusted_proxies=reader.value(TRUSTED_PROXIES),
            data_dir=None if private else data_dir,
            database=None if private else database,
            admin_user=reader.value(ADMIN_USER),
            admin_pass=DEMO_PASSWORD if app_env == "demo" else admin_pass,
            auth_secret=reader.value(AUTH_SECRET),
            token_exp_s=reader.value(TOKEN_EXP),
            app_env=app_env,
            pending_max=reader.value(PENDING_MAX),
            streams_max=reader.value(STREAMS_MAX),
            streams_per_address=reader.value(STREAMS_PER_ADDRESS),
            bookings_per_minute=reader.value(BOOKINGS_PER_MINUTE),
            desk_idle_s=reader.value(DESK_IDLE_S),
            erase_after_days=reader.value(ERASE_AFTER_DAYS),
            direct_lane=reader.value(DIRECT_LANE),
        )
        if private:
            reader.refuse(_PRODUCTION_ONLY, f"must not be set with APP_ENV={app_env}, which would not use it")
        if reader.mistakes:
            raise SettingsInvalid(reader.mistakes)
        return settings


class _Reader:
    """Reads one setting after the other and collects the mistakes; a mistaken setting gets its default meanwhile."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.mistakes: list[str] = []

    def value(self, setting: Setting[T]) -> T:
        try:
            return setting.parse(self._text(setting) or setting.default)
        except _Mistake as mistake:
            self.mistakes.append(f"{setting.name} {mistake}.")
            return setting.parse(setting.default)

    def refuse(self, settings: tuple[Setting[object], ...], reason: str) -> None:
        for setting in settings:
            names = (setting.name, f"{setting.name}_FILE") if setting.secret else (setting.name,)
            self.mistakes += [f"{name} {reason}." for name in names if self._environ.get(name)]

    def _text(self, setting: Setting[T]) -> str:
        text = self._environ.get(setting.name, "")
        file = self._environ.get(f"{setting.name}_FILE", "") if setting.secret else ""
        if text and file:
            raise _Mistake(f"and {setting.name}_FILE are both set; one of them must go")
        if file:
            text = _file_text(file)
        if re.search(r"[\ud800-\udfff]", text):
            raise _Mistake("must be UTF-8 text")
        return text


def _file_text(path: str) -> str:
    """The text in a file of a secret, without the line break that editors put at its end."""
    try:
        with Path(path).open("rb") as file:
            content = file.read(_FILE_BYTES_MAX + 1)
        text = content.decode()
    except OSError as problem:
        raise _Mistake(f"cannot be read from {path} ({problem.strerror}); _FILE must name a readable file") from None
    except ValueError:
        raise _Mistake(f"must be UTF-8 text, which {path} is not") from None
    if not text.strip() or len(content) > _FILE_BYTES_MAX:
        raise _Mistake(f"must be in the file {path}, which is {'too long' if text.strip() else 'empty'}")
    return text.removesuffix("\n").removesuffix("\r")


def environment() -> dict[str, str]:
    """The variables of the process, over those of the file `.env` in the working directory.

    Raises SettingsInvalid where there is an `.env` that cannot be read.
    """
    try:
        # Without interpolation, so that a password with a dollar sign stays what was written.
        below = dotenv_values(Path.cwd() / ".env", interpolate=False)
    except (OSError, ValueError) as problem:
        raise SettingsInvalid([f"The file .env cannot be read: {problem}. It must be readable UTF-8 text."]) from None
    return {name: value for name, value in below.items() if value is not None} | dict(os.environ)
