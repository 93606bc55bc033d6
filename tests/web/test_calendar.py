"""The calendar file of an event: as RFC 5545 wants it, for whatever an organiser has written."""

import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import icalendar
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from quart.typing import TestClientProtocol as Browser

from tests.server import Server
from tests.web.pages import app_over, words
from tests.web.test_dates import at
from tests.web.unhurried import UNHURRIED
from webapp import __version__
from webapp.booking.details import Details
from webapp.booking.state import Counts, Event
from webapp.box_office import BoxOffice
from webapp.web import dates
from webapp.web.calendars import CalendarUids, calendar, file_name

ADDRESS: Final = "https://fairlist.example/ui/events/gig"
FILE: Final = "/ui/events/gig/calendar.ics"
GIG: Final = Details(
    title="Summer night", venue="Stadtpark", description="Music under the trees.\n\nBring a blanket.",
    time_zone="Europe/Berlin", starts_at=at("2026-11-27T20:00"), ends_at=at("2026-11-27T23:00"),
)  # fmt: skip
HOSTILE: Final = 'a,b;c:d\\e"f\\n 🎫' * 30
ZONES: Final = (
    "Europe/Berlin", "Europe/Dublin", "America/New_York", "America/St_Johns", "Australia/Lord_Howe", "Antarctica/Troll",
    "Africa/Casablanca", "Asia/Kathmandu", "Pacific/Apia", "Etc/GMT+12", "UTC", "GMT", "EST5EDT",
)  # fmt: skip


def made(details: Details, revision: int = 2) -> bytes:
    """The file of an event with these details."""
    assert details.starts_at is not None
    event = Event(Counts("gig", 1, 0, 0, revision, bytes(32), revision=revision), details)
    return calendar(event, details.starts_at, "uid@fairlist", ADDRESS, at("2026-11-20T13:45"))


def entry_in(file: bytes) -> Any:
    """The one event of a file, as the package reads it."""
    (entry,) = parts(file, "VEVENT")
    return entry


def parts(file: bytes, name: str) -> list[Any]:
    """The parts of that name in a file, as the package reads it."""
    return list(icalendar.Calendar.from_ical(file).walk(name))


def content(file: bytes) -> list[str]:
    """The lines of a file, unfolded; it must be made of lines of at most 75 bytes that end in CR LF."""
    assert file.endswith(b"\r\n")
    lines = file.removesuffix(b"\r\n").split(b"\r\n")
    assert not [line for line in lines if len(line) > 75 or re.search(rb"[\r\n\x00-\x08\x0b-\x1f\x7f]", line)]
    for line in lines:
        line.decode()  # a fold never parts the bytes of one character
    return file.removesuffix(b"\r\n").replace(b"\r\n ", b"").decode().split("\r\n")


def instant(stamp: str, time_zone: Any) -> datetime:
    """What a time with its TZID means by the file's own VTIMEZONE, as RFC 5545, section 3.6.5 tells to find it."""
    shown = datetime.fromisoformat(stamp)
    rules = [(part["DTSTART"].dt, part["TZOFFSETTO"].td) for part in time_zone.subcomponents]
    moment: datetime = shown - max(rule for rule in rules if rule[0] <= shown)[1]
    return moment.replace(tzinfo=UTC)


