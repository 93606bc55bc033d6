"""Opening an event on a page: what is asked, what is answered to mistakes, and pressing twice."""

import html
import re
from collections.abc import Iterator
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from quart.typing import TestClientProtocol as Browser

from tests.web.pages import app_over, sign_in, words
from tests.web.test_dates import at
from webapp.booking.details import Details, contradictions
from webapp.box_office import BoxOffice
from webapp.desk import Unavailable
from webapp.web.organiser import event_form
from webapp.web.organiser.event_form import CONTRADICTORY, Mistaken

NEW: Final = "/ui/organise/new"
GIG: Final = "/ui/organise/events/summer-night"
NIGHT: Final = {
    "title": " Summer night ",
    "tickets": " 80 ",
    "starts_at": "2096-07-27T20:00",
    "ends_at": "2096-07-27T23:00",
    "time_zone": "Europe/Berlin",
    "venue": "Town garden",
    "description": "Bring a blanket.\r\n\r\nSee https://example.org",
    "opens_at": "2096-05-01T08:00",
    "closes_at": "2096-07-27T19:00",
    "hidden": "on",
}
HOSTILE: Final = '"><script>alert(1)</script>'


@pytest.fixture
async def organiser(box_office: BoxOffice) -> Browser:
    browser = app_over(box_office).test_client()
    await sign_in(browser)
    return browser


def values(page: str) -> dict[str, str]:
    """What the fields of a page hold, by their names."""
    inputs = re.findall(r'<input [^>]*?name="([a-z_]+)"[^>]*? value="([^"]*)"', page)
    areas = re.findall(r'<textarea [^>]*?name="([a-z_]+)"[^>]*>\n(.*?)</textarea>', page, flags=re.DOTALL)
    return {name: html.unescape(value) for name, value in inputs + areas}


async def token(browser: Browser) -> str:
    return values(await (await browser.get(NEW)).get_data(as_text=True))["once"]


async def test_a_title_and_a_number_of_tickets_will_do(organiser: Browser, box_office: BoxOffice) -> None:
    page = await (await organiser.get(NEW)).get_data(as_text=True)
    shown = values(page)
    assert shown.keys() >= {"title", "tickets", "time_zone"}
    answer = await organiser.post(NEW, form={**shown, "title": "Summer night", "tickets": "80"})
    assert (answer.status_code, answer.headers["Location"]) == (303, GIG)
    assert await box_office.event("summer-night") == (
        (await box_office.counts("summer-night")),
        Details(title="Summer night"),
    )
    assert (await box_office.counts("summer-night")).capacity == 80


async def test_what_was_done_is_told_once(organiser: Browser) -> None:
    answer = await organiser.post(NEW, form=NIGHT)
    assert "The event is open." in await words(await organiser.get(answer.headers["Location"]))
    assert "The event is open." not in await words(await organiser.get(answer.headers["Location"]))


async def test_everything_that_is_known_can_be_said_at_once(organiser: Browser, box_office: BoxOffice) -> None:
    await organiser.post(NEW, form=NIGHT)
    assert (await box_office.event("summer-night")).details == Details(
        title="Summer night", venue="Town garden", description="Bring a blanket.\n\nSee https://example.org",
        starts_at=at("2096-07-27T20:00"), ends_at=at("2096-07-27T23:00"), time_zone="Europe/Berlin",
        opens_at=at("2096-05-01T08:00"), closes_at=at("2096-07-27T19:00"), hidden=True,
    )  # fmt: skip


async def test_events_of_one_title_get_addresses_of_their_own(organiser: Browser) -> None:
    answers = [await organiser.post(NEW, form={**NIGHT, "once": await token(organiser)}) for _ in range(3)]
    assert [answer.headers["Location"] for answer in answers] == [GIG, f"{GIG}-2", f"{GIG}-3"]


