"""The lives of orders and events in any order of steps that an event loop may take: arrivals, erasures, deletions."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest

from tests import effort
from tests.service.simulated_store import Fate
from tests.service.stage import GUESTS, Scenario, Stage, explore, explore_giving_up, prove
from tests.service.test_interleavings import code, until_answered
from webapp.booking.answers import CheckIn, Deletion, Placement
from webapp.storage.store import NotCommitted

FULL = Fate(NotCommitted("the disk is full"), is_stored=False)


async def arrivals(stage: Stage) -> None:
    """Two gates let the same guests in, while they cancel, and somebody takes arrivals back."""
    await stage.open("gig", 2)
    placed: list[Placement] = await asyncio.gather(*(stage.book("gig", guest) for guest in GUESTS))
    ids = [placement.order_id for placement in placed]
    await asyncio.gather(
        *(stage.check_in("gig", order_id, gate) for order_id in ids for gate in ("east", "west")),
        *(stage.cancel_order("gig", order_id) for order_id in ids[:2]),
        *(stage.undo_check_in("gig", order_id) for order_id in ids),
    )


def test_nobody_is_let_in_twice_nor_after_he_cancelled() -> None:
    prove(arrivals)


async def two_gates(stage: Stage) -> None:
    await stage.open("gig", 1)
    order: Placement = await stage.book("gig", "Bob")
    outcomes = await asyncio.gather(*(stage.check_in("gig", order.order_id, f"gate {n}") for n in range(5)))
    (let_in,) = [outcome for outcome in outcomes if isinstance(outcome, CheckIn)]
    refused = [outcome for outcome in outcomes if outcome is not let_in]
    assert {(code(outcome), outcome.members["gate"]) for outcome in refused} == {("already_checked_in", let_in.gate)}


def test_of_two_gates_one_lets_a_guest_in_and_the_other_is_told_which() -> None:
    prove(two_gates)


async def a_change_of_everything(stage: Stage) -> None:
    await stage.open("gig", 2)
    await asyncio.gather(*(stage.book("gig", guest) for guest in (*GUESTS, "Eve", "Finn")))
    ids = stage.orders("gig")
    await asyncio.gather(
        stage.resize("gig", 3),
        stage.retitle("gig", "A talk"),
        stage.check_in("gig", ids[0], "east"),
        stage.cancel_order("gig", ids[1]),
        stage.cancel_order("gig", ids[1]),
        stage.resize("gig", 4),
        stage.check_in("gig", ids[4]),
        stage.retitle("gig", "Another talk"),
        stage.cancel("gig", "Cleo"),
        stage.resize("gig", 2),
    )


def test_revising_letting_in_and_cancelling_at_once_comes_out_in_some_order() -> None:
    explore(a_change_of_everything)


async def editors(stage: Stage) -> None:
    """All of them have looked at the same revision: one wins, and the others are told to look again."""
    await stage.open("gig", 1)
    revision = (await stage.box_office.event("gig")).counts.revision
    calls = [stage.history.asked("resize", "gig", tickets) for tickets in range(2, 6)]
    revising = (stage.box_office.revise("gig", revision, tickets=tickets) for tickets in range(2, 6))
    outcomes = await asyncio.gather(*revising, return_exceptions=True)
    assert Counter(map(code, outcomes)) == {"": 1, "event_changed": 3}
    for call, outcome in zip(calls, outcomes, strict=True):
        if code(outcome):
            stage.history.calls.remove(call)  # the model knows nothing of who has seen what
        else:
            stage.history.answered(call, outcome)


def test_of_several_editors_at_once_one_wins() -> None:
    explore(editors)


async def erasures(stage: Stage) -> None:
    """Guests are forgotten while they come and go; whoever booked again meanwhile is another one."""
    await stage.open("gig", 2)
    await asyncio.gather(*(stage.book("gig", guest) for guest in (*GUESTS, "Eve")))
    ids = stage.orders("gig")
    await asyncio.gather(
        *(stage.erase("gig", order_id) for order_id in ids[1:3]),
        stage.erase("gig", ids[1]),
        stage.book("gig", "Cleo"),
        stage.cancel("gig", "Bob"),
        stage.book("gig", "Cleo"),
        stage.resize("gig", 3),
        stage.place("gig", "Cleo"),
    )
    await stage.restart()
    assert {
        entry.guest for entry in map(stage.store._as_read, stage.store.ledgers["gig"]) if entry.order_id == ids[1]
    } == {f"\x7f{ids[1]}"}


def test_who_is_forgotten_keeps_his_place_whatever_else_happens() -> None:
    explore(erasures)


async def an_erasure_between_look_and_deed(stage: Stage) -> None:
    """A front looks up whose order it is; he is erased; and the order is cancelled or let in all the same."""
    await stage.open("gig", 2)
    await asyncio.gather(*(stage.book("gig", guest) for guest in GUESTS))
    ids = stage.orders("gig")
    await asyncio.gather(
        *(stage.erase("gig", order_id) for order_id in ids),
        stage.check_in("gig", ids[0], "east"),
        stage.cancel_order("gig", ids[1]),
        stage.undo_check_in("gig", ids[0]),
        stage.cancel_order("gig", ids[2]),
    )


def test_whoever_is_erased_meanwhile_has_his_order_still() -> None:
    explore(an_erasure_between_look_and_deed)


async def deletion(stage: Stage) -> None:
    """Somebody books an event just when it is deleted: either he has an order and it stays, or it goes."""
    await stage.open("gig", 1)
    deleted, booked = await asyncio.gather(stage.delete("gig"), stage.book("gig", "Bob"))
    if isinstance(deleted, Deletion):
        assert code(booked) == code(await stage.status("gig")) == "event_not_found"
        assert stage.box_office.published("gig") is None
        assert (await stage.open("gig", 3)).is_new
        assert (await stage.book("gig", "Bob")).status == "booked"
    else:
        assert (code(deleted), booked.status) == ("event_has_orders", "booked")


def test_an_event_is_deleted_or_booked_but_not_both() -> None:
    explore(deletion)


async def deletions_and_openings(stage: Stage) -> None:
    async def again_and_again(verb: Callable[[], Awaitable[Any]]) -> None:
        for _ in range(4):
            await verb()
            await stage.pause()

    await asyncio.gather(
        again_and_again(lambda: stage.open("gig", 1)),
        again_and_again(lambda: stage.delete("gig")),
        again_and_again(lambda: stage.retitle("gig", "A talk")),
        again_and_again(lambda: stage.status("gig")),
        again_and_again(stage.list_events),
    )
    await stage.restart()


def test_deleting_and_opening_again_at_once_comes_out_in_some_order() -> None:
    explore(deletions_and_openings)


async def a_title_on_a_full_disk(stage: Stage) -> None:
    await stage.open("gig", 1)
    stage.store.fates = dict.fromkeys(range(2, stage.random.randint(3, 6)), FULL)
    await asyncio.gather(*(until_answered(lambda: stage.retitle("gig", "A talk")) for _ in range(3)))
    assert (await stage.box_office.event("gig")).details.title == "A talk"


def test_details_are_shown_only_once_they_are_stored() -> None:
    explore(a_title_on_a_full_disk)


SOMEBODY_GOES_AWAY: dict[str, Callable[[Stage], Awaitable[Any]]] = {
    "while a guest is let in": lambda stage: stage.check_in("talk", stage.orders("talk")[0], "east"),
    "while that is undone": lambda stage: stage.undo_check_in("talk", stage.orders("talk")[1]),
    "while an order is cancelled": lambda stage: stage.cancel_order("talk", stage.orders("talk")[0]),
    "while a guest is erased": lambda stage: stage.erase("talk", stage.orders("talk")[0]),
    "while an event is retitled": lambda stage: stage.retitle("talk", "A talk"),
    "while an event is deleted": lambda stage: stage.delete("gig"),
    "while he books once": lambda stage: stage.book("talk", "Eve", "key"),
    "while he books once again": lambda stage: stage.book("talk", "Cleo", "key"),
}


@pytest.mark.parametrize("moment", SOMEBODY_GOES_AWAY)
@pytest.mark.parametrize(("memory", "disk"), [("warm", "well"), ("cold", "full")])
def test_who_goes_away_loses_his_answer_and_nothing_else(moment: str, memory: str, disk: str) -> None:
    async def scenario(stage: Stage) -> None:
        await asyncio.gather(stage.open("gig", 2), stage.open("talk", 2))
        await asyncio.gather(*(stage.book("talk", guest) for guest in ("Cleo", "Dan", "Finn")))
        await stage.check_in("talk", stage.orders("talk")[1])
        if memory == "cold":
            await stage.all_desks_dropped()
        if disk == "full":
            stage.store.fates = {stage.store.appends + 1: FULL, stage.store.appends + 2: FULL}
        stage.victim = asyncio.ensure_future(SOMEBODY_GOES_AWAY[moment](stage))
        await asyncio.gather(stage.cancel("talk", "Finn"), stage.resize("talk", 3))
        await asyncio.wait([stage.victim])
        assert not code(await until_answered(lambda: stage.open("gig", 2)))  # neither event is stuck
        assert isinstance(await until_answered(lambda: stage.book("talk", "Hal")), Placement)

    explore_giving_up(scenario, desk_idle_s=0 if memory == "cold" else 600)


def whim(stage: Stage) -> Callable[[], Coroutine[Any, Any, Any]]:
    """Something that somebody may wish at any time."""
    event, guest = stage.random.choice(("gig", "talk")), stage.random.choice(GUESTS)
    orders = stage.orders(event)
    order = stage.random.choice(orders) if orders else None
    key = stage.random.choice((None, "key-1", "key-2", "key-3"))
    number = stage.random.randint(0, 3)
    match stage.random.randrange(12):
        case 0 | 1 | 2:
            return lambda: stage.book(event, guest, key)
        case 3:
            return lambda: stage.cancel(event, guest, key)
        case 4 if order:
            return lambda: stage.cancel_order(event, order, key)
        case 5 if order:
            return lambda: stage.check_in(event, order, "east", key)
        case 6 if order:
            return lambda: stage.undo_check_in(event, order)
        case 7 if order:
            return lambda: stage.erase(event, order)
        case 8:
            return lambda: stage.resize(event, number)
        case 9:
            return lambda: stage.retitle(event, f"title {number}")
        case 10:
            return lambda: stage.delete(event)
        case 11:
            return lambda: stage.place(event, guest)
    return lambda: stage.open(event, number)


async def anything_at_all(stage: Stage) -> None:
    """Four clients follow their whims, ask again, and go away when they like; the disk has bad days; it restarts."""
    stage.store.fates = {stage.random.randint(2, 30): FULL for _ in range(3)}
    past: list[Callable[[], Coroutine[Any, Any, Any]]] = []

    async def client() -> None:
        for _ in range(8):
            ask = stage.random.choice(past) if past and stage.random.random() < 0.3 else whim(stage)
            past.append(ask)
            wish = asyncio.create_task(ask())
            await stage.pause()
            if stage.random.random() < 0.2:
                stage.history.given_up.add(wish)
                wish.cancel()
            await asyncio.wait([wish])

    for _ in range(2):
        await asyncio.gather(*(client() for _ in range(4)))
        await stage.restart()


def test_anything_at_all_may_happen_at_any_time() -> None:
    seen = Counter[str]()

    async def counted(stage: Stage) -> None:
        await anything_at_all(stage)
        seen.update(call.verb for call in stage.history.calls if call.receipt)
        seen.update("again" for call in stage.history.calls if call.was_answered_before)

    explore(counted)
    assert effort.OTHER_INTERLEAVINGS < 40 or seen.keys() >= {
        "open", "book", "cancel", "cancel_order", "check_in", "undo_check_in", "erase", "resize", "retitle", "delete",
        "again",
    }, seen  # fmt: skip


@pytest.mark.parametrize("scenario", [arrivals, a_change_of_everything, erasures, deletion, anything_at_all])
def test_a_desk_may_be_dropped_whenever_it_is_idle(scenario: Scenario) -> None:
    explore(scenario, desk_idle_s=0)
