"""The committer: the one task that settles what is pending at all desks, batch by batch, and never guesses.

Decide, write everything in one transaction, and only then publish, answer and announce.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from itertools import islice
from typing import Final

from webapp.announcements import Announcements
from webapp.booking.answers import Receipt, Refusal
from webapp.desk import AnsweredBefore, Command, Desk, Once, Settlement, Unavailable
from webapp.storage.store import ANSWERS_KEPT_US, Addition, Kept, NotCommitted, Rejected, Store, StoreUnreadable

log = logging.getLogger(__name__)

ENTRIES_PER_BATCH: Final = 1_000
ENTRIES_PER_STRIDE: Final = 500  # recorded between two pauses of the event loop
KEYS_PER_LOOK: Final = 500
LOOK_TIMEOUT_S: Final = 5.0
COMMIT_TIMEOUT_S: Final = 60.0


class Committer:
    """Settles commands fairly and durably; `run` is its life.

    `clock` gives microseconds since 1970, UTC. `fold` is asked to fold a desk that has commands but no state, and to
    line it up afterwards; `on_settled` is called with each desk of a batch that is over. `on_failure` is called once,
    when what is stored can no longer be known; `on_commit` after every batch that was stored, with its number of
    entries and the seconds that storing it took.
    """

    def __init__(
        self,
        store: Store,
        announcements: Announcements,
        *,
        clock: Callable[[], int],
        fold: Callable[[Desk], object],
        on_settled: Callable[[Desk], object],
        on_failure: Callable[[], None],
        on_commit: Callable[[int, float], object],
    ) -> None:
        self.pending = 0
        self._has_failed = False
        self._store = store
        self._announcements = announcements
        self._clock = clock
        self._fold = fold
        self._on_settled = on_settled
        self._on_failure = on_failure
        self._on_commit = on_commit
        self._line: deque[Desk] = deque()  # folded desks with pending commands, in turn
        self._in_hand: list[Settlement] = []  # what the present batch is made of
        self._wake = asyncio.Event()
        self._is_closing = False

    def hand_in(self, desk: Desk, command: Command) -> None:
        """Put a command behind the others at its desk."""
        desk.pending.append(command)
        self.pending += 1
        if desk.state is None:
            self._fold(desk)
        else:
            self.line_up(desk)

    def line_up(self, desk: Desk) -> None:
        """Let a folded desk with pending commands have its turn."""
        if not desk.is_in_line:
            desk.is_in_line = True
            self._line.append(desk)
            self._wake.set()

    def turn_away(self, desk: Desk, problem: Unavailable) -> None:
        """Answer everything that is pending at a desk with a definite no."""
        while desk.pending:
            future = desk.pending.popleft().future
            self.pending -= 1
            if not future.done():
                future.set_exception(problem)
        self._wake.set()

    def give_up(self) -> None:
        """Answer what is being stored just now, without waiting for it: whether it will be is not known."""
        for settlement in self._in_hand:
            settlement.answer(instead=_unknown())

    def close(self) -> None:
        """Let `run` end once nothing is pending."""
        self._is_closing = True
        self._wake.set()

    async def run(self) -> None:
        """Settle until closed. An exception out of it is a bug, and the end of the process."""
        while True:
            while not self._line:  # no await between this look and the sleep: a wake-up would be lost there
                if self._is_closing and not self.pending:
                    return
                self._wake.clear()
                await self._wake.wait()
            await self._settle_batch()

    async def _settle_batch(self) -> None:
        settlements = self._in_hand = []
        room = ENTRIES_PER_BATCH
        try:
            for _ in range(len(self._line)):
                if room <= 0:
                    break
                desk = self._line.popleft()
                desk.is_in_line = False
                if desk.state is None:
                    self._fold(desk)
                    continue
                await desk.lock.acquire()
                settlements.append(Settlement(desk))
                room -= await self._decide(settlements[-1], room)
                if desk.pending:
                    self.line_up(desk)  # behind everybody else: a hot event starves nobody
            for settlement in settlements:
                if not settlement.is_to_be_stored:  # what it answers is committed already
                    settlement.answer()
            await self._store_and_answer([settlement for settlement in settlements if settlement.is_to_be_stored])
        except BaseException:
            for settlement in settlements:
                settlement.undo(_unknown())
            raise
        finally:
            for settlement in settlements:
                settlement.desk.lock.release()
                self._on_settled(settlement.desk)

    async def _decide(self, settlement: Settlement, room: int) -> int:
        """Let the rules decide a desk's pending commands until `room` entries are made; returns how many were."""
        desk, now = settlement.desk, self._clock()
        while desk.pending and desk.state is not None and len(settlement.entries) < room:
            command = desk.pending.popleft()
            self.pending -= 1
            settlement.deciding = command.future
            try:
                if command.once is not None and (kept := await self._kept(settlement, command.once, now)):
                    raise command.once.told_before(kept)
                decision = command.rule(desk.state, now)
                facts, answer = decision
                began = len(settlement.entries)
                for number, fact in enumerate(facts, 1):
                    settlement.entries.append(desk.state.record(fact, now, command.actor))
                    if number % ENTRIES_PER_STRIDE == 0:
                        await asyncio.sleep(0)
                desk.state.require_settled()
                if facts:
                    first = settlement.entries[began]
                    answer.complete(Receipt(first.seq, first.at, first.hash), desk.state)
                if once := command.once:
                    settlement.kept[once.key] = Kept(once.key, once.request, desk.event_id, now, once.told(answer))
                settlement.answers.append((command.future, answer))
            except (Refusal, AnsweredBefore, Unavailable) as outcome:
                settlement.answers.append((command.future, outcome))
            except Exception as bug:
                log.exception("a rule failed at event %r: nothing of its batch is kept", desk.event_id)
                settlement.answers.append((command.future, bug))
                settlement.undo(bug)
        return len(settlement.entries)

    async def _kept(self, settlement: Settlement, once: Once, now: int) -> Kept | None:
        """What is kept under a key, in this batch or in the store. Raises Unavailable.

        One look is for all commands that wait here: a look for each would hold up a rush.
        """
        if settlement.blindness is not None:
            raise settlement.blindness
        if once.key not in settlement.looked_up:
            others = (command.once.key for command in settlement.desk.pending if command.once is not None)
            keys = list({once.key: None} | dict.fromkeys(islice(others, KEYS_PER_LOOK)))
            try:
                async with asyncio.timeout(LOOK_TIMEOUT_S):
                    found = await self._store.kept(keys, now - ANSWERS_KEPT_US)
            except (StoreUnreadable, TimeoutError) as error:
                log.error("what was answered before could not be read: %s", error)
                sentence = "The database could not be read; nothing was changed"
                settlement.blindness = Unavailable("storage_unavailable", sentence, 2)
                raise settlement.blindness from error
            settlement.looked_up |= dict.fromkeys(keys) | {kept.key: kept for kept in found}
        return settlement.kept.get(once.key) or settlement.looked_up[once.key]

    async def _store_and_answer(self, changed: list[Settlement]) -> None:
        if not changed:
            return
        began = time.perf_counter()
        try:
            await self._append(changed)
        except Rejected as error:
            log.error("the database refused a batch of %d events: %s", len(changed), error)
            if len(changed) == 1:
                self._undo(changed)
            else:  # one event is wrong: the others must not suffer for it
                for settlement in changed:
                    await self._store_and_answer([settlement])
        except NotCommitted as error:
            log.error("a batch was not stored: %s", error)
            self._undo(changed)
        except Exception as error:
            log.critical("whether a batch was stored is not known: %s", error, exc_info=error)
            self._fail(changed)
        else:
            seconds = time.perf_counter() - began
            news = [counts for settlement in changed if settlement.entries and (counts := settlement.publish())]
            for settlement in changed:
                settlement.answer()
            self._announcements.announce(
                news, {settlement.desk.event_id for settlement in changed if settlement.has_appeared}
            )
            self._on_commit(sum(len(settlement.entries) for settlement in changed), seconds)

    async def _append(self, changed: list[Settlement]) -> None:
        if self._has_failed:
            raise NotCommitted("the server is about to end")
        async with asyncio.timeout(COMMIT_TIMEOUT_S):
            await self._store.append(
                [
                    Addition(settlement.counts, settlement.entries, list(settlement.kept.values()))
                    for settlement in changed
                ]
            )

    def _undo(self, changed: list[Settlement]) -> None:
        refusal = Unavailable("storage_unavailable", "The order could not be stored; nothing was changed", 2)
        for settlement in changed:
            settlement.undo(refusal)

    def _fail(self, changed: list[Settlement]) -> None:
        self._has_failed = True
        for settlement in changed:
            settlement.undo(_unknown())
        self._on_failure()


def _unknown() -> Unavailable:
    return Unavailable("outcome_unknown", "Whether anything was changed is not known; please look again", 5)
