"""The rules of the house that a machine can keep.

A rule takes a path below the top of the repository and that file's text, and yields a
sentence for each violation. Each is run over the real files, and over a sample that
violates it, since a rule that finds nothing may be broken.
"""

import ast
import re
from collections import Counter
from collections.abc import Callable, Iterator
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).parents[1]
Rule = Callable[[str, str], Iterator[str]]
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef

# What each part may import of the others. A name with a dot admits that module alone.
EVERYTHING = {"webapp"}
MAY_IMPORT = {
    "__init__": set[str](),
    "__main__": {"cli"},
    "announcements": {"booking"},
    "app": EVERYTHING,
    "booking": set[str](),
    "box_office": {"announcements", "booking", "committer", "desk", "desks", "storage.store"},
    "cli": EVERYTHING,
    "committer": {"announcements", "booking", "desk", "storage.store"},
    "desk": {"booking", "storage.store"},
    "desks": {"booking", "desk", "recovery", "storage.store"},
    "demo": {"booking", "box_office", "desk"},
    "enquiries": {"booking", "box_office", "desk", "storage.store", "turnout"},
    "forgetting": {"storage.store"},
    "log": set[str](),
    "metrics": set[str](),
    "paths": set[str](),
    "recovery": {"booking", "storage.store"},
    "retention": {"booking", "box_office", "desk", "enquiries"},
    "server": EVERYTHING,
    "settings": {"weak_passwords"},
    "storage": {"booking", "paths"},
    "turnout": {"storage.store"},
    "verification": {"booking", "recovery", "storage"},
    "weak_passwords": set[str](),
    "web": {
        "announcements",
        "booking",
        "box_office",
        "desk",
        "enquiries",
        "log",
        "metrics",
        "paths",
        "settings",
        "storage.store",
        "turnout",
    },
}  # fmt: skip
# Without IO, clock, randomness or concurrency.
PURE = {
    "__future__", "abc", "array", "base64", "bisect", "collections", "dataclasses", "enum", "functools", "hashlib",
    "heapq", "itertools", "json", "math", "operator", "re", "struct", "types", "typing", "unicodedata",
}  # fmt: skip
IMPURE_CALLS = {"__import__", "breakpoint", "eval", "exec", "input", "open", "print"}
DATABASES = {"aiosqlite", "asyncpg", "sqlite3"}
SQL = re.compile(
    r"\bSELECT\s|\bINSERT\s+(OR|INTO)\b|\bUPDATE\s+\w+\s+SET\b|\bDELETE\s+FROM\b|\bPRAGMA\s|\bVACUUM\b"
    r"|\b(CREATE|ALTER|DROP)\s+(UNIQUE|TABLE|INDEX|TRIGGER|VIEW)\b|\bBEGIN\s+(IMMEDIATE|EXCLUSIVE|DEFERRED)\b"
    r"|^\s*(BEGIN|COMMIT|ROLLBACK|END)\s*;?\s*$"
)
LINES_MAX = 400
TOP_LEVEL = {
    "CHANGELOG.md", "LICENSE", "Makefile", "README.md", "docs", "pyproject.toml", "requirements.lock",
    "requirements-dev.lock", "schema", "static", "templates", "tests", "webapp",
}  # fmt: skip


def part(path: str) -> str:
    """The part of the house a file of webapp belongs to: `web` for `webapp/web/live.py`."""
    return PurePosixPath(path).parts[1].removesuffix(".py")


def imports(path: str, source: str) -> set[str]:
    """Every module, or name in a module, that the source imports, in full."""
    found = set()
    package = PurePosixPath(path).parent.parts
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*above, *([node.module] if node.module else [])])
            found |= {f"{module}.{alias.name}" for alias in node.names}
    return found


def within(name: str, module: str) -> bool:
    """Whether a dotted name is the module or something inside it."""
    return f"{name}.".startswith(f"{module}.")


def imports_run_downwards(path: str, source: str) -> Iterator[str]:
    """Each part imports only itself, the package's version and the parts listed for it."""
    if part(path) not in MAY_IMPORT:
        yield "is not among the parts listed in MAY_IMPORT"
        return
    own = {f"webapp.{part(path)}", "webapp.__version__"}
    allowed = own | {name if name == "webapp" else f"webapp.{name}" for name in MAY_IMPORT[part(path)]}
    for name in imports(path, source):
        if within(name, "webapp") and not any(within(name, module) for module in allowed):
            yield f"imports {name}"


def the_rules_are_pure(path: str, source: str) -> Iterator[str]:
    """`webapp/booking` imports only what can neither wait, read, write nor vary, and calls nothing of the kind."""
    if part(path) != "booking":
        return
    for name in imports(path, source):
        if name.split(".")[0] not in PURE | {"webapp"}:
            yield f"imports {name}"
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in IMPURE_CALLS:
            yield f"calls {node.func.id}"
        if isinstance(node, ast.AsyncFunctionDef):
            yield f"defines the coroutine {node.name}"


