"""How much is measured, and what a measurement is."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tests.benchmarks.load import Sample
from tests.benchmarks.stage import Stage

CONNECTIONS: Final = (1, 4, 16, 64, 256)
SIZES: Final = (0, 1_000, 10_000, 100_000, 1_000_000)
SECONDS: Final = 4.0
ROUNDS: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How long each measurement takes, how often it is made, and how large everything is.

    `connections` have 1, 64 and 256 among them; `sizes` are orders at an event, from 0 on; `tickets` are shared among
    the events of a measurement, and fewer than its bookings, so that there are some to oversell.
    """

    seconds: float = SECONDS
    rounds: int = ROUNDS
    connections: tuple[int, ...] = CONNECTIONS
    sizes: tuple[int, ...] = SIZES
    tickets: int = 10_000
    events: int = 1_000
    callers: int = 1_000
    pages: int = 5_000
    alternations: int = 1_000

    @property
    def longest(self) -> int:
        """The most orders at an event."""
        return self.sizes[-1]


BRIEF: Final = Plan(
    seconds=0.15, rounds=1, connections=(1, 64, 256), sizes=(0, 500, 2_000),
    tickets=50, events=50, callers=100, pages=50, alternations=20,
)  # fmt: skip
"""To see that everything runs, and nothing else."""


@dataclass(frozen=True, slots=True)
class Measure:
    """Something that is measured once in every round, in turn with the others of its group."""

    name: str
    take: Callable[[Stage], Sample]
