"""Where the files beside the code are: inside the installed package, or beside it in a checkout."""

from pathlib import Path
from typing import Final

_PACKAGE: Final = Path(__file__).parent


def _folder(name: str) -> Path:
    inside = _PACKAGE / name
    return inside if inside.is_dir() else _PACKAGE.parent / name


TEMPLATES: Final = _folder("templates")
STATIC: Final = _folder("static")
SCHEMA: Final = _folder("schema")
