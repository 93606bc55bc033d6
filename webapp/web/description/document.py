"""The OpenAPI 3.1 document, made from the tables of operations, documents, errors and fields.

Source: https://spec.openapis.org/oas/v3.1.0
"""

import hashlib
import json
from collections import defaultdict
from functools import cache
from typing import Any, Final

from webapp import __version__
from webapp.web.description.errors import ERRORS, ErrorKind
from webapp.web.description.events import EVENTS, FOLLOWING
from webapp.web.description.operations import Answer, Body, Group, Operation, Who
from webapp.web.description.orders import DOOR, ORDERS
from webapp.web.description.originals import ORIGINALS, SERVER
from webapp.web.description.schemas import DOCUMENTS, FIELD_PROBLEM, PROBLEM, ref
from webapp.web.fields import IF_MATCH
from webapp.web.parsing import Field

GROUPS: Final = (EVENTS, ORDERS, DOOR, FOLLOWING, ORIGINALS, SERVER)
"""Every JSON route, in the order in which they are read."""

PROBLEM_JSON: Final = "application/problem+json"

Json = dict[str, Any]

ABOUT: Final = """\
Events that fill up: whoever comes first gets a ticket, whoever comes later a place on the waiting list, and nobody \
can jump it. `/docs` tells the same as this document, with an introduction.

Times are RFC 3339, in any offset where they go in, in UTC where they come out. Members that are unknown are ignored, \
and should be: later versions may add some. Every error is `application/problem+json` (RFC 9457), with a stable \
`code`; where `Accept` prefers HTML, it is a page instead."""

SECURITY_SCHEMES: Final[Json] = {
    "basic": {"type": "http", "scheme": "basic", "description": "The organiser's user name and password."},
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "A token from `POST /auth/token`.",
    },
    "orderKey": {
        "type": "apiKey",
        "in": "header",
        "name": "Order-Key",
        "description": "The key of an order, which whoever booked got along with it.",
    },
}

SECURITY: Final[dict[Who, list[dict[str, list[str]]]]] = {
    "anyone": [],
    "anyone_or_organiser": [{}, {"basic": []}, {"bearer": []}],
    "organiser": [{"basic": []}, {"bearer": []}],
    "password": [{"basic": []}],
    "guest": [{"orderKey": []}, {"basic": []}, {"bearer": []}],
}

HEADERS: Final[Json] = {
    "ETag": ("What the answer is known by, for `If-None-Match` and `If-Match`.", '"2-91-9f2c51d0a7be-o"'),
    "Location": ("The path of what was made.", "/api/v1/orders/a1b2c3d4e5f60718293a"),
    "Link": (
        'The next page, with `rel="next"` (RFC 8288); missing at the end.',
        '</api/v1/events?cursor=WzFd>; rel="next"',
    ),
    "Idempotent-Replayed": ("`true` where the request was answered before under its Idempotency-Key.", "true"),
    "RateLimit": ("How many bookings are left, and in how many seconds there will be more.", '"booking";r=299;t=1'),
    "RateLimit-Policy": ("How many bookings an address may send in so many seconds.", '"booking";q=300;w=60'),
    "Retry-After": ("In how many seconds to try again.", "5"),
    "WWW-Authenticate": ("How to sign in; one line for each way.", 'Basic realm="Fairlist", charset="UTF-8"'),
    "Allow": ("The methods that the address takes.", "GET, HEAD, OPTIONS"),
    "Content-Disposition": ("The name of the file.", 'attachment; filename="summer-night-guests.csv"'),
}


@cache
def document() -> Json:
    """The whole document, but for `servers`."""
    paths: defaultdict[str, Json] = defaultdict(dict)
    for group in GROUPS:
        for operation in group.operations:
            paths[operation.path][operation.method.lower()] = _operation(operation, group)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Fairlist",
            "version": __version__,
            "summary": "Booking places at events that fill up.",
            "description": ABOUT,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "tags": [{"name": group.title, "description": group.description} for group in GROUPS],
        "paths": dict(paths),
        "components": {
            "schemas": {
                **DOCUMENTS,
                "Problem": PROBLEM,
                "FieldProblem": FIELD_PROBLEM,
                **{kind.schema_name: _problem_schema(kind) for kind in ERRORS.values()},
            },
            "headers": {name: _header(*facts) for name, facts in HEADERS.items()},
            "examples": {kind.code: {"summary": kind.meaning, "value": kind.example} for kind in ERRORS.values()},
            "securitySchemes": SECURITY_SCHEMES,
        },
    }


def document_for(origin: str) -> tuple[bytes, str]:
    """The document of a server that is reached at an origin such as `https://tickets.example.org`, and its ETag."""
    head, rest, digest = _rendered()
    servers = json.dumps([{"url": origin}]).encode()
    tag = hashlib.sha256(digest + servers).hexdigest()[:16]
    return b'%s,"servers":%s,%s' % (head, servers, rest), tag


