"""What was asked and answered, held against what the ledgers say in the end.

Each ledger is replayed through the model, decision by decision. Every answer must be the model's at a moment between
question and answer, everything in a ledger must have been asked for, and whoever was told no must have changed nothing.
Whatever was asked under a key must have had one effect and one answer.
"""

import asyncio
import json
from collections import Counter, defaultdict
from collections.abc import Awaitable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from itertools import pairwise
from typing import Any

from tests.model import Answer, Model
from webapp.booking import answers
from webapp.booking.answers import Cancellation, CheckIn, Deletion, Erasure, Opening, Placement, Refusal, Revision
from webapp.booking.details import Details
from webapp.booking.ledger import Entry
from webapp.booking.state import Counts, fold
from webapp.desk import AnsweredBefore, Once, Unavailable

Subject = str | int | tuple[str | None, ...]
"""A guest, a number of tickets, a title, an order's id, an order's id and a gate, or several orders' ids."""

UNANSWERED = object()
ANSWERED_WITHIN_S = 10.0
UNPLACED = "no such order yet"


class Bug(Exception):
    """Something that a rule may raise on purpose; then nothing may have changed."""


@dataclass(eq=False)
class Call:
    """A question, and what came of it. Moments are numbers of entries in the event's ledger."""

    verb: str
    event: str
    subject: Subject
    known: int  # what somebody had been told of when it was asked
    began: int  # what was committed then
    key: str | None = None
    ended: int = 2**63  # what was committed when it was answered
    outcome: Any = UNANSWERED
    took_s: float = 0.0  # how long somebody had to wait, in the loop's time

    @property
    def once(self) -> Once | None:
        """The key, and what is asked under it."""
        return None if self.key is None else Once(digest(self.key), digest(self.wish), text_of)

    @property
    def wish(self) -> tuple[object, ...]:
        """What is asked for."""
        return self.verb, self.event, self.subject

    @property
    def told(self) -> Answer:
        """The outcome in the model's words."""
        if isinstance(self.outcome, Placement) and self.verb == "place":
            return self.outcome.status, self.outcome.position
        if isinstance(self.outcome, Counts):
            return self.outcome[1:4]
        if isinstance(self.outcome, Refusal):
            return self.outcome.code
        return told(self.outcome)

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
    def was_answered_before(self) -> bool:
        """Whether the answer was one that had been given before, or that the key had served for something else."""
        return isinstance(self.outcome, AnsweredBefore) or self.outcome_code == "idempotency_key_reused"

    @property
    def outcome_code(self) -> str:
        """The code of a refusal or of an unavailability; nothing where there is an answer."""
        return str(getattr(self.outcome, "code", ""))

    @property
    def receipt(self) -> answers.Receipt | None:
        """What shows that it has changed something."""
        return self.outcome.receipt if isinstance(self.outcome, answers.Answer) else None


@dataclass(eq=False)
class Moment:
    """An event between two decisions: the number of entries so far, and what they have led to.

    Answers are the model's, but that whoever got a ticket is named by his order.
    """

    head: int = 0
    model: Model = field(default_factory=Model)
    order_ids: list[str] = field(default_factory=list)  # as the model counts them

    @property
    def live(self) -> dict[str, str]:
        """The live order of every guest who has one."""
        orders = zip(self.order_ids, self.model.orders, strict=True)
        return {order.guest: order_id for order_id, order in orders if not order.is_cancelled}

    def copied(self) -> "Moment":
        """The same, to change on its own."""
        orders = [replace(order) for order in self.model.orders]
        model = replace(self.model, booked=set(self.model.booked), waiting=list(self.model.waiting), orders=orders)
        return Moment(self.head, model, list(self.order_ids))

    def ask(self, verb: str, subject: Subject, order_id: str | None = None) -> Answer:
        """Ask the model, and have it change; a new order gets this id."""
        answer = self._answer(verb, subject)
        if len(self.model.orders) > len(self.order_ids):
            self.order_ids.append(order_id or "")
        return [self.live[guest] for guest in answer] if isinstance(answer, list) else answer

    def _answer(self, verb: str, subject: Subject) -> Answer:
        match verb, subject:
            case (("cancel_order" | "undo_check_in"), str(order_id)):
                number = self._number(order_id)
                return UNPLACED if number is None else getattr(self.model, verb)(number)
            case "check_in", (str(order_id), gate):
                number = self._number(order_id)
                return UNPLACED if number is None else self.model.check_in(number, gate)
            case "retitle", title:
                return self.model.revise(self.model.edits, None, self.model.plan._replace(title=str(title)))
            case "delete", _:
                return self.model.delete(self.model.edits)
            case "status", _:
                return self.model.status()
        answer: Answer = getattr(self.model, verb)(subject)
        return answer

    def forget(self, order_id: str) -> None:
        """Have the model erase an order's guest."""
        self.model.forget(self.order_ids.index(order_id))

    def _number(self, order_id: str) -> int | None:
        return self.order_ids.index(order_id) if order_id in self.order_ids else None


