"""What keeps a test from depending on how fast the machine is."""

from typing import Final

from hypothesis import HealthCheck, settings

UNHURRIED: Final = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""For a test with `@given`: however long an example takes."""


class Watch:
    """A clock that stands still until it is moved."""

    def __init__(self, now: float = 1_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now
