"""How much the randomised tests do: what fits into `make test` by default, more through the environment.

For instance `FIRST_SEED=1000 INTERLEAVINGS=5000 make test`. Everything random comes from the seed, so a failing one,
which its test prints, fails again. `make prove` sets the numbers that are wanted of a proof, and counts the trials.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final


def _number(name: str, otherwise: int) -> int:
    return int(os.environ.get(name, otherwise))


FIRST_SEED: Final = _number("FIRST_SEED", 1)
INTERLEAVINGS: Final = _number("INTERLEAVINGS", 300)
"""Seeds of each scenario that the proof names."""
OTHER_INTERLEAVINGS: Final = _number("OTHER_INTERLEAVINGS", 40)
"""Seeds of each other scenario."""
ATTEMPTS: Final = _number("ATTEMPTS", 100)
"""Runs until something finds what is broken on purpose, at most; and examples of a thing or two besides."""
MODEL_RUNS: Final = _number("MODEL_RUNS", 2_000)
"""Runs of the state machine over the rules alone."""
SERVICE_RUNS: Final = _number("SERVICE_RUNS", 200)
"""Runs of the state machine over the box office on a real database."""
HTTP_RUNS: Final = _number("HTTP_RUNS", 25)
"""Runs of each of the two state machines over HTTP."""
MODEL_STEPS: Final = _number("MODEL_STEPS", 25)
"""Steps of each run, at most."""
WAITING_MANY: Final = _number("WAITING_MANY", 2**20)
"""How long the long waiting list is: a power of two, where its tree is at its costliest."""
HISTORIES: Final = _number("HISTORIES", 20)
"""Histories of concurrent clients over HTTP."""
OPERATIONS: Final = _number("OPERATIONS", 2_000)
"""Operations of the one long history, in which the disk is bad and the server is killed."""
KILLS: Final = _number("KILLS", 20)
"""How often the server is killed under load, on one database."""
START_KILLS: Final = _number("START_KILLS", 3)
"""Moments of a start, and of a stop, at which the server is killed."""
UPGRADE_KILLS: Final = _number("UPGRADE_KILLS", 20)
"""Moments of an upgrade at which it is killed, besides those around its end."""
CHECKPOINT_KILLS: Final = _number("CHECKPOINT_KILLS", 3)
"""How often the server is killed in the middle of a checkpoint."""
POWER_CUTS: Final = _number("POWER_CUTS", 500)
"""Images of what a disk may hold after a power cut."""
FAULTS: Final = _number("FAULTS", 60)
"""Calls of the server to its disk that fail, one in each life."""
SWEEPS: Final = _number("SWEEPS", 2)
"""Calls of a start behind an erasure at which it is killed, and such as fail."""
COMMIT_TIMEOUT_S: Final = _number("COMMIT_TIMEOUT_S", 4)
"""Seconds after which a server gives up a commit that never comes back: not a minute, as it would if left alone."""
DEPARTURES: Final = _number("DEPARTURES", 200)
"""Clients who are gone after some byte of what they meant to say, or to hear."""
DAMAGES: Final = _number("DAMAGES", 100)
"""Databases of which some bytes are not what was written."""
STREAMS: Final = _number("STREAMS", 2_000)
"""Live streams that are open at once."""
SOAK_S: Final = _number("SOAK_S", 8)
"""Seconds of load under which the memory has to stay flat."""
MUTANTS: Final = _number("MUTANTS", 2)
"""Broken copies of the server that a test must find out, at most; there are some hundred."""
SAME_ANSWERS: Final = _number("SAME_ANSWERS", 20)
"""Series of requests that a server with the direct lane and one without it must answer alike."""
FUZZ_EXAMPLES: Final = _number("FUZZ_EXAMPLES", 40)
"""Requests that are made up for each route and each phase of testing what the description says, at most."""

TALLY: Final = os.environ.get("TALLY")
"""A file into which every trial is noted, by the name of its test; none unless `make prove` counts them."""


def seeds(number: int) -> Iterator[int]:
    """So many seeds, counted from the first. Each is a trial, once it has been gone through without an error."""
    for seed in range(FIRST_SEED, FIRST_SEED + number):
        yield seed
        tried()


def tried(number: int = 1) -> None:
    """Note so many trials of the test that runs."""
    if TALLY is not None:
        test = os.environ.get("PYTEST_CURRENT_TEST", "").removesuffix(" (call)")
        with Path(TALLY).open("a") as file:
            file.write(f"{number}\t{test}\n")
