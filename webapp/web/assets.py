"""The files below `static/`: listed at the start, served as they are, and kept by browsers for good."""

import hashlib
from typing import Final

from quart import Blueprint, Response, request, send_file
from werkzeug.exceptions import NotFound

from webapp.paths import STATIC

assets = Blueprint("assets", __name__)

VERSIONS: Final = {
    path.relative_to(STATIC).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()[:10]
    for path in STATIC.rglob("*")
    if path.is_file()
}
"""The version of every file, by its name below `static/`. No other name leads to the file system."""


def asset(name: str) -> str:
    """The address of a file below `static/`, which changes with its content, so that browsers may keep it for good.

    Raises KeyError where there is no such file.
    """
    return f"/static/{name}?v={VERSIONS[name]}"


@assets.get("/static/<path:name>")
async def serve_asset(name: str) -> Response:
    """A file; kept for good where the address names its version, else asked for again every time."""
    if name not in VERSIONS:
        raise NotFound
    answer = await send_file(STATIC / name, conditional=True)
    is_this_version = request.args.get("v") == VERSIONS[name]
    answer.headers["Cache-Control"] = "public, max-age=31536000, immutable" if is_this_version else "no-cache"
    return answer
