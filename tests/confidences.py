"""What clients have told a server in confidence, or have been told, and whether it stands in what the server printed.

Kept by port, in memory; what is shorter than eight characters, or also the name of an event, tells nobody from another.
"""

import base64
import binascii
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from email.message import Message
from typing import Any, Final
from urllib.parse import parse_qsl

LENGTH_MIN: Final = 8
WORDS_MAX: Final = 10_000
"""So many for each port, the first ones."""

PERSONAL: Final = frozenset({"userId", "name", "email", "reason", "password", "key", "token", "manage_link", "code"})
PUBLIC: Final = frozenset({"password", "fairlist"})
"""The demo's password, which it prints, and what every server's log is full of."""

HEADERS: Final = ("Authorization", "Cookie", "Idempotency-Key", "Order-Key")

OF_THE_SERVERS_MAKING: Final = re.compile(
    r'^\{"time": "[-0-9T:.Z]+", |"request_id": "[0-9a-f]{12}-[0-9a-f]{1,8}", |, "ms": [0-9.]+'
)
"""What differs from line to line of a log, and tells nothing of anybody."""

_words: defaultdict[int, set[str]] = defaultdict(set)
_events: defaultdict[int, set[str]] = defaultdict(set)


def note_request(port: int, target: str, content: bytes | None, headers: Mapping[str, str]) -> None:
    """Remember what a request says in confidence."""
    _, _, query = target.partition("?")
    words = [query, *(value for name in HEADERS if (value := headers.get(name)))]
    _note(port, [*words, *_shown(headers.get("Authorization", "")), *_told(port, content or b"")])


def note_reply(port: int, headers: Message, body: bytes) -> None:
    """Remember what a reply says in confidence; the `code` of a problem is not a ticket's, but a word for programs."""
    told = () if headers.get_content_type() == "application/problem+json" else _told(port, body)
    cookies = (value.partition(";")[0].partition("=")[2] for value in headers.get_all("Set-Cookie", []))
    _note(port, [*cookies, headers.get("Location", "").partition("?")[2], *told])


def leaked(ports: Iterable[int], others: Iterable[str], printed: str) -> set[str]:
    """What of it, and of other secrets, stands in what a server has printed."""
    ports, text = list(ports), "\n".join(_without_repetitions(printed))
    events = {event for port in ports for event in _events[port]}
    words = {word for port in ports for word in _words[port]} | set(others)
    return {word for word in words - events - PUBLIC if len(word) >= LENGTH_MIN and _is_in(word, text)}


def _is_in(word: str, text: str) -> bool:
    return word in text or json.dumps(word)[1:-1] in text


def _without_repetitions(printed: str) -> set[str]:
    """The lines, without what differs in each of thousands of requests."""
    return {OF_THE_SERVERS_MAKING.sub("", line) for line in printed.splitlines()}


def _note(port: int, words: Iterable[str]) -> None:
    room = WORDS_MAX - len(_words[port])
    _words[port].update(word for word, _ in zip(words, range(room), strict=False) if len(word) >= LENGTH_MIN)


def _shown(authorization: str) -> list[str]:
    """What is behind the name of the scheme, and the password in it."""
    _, _, shown = authorization.partition(" ")
    try:
        _, _, password = base64.b64decode(shown, validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        password = ""
    return [shown, password]


def _told(port: int, content: bytes) -> Iterator[str]:
    """The personal words and the secrets in a body: JSON, or a form."""
    if len(content) > 10_000 or not any(name.encode() in content for name in PERSONAL):
        return
    try:
        told: Any = json.loads(content)
    except (ValueError, RecursionError):
        told = dict(parse_qsl(content.decode(errors="replace")))
    if isinstance(told, dict) and "request_id" not in told:  # a problem's code is for everybody
        if isinstance(event := told.get("eventId"), str):
            _events[port].add(event)
        yield from (value for name in PERSONAL if isinstance(value := told.get(name), str))