@dataclass(eq=False)
class Deed:
    """A decision in a ledger: its first entry, what may have caused it, the answer, and the moments around it."""

    cause: Entry
    wishes: dict[str, Subject]  # verb -> subject
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

    def asked(self, verb: str, event: str, subject: Subject = "", key: str | None = None) -> Call:
        """Note a question."""
        now = asyncio.get_running_loop().time()
        call = Call(verb, event, subject, self._known[event], len(self._ledgers.get(event, ())), key, took_s=-now)
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
        _check_keys(self.calls, self._ledgers)

    def _told_of(self, call: Call) -> int:
        if call.receipt:
            return call.receipt.entry
        match call.outcome:
            case Counts():
                return call.outcome.head
            case Placement():
                ledger = self._ledgers.get(call.event, ())
                placing = (e.seq for e in ledger if e.order_id == call.outcome.order_id and e.kind in PLACING)
                return next(placing, call.known)
            case AnsweredBefore():
                return json.loads(call.outcome.text)[0] or call.known
        return call.known


PLACING = ("booked", "joined")
LOOKS = ("place", "status")


def told(answer: object) -> Answer:
    """What a wish has come to, in the model's words."""
    match answer:
        case Placement():
            return answer.status, answer.is_new
        case Cancellation() | Revision():
            return [promotion.order_id for promotion in answer.promoted]
        case Opening():
            return "new" if answer.is_new else "as before"
        case CheckIn():
            return 0, answer.gate
        case Deletion():
            return []
        case Erasure():
            return tuple(answer.order_ids)
    raise AssertionError(f"nobody may be told this: {answer!r}")


def text_of(answer: answers.Answer) -> str:
    """What is kept of an answer: the entry that shows its effect, if it had any, what was told, and the order."""
    return json.dumps([answer.receipt and answer.receipt.entry, told(answer), getattr(answer, "order_id", None)])


def digest(said: object) -> bytes:
    """32 bytes for whatever somebody says."""
    return sha256(repr(said).encode()).digest()


def _deeds(ledger: Sequence[Entry]) -> Iterator[Deed]:
    moment = Moment()
    starts = [*(at for at, entry in enumerate(ledger) if entry.kind != "promoted"), len(ledger)]
    for start, end in pairwise(starts):
        cause, promoted = ledger[start], [entry.order_id for entry in ledger[start + 1 : end]]
        before, moment = moment, replace(moment.copied(), head=end)
        if cause.kind == "erased":
            moment.forget(str(cause.order_id))
            yield Deed(cause, {"erase": str(cause.order_id)}, "erased", before, moment)
            continue
        wishes = _wishes(cause)
        answer = moment.ask(*next(iter(wishes.items())), cause.order_id)
        expected = {
            "opened": "new", "booked": ("booked", True), "joined": ("waiting", True), "checked_in": (0, cause.detail),
            "check_in_undone": answer if isinstance(answer, tuple) else "an arrival",
        }.get(cause.kind, promoted)  # fmt: skip
        assert answer == expected, f"{cause} and {promoted} in place of {answer}"
        yield Deed(cause, wishes, answer, before, moment)


def _wishes(cause: Entry) -> dict[str, Subject]:
    """What somebody may have asked for if this came of it: verbs with their subjects."""
    order_id, guest = str(cause.order_id), str(cause.guest)
    match cause.kind:
        case "opened":
            return {"open": int(cause.detail or 0)}
        case "resized":
            return {"resize": int(cause.detail or 0)}
        case "revised":
            assert isinstance(cause.aside, Details)
            return {"retitle": cause.aside.title}
        case "deleted":
            return {"delete": ""}
        case "booked" | "joined":
            return {"book": guest}
        case "cancelled":
            return {"cancel_order": order_id, "cancel": guest}
        case "checked_in":
            return {"check_in": (order_id, cause.detail)}
        case "check_in_undone":
            return {"undo_check_in": order_id}
    raise AssertionError(f"nobody asks for this here: {cause}")


