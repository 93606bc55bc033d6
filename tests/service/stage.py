"""A box office on a simulated store in a seeded loop, watched at every step, and checked when all is over."""

import asyncio
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Any

from tests import effort
from tests.service.history import PLACING, Call, History
from tests.service.seeded_loop import SeededLoop
from tests.service.simulated_store import SimulatedStore
from webapp.booking.answers import Refusal
from webapp.booking.details import Details
from webapp.box_office import ANSWER_TIMEOUT_S, BoxOffice
from webapp.desk import Unavailable

EVENTS = ("gig", "talk")
GUESTS = ("Bob", "Cleo", "Dan")
READS_MAX = 40
OWN_TASKS = tuple(f"<coroutine object {owner}." for owner in ("BoxOffice", "Committer", "Desks"))


class Stage:
    """What a scenario acts on. Its verbs return what was answered, refusals and all."""

    def __init__(self, loop: SeededLoop, *, desk_idle_s: float = 600.0, give_up_at: int | None = None) -> None:
        self.random = loop.random
        self.store = SimulatedStore(loop.random)
        self.history = History(self.store.ledgers)
        self.fatal = 0  # how many times the process was told to end
        self.victim: asyncio.Task[Any] | None = None  # is cancelled at the step `give_up_at` of its life
        self._give_up_at = give_up_at
        self._loop = loop
        self._desk_idle_s = desk_idle_s
        self._clock = count(10**15, -1)  # runs backwards, for order is never a clock's
        self._shown: dict[str, int] = {}  # event -> the last entry that published counts have known of
        self._complaints: list[str] = []
        self._last_append: int | None = None  # before the process was told to end
        self._is_over = False
        loop.set_exception_handler(lambda _, context: self._complaints.append(str(context)))
        self.box_office = self._make_box_office()

    async def open(self, event: str, tickets: int) -> Any:
        call = self.history.asked("open", event, tickets)
        return await self.history.witness(call, self.box_office.open_event(event, tickets))

    async def book(self, event: str, guest: str, key: str | None = None) -> Any:
        call = self.history.asked("book", event, guest, key)
        return await self.history.witness(call, self.box_office.book(event, guest, once=call.once))

    async def cancel(self, event: str, guest: str, key: str | None = None) -> Any:
        call = self.history.asked("cancel", event, guest, key)
        return await self.history.witness(call, self.box_office.cancel(event, guest, "organiser", once=call.once))

    async def cancel_order(self, event: str, order_id: str, key: str | None = None) -> Any:
        call = self.history.asked("cancel_order", event, order_id, key)
        return await self._ask_about(
            call,
            order_id,
            lambda guest: self.box_office.cancel(event, guest, "guest", order_id=order_id, once=call.once),
        )

    async def check_in(self, event: str, order_id: str, gate: str | None = None, key: str | None = None) -> Any:
        call = self.history.asked("check_in", event, (order_id, gate), key)
        return await self._ask_about(
            call, order_id, lambda guest: self.box_office.check_in(event, guest, order_id, gate, once=call.once)
        )

    async def undo_check_in(self, event: str, order_id: str) -> Any:
        call = self.history.asked("undo_check_in", event, order_id)
        return await self._ask_about(
            call, order_id, lambda guest: self.box_office.undo_check_in(event, guest, order_id)
        )

    async def erase(self, event: str, order_id: str) -> Any:
        order_ids = self.store.orders_of(event, self.store.guest_of(event, order_id))
        call = self.history.asked("erase", event, order_ids)
        return await self._ask_about(call, order_id, lambda guest: self.box_office.erase(event, guest, order_ids))

    async def _ask_about(self, call: Call, order_id: str, ask: Callable[[str], Awaitable[Any]]) -> Any:
        """Look up whose order it is, as fronts do, and then ask."""

        async def looked_up_and_asked() -> Any:
            guest = self.store.guest_of(call.event, order_id)
            await self.pause()
            return await ask(guest)

        return await self.history.witness(call, looked_up_and_asked())

    async def resize(self, event: str, tickets: int) -> Any:
        call = self.history.asked("resize", event, tickets)
        return await self.history.witness(call, self.box_office.revise(event, tickets=tickets))

    async def retitle(self, event: str, title: str) -> Any:
        call = self.history.asked("retitle", event, title)
        return await self.history.witness(call, self.box_office.revise(event, details=Details(title=title)))

    async def delete(self, event: str) -> Any:
        call = self.history.asked("delete", event)
        return await self.history.witness(call, self.box_office.delete_event(event))

    async def place(self, event: str, guest: str) -> Any:
        call = self.history.asked("place", event, guest)
        return await self.history.witness(call, self.box_office.place(event, guest))

    async def status(self, event: str) -> Any:
        call = self.history.asked("status", event)
        return await self.history.witness(call, self.box_office.counts(event))

    def orders(self, event: str) -> list[str]:
        """The ids of all orders that are stored, as they were placed."""
        ledger = self.store.ledgers.get(event, [])
        return [entry.order_id for entry in ledger if entry.kind in PLACING and entry.order_id]

    async def list_events(self) -> None:
        calls = [self.history.asked("status", event) for event in EVENTS]
        try:
            listed = {shown.counts.event_id: shown.counts for shown in (await self.box_office.events(100)).events}
        except Unavailable as problem:
            outcomes: list[object] = [problem for _ in calls]
        else:
            unlisted = Refusal("event_not_found", "It is not listed")
            outcomes = [listed.get(call.event, unlisted) for call in calls]
        for call, outcome in zip(calls, outcomes, strict=True):
            self.history.answered(call, outcome)

    async def pause(self) -> None:
        """Let a few other things happen."""
        for _ in range(self.random.randint(0, 5)):
            await asyncio.sleep(0)

    async def all_desks_dropped(self) -> None:
        """Wait until no event is in memory."""
        while any(self.box_office.published(event) for event in EVENTS):
            await self.pause()

    async def restart(self) -> None:
        """Stop the box office, and open another one on the same store."""
        await self._stop()
        self.box_office = self._make_box_office()
        await self.box_office.start()

    async def perform(self, scenario: "Scenario") -> None:
        """Play a scenario in front of readers, and check everything."""
        await self.box_office.start()
        self._loop.watch = self._watch
        try:
            readers = [asyncio.create_task(self._read()) for _ in range(2)]
            await scenario(self)
            self._is_over = True
            await asyncio.gather(*readers)
            await self._stop()
        finally:
            self._loop.watch = lambda: None
        assert not self._complaints, self._complaints
        late = [call for call in self.history.calls if call.may_have_happened and call.took_s >= ANSWER_TIMEOUT_S]
        assert self.fatal or not late, f"these were not answered in time: {late}"
        self.history.check()

    def _make_box_office(self) -> BoxOffice:
        return BoxOffice(
            self.store,
            clock=lambda: next(self._clock),
            randomness=self.random.randbytes,
            on_fatal=self._die,
            desk_idle_s=self._desk_idle_s,
        )

    def _die(self) -> None:
        self.fatal += 1
        self._last_append = self.store.appends

    async def _stop(self) -> None:
        await self.box_office.stop()
        left = [name for task in asyncio.all_tasks() if (name := str(task.get_coro())).startswith(OWN_TASKS)]
        assert not left, f"tasks are left: {left}"
        assert self._last_append in (None, self.store.appends), "something was stored after an unknown outcome"
        self._last_append = None
        assert self.box_office.pending == 0, "commands are left pending"
        for desk in self.box_office._desks:
            assert not desk.pending, f"commands are left pending at {desk.event_id}"
            assert not desk.lock.locked(), f"the lock of {desk.event_id} is held for ever"

    async def _read(self) -> None:
        for _ in range(READS_MAX):
            if self._is_over:
                return
            event, guest = self.random.choice(EVENTS), self.random.choice(GUESTS)
            match self.random.randrange(4):
                case 0 | 1:
                    await self.place(event, guest)
                case 2:
                    await self.status(event)
                case 3:
                    await self.list_events()
            await self.pause()

    def _watch(self) -> None:
        """Look at what everybody may see, between any two callbacks."""
        for event in EVENTS:
            if shown := self.box_office.published_event(event):
                assert shown in self.store.commits.get(event, []), f"shown, but not committed: {shown}"
                assert shown.counts.head >= self._shown.get(event, 0), f"what is shown went backwards: {shown}"
                self._shown[event] = shown.counts.head
        if self.victim is not None and not self.victim.done() and self._give_up_at is not None:
            self._give_up_at -= 1
            if self._give_up_at == 0:
                self.history.given_up.add(self.victim)
                self.victim.cancel()


