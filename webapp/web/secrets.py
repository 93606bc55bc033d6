"""One secret, and a key of its own for every purpose, so that what is signed for one counts for no other."""

import hmac
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from webapp.web.private_files import read_private, write_private

SECRET_BYTES: Final = 32


class SecretUnusable(Exception):
    """The file of the secret holds none: a sentence that says what to do."""


@dataclass(frozen=True, slots=True, repr=False)
class Secrets:
    """The keys, of 32 bytes each."""

    jwt: bytes
    session: bytes
    guest_cookie: bytes
    basic_cache: bytes
    manage_link: bytes
    ticket_code: bytes
    calendar_uid: bytes

    @classmethod
    def derived_from(cls, secret: bytes) -> "Secrets":
        """The keys that follow from a secret of at least 32 bytes: the same ones every time."""
        assert len(secret) >= SECRET_BYTES
        return cls(
            jwt=_key(secret, b"jwt"),
            session=_key(secret, b"session"),
            guest_cookie=_key(secret, b"guest-cookie"),
            basic_cache=_key(secret, b"basic-cache"),
            manage_link=_key(secret, b"manage-link"),
            ticket_code=_key(secret, b"ticket-code"),
            calendar_uid=_key(secret, b"calendar-uid"),
        )

    @classmethod
    def load_or_create(cls, data_dir: Path, auth_secret: bytes | None) -> "Secrets":
        """The keys from AUTH_SECRET, else from the secret in the data folder, which is made where it is missing.

        Raises SecretUnusable where the file is there and holds no secret: manage links would break with a new one.
        """
        return cls.derived_from(auth_secret or _kept_secret(data_dir / "secret"))


def _kept_secret(path: Path) -> bytes:
    try:
        text = read_private(path)
    except (OSError, ValueError) as problem:
        raise SecretUnusable(f"The secret in {path} cannot be read: {problem}.") from problem
    if text is None:
        text = secrets.token_urlsafe(SECRET_BYTES)
        write_private(path, text)
    if len(text.encode()) < SECRET_BYTES:
        raise SecretUnusable(
            f"The secret in {path} is damaged: it has fewer than {SECRET_BYTES} bytes. Bring it back from a backup, or "
            "remove the file: a new secret is made then, and everybody's links and sign-ins end."
        )
    return text.encode()


def _key(secret: bytes, purpose: bytes) -> bytes:
    """HKDF with SHA-256 (RFC 5869), whose first block is all that 32 bytes need."""
    extracted = hmac.digest(b"fairlist", secret, "sha256")
    return hmac.digest(extracted, purpose + b"\x01", "sha256")
