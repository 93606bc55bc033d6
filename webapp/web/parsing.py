"""Untrusted input becomes typed values here, or InvalidInput with every problem found.

Knows nothing of HTTP frameworks, events that exist, or rules: only what a body, a field and an id may look like.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, Literal, TypeVar, overload

from werkzeug.http import parse_options_header

from webapp.web import strict_json

A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")
T_co = TypeVar("T_co", covariant=True)

BODY_BYTES_MAX: Final = 65_536
ID_LENGTH_MAX: Final = 255
TICKETS_MAX: Final = 1_000_000

# One character decomposes into at most four, so a longer text cannot be an id of 255 in NFC. Looked at first, because
# normalising takes time quadratic in a run of combining marks: 0.7 s for 32,000 of them.
_UNNORMALISED_LENGTH_MAX: Final = 4 * ID_LENGTH_MAX
_INVISIBLE: Final = {
    "Cc": "control character",
    "Cf": "format character",
    "Cs": "surrogate",
    "Zl": "line separator",
    "Zp": "paragraph separator",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with one field: its JSON pointer (RFC 6901), and a sentence that also says what would be right.

    The pointer is empty where the field is no member of a body; then the sentence says where it is.
    """

    pointer: str
    detail: str


class InvalidInput(Exception):
    """Input that no front may act upon: a sentence for people, a code for programs, a status, and the fields at fault.

    `code` and `status` are unsupported_media_type 415, too_large 413, invalid_json 400 or invalid_input 400.
    """

    def __init__(self, code: str, error: str, *, status: int = 400, problems: tuple[Problem, ...] = ()) -> None:
        super().__init__(error)
        self.code = code
        self.error = error
        self.status = status
        self.problems = problems


class Fault(ValueError):
    """What is wrong with a field's value, to be read after the field's name: `is missing`.

    `remedy` says what would be right, where the description of the whole field would be no answer.
    """

    def __init__(self, wrong: str, remedy: str = "") -> None:
        super().__init__(wrong)
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class Field(Generic[T_co]):
    """One field of a body, a query or a header: how it is checked, and the same facts for a description of the API.

    `schema` holds JSON Schema keywords. `right` completes "it must be". `parse` takes a JSON value and returns the
    typed one, or raises Fault; where a query or header lacks the field, it takes None. `from_text` makes the JSON value
    of what stands in a form, a query or a header.
    """

    name: str
    description: str
    example: str | int
    schema: Mapping[str, Any]
    right: str
    parse: Callable[[object], T_co]
    from_text: Callable[[str], object]
    place: Literal["body", "query", "header"] = "body"

    def problem(self, fault: Fault) -> Problem:
        """The fault as a problem of this field, in a sentence of its own."""
        pointer = f"/{self.name}" if self.place == "body" else ""
        sentence = f"{_PLACES[self.place]}{self.name} {fault}{fault.remedy or f'; it must be {self.right}'}."
        return Problem(pointer, sentence)


_PLACES: Final = {"body": "", "query": "The query parameter ", "header": "The header "}


def json_object(body: bytes, content_type: str | None) -> dict[str, Any]:
    """The members of a body that is a JSON object, whatever they are.

    Raises InvalidInput: unsupported_media_type, too_large, invalid_json.
    """
    if content_type != "application/json":
        _refuse_other_media_types(content_type)
    if len(body) > BODY_BYTES_MAX:
        raise InvalidInput("too_large", f"The body must have at most {BODY_BYTES_MAX:,} bytes.", status=413)
    try:
        value = strict_json.decoded(body)
    except strict_json.NotJson as not_json:
        raise InvalidInput("invalid_json", str(not_json)) from None
    if not isinstance(value, dict):
        error = f'The body is {kind_of(value)}; it must be a JSON object such as {{"eventId": "gig"}}.'
        raise InvalidInput("invalid_json", error)
    return value


def _refuse_other_media_types(content_type: str | None) -> None:
    media_type, parameters = parse_options_header(content_type)
    if not re.fullmatch(r"application/([^\s/]+\+)?json", media_type.lower()):
        wrong = "not JSON" if media_type else "missing"
        raise _unsupported(f"The Content-Type is {wrong}; it must be application/json.")
    if parameters.get("charset", "utf-8").lower() not in {"utf-8", "utf8"}:
        raise _unsupported("The charset of the Content-Type must be utf-8, or left out.")


def _unsupported(error: str) -> InvalidInput:
    return InvalidInput("unsupported_media_type", error, status=415)


