"""Who waits, in which place, and how much work it is to know."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from random import Random

import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as some

from tests import effort
from tests.booking.steps import Guest, require_logarithmic
from webapp.booking.waiting_list import WaitingList

SAMPLE = 100
STEPS = ("join", "join", "leave", "rename")


def waiting(guests: Sequence[str]) -> WaitingList:
    """A waiting list that guests have joined in this order."""
    waiting = WaitingList()
    for guest in guests:
        waiting.join(guest)
    return waiting


def rename_to(name: str, line: WaitingList, guest: str) -> None:
    line.rename(guest, name)


def test_who_joins_stands_at_the_back() -> None:
    assert list(waiting(["Bob", "Cleo", "Dan"])) == ["Bob", "Cleo", "Dan"]


def test_positions_count_from_one() -> None:
    line = waiting(["Bob", "Cleo", "Dan"])
    assert [line.position(guest) for guest in line] == [1, 2, 3]


def test_who_leaves_lets_everybody_behind_move_up() -> None:
    line = waiting(["Bob", "Cleo", "Dan"])
    line.leave("Bob")
    assert [line.position(guest) for guest in ("Cleo", "Dan")] == [1, 2]


def test_who_leaves_and_joins_again_stands_at_the_back() -> None:
    line = waiting(["Bob", "Cleo", "Dan"])
    line.leave("Bob")
    line.join("Bob")
    assert list(line) == ["Cleo", "Dan", "Bob"]


def test_who_is_called_something_else_keeps_his_place() -> None:
    line = waiting(["Bob", "Cleo", "Dan"])
    line.rename("Cleo", "Cleopatra")
    assert list(line) == line.first(3) == ["Bob", "Cleopatra", "Dan"]
    assert line.position("Cleopatra") == 2
    assert "Cleo" not in line


def test_the_first_are_those_who_have_waited_longest() -> None:
    assert waiting(["Bob", "Cleo", "Dan"]).first(2) == ["Bob", "Cleo"]


def test_where_fewer_wait_than_are_asked_for_all_of_them_are_first() -> None:
    assert waiting(["Bob", "Cleo"]).first(5) == ["Bob", "Cleo"]


@pytest.mark.parametrize("number", [0, 1])
def test_nobody_is_first_where_nobody_waits(number: int) -> None:
    assert WaitingList().first(number) == []


@pytest.mark.parametrize("question", [WaitingList.leave, WaitingList.position, partial(rename_to, "Eve")])
def test_who_does_not_wait_has_no_place(question: Callable[[WaitingList, str], object]) -> None:
    line = waiting(["Bob", "Cleo"])
    line.leave("Bob")
    with pytest.raises(KeyError):
        question(line, "Bob")
    assert list(line) == ["Cleo"]


def test_when_the_last_has_left_it_is_as_new() -> None:
    line = waiting(["Bob", "Cleo"])
    line.leave("Bob")
    line.leave("Cleo")
    assert (len(line), list(line), line.first(1)) == (0, [], [])
    line.join("Dan")
    assert (list(line), line.position("Dan")) == (["Dan"], 1)


@seed(effort.FIRST_SEED)
@settings(max_examples=effort.ATTEMPTS, deadline=None, database=None)
@given(some.lists(some.tuples(some.sampled_from(STEPS), some.integers(0, 60)), max_size=200), some.integers(0, 70))
def test_it_is_a_list_in_all_but_speed(steps: list[tuple[str, int]], number: int) -> None:
    line, model = WaitingList(), list[str]()
    for moment, (step, guest) in enumerate((step, f"guest-{guest}") for step, guest in steps):
        if step == "join" and guest not in model:
            line.join(guest)
            model.append(guest)
        elif step == "leave" and guest in model:
            line.leave(guest)
            model.remove(guest)
        elif step == "rename" and guest in model:
            line.rename(guest, f"nobody-{moment}")
            model[model.index(guest)] = f"nobody-{moment}"
    assert list(line) == model
    assert len(line) == len(model)
    assert line.first(number) == model[:number]
    assert [line.position(guest) for guest in model] == list(range(1, len(model) + 1))


@pytest.mark.parametrize("number", [1, 10, 100, 150, 1_000])
def test_the_first_are_found_whether_many_or_few_are_asked_for(number: int) -> None:
    guests = [f"guest-{number}" for number in range(2_000)]
    line = waiting(guests)
    for guest in guests[::3]:
        line.leave(guest)
    assert line.first(number) == [guest for place, guest in enumerate(guests) if place % 3][:number]


class Crowd:
    """So many guests who wait, and what may be done with one of them at a time, all over the line."""

    def __init__(self, make: Callable[[Sequence[str]], WaitingList], size: int) -> None:
        guests = [Guest(f"guest-{number}") for number in range(size)]
        sample = Random(effort.FIRST_SEED).sample(guests, SAMPLE - 2)
        self.line = make(guests)
        self.sample = [guests[0], guests[-1], *sample]

    def actions(self, name: str) -> list[Callable[[], object]]:
        if name == "first":
            return [partial(self.line.first, 1)]
        if name == "join":
            return [partial(self.line.join, Guest(f"late-{number}")) for number in range(SAMPLE)]
        if name == "rename":
            return [partial(self.line.rename, guest, Guest(f"nobody-{guest}")) for guest in list(self.line)[-SAMPLE:]]
        return [partial(getattr(self.line, name), guest) for guest in dict.fromkeys(self.sample)]


@pytest.fixture(scope="module")
def few() -> Crowd:
    return Crowd(waiting, 2**10 - SAMPLE // 2)  # so that it grows beyond a power of two


@pytest.fixture(scope="module")
def many() -> Crowd:
    return Crowd(waiting, effort.WAITING_MANY - SAMPLE // 2)


@pytest.mark.parametrize("action", ["position", "first", "join", "leave", "rename"])
def test_a_million_may_wait(few: Crowd, many: Crowd, action: str) -> None:
    require_logarithmic(few.actions(action), many.actions(action))


def test_a_million_may_have_left(few: Crowd, many: Crowd) -> None:
    for crowd in (few, many):
        for guest in list(crowd.line)[:-10]:
            crowd.line.leave(guest)
    for action in ("first", "join"):
        require_logarithmic(few.actions(action), many.actions(action))


class SlowWaitingList(WaitingList):
    """What a waiting list must not be."""

    def __init__(self) -> None:
        super().__init__()
        self.line: list[str] = []

    def __iter__(self) -> Iterator[str]:
        return iter(self.line)

    def join(self, guest: str) -> None:
        self.line = [*(other for other in self.line if other != guest), guest]

    def leave(self, guest: str) -> None:
        self.line.remove(guest)  # searches in C

    def rename(self, guest: str, name: str) -> None:
        self.line[self.line.index(guest)] = name

    def position(self, guest: str) -> int:
        return self.line.index(guest) + 1

    def first(self, count: int) -> list[str]:
        return sorted(self.line, key=self.position)[:count]


def slowly_waiting(guests: Sequence[str]) -> WaitingList:
    line = SlowWaitingList()
    line.line = list(guests)
    return line


@pytest.mark.parametrize("action", ["position", "first", "join", "leave", "rename"])
def test_a_slow_waiting_list_is_caught(action: str) -> None:
    with pytest.raises(AssertionError, match="steps among many"):
        require_logarithmic(Crowd(slowly_waiting, 100).actions(action), Crowd(slowly_waiting, 800).actions(action))
