"""The desk: the in-memory place of one event, with its commands in hand and the answers they will get."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from webapp.booking.decisions import Decision
from webapp.booking.ledger import Actor, Entry
from webapp.booking.state import Counts, EventState

Answer = TypeVar("Answer")
Rule = Callable[[EventState], Decision[Answer]]


class Unavailable(Exception):
    """The box office cannot serve now. All codes but `outcome_unknown` promise that nothing was changed."""

    Code = Literal["overloaded", "storage_unavailable", "outcome_unknown", "shutting_down", "ledger_damaged"]

    def __init__(self, code: Code, sentence: str, retry_after_s: int = 1) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence
        self.retry_after_s = retry_after_s


@dataclass(eq=False, slots=True)
class Command:
    """A wish that waits at a desk, and the future that its answer goes to."""

    rule: Rule[Any]
    actor: Actor
    future: asyncio.Future[Any]


@dataclass(eq=False, slots=True)
class Desk:
    """The in-memory place of one event.

    `state` is None while it must be folded from the ledger; only the holder of the lock may change it. `published`
    is what everybody may see: always committed.
    """

    event_id: str
    state: EventState | None = None
    published: Counts | None = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    pending: deque[Command] = field(default_factory=deque)
    folding: asyncio.Task[Unavailable | None] | None = None
    is_in_line: bool = False  # stands in the committer's line
    used_at: float = 0.0

    @property
    def is_idle(self) -> bool:
        """Whether nothing is going on here."""
        return not (self.pending or self.folding or self.is_in_line or self.lock.locked())


@dataclass(eq=False, slots=True)
class Settlement:
    """What one desk contributes to a batch: new entries, and the answers to give once they are stored."""

    desk: Desk
    entries: list[Entry] = field(default_factory=list)
    answers: list[tuple[asyncio.Future[Any], object]] = field(default_factory=list)

    @property
    def counts(self) -> Counts:
        """The event's counts after the new entries."""
        if self.desk.state is None:
            raise AssertionError("a settlement whose state was dropped has nothing to store")
        return self.desk.state.counts

    def publish(self) -> Counts:
        """Let everybody see what is stored now."""
        self.desk.published = self.counts
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

    def undo(self, instead: Exception) -> None:
        """Drop the state that holds what was not stored, so that the next command folds it afresh."""
        self.desk.state = None
        self.answer(instead)
