"""What an event does by the letter of the rules: with lists and sets, slow, and obviously right.

It shares no code with `webapp.booking`. A refusal is answered by its code.
"""

Answer = str | tuple[object, ...] | list[str]


class Model:
    """One event. Every method answers what the real thing must answer."""

    def __init__(self) -> None:
        self.capacity: int | None = None
        self.booked: set[str] = set()
        self.waiting: list[str] = []

    def open(self, tickets: int) -> Answer:
        """Whether the event is new."""
        if self.capacity is None:
            self.capacity = tickets
            return "new"
        return "as before" if self.capacity == tickets else "event_exists"

    def book(self, guest: str) -> Answer:
        """The guest's status, and whether his order is new."""
        if self.capacity is None:
            return "event_not_found"
        is_new = guest not in self.booked and guest not in self.waiting
        if is_new and len(self.booked) < self.capacity:
            self.booked.add(guest)
        elif is_new:
            self.waiting.append(guest)
        return "booked" if guest in self.booked else "waiting", is_new

    def cancel(self, guest: str) -> Answer:
        """The guests who got a ticket through it."""
        if self.capacity is None:
            return "event_not_found"
        if guest not in self.booked and guest not in self.waiting:
            return "order_not_found"
        self.booked.discard(guest)
        self.waiting = [other for other in self.waiting if other != guest]
        return self._promoted(self.capacity)

    def resize(self, tickets: int) -> Answer:
        """The guests who got a ticket through it."""
        if self.capacity is None:
            return "event_not_found"
        if tickets < len(self.booked):
            return "capacity_below_booked"
        self.capacity = tickets
        return self._promoted(tickets)

    def status(self) -> Answer:
        """Capacity, how many are booked, how many wait."""
        return "event_not_found" if self.capacity is None else (self.capacity, len(self.booked), len(self.waiting))

    def place(self, guest: str) -> Answer:
        """The guest's status, and his position where he waits."""
        if self.capacity is None:
            return "event_not_found"
        if guest in self.booked:
            return "booked", None
        return ("waiting", self.waiting.index(guest) + 1) if guest in self.waiting else "order_not_found"

    def _promoted(self, capacity: int) -> list[str]:
        free = capacity - len(self.booked)
        promoted, self.waiting = self.waiting[:free], self.waiting[free:]
        self.booked.update(promoted)
        return promoted
