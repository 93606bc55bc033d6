"""What can be asked about the programme, orders, rosters and ledgers. Reads only, and never for long at a stretch."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Iterable
from typing import Final, Literal, NamedTuple, TypeVar

from webapp.booking.answers import Receipt, Refusal
from webapp.booking.ledger import Actor, Entry, pseudonym
from webapp.booking.state import Arrival, Status
from webapp.box_office import BoxOffice
from webapp.desk import Unavailable
from webapp.storage.store import (
    Archive,
    Audience,
    OrderRow,
    ProgrammeCursor,
    ProgrammePage,
    StoreUnreadable,
    Turn,
)  # fmt: skip
from webapp.turnout import Turnout, Turnouts

log = logging.getLogger(__name__)

READ_TIMEOUT_S: Final = 8.0
SEARCHES_MAX: Final = 4
"""So many searches for a title may wait at a time, since each looks at all events, and all other reads wait for it."""

TURNS_MAX: Final = 1_000
"""Cancellations and changes that a history looks back on. Whoever has seen more of them is told so."""

Share = Literal["booked", "waiting", "cancelled", "checked_in"]
"""A part of a roster."""

StepKind = Literal[
    "booked", "joined", "promoted", "left", "checked_in", "check_in_undone", "cancelled", "resized", "revised", "lapsed"
]

T = TypeVar("T")


class Standing(NamedTuple):
    """An order as it stands at one instant; `position` is 1-based, and None unless it waits."""

    order: OrderRow
    position: int | None


class RosterPage(NamedTuple):
    """Some orders in the order of their placing, and the entry to go on behind; None where there are no more."""

    standings: list[Standing]
    next: int | None


class Step(NamedTuple):
    """Something that happened to an order, or before it in the waiting list.

    `cancelled`: somebody who asked before left. `resized`, `revised`: tickets came free. `lapsed`: a ticket came free
    when promotions were over. `left`: the order was cancelled itself. `moved` places up; `position` after it, None
    where it is not known or there is none; `actor` of what happened to the order itself.
    """

    entry: int
    at: int  # microseconds since 1970, UTC
    kind: StepKind
    moved: int = 0
    position: int | None = None
    actor: Actor | None = None


class Why(NamedTuple):
    """Why an order stands where it stands: how many waited when it joined, and what has happened since, in order.

    Where not `is_complete`, the oldest steps are left out, and `asked_before` is None.
    """

    asked_before: int | None
    steps: list[Step]
    is_complete: bool


class Look(NamedTuple):
    """All that is in memory of an order after entry `head`; without status where it is no longer live."""

    head: int
    guest: str
    status: Status | None
    position: int | None
    arrival: Arrival | None
    revision: int
    has_lapsed: bool

    def shows_the_same(self, other: "Look") -> bool:
        """Whether nothing that explains the order has changed between the two, except for an arrival taken back."""
        return self[1:] == other[1:]


class Explained(NamedTuple):
    """An order as it stands, why, and the entry that placed it, all of them as of the one instant of a look."""

    standing: Standing
    why: Why
    receipt: Receipt
    look: Look


class Enquiries:
    """Reads what is committed, next to what the box office knows at the moment."""

    def __init__(self, archive: Archive, box_office: BoxOffice) -> None:
        self._archive = archive
        self._searches = 0
        self._box_office = box_office
        self._turnouts = Turnouts(archive)

    async def programme(
        self, limit: int, after: ProgrammeCursor | None = None, shown_to: Audience = "guests", *, q: str = ""
    ) -> ProgrammePage:
        """What is on, with published counts: at most `limit` events, upcoming ones first and past ones last.

        With `q`, those that have it in their title, whatever the case. Raises Unavailable.
        """
        if q and self._searches >= SEARCHES_MAX:
            raise Unavailable("overloaded", "Too many people are searching just now", 1)
        self._searches += bool(q)
        try:
            page = await _read(self._archive.programme(self._box_office.now(), limit, after, shown_to, q))
        finally:
            self._searches -= bool(q)
        return ProgrammePage(self._box_office.as_published(page.events, shown_to), page.next)

    async def order(self, order_id: str) -> OrderRow:
        """An order. Raises Refusal `order_not_found`, Unavailable."""
        found = await _read(self._archive.order(order_id))
        if found is None:
            raise Refusal("order_not_found", "There is no such order")
        return found

    async def orders_beginning(self, prefix: str) -> list[OrderRow]:
        """The orders whose ids begin with some hexadecimal digits, at most 1,000. Raises Unavailable."""
        return await _read(self._archive.orders_beginning(prefix))

    async def standing(self, order: OrderRow) -> Standing:
        """How an order stands now. Raises Refusal `order_not_found`, Unavailable."""
        return (await self._standings(order.event_id, [await self.order(order.id)]))[0]

    async def receipt(self, order: OrderRow) -> Receipt:
        """The entry that placed an order. Raises Unavailable."""
        return _receipt(await self._placing(order))

    async def explained(self, order: OrderRow, before: Explained | None = None) -> Explained:
        """How an order stands, and the short history that explains it.

        With what was found `before`, that itself where nothing about the order has changed since; and for who still
        waits, only what has happened since is read.

        Raises Refusal `event_not_found`, Unavailable.
        """
        look = await self._look(order)
        if before is not None:
            if look.status and look.shows_the_same(before.look):
                return before
            if later := await self._moved_up(before, look):
                return later
        placed = await self._placing(order)
        row = await self.order(order.id)  # read behind the look, so that it knows all that the look knows, or more
        own = [entry for entry in await _read(self._archive.turns_of(order.id)) if entry.seq <= look.head]
        return Explained(_standing_at(row, look), await self._why(order, placed, own, look), _receipt(placed), look)

    async def _look(self, order: OrderRow) -> Look:
        names = [pseudonym(order.id), order.guest]  # the pseudonym is nobody else's, the guest's name may be by now
        seen = await self._box_office.places(order.event_id, names)
        name = next((name for name in names if name in seen.placements), None)
        if name is None or (placement := seen.placements[name]).order_id != order.id:
            return Look(seen.head, order.guest, None, None, None, seen.revision, seen.has_lapsed)
        arrival = seen.arrivals.get(name)
        return Look(seen.head, name, placement.status, placement.position, arrival, seen.revision, seen.has_lapsed)

    async def _moved_up(self, before: Explained, look: Look) -> Explained | None:
        """What became of who has only moved up since; None where more than that has happened to him."""
        (order, _), why, receipt, last = before
        if (last.status, last.guest) != (look.status, look.guest) or look.status != "waiting":
            return None
        turns, are_all = await _read(self._archive.turns_at(order.event_id, last.head, look.head, TURNS_MAX))
        if not are_all:
            return None
        steps = [*why.steps, *_steps_up(order, turns[::-1], look.position)]
        return Explained(Standing(order, look.position), why._replace(steps=steps), receipt, look)

    async def _why(self, order: OrderRow, placed: Entry, own: list[Entry], look: Look) -> Why:
        if placed.kind == "booked":
            booked = Step(placed.seq, placed.at, "booked", actor=placed.actor)
            return Why(None, [booked, *_own_steps(own)], is_complete=True)
        until, position = look.head, look.position
        match next((entry for entry in own if entry.kind in ("promoted", "cancelled")), None):
            case Entry(kind="promoted", seq=seq):
                until, position = seq, 0
            case Entry(seq=seq):
                until = seq - 1
        turns, is_complete = await _read(self._archive.turns_at(order.event_id, placed.seq, until, TURNS_MAX))
        steps = _steps_up(order, turns[::-1], position)
        asked_before = None
        if is_complete and position is not None:
            asked_before = position + sum(step.moved for step in steps) - 1
        joined = Step(placed.seq, placed.at, "joined", actor=placed.actor)
        return Why(asked_before, [joined, *steps, *_own_steps(own)], is_complete)

    async def roster(self, event_id: str, *, share: Share | None, q: str, after: int, limit: int) -> RosterPage:
        """At most `limit` orders placed behind entry `after`: a share of them, and those in which `q` is found.

        Raises Refusal `event_not_found`, Unavailable.
        """
        found: list[OrderRow] = []
        async for orders in self._selected(event_id, share, q, after):
            found += orders
            if len(found) > limit:
                break
        standings = await self._standings(event_id, found[:limit])
        return RosterPage(standings, found[limit - 1].placed_entry if len(found) > limit else None)

    async def whole_roster(self, event_id: str, *, share: Share | None, q: str) -> AsyncIterator[list[Standing]]:
        """As `roster`, everything, in chunks. Raises Refusal `event_not_found`, Unavailable."""
        async for orders in self._selected(event_id, share, q, after=0):
            yield await self._standings(event_id, orders)

    async def same_guest(self, order: OrderRow) -> tuple[str, ...]:
        """All orders of an order's guest at its event. Raises Refusal `event_not_found`, Unavailable."""
        return tuple(
            [
                other.id
                async for orders in self._selected(order.event_id, None, "", after=0)
                for other in orders
                if other.guest == order.guest
            ]
        )

    async def named(self, entries: Iterable[Entry]) -> dict[str, OrderRow]:
        """The orders that some entries are about, by id. Raises Unavailable."""
        order_ids = {entry.order_id for entry in entries if entry.order_id is not None}
        return {order.id: order for order in await _read(self._archive.orders_with(sorted(order_ids)))}

    async def ledger(self, event_id: str, after: int, limit: int) -> list[Entry]:
        """At most `limit` entries behind number `after`. Raises Refusal `event_not_found`, Unavailable."""
        await self._box_office.counts(event_id)
        return await _read(self._archive.ledger_page(event_id, after, limit))

    async def turnout(self, event_id: str) -> Turnout:
        """How an event has filled over time. Raises Refusal `event_not_found`, Unavailable."""
        counts = await self._box_office.counts(event_id)
        return await _read(self._turnouts.up_to(event_id, counts.head))

    async def _placing(self, order: OrderRow) -> Entry:
        return (await _read(self._archive.ledger_page(order.event_id, order.placed_entry - 1, 1)))[0]

    async def _selected(self, event_id: str, share: Share | None, q: str, after: int) -> AsyncIterator[list[OrderRow]]:
        await self._box_office.counts(event_id)
        wanted = q.casefold()
        behind: int | None = after
        while behind is not None:
            orders, behind = await _read(self._archive.orders(event_id, behind))
            yield [order for order in orders if _is_in(order, share) and _is_found(wanted, order)]
            await asyncio.sleep(0)

    async def _standings(self, event_id: str, orders: list[OrderRow]) -> list[Standing]:
        """How orders of one event stand at one instant. Raises Refusal, Unavailable."""
        live = [order.guest for order in orders if order.status != "cancelled"]
        placements = (await self._box_office.places(event_id, live)).placements if live else {}
        standings = []
        for order in orders:
            placement = placements.get(order.guest)
            if placement is not None and placement.order_id == order.id:
                standings.append(Standing(order._replace(status=placement.status), placement.position))
            elif order.status == "cancelled":
                standings.append(Standing(order, None))
            else:
                standings += await self._standings(event_id, [await self._changed(order)])
        return standings

    async def _changed(self, order: OrderRow) -> OrderRow:
        """What became of an order that was live when it was read, and is not under that name in memory.

        It was cancelled, or its guest erased, since then, and neither happens twice. Raises Refusal, Unavailable.
        """
        now = await self.order(order.id)
        if now == order:
            log.critical("the orders table says that order %s of event %r is live", order.id, order.event_id)
            raise Unavailable(
                "ledger_damaged", "This event's orders are damaged; they are not shown until repaired", 60
            )
        return now


