"""The box office in any order of steps that an event loop may take, with faults and with clients who go away.

Every scenario is played in front of readers. What is shown is held against what is committed at every step; all
questions and answers are held against the ledgers in the end; and nothing may be left over.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from random import Random
from typing import Any

import pytest

from tests import effort
from tests.service.history import Bug
from tests.service.simulated_store import Fate
from tests.service.stage import GUESTS, Scenario, Stage, explore, explore_giving_up, play, prove
from webapp.booking import decisions
from webapp.booking.answers import Opening, Placement, Receipt
from webapp.booking.decisions import Decision
from webapp.booking.ledger import Fact
from webapp.booking.state import EventState
from webapp.desk import Unavailable
from webapp.storage.store import Addition, NotCommitted, OutcomeUnknown, Rejected


def code(outcome: object) -> str:
    """The code of a refusal or of an unavailability; nothing where there is an answer."""
    return str(getattr(outcome, "code", ""))


async def until_answered(asking: Callable[[], Awaitable[Any]]) -> Any:
    """Ask again and again while the answer is that nothing was changed."""
    while isinstance(outcome := await asking(), Unavailable):
        assert outcome.code == "storage_unavailable"
    return outcome


async def rush(stage: Stage) -> None:
    await stage.open("gig", 1)
    guests = [*GUESTS, *(f"guest-{number}" for number in range(8))]
    placements = await asyncio.gather(*(stage.book("gig", guest) for guest in guests))
    assert Counter(placement.status for placement in placements) == {"booked": 1, "waiting": len(guests) - 1}


def test_the_last_ticket_goes_to_one_of_many() -> None:
    prove(rush)


async def change_of_mind(stage: Stage) -> None:
    async def again_and_again(verb: Callable[[str, str], Awaitable[Any]]) -> None:
        for _ in range(5):
            await verb("gig", "Bob")
            await stage.pause()

    await stage.open("gig", 1)
    await stage.book("gig", "Cleo")
    await asyncio.gather(again_and_again(stage.book), again_and_again(stage.cancel), stage.cancel("gig", "Cleo"))


def test_booking_and_cancelling_at_once_comes_out_in_some_order() -> None:
    prove(change_of_mind)


async def cancel_and_resize(stage: Stage) -> None:
    """A ticket is given back while the capacity goes up and down around it; whoever waits gets what is left."""
    await stage.open("gig", 2)
    for guest in (*GUESTS, "Eve", "Finn"):
        await stage.book("gig", guest)
    sizes = [1, 2, 3]
    stage.random.shuffle(sizes)
    await asyncio.gather(
        stage.cancel("gig", "Bob"), stage.cancel("gig", "Dan"), *(stage.resize("gig", size) for size in sizes)
    )
    _, capacity, booked, waiting, *_ = await stage.status("gig")
    assert booked + waiting == 3
    assert booked == min(capacity, 3)


def test_cancelling_and_resizing_at_once_comes_out_in_some_order() -> None:
    prove(cancel_and_resize)


async def cancellations_and_raised_capacity(stage: Stage) -> None:
    await stage.open("gig", 2)
    guests = [*GUESTS, "Eve", "Finn", "Gus"]
    await asyncio.gather(*(stage.book("gig", guest) for guest in guests))
    await asyncio.gather(
        stage.resize("gig", 3),
        *(stage.cancel("gig", guest) for guest in GUESTS),
        stage.resize("gig", 5),
        stage.book("gig", "Hal"),
        stage.resize("gig", 1),
    )


def test_cancellations_and_a_raised_capacity_at_once_promote_everybody_once() -> None:
    prove(cancellations_and_raised_capacity)


async def impatience(stage: Stage) -> None:
    await stage.open("gig", 1)
    placements: list[Placement] = await asyncio.gather(*(stage.book("gig", "Bob") for _ in range(50)))
    assert len({placement.order_id for placement in placements}) == 1
    assert [placement.is_new for placement in placements].count(True) == 1


def test_the_same_guest_fifty_times_at_once_gets_one_order() -> None:
    explore(impatience)


async def two_events(stage: Stage) -> None:
    async def live_through(event: str) -> None:
        await asyncio.gather(stage.open(event, 1), stage.open(event, 1), stage.open(event, 2))
        await asyncio.gather(*(stage.book(event, guest) for guest in GUESTS), stage.cancel(event, "Bob"))
        await asyncio.gather(*(stage.cancel(event, guest) for guest in GUESTS), stage.resize(event, 4))

    await asyncio.gather(live_through("gig"), live_through("talk"))


def test_two_events_live_side_by_side() -> None:
    prove(two_events)


async def strangers_before_the_opening(stage: Stage) -> None:
    async def persist(guest: str) -> None:
        while code(await stage.book("gig", guest)) == "event_not_found":
            await stage.pause()

    early = [asyncio.create_task(persist(guest)) for guest in GUESTS]
    for _ in range(3):
        await stage.pause()
    assert code(await stage.open("gig", 1)) == ""
    await asyncio.gather(*early)
    assert (await stage.status("gig"))[1:4] == (1, 1, 2)


def test_an_event_opens_amid_those_who_came_too_early() -> None:
    explore(strangers_before_the_opening)


async def shutdown(stage: Stage) -> None:
    await stage.open("gig", 2)
    early = [asyncio.create_task(stage.book("gig", f"guest-{number}")) for number in range(6)]
    await stage.pause()
    stopping = asyncio.create_task(stage.box_office.stop())
    late = [await stage.book("gig", f"late-{number}") for number in range(20)]
    outcomes = await asyncio.gather(*early)
    await stopping
    assert {code(outcome) for outcome in [*outcomes, *late]} <= {"", "shutting_down"}
    assert code(late[-1]) == "shutting_down"
    await stage.restart()
    assert (await stage.status("gig")).booked <= 2


def test_shutting_down_settles_what_is_pending_and_refuses_the_rest() -> None:
    prove(shutdown)


async def winding_down(stage: Stage) -> None:
    """The disk is slow just when the server is to end: who would have to wait longer than its patience is told so."""
    await stage.open("gig", 2)
    stage.store.fates = {stage.random.randint(2, 4): Fate(delay_s=20.0)}
    early = [asyncio.create_task(stage.book("gig", f"guest-{number}")) for number in range(4)]
    await stage.pause()
    stage.box_office.wind_down(patience_s=3.0)
    late = [await stage.book("gig", f"late-{number}") for number in range(4)]
    outcomes = [*await asyncio.gather(*early), *late]
    assert {code(outcome) for outcome in outcomes} <= {"", "outcome_unknown", "shutting_down"}
    assert max(call.took_s for call in stage.history.calls if call.verb == "book") <= 3.0


def test_winding_down_answers_everybody_in_time() -> None:
    explore(winding_down)


async def commits_that_fail_for_a_while(stage: Stage) -> None:
    await stage.open("gig", 2)
    stage.store.fates = {
        number: Fate(NotCommitted("the disk is full"), is_stored=False)
        for number in range(3, stage.random.randint(3, 7))
    }

    async def come_and_go(guest: str) -> None:
        assert (await until_answered(lambda: stage.book("gig", guest))).is_new
        await until_answered(lambda: stage.cancel("gig", guest))
        await until_answered(lambda: stage.book("gig", guest))

    await asyncio.gather(*(come_and_go(guest) for guest in GUESTS))
    assert (await stage.status("gig"))[1:4] == (2, 2, 1)


def test_commits_that_fail_change_nothing_and_heal() -> None:
    prove(commits_that_fail_for_a_while)


async def one_event_rejected(stage: Stage) -> None:
    await stage.open("gig", 2)
    await stage.open("talk", 2)
    stage.store.refused = {"talk"}
    outcomes = await asyncio.gather(
        *(stage.book("gig", guest) for guest in GUESTS), *(stage.book("talk", guest) for guest in GUESTS)
    )
    assert [code(outcome) for outcome in outcomes] == [*[""] * 3, *["storage_unavailable"] * 3]
    stage.store.refused = set()
    assert (await stage.status("talk")).booked == 0
    assert (await stage.book("talk", "Bob")).status == "booked"


def test_an_event_that_the_database_rejects_does_not_hurt_another() -> None:
    prove(one_event_rejected)


async def outcome_unknown(stage: Stage) -> None:
    await stage.open("gig", 2)
    await stage.open("talk", 2)
    stage.store.fates = {stage.random.randint(3, 5): Fate(OutcomeUnknown("fsync failed"), stage.random.random() < 0.5)}

    async def insist(event: str, guest: str) -> None:
        for _ in range(3):
            await stage.book(event, guest)
            await stage.pause()

    await asyncio.gather(*(insist(event, guest) for event in ("gig", "talk") for guest in GUESTS))
    if stage.fatal:
        assert code(await stage.book("gig", "Eve")) == "shutting_down"
        assert not stage.box_office.is_open
    await stage.restart()
    await asyncio.gather(*(insist(event, guest) for event in ("gig", "talk") for guest in GUESTS))
    assert stage.fatal <= 1
    assert (await stage.status("gig"))[1:4] == (2, 2, 1)


def test_an_unknown_outcome_ends_the_process_and_the_restart_knows_the_truth() -> None:
    prove(outcome_unknown)


async def outcome_unknown_of_one_event(stage: Stage) -> None:
    """A batch of two events is rejected; one of them is tried alone, and comes to nobody knows what."""
    await asyncio.gather(*(stage.open(event, 2) for event in ("gig", "talk")))
    stage.store.fates = {
        stage.store.appends + 1: Fate(Rejected("one of them is wrong"), is_stored=False),
        stage.store.appends + 2: Fate(OutcomeUnknown("fsync failed"), stage.random.random() < 0.5),
    }
    outcomes = await asyncio.gather(*(stage.book(event, guest) for event in ("gig", "talk") for guest in GUESTS))
    assert {code(outcome) for outcome in outcomes} <= {"outcome_unknown", "storage_unavailable", "shutting_down"}
    assert stage.fatal == 1
    await stage.restart()
    await asyncio.gather(*(stage.book(event, guest) for event in ("gig", "talk") for guest in GUESTS))


def test_after_an_unknown_outcome_nothing_else_is_stored() -> None:
    explore(outcome_unknown_of_one_event)


async def commit_that_never_returns(stage: Stage) -> None:
    await stage.open("gig", 2)
    stage.store.fates = {2: Fate(is_stored=stage.random.random() < 0.5, delay_s=1e6)}
    assert code(await stage.book("gig", "Bob")) == "outcome_unknown"
    assert code(await stage.book("gig", "Cleo")) in ("outcome_unknown", "shutting_down")
    await asyncio.sleep(100)
    assert stage.fatal == 1
    assert code(await stage.book("gig", "Dan")) == "shutting_down"
    await stage.restart()
    await stage.book("gig", "Dan")


def test_a_commit_that_never_returns_is_an_unknown_outcome() -> None:
    explore(commit_that_never_returns)


async def slow_reads(stage: Stage) -> None:
    state, opening = EventState("gig"), stage.history.asked("open", "gig", 2)
    entry = state.record(Fact("opened", detail="2"), 0, "organiser")
    stage.store.slow = {"entries"}
    await stage.store.append([Addition(state.counts, [entry])])
    receipt = Receipt(entry.seq, entry.at, entry.hash)
    stage.history.answered(opening, Opening(2, is_new=True, receipt=receipt))  # and no desk knows of it
    assert code(await stage.place("gig", "Bob")) == "overloaded"
    assert (await stage.status("gig")).capacity == 2
    stage.store.slow = {"entries", "event", "events"}
    assert code(await stage.status("gig")) == "storage_unavailable"
    await stage.list_events()
    stage.store.slow = set()
    while code(await stage.place("gig", "Bob")) == "overloaded":
        pass
    assert (await stage.book("gig", "Bob")).status == "booked"


def test_whoever_reads_is_answered_in_time() -> None:
    explore(slow_reads)


async def long_fold(stage: Stage) -> None:
    """An event with a long ledger is asked for while another one is busy."""
    await stage.open("gig", 1)
    await stage.open("talk", 1)
    await asyncio.gather(*(stage.resize("talk", number) for number in range(2, 302)))
    await stage.all_desks_dropped()
    busy = asyncio.create_task(stage.book("talk", "Bob"))
    assert (await stage.book("gig", "Bob")).status == "booked"
    assert (await stage.cancel("gig", "Bob")).promoted == ()
    assert not busy.done()
    assert (await busy).status == "booked"


def test_a_long_fold_delays_nobody_else() -> None:
    explore(long_fold, desk_idle_s=0)


@pytest.fixture
def buggy_cancel(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever cancels for Mallory meets a bug."""
    honest = decisions.cancel

    def cancel(
        state: EventState, now: int, guest: str, reason: str | None = None, order_id: str | None = None
    ) -> Decision[Any]:
        if guest == "Mallory":
            state.booked += 1  # a half-made change
            raise Bug
        return honest(state, now, guest, reason, order_id)

    monkeypatch.setattr(decisions, "cancel", cancel)


