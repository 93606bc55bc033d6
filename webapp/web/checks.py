"""How single values of the JSON API are checked: each function takes a JSON value, and gives the typed one or a Fault.

A text's length is told in characters, that is Unicode code points. White space at its ends is dropped, and a blank one
is null where null is allowed. Times, which are no texts to a typed client, become microseconds since 1970, UTC.
"""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Final, Literal, TypeVar, cast, get_args
from zoneinfo import available_timezones

from webapp.web.dates import EPOCH
from webapp.web.parsing import Fault, kind_of, must_go

T = TypeVar("T")
RosterStatus = Literal["booked", "waiting", "cancelled", "checked_in"]

_TIME: Final = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]+))?"
    r"(?:[Zz]|([+-])([0-9]{2}):([0-9]{2}))"
)
_TIME_WITHOUT_OFFSET: Final = re.compile(r"[0-9-]{10}[Tt ][0-9:.]+")
_YEAR_10000: Final = 253_402_300_800 * 1_000_000

# https://html.spec.whatwg.org/multipage/input.html#valid-e-mail-address
_LABEL: Final = "[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
EMAIL_PATTERN: Final = rf"[a-zA-Z0-9.!#$%&'*+/=?^_`{{|}}~-]+@{_LABEL}(?:\.{_LABEL})*"

_BIDI_CONTROLS: Final = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}

# What `line` and `paragraphs` let through, for readers who know Unicode's categories by their numbers only.
LINE_PATTERN: Final = r"^[^\u0000-\u001F\u007F-\u009F\u2028-\u202E\u2066-\u2069]*$"
# In a query, U+FFFD cannot be told from what was no UTF-8, and is refused like it.
QUERY_PATTERN: Final = LINE_PATTERN.removesuffix("]*$") + r"\uFFFD]*$"
PARAGRAPHS_PATTERN: Final = LINE_PATTERN.replace(r"\u0000-\u001F", r"\u0000-\u0009\u000B\u000C\u000E-\u001F")

_OWN_TAG: Final = re.compile(r"([0-9]{1,15})-[0-9]{1,15}-[0-9a-f]{12}-[onc]")
_TAGS: Final = re.compile(r'[ \t,]*(?:(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"[ \t]*(?:,[ \t,]*|\Z))+')
_TAG: Final = re.compile(r'"([^"]*)"')
IF_MATCH_PATTERN: Final = r'^(?:\*|(?:W/)?"[!#-~]*"(?: *, *(?:W/)?"[!#-~]*")*)$'


@dataclass(frozen=True, slots=True)
class Revisions:
    """The revisions of an event that an `If-Match` is content with; all of them where `numbers` is None."""

    numbers: frozenset[int] | None

    def __contains__(self, revision: int) -> bool:
        return self.numbers is None or revision in self.numbers


def line(length_max: int) -> Callable[[object], str]:
    """A check for text in one line, which is brought into Unicode's normal form C."""

    def parse(value: object) -> str:
        text = _text(value)
        # Looked at first, because normalising takes time quadratic in a run of combining marks.
        text = unicodedata.normalize("NFC", text) if len(text) <= 4 * length_max else text
        return _seen(text, length_max)

    return parse


def paragraphs(length_max: int) -> Callable[[object], str]:
    """A check for text with line breaks, each of which becomes a line feed."""

    def parse(value: object) -> str:
        return _seen(re.sub(r"\r\n?", "\n", _text(value)), length_max, "\n")

    return parse


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise Fault(f"is {kind_of(value)}")
    return value


def _seen(text: str, length_max: int, allowed: str = "") -> str:
    """The text without white space at its ends; of one that shows nothing, nothing is left.

    Joiners and marks of direction stay, which emoji and several scripts need; what turns the text after it does not.
    """
    if len(text) > length_max:
        raise Fault("is too long")
    if not text.isprintable():
        for character in text:
            category = unicodedata.category(character)
            is_wild = category in {"Cc", "Cs", "Zl", "Zp"} and character not in allowed
            if is_wild or unicodedata.bidirectional(character) in _BIDI_CONTROLS:
                raise must_go(character)
        if all(character.isspace() or unicodedata.category(character) == "Cf" for character in text):
            return ""
    return text.strip()


def or_null(parse: Callable[[object], T]) -> Callable[[object], T | None]:
    """A check that also takes null, and takes a blank text for it."""

    def parse_or_null(value: object) -> T | None:
        return parse(value) or None if value is not None else None

    return parse_or_null


def email(value: object) -> str:
    """An address that browsers let pass, too. Blank stays blank."""
    text = _text(value)
    if len(text) > 254:
        raise Fault("is too long")
    address = text.strip(" ")
    if address and not re.fullmatch(EMAIL_PATTERN, text):
        raise Fault("is no e-mail address")
    return address