def instants(file: bytes) -> list[datetime]:
    """The start and the end of the event in a file, without any knowledge of zones but what the file says."""
    zones = {zone["TZID"]: zone for zone in parts(file, "VTIMEZONE")}
    told = []
    for line in content(file)[content(file).index("BEGIN:VEVENT") :]:
        if match := re.fullmatch(r"DT(START|END)(?:;TZID=([^:;]+))?:(\d{8}T\d{6})(Z?)", line):
            _, zone, stamp, is_utc = match.groups()
            assert bool(zone) != bool(is_utc)
            moment = datetime.strptime(stamp, "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
            told.append(moment if is_utc else instant(stamp, zones[zone]))
    return told


def seconds(at_us: int) -> datetime:
    return (dates.EPOCH + timedelta(microseconds=at_us)).replace(microsecond=0)


# What it says


def test_the_file_says_what_when_and_where() -> None:
    assert content(made(GIG)) == [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        f"PRODID:-//Fairlist//Fairlist {__version__}//EN",
        "METHOD:PUBLISH",
        "BEGIN:VTIMEZONE",
        "TZID:Europe/Berlin",
        *("BEGIN:DAYLIGHT", "DTSTART:20260511T020000", "TZNAME:CEST", "TZOFFSETFROM:+0200", "TZOFFSETTO:+0200"),
        "END:DAYLIGHT",
        *("BEGIN:STANDARD", "DTSTART:20261025T030000", "TZNAME:CET", "TZOFFSETFROM:+0200", "TZOFFSETTO:+0100"),
        "END:STANDARD",
        *("BEGIN:DAYLIGHT", "DTSTART:20270328T020000", "TZNAME:CEST", "TZOFFSETFROM:+0100", "TZOFFSETTO:+0200"),
        "END:DAYLIGHT",
        "END:VTIMEZONE",
        "BEGIN:VEVENT",
        "SUMMARY:Summer night",
        "DTSTART;TZID=Europe/Berlin:20261127T200000",
        "DTEND;TZID=Europe/Berlin:20261127T230000",
        "DTSTAMP:20261120T124500Z",
        "UID:uid@fairlist",
        "SEQUENCE:2",
        f"DESCRIPTION:Music under the trees.\\n\\nBring a blanket.\\n\\n{ADDRESS}",
        "LOCATION:Stadtpark",
        f"URL:{ADDRESS}",
        "END:VEVENT",
        "END:VCALENDAR",
    ]


def test_an_event_without_an_end_has_none_in_the_calendar() -> None:
    for ends_at in (None, GIG.starts_at):
        file = made(replace(GIG, ends_at=ends_at))
        assert "DTEND" not in entry_in(file)
        assert instants(file) == [datetime(2026, 11, 27, 19, 0, tzinfo=UTC)]


def test_an_event_in_utc_needs_no_zone() -> None:
    file = made(replace(GIG, time_zone="UTC"))
    assert b"VTIMEZONE" not in file
    assert b"DTSTART:20261127T190000Z\r\n" in file


def test_what_was_not_said_is_left_out() -> None:
    entry = entry_in(made(replace(GIG, title="", venue="", description="")))
    assert "LOCATION" not in entry
    assert (entry["SUMMARY"], entry["DESCRIPTION"]) == ("gig", ADDRESS)


@pytest.mark.parametrize(
    "words_", [HOSTILE, "x" * 200, "🎫" * 90, "é" * 37, "a\u2028b", "BEGIN:VEVENT", "\\", "\\,\\;"]
)
def test_an_organisers_words_stay_words(words_: str) -> None:
    lines = f"{words_}\nEND:VEVENT\n\nBEGIN:VALARM\n{words_}"
    file = made(replace(GIG, title=words_, venue=words_, description=lines))
    entry = entry_in(file)
    assert (entry["SUMMARY"], entry["LOCATION"]) == (words_, words_)
    assert entry["DESCRIPTION"] == f"{lines}\n\n{ADDRESS}"
    assert [line for line in content(file) if line in ("BEGIN:VEVENT", "END:VEVENT", "BEGIN:VALARM")] == [
        "BEGIN:VEVENT", "END:VEVENT"
    ]  # fmt: skip


# The parser takes U+FEFF at the start of a value for a byte order mark, and a backslash before an N for a line break,
# even where that backslash is escaped.
TEXT: Final = st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="\ufeffN")


@given(
    title=st.text(TEXT, min_size=1),
    more=st.text(TEXT),
)
@UNHURRIED
def test_any_text_comes_back_as_it_was(title: str, more: str) -> None:
    file = made(replace(GIG, title=title, description=f"{more}\n{title}"))
    content(file)
    assert entry_in(file)["SUMMARY"] == title
    assert entry_in(file)["DESCRIPTION"] == f"{more}\n{title}\n\n{ADDRESS}".strip()


# Times


LAST: Final = 253_402_300_799_999_999
"""The last microsecond of the year 9999."""


@given(
    st.sampled_from(ZONES),
    st.integers(0, LAST),
    st.one_of(st.integers(0, 3 * 10**12), st.integers(0, LAST)),
)
@example("Europe/Berlin", LAST, 0)
@example("Antarctica/Troll", 0, LAST)
@UNHURRIED
def test_every_time_is_the_same_instant_by_the_files_own_zone(zone: str, starts_at: int, lasts: int) -> None:
    ends_at = min(starts_at + lasts, LAST)
    file = made(replace(GIG, time_zone=zone, starts_at=starts_at, ends_at=ends_at))
    told = list(dict.fromkeys([seconds(starts_at), seconds(ends_at)]))
    assert instants(file) == told
    entry = entry_in(file)
    assert [entry[name].dt.astimezone(UTC) for name in ("DTSTART", "DTEND") if name in entry] == told


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("change", ["2026-03-08", "2026-03-29", "2026-04-05", "2026-10-04", "2026-10-25", "2026-11-01"])
def test_a_night_on_which_clocks_change_is_told_right(zone: str, change: str) -> None:
    midnight = datetime.fromisoformat(f"{change}T00:00").replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
    for minutes in range(-60, 360, 30):
        starts = midnight + timedelta(minutes=minutes)
        starts_at = round(starts.timestamp()) * 1_000_000
        file = made(replace(GIG, time_zone=zone, starts_at=starts_at, ends_at=starts_at + 5_400_000_000))
        assert instants(file) == [starts, starts + timedelta(minutes=90)]
        assert entry_in(file)["DTSTART"].dt.astimezone(UTC) == starts


