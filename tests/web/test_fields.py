"""The fields of the JSON API: what each takes, what it makes of it, and what it says of anything else."""

import re
import unicodedata
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.openapi import validator
from tests.web.test_parsing import ANY_JSON, outcome
from tests.web.unhurried import UNHURRIED
from webapp.web.checks import time_zones
from webapp.web.fields import (
    AFTER,
    BODY_FIELDS,
    CAPACITY,
    CURSOR,
    DESCRIPTION,
    DRY_RUN,
    EDITABLE,
    EMAIL,
    GATE,
    HEADER_FIELDS,
    HIDDEN,
    IDEMPOTENCY_KEY,
    IF_MATCH,
    LEDGER_LIMIT,
    LIMIT,
    NAME,
    ORDER_KEY,
    QUERY_FIELDS,
    REASON,
    STARTS_AT,
    STATUS,
    TIME_ZONE,
    TITLE,
    VENUE,
    Q,
)
from webapp.web.parsing import USER_ID, Field, InvalidInput, Problem, parse_form, parse_some, parse_texts

ALL_FIELDS = (*BODY_FIELDS, *QUERY_FIELDS, *HEADER_FIELDS)
LINES = (TITLE, VENUE, NAME, REASON, GATE)
TEXTS = (*LINES, DESCRIPTION)
NULLABLE = (NAME, REASON, GATE)
MICROSECOND = timedelta(microseconds=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def parsed(field: Field[object], value: object) -> object:
    """What a field makes of a value."""
    return parse_some((field,), (), {field.name: value})[field.name]


def complaint(field: Field[object], value: object) -> str:
    """The one sentence that is said about a field's value in a body."""
    with pytest.raises(InvalidInput) as refused:
        parsed(field, value)
    (problem,) = refused.value.problems
    return problem.detail


def text_complaint(field: Field[object], text: str) -> Problem:
    """The one problem with a field's text in a query or a header."""
    with pytest.raises(InvalidInput) as refused:
        parse_texts((field,), {field.name: text})
    (problem,) = refused.value.problems
    return problem


# What is required and what may be left out


def test_only_what_was_given_of_the_optional_fields_comes_back() -> None:
    given_ = {"userId": "cleo", "name": None, "title": "ignored"}

    assert parse_some((USER_ID,), (NAME, EMAIL), given_) == {"userId": "cleo", "name": None}
    assert parse_some((), (NAME, EMAIL), {}) == {}


def test_every_problem_is_told_at_once_whether_required_or_not() -> None:
    with pytest.raises(InvalidInput) as refused:
        parse_some((CAPACITY,), (TITLE, HIDDEN), {"hidden": "yes", "title": 5})

    assert refused.value.problems == (
        Problem("/capacity", "capacity is missing; it must be a whole number from 0 to 1,000,000."),
        Problem("/title", "title is a number; it must be a text of at most 200 characters in one line."),
        Problem("/hidden", "hidden is a text; it must be true or false."),
    )
    assert refused.value.error == " ".join(problem.detail for problem in refused.value.problems)
    assert (refused.value.code, refused.value.status) == ("invalid_input", 400)


def test_a_problem_outside_a_body_has_no_pointer_and_says_where_it_is() -> None:
    assert text_complaint(LIMIT, "many") == Problem(
        "", "The query parameter limit is no whole number; it must be a whole number from 1 to 100."
    )
    assert text_complaint(IDEMPOTENCY_KEY, "") == Problem(
        "",
        "The header Idempotency-Key is blank, too long, or holds other characters; it must be 1 to 255 visible ASCII "
        "characters, such as a UUID.",
    )


def test_what_a_query_or_the_headers_lack_has_something_that_stands_for_it() -> None:
    assert parse_texts((LIMIT, CURSOR, STATUS, Q), {}) == (50, None, None, "")
    assert parse_texts((LEDGER_LIMIT, AFTER, DRY_RUN), {}) == (100, 0, False)
    assert parse_texts((IDEMPOTENCY_KEY, IF_MATCH, ORDER_KEY), {}) == (None, None, None)


def test_a_query_parameter_without_a_value_is_as_good_as_none() -> None:
    blank = {"limit": "", "cursor": "", "status": "", "q": ""}

    assert parse_texts((LIMIT, CURSOR, STATUS, Q), blank) == (50, None, None, "")


@pytest.mark.parametrize("field", [LIMIT, CURSOR, AFTER, STATUS, DRY_RUN], ids=lambda field: field.name)
@pytest.mark.parametrize("space", [" ", "\t", "\x1e", "\x85", "\u3000"])
def test_a_query_parameter_is_its_value_and_no_white_space(field: Field[object], space: str) -> None:
    for text in (space, f"{space}{field.example}", f"{field.example}{space}"):
        assert text_complaint(field, text).detail.startswith(f"The query parameter {field.name} ")


def test_a_query_that_is_not_utf_8_is_told_so() -> None:
    assert text_complaint(Q, "\ufffd").detail.startswith("The query parameter q was not sent as UTF-8")
    assert not re.search(Q.schema["pattern"], "\ufffd")  # nor does the description allow it


# Texts


@pytest.mark.parametrize("field", TEXTS, ids=lambda field: field.name)
@pytest.mark.parametrize(
    "text",
    ["a", "Zoë", "日本語", "שלום", "👩‍👩‍👧", "می‌خواهم", "a\u00a0b", "<b>&amp;",
     "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f"],
)  # fmt: skip
def test_a_text_is_whatever_people_write(field: Field[object], text: str) -> None:
    assert parsed(field, text) == text


@pytest.mark.parametrize("field", TEXTS, ids=lambda field: field.name)
def test_white_space_around_a_text_is_dropped(field: Field[object]) -> None:
    assert parsed(field, "  \u00a0a b \u3000") == "a b"


@pytest.mark.parametrize("field", LINES, ids=lambda field: field.name)
def test_a_line_is_brought_into_one_normal_form(field: Field[object]) -> None:
    assert parsed(field, "Zoe\u0308") == "Zoë"


@pytest.mark.parametrize("field", NULLABLE, ids=lambda field: field.name)
@pytest.mark.parametrize("value", [None, "", "  ", "\u3000", "\u200b", "\u200d \u2060"])
def test_null_and_a_text_that_shows_nothing_are_the_same(field: Field[object], value: object) -> None:
    assert parsed(field, value) is None


@pytest.mark.parametrize("field", [TITLE, VENUE, DESCRIPTION], ids=lambda field: field.name)
def test_what_an_event_is_told_about_may_be_blank_but_not_null(field: Field[object]) -> None:
    assert parsed(field, " \u200b ") == ""
    assert complaint(field, None).startswith(f"{field.name} is null; it must be a text of at most ")


@pytest.mark.parametrize("field", TEXTS, ids=lambda field: field.name)
def test_a_text_may_be_so_long_and_no_longer(field: Field[object]) -> None:
    longest = field.schema["maxLength"]

    assert parsed(field, "🎫" * longest) == "🎫" * longest
    assert complaint(field, "x" * (longest + 1)).startswith(f"{field.name} is too long; it must be ")
    assert complaint(field, "\u0301\u0316" * 20_000).startswith(f"{field.name} is too long; ")


@pytest.mark.parametrize("field", TEXTS, ids=lambda field: field.name)
@pytest.mark.parametrize(
    ("value", "wrong"),
    [
        (5, "is a number"),
        (True, "is true"),
        (["a"], "is an array"),
        ({}, "is an object"),
        ("a\x00b", "holds the control character U+0000, which must go."),
        ("a\tb", "holds the control character U+0009, which must go."),
        ("a\x85b", "holds the control character U+0085, which must go."),
        ("a\ud800b", "holds the surrogate U+D800, which must go."),
        ("a\u2028b", "holds the line separator U+2028, which must go."),
        ("a\u202eb", "holds the format character U+202E, which must go."),
        ("a\u2066b", "holds the format character U+2066, which must go."),
    ],
)
def test_another_text_is_told_what_is_wrong(field: Field[object], value: object, wrong: str) -> None:
    assert complaint(field, value).startswith(f"{field.name} {wrong}")


@pytest.mark.parametrize("field", TEXTS, ids=lambda field: field.name)
def test_the_pattern_of_a_text_lets_through_what_the_field_does(field: Field[object]) -> None:
    for point in (*range(0xD800), *range(0xE000, 0x110000, 97), *range(0xE000, 0xE200)):
        text = f"a{chr(point)}b"
        is_let_through = outcome_of(field, text) is not InvalidInput
        assert is_let_through == bool(re.search(field.schema["pattern"], text)), f"U+{point:04X}"


def test_no_text_can_turn_the_words_after_it() -> None:
    turning = [chr(point) for point in range(0x110000) if unicodedata.bidirectional(chr(point)) in
               {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}]  # fmt: skip

    assert len(turning) == 9
    assert all("which must go" in complaint(TITLE, f"a{character}b") for character in turning)


def test_a_description_has_lines_and_every_break_becomes_a_line_feed() -> None:
    assert parsed(DESCRIPTION, "One\r\nTwo\rThree\n\nFour\r\n") == "One\nTwo\nThree\n\nFour"
    assert complaint(TITLE, "One\nTwo") == "title holds the control character U+000A, which must go."


# Addresses


@pytest.mark.parametrize(
    "address",
    ["cleo@example.org", "a@b", "a.b+c!#$%&'*/=?^_`{|}~-@x-1.example", ".a..@b.c", "A@B.C", "x" * 242 + "@example.org"],
)
def test_an_email_address_is_what_browsers_take_for_one(address: str) -> None:
    assert parsed(EMAIL, address) == address
    assert parse_form((EMAIL,), {"email": f" {address}\n"}) == (address,)


@pytest.mark.parametrize(
    ("value", "wrong"),
    [
        ("cleo", "is no e-mail address"),
        (" cleo@example.org", "is no e-mail address"),
        ("@example.org", "is no e-mail address"),
        ("cleo@", "is no e-mail address"),
        ("cleo@exa mple", "is no e-mail address"),
        ("cleo@-example.org", "is no e-mail address"),
        ("cleo@example-.org", "is no e-mail address"),
        ("cleo@example..org", "is no e-mail address"),
        ("cleo@" + "x" * 64, "is no e-mail address"),
        ("zoë@example.org", "is no e-mail address"),
        ("a@b\nBcc: c@d", "is no e-mail address"),
        ("Cleo <cleo@example.org>", "is no e-mail address"),
        ("x" * 243 + "@example.org", "is too long"),
        (5, "is a number"),
    ],
)
def test_anything_else_is_none(value: object, wrong: str) -> None:
    right = "it must be null, or an address such as cleo@example.org of at most 254 characters."
    assert complaint(EMAIL, value) == f"email {wrong}; {right}"


@pytest.mark.parametrize("value", [None, "", " "])
def test_nobody_needs_an_email_address(value: object) -> None:
    assert parsed(EMAIL, value) is None


@pytest.mark.parametrize("value", ["", "  ", " a@b", "a@b ", "\t", "\x1e", "\u3000", "a@b", "a..b@c", "a", "a@b\n"])
def test_the_pattern_of_an_email_address_lets_through_what_the_field_does(value: str) -> None:
    is_let_through = outcome_of(EMAIL, value) is not InvalidInput
    assert is_let_through == validator({"components": {"schemas": {}}}, dict(EMAIL.schema)).is_valid(value)


# Times


@pytest.mark.parametrize(
    ("text", "microseconds"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:00.000001Z", 1),
        ("2026-11-22T19:31:13Z", 1_795_375_873_000_000),
        ("2026-11-22t19:31:13z", 1_795_375_873_000_000),
        ("2026-11-22T20:31:13+01:00", 1_795_375_873_000_000),
        ("2026-11-23T01:01:13+05:30", 1_795_375_873_000_000),
        ("2026-11-22T00:01:13-19:30", 1_795_375_873_000_000),
        ("2026-11-22T19:31:13-00:00", 1_795_375_873_000_000),
        ("2026-11-22T19:31:13.5Z", 1_795_375_873_500_000),
        ("2026-11-22T19:31:13.123456999Z", 1_795_375_873_123_456),
        ("1969-12-31T23:59:59-00:01", 59_000_000),
        ("2024-02-29T00:00:00Z", 1_709_164_800_000_000),
        ("9999-12-31T23:59:59.999999Z", 253_402_300_799_999_999),
        ("9999-12-31T23:59:59-00:00", 253_402_300_799_000_000),
        (None, None),
    ],
)
def test_a_time_is_a_moment_whatever_its_offset(text: str | None, microseconds: int | None) -> None:
    assert parsed(STARTS_AT, text) == microseconds


OFFSET = "it must end in Z, or in an offset such as +01:00."
FORM = "it must be null, or a time such as 2030-06-18T19:30:00Z or 2030-06-18T21:30:00+02:00."


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (1_795_375_873, f"starts_at is a number; {FORM}"),
        ("", f"starts_at is blank; {FORM}"),
        ("  ", f"starts_at is blank; {FORM}"),
        ("tomorrow", f"starts_at is no time in the form of RFC 3339; {FORM}"),
        ("2026-11-22", f"starts_at is no time in the form of RFC 3339; {FORM}"),
        ("2026-11-22 19:31:13Z", f"starts_at is no time in the form of RFC 3339; {FORM}"),
        (" 2026-11-22T19:31:13Z", f"starts_at is no time in the form of RFC 3339; {FORM}"),
        ("2026-11-22T19:31:13Z\n", f"starts_at is no time in the form of RFC 3339; {FORM}"),
        ("2026-11-22T19:31Z", f"starts_at is no time in the form of RFC 3339; {FORM}"),
        ("2026-11-22T19:31:13,5Z", f"starts_at is no time in the form of RFC 3339; {FORM}"),
        ("2026-11-22T19:31:13+0100", f"starts_at is no time in the form of RFC 3339; {FORM}"),
        ("26-11-22T19:31:13Z", f"starts_at is no time in the form of RFC 3339; {FORM}"),
        ("20261122T193113Z", f"starts_at is no time in the form of RFC 3339; {FORM}"),
        ("٢٠٢٦-11-22T19:31:13Z", f"starts_at is no time in the form of RFC 3339; {FORM}"),
        ("2026-11-22T19:31:13", f"starts_at lacks its offset from UTC; {OFFSET}"),
        ("2026-02-30T00:00:00Z", f"starts_at names a day or an hour that does not exist; {FORM}"),
        ("2025-02-29T00:00:00Z", f"starts_at names a day or an hour that does not exist; {FORM}"),
        ("2026-13-01T00:00:00Z", f"starts_at names a day or an hour that does not exist; {FORM}"),
        ("2026-11-22T24:00:00Z", f"starts_at names a day or an hour that does not exist; {FORM}"),
        ("2026-11-22T19:60:00Z", f"starts_at names a day or an hour that does not exist; {FORM}"),
        ("2026-11-22T19:31:61Z", f"starts_at names a day or an hour that does not exist; {FORM}"),
        ("0000-01-01T00:00:00Z", f"starts_at names a day or an hour that does not exist; {FORM}"),
        (
            "2016-12-31T23:59:60Z",
            "starts_at is a leap second, which no clock here knows; take the second before or after it.",
        ),
        (
            "2026-11-22T19:31:13+24:00",
            "starts_at has an offset that does not exist; it must lie between -23:59 and +23:59.",
        ),
        (
            "2026-11-22T19:31:13-01:60",
            "starts_at has an offset that does not exist; it must lie between -23:59 and +23:59.",
        ),
        ("1969-12-31T23:59:59Z", "starts_at is out of range; it must lie between 1970 and 9999, in UTC."),
        ("1970-01-01T00:00:00+00:01", "starts_at is out of range; it must lie between 1970 and 9999, in UTC."),
        ("9999-12-31T23:59:59-00:01", "starts_at is out of range; it must lie between 1970 and 9999, in UTC."),
        ("0001-01-01T00:00:00+23:59", "starts_at is out of range; it must lie between 1970 and 9999, in UTC."),
    ],
)  # fmt: skip
def test_what_is_no_time_is_told_why(value: object, sentence: str) -> None:
    assert complaint(STARTS_AT, value) == sentence