def sql_stays_in_storage(path: str, source: str) -> Iterator[str]:
    """Only `webapp/storage` speaks SQL or imports a database."""
    if part(path) == "storage":
        return
    yield from (f"imports {name}" for name in imports(path, source) if name.split(".")[0] in DATABASES)
    tree = ast.parse(source)
    prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and id(node) not in prose and SQL.search(str(node.value)):
            yield f"line {node.lineno} speaks SQL"


def quart_stays_in_the_fronts(path: str, source: str) -> Iterator[str]:
    """Only `webapp/web` and `webapp/app.py` import Quart."""
    if part(path) not in {"app", "web"}:
        yield from (f"imports {name}" for name in imports(path, source) if within(name, "quart"))


def no_file_is_long(_: str, source: str) -> Iterator[str]:
    """A file of webapp has at most 400 lines."""
    if (lines := len(source.splitlines())) > LINES_MAX:
        yield f"has {lines} lines"


def public(scope: ast.Module | ast.ClassDef) -> Iterator[Definition]:
    """The functions and classes that a module, or a class of it, offers to others."""
    for node in scope.body:
        if isinstance(node, Definition) and not node.name.startswith("_"):
            yield node
            if isinstance(node, ast.ClassDef):
                yield from public(node)


def what_is_public_is_described(_: str, source: str) -> Iterator[str]:
    """Modules, public functions, classes and their methods have docstrings."""
    tree = ast.parse(source)
    if not ast.get_docstring(tree):
        yield "has no docstring"
    for node in public(tree):
        overload = any(isinstance(mark, ast.Name) and mark.id == "overload" for mark in node.decorator_list)
        if not overload and not ast.get_docstring(node):
            yield f"{node.name} has no docstring"


def what_no_test_reaches_says_why(_: str, source: str) -> Iterator[str]:
    """Where coverage is not asked for, the line says why: `# pragma: no cover -- only a broken disk gets here`."""
    for number, line in enumerate(source.splitlines(), 1):
        if re.search(r"#\s*pragma", line, re.IGNORECASE) and not re.search(r"# pragma: no (cover|branch) -- \S+", line):
            yield f"line {number} does not say why no test reaches it"


def no_test_hides_another(_: str, source: str) -> Iterator[str]:
    """No test hides another of the same name."""
    for scope in ast.walk(ast.parse(source)):
        if isinstance(scope, ast.Module | ast.ClassDef):
            names = Counter(node.name for node in scope.body if isinstance(node, Definition))
            yield from (f"{name} is defined {count} times" for name, count in names.items() if count > 1)


def strangers(names: set[str], ignored: str) -> set[str]:
    """Which names at the top level are neither planned nor hidden nor ignored by git."""
    patterns = [line.strip("/") for line in ignored.splitlines() if line]
    return {
        name
        for name in names - TOP_LEVEL
        if not name.startswith(".") and not any(fnmatch(name, pattern) for pattern in patterns)
    }


CODE_RULES: list[Rule] = [
    imports_run_downwards,
    the_rules_are_pure,
    sql_stays_in_storage,
    quart_stays_in_the_fronts,
    no_file_is_long,
    what_is_public_is_described,
    what_no_test_reaches_says_why,
]


def violations(rule: Rule, folder: str, pattern: str, root: Path = ROOT) -> list[str]:
    """What a rule finds in the files of a folder, which has some unless it is missing."""
    paths = [path for path in sorted((root / folder).rglob(pattern)) if path.is_file()]
    assert paths or not (root / folder).exists()
    files = ((path.relative_to(root).as_posix(), path.read_text()) for path in paths)
    return [f"{name} {complaint}" for name, text in files for complaint in rule(name, text)]


@pytest.mark.parametrize("rule", CODE_RULES)
def test_the_code_keeps_its_rules(rule: Rule) -> None:
    found = violations(rule, "webapp", "*.py")
    assert not found, "\n".join(found)


def test_no_test_hides_another_of_the_same_name() -> None:
    assert violations(no_test_hides_another, "tests", "*.py") == []


def test_the_top_level_holds_only_what_is_planned() -> None:
    assert strangers({path.name for path in ROOT.iterdir()}, (ROOT / ".gitignore").read_text()) == set()


DESCRIBED = '"""A module."""\n'


