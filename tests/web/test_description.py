"""The description of the API: valid, complete, and true; and the page that is made of it."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any, cast, get_args

import pytest
from jsonschema_rs import Draft202012Validator, meta
from openapi_python_client.schema import OpenAPI
from quart.typing import TestClientProtocol as Browser
from schemathesis.specs.openapi.definitions import OPENAPI_31
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound, PreconditionRequired, RequestTimeout
from werkzeug.exceptions import RequestEntityTooLarge as TooLarge

import webapp
from tests.openapi import Json, closed, complaints, operations, validator
from tests.web.pages import app_over, words
from webapp.booking.answers import Refusal
from webapp.box_office import BoxOffice
from webapp.desk import Unavailable
from webapp.web.asking import NotAuthenticated
from webapp.web.auth import UNNAMED
from webapp.web.description import examples
from webapp.web.description.document import GROUPS, document, document_for
from webapp.web.description.errors import ERRORS
from webapp.web.description.operations import Body, Operation
from webapp.web.guard import CrossOrigin
from webapp.web.limiter import TooManyAttempts
from webapp.web.parsing import InvalidInput, json_object, parse_some
from webapp.web.problems import REFUSAL_STATUS, problem_of

OPERATIONS = [operation for group in GROUPS for operation in group.operations]
DOCUMENT = cast(Json, json.loads(document_for("https://tickets.example.org")[0]))


@pytest.fixture
def browser(box_office: BoxOffice) -> Browser:
    return app_over(box_office).test_client()


def schemas_of(value: object) -> Iterator[Json]:
    """Every schema that stands in the document."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if name == "schema":
                yield inner
            elif name == "schemas":
                yield from inner.values()
            yield from schemas_of(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from schemas_of(inner)


def references(value: object) -> Iterator[str]:
    """Whatever the document refers to in itself."""
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for inner in value.values():
            yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


def found_at(reference: str) -> object:
    """What a reference stands for."""
    found: Any = DOCUMENT
    for name in reference.removeprefix("#/").split("/"):
        found = found[name]
    return found


# The document


def test_the_document_is_openapi_3_1() -> None:
    assert [str(error) for error in Draft202012Validator(OPENAPI_31).iter_errors(DOCUMENT)] == []
    assert DOCUMENT["openapi"] == "3.1.0"
    assert DOCUMENT["info"]["version"] == webapp.__version__


def test_every_schema_in_it_is_json_schema() -> None:
    schemas = list(schemas_of(DOCUMENT))

    assert len(schemas) > 100
    assert [schema for schema in schemas if not meta.is_valid({"$schema": DIALECT, **schema})] == []


DIALECT = "https://json-schema.org/draft/2020-12/schema"


def test_programs_that_make_clients_understand_it() -> None:
    understood = OpenAPI.model_validate(DOCUMENT)

    assert len(understood.paths) == len(DOCUMENT["paths"])


def test_a_document_that_is_not_valid_would_be_noticed() -> None:
    broken = json.loads(json.dumps(DOCUMENT))
    del broken["paths"]["/book"]["post"]["responses"]["200"]["description"]

    assert list(Draft202012Validator(OPENAPI_31).iter_errors(broken))
    assert not meta.is_valid({"$schema": DIALECT, "type": "text"})


def test_every_reference_leads_to_something_and_everything_is_referred_to() -> None:
    used = set(references(DOCUMENT))
    there = {
        f"#/components/{kind}/{name}"
        for kind, components in DOCUMENT["components"].items()
        if kind != "securitySchemes"
        for name in components
    }
    for reference in used:
        assert found_at(reference)
    anywhere = {kind.code for kind in ERRORS.values() if kind.anywhere}
    unused = {f"#/components/examples/{code}" for code in anywhere} | {
        f"#/components/schemas/{ERRORS[code].schema_name}" for code in anywhere
    }
    assert there - used == unused | {"#/components/headers/Allow"}


def test_every_operation_has_an_id_of_its_own() -> None:
    ids = [operation["operationId"] for _, _, operation in operations(DOCUMENT)]

    assert [name for name, times in Counter(ids).items() if times > 1] == []
    assert len(ids) == len(OPERATIONS)


# Its examples


def contents(holder: Json) -> Iterator[tuple[Json, object]]:
    """The schemas of a body's media types, each with each of its examples."""
    for content in holder.get("content", {}).values():
        if "example" in content:
            yield content["schema"], content["example"]
        for example in content.get("examples", {}).values():
            yield content["schema"], cast(Json, found_at(example["$ref"]))["value"]


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.id)
def test_every_example_is_what_its_schema_says_and_holds_nothing_else(operation: Operation) -> None:
    described = DOCUMENT["paths"][operation.path][operation.method.lower()]
    shown = 0
    for parameter in described.get("parameters", []):
        assert complaints(DOCUMENT, parameter["schema"], parameter["example"]) == []
    for schema, example in contents(described.get("requestBody", {})):
        assert complaints(DOCUMENT, schema, example) == []
    for response in described["responses"].values():
        for schema, example in contents(response):
            shown += 1
            assert complaints(DOCUMENT, schema, example) == []
    assert shown or operation.answers[0].status == 204


