"""Bookings and waiting over time as lines to draw, in a square of 1,000 by 1,000, and ticks in the event's zone."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from webapp.turnout import Point, Turnout
from webapp.web import dates

SIDE: Final = 1_000
TICKS_MAX: Final = 4
SPAN_MIN_US: Final = 60 * 1_000_000

MINUTE: Final = timedelta(minutes=1)
DAY: Final = timedelta(days=1)
STEPS: Final = (
    *(number * MINUTE for number in (1, 2, 5, 15, 30, 60, 120, 180, 360, 720)),
    *(number * DAY for number in (1, 2, 7, 14)),
)
MONTHS: Final = (1, 2, 3, 6, 12, 24, 60, 120, 240, 600, 1_200, 2_400)


class Tick(NamedTuple):
    """A mark on an axis: how far along it, from 0 to 100, and what it says."""

    at: float
    label: str


class Row(NamedTuple):
    """How full the event was at a time."""

    when: str
    booked: int
    waiting: int


class Plot(NamedTuple):
    """What is drawn, as the `d` of paths, empty where there is nothing; `days` and `levels` are ticks of the axes.

    `rows` tell the same in words.
    """

    booked: str
    filled: str
    waiting: str
    capacity: str
    levels: tuple[Tick, ...]
    days: tuple[Tick, ...]
    rows: tuple[Row, ...]
    begins: str
    time_zone: str


def plot(turnout: Turnout, time_zone: str, now: int) -> Plot | None:
    """The plot of an event's turnout up to now, in microseconds since 1970, UTC; None while nobody has booked."""
    if not turnout.placed:
        return None
    points = turnout.points
    begin = points[0].at
    end = max(points[-1].at, now, begin + SPAN_MIN_US)
    top = max(1, *(max(point.capacity, point.booked, point.waiting) for point in points)) * 1.08
    year = dates.local(now, time_zone).year

    def line(levels: Iterable[int], foot: str = f"{SIDE}V") -> str:
        return "".join(_steps(zip((point.at for point in points), levels, strict=True), begin, end, top, foot))

    ticks = list(_ticks(begin, end, time_zone))
    times = [at for at, _ in ticks if begin < at < end] + [end]
    booked = line(point.booked for point in points)
    return Plot(
        booked=booked,
        filled=f"{booked}V{SIDE}Z" if booked else "",
        waiting=line(point.waiting for point in points),
        capacity=line((point.capacity for point in points), foot=""),
        levels=tuple(
            Tick(round(100 - 100 * level / top, 2), f"{level:,}") for level in _levels(top, points[-1].capacity)
        ),
        days=tuple(Tick(round(100 * (at - begin) / (end - begin), 2), label) for at, label in ticks),
        rows=tuple(_row(points, at, time_zone, year) for at in times),
        begins=dates.moment(begin, time_zone, year),
        time_zone=dates.zone(dates.local(begin, time_zone)),
    )


def _steps(levels: Iterable[tuple[int, int]], begin: int, end: int, top: float, foot: str) -> Iterator[str]:
    """The path of a line that rises from its foot to the first level above 0, and is level until something changes."""
    drawn_at = drawn = None
    for at, level in levels:
        x, y = round(SIDE * (at - begin) / (end - begin)), round(SIDE - SIDE * level / top)
        if drawn is None and not level:
            continue
        if drawn is None:
            yield f"M{x} {foot}{y}"
        elif y != drawn:
            yield f"H{x}V{y}" if x != drawn_at else f"V{y}"
        else:
            continue
        drawn_at, drawn = x, y
    if drawn is not None:
        yield f"H{SIDE}"


def _levels(top: float, capacity: int) -> list[int]:
    """The capacity, and round numbers below the top, whose labels keep clear of its own."""
    step = 1
    while top / step >= TICKS_MAX + 1:
        digits = str(step)
        step = step // 2 * 5 if digits[0] == "2" else step * 2
    near = top / 12
    levels = [level for level in range(step, int(top) + 1, step) if abs(level - capacity) > near]
    return [*levels, capacity] if capacity else levels


def _ticks(begin: int, end: int, time_zone: str) -> Iterator[tuple[int, str]]:
    """Times between two others at which the clocks of a zone show something round, with what they show."""
    first, last = dates.local(begin, time_zone), dates.local(end, time_zone)
    zone, start, stop = first.tzinfo, first.replace(tzinfo=None), last.replace(tzinfo=None)
    for local in _round_times(start, stop):
        at = (local.replace(tzinfo=zone).astimezone(UTC) - dates.EPOCH) // timedelta(microseconds=1)
        if begin <= at <= end:
            yield at, _label(local, stop - start)


def _round_times(start: datetime, stop: datetime) -> Iterator[datetime]:
    span = stop - start
    step = next((step for step in STEPS if span / step < TICKS_MAX), None)
    if step is None:
        yield from _round_months(start, stop)
        return
    midnight = _midnight(start)
    passed = (start - midnight) // step if step < DAY else 0
    number = passed
    while stop - midnight >= number * step:
        yield midnight + number * step
        number += 1


def _round_months(start: datetime, stop: datetime) -> Iterator[datetime]:
    months = 12 * (stop.year - start.year) + stop.month - start.month
    step = next((step for step in MONTHS if months / step < TICKS_MAX), 12_000)
    month = 12 * start.year // step * step if step >= 12 else 12 * start.year + (start.month - 1) // step * step
    while month <= 12 * stop.year + stop.month - 1:
        if month >= 12:
            yield _midnight(start).replace(year=month // 12, month=month % 12 + 1, day=1)
        month += step


def _midnight(local: datetime) -> datetime:
    return local.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)


def _label(local: datetime, span: timedelta) -> str:
    if (local.hour, local.minute) != (0, 0):
        return dates.clock(local)
    if span < STEPS[-1] * TICKS_MAX:
        return f"{local.day} {dates.month(local)[:3]}"
    return f"{dates.month(local)[:3]} {local.year}"


def _row(points: tuple[Point, ...], at: int, time_zone: str, year: int) -> Row:
    last = next((point for point in reversed(points) if point.at <= at), points[0])
    return Row(dates.moment(at, time_zone, year), last.booked, last.waiting)
