"""nginx in front of a server, as the README advises: a reverse proxy that keeps connections to it alive."""

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tests.server import TIMEOUT_S, free_port

# One connection to the server is kept, so that requests of all clients follow each other on it. Of the two ports, one
# hands bodies on when they are there, the other as they come.
CONFIGURATION: Final = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log notice;
events {{ worker_connections 256; }}
http {{
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    log_format passed '$upstream_connect_time $upstream_status $upstream_http_x_request_id';
    access_log {folder}/access.log passed;
    client_header_timeout 1s;
    client_body_timeout 1s;
    lingering_timeout 1s;
    upstream fairlist {{ server 127.0.0.1:{port}; keepalive 1; }}
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_set_header Host $http_host;
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    proxy_set_header X-Forwarded-Proto http;
    proxy_next_upstream off;
    server {{
        listen 127.0.0.1:{waiting};
        location / {{ proxy_pass http://fairlist; }}
    }}
    server {{
        listen 127.0.0.1:{passing};
        location / {{ proxy_pass http://fairlist; proxy_request_buffering off; proxy_buffering off; }}
    }}
}}
"""


class Nginx:
    """A proxy before the server on `port`. As a context manager, it starts it, and ends it."""

    def __init__(self, folder: Path, waiting: int, passing: int, upstream: int) -> None:
        self.folder = folder
        self.waiting = waiting
        self.passing = passing
        self._upstream = upstream
        self._process: subprocess.Popen[bytes] | None = None

    @classmethod
    def before(cls, folder: Path, upstream: int) -> Self:
        """A proxy on two free ports."""
        folder.mkdir()
        return cls(folder, free_port(), free_port(), upstream)

    def __enter__(self) -> Self:
        where = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"])  # where ordinary users do not look
        program = shutil.which("nginx", path=where)
        assert program, "nginx is missing: `make nginx` installs it"
        file = self.folder / "nginx.conf"
        file.write_text(
            CONFIGURATION.format(folder=self.folder, port=self._upstream, waiting=self.waiting, passing=self.passing)
        )
        self._process = subprocess.Popen(
            [program, "-e", f"{self.folder}/error.log", "-p", str(self.folder), "-c", str(file)]
        )
        deadline = time.monotonic() + TIMEOUT_S
        while not self._answers():
            assert self._process.poll() is None, self.errors
            assert time.monotonic() < deadline, self.errors
            time.sleep(0.01)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(TIMEOUT_S)

    @property
    def errors(self) -> str:
        """What it has complained of."""
        log = self.folder / "error.log"
        return log.read_text() if log.exists() else ""

    def passed(self) -> list[str]:
        """The ids of the requests that the server has answered to it; those that the server would not read have -."""
        return [identity for _, status, identity in self._lines() if status != "-"]

    def broken_off(self) -> int:
        """How many requests it has begun to pass and not brought to an end."""
        return sum(connected != "-" and status == "-" for connected, status, _ in self._lines())

    def _lines(self) -> list[list[str]]:
        return [line.split(" ") for line in (self.folder / "access.log").read_text().splitlines()]

    def _answers(self) -> bool:
        try:
            for port in (self.waiting, self.passing):
                socket.create_connection(("127.0.0.1", port), TIMEOUT_S).close()
        except OSError:
            return False
        return True
