"""The log: JSON lines, collected in memory and written by a thread of their own.

Whoever reads them slowly, or never, delays nobody. A request's line holds id, method, route, status and time, and
nothing that a person sent.
"""

import json
import logging
import os
import threading
import time
from collections import deque
from datetime import UTC, datetime
from types import TracebackType
from typing import Final, Self

FLUSH_EVERY_S: Final = 0.5
LINES_MAX: Final = 100_000
LAST_WORDS_S: Final = 1.0

Noted = tuple[float, str, str, str | None, int, float]
"""An answered request: when, its id, method and route, the status, and the seconds it took."""


class Log(logging.Handler):
    """Takes what the standard library's logging is told, and a note per request; inside `with`, they are written.

    Its QueueHandler would take a lock and a record per request; a note is a tuple in a bounded queue.
    """

    def __init__(self, descriptor: int = 2) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._waiting: deque[Noted | str] = deque(maxlen=LINES_MAX)
        self._dropped = 0
        self._hurry = threading.Event()
        self._is_ending = False
        self._writing = threading.Thread(target=self._write_until_the_end, name="log", daemon=True)

    def __enter__(self) -> Self:
        logging.basicConfig(level=logging.INFO, handlers=[self], force=True)
        self._writing.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_ending = True
        self._hurry.set()
        self._writing.join(LAST_WORDS_S)
        logging.getLogger().removeHandler(self)

    def note(self, request_id: str, method: str, route: str | None, status: int, seconds: float) -> None:
        """Remember an answered request; `status` is 0 where the client left before its answer."""
        self._add((time.time(), request_id, method, route, status, seconds))

    def emit(self, record: logging.LogRecord) -> None:
        """Have a record written at once, its traceback included."""
        line = {
            "time": _utc(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["traceback"] = logging.Formatter().formatException(record.exc_info)
        self._add(json.dumps(line))
        self._hurry.set()

    def _add(self, line: Noted | str) -> None:
        self._dropped += len(self._waiting) == LINES_MAX
        self._waiting.append(line)

    def _write_until_the_end(self) -> None:
        while not self._is_ending:
            self._hurry.wait(FLUSH_EVERY_S)
            self._hurry.clear()
            self._write()

    def _write(self) -> None:
        """Write what waits. Where it finds no room, as on a full disk, it is dropped and counted."""
        lines = [_text(self._waiting.popleft()) for _ in range(len(self._waiting))]
        if self._dropped:
            lines.append(json.dumps({"warning": f"{self._dropped} lines were dropped, for want of room"}))
            self._dropped = 0
        rest = memoryview("".join(f"{line}\n" for line in lines).encode())
        try:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except OSError:
            self._dropped += len(lines)


def _text(line: Noted | str) -> str:
    if isinstance(line, str):
        return line
    at, request_id, method, route, status, seconds = line
    return (
        f'{{"time": "{_utc(at)}", "request_id": "{request_id}", "method": {json.dumps(method)}, '
        f'"route": {json.dumps(route)}, "status": {status}, "ms": {seconds * 1_000:.1f}}}'
    )


def _utc(timestamp: float) -> str:
    try:
        return datetime.fromtimestamp(timestamp, UTC).isoformat(timespec="milliseconds")
    except (ValueError, OverflowError):  # a clock that is far off must not silence the log
        return str(timestamp)