@cache
def _rendered() -> tuple[bytes, bytes, bytes]:
    """The document before and behind its servers, and a digest of both."""
    whole = document()
    parts = [
        _json({name: value for name, value in whole.items() if (name in {"openapi", "info"}) is is_head})
        for is_head in (True, False)
    ]
    return parts[0][:-1], parts[1][1:], hashlib.sha256(b"".join(parts)).digest()


def _json(value: Json) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _operation(operation: Operation, group: Group) -> Json:
    found: Json = {
        "tags": [group.title],
        "operationId": operation.id,
        "summary": operation.summary,
        **({"description": operation.description} if operation.description else {}),
        "security": SECURITY[operation.who],
        "responses": _responses(operation),
    }
    parameters = [
        *(
            {
                "name": part.name,
                "in": "path",
                "required": True,
                "description": part.description,
                "schema": part.schema,
                "example": part.example,
            }
            for part in operation.path_parts
        ),
        *map(_parameter, (*operation.query, *operation.headers)),
    ]
    if parameters:
        found["parameters"] = parameters
    if operation.body:
        found["requestBody"] = _request_body(operation.body)
    return found


def _parameter(field: Field[Any]) -> Json:
    return {
        "name": field.name,
        "in": field.place,
        "required": field is IF_MATCH,
        "description": field.description,
        "schema": field.schema,
        "example": field.example,
        **({"allowEmptyValue": True} if field.place == "query" else {}),
    }


def _request_body(body: Body) -> Json:
    fields = (*body.required, *body.optional)
    schema: Json = {
        "type": "object",
        "properties": {
            field.name: {"description": field.description, **field.schema, "examples": [field.example]}
            for field in fields
        },
    }
    if body.required:
        schema["required"] = [field.name for field in body.required]
    if body.instead:
        field, without = body.instead
        # Said so, since generators of clients make nothing of the whole body where it has an anyOf.
        schema["if"] = {"required": [without.name]}
        schema["else"] = {"required": [field.name], "properties": {field.name: {"pattern": r"\S"}}}
    return {
        "required": not body.may_be_missing,
        "content": {"application/json": {"schema": schema, "example": dict(body.shown)}},
    }


def _responses(operation: Operation) -> Json:
    """By status: the answers, then the errors that may come of this operation, and of any request."""
    responses: Json = {}
    for answer in operation.answers:
        response = responses.setdefault(str(answer.status), {"description": answer.description})
        if answer.headers:
            response.setdefault("headers", {}).update(_headers(answer.headers))
        if answer.example is not None:
            response.setdefault("content", {})[answer.media_type] = _content(answer)
    by_status: defaultdict[int, list[ErrorKind]] = defaultdict(list)
    for kind in ERRORS.values():
        if kind.code in operation.codes:
            by_status[kind.status].append(kind)
    for status, kinds in by_status.items():
        responses[str(status)] = _problems(kinds)
    responses["default"] = {
        "description": "What may come of any request.",
        "content": {PROBLEM_JSON: {"schema": ref("Problem")}},
    }
    return responses


def _content(answer: Answer) -> Json:
    if answer.media_type == "application/json":
        assert answer.schema is not None, "every JSON document has a schema"
        return {"schema": ref(answer.schema), "example": answer.example}
    text: Json = {"type": "string"}
    return {"schema": {"anyOf": [text, _message(answer.schema)]} if answer.schema else text, "example": answer.example}


def _message(schema_name: str) -> Json:
    """What each message of a stream holds.

    OpenAPI 3.1 knows no streams, and takes their schema for that of one long text, as makers of clients do. Tools that
    take a stream apart, as 3.2 does, take it for that of each message.
    """
    data = {"type": "string", "contentMediaType": "application/json", "contentSchema": ref(schema_name)}
    return {
        "description": "Each of its messages, for tools that tell them apart.",
        "type": "object",
        "required": ["event", "id", "data"],
        "properties": {"event": {"type": "string"}, "id": {"type": "string", "pattern": "^[0-9]+$"}, "data": data},
    }


def _problems(kinds: list[ErrorKind]) -> Json:
    schemas = [ref(kind.schema_name) for kind in kinds]
    headers = tuple(dict.fromkeys(name for kind in kinds for name in kind.headers))
    return {
        "description": " ".join(f"`{kind.code}`: {kind.meaning}" for kind in kinds),
        **({"headers": _headers(headers)} if headers else {}),
        "content": {
            PROBLEM_JSON: {
                "schema": schemas[0] if len(schemas) == 1 else {"oneOf": schemas},
                "examples": {kind.code: {"$ref": f"#/components/examples/{kind.code}"} for kind in kinds},
            }
        },
    }


def _problem_schema(kind: ErrorKind) -> Json:
    members = {name: {"description": fact.description, **fact.schema} for name, fact in kind.members.items()}
    members |= {"status": {"const": kind.status}, "code": {"const": kind.code}}
    return {
        "description": kind.meaning,
        "allOf": [ref("Problem")],
        "type": "object",
        "required": list(members),
        "properties": members,
    }


def _headers(names: tuple[str, ...]) -> Json:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _header(description: str, example: str) -> Json:
    return {"description": description, "schema": {"type": "string"}, "example": example}
