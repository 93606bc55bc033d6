"""The files below `static/`: read and compressed at the start, served from memory, and kept by browsers for good."""

import mimetypes
from pathlib import Path
from typing import Final, NamedTuple

from quart import Blueprint, Response, request
from werkzeug.exceptions import NotFound, RequestedRangeNotSatisfiable

from webapp.paths import STATIC
from webapp.web.compression import Content, answered

assets = Blueprint("assets", __name__)

MEDIA_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}
"""Not left to what the machine knows of file names, where the browser runs nothing of another type."""


class Asset(NamedTuple):
    """A file as it was at the start."""

    content: Content
    media_type: str

    @property
    def version(self) -> str:
        """Ten hexadecimal digits that change with the content."""
        return self.content.tag[:10]


def _read(path: Path) -> Asset:
    asset = Asset(
        Content(path.read_bytes()),
        MEDIA_TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream",
    )
    _ = asset.content.gzipped  # now, and not while somebody waits for it
    return asset


ASSETS: Final = {path.relative_to(STATIC).as_posix(): _read(path) for path in STATIC.rglob("*") if path.is_file()}
"""Every file, by its name below `static/`. No other name leads to the file system."""


def asset(name: str) -> str:
    """The address of a file below `static/`, which changes with its content, so that browsers may keep it for good.

    Raises KeyError where there is no such file.
    """
    return f"/static/{name}?v={ASSETS[name].version}"


@assets.get("/static/<path:name>")
async def serve_asset(name: str) -> Response:
    """A file; kept for good where the address names its version, else asked for again every time."""
    if name not in ASSETS:
        raise NotFound
    answer = _served(ASSETS[name])
    is_this_version = request.args.get("v") == ASSETS[name].version
    answer.headers["Cache-Control"] = "public, max-age=31536000, immutable" if is_this_version else "no-cache"
    return answer


@assets.get("/robots.txt")
async def robots() -> Response:
    """What search engines should leave alone: what is personal, what is for organisers, and what is for programs."""
    answer = _served(ASSETS["robots.txt"])
    answer.headers["Cache-Control"] = "no-cache"
    return answer


def _served(found: Asset) -> Response:
    """A file in the form that the client takes, or the part of it that he asks for.

    Parts are cut out of the uncompressed form, as their askers mean them. Who asks for several at once gets all of it,
    which RFC 9110, 14.2 allows. Raises RequestedRangeNotSatisfiable.
    """
    content, media_type = found
    wanted, condition = request.range, request.if_range
    if wanted is None or wanted.units != "bytes" or len(wanted.ranges) != 1:
        return answered(content, media_type)
    answer = answered(content, media_type, whole=True)
    if "If-Range" in request.headers and condition.etag != content.tag:
        return answer
    part = wanted.range_for_length(len(content.body))
    if part is None:
        raise RequestedRangeNotSatisfiable(len(content.body))
    answer.set_data(content.body[slice(*part)])
    answer.status_code = 206
    answer.content_range.set(*part, len(content.body))
    return answer