@pytest.mark.parametrize(
    ("rule", "path", "text"),
    [
        (imports_run_downwards, "webapp/booking/state.py", "import webapp.box_office"),
        (imports_run_downwards, "webapp/booking/state.py", "from webapp import storage"),
        (imports_run_downwards, "webapp/booking/state.py", "from ..storage import store"),
        (imports_run_downwards, "webapp/box_office.py", "from .web.live import publish"),
        (imports_run_downwards, "webapp/box_office.py", "from webapp.storage import sqlite"),
        (imports_run_downwards, "webapp/storage/sqlite.py", "from webapp.box_office import BoxOffice"),
        (imports_run_downwards, "webapp/web/live.py", "def page():\n    from webapp import storage"),
        (imports_run_downwards, "webapp/web/live.py", "from webapp.app import create_app"),
        (imports_run_downwards, "webapp/settings.py", "import webapp.web"),
        (imports_run_downwards, "webapp/newcomer.py", ""),
        (the_rules_are_pure, "webapp/booking/ledger.py", "import asyncio"),
        (the_rules_are_pure, "webapp/booking/ledger.py", "from time import time"),
        (the_rules_are_pure, "webapp/booking/ledger.py", "import os.path"),
        (the_rules_are_pure, "webapp/booking/ledger.py", "import jinja2"),
        (the_rules_are_pure, "webapp/booking/ledger.py", "open('ledger')"),
        (the_rules_are_pure, "webapp/booking/ledger.py", "async def book(): ..."),
        (sql_stays_in_storage, "webapp/web/live.py", "import sqlite3"),
        (sql_stays_in_storage, "webapp/cli.py", "from aiosqlite import connect"),
        (sql_stays_in_storage, "webapp/cli.py", "run('PRAGMA integrity_check')"),
        (sql_stays_in_storage, "webapp/box_office.py", "run(f'SELECT {columns} FROM events')"),
        (sql_stays_in_storage, "webapp/box_office.py", "run('COMMIT')"),
        (quart_stays_in_the_fronts, "webapp/box_office.py", "from quart import request"),
        (quart_stays_in_the_fronts, "webapp/booking/state.py", "import quart.wrappers"),
        (no_file_is_long, "webapp/cli.py", "\n" * (LINES_MAX + 1)),
        (what_is_public_is_described, "webapp/cli.py", "version = 1"),
        (what_is_public_is_described, "webapp/cli.py", f"{DESCRIBED}def main(): ..."),
        (what_is_public_is_described, "webapp/cli.py", f"{DESCRIBED}async def main(): ..."),
        (what_is_public_is_described, "webapp/cli.py", f"{DESCRIBED}class Main: ..."),
        (what_is_public_is_described, "webapp/cli.py", f"{DESCRIBED}class Main:\n 'It.'\n def run(self): ..."),
        (what_no_test_reaches_says_why, "webapp/cli.py", "raise  # pragma: no cover"),
        (what_no_test_reaches_says_why, "webapp/cli.py", "raise  # pragma: no cover --"),
        (what_no_test_reaches_says_why, "webapp/cli.py", "raise  #PRAGMA:NO COVER -- really"),
        (what_no_test_reaches_says_why, "webapp/cli.py", "if odd:  # pragma: no branch"),
        (no_test_hides_another, "tests/test_x.py", "def test_a(): ...\nasync def test_a(): ..."),
        (no_test_hides_another, "tests/test_x.py", "class TestX:\n def test_a(self): ...\n def test_a(self): ..."),
    ],
)
def test_a_violation_is_caught(rule: Rule, path: str, text: str) -> None:
    assert list(rule(path, text))


@pytest.mark.parametrize(
    ("rule", "path", "text"),
    [
        (imports_run_downwards, "webapp/web/live.py", "from webapp import __version__, box_office"),
        (
            imports_run_downwards,
            "webapp/web/live.py",
            "from . import dates\nfrom ..booking.state import EventState",
        ),
        (imports_run_downwards, "webapp/cli.py", "from webapp.storage.sqlite import SqliteStore"),
        (the_rules_are_pure, "webapp/booking/state.py", "import hashlib\nfrom webapp.booking import ledger"),
        (sql_stays_in_storage, "webapp/storage/sqlite.py", "import sqlite3\nrun('SELECT 1')"),
        (sql_stays_in_storage, "webapp/web/api.py", "'''DELETE FROM is not said here.'''\nMETHOD = 'DELETE'"),
        (quart_stays_in_the_fronts, "webapp/web/api.py", "import quart"),
        (what_is_public_is_described, "webapp/cli.py", f"{DESCRIBED}def _port(): ..."),
        (what_no_test_reaches_says_why, "webapp/cli.py", "raise  # pragma: no cover -- only a broken disk gets here"),
        (what_is_public_is_described, "webapp/cli.py", f"{DESCRIBED}@overload\ndef port(): ..."),
    ],
)
def test_what_keeps_a_rule_is_let_through(rule: Rule, path: str, text: str) -> None:
    assert list(rule(path, text)) == []


def test_a_violation_is_found_in_the_depth_of_a_folder(tmp_path: Path) -> None:
    module = tmp_path / "webapp" / "web" / "live.py"
    module.parent.mkdir(parents=True)
    module.write_text("import sqlite3")
    assert violations(sql_stays_in_storage, "webapp", "*.py", tmp_path) == ["webapp/web/live.py imports sqlite3"]


def test_a_stranger_at_the_top_level_is_noticed() -> None:
    assert strangers({"webapp", ".ci", "data", "a.db", "utils"}, "/data/\n*.db\n") == {"utils"}
