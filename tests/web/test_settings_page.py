"""What an organiser changes about an event: details, times, tickets with a preview, booking, visibility, deletion."""

import html
import re
from typing import Final

import pytest
from quart.typing import TestClientProtocol as Browser

from tests.web.pages import HTMX, Clock, words
from tests.web.test_dates import at
from tests.web.test_new_event import values
from webapp.booking import decisions
from webapp.booking.details import Details
from webapp.booking.ledger import Contact
from webapp.box_office import BoxOffice

GIG: Final = "/ui/organise/events/gig"
SETTINGS: Final = f"{GIG}/settings"
PREVIEW: Final = f"{SETTINGS}/capacity"
NOW: Final = at("2026-11-20T12:00")
NIGHT: Final = Details(
    title="Summer night", venue="Town garden", description="Bring a blanket.\n\nAnd a friend.",
    time_zone="Europe/Berlin", starts_at=at("2026-11-27T20:00"), ends_at=at("2026-11-27T23:00"),
    opens_at=at("2026-11-01T08:00"),
)  # fmt: skip


@pytest.fixture
async def office(office: BoxOffice, clock: Clock) -> BoxOffice:
    """A box office with a gig, which can be booked."""
    clock.now = NOW
    await office.create_event("gig", 2, NIGHT)
    return office


async def book(office: BoxOffice, *guests: str) -> None:
    for guest in guests:
        await office.book("gig", f"{guest.lower()}@example.org", "guest", Contact(f"{guest} Lindqvist", None))


async def shown(ada: Browser, path: str = SETTINGS) -> str:
    return await (await ada.get(path)).get_data(as_text=True)


async def form_of(ada: Browser, heading: str = "What guests read", **typed: str) -> dict[str, str]:
    """What the form under a heading of the settings sends, with something typed into it."""
    page = await shown(ada)
    section = page[page.index(f">{heading}</h2>") :].partition("</section>")[0]
    return {**values(section.replace('type="hidden" name', 'x="" name')), **typed}


async def details(office: BoxOffice) -> Details:
    return (await office.event("gig")).details


# What is said of it


async def test_saving_what_is_there_changes_nothing(ada: Browser, office: BoxOffice) -> None:
    before = await office.event("gig")
    answer = await ada.post(SETTINGS, form=await form_of(ada))
    assert (answer.status_code, answer.headers["Location"]) == (303, SETTINGS)
    assert "Nothing was to be changed." in await words(await ada.get(SETTINGS))
    assert await office.event("gig") == before


async def test_details_are_saved_and_what_is_left_empty_is_gone(ada: Browser, office: BoxOffice) -> None:
    form = await form_of(
        ada, title="Winter night", opens_at="", ends_at="2026-11-27T22:30", venue="", description="Warm.\r\n"
    )
    assert (await ada.post(SETTINGS, form=form)).status_code == 303
    assert "Saved." in await words(await ada.get(SETTINGS))
    assert await details(office) == Details(
        title="Winter night", description="Warm.", time_zone="Europe/Berlin", starts_at=NIGHT.starts_at,
        ends_at=at("2026-11-27T22:30"),
    )  # fmt: skip


async def test_saving_leaves_a_hidden_event_hidden(ada: Browser, office: BoxOffice) -> None:
    await ada.post(f"{SETTINGS}/visibility", form={"hidden": "yes"})
    await ada.post(SETTINGS, form=await form_of(ada, title="Winter night"))
    assert (await details(office)).hidden


async def test_a_mistake_changes_nothing_and_keeps_what_was_typed(ada: Browser, office: BoxOffice) -> None:
    form = await form_of(ada, title="Winter night", ends_at="2026-11-27T19:00", starts_at="2026-11-27T20:00")
    answer = await ada.post(SETTINGS, form=form)
    assert answer.status_code == 422
    page = await answer.get_data(as_text=True)
    assert '<a href="#details-ends_at">The event would end before it starts.</a>' in page
    assert 'value="Winter night"' in page
    assert f'name="revision" value="{form["revision"]}"' in page
    assert page.count("autofocus") == 1
    assert await details(office) == NIGHT


