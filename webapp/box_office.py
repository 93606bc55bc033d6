"""The box office: the service that every front shares, and the one path of every change.

A front's task only hands in a command and waits: it holds no lock and never touches the store, so that a client who
goes away loses his answer and nothing else. Desks are kept here; the committer settles what is pending at them.
"""

import asyncio
import logging
import secrets
import time
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any, Final

from webapp.announcements import Announcements
from webapp.booking import decisions
from webapp.booking.decisions import Cancellation, Opening, Placement, Refusal, Resizing
from webapp.booking.ledger import Actor, LedgerDamaged
from webapp.booking.state import Counts, EventCursor, EventPage
from webapp.committer import Committer
from webapp.desk import Answer, Command, Desk, Rule, Unavailable
from webapp.recovery import every_event, recover
from webapp.storage.store import Store, StoreUnreadable

log = logging.getLogger(__name__)

ANSWER_TIMEOUT_S: Final = 9.0
READ_TIMEOUT_S: Final = 8.0
PATIENCE_S: Final = 3.0
DESKS_MAX: Final = 10_000
FOLDS_AT_ONCE: Final = 16
"""Ledgers read at the same time; the others wait their turn, and leave the reading thread to the pages."""

SHUTTING_DOWN: Final = "The server is shutting down; nothing was changed"
RESTARTING: Final = "The server is about to restart; nothing was changed"


