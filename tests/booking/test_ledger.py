"""The ledger: what an entry's hash is taken over, and what a chain of them shows."""

import json
from collections.abc import Callable, Sequence
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webapp.booking import decisions
from webapp.booking.details import Details
from webapp.booking.ledger import GENESIS, Entry, Kind, LedgerDamaged, canonical_bytes, commitment, pseudonym, seal
from webapp.booking.state import EventState, fold

AT = 1_760_000_000_000_000
ERASED = pseudonym("order-3")
LENGTH = 20


def ledger_of(event: str) -> list[Entry]:
    """Twenty entries with every kind among them: a busy day at an event with one ticket, that was deleted once."""
    state, entries = EventState(event), list[Entry]()

    def happen(decision: decisions.Decision[Any]) -> None:
        entries.extend(state.record(fact, AT + state.head, "guest") for fact in decision.facts)

    happen(decisions.open_event(state, AT, 3))
    happen(decisions.delete_event(state, AT))
    happen(decisions.create_event(state, AT, 1, Details(title="A talk", starts_at=AT + 100)))
    for number, guest in enumerate(("Bob", "Cleo", "Dan", "Eve")):
        happen(decisions.book(state, AT, guest, f"order-{number}", bytes([number] * 16)))
    happen(decisions.cancel(state, AT, "Bob", "He is ill"))
    happen(decisions.revise(state, AT, tickets=2))
    happen(decisions.check_in(state, AT, "Cleo", "order-1", "east"))
    happen(decisions.undo_check_in(state, AT, "Cleo", "order-1"))
    happen(decisions.check_in(state, AT, "Dan", "order-2", None))
    happen(decisions.cancel(state, AT + 100, "Cleo"))
    happen(decisions.erase(state, AT + 100, "Eve", ("order-3",)))
    happen(decisions.revise(state, AT + 100, details=Details(title="A talk", starts_at=AT + 200)))
    return [entry._replace(guest=ERASED, salt=None) if entry.order_id == "order-3" else entry for entry in entries]


def first_bad_entry(entries: Sequence[Entry]) -> int:
    with pytest.raises(LedgerDamaged) as damage:
        fold("gig", entries)
    assert str(damage.value).startswith(f"the ledger of event 'gig' is damaged at entry {damage.value.seq}: ")
    return damage.value.seq


def test_canonical_bytes_are_what_a_browser_gives_too() -> None:
    # JSON.stringify(["café/☕ \"quoted\" \\", 7, "cancelled", …]) in Node.js 18
    assert (
        canonical_bytes(
            'café/☕ "quoted" \\',
            7,
            "cancelled",
            1760000000123456,
            "organiser",
            "0f1e2d3c4b5a69788796",
            "two\nlines,\ttab, \x01, \x7f, \u2028, 🎫",
            None,
        )
        == (
            '["café/☕ \\"quoted\\" \\\\",7,"cancelled",1760000000123456,"organiser","0f1e2d3c4b5a69788796",'
            '"two\\nlines,\\ttab, \\u0001, \x7f, \u2028, 🎫",null]'
        ).encode()
    )


ANY_TEXT = st.text(st.characters() | st.sampled_from('"\\\b\f\n\r\t\x00\x1f\x7f\u2028\ud800\udc00'))
NUMBER = st.integers(-(2**63), 2**63 - 1)


@given(st.tuples(ANY_TEXT, NUMBER, ANY_TEXT, NUMBER, ANY_TEXT, *[st.none() | ANY_TEXT] * 3))
def test_canonical_bytes_are_those_of_any_encoder_of_json(said: Any) -> None:
    text = json.dumps(said, ensure_ascii=False, separators=(",", ":"))
    try:
        encoded = text.encode()
    except UnicodeEncodeError:  # half a surrogate pair, which no input can hold
        with pytest.raises(UnicodeEncodeError):
            canonical_bytes(*said)
    else:
        assert canonical_bytes(*said) == encoded


@pytest.mark.parametrize("place", range(8))
def test_what_is_of_another_type_has_no_canonical_bytes(place: int) -> None:
    said: list[Any] = ["gig", 1, "opened", AT, "organiser", None, None, "80"]
    said[place] = b"80"
    with pytest.raises((TypeError, ValueError)):
        canonical_bytes(*said)


def test_a_seal_is_the_hash_of_the_seal_before_and_the_canonical_bytes() -> None:
    entry = Entry(1, "opened", AT, "organiser", None, None, "80", b"", None, None)
    # sha256 over 32 zero bytes and ["gig",1,"opened",1760000000000000,"organiser",null,null,"80"]
    assert seal(GENESIS, "gig", entry[:7]).hex() == "77b69b2c4c72f5c1b51db397fb2b685080db9c4be8bbbd836343226a5319b9a8"


def test_a_commitment_is_the_hash_of_salt_and_guest() -> None:
    assert commitment(bytes(range(16)), "Zoë") == "f44e7e93ce7a1c83bc6436e59e47dd578c9db00867095b3212e22db00e4be45b"


def test_the_same_guest_with_another_salt_is_another_commitment() -> None:
    assert commitment(bytes(16), "Bob") != commitment(bytes(15) + b"\x01", "Bob")


def test_a_ledger_names_no_guest() -> None:
    entries = ledger_of("gig")
    public = b"".join(canonical_bytes("gig", *entry[:7]) for entry in entries)
    assert not [entry.guest for entry in entries if entry.guest and entry.guest.encode() in public]


def test_every_kind_of_entry_is_put_to_the_test() -> None:
    assert {entry.kind for entry in ledger_of("gig")} == set(get_args(Kind))


def test_a_ledger_that_nobody_touched_verifies() -> None:
    assert fold("gig", ledger_of("gig")).counts[1:5] == (2, 2, 0, LENGTH)