Scenario = Callable[[Stage], Awaitable[object]]


def play(scenario: Scenario, seed: int, *, desk_idle_s: float = 600.0, give_up_at: int | None = None) -> bool:
    """Perform a scenario once, and check everything; returns whether a victim was given up."""

    async def performance() -> bool:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SeededLoop)
        stage = Stage(loop, desk_idle_s=desk_idle_s, give_up_at=give_up_at)
        await stage.perform(scenario)
        return bool(stage.history.given_up)

    try:
        with asyncio.Runner(loop_factory=lambda: SeededLoop(seed)) as runner:
            return runner.run(performance())
    except BaseException as failure:
        failure.add_note(f"It comes again with FIRST_SEED={seed} INTERLEAVINGS=1 OTHER_INTERLEAVINGS=1")
        if give_up_at is not None:
            failure.add_note(f"The victim was cancelled at step {give_up_at}")
        raise


def prove(scenario: Scenario) -> None:
    """Perform one of the scenarios that the proof names, once for each seed."""
    for seed in effort.seeds(effort.INTERLEAVINGS):
        play(scenario, seed)


def explore(scenario: Scenario, *, desk_idle_s: float = 600.0) -> None:
    """Perform a scenario once for each seed."""
    for seed in effort.seeds(effort.OTHER_INTERLEAVINGS):
        play(scenario, seed, desk_idle_s=desk_idle_s)


def find(scenario: Scenario) -> None:
    """Perform a scenario until it fails, on what is broken on purpose; however little else is wanted."""
    for seed in range(effort.FIRST_SEED, effort.FIRST_SEED + effort.ATTEMPTS):
        play(scenario, seed)


def explore_giving_up(scenario: Scenario, *, desk_idle_s: float) -> None:
    """Perform a scenario, and cancel its victim at the first step of its life, at the second, and so on to its end."""
    for seed in effort.seeds(max(1, effort.OTHER_INTERLEAVINGS // 50)):
        steps = next(step for step in count(1) if not play(scenario, seed, desk_idle_s=desk_idle_s, give_up_at=step))
        assert steps > 1, "the victim was never given up"
