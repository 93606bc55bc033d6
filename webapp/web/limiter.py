"""How often somebody may try: token buckets in a bounded table. Knows neither requests nor what is being limited."""

import ipaddress
import math
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from contextlib import suppress
from functools import lru_cache
from typing import Final, NamedTuple, TypeVar

K = TypeVar("K")
V = TypeVar("V")

Clock = Callable[[], float]

CLOCK_SET_BACK_S: Final = 3_600
"""Set back by so much, a clock ends nothing. What was signed later than that was signed by a clock that was wrong."""

KEYS_MAX: Final = 10_000
SENDERS_KEPT: Final = 1_024
MINUTE_S: Final = 60
_HOST_BITS: Final = 64
ADDRESS_LENGTH_MAX: Final = 45


class TooManyAttempts(Exception):
    """Somebody has to wait: `retry_after_s`, whole seconds and at least 1, until a next try is worth it."""

    def __init__(self, retry_after_s: float) -> None:
        self.retry_after_s = max(1, math.ceil(retry_after_s))
        super().__init__(f"Too many attempts. Try again in {self.retry_after_s} s.")


class BoundedTable(OrderedDict[K, V]):
    """A dict of at most `keys_max` keys, which forgets the one whose last writing is longest ago.

    From the recipes in https://docs.python.org/3/library/collections.html#collections.OrderedDict
    """

    def __init__(self, keys_max: int) -> None:
        super().__init__()
        self.keys_max = keys_max

    def __setitem__(self, key: K, value: V) -> None:
        super().__setitem__(key, value)
        self.move_to_end(key)
        if len(self) > self.keys_max:
            self.popitem(last=False)


class Left(NamedTuple):
    """What is left in a bucket: how many tokens, and in how many seconds there will be one more."""

    tokens: int
    more_in_s: float


class Limiter:
    """A bucket of `burst` tokens for every key, one of which comes back every `every_s` seconds.

    The generic cell rate algorithm: a bucket is one number, the moment at which it will be full again
    (https://en.wikipedia.org/wiki/Generic_cell_rate_algorithm). `clock` gives seconds and never runs backwards. Keys
    should be short, since up to `keys_max` of them are kept; a key that is forgotten has a full bucket, because nobody
    may be kept waiting for what others have done.
    """

    def __init__(self, *, burst: int, every_s: float, clock: Clock = time.monotonic, keys_max: int = KEYS_MAX) -> None:
        self._every_s = every_s
        self._fullest_s = burst * every_s
        self._rounding_s = every_s / 1_000  # what adding up loses must not cost the last token of a burst
        self._clock = clock
        self._full_at: BoundedTable[Hashable, float] = BoundedTable(keys_max)

    def take(self, key: Hashable) -> Left:
        """Takes a token out of the key's bucket. Raises TooManyAttempts, and takes nothing, where it is empty."""
        now = self._clock()
        full_at = max(self._full_at.get(key, now), now)
        spent_s = full_at + self._every_s - now
        unspent_s = self._fullest_s - spent_s + self._rounding_s
        self._full_at[key] = full_at if unspent_s < 0 else full_at + self._every_s
        if unspent_s < 0:
            raise TooManyAttempts(-unspent_s)
        tokens = int(unspent_s / self._every_s)
        return Left(tokens, (tokens + 1) * self._every_s - unspent_s)

    def give_back(self, key: Hashable) -> None:
        """Puts a taken token back; a bucket holds never more than `burst`."""
        if key in self._full_at:
            self._full_at[key] -= self._every_s


class SenderLimit:
    """How often one sender may do something in a minute; with `per_minute` 0, as often as he likes.

    This machine's own addresses are not limited: they are the owner's, or a proxy's that is not named.
    """

    def __init__(self, per_minute: int, clock: Clock = time.monotonic) -> None:
        self.per_minute = per_minute
        self._limiter = Limiter(burst=per_minute, every_s=MINUTE_S / per_minute, clock=clock) if per_minute else None

    def take(self, address: str) -> Left | None:
        """Counts once more for an address; None where it is not limited. Raises TooManyAttempts."""
        if self._limiter is None or (sender := _limited_sender(address)) is None:
            return None
        return self._limiter.take(sender)


@lru_cache(SENDERS_KEPT)
def _limited_sender(address: str) -> str | None:
    return None if is_loopback(address) else network(address)


def network(address: str) -> str:
    """What counts as one sender: an IPv4 address, but the whole /64 of an IPv6 address, which is one household's."""
    if ":" in address:
        with suppress(ValueError):
            return _network_v6(ipaddress.IPv6Address(address))
    return address[:ADDRESS_LENGTH_MAX]  # a proxy may pass on what is no address at all


def _network_v6(address: ipaddress.IPv6Address) -> str:
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(address) >> _HOST_BITS << _HOST_BITS, 128 - _HOST_BITS)))


def is_loopback(address: str) -> bool:
    """Whether a sender is on this very machine."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return (mapped or found).is_loopback
