"""Who waits, oldest first. Joining, leaving, asking for a position and finding the first are O(log n)."""

from array import array
from collections.abc import Iterator
from itertools import islice


class WaitingList:
    """Guests in the order of their arrival, counted by a Fenwick tree over the arrivals.

    Whoever leaves keeps an empty slot of twelve bytes until the list is empty, so that no operation ever has to
    move the others. Source: P. Fenwick, "A new data structure for cumulative frequency tables" (1994).
    """

    __slots__ = ("_arrivals", "_slots", "_tree")

    def __init__(self) -> None:
        self._clear()

    def _clear(self) -> None:
        self._slots: dict[str, int] = {}  # guest -> 1-based slot
        self._arrivals: list[str | None] = [None]  # slot -> guest, None once gone; slot 0 is unused
        self._tree = array("I", [0])  # tree[i] counts who waits in the slots (i - lowbit(i), i]

    def __len__(self) -> int:
        return len(self._slots)

    def __contains__(self, guest: str) -> bool:
        return guest in self._slots

    def __iter__(self) -> Iterator[str]:
        return (guest for guest in self._arrivals if guest is not None)

    def join(self, guest: str) -> None:
        """Put a guest who is not waiting at the back."""
        slot = len(self._arrivals)
        count, child, end = 1, slot - 1, slot - (slot & -slot)
        while child > end:
            count += self._tree[child]
            child -= child & -child
        self._slots[guest] = slot
        self._arrivals.append(guest)
        self._tree.append(count)

    def leave(self, guest: str) -> None:
        """Take a waiting guest out, from wherever he stands.

        Raises KeyError if he does not wait.
        """
        slot = self._slots.pop(guest)
        if not self._slots:
            self._clear()
            return
        self._arrivals[slot] = None
        while slot < len(self._tree):
            self._tree[slot] -= 1
            slot += slot & -slot

    def rename(self, guest: str, name: str) -> None:
        """Call a waiting guest something else; he keeps his place.

        Raises KeyError if he does not wait.
        """
        slot = self._slots.pop(guest)
        self._slots[name] = slot
        self._arrivals[slot] = name

    def position(self, guest: str) -> int:
        """The 1-based place of a waiting guest.

        Raises KeyError if he does not wait.
        """
        slot, position = self._slots[guest], 0
        while slot:
            position += self._tree[slot]
            slot -= slot & -slot
        return position

    def first(self, count: int) -> list[str]:
        """The `count` guests who have waited longest, oldest first; all of them where fewer wait."""
        count = min(count, len(self))
        if count * len(self._arrivals).bit_length() > len(self._arrivals):
            return list(islice(self, count))
        return [self._at(position) for position in range(1, count + 1)]

    def _at(self, position: int) -> str:
        slot, step = 0, 1 << (len(self._tree).bit_length() - 1)
        while step:
            below = slot + step
            if below < len(self._tree) and self._tree[below] < position:
                slot, position = below, position - self._tree[below]
            step >>= 1
        guest = self._arrivals[slot + 1]
        assert guest is not None, "the waiting list counts a guest who has left"
        return guest