async def a_bug_in_a_rule(stage: Stage) -> None:
    await stage.open("gig", 1)
    await stage.open("talk", 1)
    outcomes = await asyncio.gather(
        stage.book("gig", "Bob"), stage.book("talk", "Bob"), stage.cancel("gig", "Mallory"), stage.book("talk", "Cleo")
    )
    assert isinstance(outcomes[2], Bug)
    assert {outcomes[1].status, outcomes[3].status} == {"booked", "waiting"}
    assert (await until_answered(lambda: stage.book("gig", "Bob"))).status == "booked"


@pytest.mark.usefixtures("buggy_cancel")
def test_a_bug_in_a_rule_keeps_nothing_and_hurts_only_its_event() -> None:
    explore(a_bug_in_a_rule)


async def a_bug_at_an_event_with_a_long_ledger(stage: Stage) -> None:
    await asyncio.gather(*(stage.open(event, 1) for event in ("gig", "talk")))
    await asyncio.gather(*(stage.resize("talk", number) for number in range(2, 302)))
    meets_a_bug, behind = (asyncio.create_task(stage.cancel("talk", guest)) for guest in ("Mallory", "Dan"))
    assert isinstance(await meets_a_bug, Bug)
    busy = asyncio.create_task(stage.book("talk", "Bob"))
    assert (await stage.book("gig", "Bob")).status == "booked"
    assert (await stage.cancel("gig", "Bob")).promoted == ()
    assert not busy.done()
    assert (await busy).status == "booked"
    await behind


