"""The API, described: as OpenAPI for programs, and as a page for people."""

import hashlib
import json
from collections.abc import Mapping
from functools import cache
from typing import Any, Final, cast

from markupsafe import Markup
from quart import Blueprint, Response, request

from webapp.web import rendering
from webapp.web.description import curl, schemas
from webapp.web.description.document import GROUPS, document_for
from webapp.web.description.errors import ERRORS, ErrorKind
from webapp.web.description.operations import Answer, Operation, Who
from webapp.web.fields import IF_MATCH
from webapp.web.links import origin
from webapp.web.parsing import Field

reference = Blueprint("reference", __name__)


@reference.get("/openapi.json")
async def openapi() -> Response:
    """The OpenAPI document."""
    body, tag = document_for(origin())
    return _unless_known(body, tag, "application/json")


@reference.get("/docs", strict_slashes=False)
async def docs() -> Response:
    """The page that tells the same as the document, and how to begin."""
    page = rendering.page("docs.html", origin=origin(), reference=REFERENCE, operations=_operations())
    body = cast(bytes, await page.get_data())
    return _unless_known(body, hashlib.sha256(body).hexdigest()[:16], "text/html; charset=utf-8")


def _unless_known(body: bytes, tag: str, content_type: str) -> Response:
    """The body, or nothing for who has it already."""
    is_known = request.if_none_match.contains_weak(tag)
    found = Response(b"" if is_known else body, 304 if is_known else 200, content_type=content_type)
    found.headers.update({"ETag": f'"{tag}"', "Cache-Control": "no-cache"})
    return found


@cache
def _operations() -> Markup:
    """What is the same at every address that the server goes by: nearly all of the page, escaped by its template."""
    return Markup(rendering.block("docs/_operations.html", "operations", reference=REFERENCE))  # noqa: S704 -- the block escapes what it is given


class Reference:
    """What the page shows of the description."""

    groups: Final = GROUPS
    errors: Final = ERRORS
    documents: Final = schemas.DOCUMENTS
    who: Final[Mapping[Who, str]] = {
        "anyone": "Anyone",
        "anyone_or_organiser": "Anyone",
        "organiser": "The organiser",
        "password": "The organiser, by password alone",
        "guest": "The organiser, or whoever has the order’s key",
    }

    def rows(self, fields: tuple[Field[Any], ...], note: str) -> list[tuple[Field[Any], str]]:
        """Fields, each with a note: `required` where it says so, or where a request without it is refused."""
        return [(field, "required" if field is IF_MATCH else note) for field in fields]

    def curl(self, operation: Operation) -> tuple[str, ...]:
        """The lines to paste."""
        return curl.lines(operation)

    def example(self, answer: Answer) -> str:
        """An answer's body, with line breaks."""
        return answer.example if isinstance(answer.example, str) else _pretty(answer.example)

    def problem(self, kind: ErrorKind) -> str:
        """An error's document, with line breaks."""
        return _pretty(kind.example)

    def errors_of(self, operation: Operation) -> list[ErrorKind]:
        """What may go wrong, but for what may anywhere."""
        return [kind for kind in ERRORS.values() if kind.code in operation.codes]

    def anywhere(self) -> list[ErrorKind]:
        """What may go wrong with any request."""
        return [kind for kind in ERRORS.values() if kind.anywhere]

    def kind(self, schema: Mapping[str, Any]) -> str:
        """What a member of a document is, in words."""
        for choices in (schema.get("oneOf", ()), [schema.get("items", {})], [schema]):
            names = [choice["$ref"].rpartition("/")[2] for choice in choices if "$ref" in choice]
            if names:
                return str(names[0])
        types = schema.get("type", "object")
        words = {**_TYPES, "string": "time"} if schema.get("format") == "date-time" else _TYPES
        return " or ".join(words[name] for name in ([types] if isinstance(types, str) else types))


_TYPES: Final = {
    "string": "text", "integer": "whole number", "boolean": "true or false", "array": "list", "object": "object",
    "null": "null",
}  # fmt: skip

REFERENCE: Final = Reference()


def _pretty(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)
