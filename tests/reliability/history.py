"""What many clients asked and were answered, held against what the ledgers say: does one order explain it all?

Moments are numbers that grow with time, taken by the clients. A history is linearizable if every request can be given
a moment between its question and its answer so that, in the order of these moments, the model answers each of them
alike. A ledger knows the order of all that changed something, so that the search for the moments is a walk along it.
Source: M. Herlihy and J. Wing, "Linearizability: a correctness condition for concurrent objects" (1990).
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, NamedTuple

from tests.model import Answer, Model

NEVER: Final = 2**63
UNKNOWN: Final = "nobody knows what came of it"
NOTHING: Final = "nothing was changed"


class Record(NamedTuple):
    """An entry of a ledger, and the guest whom it concerns."""

    seq: int
    kind: str
    guest: str | None
    detail: str | None
    hash: str


@dataclass(eq=False, slots=True)
class Call:
    """A question about an event, and what came of it: the model's answer, UNKNOWN, or NOTHING.

    The subject is a guest, or a number of tickets. An answered `status` names the `head` of the ledger that it showed:
    the number of its last entry, and the first 12 digits of its hash.
    """

    verb: str
    event: str
    subject: str | int
    asked: int
    answered: int = NEVER
    answer: Answer = UNKNOWN
    head: str = ""

    def __str__(self) -> str:
        answered = "" if self.answered == NEVER else f" to {self.answered}"
        return f"{self.verb} {self.subject} = {self.answer} at {self.asked}{answered}"


def complaints(calls: Iterable[Call], ledgers: Mapping[str, Sequence[Record]]) -> list[str]:
    """A sentence for every event whose history no order of the requests explains."""
    calls_at = defaultdict[str, list[Call]](list)
    for call in calls:
        calls_at[call.event].append(call)
    found = []
    for event in sorted(calls_at.keys() | ledgers.keys()):
        try:
            _Walk(calls_at[event]).along(ledgers.get(event, ()))
        except Inexplicable as problem:
            found.append(f"{event}: {problem}")
    return found


class Inexplicable(Exception):
    """What no order of the requests explains."""


class Deed(NamedTuple):
    """What somebody's request did, as a ledger tells it: its first entry, and the request with its answer."""

    entry: Record
    verb: str
    subject: str | int
    answer: Answer
    head: str  # of the ledger, afterwards

    def __str__(self) -> str:
        return f"entry {self.entry.seq} ({self.verb} {self.subject} = {self.answer})"


class _Walk:
    """Goes along one ledger, and gives every call a place in it as soon as it can have one.

    A call can have a place if it was asked before anything was answered that is still without one. Of several calls
    that may have caused an entry, the one that was answered first is taken. Neither loses a solution: where a later
    place, or another cause, leads to one, the calls in question can change places in it.
    """

    def __init__(self, calls: Iterable[Call]) -> None:
        calls = [call for call in calls if call.answer != NOTHING]
        self._model = Model()
        self._head = ""
        self._to_be_asked = sorted(calls, key=lambda call: call.asked, reverse=True)
        self._to_be_answered = sorted(calls, key=lambda call: call.answered, reverse=True)
        self._under_way: set[Call] = set()
        self._placed: set[Call] = set()

    def along(self, ledger: Sequence[Record]) -> None:
        """Raises Inexplicable."""
        for deed in _deeds(ledger):
            self._place_what_is_true()
            self._place_the_cause_of(deed)
            if self._does(deed.verb, deed.subject) != deed.answer:
                raise Inexplicable(f"{deed} is against the rules")
            self._head = deed.head
        self._place_what_is_true()
        if (first := self._first_without_place()) and first.answer != UNKNOWN:
            raise Inexplicable(f"this was true at no time: {first}")

    def _place_what_is_true(self) -> None:
        """Give a place, here, to all who can have one and whose answer is true here without changing anything."""
        while True:
            self._ask()
            true = [call for call in self._under_way if self._is_true(call)]
            if not true:
                return
            for call in true:
                self._place(call)

    def _place_the_cause_of(self, deed: Deed) -> None:
        causes = [call for call in self._under_way if _may_cause(call, deed)]
        if not causes:
            first = self._first_without_place()
            too_late = any(_may_cause(call, deed) for call in self._to_be_asked)
            raise Inexplicable(f"{deed} comes before this: {first}" if too_late else f"nobody asked for {deed}")
        self._place(min(causes, key=lambda call: call.answered))

    def _ask(self) -> None:
        first = self._first_without_place()
        while first and self._to_be_asked and self._to_be_asked[-1].asked < first.answered:
            self._under_way.add(self._to_be_asked.pop())

    def _place(self, call: Call) -> None:
        self._under_way.remove(call)
        self._placed.add(call)

    def _first_without_place(self) -> Call | None:
        """Of all calls without a place, the one that was answered first."""
        while self._to_be_answered and self._to_be_answered[-1] in self._placed:
            self._to_be_answered.pop()
        return self._to_be_answered[-1] if self._to_be_answered else None

    def _is_true(self, call: Call) -> bool:
        model, guest = self._model, str(call.subject)
        match call.verb, call.answer:
            case _, "event_not_found":
                return model.capacity is None
            case "open", "open":
                return model.capacity == call.subject
            case "open", "event_exists":
                return model.capacity not in {None, call.subject}
            case "book", (status, False):
                return guest in (model.booked if status == "booked" else model.waiting)
            case "cancel", "order_not_found":
                return model.capacity is not None and guest not in model.booked and guest not in model.waiting
            case "status", _:
                return call.head == self._head and call.answer == model.status()
        return False

    def _does(self, verb: str, subject: str | int) -> Answer:
        answer: Answer = getattr(self._model, verb)(subject)
        return "open" if answer == "new" else answer


def _deeds(ledger: Sequence[Record]) -> Iterator[Deed]:
    causes = [*(at for at, entry in enumerate(ledger) if entry.kind != "promoted" or at == 0), len(ledger)]
    for start, end in pairwise(causes):
        cause, last = ledger[start], ledger[end - 1]
        promoted = [str(entry.guest) for entry in ledger[start + 1 : end]]
        head = f"{last.seq}-{last.hash[:12]}"
        match cause.kind, promoted:
            case "opened", []:
                yield Deed(cause, "open", int(cause.detail or ""), "open", head)
            case "booked", []:
                yield Deed(cause, "book", str(cause.guest), ("booked", True), head)
            case "joined", []:
                yield Deed(cause, "book", str(cause.guest), ("waiting", True), head)
            case "cancelled", _:
                yield Deed(cause, "cancel", str(cause.guest), promoted, head)
            case _:
                raise Inexplicable(f"entry {last.seq} ({last.kind} {last.guest}) has no cause")


def _may_cause(call: Call, deed: Deed) -> bool:
    return (call.verb, call.subject) == (deed.verb, deed.subject) and call.answer in (UNKNOWN, deed.answer)
