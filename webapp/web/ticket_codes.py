"""The code on a ticket, which shows at the door that whoever says it has booked: the order's id alone is public.

Eight signs say when the order was placed, which is how it is found; four are derived from a secret and the order's id.
The signs are those of https://www.crockford.com/base32.html, of which none is taken for another.
"""

import hmac
import re
from typing import Final

SIGNS: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
FOUND_BY_DIGITS: Final = 10
"""So many hexadecimal digits of an order's id, its first ones, say when it was placed: 40 bits."""

SECRET_BITS: Final = 20

_MISREAD: Final = str.maketrans("OIL", "011")
_CODE: Final = re.compile(rf"([{SIGNS}]{{4}})[ -]?([{SIGNS}]{{4}})[ -]?([{SIGNS}]{{4}})")


class TicketCodes:
    """Derives the codes from a secret of 32 bytes; nothing of them is stored."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def code(self, order_id: str) -> str:
        """The code of an order with an id of 20 hexadecimal digits: `06FV-8G2K-T7QX`."""
        digest = hmac.digest(self._secret, order_id.encode(), "sha256")
        proof = _signs(int.from_bytes(digest[:4], "big") >> (32 - SECRET_BITS), 4)
        return f"{public_part(order_id)}-{proof}"

    def fits(self, order_id: str, code: str) -> bool:
        """Whether a code, as `code_in` gives it, is the order's; compared in a time that tells nothing."""
        return hmac.compare_digest(self.code(order_id), code)


def public_part(order_id: str) -> str:
    """The part of an order's code that anybody may know, since the order's id says the same: `06FV-8G2K`.

    Orders of the same few milliseconds share it.
    """
    placed = _signs(int(order_id[:FOUND_BY_DIGITS], 16), 8)
    return f"{placed[:4]}-{placed[4:]}"


def code_in(text: str) -> str | None:
    """The code that somebody typed, or that a scanner read with an address in front of it; None where there is none.

    Small letters, blanks and hyphens, and the letters O, I and L for digits do not matter.
    """
    last = text.strip().rstrip("/").rpartition("/")[2]
    match = _CODE.fullmatch(last.upper().translate(_MISREAD))
    return "-".join(match.groups()) if match else None


def id_prefix(code: str) -> str:
    """The 10 hexadecimal digits with which the id of a code's order begins."""
    placed = 0
    for sign in code.replace("-", "")[:8]:
        placed = placed * 32 + SIGNS.index(sign)
    return f"{placed:0{FOUND_BY_DIGITS}x}"


def _signs(number: int, count: int) -> str:
    return "".join(SIGNS[number >> 5 * at & 31] for at in range(count - 1, -1, -1))
