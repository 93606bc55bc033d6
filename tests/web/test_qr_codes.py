"""QR codes, as scanners see what a page draws."""

import re
from typing import Final

import pytest
import segno

from webapp.web.qr_codes import MASK, QUIET_ZONE, QrCode, qr_code

ADDRESS: Final = "https://fairlist.example/ui/organise/tickets/04HM-ASW9-K3T0"


def drawn(code: QrCode) -> list[list[int]]:
    """The modules that the path of a code darkens, row by row."""
    rows = [[0] * code.size for _ in range(code.size)]
    start = re.match(r"M(\d+) (\d+)\.5", code.path)
    assert start is not None
    x, y = int(start[1]), int(start[2])
    strokes = re.findall(r"m(-?\d+) (\d+)h(\d+)", code.path)
    assert start[0] + "".join(f"m{right} {down}h{length}" for right, down, length in strokes) == code.path
    for right, down, length in strokes:
        x, y = x + int(right), y + int(down)
        for _ in range(int(length)):
            assert not rows[y][x], "a module is drawn twice"
            rows[y][x], x = 1, x + 1
    return rows


@pytest.mark.parametrize("text", [ADDRESS, "x", "https://例え.example/猫", "x" * 2_000])
def test_what_is_drawn_is_the_code_of_the_text_and_a_quiet_zone(text: str) -> None:
    code = qr_code(text)
    assert code is not None
    rows = drawn(code)
    assert len(rows) == code.size
    inner = slice(QUIET_ZONE, -QUIET_ZONE)
    assert [row[inner] for row in rows[inner]] == [
        list(row) for row in segno.make(text, error="m", micro=False, mask=MASK).matrix
    ]
    assert sum(map(sum, rows)) == sum(sum(row[inner]) for row in rows[inner]), "the quiet zone is not quiet"
    assert QUIET_ZONE >= 4


def test_no_two_texts_have_the_same_code() -> None:
    assert qr_code(ADDRESS) != qr_code(ADDRESS.replace("K3T0", "K3T1"))


def test_of_a_text_that_is_too_long_there_is_no_code() -> None:
    assert qr_code("x" * 3_000) is None
