"""Who is asking: passwords, tokens, and how guessing is slowed down."""

import asyncio
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from werkzeug.security import generate_password_hash

from tests.web.unhurried import UNHURRIED, Watch
from webapp.settings import Settings
from webapp.web import auth, passwords
from webapp.web.auth import UNNAMED, UNREADABLE, WRONG_PASSWORD, WRONG_TOKEN, Gatekeeper, Nobody, Organiser
from webapp.web.limiter import TooManyAttempts
from webapp.web.passwords import Credentials, reset_password
from webapp.web.secrets import Secrets

LEAN = "scrypt:1024:1:1"
SECRETS = Secrets.derived_from(b"0123456789abcdef0123456789abcdef")
HOME = "192.0.2.1"
AWAY = "198.51.100.7"
BY_PASSWORD = Organiser("ada", "password")
BY_TOKEN = Organiser("ada", "token")


@dataclass
class Hashing:
    """What a test sees of the hashing, and how it holds it up."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    claims: list[tuple[str, str]] = field(default_factory=list)
    begun: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    may_go_on: threading.Event = field(default_factory=threading.Event)
    running: int = 0
    most_at_once: int = 0


class Counted(Credentials):
    """Credentials whose hashing is watched."""

    def __init__(self, user: str, password: str) -> None:
        super().__init__(user, generate_password_hash(password, LEAN))
        object.__setattr__(self, "hashing", Hashing())
        self.hashing.may_go_on.set()

    hashing: Hashing

    @property
    def hashed(self) -> int:
        """How often a password was hashed."""
        return len(self.hashing.claims)

    def match(self, user: str, password: str) -> bool:
        seen = self.hashing
        with seen.lock:
            seen.claims.append((user, password))
            seen.running += 1
            seen.most_at_once = max(seen.most_at_once, seen.running)
        seen.begun.release()
        seen.may_go_on.wait(60)
        with seen.lock:
            seen.running -= 1
        return super().match(user, password)


class Door:
    """A gatekeeper whose credentials can be exchanged, and its clock."""

    def __init__(self) -> None:
        self.ada = Counted("ada", "correct horse")
        self.watch = Watch()
        self.gatekeeper = Gatekeeper(lambda: self.ada, SECRETS, token_exp_s=3_600, timer=self.watch)

    async def knock(self, user: str, password: str, address: str = HOME) -> bool | int:
        """Whether these are the organiser's, or for how long to wait."""
        try:
            return await self.gatekeeper.verify_password(user, password, address)
        except TooManyAttempts as refused:
            return refused.retry_after_s

    async def ask(self, authorization: str | None, address: str = HOME) -> Organiser | Nobody:
        """Who is asking with this header."""
        return await self.gatekeeper.who_is_asking(authorization, address)

    async def guess_from_everywhere(self, guesses: int, user: str = "ada") -> None:
        """Wrong passwords, each from an address of its own."""
        for number in range(guesses):
            await self.knock(user, f"guess {number}", f"203.0.113.{number}")


@pytest.fixture
def door() -> Iterator[Door]:
    found = Door()
    yield found
    found.ada.hashing.may_go_on.set()
    found.gatekeeper.close()


@pytest.fixture
def lean_hashing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "HASH_METHOD", LEAN)


def basic(user_and_password: str | bytes, scheme: str = "Basic") -> str:
    """An Authorization header for Basic authentication."""
    text = user_and_password if isinstance(user_and_password, bytes) else user_and_password.encode()
    return f"{scheme} {b64encode(text).decode()}"


async def test_the_organiser_is_known_by_password(door: Door) -> None:
    assert await door.ask(basic("ada:correct horse")) == BY_PASSWORD


async def test_the_organiser_is_known_by_token(door: Door) -> None:
    assert await door.ask(f"Bearer {door.gatekeeper.tokens.issue()}") == BY_TOKEN


@pytest.mark.parametrize("spelled", [str.lower, str.upper, str.swapcase])
async def test_schemes_are_known_in_any_case(door: Door, spelled: Callable[[str], str]) -> None:
    assert await door.ask(basic("ada:correct horse", spelled("Basic"))) == BY_PASSWORD
    assert await door.ask(f"{spelled('Bearer')}  {door.gatekeeper.tokens.issue()} ") == BY_TOKEN


