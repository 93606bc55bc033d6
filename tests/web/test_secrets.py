"""The secret, and the keys that follow from it."""

import hmac
import stat
from dataclasses import astuple, fields
from pathlib import Path

import pytest

from webapp.web.secrets import Secrets, SecretUnusable

SECRET = b"0123456789abcdef0123456789abcdef"


def test_every_purpose_has_a_key_of_its_own_and_none_is_the_secret() -> None:
    keys = astuple(Secrets.derived_from(SECRET))

    assert len(set(keys) | {SECRET}) == len(keys) + 1
    assert {len(key) for key in keys} == {32}


def test_the_keys_follow_from_the_secret_as_rfc_5869_says() -> None:
    extracted = hmac.new(b"fairlist", SECRET, "sha256").digest()
    keys = Secrets.derived_from(SECRET)

    for field in fields(Secrets):
        purpose = field.name.replace("_", "-").encode()
        assert getattr(keys, field.name) == hmac.new(extracted, purpose + b"\x01", "sha256").digest()


def test_a_given_secret_needs_no_file(tmp_path: Path) -> None:
    assert Secrets.load_or_create(tmp_path / "data", SECRET) == Secrets.derived_from(SECRET)
    assert list(tmp_path.iterdir()) == []


def test_a_secret_is_generated_once_for_the_server_alone(tmp_path: Path) -> None:
    first = Secrets.load_or_create(tmp_path / "data", None)
    text = (tmp_path / "data" / "secret").read_bytes()

    assert Secrets.load_or_create(tmp_path / "data", None) == first
    assert len(text.strip()) >= 32
    assert stat.S_IMODE((tmp_path / "data" / "secret").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700


def test_no_two_folders_have_the_same_secret(tmp_path: Path) -> None:
    made = {Secrets.load_or_create(tmp_path / str(number), None).jwt for number in range(20)}

    assert len(made) == 20


@pytest.mark.parametrize("content", [b"", b"\n", b"x" * 31, b"x" * 31 + b"\n\n", b"\xff" * 40])
def test_a_damaged_secret_is_told_and_never_replaced_in_silence(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "secret").write_bytes(content)

    with pytest.raises(SecretUnusable, match="secret"):
        Secrets.load_or_create(tmp_path, None)
    assert (tmp_path / "secret").read_bytes() == content


def test_keys_are_not_shown() -> None:
    keys = Secrets.derived_from(SECRET)

    assert not any(repr(key) in repr(keys) or key.hex() in repr(keys) for key in astuple(keys))
