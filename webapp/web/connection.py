"""How one HTTP request is served: as Quart does it, with two tasks less in the straight case.

Quart receives in one task and handles in another, so that it can cancel a handler whose client has gone. Where the
body is there at once, the handler runs in the request's own task to its end, and only a stream is watched, because it
would otherwise go on for nobody. Measured by `make bench`.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

from quart import Response
from quart.asgi import ASGIHTTPConnection
from quart.utils import encode_headers
from quart.wrappers import Request
from quart.wrappers.response import DataBody

Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]

PROMPT_BODY_S: Final = 1.0


class Connection(ASGIHTTPConnection):
    """One request and its answer; what is not straight is left to Quart."""

    async def __call__(self, receive: Receive, send: Send) -> None:
        """Receive the request, let the app handle it, send the answer."""
        received: list[Any] = []
        try:
            async with asyncio.timeout(PROMPT_BODY_S):
                received.append(await receive())
        except TimeoutError:
            await super().__call__(receive, send)
            return
        message = received[0]
        if message["type"] == "http.request" and not message.get("more_body", False):
            await self._straight(message.get("body", b""), receive, send)
        else:
            await super().__call__(_replaying(received, receive), send)

    async def _straight(self, body: bytes, receive: Receive, send: Send) -> None:
        request: Request = self._create_request_from_scope(send)
        request.body.append(body)
        request.body.set_complete()
        request.body_timeout = None  # nothing to wait for, and Quart would spend a task on the watch
        response = await self.app.handle_request(request)
        if isinstance(response, Response) and isinstance(response.response, DataBody):
            await _send_whole(response, send)
        else:
            await _until_first(self._send_response(send, response), _until_gone(receive))


async def _send_whole(response: Response, send: Send) -> None:
    headers = encode_headers(response.headers)
    await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
    await send({"type": "http.response.body", "body": await response.get_data(as_text=False)})


async def _until_first(*works: Awaitable[None]) -> None:
    """Do both until one is done; the other is cancelled. Raises what the first one raised."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _replaying(received: list[Any], receive: Receive) -> Receive:
    """What was received already, then the rest."""

    async def replay() -> Any:
        return received.pop(0) if received else await receive()

    return replay