async def test_a_password_may_have_colons_and_letters_of_any_script(door: Door) -> None:
    door.ada = Counted("zoë", "a:b:пароль")

    assert await door.ask(basic("zoë:a:b:пароль")) == Organiser("zoë", "password")


@pytest.mark.parametrize("nothing", [None, ""])
async def test_who_says_nothing_is_asked_to_sign_in(door: Door, nothing: str | None) -> None:
    assert await door.ask(nothing) == UNNAMED


@pytest.mark.parametrize(
    "rubbish",
    [
        "Basic",
        "Basic ",
        "Basic !!!!",
        "Basic YWRh",  # ada, without a colon
        "Basic YWRhOmNvcnJlY3QgaG9yc2U",  # without padding
        "Basic YWRhOmNv cnJlY3QgaG9yc2U=",
        "BasicYWRhOmNvcnJlY3QgaG9yc2U=",
        "Basic é",
        basic(b"ada:\xff"),
        "Digest username=ada",
        "ada:correct horse",
        " ",
        basic("ada:" + "x" * 6_200),  # more than any password that can be set
    ],
)
async def test_rubbish_in_the_header_is_nobody_and_costs_no_hashing(door: Door, rubbish: str) -> None:
    assert await door.ask(rubbish) == UNREADABLE
    assert door.ada.hashed == 0


@pytest.mark.parametrize("pair", ["ada:wrong", "dan:correct horse", ":", "ada:", ":correct horse", "ada:correct"])
async def test_a_wrong_password_or_user_is_nobody(door: Door, pair: str) -> None:
    assert await door.ask(basic(pair)) == WRONG_PASSWORD


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "x" * 8_000])
async def test_a_wrong_token_is_nobody_and_is_told_as_rfc_6750_says(door: Door, token: str) -> None:
    assert await door.ask(f"Bearer {token}") == WRONG_TOKEN
    assert WRONG_TOKEN.challenges[1] == 'Bearer realm="Fairlist", error="invalid_token"'


async def test_text_that_cannot_be_encoded_is_no_password(door: Door) -> None:
    assert await door.knock("ada", "\ud800") is False
    assert await door.knock("\ud800", "correct horse") is False


async def test_nobody_is_told_both_ways_to_sign_in() -> None:
    for nobody in (UNNAMED, UNREADABLE, WRONG_PASSWORD, WRONG_TOKEN):
        assert [challenge.split()[0] for challenge in nobody.challenges] == ["Basic", "Bearer"]


@UNHURRIED
@given(st.text() | st.binary().map(basic) | st.text().map("Bearer ".__add__))
@example("Basic \ud800")
@example("Bearer \ud800")
def test_no_header_raises(authorization: str) -> None:
    async def asked() -> Organiser | Nobody:
        door = Door()
        try:
            return await door.ask(authorization)
        finally:
            door.gatekeeper.close()

    assert isinstance(asyncio.run(asked()), Nobody)


async def test_a_password_once_verified_is_remembered_for_a_minute(door: Door) -> None:
    for _ in range(100):
        assert await door.knock("ada", "correct horse")
        door.watch.now += 0.5
    assert door.ada.hashed == 1

    door.watch.now += 60
    assert await door.knock("ada", "correct horse")
    assert door.ada.hashed == 2


async def test_a_wrong_password_is_never_remembered(door: Door) -> None:
    assert [await door.knock("ada", "wrong") for _ in range(2)] == [False, False]
    assert door.ada.hashed == 2


async def test_nothing_is_remembered_of_a_password_that_was_changed(door: Door) -> None:
    assert await door.knock("ada", "correct horse")
    door.ada = Counted("ada", "battery staple")

    assert await door.knock("ada", "correct horse") is False
    assert await door.knock("ada", "battery staple") is True


async def test_what_is_remembered_holds_no_password(door: Door) -> None:
    await door.knock("ada", "correct horse")

    assert "horse" not in repr(vars(door.gatekeeper))


async def test_what_is_remembered_is_bounded(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Credentials, "match", lambda *_: True)

    for number in range(1_500):
        await door.knock("ada", f"password {number}", f"address {number}")
    sizes = {name: len(table) for name, table in vars(door.gatekeeper).items() if isinstance(table, dict)}
    assert sizes == {"_verified_until": 1_000, "_known": 1_000, "_running": 0}