async def test_other_times_give_tickets_to_who_waits_where_the_event_had_begun(
    ada: Browser, office: BoxOffice, clock: Clock
) -> None:
    await book(office, "Bob", "Dan", "Cleo")
    clock.now = at("2026-11-27T20:30")
    await office.cancel("gig", "bob@example.org", "guest")
    assert (await office.counts("gig")).waiting == 1
    form = await form_of(ada, starts_at="2026-11-28T20:00", ends_at="2026-11-28T23:00")
    await ada.post(SETTINGS, form=form)
    said = await words(await ada.get(SETTINGS))
    assert "Saved. \u2068Cleo Lindqvist\u2069 got one from the waiting list." in said


# Two organisers


async def test_what_somebody_else_has_changed_is_shown_and_nothing_is_overwritten_unseen(
    ada: Browser, office: BoxOffice
) -> None:
    form = await form_of(ada, title="Winter night", starts_at="2026-11-27T20:00")
    theirs = Details(title="Autumn night", venue="Barn", starts_at=at("2026-11-26T20:00"), time_zone="Europe/Berlin")
    await office.revise("gig", details=theirs)
    answer = await ada.post(SETTINGS, form=form)
    assert answer.status_code == 422
    said = await words(answer)
    assert "Somebody has changed the event since this page was made." in said
    assert "Title Autumn night" in said
    assert "Place Barn" in said
    assert "Starts 2026-11-26 20:00" in said
    assert "Description (empty)" in said
    assert "Time zone Europe/Berlin" not in said
    assert await details(office) == theirs
    page = await answer.get_data(as_text=True)
    assert 'value="Winter night"' in page
    revision = re.search(r'name="revision" value="(\d+)"', page)
    assert revision is not None
    again = await ada.post(SETTINGS, form={**form, "revision": revision[1]})
    assert again.status_code == 303
    assert (await details(office)).title == "Winter night"
    assert (await details(office)).venue == "Town garden"


@pytest.mark.parametrize("revision", ["", "x", "-1", "1e3", "9" * 400, "²"])
async def test_a_form_that_does_not_say_what_it_was_made_from_is_asked_for_once_more(
    ada: Browser, office: BoxOffice, revision: str
) -> None:
    for path in (SETTINGS, PREVIEW, f"{SETTINGS}/closing", f"{SETTINGS}/deletion"):
        form = {**await form_of(ada), "revision": revision, "title": "Winter night", "tickets": "9"}
        answer = await ada.post(path, form=form)
        assert answer.status_code == 422
        assert "Somebody has changed the event since this page was made." in await words(answer)
    assert await details(office) == NIGHT
    assert (await office.counts("gig")).capacity == 2


async def test_bookings_meanwhile_do_no_harm(ada: Browser, office: BoxOffice) -> None:
    form = await form_of(ada, title="Winter night")
    await book(office, "Bob")
    assert (await ada.post(SETTINGS, form=form)).status_code == 303


# Tickets


async def test_a_preview_tells_who_gets_a_ticket_and_changes_nothing(ada: Browser, office: BoxOffice) -> None:
    await book(office, "Ada", "Bob", "Cleo", "Dan", "Elif")
    before = await office.counts("gig")
    for tickets, said in {
        "3": "3 gives this person a ticket now: Cleo Lindqvist Preview",
        "4": "4 gives these 2 people a ticket now: Cleo Lindqvist Dan Lindqvist Preview",
        "5": "5 gives these 3 people a ticket now: Cleo Lindqvist Dan Lindqvist Elif Lindqvist",
        "2": "That is how many there are now.",
        "1": "Lower than 2 is not possible: so many tickets are booked.",
    }.items():
        assert said in await words(await ada.get(f"{PREVIEW}?tickets={tickets}"))
    assert await office.counts("gig") == before


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("", "Please say how many tickets there are."),
        ("many", "Please enter a whole number from 0 to 1,000,000."),
        ("-1", "Please enter a whole number"),
        ("1.5", "Please enter a whole number"),
        ("9" * 400, "Please enter a whole number"),
        ("1000001", "Please enter a whole number"),
        ("%FF", "Please enter a whole number"),
        ("<script>", "Please enter a whole number"),
        ("%D9%A3", "Please enter a whole number"),
        ("1000000", "1,000,000 is possible. 1,000,000 of them are left then."),
        ("0", "0 is possible. All of them are booked then."),
    ],
)
@pytest.mark.parametrize("headers", [{}, HTMX])
async def test_a_preview_of_anything_is_a_sentence(
    ada: Browser, office: BoxOffice, typed: str, said: str, headers: dict[str, str]
) -> None:
    before = await office.counts("gig")
    answer = await ada.get(f"{PREVIEW}?tickets={typed}", headers=headers)
    assert answer.status_code == 200
    assert said in await words(answer)
    page = await answer.get_data(as_text=True)
    assert ("<html" in page) is not bool(headers)
    assert "<script>" not in page.replace("<script src", "")
    assert await office.counts("gig") == before


