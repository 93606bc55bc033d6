"""What can be asked about orders, rosters and ledgers. Reads only, and never for long at a stretch."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Iterable
from typing import Final, Literal, NamedTuple, TypeVar

from webapp.booking.answers import Receipt, Refusal
from webapp.booking.ledger import Entry
from webapp.box_office import BoxOffice
from webapp.desk import Unavailable
from webapp.storage.store import Archive, OrderRow, StoreUnreadable, Turn

READ_TIMEOUT_S: Final = 8.0
TURNS_MAX: Final = 1_000
"""Entries that a history looks back on. Whoever has seen more people leave before him is told so."""

Share = Literal["booked", "waiting", "cancelled", "checked_in"]
"""A part of a roster."""

StepKind = Literal[
    "booked", "joined", "promoted", "left", "checked_in", "check_in_undone", "cancelled", "resized", "revised"
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

    `cancelled`: somebody who asked before left. `resized`, `revised`: tickets came free. `left`: the order was
    cancelled itself. `moved` places up; `position` after it, None where it is not known or there is none.
    """

    entry: int
    at: int  # microseconds since 1970, UTC
    kind: StepKind
    moved: int = 0
    position: int | None = None


class Why(NamedTuple):
    """Why an order stands where it stands: how many waited when it joined, and what has happened since, in order.

    Where not `is_complete`, the oldest steps are left out, and `asked_before` is None.
    """

    asked_before: int | None
    steps: list[Step]
    is_complete: bool


class Enquiries:
    """Reads what is committed, next to what the box office knows at the moment."""

    def __init__(self, archive: Archive, box_office: BoxOffice) -> None:
        self._archive = archive
        self._box_office = box_office

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
        placed = await self._placing(order)
        return Receipt(placed.seq, placed.at, placed.hash)

    async def why(self, order: OrderRow) -> Why:
        """The short history that explains how an order stands. Raises Refusal `event_not_found`, Unavailable."""
        placed = await self._placing(order)
        seen = await self._box_office.places(order.event_id, [order.guest])
        own = [entry for entry in await _read(self._archive.turns_of(order.id)) if entry.seq <= seen.head]
        if placed.kind == "booked":
            return Why(None, [Step(placed.seq, placed.at, "booked"), *_own_steps(own)], is_complete=True)
        until, position = seen.head, None
        match next((entry for entry in own if entry.kind in ("promoted", "cancelled")), None):
            case Entry(kind="promoted", seq=seq):
                until, position = seq, 0
            case Entry(seq=seq):
                until = seq - 1
            case None if order.guest in seen.placements:
                position = seen.placements[order.guest].position
        turns = await _read(self._archive.turns_at(order.event_id, placed.seq, until, TURNS_MAX + 1))
        is_complete = len(turns) <= TURNS_MAX
        steps = _steps_up(order, turns[TURNS_MAX - 1 :: -1], position)
        asked_before = None
        if is_complete and position is not None:
            asked_before = position + sum(step.moved for step in steps) - 1
        return Why(asked_before, [Step(placed.seq, placed.at, "joined"), *steps, *_own_steps(own)], is_complete)

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

    async def ledger(self, event_id: str, after: int, limit: int) -> list[Entry]:
        """At most `limit` entries behind number `after`. Raises Refusal `event_not_found`, Unavailable."""
        await self._box_office.counts(event_id)
        return await _read(self._archive.ledger_page(event_id, after, limit))

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
            else:  # it was cancelled, or its guest erased, since it was read, and neither happens twice
                standings.append(await self.standing(order))
        return standings


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


def _steps_up(order: OrderRow, turns: Iterable[Turn], position: int | None) -> list[Step]:
    """What moved a waiting order up, in order, where it ends at `position`."""
    steps: list[Step] = []
    for turn in turns:
        match turn.kind:
            case "cancelled" if turn.placed_entry is not None and turn.placed_entry < order.placed_entry:
                steps.append(Step(turn.seq, turn.at, "cancelled", int(turn.waited)))
            case "resized" | "revised":
                steps.append(Step(turn.seq, turn.at, turn.kind))
            case "promoted" if steps:
                steps[-1] = steps[-1]._replace(moved=steps[-1].moved + 1)
    steps = [step for step in steps if step.moved]
    for number in range(len(steps) - 1, -1, -1):
        steps[number] = steps[number]._replace(position=position or None)
        position = None if position is None else position + steps[number].moved
    return steps


def _own_steps(own: Iterable[Entry]) -> list[Step]:
    kinds: dict[str, StepKind] = {
        "promoted": "promoted", "cancelled": "left", "checked_in": "checked_in", "check_in_undone": "check_in_undone"
    }  # fmt: skip
    return [Step(entry.seq, entry.at, kinds[entry.kind]) for entry in own if entry.kind in kinds]