def test_a_time_that_a_form_leaves_blank_is_none() -> None:
    assert parse_form((STARTS_AT,), {"starts_at": "  "}) == (None,)
    assert parse_form((STARTS_AT,), {"starts_at": " 1970-01-01T00:00:01Z"}) == (1_000_000,)


OFFSETS = st.integers(-1_439, 1_439).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@UNHURRIED
@given(st.datetimes(datetime.fromisoformat("1970-01-02"), datetime.fromisoformat("9999-12-30"), timezones=OFFSETS))
def test_times_are_what_python_writes_and_means(moment: datetime) -> None:
    assert parsed(STARTS_AT, moment.isoformat()) == (moment - EPOCH) // MICROSECOND


@UNHURRIED
@given(st.text(st.sampled_from("0123456789-:+.TZtz"), max_size=30) | st.from_regex(r"[0-9]{4}(-[0-9]{2}){2}T.{,20}"))
def test_no_text_for_a_time_raises_anything_but_invalid_input(text: str) -> None:
    match outcome(lambda: parsed(STARTS_AT, text)):
        case int() as microseconds:
            assert 0 <= microseconds < 253_402_300_800_000_000
        case other:
            assert other is None or isinstance(other, InvalidInput)


# Time zones


@pytest.mark.parametrize(
    "name", ["UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires", "Etc/GMT+5", "Asia/Kolkata"]
)
def test_a_time_zone_goes_by_its_iana_name(name: str) -> None:
    assert parsed(TIME_ZONE, name) == name


