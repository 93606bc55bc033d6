"""The runner of the proof: what it says of tests that pass, that fail, that do too little, and that never end."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from click import BadParameter
from click.testing import CliRunner

from tests import effort
from tests.reliability.__main__ import chosen, main, prove
from tests.reliability.kinds import KINDS, Effort, Kind
from tests.reliability.proof import ROOT, Terms

HONEST = """
from tests import effort

def test_it():
    for _ in effort.seeds(effort.KILLS):
        pass
"""
LAZY = """
from tests import effort

def test_it():
    effort.tried(effort.KILLS - 1)
"""
WRONG = """
from tests import effort

def test_it():
    for seed in effort.seeds(effort.KILLS):
        assert seed < 5, f"It comes again with FIRST_SEED={seed} KILLS=1"

def test_something_else():
    pass
"""
HANGING = """
import subprocess, time
from pathlib import Path

def test_it():
    child = subprocess.Popen(["sleep", "600"])
    Path("child").write_text(str(child.pid))
    time.sleep(600)
"""
SKIPPED = """
import pytest

def test_it():
    pytest.skip("not today")
"""
UNREADABLE = "def test_it(:"
EMPTY = ""


def kind_of(folder: Path, content: str, name: str = "synthetic", *, counted: bool = False) -> Kind:
    """A kind with one file, whose test is to make 7 trials."""
    (folder / f"test_{name}.py").write_text(content)
    tests = (f"test_{name}.py::test_it",) if counted else ()
    return Kind(name, "G6", (f"test_{name}.py",), (Effort("KILLS", 7, tests),))


def terms(folder: Path, **changed: Any) -> Terms:
    """The kinds are in the folder, and the report is to come beside them."""
    return Terms(**{"into": folder / "proof", "root": folder, "first_seed": 1, **changed})


def reported(folder: Path) -> dict[str, Any]:
    """The report's first kind."""
    return dict(json.loads((folder / "proof" / "report.json").read_text())["kinds"][0])


