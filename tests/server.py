"""A real server process on a folder of its own, which a test starts, stops, kills and starts again."""

import asyncio
import json
import os
import random
import re
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import webapp
from tests import confidences
from tests.client import SENDER, Body, Headers, Reply, ask, basic
from tests.replay import problems
from webapp.settings import SETTINGS

TIMEOUT_S: Final = 60.0
"""How long anything may take on the slowest machine. Nothing waits longer than it must."""

USER: Final = "ada"
PASSWORD: Final = "correct: horse, battery"
SERVE: Final = ("-m", "webapp", "serve")
CODE: Final = Path(webapp.__file__).parents[1]


PORTS: Final = range(10_000, 32_768)
"""Below those that the system gives away by itself, to servers and connections of the tests that run beside this."""


def free_port() -> int:
    """A port that nobody listened on just now, and that stays free between a server's two lives."""
    for port in random.sample(PORTS, len(PORTS)):
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise AssertionError("all ports are taken")


class ServerEnded(Exception):
    """The server has ended before it was ready: its exit status, and what it said."""

    def __init__(self, status: int, said: str) -> None:
        super().__init__(f"exit status {status}\n{said}")
        self.status = status
        self.said = said


class Server:
    """A server process, and its folder with the data, the output of all its lives, and nothing else.

    `program` is what the interpreter is told to run, `under` what runs the interpreter. Settings are given as keywords;
    the ones of the machine that the tests run on are kept away. As a context manager, it starts the server, kills what
    is left of it, and fails where anything that clients told it in confidence is in what it has printed. A start, and a
    command like `verify`, may take `timeout_s`.
    """

    def __init__(
        self, folder: Path, *, program: Sequence[str] = SERVE, under: Sequence[str] = (), **settings: str
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.data_dir = folder / "data"
        self.database = self.data_dir / "fairlist.db"
        self.port = 0
        self.timeout_s = TIMEOUT_S
        self._program = program
        self._interpreter = [*under, sys.executable]
        self._settings = {"DATA_DIR": str(self.data_dir), "HOST": "127.0.0.1", "PORT": "0", **settings}
        if "APP_ENV" not in settings:
            self._settings = {"ADMIN_USER": USER, "ADMIN_PASS": PASSWORD, **self._settings}
        self._process: subprocess.Popen[bytes] | None = None
        self._stdout = folder / "stdout"
        self._stderr = folder / "stderr"
        self._said_before = 0
        self._ports: set[int] = set()

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.kill()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        if kind is None:
            self.require_discretion()

    # Life and death

    def start(self) -> None:
        """Start, and wait until requests are answered. Raises ServerEnded."""
        self.launch()
        self.wait_until_ready()

    def launch(self) -> None:
        """Start, and wait for nothing."""
        assert not self.is_running, "the server is running already"
        self._said_before = len(self.stdout)
        with self._stdout.open("ab") as stdout, self._stderr.open("ab") as stderr:
            self._process = subprocess.Popen(
                [*self._interpreter, *self._program],
                cwd=self.folder,
                env=self._environment_of_a_life(),
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
            )

    def wait_until_ready(self) -> None:
        """Raises ServerEnded."""
        self._wait_for(self._address_is_known)
        self._wait_for(lambda: self.ask("GET /readyz").status == 200)

    def stop(self) -> int:
        """Ask the server to stop, and wait for its end; returns the exit status."""
        self.process.terminate()
        return self.wait()

    def kill(self) -> None:
        """Kill the server, if it runs."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(TIMEOUT_S)

    def restart(self) -> None:
        """Stop and start."""
        assert self.stop() == 0, self.stderr
        self.start()

    def wait(self) -> int:
        """Wait for the server's end; returns the exit status."""
        return self.process.wait(TIMEOUT_S)

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The process of the present or the last life."""
        assert self._process is not None, "the server has never been started"
        return self._process

    @property
    def is_running(self) -> bool:
        """Whether the process lives."""
        return self._process is not None and self._process.poll() is None

    # What it says

    @property
    def url(self) -> str:
        """Where the server is reached."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def stdout(self) -> str:
        """What it has printed, in all its lives."""
        return self._stdout.read_text() if self._stdout.exists() else ""

    @property
    def stderr(self) -> str:
        """What it has logged, in all its lives."""
        return self._stderr.read_text() if self._stderr.exists() else ""

    def log(self) -> list[dict[str, Any]]:
        """What it has logged, line by line, without the one that is being written."""
        return [json.loads(line) for line in self.stderr.rpartition("\n")[0].splitlines()]

    def logged(self, matches: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The one line of the log that matches; it comes within a moment."""
        deadline = time.monotonic() + TIMEOUT_S
        while not (found := [line for line in self.log() if matches(line)]):
            assert time.monotonic() < deadline, "it is not in the log"
            time.sleep(0.05)
        assert len(found) == 1, found
        return found[0]

    def require_discretion(self) -> None:
        """Raises AssertionError if anything secret or personal is in what it has printed."""
        secrets = [self._settings.get(name, "") for name in ("ADMIN_PASS", "AUTH_SECRET")]
        if leaked := confidences.leaked(self._ports, secrets, self.stderr + self._printed_for_all()):
            raise AssertionError(f"the server has printed what it was told in confidence: {sorted(leaked)}")

    def _printed_for_all(self) -> str:
        """What it has printed, without the password that it has made up, which is meant to be read there."""
        return re.sub("and password .*", "", self.stdout)

    # What others do with it

    def ask(self, request: str, body: Body = None, headers: Headers | None = None, sender: str = SENDER) -> Reply:
        """Send a request such as `GET /health`, and wait for the reply."""
        return ask(self.port, request, body, headers, sender)

    def as_organiser(self, request: str, body: Body = None) -> Reply:
        """Send a request with the organiser's password."""
        return self.ask(request, body, {"Authorization": basic(USER, PASSWORD)})

    def token(self) -> str:
        """A new token of the organiser's."""
        return str(self.as_organiser("POST /auth/token").json["token"])

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run a command such as `verify` with the server's settings, beside it or after its end."""
        return subprocess.run(
            [*self._interpreter, "-m", "webapp", *arguments],
            cwd=self.folder,
            env=self._environment(),
            capture_output=True,
            text=True,
            timeout=self.timeout_s,
            check=False,
        )

    def verify(self) -> None:
        """Raises AssertionError if `verify` finds anything wrong, whether or not the server runs."""
        with ThreadPoolExecutor(1) as thread:  # since the caller may have an event loop of its own
            found = thread.submit(asyncio.run, problems(self.database)).result(TIMEOUT_S)
        assert found == []

    def query(self, statement: str, *parameters: object) -> list[Any]:
        """What the database says, whether or not the server runs."""
        with closing(sqlite3.connect(f"{self.database.as_uri()}?mode=ro", uri=True)) as connection:
            return connection.execute(statement, parameters).fetchall()

    def _environment(self) -> dict[str, str]:
        """The machine's own, without any settings that are meant for another server."""
        names = {setting.name for setting in SETTINGS}
        kept = {name: value for name, value in os.environ.items() if name.removesuffix("_FILE") not in names}
        code = [str(CODE), *filter(None, [os.environ.get("PYTHONPATH")])]
        return kept | {"PYTHONPATH": os.pathsep.join(code)} | self._settings

    def _environment_of_a_life(self) -> dict[str, str]:
        """The same without the password once it is stored: to hash it again is a quarter of all that a start costs."""
        environment = self._environment()
        if (self.data_dir / "password").exists():
            environment.pop("ADMIN_PASS", None)
        return environment

    def _address_is_known(self) -> bool:
        found = re.search(r"https?://\S+?(:\d+)?/ui\n", self.stdout[self._said_before :])
        if found:
            self.port = int(self._settings["PORT"]) or int(found[1].removeprefix(":"))
            self._ports.add(self.port)
        return found is not None

    def _wait_for(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + self.timeout_s
        while not self._is_met(condition):
            if not self.is_running:
                raise ServerEnded(self.process.returncode, self.stdout + self.stderr)
            assert time.monotonic() < deadline, f"the server does not get ready: {self.stderr}"
            time.sleep(0.01)

    @staticmethod
    def _is_met(condition: Callable[[], bool]) -> bool:
        try:
            return condition()
        except OSError:
            return False
