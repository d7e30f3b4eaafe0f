"""The heatmap as one SVG that stands alone: no fonts, scripts, styles or ids that reach beyond it.

It brings its own light panel, so that it reads on a dark page as on a light one, and may stand in HTML many times.
Letters: T output steps (rows), S source positions (columns).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import cos, radians, sin
from xml.sax.saxutils import escape

from jumok.explain.alignment import weights_of
from jumok.explain.color import color_of, hexadecimal, text_on
from jumok.explain.labels import columns, is_special, label, shorten
from jumok.runtime.translation import Translation

CELL = 28
GAP = 2
MARGIN = 24
FONT = 14
ADVANCE = 8.5  # width of a column of monospace text at FONT, with some air
LONGEST = 24  # columns of a label at most; the whole of it is in the tooltips
ANGLE = 60
HEADING = 52
LEGEND_HEIGHT = 46
LEGEND_WIDTH = 160
NARROWEST = 320
PANEL, FRAME, INK, MUTED = "#ffffff", "#d5dfe2", "#10242c", "#5b6f77"
LABEL_FONTS = (
    "ui-monospace, 'SF Mono', 'Cascadia Mono', Menlo, Consolas, 'DejaVu Sans Mono', 'Noto Sans Mono', "
    "'Noto Sans Mono CJK KR', 'Noto Sans CJK KR', 'Apple SD Gothic Neo', 'Malgun Gothic', 'Hiragino Sans', 'Yu Gothic', "
    "'Noto Sans', monospace"
)
TEXT_FONTS = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', 'Noto Sans CJK KR', 'DejaVu Sans', sans-serif"


@dataclass(frozen=True)
class Layout:
    """Where the parts stand, in pixels; the grid's corner is (left, top)."""

    left: float
    top: float
    grid_width: float
    grid_height: float
    width: float
    height: float
    turned: bool


def to_svg(translation: Translation) -> str:
    """One `<svg>` element, without an XML declaration, so that it can also stand in HTML.

    A tooltip on each cell names both tokens and the weight; cells of 10 % and more show their percents.
    Raises JumokError where the translation has no weights.
    """
    weights = weights_of(translation)
    head = [shorten(label(token), LONGEST) for token in translation.source_tokens]
    side = [shorten(label(token), LONGEST) for token in translation.tokens]
    lay = _layout(head, side)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" viewBox="0 0 {lay.width:.0f} {lay.height:.0f}" '
        f'width="{lay.width:.0f}" height="{lay.height:.0f}" style="max-width:100%;height:auto">',
        f"<title>Attention: {_safe(translation.source)} → {_safe(translation.text)}</title>",
        f"<desc>{len(side)} output tokens by {len(head)} source tokens; darker is more attention.</desc>",
        f'<rect x="0.5" y="0.5" width="{lay.width - 1:.0f}" height="{lay.height - 1:.0f}" rx="10" '
        f'fill="{PANEL}" stroke="{FRAME}"/>',
        *_heading(translation, lay),
        f'<g font-family="{LABEL_FONTS}" font-size="{FONT}" fill="{INK}" xml:space="preserve">',
        *_top_labels(translation.source_tokens, head, lay),
        *_side_labels(translation.tokens, side, lay),
        "</g>",
        f'<g font-family="{TEXT_FONTS}" font-size="10" text-anchor="middle">',
    ]
    sources = [_safe(label(token)) for token in translation.source_tokens]
    for t, token in enumerate(translation.tokens):
        target = _safe(label(token))
        for s, weight in enumerate(weights[t].tolist()):
            parts.append(_cell(lay.left + CELL * s, lay.top + CELL * t, weight, f"{target} ← {sources[s]}: {weight:.3f}"))
    return "\n".join([*parts, "</g>", *_legend(lay), "</svg>"]) + "\n"


def _safe(text: str) -> str:
    """Escaped for XML, in attributes as well; what XML 1.0 forbids even escaped is replaced."""
    allowed = (
        c if c in "\t\n\r" or " " <= c <= "\ud7ff" or "\ue000" <= c <= "\ufffd" or c > "\uffff" else "\ufffd" for c in text
    )
    return escape("".join(allowed), {'"': "&quot;"})


