"""A client that openapi-python-client makes of /openapi.json, and nothing else, does what organisers and guests need.

It is typed, so nothing is asked here by the name of a member in a dictionary: an answer that is not what the
description says would have none of the attributes, or would not have been made.
"""

import base64
import importlib
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import pytest

from tests.server import PASSWORD, TIMEOUT_S, USER, Server

PACKAGE: Final = "fairlist_client"
EVENING: Final = datetime(2030, 6, 18, 19, 30, tzinfo=UTC)


class Asker:
    """Somebody with a client of his own."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def __call__(self, operation: str, *path: str, **more: Any) -> Any:
        """What comes of an operation such as `events.get_event`: an object of one of the client's types."""
        return importlib.import_module(f"{PACKAGE}.api.{operation}").sync(*path, client=self._client, **more)

    def place(self, event: Any, user_id: str, **more: Any) -> Any:
        """A new order."""
        return self("orders.place_order", event.slug, body=models().PlaceOrderBody(user_id=user_id, **more))

    def create(self, **details: Any) -> Any:
        """A new event."""
        return self("events.create_event", body=models().CreateEventBody(**details))


def models() -> Any:
    """The client's types."""
    return importlib.import_module(f"{PACKAGE}.models")


def kind(answer: object) -> str:
    """What an answer is called."""
    return type(answer).__name__


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture(scope="module")
def library(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    """The generated package. That its maker has nothing to warn of is part of it."""
    folder = tmp_path_factory.mktemp("generated")
    # What is generated is brought into shape by ruff, which lies beside the interpreter.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    made = subprocess.run(
        [
            *(sys.executable, "-m", "openapi_python_client", "generate", "--url", f"{server.url}/openapi.json"),
            *("--meta", "none", "--output-path", str(folder / PACKAGE), "--fail-on-warning"),
        ],
        cwd=folder,
        env=os.environ | {"PATH": path},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert (made.returncode, made.stderr) == (0, ""), made.stdout
    assert made.stdout == f"Generating {folder / PACKAGE}\n"
    sys.path.insert(0, str(folder))
    yield importlib.import_module(PACKAGE)
    sys.path.remove(str(folder))
    for name in [name for name in sys.modules if name.split(".")[0] == PACKAGE]:
        del sys.modules[name]


@pytest.fixture
def opened() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


@pytest.fixture
def ada(server: Server, library: Any, opened: ExitStack) -> Asker:
    """The organiser, by password."""
    basic = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    client = library.AuthenticatedClient(base_url=server.url, token=basic, prefix="Basic", timeout=TIMEOUT_S)
    return Asker(opened.enter_context(client))


@pytest.fixture
def anybody(server: Server, library: Any, opened: ExitStack) -> Asker:
    return Asker(opened.enter_context(library.Client(base_url=server.url, timeout=TIMEOUT_S)))


def guest(server: Server, library: Any, opened: ExitStack, order: Any) -> Asker:
    """Whoever has the key of an order."""
    client = library.AuthenticatedClient(
        base_url=server.url, token=order.key, prefix="", auth_header_name="Order-Key", timeout=TIMEOUT_S
    )
    return Asker(opened.enter_context(client))


def test_an_event_comes_back_as_it_was_told_with_times_that_are_times(ada: Asker, anybody: Asker) -> None:
    in_berlin = EVENING.astimezone(timezone(timedelta(hours=2)))
    event = ada.create(capacity=80, title="Summer night", starts_at=in_berlin, time_zone="Europe/Berlin")

    assert (kind(event), event.event_id, event.title, event.capacity) == ("Event", "summer-night", "Summer night", 80)
    assert (event.starts_at, event.ends_at, event.policy.booking) == (EVENING, None, "open")
    assert anybody("events.get_event", event.slug) == event
    assert event in anybody("events.list_events").items


def test_a_token_is_as_good_as_the_password(
    server: Server, library: Any, opened: ExitStack, ada: Asker, anybody: Asker
) -> None:
    token = ada("the_original_routes.make_token").token
    client = opened.enter_context(library.AuthenticatedClient(base_url=server.url, token=token))

    assert kind(Asker(client).create(capacity=1, event_id="token")) == "Event"
    refused = anybody.create(capacity=1, event_id="token")
    assert (kind(refused), refused.status, refused.code) == ("Problem", 401, "not_authenticated")


def test_guests_get_tickets_or_wait_and_the_next_gets_what_comes_free(
    server: Server, library: Any, opened: ExitStack, ada: Asker, anybody: Asker
) -> None:
    event = ada.create(capacity=2, event_id="gig")
    bob, dan, cleo = (anybody.place(event, name) for name in ("bob", "dan", "cleo"))
    assert [(kind(order), order.status, order.position) for order in (bob, dan, cleo)] == [
        ("NewOrder", "booked", None),
        ("NewOrder", "booked", None),
        ("NewOrder", "waiting", 1),
    ]
    again = anybody.place(event, "cleo")
    assert (kind(again), again.id, again.status, again.ahead) == ("KnownOrder", cleo.id, "waiting", 0)

    with_cleos_key = guest(server, library, opened, cleo)
    before = with_cleos_key("orders.get_order", cleo.id)
    assert (kind(before), before.user_id, before.position, before.why.asked_before) == (
        "OrderWithHistory", "cleo", 1, 0,
    )  # fmt: skip
    assert with_cleos_key("orders.get_order", bob.id).code == "order_not_found"

    cancelled = guest(server, library, opened, bob)(
        "orders.cancel_order", bob.id, body=models().CancelOrderBody(reason="I have caught a cold.")
    )
    assert (kind(cancelled), cancelled.status, cancelled.promoted) == ("Cancellation", "cancelled", 1)
    after = with_cleos_key("orders.get_order", cleo.id)
    assert (after.status, after.position) == ("booked", None)
    assert [(step.kind, step.moved) for step in after.why.steps] == [("joined", 0), ("cancelled", 1), ("promoted", 0)]

    promoted = ada("orders.cancel_order", dan.id, body=models().CancelOrderBody())
    assert promoted.promotions == []
    assert anybody("events.get_event", event.slug).available == 1


def test_a_roster_is_read_page_by_page(ada: Asker, anybody: Asker) -> None:
    event = ada.create(capacity=3, event_id="talk")
    guests = [f"guest-{number}" for number in range(7)]
    for name in guests:
        anybody.place(event, name, email=f"{name}@example.org")
    pages = [ada("orders.list_orders", event.slug, limit=3)]
    while pages[-1].next_:
        pages.append(ada("orders.list_orders", event.slug, limit=3, cursor=pages[-1].next_))

    assert [len(page.items) for page in pages] == [3, 3, 1]
    orders = [order for page in pages for order in page.items]
    assert {kind(order) for order in orders} == {"Order"}
    assert [order.user_id for order in orders] == guests
    assert [order.position for order in orders] == [None, None, None, 1, 2, 3, 4]
    waiting = ada("orders.list_orders", event.slug, status=models().ListOrdersStatus.WAITING, q="guest-5")
    assert [order.email for order in waiting.items] == ["guest-5@example.org"]


def test_a_guest_is_let_in_once(ada: Asker, anybody: Asker) -> None:
    event = ada.create(capacity=1, event_id="door")
    order = anybody.place(event, "cleo")
    arrived = ada("at_the_door.check_in", order.id, body=models().CheckInBody(gate="North door"))

    assert (kind(arrived), arrived.checked_in.gate, arrived.checked_in.by) == ("CheckIn", "North door", "organiser")
    assert arrived.checked_in.at == arrived.receipt.at
    assert ada("at_the_door.check_in", order.id).code == "already_checked_in"
    assert ada("orders.list_orders", event.slug).items[0].checked_in.gate == "North door"
    assert ada("at_the_door.undo_check_in", order.id) is None
    assert ada("orders.list_orders", event.slug).items[0].checked_in is None


def test_a_higher_capacity_is_tried_out_and_then_set(ada: Asker, anybody: Asker) -> None:
    event = ada.create(capacity=0, event_id="more")
    order = anybody.place(event, "cleo")
    change = {"body": models().ChangeEventBody(capacity=1), "if_match": f'"{event.revision}-1-000000000000-o"'}
    tried = ada("events.change_event", event.slug, dry_run=models().ChangeEventDryRun.VALUE_1, **change)
    assert (kind(tried), tried.dry_run, tried.event.booked) == ("EventChange", True, 1)
    assert anybody("events.get_event", event.slug).booked == 0

    done = ada("events.change_event", event.slug, **change)
    assert [(promotion.id, promotion.user_id) for promotion in done.promotions] == [(order.id, "cleo")]
    late = ada("events.change_event", event.slug, **change)
    assert (kind(late), late.status, late.code) == ("Problem", 412, "event_changed")


def test_the_ledger_is_read_part_by_part(ada: Asker, anybody: Asker) -> None:
    event = ada.create(capacity=1, event_id="ledger")
    bob, cleo = anybody.place(event, "bob"), anybody.place(event, "cleo")
    ada("orders.cancel_order", bob.id, body=models().CancelOrderBody())
    entries, after = [], 0
    while after is not None:
        part = anybody("live_counts_and_the_ledger.list_entries", event.slug, after=after, limit=2)
        entries += part.items
        after = part.next_

    assert [(entry.seq, entry.kind, entry.order_id) for entry in entries] == [
        (1, "opened", None),
        (2, "revised", None),
        (3, "booked", bob.id),
        (4, "joined", cleo.id),
        (5, "cancelled", bob.id),
        (6, "promoted", cleo.id),
    ]
    assert {kind(entry) for entry in entries} == {"Entry"}
    assert (cleo.receipt.entry, cleo.receipt.hash_) == (4, entries[3].hash_)


def test_what_is_wrong_is_told_field_by_field(ada: Asker) -> None:
    refused = ada.create(capacity=-1, event_id="/")

    assert (kind(refused), refused.status, refused.code) == ("Problem", 400, "invalid_input")
    assert [problem.pointer for problem in refused.errors] == ["/eventId", "/capacity"]
