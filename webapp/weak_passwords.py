"""Why a password that somebody chose is too easily guessed. Keeps nothing, and shows nothing of the password."""

import re
from pathlib import Path
from typing import Final

LENGTH_MIN: Final = 8
USER_LENGTH_MIN: Final = 4
CONTEXT_WORDS: Final = (
    "fairlist", "organiser", "organizer", "administrator", "admin", "password", "ticket", "booking", "event", "guest",
    "waitinglist", "waitlist",
)  # fmt: skip
"""What guesses at this very server begin with. Words that hold others come first."""

COMMON: Final = Path(__file__).with_name("common_passwords.txt")
"""Passwords and first names of 8 characters or more, one a line, in small letters, as they were found in breaches.

Source: the lists of https://github.com/dropbox/zxcvbn, in the edition of its Python port, 4.5.0, all but one name.
"""


def weakness(password: str, user: str) -> str | None:
    """What is wrong with a password of this user's, to be read after its name; None where nothing is known of."""
    if len(password) < LENGTH_MIN:
        return f"has {len(password)} characters; it should have {LENGTH_MIN} at least, better 15"
    if password.casefold() in COMMON.read_text(encoding="ascii").split("\n"):
        return "is among the passwords that are guessed first; where none is set, a good one is generated"
    if len(_without_context(password, user)) < LENGTH_MIN:
        words = ", ".join(CONTEXT_WORDS)
        return f"should have {LENGTH_MIN} characters besides the user name and words that are guessed first ({words})"
    return None


def _without_context(password: str, user: str) -> str:
    # A shorter name is in many a password by chance.
    words = [*([user.casefold()] if len(user) >= USER_LENGTH_MIN else []), *CONTEXT_WORDS]
    return re.sub("|".join(map(re.escape, words)), "", password.casefold())
