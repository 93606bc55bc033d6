"""The box office and its enquiries on a real database, to be driven by the state machines."""

import asyncio
import json
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, TypeVar

from tests.machine import EVENTS, TICKS_KEPT, Record
from tests.model import Answer, Plan, erased_name
from tests.replay import problems
from webapp.booking import answers
from webapp.booking.answers import Receipt, Refusal
from webapp.booking.details import Details
from webapp.booking.ledger import Entry, pseudonym
from webapp.booking.state import Counts
from webapp.box_office import BoxOffice
from webapp.desk import AnsweredBefore, Once
from webapp.enquiries import Enquiries, Standing
from webapp.recovery import recover
from webapp.storage.sqlite import SqliteStore
from webapp.storage.store import ANSWERS_KEPT_US, OrderRow

A = TypeVar("A", bound=answers.Answer)
T = TypeVar("T")

TICK_US: Final = ANSWERS_KEPT_US // TICKS_KEPT
ORDERS_MAX: Final = 1_000


class BoxOfficeDriver:
    """A box office on a database of its own; a restart stops it, closes the store and opens both again."""

    def __init__(self, empty_database: Path) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.database = Path(shutil.copy(empty_database, self.folder.name))
        self.now = 0
        self.receipts: list[tuple[str, Receipt]] = []
        self.runner = asyncio.Runner()
        self._run(self._start())

    # Changes

    def set_clock(self, now: int) -> None:
        self.now = now

    def open(self, event: str, tickets: int) -> Answer:
        def told(opening: answers.Opening) -> Answer:
            return "new" if opening.is_new else "as before"

        return self._change(event, told, lambda _: self.box_office.open_event(event, tickets))

    def create(self, event: str, tickets: int, plan: Plan, key: str | None = None) -> Answer:
        def create(once: Once | None) -> Awaitable[answers.Revision]:
            return self.box_office.create_event(event, tickets, details(plan), once=once)

        return self._change(event, lambda _: [], create, key, ("create", event, tickets, plan))

    def revise(
        self, event: str, revision: int | None, tickets: int | None, plan: Plan | None, *, is_rehearsal: bool
    ) -> Answer:
        told = self._promoted(event)
        new = plan and details(plan)
        return self._change(
            event,
            told,
            lambda _: self.box_office.revise(
                event, revision or 0, tickets=tickets, details=new, is_rehearsal=is_rehearsal
            ),
        )

    def delete(self, event: str, revision: int | None) -> Answer:
        return self._change(event, lambda _: [], lambda _: self.box_office.delete_event(event, revision or 0))

    def book(self, event: str, guest: str, key: str | None = None) -> Answer:
        def told(placement: answers.Placement) -> Answer:
            return placement.status, placement.is_new

        def book(once: Once | None) -> Awaitable[answers.Placement]:
            return self.box_office.book(event, guest, once=once)

        return self._change(event, told, book, key, ("book", event, guest))

    def cancel(self, event: str, guest: str) -> Answer:
        return self._change(
            event, self._promoted(event), lambda _: self.box_office.cancel(event, guest, "guest", "He is ill")
        )

    def cancel_order(self, event: str, number: int, key: str | None = None) -> Answer:
        order = self._order(event, number)

        def cancel(once: Once | None) -> Awaitable[answers.Cancellation]:
            return self.box_office.cancel(event, order.guest, "organiser", order_id=order.id, once=once)

        return self._change(event, self._promoted(event), cancel, key, ("cancel", event, number))

    def check_in(self, event: str, number: int, gate: str | None, key: str | None = None) -> Answer:
        order = self._order(event, number)

        def check_in(once: Once | None) -> Awaitable[answers.CheckIn]:
            return self.box_office.check_in(event, order.guest, order.id, gate, once=once)

        return self._change(event, self._arrival, check_in, key, ("check in", event, number, gate))

    def undo_check_in(self, event: str, number: int) -> Answer:
        order = self._order(event, number)
        return self._change(event, self._arrival, lambda _: self.box_office.undo_check_in(event, order.guest, order.id))

    def erase(self, event: str, number: int) -> Answer:
        order = self._order(event, number)
        if order.erased_at is not None:
            return ()
        order_ids = self._run(self.enquiries.same_guest(order))
        placed = [standing.order.id for standing in self._standings(event)]
        return self._change(
            event,
            lambda erasure: tuple(map(placed.index, erasure.order_ids)),
            lambda _: self.box_office.erase(event, order.guest, order_ids),
        )

    # Looks

    def revision(self, event: str) -> int | None:
        revision = self._look(self.box_office.event(event), lambda found: (found.counts.revision,))
        return None if isinstance(revision, str) else int(str(revision[0]))

    def status(self, event: str) -> Answer:
        return self._look(self.box_office.counts(event), lambda counts: counts[1:4])

    def event(self, event: str) -> Answer:
        def told(found: Any) -> Answer:
            said = found.details
            times = (said.opens_at, said.closes_at, said.starts_at)
            plan = Plan(said.title, said.hidden, *(None if time is None else time // TICK_US for time in times))
            return plan, said.schedule.booking(self.now * TICK_US), found.counts.checked_in

        return self._look(self.box_office.event(event), told)

    def place(self, event: str, guest: str) -> Answer:
        return self._look(self.box_office.place(event, guest), lambda placement: (placement.status, placement.position))

    def roster(self, event: str) -> list[tuple[object, ...]]:
        names = self._names(event)
        return [
            (
                names.get(order.guest, order.guest),
                order.status,
                position,
                None if order.checked_in_at is None else (order.checked_in_at // TICK_US, order.gate),
            )
            for order, position in self._standings(event)
        ]

    def ledger(self, event: str) -> Sequence[Record]:
        entries = self._run(self._entries(event))
        return [Record(entry.kind, entry.order_id, entry.guest, entry.detail) for entry in entries]

    # Life

    def verify(self) -> None:
        self._run(self._verify())

    def restart(self) -> None:
        self._run(self._stop())
        self._run(self._start())

    def close(self) -> None:
        try:
            self._run(self._stop())
            assert self._run(problems(self.database)) == []
        finally:
            self.runner.close()
            self.folder.cleanup()

    def _run(self, doing: Coroutine[Any, Any, T]) -> T:
        """The same as the runner's `run`, which spends a third of all time on watching for an interrupt."""
        return self.runner.get_loop().run_until_complete(doing)

    async def _start(self) -> None:
        self.store = await SqliteStore.open(self.database)
        self.box_office = BoxOffice(self.store, clock=lambda: self.now * TICK_US)
        self.enquiries = Enquiries(self.store, self.box_office)
        await self.box_office.start()

    async def _stop(self) -> None:
        await self.box_office.stop()
        await self.store.close()

    async def _entries(self, event: str) -> list[Entry]:
        return [entry async for chunk in self.store.entries(event) for entry in chunk]

    async def _verify(self) -> None:
        """Fold every ledger again, and compare with all that is shown, and with every receipt that was given."""
        open_ones: dict[str, Counts] = {}
        hidden = set()
        for event in EVENTS:
            state, said = await recover(self.store, event)
            if state.exists:
                open_ones[event] = state.counts
                hidden |= {event} if said.hidden else set()
        listed = (await self.box_office.events(100, shown_to="organiser")).events
        assert {event.counts.event_id: event.counts for event in listed} == open_ones
        assert {event.counts.event_id for event in (await self.box_office.events(100)).events} == set(
            open_ones
        ) - hidden
        assert {event: counts for event in EVENTS if (counts := self.box_office.published(event))} == open_ones
        ledgers = {event: await self._entries(event) for event in EVENTS}
        for event, receipt in self.receipts:
            entry = ledgers[event][receipt.entry - 1]
            assert receipt == (entry.seq, entry.at, entry.hash), "a receipt is not what is recorded"

    # What several of them need

    def _change(
        self,
        event: str,
        told: Callable[[A], Answer],
        asking: Callable[[Once | None], Awaitable[A]],
        key: str | None = None,
        request: tuple[object, ...] = (),
    ) -> Answer:
        """Ask for a change, and hold its receipt against how many entries the ledger has got through it."""

        def kept(answer: A) -> str:
            return json.dumps(told(answer))

        once = None if key is None else Once(digest(key), digest(request), kept)

        async def change() -> Answer:
            before = len(await self._entries(event))
            try:
                answer = await asking(once)
            except Refusal as refusal:
                assert len(await self._entries(event)) == before, "a refusal changed something"
                return refusal.code
            except AnsweredBefore as replay:
                assert len(await self._entries(event)) == before, "a replay changed something"
                return "replayed", replay.text
            has_changed = len(await self._entries(event)) > before
            assert (answer.receipt and answer.receipt.entry) == (before + 1 if has_changed else None)
            if answer.receipt:
                self.receipts.append((event, answer.receipt))
            return told(answer)

        return self._run(change())

    def _look(self, asking: Awaitable[T], told: Callable[[T], Answer]) -> Answer:
        async def look() -> Answer:
            try:
                return told(await asking)
            except Refusal as refusal:
                return refusal.code

        return self._run(look())

    def _promoted(self, event: str) -> Callable[[answers.Cancellation | answers.Revision], Answer]:
        names = self._names(event)

        return lambda answer: [names.get(promotion.guest, promotion.guest) for promotion in answer.promoted]

    @staticmethod
    def _arrival(check_in: answers.CheckIn) -> Answer:
        return check_in.at // TICK_US, check_in.gate

    def _names(self, event: str) -> dict[str, str]:
        """What the model calls those who were erased."""
        return {
            pseudonym(standing.order.id): erased_name(number)
            for number, standing in enumerate(self._standings(event))
            if standing.order.erased_at is not None
        }

    def _order(self, event: str, number: int) -> OrderRow:
        return self._standings(event)[number].order

    def _standings(self, event: str) -> list[Standing]:
        async def standings() -> list[Standing]:
            try:
                page = await self.enquiries.roster(event, share=None, q="", after=0, limit=ORDERS_MAX)
            except Refusal:
                return []
            assert page.next is None
            return page.standings

        return self._run(standings())


def digest(said: object) -> bytes:
    """32 bytes for whatever somebody says."""
    return sha256(repr(said).encode()).digest()


def details(plan: Plan) -> Details:
    """The same in the box office's words."""
    title, hidden, *times = plan
    opens_at, closes_at, starts_at = (None if ticks is None else ticks * TICK_US for ticks in times)
    return Details(title=title, hidden=hidden, opens_at=opens_at, closes_at=closes_at, starts_at=starts_at)
