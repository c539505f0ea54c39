"""A chart of readers by day, as numbers that a template draws: SVG without any script."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

from mailer.census import Day

WIDTH, HEIGHT = 760, 240
RIGHT, TOP, BOTTOM = 16, 12, 28
DIGIT = 11
"""As wide as one is on a phone, where letters are large beside the picture."""

TICKS = 4


@dataclass(frozen=True)
class Bar:
    """Who left on a day."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Chart:
    """Everything in units of the picture; `points` as SVG's polyline takes them."""

    confirmed: str
    pending: str
    gone: Sequence[Bar]
    levels: Sequence[tuple[float, int]]
    days: Sequence[tuple[float, str, datetime]]
    left: int
    width: int = WIDTH
    height: int = HEIGHT
    right: int = WIDTH - RIGHT
    floor: int = HEIGHT - BOTTOM


def draw(counted: Sequence[Day]) -> Chart | None:
    """None: there is nothing to draw a line between."""
    if len(counted) < 2:
        return None
    first, last = counted[0].day, counted[-1].day
    top = ceiling(max(max(day.confirmed, day.pending, day.gone) for day in counted))
    left = 16 + DIGIT * len(f"{top:,}")

    def x(day: date) -> float:
        share = (day - first).days / (last - first).days
        return round(left + share * (WIDTH - left - RIGHT), 1)

    def y(count: int) -> float:
        return round(HEIGHT - BOTTOM - count / top * (HEIGHT - TOP - BOTTOM), 1)

    width = max(1.0, round((WIDTH - left - RIGHT) / ((last - first).days + 1) * 0.6, 1))
    middle = counted[len(counted) // 2].day
    return Chart(
        confirmed=" ".join(f"{x(day.day)},{y(day.confirmed)}" for day in counted),
        pending=" ".join(f"{x(day.day)},{y(day.pending)}" for day in counted),
        gone=[
            Bar(round(x(d.day) - width / 2, 1), y(d.gone), width, HEIGHT - BOTTOM - y(d.gone))
            for d in counted
            if d.gone
        ],
        levels=[(y(top * n // TICKS), top * n // TICKS) for n in range(TICKS + 1)],
        days=[
            (x(day), anchor, datetime(day.year, day.month, day.day, tzinfo=UTC))
            for day, anchor in ((first, "start"), (middle, "middle"), (last, "end"))
            if anchor != "middle" or first < middle < last
        ],
        left=left,
    )


def ceiling(most: int) -> int:
    """The least that is not below and of which a quarter is a round number."""
    power = 1
    while True:
        for quarter in (1, 2, 3, 4, 5, 6, 8):
            if 4 * quarter * power >= most:
                return 4 * quarter * power
        power *= 10