@pytest.mark.usefixtures("buggy_cancel")
def test_folding_a_long_ledger_after_a_bug_delays_nobody_else() -> None:
    explore(a_bug_at_an_event_with_a_long_ledger)


BOB_GOES_AWAY: dict[str, Callable[[Stage], Awaitable[Any]]] = {
    "while he books the last ticket": lambda stage: stage.book("gig", "Bob"),
    "while he joins the waiting list": lambda stage: stage.book("talk", "Bob"),
    "while he books again": lambda stage: stage.book("gig", "Cleo"),
    "while he cancels": lambda stage: stage.cancel("talk", "Cleo"),
    "while he cancels nothing": lambda stage: stage.cancel("gig", "Dan"),
    "while he resizes": lambda stage: stage.resize("talk", 2),
    "while he opens": lambda stage: stage.open("gig", 2),
    "while he asks for a place": lambda stage: stage.place("talk", "Dan"),
    "while he asks for counts": lambda stage: stage.status("talk"),
}


def bob_goes_away(moment: str, memory: str, disk: str) -> Scenario:
    """Bob asks for something, and may be given up, amid others who ask."""

    async def scenario(stage: Stage) -> None:
        await asyncio.gather(stage.open("gig", 2), stage.open("talk", 1))
        await asyncio.gather(stage.book("gig", "Cleo"), stage.book("talk", "Cleo"), stage.book("talk", "Dan"))
        if memory == "cold":
            await stage.all_desks_dropped()
        if disk == "full":
            fate = Fate(NotCommitted("the disk is full"), is_stored=False)
            stage.store.fates = {stage.store.appends + 1: fate, stage.store.appends + 2: fate}
        stage.victim = asyncio.ensure_future(BOB_GOES_AWAY[moment](stage))
        await asyncio.gather(stage.book("gig", "Eve"), stage.cancel("talk", "Dan"), stage.book("talk", "Finn"))
        await asyncio.wait([stage.victim])
        assert (await until_answered(lambda: stage.book("gig", "Gus"))).is_new  # the event is not stuck
        assert (await until_answered(lambda: stage.book("talk", "Gus"))).is_new

    return scenario