async def _read(reading: Awaitable[T]) -> T:
    try:
        async with asyncio.timeout(READ_TIMEOUT_S):
            return await reading
    except TimeoutError as error:
        raise Unavailable("storage_unavailable", "The database is slow to read; please try again", 5) from error
    except StoreUnreadable as error:
        raise Unavailable("storage_unavailable", "The database could not be read; nothing was changed", 2) from error


def _is_in(order: OrderRow, share: Share | None) -> bool:
    return share is None or (order.checked_in_at is not None if share == "checked_in" else order.status == share)


def _is_found(wanted: str, order: OrderRow) -> bool:
    return not wanted or any(
        wanted in text.casefold() for text in (order.guest, order.name, order.email, order.id) if text
    )


def _receipt(placed: Entry) -> Receipt:
    return Receipt(placed.seq, placed.at, placed.hash)


def _standing_at(row: OrderRow, look: Look) -> Standing:
    """How an order stood at a look, which may be older than its row."""
    at, gate = look.arrival or (None, None)
    status = look.status or "cancelled"
    reason = None if look.status else row.cancel_reason
    return Standing(row._replace(status=status, cancel_reason=reason, checked_in_at=at, gate=gate), look.position)


def _steps_up(order: OrderRow, turns: Iterable[Turn], position: int | None) -> list[Step]:
    """What moved a waiting order up, or ended that, in order, where it ends at `position`."""
    steps: list[Step] = []
    for turn in turns:
        match turn.kind:
            case "cancelled" if turn.placed_entry is not None and turn.placed_entry < order.placed_entry:
                steps.append(Step(turn.seq, turn.at, "cancelled", int(turn.waited) + turn.promoted))
            case "resized" | "revised":
                steps.append(Step(turn.seq, turn.at, turn.kind, turn.promoted))
        if turn.lapsed:
            steps.append(Step(turn.seq + 1, turn.at, "lapsed"))
    steps = [step for step in steps if step.moved or step.kind == "lapsed"]
    for number in range(len(steps) - 1, -1, -1):
        steps[number] = steps[number]._replace(position=position or None)
        position = None if position is None else position + steps[number].moved
    return steps


def _own_steps(own: Iterable[Entry]) -> list[Step]:
    kinds: dict[str, StepKind] = {
        "promoted": "promoted", "cancelled": "left", "checked_in": "checked_in", "check_in_undone": "check_in_undone"
    }  # fmt: skip
    return [Step(entry.seq, entry.at, kinds[entry.kind], actor=entry.actor) for entry in own if entry.kind in kinds]
