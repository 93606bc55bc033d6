"""Runs kinds of tests side by side, each as a pytest of its own, and tells what came of them."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

from tests import effort
from tests.reliability.kinds import Effort, Kind

ROOT: Final = Path(__file__).parents[2]
PATIENCE: Final = 4.0
"""A kind that takes so many times as long as it should hangs."""
PATIENCE_MIN_S: Final = 900.0
LOOK_EVERY_S: Final = 0.2
LAST_WORDS_S: Final = 2.0
TAIL: Final = 4_000  # characters of what was said
NUMBER: Final = re.compile(r"\b([A-Z_]+)=(\d+)")


@dataclass(frozen=True)
class Terms:
    """How much is wanted, and where: `into` takes the report and the logs, `root` is where pytest is started."""

    into: Path
    root: Path = ROOT
    first_seed: int = effort.FIRST_SEED
    scale: float = 1.0
    is_quick: bool = False
    side_by_side: int = 2
    timeout_s: float | None = None

    def number(self, wanted: Effort) -> int:
        """What its variable is set to: by the environment, or else as the long form has it, or the quick one."""
        if self.is_quick:
            return int(getattr(effort, wanted.variable))
        if (told := os.environ.get(wanted.variable)) is not None:
            return int(told)
        return max(1, round(wanted.long * self.scale)) if wanted.scales else wanted.long

    def patience_s(self, kind: Kind) -> float:
        """How long a kind may take."""
        return self.timeout_s or max(PATIENCE_MIN_S, PATIENCE * kind.long_s * max(1.0, self.scale))


class Trials(NamedTuple):
    """How many trials a test has made, and how many it should have."""

    test: str
    wanted: int
    done: int


class Failure(NamedTuple):
    """What went wrong, with the line that brings it again."""

    test: str
    text: str
    again: str


@dataclass
class Result:
    """What came of a kind."""

    kind: Kind
    numbers: dict[str, int]
    seconds: float = 0.0
    trials: list[Trials] = field(default_factory=list)
    others: dict[str, int] = field(default_factory=dict)  # trials that nobody has asked for
    passed: int = 0
    failures: list[Failure] = field(default_factory=list)

    @property
    def failed(self) -> int:
        """Things that went wrong."""
        return len(self.failures)

    @property
    def wanted(self) -> int:
        """Trials of all tests together."""
        return sum(trials.wanted for trials in self.trials)

    @property
    def done(self) -> int:
        """The same, and no more of any test than was wanted."""
        return sum(min(trials.done, trials.wanted) for trials in self.trials)


class Run:
    """One kind, under way."""

    def __init__(self, kind: Kind, terms: Terms) -> None:
        self.kind = kind
        self.terms = terms
        self.numbers = {wanted.variable: terms.number(wanted) for wanted in kind.efforts}
        name = kind.name.replace(" ", "-")
        self._log, self._tally, self._outcomes = (
            terms.into / f"{name}.{what}" for what in ("log", "trials", "outcomes")
        )
        for file in (self._log, self._tally, self._outcomes):
            file.unlink(missing_ok=True)
        self._began = time.monotonic()
        self._ended: float | None = None
        self._hangs = False
        own = {"TALLY": str(self._tally), "OUTCOMES": str(self._outcomes), "FIRST_SEED": str(terms.first_seed)}
        path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "pytest", "-v", "-p", "tests.reliability.noting", "-p", "no:cacheprovider",
                 *kind.tests],
                cwd=terms.root,
                env={**os.environ, **{name: str(number) for name, number in self.numbers.items()}, **own,
                     "PYTHONPATH": path},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # so that its servers end with it
            )  # fmt: skip

    @property
    def is_over(self) -> bool:
        """Whether it has ended, or hung so long that it was ended."""
        if self._process.poll() is not None:
            self.stop()  # what it has left behind
            return True
        if time.monotonic() - self._began > self.terms.patience_s(self.kind):
            self._hangs = True
            self._process.send_signal(signal.SIGABRT)  # then pytest tells where it is
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(LAST_WORDS_S)
            self.stop()
            return True
        return False

    def stop(self) -> None:
        """End it, and every process that it has started."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def share(self) -> float:
        """About how much of it is done, from 0 to 1."""
        result = self._counted()
        return result.done / result.wanted if result.wanted else 0.0

    def result(self) -> Result:
        """What came of it, once it is over."""
        result = self._counted()
        result.seconds = round(time.monotonic() - self._began, 1)
        for outcome in self._noted():
            if outcome["outcome"] == "passed":
                result.passed += 1
            else:
                text = outcome["text"] or outcome["outcome"]
                result.failures.append(Failure(outcome["test"], text[-TAIL:], self._again([outcome["test"]], text)))
        self._look_for_more(result)
        return result

    def _look_for_more(self, result: Result) -> None:
        """What no test has told: that it hangs, has not even begun, or did too little."""
        said = self._log.read_text(errors="replace")[-TAIL:]
        whole = self._again(self.kind.tests)
        if self._hangs:
            patience_s = self.terms.patience_s(self.kind)
            result.failures.append(Failure(self.kind.name, f"hangs: ended after {patience_s:g} s\n{said}", whole))
        elif self._process.returncode and not result.failures:
            text = f"pytest ended with status {self._process.returncode}\n{said}"
            result.failures.append(Failure(self.kind.name, text, whole))
        elif not result.failures:
            if not result.passed:
                result.failures.append(Failure(self.kind.name, "no test was run", whole))
            for test, wanted, done in result.trials:
                if done < wanted:
                    text = f"made {done} trials of {wanted}"
                    result.failures.append(Failure(test, text, self._again([test])))

    def _counted(self) -> Result:
        result, made = Result(self.kind, self.numbers), Counter[str]()
        for line in _lines(self._tally):
            number, test = line.split("\t", 1)
            made[test] += int(number)
        for wanted in self.kind.efforts:
            for test in wanted.tests:
                own = [name for name in made if name == test or name.startswith((f"{test}[", f"{test}::"))]
                done = sum(made.pop(name) for name in own)
                result.trials.append(Trials(test, self.numbers[wanted.variable], done))
        result.others = dict(made)
        return result

    def _noted(self) -> Iterator[dict[str, Any]]:
        return map(json.loads, _lines(self._outcomes))

    def _again(self, tests: Sequence[str], text: str = "") -> str:
        """A line for the shell: what the kind was run with, or what the failure itself says about its seed."""
        told = {name: number for name, number in NUMBER.findall(text) if hasattr(effort, name)}
        numbers = {"FIRST_SEED": self.terms.first_seed, **self.numbers, **told}
        settings = [f"{name}={number}" for name, number in numbers.items()]
        return " ".join([*settings, "python -m pytest", shlex.join(tests)])


def _lines(file: Path) -> list[str]:
    """The lines that are written to their end."""
    return file.read_text().rpartition("\n")[0].splitlines() if file.exists() else []


Follow = Callable[[Sequence[Run], Sequence[Result]], object]


def carry_out(kinds: Sequence[Kind], terms: Terms, follow: Follow) -> list[Result]:
    """Run all kinds, the longest first, so many side by side; tells the one who follows what runs, and what is over.

    Whatever happens, nothing that was started runs on. Results are in the order of the kinds.
    """
    waiting = sorted(kinds, key=lambda kind: kind.long_s)
    running: list[Run] = []
    results: list[Result] = []
    terms.into.mkdir(parents=True, exist_ok=True)
    try:
        while waiting or running:
            while waiting and len(running) < terms.side_by_side:
                running.append(Run(waiting.pop(), terms))
            for run in [run for run in running if run.is_over]:
                running.remove(run)
                results.append(run.result())
            follow(running, results)
            time.sleep(LOOK_EVERY_S)
    finally:
        for run in running:
            run.stop()
    return sorted(results, key=lambda result: kinds.index(result.kind))
