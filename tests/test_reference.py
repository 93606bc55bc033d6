"""The reference tells the truth: its lines are pasted into a shell, and what comes back is what it describes."""

import html
import itertools
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.client import Body, Reply, basic
from tests.openapi import Json, complaints, response
from tests.server import PASSWORD, TIMEOUT_S, Server
from webapp.web.description import curl
from webapp.web.description.document import GROUPS
from webapp.web.description.operations import Operation

OPERATIONS = [operation for group in GROUPS for operation in group.operations]
LINES = [(operation, line) for operation in OPERATIONS for line in curl.lines(operation)]
SOMETIMES = {"Link", "Idempotent-Replayed", "RateLimit", "RateLimit-Policy"}
"""Headers that an answer need not have."""

NUMBERS = itertools.count(1)


class Reader:
    """Somebody who reads the page of a running server, and pastes what is on it into a shell."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.markup = server.ask("GET /docs").body.decode()
        self.document: Json = server.ask("GET /openapi.json").json
        self.variables = {"PASSWORD": PASSWORD, "FAIRLIST": server.url}

    def shown(self, name: str) -> str:
        """The code on the page with this id."""
        found = re.search(rf'<pre [^>]*id="{name}"[^>]*>(.*?)</pre>', self.markup, re.DOTALL)
        assert found is not None, name
        return html.unescape(found[1])

    def curls(self) -> list[str]:
        """Every line of curl that stands with a route."""
        return [html.unescape(line) for line in re.findall(r'<pre class="code curl">(.*?)</pre>', self.markup)]

    def as_organiser(self, request: str, body: Body = None) -> Reply:
        """Send a request as whom the page calls `admin`."""
        return self.server.ask(request, body, {"Authorization": basic("admin", PASSWORD)})

    def has_an_event(self, *, capacity: int = 80) -> None:
        """A fresh event, which EVENT stands for."""
        event = {"eventId": f"evening-{next(NUMBERS)}", "capacity": capacity}
        created = self.as_organiser("POST /api/v1/events", event)
        assert created.status == 201
        self.variables["EVENT"] = created.json["slug"]

    def has_an_order(self) -> None:
        """Bob's order at the event, which ORDER and KEY stand for."""
        placed = self.server.ask(f"POST /api/v1/events/{self.variables['EVENT']}/orders", {"userId": "bob"})
        assert placed.status == 201
        self.variables |= {"ORDER": placed.json["id"], "KEY": placed.json["key"]}

    def environment(self) -> dict[str, str]:
        """What the shell knows."""
        return {"PATH": os.environ["PATH"], **self.variables}

    def paste(self, lines: str) -> str:
        """What a shell prints for some lines, which it must not complain about."""
        ran = subprocess.run(
            ["/bin/sh", "-e", "-c", lines],
            env=self.environment(),
            capture_output=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        assert (ran.returncode, ran.stderr) == (0, b""), ran
        return ran.stdout.decode()

    def paste_curl(self, line: str, folder: Path) -> tuple[int, dict[str, str], bytes]:
        """The status, the headers and the body that a line of curl gets."""
        head, body = folder / "head", folder / "body"
        body.touch()
        status = self.paste(f"{line} -D '{head}' -o '{body}' -w '%{{http_code}}'")
        fields = [field.partition(": ") for field in head.read_text().splitlines() if ": " in field]
        return int(status), {name.title(): value for name, _, value in fields}, body.read_bytes()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("server"), ADMIN_USER="") as server:
        yield server


@pytest.fixture
def reader(server: Server) -> Reader:
    return Reader(server)


def nothing(reader: Reader) -> None:
    """What most lines need: an event and an order stand there anyway."""


def without_orders(reader: Reader) -> None:
    reader.has_an_event()


def checked_in(reader: Reader) -> None:
    assert reader.as_organiser(f"POST /api/v1/orders/{reader.variables['ORDER']}/check-in").status == 201