async def test_pressing_twice_opens_one_event(organiser: Browser, box_office: BoxOffice) -> None:
    form = {**NIGHT, "once": await token(organiser)}
    first, second = [await organiser.post(NEW, form=form) for _ in range(2)]
    assert first.headers["Location"] == second.headers["Location"] == GIG
    assert "The event was open already; nothing changed." in await words(await organiser.get(GIG))
    assert len((await box_office.events(5, shown_to="organiser")).events) == 1


async def test_going_back_and_saying_something_else_opens_nothing_unless_it_is_meant(
    organiser: Browser, box_office: BoxOffice
) -> None:
    form = {**NIGHT, "once": await token(organiser)}
    await organiser.post(NEW, form=form)
    answer = await organiser.post(NEW, form={**form, "title": "Autumn night"})
    assert answer.status_code == 422
    assert "This form has opened an event already" in await words(answer)
    kept = values(await answer.get_data(as_text=True))
    assert kept["title"] == "Autumn night"
    assert len((await box_office.events(5, shown_to="organiser")).events) == 1
    again = await organiser.post(NEW, form={**form, **kept})
    assert again.headers["Location"] == "/ui/organise/events/autumn-night"


async def test_a_busy_server_keeps_what_was_typed_and_opens_one_event_in_the_end(
    organiser: Browser, box_office: BoxOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_event = box_office.create_event

    async def late(*told: Any, **options: Any) -> None:
        await create_event(*told, **options)
        raise Unavailable("outcome_unknown", "The answer is late: whether anything changed is not known", 3)

    monkeypatch.setattr(box_office, "create_event", late)
    answer = await organiser.post(NEW, form={**NIGHT, "once": await token(organiser)})
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "3")
    assert "The answer is late: whether anything changed is not known." in await words(answer)
    kept = values(await answer.get_data(as_text=True))
    monkeypatch.undo()
    again = await organiser.post(NEW, form={**NIGHT, "once": kept["once"]})
    assert again.headers["Location"] == GIG
    assert len((await box_office.events(5, shown_to="organiser")).events) == 1


@pytest.mark.parametrize("once", ["", "x", "\ufffd" * 20, "a" * 1_000])
async def test_a_form_without_its_secret_opens_an_event_all_the_same(organiser: Browser, once: str) -> None:
    assert (await organiser.post(NEW, form={**NIGHT, "once": once})).headers["Location"] == GIG


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ({"title": "", "tickets": ""}, "Please give the event a title. Please say how many tickets there are."),
        ({"title": "x" * 201}, "Please use at most 200 characters for the title, all of them visible."),
        ({"title": "a\x00b"}, "Please use at most 200 characters for the title, all of them visible."),
        ({"tickets": "-1"}, "Please enter a whole number from 0 to 1,000,000."),
        ({"tickets": "1000001"}, "Please enter a whole number from 0 to 1,000,000."),
        ({"tickets": "9" * 4_000}, "Please enter a whole number from 0 to 1,000,000."),
        ({"tickets": "eighty"}, "Please enter a whole number from 0 to 1,000,000."),
        ({"time_zone": "Mars/Base"}, "We know no time zone of this name."),
        ({"time_zone": ""}, "We know no time zone of this name."),
        ({"starts_at": "soon"}, "Please enter a day and a time, such as 2030-06-18 19:30."),
        ({"starts_at": "2096-03-25T02:30"}, "02:30 does not exist on 25 March 2096, when clocks are put forward"),
        ({"starts_at": "1950-01-01T00:00", "ends_at": ""}, "Please enter a year from 1970 to 9999."),
        ({"starts_at": ""}, "Please say when the event starts, too, or leave its end open."),
        ({"ends_at": "2096-07-27T19:59", "closes_at": ""}, "The event would end before it starts."),
        ({"opens_at": "2096-07-27T19:00"}, "Booking would open no earlier than it closes."),
        ({"opens_at": "2096-07-27T20:00", "closes_at": ""}, "Booking closes when the event starts, which is before"),
        ({"closes_at": "2096-07-27T23:01"}, "Booking would close after the event has ended."),
        ({"venue": "x" * 301, "description": "x" * 10_001}, "Please use at most 300 characters for the place"),
    ],
)  # fmt: skip
async def test_a_mistake_is_told_in_words_and_nothing_that_was_typed_is_lost(
    organiser: Browser, box_office: BoxOffice, typed: dict[str, str], said: str
) -> None:
    form = {**NIGHT, **typed}
    answer = await organiser.post(NEW, form=form)
    assert answer.status_code == 422
    assert said in await words(answer)
    page = await answer.get_data(as_text=True)
    assert "<title>Not opened yet: New event" in page
    assert page.count("autofocus") == 1
    kept = values(page)
    for name, value in form.items():
        assert name == "hidden" or kept[name].split() == value.strip().split()
    assert 'name="hidden" checked' in page
    mistakes = re.search(r'<div class="mistakes".*?</div>', page, flags=re.DOTALL)
    assert mistakes is not None
    for name in re.findall(r'href="#(new-[a-z_]+)"', mistakes[0]):
        assert f'id="{name}"' in page
    assert not re.search(r"<details class=\"panel\">(?:(?!</details>).)*aria-invalid", page, flags=re.DOTALL)
    assert (await box_office.events(1, shown_to="organiser")).events == []