async def test_a_preview_names_the_first_twenty_and_counts_the_others(ada: Browser, office: BoxOffice) -> None:
    await book(office, *(f"Guest-{number}" for number in range(30)))
    said = await words(await ada.get(f"{PREVIEW}?tickets=30", headers=HTMX))
    assert said.startswith("30 gives these 28 people a ticket now: Guest-2 Lindqvist")
    assert said.endswith("Guest-21 Lindqvist and 8 more")


async def test_a_preview_names_nobody_who_was_erased(ada: Browser, office: BoxOffice) -> None:
    await office.book("gig", "Bob")
    await office.book("gig", "Dan")
    cleo = await office.book("gig", "Cleo")
    await office.erase("gig", "Cleo", (cleo.order_id,))
    said = await words(await ada.get(f"{PREVIEW}?tickets=3", headers=HTMX))
    assert said == "3 gives this person a ticket now: somebody whose name was erased"


async def test_a_preview_after_the_start_promises_nobody_a_ticket(
    ada: Browser, office: BoxOffice, clock: Clock
) -> None:
    await book(office, "Bob", "Dan", "Cleo")
    clock.now = at("2026-11-27T20:30")
    said = await words(await ada.get(f"{PREVIEW}?tickets=3", headers=HTMX))
    assert said == "3 gives nobody a ticket: the event has begun, and 1 person waits in vain."


async def test_more_promotions_than_one_change_may_make_are_told_beforehand(
    ada: Browser, office: BoxOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decisions, "PROMOTIONS_MAX", 2)
    await book(office, "Ada", "Bob", "Cleo", "Dan", "Elif")
    sentence = "More than 4 is not possible at once: too many would get a ticket. First try 4."
    assert sentence in await words(await ada.get(f"{PREVIEW}?tickets=5"))
    form = await form_of(ada, "Number of tickets", tickets="5")
    answer = await ada.post(PREVIEW, form=form)
    assert answer.status_code == 422
    assert sentence in await words(answer)


async def test_more_tickets_go_to_who_has_waited_longest(ada: Browser, office: BoxOffice) -> None:
    await book(office, "Ada", "Bob", "Cleo", "Dan", "Elif")
    for tickets, said in {
        "3": "The event has 3 tickets now. \u2068Cleo Lindqvist\u2069 got one from the waiting list.",
        "5": "The event has 5 tickets now. 2 people got one from the waiting list.",
        "9": "The event has 9 tickets now.",
    }.items():
        form = await form_of(ada, "Number of tickets", tickets=tickets)
        answer = await ada.post(PREVIEW, form=form)
        assert (answer.status_code, answer.headers["Location"]) == (303, SETTINGS)
        assert said in await words(await ada.get(SETTINGS))
    assert (await office.counts("gig"))[1:4] == (9, 5, 0)


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("1", "Lower than 2 is not possible: so many tickets are booked."),
        ("lots", "Please enter a whole number from 0 to 1,000,000."),
        ("", "Please say how many tickets there are."),
    ],
)
async def test_a_number_that_cannot_be_is_explained_where_it_was_typed(
    ada: Browser, office: BoxOffice, typed: str, said: str
) -> None:
    await book(office, "Bob", "Dan")
    form = await form_of(ada, "Number of tickets", tickets=typed)
    answer = await ada.post(PREVIEW, form=form)
    assert answer.status_code == 422
    page = await answer.get_data(as_text=True)
    assert f'<a href="#capacity-tickets">{said}</a>' in page
    assert f'name="tickets" value="{typed}"' in page
    assert (await office.counts("gig")).capacity == 2


