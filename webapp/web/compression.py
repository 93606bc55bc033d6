"""What is the same for everybody, kept once as it is and once compressed, and sent in the form that a client takes.

Nothing personal may come here. Where a page holds a secret beside something that others can choose, the length of its
compressed form tells them, guess by guess, what the secret is (BREACH, https://www.breachattack.com). So personal
pages leave as they are; and so do streams, which would wait in the compressor, and the JSON of the API.
"""

import gzip
import hashlib
from collections.abc import Mapping
from functools import cached_property, lru_cache
from typing import Final

from quart import Response, request
from werkzeug.datastructures import Accept
from werkzeug.http import parse_accept_header

LEVEL: Final = 9
CLIENTS_KEPT: Final = 64
NO_MORE: Final[Mapping[str, str]] = {}


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


def answered(
    content: Content, content_type: str, *, status: int = 200, whole: bool = False, headers: Mapping[str, str] = NO_MORE
) -> Response:
    """An answer with the content, compressed for who takes that unless it must be `whole`; empty for who has it.

    The two forms have tags of their own, since a cache must not put pieces of them together (RFC 9110, 8.8.3).
    `headers` are set besides.
    """
    gzipped = None if whole or not takes_gzip(request.headers.get("Accept-Encoding", "")) else content.gzipped
    tag = content.tag if gzipped is None else f"{content.tag}-gzip"
    fields = {"Content-Type": content_type, "Vary": "Accept-Encoding", **headers}
    if status == 200:
        fields["ETag"] = f'"{tag}"'
        if not whole and "If-None-Match" in request.headers and request.if_none_match.contains_weak(tag):
            answer = Response(b"", 304, fields)
            del answer.content_length  # of a 304 it would be that of what is not sent
            return answer
    if gzipped is not None:
        fields["Content-Encoding"] = "gzip"
    return Response(content.body if gzipped is None else gzipped, status, fields)


@lru_cache(CLIENTS_KEPT)
def takes_gzip(accept_encoding: str) -> bool:
    """Whether a client would rather have a content compressed than as it is, by its `Accept-Encoding`."""
    accepted = parse_accept_header(accept_encoding, Accept)
    return 0 < accepted.quality("gzip") >= accepted.quality("identity")
