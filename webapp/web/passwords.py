"""The organiser's password: kept as a scrypt hash in the data folder, made where there is none. Limits nothing."""

import hashlib
import hmac
import logging
import re
import secrets
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from werkzeug.security import check_password_hash, generate_password_hash

from webapp.settings import PASSWORD_LENGTH_MAX, USER_LENGTH_MAX
from webapp.web.private_files import read_private, write_private

log = logging.getLogger(__name__)

HASH_METHOD: Final = "scrypt:32768:8:3"  # another one to come must leave hashes of this one valid
_SALT_AND_HASH: Final = re.compile(r"[A-Za-z0-9]+\$[0-9a-f]{128}")
_SURROGATE: Final = re.compile(r"[\ud800-\udfff]")

# Without what looks alike in some font: 0 and o, 1 and l and i. 24 of these 31 are 118 bits.
_LETTERS: Final = "23456789abcdefghjkmnpqrstuvwxyz"
_GROUPS: Final = 4
_GROUP_LENGTH: Final = 6

FileMark = tuple[int, int, int]


class PasswordUnusable(Exception):
    """The file of the password holds no hash of one: a sentence that says what to do."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who the organiser is: a user name and the scrypt hash of the password."""

    user: str
    password_hash: str = field(repr=False)

    @property
    def fingerprint(self) -> str:
        """64 hexadecimal digits that change with the user or the password; tokens and sessions end with them."""
        return hashlib.sha256(f"{self.user}\n{self.password_hash}".encode()).hexdigest()

    def match(self, user: str, password: str) -> bool:
        """Whether these are the organiser's. Takes some 0.2 s of a processor, whether or not the user is known."""
        if len(user) > USER_LENGTH_MAX or len(password) > PASSWORD_LENGTH_MAX or _SURROGATE.search(user + password):
            return False
        right_password = check_password_hash(self.password_hash, _prepared(password))
        right_user = hmac.compare_digest(_prepared(user).encode(), _prepared(self.user).encode())
        return right_password and right_user


class PasswordFile:
    """The password in the data folder, and the organiser whose it is. Follows the file when it is replaced."""

    def __init__(self, data_dir: Path, user: str) -> None:
        """Raises PasswordUnusable where the file cannot be read, is missing or holds no hash."""
        self._path = _path(data_dir)
        self._user = user
        self._mark = self._file_mark()  # before the reading: what is replaced in between is then read again
        self._credentials = Credentials(user, _stored_hash(self._path))

    @classmethod
    def load_or_create(
        cls, data_dir: Path, admin_user: str, admin_pass: str | None
    ) -> tuple["PasswordFile", str | None]:
        """The password file, and the password if one had to be generated: it is known here and now only.

        A given `admin_pass` is stored, unless it is what is stored: one password keeps one hash over restarts, so that
        tokens and sessions go on.

        Raises PasswordUnusable; OSError where the file cannot be written.
        """
        path = _path(data_dir)
        if admin_pass is not None:
            _store_unless_stored(path, admin_pass)
            return cls(data_dir, admin_user), None
        generated = None if path.exists() else reset_password(data_dir)
        return cls(data_dir, admin_user), generated

    def credentials(self) -> Credentials:
        """The credentials of this moment. While the file is missing or damaged, the last ones hold."""
        mark = self._file_mark()
        if mark is not None and mark != self._mark:
            self._mark = mark
            self._follow()
        return self._credentials

    def _follow(self) -> None:
        try:
            found = Credentials(self._user, _stored_hash(self._path))
        except PasswordUnusable as problem:
            log.error("%s The password of before goes on.", problem)
            return
        if found != self._credentials:
            log.warning("The organiser's password was replaced: all tokens and sessions have ended.")
        self._credentials = found

    def _file_mark(self) -> FileMark | None:
        """What differs between a file and the one that replaced it."""
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size


def reset_password(data_dir: Path) -> str:
    """Stores a new password in the data folder, and returns it. A server that runs there follows by itself."""
    password = _generated()
    write_private(_path(data_dir), _hash(password))
    return password


def _store_unless_stored(path: Path, password: str) -> None:
    try:
        stored = check_password_hash(_stored_hash(path), _prepared(password))
    except PasswordUnusable:
        stored = False
    if not stored:
        write_private(path, _hash(password))


def _stored_hash(path: Path) -> str:
    try:
        text = read_private(path)
    except (OSError, ValueError) as problem:
        raise PasswordUnusable(f"The password in {path} cannot be read: {problem}.") from problem
    method, _, rest = (text or "").partition("$")
    if method != HASH_METHOD or not _SALT_AND_HASH.fullmatch(rest):
        raise PasswordUnusable(f"There is no password in {path}. `fairlist reset-password` makes one.")
    return f"{method}${rest}"


def _hash(password: str) -> str:
    return generate_password_hash(_prepared(password), HASH_METHOD)


def _prepared(text: str) -> str:
    """NFC, so that an é is an é however a keyboard composes it (RFC 8265, section 4)."""
    return unicodedata.normalize("NFC", text)


def _generated() -> str:
    return "-".join("".join(secrets.choice(_LETTERS) for _ in range(_GROUP_LENGTH)) for _ in range(_GROUPS))


def _path(data_dir: Path) -> Path:
    return data_dir / "password"
