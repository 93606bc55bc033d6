"""The keys of orders: each opens its own order, and nothing else does."""

import re

from hypothesis import given
from hypothesis import strategies as st

from tests.web.unhurried import UNHURRIED
from webapp.web.order_keys import OrderKeys

KEYS = OrderKeys(bytes(32))
ANY_TEXT = st.text(st.characters())


def test_a_key_is_22_characters_that_an_address_can_hold() -> None:
    assert re.fullmatch(r"[A-Za-z0-9_-]{22}", KEYS.key("0123456789"))


def test_a_key_can_be_derived_again_with_the_secret_alone() -> None:
    assert OrderKeys(bytes(32)).key("bobs") == KEYS.key("bobs")
    assert OrderKeys(b"d" * 32).key("bobs") != KEYS.key("bobs")


@UNHURRIED
@given(ANY_TEXT, ANY_TEXT)
def test_a_key_opens_its_own_order_alone(mine: str, other: str) -> None:
    assert KEYS.fits(mine, KEYS.key(mine))
    assert KEYS.fits(other, KEYS.key("bobs")) == (other == "bobs")
    assert KEYS.fits("bobs", other) == (other == KEYS.key("bobs"))


def test_a_key_that_is_cut_or_changed_anywhere_opens_nothing() -> None:
    key = KEYS.key("bobs")
    assert KEYS.fits("bobs", key)
    for at, character in enumerate(key):
        changed = "A" if character != "A" else "B"
        assert not KEYS.fits("bobs", key[:at] + changed + key[at + 1 :])
        assert not KEYS.fits("bobs", key[:at])
    assert not KEYS.fits("bobs", key + "=")
