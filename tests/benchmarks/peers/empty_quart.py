"""A server with one empty Quart route and nothing else, on plain uvicorn: what most rows are measured against."""

import sys

import uvicorn
from quart import Quart, Response

empty = Quart(__name__)


@empty.route("/empty", methods=["GET", "POST"])
async def answer() -> Response:
    """Two bytes of JSON, whatever is asked."""
    return Response("{}", content_type="application/json")


if __name__ == "__main__":
    uvicorn.run(empty, host="127.0.0.1", port=int(sys.argv[1]), access_log=False, log_level="warning")