class BoxOffice:
    """Takes commands for events, settles them fairly and durably, and publishes counts.

    `clock` gives microseconds since 1970, UTC; `randomness` so many random bytes; `on_fatal` is called once when the
    process must end because what is stored can no longer be known; `on_commit` after every batch that was stored, with
    its number of entries and the seconds that storing it took.
    """

    def __init__(
        self,
        store: Store,
        *,
        clock: Callable[[], int] = lambda: time.time_ns() // 1_000,
        randomness: Callable[[int], bytes] = secrets.token_bytes,
        on_fatal: Callable[[], None] = lambda: None,
        on_commit: Callable[[int, float], object] = lambda _entries, _seconds: None,
        pending_max: int = 10_000,
        desk_idle_s: float = 600.0,
    ) -> None:
        self.announcements = Announcements()
        self._store = store
        self._clock = clock
        self._randomness = randomness
        self._on_fatal = on_fatal
        self._pending_max = pending_max
        self._pending_max_per_desk = max(1, pending_max // 2)  # no event may take all room from the others
        self._desk_idle_s = desk_idle_s
        self._desks: OrderedDict[str, Desk] = OrderedDict()  # least recently used first
        self._closed_because: str | None = None
        self._committer = Committer(
            store,
            self.announcements,
            clock=clock,
            fold=self._folding,
            on_failure=self._end_of_knowledge,
            on_commit=on_commit,
        )
        self._committing: asyncio.Task[None] | None = None
        self._patience: asyncio.TimerHandle | None = None
        self._unanswered: deque[tuple[float, asyncio.Future[Any]]] = deque()  # with the time until which it may take
        self._folds = asyncio.Semaphore(FOLDS_AT_ONCE)
        self._tasks: set[asyncio.Task[Any]] = set()

    @property
    def pending(self) -> int:
        """How many commands wait to be settled."""
        return self._committer.pending

    # What fronts call

    async def open_event(self, event_id: str, tickets: int, actor: Actor = "organiser") -> Opening:
        """Open an event with so many tickets. Raises Refusal `event_exists`, Unavailable."""
        return await self._settled(event_id, partial(decisions.open_event, tickets=tickets), actor)

    async def book(self, event_id: str, guest: str, actor: Actor = "guest") -> Placement:
        """Book a ticket or join the waiting list. Raises Refusal `event_not_found`, Unavailable."""
        random = self._randomness(21)
        rule = partial(decisions.book, guest=guest, order_id=_order_id(self._clock(), random[:5]), salt=random[5:])
        return await self._settled(event_id, rule, actor)

    async def cancel(self, event_id: str, guest: str, actor: Actor, reason: str | None = None) -> Cancellation:
        """End a guest's live order. Raises Refusal `event_not_found`, `order_not_found`, Unavailable."""
        return await self._settled(event_id, partial(decisions.cancel, guest=guest, reason=reason), actor)

    async def resize(self, event_id: str, tickets: int, actor: Actor = "organiser") -> Resizing:
        """Change the capacity. Raises Refusal `event_not_found`, `capacity_below_booked`, Unavailable."""
        return await self._settled(event_id, partial(decisions.resize, tickets=tickets), actor)

    async def counts(self, event_id: str) -> Counts:
        """The published counts of an event. Raises Refusal `event_not_found`, Unavailable."""
        if event_id in self._desks:
            self._desk(event_id)  # whom somebody asks for is not idle
        counts = self.published(event_id) or await self._read(self._store.counts(event_id))
        if counts is None:
            raise Refusal("event_not_found", "Event not found")
        return self.published(event_id) or counts  # what was read may be committed already, but not published yet

    def published(self, event_id: str) -> Counts | None:
        """The counts of an event that is in memory; None says nothing."""
        desk = self._desks.get(event_id)
        return desk.published if desk else None

    async def place(self, event_id: str, guest: str) -> Placement:
        """Where a guest's order stands. Raises Refusal `event_not_found`, `order_not_found`, Unavailable."""
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                await self.counts(event_id)
                return await self._place(event_id, guest)
        except TimeoutError:
            raise Unavailable("overloaded", "The event is still being read; please try again", 5) from None

    async def events(self, limit: int, before: EventCursor | None = None) -> EventPage:
        """Events with their published counts, newest first. Raises Unavailable."""
        page = await self._read(self._store.events(limit, before))
        return EventPage([self.published(counts.event_id) or counts for counts in page.events], page.next)

    # Life

    async def start(self) -> None:
        """Fold and check every ledger, then begin to settle. Raises LedgerDamaged, StoreUnreadable."""
        began, events, entries = time.monotonic(), 0, 0
        async for counts in every_event(self._store):
            desk = self._desk(counts.event_id)
            async with desk.lock:
                await self._fold(desk)
            events, entries = events + 1, entries + (desk.published.head if desk.published else 0)
        log.info("checked %d ledgers with %d entries in %.1f s", events, entries, time.monotonic() - began)
        self._committing = asyncio.create_task(self._committer.run(), name="committer")
        self._committing.add_done_callback(self._committing_ended)
        self._keep(self._answer_late_ones_forever())
        self._keep(self._drop_idle_desks_forever())

    @property
    def is_open(self) -> bool:
        """Whether it has started, and has not begun to stop."""
        return self._committing is not None and self._closed_because is None and not self.announcements.closed

    def wind_down(self, patience_s: float = PATIENCE_S) -> None:
        """Begin to stop: end the streams, turn red for load balancers, and settle what still comes.

        After `patience_s`, whatever is not settled is answered all the same, before its connection is cut.
        """
        self.announcements.close()
        self._patience = asyncio.get_running_loop().call_later(patience_s, self._give_up)

    async def stop(self) -> None:
        """Take no more commands, settle what is pending, and end every task. The store stays open."""
        self._closed_because = self._closed_because or SHUTTING_DOWN
        self._committer.close()
        if self._committing is not None:
            await asyncio.wait([self._committing])
        if self._patience is not None:
            self._patience.cancel()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.announcements.close()

    # Handing in and looking up

    async def _settled(self, event_id: str, rule: Rule[Answer], actor: Actor) -> Answer:
        if self._closed_because is not None:
            raise Unavailable("shutting_down", self._closed_because, 5)
        waiting = self._desks[event_id].pending if event_id in self._desks else ()
        if self.pending >= self._pending_max or len(waiting) >= self._pending_max_per_desk:
            raise Unavailable("overloaded", "Too many requests are waiting; nothing was changed")
        desk = self._desk(event_id)
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answer] = loop.create_future()
        self._committer.hand_in(desk, Command(rule, actor, future))
        self._unanswered.append((loop.time() + ANSWER_TIMEOUT_S, future))
        try:
            return await future
        finally:
            self._forget_if_unknown(desk)

    async def _place(self, event_id: str, guest: str) -> Placement:
        while True:
            desk = self._desk(event_id)
            if desk.state is None:
                await self._folded(desk)
            async with desk.lock:
                if desk.state is not None:
                    return decisions.place(desk.state, guest)

    def _desk(self, event_id: str) -> Desk:
        desk = self._desks.get(event_id)
        if desk is None:
            if len(self._desks) >= DESKS_MAX * 1.1:
                self._drop_idle_desks()
            desk = self._desks[event_id] = Desk(event_id)
        self._desks.move_to_end(event_id)
        desk.used_at = time.monotonic()
        return desk

    def _forget_if_unknown(self, desk: Desk) -> None:
        is_known = desk.state is None or desk.state.exists
        if not is_known and desk.is_idle and self._desks.get(desk.event_id) is desk:  # not the desk of a later caller
            del self._desks[desk.event_id]

    # Folding

    def _folding(self, desk: Desk) -> asyncio.Task[Unavailable | None]:
        """The task that folds a desk's state, in its own time, so that a long ledger delays nobody else."""
        if desk.folding is None:
            desk.folding = self._keep(self._fold_and_line_up(desk))
        return desk.folding

    async def _folded(self, desk: Desk) -> None:
        """Wait until a desk has been folded. Raises Unavailable."""
        if self._closed_because is not None:
            raise Unavailable("shutting_down", self._closed_because, 5)
        folding = self._folding(desk)
        await asyncio.wait([folding])  # which neither cancels it nor is cancelled with it
        if folding.cancelled():
            raise Unavailable("shutting_down", SHUTTING_DOWN, 5)
        if problem := folding.result():
            raise problem

    async def _fold_and_line_up(self, desk: Desk) -> Unavailable | None:
        problem: Unavailable | None = Unavailable("shutting_down", SHUTTING_DOWN, 5)
        try:
            async with self._folds, desk.lock:
                await self._fold(desk)
            problem = None
        except LedgerDamaged as damage:
            log.critical("%s", damage)
            problem = Unavailable(
                "ledger_damaged", "This event's ledger is damaged; it is not served until repaired", 60
            )
        except StoreUnreadable as error:
            log.error("event %r could not be read: %s", desk.event_id, error)
            problem = Unavailable("storage_unavailable", "The event could not be read; nothing was changed", 2)
        finally:
            desk.folding = None
            if problem is not None:
                self._committer.turn_away(desk, problem)
            elif desk.pending:
                self._committer.line_up(desk)
        return problem

    async def _fold(self, desk: Desk) -> None:
        if desk.state is None:
            desk.state = await recover(self._store, desk.event_id)
            desk.published = desk.state.counts if desk.state.exists else None

    async def _read(self, reading: Awaitable[Answer]) -> Answer:
        try:
            async with asyncio.timeout(READ_TIMEOUT_S):
                return await reading
        except TimeoutError as error:
            log.error("a read takes longer than %.0f s", READ_TIMEOUT_S)
            raise Unavailable("storage_unavailable", "The database is slow to read; please try again", 5) from error
        except StoreUnreadable as error:
            log.error("a read failed: %s", error)
            raise Unavailable(
                "storage_unavailable", "The database could not be read; nothing was changed", 2
            ) from error

    # Housekeeping

    async def _answer_late_ones_forever(self) -> None:
        """Answer whatever waits for too long. One look for all costs less than a timer for each."""
        while True:
            await asyncio.sleep(ANSWER_TIMEOUT_S / 20)
            now = asyncio.get_running_loop().time()
            while self._unanswered and (self._unanswered[0][1].done() or self._unanswered[0][0] < now):
                _, future = self._unanswered.popleft()
                if not future.done():
                    sentence = "The answer is late: whether anything changed is not known"
                    future.set_exception(Unavailable("outcome_unknown", sentence))

    async def _drop_idle_desks_forever(self) -> None:
        while True:
            await asyncio.sleep(self._desk_idle_s / 4)
            self._drop_idle_desks()

    def _drop_idle_desks(self) -> None:
        """Forget desks where nothing goes on: those unused for long, and the least recently used beyond DESKS_MAX."""
        long_ago = time.monotonic() - self._desk_idle_s
        surplus = len(self._desks) - DESKS_MAX
        for desk in list(self._desks.values()):
            if desk.used_at > long_ago and surplus <= 0:
                break
            if desk.is_idle:
                del self._desks[desk.event_id]
                surplus -= 1

    def _keep(self, work: Coroutine[Any, Any, Answer]) -> asyncio.Task[Answer]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _committing_ended(self, committing: asyncio.Task[None]) -> None:
        if not committing.cancelled() and (bug := committing.exception()):
            log.critical("the committer died", exc_info=bug)
            self._end_of_knowledge()

    def _end_of_knowledge(self) -> None:
        """Take no more commands and have the process end: only a restart can tell what is stored."""
        self._turn_everybody_away(RESTARTING)
        self._committer.close()
        self._on_fatal()

    def _give_up(self) -> None:
        self._turn_everybody_away(SHUTTING_DOWN)
        self._committer.give_up()

    def _turn_everybody_away(self, reason: str) -> None:
        self._closed_because = reason
        for desk in self._desks.values():
            self._committer.turn_away(desk, Unavailable("shutting_down", reason, 5))


def _order_id(now: int, random: bytes) -> str:
    """20 hexadecimal digits: 40 bits of time, in steps of 4 ms, and 40 random bits.

    In random order, every booking would touch pages of its own in the database (see github.com/ulid/spec).
    """
    return ((now >> 12) % 2**40).to_bytes(5, "big").hex() + random.hex()
