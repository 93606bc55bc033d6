"""A ledger as anybody can follow it through the API: every hash is worked out anew, and who waits, with a list.

Shares no code with `webapp.booking`; what a hash is taken over is told in the docstrings of its `ledger.py`.
"""

import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any, Final

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
EDITING: Final = ("opened", "resized", "revised")


class PublicLedger:
    """The entries of an event so far, and what they have led to."""

    def __init__(self, event_id: str) -> None:
        self.event_id = event_id
        self.entries: list[dict[str, Any]] = []
        self.hash = bytes(32)
        self.revision = 0  # the last entry that changed what an organiser can edit
        self.orders: list[str] = []  # as they were placed
        self.waiting: list[str] = []
        self.asked_before: dict[str, int | None] = {}

    @property
    def head(self) -> str:
        """What the tags of the event hold of its ledger."""
        return f"{len(self.entries)}-{self.hash[:6].hex()}"

    def follow(self, entry: dict[str, Any]) -> None:
        """Check an entry that is said to be the next one, and see what it leads to."""
        assert entry["seq"] == len(self.entries) + 1, f"it follows number {len(self.entries)}: {entry}"
        self.hash = hashlib.sha256(self.hash + canonical_bytes(self.event_id, entry)).digest()
        assert entry["hash"] == self.hash.hex(), f"the chain is broken at {entry}"
        self.entries.append(entry)
        if entry["kind"] in EDITING:
            self.revision = entry["seq"]
        self._see(entry["kind"], entry["order_id"])

    def placing(self, order_id: str) -> dict[str, Any]:
        """The entry that placed an order."""
        return next(entry for entry in self.entries if entry["order_id"] == order_id)

    def _see(self, kind: str, order_id: str) -> None:
        match kind:
            case "booked":
                self.orders.append(order_id)
                self.asked_before[order_id] = None
            case "joined":
                self.orders.append(order_id)
                self.asked_before[order_id] = len(self.waiting)
                self.waiting.append(order_id)
            case "promoted":
                self.waiting.remove(order_id)
            case "cancelled" if order_id in self.waiting:
                self.waiting.remove(order_id)
                self.asked_before[order_id] = None  # it is told as long as it explains something


def canonical_bytes(event_id: str, entry: dict[str, Any]) -> bytes:
    """What the hash of an entry is taken over, besides the hash before it."""
    at = (datetime.fromisoformat(entry["at"]) - EPOCH) // timedelta(microseconds=1)
    others = (entry[name] for name in ("actor", "order_id", "reason", "detail"))
    told = [event_id, entry["seq"], entry["kind"], at, *others]
    return json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()
