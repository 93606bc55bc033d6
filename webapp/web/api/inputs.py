"""What a request of the API says besides its path: headers, and bodies that may be left out."""

from typing import Any, TypeVar

from quart import request

from webapp.web import parsing
from webapp.web.contract import body
from webapp.web.parsing import Field

T = TypeVar("T")


def header(field: Field[T]) -> T:
    """The typed value of a header, or what stands for it where it is missing. Raises InvalidInput."""
    lines = request.headers.getlist(field.name)
    (value,) = parsing.parse_texts((field,), {field.name: ", ".join(lines)} if lines else {})
    return value


async def optional_body() -> dict[str, Any]:
    """The request's body, a JSON object; an empty one where there is no body at all.

    Raises InvalidInput, RequestEntityTooLarge, RequestTimeout.
    """
    return await body() if await request.get_data() else {}