@pytest.mark.parametrize("operation", [o for o in OPERATIONS if o.body], ids=lambda operation: operation.id)
def test_every_request_that_is_shown_would_be_taken(operation: Operation) -> None:
    body = cast(Body, operation.body)
    given = json_object(json.dumps(dict(body.shown)).encode(), "application/json")

    values = parse_some(body.required, body.optional, given)
    assert set(values) == set(body.shown)


@pytest.mark.parametrize("header", DOCUMENT["components"]["headers"])
def test_every_header_has_an_example(header: str) -> None:
    described = DOCUMENT["components"]["headers"][header]

    assert described["description"].endswith(".")
    assert complaints(DOCUMENT, described["schema"], described["example"]) == []


def test_an_example_with_a_member_that_nobody_described_would_be_noticed() -> None:
    for name, example in (("Event", examples.EVENT), ("OrderWithHistory", examples.ORDER_WITH_HISTORY)):
        schema = {"$ref": f"#/components/schemas/{name}"}
        assert complaints(DOCUMENT, schema, example) == []
        assert complaints(DOCUMENT, schema, {**example, "surprise": 1})
        assert complaints(DOCUMENT, schema, {key: value for key, value in example.items() if key != "eventId"})
    nested = {**examples.EVENT, "policy": {**cast(Json, examples.EVENT["policy"]), "surprise": 1}}
    assert complaints(DOCUMENT, {"$ref": "#/components/schemas/Event"}, nested)
    exists = {**ERRORS["event_exists"].example, "surprise": 1}
    assert complaints(DOCUMENT, {"$ref": "#/components/schemas/EventExistsProblem"}, exists)


def test_documents_may_grow_in_later_versions_but_those_of_the_original_routes_not() -> None:
    schemas = DOCUMENT["components"]["schemas"]
    originals = {"Initialized", "Assignment", "Reassignment", "Status", "Token", "Health", "Readiness"}

    assert {name for name, schema in schemas.items() if schema.get("additionalProperties") is False} == originals
    assert closed(schemas["Event"])["unevaluatedProperties"] is False
    assert validator(DOCUMENT, schemas["Event"]).is_valid(examples.EVENT)


def test_a_message_of_a_stream_holds_the_counts() -> None:
    (data,) = re.findall(r"^data: (.*)$", examples.STREAM, re.MULTILINE)

    assert complaints(DOCUMENT, {"$ref": "#/components/schemas/Counts"}, json.loads(data)) == []
    assert json.loads(data) == examples.COUNTS


