"""The door of an event: who has a ticket comes in, once, by its code or by name, and nobody by what is public."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from quart import Response
from quart.typing import TestClientProtocol as Browser

from tests.web.door import CODES, GIG, HOSTILE, NOW, PANEL_GIG, booked, led_to, shown
from tests.web.pages import HTMX, Clock, app_over, sign_in, words
from tests.web.test_dates import at
from webapp.booking.ledger import Contact
from webapp.box_office import BoxOffice
from webapp.desk import Unavailable
from webapp.web.organiser import verdicts

DOOR = f"{PANEL_GIG}/check-in"


@pytest.fixture
async def office(office: BoxOffice, clock: Clock) -> BoxOffice:
    clock.now = NOW
    await office.create_event("gig", 2, GIG)
    return office


async def scan(ada: Browser, ticket: str, **form: str) -> Response:
    """Type or scan something at the door."""
    return await ada.post(DOOR, form={"ticket": ticket, **form})


async def arrived(office: BoxOffice) -> int:
    return (await office.counts("gig")).checked_in


# By code


async def test_who_has_a_ticket_comes_in_by_its_code(ada: Browser, office: BoxOffice) -> None:
    (cleo,) = await booked(office, "Cleo Lindqvist")
    said = await led_to(ada, await scan(ada, CODES.code(cleo)))
    assert "Come in: Cleo Lindqvist 19:02 Take back" in said
    assert "1 of 1 is in" in said
    assert await arrived(office) == 1


WAYS_TO_WRITE: dict[str, Callable[[str], str]] = {
    "in small letters": str.lower,
    "in one": lambda code: code.replace("-", ""),
    "with blanks": lambda code: f"  {code.replace('-', ' ')}\t",
    "as an address": lambda code: f"https://tickets.example.org/ui/organise/tickets/{code}",
    "as a scanner may type it": lambda code: f"HTTP://X/UI/ORGANISE/TICKETS/{code.lower()}/\r\n",
    "with letters for digits": lambda code: code.replace("0", "o").replace("1", "l"),
}


@pytest.mark.parametrize("way", WAYS_TO_WRITE)
async def test_a_code_counts_however_it_is_typed_or_scanned(ada: Browser, office: BoxOffice, way: str) -> None:
    (cleo,) = await booked(office, "Cleo")
    assert "Come in: Cleo" in await led_to(ada, await scan(ada, WAYS_TO_WRITE[way](CODES.code(cleo))))


async def test_the_gate_is_told_and_remembered_for_the_next(ada: Browser, office: BoxOffice) -> None:
    bob, cleo = await booked(office, "Bob", "Cleo")
    assert "Come in: Bob 19:02, gate A" in await led_to(ada, await scan(ada, CODES.code(bob), gate=" A "))
    assert 'name="gate" form="let-in" value="A"' in await (await ada.get(DOOR)).get_data(as_text=True)
    assert "Come in: Cleo 19:02, North door" in await led_to(ada, await scan(ada, CODES.code(cleo), gate="North door"))
    assert (await scan(ada, "nobody", gate="")).status_code == 200
    assert 'form="let-in" value=""' in await (await ada.get(DOOR)).get_data(as_text=True)


async def test_a_gate_that_was_never_remembered_is_none(ada: Browser, office: BoxOffice) -> None:
    for value in ("%FF", "_w==", "AAAA", "x" * 3_000):
        ada.set_cookie("localhost", "fairlist-gate", value)
        answer = await ada.get(DOOR)
        assert answer.status_code == 200
        assert 'form="let-in" value=""' in await answer.get_data(as_text=True)


async def test_a_ticket_that_is_scanned_twice_says_calmly_when_its_guest_came(
    ada: Browser, office: BoxOffice, clock: Clock
) -> None:
    (cleo,) = await booked(office, "Cleo")
    await scan(ada, CODES.code(cleo), gate="A")
    said = await led_to(ada, await scan(ada, CODES.code(cleo), gate="B"))
    assert "Already in at 19:02, gate A Cleo That was just now: scanning a ticket twice changes nothing." in said
    clock.now = at("2026-11-27T19:20")
    said = await led_to(ada, await scan(ada, CODES.code(cleo)))
    assert "Already in at 19:02, gate A Cleo Take back" in said
    clock.now = at("2026-11-28T00:20")
    assert "Already in on 27 November at 19:02, gate A" in await led_to(ada, await scan(ada, CODES.code(cleo)))
    assert await arrived(office) == 1


async def test_reloading_what_came_of_a_ticket_changes_nothing(ada: Browser, office: BoxOffice) -> None:
    (cleo,) = await booked(office, "Cleo")
    answer = await scan(ada, CODES.code(cleo))
    before = await office.counts("gig")
    for _ in range(2):
        assert "Come in: Cleo" in await led_to(ada, answer)
    assert await office.counts("gig") == before


async def test_a_check_in_is_taken_back_once_and_the_guest_may_come_in_again(ada: Browser, office: BoxOffice) -> None:
    (cleo,) = await booked(office, "Cleo")
    came = await scan(ada, CODES.code(cleo))
    for _ in range(2):
        said = await led_to(ada, await ada.post(f"{DOOR}/undo", form={"order": cleo}))
        assert "Cleo Has a ticket, and is not in yet. Check in" in said
        assert await arrived(office) == 0
    assert "Come in" not in await led_to(ada, came), "nor does an old page say so"
    assert "Come in: Cleo" in await led_to(ada, await scan(ada, CODES.code(cleo)))


async def test_who_waits_or_has_cancelled_does_not_come_in(ada: Browser, office: BoxOffice) -> None:
    _, bob, cleo, dan = await booked(office, "Ada", "Bob", "Cleo", "Dan")
    said = await led_to(ada, await scan(ada, CODES.code(dan)))
    assert "On the waiting list: 2nd Dan There is no ticket for this guest so far." in said
    await office.cancel("gig", "bob@example.org", "organiser", "Has a cold")
    said = await led_to(ada, await scan(ada, CODES.code(bob)))
    assert "Cancelled Bob This order is no longer valid: “Has a cold”" in said
    assert "Come in: Cleo" in await led_to(ada, await scan(ada, CODES.code(cleo)))
    assert await arrived(office) == 1


async def test_a_ticket_of_another_event_says_of_which(ada: Browser, office: BoxOffice) -> None:
    await office.create_event("talk", 1, replace(GIG, title="Python meetup"))
    (dan,) = await booked(office, "Dan", event_id="talk")
    said = await led_to(ada, await scan(ada, CODES.code(dan)))
    assert "Not of this event It is a ticket for Python meetup, Friday 27 November 20:00–23:00" in said
    assert (await office.counts("talk")).checked_in == 0


async def test_what_is_longer_than_any_address_is_no_code(ada: Browser, office: BoxOffice) -> None:
    (cleo,) = await booked(office, "Cleo")
    code = f"/{CODES.code(cleo)}"
    longest = f"https://{code.rjust(2_000 - len('https://'), 'x')}"
    answer = await scan(ada, longest.replace("x", "xx", 1))
    assert (answer.status_code, await arrived(office)) == (422, 0)
    assert "Come in: Cleo" in await led_to(ada, await scan(ada, longest))
    assert await arrived(office) == 1


async def test_a_code_with_a_slip_of_the_finger_lets_nobody_in(ada: Browser, office: BoxOffice) -> None:
    (cleo,) = await booked(office, "Cleo")
    code = CODES.code(cleo)
    for at_sign in (0, 5, len(code) - 1):
        wrong = "7" if code[at_sign] != "7" else "8"
        slip = code[:at_sign] + wrong + code[at_sign + 1 :]
        answer = await scan(ada, slip)
        assert answer.status_code == 200
        assert f"No such ticket No ticket has the code {slip}." in await shown(answer)
    assert await arrived(office) == 0


async def test_of_two_tickets_that_one_code_fits_the_organiser_chooses_by_name(
    ada: Browser, office: BoxOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    bob, cleo = await booked(office, "Bob", "Cleo")  # within the same 4 ms, since the clock stands still
    code = CODES.code(cleo)
    monkeypatch.setattr("webapp.web.ticket_codes.TicketCodes.fits", lambda *_: True)
    said = await shown(await scan(ada, code), "result")
    assert said.startswith("This code fits 2 tickets: choose by name.")
    assert said.count("Check in: Bob") == said.count("Check in: Cleo") == 1
    assert await arrived(office) == 0
    assert "Come in: Cleo" in await led_to(ada, await ada.post(DOOR, form={"order": cleo}))
    assert "choose by name" in await shown(await ada.get(f"/ui/organise/tickets/{code}"))
    await ada.post(f"/ui/organise/tickets/{code}")
    assert await arrived(office) == 1, "which of the two was not said"
    assert "Come in: Bob" in await led_to(ada, await ada.post(f"/ui/organise/tickets/{code}", form={"order": bob}))


async def test_a_name_that_looks_like_a_code_is_found_all_the_same(ada: Browser, office: BoxOffice) -> None:
    await booked(office, "Anna Jane Bean")
    said = await shown(await scan(ada, "Anna Jane Bean"), "result")
    assert said.startswith("Found for “Anna Jane Bean” Anna Jane Bean")


# By number or name


async def test_the_number_of_an_order_which_is_public_lets_nobody_in(ada: Browser, office: BoxOffice) -> None:
    (cleo,) = await booked(office, "Cleo")
    for number in (cleo, cleo.upper()):
        said = await shown(await scan(ada, number), "result")
        assert "This is the number of an order, which anybody may know: compare the name" in said
        assert "Cleo" in said
    assert await arrived(office) == 0


async def test_the_number_of_an_order_elsewhere_says_where(ada: Browser, office: BoxOffice) -> None:
    await office.create_event("talk", 1, replace(GIG, title="Python meetup"))
    (dan,) = await booked(office, "Dan", event_id="talk")
    assert "Not of this event It is a ticket for Python meetup" in await shown(await scan(ada, dan), "result")
    assert "Nobody found" in await shown(await scan(ada, "0" * 20), "result")


async def test_guests_are_found_by_a_part_of_their_name_and_let_in_by_choosing_them(
    ada: Browser, office: BoxOffice
) -> None:
    await office.revise("gig", tickets=3)
    _, lind, _, _ = await booked(office, "Cleo Linden", "Cleo Lindqvist", "Bob", "Cleo Waits")
    await scan(ada, CODES.code((await booked(office, "Cleo Linden"))[0]))
    said = await shown(await scan(ada, " cleo "), "result")
    assert said.startswith("Found for “cleo” Cleo Lindqvist cleo.lindqvist@example.org Check in: Cleo Lindqvist")
    assert "Cleo Linden cleo.linden@example.org Checked in 19:02" in said
    assert said.endswith("Cleo Waits cleo.waits@example.org 1st in line")
    assert "Bob" not in said
    assert "Come in: Cleo Lindqvist" in await led_to(ada, await ada.post(DOOR, form={"ticket": "", "order": lind}))


async def test_where_too_many_are_found_the_page_asks_for_more_of_the_name(
    ada: Browser, office: BoxOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verdicts, "FOUND_MAX", 2)
    await booked(office, "Cleo A", "Cleo B")
    assert "type more" not in await shown(await scan(ada, "Cleo"))
    await booked(office, "Cleo C")
    assert "There are more: type more of the name." in await shown(await scan(ada, "Cleo"))


async def test_nobody_is_found_under_a_name_that_nobody_has(ada: Browser, office: BoxOffice) -> None:
    said = await shown(await scan(ada, "Dan"), "result")
    assert said.startswith("Nobody found Nobody here is called “Dan”")


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"ticket": " "}, "Please enter a code or a name."),
        ({}, "Please enter a code or a name."),
        ({"ticket": "x" * 201}, "Please look for at most 200 characters, all of them visible."),
        ({"ticket": "x\0y"}, "Please look for at most 200 characters, all of them visible."),
        ({"ticket": "0" * 3_000}, "Please look for at most 200 characters, all of them visible."),
        ({"ticket": "Cleo", "gate": "x" * 51}, "Please call the gate by at most 50 characters, all of them visible."),
    ],
)
async def test_what_nobody_can_be_found_by_is_a_mistake(
    ada: Browser, office: BoxOffice, form: dict[str, str], said: str
) -> None:
    answer = await ada.post(DOOR, form=form)
    assert answer.status_code == 422
    assert said in await shown(answer)


async def test_no_order_of_another_event_and_none_that_there_is_not_is_let_in_here(
    ada: Browser, office: BoxOffice
) -> None:
    await office.open_event("talk", 1)
    (dan,) = await booked(office, "Dan", event_id="talk")
    for path in (DOOR, f"{DOOR}/undo"):
        for order_id in (dan, "0" * 20, "<x>"):
            assert (await ada.post(path, form={"order": order_id})).status_code == 404
    assert (await ada.get(f"{DOOR}?order=missing")).status_code == 404
    assert (await ada.post("/ui/organise/events/missing/check-in", form={"ticket": "Dan"})).status_code == 404
    assert (await office.counts("talk")).checked_in == 0


@pytest.mark.parametrize("moment", ["", "x", "-1", "9" * 30, "1"])
async def test_an_address_that_claims_a_guest_was_just_let_in_is_not_believed(
    ada: Browser, office: BoxOffice, clock: Clock, moment: str
) -> None:
    (cleo,) = await booked(office, "Cleo")
    await scan(ada, CODES.code(cleo))
    clock.now = at("2026-11-27T19:30")
    said = await shown(await ada.get(f"{DOOR}?order={cleo}&at={moment}"), "result")
    assert said.startswith("Already in at 19:02")


async def test_with_scripts_only_what_came_of_it_is_sent(ada: Browser, office: BoxOffice) -> None:
    (cleo,) = await booked(office, "Cleo")
    answer = await ada.post(DOOR, form={"ticket": CODES.code(cleo)}, headers=HTMX)
    came = await ada.get(answer.headers["Location"], headers=HTMX)
    assert (await shown(came)).startswith("Come in: Cleo")
    assert "HX-Request" in came.headers["Vary"]
    assert (await shown(await ada.post(DOOR, form={"ticket": "Cleo"}, headers=HTMX))).startswith("Found for “Cleo”")
    mistaken = await ada.post(DOOR, form={"ticket": ""}, headers=HTMX)
    assert (mistaken.status_code, await shown(mistaken)) == (422, "Please enter a code or a name.")


async def test_a_session_that_has_ended_leads_to_the_sign_in_with_scripts_too(office: BoxOffice) -> None:
    dan = app_over(office).test_client()
    here = {"HX-Current-URL": f"http://localhost{DOOR}?order=x"}
    answer = await dan.post(DOOR, form={"ticket": "Cleo"}, headers={**HTMX, **here})
    assert (answer.status_code, answer.headers["HX-Redirect"]) == (401, f"/ui/sign-in?next={DOOR}")
    answer = await dan.post(DOOR, form={"ticket": "Cleo"}, headers={**HTMX, "HX-Current-URL": "http://evil.example//x"})
    assert answer.headers["HX-Redirect"] == "/ui/sign-in?next=/ui/organise"


async def test_names_and_gates_are_never_markup(ada: Browser, office: BoxOffice) -> None:
    await office.open_event(HOSTILE, 1)
    (cleo,) = await booked(office, HOSTILE)
    pages = [
        await scan(ada, "script", gate="<b>"),
        await scan(ada, HOSTILE),
        await ada.get((await scan(ada, CODES.code(cleo), gate="<b>")).headers["Location"]),
        await ada.get(f"/ui/organise/tickets/{CODES.code(cleo)}"),
    ]
    for page in pages:
        assert page.status_code == 200
        markup = await page.get_data(as_text=True)
        assert "&lt;script&gt;alert(1)" in markup
        assert "<script>alert" not in markup
        assert "<b>," not in markup


async def test_who_was_erased_comes_in_by_his_code_without_a_name(ada: Browser, office: BoxOffice) -> None:
    (cleo,) = await booked(office, "Cleo")
    await office.erase("gig", "cleo@example.org", (cleo,))
    assert "Come in: Name erased" in await led_to(ada, await scan(ada, CODES.code(cleo)))


# A camera that follows the QR


async def test_following_the_code_of_a_ticket_shows_it_and_lets_nobody_in(ada: Browser, office: BoxOffice) -> None:
    (cleo,) = await booked(office, "Cleo")
    path = f"/ui/organise/tickets/{CODES.code(cleo)}"
    before = await office.counts("gig")
    for address in (path, path.lower()):
        said = await shown(await ada.get(address))
        assert "Summer night, Friday 27 November 20:00–23:00 (Europe/Berlin)" in said
        assert "Cleo Has a ticket, and is not in yet. Check in" in said
    assert await office.counts("gig") == before
    said = await led_to(ada, await ada.post(path, form={"gate": "A"}))
    assert "Come in: Cleo 19:02, gate A" in said
    assert "To the door: next" in said
    said = await led_to(ada, await ada.post(path, form={"gate": "A"}))
    assert "Already in at 19:02, gate A" in said


async def test_tickets_of_who_waits_or_has_cancelled_offer_no_check_in(ada: Browser, office: BoxOffice) -> None:
    _, _, cleo = await booked(office, "Ada", "Bob", "Cleo")
    path = f"/ui/organise/tickets/{CODES.code(cleo)}"
    said = await shown(await ada.get(path))
    assert "On the waiting list: 1st Cleo" in said
    assert "Check in" not in said
    assert "On the waiting list: 1st" in await led_to(ada, await ada.post(path))
    await office.cancel("gig", "cleo@example.org", "organiser")
    assert "Cancelled Cleo This order is no longer valid." in await shown(await ada.get(path))
    assert await arrived(office) == 0


@pytest.mark.parametrize("code", ["0000-0000-0000", "x", "U" * 14, "06FV-8G2K-T7QX-1", "%3Cb%3E"])
async def test_a_code_that_is_on_no_ticket_leads_nowhere(ada: Browser, office: BoxOffice, code: str) -> None:
    for answer in (await ada.get(f"/ui/organise/tickets/{code}"), await ada.post(f"/ui/organise/tickets/{code}")):
        assert answer.status_code == 404
        assert "There is no such order" in await shown(answer)


async def test_a_wrong_gate_on_a_ticket_is_a_mistake(ada: Browser, office: BoxOffice) -> None:
    (cleo,) = await booked(office, "Cleo")
    answer = await ada.post(f"/ui/organise/tickets/{CODES.code(cleo)}", form={"gate": "x" * 51})
    assert answer.status_code == 422
    assert "Please call the gate by at most 50 characters" in await shown(answer)
    assert await arrived(office) == 0


async def test_who_follows_the_code_of_a_ticket_without_a_session_signs_in_first(office: BoxOffice) -> None:
    (cleo,) = await booked(office, "Cleo")
    bob = app_over(office).test_client()
    path = f"/ui/organise/tickets/{CODES.code(cleo)}"
    answer = await bob.get(path)
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/ui/sign-in?next={path}")
    assert (await sign_in(bob, next=path)).headers["Location"] == path


@pytest.mark.parametrize(("tickets", "guests", "said"), [(1, 0, "0 of 0 are in"), (1, 1, "0 of 1 is in")])
async def test_the_door_counts_whom_it_may_expect(
    ada: Browser, office: BoxOffice, tickets: int, guests: int, said: str
) -> None:
    await booked(office, *["Bob", "Cleo"][:guests])
    assert said in await shown(await ada.get(DOOR))


async def test_a_guest_without_a_name_is_called_as_he_booked(ada: Browser, office: BoxOffice) -> None:
    bob = (await office.book("gig", "Bob B.")).order_id
    cleo = (await office.book("gig", "cleo@example.org", contact=Contact(None, "cleo@example.org"))).order_id
    assert "Come in: Bob B." in await led_to(ada, await scan(ada, CODES.code(bob)))
    assert "Come in: cleo@example.org" in await led_to(ada, await scan(ada, CODES.code(cleo)))


async def test_at_a_busy_moment_the_door_keeps_what_was_scanned(
    ada: Browser, office: BoxOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def busy(*_: object, **__: object) -> None:
        raise Unavailable("overloaded", "Too many requests are waiting; nothing was changed", 3)

    monkeypatch.setattr(office, "check_in", busy)
    (bob,) = await booked(office, "Bob")
    code = CODES.code(bob)
    answer = await ada.post(DOOR, form={"ticket": code}, headers=HTMX)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "3")
    page = await answer.get_data(as_text=True)
    assert 'id="main"' in page
    assert f'value="{code}"' in page
    assert "Too many requests are waiting; nothing was changed." in await words(answer)
