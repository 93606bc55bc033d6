"""How much work something is, in interpreted instructions: the same on every machine, unlike time."""

import sys
from collections.abc import Callable, Iterable
from types import FrameType
from typing import Any


class Guest(str):
    """A guest whose comparisons are interpreted, so that a search made in C is counted as well."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return str.__eq__(self, other)

    def __hash__(self) -> int:
        return str.__hash__(self)


def steps(action: Callable[[], object]) -> int:
    """How many instructions it takes, in all that it calls. What C code moves in memory is not seen."""
    counted = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal counted
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        counted += event == "opcode"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        action()
    finally:
        sys.settrace(before)
    return counted


def require_logarithmic(few: Iterable[Callable[[], object]], many: Iterable[Callable[[], object]]) -> None:
    """Raises AssertionError if what is done among a million takes more than thrice the steps it takes among a thousand.

    The logarithm is twice as large. The costliest of each counts.
    """
    costly, costlier = max(map(steps, few)), max(map(steps, many))
    assert costlier <= 3 * costly, f"{costlier} steps among many, {costly} among few"
