"""How one HTTP request is served: as Quart does it, with two tasks less in the straight case.

Quart receives in one task and handles in another, so that it can cancel a handler whose client has gone. Where the
body is there at once, the handler runs in the request's own task to its end, and only a long or live answer is watched,
because it would otherwise go on for nobody. Measured by `make bench`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from quart import Response
from quart.asgi import ASGIHTTPConnection
from quart.utils import encode_headers
from quart.wrappers import Request
from quart.wrappers.response import DataBody

from webapp.web.parsing import BODY_BYTES_MAX

Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]


class LiveAnswer(Response):
    """An answer that `listen` sends as long as there is something to hear, and as the client has not `gone`."""

    def __init__(self, listen: Callable[[Send, asyncio.Future[None]], Awaitable[None]]) -> None:
        super().__init__()
        self.timeout = None
        self.listen = listen


class Connection(ASGIHTTPConnection):
    """One request and its answer; what is not straight is left to Quart."""

    async def __call__(self, receive: Receive, send: Send) -> None:
        """Receive the request, let the app handle it, send the answer."""
        if _announces_too_much(self.scope["headers"]):
            await super().__call__(receive, send)  # which refuses it without waiting for it
            return
        message = await receive()
        if message["type"] == "http.request" and not message.get("more_body", False):
            await self._straight(message.get("body", b""), receive, send)
        else:
            await super().__call__(_replaying([message], receive), send)

    async def _straight(self, body: bytes, receive: Receive, send: Send) -> None:
        request: Request = self._create_request_from_scope(send)
        request.body.append(body)
        request.body.set_complete()
        request.body_timeout = None  # nothing to wait for, and Quart would spend a task on the watch
        response = await self.app.handle_request(request)
        del request  # which nobody needs any more, however long the answer goes on
        if isinstance(response, LiveAnswer):
            gone = asyncio.ensure_future(_until_gone(receive))
            try:
                await _send_live(response, gone, send)
            finally:
                gone.cancel()
        elif isinstance(response, Response) and isinstance(response.response, DataBody):
            await _send_whole(response, response.response, send)
        else:
            await _until_first(self._send_response(send, response), _until_gone(receive))

    async def _send_response(self, send: Send, response: Any) -> None:
        if isinstance(response, LiveAnswer):  # Quart sees itself whether the client has gone
            await _send_live(response, asyncio.get_running_loop().create_future(), send)
        else:
            await super()._send_response(send, response)


def _announces_too_much(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    return any(name == b"content-length" and int(value) > BODY_BYTES_MAX for name, value in headers)


async def _send_whole(response: Response, body: DataBody, send: Send) -> None:
    headers = encode_headers(response.headers)
    await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
    await send({"type": "http.response.body", "body": body.data[body.begin : body.end]})


async def _send_live(response: LiveAnswer, gone: asyncio.Future[None], send: Send) -> None:
    headers = encode_headers(response.headers)
    await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
    await response.listen(send, gone)
    await send({"type": "http.response.body", "body": b"", "more_body": False})


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
