"""Untrusted input: bodies, fields, forms and slugs."""

import json
import re
import sys
import unicodedata
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.web.unhurried import UNHURRIED
from webapp.web.parsing import (
    BODY_BYTES_MAX,
    EVENT_ID,
    TICKETS,
    USER_ID,
    Field,
    InvalidInput,
    Problem,
    event_id_from_slug,
    event_id_or_none,
    json_object,
    parse,
    parse_form,
    slug,
)

T = TypeVar("T")

JSON = "application/json"
ACUTE = "e\u0301"  # é in two code points, one in NFC


def refusal(body: bytes, content_type: str | None = JSON) -> tuple[int, str]:
    """The status and code that a body is refused with."""
    with pytest.raises(InvalidInput) as refused:
        json_object(body, content_type)
    return refused.value.status, refused.value.code


def outcome(read: Callable[[], T]) -> T | InvalidInput:
    """What is read, or the refusal; anything else that is raised fails the test."""
    try:
        return read()
    except InvalidInput as refused:
        return refused


def complaint(field: Field[object], value: object) -> str:
    """The one sentence that is said about a field's value."""
    with pytest.raises(InvalidInput) as refused:
        parse((field,), {field.name: value})
    (problem,) = refused.value.problems
    return problem.detail


def nested(levels: int) -> bytes:
    """An object in which the given number of objects and arrays stand in one another."""
    return b'{"a":' + b"[" * (levels - 1) + b"]" * (levels - 1) + b"}"


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "application/json; charset=utf-8",
        'application/json;charset="UTF-8"',
        "Application/JSON; Charset=utf8",
        "application/vnd.api+json",
        "application/problem+json; profile=x",
    ],
)
def test_json_is_taken_under_each_of_its_names(content_type: str) -> None:
    assert json_object(b'{"a": 1}', content_type) == {"a": 1}


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "",
        "json",
        "text/json",
        "text/plain",
        "application/jsonp",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/json, text/plain",
        "application/json; charset=latin-1",
        "application/json; charset=utf-16",
    ],
)
def test_anything_else_is_an_unsupported_media_type(content_type: str | None) -> None:
    assert refusal(b"{}", content_type) == (415, "unsupported_media_type")


