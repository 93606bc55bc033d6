"""Plots of what was measured, as SVG that reads well on light and dark paper.

Written by hand, since four plots of lines need no library that brings a hundred others.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final, NamedTuple

from markupsafe import escape

from tests.benchmarks import long_ledgers, rush
from tests.benchmarks.plan import Plan
from tests.benchmarks.rows import Samples

WIDTH, HEIGHT = 880, 440
LEFT, TOP, RIGHT, BOTTOM = 84, 52, 620, 380
LEGEND, LINE = 640, 26
COLOURS: Final = (
    ("#0b57d0", "#8ab4f8"), ("#0a7d55", "#5fd0a0"), ("#b3261e", "#ff9d94"),
    ("#8a5a00", "#f0b429"), ("#7a3fb0", "#cfa5ff"), ("#4a5560", "#b4bfca"),
)  # fmt: skip
"""Of lines, in light and dark: each at least 4.5 : 1 against its paper. Lines differ by their marks and dashes, too."""

DASHES: Final = ("", "8 4", "2 4", "12 4 2 4", "5 3", "1 3")
MARKS: Final = (
    "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0Z", "M-4-4H4V4H-4Z", "M0-5L5 4H-5Z", "M0-5L5 0L0 5L-5 0Z",
    "M0 5L5-4H-5Z", "M-4-4L4 4M-4 4L4-4",
)  # fmt: skip
"""In a square of ten by ten around the point: a disc, a square, triangles, a diamond, a cross."""

Point = tuple[float, float]


class Tick(NamedTuple):
    """A mark on an axis, and what it says."""

    at: float
    label: str


@dataclass(frozen=True, slots=True)
class Axis:
    """What an axis is of, its unit included, and its ticks, in order; the first and the last are its ends."""

    says: str
    ticks: Sequence[Tick]
    is_log: bool = False

    def share(self, value: float) -> float:
        """How far along the axis a value is, from 0 to 1; what is outside is at the end."""
        first, last, value = (self._scaled(at) for at in (self.ticks[0].at, self.ticks[-1].at, value))
        return min(1.0, max(0.0, (value - first) / (last - first)))

    def _scaled(self, value: float) -> float:
        return math.log10(max(value, 1e-9)) if self.is_log else value


@dataclass(frozen=True, slots=True)
class Plot:
    """Lines over two axes."""

    name: str
    title: str
    x: Axis
    y: Axis
    lines: dict[str, list[Point]]

    def svg(self) -> str:
        """The plot as a file."""
        return "\n".join([*self._paper(), *self._axes(), *self._drawn(), "</svg>", ""])

    def _paper(self) -> Iterator[str]:
        light, dark = (
            "".join(f".c{place}{{--c:{pair[shade]}}}" for place, pair in enumerate(COLOURS)) for shade in (0, 1)
        )
        yield (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
            f'aria-label="{escape(self.title)}" font-family="system-ui, sans-serif" font-size="14">'
        )
        yield f"<title>{escape(self.title)}</title>"
        yield (
            f"<style>svg{{--paper:#fff;--ink:#1b1f24;--grid:#d5dae0}}{light}"
            f"@media (prefers-color-scheme:dark){{svg{{--paper:#14181d;--ink:#e8ecf0;--grid:#39424c}}{dark}}}"
            "text{fill:var(--ink)}.grid{stroke:var(--grid)}.line{fill:none;stroke:var(--c);stroke-width:2}"
            ".mark{fill:var(--c);stroke:var(--c);stroke-width:1.5}</style>"
        )
        yield f'<rect width="{WIDTH}" height="{HEIGHT}" fill="var(--paper)"/>'
        yield f'<text x="{LEFT}" y="28" font-size="17" font-weight="600">{escape(self.title)}</text>'

    def _axes(self) -> Iterator[str]:
        for tick in self.y.ticks:
            y = self._y(tick.at)
            yield f'<path class="grid" d="M{LEFT} {y}H{RIGHT}"/>'
            yield f'<text x="{LEFT - 8}" y="{y + 5}" text-anchor="end">{tick.label}</text>'
        for tick in self.x.ticks:
            x = self._x(tick.at)
            yield f'<path class="grid" d="M{x} {TOP}V{BOTTOM}"/>'
            yield f'<text x="{x}" y="{BOTTOM + 20}" text-anchor="middle">{tick.label}</text>'
        middle = (TOP + BOTTOM) // 2
        yield f'<text x="{(LEFT + RIGHT) // 2}" y="{BOTTOM + 46}" text-anchor="middle">{escape(self.x.says)}</text>'
        yield f'<text transform="translate(18 {middle}) rotate(-90)" text-anchor="middle">{escape(self.y.says)}</text>'

    def _drawn(self) -> Iterator[str]:
        for place, (name, points) in enumerate(self.lines.items()):
            drawn = [(self._x(x), self._y(y)) for x, y in points]
            path = "L".join(f"{x} {y}" for x, y in drawn)
            style = f'class="line" stroke-dasharray="{DASHES[place]}"'
            top = TOP + LINE * place
            yield f'<g class="c{place}"><path {style} d="M{path}"/>'
            for x, y in [*drawn, (LEGEND + 14, top)]:
                yield f'<path class="mark" transform="translate({x} {y})" d="{MARKS[place]}"/>'
            yield f'<path {style} d="M{LEGEND} {top}h28"/></g>'
            yield f'<text x="{LEGEND + 36}" y="{top + 5}">{escape(name)}</text>'

    def _x(self, value: float) -> float:
        return round(LEFT + (RIGHT - LEFT) * self.x.share(value), 1)

    def _y(self, value: float) -> float:
        return round(BOTTOM - (BOTTOM - TOP) * self.y.share(value), 1)


def plots(plan: Plan, samples: Samples) -> list[Plot]:
    """Those of which all was measured."""
    made = [_throughput(plan, samples), _latency(samples), _cost(plan, samples), _memory(plan, samples)]
    return [plot for plot in made if plot is not None]


def _throughput(plan: Plan, samples: Samples) -> Plot | None:
    lines = {
        side: [(float(number), _found(samples, rush.at(side, number), "per_second")) for number in plan.connections]
        for side in rush.SIDES
        if all(rush.at(side, number) in samples for number in plan.connections)
    }
    ticks = [Tick(number, f"{number}") for number in plan.connections]
    x = Axis("connections", ticks, is_log=True)
    return _plot("throughput", "Answers a second against connections", x, "answers a second", lines, is_log=True)


def _latency(samples: Samples) -> Plot | None:
    percentiles = ("50", "75", "90", "99", "99.9")
    lines = {
        side: [(float(place), _found(samples, name, f"p{of}_ms")) for place, of in enumerate(percentiles)]
        for side in rush.SIDES
        if (name := rush.at(side, rush.MANY)) in samples
    }
    x = Axis("percentile of the answers", [Tick(place, of) for place, of in enumerate(percentiles)])
    return _plot("latency", f"Time to answer under {rush.MANY} connections", x, "ms", lines, is_log=True)


def _cost(plan: Plan, samples: Samples) -> Plot | None:
    sizes = [orders for orders in plan.sizes if long_ledgers.booking_at(orders) in samples]
    points = [
        (float(place), _found(samples, long_ledgers.booking_at(orders), "cpu_us")) for place, orders in enumerate(sizes)
    ]
    x = Axis("orders at the event", [Tick(place, f"{orders:,}") for place, orders in enumerate(sizes)])
    lines = {rush.BOOK: points} if len(points) > 1 else {}
    return _plot("cost", "Core time of a booking against orders", x, "µs of a core for each booking", lines)


def _memory(plan: Plan, samples: Samples) -> Plot | None:
    sizes = [orders for orders in plan.sizes if long_ledgers.start_over(orders) in samples]
    found = [(orders, _found(samples, long_ledgers.start_over(orders), "bytes")) for orders in sizes]
    lines: dict[str, list[Point]] = {}
    if len(found) > 1:
        lines = {
            "the live orders of an event": [(orders, held / 1e6) for orders, held in found],
            "the goal: 250 bytes for each": [(orders, orders * 250 / 1e6) for orders in sizes],
        }
    x = Axis("orders at the event", [Tick(orders, f"{orders:,}") for orders in sizes], is_log=True)
    return _plot("memory", "Memory against orders", x, "MB", lines, is_log=True)


def _plot(
    name: str, title: str, x: Axis, says: str, lines: dict[str, list[Point]], *, is_log: bool = False
) -> Plot | None:
    if not lines:
        return None
    values = [y for points in lines.values() for _, y in points]
    ticks = _decades(values) if is_log else _round_steps(max(values))
    return Plot(name, title, x, Axis(says, ticks, is_log), lines)


def _found(samples: Samples, name: str, unit: str) -> float:
    return median(sample[unit] for sample in samples[name])


def _decades(values: Iterable[float]) -> list[Tick]:
    """Powers of ten around some values, all above 0."""
    above = [value for value in values if value > 0] or [1.0]
    first, last = math.floor(math.log10(min(above))), math.ceil(math.log10(max(above)))
    powers = [10.0**power for power in range(first, max(last, first + 1) + 1)]
    return [Tick(power, f"{power:,.0f}" if power >= 1 else f"{power:g}") for power in powers]


def _round_steps(most: float) -> list[Tick]:
    """From 0 to something above the most, in four to eight round steps."""
    power = 10.0 ** math.floor(math.log10(max(most, 1e-9)))
    step = next(power * part for part in (0.2, 0.5, 1, 2) if most <= 8 * power * part)
    return [Tick(step * number, f"{step * number:,g}") for number in range(math.ceil(most / step) + 1)]
