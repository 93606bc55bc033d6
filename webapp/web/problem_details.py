"""The body of an error for programs: RFC 9457's members, and Fairlist's `error`, `code`, `errors` and `request_id`."""

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from types import MappingProxyType
from typing import Final

NO_FACTS: Final[Mapping[str, object]] = MappingProxyType({})


def problem_details(
    status: int,
    code: str,
    sentence: str,
    request_id: str = "",
    errors: Sequence[dict[str, str]] = (),
    facts: Mapping[str, object] = NO_FACTS,
) -> bytes:
    """The body; `code` is a stable word for programs, `sentence` is for people, `errors` names the fields at fault.

    `facts` are members that go with the code, by names of their own.
    """
    members: dict[str, object] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": sentence,
        "error": sentence,
        "code": code,
    }
    members |= facts
    if request_id:
        members["request_id"] = request_id
    if errors:
        members["errors"] = list(errors)
    return json.dumps(members, ensure_ascii=False, separators=(",", ":")).encode()