@overload
def parse(fields: tuple[Field[A]], given: Mapping[str, object]) -> tuple[A]: ...
@overload
def parse(fields: tuple[Field[A], Field[B]], given: Mapping[str, object]) -> tuple[A, B]: ...
def parse(fields: tuple[Field[Any], ...], given: Mapping[str, object]) -> tuple[Any, ...]:
    """The typed values of the fields, in their order, from the members of a JSON object. Others are ignored.

    Raises InvalidInput with the code invalid_input and every problem found.
    """
    return tuple(parse_some(fields, (), given).values())


def parse_some(
    required: Sequence[Field[Any]], optional: Sequence[Field[Any]], given: Mapping[str, object]
) -> dict[str, Any]:
    """The typed values by field name, of all required fields and of those optional ones that are given.

    Raises InvalidInput with the code invalid_input and every problem found.
    """
    values, problems = {}, []
    for field in (*required, *(field for field in optional if field.name in given)):
        try:
            if field.name not in given:
                raise Fault("is missing")
            values[field.name] = field.parse(given[field.name])
        except Fault as fault:
            problems.append(field.problem(fault))
    if problems:
        raise invalid_input(problems)
    return values


@overload
def parse_texts(fields: tuple[Field[A]], given: Mapping[str, str]) -> tuple[A]: ...
@overload
def parse_texts(fields: tuple[Field[A], Field[B]], given: Mapping[str, str]) -> tuple[A, B]: ...
@overload
def parse_texts(fields: tuple[Field[A], Field[B], Field[C]], given: Mapping[str, str]) -> tuple[A, B, C]: ...
@overload
def parse_texts(
    fields: tuple[Field[A], Field[B], Field[C], Field[D]], given: Mapping[str, str]
) -> tuple[A, B, C, D]: ...
def parse_texts(fields: tuple[Any, ...], given: Mapping[str, str]) -> tuple[Any, ...]:
    """The typed values of fields of a query or of headers, in their order; of one that is missing, what stands for it.

    Raises InvalidInput with the code invalid_input and every problem found.
    """
    _refuse_other_encodings(fields, given)
    return parse(
        fields, {field.name: field.from_text(given[field.name]) if field.name in given else None for field in fields}
    )


def invalid_input(problems: Sequence[Problem]) -> InvalidInput:
    """The exception that tells all of the problems."""
    return InvalidInput("invalid_input", " ".join(problem.detail for problem in problems), problems=tuple(problems))


@overload
def parse_form(fields: tuple[Field[A]], form: Mapping[str, str]) -> tuple[A]: ...
@overload
def parse_form(fields: tuple[Field[A], Field[B]], form: Mapping[str, str]) -> tuple[A, B]: ...
def parse_form(fields: tuple[Any, ...], form: Mapping[str, str]) -> tuple[Any, ...]:
    """As `parse`, from what people typed: white space around it is dropped, and digits are a number where one is due.

    Raises InvalidInput with the code invalid_input and every problem found.
    """
    typed = {field.name: form[field.name].strip() for field in fields if field.name in form}
    _refuse_other_encodings(fields, typed)
    return parse(fields, {field.name: field.from_text(typed[field.name]) for field in fields if field.name in typed})


def _refuse_other_encodings(fields: tuple[Field[Any], ...], given: Mapping[str, str]) -> None:
    broken = [field for field in fields if "\ufffd" in given.get(field.name, "")]  # what was not UTF-8 becomes U+FFFD
    if broken:
        raise invalid_input([field.problem(Fault("was not sent as UTF-8")) for field in broken])


def _identifier(value: object) -> str:
    if not isinstance(value, str):
        raise Fault(f"is {kind_of(value)}")
    if not (value.isascii() and value.isprintable()):
        value = _normalised(value)
    bare = value.strip()
    if not bare:
        raise Fault("is blank")
    if len(bare) < len(value):
        raise Fault("begins or ends with white space", ", which must go")
    if len(value) > ID_LENGTH_MAX:
        raise Fault("is too long")
    return value


def _event_identifier(value: object) -> str:
    event_id = _identifier(value)
    if event_id.startswith("/"):
        raise Fault("begins with a slash", ", which must go")
    if event_id in {".", ".."}:
        raise Fault("is . or ..", ", which no link can lead to; any other text will do")
    return event_id