def test_every_time_zone_that_is_taken_can_be_reckoned_with() -> None:
    assert len(time_zones()) > 500
    assert all(datetime(2027, 6, 18, tzinfo=ZoneInfo(name)).utcoffset() is not None for name in time_zones())
    assert max(map(len, time_zones())) <= TIME_ZONE.schema["maxLength"]


@pytest.mark.parametrize(
    ("value", "wrong"),
    [
        ("", "is blank"),
        (None, "is null"),
        (1, "is a number"),
        ("europe/berlin", "is no time zone"),
        ("+01:00", "is no time zone"),
        ("CEST", "is no time zone"),
        ("localtime", "is no time zone"),
        ("../../etc/passwd", "is no time zone"),
        ("/usr/share/zoneinfo/UTC", "is no time zone"),
        ("UTC\x00", "is no time zone"),
    ],
)
def test_anything_else_is_no_time_zone(value: object, wrong: str) -> None:
    right = "it must be the IANA name of one, such as Europe/Berlin or UTC."
    assert complaint(TIME_ZONE, value) == f"time_zone {wrong}; {right}"


# Numbers, switches and choices


def test_a_switch_is_true_or_false_and_nothing_like_them() -> None:
    assert [parsed(HIDDEN, value) for value in (True, False)] == [True, False]
    assert [complaint(HIDDEN, value)[:16] for value in (1, 0, "true", None)] == [
        "hidden is a numb", "hidden is a numb", "hidden is a text", "hidden is null; ",
    ]  # fmt: skip