def a_gig(reader: Reader) -> None:
    assert reader.as_organiser("POST /initialize", {"eventId": "gig", "tickets": 80}).status == 200


def cleo_at_the_gig(reader: Reader) -> None:
    a_gig(reader)
    assert reader.server.ask("POST /book", {"eventId": "gig", "userId": "cleo"}).status == 200


BEFORE: dict[str, Callable[[Reader], None]] = {
    "deleteEvent": without_orders,
    "undoCheckIn": checked_in,
    "book": a_gig,
    "getStatus": a_gig,
    "cancel": cleo_at_the_gig,
}
"""What must have happened before a line makes sense, besides an event and an order."""


@pytest.mark.parametrize(
    ("operation", "line"),
    [
        pytest.param(operation, line, id=f"{operation.id}-{number}")
        for number, (operation, line) in enumerate(LINES)
        if operation.id != "streamCounts"
    ],
)
def test_every_line_does_what_is_described(reader: Reader, operation: Operation, line: str, tmp_path: Path) -> None:
    reader.has_an_event()
    reader.has_an_order()
    BEFORE.get(operation.id, nothing)(reader)

    status, headers, body = reader.paste_curl(line, tmp_path)

    assert status < 300, body
    assert status in {answer.status for answer in operation.answers}
    is_csv = "text/csv" in line
    described = response(reader.document, reader.document["paths"][operation.path][operation.method.lower()], status)
    due = set(described.get("headers", {})) - SOMETIMES - (set() if is_csv else {"Content-Disposition"})
    assert {name.title() for name in due} <= set(headers)
    if status == 204:
        return
    media_type = headers["Content-Type"].partition(";")[0]
    content = described["content"][media_type]
    assert (media_type == "text/csv") == is_csv
    if media_type == "application/json":
        assert complaints(reader.document, content["schema"], json.loads(body)) == []
    elif media_type == "text/csv":
        assert body.decode().splitlines()[0] == content["example"].splitlines()[0]
    else:
        assert "# TYPE fairlist_http_requests_total counter" in body.decode()


def test_the_line_for_a_stream_shows_the_counts_at_once(reader: Reader) -> None:
    reader.has_an_event(capacity=7)
    (line,) = curl.lines(next(operation for operation in OPERATIONS if operation.id == "streamCounts"))

    with subprocess.Popen(["/bin/sh", "-c", f"exec {line}"], env=reader.environment(), stdout=subprocess.PIPE) as shell:
        assert shell.stdout is not None
        data = next(said for said in shell.stdout if said.startswith(b"data: "))
        shell.kill()
    counts = json.loads(data.removeprefix(b"data: "))
    assert counts["capacity"] == 7
    assert complaints(reader.document, {"$ref": "#/components/schemas/Counts"}, counts) == []


