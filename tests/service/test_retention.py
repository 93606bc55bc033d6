"""Who was at an event is forgotten so many days after it; what happened there is not."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from webapp import retention
from webapp.booking.details import Details
from webapp.booking.ledger import Contact
from webapp.box_office import BoxOffice
from webapp.enquiries import Enquiries
from webapp.recovery import recover
from webapp.retention import DAY_US, Retention
from webapp.storage.sqlite import SqliteStore
from webapp.storage.store import StoreUnreadable

START = 1_000 * DAY_US
END = START + DAY_US // 8


class Clock:
    """Says what it is told to."""

    def __init__(self) -> None:
        self.now = START - DAY_US

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def box_office(store: SqliteStore, clock: Clock, start: Callable[[BoxOffice], Awaitable[BoxOffice]]) -> BoxOffice:
    return await start(BoxOffice(store, clock=clock))


@pytest.fixture
async def keeper(box_office: BoxOffice, store: SqliteStore, clock: Clock) -> Retention:
    """Forgets after 30 days."""
    return Retention(box_office, Enquiries(store, box_office), 30, clock=clock)


async def people(store: SqliteStore, event_id: str) -> set[str]:
    """Every word about a person that the event's orders hold."""
    orders, _ = await store.orders(event_id, 0)
    return {text for order in orders for text in (order.guest, order.name, order.email, order.cancel_reason) if text}


async def a_gig(box_office: BoxOffice, details: Details | None = None) -> None:
    """A gig where Bob has a ticket, Cleo waits, and Dan was cancelled."""
    await box_office.create_event("gig", 1, details or Details(starts_at=START, ends_at=END))
    await box_office.book("gig", "Bob", contact=Contact("Robert", "bob@example.org"))
    await box_office.book("gig", "Cleo")
    await box_office.book("gig", "Dan")
    await box_office.cancel("gig", "Dan", "organiser", "asked me to")


async def test_guests_are_forgotten_once_the_days_are_over(
    box_office: BoxOffice, store: SqliteStore, keeper: Retention, clock: Clock
) -> None:
    await a_gig(box_office)
    clock.now = END + 30 * DAY_US - 1
    assert await keeper.look() == 0
    assert people_named(await people(store, "gig")) == {
        "Bob",
        "Robert",
        "bob@example.org",
        "Cleo",
        "Dan",
        "asked me to",
    }
    clock.now += 1
    assert await keeper.look() == 3
    assert people_named(await people(store, "gig")) == set()


def people_named(words: set[str]) -> set[str]:
    """Without the pseudonyms, which name nobody."""
    return {word for word in words if not word.startswith("\x7f")}


async def test_what_happened_stays_known_when_guests_are_forgotten(
    box_office: BoxOffice, store: SqliteStore, keeper: Retention, clock: Clock
) -> None:
    await a_gig(box_office)
    before = await box_office.counts("gig")
    clock.now = END + 30 * DAY_US
    await keeper.look()
    after = await box_office.counts("gig")
    assert (after.booked, after.waiting) == (before.booked, before.waiting)
    assert (await recover(store, "gig")).state.counts == after


async def test_whom_nobody_is_left_to_forget_is_not_looked_at_again(
    box_office: BoxOffice, store: SqliteStore, keeper: Retention, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await a_gig(box_office)
    clock.now = END + 30 * DAY_US
    await keeper.look()
    head = (await box_office.counts("gig")).head
    reads: list[str] = []
    orders = store.orders

    async def counted(event_id: str, after: int) -> object:
        reads.append(event_id)
        return await orders(event_id, after)

    monkeypatch.setattr(store, "orders", counted)
    assert await keeper.look() == 0
    assert not reads
    await box_office.revise("gig", tickets=2)  # something has happened: it may concern somebody new
    assert await keeper.look() == 0
    assert reads == ["gig"]
    assert (await box_office.counts("gig")).head == head + 2  # resized, and that promotions are over


@pytest.mark.parametrize(
    "details", [Details(), Details(opens_at=START, closes_at=END)], ids=["no times", "times of booking only"]
)
async def test_an_event_without_a_start_is_never_over(
    box_office: BoxOffice, keeper: Retention, clock: Clock, details: Details
) -> None:
    clock.now = START
    await a_gig(box_office, details)
    clock.now = END + 10_000 * DAY_US
    assert await keeper.look() == 0


async def test_without_an_end_the_start_counts(box_office: BoxOffice, keeper: Retention, clock: Clock) -> None:
    await a_gig(box_office, Details(starts_at=START))
    clock.now = START + 30 * DAY_US - 1
    assert await keeper.look() == 0
    clock.now += 1
    assert await keeper.look() == 3


async def test_events_on_every_page_of_the_list_are_looked_at(
    box_office: BoxOffice, keeper: Retention, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "EVENTS_PER_PAGE", 2)
    for number in range(5):
        clock.now = START - DAY_US + number
        await box_office.create_event(f"gig {number}", 1, Details(starts_at=START, hidden=number == 0))
        await box_office.book(f"gig {number}", "Bob")
    clock.now = START + 30 * DAY_US
    assert await keeper.look() == 5


@pytest.mark.parametrize("read", ["events", "orders"])
async def test_what_fails_is_tried_again(
    box_office: BoxOffice,
    store: SqliteStore,
    keeper: Retention,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    read: str,
) -> None:
    monkeypatch.setattr(retention, "LOOK_EVERY_S", 0.01)
    await a_gig(box_office)
    clock.now = END + 30 * DAY_US
    honest, has_failed = getattr(store, read), asyncio.Event()

    async def fail_once(*asked: object) -> object:
        if has_failed.is_set():
            return await honest(*asked)
        has_failed.set()
        raise StoreUnreadable("not now")

    monkeypatch.setattr(store, read, fail_once)
    keeping = asyncio.create_task(keeper.keep())
    await has_failed.wait()
    async with asyncio.timeout(30):
        while people_named(await people(store, "gig")):  # noqa: ASYNC110 -- what is awaited is in the database
            await asyncio.sleep(0.01)
    keeping.cancel()


async def test_where_booking_goes_on_after_the_start_an_event_is_over_when_it_closes(
    box_office: BoxOffice, keeper: Retention, clock: Clock
) -> None:
    await a_gig(box_office, Details(starts_at=START, closes_at=START + 365 * DAY_US))
    clock.now = START + 364 * DAY_US
    assert await keeper.look() == 0
    clock.now = START + 395 * DAY_US
    assert await keeper.look() == 3


async def test_what_fails_at_one_event_holds_up_no_other(
    box_office: BoxOffice, store: SqliteStore, keeper: Retention, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await a_gig(box_office)
    clock.now += 1
    await box_office.create_event("newer", 1, Details(starts_at=START))
    await box_office.book("newer", "Eve")
    clock.now = END + 30 * DAY_US
    orders = store.orders

    async def fail_for_the_newer(event_id: str, after: int) -> object:
        if event_id == "newer":
            raise StoreUnreadable("not now")
        return await orders(event_id, after)

    monkeypatch.setattr(store, "orders", fail_for_the_newer)
    assert await keeper.look() == 3
    monkeypatch.setattr(store, "orders", orders)
    assert await keeper.look() == 1
