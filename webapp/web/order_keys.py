"""A guest's key to his order: whoever has it may see and cancel that order, and no other. Nothing of it is stored."""

import base64
import hmac
from typing import Final

KEY_BYTES: Final = 16


class OrderKeys:
    """Derives the keys from a secret of 32 bytes, so that a link that was lost can be sent again."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def key(self, order_id: str) -> str:
        """The order's key: 22 characters of base64url that hold 128 bits."""
        digest = hmac.digest(self._secret, _encoded(order_id), "sha256")
        return base64.urlsafe_b64encode(digest[:KEY_BYTES]).decode().rstrip("=")

    def fits(self, order_id: str, key: str) -> bool:
        """Whether a key is the order's, compared in a time that tells nothing. Any text may be asked about."""
        return hmac.compare_digest(_encoded(self.key(order_id)), _encoded(key))


def _encoded(text: str) -> bytes:
    return text.encode(errors="surrogatepass")
