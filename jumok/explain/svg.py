"""The heatmap as one SVG, complete in itself: no external fonts, scripts or styles, and no ids.

It is drawn on a light panel, so that it is readable on dark and light pages, and HTML can contain it many times.
Letters: T output steps (rows), S source positions (columns).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import cos, radians, sin

from jumok.explain.alignment import weights_of
from jumok.explain.color import LIGHT, NUMBERED, color_of, hexadecimal, text_on
from jumok.explain.confidence import COLUMN, column_of
from jumok.explain.labels import columns, is_special, label, shorten, visible
from jumok.explain.picture import TEXT_FONTS, frame, safe, whole
from jumok.explain.spread import coverage, entropy_bits, in_words, margin, was_copied
from jumok.runtime.translation import Translation

CELL = 28
GAP = 2
MARGIN = 24
FONT = 14
ADVANCE = 8.5  # width of a column of monospace text at FONT, with some air
LONGEST = 24  # most columns of a label; the tooltips have all of it
ANGLE = 60
HEADING = 52
LEGEND_HEIGHT = 46
LEGEND_WIDTH = 160
NARROWEST = 320
COPIED = "="
NUMBER = 46  # width of a column of numbers
LABEL_FONTS = (
    "ui-monospace, 'SF Mono', 'Cascadia Mono', Menlo, Consolas, 'DejaVu Sans Mono', 'Noto Sans Mono', "
    "'Noto Sans Mono CJK KR', 'Noto Sans CJK KR', 'Apple SD Gothic Neo', 'Malgun Gothic', 'Hiragino Sans', 'Yu Gothic', "
    "'Noto Sans', monospace"
)


@dataclass(frozen=True)
class Layout:
    """Where the parts are, in pixels; the grid's corner is (left, top)."""

    left: float
    top: float
    grid_width: float
    grid_height: float
    width: float
    height: float
    turned: bool


def to_svg(translation: Translation) -> str:
    """One `<svg>` element, without an XML declaration, so that HTML can contain it.

    On the right stands the probability of each token. A tooltip on each cell names both tokens and the weight; cells of 10 % or more
    show their percentage. Tooltips on the labels give each step's entropy and margin, and each source token's coverage. A small =
    follows an output token that was copied. Raises JumokError if there are no weights.
    """
    lay, parts = panel(translation, column_of(translation))
    return whole(lay.width, lay.height, f"Attention: {translation.source} → {translation.text}", about(translation), parts)


def about(translation: Translation) -> str:
    """The picture described in words, for those who cannot see it."""
    T, S = len(translation.tokens), len(translation.source_tokens)
    return f"{T} output tokens by {S} source tokens; darker is {'more attention' if translation.weights_kind == 'attention' else 'likelier'}; {in_words(translation)}."


def panel(translation: Translation, numbers: Mapping[str, Sequence[str]] | None = None) -> tuple[Layout, list[str]]:
    """The layout and the parts of the framed picture, its corner at (0, 0); `numbers`: T texts under each heading, on the right.

    Raises JumokError if the translation has no weights.
    """
    weights = weights_of(translation)
    numbers = numbers or {}
    head = [shorten(label(token), LONGEST) for token in translation.source_tokens]
    side = [shorten(label(token), LONGEST) for token in translation.tokens]
    lay = _layout(head, side, len(numbers))
    summed = [f"coverage {share:.2f}" for share in coverage(weights)]
    of = [f" of column {n}" if n else "" for n in translation.columns] or [""] * len(head)
    summed = [text + (f",{column}" if column else "") for text, column in zip(summed, of, strict=True)]
    spread = [
        f"entropy {bits:.2f} bits, margin {m:.2f}" for bits, m in zip(entropy_bits(weights), margin(weights), strict=True)
    ]
    if COLUMN in numbers:
        spread = [f"{text}, probability {p}" for text, p in zip(spread, numbers[COLUMN], strict=True)]
    if translation.copied is not None:
        spread = [f"{text}, copied {100 * share:.0f} %" for text, share in zip(spread, translation.copied, strict=True)]
    parts = [
        frame(lay.width, lay.height),
        *heading(translation, lay.width),
        f'<g font-family="{LABEL_FONTS}" font-size="{FONT}" fill="{LIGHT.ink}" xml:space="preserve">',
        *_hinted(translation.source_tokens, summed, _top_labels(translation.source_tokens, head, lay)),
        *_hinted(translation.tokens, spread, _side_labels(translation.tokens, side, lay)),
        "</g>",
        *_copied(translation, lay),
        *_numbers(numbers, lay),
        f'<g font-family="{TEXT_FONTS}" font-size="10" text-anchor="middle">',
    ]
    sources = [safe(label(token)) + column for token, column in zip(translation.source_tokens, of, strict=True)]
    for t, token in enumerate(translation.tokens):
        target = safe(label(token))
        for s, weight in enumerate(weights[t].tolist()):
            parts.append(_cell(lay.left + CELL * s, lay.top + CELL * t, weight, f"{target} ← {sources[s]}: {weight:.3f}"))
    return lay, [*parts, "</g>", *_legend(lay, translation.weights_kind, translation.copied is not None)]


def _copied(translation: Translation, lay: Layout) -> Iterator[str]:
    """A mark between the label and the row of each copied token."""
    for t in was_copied(translation).nonzero()[0].tolist():
        x, y = lay.left - 4.5, lay.top + CELL * (t + 0.5) + 3
        yield f'<text x="{x:g}" y="{y:g}" font-size="9" text-anchor="middle" fill="{LIGHT.muted}">{COPIED}</text>'