async def test_ten_guesses_from_one_address_are_answered_and_then_one_every_six_seconds(door: Door) -> None:
    assert [await door.knock("ada", f"guess {number}") for number in range(12)] == [False] * 10 + [6, 6]

    door.watch.now += 6
    assert [await door.knock("ada", "another") for _ in range(2)] == [False, 6]
    assert door.ada.hashed == 11


async def test_guesses_at_unknown_users_count_alike(door: Door) -> None:
    assert [await door.knock(f"user {number}", "x") for number in range(11)] == [False] * 10 + [6]


async def test_a_household_shares_its_guesses(door: Door) -> None:
    assert [await door.knock("ada", "x", f"2001:db8::{number}") for number in range(11)] == [False] * 10 + [6]
    assert await door.knock("ada", "x", "2001:db8:0:1::1") is False


async def test_thirty_guesses_at_one_account_are_answered_from_wherever_they_come(door: Door) -> None:
    await door.guess_from_everywhere(30)
    assert door.ada.hashed == 30

    assert await door.knock("ada", "x", AWAY) == 2
    assert await door.knock("dan", "x", AWAY) is False
    door.watch.now += 2
    assert [await door.knock("ada", "x", AWAY) for _ in range(2)] == [False, 2]


async def test_an_account_under_attack_costs_an_address_nothing(door: Door) -> None:
    await door.guess_from_everywhere(30)
    for _ in range(50):
        assert await door.knock("ada", "correct horse", AWAY) == 2

    door.watch.now += 2
    assert await door.knock("ada", "correct horse", AWAY) is True


async def test_an_address_that_signed_in_before_is_not_kept_out_by_guesses_from_elsewhere(door: Door) -> None:
    assert await door.knock("ada", "correct horse")
    await door.guess_from_everywhere(200)
    door.watch.now += 61  # no longer remembered
    await door.guess_from_everywhere(200)

    assert await door.knock("ada", "correct horse", AWAY) == 2
    assert await door.knock("ada", "correct horse") is True


async def test_an_address_is_known_only_so_long_as_the_password_lasts(door: Door) -> None:
    assert await door.knock("ada", "correct horse")
    door.ada = Counted("ada", "battery staple")
    await door.guess_from_everywhere(30)

    assert await door.knock("ada", "battery staple") == 2


async def test_signing_in_uses_nothing_up(door: Door) -> None:
    for _ in range(100):
        assert await door.knock("ada", "correct horse") is True
        door.watch.now += 61
    door.watch.now += 600
    for _ in range(100):
        assert await door.knock("ada", "correct horse") is True
    assert [await door.knock("ada", "x") for _ in range(11)] == [False] * 10 + [6]


async def test_who_is_out_of_guesses_cannot_guess_on_by_what_is_remembered(door: Door) -> None:
    assert await door.knock("ada", "correct horse", HOME)
    for number in range(10):
        await door.knock("ada", f"guess {number}", AWAY)

    assert await door.knock("ada", "correct horse", AWAY) == 6
    assert await door.knock("ada", "wrong", AWAY) == 6


async def test_a_token_is_asked_for_no_guesses(door: Door) -> None:
    for number in range(10):
        await door.knock("ada", f"guess {number}")

    for _ in range(100):
        assert await door.ask(f"Bearer {door.gatekeeper.tokens.issue()}") == BY_TOKEN
        assert await door.ask("Bearer x") == WRONG_TOKEN


async def test_requests_that_ask_the_same_at_the_same_time_share_one_hashing(door: Door) -> None:
    answers = await asyncio.gather(*(door.knock("ada", "correct horse") for _ in range(500)))

    assert answers == [True] * 500
    assert door.ada.hashed == 1


async def test_a_client_that_goes_away_takes_the_answer_from_nobody(door: Door) -> None:
    door.ada.hashing.may_go_on.clear()
    first = asyncio.create_task(door.knock("ada", "correct horse"))
    second = asyncio.create_task(door.knock("ada", "correct horse"))
    await asyncio.sleep(0)
    first.cancel()
    with suppress(asyncio.CancelledError):
        await first

    door.ada.hashing.may_go_on.set()
    assert await second is True
    assert await door.knock("ada", "correct horse") is True
    assert door.ada.hashed == 1


