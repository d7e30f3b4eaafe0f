"""Line and bar charts as SVG that stands alone: axes, ticks, legend, intervals; told apart by colour, dash and mark.

Like the heatmap (`jumok.explain.svg`) a chart stands on a light panel of its own, so that it reads on a dark page as on a light one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from jumok.explain.color import GRID, LIGHT, SERIES
from jumok.explain.picture import TEXT_FONTS, frame, safe, whole

WIDTH, HEIGHT = 760, 420
LEFT, RIGHT, TOP, BOTTOM = 76, 24, 58, 56
ROW = 26  # height of a bar with its air
DASHES = ("", "7 4", "2 3", "9 3 2 3")


@dataclass(frozen=True)
class Series:
    """One line of a chart: its points in the order of x, and for each the ends of its interval (None: no interval)."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] | None = None
    high: Sequence[float] | None = None


@dataclass(frozen=True)
class Bar:
    """One bar: its label, its length, and the ends of its interval."""

    label: str
    value: float
    low: float | None = None
    high: float | None = None


def ticks(low: float, high: float, wanted: int = 5) -> list[float]:
    """Round numbers (1, 2 or 5 times a power of ten apart) from low or below to high or above."""
    if not high > low:
        low, high = low - 0.5, high + 0.5
    rough = (high - low) / wanted
    power = 10 ** math.floor(math.log10(rough))
    step = next(power * k for k in (1, 2, 5, 10) if power * k >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [k * step for k in range(first, last + 1)]


@dataclass(frozen=True)
class _Axis:
    """Numbers to pixels along one axis, straight or by logarithm."""

    marks: list[float]
    start: float
    end: float
    log: bool = False

    @staticmethod
    def over(values: list[float], start: float, end: float, log: bool) -> _Axis:
        kept = [v for v in values if math.isfinite(v) and (v > 0 or not log)] or [1.0]
        if not log:
            return _Axis(ticks(min(kept), max(kept)), start, end)
        low, high = math.floor(math.log10(min(kept))), math.ceil(math.log10(max(kept)))
        step = max(1, math.ceil((max(high, low + 1) - low) / 8))
        return _Axis([10.0**k for k in range(low, max(high, low + 1) + step, step)], start, end, True)

    def at(self, value: float) -> float:
        a, b = self.marks[0], self.marks[-1]
        if self.log:
            value, a, b = math.log10(max(value, a * 1e-9)), math.log10(a), math.log10(b)
        share = min(max((value - a) / (b - a), -0.02), 1.02)
        return self.start + share * (self.end - self.start)

    def label(self, value: float) -> str:
        if self.log and not 1e-3 <= value <= 1e4:
            return f"1e{round(math.log10(value))}"
        return f"{value:,.10g}" if abs(value) < 1e6 else f"{value:.0e}"


def line_chart(
    title: str,
    x_label: str,
    y_label: str,
    series: Sequence[Series],
    *,
    log_y: bool = False,
    log_x: bool = False,
    mark_x: float | None = None,
    mark_label: str = "",
) -> str:
    """One `<svg>` element: lines through points, each with its interval as a band; a point's numbers are in its tooltip.

    `mark_x` draws an upright line there, named `mark_label`. Points that are not finite (or, with log_y, not above 0) are left out.
    """
    drawn = [_kept(s, log_y) for s in series]
    xs = [v for s in drawn for v in s.x] + ([mark_x] if mark_x is not None else [])
    ys = [v for s in drawn for part in (s.y, s.low or (), s.high or ()) for v in part]
    legend = list(_legend([s.name for s in series]))
    height = HEIGHT + 20 * len(legend)
    x = _Axis.over([float(v) for v in xs], LEFT, WIDTH - RIGHT, log_x)
    y = _Axis.over([float(v) for v in ys], HEIGHT - BOTTOM, TOP, log_y)
    parts = [*_panel(title, WIDTH, height), *_axes(x, y, x_label, y_label)]
    if mark_x is not None:
        at = x.at(mark_x)
        parts.append(
            f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}" stroke="{LIGHT.muted}" stroke-dasharray="4 4"/>'
        )
        parts.append(f'<text x="{at + 5:.1f}" y="{TOP + 12}" font-size="11" fill="{LIGHT.muted}">{safe(mark_label)}</text>')
    for k, s in enumerate(drawn):
        parts += _line(s, k, x, y)
    parts += [row for lines in legend for row in lines]
    return whole(WIDTH, height, title, f"{y_label} over {x_label}, a line each for {_listed(s.name for s in series)}.", parts)


