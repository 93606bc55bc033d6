"""The page about OWASP ASVS: nothing of the standard is passed over, and what it points at is there.

Also what no other test shows of what it says.
"""

import ast
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import fields
from functools import cache
from pathlib import Path

import pytest

from webapp.weak_passwords import COMMON, CONTEXT_WORDS
from webapp.web.secrets import Secrets

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
ASVS = (DOCS / "asvs.md").read_text()
SECURITY = (DOCS / "security.md").read_text()
REQUIREMENTS = Path(__file__).with_name("asvs_5.0.0_levels_1_and_2.txt").read_text().split()
"""The numbers of all requirements of levels 1 and 2: those of https://github.com/OWASP/ASVS/tree/v5.0.0_release/5.0."""

KEPT = {"yes", "**no**", "elsewhere"}


def rows(page: str) -> list[list[str]]:
    """The cells of the rows of all tables that begin with a number, or with several."""
    lines = re.findall(r"^\| ([0-9].*) \|$", page, re.MULTILINE)
    return [line.split(" | ") for line in lines]


def within(requirements: Iterable[str], name: str) -> list[str]:
    """Which requirements a number, or the number of a section or a chapter, stands for."""
    return [number for number in requirements if f"{number}.".startswith(f"{name}.")]


def miscounted(page: str) -> dict[str, int]:
    """The requirements that the page does not have exactly once, with how often it has them."""
    inside, _, outside = page.partition("## Out of scope")
    named = Counter(row[0] for row in rows(inside))
    for row in rows(outside):
        for name in row[0].split(", "):
            named.update(within(REQUIREMENTS, name) or [name])
    return {
        number: named[number] for number in {*REQUIREMENTS, *named} if named[number] != 1 or number not in REQUIREMENTS
    }


@cache
def defined(path: str) -> set[str]:
    """The names that a module defines, those in its classes with a dot."""
    return set(names(ast.parse((ROOT / path).read_text())))


def names(scope: ast.Module | ast.ClassDef) -> Iterator[str]:
    for node in scope.body:
        match node:
            case ast.ClassDef():
                yield node.name
                yield from (f"{node.name}.{name}" for name in names(node))
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                yield node.name
            case ast.Assign(targets=[ast.Name(name)]) | ast.AnnAssign(target=ast.Name(name)):
                yield name


def missing(page: str) -> list[str]:
    """What the page names, as a path or as `path::name`, and what is not there; a test must be one that is run."""
    found = []
    for path, name in re.findall(r"`((?:webapp|tests|templates|static)/[^`:]*|[a-z-]+\.lock)(?:::([^`]*))?`", page):
        if not (ROOT / path).exists():
            found.append(path)
        elif name and (name not in defined(path) or is_no_test(path, name)):
            found.append(f"{path}::{name}")
    return found


def is_no_test(path: str, name: str) -> bool:
    return path.startswith("tests/") and not name.startswith("test_")


