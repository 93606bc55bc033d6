"""The rows of the report: what is divided by what, and the goal of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal

from tests.benchmarks import callers, first_visit, long_ledgers, open_pages, pages, rush
from tests.benchmarks.load import Sample
from tests.benchmarks.plan import Plan

Samples = Mapping[str, Sequence[Sample]]
"""What every measure has found, round by round."""


@dataclass(frozen=True, slots=True)
class Found:
    """The median over all rounds, the least and the most."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Found":
        """What some rounds have found."""
        return cls(median(values), min(values), max(values))


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A figure: what a measure has found in some unit, or that divided by what another one has found in its round.

    A ratio is always one of speeds: times are divided the other way round.
    """

    name: str
    says: str
    measure: str
    unit: str = "per_second"
    over: str | None = None
    goal: float | None = None
    is_better: Literal["more", "less"] = "more"

    @property
    def measures(self) -> set[str]:
        """What has to be measured for it."""
        return {self.measure} | ({self.over} if self.over else set())

    def found(self, samples: Samples) -> Found:
        """The figure."""
        of = [sample[self.unit] for sample in samples[self.measure]]
        if self.over is None:
            return Found.of(of)
        over = [sample[self.unit] for sample in samples[self.over]]
        pairs = zip(of, over, strict=True)
        return Found.of([theirs / ours if self.unit == "cpu_us" else ours / theirs for ours, theirs in pairs])

    def is_reached(self, found: Found) -> bool | None:
        """Whether the median reaches the goal; None where there is none."""
        if self.goal is None:
            return None
        return found.median >= self.goal if self.is_better == "more" else found.median <= self.goal


def rows(plan: Plan) -> list[Row]:
    """All rows, in the order of the design."""
    few, many, one = rush.FEW, rush.MANY, 1
    hot, quart = rush.at(rush.BOOK, few), rush.at(rush.QUART, few)
    at_many, slow = rush.at(rush.BOOK, many), rush.at(rush.SLOW, many)
    off, off_many = rush.at(rush.LANE_OFF, few), rush.at(rush.LANE_OFF, many)
    quart_many = rush.at(rush.QUART, many)
    return [
        Row(name="hot", says=f"{hot} ÷ empty Quart", measure=hot, over=quart, goal=3.5),
        Row(name="hot-many", says=f"{at_many} ÷ empty Quart", measure=at_many, over=quart_many, goal=5),
        Row(
            name="hot-many-p99", says=f"{at_many}: 99th percentile, ms",
            measure=at_many, unit="p99_ms", goal=20, is_better="less",
        ),
        Row(name="lane-off", says=f"{off} ÷ empty Quart", measure=off, over=quart, goal=1.1),
        Row(name="lane-off-many", says=f"{off_many} ÷ empty Quart", measure=off_many, over=quart_many),
        Row(name="express", says=f"{hot} ÷ empty Express", measure=hot, over=rush.at(rush.EXPRESS, few), goal=3),
        Row(name="asgi", says=f"{hot} ÷ empty ASGI", measure=hot, over=rush.at(rush.ASGI, few)),
        Row(name="original", says=f"{hot} ÷ the original", measure=hot, over=rush.at(rush.ORIGINAL, few), goal=45),
        Row(
            name="events", says=f"{plan.events:,} events ÷ one hot event, {few} connections",
            measure=rush.at(rush.MANY_EVENTS, few), over=hot, goal=0.9,
        ),
        Row(
            name="single", says="POST /book, one single connection ÷ empty Quart",
            measure=rush.at(rush.BOOK, one), over=rush.at(rush.QUART, one), goal=0.4,
        ),
        Row(name="slow", says=f"{slow} ÷ empty Quart", measure=slow, over=quart_many, goal=1.2),
        *(
            Row(
                name=name, says=f"in process, {plan.callers:,} callers, {where}: bookings ÷ a commit for each",
                measure=callers.at(callers.TOGETHER, many=is_many), over=callers.at(callers.ALONE, many=is_many),
                goal=20,
            )
            for name, where, is_many in (
                ("callers", "one event", False), ("callers-events", f"{plan.events:,} events", True),
            )
        ),
        Row(
            name="status", says=f"GET /status, {few} connections ÷ empty Quart",
            measure=rush.at(rush.STATUS, few), over=quart, goal=6,
        ),
        Row(
            name="disk", says=f"one of {plan.longest:,} orders in the database, all in, bytes",
            measure=long_ledgers.room_for(plan.longest), unit="bytes_per_order", goal=400, is_better="less",
        ),
        Row(
            name="memory", says=f"memory of one of {plan.longest:,} live orders, bytes",
            measure=long_ledgers.start_over(plan.longest), unit="bytes_per_order", goal=250, is_better="less",
        ),
        Row(
            name="start", says=f"fold and verify {plan.longest:,} entries at the start, s",
            measure=long_ledgers.start_over(plan.longest), unit="seconds", goal=6, is_better="less",
        ),
        Row(
            name="start-pause", says="the longest pause of the event loop meanwhile, ms",
            measure=long_ledgers.start_over(plan.longest), unit="longest_pause_ms", is_better="less",
        ),
        Row(
            name="long", says=f"POST /book with {plan.longest:,} orders at the event ÷ with none",
            measure=long_ledgers.booking_at(plan.longest), over=long_ledgers.booking_at(0), goal=0.9,
        ),
        Row(
            name="seen", says=f"a change shown to {plan.pages:,} open pages, s",
            measure=open_pages.SEEN, unit="seconds", goal=0.3, is_better="less",
        ),
        Row(
            name="seen-memory", says="memory of an open page, bytes",
            measure=open_pages.SEEN, unit="bytes_per_page", is_better="less",
        ),
        Row(
            name="updates", says="the core used by one update a second there",
            measure=open_pages.UPDATES, unit="cores", goal=0.2, is_better="less",
        ),
        Row(
            name="seen-p99", says="bookings there meanwhile: 99th percentile, ms",
            measure=open_pages.BOOKINGS, unit="p99_ms", goal=50, is_better="less",
        ),
        *(
            row
            for short, page in (("event", "the event page"), ("list", "the list"))
            for row in (
                Row(
                    name=f"{short}-page", says=f"{page} while counts change ÷ empty Quart",
                    measure=pages.asked_for(page), over=pages.QUART_BESIDE, goal=0.9,
                ),
                Row(
                    name=f"{short}-page-anew", says=f"{page} made anew for each reader ÷ empty Quart, by core time",
                    measure=pages.made_anew(page), over=pages.ONE_BY_ONE, unit="cpu_us", goal=0.14,
                ),
            )
        ),
        Row(
            name="first-visit", says="a first visit to an event, all files, bytes over the wire",
            measure=first_visit.VISIT, unit="bytes", goal=45_000, is_better="less",
        ),
    ]  # fmt: skip