def test_the_packages_own_zones_would_be_an_hour_late() -> None:
    """Why there are others here: once this fails, theirs may do."""
    zone = ZoneInfo("Europe/Berlin")
    theirs: Any = icalendar.Timezone.from_tzinfo(zone, first_date=date(2026, 1, 1), last_date=date(2026, 12, 31))
    (summer,) = (part for part in theirs.subcomponents if part.name == "DAYLIGHT")
    assert summer["DTSTART"].dt.isoformat() == "2026-03-29T03:00:00"  # 02:00 is what section 3.6.5 wants


# Where it is found


@pytest.fixture
async def office(office: BoxOffice) -> BoxOffice:
    await office.create_event("gig", 1, GIG)
    return office


@pytest.fixture
def browser(office: BoxOffice) -> Browser:
    return app_over(office, PUBLIC_URL="https://fairlist.example").test_client()


async def test_anybody_may_have_the_file(browser: Browser, office: BoxOffice) -> None:
    await office.book("gig", "Bob")
    answer = await browser.get(FILE)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/calendar; charset=utf-8; method=PUBLISH"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="Summer-night.ics"'
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    file = await answer.get_data(as_text=False)
    assert b"Bob" not in file
    assert b"/orders/" not in file
    assert entry_in(file)["URL"] == ADDRESS


async def test_a_newer_file_replaces_the_older_one(browser: Browser, office: BoxOffice) -> None:
    before = entry_in(await (await browser.get(FILE)).get_data(as_text=False))
    await office.book("gig", "Bob")
    assert entry_in(await (await browser.get(FILE)).get_data(as_text=False))["SEQUENCE"] == before["SEQUENCE"]
    await office.revise("gig", details=replace(GIG, venue="The hall, if it rains"))
    after = entry_in(await (await browser.get(FILE)).get_data(as_text=False))
    assert after["SEQUENCE"] > before["SEQUENCE"]
    assert after["UID"] == before["UID"]
    assert after["LOCATION"] == "The hall, if it rains"


def test_no_two_events_share_a_uid_and_no_two_servers_do() -> None:
    ours, theirs = CalendarUids(bytes(32)), CalendarUids(b"another secret of thirty-two byte")
    uids = [uids.uid(event_id) for uids in (ours, theirs) for event_id in ("gig", "Gig", "talk")]
    assert len(set(uids)) == 6
    assert all(re.fullmatch(r"[0-9a-f]{32}@fairlist", uid) for uid in uids)


def test_a_restart_changes_nothing_for_calendars(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        event = {"eventId": "gig", "capacity": 1, "starts_at": "2030-06-18T19:30:00Z"}
        assert server.as_organiser("POST /api/v1/events", event).status == 201
        before = entry_in(server.ask(f"GET {FILE}").body)
        server.restart()
        after = entry_in(server.ask(f"GET {FILE}").body)
    assert (after["UID"], after["SEQUENCE"]) == (before["UID"], before["SEQUENCE"])


async def test_an_event_without_a_date_says_so(browser: Browser, office: BoxOffice) -> None:
    await office.open_event("talk", 1)
    answer = await browser.get("/ui/events/talk/calendar.ics")
    assert answer.status_code == 404
    assert answer.mimetype == "text/html"
    assert "This event has no date yet. Once it has one, you can add it to your calendar." in await words(answer)


async def test_of_an_event_that_is_not_there_there_is_no_file(browser: Browser, office: BoxOffice) -> None:
    await office.delete_event("gig")
    for path in (FILE, "/ui/events/missing/calendar.ics", "/ui/events/~00/calendar.ics"):
        assert (await browser.get(path)).status_code == 404


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("Summer night", "Summer-night.ics"),
        ('Café "Zoë"\r\nX: y', "Cafe-Zoe-X-y.ics"),
        ("../../etc/passwd", "etc-passwd.ics"),
        ("猫 🎫", "event.ics"),
        ("x" * 200, f"{'x' * 60}.ics"),
    ],
)
def test_a_file_is_named_after_its_event(title: str, name: str) -> None:
    assert file_name(title) == name
