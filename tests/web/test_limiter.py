"""Token buckets, and the table that holds them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.web.unhurried import UNHURRIED, Watch
from webapp.web.limiter import BoundedTable, Left, Limiter, TooManyAttempts, is_loopback, network


def wait_s(limiter: Limiter, key: str) -> int:
    """How long the next try has to wait, in whole seconds; 0 if it was let through."""
    try:
        limiter.take(key)
    except TooManyAttempts as refused:
        return refused.retry_after_s
    return 0


def left(tokens: int, more_in_s: float) -> object:
    """What a limiter tells, within what it rounds to."""
    return pytest.approx(Left(tokens, more_in_s), abs=0.02)


def test_a_burst_is_let_through_and_the_next_try_has_to_wait() -> None:
    limiter = Limiter(burst=3, every_s=10, clock=Watch())

    assert [wait_s(limiter, "bob") for _ in range(5)] == [0, 0, 0, 10, 10]


def test_a_token_comes_back_after_its_time_and_not_before() -> None:
    watch = Watch()
    limiter = Limiter(burst=1, every_s=10, clock=watch)
    limiter.take("bob")

    watch.now += 9
    assert wait_s(limiter, "bob") == 1
    watch.now += 1
    assert wait_s(limiter, "bob") == 0
    assert wait_s(limiter, "bob") == 10


def test_being_refused_costs_nothing_so_that_nobody_is_ever_locked_out() -> None:
    watch = Watch()
    limiter = Limiter(burst=2, every_s=10, clock=watch)

    assert [wait_s(limiter, "bob") > 0 for _ in range(1_000)].count(True) == 998
    watch.now += 10
    assert wait_s(limiter, "bob") == 0


def test_a_long_rest_saves_up_no_more_than_a_burst() -> None:
    watch = Watch()
    limiter = Limiter(burst=2, every_s=10, clock=watch)
    limiter.take("bob")
    watch.now += 1_000_000

    assert [wait_s(limiter, "bob") for _ in range(3)] == [0, 0, 10]


def test_one_sender_does_not_use_up_the_tokens_of_another() -> None:
    limiter = Limiter(burst=1, every_s=10, clock=Watch())
    limiter.take("bob")

    assert wait_s(limiter, "cleo") == 0


def test_whoever_takes_a_token_is_told_how_many_are_left_and_when_there_will_be_more() -> None:
    watch = Watch()
    limiter = Limiter(burst=3, every_s=10, clock=watch)

    assert [limiter.take("bob") for _ in range(3)] == [left(2, 10), left(1, 10), left(0, 10)]
    watch.now += 14
    assert limiter.take("bob") == left(0, 6)


def test_a_token_given_back_can_be_taken_again() -> None:
    limiter = Limiter(burst=1, every_s=10, clock=Watch())

    for _ in range(100):
        limiter.take("ada")
        limiter.give_back("ada")
    limiter.take("ada")
    assert wait_s(limiter, "ada") == 10


def test_giving_back_what_was_never_taken_saves_up_nothing() -> None:
    watch = Watch()
    limiter = Limiter(burst=1, every_s=10, clock=watch)
    limiter.give_back("dan")
    limiter.take("dan")
    watch.now += 10
    for _ in range(5):
        limiter.give_back("dan")

    assert [wait_s(limiter, "dan") for _ in range(2)] == [0, 10]


def test_the_wait_is_told_in_whole_seconds_and_never_as_none() -> None:
    assert [TooManyAttempts(wait).retry_after_s for wait in (0.001, 1.0, 1.001, 59.5)] == [1, 1, 2, 60]


def test_a_flood_of_senders_stays_within_the_bound() -> None:
    limiter = Limiter(burst=1, every_s=10, clock=Watch(), keys_max=100)

    for number in range(10_000):
        limiter.take(f"guest-{number}")
    assert len(limiter._full_at) == 100


def test_who_keeps_trying_is_not_forgotten_among_newcomers() -> None:
    limiter = Limiter(burst=1, every_s=10, clock=Watch(), keys_max=3)
    limiter.take("bob")

    for number in range(100):
        limiter.take(f"guest-{number}")
        assert wait_s(limiter, "bob") == 10


def test_who_rests_after_using_up_his_tokens_is_remembered_until_as_many_others_came_as_the_table_holds() -> None:
    limiter = Limiter(burst=1, every_s=10, clock=Watch(), keys_max=100)
    limiter.take("bob")

    for number in range(99):
        limiter.take(f"guest-{number}")
    assert wait_s(limiter, "bob") == 10
    for number in range(100, 200):
        limiter.take(f"guest-{number}")
    assert wait_s(limiter, "bob") == 0


def test_a_full_table_forgets_what_was_written_longest_ago() -> None:
    table: BoundedTable[str, int] = BoundedTable(2)
    table["ada"], table["bob"], table["ada"], table["cleo"] = 1, 2, 3, 4

    assert dict(table) == {"ada": 3, "cleo": 4}


@UNHURRIED
@given(st.lists(st.integers(0, 30), max_size=60), st.integers(1, 5), st.integers(1, 10))
def test_no_span_of_time_lets_more_through_than_the_burst_and_what_came_back(
    pauses: list[int], burst: int, every_s: int
) -> None:
    watch = Watch()
    limiter = Limiter(burst=burst, every_s=every_s, clock=watch)
    passed: list[float] = []
    for pause in pauses:
        watch.now += pause
        if wait_s(limiter, "bob") == 0:
            passed.append(watch.now)

    for first in range(len(passed)):
        for last in range(first, len(passed)):
            assert last - first + 1 <= burst + (passed[last] - passed[first]) // every_s


@UNHURRIED
@given(st.integers(1, 5), st.integers(1, 10), st.floats(0, 9))
def test_waiting_as_long_as_told_is_enough(burst: int, every_s: int, pause_s: float) -> None:
    watch = Watch()
    limiter = Limiter(burst=burst, every_s=every_s, clock=watch)
    for _ in range(burst):
        limiter.take("bob")

    watch.now += min(pause_s, every_s - 0.5)
    told_s = wait_s(limiter, "bob")
    assert told_s > 0
    watch.now += told_s
    assert wait_s(limiter, "bob") == 0


@UNHURRIED
@given(st.floats(0, 1e9), st.sampled_from([1, 7, 59, 300, 1_000]))
def test_a_burst_is_let_through_to_its_last_whatever_the_clock_says(now: float, per_minute: int) -> None:
    limiter = Limiter(burst=per_minute, every_s=60 / per_minute, clock=Watch(now))

    assert [limiter.take("class").tokens for _ in range(per_minute)] == list(reversed(range(per_minute)))
    assert wait_s(limiter, "class") > 0


@UNHURRIED
@given(st.lists(st.integers(0, 30), max_size=60), st.integers(1, 5), st.integers(1, 10))
def test_as_many_as_are_told_to_be_left_are_let_through_and_one_more_when_that_is_told(
    pauses: list[int], burst: int, every_s: int
) -> None:
    watch = Watch()
    limiter = Limiter(burst=burst, every_s=every_s, clock=watch)
    for pause in [*pauses, every_s]:
        wait_s(limiter, "bob")
        watch.now += pause
    tokens, more_in_s = limiter.take("bob")

    watch.now += 0.99 * more_in_s
    assert [wait_s(limiter, "bob") for _ in range(tokens)] == [0] * tokens
    assert wait_s(limiter, "bob") > 0
    watch.now += 0.02 * more_in_s
    assert [wait_s(limiter, "bob") > 0 for _ in range(2)] == [False, True]


@pytest.mark.parametrize(
    ("address", "sender"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("not:an:address", "not:an:address"),
        ("x" * 65_536, "x" * 45),
    ],
)
def test_a_sender_is_an_address_or_the_household_it_belongs_to(address: str, sender: str) -> None:
    assert network(address) == sender


@pytest.mark.parametrize("address", ["127.0.0.1", "127.255.0.9", "::1", "::1%lo", "::ffff:127.0.0.1"])
def test_this_machine_is_known_by_its_addresses(address: str) -> None:
    assert is_loopback(address)


@pytest.mark.parametrize(
    "address",
    ["", "192.0.2.7", "127.0.0.1.example.org", "127.1", "127.0.0.1/8", "localhost", "::", "::2", "::ffff:1.2.3.4"],
)
def test_nobody_else_is_taken_for_this_machine(address: str) -> None:
    assert not is_loopback(address)


@UNHURRIED
@given(st.text())
def test_no_text_for_an_address_raises_or_grows(address: str) -> None:
    assert len(network(address)) <= 45
    assert not is_loopback(f"x{address}")
