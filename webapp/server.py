"""The server process: a socket, uvicorn, signals, and an exit status that tells a supervisor what happened."""

import asyncio
import gc
import logging
import os
import resource
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Final, cast

import click
import uvicorn
import uvloop

from webapp import __version__
from webapp.app import running
from webapp.log import Log
from webapp.settings import Settings
from webapp.web.direct_lane import DirectLane
from webapp.web.protocol import BoundedProtocol

log = logging.getLogger(__name__)

EXIT_OUTCOME_UNKNOWN: Final = 70
"""Exit status (EX_SOFTWARE of sysexits.h) after which a supervisor should start the server again."""

GC_THRESHOLD: Final = (100_000, 50, 100)
"""Fewer garbage collections than Python's default, each of which stops the loop for as long as memory is large."""

SWITCH_INTERVAL_S: Final = 0.0005
"""A commit's thread asks for the interpreter at every row; it must not wait Python's default of 5 ms each time."""

DRAIN_S: Final = 4
"""Seconds after a signal, after which connections are cut: one more than the box office waits for a commit. One more
still, and the process ends by force."""

UNREAD_S: Final = 30
"""Seconds after which a connection is cut whose client takes in nothing of what is sent to him, or is out of reach."""

BACKLOG: Final = 2_048

FILES_LOOK_TICKS: Final = 100
"""So often does the server see whether it may open files: every 10 s, in uvicorn's tenths of a second."""


def serve(settings: Settings) -> int:
    """Serve until a signal comes; returns the exit status.

    Raises PortTaken, and whatever `app.running` raises.
    """
    with Log() as requests, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_serve(settings, requests))


async def _serve(settings: Settings, requests: Log) -> int:
    server: Server | None = None
    gc.set_threshold(*GC_THRESHOLD)
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # a connection is a file
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)  # it warns of every malformed request

    def end() -> None:
        if server is not None:
            server.end_because_outcome_unknown()

    with listening_socket(settings.host, settings.port) as listening:
        async with running(settings, requests, on_fatal=end) as everything:
            server = Server(uvicorn_config(everything.app, everything.lane, settings), everything.box_office.wind_down)
            gc.collect()
            gc.freeze()  # what was made at the start takes no part in later collections, which stop the loop
            if not everything.box_office.is_open:  # it has failed already, when there was nobody to tell
                end()
            _welcome(settings, listening.getsockname()[1], everything.generated_password)
            await server.serve(sockets=[listening])
    return server.exit_status


def _welcome(settings: Settings, port: int, generated_password: str | None) -> None:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    click.echo(f"Fairlist {__version__}: {settings.public_url or f'http://{host}:{port}'}/ui")
    if generated_password:
        click.echo(f"The organiser signs in with user {settings.admin_user} and password {generated_password}")
        click.echo("This password is not shown again; `fairlist reset-password` makes a new one.")
    if settings.warning:
        log.warning(settings.warning)
    if settings.app_env == "demo":
        click.echo("Demo: the events are samples, nothing is kept. Sign in with admin / password.")
    if settings.app_env == "test":
        click.echo("Test: nobody needs to sign in, nothing is kept.")


class PortTaken(Exception):
    """The address cannot be listened on; says why, and what would help."""


class Server(uvicorn.Server):
    """uvicorn, with streams ended first at a signal, and with an exit status of its own.

    uvicorn's own signal handling raises the signal again once it is done, which would end the process before the
    store is closed.
    """

    def __init__(self, config: uvicorn.Config, wind_down: Callable[[], None]) -> None:
        super().__init__(config)
        self.exit_status = 0
        self._wind_down = wind_down

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop gracefully at SIGTERM and SIGINT; at once at a second SIGINT."""
        loop = asyncio.get_running_loop()
        signals = (signal.SIGTERM, signal.SIGINT)
        for number in signals:
            loop.add_signal_handler(number, self._asked_to_stop, number)
        try:
            yield
        finally:
            for number in signals:
                loop.remove_signal_handler(number)

    async def on_tick(self, counter: int) -> bool:
        """Say now and then that connections are turned away, which happens without a word where files are short."""
        if counter % FILES_LOOK_TICKS == 0:
            _see_whether_files_can_be_opened()
        return await super().on_tick(counter)

    def _asked_to_stop(self, number: int) -> None:
        self.force_exit = self.should_exit and number == signal.SIGINT
        self._end()

    def end_because_outcome_unknown(self) -> None:
        """Answer what is in flight, then end with status 70."""
        log.critical("the server ends: only a restart can tell what is stored")
        self.exit_status = EXIT_OUTCOME_UNKNOWN
        self._end()

    def _end(self) -> None:
        """Answer what is in flight, and end; by force, with status 70, where that takes too long."""
        if self.should_exit:
            return
        self.should_exit = True
        self._wind_down()
        forced = threading.Timer(DRAIN_S + 1, os._exit, (EXIT_OUTCOME_UNKNOWN,))
        forced.daemon = True
        forced.start()


def _see_whether_files_can_be_opened() -> None:
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError as error:
        log.warning("connections are turned away: %s. Let the server open more with `ulimit -n`", error.strerror)


def listening_socket(host: str, port: int) -> socket.socket:
    """A socket bound to an address; port 0 takes any free one.

    Raises PortTaken.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        bound = socket.socket(family, kind, protocol)
    except OSError as error:
        raise PortTaken(
            f"Cannot listen on {host}: {error.strerror or error}. Set HOST to an address of this machine."
        ) from error
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux; every connection inherits it
        bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNREAD_S * 1_000)
    try:
        bound.bind(address)
        bound.listen(BACKLOG)  # a port that is only bound can be bound by another server as well
    except OSError as error:
        bound.close()
        remedy = "Stop what is using it, or choose another: PORT=3001" if port else "Set HOST to another address"
        raise PortTaken(f"Cannot listen on {host}, port {port}: {error.strerror}. {remedy}") from error
    return bound


def uvicorn_config(app: Callable[..., Any], lane: DirectLane | None, settings: Settings) -> uvicorn.Config:
    """uvicorn on uvloop and httptools, without logs of its own; only trusted proxies are believed."""
    return uvicorn.Config(
        app,
        loop="uvloop",
        http=cast(type[asyncio.Protocol], partial(BoundedProtocol, lane=lane)),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        backlog=BACKLOG,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=DRAIN_S,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=[str(network) for network in settings.trusted_proxies],
    )
