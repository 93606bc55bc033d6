"""JSON Web Tokens: which ones open the door."""

import base64
import json
from typing import Any

import jwt
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.web.unhurried import UNHURRIED, Watch
from webapp.web.passwords import Credentials
from webapp.web.tokens import Tokens

KEY = b"0123456789abcdef0123456789abcdef"
NOW = 1_800_000_000
ADA = Credentials("ada", "scrypt:1024:1:1$salt$hash")


def tokens(watch: Watch | None = None, key: bytes = KEY, credentials: Credentials = ADA) -> Tokens:
    """Tokens that last an hour."""
    return Tokens(key, lambda: credentials, token_exp_s=3_600, clock=watch or Watch(NOW))


def claims() -> dict[str, Any]:
    """What a token says."""
    found: dict[str, Any] = jwt.decode(tokens().issue(), options={"verify_signature": False})
    return found


def signed(claims_: dict[str, Any], key: bytes = KEY, algorithm: str = "HS256") -> str:
    """A token that says what is given."""
    return jwt.encode(claims_, key, algorithm)


def part(content: object) -> str:
    """One of the three parts of a token."""
    text = content if isinstance(content, str) else json.dumps(content)
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def test_a_token_says_who_by_whom_for_whom_and_how_long() -> None:
    said = claims()

    assert len(said.pop("jti")) >= 22
    assert said == {
        "sub": "ada",
        "iss": "fairlist",
        "aud": "fairlist",
        "iat": NOW,
        "exp": NOW + 3_600,
        "credentials": ADA.fingerprint,
    }


def test_a_token_is_valid_until_it_expires_to_the_second() -> None:
    watch = Watch(NOW)
    token = tokens(watch).issue()

    assert tokens(watch).is_valid(token)
    watch.now = NOW + 3_599.9
    assert tokens(watch).is_valid(token)
    watch.now = NOW + 3_600
    assert not tokens(watch).is_valid(token)


def test_a_token_is_valid_after_a_restart_and_no_two_are_the_same() -> None:
    made = {tokens().issue() for _ in range(50)}

    assert len(made) == 50
    assert all(tokens().is_valid(token) for token in made)


def test_a_token_ends_with_the_password_and_with_the_user_name() -> None:
    token = tokens().issue()

    assert not tokens(credentials=Credentials("ada", "scrypt:1024:1:1$salt$other")).is_valid(token)
    assert not tokens(credentials=Credentials("bob", ADA.password_hash)).is_valid(token)


def test_a_token_of_another_key_is_refused() -> None:
    assert not tokens().is_valid(tokens(key=KEY[::-1]).issue())


@pytest.mark.parametrize("claim", ["exp", "iat", "sub", "iss", "aud", "jti", "credentials"])
def test_a_token_without_one_of_its_claims_is_refused(claim: str) -> None:
    said = claims()
    assert tokens().is_valid(signed(said))

    del said[claim]
    assert not tokens().is_valid(signed(said))


@pytest.mark.parametrize(
    "other",
    [
        {"sub": "bob"},
        {"sub": 5},
        {"iss": "another"},
        {"aud": "another"},
        {"aud": []},
        {"jti": 5},
        {"exp": "x"},
        {"exp": NOW - 1},
        {"exp": str(NOW + 10)},
        {"exp": float("inf")},
        {"exp": [NOW + 10]},
        {"exp": -(10**300)},
        {"credentials": "x"},
        {"credentials": [ADA.fingerprint]},
    ],
)
def test_a_token_with_another_claim_is_refused_though_the_key_is_right(other: dict[str, Any]) -> None:
    assert not tokens().is_valid(signed(claims() | other))


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "nOnE"])
def test_a_token_without_signature_is_refused(algorithm: str) -> None:
    header = part({"alg": algorithm, "typ": "JWT"})

    assert not tokens().is_valid(f"{header}.{part(claims())}.")
    assert not tokens().is_valid(f"{header}.{part(claims())}.{tokens().issue().split('.')[2]}")


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
@pytest.mark.parametrize("algorithm", ["HS384", "HS512"])
def test_a_token_of_another_algorithm_is_refused(algorithm: str) -> None:
    assert not tokens().is_valid(signed(claims(), algorithm=algorithm))


@pytest.mark.parametrize("index", [0, 1, 2])
def test_a_token_with_one_letter_changed_is_refused(index: int) -> None:
    parts = tokens().issue().split(".")
    parts[index] = ("A" if parts[index][0] != "A" else "B") + parts[index][1:]

    assert not tokens().is_valid(".".join(parts))


def test_a_token_that_is_too_long_is_not_looked_at() -> None:
    assert tokens().is_valid(signed(claims() | {"more": "x" * 2_000}))
    assert not tokens().is_valid(signed(claims() | {"more": "x" * 4_000}))


@UNHURRIED
@given(st.text() | st.text("ey.-_A9=", max_size=60))
@example("")
@example("..")
@example("\ud800.a.b")
@example(part('{"alg":"HS256","x":' + "[" * 3_000) + ".e30.AAAA")
@example(f"{part({'alg': 'HS256', 'b64': False, 'crit': ['b64']})}..AAAA")
@example(f"{part({'alg': 'HS256', 'kid': 5})}.e30.AAAA")
@example(f"{part([])}.e30.AAAA")
@example(f"{part({'alg': ['HS256']})}.e30.AAAA")
@example(f"{part({'alg': {}})}.e30.AAAA")
@example(f"{part({})}.e30.AAAA")
def test_no_rubbish_is_a_token_and_none_raises(rubbish: str) -> None:
    assert not tokens().is_valid(rubbish)


@pytest.mark.parametrize("payload", ["[]", "5", "null", '"ada"', "{", "[" * 2_000, ""])
def test_a_signed_token_that_says_nothing_is_refused(payload: str) -> None:
    assert not tokens().is_valid(jwt.api_jws.encode(payload.encode(), KEY, "HS256"))
