"""The organiser's password in the data folder."""

import logging
import os
import re
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.security import generate_password_hash

from tests.web.unhurried import UNHURRIED
from webapp.web import passwords, private_files
from webapp.web.passwords import Credentials, PasswordFile, PasswordUnusable, reset_password

LEAN = "scrypt:1024:1:1"
ADA = Credentials("ada", generate_password_hash("correct horse", LEAN))


@pytest.fixture(autouse=True)
def lean_hashing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hashes that take no time, since their strength is not what is tested."""
    monkeypatch.setattr(passwords, "HASH_METHOD", LEAN)


def mode(path: Path) -> int:
    """The permissions of a file or folder."""
    return stat.S_IMODE(path.stat().st_mode)


def opened(data_dir: Path, admin_pass: str | None = None, user: str = "ada") -> Credentials:
    """The credentials after a start."""
    file, _ = PasswordFile.load_or_create(data_dir, user, admin_pass)
    return file.credentials()


def test_the_organiser_is_known_by_user_name_and_password() -> None:
    assert ADA.match("ada", "correct horse")


@pytest.mark.parametrize(
    ("user", "password"),
    [
        ("ada", "wrong horse"),
        ("ada", "correct horse "),
        ("ada", ""),
        ("Ada", "correct horse"),
        ("dan", "correct horse"),
        ("", ""),
        ("ada", "\ud800"),
        ("\ud800", "correct horse"),
        ("ada" * 100, "correct horse"),
        ("ada", "x" * 1_025),
    ],
)
def test_nobody_else_is_the_organiser(user: str, password: str) -> None:
    assert not ADA.match(user, password)


@UNHURRIED
@given(st.text(), st.text())
def test_no_claim_raises(user: str, password: str) -> None:
    assert not Credentials("ada", ADA.password_hash).match(user, f"{password}!")


def test_a_letter_is_the_same_however_a_keyboard_composes_it() -> None:
    zoe = Credentials("Zo\u00eb", generate_password_hash("caf\u00e9", LEAN))

    assert zoe.match("Zoe\u0308", "cafe\u0301")


def test_an_unknown_user_costs_as_much_hashing_as_a_known_one(monkeypatch: pytest.MonkeyPatch) -> None:
    hashed = []

    def check(password_hash: str, password: str) -> bool:
        hashed.append((password_hash, password))
        return True

    monkeypatch.setattr(passwords, "check_password_hash", check)
    assert ADA.match("ada", "guess")
    assert not ADA.match("dan", "guess")
    assert hashed == [(ADA.password_hash, "guess")] * 2


@pytest.mark.parametrize(("user", "password"), [("ada", "x" * 1_025), ("x" * 256, "x")])
def test_what_is_longer_than_any_setting_is_not_looked_at(
    user: str, password: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(passwords, "check_password_hash")

    assert not ADA.match(user, password)


def test_a_credentials_repr_does_not_show_the_hash() -> None:
    assert repr(ADA) == "Credentials(user='ada')"


def test_the_fingerprint_changes_with_the_user_and_with_the_password() -> None:
    others = {
        Credentials("bob", ADA.password_hash).fingerprint,
        Credentials("ada", generate_password_hash("correct horse", LEAN)).fingerprint,
    }

    assert re.fullmatch("[0-9a-f]{64}", ADA.fingerprint)
    assert Credentials("ada", ADA.password_hash).fingerprint == ADA.fingerprint
    assert len(others | {ADA.fingerprint}) == 3


def test_a_password_is_generated_at_the_first_start_and_told_once(tmp_path: Path) -> None:
    file, generated = PasswordFile.load_or_create(tmp_path / "data", "ada", None)
    assert generated is not None
    assert file.credentials().match("ada", generated)

    again, told = PasswordFile.load_or_create(tmp_path / "data", "ada", None)
    assert told is None
    assert again.credentials() == file.credentials()


def test_a_generated_password_is_readable_and_has_more_than_100_bits(tmp_path: Path) -> None:
    made = {reset_password(tmp_path) for _ in range(200)}

    assert len(made) == 200
    assert all(re.fullmatch("[2-9a-hjkmnp-z]{6}(-[2-9a-hjkmnp-z]{6}){3}", password) for password in made)
    assert len(set("".join(made))) == 32  # 31 letters, 24 of them drawn: 31 ** 24 > 2 ** 118


def test_password_and_folder_are_for_the_server_alone(tmp_path: Path) -> None:
    opened(tmp_path / "var" / "data")

    assert mode(tmp_path / "var" / "data") == 0o700
    assert mode(tmp_path / "var" / "data" / "password") == 0o600


def test_the_folder_holds_a_hash_and_nothing_else(tmp_path: Path) -> None:
    opened(tmp_path, "correct horse")

    assert [path.name for path in tmp_path.iterdir()] == ["password"]
    assert re.fullmatch(r"scrypt:1024:1:1\$\w{16}\$[0-9a-f]{128}\n", (tmp_path / "password").read_text())


def test_what_others_could_read_is_taken_from_them_at_the_next_start(tmp_path: Path) -> None:
    opened(tmp_path, "correct horse")
    (tmp_path / "password").chmod(0o644)

    opened(tmp_path)
    assert mode(tmp_path / "password") == 0o600


def test_a_password_from_the_settings_is_stored_and_keeps_its_hash_over_restarts(tmp_path: Path) -> None:
    first = opened(tmp_path, "correct horse")
    second = opened(tmp_path, "correct horse")

    assert first.match("ada", "correct horse")
    assert second.fingerprint == first.fingerprint


def test_another_password_from_the_settings_replaces_what_was_stored(tmp_path: Path) -> None:
    before = opened(tmp_path, "correct horse")
    after = opened(tmp_path, "battery staple")

    assert after.match("ada", "battery staple")
    assert not after.match("ada", "correct horse")
    assert after.fingerprint != before.fingerprint


def test_a_password_once_set_goes_on_when_it_is_no_longer_in_the_settings(tmp_path: Path) -> None:
    opened(tmp_path, "correct horse")
    file, generated = PasswordFile.load_or_create(tmp_path, "ada", None)

    assert generated is None
    assert file.credentials().match("ada", "correct horse")


def test_a_running_server_follows_a_reset_and_says_so_in_its_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file, generated = PasswordFile.load_or_create(tmp_path, "ada", None)
    before = file.credentials()
    password = reset_password(tmp_path)

    assert file.credentials().match("ada", password)
    assert not file.credentials().match("ada", str(generated))
    assert file.credentials().fingerprint != before.fingerprint
    (record,) = caplog.records
    assert record.getMessage() == "The organiser's password was replaced: all tokens and sessions have ended."


def test_the_file_is_read_again_only_when_it_was_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, _ = PasswordFile.load_or_create(tmp_path, "ada", None)
    readings = []

    def read(path: Path) -> str | None:
        readings.append(path)
        return private_files.read_private(path)

    monkeypatch.setattr(passwords, "read_private", read)
    for _ in range(10):
        file.credentials()
    assert readings == []
    reset_password(tmp_path)
    for _ in range(10):
        file.credentials()
    assert readings == [tmp_path / "password"]


def test_a_file_that_goes_missing_or_is_damaged_lets_nobody_in_or_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file, _ = PasswordFile.load_or_create(tmp_path, "ada", "correct horse")
    before = file.credentials()

    (tmp_path / "password").write_text("")
    with caplog.at_level(logging.ERROR):
        assert file.credentials() == before
        assert file.credentials() == before
    assert len(caplog.records) == 1
    (tmp_path / "password").unlink()
    assert file.credentials() == before
    password = reset_password(tmp_path)
    assert file.credentials().match("ada", password)


@pytest.mark.parametrize(
    "content", [b"", b"correct horse", b"pbkdf2:sha256:1$a$b", b"scrypt:1:1:1$salt$" + b"0" * 128, b"\xff", b"md5$a$b"]
)
def test_a_start_refuses_a_file_without_a_hash_and_says_what_to_do(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "password").write_bytes(content)

    with pytest.raises(PasswordUnusable, match=re.escape(str(tmp_path / "password"))):
        opened(tmp_path)
    assert (tmp_path / "password").read_bytes() == content
    assert opened(tmp_path, "correct horse").match("ada", "correct horse")


def test_a_password_of_full_strength_is_what_is_stored_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()

    assert opened(tmp_path, "correct horse").password_hash.startswith("scrypt:32768:8:3$")


def test_a_write_that_fails_leaves_the_old_text_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    private_files.write_private(tmp_path / "password", "old")

    def fail(path: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="No space left"):
        private_files.write_private(tmp_path / "password", "new")
    assert private_files.read_private(tmp_path / "password") == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["password"]


def test_what_is_written_is_on_disk_before_it_takes_the_place_of_the_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def noted_fsync(descriptor: int) -> None:
        steps.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        fsync(descriptor)

    def noted_replace(path: Path, target: Path) -> Path:
        steps.append("replace")
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(Path, "replace", noted_replace)
    private_files.write_private(tmp_path / "secret", "text")

    assert steps == ["folder", "file", "replace", "folder"]  # the first is the one above


def test_a_folder_that_is_there_keeps_its_permissions(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir(mode=0o755)
    private_files.write_private(tmp_path / "shared" / "secret", "text")

    assert mode(tmp_path / "shared") == 0o755
    assert mode(tmp_path / "shared" / "secret") == 0o600
