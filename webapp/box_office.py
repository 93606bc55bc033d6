"""The box office: the service that every front shares, and the one path of every change.

A front's task only hands in a command and waits: it holds no lock and never touches the store, so that a client who
goes away loses his answer and nothing else. Desks are kept here; the committer settles what is pending at them.
"""

import asyncio
import logging
import secrets
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from functools import partial
from typing import Any, Final, TypeVar

from webapp.announcements import Announcements
from webapp.booking import decisions
from webapp.booking.answers import (
    Cancellation,
    CheckIn,
    Deletion,
    Erasure,
    Opening,
    Placement,
    Places,
    Refusal,
    Revision,
)  # fmt: skip
from webapp.booking.decisions import NOBODY_KNOWN
from webapp.booking.details import Details
from webapp.booking.ledger import Actor, Contact
from webapp.booking.state import Counts, Event, EventCursor, EventPage, EventState, Tally
from webapp.committer import Committer
from webapp.desk import A, Command, Desk, Once, Rule, Unavailable
from webapp.desks import SHUTTING_DOWN, Desks
from webapp.storage.store import Audience, Store, StoreUnreadable

T = TypeVar("T")

log = logging.getLogger(__name__)

ANSWER_TIMEOUT_S: Final = 9.0
READ_TIMEOUT_S: Final = 8.0
PATIENCE_S: Final = 3.0
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
        self._desks = Desks(store, idle_s=desk_idle_s, on_folded=self._on_folded)
        self._closed_because: str | None = None
        self._committer = Committer(
            store,
            self.announcements,
            clock=clock,
            fold=self._desks.folding,
            on_settled=self._desks.forget_if_unknown,
            on_failure=self._end_of_knowledge,
            on_commit=on_commit,
        )
        self._committing: asyncio.Task[None] | None = None
        self._patience: asyncio.TimerHandle | None = None
        self._unanswered: deque[tuple[float, asyncio.Future[Any]]] = deque()  # with the time until which it may take
        self._tasks: set[asyncio.Task[Any]] = set()

    @property
    def pending(self) -> int:
        """How many commands wait to be settled."""
        return self._committer.pending

    def now(self) -> int:
        """The present by the clock that decisions go by, in microseconds since 1970, UTC."""
        return self._clock()

    # What fronts call

    async def open_event(self, event_id: str, tickets: int, actor: Actor = "organiser") -> Opening:
        """Open an event with so many tickets. Raises Refusal `event_exists`, Unavailable."""
        return await self._settled(event_id, partial(decisions.open_event, tickets=tickets), actor)

    async def create_event(
        self, event_id: str, tickets: int, details: Details, *, once: Once | None = None
    ) -> Revision:
        """Open an event, and say what it is. Raises Refusal `event_exists`, AnsweredBefore, Unavailable."""
        rule = partial(decisions.create_event, tickets=tickets, details=details)
        return await self._settled(event_id, rule, "organiser", once)

    async def revise(
        self,
        event_id: str,
        revision: int | None = None,
        *,
        tickets: int | None = None,
        details: Details | None = None,
        is_rehearsal: bool = False,
    ) -> Revision:
        """Change capacity, details or both; a rehearsal only says what would follow.

        Raises Refusal `event_not_found`, `event_changed`, `capacity_below_booked`, `too_many_promotions`, Unavailable.
        """
        rule = partial(decisions.revise, revision=revision, tickets=tickets, details=details, is_rehearsal=is_rehearsal)
        return await self._settled(event_id, rule, "organiser")

    async def delete_event(self, event_id: str, revision: int | None = None) -> Deletion:
        """Delete an event that nobody has ever booked.

        Raises Refusal `event_not_found`, `event_changed`, `event_has_orders`, Unavailable.
        """
        return await self._settled(event_id, partial(decisions.delete_event, revision=revision), "organiser")

    async def book(
        self,
        event_id: str,
        guest: str,
        actor: Actor = "guest",
        contact: Contact = NOBODY_KNOWN,
        *,
        once: Once | None = None,
    ) -> Placement:
        """Book a ticket or join the waiting list.

        Raises Refusal `event_not_found`, `not_open_yet`, `booking_closed`, AnsweredBefore, Unavailable.
        """
        return await self.booking(event_id, guest, actor, contact, once=once)

    def booking(
        self,
        event_id: str,
        guest: str,
        actor: Actor = "guest",
        contact: Contact = NOBODY_KNOWN,
        *,
        once: Once | None = None,
    ) -> asyncio.Future[Placement]:
        """A wish to book that is handed in; its outcome is that of `book`. Raises Unavailable."""
        random = self._randomness(21)
        order_id = _order_id(self._clock(), random[:5])
        rule = partial(decisions.book, guest=guest, order_id=order_id, salt=random[5:], contact=contact)
        return self._handed_in(event_id, rule, actor, once)

    async def cancel(
        self,
        event_id: str,
        guest: str,
        actor: Actor,
        reason: str | None = None,
        *,
        order_id: str | None = None,
        once: Once | None = None,
    ) -> Cancellation:
        """End a guest's live order; with `order_id`, only if it is that one.

        Raises Refusal `event_not_found`, `order_not_found`, `order_cancelled`, `already_checked_in`, AnsweredBefore,
        Unavailable.
        """
        rule = partial(decisions.cancel, guest=guest, reason=reason, order_id=order_id)
        return await self._settled(event_id, rule, actor, once)

    async def check_in(
        self, event_id: str, guest: str, order_id: str, gate: str | None, *, once: Once | None = None
    ) -> CheckIn:
        """Let a guest in, once.

        Raises Refusal `event_not_found`, `order_cancelled`, `not_booked`, `already_checked_in`, AnsweredBefore,
        Unavailable.
        """
        rule = partial(decisions.check_in, guest=guest, order_id=order_id, gate=gate)
        return await self._settled(event_id, rule, "organiser", once)

    async def undo_check_in(self, event_id: str, guest: str, order_id: str) -> CheckIn:
        """Take a check-in back.

        Raises Refusal `event_not_found`, `order_cancelled`, `not_checked_in`, Unavailable.
        """
        rule = partial(decisions.undo_check_in, guest=guest, order_id=order_id)
        return await self._settled(event_id, rule, "organiser")

    async def erase(self, event_id: str, guest: str, order_ids: tuple[str, ...]) -> Erasure:
        """Forget who placed these orders of one guest. Raises Refusal `event_not_found`, Unavailable."""
        return await self._settled(event_id, partial(decisions.erase, guest=guest, order_ids=order_ids), "organiser")

    async def event(self, event_id: str) -> Event:
        """An event as everybody may see it. Raises Refusal `event_not_found`, Unavailable."""
        found = self.published_event(event_id)
        if found is None:
            read = await self._read(self._store.event(event_id))
            found = self.published_event(event_id) or read  # what was read may be committed, but not published yet
        if found is None or found.counts.is_deleted:
            raise Refusal("event_not_found", "Event not found")
        return found

    async def counts(self, event_id: str) -> Counts:
        """The published counts of an event. Raises Refusal `event_not_found`, Unavailable."""
        return (await self.event(event_id)).counts

    def published(self, event_id: str) -> Counts | None:
        """The counts of an event that is in memory; None says nothing."""
        desk = self._desks.get(event_id)
        return desk.published if desk else None

    def published_event(self, event_id: str) -> Event | None:
        """An event that is in memory, where it stays as long as it is asked for; None says nothing."""
        self._desks.touch(event_id)
        desk = self._desks.get(event_id)
        return Event(desk.published, desk.details) if desk and desk.published else None

    async def place(self, event_id: str, guest: str) -> Placement:
        """Where a guest's order stands. Raises Refusal `event_not_found`, `order_not_found`, Unavailable."""
        return await self._seen(event_id, partial(decisions.place, guest=guest))

    async def places(self, event_id: str, guests: Iterable[str]) -> Places:
        """Where the live orders of some guests stand, all at one instant.

        Raises Refusal `event_not_found`, Unavailable.
        """
        return await self._seen(event_id, partial(decisions.places, guests=list(guests)))

    async def tally(self, event_id: str) -> Tally:
        """How many orders an event has had, and who waits first. Raises Refusal `event_not_found`, Unavailable."""
        return await self._seen(event_id, lambda state: state.tally)

    async def events(self, limit: int, before: EventCursor | None = None, shown_to: Audience = "guests") -> EventPage:
        """Events with their published counts, newest first. Raises Unavailable."""
        page = await self._read(self._store.events(limit, before, shown_to))
        return EventPage(self.as_published(page.events, shown_to), page.next)

    def as_published(self, events: Iterable[Event], shown_to: Audience) -> list[Event]:
        """Events that were read, as they are now; for guests without those that were hidden since."""
        current = [self.published_event(event.counts.event_id) or event for event in events]
        return [event for event in current if shown_to != "guests" or not event.details.hidden]

    # Life

    async def start(self) -> None:
        """Fold and check every ledger, then begin to settle. Raises LedgerDamaged, StoreUnreadable."""
        await self._desks.fold_all()
        self._committing = asyncio.create_task(self._committer.run(), name="committer")
        self._committing.add_done_callback(self._ended)
        self._keep(self._answer_late_ones_forever(), "watch over late answers")
        self._keep(self._desks.drop_idle_ones_forever(), "dropping of idle desks")

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
        await self._desks.stop()
        self.announcements.close()

    # Handing in and looking up

    async def _settled(self, event_id: str, rule: Rule[A], actor: Actor, once: Once | None = None) -> A:
        return await self._handed_in(event_id, rule, actor, once)

    def _handed_in(self, event_id: str, rule: Rule[A], actor: Actor, once: Once | None = None) -> asyncio.Future[A]:
        if self._closed_because is not None:
            raise Unavailable("shutting_down", self._closed_because, 5)
        waiting = desk.pending if (desk := self._desks.get(event_id)) else ()
        if self.pending >= self._pending_max or len(waiting) >= self._pending_max_per_desk:
            raise Unavailable("overloaded", "Too many requests are waiting; nothing was changed")
        desk = self._desks.at(event_id)
        loop = asyncio.get_running_loop()
        future: asyncio.Future[A] = loop.create_future()
        self._committer.hand_in(desk, Command(rule, actor, future, once))
        self._unanswered.append((loop.time() + ANSWER_TIMEOUT_S, future))
        return future

    async def _seen(self, event_id: str, look: Callable[[EventState], T]) -> T:
        """What a look at an event's state finds, while nobody changes it."""
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                await self.counts(event_id)
                while True:
                    desk = self._desks.at(event_id)
                    if desk.state is None:
                        if self._closed_because is not None:
                            raise Unavailable("shutting_down", self._closed_because, 5)
                        await self._desks.folded(desk)
                    async with desk.lock:
                        if desk.state is not None:
                            return look(desk.state)
        except TimeoutError:
            raise Unavailable("overloaded", "The event is still being read; please try again", 5) from None

    def _on_folded(self, desk: Desk, problem: Unavailable | None) -> None:
        if problem is not None:
            self._committer.turn_away(desk, problem)
        elif desk.pending:
            self._committer.line_up(desk)

    async def _read(self, reading: Awaitable[T]) -> T:
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

    def _keep(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Without any of its tasks, a box office cannot keep its promises."""
        self._tasks.discard(task)
        if not task.cancelled() and (bug := task.exception()):
            log.critical("the %s died", task.get_name(), exc_info=bug)
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
        for desk in self._desks:
            self._committer.turn_away(desk, Unavailable("shutting_down", reason, 5))


def _order_id(now: int, random: bytes) -> str:
    """20 hexadecimal digits: 40 bits of time, in steps of 4 ms, and 40 random bits.

    In random order, every booking would touch pages of its own in the database (see github.com/ulid/spec).
    """
    return ((now >> 12) % 2**40).to_bytes(5, "big").hex() + random.hex()