def _normalised(text: str) -> str:
    """The text in NFC, if every character of it can be seen, or is a space."""
    if len(text) > _UNNORMALISED_LENGTH_MAX:
        raise Fault("is too long")
    text = unicodedata.normalize("NFC", text)
    if not text.isprintable():
        for character in text:
            if unicodedata.category(character) in _INVISIBLE:
                raise must_go(character)
    return text


def must_go(character: str) -> Fault:
    """The fault of a text with this character, which is none that can be seen."""
    kind = _INVISIBLE[unicodedata.category(character)]
    return Fault(f"holds the {kind} U+{ord(character):04X}", ", which must go")


def _ticket_count(value: object) -> int:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise Fault(f"is {kind_of(value)}")
    if not 0 <= value <= TICKETS_MAX:
        raise Fault("is negative" if value < 0 else "is too large")
    return value


def number_typed(text: str) -> object:
    """The number that a text is the digits of, else the text."""
    return int(text) if re.fullmatch(r"-?[0-9]{1,309}", text) else text


def kind_of(value: object) -> str:
    """What a JSON value is, to be read after `is`."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int() | float():
            return "a number" if value == value // 1 else "not a whole number"
        case str():
            return "a text" if value.strip() else "blank"
        case list():
            return "an array"
    return "an object"


# What the checks let through, for readers who know Unicode's categories by their numbers only: but for a few characters
# beyond the 65,536th, which regular expressions write in as many ways as there are languages.
_UNSEEN: Final = (
    r"\u0000-\u001F\u007F-\u009F\u00AD\u0600-\u0605\u061C\u06DD\u070F\u0890\u0891\u08E2\u180E\u200B-\u200F\u2028-\u202E"
    r"\u2060-\u2064\u2066-\u206F\uFEFF\uFFF9-\uFFFB"
)


def _id_schema(first_char_not: str = "") -> Mapping[str, Any]:
    pattern = rf"^[^\s{first_char_not}{_UNSEEN}](?:[^{_UNSEEN}]*[^\s{_UNSEEN}])?$"
    return {"type": "string", "minLength": 1, "maxLength": ID_LENGTH_MAX, "pattern": pattern}


_ID_RIGHT: Final = f"a text of 1 to {ID_LENGTH_MAX} characters"
_ID_RULES: Final = (
    "Compared in Unicode's normal form C. Without control and format characters and line separators, and without white "
    "space at its ends."
)

EVENT_ID: Final = Field(
    "eventId",
    f"The event's id. {_ID_RULES} Neither begins with a slash nor is `.` or `..`.",
    "summer-night",
    _id_schema("/"),
    _ID_RIGHT,
    _event_identifier,
    str,
)
USER_ID: Final = Field("userId", f"The guest's id. {_ID_RULES}", "cleo", _id_schema(), _ID_RIGHT, _identifier, str)
TICKETS: Final = Field(
    "tickets",
    "How many tickets the event has.",
    80,
    {"type": "integer", "minimum": 0, "maximum": TICKETS_MAX},
    f"a whole number from 0 to {TICKETS_MAX:,}",
    _ticket_count,
    number_typed,
)


def event_id_or_none(text: str) -> str | None:
    """The event id, in NFC, that a text from a path stands for; None where no event can have it."""
    try:
        return EVENT_ID.parse(text)
    except Fault:
        return None


def slug(event_id: str) -> str:
    """A valid event id as one segment of a path, made of `A-Z a-z 0-9 _ - . ~` alone; no two ids share one.

    Every byte of its UTF-8 that is not safe there becomes `~` and two hexadecimal digits. A dot stays where it is not
    at an end, since links in running text lose a dot at theirs, and hidden files begin with one.
    """
    return _UNSAFE.sub(lambda match: "".join(f"~{byte:02X}" for byte in match[0].encode()), event_id)


def event_id_from_slug(slug_: str) -> str | None:
    """The event id that has this slug; None where none has."""
    if not _SLUG.fullmatch(slug_):
        return None
    try:
        text = re.sub(rb"~(..)", lambda match: bytes.fromhex(match[1].decode()), slug_.encode()).decode()
    except UnicodeDecodeError:
        return None
    event_id = event_id_or_none(text)
    return event_id if event_id is not None and slug(event_id) == slug_ else None


_UNSAFE: Final = re.compile(r"[^A-Za-z0-9_.-]+|\A\.|\.\Z")
_SLUG: Final = re.compile(r"(?:[A-Za-z0-9_.-]|~[0-9A-F]{2})+")