def test_capacity_is_checked_as_tickets_are() -> None:
    assert parsed(CAPACITY, 5.0) == 5
    assert complaint(CAPACITY, -1) == "capacity is negative; it must be a whole number from 0 to 1,000,000."


@pytest.mark.parametrize(
    ("field", "text", "number"),
    [(LIMIT, "1", 1), (LIMIT, "100", 100), (LEDGER_LIMIT, "100", 100), (AFTER, "0", 0),
     (AFTER, str(2**53 - 1), 2**53 - 1)],
)  # fmt: skip
def test_a_number_in_a_query_is_its_digits(field: Field[object], text: str, number: int) -> None:
    assert parse_texts((field,), {field.name: text}) == (number,)


@pytest.mark.parametrize(
    ("field", "text", "wrong"),
    [
        (LIMIT, "0", "is too small"),
        (LIMIT, "101", "is too large"),
        (LIMIT, "-1", "is too small"),
        (LIMIT, "1.0", "is no whole number"),
        (LIMIT, "1e1", "is no whole number"),
        (LIMIT, "+1", "is no whole number"),
        (LIMIT, " 1", "is no whole number"),
        (LIMIT, "\u0665", "is no whole number"),
        (LIMIT, "9" * 400, "is no whole number"),
        (LEDGER_LIMIT, "1001", "is too large"),
        (AFTER, "-1", "is too small"),
        (AFTER, str(2**53), "is too large"),
    ],
)
def test_another_number_is_told_its_bounds(field: Field[object], text: str, wrong: str) -> None:
    assert text_complaint(field, text).detail == f"The query parameter {field.name} {wrong}; it must be {field.right}."


