"""Ids for events that were given a title alone."""

import re
import unicodedata
from collections.abc import Iterator
from typing import Final

CANDIDATES_MAX: Final = 1_000
LENGTH_MAX: Final = 100


def candidates(title: str) -> Iterator[str]:
    """Ids made of a title, the best one first: its ASCII words in lower case, then with -2, -3 and so on behind them.

    `event` stands for a title without any: the words are for people to recognise, and nothing depends on them.
    """
    letters = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    words = re.sub("'", "", letters)
    stem = re.sub(r"[^a-z0-9]+", "-", words).strip("-")[:LENGTH_MAX].rstrip("-") or "event"
    yield stem
    for number in range(2, CANDIDATES_MAX + 1):
        yield f"{stem}-{number}"
