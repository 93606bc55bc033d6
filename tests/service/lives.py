"""Random lives of one event, lived by the rules, and what can be said of each order by going along its ledger.

The ledger is walked entry by entry, with lists: slow, and obviously right.
"""

from dataclasses import dataclass, field
from itertools import count, pairwise
from random import Random
from typing import Any

from webapp.booking import decisions
from webapp.booking.answers import Refusal
from webapp.booking.decisions import Decision
from webapp.booking.details import Details
from webapp.booking.ledger import Contact, Entry, pseudonym
from webapp.booking.state import Arrival, EventState
from webapp.enquiries import Step, StepKind
from webapp.storage.store import Addition

OWN: dict[str, StepKind] = {
    "promoted": "promoted", "cancelled": "left", "checked_in": "checked_in", "check_in_undone": "check_in_undone"
}  # fmt: skip
CAUSES: dict[str, StepKind] = {"cancelled": "cancelled", "resized": "resized", "revised": "revised"}


@dataclass
class Life:
    """What has happened at an event so far. Every decision is taken at `now`, which goes on by itself."""

    event: str = "gig"
    now: int = 10**15
    entries: list[Entry] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.state = EventState(self.event)
        self.numbers = count(1)

    def happen(self, rule: Any, *wish: Any, **options: Any) -> bool:
        """Whether something has changed; what the rules refuse changes nothing."""
        self.now += 1
        try:
            decision: Decision[Any] = rule(self.state, self.now, *wish, **options)
        except Refusal:
            return False
        self.entries += [self.state.record(fact, self.now, "guest") for fact in decision.facts]
        return bool(decision.facts)

    def open(self, tickets: int) -> None:
        self.happen(decisions.open_event, tickets)

    def book(self, guest: str, contact: Contact = decisions.NOBODY_KNOWN) -> str:
        """The id that the order has if it is new."""
        order_id = f"{next(self.numbers):020x}"
        self.happen(decisions.book, guest, order_id, order_id.encode()[:16], contact)
        return order_id

    def cancel(self, guest: str, reason: str | None = None) -> None:
        self.happen(decisions.cancel, guest, reason)

    def resize(self, tickets: int) -> None:
        self.happen(decisions.revise, tickets=tickets)

    def revise(self, **details: Any) -> None:
        self.happen(decisions.revise, details=Details(**details))

    def erase(self, guest: str) -> None:
        """Erase all orders of a guest."""
        his = [entry.order_id for entry in self.entries if entry.kind in ("booked", "joined") and entry.guest == guest]
        gone = {entry.order_id for entry in self.entries if entry.kind == "erased"}
        if order_ids := tuple(order_id for order_id in his if order_id not in gone):
            self.happen(decisions.erase, guest, order_ids)

    @property
    def addition(self) -> Addition:
        """All of it, to be stored at once."""
        return Addition(self.state.counts, self.entries)


def random_life(random: Random, steps: int, guests: int = 25) -> Life:
    """A life in which guests come, go, arrive, and are forgotten, capacities change, and promotions end and begin."""
    life = Life()
    life.open(random.randint(0, 3))
    moves, weights = zip(*MOVES, strict=True)
    for _ in range(steps):
        live = life.state.live
        name = random.choice(list(live) or ["nobody"])
        move = random.choices(moves, weights)[0]
        move(life, random, f"guest-{random.randrange(guests)}" if move is _book else name)
    return life


def _book(life: Life, _: Random, guest: str) -> None:
    life.book(guest)


def _cancel(life: Life, _: Random, guest: str) -> None:
    life.cancel(guest)


def _resize(life: Life, random: Random, _: str) -> None:
    life.resize(life.state.booked + random.choice((0, 0, 1, 2)))


def _retitle(life: Life, random: Random, _: str) -> None:
    opens_at, closes_at, starts_at = life.state.schedule
    title = f"title {random.randrange(3)}"
    life.revise(title=title, opens_at=opens_at, closes_at=closes_at, starts_at=starts_at)


def _let_it_start(life: Life, random: Random, _: str) -> None:
    life.revise(starts_at=life.now + random.choice((-5, 3)), closes_at=life.now + random.choice((6, 20)))


def _put_it_off(life: Life, random: Random, _: str) -> None:
    life.revise(starts_at=life.now + random.choice((50, 10**6)))


