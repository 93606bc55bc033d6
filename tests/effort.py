"""How much the randomised tests do: little by default, more or exactly one seed through the environment.

For instance `FIRST_SEED=1000 INTERLEAVINGS=5000 MODEL_RUNS=2000 make test`. Everything random comes from the seed, so a
failing one, which its test prints, fails again.
"""

import os
from typing import Final


def _number(name: str, otherwise: int) -> int:
    return int(os.environ.get(name, otherwise))


FIRST_SEED: Final = _number("FIRST_SEED", 1)
INTERLEAVINGS: Final = _number("INTERLEAVINGS", 40)
"""Seeds per scenario, counted from the first."""
MODEL_RUNS: Final = _number("MODEL_RUNS", 100)
"""Runs of each state machine; on a real database and beyond, a fraction of them."""
MODEL_STEPS: Final = _number("MODEL_STEPS", 40)
"""Steps of each run, at most."""
WAITING_MANY: Final = _number("WAITING_MANY", 2**20)
"""How long the long waiting list is: a power of two, where its tree is at its costliest."""
HISTORIES: Final = _number("HISTORIES", 20)
"""Histories of concurrent clients over HTTP."""
KILLS: Final = _number("KILLS", 10)
"""How often the server is killed under load, on one database."""
FUZZ_EXAMPLES: Final = _number("FUZZ_EXAMPLES", 60)
"""Requests that are made up for each route and each phase of testing what the description says, at most."""
