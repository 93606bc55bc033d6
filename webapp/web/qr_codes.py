"""QR codes as pages draw them: a square of dark and light modules, whose dark ones are strokes of one path."""

from collections.abc import Iterator
from functools import lru_cache
from itertools import groupby
from typing import Final, NamedTuple

import segno

QUIET_ZONE: Final = 4
"""So many light modules stand on every side, without which scanners may find nothing (ISO/IEC 18004)."""

CODES_KEPT: Final = 1_024

MASK: Final = 2
"""One of eight patterns, any of which scanners read; to look for the best takes six times as long."""


class QrCode(NamedTuple):
    """A QR code: how many modules each side has with its quiet zone, and the path to be stroked one module wide."""

    size: int
    path: str


@lru_cache(CODES_KEPT)
def qr_code(text: str) -> QrCode | None:
    """The QR code of a text, in which up to 15 in 100 bytes may be unreadable; None where the text is too long."""
    try:
        made = segno.make(text, error="m", micro=False, mask=MASK)
    except segno.DataOverflowError:
        return None
    rows = [bytes(row) for row in made.matrix]
    return QrCode(len(rows) + 2 * QUIET_ZONE, "".join(_path(rows)))


def _path(rows: list[bytes]) -> Iterator[str]:
    """All dark runs, each as a line along its middle. Steps from one to the next are shorter than places."""
    yield f"M{QUIET_ZONE} {QUIET_ZONE}.5"
    pen, row_of_pen = 0, 0
    for number, row in enumerate(rows):
        column = 0
        for is_dark, run in groupby(row):
            length = len(list(run))
            if is_dark:
                yield f"m{column - pen} {number - row_of_pen}h{length}"
                pen, row_of_pen = column + length, number
            column += length