def _check(deeds: Sequence[Deed], calls: Sequence[Call]) -> None:
    moments = [Moment(), *(deed.after for deed in deeds)]
    shown = defaultdict[int, list[Call]](list)  # entry -> calls with a receipt for it
    for call in calls:
        if call.receipt:
            shown[call.receipt.entry].append(call)
    uncertain = [call for call in calls if call.may_have_happened or call.verb == "erase"]
    causes: set[Call] = set()
    for deed in deeds:
        candidates = (call for call in (*shown[deed.cause.seq], *uncertain) if call not in causes)
        possible = [call for call in candidates if _may_have_caused(call, deed)]
        assert possible, f"a ghost, or an answer before its commit: nobody asked in time for {deed}"
        if deed.cause.kind != "erased":  # of which one wish makes several
            causes.add(min(possible, key=lambda call: (call.may_have_happened, call.ended)))
    for call in calls:
        if call in causes or call.may_have_happened or call.did_not_happen or call.was_answered_before:
            continue
        if call.verb == "erase":
            _check_erasure(call, deeds)
        else:
            assert not call.receipt, f"acknowledged, and lost: {call}"
            assert _was_true(call, moments), f"this was true at no time while it was asked: {call}"


def _may_have_caused(call: Call, deed: Deed) -> bool:
    subject = deed.wishes.get(call.verb)
    if subject is None or call.began > deed.before.head:
        return False
    if call.verb == "erase":
        is_his = isinstance(call.subject, tuple) and subject in call.subject
        return is_his and (call.may_have_happened or call.receipt is not None)
    if subject != call.subject:
        return False
    if call.may_have_happened:
        return True
    if call.receipt != (deed.cause.seq, deed.cause.at, deed.cause.hash):
        return False
    assert call.told == deed.answer, f"{call} was told something else than {deed.answer}"
    assert call.ended >= deed.after.head, f"an answer before its commit: {call}"
    if isinstance(call.outcome, Placement):
        place = deed.after.model.place(str(call.subject))
        assert (call.outcome.status, call.outcome.position) == place, f"{call} was told another place than {place}"
    return getattr(call.outcome, "order_id", deed.cause.order_id) == deed.cause.order_id


def _check_erasure(call: Call, deeds: Sequence[Deed]) -> None:
    """All orders that were to be erased are, one after the other, from the entry of the receipt on."""
    if isinstance(call.outcome, Refusal):
        assert call.told == "event_not_found", f"an erasure was refused: {call}"
        return
    assert call.receipt, f"nothing shows the erasure: {call}"
    assert isinstance(call.subject, tuple)
    first = next(number for number, deed in enumerate(deeds) if deed.cause.seq == call.receipt.entry)
    erased = deeds[first : first + len(call.outcome.order_ids)]
    assert [(deed.cause.kind, deed.cause.order_id) for deed in erased] == [("erased", his) for his in call.subject]
    assert call.ended >= erased[-1].after.head, f"an answer before its commit: {call}"


def _was_true(call: Call, moments: Sequence[Moment]) -> bool:
    """Whether the answer is true, and changes nothing, at a moment between question and answer."""
    return any(_agree(call, moment) for moment in moments if call.known <= moment.head <= call.ended)


def _agree(call: Call, moment: Moment) -> bool:
    asked = moment if call.verb in LOOKS else moment.copied()
    if asked.ask(call.verb, call.subject) != call.told or asked.model != moment.model:
        return False
    if isinstance(call.outcome, Placement):
        place = (call.outcome.status, call.outcome.position)
        guest = str(call.subject)
        return moment.live[guest] == call.outcome.order_id and moment.model.place(guest) == place
    return not isinstance(call.outcome, Counts) or call.outcome.head == moment.head


def _check_keys(calls: Sequence[Call], ledgers: Mapping[str, Sequence[Entry]]) -> None:
    """Whoever asks again under a key is told what was told before, or could have been; and it has one effect."""
    under = defaultdict[str, list[Call]](list)
    for call in calls:
        if call.key is not None:
            under[call.key].append(call)
    for key, sharing in under.items():
        wishes = {call.wish for call in sharing if isinstance(call.outcome, answers.Answer | AnsweredBefore)}
        assert len(wishes) <= 1, f"{key} has served for more than one wish: {wishes}"
        first = [text_of(call.outcome) for call in sharing if isinstance(call.outcome, answers.Answer)]
        again = {call.outcome.text for call in sharing if isinstance(call.outcome, AnsweredBefore)}
        assert len(first) <= 1, f"{key} has had more than one effect, or none that was kept: {first}"
        assert len({*first, *again}) <= 1, f"{key} has had more than one answer: {[*first, *again]}"
        assert first or not again or any(call.may_have_happened for call in sharing), f"nobody was told {again} first"
        for text in again:
            entry, _, order_id = json.loads(text)
            event = next(event for _, event, *_ in wishes)
            assert not entry or ledgers[str(event)][entry - 1].order_id == order_id, f"{text} is not what is recorded"
        reused = [call for call in sharing if call.outcome_code == "idempotency_key_reused"]
        for call in reused:
            others = [other for other in sharing if other.wish != call.wish and not other.did_not_happen]
            assert any(other.outcome_code != "idempotency_key_reused" for other in others), f"{key} was new: {call}"