def test_a_body_of_64_kib_is_taken_and_one_more_byte_is_too_large() -> None:
    longest = b"{}" + b" " * (BODY_BYTES_MAX - 2)

    assert json_object(longest, JSON) == {}
    assert refusal(longest + b" ") == (413, "too_large")


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "nothing"),
        (b"[]", "an array"),
        (b'"text"', "a text"),
        (b"null", "null"),
        (b"5", "a number"),
        (b"true", "true"),
        (b"{", "unfinished"),
        (b"{} {}", "two values"),
        (b"{'a': 1}", "single quotes"),
        (b'{"a": 1,}', "a trailing comma"),
        (b'{"a": 01}', "a leading zero"),
        (b'{"a": .5}', "a leading point"),
        (b'{"a": "\n"}', "a control character in a text"),
        (b'{"a": NaN}', "NaN"),
        (b'{"a": Infinity}', "Infinity"),
        (b'{"a": -Infinity}', "-Infinity"),
        (b'{"a": 1e999}', "a number out of range"),
        (b'{"a": -1e999}', "a negative number out of range"),
        (b'{"a": ' + b"9" * 310 + b"}", "an integer out of range"),
        (b'{"a": ' + b"9" * 60_000 + b"}", "an enormous integer"),
        (b'{"a": 1, "a": 1}', "a member twice"),
        (b'{"b": {"a": 1, "\\u0061": 2}}', "a member twice, one of them escaped, further in"),
        (b'{"a": "\xff"}', "a byte that is not UTF-8"),
        (b'{"a": "\xc0\xaf"}', "an overlong encoding"),
        (b'{"a": "\xed\xa0\x80"}', "an encoded surrogate"),
        ('{"a": 1}'.encode("utf-16"), "UTF-16"),
        ("\ufeff\ufeff{}".encode(), "two byte order marks"),
        (nested(9), "nine levels"),
        (nested(30_000), "thirty thousand levels"),
        (b"[" * BODY_BYTES_MAX, "nothing but brackets"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_clean_json_object_is_invalid_json(body: bytes, why: str) -> None:
    assert refusal(body) == (400, "invalid_json")


@pytest.mark.parametrize(
    ("body", "members"),
    [
        (b" {\t}\r\n", {}),
        (nested(8), {"a": [[[[[[[]]]]]]]}),
        ("\ufeff{}".encode(), {}),
        (b'{"a": "[[[[[[[[[[{{{{"}', {"a": "[[[[[[[[[[{{{{"}),
        (b'{"a": [{}, {}, {}, {}, {}, [], [], [], []]}', {"a": [{}, {}, {}, {}, {}, [], [], [], []]}),
        (b'{"a": {"b": 1}, "b": {"a": 1}}', {"a": {"b": 1}, "b": {"a": 1}}),
        ('{"a": "é\u2028🎫"}'.encode(), {"a": "é\u2028🎫"}),
        (b'{"a": 1e308}', {"a": 1e308}),
        (b'{"a": ' + b"9" * 309 + b"}", {"a": int("9" * 309)}),
        (b'{"": null}', {"": None}),
    ],
)
def test_whatever_is_one_is_taken_as_it_stands(body: bytes, members: dict[str, object]) -> None:
    assert json_object(body, JSON) == members


def test_a_mistake_in_json_is_told_with_its_place() -> None:
    with pytest.raises(InvalidInput, match=r"not valid JSON at line 2 column 7: Expecting value\."):
        json_object(b'{\n "a": }', JSON)


def test_a_deep_body_is_refused_however_little_of_the_stack_is_left() -> None:
    def at_depth(frames: int) -> tuple[int, str]:
        return at_depth(frames - 1) if frames else refusal(nested(500))

    assert at_depth(sys.getrecursionlimit() // 2) == (400, "invalid_json")


@UNHURRIED
@given(st.binary(max_size=200), st.one_of(st.none(), st.just(JSON), st.text(max_size=40)))
@example(b"{}", 'application/json; charset*=x; charset*0="')
def test_no_bytes_raise_anything_but_invalid_input(body: bytes, content_type: str | None) -> None:
    match outcome(lambda: json_object(body, content_type)):
        case InvalidInput() as refused:
            assert (refused.code, refused.status) in {("invalid_json", 400), ("unsupported_media_type", 415)}
        case members:
            assert isinstance(members, dict)


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


@UNHURRIED
@given(st.dictionaries(st.sampled_from(["eventId", "userId", "tickets", "more"]), ANY_JSON))
def test_no_json_raises_anything_but_invalid_input_and_what_passes_keeps_the_rules(given_: dict[str, object]) -> None:
    body = json.dumps(given_).encode()
    match outcome(lambda: parse((EVENT_ID, TICKETS), json_object(body, JSON))):
        case InvalidInput() as refused:
            assert refused.status == 400
        case event_id, tickets:
            assert type(tickets) is int
            assert 0 <= tickets <= 1_000_000
            assert 1 <= len(event_id) <= 255
            assert event_id == unicodedata.normalize("NFC", event_id).strip()


@UNHURRIED
@given(ANY_JSON.filter(lambda value: isinstance(value, dict)))
def test_every_json_object_that_python_writes_is_read_back_or_refused_for_a_rule(value: dict[str, Any]) -> None:
    body = json.dumps(value).encode()
    depth = max_depth(value)
    if b"NaN" in body or b"Infinity" in body or depth > 8:
        return
    assert json_object(body, JSON) == value


def max_depth(value: object) -> int:
    """How many objects and arrays stand in one another."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return (1 if isinstance(value, dict | list) else 0) + max((max_depth(one) for one in inner), default=0)


@pytest.mark.parametrize(
    ("value", "tickets"), [(0, 0), (1, 1), (1_000_000, 1_000_000), (5.0, 5), (-0.0, 0), (1e3, 1_000), (1e6, 1_000_000)]
)
def test_tickets_are_a_whole_number_up_to_a_million(value: object, tickets: int) -> None:
    (parsed,) = parse((TICKETS,), {"tickets": value})

    assert parsed == tickets
    assert type(parsed) is int


RANGE = "it must be a whole number from 0 to 1,000,000."


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (None, f"tickets is null; {RANGE}"),
        (True, f"tickets is true; {RANGE}"),
        (False, f"tickets is false; {RANGE}"),
        ("5", f"tickets is a text; {RANGE}"),
        ([5], f"tickets is an array; {RANGE}"),
        ({}, f"tickets is an object; {RANGE}"),
        (1.5, f"tickets is not a whole number; {RANGE}"),
        (float("nan"), f"tickets is not a whole number; {RANGE}"),
        (float("inf"), f"tickets is not a whole number; {RANGE}"),
        (-1, f"tickets is negative; {RANGE}"),
        (-1e30, f"tickets is negative; {RANGE}"),
        (1_000_001, f"tickets is too large; {RANGE}"),
        (10**300, f"tickets is too large; {RANGE}"),
    ],
)
def test_other_tickets_are_told_what_is_wrong_and_what_would_be_right(value: object, sentence: str) -> None:
    assert complaint(TICKETS, value) == sentence


@pytest.mark.parametrize("field", [EVENT_ID, USER_ID], ids=lambda field: field.name)
@pytest.mark.parametrize(
    "value",
    [
        "a",
        "gig 2027",
        "ada@example.org",
        "~!#$%&'()*+,:;<=>?[]^`{|}\"\\",
        "a/b",
        "a//b/",
        "...",
        ".hidden",
        "0",
        "null",
        "é",
        "Zoë",
        "日本語",
        "שלום",
        "🎫",
        "\u00a1",
        "a\u00a0b",  # spaces inside are allowed, of whatever width
        "a\u3000b",
        "\ue000",  # private use
        "\u0378",  # not assigned, perhaps not yet
        "\U0010ffff",  # not a character
        "a\ufe0f",  # a variation selector, as emoji have
        "\u0300a",  # a combining mark with nothing to combine with
        "x" * 255,
        "🎫" * 255,
    ],
)
def test_an_id_is_any_visible_text(field: Field[str], value: str) -> None:
    assert parse((field,), {field.name: value}) == (value,)


@pytest.mark.parametrize("field", [EVENT_ID, USER_ID], ids=lambda field: field.name)
def test_an_id_is_compared_in_nfc_and_measured_there(field: Field[str]) -> None:
    assert parse((field,), {field.name: ACUTE}) == ("é",)
    assert parse((field,), {field.name: ACUTE * 255}) == ("é" * 255,)
    assert parse((field,), {field.name: "\u1f82" * 255}) == ("\u1f82" * 255,)
    decomposed = unicodedata.normalize("NFD", "\u1f82" * 255)
    assert len(decomposed) == 1_020
    assert parse((field,), {field.name: decomposed}) == ("\u1f82" * 255,)


LENGTH = "it must be a text of 1 to 255 characters."


@pytest.mark.parametrize("field", [EVENT_ID, USER_ID], ids=lambda field: field.name)
@pytest.mark.parametrize(
    ("value", "rest"),
    [
        (None, f"is null; {LENGTH}"),
        (5, f"is a number; {LENGTH}"),
        (True, f"is true; {LENGTH}"),
        (["a"], f"is an array; {LENGTH}"),
        ({"a": 1}, f"is an object; {LENGTH}"),
        ("", f"is blank; {LENGTH}"),
        ("   ", f"is blank; {LENGTH}"),
        ("\u3000", f"is blank; {LENGTH}"),
        (" a", "begins or ends with white space, which must go."),
        ("a ", "begins or ends with white space, which must go."),
        ("a\u00a0", "begins or ends with white space, which must go."),
        ("x" * 256, f"is too long; {LENGTH}"),
        ("é" * 256, f"is too long; {LENGTH}"),
        (ACUTE * 256, f"is too long; {LENGTH}"),
        ("\u0301\u0316" * 30_000, f"is too long; {LENGTH}"),
        ("a\x00b", "holds the control character U+0000, which must go."),
        ("a\nb", "holds the control character U+000A, which must go."),
        ("a\n", "holds the control character U+000A, which must go."),
        ("a\x7f", "holds the control character U+007F, which must go."),
        ("a\x85", "holds the control character U+0085, which must go."),
        ("a\u200bb", "holds the format character U+200B, which must go."),
        ("a\u00adb", "holds the format character U+00AD, which must go."),
        ("\u202eab", "holds the format character U+202E, which must go."),
        ("\ufeffa", "holds the format character U+FEFF, which must go."),
        ("\U000e0041", "holds the format character U+E0041, which must go."),
        ("a\ud800", "holds the surrogate U+D800, which must go."),
        ("\udfffa", "holds the surrogate U+DFFF, which must go."),
        ("a\u2028b", "holds the line separator U+2028, which must go."),
        ("a\u2029b", "holds the paragraph separator U+2029, which must go."),
    ],
)
def test_another_id_is_told_what_is_wrong_and_what_would_be_right(field: Field[str], value: object, rest: str) -> None:
    assert complaint(field, value) == f"{field.name} {rest}"


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("/", "eventId begins with a slash, which must go."),
        ("/a", "eventId begins with a slash, which must go."),
        (".", "eventId is . or .., which no link can lead to; any other text will do."),
        ("..", "eventId is . or .., which no link can lead to; any other text will do."),
    ],
)
def test_an_event_id_leaves_links_intact_and_a_user_id_need_not(value: str, sentence: str) -> None:
    assert complaint(EVENT_ID, value) == sentence
    assert parse((USER_ID,), {"userId": value}) == (value,)


@pytest.mark.parametrize("category", ["Cc", "Cf", "Cs", "Zl", "Zp"])
def test_no_character_of_an_invisible_class_is_let_in(category: str) -> None:
    characters = [chr(point) for point in range(0x110000) if unicodedata.category(chr(point)) == category]

    assert characters
    assert [character for character in characters if event_id_or_none(f"a{character}b") is not None] == []


def test_a_character_of_every_other_class_is_let_in() -> None:
    by_category = {unicodedata.category(chr(point)): chr(point) for point in range(0x110000)}

    refused = {category for category, character in by_category.items() if event_id_or_none(f"a{character}b") is None}
    assert refused == {"Cc", "Cf", "Cs", "Zl", "Zp"}
    assert len(by_category) == 30


@UNHURRIED
@given(st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7F), max_size=6))
def test_the_fast_path_for_ascii_says_what_the_whole_way_would(text: str) -> None:
    plain = bool(text.strip()) and text == text.strip() and "\x7f" not in text
    usable = plain and not text.startswith("/") and text not in {".", ".."}

    assert (event_id_or_none(text) is not None) == usable


def test_all_problems_are_told_at_once_with_pointers() -> None:
    with pytest.raises(InvalidInput) as refused:
        parse((EVENT_ID, TICKETS), {"eventId": "", "userId": 5})

    assert refused.value.problems == (
        Problem("/eventId", "eventId is blank; it must be a text of 1 to 255 characters."),
        Problem("/tickets", "tickets is missing; it must be a whole number from 0 to 1,000,000."),
    )
    assert (refused.value.code, refused.value.status) == ("invalid_input", 400)
    assert refused.value.error == " ".join(problem.detail for problem in refused.value.problems)


def test_members_that_no_field_names_are_ignored() -> None:
    assert parse((USER_ID,), {"userId": "bob", "tickets": "many", "": None}) == ("bob",)


@pytest.mark.parametrize(
    ("form", "event_id", "tickets"),
    [
        ({"eventId": "gig", "tickets": "50"}, "gig", 50),
        ({"eventId": " gig\r\n", "tickets": " 50 "}, "gig", 50),
        ({"eventId": "007", "tickets": "007", "more": "x"}, "007", 7),
    ],
)
def test_a_form_is_read_by_the_same_fields(form: Mapping[str, str], event_id: str, tickets: int) -> None:
    assert parse_form((EVENT_ID, TICKETS), form) == (event_id, tickets)


@pytest.mark.parametrize(
    ("typed", "wrong"),
    [
        ("", "is blank"),
        ("  ", "is blank"),
        ("many", "is a text"),
        ("5.5", "is a text"),
        ("1,000", "is a text"),
        ("\u0665", "is a text"),
        ("1_0", "is a text"),
        ("9" * 400, "is a text"),
        ("-1", "is negative"),
        ("9" * 300, "is too large"),
    ],
)
def test_a_form_without_a_number_of_tickets_is_told_so(typed: str, wrong: str) -> None:
    with pytest.raises(InvalidInput, match=f"^tickets {wrong}; {RANGE}$"):
        parse_form((TICKETS,), {"tickets": typed})


def test_a_form_without_a_field_is_told_so() -> None:
    with pytest.raises(InvalidInput, match=r"^userId is missing"):
        parse_form((USER_ID,), {})


@UNHURRIED
@given(st.dictionaries(st.sampled_from(["eventId", "userId", "tickets"]), st.text()))
def test_no_form_raises_anything_but_invalid_input(form: dict[str, str]) -> None:
    match outcome(lambda: parse_form((EVENT_ID, TICKETS), form)):
        case InvalidInput() as refused:
            assert refused.problems
        case event_id, tickets:
            assert event_id == event_id_or_none(event_id)
            assert isinstance(tickets, int)


@pytest.mark.parametrize("field", [EVENT_ID, USER_ID, TICKETS], ids=lambda field: field.name)
def test_what_a_field_says_of_itself_is_what_it_does(field: Field[object]) -> None:
    assert field.parse(field.example) == field.example
    if field.schema["type"] == "integer":
        least, most = int(field.schema["minimum"]), int(field.schema["maximum"])
        inside: list[object] = [least, most]
        outside: list[object] = [least - 1, most + 1]
    else:
        least, most = int(field.schema["minLength"]), int(field.schema["maxLength"])
        inside, outside = ["x" * least, "x" * most], ["x" * (least - 1), "x" * (most + 1)]
    assert [field.parse(value) for value in inside] == inside
    assert all(complaint(field, value) for value in outside)


def is_taken(field: Field[str], text: str) -> bool:
    """Whether a field takes a text."""
    try:
        parse((field,), {field.name: text})
    except InvalidInput:
        return False
    return True


@pytest.mark.parametrize("field", [EVENT_ID, USER_ID], ids=lambda field: field.name)
def test_the_pattern_of_an_id_lets_through_what_the_field_does(field: Field[str]) -> None:
    letters = [*map(chr, range(0xD800)), *map(chr, range(0xE000, 0x10000))]
    texts = [
        *(f"a{letter}b" for letter in letters),
        *(letter for letter in letters),
        *(f"{letter}a" for letter in letters),
    ]
    disputed = [text for text in texts if is_taken(field, text) != bool(re.search(field.schema["pattern"], text))]
    assert disputed == (["."] if field is EVENT_ID else [])


@pytest.mark.parametrize(
    ("event_id", "segment"),
    [
        ("gig", "gig"),
        ("Summer-Night_2027", "Summer-Night_2027"),
        ("v1.2", "v1.2"),
        ("a..b", "a..b"),
        (".hidden", "~2Ehidden"),
        ("etc.", "etc~2E"),
        ("...", "~2E.~2E"),
        ("a/b", "a~2Fb"),
        ("a b", "a~20b"),
        ("a~b", "a~7Eb"),
        ("~2F", "~7E2F"),
        ("50%", "50~25"),
        ("?#&", "~3F~23~26"),
        ("é", "~C3~A9"),
        ("🎫", "~F0~9F~8E~AB"),
    ],
)
def test_a_slug_is_the_id_where_that_is_safe_and_made_from_it_elsewhere(event_id: str, segment: str) -> None:
    assert slug(event_id) == segment
    assert event_id_from_slug(segment) == event_id


@pytest.mark.parametrize(
    "segment",
    [
        "",
        ".",
        "..",
        "~2E",
        "~2E~2E",
        "~2Fa",  # an event id never begins with a slash
        "~2f",  # lower case
        "~67ig",  # gig, with a letter that needs no escape
        "a~",
        "a~2",
        "a~ZZ",
        "a b",
        "a/b",
        "a%2Fb",
        "é",
        "gig\n",
        ".a",
        "a.",
        "~FF",  # not UTF-8
        "~C0~AF",  # overlong
        "~ED~A0~80",  # a surrogate
        "e~CC~81",  # not in NFC
        "~E2~80~8B",  # a format character
        "~20a",
        "x" * 256,
        "~41" * 100_000,
    ],
)
def test_a_segment_that_is_no_events_slug_leads_nowhere(segment: str) -> None:
    assert event_id_from_slug(segment) is None


def test_the_longest_id_has_a_slug_too() -> None:
    assert event_id_from_slug(slug("🎫" * 255)) == "🎫" * 255


EVENT_IDS = st.text(min_size=1).map(event_id_or_none).filter(lambda found: found is not None).map(str)


@UNHURRIED
@given(EVENT_IDS)
def test_slugs_lead_back_and_need_no_escaping_anywhere(event_id: str) -> None:
    segment = slug(event_id)

    assert re.fullmatch(r"[A-Za-z0-9_~-]([A-Za-z0-9_.~-]*[A-Za-z0-9_~-])?", segment)
    assert event_id_from_slug(segment) == event_id


@UNHURRIED
@given(EVENT_IDS, EVENT_IDS)
def test_no_two_events_share_a_slug(one: str, other: str) -> None:
    assert (slug(one) == slug(other)) == (one == other)


@UNHURRIED
@given(st.text() | st.text("~2EFé./a", max_size=8))
def test_any_segment_leads_to_its_own_event_or_nowhere(segment: str) -> None:
    event_id = event_id_from_slug(segment)

    assert event_id is None or slug(event_id) == segment