async def test_a_capacity_that_somebody_else_has_changed_is_told_with_a_new_preview(
    ada: Browser, office: BoxOffice
) -> None:
    await book(office, "Bob", "Dan", "Cleo")
    form = await form_of(ada, "Number of tickets", tickets="3")
    await office.revise("gig", details=Details(title="Autumn night"))
    answer = await ada.post(PREVIEW, form=form)
    assert answer.status_code == 422
    said = await words(answer)
    assert "Somebody has changed the event since this page was made. It has 2 tickets now." in said
    assert "3 gives this person a ticket now: Cleo Lindqvist" in said
    assert (await office.counts("gig")).capacity == 2


# Booking, closed and opened


async def pressed(ada: Browser, path: str) -> str:
    """What is told after the button of a page that asks."""
    page = await shown(ada, path)
    action = re.search(r'<form class="choice" method="post" action="([^"]+)"', page)
    assert action is not None, html.unescape(page)
    assert action[1] == path
    answer = await ada.post(path, form=values(page.replace('type="hidden" name', 'x="" name')))
    assert answer.status_code == 303
    return await words(await ada.get(answer.headers["Location"]))


async def test_booking_is_closed_and_opened_again(ada: Browser, office: BoxOffice, clock: Clock) -> None:
    await book(office, "Ada", "Bob", "Cleo")
    asked = await words(await ada.get(f"{SETTINGS}/closing"))
    assert "Nobody can book or join the waiting list any more, until you open booking again." in asked
    assert "1 person waits: a ticket that comes free still goes to the first of them, at once." in asked
    assert await details(office) == NIGHT
    assert "Booking is closed now." in await pressed(ada, f"{SETTINGS}/closing")
    assert (await details(office)).schedule.booking(clock.now) == "closed"
    clock.now += 1
    asked = await words(await ada.get(f"{SETTINGS}/opening"))
    assert "Everybody can book again, until Friday 27 November 20:00 (Europe/Berlin)." in asked
    assert "Booking is open now." in await pressed(ada, f"{SETTINGS}/opening")
    assert await details(office) == NIGHT


async def test_booking_is_opened_before_its_time(ada: Browser, office: BoxOffice, clock: Clock) -> None:
    clock.now = at("2026-10-30T12:00")
    assert "Open booking now…" in await words(await ada.get(SETTINGS))
    await pressed(ada, f"{SETTINGS}/opening")
    assert (await details(office)).schedule.booking(clock.now) == "open"
    await pressed(ada, f"{SETTINGS}/closing")
    assert (await details(office)).schedule.booking(clock.now) == "closed"


async def test_booking_that_opened_this_very_moment_can_be_closed(
    ada: Browser, office: BoxOffice, clock: Clock
) -> None:
    clock.now = at("2026-11-01T08:00")
    await pressed(ada, f"{SETTINGS}/closing")
    assert (await details(office)).closes_at == clock.now + 1


async def test_closing_while_the_event_goes_on_is_told_to_end_promotions(
    ada: Browser, office: BoxOffice, clock: Clock
) -> None:
    await office.revise("gig", details=Details(starts_at=NOW - 1, closes_at=NOW + 10**10))
    await book(office, "Ada", "Bob", "Cleo")
    asked = await words(await ada.get(f"{SETTINGS}/closing"))
    assert "1 person waits, and a ticket that comes free goes to nobody any more." in asked
    await pressed(ada, f"{SETTINGS}/closing")
    await office.cancel("gig", "ada@example.org", "guest")
    assert (await office.counts("gig")).waiting == 1


async def test_opening_after_the_start_lets_people_book_until_the_end_and_tells_who_gets_a_ticket(
    ada: Browser, office: BoxOffice, clock: Clock
) -> None:
    await book(office, "Ada", "Bob", "Cleo", "Dan")
    clock.now = at("2026-11-27T20:30")
    await office.cancel("gig", "ada@example.org", "guest")
    assert (await office.counts("gig")).waiting == 2
    asked = await words(await ada.get(f"{SETTINGS}/opening"))
    assert "Everybody can book again, until Friday 27 November 23:00 (Europe/Berlin)." in asked
    assert "1 person who waits gets a ticket at once: Cleo Lindqvist" in asked
    assert (await office.counts("gig")).waiting == 2
    said = await pressed(ada, f"{SETTINGS}/opening")
    assert "Booking is open now. \u2068Cleo Lindqvist\u2069 got one from the waiting list." in said


