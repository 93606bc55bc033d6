"""Where the files beside the code are, inside the installed package or beside it in a checkout; names of the others."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_PACKAGE: Final = Path(__file__).parent


def _folder(name: str) -> Path:
    inside = _PACKAGE / name
    return inside if inside.is_dir() else _PACKAGE.parent / name


TEMPLATES: Final = _folder("templates")
STATIC: Final = _folder("static")
SCHEMA: Final = _folder("schema")


@contextmanager
def named_in_errors(path: Path) -> Iterator[None]:
    """Name the path in an OSError of a call that is given a descriptor only, such as fsync."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or str(path)
        raise