@pytest.mark.parametrize(("text", "answer"), [("1", True), ("true", True), ("0", False), ("false", False), ("", False)])
def test_a_rehearsal_is_asked_for_with_1_or_true(text: str, answer: bool) -> None:
    assert parse_texts((DRY_RUN,), {"dry_run": text}) == (answer,)


def test_a_rehearsal_that_was_meant_is_never_taken_for_none() -> None:
    for text in ("yes", "True", "2", "on"):
        assert text_complaint(DRY_RUN, text).detail.startswith("The query parameter dry_run is neither yes nor no;")


def test_a_roster_is_narrowed_down_by_known_words_only() -> None:
    for status in ("booked", "waiting", "cancelled", "checked_in"):
        assert parse_texts((STATUS,), {"status": status}) == (status,)
    assert text_complaint(STATUS, "confirmed").detail == (
        "The query parameter status is none that an order has; "
        "it must be one of booked, waiting, cancelled, checked_in."
    )


def test_what_is_looked_for_is_a_text_of_one_line() -> None:
    assert parse_texts((Q,), {"q": " Zoe\u0308 "}) == ("Zoë",)
    assert "which must go" in text_complaint(Q, "a\x00b").detail
    assert "is too long" in text_complaint(Q, "x" * 201).detail


@pytest.mark.parametrize("text", ["%", "a b", "ä", "x" * 5_001, "a=", "a\nb"])
def test_what_cannot_be_a_cursor_is_damaged(text: str) -> None:
    assert text_complaint(CURSOR, text).detail.startswith(
        "The query parameter cursor is damaged; it must be the next of"
    )