def _layout(head: list[str], side: list[str]) -> Layout:
    """Labels of up to 4 columns lie over their cells; if one is longer, all but the shortest are turned."""
    turned = max(map(columns, head)) > 4
    left = MARGIN + ADVANCE * max(map(columns, side)) + 10
    top: float = HEADING + FONT + 16
    right = left + CELL * len(head)
    reach = right
    if turned:
        top = HEADING + FONT + 8 + ADVANCE * max(map(columns, head)) * sin(radians(ANGLE))
        reach = max(left + CELL * (s + 0.5) + ADVANCE * columns(text) * cos(radians(ANGLE)) for s, text in enumerate(head))
    return Layout(
        left=left,
        top=top,
        grid_width=CELL * len(head),
        grid_height=CELL * len(side),
        width=round(max(right, reach, left + LEGEND_WIDTH + 96, NARROWEST - MARGIN) + MARGIN),
        height=round(top + CELL * len(side) + LEGEND_HEIGHT + MARGIN),
        turned=turned,
    )


def _heading(translation: Translation, lay: Layout) -> Iterator[str]:
    """Source and text over the picture, cut to its width; each kept apart, so that Hebrew does not turn the line around."""
    room = int((lay.width - 2 * MARGIN) / 8.5) - 3
    text = shorten(_visible(translation.text), max(room // 2, room - columns(_visible(translation.source))))
    source = shorten(_visible(translation.source), room - columns(text))
    yield (
        f'<text x="{MARGIN}" y="{MARGIN + 14}" font-family="{TEXT_FONTS}" font-size="15" font-weight="600" fill="{INK}">'
        f'<tspan unicode-bidi="isolate">{_safe(source)}</tspan> <tspan fill="{MUTED}" font-weight="400">→</tspan> '
        f'<tspan unicode-bidi="isolate">{_safe(text)}</tspan></text>'
    )


def _visible(text: str) -> str:
    """A whole line for the eye: plain blanks stay, the rest as in a label."""
    return " ".join(label(part) for part in text.split(" ") if part) or "∅"


def _muted(token: str) -> str:
    return f' fill="{MUTED}"' if is_special(token) else ""


def _top_labels(tokens: tuple[str, ...], labels: list[str], lay: Layout) -> Iterator[str]:
    y = lay.top - 8
    for s, (token, text) in enumerate(zip(tokens, labels, strict=True)):
        x = lay.left + CELL * (s + 0.5)
        if lay.turned and columns(text) > 2:
            yield f'<text transform="translate({x + 4:g} {y + 2:g}) rotate(-{ANGLE})"{_muted(token)}>{_safe(text)}</text>'
        else:
            small = ' font-size="10"' if columns(text) > 3 else ""
            yield f'<text x="{x:g}" y="{y:g}" text-anchor="middle"{small}{_muted(token)}>{_safe(text)}</text>'


def _side_labels(tokens: tuple[str, ...], labels: list[str], lay: Layout) -> Iterator[str]:
    for t, (token, text) in enumerate(zip(tokens, labels, strict=True)):
        y = lay.top + CELL * (t + 0.5) + 0.35 * FONT
        yield f'<text x="{lay.left - 10:g}" y="{y:g}" text-anchor="end"{_muted(token)}>{_safe(text)}</text>'


def _cell(x: float, y: float, weight: float, tooltip: str) -> str:
    fill = color_of(weight)
    side = CELL - GAP
    square = f'<rect x="{x + GAP / 2:g}" y="{y + GAP / 2:g}" width="{side}" height="{side}" rx="3" fill="{hexadecimal(fill)}"/>'
    number = ""
    if weight >= 0.095:
        ink = hexadecimal(text_on(fill))
        number = f'<text x="{x + CELL / 2:g}" y="{y + CELL / 2 + 3.5:g}" fill="{ink}">{100 * weight:.0f}</text>'
    return f"<g><title>{tooltip}</title>{square}{number}</g>"


def _legend(lay: Layout) -> Iterator[str]:
    """A bar of the colours from 0 to 1, of small plain squares: a gradient would need an id, which must be one in a page."""
    y = lay.top + lay.grid_height + 24
    steps = 20
    step = LEGEND_WIDTH / steps
    yield f'<g shape-rendering="crispEdges" aria-hidden="true" transform="translate({lay.left:g} {y:g})">'
    for k in range(steps):
        yield f'<rect x="{k * step:g}" width="{step:g}" height="8" fill="{hexadecimal(color_of(k / (steps - 1)))}"/>'
    yield "</g>"
    yield f'<g font-family="{TEXT_FONTS}" font-size="11" fill="{MUTED}" text-anchor="middle">'
    for percent in (0, 50, 100):
        yield f'<text x="{lay.left + LEGEND_WIDTH * percent / 100:g}" y="{y + 23:g}">{percent}</text>'
    yield f'<text x="{lay.left + LEGEND_WIDTH + 18:g}" y="{y + 8:g}" text-anchor="start">% attention</text></g>'