@pytest.mark.parametrize("moment", BOB_GOES_AWAY)
@pytest.mark.parametrize("memory", ["warm", "cold"])
@pytest.mark.parametrize("disk", ["well", "full"])
def test_who_goes_away_loses_his_answer_and_nothing_else(moment: str, memory: str, disk: str) -> None:
    explore_giving_up(bob_goes_away(moment, memory, disk), desk_idle_s=0 if memory == "cold" else 600)


def test_whoever_goes_away_at_any_await_leaves_nothing_behind() -> None:
    """The same for many more orders of steps, each with one moment of it all."""
    given_up = 0
    for seed in effort.seeds(effort.INTERLEAVINGS):
        chance = Random(seed)
        scenario = bob_goes_away(chance.choice(list(BOB_GOES_AWAY)), "warm", chance.choice(["well", "full"]))
        given_up += play(scenario, seed, give_up_at=chance.randint(1, 40))
    assert given_up > effort.INTERLEAVINGS / 4 or effort.INTERLEAVINGS < 40


def whim(stage: Stage) -> Coroutine[Any, Any, Any]:
    """Something that somebody may wish at any time."""
    event, guest = stage.random.choice(("gig", "talk")), stage.random.choice(GUESTS)
    match stage.random.randrange(6):
        case 0 | 1:
            return stage.book(event, guest)
        case 2:
            return stage.cancel(event, guest)
        case 3:
            return stage.resize(event, stage.random.randint(0, 3))
        case 4:
            return stage.open(event, stage.random.randint(0, 2))
    return stage.place(event, guest)


async def anything(stage: Stage) -> None:
    """Four clients follow their whims, and go away when they like; the disk has bad days, and the server restarts."""
    full = Fate(NotCommitted("the disk is full"), is_stored=False)
    stage.store.fates = {stage.random.randint(2, 30): full for _ in range(3)}

    async def client() -> None:
        for _ in range(8):
            wish = asyncio.create_task(whim(stage))
            await stage.pause()
            if stage.random.random() < 0.2:
                stage.history.given_up.add(wish)
                wish.cancel()
            await asyncio.wait([wish])

    for _ in range(2):
        await asyncio.gather(*(client() for _ in range(4)))
        await stage.restart()


def test_anything_may_happen_at_any_time() -> None:
    explore(anything)


@pytest.mark.parametrize(
    "scenario",
    [rush, change_of_mind, cancellations_and_raised_capacity, two_events, strangers_before_the_opening, anything],
)
def test_a_desk_may_be_dropped_whenever_it_is_idle(scenario: Scenario) -> None:
    explore(scenario, desk_idle_s=0)