def time(value: object) -> int | None:
    """A time as RFC 3339 writes it, or null."""
    if value is None:
        return None
    return _microseconds(_text(value))


def _microseconds(text: str) -> int:
    """Microseconds since 1970, UTC, of a time as RFC 3339, section 5.6 writes it; further digits are cut off."""
    match = _TIME.fullmatch(text)
    if match is None:
        if not text.strip():
            raise Fault("is blank")
        if _TIME_WITHOUT_OFFSET.fullmatch(text):
            raise Fault("lacks its offset from UTC", "; it must end in Z, or in an offset such as +01:00")
        raise Fault("is no time in the form of RFC 3339")
    *clock, fraction, sign, hours, minutes = match.groups()
    if clock[-1] == "60":
        raise Fault("is a leap second", ", which no clock here knows; take the second before or after it")
    offset = timedelta(hours=int(hours or 0), minutes=int(minutes or 0)) * (-1 if sign == "-" else 1)
    if int(hours or 0) > 23 or int(minutes or 0) > 59:
        raise Fault("has an offset that does not exist", "; it must lie between -23:59 and +23:59")
    try:
        year, month, day, hour, minute, second = map(int, clock)
        # The offset is reckoned with apart, since a datetime ends in 9999.
        since_1970 = datetime(year, month, day, hour, minute, second, tzinfo=UTC) - EPOCH - offset
    except ValueError:
        raise Fault("names a day or an hour that does not exist") from None
    microseconds = since_1970 // timedelta(microseconds=1) + int((fraction or "").ljust(6, "0")[:6])
    if not 0 <= microseconds < _YEAR_10000:
        raise Fault("is out of range", "; it must lie between 1970 and 9999, in UTC")
    return microseconds


@cache
def time_zones() -> frozenset[str]:
    """The names of the IANA database that stand for a time zone."""
    return frozenset(available_timezones() - {"Factory", "localtime"})


def time_zone(value: object) -> str:
    """One of `time_zones`."""
    text = _text(value).strip()
    if text not in time_zones():
        raise Fault("is no time zone" if text else "is blank")
    return text


def boolean(value: object) -> bool:
    """True or false themselves."""
    if not isinstance(value, bool):
        raise Fault(f"is {kind_of(value)}")
    return value


def whole_number(at_least: int, at_most: int, otherwise: int) -> Callable[[object], int]:
    """A check for a number within bounds; null stands for `otherwise`."""

    def parse(value: object) -> int:
        if value is None:
            return otherwise
        if isinstance(value, bool) or not isinstance(value, int):
            raise Fault("is no whole number" if isinstance(value, str) else f"is {kind_of(value)}")
        if not at_least <= value <= at_most:
            raise Fault("is too small" if value < at_least else "is too large")
        return value

    return parse


def roster_status(value: object) -> RosterStatus | None:
    """What a roster can be narrowed down to, or null."""
    if value is not None and value not in get_args(RosterStatus):
        raise Fault("is none that an order has")
    return cast(RosterStatus | None, value)


def yes_or_no(value: object) -> bool:
    """What a switch in an address says; null is no."""
    if value not in (None, "0", "1", "false", "true"):
        raise Fault("is neither yes nor no")
    return value in ("1", "true")


def cursor(value: object) -> str | None:
    """What may be a cursor, or null; whether it leads anywhere is for its list to say."""
    if value is not None and not re.fullmatch(r"[A-Za-z0-9_-]{1,5000}", _text(value)):
        raise Fault("is damaged")
    return cast(str | None, value)


def idempotency_key(value: object) -> str | None:
    """A key that some wish can be known by, or null."""
    if value is not None and not re.fullmatch(r"[\x21-\x7e]{1,255}", _text(value)):
        raise Fault("is blank, too long, or holds other characters")
    return cast(str | None, value)


def revisions(value: object) -> Revisions | None:
    """What an `If-Match` is content with (RFC 9110, 13.1.1), or null.

    Weak tags count as well: a proxy that compresses makes them, and the revision is all that is looked at.
    """
    if value is None:
        return None
    text = _text(value)
    if text.strip(" \t") == "*":
        return Revisions(None)
    if not _TAGS.fullmatch(text):
        raise Fault("is damaged")
    own = [_OWN_TAG.fullmatch(tag) for tag in _TAG.findall(text)]
    return Revisions(frozenset(int(tag[1]) for tag in own if tag))


def order_key(value: object) -> str | None:
    """Whatever was sent: a key that is none is answered like one that does not fit."""
    return value if isinstance(value, str) else None