def anchors(page: str) -> set[str]:
    """What the headings of a page are linked to by."""
    headings = re.findall(r"^#+ (.*)$", page, re.MULTILINE)
    return {re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_requirement_is_met_or_explained_or_out_of_scope_and_none_is_named_twice() -> None:
    assert len(set(REQUIREMENTS)) == len(REQUIREMENTS) == 253
    assert miscounted(ASVS) == {}


def test_every_row_says_whether_it_is_kept_and_says_how_or_why_not() -> None:
    inside, outside = map(rows, ASVS.split("## Out of scope"))
    assert [row for row in inside if len(row) != 5 or row[3] not in KEPT or not all(row)] == []
    assert [row for row in outside if len(row) != 3 or not all(row)] == []


def test_the_sum_at_the_top_is_that_of_the_rows() -> None:
    kept = Counter(row[3] for row in rows(ASVS.partition("## Out of scope")[0]))
    rest = len(REQUIREMENTS) - kept.total()
    numbers = [len(REQUIREMENTS), kept["yes"], kept["**no**"], kept["elsewhere"], rest]
    (summary,) = re.findall(r"^Of .*?\n\n", ASVS, re.MULTILINE | re.DOTALL)
    assert [int(number) for number in re.findall(r"[0-9]+", summary)] == numbers


@pytest.mark.parametrize("page", [ASVS, SECURITY], ids=["asvs", "security"])
def test_every_file_and_function_and_test_that_is_named_exists(page: str) -> None:
    assert missing(page) == []
    assert re.search(r"`webapp/web/auth\.py", page)


def test_a_page_with_a_gap_would_be_noticed() -> None:
    assert miscounted(ASVS.replace("| 6.3.3 |", "| 6.3.33 |")) == {"6.3.3": 0, "6.3.33": 1}
    assert miscounted(ASVS.replace("| 8.4 |", "| 8.4, 6.3.3 |")) == {"6.3.3": 2}
    assert miscounted(ASVS.replace("| 8.4 |", "| 8.44 |")) == {"8.4.1": 0, "8.44": 1}
    assert missing("`webapp/web/nothing.py`, `webapp/web/auth.py::Gatekeeper.close`") == ["webapp/web/nothing.py"]
    gone = ["webapp/web/auth.py::Gatekeeper.nothing", "tests/test_asvs.py::missing", "tests/test_asvs.py::test_nothing"]
    assert missing("".join(f"`{name}` " for name in gone)) == gone


@pytest.mark.parametrize("page", [ASVS, SECURITY], ids=["asvs", "security"])
def test_every_link_leads_somewhere(page: str) -> None:
    for file, anchor in re.findall(r"\]\((?!https:)([^)#]*)#?([^)]*)\)", page):
        assert (DOCS / file).exists()
        assert not anchor or anchor in anchors((DOCS / file).read_text())


# What the page says, and no other test shows

FORBIDDEN_MODULES = {
    "aiohttp", "asyncio.subprocess", "code", "ctypes", "ftplib", "http.client", "httpx", "imaplib", "marshal",
    "multiprocessing", "pickle", "poplib", "pty", "requests", "runpy", "shelve", "smtplib", "subprocess",
    "urllib.request", "urllib3", "xml", "xmlrpc", "yaml",
}  # fmt: skip
FORBIDDEN_NAMES = {
    "__import__", "compile", "eval", "exec", "os.popen", "os.startfile", "os.system", "asyncio.create_subprocess_exec",
    "asyncio.create_subprocess_shell", "asyncio.open_connection", "socket.create_connection",
}  # fmt: skip
FORBIDDEN_ENDS = re.compile(r"\Aos\.(exec|spawn|posix_spawn|fork)|\.(connect_ex|create_connection|sock_connect)\Z")


def forbidden(source: str) -> Iterator[str]:
    """What in a module would start a program, call a server, or run what it reads."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=imported):
                yield from (alias.name for alias in imported if is_forbidden_module(alias.name))
            case ast.ImportFrom(module=str(module), names=imported):
                yield from (module for alias in imported if is_forbidden_module(f"{module}.{alias.name}"))
            case ast.Call(func=called):
                name = ast.unparse(called)
                if name in FORBIDDEN_NAMES or FORBIDDEN_ENDS.search(name):
                    yield name


def is_forbidden_module(name: str) -> bool:
    return any(f"{name}.".startswith(f"{module}.") for module in FORBIDDEN_MODULES)


def test_the_program_starts_no_other_calls_no_server_and_reads_nothing_that_could_run() -> None:
    sources = {path.relative_to(ROOT): path.read_text() for path in sorted((ROOT / "webapp").rglob("*.py"))}
    assert {path: found for path, source in sources.items() if (found := list(forbidden(source)))} == {}


@pytest.mark.parametrize(
    "source",
    ["import subprocess", "from urllib import request", "from xml.etree import ElementTree", "eval('1')",
     "os.execv('/bin/sh', [])", "loop.create_connection(x)", "import http.client as c", "os.system('ls')"],
)  # fmt: skip
def test_a_program_that_does_would_be_noticed(source: str) -> None:
    assert list(forbidden(source)) != []


def test_the_words_that_passwords_may_not_lean_on_are_documented() -> None:
    (told,) = re.findall(r"these words: ([a-z,\s]*)\.", SECURITY)
    assert tuple(re.split(r",\s", told)) == CONTEXT_WORDS
    assert f"one of {len(COMMON.read_text().splitlines()):,} from breaches" in SECURITY


def test_every_key_is_in_the_inventory() -> None:
    inventory = SECURITY.partition("## Cryptography")[2].partition("\n## ")[0]
    assert [key.name for key in fields(Secrets) if f"`{key.name}`" not in inventory] == []


def test_every_page_of_the_panel_offers_to_sign_out() -> None:
    folder = ROOT / "templates" / "organise"
    assert '<form method="post" action="/ui/sign-out">' in (folder / "_layout.html").read_text()
    pages = {path.name: path.read_text() for path in folder.glob("[!_]*.html") if path.name != "sign_in.html"}
    assert len(pages) > 5
    assert [name for name, text in pages.items() if not extends_the_frame(text, folder)] == []


def extends_the_frame(text: str, folder: Path) -> bool:
    """Whether a template stands within the panel's frame, be it by way of another, and leaves its navigation alone."""
    above = re.search(r'{% extends "organise/([^"]+)" %}', text)
    if above is None or "{% block navigation %}" in text:
        return False
    return above[1] == "_layout.html" or extends_the_frame((folder / above[1]).read_text(), folder)
