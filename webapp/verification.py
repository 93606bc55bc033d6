"""Whether a database still holds what was written: every ledger replayed, and everything derived from it compared."""

from collections.abc import Callable
from dataclasses import dataclass, field

from webapp.booking.ledger import LedgerDamaged
from webapp.recovery import every_event, recover
from webapp.storage.sqlite_reader import SqliteReader
from webapp.storage.store import StoreUnreadable


@dataclass(slots=True)
class Report:
    """What was looked at, and a sentence for everything that is wrong."""

    events: int = 0
    entries: int = 0
    problems: list[str] = field(default_factory=list)


async def verify(reader: SqliteReader, schema: frozenset[tuple[str, str]], progress: Callable[[int], object]) -> Report:
    """Replay every ledger; check chains, counts, the orders table and the database's own constraints.

    `schema` holds the name and text of every table, index and trigger that must be there.

    `progress` is called with the number of entries replayed since the last call. Raises nothing for damage: what is
    wrong stands in the report.
    """
    report = Report()
    try:
        report.problems += await reader.structural_problems()
        altered = {name for name, _ in schema ^ await reader.schema()}
        report.problems += [
            f"the schema is not as it was made: {name} is missing or altered" for name in sorted(altered, key=str)
        ]
        async for counts in every_event(reader):
            await _replay(reader, counts.event_id, report, progress)
    except StoreUnreadable as error:
        report.problems.append(f"the database cannot be read: {error}")
    return report


async def _replay(reader: SqliteReader, event_id: str, report: Report, progress: Callable[[int], object]) -> None:
    report.events += 1
    try:
        state, _ = await recover(reader, event_id, progress)
        report.entries += state.head
    except LedgerDamaged as damage:
        report.problems.append(str(damage))
