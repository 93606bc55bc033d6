"""What was asked and answered, held against what the ledgers say in the end.

Each ledger is replayed through the model, decision by decision. Every answer must be the model's at a moment between
question and answer, everything in a ledger must have been asked for, and whoever was told no must have changed nothing.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from tests.model import Answer, Model
from webapp.booking.decisions import Cancellation, Opening, Placement, Refusal, Resizing
from webapp.booking.ledger import Entry
from webapp.booking.state import Counts, fold
from webapp.desk import Unavailable

VERBS = {"opened": "open", "booked": "book", "joined": "book", "cancelled": "cancel", "resized": "resize"}
UNANSWERED = object()
ANSWERED_WITHIN_S = 10.0


class Bug(Exception):
    """Something that a rule may raise on purpose; then nothing may have changed."""


@dataclass(eq=False)
class Call:
    """A question, and what came of it. Moments are numbers of entries in the event's ledger."""

    verb: str
    event: str
    subject: str | int  # a guest, or a number of tickets
    known: int  # what somebody had been told of when it was asked
    began: int  # what was committed then
    ended: int = 2**63  # what was committed when it was answered
    outcome: Any = UNANSWERED
    took_s: float = 0.0  # how long somebody had to wait, in the loop's time

    @property
    def told(self) -> Answer:
        """The outcome in the model's words."""
        match self.outcome:
            case Placement() if self.verb == "place":
                return self.outcome.status, self.outcome.position
            case Placement():
                return self.outcome.status, self.outcome.is_new
            case Cancellation() | Resizing():
                return list(self.outcome.promoted)
            case Opening():
                return "new" if self.outcome.is_new else "as before"
            case Counts():
                return self.outcome[1:4]
            case Refusal():
                return self.outcome.code
        raise AssertionError(f"nobody may be told this: {self}")

    @property
    def may_have_happened(self) -> bool:
        """Whether nobody was told if it has happened."""
        if isinstance(self.outcome, Unavailable):
            return self.outcome.code == "outcome_unknown"
        return isinstance(self.outcome, asyncio.CancelledError)

    @property
    def did_not_happen(self) -> bool:
        """Whether somebody was told that it has not."""
        return isinstance(self.outcome, Unavailable | Bug) and not self.may_have_happened

    @property
    def changed_something(self) -> bool:
        """Whether it was answered that something has changed; perhaps nothing has if only a capacity was confirmed."""
        match self.outcome:
            case Placement() | Opening():
                return self.outcome.is_new
        return isinstance(self.outcome, Cancellation | Resizing)


@dataclass(eq=False)
class Moment:
    """An event between two decisions: the number of entries so far, and what they have led to."""

    head: int = 0
    model: Model = field(default_factory=Model)
    orders: dict[str, str | None] = field(default_factory=dict)  # guest -> his live order


@dataclass(eq=False)
class Deed:
    """A decision in a ledger: its cause, the model's answer to it, and the moments before and after."""

    verb: str
    subject: str | int
    order_id: str | None
    answer: Answer
    before: Moment
    after: Moment


class History:
    """Everything that was asked of one box office, or of several one after the other, about some ledgers."""

    def __init__(self, ledgers: Mapping[str, Sequence[Entry]]) -> None:
        self.calls: list[Call] = []
        self.given_up: set[asyncio.Task[Any] | None] = set()  # tasks that were cancelled on purpose
        self._ledgers = ledgers
        self._known = Counter[str]()  # event -> entries that somebody has been told of

    def asked(self, verb: str, event: str, subject: str | int = "") -> Call:
        """Note a question."""
        now = asyncio.get_running_loop().time()
        call = Call(verb, event, subject, self._known[event], len(self._ledgers.get(event, ())), took_s=-now)
        self.calls.append(call)
        return call

    def answered(self, call: Call, outcome: object) -> None:
        """Note what came of it."""
        call.outcome = outcome
        call.took_s += asyncio.get_running_loop().time()
        call.ended = len(self._ledgers.get(call.event, ()))
        self._known[call.event] = max(self._known[call.event], self._told_of(call))

    async def witness(self, call: Call, answer: Awaitable[object]) -> Any:
        """Note what comes of a question, and return it; exceptions are returned, too, unless the task was given up."""
        try:
            self.answered(call, await answer)
        except asyncio.CancelledError as cancelled:
            was_given_up = asyncio.current_task() in self.given_up
            self.answered(call, cancelled if was_given_up else AssertionError("cancelled by nobody"))
            if was_given_up:
                raise
        except Exception as problem:
            self.answered(call, problem)
        return call.outcome

    def check(self) -> None:
        """Raises AssertionError if ledgers and answers do not agree."""
        assert not [call for call in self.calls if call.outcome is UNANSWERED], "somebody was never answered"
        slow = [call for call in self.calls if call.took_s > ANSWERED_WITHIN_S]
        assert not slow, f"somebody had to wait too long: {slow}"
        for event in self._known.keys() | self._ledgers.keys():
            ledger = self._ledgers.get(event, ())
            fold(event, ledger)
            _check(list(_deeds(ledger)), [call for call in self.calls if call.event == event])

    def _told_of(self, call: Call) -> int:
        match call.outcome:
            case Counts():
                return call.outcome.head
            case Placement() | Cancellation():
                kinds = {"cancelled"} if isinstance(call.outcome, Cancellation) else {"booked", "joined"}
                ledger = self._ledgers.get(call.event, ())
                return next(
                    (e.seq for e in ledger if e.order_id == call.outcome.order_id and e.kind in kinds), call.known
                )
        return call.known


