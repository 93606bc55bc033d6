"""What Quart is spared changes nothing for a route."""

from typing import Any

import pytest
from quart import Quart, session
from werkzeug.datastructures import Headers

from webapp.web.lean import LeanQuart

HOSTS = ("gig.example", "GIG.Example:80", "a.b.c.example:8080", "localhost", "127.0.0.1:3000", "[::1]:3000", "a_b", "")


async def never_pushed(*_: object) -> None:
    """What nothing here calls."""


def asked(app: Quart, scheme: str, host: str) -> Any:
    """A request for a page of the app, as a server hands it on."""
    scope: Any = {"type": "http", "server": ("127.0.0.1", 3000)}
    path, query, headers = "/ui/events/gig", b"q=a%20b", Headers({"Host": host} if host else {})
    return app.request_class(
        "POST", scheme, path, query, headers, "", "1.1", scope, send_push_promise=never_pushed
    )  # fmt: skip


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("host", HOSTS)
def test_a_request_is_matched_as_quart_matches_it_whatever_host_it_names(scheme: str, host: str) -> None:
    lean, plain = LeanQuart("lean"), Quart("plain")
    ours, quarts = (vars(app.create_url_adapter(asked(app, scheme, host))) for app in (lean, plain))
    assert ours | {"map": None} == quarts | {"map": None}


async def test_quarts_own_session_takes_nothing() -> None:
    app = LeanQuart("lean")
    async with app.request_context(asked(app, "http", "gig.example")):
        with pytest.raises(RuntimeError):
            session["user"] = "Ada"
