"""What browsers keep for the server: the organiser's session, and a guest's memory."""

import random
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from itsdangerous import URLSafeTimedSerializer

from tests.web.unhurried import UNHURRIED, Watch
from webapp.web.cookies import GUEST_COOKIE, SESSION_COOKIE, Cookie, GuestMemories, GuestMemory, Sessions
from webapp.web.passwords import Credentials

KEY = b"0123456789abcdef0123456789abcdef"
NOW = 1_800_000_000
MINUTE = 60
HOUR = 3_600
DAY = 86_400
ADA = Credentials("ada", "scrypt:1024:1:1$salt$hash")


def sessions(watch: Watch | None = None, key: bytes = KEY, credentials: Credentials = ADA) -> Sessions:
    """Sessions of the organiser."""
    return Sessions(key, lambda: credentials, clock=watch or Watch(NOW))


def memories(watch: Watch | None = None, key: bytes = KEY) -> GuestMemories:
    """Memories of guests."""
    return GuestMemories(key, clock=watch or Watch(NOW))


def user_id_at(memory: GuestMemory, event_id: str) -> str | None:
    """Whom the browser booked for there."""
    booking = memory.booking_at(event_id)
    return booking and booking.user_id


def test_a_session_is_found_by_its_cookie_and_is_new_at_every_sign_in() -> None:
    one, other = sessions().begun(), sessions().begun()
    found = sessions().find(one)

    assert one != other
    assert found is not None
    assert found.began_at == NOW
    assert found != sessions().find(other)


def test_a_session_ends_after_half_an_hour_without_a_request() -> None:
    watch = Watch(NOW)
    value = sessions(watch).begun()

    watch.now += 30 * MINUTE
    assert sessions(watch).find(value)
    watch.now += 1
    assert sessions(watch).find(value) is None


def test_requests_keep_a_session_alive_for_twelve_hours_and_no_longer() -> None:
    watch = Watch(NOW)
    value = sessions(watch).begun()
    while watch.now < NOW + 12 * HOUR - 20 * MINUTE:
        watch.now += 20 * MINUTE
        session = sessions(watch).find(value)
        assert session is not None
        value = sessions(watch).prolonged(session)

    watch.now = NOW + 12 * HOUR - 1
    assert sessions(watch).find(value)
    watch.now += 1
    assert sessions(watch).find(value) is None


def test_a_session_ends_for_all_when_the_password_changes() -> None:
    value = sessions().begun()

    assert sessions(credentials=Credentials("ada", "scrypt:1024:1:1$salt$other")).find(value) is None
    assert sessions(credentials=Credentials("bob", ADA.password_hash)).find(value) is None
    assert sessions().find(value)


def test_a_sign_out_ends_the_session_and_every_copy_of_its_cookie_but_no_other() -> None:
    watch = Watch(NOW)
    kept = sessions(watch)
    value, other = kept.begun(), kept.begun()
    session = kept.find(value)
    assert session is not None
    watch.now += MINUTE
    copy = kept.prolonged(session)

    kept.end(session)
    assert kept.find(value) is None
    assert kept.find(copy) is None
    assert kept.find(other)


def test_a_session_cookie_holds_neither_name_nor_secret() -> None:
    value = sessions().begun()
    said = str(URLSafeTimedSerializer(KEY).load_payload(value.encode().split(b".")[0]))

    assert "ada" not in said
    assert ADA.fingerprint not in said
    assert len(value) < 200


def test_a_cookie_of_another_key_or_another_purpose_is_none() -> None:
    memory = memories().written(GuestMemory().remembering("gig", "bob", "0001"))

    assert sessions().find(sessions(key=KEY[::-1]).begun()) is None
    assert sessions().find(memory) is None
    assert memories(key=KEY[::-1]).read(memory) == GuestMemory()
    assert memories().read(sessions().begun()) == GuestMemory()


def test_a_cookie_with_any_letter_changed_is_none() -> None:
    value = sessions().begun()

    for index, letter in enumerate(value[:-1]):  # of the last letter, two bits mean nothing
        changed = value[:index] + ("B" if letter == "A" else "A") + value[index + 1 :]
        assert sessions().find(changed) is None


@UNHURRIED
@given(st.text() | st.text("Wy.-_A9=", max_size=60))
@example("\ud800")
@example("\ud800.a.b")
def test_no_rubbish_is_a_cookie_and_none_raises(rubbish: str) -> None:
    assert sessions().find(rubbish) is None
    assert memories().read(rubbish) == GuestMemory()


