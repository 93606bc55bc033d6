"""The README tells the truth: what it shows is run, and its answers are the ones that come."""

import os
import re
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.screenshots import DOCS, PICTURES, described
from tests.server import CODE, PASSWORD, Server
from tests.settings_table import markdown_table
from webapp.cli import main

README = (CODE / "README.md").read_text()
CHANGELOG = (CODE / "CHANGELOG.md").read_text()
ROUTES = {"/initialize", "/book", "/cancel", "/status/", "/auth/token", "/health", "/metrics", "/readyz", "/'"}
"""What of each route is seen in a line of curl."""


@dataclass(frozen=True)
class Example:
    """A command as the README shows it, and the lines below it; … in them stands for anything."""

    command: str
    answer: str

    def is_answered_by(self, text: str) -> bool:
        """Whether a text is what is shown."""
        parts = (re.escape(part) for part in self.answer.split("…"))
        return re.fullmatch(r"\S+".join(parts), text) is not None


def examples(markdown: str) -> list[Example]:
    """The commands of all blocks marked `console`, in order."""
    blocks = re.findall(r"^```console\n(.*?)^```$", markdown, re.MULTILINE | re.DOTALL)
    shown = [re.split(r"^\$ ", block, flags=re.MULTILINE)[1:] for block in blocks]
    return [Example(*example.rstrip("\n").partition("\n")[::2]) for block in shown for example in block]


def links(markdown: str) -> list[str]:
    """What a text links to, or shows."""
    return re.findall(r"\]\(([^)\s]+)\)", markdown)


@pytest.fixture
def home(tmp_path: Path) -> Server:
    """A server, not started yet, as that of a reader who has made the password his own."""
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "bin").symlink_to(Path(sys.executable).parent)
    return Server(tmp_path, DATA_DIR="data", ADMIN_USER="")


def test_every_command_shown_gives_the_answer_shown(home: Server) -> None:
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(CODE), "PASSWORD": PASSWORD}
    shell = subprocess.Popen(
        ["/bin/sh"],
        cwd=home.folder,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert shell.stdin is not None
    assert shell.stdout is not None
    with home, shell:
        for example in examples(README):
            if " restore " in example.command:
                assert home.stop() == 0  # as the text above it asks for
            command = example.command.replace("localhost:3000", f"localhost:{home.port}")
            shell.stdin.write(f"{command}\necho; echo END OF ANSWER\n")
            shell.stdin.flush()
            answer = "".join(iter(shell.stdout.readline, "END OF ANSWER\n"))
            answer = answer.rstrip("\n").replace(f"localhost:{home.port}", "localhost:3000")
            assert example.is_answered_by(answer), f"{example.command}\n{answer}"
        shell.stdin.close()


def test_every_route_of_the_contract_is_shown() -> None:
    shown = " ".join(example.command + "'" for example in examples(README))
    assert {route for route in ROUTES if route not in shown} == set()
    assert len(examples(README)) > len(ROUTES)


def test_every_command_that_is_named_exists() -> None:
    named = set(re.findall(r"\bfairlist ([a-z][a-z-]*)", re.sub(r"\]\(.*?\)", "", README)))
    assert named <= set(main.commands)
    assert {"serve", "backup", "restore", "verify", "reset-password"} <= named


def test_every_make_target_that_is_named_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", (CODE / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:^|`|=demo )make ([a-z]+)", README, re.MULTILINE))
    assert named <= targets
    assert {"run", "test"} <= named


def test_the_table_of_settings_is_the_one_of_the_code() -> None:
    assert re.findall(r"^\| setting .*?\n\n", README, re.MULTILINE | re.DOTALL) == [markdown_table() + "\n"]


@pytest.mark.parametrize("page", ["README.md", "CHANGELOG.md", "docs/screenshots.md"])
def test_every_link_to_a_file_leads_somewhere(page: str) -> None:
    files = [link for link in links((CODE / page).read_text()) if not link.startswith("https://")]
    assert [file for file in files if not (CODE / page).parent.joinpath(file).exists()] == []
    assert files or page == "CHANGELOG.md"


def test_the_pictures_are_those_that_the_command_takes_and_no_burden_to_a_clone() -> None:
    pictures = {path.relative_to(DOCS).as_posix(): path.stat().st_size for path in PICTURES.iterdir()}
    assert (DOCS / "screenshots.md").read_text() == described()
    assert set(links(described())) == pictures.keys()
    assert sum(pictures.values()) < 2_500_000


def test_the_python_that_is_asked_for_is_the_one_that_is_needed() -> None:
    needed = tomllib.loads((CODE / "pyproject.toml").read_text())["project"]["requires-python"]
    assert f"Python {needed.removeprefix('>=')} or newer" in README


def test_an_answer_that_differs_from_the_one_shown_is_noticed() -> None:
    (example, other) = examples('```console\n$ book bob\n{"id":"…","assigned":true}\n$ true\n```\n')
    assert example.is_answered_by('{"id":"a-1","assigned":true}')
    assert not example.is_answered_by('{"id":"a-1","assigned":false}')
    assert not example.is_answered_by('{"id":"a-1","assigned":true}\nError')
    assert other == Example("true", "")
    assert not other.is_answered_by("surprise")


def test_the_changelog_has_a_section_for_the_version_of_the_program() -> None:
    from webapp import __version__

    assert re.search(rf"^## .*\b{re.escape(__version__)}\b", CHANGELOG, re.MULTILINE)