# Headers


@pytest.mark.parametrize("text", ["a", "6f1d9c1e-3b0a-4f57-9a55-0f2f4f6f1c2b", '"quoted"', "!~", "x" * 255])
def test_an_idempotency_key_is_any_visible_ascii(text: str) -> None:
    assert parse_texts((IDEMPOTENCY_KEY,), {"Idempotency-Key": text}) == (text,)


@pytest.mark.parametrize("text", ["", " ", "a b", "a\t", "é", "\x7f", "x" * 256])
def test_a_key_that_would_protect_nothing_is_refused(text: str) -> None:
    assert text_complaint(IDEMPOTENCY_KEY, text).pointer == ""


@pytest.mark.parametrize(
    ("text", "revisions", "others"),
    [
        ('"3-120-9f2c51d0a7be-o"', {3}, {2, 4, 120}),
        ('W/"3-120-9f2c51d0a7be-c"', {3}, {2, 4, 120}),
        ('"3-120-9f2c51d0a7be-n", "7-7-000000000000-o"', {3, 7}, {120}),
        ("*", {1, 3, 10**15}, set()),
        ('"somebody-else\u2019s"'.encode().decode("latin-1"), set(), {1, 3}),
        ('"3"', set(), {3}),
        ('"a,b" , , W/"3-120-9f2c51d0a7be-o",', {3}, {2, 4}),
        ('",", "3-120-9f2c51d0a7be-o"', {3}, {2, 4}),
        ('""', set(), {0, 1}),
    ],
)
def test_if_match_is_content_with_the_revisions_it_names(text: str, revisions: set[int], others: set[int]) -> None:
    (expected,) = parse_texts((IF_MATCH,), {"If-Match": text})

    assert expected is not None
    assert all(revision in expected for revision in revisions)
    assert not any(revision in expected for revision in others)