def _hinted(tokens: Sequence[str], hints: Sequence[str], texts: Iterator[str]) -> Iterator[str]:
    """Each label with a tooltip: the whole token and its numbers."""
    for token, hint, text in zip(tokens, hints, texts, strict=True):
        yield f"<g><title>{safe(label(token))}: {hint}</title>{text}</g>"


def _numbers(numbers: Mapping[str, Sequence[str]], lay: Layout) -> Iterator[str]:
    """Columns of numbers to the right of the grid."""
    yield f'<g font-family="{TEXT_FONTS}" font-size="11" fill="{LIGHT.muted}" text-anchor="end">'
    for k, (name, texts) in enumerate(numbers.items()):
        x = lay.left + lay.grid_width + NUMBER * (k + 1)
        yield f'<text x="{x:g}" y="{lay.top - 8:g}">{safe(name)}</text>'
        for t, text in enumerate(texts):
            yield f'<text x="{x:g}" y="{lay.top + CELL * (t + 0.5) + 4:g}">{safe(text)}</text>'
    yield "</g>"


def _layout(head: list[str], side: list[str], numbers: int) -> Layout:
    """Labels of up to 4 columns are horizontal above their cells; if one is longer, all but the shortest are turned."""
    turned = max(map(columns, head)) > 4
    left = MARGIN + ADVANCE * max(map(columns, side)) + 10
    top: float = HEADING + FONT + 16
    right = left + CELL * len(head) + NUMBER * numbers
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


def heading(translation: Translation, width: float) -> Iterator[str]:
    """Source and text above the picture, cut to its width; each isolated, so that Hebrew does not reverse the line."""
    room = int((width - 2 * MARGIN) / 8.5) - 3
    text = shorten(visible(translation.text), max(room // 2, room - columns(visible(translation.source))))
    source = shorten(visible(translation.source), room - columns(text))
    yield (
        f'<text x="{MARGIN}" y="{MARGIN + 14}" font-family="{TEXT_FONTS}" font-size="15" font-weight="600" fill="{LIGHT.ink}">'
        f'<tspan unicode-bidi="isolate">{safe(source)}</tspan> <tspan fill="{LIGHT.muted}" font-weight="400">→</tspan> '
        f'<tspan unicode-bidi="isolate">{safe(text)}</tspan></text>'
    )


def _muted(token: str) -> str:
    return f' fill="{LIGHT.muted}"' if is_special(token) else ""


def _top_labels(tokens: tuple[str, ...], labels: list[str], lay: Layout) -> Iterator[str]:
    y = lay.top - 8
    for s, (token, text) in enumerate(zip(tokens, labels, strict=True)):
        x = lay.left + CELL * (s + 0.5)
        if lay.turned and columns(text) > 2:
            yield f'<text transform="translate({x + 4:g} {y + 2:g}) rotate(-{ANGLE})"{_muted(token)}>{safe(text)}</text>'
        else:
            small = ' font-size="10"' if columns(text) > 3 else ""
            yield f'<text x="{x:g}" y="{y:g}" text-anchor="middle"{small}{_muted(token)}>{safe(text)}</text>'


def _side_labels(tokens: tuple[str, ...], labels: list[str], lay: Layout) -> Iterator[str]:
    for t, (token, text) in enumerate(zip(tokens, labels, strict=True)):
        y = lay.top + CELL * (t + 0.5) + 0.35 * FONT
        yield f'<text x="{lay.left - 10:g}" y="{y:g}" text-anchor="end"{_muted(token)}>{safe(text)}</text>'


def _cell(x: float, y: float, weight: float, tooltip: str) -> str:
    fill = color_of(weight)
    side = CELL - GAP
    square = f'<rect x="{x + GAP / 2:g}" y="{y + GAP / 2:g}" width="{side}" height="{side}" rx="3" fill="{hexadecimal(fill)}"/>'
    number = ""
    if weight >= NUMBERED:
        ink = hexadecimal(text_on(fill))
        number = f'<text x="{x + CELL / 2:g}" y="{y + CELL / 2 + 3.5:g}" fill="{ink}">{100 * weight:.0f}</text>'
    return f"<g><title>{tooltip}</title>{square}{number}</g>"


def _legend(lay: Layout, kind: str, copying: bool) -> Iterator[str]:
    """A bar of the colours from 0 to 1, made of small squares: a gradient would need an id, which must be unique in a page."""
    y = lay.top + lay.grid_height + 24
    steps = 20
    step = LEGEND_WIDTH / steps
    yield f'<g shape-rendering="crispEdges" aria-hidden="true" transform="translate({lay.left:g} {y:g})">'
    for k in range(steps):
        yield f'<rect x="{k * step:g}" width="{step:g}" height="8" fill="{hexadecimal(color_of(k / (steps - 1)))}"/>'
    yield "</g>"
    yield f'<g font-family="{TEXT_FONTS}" font-size="11" fill="{LIGHT.muted}" text-anchor="middle">'
    for percent in (0, 50, 100):
        yield f'<text x="{lay.left + LEGEND_WIDTH * percent / 100:g}" y="{y + 23:g}">{percent}</text>'
    if copying:
        yield f'<text x="{lay.left + LEGEND_WIDTH + 18:g}" y="{y + 23:g}" text-anchor="start">{COPIED} copied</text>'
    yield f'<text x="{lay.left + LEGEND_WIDTH + 18:g}" y="{y + 8:g}" text-anchor="start">% {kind}</text></g>'
