"""What is the same for everybody, kept once as it is and once compressed, and sent in the form that a client takes.

Nothing personal may come here. Where a page holds a secret beside something that others can choose, the length of its
compressed form tells them, guess by guess, what the secret is (BREACH, https://www.breachattack.com). So personal
pages leave as they are; and so do streams, which would wait in the compressor, and the JSON of the API.
"""

import gzip
import hashlib
from functools import cached_property, lru_cache
from typing import Final

from quart import Response, request
from werkzeug.datastructures import Accept
from werkzeug.http import parse_accept_header

LEVEL: Final = 9
CLIENTS_KEPT: Final = 64


class Content:
    """Some bytes, their entity tag, and their compressed form, which is made when it is first asked for."""

    def __init__(self, body: bytes) -> None:
        self.body = body

    @cached_property
    def tag(self) -> str:
        """What changes with the bytes, without quotation marks."""
        return hashlib.sha256(self.body).hexdigest()[:16]

    @cached_property
    def gzipped(self) -> bytes | None:
        """The bytes as gzip has them (RFC 1952); None where that would not make them fewer."""
        gzipped = gzip.compress(self.body, LEVEL, mtime=0)
        return gzipped if len(gzipped) < len(self.body) else None


def answered(content: Content, content_type: str, *, status: int = 200, whole: bool = False) -> Response:
    """An answer with the content, compressed for who takes that unless it must be `whole`; empty for who has it.

    The two forms have tags of their own, since a cache must not put pieces of them together (RFC 9110, 8.8.3).
    """
    gzipped = None if whole or not takes_gzip(request.headers.get("Accept-Encoding", "")) else content.gzipped
    tag = content.tag if gzipped is None else f"{content.tag}-gzip"
    is_known = status == 200 and not whole and request.if_none_match.contains_weak(tag)
    if is_known:
        answer = Response(b"", 304, content_type=content_type)
        del answer.content_length  # of a 304 it would be that of what is not sent
    else:
        answer = Response(content.body if gzipped is None else gzipped, status, content_type=content_type)
        if gzipped is not None:
            answer.content_encoding = "gzip"
    if status == 200:
        answer.set_etag(tag)
    answer.vary.add("Accept-Encoding")
    return answer


@lru_cache(CLIENTS_KEPT)
def takes_gzip(accept_encoding: str) -> bool:
    """Whether a client would rather have a content compressed than as it is, by its `Accept-Encoding`."""
    accepted = parse_accept_header(accept_encoding, Accept)
    return 0 < accepted.quality("gzip") >= accepted.quality("identity")
