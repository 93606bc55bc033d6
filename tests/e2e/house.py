"""A server at which everything is as some page shows it: events and orders in each of their states."""

import re
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from tests.client import Reply
from tests.server import PASSWORD, USER, Server
from tests.web.api import ADA, Api

TITLE: Final = "Summer night concert"
DETAILS: Final[dict[str, Any]] = {
    "title": TITLE,
    "venue": "Boathouse, Lakeside",
    "description": "Three bands, one stage, no chairs.\n\nDoors open half an hour before: https://example.org/way",
    "starts_at": "2040-06-15T18:00:00Z",
    "ends_at": "2040-06-15T22:00:00Z",
    "time_zone": "Europe/Berlin",
}
GUESTS: Final = ("Bob Brandt", "Cleo Moreau", "Dan Fink", "Eve Ito", "Femi Okafor", "Grete Haas")


@dataclass
class House:
    """A server, and what the addresses of its pages are made of."""

    server: Server
    names: dict[str, str] = field(default_factory=dict)
    """For instance `bob`, the path of Bob's order as he sees it, `bob_id`, its id, and `bob_code`, on his ticket."""

    cookies: dict[str, dict[str, str]] = field(default_factory=dict)
    """What is in whose browser: the organiser's session, and guests' bookings."""

    @property
    def ada(self) -> Api:
        """The organiser, at the API."""
        return Api(self.server, ADA)

    def order(self, event: str, name: str, *, called: str = "", email: str = "", guest: str = "") -> dict[str, Any]:
        """Books for somebody; the addresses of his order are known by his first name, or by what it is `called`.

        Unless an address is given, his e-mail address begins with his first name; that is also his id, or else `guest`.
        """
        first = name.partition(" ")[0].lower()
        email = email or f"{first}@example.org"
        order = Api(self.server).order(event, guest or email, name=name, email=email)
        called = called or first
        path = urlsplit(order["manage_link"]).path
        self.names |= {called: path, f"{called}_id": order["id"]}
        if order["status"] == "booked":
            page = self.server.ask(f"GET {path}").body.decode()
            self.names[f"{called}_code"] = re.findall(r"<code>(\w{4}-\w{4}-\w{4})</code>", page)[0]
        return order

    def do(self, request: str, **wish: Any) -> None:
        """Has the organiser do something at the API, whatever may have happened since."""
        reply = self.ada(request, wish, if_match="*")
        assert reply.status in (200, 201), reply.body

    def sign_in(self) -> None:
        """Gives the organiser a session."""
        self.cookies["ada"] = cookies(self.post("/ui/sign-in", user=USER, password=PASSWORD))

    def book(self, event: str, name: str, email: str) -> None:
        """Books by the page of an event, whose browser then knows of it; it is known by the address's first part."""
        self.cookies[email.partition("@")[0]] = cookies(
            self.post(f"/ui/events/{event}/orders", name=name, email=email, userId=email)
        )

    def post(self, path: str, **form: str) -> Reply:
        """Sends a form, after which there is another page to go to."""
        reply = self.server.ask(
            f"POST {path}", urlencode(form).encode(), {"Content-Type": "application/x-www-form-urlencoded"}
        )
        assert reply.status == 303, reply.body
        return reply


def cookies(reply: Reply) -> dict[str, str]:
    """The cookies that a reply sets."""
    return {
        name: morsel.value
        for header in reply.headers.get_all("Set-Cookie", [])
        for name, morsel in SimpleCookie(header).items()
    }


def furnished(server: Server, tail: str = "") -> House:
    """Opens events of all kinds, with guests in each state. Titles, names and all other words end with the tail."""
    house = House(server)
    house.sign_in()

    def event(event_id: str, capacity: int, title: str = TITLE, **details: Any) -> None:
        words = {name: DETAILS[name] + tail for name in ("venue", "description")}
        house.ada.event(event_id, capacity, **DETAILS | words | {"title": title + tail} | details)

    event("summer-night", 80)
    for name in GUESTS:
        house.order("summer-night", name + tail)
    house.do(f"POST /orders/{house.names['dan_id']}/cancellation", reason=f"The train is late{tail}")
    house.do(f"POST /orders/{house.names['eve_id']}/check-in", gate=f"North{tail}"[:50].strip())
    house.book("summer-night", f"Zoe Lund{tail}", "zoe@example.org")

    event("sold-out", 2, "Letterpress workshop")
    for number, name in enumerate(GUESTS):
        house.order("sold-out", name + tail, called=f"line{number}")
    house.book("sold-out", f"Wanda Abel{tail}", "wanda@example.org")

    event("later", 30, "Python meetup", opens_at="2040-06-01T16:00:00Z")
    event("empty", 30, "Wine tasting")
    event("hidden", 5, "Rehearsal", hidden=True)

    event("closed", 1, "Chess evening")
    house.order("closed", f"Bob Brandt{tail}", called="chess")
    house.order("closed", f"Cleo Moreau{tail}", called="chess_line")
    house.do("PATCH /events/closed", closes_at="2020-06-01T16:00:00Z")

    event("past", 3, "Winter night concert")
    house.order("past", f"Bob Brandt{tail}", called="winter")
    house.do("PATCH /events/past", starts_at="2020-01-15T18:00:00Z", ends_at="2020-01-15T22:00:00Z")
    return house
