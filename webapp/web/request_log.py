"""The log: JSON lines. Those of requests are written in batches, off the path of the requests.

A request's line holds id, method, route, status and time, and nothing that a person sent.
"""

import asyncio
import json
import logging
import time
from collections import deque
from datetime import UTC, datetime
from typing import Final, TextIO

FLUSH_EVERY_S: Final = 0.5
LINES_MAX: Final = 100_000


class JsonFormatter(logging.Formatter):
    """A record of the standard library's logging as one JSON line, a traceback included."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        line = {
            "time": _utc(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line)


def log_to(stream: TextIO) -> None:
    """Send everything that is logged to a stream, a JSON line each."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)


class RequestLog:
    """Collects lines in memory; `run` writes them to a stream until cancelled, `flush` writes them at once.

    The standard library's QueueHandler would take a lock and a record per request; this appends a tuple.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._noted: deque[tuple[float, str, str, str | None, int, float]] = deque(maxlen=LINES_MAX)
        self._dropped = 0

    def note(self, request_id: str, method: str, route: str | None, status: int, seconds: float) -> None:
        """Remember an answered request; `status` is 0 where the client left before its answer."""
        self._dropped += len(self._noted) == LINES_MAX
        self._noted.append((time.time(), request_id, method, route, status, seconds))

    async def run(self) -> None:
        """Write what was noted, twice a second."""
        while True:
            await asyncio.sleep(FLUSH_EVERY_S)
            if self._noted:
                await asyncio.to_thread(self.flush)

    def flush(self) -> None:
        """Write what was noted. Where the stream takes nothing, for want of room, the lines are dropped."""
        lines = []
        while self._noted:
            at, request_id, method, route, status, seconds = self._noted.popleft()
            lines.append(
                f'{{"time": "{_utc(at)}", "request_id": "{request_id}", "method": {json.dumps(method)}, '
                f'"route": {json.dumps(route)}, "status": {status}, "ms": {seconds * 1_000:.1f}}}\n'
            )
        if self._dropped:
            lines.append(json.dumps({"warning": f"{self._dropped} lines were dropped, for want of room"}) + "\n")
            self._dropped = 0
        try:
            self._stream.write("".join(lines))
            self._stream.flush()
        except OSError:
            self._dropped += len(lines)


def _utc(timestamp: float) -> str:
    return datetime.fromtimestamp(timestamp, UTC).isoformat(timespec="milliseconds")
