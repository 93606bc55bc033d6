"""Events as the rules play them, ahead of the store: what happens to one is at hand as a batch for `append`."""

from collections.abc import AsyncIterator, Sequence
from itertools import count
from typing import Any, Final, TypeVar

from webapp.booking import decisions
from webapp.booking.details import Details
from webapp.booking.ledger import Contact, Entry
from webapp.booking.state import EventState
from webapp.storage.store import Addition, Kept

AT: Final = 1_760_000_000_000_000

Row = TypeVar("Row")


class Unwritten:
    """An event whose new entries, recorded by the rules, wait to be stored; entry n happens n - 1 µs after AT."""

    def __init__(self, event_id: str, tickets: int) -> None:
        self.state = EventState(event_id)
        self.new: list[Entry] = []
        self._numbers = count(1)
        self.open(tickets)

    def open(self, tickets: int) -> None:
        """Open it, or open it again."""
        self._happen(decisions.open_event(self.state, self.now, tickets))

    def book(self, *guests: str, contact: Contact = decisions.NOBODY_KNOWN) -> None:
        """Let guests book one after the other; the event's n-th order is called `<event>-<n>`, with n as its salt."""
        for guest in guests:
            number = next(self._numbers)
            order_id, salt = f"{self.state.event_id}-{number}", number.to_bytes(16, "big")
            self._happen(decisions.book(self.state, self.now, guest, order_id, salt, contact))

    def cancel(self, guest: str, reason: str | None = "on the phone") -> None:
        """End a guest's live order."""
        self._happen(decisions.cancel(self.state, self.now, guest, reason))

    def revise(self, tickets: int | None = None, details: Details | None = None) -> None:
        """Change the capacity, the details or both."""
        self._happen(decisions.revise(self.state, self.now, tickets=tickets, details=details))

    def delete(self) -> None:
        """Delete the event."""
        self._happen(decisions.delete_event(self.state, self.now))

    def check_in(self, guest: str, gate: str | None = None) -> None:
        """Let a guest in."""
        self._happen(decisions.check_in(self.state, self.now, guest, self.state.live[guest], gate))

    def undo_check_in(self, guest: str) -> None:
        """Take a guest's check-in back."""
        self._happen(decisions.undo_check_in(self.state, self.now, guest, self.state.live[guest]))

    def erase(self, guest: str, *order_ids: str) -> None:
        """Forget who placed these orders of a guest; without any, his live one."""
        self._happen(decisions.erase(self.state, self.now, guest, order_ids or (self.state.live[guest],)))

    def addition(self, *kept: Kept) -> Addition:
        """What is new, to be stored now."""
        new, self.new = self.new, []
        return Addition(self.state.counts, new, kept)

    @property
    def now(self) -> int:
        """When its next entry happens."""
        return AT + self.state.head

    def _happen(self, decision: decisions.Decision[Any]) -> None:
        self.new += [self.state.record(fact, self.now, "organiser") for fact in decision.facts]


async def read(chunks: AsyncIterator[Sequence[Row]]) -> list[Row]:
    """Everything that is read in chunks."""
    return [row async for chunk in chunks for row in chunk]
