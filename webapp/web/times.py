"""Times as programs read them, RFC 3339 in UTC, made of what everybody here counts in: microseconds since 1970."""

from datetime import UTC, datetime, timedelta
from typing import Final

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def rfc3339(at: int) -> str:
    """`2026-11-22T19:31:13Z`, with six digits behind the second where it is not whole; of the years 1 to 9999."""
    return exactly(at).replace(".000000Z", "Z")


def exactly(at: int) -> str:
    """`2026-11-22T19:31:13.000000Z`, from which the microseconds can be counted that an entry's hash is taken over."""
    moment = EPOCH + timedelta(microseconds=at)
    return moment.isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


def or_null(at: int | None) -> str | None:
    """The time as `rfc3339` has it, where there is one."""
    return None if at is None else rfc3339(at)