def bar_chart(title: str, value_label: str, bars: Sequence[Bar]) -> str:
    """One `<svg>` element: a lying bar for each, from 0 on, its interval as a whisker, its value at the right."""
    left = LEFT + 7 * max((len(b.label) for b in bars), default=0)
    height = TOP + ROW * len(bars) + BOTTOM
    values = [v for b in bars for v in (b.value, b.low, b.high) if v is not None]
    x = _Axis.over([0.0, *values], left, WIDTH - RIGHT - 60, False)
    bottom = TOP + ROW * len(bars)
    parts = [
        *_panel(title, WIDTH, height),
        f'<g font-family="{TEXT_FONTS}" font-size="12" fill="{LIGHT.muted}" text-anchor="middle">',
    ]
    for mark in x.marks:
        at = x.at(mark)
        parts.append(f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{TOP}" y2="{bottom}" stroke="{GRID}"/>')
        parts.append(f'<text x="{at:.1f}" y="{bottom + 18}">{x.label(mark)}</text>')
    parts.append(f'<text x="{(left + WIDTH - RIGHT) / 2:.0f}" y="{bottom + 40}">{safe(value_label)}</text></g>')
    zero = x.at(0)
    for k, b in enumerate(bars):
        y, end = TOP + ROW * k, x.at(b.value)
        interval = "" if b.low is None or b.high is None else f" ({b.low:.4g} to {b.high:.4g})"
        parts.append(f"<g><title>{safe(b.label)}: {b.value:.4g}{interval}</title>")
        parts.append(
            f'<rect x="{min(zero, end):.1f}" y="{y + 4}" width="{abs(end - zero):.1f}" height="{ROW - 8}" rx="2" '
            f'fill="{SERIES[0]}" fill-opacity="0.75"/>'
        )
        if b.low is not None and b.high is not None:
            a, c, middle = x.at(b.low), x.at(b.high), y + ROW / 2
            parts.append(
                f'<path d="M{a:.1f} {middle}H{c:.1f}M{a:.1f} {middle - 4}v8M{c:.1f} {middle - 4}v8" stroke="{LIGHT.ink}" fill="none"/>'
            )
        beyond = max(end, zero, x.at(b.high) if b.high is not None else end)
        text = f'font-family="{TEXT_FONTS}" font-size="12" fill="{LIGHT.ink}"'
        parts.append(f'<text x="{left - 8}" y="{y + ROW / 2 + 4}" text-anchor="end" {text}>{safe(b.label)}</text>')
        parts.append(f'<text x="{beyond + 6:.1f}" y="{y + ROW / 2 + 4}" {text}>{b.value:.4g}</text></g>')
    return whole(WIDTH, height, title, f"{value_label}, a bar each for {_listed(b.label for b in bars)}.", parts)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "nothing"


def _kept(s: Series, log_y: bool) -> Series:
    rows = [k for k, v in enumerate(s.y) if math.isfinite(v) and (v > 0 or not log_y)]
    low, high = ([part[k] for k in rows] if part is not None else None for part in (s.low, s.high))
    return Series(s.name, [s.x[k] for k in rows], [s.y[k] for k in rows], low, high)


def _panel(title: str, width: int, height: int) -> Iterator[str]:
    yield frame(width, height)
    yield f'<text x="24" y="34" font-family="{TEXT_FONTS}" font-size="15" font-weight="600" fill="{LIGHT.ink}">{safe(title)}</text>'


def _axes(x: _Axis, y: _Axis, x_label: str, y_label: str) -> Iterator[str]:
    bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    yield f'<g font-family="{TEXT_FONTS}" font-size="12" fill="{LIGHT.muted}">'
    for mark in y.marks:
        at = y.at(mark)
        yield f'<line x1="{LEFT}" x2="{right}" y1="{at:.1f}" y2="{at:.1f}" stroke="{GRID}"/>'
        yield f'<text x="{LEFT - 8}" y="{at + 4:.1f}" text-anchor="end">{y.label(mark)}</text>'
    for mark in x.marks:
        at = x.at(mark)
        yield f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{bottom}" y2="{bottom + 5}" stroke="{LIGHT.muted}"/>'
        yield f'<text x="{at:.1f}" y="{bottom + 20}" text-anchor="middle">{x.label(mark)}</text>'
    yield f'<line x1="{LEFT}" x2="{right}" y1="{bottom}" y2="{bottom}" stroke="{LIGHT.muted}"/>'
    yield f'<text x="{(LEFT + right) / 2:.0f}" y="{bottom + 42}" text-anchor="middle">{safe(x_label)}</text>'
    yield f'<text transform="translate(20 {(TOP + bottom) / 2:.0f}) rotate(-90)" text-anchor="middle">{safe(y_label)}</text></g>'


def _line(s: Series, k: int, x: _Axis, y: _Axis) -> Iterator[str]:
    color = SERIES[k % len(SERIES)]
    points = [(x.at(a), y.at(b)) for a, b in zip(s.x, s.y, strict=True)]
    if not points:
        return
    if s.low is not None and s.high is not None and len(points) > 1:
        upper = [f"{p[0]:.1f},{y.at(v):.1f}" for p, v in zip(points, s.high, strict=True)]
        lower = [f"{p[0]:.1f},{y.at(v):.1f}" for p, v in zip(points, s.low, strict=True)]
        yield f'<polygon points="{" ".join(upper + lower[::-1])}" fill="{color}" fill-opacity="0.13"/>'
    path = " ".join(f"{a:.1f},{b:.1f}" for a, b in points)
    dash = f' stroke-dasharray="{DASHES[k % len(DASHES)]}"' if DASHES[k % len(DASHES)] else ""
    yield f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="2"{dash}/>'
    for i, (a, b) in enumerate(points):
        interval = f" ({s.low[i]:.4g} to {s.high[i]:.4g})" if s.low is not None and s.high is not None else ""
        yield f"<g><title>{safe(s.name)}: {s.y[i]:.4g}{interval} at {s.x[i]:.4g}</title>{_mark(k, a, b, color)}</g>"


def _mark(k: int, x: float, y: float, color: str) -> str:
    shape = k % 4
    if shape == 0:
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{color}"/>'
    if shape == 1:
        return f'<rect x="{x - 3.5:.1f}" y="{y - 3.5:.1f}" width="7" height="7" fill="{color}"/>'
    if shape == 2:
        return f'<path d="M{x:.1f} {y - 4.5:.1f}l4.5 8h-9z" fill="{color}"/>'
    return f'<path d="M{x:.1f} {y - 4.5:.1f}l4.5 4.5l-4.5 4.5l-4.5 -4.5z" fill="{color}"/>'


def _legend(names: Sequence[str]) -> Iterator[list[str]]:
    """Rows of names below the axes, as many in a row as fit."""
    row: list[str] = []
    at, line = float(LEFT), 0
    for k, name in enumerate(names):
        width = 46 + 7.5 * len(name)
        if row and at + width > WIDTH - RIGHT:
            yield row
            row, at, line = [], float(LEFT), line + 1
        y, color = HEIGHT + 4 + 20 * line, SERIES[k % len(SERIES)]
        dash = f' stroke-dasharray="{DASHES[k % len(DASHES)]}"' if DASHES[k % len(DASHES)] else ""
        row.append(f'<line x1="{at:.1f}" x2="{at + 26:.1f}" y1="{y}" y2="{y}" stroke="{color}" stroke-width="2"{dash}/>')
        row.append(_mark(k, at + 13, y, color))
        row.append(
            f'<text x="{at + 32:.1f}" y="{y + 4}" font-family="{TEXT_FONTS}" font-size="12" fill="{LIGHT.ink}">{safe(name)}</text>'
        )
        at += width
    if row:
        yield row
