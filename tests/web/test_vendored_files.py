"""The third-party files served to browsers are the ones their manifest names, byte for byte."""

import hashlib
import json
from pathlib import Path

import pytest

VENDOR = Path(__file__).parents[2] / "static" / "vendor"
MANIFEST = "manifest.json"


def differences(folder: Path) -> list[str]:
    """What in the folder disagrees with its manifest: a sentence for each disagreement."""
    entries = {entry["file"]: entry for entry in json.loads((folder / MANIFEST).read_bytes())}
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    del files[MANIFEST]
    return [
        *(f"{name} is not in the manifest" for name in files.keys() - entries.keys()),
        *(f"{name} is missing" for name in entries.keys() - files.keys()),
        *(f"{name} does not name its version" for name, entry in entries.items() if entry["version"] not in name),
        *(
            f"{name} has another hash"
            for name in files.keys() & entries.keys()
            if hashlib.sha256(files[name].read_bytes()).hexdigest() != entries[name]["sha256"]
        ),
    ]


def test_every_vendored_file_is_the_one_its_manifest_names() -> None:
    assert differences(VENDOR) == []


def test_every_vendored_script_comes_with_its_licence() -> None:
    scripts = list(VENDOR.glob("*.min.js"))
    assert scripts
    for script in scripts:
        assert script.with_name(script.name.replace(".min.js", ".LICENSE.txt")).read_text()


@pytest.mark.parametrize(
    ("files", "complaint"),
    [
        ({"a-1.0.js": "altered"}, "a-1.0.js has another hash"),
        ({"a-1.0.js": "a", "b-1.0.js": "b"}, "b-1.0.js is not in the manifest"),
        ({}, "a-1.0.js is missing"),
    ],
)
def test_a_file_that_leaves_the_manifest_is_noticed(tmp_path: Path, files: dict[str, str], complaint: str) -> None:
    entry = {"file": "a-1.0.js", "version": "1.0", "sha256": hashlib.sha256(b"a").hexdigest()}
    (tmp_path / MANIFEST).write_text(json.dumps([entry]))
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert differences(tmp_path) == [complaint]


def test_a_name_without_its_version_is_noticed(tmp_path: Path) -> None:
    entry = {"file": "a.js", "version": "1.0", "sha256": hashlib.sha256(b"a").hexdigest()}
    (tmp_path / MANIFEST).write_text(json.dumps([entry]))
    (tmp_path / "a.js").write_text("a")
    assert differences(tmp_path) == ["a.js does not name its version"]
