"""Tables as CSV files that a spreadsheet can open without harm. Knows nothing of what is in them."""

import csv
import io
import re
from collections.abc import Iterable
from typing import Final

BYTE_ORDER_MARK: Final = "\ufeff"
"""In front of a file, for Excel, which takes it for some code page otherwise, and Zoë for ZoÃ«."""

# What a spreadsheet takes for the beginning of a formula: at the beginning of a cell, whatever stands in front that it
# may strip, and behind a semicolon, which parts cells where the comma is in use for decimals. In East Asia, the
# full-width characters count as well.
# Source: https://owasp.org/www-community/attacks/CSV_Injection
_FORMULA: Final = re.compile(r'(\A|;)(?=[\t\r\n\0]|[\s\0\u200b-\u200f\u2060\ufeff"]*[=+\-@\uff1d\uff0b\uff0d\uff20])')


def as_csv(rows: Iterable[Iterable[str | int | None]]) -> str:
    """Rows as RFC 4180 writes them; None is an empty cell. No text in a cell is a formula any more."""
    text = io.StringIO(newline="")
    csv.writer(text).writerows([_harmless(cell) for cell in row] for row in rows)
    return text.getvalue()


def _harmless(cell: str | int | None) -> str | int | None:
    """The cell with an apostrophe in front of whatever could be taken for a formula."""
    return _FORMULA.sub(r"\1'", cell) if isinstance(cell, str) else cell
