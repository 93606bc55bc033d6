"""JSON as RFC 8259 has it, and nothing looser: no duplicate names, no NaN, no number beyond a double, no depths."""

import json
from typing import Any, Final, NoReturn

NESTING_MAX: Final = 8


class NotJson(ValueError):
    """Why bytes are no JSON that is taken here: a sentence."""


def decoded(body: bytes) -> object:
    """The value of a JSON text. A byte order mark in front is ignored, as section 8.1 allows and Windows needs.

    Raises NotJson.
    """
    try:
        value: object = _DECODER.decode(body.removeprefix(b"\xef\xbb\xbf").decode())
    except RecursionError:
        raise _nested_too_deeply() from None
    except UnicodeDecodeError as problem:
        raise NotJson(f"The body is not UTF-8: byte {problem.start + 1} is wrong.") from None
    except json.JSONDecodeError as problem:
        where = f"line {problem.lineno} column {problem.colno}"
        raise NotJson(f"The body is not valid JSON at {where}: {problem.msg.removesuffix(' at')}.") from None
    if body.count(b"{") + body.count(b"[") > NESTING_MAX:
        _refuse_deep_nesting(value)
    return value


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise NotJson("The body names a member twice; every name must occur once in an object.")
    return members


def _integer(digits: str) -> int:
    if len(digits) > 309:  # what a double holds, so that 1e999 and its digits written out fare alike
        raise NotJson("The body has a number out of range; it must fit into a double.")
    return int(digits)


def _fraction(digits: str) -> float:
    number = float(digits)
    if number in {float("inf"), float("-inf")}:
        raise NotJson("The body has a number out of range; it must fit into a double.")
    return number


def _not_a_number(name: str) -> NoReturn:
    raise NotJson(f"The body has the number {name}, which JSON does not know.")


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_members, parse_int=_integer, parse_float=_fraction, parse_constant=_not_a_number
)


def _refuse_deep_nesting(value: object) -> None:
    """Goes through the levels, not down into them, so that no depth can exhaust the stack."""
    level = [value]
    for _ in range(NESTING_MAX):
        level = [inner for outer in level for inner in _contents(outer)]
    if any(isinstance(value, dict | list) for value in level):
        raise _nested_too_deeply()


def _contents(value: object) -> list[object]:
    match value:
        case dict():
            return list(value.values())
        case list():
            return value
    return []


def _nested_too_deeply() -> NotJson:
    return NotJson(f"The body is nested too deeply; it must have at most {NESTING_MAX} levels.")
