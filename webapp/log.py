"""The log: JSON lines, collected in memory and written by a thread of their own.

Whoever reads them slowly, or never, delays nobody. A request's line holds id, method, route, status and time, where
security is concerned also what happened and from which address, and nothing that a person sent.
"""

import json
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from types import MappingProxyType, TracebackType
from typing import Final, Self

FLUSH_EVERY_S: Final = 0.5
LINES_MAX: Final = 100_000
LAST_WORDS_S: Final = 1.0
NO_REMARK: Final[Mapping[str, str]] = MappingProxyType({})


class Log(logging.Handler):
    """Takes what the standard library's logging is told, and a note per request; inside `with`, they are written.

    Its QueueHandler would take a lock and a record per request; a note is a line in a bounded queue. Lines are made
    where they are noted: a thread that makes thousands at once would keep the event loop from running.
    """

    def __init__(self, descriptor: int = 2) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._waiting: deque[str] = deque(maxlen=LINES_MAX)
        self._dropped = 0
        self._is_torn = False  # whether what was written last ends inside a line
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

    def note(
        self,
        request_id: str,
        method: str,
        route: str | None,
        status: int,
        seconds: float,
        remark: Mapping[str, str] = NO_REMARK,
    ) -> None:
        """Remember an answered request; `status` is 0 where the client left before its answer.

        `remark` is what its line says besides, by name.
        """
        besides = "".join(f", {_quoted(name)}: {json.dumps(text)}" for name, text in remark.items())
        self._add(
            f'{{"time": "{_utc(time.time())}", "request_id": "{request_id}", "method": {_quoted(method)}, '
            f'"route": {_quoted(route)}, "status": {status}, "ms": {seconds * 1_000:.1f}{besides}}}\n'
        )

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
        self._add(json.dumps(line) + "\n")
        self._hurry.set()

    def _add(self, line: str) -> None:
        self._dropped += len(self._waiting) == LINES_MAX
        self._waiting.append(line)

    def _write_until_the_end(self) -> None:
        while not self._is_ending:
            self._hurry.wait(FLUSH_EVERY_S)
            self._hurry.clear()
            self._write()

    def _write(self) -> None:
        """Write what waits. Where it finds no room, as on a full disk, it is dropped and counted."""
        lines = [self._waiting.popleft() for _ in range(len(self._waiting))]
        if self._dropped:
            lines.append(json.dumps({"warning": f"{self._dropped} lines were dropped, for want of room"}) + "\n")
            self._dropped = 0
        if self._is_torn:
            lines.insert(0, "\n")
        text = memoryview("".join(lines).encode())
        written = 0
        try:
            while written < len(text):
                written += os.write(self._descriptor, text[written:])
        except OSError:
            self._dropped += len(lines)
        if written:
            self._is_torn = text[written - 1] != ord("\n")


_quoted: Final = lru_cache(1_000)(json.dumps)


def _utc(timestamp: float) -> str:
    second, fraction = divmod(timestamp, 1)
    return f"{_second(second)}.{int(fraction * 1_000):03}Z"


@lru_cache(16)
def _second(timestamp: float) -> str:
    try:
        return datetime.fromtimestamp(timestamp, UTC).isoformat(timespec="seconds").removesuffix("+00:00")
    except (ValueError, OverflowError):  # a clock that is far off must not silence the log
        return str(timestamp)