def flipped(value: object) -> Any:
    """A value of the same type, or a first one, that differs in a bit."""
    match value:
        case int():
            return value ^ 1
        case bytes():
            return bytes([value[0] ^ 1]) + value[1:]
        case str():
            return chr(ord(value[0]) ^ 1) + value[1:]
    return "0"


SEALED = ("seq", "kind", "at", "actor", "order_id", "reason", "detail", "hash")


@pytest.mark.parametrize("field", SEALED)
@pytest.mark.parametrize("index", range(LENGTH))
def test_a_flipped_bit_shows_in_every_field_of_every_entry(index: int, field: str) -> None:
    entries = ledger_of("gig")
    entries[index] = entries[index]._replace(**{field: flipped(getattr(entries[index], field))})
    assert first_bad_entry(entries) == entries[index].seq


@pytest.mark.parametrize("field", ["guest", "salt"])
@pytest.mark.parametrize("index", [4, 5, 6])
def test_a_booking_in_another_name_shows(index: int, field: str) -> None:
    entries = ledger_of("gig")
    entries[index] = entries[index]._replace(**{field: flipped(getattr(entries[index], field))})
    assert first_bad_entry(entries) == index + 1


@pytest.mark.parametrize("index", [8, 9, 11, 12, 13, 14, 15, 19])
def test_what_happens_to_an_order_in_another_name_shows(index: int) -> None:
    entries = ledger_of("gig")
    entries[index] = entries[index]._replace(guest="Mallory")
    assert first_bad_entry(entries) == index + 1


def remove(entries: list[Entry], index: int) -> None:
    del entries[index]


def repeat(entries: list[Entry], index: int) -> None:
    entries.insert(index, entries[index - 1])


def swap(entries: list[Entry], index: int) -> None:
    entries[index], entries[index + 1] = entries[index + 1], entries[index]


def take_from_another_event(entries: list[Entry], index: int) -> None:
    entries[index] = ledger_of("talk")[index]


def insert_with_a_good_hash(entries: list[Entry], index: int) -> None:
    """Insert an entry that is sealed to the one before it, as whoever knows the algorithm can."""
    forged = entries[index]._replace(seq=index + 1, at=AT - 1)
    entries.insert(index, forged._replace(hash=seal(entries[index - 1].hash, "gig", forged[:7])))


@pytest.mark.parametrize("index", range(1, LENGTH - 1))
@pytest.mark.parametrize("tamper", [remove, repeat, swap, take_from_another_event])
def test_what_was_removed_repeated_swapped_or_brought_in_shows(
    tamper: Callable[[list[Entry], int], None], index: int
) -> None:
    entries = ledger_of("gig")
    tamper(entries, index)
    assert first_bad_entry(entries) == entries[index].seq


@pytest.mark.parametrize("index", range(1, LENGTH - 1))
def test_what_was_inserted_with_a_good_hash_shows_at_the_entry_behind_it(index: int) -> None:
    entries = ledger_of("gig")
    insert_with_a_good_hash(entries, index)
    assert first_bad_entry(entries) == entries[index + 1].seq


@pytest.mark.parametrize("index", range(LENGTH - 1))
def test_what_was_rewritten_and_sealed_anew_shows_at_the_entry_behind_it(index: int) -> None:
    entries = ledger_of("gig")
    before = entries[index - 1].hash if index else GENESIS
    rewritten = entries[index]._replace(at=entries[index].at - 1)
    entries[index] = rewritten._replace(hash=seal(before, "gig", rewritten[:7]))
    assert first_bad_entry(entries) == entries[index + 1].seq


def test_a_promotion_left_out_at_the_end_shows() -> None:
    entries = ledger_of("gig")
    while entries[-1].kind != "promoted":
        entries.pop()
    entries.pop()
    assert first_bad_entry(entries) == entries[-1].seq


def test_an_order_without_its_row_shows() -> None:
    entries = ledger_of("gig")
    entries[8] = entries[8]._replace(guest=None)
    assert first_bad_entry(entries) == 9


@pytest.mark.parametrize("index", [4, 5, 6])
@pytest.mark.parametrize("guest", ["Bob", "Mallory", pseudonym("order-9")])
def test_an_order_without_its_salt_shows_unless_it_names_nobody_any_more(index: int, guest: str) -> None:
    entries = ledger_of("gig")
    entries[index] = entries[index]._replace(salt=None, guest=guest)
    assert first_bad_entry(entries) == index + 1


def test_an_entry_that_is_sealed_well_but_breaks_the_rules_shows() -> None:
    entries = ledger_of("gig")[:6]
    overtaking = Entry(7, "booked", AT, "guest", "order-9", None, commitment(bytes(16), "Dan"), b"", "Dan", bytes(16))
    entries.append(overtaking._replace(hash=seal(entries[-1].hash, "gig", overtaking[:7])))
    assert first_bad_entry(entries) == 7


@pytest.mark.parametrize("detail", ["", "{}x", '{"starts_at":"soon"}'])
def test_details_that_are_sealed_well_but_unreadable_show(detail: str) -> None:
    entries = ledger_of("gig")[:3]
    unreadable = Entry(4, "revised", AT, "organiser", None, None, detail, b"", None, None)
    entries.append(unreadable._replace(hash=seal(entries[-1].hash, "gig", unreadable[:7])))
    assert first_bad_entry(entries) == 4


def test_an_order_that_was_erased_is_not_compared_with_its_commitment() -> None:
    entries = ledger_of("gig")
    assert entries[7].guest == ERASED
    assert entries[7].detail == commitment(bytes([3] * 16), "Eve")
    assert fold("gig", entries).live[ERASED] == "order-3"
