"""The OpenAPI description, as a test holds answers against it."""

from collections.abc import Iterator
from typing import Any

from jsonschema_rs import Draft202012Validator

Json = dict[str, Any]


def closed(schema: Any) -> Any:
    """A schema in which no object may have members that are not described, so that none goes unnoticed."""
    if isinstance(schema, list):
        return [closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {name: closed(value) for name, value in schema.items()}
    if isinstance(schema.get("properties"), dict) and schema.get("type") == "object":
        inner.setdefault("unevaluatedProperties", False)
    return inner


def validator(document: Json, schema: Json) -> Draft202012Validator:
    """What judges values by one schema of the document, with every object closed, and formats looked at.

    The plain problem is left open, since each code adds members to it.
    """
    schemas = {
        name: found if name == "Problem" else closed(found) for name, found in document["components"]["schemas"].items()
    }
    whole = {**closed(schema), "components": {**document["components"], "schemas": schemas}}
    return Draft202012Validator(whole, validate_formats=True)


def complaints(document: Json, schema: Json, value: object) -> list[str]:
    """What is wrong with a value."""
    return [str(error) for error in validator(document, schema).iter_errors(value)]


def response(document: Json, operation: Json, status: int) -> Json:
    """How an operation describes its answers of a status, whatever they hold."""
    found: Json = operation["responses"].get(str(status)) or operation["responses"]["default"]
    return found


def operations(document: Json) -> Iterator[tuple[str, str, Json]]:
    """Every operation: method, path, and what is said of it."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation
