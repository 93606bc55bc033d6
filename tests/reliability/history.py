"""What many clients asked and were answered, held against what the ledgers say: does one order explain it all?

Moments are numbers that grow with time, taken by the clients. A history is linearizable if every request can be given
a moment between its question and its answer so that, in the order of these moments, the model answers each of them
alike. A ledger knows the order of all that changed something, so that the search for the moments is a walk along it.
Source: M. Herlihy and J. Wing, "Linearizability: a correctness condition for concurrent objects" (1990).
"""

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final, NamedTuple

from tests.model import Answer, Model

NEVER: Final = 2**63
UNKNOWN: Final = "nobody knows what came of it"
NOTHING: Final = "nothing was changed"
WALKS_MAX: Final = 200


class Record(NamedTuple):
    """An entry of a ledger, and the guest and the order that it concerns."""

    seq: int
    kind: str
    guest: str | None
    detail: str | None
    hash: str
    order: str | None = None


@dataclass(eq=False, slots=True)
class Call:
    """A question about an event, and what came of it: the model's answer, UNKNOWN, or NOTHING.

    The subject is a guest, a number of tickets, or an order. What each is answered:

    open: "open"; book: status, and whether the order is new; place: status, position, whether the order is new, and the
    order; cancel, resize: who got a ticket; cancel_order: how many did; check_in, undo_check_in: "done"; status:
    capacity, how many are booked, how many wait. All of them: the code of a refusal.

    An answered `status` names the `head` of the ledger that it showed: the number of its last entry, and the first 12
    digits of its hash. So does `resize`, of the ledger as it was left. A `receipt` names the first entry that was made
    of it in the same way. All that was asked under one `key` is the same, and has the same `text` for an answer, given
    again but once.
    """

    verb: str
    event: str
    subject: str | int
    asked: int
    answered: int = NEVER
    answer: Answer = UNKNOWN
    head: str = ""
    receipt: str = ""
    key: str = ""
    text: bytes = b""
    is_replay: bool = False

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
            _explain(_once_each(calls_at[event]), ledgers.get(event, ()))
        except Inexplicable as problem:
            found.append(f"{event}: {problem}")
    return found


class Inexplicable(Exception):
    """What no order of the requests explains."""


def _once_each(calls: Iterable[Call]) -> list[Call]:
    """The calls, where those under one key that were carried out, or perhaps were, are one. Raises Inexplicable."""
    under = defaultdict[str, list[Call]](list)
    for call in calls:
        under[call.key].append(call)
    separate = under.pop("", [])
    for key, sharing in under.items():
        lost = [call for call in sharing if call.answer == UNKNOWN]
        told = [call for call in sharing if call.text]
        separate += [call for call in sharing if call not in lost and call not in told]
        if told or lost:
            separate.append(_as_one(key, told, lost))
    return separate


def _as_one(key: str, told: Sequence[Call], lost: Sequence[Call]) -> Call:
    """What was asked again and again: it happened between the first question and the first answer, if at all."""
    if len({(call.text, repr(call.answer)) for call in told}) > 1:
        raise Inexplicable(f"{key} has had two answers")
    first = [call for call in told if not call.is_replay]
    if len(first) > 1:
        raise Inexplicable(f"{key} has had two effects")
    if told and not first and not lost:
        raise Inexplicable(f"{key} is answered again, and never was before")
    asked = min(call.asked for call in [*told, *lost])
    return replace(min([*told, *lost], key=lambda call: call.answered), asked=asked)


def _explain(calls: Sequence[Call], ledger: Sequence[Record]) -> None:
    """Walk along a ledger, and once more with another cause wherever there may be one. Raises Inexplicable."""
    problems: list[Inexplicable] = []
    waiting = deque([frozenset[int]()])
    while waiting and len(problems) < WALKS_MAX:
        others = waiting.popleft()
        walk = _Walk(calls, others)
        try:
            walk.along(ledger)
        except Inexplicable as problem:
            problems.append(problem)
            waiting += [others | {seq} for seq in walk.doubtful if seq > max(others, default=0)]
        else:
            return
    raise problems[0]


class Deed(NamedTuple):
    """What somebody's request did, as a ledger tells it: its first entry, and the request with its answer.

    Verb, subject and answer are those of one who may have asked for it; others may have, in other words.
    """

    entry: Record
    verb: str
    subject: str | int
    answer: Answer
    head: str  # of the ledger, afterwards

    @property
    def receipt(self) -> str:
        """The first entry, as it is named to who asked for it."""
        return f"{self.entry.seq}-{self.entry.hash[:12]}"

    def __str__(self) -> str:
        return f"entry {self.entry.seq} ({self.verb} {self.subject} = {self.answer})"


class _Walk:
    """Goes along one ledger, and gives every call a place in it as soon as it can have one.

    A call can have a place if it was asked before anything was answered that is still without one. Of several calls
    that may have caused an entry, the one is taken whose answer fits no other entry, or else the one that was answered
    first. Neither loses a solution: where a later place, or another cause, leads to one, the calls in question can
    change places in it.

    There is one exception. A cancellation by the guest's name that was answered may have ended a later order of his, if
    one of this very order was lost. Such entries are `doubtful`; at the `others` the lost one is taken.
    """

    def __init__(self, calls: Iterable[Call], others: Set[int] = frozenset()) -> None:
        self.doubtful: list[int] = []
        self._others = others
        calls = [call for call in calls if call.answer != NOTHING]
        self._model = Model()
        self._orders: dict[str, int] = {}  # to their numbers, as the model counts them
        self._latest: dict[str, str] = {}  # of each guest
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
            if self._does(deed) != deed.answer:
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
        told = self._told(deed)
        causes = [call for call in self._under_way if _may_cause(call, deed, told)]
        if not causes:
            first = self._first_without_place()
            too_late = any(_may_cause(call, deed, told) for call in self._to_be_asked)
            raise Inexplicable(f"{deed} comes before this: {first}" if too_late else f"nobody asked for {deed}")
        cause = min(causes, key=_urgency)
        lost = [call for call in causes if call.verb == "cancel_order" and call.answer == UNKNOWN]
        if lost and cause.verb == "cancel":
            self.doubtful.append(deed.entry.seq)
            cause = lost[0] if deed.entry.seq in self._others else cause
        self._place(cause)

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
        model = self._model
        if call.answer == "event_not_found" or call.verb == "open":
            return self._is_there(call)
        if model.capacity is None:
            return False
        match call.verb, call.answer:
            case "book", (status, False):
                return str(call.subject) in (model.booked if status == "booked" else model.waiting)
            case "place", (status, position, False, order):
                return model.place(str(call.subject)) == (status, position) and self._live(call) == order
            case "status", _:
                return call.head == self._head and call.answer == model.status()
            case "resize", []:
                return call.head == self._head and call.subject == model.capacity
            case "resize", "capacity_below_booked":
                return int(call.subject) < len(model.booked)
            case (("cancel" | "cancel_order" | "check_in" | "undo_check_in"), _):
                return call.answer == self._refusal(call)
        return False

    def _is_there(self, call: Call) -> bool:
        """Whether the answer to something that has to do with there being an event is true."""
        if call.answer == "event_not_found":
            return self._model.capacity is None
        if call.answer == "event_exists":
            return self._model.capacity not in {None, call.subject}
        return call.answer == "open" and self._model.capacity == call.subject

    def _refusal(self, call: Call) -> str | None:
        """Why nothing can be done about an order now; None where it can."""
        order_id = self._live(call) if call.verb == "cancel" else str(call.subject)
        if order_id not in self._orders:
            return "order_not_found"
        order = self._model.orders[self._orders[order_id]]
        if order.is_cancelled:
            return "order_cancelled"
        if call.verb == "undo_check_in":
            return "not_checked_in" if order.arrival is None else None
        if order.arrival is not None:
            return "already_checked_in"
        return "not_booked" if call.verb == "check_in" and order.guest in self._model.waiting else None

    def _live(self, call: Call) -> str:
        """The live order of the guest whom a call is about; empty where he has none."""
        name = self._latest.get(str(call.subject), "")
        return "" if not name or self._model.orders[self._orders[name]].is_cancelled else name

    def _does(self, deed: Deed) -> Answer:
        """Have the model do it; returns what it answers."""
        answer: Answer
        match deed.verb:
            case "check_in" | "undo_check_in" if deed.subject not in self._orders:
                return "order_not_found"
            case "check_in":
                answer = self._model.check_in(self._orders[str(deed.subject)], deed.entry.detail)
            case "undo_check_in":
                answer = self._model.undo_check_in(self._orders[str(deed.subject)])
            case _:
                answer = getattr(self._model, deed.verb)(deed.subject)
        if deed.verb == "book":
            name = deed.entry.order or f"that of entry {deed.entry.seq}"
            if len(self._model.orders) > len(self._orders):
                self._orders[name] = len(self._orders)
                self._latest[str(deed.subject)] = name
            return answer
        return "open" if answer == "new" else "done" if isinstance(answer, tuple) else answer

    def _told(self, deed: Deed) -> dict[tuple[str, str | int], Answer]:
        """Who may have asked for it, and would have been told what, before it is done."""
        told = {(deed.verb, deed.subject): deed.answer}
        order = deed.entry.order or ""
        match deed.answer:
            case "booked", True:
                told["place", deed.subject] = ("booked", None, True, order)
            case "waiting", True:
                told["place", deed.subject] = ("waiting", len(self._model.waiting) + 1, True, order)
            case [*promoted] if deed.verb == "cancel":
                told["cancel_order", order] = ("cancelled", len(promoted))
        return told


