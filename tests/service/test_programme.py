"""What is on, as enquiries tell it: with published counts, and without what is hidden by now."""

import asyncio
from typing import Any

import pytest

from webapp import enquiries as enquiries_module
from webapp.booking.details import Details
from webapp.box_office import BoxOffice
from webapp.desk import Unavailable
from webapp.enquiries import SEARCHES_MAX, Enquiries
from webapp.storage.sqlite import SqliteStore
from webapp.storage.store import StoreUnreadable


@pytest.fixture
def enquiries(store: SqliteStore, box_office: BoxOffice) -> Enquiries:
    return Enquiries(store, box_office)


async def test_what_is_on_goes_by_the_clock_of_the_box_office(enquiries: Enquiries, box_office: BoxOffice) -> None:
    now = box_office.now()
    for title, starts_at in [("over", now - 1), ("sometime", None), ("soon", now + 3_600_000_000)]:
        await box_office.create_event(title, 1, Details(starts_at=starts_at))
    page = await enquiries.programme(2)
    assert [event.title for event in page.events] == ["soon", "sometime"]
    assert [event.title for event in (await enquiries.programme(2, page.next)).events] == ["over"]
    assert [event.title for event in (await enquiries.programme(9, q="SO")).events] == ["soon", "sometime"]


async def test_an_event_that_changed_since_the_programme_was_read_is_shown_as_it_is_now(
    enquiries: Enquiries, box_office: BoxOffice, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for event_id in ("gig", "wine"):
        await box_office.open_event(event_id, tickets=3)
    read_before = await store.programme(0, 10)
    await box_office.book("gig", "Bob")
    await box_office.revise("wine", details=Details(title="A private view", hidden=True))

    async def as_it_was(*_: object) -> object:
        return read_before

    monkeypatch.setattr(store, "programme", as_it_was)
    assert [event.counts.booked for event in read_before.events] == [0, 0]
    assert [(event.title, event.counts.booked) for event in (await enquiries.programme(10)).events] == [("gig", 1)]
    organised = (await enquiries.programme(10, shown_to="organiser")).events
    assert {event.title for event in organised} == {"gig", "A private view"}


async def test_no_more_than_a_few_search_at_a_time_and_all_others_find_what_they_want(
    enquiries: Enquiries, box_office: BoxOffice, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await box_office.open_event("gig", tickets=3)
    programme, gate = store.programme, asyncio.Event()

    async def slow_search(*asked: Any) -> Any:
        if asked[-1]:
            await gate.wait()
        return await programme(*asked)

    monkeypatch.setattr(store, "programme", slow_search)
    searching = [asyncio.create_task(enquiries.programme(9, q="g")) for _ in range(SEARCHES_MAX)]
    await asyncio.sleep(0)
    with pytest.raises(Unavailable) as unavailable:
        await enquiries.programme(9, q="g")
    assert unavailable.value.code == "overloaded"
    assert [event.title for event in (await enquiries.programme(9)).events] == ["gig"]
    searching[0].cancel()  # and whoever goes away makes room
    await asyncio.wait(searching[:1])
    searching.append(asyncio.create_task(enquiries.programme(9, q="g")))
    gate.set()
    for page in await asyncio.gather(*searching[1:]):
        assert [event.title for event in page.events] == ["gig"]


@pytest.mark.parametrize("trouble", ["broken", "slow"])
async def test_where_the_programme_cannot_be_read_that_is_said(
    enquiries: Enquiries, store: SqliteStore, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    async def fails(*_: object) -> Any:
        if trouble == "slow":
            await asyncio.sleep(60)
        raise StoreUnreadable("the disk is gone")

    monkeypatch.setattr(enquiries_module, "READ_TIMEOUT_S", 0.01)
    monkeypatch.setattr(store, "programme", fails)
    with pytest.raises(Unavailable) as unavailable:
        await enquiries.programme(1)
    assert unavailable.value.code == "storage_unavailable"