async def test_an_event_that_began_without_an_end_is_opened_by_saying_until_when(
    ada: Browser, office: BoxOffice
) -> None:
    await office.revise("gig", details=Details(starts_at=NOW - 1))
    for answer in (await ada.get(f"{SETTINGS}/opening"), await ada.post(f"{SETTINGS}/opening")):
        assert "The event has begun. Say under “Booking closes” until when" in await words(answer)
        assert "<form class=" not in await answer.get_data(as_text=True)
    assert (await details(office)).starts_at == NOW - 1


@pytest.mark.parametrize(
    ("now", "turn", "said"),
    [
        (NOW, "opening", "Booking was open already; nothing changed."),
        (at("2026-11-28T12:00"), "closing", "Booking was not open; nothing changed."),
    ],
)
async def test_what_is_so_already_is_not_done_again(
    ada: Browser, office: BoxOffice, clock: Clock, now: int, turn: str, said: str
) -> None:
    clock.now = now
    before = await office.event("gig")
    assert "There is nothing to" in await words(await ada.get(f"{SETTINGS}/{turn}"))
    await ada.post(f"{SETTINGS}/{turn}", form={"revision": str(before.counts.revision)})
    assert said in await words(await ada.get(SETTINGS))
    assert await office.event("gig") == before


# Hidden, and gone


async def test_an_event_is_hidden_and_shown_again(ada: Browser, office: BoxOffice) -> None:
    for hidden, said, is_hidden in [("yes", "hidden now", True), ("no", "on the list now", False), ("x", "on", False)]:
        await ada.post(f"{SETTINGS}/visibility", form={"hidden": hidden})
        assert f"The event is {said}" in await words(await ada.get(SETTINGS))
        assert (await details(office)).hidden is is_hidden


async def test_an_event_that_nobody_has_booked_is_deleted_after_asking(ada: Browser, office: BoxOffice) -> None:
    assert "Nobody has booked so far, so it can be deleted." in await words(await ada.get(SETTINGS))
    assert "Delete this event?" in await words(await ada.get(f"{SETTINGS}/deletion"))
    assert (await office.counts("gig")).capacity == 2
    said = await pressed(ada, f"{SETTINGS}/deletion")
    assert "\u2068Summer night\u2069 is deleted." in said
    assert "There are no events yet" in said
    for path in (GIG, SETTINGS, f"{SETTINGS}/deletion"):
        assert (await ada.get(path)).status_code == 404


@pytest.mark.parametrize("has_left", [False, True])
async def test_an_event_that_somebody_has_booked_stays(ada: Browser, office: BoxOffice, has_left: bool) -> None:
    form = values((await shown(ada, f"{SETTINGS}/deletion")).replace('type="hidden" name', 'x="" name'))
    await book(office, "Bob")
    if has_left:
        await office.cancel("gig", "bob@example.org", "guest")
    assert "Somebody has booked here, so the event stays." in await words(await ada.get(SETTINGS))
    answer = await ada.post(f"{SETTINGS}/deletion", form=form)
    assert answer.status_code == 422
    assert "Somebody has booked here, so the event cannot be deleted." in await words(answer)
    assert "Delete the event</button>" not in await answer.get_data(as_text=True)
    assert (await office.counts("gig")).capacity == 2


@pytest.mark.parametrize("turn", ["opening", "closing", "deletion"])
async def test_a_turn_is_not_taken_over_somebody_elses_change(
    ada: Browser, office: BoxOffice, clock: Clock, turn: str
) -> None:
    if turn == "opening":
        clock.now = at("2026-10-30T12:00")
    form = values((await shown(ada, f"{SETTINGS}/{turn}")).replace('type="hidden" name', 'x="" name'))
    await office.revise("gig", tickets=3)
    before = await office.event("gig")
    answer = await ada.post(f"{SETTINGS}/{turn}", form=form)
    assert answer.status_code == 422
    assert "Somebody has changed the event since this page was made. Is it still right?" in await words(answer)
    assert await office.event("gig") == before


@pytest.mark.parametrize(
    "path", ["/settings", "/settings/capacity", "/settings/opening", "/settings/closing", "/settings/deletion"]
)
async def test_there_are_no_settings_of_an_event_that_is_not_there(ada: Browser, path: str) -> None:
    assert (await ada.get(f"/ui/organise/events/missing{path}")).status_code == 404
    assert (await ada.post(f"/ui/organise/events/missing{path}", form={})).status_code == 404
