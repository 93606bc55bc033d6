"""Small files that only the server's own user may read. Knows nothing of what they hold."""

import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

from webapp.paths import named_in_errors


def private_folder(folder: Path) -> None:
    """Makes the folder durably, for its owner alone. One that is there stays as it is: it may serve others, too.

    Raises OSError.
    """
    made = [path for path in folder.parents if not path.exists()]
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Even if it was there: who made it may have been killed before its name was on disk.
    for above in (folder.parent, *(path.parent for path in made)):
        with suppress(PermissionError):  # it was not made by us, then
            _sync_folder(above)


def read_private(path: Path) -> str | None:
    """The text in the file without white space around it; None where there is no file.

    What others may read is taken from them, so far as the file system lets.

    Raises OSError; ValueError where the file is not UTF-8.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        with suppress(PermissionError):
            path.chmod(0o600)
    return text.strip()


def write_private(path: Path, text: str) -> None:
    """Replaces the file durably and at once: at any instant a reader, or a restart, finds the old or the new text."""
    private_folder(path.parent)
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)  # comes with mode 0600
    try:
        with named_in_errors(path), os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(descriptor)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with named_in_errors(folder):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
