"""What is installed is what was tested: a wheel holds every file, and serves from a folder of its own."""

import os
import re
import subprocess
import sys
import tomllib
from email.message import Message
from email.parser import HeaderParser
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.server import CODE, Server

FOLDERS = {"webapp": "webapp", "schema": "webapp/schema", "static": "webapp/static", "templates": "webapp/templates"}
"""Where each folder of the tree goes in a wheel."""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this tree, built without a network."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, CODE)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the wheel is installed into, without its dependencies."""
    folder = tmp_path_factory.mktemp("installed")
    # The environment itself has no pip: the Python that it was made with has filled it.
    python = Path(sys.base_prefix, "bin", f"python{sys.version_info.major}.{sys.version_info.minor}")
    run(python, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--target", folder, wheel)
    return folder


@pytest.fixture
def home(installed: Path, tmp_path: Path) -> Server:
    """A server that runs what is installed; only the dependencies come from where the tests run."""
    return Server(tmp_path, program=(str(installed / "bin" / "fairlist"), "serve"), PYTHONPATH=str(installed))


def run(*command: str | Path) -> str:
    """Run a command; returns what it prints."""
    # From the root, where no module of this tree can stand in for one of the same name.
    ended = subprocess.run(command, cwd="/", capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def metadata(wheel: Path) -> Message:
    with ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return HeaderParser().parsestr(archive.read(name).decode())


def test_a_wheel_holds_every_file_of_the_program_byte_for_byte_and_nothing_else(wheel: Path) -> None:
    tree = {
        f"{inside}/{path.relative_to(CODE / folder).as_posix()}": path.read_bytes()
        for folder, inside in FOLDERS.items()
        for path in (CODE / folder).rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    with ZipFile(wheel) as archive:
        packed = {name: archive.read(name) for name in archive.namelist() if ".dist-info/" not in name}
    assert packed == tree
    for needed in ("templates/events.html", "static/app.css", "static/vendor/manifest.json"):
        assert f"webapp/{needed}" in packed
    assert [name for name in packed if re.fullmatch(r"webapp/schema/sqlite/0001_\w+\.sql", name)]


def test_a_wheel_names_its_version_its_licence_and_what_it_needs(wheel: Path) -> None:
    about = metadata(wheel)
    project = tomllib.loads((CODE / "pyproject.toml").read_text())["project"]
    assert f"fairlist, version {about['Version']}\n" == run(sys.executable, "-m", "webapp", "--version")
    assert about["License-Expression"] == "MIT"
    assert sorted(about.get_all("Requires-Dist") or []) == project["dependencies"]
    with ZipFile(wheel) as archive:
        (licence,) = (name for name in archive.namelist() if name.endswith("/LICENSE"))
        assert archive.read(licence) == (CODE / "LICENSE").read_bytes()


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock"])
def test_everything_that_is_needed_is_locked_with_hashes(wheel: Path, lock: str) -> None:
    locked = dict(re.findall(r"^([\w.-]+)==\S+ ?(.*)$", (CODE / lock).read_text(), re.MULTILINE))
    assert all(rest == "\\" or rest.endswith(" \\") for rest in locked.values())  # hashes follow
    for requirement in metadata(wheel).get_all("Requires-Dist") or []:
        assert re.split(r"[<>=!~; ]", requirement)[0] in locked


def test_what_is_installed_serves_pages_with_all_their_assets(home: Server, installed: Path) -> None:
    with home:
        assert home.ask("GET /health").json == {"ok": True}
        page = home.ask("GET /ui")
        assert page.status == 200
        assets = re.findall(r'(?:href|src)="(/static/[^"#]+)', page.body.decode())
        assert len(set(assets)) > 3
        for asset in set(assets):
            assert home.ask(f"GET {asset}").status == 200
        assert home.as_organiser("POST /initialize", {"eventId": "gig", "tickets": 1}).status == 200
        assert home.ask("GET /ui/events/gig").status == 200
        assert home.stop() == 0
    assert "migrated the database: 0001_" in home.stderr
    home.verify()


def test_what_is_installed_takes_nothing_from_the_tree(installed: Path, tmp_path: Path) -> None:
    modules = "import sys, webapp.app; print(*(sys.modules[m].__file__ for m in sys.modules if 'webapp' in m))"
    folders = "import webapp.paths as paths; print(paths.SCHEMA, paths.STATIC, paths.TEMPLATES)"
    for question in (modules, folders):
        environment = {**os.environ, "PYTHONPATH": str(installed)}
        command = [sys.executable, "-c", question]
        answer = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
        assert len(answer.stdout.split()) >= 3
        assert all(Path(path).is_relative_to(installed) for path in answer.stdout.split())