def test_a_stream_is_described_both_as_one_text_and_message_by_message() -> None:
    described = DOCUMENT["paths"]["/api/v1/events/{slug}/stream"]["get"]["responses"]["200"]
    schema = described["content"]["text/event-stream"]["schema"]
    message = dict(line.split(": ", 1) for line in examples.STREAM.splitlines() if re.match("event|id|data", line))

    assert complaints(DOCUMENT, schema, examples.STREAM) == complaints(DOCUMENT, schema, message) == []
    assert complaints(DOCUMENT, schema, {**message, "id": "first"})


def test_the_ledger_that_is_shown_holds() -> None:
    from webapp.booking.ledger import GENESIS, Entry, seal

    sealed = GENESIS
    for entry in cast(list[Json], examples.LEDGER["items"]):
        at = examples.microseconds(entry["at"])
        facts = {**entry, "at": at, "hash": b"", "guest": None, "salt": None}
        sealed = seal(sealed, str(examples.LEDGER["eventId"]), Entry(**facts)[:7])
        assert sealed.hex() == entry["hash"]


# The errors


def test_every_refusal_of_the_rules_is_described_with_its_status() -> None:
    assert {code: ERRORS[code].status for code in REFUSAL_STATUS} == REFUSAL_STATUS
    for code in set(REFUSAL_STATUS) - {"order_not_found"}:
        assert problem_of(Refusal(code, "")).status == ERRORS[code].status


OTHERS: list[BaseException] = [
    *(InvalidInput(code, "", status=ERRORS[code].status) for code in ("invalid_json", "invalid_input")),
    InvalidInput("unsupported_media_type", "", status=415),
    *(Unavailable(code, "") for code in get_args(Unavailable.Code)),
    NotAuthenticated(UNNAMED),
    TooManyAttempts(6),
    CrossOrigin(),
    NotFound(),
    MethodNotAllowed(["GET"]),
    RequestTimeout(),
    TooLarge(),
    PreconditionRequired(),
    ValueError("a mistake"),
]
BEFORE_THE_APP = {"bad_request", "address_too_long", "head_too_long"}


@pytest.mark.parametrize("error", OTHERS, ids=lambda error: type(error).__name__ + getattr(error, "code", "").__str__())
def test_every_other_error_is_described_with_its_status(error: BaseException) -> None:
    problem = problem_of(error)

    assert ERRORS[problem.code].status == problem.status
    assert {name for name, _ in problem.headers} <= set(ERRORS[problem.code].headers)
    assert not isinstance(error, HTTPException) or error.code == problem.status


def test_no_error_is_described_that_nothing_raises() -> None:
    raised = set(REFUSAL_STATUS) | {problem_of(error).code for error in OTHERS} | BEFORE_THE_APP

    assert set(ERRORS) == raised


def test_every_error_stands_with_a_route_or_with_all() -> None:
    at_routes = {code for operation in OPERATIONS for code in operation.codes}
    anywhere = {kind.code for kind in ERRORS.values() if kind.anywhere}

    assert at_routes | anywhere == set(ERRORS)
    assert at_routes & anywhere == set()


@pytest.mark.parametrize("code", ERRORS)
def test_every_error_is_shown_as_it_is_answered(code: str) -> None:
    kind = ERRORS[code]
    schema = {"$ref": f"#/components/schemas/{kind.schema_name}"}

    assert complaints(DOCUMENT, schema, kind.example) == []
    assert complaints(DOCUMENT, schema, {**kind.example, "code": "another"})
    assert kind.meaning.endswith(".")


# The routes


def routes(box_office: BoxOffice) -> set[str]:
    """Every route of the app that is no page and no file, with {} for what varies."""
    found = set()
    for rule in app_over(box_office).url_map.iter_rules():
        path = re.sub(r"<[^>]+>", "{}", rule.rule)
        if path not in {"/", "/docs", "/robots.txt"} and not re.match(r"/(ui|static)(/|$)", path):
            found |= {f"{method} {path}" for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}}
    return found