async def test_two_are_hashed_at_a_time_and_the_loop_goes_on_meanwhile(door: Door) -> None:
    door.ada.hashing.may_go_on.clear()
    knocks = [asyncio.create_task(door.knock(f"user {number}", "x")) for number in range(5)]
    for _ in range(2):
        assert await asyncio.to_thread(door.ada.hashing.begun.acquire, timeout=60)

    door.ada.hashing.may_go_on.set()
    assert await asyncio.gather(*knocks) == [False] * 5
    assert door.ada.hashing.most_at_once == 2


async def test_no_more_than_a_few_wait_to_be_hashed_except_who_is_known(door: Door) -> None:
    assert await door.knock("ada", "correct horse")
    door.watch.now += 61
    door.ada.hashing.may_go_on.clear()
    flood = [asyncio.create_task(door.knock(f"user {n}", "x", f"203.0.113.{n}")) for n in range(100)]
    await asyncio.sleep(0)
    known = asyncio.create_task(door.knock("ada", "correct horse"))
    await asyncio.sleep(0)
    door.ada.hashing.may_go_on.set()
    answers = await asyncio.gather(*flood)
    assert answers == [False] * auth.HASHING_QUEUE_MAX + [1] * (100 - auth.HASHING_QUEUE_MAX)
    assert await known is True


async def test_who_found_too_many_waiting_has_lost_no_guess(door: Door) -> None:
    door.ada.hashing.may_go_on.clear()
    flood = [asyncio.create_task(door.knock(f"user {n}", "x", f"203.0.113.{n}")) for n in range(auth.HASHING_QUEUE_MAX)]
    await asyncio.sleep(0)
    for number in range(100):
        assert await door.knock("ada", f"guess {number}", AWAY) == 1

    door.ada.hashing.may_go_on.set()
    await asyncio.gather(*flood)
    assert [await door.knock("ada", f"guess {number}", AWAY) for number in range(11)] == [False] * 10 + [6]


async def test_without_authentication_everybody_is_the_organiser(tmp_path: Path) -> None:
    gatekeeper, generated = Gatekeeper.open(Settings.read({"APP_ENV": "test"}), tmp_path)

    assert generated is None
    assert gatekeeper.open_to_all
    for header in (None, "Basic !!!!", "Bearer x", basic("dan:x")):
        assert await gatekeeper.who_is_asking(header, HOME) == Organiser("admin", "nothing")
    assert gatekeeper.tokens.is_valid(gatekeeper.tokens.issue())
    assert not await gatekeeper.verify_password("admin", "", HOME)
    gatekeeper.close()


@pytest.mark.usefixtures("lean_hashing")
async def test_a_gatekeeper_comes_with_what_is_in_the_data_folder(tmp_path: Path) -> None:
    first, generated = Gatekeeper.open(Settings.read({}), tmp_path)
    second, told = Gatekeeper.open(Settings.read({}), tmp_path)
    token, session = first.tokens.issue(), first.sessions.begun()

    assert told is None
    assert await second.verify_password("admin", str(generated), HOME)
    assert second.tokens.is_valid(token)
    assert second.sessions.find(session)
    assert not first.open_to_all
    first.close()
    second.close()


@pytest.mark.usefixtures("lean_hashing")
async def test_a_reset_ends_passwords_tokens_and_sessions_of_a_running_server(tmp_path: Path) -> None:
    gatekeeper, generated = Gatekeeper.open(Settings.read({}), tmp_path)
    header = basic(f"admin:{generated}")
    assert isinstance(await gatekeeper.who_is_asking(header, HOME), Organiser)
    token, session = gatekeeper.tokens.issue(), gatekeeper.sessions.begun()

    password = reset_password(tmp_path)
    assert await gatekeeper.who_is_asking(header, HOME) == WRONG_PASSWORD
    assert await gatekeeper.who_is_asking(f"Bearer {token}", HOME) == WRONG_TOKEN
    assert gatekeeper.sessions.find(session) is None
    assert isinstance(await gatekeeper.who_is_asking(basic(f"admin:{password}"), HOME), Organiser)
    gatekeeper.close()


@pytest.mark.usefixtures("lean_hashing")
async def test_the_demonstration_opens_with_its_well_known_password(tmp_path: Path) -> None:
    gatekeeper, _ = Gatekeeper.open(Settings.read({"APP_ENV": "demo"}), tmp_path)

    assert await gatekeeper.who_is_asking(basic("admin:password"), HOME) == Organiser("admin", "password")
    gatekeeper.close()
