"""Quart as the routes here need it: less what it does for every request in vain, which `make bench` measures."""

from functools import cached_property

import quart
from quart.sessions import NullSession, SessionInterface
from quart.wrappers.base import BaseRequestWebsocket
from werkzeug.routing import MapAdapter, PathConverter

from webapp.web.connection import Connection


class NoSessions(SessionInterface):
    """Quart's sessions, which nobody uses: Fairlist signs its cookies itself."""

    _none = NullSession()  # every request's, since it cannot be written to

    async def open_session(self, *_: object) -> NullSession:
        """The session that holds nothing."""
        return self._none


class WholePath(PathConverter):
    """What is left of a path, line breaks included, so that every id gets its route's own answer."""

    regex = r"[^/][\s\S]*?"


class LeanRequest(quart.Request):
    """A request that finds the names of its blueprints once; Quart asks for them again at each of three steps."""

    @cached_property
    def blueprints(self) -> list[str]:
        """The blueprint of the route, and those around it."""
        return super().blueprints


class LeanQuart(quart.Quart):
    """The app, in which no route depends on the name that the server is asked by."""

    session_interface = NoSessions()  # type: ignore[assignment]  # any interface will do, says the documentation
    request_class = LeanRequest
    asgi_http_class = Connection

    def __init__(self, name: str) -> None:
        super().__init__(name, static_folder=None)
        self.url_map.converters["path"] = WholePath

    def create_url_adapter(self, request: BaseRequestWebsocket | None) -> MapAdapter | None:
        """The routes, as a request is matched with them; None outside of one. Quart would look for subdomains first."""
        if request is None:
            return None
        query = request.query_string.decode()
        return self.url_map.bind(
            request.host, request.root_path, "", request.scheme, request.method, request.path, query
        )