def _deeds(ledger: Sequence[Record]) -> Iterator[Deed]:
    causes = [*(at for at, entry in enumerate(ledger) if entry.kind != "promoted" or at == 0), len(ledger)]
    for start, end in pairwise(causes):
        cause, last = ledger[start], ledger[end - 1]
        promoted = [str(entry.guest) for entry in ledger[start + 1 : end]]
        head = f"{last.seq}-{last.hash[:12]}"
        match cause.kind, promoted:
            case "opened", []:
                yield Deed(cause, "open", int(cause.detail or ""), "open", head)
            case "resized", _:
                yield Deed(cause, "resize", int(cause.detail or ""), promoted, head)
            case "booked", []:
                yield Deed(cause, "book", str(cause.guest), ("booked", True), head)
            case "joined", []:
                yield Deed(cause, "book", str(cause.guest), ("waiting", True), head)
            case "cancelled", _:
                yield Deed(cause, "cancel", str(cause.guest), promoted, head)
            case "checked_in", []:
                yield Deed(cause, "check_in", str(cause.order), "done", head)
            case "check_in_undone", []:
                yield Deed(cause, "undo_check_in", str(cause.order), "done", head)
            case _:
                raise Inexplicable(f"entry {last.seq} ({last.kind} {last.guest}) has no cause")


def _may_cause(call: Call, deed: Deed, told: Mapping[tuple[str, str | int], Answer]) -> bool:
    if (call.verb, call.subject) not in told:
        return False
    if call.answer == UNKNOWN:
        return True
    is_named = call.receipt in ("", deed.receipt) and (call.verb != "resize" or call.head == deed.head)
    return is_named and call.answer == told[call.verb, call.subject]


def _urgency(call: Call) -> tuple[bool, int, bool]:
    return not _names_its_entry(call), call.answered, call.verb != "cancel_order"


def _names_its_entry(call: Call) -> bool:
    """Whether the answer fits one entry alone."""
    return call.answer != UNKNOWN and bool(call.receipt or call.head)