def _revise_everything(life: Life, random: Random, _: str) -> None:
    tickets, starts_at = life.state.booked + random.randint(0, 2), life.now + 10**6
    life.happen(decisions.revise, tickets=tickets, details=Details(title="all new", starts_at=starts_at))


def _check_in(life: Life, random: Random, guest: str) -> None:
    life.happen(decisions.check_in, guest, life.state.live.get(guest, ""), random.choice((None, "east")))


def _undo(life: Life, _: Random, guest: str) -> None:
    life.happen(decisions.undo_check_in, guest, life.state.live.get(guest, ""))


def _erase(life: Life, _: Random, guest: str) -> None:
    life.erase(guest)


MOVES = [
    (_book, 14), (_cancel, 7), (_resize, 3), (_retitle, 1), (_let_it_start, 1), (_put_it_off, 2),
    (_revise_everything, 1), (_check_in, 1), (_undo, 1), (_erase, 1),
]  # fmt: skip
"""What may happen, and how often."""


@dataclass
class Told:
    """All that can be said of an order: its status, place and arrival, and how it came to them."""

    order_id: str
    guest: str
    placing: Entry
    status: str
    position: int | None = None
    arrival: Arrival | None = None
    asked_before: int | None = None
    steps: list[Step] = field(default_factory=list)


def all_told(entries: list[Entry]) -> dict[str, Told]:
    """Everything about every order, in the order of placing."""
    told: dict[str, Told] = {}
    waiting: list[str] = []
    starts = [*(at for at, entry in enumerate(entries) if entry.kind not in ("promoted", "lapsed")), len(entries)]
    for start, end in pairwise(starts):
        cause, before, freed = entries[start], list(waiting), entries[start + 1 : end]
        order_id = cause.order_id
        if order_id is None:
            pass
        elif cause.kind in ("booked", "joined"):
            told[order_id] = Told(order_id, str(cause.guest), cause, "booked" if cause.kind == "booked" else "waiting")
            kind: StepKind = "booked" if cause.kind == "booked" else "joined"
            told[order_id].steps.append(Step(cause.seq, cause.at, kind, actor=cause.actor))
            if cause.kind == "joined":
                told[order_id].asked_before = len(waiting)
                waiting.append(order_id)
        else:
            _tell(told[order_id], cause)
            if cause.kind == "cancelled" and order_id in waiting:
                waiting.remove(order_id)
        promoted = [str(entry.order_id) for entry in freed if entry.kind == "promoted"]
        assert waiting[: len(promoted)] == promoted
        del waiting[: len(promoted)]
        for number, other in enumerate(before, 1):
            if other == order_id:
                continue  # who leaves by himself is not moved by it
            position = waiting.index(other) + 1 if other in waiting else 0
            if position != number:
                moved = Step(cause.seq, cause.at, CAUSES[cause.kind], number - position, position or None)
                told[other].steps.append(moved)
        for entry in freed:
            if entry.kind == "promoted":
                _tell(told[str(entry.order_id)], entry)
            else:
                _tell_who_wait(told, waiting, entry)
    for number, other in enumerate(waiting, 1):
        told[other].position = number
    return told


def _tell_who_wait(told: dict[str, Told], waiting: list[str], lapsed: Entry) -> None:
    """What the end of promotions says to everybody whom it leaves waiting."""
    for number, order_id in enumerate(waiting, 1):
        told[order_id].steps.append(Step(lapsed.seq, lapsed.at, "lapsed", position=number))


def _tell(order: Told, entry: Entry) -> None:
    """What an entry says of its own order."""
    match entry.kind:
        case "promoted":
            order.status = "booked"
        case "cancelled":
            if order.status == "waiting":  # where he stood when he left, nobody remembers
                order.asked_before = None
                order.steps = [step._replace(position=None) for step in order.steps]
            order.status = "cancelled"
        case "checked_in":
            order.arrival = Arrival(entry.at, entry.detail)
        case "check_in_undone":
            order.arrival = None
        case "erased":
            order.guest = pseudonym(order.order_id)
    if entry.kind in OWN:
        order.steps.append(Step(entry.seq, entry.at, OWN[entry.kind], actor=entry.actor))
