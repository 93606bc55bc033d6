"""A running server, driven over HTTP by the state machines: through /api/v1, and through the original routes beside it.

What anybody can see is followed all the while: the public ledger with its chain, in which every receipt is looked up.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, Final, NamedTuple

from tests import effort
from tests.client import Body, Reply
from tests.machine import EVENTS, STEPS_TO_FIND, TICKS_KEPT, Record
from tests.model import Answer, Plan, erased_name
from tests.reliability.crowd import told
from tests.reliability.public_ledger import PublicLedger
from tests.server import Server
from tests.web.api import ADA, V1
from webapp.booking.ledger import pseudonym

RESTARTS_CARRIED_OUT: Final = 10
"""The first of a run, and then one in ten, because each takes as long as hundreds of other steps."""

HOST: Final = "tickets.example"
"""What the server is asked as, so that the links it makes stay the same when its port does not."""

TICK: Final = timedelta(days=1) / TICKS_KEPT
A_RUN: Final = timedelta(days=10) + max(effort.MODEL_STEPS, STEPS_TO_FIND) * TICKS_KEPT * TICK
"""How far the clocks of two runs are apart: more than one of them can go on."""

NEVER_SHOWN: Final = '"0-0-000000000000-o"'
TIMES: Final = ("opens_at", "closes_at", "starts_at")


def set_clock(server: Server, at: datetime) -> None:
    """Have a server that goes by the clock believe that it is so late."""
    server.folder.mkdir(parents=True, exist_ok=True)
    file = server.folder / "clock"
    new = file.with_suffix(".new")
    new.write_text(str((at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1_000))
    new.replace(file)  # it may be looked at any time


@dataclass
class Order:
    """What whoever placed an order knows of it; the guest is forgotten once he is erased."""

    id: str
    guest: str | None
    key: str | None


class Told(NamedTuple):
    """A first answer under a key."""

    reply: Reply
    answer: Answer


class OriginalDriver:
    """A server process, and events of one run's own; a restart kills it or stops it."""

    def __init__(self, server: Server, run: int) -> None:
        self._server = server
        self._run = run
        self._restarts = count()
        self._ledgers = {event: PublicLedger(self._named(event)) for event in EVENTS}
        self._orders: dict[str, list[Order]] = {event: [] for event in EVENTS}
        self._exists = dict.fromkeys(EVENTS, False)

    def open(self, event: str, tickets: int) -> Answer:
        answer, news = self._change(event, "open", "POST /initialize", {"tickets": tickets})
        return answer if answer != "open" else "new" if news else "as before"

    def book(self, event: str, guest: str) -> Answer:
        answer, news = self._change(event, "book", "POST /book", {"userId": guest})
        for entry in news:
            self._orders[event].append(Order(entry["order_id"], guest, None))
        return answer

    def cancel(self, event: str, guest: str) -> Answer:
        answer, news = self._change(event, "cancel", "POST /cancel", {"userId": guest})
        if isinstance(answer, str):
            return answer
        promoted = [self._order(event, order_id) for order_id in promoted_in(news)]
        assert answer == [order.guest for order in promoted[:1] if order.guest is not None]
        return [self._name(event, order.id) for order in promoted]

    def status(self, event: str) -> Answer:
        return told("status", self._look(event))

    def ledger(self, event: str) -> Sequence[Record]:
        self._news(event)
        names = {order.id: order.guest or pseudonym(order.id) for order in self._orders[event]}
        return [
            Record(entry["kind"], entry["order_id"], names.get(entry["order_id"]), entry["detail"])
            for entry in self._ledgers[event].entries
        ]

    def verify(self) -> None:
        """What is shown, the head of the chain included, is what the ledger says."""
        for event in EVENTS:
            assert not self._news(event), "something has happened meanwhile"
            if (reply := self._look(event)).code is None:
                assert reply.headers["ETag"] == f'"{self._ledgers[event].head}"'

    def restart(self) -> None:
        if next(self._restarts) % RESTARTS_CARRIED_OUT:
            return
        if sum(len(ledger.entries) for ledger in self._ledgers.values()) % 2:
            self._server.kill()
        else:
            assert self._server.stop() == 0
        self._server.start()
        self._read_all_again()

    def close(self) -> None:
        """Leave the server to the next run."""
        if self._server.is_running:
            self._read_all_again()

    # What several of them need

    def _ask(self, request: str, body: Body = None, headers: Mapping[str, str] | None = None) -> Reply:
        return self._server.ask(request, body, {"Host": HOST, **(headers or {})})

    def _look(self, event: str) -> Reply:
        return self._ask(f"GET /status/{self._named(event)}")

    def _named(self, event: str) -> str:
        return f"{event}-{self._run}"

    def _change(
        self, event: str, verb: str, request: str, body: Mapping[str, object]
    ) -> tuple[Answer, list[dict[str, Any]]]:
        """The answer to a request of the original routes, and what it has recorded."""
        reply = self._ask(request, {"eventId": self._named(event), **body}, ADA)
        news = self._news(event)
        assert reply.code is None or not news, f"{reply.code} changed something: {news}"
        return told(verb, reply), news

    def _news(self, event: str) -> list[dict[str, Any]]:
        """What was recorded since the last look, but the deletion of an event, which shows when it is there again."""
        ledger = self._ledgers[event]
        found = self._entries(event, len(ledger.entries))
        self._exists[event], news = found is not None, found or []
        for entry in news:
            ledger.follow(entry)
        return [entry for entry in news if entry["kind"] != "deleted"]

    def _entries(self, event: str, after: int) -> list[dict[str, Any]] | None:
        return self._listed(f"{V1}/events/{self._named(event)}/ledger?after={after}&limit=100")

    def _listed(self, target: str, headers: Mapping[str, str] | None = None) -> list[dict[str, Any]] | None:
        """All pages of an event's list; None where there is no event."""
        found: list[dict[str, Any]] = []
        following: str | None = target
        while following is not None:
            reply = self._ask(f"GET {following}", headers=headers)
            if reply.code == "event_not_found":
                return None
            found += reply.json["items"]
            link = reply.headers["Link"]
            assert (link is None) == (reply.json["next"] is None)
            following = link and link.removeprefix("<").removesuffix('>; rel="next"')
        return found

    def _read_all_again(self) -> None:
        for event, existed in self._exists.items():
            entries = self._ledgers[event].entries if existed else None
            assert self._entries(event, 0) == entries, "the past is another one"

    def _named_order(self, order_id: str) -> Order:
        return next(order for orders in self._orders.values() for order in orders if order.id == order_id)

    def _order(self, event: str, order_id: str) -> Order:
        return next(order for order in self._orders[event] if order.id == order_id)

    def _name(self, event: str, order_id: str) -> str:
        """What the model calls an order's guest."""
        order = self._order(event, order_id)
        return order.guest or erased_name(self._orders[event].index(order))


