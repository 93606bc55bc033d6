"""The desk: the in-memory place of one event, with its commands in hand and the answers they will get."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from webapp.booking.answers import Answer, Refusal
from webapp.booking.decisions import Decision
from webapp.booking.details import UNTOLD, Details
from webapp.booking.ledger import Actor, Entry
from webapp.booking.state import Counts, EventState
from webapp.storage.store import Kept

A = TypeVar("A", bound=Answer)
Rule = Callable[[EventState, int], Decision[A]]
"""From a state and the time of the decision, in microseconds since 1970, UTC."""


class Unavailable(Exception):
    """The box office cannot serve now. All codes but `outcome_unknown` promise that nothing was changed."""

    Code = Literal["overloaded", "storage_unavailable", "outcome_unknown", "shutting_down", "ledger_damaged"]

    def __init__(self, code: Code, sentence: str, retry_after_s: int = 1) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence
        self.retry_after_s = retry_after_s


class AnsweredBefore(Exception):
    """This very wish was answered before, with a text that was kept; nothing has changed since it was."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


@dataclass(frozen=True, slots=True)
class Once:
    """A wish that has one effect and one answer, however often it is sent.

    `key` is a digest of who asks, for what, and the key he chose; `request` one of what he says; 32 bytes each. `told`
    makes of the rule's answer the text to keep, which is stored in the transaction of the wish itself.

    Source: https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/
    """

    key: bytes
    request: bytes
    told: Callable[[Any], str]

    def told_before(self, kept: Kept) -> AnsweredBefore | Refusal:
        """The outcome where something is kept under the key."""
        if kept.request == self.request:
            return AnsweredBefore(kept.text)
        return Refusal(
            "idempotency_key_reused",
            "This Idempotency-Key was used with another request already; a new request needs a key of its own",
        )


@dataclass(eq=False, slots=True)
class Command:
    """A wish that waits at a desk, and the future that its answer goes to."""

    rule: Rule[Any]
    actor: Actor
    future: asyncio.Future[Any]
    once: Once | None = None


@dataclass(eq=False, slots=True)
class Desk:
    """The in-memory place of one event.

    `state` is None while it must be folded from the ledger; only the holder of the lock may change it. `published`
    and `details` are what everybody may see: always committed.
    """

    event_id: str
    state: EventState | None = None
    published: Counts | None = None
    details: Details = UNTOLD
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    pending: deque[Command] = field(default_factory=deque)
    folding: asyncio.Task[Unavailable | None] | None = None
    is_in_line: bool = False  # stands in the committer's line
    used_at: float = 0.0

    @property
    def is_idle(self) -> bool:
        """Whether nothing is going on here."""
        return not (self.pending or self.folding or self.is_in_line or self.lock.locked())

    @property
    def is_listed(self) -> bool:
        """Whether the event is in the public list."""
        return self.published is not None and not self.details.hidden


@dataclass(eq=False, slots=True)
class Settlement:
    """What one desk contributes to a batch: new entries, and the answers to give once they are stored.

    `deciding` is the future of the command that is being decided. `looked_up` is what was kept under the keys of its
    commands before, `blindness` why that could not be seen, and `kept` is what comes to it now.
    `has_appeared` says, once it is published, whether the event is in the public list only since then.
    """

    desk: Desk
    entries: list[Entry] = field(default_factory=list)
    answers: list[tuple[asyncio.Future[Any], object]] = field(default_factory=list)
    deciding: asyncio.Future[Any] | None = None
    looked_up: dict[bytes, Kept | None] = field(default_factory=dict)
    blindness: Unavailable | None = None
    kept: dict[bytes, Kept] = field(default_factory=dict)
    has_appeared: bool = False

    @property
    def is_to_be_stored(self) -> bool:
        """Whether it answers anything that is not committed yet."""
        return bool(self.entries or self.kept)

    @property
    def counts(self) -> Counts:
        """The event's counts after the new entries."""
        assert self.desk.state is not None, "a settlement whose state was dropped has nothing to store"
        return self.desk.state.counts

    def publish(self) -> Counts | None:
        """Let everybody see what is stored now; None where that is nothing any more."""
        before, counts = self.desk.published, self.counts
        if before is not None and before.revision == counts.revision and not counts.is_deleted:
            self.desk.published = counts
        else:
            self._publish_details(counts)
        return self.desk.published

    def answer(self, instead: Exception | None = None) -> None:
        """Give every answer; with `instead`, give everybody that."""
        for future, answer in self.answers:
            if not future.done():
                outcome = instead or answer
                if isinstance(outcome, Exception):
                    future.set_exception(outcome)
                else:
                    future.set_result(outcome)
        self.answers.clear()
        if instead is not None and self.deciding is not None and not self.deciding.done():
            self.deciding.set_exception(instead)

    def undo(self, instead: Exception) -> None:
        """Drop the state that holds what was not stored, so that the next command folds it afresh."""
        self.desk.state = None
        self.entries.clear()
        self.kept.clear()
        self.answer(instead)

    def _publish_details(self, counts: Counts) -> None:
        was_listed = self.desk.is_listed
        for entry in self.entries:
            if entry.kind == "opened":
                self.desk.details = UNTOLD
            elif isinstance(entry.aside, Details):
                self.desk.details = entry.aside
        self.desk.published = None if counts.is_deleted else counts
        self.has_appeared = self.desk.is_listed and not was_listed
