"""Lists that are read page by page."""

from urllib.parse import urlencode

from quart import Response, request

from webapp.web.api.documents import Document
from webapp.web.contract import answer


def listed(items: list[Document], after: str | int | None, parameter: str = "cursor", **more: object) -> Response:
    """A page of a list, and where the next one is: the value of a `parameter` of the query, and a Link (RFC 8288)."""
    found = answer({**more, "items": items, "next": after})
    if after is not None:
        query = urlencode({**request.args.to_dict(), parameter: after})
        found.headers["Link"] = f'<{request.path}?{query}>; rel="next"'
    return found
