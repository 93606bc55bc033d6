"""The log: JSON lines, whoever reads them."""

import errno
import json
import logging
import os
from pathlib import Path

import pytest

from webapp.log import Log


def note(log: Log, number: int) -> None:
    log.note(f"request-{number}", "GET", "/status/<path:event_id>", 200, 0.0012)


def test_a_request_and_a_record_are_lines_of_json(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with path.open("wb") as file, Log(file.fileno()) as log:
        note(log, 1)
        logging.getLogger("webapp").warning("a sentence with “quotes” and \n a line break")
    request, record = [json.loads(line) for line in path.read_text().splitlines()]
    assert request == {
        "time": request["time"], "request_id": "request-1", "method": "GET", "route": "/status/<path:event_id>",
        "status": 200, "ms": 1.2,
    }  # fmt: skip
    assert (record["level"], record["message"]) == ("warning", "a sentence with “quotes” and \n a line break")


def test_a_line_that_a_full_disk_tears_spoils_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    room = [20]  # bytes that the disk still takes; then it is full, once

    def write(descriptor: int, text: memoryview) -> int:
        if room and room[0] == 0:
            room.clear()
            raise OSError(errno.ENOSPC, "No space left on device")
        taken = os.pwrite(descriptor, text[: room[0]] if room else text, file.seek(0, os.SEEK_END))
        if room:
            room[0] -= taken
        return taken

    path = tmp_path / "log"
    with path.open("wb", buffering=0) as file:
        log = Log(file.fileno())
        monkeypatch.setattr("webapp.log.os.write", write)
        for number in (1, 2):
            note(log, number)
            log._write()
    torn, *whole = path.read_text().splitlines()
    assert len(torn) == 20
    request, warning = map(json.loads, whole)
    assert request["request_id"] == "request-2"
    assert warning == {"warning": "1 lines were dropped, for want of room"}


def test_a_log_that_nobody_reads_delays_nobody() -> None:
    reading, writing = os.pipe()
    with Log(writing) as log:
        for number in range(5_000):  # more than a pipe holds
            note(log, number)
    os.close(reading)  # which lets the thread go
    log._writing.join()
    os.close(writing)


def test_a_clock_that_is_far_off_does_not_silence_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "log"
    monkeypatch.setattr("webapp.log.time.time", lambda: 1e15)
    with path.open("wb") as file, Log(file.fileno()) as log:
        note(log, 1)
    assert json.loads(path.read_text())["request_id"] == "request-1"
