"""Wishes under a key, asked again and again in any order of steps: each has one effect and one answer.

That nobody's key has had two effects, or two answers, is checked at the end of every scenario; see `history.py`.
"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest

from tests.service.history import text_of
from tests.service.simulated_store import Fate
from tests.service.stage import GUESTS, Scenario, Stage, explore, find, prove
from tests.service.test_interleavings import code
from webapp.booking.answers import Answer, Placement
from webapp.committer import Committer
from webapp.desk import AnsweredBefore, Once
from webapp.storage.store import NotCommitted, OutcomeUnknown

RETRIES = 4
FULL = Fate(NotCommitted("the disk is full"), is_stored=False)
IN_VAIN = {"storage_unavailable", "outcome_unknown", "shutting_down", "overloaded"}


async def until_known(ask: Callable[[], Awaitable[Any]]) -> Any:
    """Ask again and again, as somebody does who has a key, until there is an answer."""
    while code(outcome := await ask()) in IN_VAIN:
        pass
    return outcome


def effects(stage: Stage, event: str, *kinds: str) -> int:
    return sum(entry.kind in kinds for entry in stage.store.ledgers.get(event, []))


async def impatience(stage: Stage) -> None:
    """Everybody sends the same booking four times at once, without waiting for an answer."""
    await stage.open("gig", 2)
    outcomes = await asyncio.gather(
        *(stage.book("gig", guest, f"key of {guest}") for guest in GUESTS for _ in range(RETRIES))
    )
    assert sum(isinstance(outcome, Placement) for outcome in outcomes) == len(GUESTS)
    assert sum(isinstance(outcome, AnsweredBefore) for outcome in outcomes) == len(GUESTS) * (RETRIES - 1)
    assert effects(stage, "gig", "booked", "joined") == len(GUESTS)


def test_a_booking_sent_four_times_at_once_has_one_effect_and_one_answer() -> None:
    prove(impatience)


async def persistence_on_a_bad_disk(stage: Stage) -> None:
    await stage.open("gig", 2)
    stage.store.fates = dict.fromkeys(range(2, stage.random.randint(3, 7)), FULL)
    await asyncio.gather(
        *(until_known(partial(stage.book, "gig", guest, f"key of {guest}")) for guest in GUESTS for _ in range(RETRIES))
    )
    assert effects(stage, "gig", "booked", "joined") == len(GUESTS)


def test_what_was_not_stored_is_not_kept_under_its_key_either() -> None:
    explore(persistence_on_a_bad_disk)


async def an_unknown_outcome(stage: Stage) -> None:
    """Whether a batch was stored nobody knows; whoever asks again after the restart is answered as if he had heard."""
    await stage.open("gig", 2)
    await asyncio.gather(*(stage.book("gig", guest) for guest in GUESTS))
    order_id = stage.orders("gig")[2]
    stage.store.fates = {stage.store.appends + 1: Fate(OutcomeUnknown("fsync failed"), stage.random.random() < 0.5)}

    def wishes() -> list[Awaitable[Any]]:
        return [
            stage.book("gig", "Eve", "key 1"),
            stage.cancel("gig", "Bob", "key 2"),
            stage.check_in("gig", order_id, "east", "key 3"),
        ]

    first = await asyncio.gather(*wishes())
    await stage.restart()
    again = await asyncio.gather(*wishes())
    assert not [outcome for outcome in again if code(outcome) in IN_VAIN]
    assert effects(stage, "gig", "booked", "joined") == 4
    assert effects(stage, "gig", "cancelled") == 1
    for before, after in zip(first, again, strict=True):
        if isinstance(before, Answer):
            assert isinstance(after, AnsweredBefore), "a restart has forgotten what was answered"


def test_after_a_restart_whoever_asks_again_gets_the_answer_he_has_missed() -> None:
    explore(an_unknown_outcome)


async def a_no_op(stage: Stage) -> None:
    """Bob has a ticket, and books again, under a key; what he was told once he is told again, whatever came after."""
    await stage.open("gig", 1)
    await stage.book("gig", "Bob")
    outcomes = await asyncio.gather(*(stage.book("gig", "Bob", "key") for _ in range(RETRIES)))
    assert [(found.is_new, found.receipt) for found in outcomes if isinstance(found, Placement)] == [(False, None)]
    await stage.cancel("gig", "Bob")
    assert isinstance(await stage.book("gig", "Bob", "key"), AnsweredBefore)
    assert (await stage.status("gig")).booked == 0


def test_what_changed_nothing_is_kept_under_its_key_as_well() -> None:
    explore(a_no_op)


async def one_key_for_two_wishes(stage: Stage) -> None:
    """Bob and Cleo are booked under one key: one of them is, the other is told that the key was used."""
    await stage.open("gig", 2)
    outcomes = await asyncio.gather(*(stage.book("gig", guest, "key") for guest in ("Bob", "Cleo") for _ in range(2)))
    assert sorted(code(outcome) for outcome in outcomes) == ["", "", *["idempotency_key_reused"] * 2]
    assert effects(stage, "gig", "booked", "joined") == 1


def test_a_key_serves_for_one_wish() -> None:
    explore(one_key_for_two_wishes)


async def one_key_at_two_events(stage: Stage) -> None:
    """The same key comes to two desks at once: one wish is fulfilled, and the other is not, even in one batch."""
    await asyncio.gather(*(stage.open(event, 1) for event in ("gig", "talk")))
    outcomes = await asyncio.gather(
        *(until_known(partial(stage.book, event, "Bob", "key")) for event in ("gig", "talk"))
    )
    assert sorted(code(outcome) for outcome in outcomes) == ["", "idempotency_key_reused"]
    assert effects(stage, "gig", "booked") + effects(stage, "talk", "booked") == 1


def test_a_key_serves_for_one_wish_even_at_two_events() -> None:
    explore(one_key_at_two_events)


async def a_refusal(stage: Stage) -> None:
    """A refusal has changed nothing, and is not kept: whoever asks again later may be luckier."""
    assert code(await stage.book("gig", "Bob", "key")) == "event_not_found"
    await stage.open("gig", 1)
    assert (await stage.book("gig", "Bob", "key")).is_new
    assert isinstance(await stage.book("gig", "Bob", "key"), AnsweredBefore)


def test_a_refusal_is_not_kept() -> None:
    explore(a_refusal)


async def change_of_mind(stage: Stage) -> None:
    """Bob comes, goes and comes again, each under a key of its own, and every message arrives twice, in any order."""
    await stage.open("gig", 1)
    await stage.book("gig", "Cleo")
    asked = [(stage.book, "key 1"), (stage.cancel, "key 2"), (stage.book, "key 3")] * 2
    stage.random.shuffle(asked)
    await asyncio.gather(*(ask("gig", "Bob", key) for ask, key in asked), stage.cancel("gig", "Cleo"))


def test_messages_that_arrive_twice_and_late_come_out_in_some_order() -> None:
    prove(change_of_mind)


async def an_unreadable_past(stage: Stage) -> None:
    """What was answered before cannot be read: then nothing is decided, for it might be the second time."""
    await stage.open("gig", 2)
    first = await stage.book("gig", "Bob", "key")
    stage.store.unreadable = {"kept"}
    outcomes = await asyncio.gather(stage.book("gig", "Bob", "key"), stage.book("gig", "Cleo", "another key"))
    assert [code(outcome) for outcome in outcomes] == ["storage_unavailable"] * 2
    assert (await stage.book("gig", "Dan")).status == "booked"  # who has no key does not suffer
    stage.store.unreadable = set()
    again = await stage.book("gig", "Bob", "key")
    assert again.text == text_of(first)


def test_where_the_past_cannot_be_read_nothing_is_decided_twice() -> None:
    explore(an_unreadable_past)


async def winding_down_with_a_slow_past(stage: Stage) -> None:
    await stage.open("gig", 2)
    stage.store.slow = {"kept"}
    early = [asyncio.create_task(stage.book("gig", guest, f"key of {guest}")) for guest in GUESTS]
    await stage.pause()
    stage.box_office.wind_down(patience_s=3.0)
    outcomes = await asyncio.gather(*early)
    assert {code(outcome) for outcome in outcomes} <= IN_VAIN
    assert max(call.took_s for call in stage.history.calls if call.verb == "book") <= 3.0


def test_winding_down_answers_in_time_who_waits_for_the_past() -> None:
    explore(winding_down_with_a_slow_past)


async def a_past_that_never_comes(stage: Stage) -> None:
    """The disk hangs while it looks for a key: nothing is decided, and others wait a while, but not for ever."""
    await asyncio.gather(*(stage.open(event, 2) for event in ("gig", "talk")))
    stage.store.slow = {"kept"}
    assert code(await stage.book("gig", "Bob", "key")) == "storage_unavailable"
    bob = asyncio.create_task(stage.book("gig", "Bob", "key"))
    assert (await stage.book("talk", "Dan")).status == "booked"
    await bob
    stage.store.slow = set()
    assert (await stage.book("gig", "Bob", "key")).is_new


def test_a_look_at_the_past_that_never_returns_stops_nobody_else() -> None:
    explore(a_past_that_never_comes)


# Broken on purpose


async def nothing_kept(*_: object) -> None:
    """As if nobody had ever asked before."""


@pytest.mark.parametrize("scenario", [impatience, persistence_on_a_bad_disk, a_no_op, change_of_mind])
def test_a_committer_that_looks_for_no_key_is_caught(monkeypatch: pytest.MonkeyPatch, scenario: Scenario) -> None:
    monkeypatch.setattr(Committer, "_kept", nothing_kept)
    with pytest.raises(AssertionError):
        find(scenario)


def test_a_key_that_serves_for_everything_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Once, "told_before", lambda _, kept: AnsweredBefore(kept.text))
    with pytest.raises(AssertionError):
        find(one_key_for_two_wishes)