@pytest.fixture(autouse=True)
def no_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs this may have set some."""
    for name in ("KILLS", "TALLY", "PYTEST_ADDOPTS"):
        monkeypatch.delenv(name, raising=False)


def test_what_does_all_that_was_wanted_passes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert prove([kind_of(tmp_path, HONEST, counted=True)], terms(tmp_path)) == 0
    found = reported(tmp_path)
    assert (found["done"], found["wanted"], found["passed"], found["failures"]) == (7, 7, 1, [])
    assert found["trials"] == [{"test": "test_synthetic.py::test_it", "wanted": 7, "done": 7}]
    said = capsys.readouterr().out
    assert "| synthetic | G6 | 7 | 7 | 1 | 0 |" in said
    assert (tmp_path / "proof" / "report.md").read_text() == said


def test_numbers_come_from_the_scale_or_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kind = kind_of(tmp_path, HONEST, counted=True)
    assert prove([kind], terms(tmp_path, scale=3.0)) == 0
    assert reported(tmp_path)["done"] == 21
    monkeypatch.setenv("KILLS", "3")
    assert prove([kind], terms(tmp_path, scale=3.0)) == 0
    assert reported(tmp_path)["done"] == 3


def test_what_does_too_little_fails(tmp_path: Path) -> None:
    assert prove([kind_of(tmp_path, LAZY, counted=True)], terms(tmp_path)) == 1
    (failure,) = reported(tmp_path)["failures"]
    assert failure["text"] == "made 6 trials of 7"
    assert failure["again"] == "FIRST_SEED=1 KILLS=7 python -m pytest test_synthetic.py::test_it"


def test_a_failure_names_the_line_that_brings_it_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert prove([kind_of(tmp_path, WRONG, counted=True)], terms(tmp_path)) == 1
    found = reported(tmp_path)
    assert (found["done"], found["passed"], len(found["failures"])) == (4, 1, 1)
    again = "FIRST_SEED=5 KILLS=1 python -m pytest test_synthetic.py::test_it"
    assert found["failures"][0]["again"] == again
    said = capsys.readouterr().out
    assert "| synthetic | G6 | 4 | 7 | 1 | 1 |" in said
    assert again in said
    words = again.split()
    ran = subprocess.run(
        [sys.executable, *words[3:]],
        cwd=tmp_path,
        env={**os.environ, **dict(word.split("=") for word in words[:2]), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "1 failed" in ran.stdout


def test_what_hangs_is_ended_with_all_it_started(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kinds = [kind_of(tmp_path, HANGING, "hanging"), kind_of(tmp_path, HONEST, "honest", counted=True)]
    assert prove(kinds, terms(tmp_path, timeout_s=10.0)) == 1
    (failure,) = reported(tmp_path)["failures"]
    assert failure["text"].startswith("hangs: ended after 10 s")
    assert "time.sleep" in failure["text"] or "in test_it" in failure["text"]  # where it was
    assert "| honest | G6 | 7 | 7 | 1 | 0 |" in capsys.readouterr().out
    assert has_ended(int((tmp_path / "child").read_text()))


@pytest.mark.parametrize("content", [SKIPPED, UNREADABLE, EMPTY], ids=["skipped", "unreadable", "empty"])
def test_what_shows_nothing_fails(tmp_path: Path, content: str) -> None:
    assert prove([kind_of(tmp_path, content)], terms(tmp_path)) == 1
    assert len(reported(tmp_path)["failures"]) == 1


def test_an_interrupt_ends_all_that_was_started(tmp_path: Path) -> None:
    kind_of(tmp_path, HANGING)
    program = (
        "from pathlib import Path\n"
        "from tests.reliability.__main__ import prove\n"
        "from tests.reliability.proof import Terms\n"
        "from tests.reliability.kinds import Kind\n"
        "here = Path.cwd()\n"
        "prove([Kind('synthetic', 'G6', ('test_synthetic.py',))], Terms(here / 'proof', here))\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, "-c", program], cwd=tmp_path, env=environment) as run:
        try:
            deadline = time.monotonic() + 60
            while not ((tmp_path / "child").exists() and (tmp_path / "child").read_text()):
                assert time.monotonic() < deadline, "it does not begin"
                time.sleep(0.05)
            run.send_signal(signal.SIGINT)
            run.communicate(timeout=60)
        finally:
            run.kill()
    assert has_ended(int((tmp_path / "child").read_text()))


def has_ended(process: int) -> bool:
    """Whether a process is gone within a moment, or at least waits only to be forgotten."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        status = Path(f"/proc/{process}/stat")
        try:
            if status.read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.05)
    return False


def test_every_kind_names_tests_and_numbers_that_there_are() -> None:
    for kind in KINDS:
        for test in kind.tests:
            assert (ROOT / test.partition("::")[0]).exists(), test
        for wanted in kind.efforts:
            assert hasattr(effort, wanted.variable), wanted
            for test in wanted.tests:
                file, _, name = test.partition("::")
                assert f"def {name}(" in (ROOT / file).read_text(), test
                assert any(file == own.partition("::")[0] for own in kind.tests), test
    assert len({kind.name for kind in KINDS}) == len(KINDS)


def test_every_long_form_is_at_least_as_long_as_the_quick_one() -> None:
    assert all(wanted.long >= getattr(effort, wanted.variable) for kind in KINDS for wanted in kind.efforts)


def test_kinds_are_chosen_by_the_beginning_of_their_names() -> None:
    assert [kind.name for kind in chosen(KINDS, "kill,model")] == ["model histories", "kill -9"]
    assert chosen(KINDS, "") == list(KINDS)
    with pytest.raises(BadParameter, match="no kind is called sunshine"):
        chosen(KINDS, "sunshine")
    assert CliRunner().invoke(main, ["--only", "sunshine"]).exit_code == 2
