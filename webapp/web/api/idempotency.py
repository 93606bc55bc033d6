"""Idempotency-Key: a wish that is sent twice has one effect, and gets its answer again, from the same bytes.

What is kept is what the rules answered, without anything secret or personal: the route makes its document of that and
of the request, which is the same one, or it would be refused. Keys of orders are derived again.
Source: https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/
"""

import hashlib
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from quart import Response, request

from webapp.desk import AnsweredBefore, Once
from webapp.web.asking import OrderKey
from webapp.web.auth import Organiser

Answer = TypeVar("Answer")
Kept = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Outcome(Generic[Answer]):
    """What came of a wish: what is kept of it, and the rules' answer itself unless this is a replay."""

    kept: Kept
    answer: Answer | None

    def dressed(self, response: Response) -> Response:
        """The response to the wish, which says if it is a replay."""
        if self.answer is None:
            response.headers["Idempotent-Replayed"] = "true"
        return response


async def settled(
    verb: Callable[[Once | None], Awaitable[Answer]],
    asker: Organiser | OrderKey | None,
    asked: object,
    key: str | None,
    keep: Callable[[Answer], Kept],
) -> Outcome[Answer]:
    """What came of a wish, now or when it was first sent under the request's Idempotency-Key `key`.

    `verb` is the box office's; `asked` is everything that the request says, as JSON has it; `keep` makes of an answer
    what is kept, which is JSON, too.

    Raises what the verb raises, and Refusal `idempotency_key_reused`.
    """
    if key is None:
        answer = await verb(None)
        return Outcome(keep(answer), answer)
    once = Once(
        key=_digest("organiser" if isinstance(asker, Organiser) else "anyone", request.method, request.path, key),
        # With the key in it, which is not kept, nobody can try out from the database what was asked.
        request=_digest(key, _canonical(asked)),
        told=lambda answer: _json(keep(answer)),
    )
    try:
        answer = await verb(once)
    except AnsweredBefore as before:
        return Outcome(json.loads(before.text), None)
    return Outcome(keep(answer), answer)


def _digest(*parts: str) -> bytes:
    return hashlib.sha256(_canonical(parts).encode()).digest()


_json: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_canonical: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode
