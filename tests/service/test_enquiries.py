"""What can be asked about orders, rosters and ledgers, on a real database."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, get_args

import pytest

from tests import effort
from tests.service.lives import Life, all_told, random_life
from webapp import enquiries as enquiries_module
from webapp.booking import decisions
from webapp.booking.answers import Placement, Refusal
from webapp.booking.details import Details
from webapp.booking.ledger import Contact, Entry, pseudonym
from webapp.booking.state import EventState
from webapp.box_office import BoxOffice
from webapp.desk import Unavailable
from webapp.enquiries import TURNS_MAX, Enquiries, Explained, Share, Standing, Step, StepKind, Why
from webapp.storage.sqlite import SqliteStore
from webapp.storage.store import StoreUnreadable

Start = Callable[[BoxOffice], Awaitable[BoxOffice]]
OpenStore = Callable[[Path], Awaitable[SqliteStore]]
ALL = 10_000


@pytest.fixture
def ask(store: SqliteStore, start: Start) -> Callable[[Life], Awaitable[Enquiries]]:
    """Stores a life, and lets enquiries be made about it."""

    async def ask(life: Life) -> Enquiries:
        await store.append([life.addition])
        return Enquiries(store, await start(BoxOffice(store)))

    return ask


Ask = Callable[[Life], Awaitable[Enquiries]]


async def why(enquiries: Enquiries, order_id: str) -> Why:
    return (await enquiries.explained(await enquiries.order(order_id))).why


async def steps(enquiries: Enquiries, order_id: str) -> list[tuple[str, int, int | None]]:
    return [(step.kind, step.moved, step.position) for step in (await why(enquiries, order_id)).steps]


async def refused(asking: Awaitable[Any]) -> str:
    with pytest.raises(Refusal) as refusal:
        await asking
    return refusal.value.code


# Orders


async def test_an_order_is_found_by_its_id(ask: Ask) -> None:
    life = Life()
    life.open(1)
    order_id = life.book("Bob", Contact("Bob B.", "bob@example.org"))
    order = await (await ask(life)).order(order_id)
    assert (order.guest, order.name, order.email, order.status) == ("Bob", "Bob B.", "bob@example.org", "booked")
    assert (order.event_id, order.placed_entry, order.placed_at) == ("gig", 2, life.entries[1].at)


async def test_no_order_is_found_where_there_is_none(ask: Ask) -> None:
    life = Life()
    life.open(1)
    assert await refused((await ask(life)).order("no such order")) == "order_not_found"


async def test_a_receipt_is_the_entry_that_placed_the_order(ask: Ask) -> None:
    life = Life()
    life.open(1)
    for guest in ("Bob", "Cleo"):
        order_id = life.book(guest)
    life.cancel("Cleo")
    enquiries = await ask(life)
    receipt = await enquiries.receipt(await enquiries.order(order_id))
    assert receipt == (3, life.entries[2].at, life.entries[2].hash)


async def test_a_standing_is_as_of_now_however_old_the_order_that_is_asked_about(ask: Ask) -> None:
    life = Life()
    life.open(1)
    bob, cleo, dan = [life.book(guest) for guest in ("Bob", "Cleo", "Dan")]
    enquiries = await ask(life)
    old = [await enquiries.order(order_id) for order_id in (bob, cleo, dan)]
    await enquiries._box_office.cancel("gig", "Bob", "guest", "He is ill")
    standings = [await enquiries.standing(order) for order in old]
    assert [(found.order.status, found.position) for found in standings] == [
        ("cancelled", None),
        ("booked", None),
        ("waiting", 1),
    ]
    assert standings[0].order.cancel_reason == "He is ill"


async def test_who_is_erased_between_two_looks_stands_where_he_stood(ask: Ask) -> None:
    life = Life()
    life.open(1)
    _, cleo = [life.book(guest) for guest in ("Bob", "Cleo")]
    enquiries = await ask(life)
    before = await enquiries.order(cleo)
    await enquiries._box_office.erase("gig", "Cleo", (cleo,))
    standing = await enquiries.standing(before)
    assert (standing.order.guest, standing.order.status, standing.position) == (pseudonym(cleo), "waiting", 1)
    assert (await why(enquiries, cleo)).asked_before == 0


async def test_who_is_erased_while_a_roster_is_read_stands_on_it_where_he_stood(ask: Ask) -> None:
    life = Life()
    life.open(1)
    _, cleo = [life.book(guest) for guest in ("Bob", "Cleo")]
    enquiries = await ask(life)
    before = [await enquiries.order(cleo)]
    await enquiries._box_office.erase("gig", "Cleo", (cleo,))
    (standing,) = await enquiries._standings("gig", before)
    assert (standing.order.guest, standing.order.status, standing.position) == (pseudonym(cleo), "waiting", 1)


async def test_a_new_order_of_the_same_guest_is_not_mistaken_for_his_old_one(ask: Ask) -> None:
    life = Life()
    life.open(0)
    old = life.book("Bob")
    life.cancel("Bob")
    life.book("Cleo")
    new = life.book("Bob")
    enquiries = await ask(life)
    standings = [await enquiries.standing(await enquiries.order(order_id)) for order_id in (old, new)]
    assert [(found.order.status, found.position) for found in standings] == [("cancelled", None), ("waiting", 2)]


# Why an order stands where it stands


async def test_a_ticket_that_was_free_needs_no_history(ask: Ask) -> None:
    life = Life()
    life.open(1)
    order_id = life.book("Bob")
    step = Step(2, life.entries[1].at, "booked", actor="guest")
    assert await why(await ask(life), order_id) == Why(None, [step], is_complete=True)


@pytest.fixture
def waiting() -> tuple[Life, dict[str, str]]:
    """Bob and Finn have the tickets; Cleo, Dan and Eve wait. Each is followed by his order's id."""
    life = Life()
    life.open(2)
    return life, {guest: life.book(guest) for guest in ("Bob", "Finn", "Cleo", "Dan", "Eve")}


Waiting = tuple[Life, dict[str, str]]


async def test_who_waits_is_told_how_many_asked_before(waiting: Waiting, ask: Ask) -> None:
    life, orders = waiting
    enquiries = await ask(life)
    assert [(await why(enquiries, orders[guest])).asked_before for guest in ("Cleo", "Dan", "Eve")] == [0, 1, 2]
    assert await steps(enquiries, orders["Eve"]) == [("joined", 0, None)]


async def test_somebody_ahead_who_leaves_moves_one_up(waiting: Waiting, ask: Ask) -> None:
    life, orders = waiting
    life.cancel("Cleo")
    assert await steps(await ask(life), orders["Eve"]) == [("joined", 0, None), ("cancelled", 1, 2)]


async def test_somebody_behind_who_leaves_moves_nobody(waiting: Waiting, ask: Ask) -> None:
    life, orders = waiting
    life.cancel("Eve")
    assert await steps(await ask(life), orders["Dan"]) == [("joined", 0, None)]


async def test_a_ticket_given_back_moves_everybody_up(waiting: Waiting, ask: Ask) -> None:
    life, orders = waiting
    life.cancel("Bob")
    enquiries = await ask(life)
    assert await steps(enquiries, orders["Eve"]) == [("joined", 0, None), ("cancelled", 1, 2)]
    assert await steps(enquiries, orders["Cleo"]) == [
        ("joined", 0, None),
        ("cancelled", 1, None),
        ("promoted", 0, None),
    ]


async def test_a_raised_capacity_moves_up_as_many_as_it_promotes(waiting: Waiting, ask: Ask) -> None:
    life, orders = waiting
    life.resize(4)
    assert await steps(await ask(life), orders["Eve"]) == [("joined", 0, None), ("resized", 2, 1)]


async def test_who_left_is_told_what_had_moved_him_but_not_where_he_stood(waiting: Waiting, ask: Ask) -> None:
    life, orders = waiting
    life.cancel("Bob")
    life.cancel("Eve")
    life.cancel("Dan")
    told = await why(await ask(life), orders["Eve"])
    assert told.asked_before is None
    assert [(step.kind, step.moved, step.position) for step in told.steps] == [
        ("joined", 0, None),
        ("cancelled", 1, None),
        ("left", 0, None),
    ]


async def test_an_event_that_is_put_off_is_a_cause_too(waiting: Waiting, ask: Ask) -> None:
    life, orders = waiting
    life.revise(starts_at=life.now)
    life.cancel("Bob")
    life.revise(starts_at=life.now + 100)
    enquiries = await ask(life)
    assert await steps(enquiries, orders["Dan"]) == [("joined", 0, None), ("lapsed", 0, 2), ("revised", 1, 1)]
    assert [kind for kind, _, _ in await steps(enquiries, orders["Cleo"])] == [
        "joined",
        "lapsed",
        "revised",
        "promoted",
    ]


async def test_arrivals_are_part_of_the_story(waiting: Waiting, ask: Ask) -> None:
    life, orders = waiting
    life.happen(decisions.check_in, "Bob", orders["Bob"], "east")
    assert [kind for kind, _, _ in await steps(await ask(life), orders["Bob"])] == ["booked", "checked_in"]


async def compare(enquiries: Enquiries, entries: Sequence[Entry]) -> Counter[str]:
    """Hold every answer about every order against what is found by going along the ledger; the kinds of steps seen."""
    seen = Counter[str]()
    told = all_told(list(entries))
    standings = (await enquiries.roster("gig", share=None, q="", after=0, limit=ALL)).standings
    assert [standing.order.id for standing in standings] == list(told)
    for standing in standings:
        order, expected = standing.order, told[standing.order.id]
        arrival = None if order.checked_in_at is None else (order.checked_in_at, order.gate)
        found = (order.guest, order.status, standing.position, arrival)
        assert found == (expected.guest, expected.status, expected.position, expected.arrival)
        assert await enquiries.standing(order) == standing
        assert await enquiries.receipt(order) == (expected.placing.seq, expected.placing.at, expected.placing.hash)
        explained = await enquiries.explained(order)
        assert explained.why == Why(expected.asked_before, expected.steps, is_complete=True)
        assert (explained.standing, explained.receipt) == (standing, await enquiries.receipt(order))
        assert await enquiries.same_guest(order) == tuple(
            other.order_id for other in told.values() if other.guest == expected.guest
        )
        seen.update(step.kind for step in expected.steps)
    return seen


LIVES = max(2, effort.OTHER_INTERLEAVINGS // 2)


async def test_every_answer_is_what_the_ledger_tells(
    empty_database: Path, tmp_path: Path, start: Start, open_store: OpenStore
) -> None:
    seen = Counter[str]()
    for seed in range(effort.FIRST_SEED, effort.FIRST_SEED + LIVES):
        life = random_life(Random(seed), steps=120)
        database = tmp_path / f"{seed}.sqlite3"
        database.write_bytes(empty_database.read_bytes())
        store = await open_store(database)
        await store.append([life.addition])
        box_office = await start(BoxOffice(store, clock=partial(getattr, life, "now")))
        try:
            seen += await compare(Enquiries(store, box_office), life.entries)
        except AssertionError as failure:
            failure.add_note(f"It comes again with FIRST_SEED={seed} INTERLEAVINGS=1")
            raise
    if LIVES >= 20:
        assert set(seen) == set(get_args(StepKind))


async def test_an_explanation_that_overlooks_somebody_does_not_agree(
    monkeypatch: pytest.MonkeyPatch, store: SqliteStore, start: Start
) -> None:
    honest = enquiries_module._steps_up

    def overlook_tickets(order: Any, turns: Any, position: int | None) -> list[Step]:
        return honest(order, [turn._replace(promoted=0) for turn in turns], position)

    monkeypatch.setattr(enquiries_module, "_steps_up", overlook_tickets)
    life = random_life(Random(effort.FIRST_SEED), steps=300)
    await store.append([life.addition])
    with pytest.raises(AssertionError):
        await compare(Enquiries(store, await start(BoxOffice(store))), life.entries)


@pytest.mark.parametrize(("turns", "is_complete"), [(TURNS_MAX - 1, True), (TURNS_MAX, True), (TURNS_MAX + 1, False)])
async def test_a_history_looks_back_on_so_many_entries_and_says_if_there_were_more(
    ask: Ask, turns: int, is_complete: bool
) -> None:
    life = Life()
    life.open(0)
    for number in range(turns):
        life.book(f"guest-{number}")
    life.book("Cleo")
    for number in range(turns):
        life.cancel(f"guest-{number}")
    enquiries = await ask(life)
    told = await why(enquiries, life.state.live["Cleo"])
    assert told.is_complete is is_complete
    assert told.asked_before == (turns if is_complete else None)
    ahead = [step for step in told.steps if step.kind == "cancelled"]
    assert len(ahead) == min(turns, TURNS_MAX)
    assert [step.position for step in ahead] == list(range(len(ahead), 0, -1))
    assert told.steps[0].kind == "joined"


async def test_who_has_got_his_ticket_since_he_looked_is_told_how(ask: Ask, waiting: Waiting) -> None:
    life, orders = waiting
    enquiries = await ask(life)
    cleo = await enquiries.order(orders["Cleo"])
    before = await enquiries.explained(cleo)
    assert (before.standing.order.status, before.standing.position) == ("waiting", 1)
    await enquiries._box_office.cancel("gig", "Bob", "guest")
    later = await enquiries.explained(cleo, before)
    assert (later.standing.order.status, later.standing.position) == ("booked", None)
    assert [step.kind for step in later.why.steps] == ["joined", "cancelled", "promoted"]


async def test_who_has_missed_more_than_a_history_holds_is_told_so(
    ask: Ask, waiting: Waiting, monkeypatch: pytest.MonkeyPatch
) -> None:
    life, orders = waiting
    enquiries = await ask(life)
    eve = await enquiries.order(orders["Eve"])
    before = await enquiries.explained(eve)
    monkeypatch.setattr(enquiries_module, "TURNS_MAX", 1)
    for guest in ("Cleo", "Dan"):
        await enquiries._box_office.cancel("gig", guest, "guest")
    later = await enquiries.explained(eve, before)
    assert (later.standing.position, later.why.is_complete, later.why.asked_before) == (1, False, None)
    assert [step.kind for step in later.why.steps] == ["joined", "cancelled"]


async def test_orders_are_found_by_how_their_ids_begin(ask: Ask, waiting: Waiting) -> None:
    life, orders = waiting
    enquiries = await ask(life)
    assert [order.guest for order in await enquiries.orders_beginning(orders["Eve"])] == ["Eve"]
    assert {order.guest for order in await enquiries.orders_beginning("0")} == set(orders)
    assert await enquiries.orders_beginning("f") == []


async def test_however_many_a_change_promotes_it_is_one_step_of_a_history(ask: Ask) -> None:
    life = Life()
    life.open(0)
    for number in range(TURNS_MAX + 10):
        life.book(f"guest-{number}")
    cleo = life.book("Cleo")
    life.resize(TURNS_MAX + 5)
    life.cancel("guest-0")
    told = await why(await ask(life), cleo)
    assert (told.asked_before, told.is_complete) == (TURNS_MAX + 10, True)
    assert [(step.kind, step.moved, step.position) for step in told.steps] == [
        ("joined", 0, None),
        ("resized", TURNS_MAX + 5, 6),
        ("cancelled", 1, 5),
    ]


Change = Callable[[BoxOffice, dict[str, str]], Awaitable[Any]]
MEANWHILE: dict[str, Change] = {
    "Cleo, who waits longer, leaves": lambda office, _: office.cancel("gig", "Cleo", "guest"),
    "Eve leaves": lambda office, _: office.cancel("gig", "Eve", "guest", "She is ill"),
    "everybody gets a ticket": lambda office, _: office.revise("gig", tickets=9),
    "Bob is let in": lambda office, orders: office.check_in("gig", "Bob", orders["Bob"], "east"),
    "Bob cancels": lambda office, _: office.cancel("gig", "Bob", "guest"),
    "Bob is forgotten": lambda office, orders: office.erase("gig", "Bob", (orders["Bob"],)),
    "Eve is forgotten": lambda office, orders: office.erase("gig", "Eve", (orders["Eve"],)),
}


@pytest.mark.parametrize("read", ["ledger_page", "order", "turns_of", "turns_at"])
@pytest.mark.parametrize("what", MEANWHILE)
@pytest.mark.parametrize("guest", ["Bob", "Eve"])
async def test_standing_and_history_are_as_of_one_instant_whatever_happens_meanwhile(
    ask: Ask, waiting: Waiting, monkeypatch: pytest.MonkeyPatch, read: str, what: str, guest: str
) -> None:
    life, orders = waiting
    enquiries = await ask(life)
    order = await enquiries.order(orders[guest])
    before = await enquiries.explained(order)
    honest, changes = getattr(enquiries._archive, read), 0

    async def meanwhile(*place: Any) -> Any:
        nonlocal changes
        if not changes:
            changes += 1
            await MEANWHILE[what](enquiries._box_office, orders)
        return await honest(*place)

    monkeypatch.setattr(enquiries._archive, read, meanwhile)
    explained = await enquiries.explained(order)
    assert changes or (read, guest) == ("turns_at", "Bob")
    assert without_the_person(explained) == without_the_person(before)
    assert (await enquiries.explained(order)).look.head >= explained.look.head


def without_the_person(explained: Explained) -> tuple[Any, ...]:
    """What an order is, whoever it is for: a name that was deleted must not be shown, whenever that was."""
    order, position = explained.standing
    return order._replace(guest="", erased_at=None), position, explained.why, explained.receipt


async def test_who_looks_again_finds_what_he_would_have_found_at_first(store: SqliteStore, start: Start) -> None:
    random, now = Random(effort.FIRST_SEED), 10**15
    office = await start(BoxOffice(store, clock=lambda: now))
    enquiries = Enquiries(store, office)
    await office.open_event("gig", tickets=2)
    orders, known, spared = dict[str, str](), dict[str, Explained](), Counter[str]()
    for number in range(10 * effort.OTHER_INTERLEAVINGS):
        now += 1
        guest = random.choice(list(orders) or ["nobody"])
        counts = await office.counts("gig")
        changes: list[Callable[[], Awaitable[Any]]] = [
            partial(office.book, "gig", f"guest-{number}"),
            partial(office.book, "gig", f"guest-{number}"),
            partial(office.cancel, "gig", guest, "guest"),
            partial(office.revise, "gig", tickets=counts.booked + random.randrange(2)),
            partial(office.revise, "gig", details=Details(starts_at=now + random.choice((-1, 4, 10**6)))),
            partial(office.check_in, "gig", guest, orders.get(guest, ""), "east"),
            partial(office.undo_check_in, "gig", guest, orders.get(guest, "")),
        ]
        try:
            placed = await random.choice(changes)()
        except Refusal:
            continue
        if isinstance(placed, Placement):
            orders[f"guest-{number}"] = placed.order_id
        for order_id in {
            *random.sample(list(orders.values()), min(8, len(orders))),
            *filter(None, [orders.get(guest)]),
        }:
            order = await enquiries.order(order_id)
            again = await enquiries.explained(order, known.get(order_id))
            assert again[:3] == (await enquiries.explained(order))[:3], f"It comes again with {effort.FIRST_SEED=}"
            spared["nothing new" if again is known.get(order_id) else "new"] += 1
            known[order_id] = again
    assert min(spared.values()) > 10


async def test_who_moves_up_costs_one_read_of_what_has_happened_since(
    ask: Ask, waiting: Waiting, monkeypatch: pytest.MonkeyPatch
) -> None:
    life, orders = waiting
    enquiries = await ask(life)
    eve = await enquiries.order(orders["Eve"])
    before = await enquiries.explained(eve)
    await enquiries._box_office.cancel("gig", "Cleo", "guest")
    reads = list[tuple[Any, ...]]()
    honest = enquiries._archive.turns_at

    async def turns_at(*place: Any) -> Any:
        reads.append(place)
        return await honest(*place)

    async def unread(*_: object) -> Any:
        raise AssertionError("this is known already")

    monkeypatch.setattr(enquiries._archive, "turns_at", turns_at)
    for read in ("order", "ledger_page", "turns_of"):
        monkeypatch.setattr(enquiries._archive, read, unread)
    later = await enquiries.explained(eve, before)
    assert (later.standing.position, later.why.asked_before) == (2, 2)
    assert [(step.kind, step.moved) for step in later.why.steps] == [("joined", 0), ("cancelled", 1)]
    await enquiries._box_office.book("gig", "Gus")
    assert await enquiries.explained(eve, later) is later
    assert reads == [("gig", 6, 7, TURNS_MAX)]


# Rosters


@pytest.fixture
def crowd() -> Life:
    """Thirty guests for ten tickets, of whom every fifth has left, and every tenth has come back."""
    life = Life()
    life.open(10)
    for number in range(30):
        life.book(f"guest-{number:02}")
    for number in range(0, 30, 5):
        life.cancel(f"guest-{number:02}")
    for number in range(0, 30, 10):
        life.book(f"guest-{number:02}")
    for guest in list(life.state.live)[:4]:
        if life.state.status(guest) == "booked":
            life.happen(decisions.check_in, guest, life.state.live[guest], "east")
    return life


async def pages(enquiries: Enquiries, limit: int, share: Share | None = None, q: str = "") -> list[list[Standing]]:
    found, after = list[list[Standing]](), 0
    while True:
        page = await enquiries.roster("gig", share=share, q=q, after=after, limit=limit)
        found.append(page.standings)
        if page.next is None:
            return found
        after = page.next


def matches(share: Share | None, told: Any) -> bool:
    return share is None or (told.arrival is not None if share == "checked_in" else told.status == share)


@pytest.mark.parametrize("share", [None, *get_args(Share)])
@pytest.mark.parametrize("limit", [1, 2, 7, 100])
async def test_a_roster_is_the_same_in_pages_of_any_size(
    crowd: Life, ask: Ask, share: Share | None, limit: int
) -> None:
    enquiries = await ask(crowd)
    found = await pages(enquiries, limit, share)
    expected = [told for told in all_told(crowd.entries).values() if matches(share, told)]
    assert expected
    assert [len(page) for page in found[:-1]] == [limit] * (len(found) - 1)
    assert 0 < len(found[-1]) <= limit
    standings = [standing for page in found for standing in page]
    assert [(s.order.id, s.order.status, s.position) for s in standings] == [
        (told.order_id, told.status, told.position) for told in expected
    ]
    whole = [standing async for chunk in enquiries.whole_roster("gig", share=share, q="") for standing in chunk]
    assert whole == standings


async def test_a_roster_goes_on_across_the_chunks_it_is_read_in(ask: Ask) -> None:
    life = Life()
    life.open(5)
    for number in range(1_500):
        life.book(f"guest-{number}")
    for number in range(1_200):
        life.cancel(f"guest-{number}")
    life.book("late")
    enquiries = await ask(life)
    found = await pages(enquiries, 400, "cancelled")
    assert [len(page) for page in found] == [400, 400, 400]
    assert [len(page) for page in await pages(enquiries, 999)] == [999, 502]  # a chunk has room for the opening, too
    live = [standing.order.guest for page in await pages(enquiries, 400, "waiting") for standing in page]
    assert live == [*(f"guest-{number}" for number in range(1_205, 1_500)), "late"]
    assert [standing.order.guest for page in await pages(enquiries, 10, q="LATE") for standing in page] == ["late"]


async def test_where_nobody_has_booked_the_roster_is_empty(ask: Ask) -> None:
    life = Life()
    life.open(5)
    enquiries = await ask(life)
    assert await pages(enquiries, 10) == [[]]
    assert [chunk async for chunk in enquiries.whole_roster("gig", share=None, q="") if chunk] == []


@pytest.mark.parametrize(
    ("q", "found"),
    [
        ("", ["zoë", "Straße", "İbo", "Bob", "猫"]),
        ("ZOË", ["zoë"]),
        ("strasse", ["Straße"]),
        ("STRASSE", ["Straße"]),
        ("ße", ["Straße"]),
        ("猫", ["猫"]),
        ("🎫", ["猫"]),
        ("example.org", ["zoë", "Bob"]),
        ("EXAMPLE.ORG", ["zoë", "Bob"]),
        ("ΣΊΣΥΦΟΣ", ["Bob"]),
        ("%", []),
        ("_", []),
        ("0000000004", ["Bob"]),
        ("nobody", []),
    ],
)
async def test_a_search_finds_names_ids_and_addresses_in_any_case(ask: Ask, q: str, found: list[str]) -> None:
    life = Life()
    life.open(2)
    life.book("zoë", Contact(None, "zoe@example.org"))
    life.book("Straße")
    life.book("İbo")
    life.book("Bob", Contact("Σίσυφος", "bob@example.org"))
    life.book("猫", Contact("Cat 🎫", None))
    enquiries = await ask(life)
    roster = await enquiries.roster("gig", share=None, q=q, after=0, limit=ALL)
    assert [standing.order.guest for standing in roster.standings] == found


async def test_a_search_can_be_limited_to_a_share(crowd: Life, ask: Ask) -> None:
    enquiries = await ask(crowd)
    found = await pages(enquiries, 3, "cancelled", "guest-0")
    assert [[standing.order.guest for standing in page] for page in found] == [["guest-00", "guest-05"]]


async def test_who_was_erased_is_not_found_by_the_name_he_had(ask: Ask) -> None:
    life = Life()
    life.open(1)
    life.book("Bob", Contact("Bob B.", "bob@example.org"))
    life.erase("Bob")
    enquiries = await ask(life)
    assert [await pages(enquiries, 10, q=q) for q in ("Bob", "example.org")] == [[[]], [[]]]
    assert len((await pages(enquiries, 10))[0]) == 1


# Guests and ledgers


async def test_all_orders_of_a_guest_are_his_and_nobody_elses(crowd: Life, ask: Ask) -> None:
    enquiries = await ask(crowd)
    told = all_told(crowd.entries)
    for order_id, expected in told.items():
        his = tuple(other.order_id for other in told.values() if other.guest == expected.guest)
        assert await enquiries.same_guest(await enquiries.order(order_id)) == his
    assert max(Counter(order.guest for order in told.values()).values()) == 2


async def test_a_ledger_is_read_in_pages(crowd: Life, ask: Ask) -> None:
    enquiries = await ask(crowd)
    found, after = list[Entry](), 0
    while page := await enquiries.ledger("gig", after, 7):
        found += page
        after = page[-1].seq
    assert [entry[:8] for entry in found] == [entry[:8] for entry in crowd.entries]
    state = EventState("gig")
    state.replay(found)
    assert state.counts == crowd.state.counts


async def test_the_orders_that_entries_are_about_are_found_at_once(crowd: Life, ask: Ask) -> None:
    enquiries = await ask(crowd)
    named = await enquiries.named(crowd.entries)
    assert named.keys() == {entry.order_id for entry in crowd.entries} - {None}
    for order_id, order in named.items():
        assert order == await enquiries.order(order_id)
    assert await enquiries.named(entry for entry in crowd.entries if entry.order_id is None) == {}


ASKED: dict[str, Callable[[Enquiries], Awaitable[Any]]] = {
    "roster": lambda enquiries: enquiries.roster("talk", share=None, q="", after=0, limit=1),
    "whole roster": lambda enquiries: anext(enquiries.whole_roster("talk", share=None, q="")),
    "ledger": lambda enquiries: enquiries.ledger("talk", 0, 1),
}


@pytest.mark.parametrize("what", ASKED)
@pytest.mark.parametrize("was_deleted", [False, True])
async def test_of_an_event_that_is_not_there_nothing_is_told(
    box_office: BoxOffice, store: SqliteStore, what: str, was_deleted: bool
) -> None:
    if was_deleted:
        await box_office.open_event("talk", tickets=1)
        await box_office.delete_event("talk")
    assert await refused(ASKED[what](Enquiries(store, box_office))) == "event_not_found"


READS = ("order", "orders", "orders_with", "ledger_page", "turns_of", "turns_at")


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize("trouble", ["broken", "slow"])
async def test_where_the_database_cannot_be_read_that_is_said(
    ask: Ask, waiting: Waiting, monkeypatch: pytest.MonkeyPatch, read: str, trouble: str
) -> None:
    life, orders = waiting
    enquiries = await ask(life)
    order = await enquiries.order(orders["Eve"])
    monkeypatch.setattr(enquiries_module, "READ_TIMEOUT_S", 0.01)

    async def fails(*_: object) -> Any:
        if trouble == "slow":
            await asyncio.sleep(60)
        raise StoreUnreadable("the disk is gone")

    monkeypatch.setattr(enquiries._archive, read, fails)
    asked: dict[str, Callable[[], Awaitable[Any]]] = {
        "order": lambda: enquiries.order(order.id),
        "orders": lambda: enquiries.roster("gig", share=None, q="", after=0, limit=1),
        "orders_with": lambda: enquiries.named(life.entries),
        "ledger_page": lambda: enquiries.ledger("gig", 0, 1),
        "turns_of": lambda: enquiries.explained(order),
        "turns_at": lambda: enquiries.explained(order),
    }
    with pytest.raises(Unavailable) as unavailable:
        await asked[read]()
    assert unavailable.value.code == "storage_unavailable"


async def test_a_long_roster_lets_the_loop_run_meanwhile(ask: Ask) -> None:
    life = Life()
    life.open(0)
    for number in range(5_000):
        life.book(f"guest-{number}")
    enquiries = await ask(life)
    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    counting = asyncio.create_task(count_turns())
    chunks = [len(chunk) async for chunk in enquiries.whole_roster("gig", share=None, q="")]
    counting.cancel()
    assert sum(chunks) == 5_000
    assert max(chunks) <= 1_000
    assert turns >= len(chunks)
