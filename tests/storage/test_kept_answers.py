"""Answers in the SQLite file: one for each key, kept with what it tells of, and forgotten when it is old."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.storage.unwritten import AT, Unwritten
from webapp.storage.sqlite import SqliteStore
from webapp.storage.store import ANSWERS_KEPT_US, Addition, Kept, Rejected, StoreUnreadable

REQUEST = b"what he said".ljust(32)


def answer(key: str, at: int = AT, event_id: str = "gig", text: str = "{}") -> Kept:
    """An answer that was given at a time, in microseconds, under a key of up to 32 letters."""
    return Kept(key.encode().ljust(32), REQUEST, event_id, at, text)


@pytest.fixture
def gig() -> Unwritten:
    return Unwritten("gig", tickets=1)


async def found(store: SqliteStore, *keys: str, since: int = 0) -> dict[str, Kept]:
    """What is kept under some keys."""
    kept = await store.kept([key.encode().ljust(32) for key in keys], since)
    return {answer.key.decode().rstrip(): answer for answer in kept}


def kept_in_all(database: Path) -> set[str]:
    """The keys under which anything is kept, however old."""
    with closing(sqlite3.connect(database)) as connection:
        return {key.decode().rstrip() for (key,) in connection.execute("SELECT key FROM kept_answers")}


async def test_answers_are_found_under_their_keys(store: SqliteStore, gig: Unwritten) -> None:
    given = {"one": answer("one", text='{"n": 1}'), "two": answer("two", AT + 1, text="“zwei”\n\0")}
    await store.append([gig.addition(*given.values())])
    assert await found(store, "one", "two", "three") == given
    assert await found(store, "two") == {"two": given["two"]}
    assert await found(store, "three") == {}
    assert await found(store) == {}


async def test_answers_that_cannot_be_read_are_not_taken_for_none(store: SqliteStore, database: Path) -> None:
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("ALTER TABLE kept_answers RENAME TO lost")
    with pytest.raises(StoreUnreadable, match="no such table: kept_answers"):
        await found(store, "one")


async def test_answers_are_found_only_since_a_time(store: SqliteStore, gig: Unwritten) -> None:
    await store.append([gig.addition(answer("one"), answer("two", AT + 1))])
    assert set(await found(store, "one", "two", since=AT - 1)) == {"one", "two"}
    assert set(await found(store, "one", "two", since=AT)) == {"two"}
    assert set(await found(store, "one", "two", since=AT + 1)) == set()


async def test_the_answers_of_several_events_are_kept_at_once(store: SqliteStore, gig: Unwritten) -> None:
    talk = Unwritten("talk", tickets=1)
    given = {"one": answer("one"), "two": answer("two", event_id="talk")}
    await store.append([gig.addition(given["one"]), talk.addition(given["two"])])
    assert await found(store, "one", "two") == given


async def test_an_answer_may_be_kept_where_nothing_happened(store: SqliteStore, gig: Unwritten) -> None:
    await store.append([gig.addition()])
    before = await store.event("gig")
    await store.append([gig.addition(answer("one"))])
    assert set(await found(store, "one")) == {"one"}
    assert await store.event("gig") == before


async def test_an_answer_is_kept_only_together_with_what_it_tells_of(store: SqliteStore, gig: Unwritten) -> None:
    await store.append([gig.addition()])
    gig.book("Bob", "Cleo")
    booked = gig.addition(answer("one"))
    with pytest.raises(Rejected):
        await store.append([booked._replace(entries=booked.entries[1:])])
    assert await found(store, "one") == {}
    await store.append([booked])
    assert set(await found(store, "one")) == {"one"}


async def test_under_a_key_that_has_an_answer_nothing_else_is_stored(store: SqliteStore, gig: Unwritten) -> None:
    await store.append([gig.addition(answer("one"))])
    before = await store.event("gig")
    gig.book("Bob")
    addition = gig.addition(answer("two"), answer("one", AT + 1, text="another"))
    with pytest.raises(Rejected, match="UNIQUE"):
        await store.append([addition])
    assert await found(store, "one", "two") == {"one": answer("one")}
    assert await store.event("gig") == before
    await store.append([Addition(addition.counts, addition.entries, addition.kept[:1])])


async def test_one_key_cannot_have_two_answers_in_one_batch(store: SqliteStore, gig: Unwritten) -> None:
    talk = Unwritten("talk", tickets=1)
    batch = [gig.addition(answer("one")), talk.addition(answer("one", event_id="talk"))]
    with pytest.raises(Rejected, match="UNIQUE"):
        await store.append(batch)
    assert await store.events(10) == ([], None)
    await store.append(batch[:1])
    with pytest.raises(Rejected, match="UNIQUE"):
        await store.append(batch[1:])
    assert await found(store, "one") == {"one": answer("one")}


async def test_an_answer_to_an_event_that_never_was_is_rejected(store: SqliteStore, gig: Unwritten) -> None:
    with pytest.raises(Rejected, match="FOREIGN KEY"):
        await store.append([gig.addition(answer("one", event_id="lost"))])


async def test_a_key_can_be_used_again_once_its_answer_is_too_old(store: SqliteStore, gig: Unwritten) -> None:
    await store.append([gig.addition(answer("one"))])
    early, late = answer("one", AT + ANSWERS_KEPT_US - 1), answer("one", AT + ANSWERS_KEPT_US)
    with pytest.raises(Rejected, match="UNIQUE"):
        await store.append([gig.addition(early)])
    await store.append([gig.addition(late)])
    assert await found(store, "one") == {"one": late}


async def test_a_key_can_be_used_again_however_many_older_ones_there_are(store: SqliteStore, gig: Unwritten) -> None:
    olds = [answer(f"old {number}", AT - 1) for number in range(50)]
    await store.append([gig.addition(*olds, answer("one"))])
    again = answer("one", AT + ANSWERS_KEPT_US)
    await store.append([gig.addition(again)])
    assert await found(store, "one") == {"one": again}


async def test_old_answers_are_forgotten_a_few_at_a_time_and_oldest_first(
    store: SqliteStore, database: Path, gig: Unwritten
) -> None:
    olds = [answer(f"old {number}", AT + number) for number in range(40)]
    await store.append([gig.addition(*olds, answer("young", AT + 40))])
    left = [40]
    while left[-1]:
        new = answer(f"new {len(left)}", AT + 39 + ANSWERS_KEPT_US)
        await store.append([gig.addition(new)])
        keys = kept_in_all(database)
        left.append(sum(key.startswith("old") for key in keys))
        assert left[-2] - left[-1] in range(2, 21) or not left[-1]  # more than come, but no more than is quick
        assert {f"old {number}" for number in range(40 - left[-1], 40)} <= keys
        assert keys >= {"young", *(f"new {number}" for number in range(1, len(left)))}
    assert len(left) > 2