class Asker:
    """Asks by the ids of operations, and lets no answer pass that is not described."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self.codes: set[str] = set()

    def __call__(self, name: str, *parts: str, query: str = "", body: Body = None, **headers: str) -> Reply:
        """Ask as the organiser, but for what a key opens."""
        operation = next(operation for operation in OPERATIONS if operation.id == name)
        path = re.sub(r"{[^}]+}", "{}", operation.path).format(*parts)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if "Order-Key" not in named and operation.who != "anyone":
            named["Authorization"] = basic("admin", PASSWORD)
        reply = self._reader.server.ask(f"{operation.method} {path}{query}", body, named)
        described = self._reader.document["paths"][operation.path][operation.method.lower()]["responses"]
        assert str(reply.status) in described, (reply.status, reply.body)
        if reply.body:
            content = described[str(reply.status)]["content"][reply.headers.get_content_type()]
            assert complaints(self._reader.document, content["schema"], reply.json) == []
        self.codes |= {reply.code} if reply.code else set()
        return reply


def test_whatever_happens_on_an_evening_is_answered_as_described(reader: Reader) -> None:
    ask, event = Asker(reader), f"evening-{next(NUMBERS)}"
    created = {"eventId": event, "title": "An evening", "capacity": 1, "opens_at": "2999-01-01T00:00:00Z"}
    tag = ask("createEvent", body=created).headers["ETag"]
    ask("createEvent", body=created)
    ask("createEvent", body={"title": "\t", "capacity": -1, "starts_at": "soon"})
    assert ask("placeOrder", event, body={"userId": "bob"}).json["opens_at"] == "2999-01-01T00:00:00Z"
    ask("changeEvent", event, body={"opens_at": None}, If_Match=tag)
    assert ask("changeEvent", event, body={"title": "Late"}, If_Match=tag).status == 412
    ask("changeEvent", event, body={"title": "Late"})
    ask("changeEvent", event, query="?dry_run=1", body={"capacity": 1_000}, If_Match="*")

    wish = {"Idempotency_Key": f"bobs-wish-{event}"}
    bob = ask("placeOrder", event, body={"userId": "bob", "name": "Bob"}, **wish).json
    assert ask("placeOrder", event, body={"userId": "bob", "name": "Bob"}, **wish).json == bob
    ask("placeOrder", event, body={"userId": "dan"}, **wish)
    ask("placeOrder", event, body={"userId": "bob"})
    cleo = ask("placeOrder", event, body={"userId": "cleo", "email": "cleo@example.org"}).json
    dan = ask("placeOrder", event, body={"userId": "dan"}).json
    assert (bob["status"], cleo["ahead"], dan["ahead"]) == ("booked", 0, 1)
    ask("getOrder", dan["id"], Order_Key=dan["key"])
    ask("getOrder", dan["id"], Order_Key=bob["key"])
    ask("checkIn", dan["id"])
    ask("changeEvent", event, body={"capacity": 0}, If_Match="*")
    ask("deleteEvent", event, If_Match="*")

    ask("cancelOrder", bob["id"], body={"reason": "ill"}, Order_Key=bob["key"])
    ask("cancelOrder", bob["id"], Order_Key=bob["key"])
    assert ask("getOrder", bob["id"]).json["why"]["steps"][-1]["kind"] == "left"
    assert ask("getOrder", cleo["id"]).json["status"] == "booked"
    ask("undoCheckIn", cleo["id"])
    ask("checkIn", cleo["id"], body={"gate": "North"})
    assert ask("checkIn", cleo["id"]).json["gate"] == "North"
    ask("getOrder", cleo["id"])
    ask("cancelOrder", cleo["id"])
    assert ask("changeEvent", event, body={"capacity": 2}, If_Match="*").json["promoted"] == 1
    ask("erasePerson", dan["id"])
    assert ask("getOrder", dan["id"]).json["userId"] is None
    ask("placeOrder", event, body={"userId": "bob", "name": "Bob"}, **wish)
    ask("changeEvent", event, body={"closes_at": "2026-01-01T00:00:00Z", "opens_at": None}, If_Match="*")
    ask("placeOrder", event, body={"userId": "eve"})
    for page in ("?limit=1", "?limit=1000", "?after=3", "?limit=0"):
        ask("listEntries", event, query=page)
    for page in ("", "?status=cancelled", "?q=bob&limit=1", "?cursor=x"):
        ask("listOrders", event, query=page)
    ask("getEvent", event)
    ask("listEvents", query="?limit=1")
    ask("getEvent", "nowhere")

    assert ask.codes == {
        "event_exists", "invalid_input", "not_open_yet", "event_changed", "precondition_required",
        "idempotency_key_reused", "order_not_found", "not_booked", "capacity_below_booked", "event_has_orders",
        "order_cancelled", "not_checked_in", "already_checked_in", "booking_closed", "event_not_found",
    }  # fmt: skip


def test_the_lines_are_those_on_the_page(reader: Reader) -> None:
    assert reader.curls() == [line for _, line in LINES]


def test_the_variables_are_those_that_the_lines_need(reader: Reader) -> None:
    needed = {name for line in reader.curls() for name in re.findall(r"\$([A-Z]+)", line)}

    assert set(re.findall(r"^([A-Z]+)=", reader.shown("variables"), re.MULTILINE)) == needed
    assert f"FAIRLIST={reader.server.url}\n" in reader.shown("variables")


def test_the_first_steps_lead_to_an_event_with_a_booking(reader: Reader) -> None:
    said = reader.paste(reader.shown("first-steps"))

    created, order, event = documents(said)
    assert (created["booked"], order["status"], event["booked"], event["title"]) == (0, "booked", 1, "My first event")


def test_the_same_wish_sent_twice_is_answered_twice_alike(reader: Reader) -> None:
    reader.has_an_event()

    first, again = documents(reader.paste(reader.shown("repeating-example")))
    assert first == again
    assert len(first["key"]) == 22


def documents(said: str) -> list[Any]:
    """The JSON objects that were printed, one behind the other."""
    found, decoder = [], json.JSONDecoder()
    while said := said.lstrip():
        value, end = decoder.raw_decode(said)
        found.append(value)
        said = said[end:]
    return found


def check_ledger(reader: Reader) -> "subprocess.CompletedProcess[str]":
    """Run the program from the page."""
    return subprocess.run(
        [sys.executable, "-"],
        input=reader.shown("check-ledger"),
        env=reader.environment(),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )


def test_the_program_on_the_page_checks_a_ledger(reader: Reader) -> None:
    reader.has_an_event(capacity=1)
    reader.has_an_order()
    order = f"/api/v1/orders/{reader.variables['ORDER']}"
    for body in ({"userId": "Zoë 🎫", "name": "Zoë"}, {"userId": "cleo"}):
        assert reader.server.ask(f"POST /api/v1/events/{reader.variables['EVENT']}/orders", body).status == 201
    assert reader.as_organiser(f"POST {order}/check-in", {"gate": "Nord/Süd “1”\\"}).status == 201
    assert reader.as_organiser(f"DELETE {order}/check-in").status == 204
    cancelled = reader.as_organiser(f"POST {order}/cancellation", {"reason": "ill"})
    assert cancelled.json["promoted"] == 1

    checked = check_ledger(reader)
    ledger = reader.server.ask(f"GET /api/v1/events/{reader.variables['EVENT']}/ledger").json
    assert checked.stdout == f"Nothing is wrong up to {ledger['items'][-1]['hash']}\n", checked.stderr
    assert ledger["items"][cancelled.json["receipt"]["entry"] - 1]["hash"] == cancelled.json["receipt"]["hash"]
    assert {"opened", "booked", "joined", "promoted", "checked_in"} <= {entry["kind"] for entry in ledger["items"]}


@pytest.mark.parametrize(
    ("forge", "entry"),
    [
        (lambda entries: entries[2].update(at="2030-01-01T00:00:00.000000Z"), 3),
        (lambda entries: entries[0].update(detail="81"), 1),
        (lambda entries: entries.pop(1), 3),
        (lambda entries: entries.reverse(), 3),
    ],
    ids=["another time", "another capacity", "one is missing", "another order"],
)
def test_the_program_on_the_page_notices_what_was_changed(
    reader: Reader, forge: Callable[[list[Json]], object], entry: int
) -> None:
    reader.has_an_event()
    reader.has_an_order()
    ledger = reader.server.ask(f"GET /api/v1/events/{reader.variables['EVENT']}/ledger").json
    assert len(ledger["items"]) == 3
    forge(ledger["items"])

    with forger(json.dumps(ledger).encode()) as address:
        reader.variables["FAIRLIST"] = address
        checked = check_ledger(reader)
    assert (checked.returncode, checked.stderr) == (1, f"Entry {entry} is not what was sealed.\n")


@contextmanager
def forger(body: bytes) -> Iterator[str]:
    """The address of a server that answers everything with this body."""

    class Answering(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Answering) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()