def promoted_in(news: Sequence[Mapping[str, Any]]) -> list[str]:
    """The orders that got a ticket."""
    return [entry["order_id"] for entry in news if entry["kind"] == "promoted"]


class ApiDriver(OriginalDriver):
    """A server that goes by the clock, whose steps are quarters of a day.

    Bookings without a key take the original route, and that of the API, in turn. Orders with even numbers are cancelled
    by guests with the order's key, others by the organiser.
    """

    def __init__(self, server: Server, run: int) -> None:
        super().__init__(server, run)
        self._bookings = count()
        self._began_at = datetime(2030, 1, 1, tzinfo=UTC) + A_RUN * run
        self._tags: dict[tuple[str, int], str] = {}
        self._told: dict[tuple[str, str], Told] = {}
        self.set_clock(0)

    def set_clock(self, now: int) -> None:
        set_clock(self._server, self._at(now))

    # Changes

    def create(self, event: str, tickets: int, plan: Plan, key: str | None = None) -> Answer:
        body = {"eventId": self._named(event), "capacity": tickets, **self._details(plan)}

        def told(reply: Reply, news: list[dict[str, Any]]) -> Answer:
            assert [entry["kind"] for entry in news] == ["opened", "revised"]
            assert reply.headers["Location"] == f"{V1}/events/{self._named(event)}"
            assert (self._plan(event, reply.json), reply.json["capacity"]) == (plan, tickets)
            self._check_tag(event, reply)
            return []

        return self._wish(event, "POST /events", body, told, key=key, by=ADA)

    def revise(
        self, event: str, revision: int | None, tickets: int | None, plan: Plan | None, *, is_rehearsal: bool
    ) -> Answer:
        body = ({} if plan is None else self._details(plan)) | ({} if tickets is None else {"capacity": tickets})

        def told(reply: Reply, news: list[dict[str, Any]]) -> Answer:
            said, shown = reply.json, self._show(event)
            promoted = [self._promoted(event, promotion) for promotion in said["promotions"]]
            assert (said["dry_run"], said["promoted"]) == (is_rehearsal, len(promoted))
            if is_rehearsal:
                assert reply.headers["ETag"] is None
                now, number = shown.json, len(promoted)
                follows = {
                    **now, "booked": now["booked"] + number, "waiting": now["waiting"] - number,
                    "capacity": now["capacity"] if tickets is None else tickets,
                }  # fmt: skip
                telling = ("capacity", "booked", "waiting", "checked_in", "revision", "entry")
                assert [said["event"][name] for name in telling] == [follows[name] for name in telling]
                assert self._plan(event, said["event"]) == (self._plan(event, now) if plan is None else plan)
            else:
                assert (said["event"], reply.headers["ETag"]) == (shown.json, shown.headers["ETag"])
                assert promoted == [self._name(event, order_id) for order_id in promoted_in(news)]
            return promoted

        query = "?dry_run=1" if is_rehearsal else ""
        tag = {"If-Match": self._tag(event, revision)}
        return self._wish(event, f"PATCH {self._path(event)}{query}", body, told, by={**ADA, **tag})

    def delete(self, event: str, revision: int | None) -> Answer:
        tag = {"If-Match": self._tag(event, revision)}
        return self._wish(event, f"DELETE {self._path(event)}", None, lambda *_: [], by={**ADA, **tag})

    def book(self, event: str, guest: str, key: str | None = None) -> Answer:
        if key is None and next(self._bookings) % 2:
            return super().book(event, guest)

        def told(reply: Reply, news: list[dict[str, Any]]) -> Answer:
            said = reply.json
            is_new = reply.status == 201
            assert is_new == bool(news)
            if is_new:
                assert reply.headers["Location"] == f"{V1}/orders/{said['id']}"
                self._orders[event].append(Order(said["id"], guest, said["key"]))
            else:
                assert not said.keys() & {"key", "manage_link", "name", "email"}
            assert said["userId"] == guest
            self._check_place(event, said)
            return said["status"], is_new

        return self._wish(event, f"POST {self._path(event)}/orders", {"userId": guest}, told, key=key)

    def cancel_order(self, event: str, number: int, key: str | None = None) -> Answer:
        order = self._orders[event][number]

        def told(reply: Reply, news: list[dict[str, Any]]) -> Answer:
            said = reply.json
            promoted = [self._name(event, order_id) for order_id in promoted_in(news)]
            assert said["promoted"] == len(promoted)
            if number % 2:
                assert [self._promoted(event, promotion) for promotion in said["promotions"]] == promoted
            else:
                assert "promotions" not in said, "a guest is told who got his ticket"
            return promoted

        by = ADA if number % 2 else self._key(order)
        return self._wish(event, f"POST /orders/{order.id}/cancellation", None, told, key=key, by=by)

    def check_in(self, event: str, number: int, gate: str | None, key: str | None = None) -> Answer:
        def told(reply: Reply, _: object) -> Answer:
            return self._arrival(reply.json["checked_in"])

        request = f"POST /orders/{self._orders[event][number].id}/check-in"
        return self._wish(event, request, {"gate": gate}, told, key=key, by=ADA)

    def undo_check_in(self, event: str, number: int) -> Answer:
        order = self._orders[event][number]
        arrival = self._seen(order)["checked_in"]
        request = f"DELETE /orders/{order.id}/check-in"
        return self._wish(event, request, None, lambda *_: self._arrival(arrival), by=ADA)

    def erase(self, event: str, number: int) -> Answer:
        def told(_: Reply, news: list[dict[str, Any]]) -> Answer:
            assert {entry["kind"] for entry in news} <= {"erased"}
            erased = [self._order(event, entry["order_id"]) for entry in news]
            for order in erased:
                order.guest = None
            return tuple(map(self._orders[event].index, erased))

        request = f"DELETE /orders/{self._orders[event][number].id}/person"
        return self._wish(event, request, None, told, by=ADA)

    # Looks

    def revision(self, event: str) -> int | None:
        shown = self._show(event)
        if shown.code is not None:
            return None
        revision = int(shown.json["revision"])
        self._tags[event, revision] = shown.headers["ETag"]
        return revision

    def event(self, event: str) -> Answer:
        shown = self._show(event)
        if shown.code is not None:
            return shown.code
        said, status = shown.json, self._look(event).json
        assert (said["capacity"], said["available"], said["waiting"]) == (
            status["total"], status["available"], status["waitingList"],
        )  # fmt: skip
        assert said["capacity"] == said["booked"] + said["available"]
        self._check_tag(event, shown)
        return self._plan(event, said), said["policy"]["booking"], said["checked_in"]

    def place(self, event: str, guest: str) -> Answer:
        order = next((order for order in reversed(self._orders[event]) if order.guest == guest), None)
        if order is None:  # nor is there one in the roster, which is looked at besides
            return "order_not_found" if self._exists[event] else "event_not_found"
        said = self._seen(order)
        self._check_place(event, said)
        self._check_why(event, said)
        return "order_not_found" if said["status"] == "cancelled" else (said["status"], said["position"])

    def roster(self, event: str) -> list[tuple[object, ...]]:
        items = self._listed(f"{V1}{self._path(event)}/orders?limit=100", ADA) or []
        assert [(item["id"], item["userId"]) for item in items] == [
            (order.id, order.guest) for order in self._orders[event]
        ]
        return [
            (
                self._name(event, item["id"]),
                item["status"],
                item["position"],
                item["checked_in"] and self._arrival(item["checked_in"]),
            )
            for item in items
        ]

    def verify(self) -> None:
        """The same, and the lists hold exactly the events that they should."""
        super().verify()
        shown = {event: reply for event in EVENTS if (reply := self._show(event)).code is None}
        for headers, listed in [
            (ADA, shown),
            (None, {event: reply for event, reply in shown.items() if not reply.json["hidden"]}),
        ]:
            items = self._ask(f"GET {V1}/events?limit=4", headers=headers).json["items"]
            own = {item["eventId"]: item for item in items if item["eventId"] in map(self._named, EVENTS)}
            assert own == {self._named(event): reply.json for event, reply in listed.items()}
        for event, reply in shown.items():
            known = {"If-None-Match": reply.headers["ETag"]}
            assert self._ask(f"GET {V1}{self._path(event)}", headers=known).status == 304

    # What several of them need

    def _wish(
        self,
        event: str,
        request: str,
        body: Body,
        told: Callable[[Reply, list[dict[str, Any]]], Answer],
        *,
        key: str | None = None,
        by: Mapping[str, str] | None = None,
    ) -> Answer:
        """What the API answers: by `told`, where it is no refusal, and no answer that was given before."""
        method, path = request.split(" ", 1)
        own_key = {} if key is None else {"Idempotency-Key": f"{key}-{self._run}"}
        reply = self._ask(f"{method} {V1}{path}", body, {**(by or {}), **own_key})
        news = self._news(event)
        if reply.code is not None:
            assert not news, f"{reply.code} changed something: {news}"
            return reply.code
        if reply.headers["Idempotent-Replayed"] is not None:
            assert not news, f"a replay changed something: {news}"
            before = self._told[request, str(key)]
            self._check_replay(reply, before.reply)
            return "replayed", json.dumps(before.answer)
        answer = told(reply, news)
        if news and "receipt" in (said := json.loads(reply.body or b"{}")):
            self._check_receipt(said["receipt"], news[0])
        if key is not None:
            self._told[request, key] = Told(reply, answer)
        return answer

    def _show(self, event: str) -> Reply:
        return self._ask(f"GET {V1}{self._path(event)}")

    def _seen(self, order: Order) -> dict[str, Any]:
        """An order, as whoever has its key sees it."""
        reply = self._ask(f"GET {V1}/orders/{order.id}", headers=self._key(order))
        assert (reply.status, reply.json["userId"]) == (200, order.guest), reply.body
        return dict(reply.json)

    def _key(self, order: Order) -> Mapping[str, str]:
        """What opens an order; the original route gives none, but the organiser can have it sent."""
        if order.key is None:
            request = f"POST {V1}/orders/{order.id}/manage-link"
            order.key = str(self._ask(request, headers=ADA).json["key"])
        return {"Order-Key": order.key}

    def _tag(self, event: str, revision: int | None) -> str:
        return NEVER_SHOWN if revision is None else self._tags[event, revision]

    def _path(self, event: str) -> str:
        return f"/events/{self._named(event)}"

    def _at(self, tick: int) -> datetime:
        return self._began_at + tick * TICK

    def _tick(self, time: str) -> int:
        ticks = (datetime.fromisoformat(time) - self._began_at) / TICK
        assert ticks.is_integer(), f"nothing is to happen at {time}"
        return int(ticks)

    def _details(self, plan: Plan) -> dict[str, object]:
        times = {name: getattr(plan, name) for name in TIMES}
        told = {name: None if tick is None else self._at(tick).isoformat() for name, tick in times.items()}
        return {"title": plan.title, "hidden": plan.hidden, **told}

    def _plan(self, event: str, said: Mapping[str, Any]) -> Plan:
        times = {name: None if said[name] is None else self._tick(said[name]) for name in TIMES}
        return Plan("" if said["title"] == self._named(event) else said["title"], said["hidden"], **times)

    def _arrival(self, said: Mapping[str, Any]) -> tuple[int, str | None]:
        return self._tick(said["at"]), said["gate"]

    def _promoted(self, event: str, promotion: Mapping[str, Any]) -> str:
        assert promotion["userId"] == self._order(event, promotion["id"]).guest
        return self._name(event, promotion["id"])

    # What must always hold

    def _check_tag(self, event: str, shown: Reply) -> None:
        """The tag and the document name the head of the ledger, the last change, and whether it can be booked."""
        ledger, said = self._ledgers[event], shown.json
        assert (said["revision"], said["entry"]) == (ledger.revision, len(ledger.entries))
        letter = {"open": "o", "not_open_yet": "n", "closed": "c"}[said["policy"]["booking"]]
        assert shown.headers["ETag"] == f'"{ledger.revision}-{ledger.head}-{letter}"'

    @staticmethod
    def _check_receipt(receipt: Mapping[str, Any], entry: Mapping[str, Any]) -> None:
        assert receipt == {"entry": entry["seq"], "at": entry["at"], "hash": entry["hash"]}

    def _check_place(self, event: str, said: Mapping[str, Any]) -> None:
        """An order's position is that in the list of who waits by the ledger, and its receipt its placing."""
        ledger = self._ledgers[event]
        position = ledger.waiting.index(said["id"]) + 1 if said["id"] in ledger.waiting else None
        assert (said["position"], said["ahead"]) == (position, None if position is None else position - 1)
        self._check_receipt(said["receipt"], ledger.placing(said["id"]))

    def _check_why(self, event: str, said: Mapping[str, Any]) -> None:
        """What is told of an order leads from who asked before to who is ahead."""
        why, asked_before = said["why"], self._ledgers[event].asked_before[said["id"]]
        assert (why["asked_before"], why["complete"]) == (asked_before, True)
        if asked_before is not None:
            moved = sum(step["moved"] for step in why["steps"])
            assert asked_before + 1 - moved == (said["position"] or 0), f"the steps do not add up: {why}"

    def _check_replay(self, reply: Reply, before: Reply) -> None:
        """An answer again is the answer before, but for the names of who was erased since."""
        assert reply.status == before.status
        assert [reply.headers[name] for name in ("Location", "ETag")] == [
            before.headers[name] for name in ("Location", "ETag")
        ]
        again, first = reply.json, before.json
        for now, then in zip(again.get("promotions", ()), first.get("promotions", ()), strict=True):
            order = self._named_order(now["id"])
            assert now["userId"] == order.guest
            then["userId"] = order.guest
        if again.get("userId") is None and first.get("userId") is not None:
            assert self._named_order(first["id"]).guest is None
            first["userId"] = None
        assert again == first
