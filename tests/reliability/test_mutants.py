"""Each of the named mutants of the server is found out by the test that is named with it.

A mutant lives in a copy of the tree, where its test must fail, as it must pass in one that nobody has changed.
"""

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final, get_args
from xml.etree import ElementTree

import pytest

from tests import effort
from tests.reliability.mutants import MUTANTS, Guarantee, Mutant

ROOT: Final = Path(__file__).parents[2]
COPIED: Final = ("webapp", "templates", "static", "schema", "tests", "pyproject.toml", "README.md")
TIMEOUT_S: Final = 120.0
"""For one test, on the slowest machine."""

RUN: Final = """
import pathlib, sys
import webapp
if pathlib.Path(webapp.__file__).parents[1] != pathlib.Path.cwd():
    sys.exit(f"another copy is imported: {webapp.__file__}")
import pytest
sys.exit(pytest.main(sys.argv[1:]))
"""


class Trees:
    """Copies of the tree. What has been compiled for one that nobody has changed is not compiled again for the others.

    `passed` are the tests that are known to pass there.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._unchanged = folder / "unchanged"
        self._passed = set[str]()
        for name in COPIED:
            source, copy = ROOT / name, self._unchanged / name
            if source.is_dir():
                shutil.copytree(source, copy, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, copy)

    def changed(self, mutant: Mutant) -> Path:
        """A copy with the mutant in it."""
        tree = self._folder / "changed"
        shutil.copytree(self._unchanged, tree)
        path = tree / mutant.file
        path.write_text(path.read_text().replace(mutant.before, mutant.after))
        for compiled in path.parent.glob(f"__pycache__/{path.stem}.*"):
            compiled.unlink()
        return tree

    def require_passing(self, test: str) -> None:
        """Raises AssertionError where a test fails though nothing was changed."""
        if test not in self._passed:
            assert failures(self._unchanged, test) == [], f"{test} does not pass"
            self._passed.add(test)

    def forget(self, tree: Path) -> None:
        """Remove a copy."""
        shutil.rmtree(tree)


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> Trees:
    return Trees(tmp_path_factory.mktemp("trees"))


def failures(tree: Path, test: str) -> list[str]:
    """How a test fails in a tree, once for each of its parameters for which it does.

    Raises AssertionError where it cannot be run there to its end.
    """
    report = tree / "report.xml"
    own = ["-n0", "-q", "--no-header", f"--junitxml={report}", f"--basetemp={tree / 'temporary'}"]
    # Without how much is to be tried in this run, and what belongs to its pytest.
    kept = {
        name: value for name, value in os.environ.items() if name not in vars(effort) and not name.startswith("PYTEST_")
    }
    run = subprocess.run(
        [sys.executable, "-c", RUN, *own, test],
        cwd=tree,
        env=kept | {"PYTHONPATH": str(tree)},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    said = f"{test}\n{run.stdout[-4_000:]}\n{run.stderr[-2_000:]}"
    assert run.returncode in (0, 1), f"no test that ran to its end: {said}"
    assert report.exists(), f"not run: {said}"
    (suite,) = ElementTree.parse(report).iter("testsuite")  # noqa: S314 -- our own pytest has written it
    assert int(suite.attrib["tests"]) > 0, f"no such test: {said}"
    failed = [failure.attrib["message"] for failure in suite.iter("failure")]
    assert failed or suite.attrib["errors"] == "0", f"not a test that failed, but an error around it: {said}"
    return failed


def defined_tests(file: str) -> set[str]:
    """The names of the tests in a file."""
    tree = ast.parse((ROOT / file).read_text())
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def problems(mutant: Mutant) -> list[str]:
    """What keeps a mutant from being one."""
    found = []
    file, test = mutant.killed_by.split("::")
    occurrences = (ROOT / mutant.file).read_text().count(mutant.before)
    if occurrences != 1:
        found.append(f"what it replaces occurs {occurrences} times in {mutant.file}")
    if mutant.before == mutant.after:
        found.append("it changes nothing")
    if test.partition("[")[0] not in defined_tests(file):
        found.append(f"there is no {mutant.killed_by}")
    if not (mutant.breaks[0].isupper() and mutant.breaks.endswith(".")):
        found.append("what it breaks is no sentence")
    return found


@pytest.mark.parametrize("name", MUTANTS)
def test_every_mutant_is_one_change_and_has_a_test_that_exists(name: str) -> None:
    assert problems(MUTANTS[name]) == []


def test_no_two_mutants_are_the_same() -> None:
    assert len({mutant[2:5] for mutant in MUTANTS.values()}) == len(MUTANTS) >= 25


def test_a_mutant_that_is_none_is_noticed() -> None:
    before = "The rules:"
    stale = Mutant(
        "nothing at all", "G1", "webapp/booking/decisions.py", "no such text", "", "tests/effort.py::test_no"
    )
    idle = Mutant("Nothing.", "G1", stale.file, before, before, "tests/reliability/test_mutants.py::defined_tests")
    assert len(problems(stale)) == 3
    assert problems(idle) == ["it changes nothing"]


def test_every_guarantee_has_a_mutant_that_breaks_it() -> None:
    assert {mutant.guarantee for mutant in MUTANTS.values()} == set(get_args(Guarantee))


@pytest.mark.parametrize("name", list(MUTANTS)[: effort.MUTANTS])
def test_the_named_test_finds_the_mutant_out(trees: Trees, name: str) -> None:
    mutant = MUTANTS[name]
    trees.require_passing(mutant.killed_by)
    tree = trees.changed(mutant)
    try:
        assert failures(tree, mutant.killed_by), f"nobody has noticed: {mutant.breaks}"
    finally:
        trees.forget(tree)
    effort.tried()


def test_a_mutant_that_nothing_is_wrong_with_is_not_found_out(trees: Trees) -> None:
    """Or whatever was done to a copy would seem to be noticed."""
    (kept, *_) = MUTANTS.values()
    harmless = kept._replace(after=f"{kept.before}  # the same")
    tree = trees.changed(harmless)
    try:
        assert failures(tree, kept.killed_by) == []
    finally:
        trees.forget(tree)


def test_a_copy_that_cannot_be_imported_is_not_taken_for_a_mutant_that_was_found_out(trees: Trees) -> None:
    (kept, *_) = MUTANTS.values()
    tree = trees.changed(kept._replace(after="for guest in ("))
    try:
        with pytest.raises(AssertionError, match="no test that ran to its end"):
            failures(tree, kept.killed_by)
    finally:
        trees.forget(tree)
