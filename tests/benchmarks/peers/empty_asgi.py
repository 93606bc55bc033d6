"""A server that answers two bytes without any framework, on plain uvicorn: the most that ASGI can do in Python."""

import sys
from collections.abc import Awaitable, Callable
from typing import Any

import uvicorn

HEADERS = [(b"content-type", b"application/json"), (b"content-length", b"2")]


async def empty(
    _scope: dict[str, Any], _receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]
) -> None:
    """Two bytes of JSON, whatever is asked."""
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": b"{}"})


if __name__ == "__main__":
    port = int(sys.argv[1])
    uvicorn.run(empty, host="127.0.0.1", port=port, lifespan="off", access_log=False, log_level="warning")