async def test_all_mistakes_are_told_at_once_in_the_order_of_the_fields(organiser: Browser) -> None:
    wrong = {"title": "", "tickets": "x", "starts_at": "x", "time_zone": "x", "closes_at": "x"}
    page = await (await organiser.post(NEW, form={**NIGHT, **wrong})).get_data(as_text=True)
    told = re.findall(r'<p><a href="#new-([a-z_]+)">', page)
    assert told == ["title", "tickets", "starts_at", "time_zone", "closes_at"]


async def test_what_is_typed_is_never_markup(organiser: Browser) -> None:
    form = dict.fromkeys(NIGHT, HOSTILE)
    page = await (await organiser.post(NEW, form=form)).get_data(as_text=True)
    assert "<script>alert" not in page


async def test_the_zone_of_the_newest_event_is_offered(organiser: Browser, box_office: BoxOffice) -> None:
    assert values(await (await organiser.get(NEW)).get_data(as_text=True))["time_zone"] == "UTC"
    await box_office.create_event("gig", 1, Details(time_zone="Asia/Kolkata", hidden=True))
    assert values(await (await organiser.get(NEW)).get_data(as_text=True))["time_zone"] == "Asia/Kolkata"


def times() -> st.SearchStrategy[int | None]:
    return st.none() | st.integers(0, 4)


@given(times(), times(), times(), times())
def test_every_contradiction_has_a_sentence_for_people(
    starts_at: int | None, ends_at: int | None, opens_at: int | None, closes_at: int | None
) -> None:
    details = Details(starts_at=starts_at, ends_at=ends_at, opens_at=opens_at, closes_at=closes_at)
    for contradiction in contradictions(details):
        assert CONTRADICTORY[contradiction].endswith(".")


def exact_times() -> Iterator[Details]:
    """Times with fractions of a minute, and the second hour of the night in which clocks are put back."""
    yield Details(starts_at=1_795_379_473_123_456, time_zone="Europe/Berlin")
    yield Details(starts_at=at("2026-10-25T01:30", "UTC"), time_zone="Europe/Berlin")


@pytest.mark.parametrize("details", list(exact_times()))
def test_a_time_that_nobody_touched_stays_exactly_as_it_was(details: Details) -> None:
    form = event_form.shown(details)
    assert event_form.revised(details, form) == details
    assert event_form.revised(details, {**form, "time_zone": "UTC"}).starts_at != details.starts_at


def test_a_time_without_a_readable_zone_is_not_judged_by_another() -> None:
    with pytest.raises(Mistaken) as mistaken:
        event_form.revised(Details(), {"time_zone": "Mars/Base", "starts_at": "2096-03-25T02:30"})
    assert list(mistaken.value.mistakes) == ["time_zone"]