@pytest.mark.parametrize(
    ("cookie", "name", "days"), [(SESSION_COOKIE, "fairlist-session", 0.5), (GUEST_COOKIE, "fairlist-guest", 180)]
)
def test_a_cookie_is_for_this_host_and_for_no_script(cookie: Cookie, name: str, days: float) -> None:
    attributes = {"value": "x", "max_age": days * DAY, "path": "/", "httponly": True, "samesite": "Lax"}

    assert cookie.setting("x", secure=True) == {"key": f"__Host-{name}", "secure": True} | attributes
    assert cookie.setting("x", secure=False) == {"key": name, "secure": False} | attributes


def test_a_cookie_is_looked_for_under_the_name_it_was_set_with() -> None:
    cookies = {"__Host-fairlist-session": "of https", "fairlist-session": "of http"}

    assert SESSION_COOKIE.found_in(cookies, secure=True) == "of https"
    assert SESSION_COOKIE.found_in(cookies, secure=False) == "of http"
    assert SESSION_COOKIE.found_in({}, secure=True) == ""


def test_a_cookie_is_removed_under_the_attributes_it_was_set_with() -> None:
    assert SESSION_COOKIE.removal(secure=True) == SESSION_COOKIE.setting("x", secure=True) | {"value": "", "max_age": 0}
    assert SESSION_COOKIE.setting("", secure=True) == SESSION_COOKIE.removal(secure=True)


def test_a_browser_remembers_whom_it_booked_for_at_which_event() -> None:
    memory = GuestMemory().remembering("gig", "bob", "0001").remembering("a/b 🎫", "Zoë", "0002")
    found = memories().read(memories().written(memory))

    assert found == memory
    for event_id, user_id, order_id in [("gig", "bob", "0001"), ("a/b 🎫", "Zoë", "0002")]:
        booking = found.booking_at(event_id)
        assert booking is not None
        assert (booking.user_id, booking.order_id) == (user_id, order_id)
    assert found.booking_at("another") is None


def test_a_second_booking_at_an_event_takes_the_place_of_the_first() -> None:
    memory = GuestMemory()
    for event_id, user_id, order_id in [("gig", "bob", "0001"), ("fair", "bob", "0002"), ("gig", "cleo", "0003")]:
        memory = memory.remembering(event_id, user_id, order_id)

    assert user_id_at(memory, "gig") == "cleo"
    assert len(memory.bookings) == 2
    assert user_id_at(memory.forgetting("gig"), "gig") is None
    assert user_id_at(memory.forgetting("gig"), "fair") == "bob"


def test_the_last_twenty_events_are_remembered() -> None:
    memory = GuestMemory()
    for number in range(25):
        memory = memory.remembering(f"event-{number}", f"guest-{number}", f"{number:020x}")
    found = memories().read(memories().written(memory))

    assert [user_id_at(found, f"event-{number}") for number in range(25)] == [None] * 5 + [
        f"guest-{number}" for number in range(5, 25)
    ]


def test_a_memory_lasts_180_days() -> None:
    watch = Watch(NOW)
    value = memories(watch).written(GuestMemory().remembering("gig", "bob", "0001"))

    watch.now += 180 * DAY
    assert user_id_at(memories(watch).read(value), "gig") == "bob"
    watch.now += 1
    assert memories(watch).read(value) == GuestMemory()


def test_an_empty_memory_needs_no_cookie() -> None:
    assert memories().written(GuestMemory()) == ""
    assert GUEST_COOKIE.setting(memories().written(GuestMemory()), secure=True)["max_age"] == 0


@pytest.mark.parametrize("events", [1, 2, 3, 25])
def test_the_longest_ids_fit_into_a_cookie_and_the_latest_is_always_kept(events: int) -> None:
    dice = random.Random(events)

    def longest_id() -> str:
        return "".join(chr(dice.randrange(0x10000, 0x3FFFF)) for _ in range(255))

    bookings = [(longest_id(), longest_id()) for _ in range(events)]
    memory = GuestMemory()
    for event_id, user_id in bookings:
        memory = memory.remembering(event_id, user_id, "f" * 20)
    value = memories().written(memory)

    assert len(value) <= 3_500
    assert value.isascii()
    assert user_id_at(memories().read(value), bookings[-1][0]) == bookings[-1][1]


def test_ids_of_ordinary_length_leave_room_for_all_twenty() -> None:
    memory = GuestMemory()
    for number in range(20):
        memory = memory.remembering(f"event-{number}", str(UUID(int=number * 2**123)), f"{number:020x}")

    assert len(memories().read(memories().written(memory)).bookings) == 20
