"""What an event does by the letter of the rules: with lists and sets, slow, and obviously right.

It shares no code with `webapp.booking`. A refusal is answered by its code. Times are numbers, in any unit.
"""

from dataclasses import dataclass, field
from typing import Final, NamedTuple

Answer = str | tuple[object, ...] | list[str]


class Plan(NamedTuple):
    """What can be edited, but the capacity."""

    title: str = ""
    hidden: bool = False
    opens_at: int | None = None
    closes_at: int | None = None
    starts_at: int | None = None


UNPLANNED: Final = Plan()


@dataclass
class Order:
    """One order; who was erased has a name that nobody else can have."""

    guest: str
    is_cancelled: bool = False
    arrival: tuple[int, str | None] | None = None  # when and where


@dataclass
class Model:
    """One event. Every method answers what the real thing must answer. Orders go by their number, from 0 on."""

    capacity: int | None = None
    booked: set[str] = field(default_factory=set)
    waiting: list[str] = field(default_factory=list)
    now: int = 0
    plan: Plan = UNPLANNED
    orders: list[Order] = field(default_factory=list)
    edits: int = 0  # how often the plan or the capacity has changed
    has_lapsed: bool = False

    def open(self, tickets: int) -> Answer:
        """Whether the event is new."""
        if self.capacity is None:
            self.capacity, self.edits = tickets, self.edits + 1
            return "new"
        return "as before" if self.capacity == tickets else "event_exists"

    def create(self, tickets: int, plan: Plan) -> Answer:
        """Nothing but that it is there."""
        if self.capacity is not None:
            return "event_exists"
        self.capacity, self.plan, self.edits = tickets, plan, self.edits + 1
        return []

    def book(self, guest: str) -> Answer:
        """The guest's status, and whether his order is new."""
        if self.capacity is None:
            return "event_not_found"
        is_new = guest not in self.booked and guest not in self.waiting
        if is_new and self.booking() != "open":
            return "not_open_yet" if self.booking() == "not_open_yet" else "booking_closed"
        if is_new:
            self.orders.append(Order(guest))
        if is_new and len(self.booked) < self.capacity and not self.waiting:
            self.booked.add(guest)
        elif is_new:
            self.waiting.append(guest)
        return "booked" if guest in self.booked else "waiting", is_new

    def cancel(self, guest: str) -> Answer:
        """The guests who got a ticket through it."""
        if self.capacity is None:
            return "event_not_found"
        order = next(
            (order for order in reversed(self.orders) if order.guest == guest and not order.is_cancelled), None
        )
        return "order_not_found" if order is None else self._cancel(order)

    def cancel_order(self, number: int) -> Answer:
        """The guests who got a ticket through it."""
        order = self.orders[number]
        return "order_cancelled" if order.is_cancelled else self._cancel(order)

    def check_in(self, number: int, gate: str | None) -> Answer:
        """When and where the guest has come in."""
        order = self.orders[number]
        if order.is_cancelled:
            return "order_cancelled"
        if order.guest in self.waiting:
            return "not_booked"
        if order.arrival is not None:
            return "already_checked_in"
        order.arrival = self.now, gate
        return order.arrival

    def undo_check_in(self, number: int) -> Answer:
        """When and where the guest had come in."""
        order = self.orders[number]
        if order.is_cancelled:
            return "order_cancelled"
        if order.arrival is None:
            return "not_checked_in"
        arrival, order.arrival = order.arrival, None
        return arrival

    def erase(self, number: int) -> Answer:
        """The numbers of the orders that named their guest until now."""
        guest = self.orders[number].guest
        erased = [other for other, order in enumerate(self.orders) if order.guest == guest and not is_erased(guest)]
        for other in erased:
            self.forget(other)
        return tuple(erased)

    def forget(self, number: int) -> None:
        """Give one order a name that nobody has."""
        order, name = self.orders[number], erased_name(number)
        if not order.is_cancelled:
            self.waiting = [name if guest == order.guest else guest for guest in self.waiting]
            self.booked = {name if guest == order.guest else guest for guest in self.booked}
        order.guest = name

    def resize(self, tickets: int) -> Answer:
        """The guests who got a ticket through it."""
        return self.revise(self.edits, tickets, None)

    def revise(self, edits: int, tickets: int | None, plan: Plan | None, *, is_rehearsal: bool = False) -> Answer:
        """The guests who got a ticket through it. `edits` is how often it had been changed when somebody looked."""
        if self.capacity is None:
            return "event_not_found"
        if edits != self.edits:
            return "event_changed"
        tickets = self.capacity if tickets is None else tickets
        plan = self.plan if plan is None else plan
        if tickets < len(self.booked):
            return "capacity_below_booked"
        if is_rehearsal:
            return Model(tickets, self.booked, self.waiting, self.now, plan, has_lapsed=self._lapses(plan))._promoted()
        if (tickets, plan) != (self.capacity, self.plan):
            self.edits += 1
        self.has_lapsed = self._lapses(plan)
        self.capacity, self.plan = tickets, plan
        return self._promoted()

    def delete(self, edits: int) -> Answer:
        """Nothing but that it is gone."""
        if self.capacity is None:
            return "event_not_found"
        if edits != self.edits:
            return "event_changed"
        if self.orders:
            return "event_has_orders"
        self.capacity, self.plan, self.has_lapsed = None, UNPLANNED, False
        return []

    def status(self) -> Answer:
        """Capacity, how many are booked, how many wait."""
        return "event_not_found" if self.capacity is None else (self.capacity, len(self.booked), len(self.waiting))

    def event(self) -> Answer:
        """All that is shown of the event besides."""
        if self.capacity is None:
            return "event_not_found"
        return self.plan, self.booking(), sum(order.arrival is not None for order in self.orders)

    def place(self, guest: str) -> Answer:
        """The guest's status, and his position where he waits."""
        if self.capacity is None:
            return "event_not_found"
        if guest in self.booked:
            return "booked", None
        return ("waiting", self.waiting.index(guest) + 1) if guest in self.waiting else "order_not_found"

    def roster(self) -> list[tuple[object, ...]]:
        """Guest, status, position and arrival of every order."""
        return [
            (order.guest, *(("cancelled", None) if order.is_cancelled else self.place(order.guest)), order.arrival)
            for order in self.orders
        ]

    def booking(self) -> str:
        """Whether one can book now."""
        ends_at = self.plan.starts_at if self.plan.closes_at is None else self.plan.closes_at
        if self.plan.opens_at is not None and self.now < self.plan.opens_at:
            return "not_open_yet"
        return "closed" if ends_at is not None and self.now >= ends_at else "open"

    def _cancel(self, order: Order) -> Answer:
        if order.arrival is not None:
            return "already_checked_in"
        order.is_cancelled = True
        self.booked = self.booked - {order.guest}
        self.waiting = [other for other in self.waiting if other != order.guest]
        return self._promoted()

    def _lapses(self, plan: Plan) -> bool:
        """Whether it stays as it is that nobody gets a ticket any more, if this becomes the plan."""
        return self.has_lapsed and plan[2:] == self.plan[2:]

    def _promoted(self) -> list[str]:
        free = (self.capacity or 0) - len(self.booked)
        if not free or not self.waiting:
            return []
        starts_at, closes_at = self.plan.starts_at, self.plan.closes_at
        if starts_at is not None and self.now >= max(starts_at, starts_at if closes_at is None else closes_at):
            self.has_lapsed = True
        if self.has_lapsed:
            return []
        promoted, self.waiting = self.waiting[:free], self.waiting[free:]
        self.booked = self.booked | set(promoted)
        return promoted


def erased_name(number: int) -> str:
    """What an order's guest is called once he is erased."""
    return f"<order {number}>"


def is_erased(guest: str) -> bool:
    """Whether that is what somebody is called who was erased."""
    return guest.startswith("<order ")