def _deeds(ledger: Sequence[Entry]) -> Iterator[Deed]:
    moment = Moment()
    causes = [*(at for at, entry in enumerate(ledger) if entry.kind != "promoted"), len(ledger)]
    for start, end in pairwise(causes):
        cause, promoted = ledger[start], [entry.guest for entry in ledger[start + 1 : end]]
        verb, subject = VERBS[cause.kind], cause.guest or int(cause.detail or 0)
        before, moment = moment, Moment(end, _copy(moment.model), moment.orders.copy())
        answer = getattr(moment.model, verb)(subject)
        if verb in ("cancel", "resize"):
            assert promoted == answer, f"{cause} promotes {promoted} in place of {answer}"
        else:
            expected = {"opened": "new", "booked": ("booked", True), "joined": ("waiting", True)}[cause.kind]
            assert answer == expected, f"{cause} in place of {answer}"
        if cause.guest and verb == "cancel":
            del moment.orders[cause.guest]
        elif cause.guest:
            moment.orders[cause.guest] = cause.order_id
        yield Deed(verb, subject, cause.order_id, answer, before, moment)


def _check(deeds: Sequence[Deed], calls: Sequence[Call]) -> None:
    moments = [Moment(), *(deed.after for deed in deeds)]
    causes: set[Call] = set()
    for deed in deeds:
        possible = [call for call in calls if call not in causes and _may_have_caused(call, deed)]
        assert possible, f"a ghost, or an answer before its commit: nobody asked in time for {deed}"
        causes.add(possible[0] if len(possible) == 1 else min(possible, key=lambda call: _readiness(call, moments)))
    for call in calls:
        if call not in causes and not call.may_have_happened and not call.did_not_happen:
            assert not call.changed_something or isinstance(call.outcome, Resizing), f"acknowledged, and lost: {call}"
            assert _was_told_of_no_change(call, moments), f"this was true at no time while it was asked: {call}"


def _may_have_caused(call: Call, deed: Deed) -> bool:
    if call.verb != deed.verb or call.subject != deed.subject or call.began > deed.before.head:
        return False
    if call.may_have_happened:
        return True
    if not call.changed_something or call.told != deed.answer or call.ended < deed.after.head:
        return False
    if isinstance(call.outcome, Placement):
        place = deed.after.model.place(str(call.subject))
        return (call.outcome.status, call.outcome.position, call.outcome.order_id) == (*place, deed.order_id)
    return not isinstance(call.outcome, Cancellation) or call.outcome.order_id == deed.order_id


def _readiness(call: Call, moments: Sequence[Moment]) -> tuple[bool, bool, int]:
    """First who was told of a change, then who may have been told of none, then who may never have been heard."""
    may_be_none = isinstance(call.outcome, Resizing) and _was_told_of_no_change(call, moments)
    return call.may_have_happened, may_be_none, call.ended


def _was_told_of_no_change(call: Call, moments: Sequence[Moment]) -> bool:
    """Whether the answer is true, and changes nothing, at a moment between question and answer."""
    return not call.may_have_happened and any(
        _agree(call, moment) for moment in moments if call.known <= moment.head <= call.ended
    )


def _agree(call: Call, moment: Moment) -> bool:
    model = _copy(moment.model)
    answer = model.status() if call.verb == "status" else getattr(model, call.verb)(call.subject)
    if answer != call.told or vars(model) != vars(moment.model):
        return False
    if isinstance(call.outcome, Placement):
        place = (call.outcome.status, call.outcome.position)
        return moment.orders[str(call.subject)] == call.outcome.order_id and model.place(str(call.subject)) == place
    return not isinstance(call.outcome, Counts) or call.outcome.head == moment.head


def _copy(model: Model) -> Model:
    fresh = Model()
    fresh.capacity, fresh.booked, fresh.waiting = model.capacity, model.booked.copy(), model.waiting.copy()
    return fresh
