"""A server's whole history under trace, cut off at any point: is all there that had been answered by then?"""

import random
import shutil
import sqlite3
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from operator import itemgetter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from tests.client import Connection
from tests.reliability.crowd import Crowd, Wish
from tests.reliability.disk import Choice, Disk
from tests.reliability.disk_trace import Met, Step, Told, Tracing
from tests.reliability.history import NEVER, UNKNOWN, Call, Record, complaints
from tests.replay import MIGRATIONS, problems
from webapp.storage.migrator import MigrationRefused, migrate
from webapp.storage.store import StoreUnreadable

MEMORY: Final = Path("/dev/shm")  # noqa: S108 -- what is made there has a name that nobody can guess

Ledgers = Mapping[str, Sequence[Record]]


@dataclass
class NotedCrowd(Crowd):
    """Clients who also note on which connection they have asked: that of a port, in which life of the server."""

    life: int = 0
    asked_by: dict[tuple[int, int], list[list[Call]]] = field(default_factory=dict)
    _connections: dict[Connection, list[Call]] = field(default_factory=dict)

    def _send(self, connection: Connection, wish: Wish, key: str) -> Call:
        call = super()._send(connection, wish, key)
        if connection not in self._connections:
            calls = self._connections[connection] = []
            port = connection.writer.get_extra_info("sockname")[1]
            self.asked_by.setdefault((self.life, port), []).append(calls)
        self._connections[connection].append(call)
        return call


@dataclass(frozen=True, slots=True)
class Placed:
    """A call, and the steps of the trace behind which it may have been asked, and was being answered."""

    call: Call
    asked: int
    answered: int


def placed(crowd: NotedCrowd, tracing: Tracing) -> list[Placed]:
    """The calls with their places in the trace."""
    heard = _heard(tracing)
    found = []
    for connection, served in crowd.asked_by.items():
        # Others may have had the port before, when nobody of the crowd was there yet.
        answers_of = heard[connection][-len(served) :]
        assert len(answers_of) == len(served), "a connection is missing in the trace"
        for calls, (met, *answers) in zip(served, answers_of, strict=True):
            answered = [call for call in calls if call.answered != NEVER]
            assert len(answered) <= len(answers) <= len(calls), "the trace does not tell of every answer"
            bounds = [*answers, *[NEVER] * (len(calls) - len(answers))]
            found += [
                Placed(call, asked, bound) for call, asked, bound in zip(calls, [met, *answers], bounds, strict=False)
            ]
    return found


def _heard(tracing: Tracing) -> dict[tuple[int, int], list[list[int]]]:
    """By life and port, for each connection: the places at which it was made, and got its answers."""
    found = defaultdict[tuple[int, int], list[list[int]]](list)
    for place, step in enumerate(tracing.steps):
        life = bisect_left(tracing.ends, step.began)
        if isinstance(step, Met):
            found[life, step.port].append([place])
        elif isinstance(step, Told) and step.content.startswith(b"HTTP/1.1 "):
            found[life, step.port][-1].append(place)
    return found


def at_a_cut(calls: Sequence[Placed], cut: int) -> list[Call]:
    """What had been asked and answered before a step; answers that were on their way were not given."""
    return [
        call.call
        if call.answered < cut
        else replace(call.call, answered=NEVER, answer=UNKNOWN, head="", receipt="", text=b"", is_replay=False)
        for call in calls
        if call.asked < cut
    ]


class Judge:
    """Says what is wrong with an image at a cut, by what clients had been told. Remembers what it has looked at."""

    def __init__(self, calls: Sequence[Placed]) -> None:
        self.calls = calls
        self._known: dict[object, list[str]] = {}

    def complaints(self, cut: int, ledgers: Ledgers) -> list[str]:
        """What no order of the calls explains."""
        asked = sum(call.asked < cut for call in self.calls)
        answered = sum(call.answered < cut for call in self.calls)
        heads = tuple((event, len(ledger), ledger[-1].hash) for event, ledger in sorted(ledgers.items()))
        if (asked, answered, heads) not in self._known:
            self._known[asked, answered, heads] = complaints(at_a_cut(self.calls, cut), ledgers)
        return self._known[asked, answered, heads]

    def keys_told(self, cut: int) -> int:
        """Under how many keys an answer had been given that is kept."""
        return len({call.call.key for call in self.calls if call.answered < cut and call.call.text} - {""})


@dataclass(frozen=True, slots=True)
class Opened:
    """What the next start finds in a data folder."""

    problems: list[str]
    ledgers: dict[str, list[Record]] = field(default_factory=dict)
    keys_kept: int = 0


async def opened(database: Path) -> Opened:
    """What the next start, and `verify`, make of a database; nothing where there is none, since one is made then."""
    if not database.exists():
        return Opened([])
    try:
        migrate(database, MIGRATIONS)
        found = await problems(database)
    except (MigrationRefused, StoreUnreadable) as refusal:
        return Opened([str(refusal)])
    if found:
        return Opened(found)
    with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as connection:
        ledgers: dict[str, list[Record]] = {event: [] for (event,) in connection.execute("SELECT id FROM events")}
        statement = """
            SELECT ledger.event_id, seq, kind, user_id, detail, lower(hex(hash)), order_id
              FROM ledger LEFT JOIN orders ON id = order_id ORDER BY 1, 2"""
        for event, *entry in connection.execute(statement):
            ledgers[event].append(Record(*entry))
        keys_kept = connection.execute("SELECT count(*) FROM kept_answers").fetchone()[0]
    return Opened([], ledgers, keys_kept)


@contextmanager
def room() -> Iterator[Path]:
    """An empty folder in memory, since what becomes of an image need not last."""
    with TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None, prefix="fairlist-image-") as folder:
        yield Path(folder)


def images(tracing: Tracing, seeds: Iterable[int], folder: Path) -> Iterator[tuple[int, Path]]:
    """A place in the trace for every seed, from the first place to the last, and a folder with what may be there."""
    disk = Disk(tracing.root, tracing.is_folder, tracing.were_there)
    done = 0
    for number, (cut, choice) in enumerate(sorted(map(partial(_cut, len(tracing.steps)), seeds), key=itemgetter(0))):
        for step in tracing.steps[done:cut]:
            disk.follow(step)
        done = cut
        image = folder / str(number)
        image.mkdir()
        disk.image(image, choice)
        yield cut, image
        shutil.rmtree(image)


def _cut(steps: int, seed: int) -> tuple[int, Choice]:
    chance = random.Random(seed)
    return chance.randint(0, steps), Choice.by(chance)


def place_of(steps: Sequence[Step], matches: Callable[[Told], bool], after: int = 0) -> int:
    """The place of the first thing that was said behind a place and matches; behind all where there is none."""
    found = (place for place, step in enumerate(steps) if place > after and isinstance(step, Told) and matches(step))
    return next(found, len(steps) + 1)