@pytest.mark.parametrize(
    "text", ["", " ", ",", "3-120-9f2c51d0a7be-o", '"3-120-9f2c51d0a7be-o', "3", '*, "a"', "w/", '"a" "b"', '"a", b']
)
def test_a_damaged_if_match_is_told_so_rather_than_ignored(text: str) -> None:
    assert text_complaint(IF_MATCH, text).detail.startswith("The header If-Match is damaged; it must be an ETag in its")
    assert not re.search(IF_MATCH.schema["pattern"], text)


def test_any_key_to_an_order_may_be_tried() -> None:
    for text in ("", "wrong", "é" * 1_000):
        assert parse_texts((ORDER_KEY,), {"Order-Key": text}) == (text,)


# All of them


def called(field: Field[object]) -> str:
    """A name for a test: two fields are called limit."""
    return f"{field.name}-{field.example}"[:40]


@pytest.mark.parametrize("field", ALL_FIELDS, ids=called)
def test_every_field_takes_its_own_example(field: Field[object]) -> None:
    given_ = field.example if field.place == "body" else field.from_text(str(field.example))

    assert field.parse(given_) is not None
    assert field.description.endswith((".", "`."))
    assert "additionalProperties" not in field.schema


@pytest.mark.parametrize("field", ALL_FIELDS, ids=called)
def test_every_field_takes_null_where_it_says_so_or_stands_outside_a_body(field: Field[object]) -> None:
    is_nullable = "null" in field.schema["type"]

    assert (outcome_of(field, None) is not InvalidInput) == (is_nullable or field.place != "body")


def outcome_of(field: Field[object], value: object) -> object:
    """What a field makes of a value, or InvalidInput itself."""
    made = outcome(lambda: parsed(field, value))
    return InvalidInput if isinstance(made, InvalidInput) else made


@pytest.mark.parametrize("field", [field for field in ALL_FIELDS if "default" in field.schema], ids=called)
def test_a_default_is_what_the_field_does_without_a_value(field: Field[object]) -> None:
    assert parse_texts((field,), {}) == parse_texts((field,), {field.name: str(field.schema["default"])})


@UNHURRIED
@given(st.sampled_from(BODY_FIELDS), ANY_JSON | st.text(max_size=400))
def test_no_value_raises_anything_but_invalid_input_and_a_right_one_keeps_its_schema(
    field: Field[Any], value: object
) -> None:
    made = outcome(lambda: parsed(field, value))
    if isinstance(made, InvalidInput):
        (problem,) = made.problems
        assert re.fullmatch(rf"{field.name} .+\.", problem.detail)
    elif isinstance(made, str):
        assert len(made) <= field.schema["maxLength"]
        assert made == made.strip()


@UNHURRIED
@given(st.sampled_from((*QUERY_FIELDS, *HEADER_FIELDS)), st.text(max_size=300))
def test_no_query_and_no_header_raises_anything_but_invalid_input(field: Field[object], text: str) -> None:
    assert outcome(lambda: parse_texts((field,), {field.name: text}))


def test_what_an_organiser_edits_goes_by_the_names_of_an_events_details() -> None:
    assert [field.name for field in EDITABLE] == [
        "title", "description", "venue", "starts_at", "ends_at", "time_zone", "opens_at", "closes_at", "hidden",
    ]  # fmt: skip