def test_every_json_route_is_described_and_nothing_else(box_office: BoxOffice) -> None:
    described = {f"{operation.method} {re.sub(r'{[^}]+}', '{}', operation.path)}" for operation in OPERATIONS}

    assert described == routes(box_office)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.id)
def test_every_part_of_a_path_is_described(operation: Operation) -> None:
    assert re.findall(r"{([^}]+)}", operation.path) == [part.name for part in operation.path_parts]


# How it is served


async def test_the_document_names_the_server_that_was_asked(browser: Browser) -> None:
    answer = await browser.get("/openapi.json", headers={"Host": "localhost:3000"})

    assert (answer.status_code, answer.content_type) == (200, "application/json")
    assert (await answer.get_json())["servers"] == [{"url": "http://localhost:3000"}]
    assert {**(await answer.get_json()), "servers": None} == {**json.loads(json.dumps(document())), "servers": None}


async def test_the_document_names_the_address_that_people_use(box_office: BoxOffice) -> None:
    browser = app_over(box_office, PUBLIC_URL="https://tickets.example.org").test_client()
    for page in ("/openapi.json", "/docs"):
        answer = await (await browser.get(page)).get_data(as_text=True)
        assert "https://tickets.example.org" in answer
        assert "localhost" not in answer


@pytest.mark.parametrize("page", ["/openapi.json", "/docs"])
async def test_what_has_not_changed_is_not_sent_again(browser: Browser, page: str) -> None:
    first = await browser.get(page)
    again = await browser.get(page, headers={"If-None-Match": first.headers["ETag"]})
    elsewhere = await browser.get(page, headers={"Host": "other", "If-None-Match": first.headers["ETag"]})

    assert first.headers["Cache-Control"] == again.headers["Cache-Control"] == "no-cache"
    assert (again.status_code, await again.get_data()) == (304, b"")
    assert again.headers["ETag"] == first.headers["ETag"] != elsewhere.headers["ETag"]
    assert elsewhere.status_code == 200


# The page


async def page(browser: Browser) -> str:
    return await (await browser.get("/docs")).get_data(as_text=True)


async def test_the_page_tells_of_every_route_and_every_error(browser: Browser) -> None:
    answer = await browser.get("/docs")
    said = await words(answer)

    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-cache")
    for operation in OPERATIONS:
        assert f"{operation.summary} {operation.method} {operation.path}" in said
    for kind in ERRORS.values():
        assert f"{kind.status} {kind.code}" in said


async def test_every_link_within_the_page_leads_somewhere(browser: Browser) -> None:
    markup = await page(browser)
    ids = re.findall(r'\bid="([^"]+)"', markup)

    assert [name for name, times in Counter(ids).items() if times > 1] == []
    assert set(re.findall(r'href="#([^"]+)"', markup)) <= set(ids)
    assert set(re.findall(r'aria-labelledby="([^"]+)"', markup)) <= set(ids)


async def test_the_page_needs_no_script_and_nothing_from_elsewhere(browser: Browser) -> None:
    markup = await page(browser)
    loaded = re.findall(r'<(?:link|img|script|use|iframe)\b[^>]*(?:href|src)="([^"]+)"', markup)

    assert "<script" not in markup
    assert loaded
    assert all(address.startswith("/static/") for address in loaded)


async def test_no_markup_and_no_backtick_is_left_in_the_words_of_the_page(browser: Browser) -> None:
    said = await words(await browser.get("/docs"))

    assert "`" not in said
    assert not re.search(r"&(lt|gt|amp|#\d+);", said)
    assert not re.search(r"[a-z]\.[A-Z][a-z]", re.sub(r"\b(Once|datetime)\.\w+", "", said))


async def test_every_page_leads_to_the_reference(browser: Browser) -> None:
    assert '<a href="/docs">' in await (await browser.get("/ui")).get_data(as_text=True)
    assert (await browser.get("/docs/")).status_code in {200, 308}
