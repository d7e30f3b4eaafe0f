"""Draws a comparison: two heatmaps side by side (one above the other in a narrow terminal), as text, SVG and HTML."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np

from jumok.explain import svg, terminal
from jumok.explain.alignment import weights_of
from jumok.explain.color import LIGHT
from jumok.explain.comparison import Comparison, rows, verdict
from jumok.explain.confidence import column_of
from jumok.explain.confidence import in_words as confidence_in_words
from jumok.explain.html import looked_at, token_html
from jumok.explain.labels import columns, shorten, visible
from jumok.explain.page import escaped, page, table
from jumok.explain.picture import TEXT_FONTS, frame, safe, whole
from jumok.explain.spread import entropy_bits, in_words
from jumok.explain.terminal import TerminalColor
from jumok.runtime.translation import Translation

GAP = 4  # columns between two pictures in a terminal
SPACE = 16  # pixels between two pictures
TEXT_WIDTH = 6.2  # pixels of a column of small text, at most
LINE = 18
WORDS = 40  # columns of the sentence that is shown instead of a picture

Numbers = Callable[[np.ndarray], dict[str, list[str]]]  # weights [T, S] -> under each heading T texts
_STYLE = re.compile("\x1b\\[[0-9;]*m")


def comparison_terminal(comparison: Comparison, color: TerminalColor = "plain", width: int | None = None) -> str:
    """Both pictures with their names, then a line or two about each, and how far apart they are.

    They are side by side if both fit into `width` (None: no limit), else one above the other. The column `apart` of the second
    is the total variation distance from the step of the first with the same token. Raises JumokError if neither has weights.
    """
    _some_weights(comparison)
    numbers = _numbers(comparison, terminal.numbers_of)
    wide = [_drawn(t, color, None, beside) for t, beside in zip(comparison.translations, numbers, strict=True)]
    names = [_readable(name, color) for name in comparison.names]
    sizes = [max(columns(_STYLE.sub("", line)) for line in lines) for lines in wide]
    if width is None or sum(sizes) + GAP <= width:
        shown = [shorten(name, size) for name, size in zip(names, sizes, strict=True)]
        wide = [[name + " " * (size - columns(name)), *lines] for name, size, lines in zip(shown, sizes, wide, strict=True)]
        height = max(map(len, wide))
        left, right = ([*lines, *[" " * size] * (height - len(lines))] for lines, size in zip(wide, sizes, strict=True))
        lines = [a + " " * GAP + b for a, b in zip(left, right, strict=True)]
    else:
        narrow = [_drawn(t, color, width, beside) for t, beside in zip(comparison.translations, numbers, strict=True)]
        lines = [shorten(names[0], width), *narrow[0], "", shorten(names[1], width), *narrow[1]]
    for name, translation in zip(names, comparison.translations, strict=True):
        sure = ", ".join(filter(None, (f"log-probability {translation.log_probability:.3f}", confidence_in_words(translation))))
        lines += ["", f"{name}: {_readable(translation.text, color)}   ({_readable(sure, color)})"]
        lines.append("  " + _readable(in_words(translation), color))
    return "\n".join([*lines, "", _readable(verdict(comparison), color)])


def comparison_svg(comparison: Comparison) -> str:
    """One `<svg>` element: the two pictures side by side under their names, words below; otherwise as `to_svg`.

    Raises JumokError if neither has weights.
    """
    _some_weights(comparison)
    parts: list[str] = []
    across = highest = 0.0
    for name, translation, beside in zip(comparison.names, comparison.translations, _numbers(comparison, _bits), strict=True):
        width, height, inside = _panel(translation, beside)
        title = shorten(visible(name), int(width / 9))
        parts += [f'<g transform="translate({across:.0f} 0)">', _text(title, 4, 20, size=14, ink=LIGHT.ink)]
        parts += [f'<g transform="translate(0 {SPACE + LINE})">', *inside, "</g>", "</g>"]
        across += width + SPACE
        highest = max(highest, SPACE + LINE + height)
    width = across - SPACE
    lines = _wrapped(verdict(comparison), int(width / TEXT_WIDTH))
    parts += [_text(line, 4, highest + LINE * (k + 1)) for k, line in enumerate(lines)]
    height = highest + LINE * len(lines) + SPACE / 2
    first, second = comparison.translations
    return whole(
        width,
        height,
        f"Attention of {comparison.names[0]} and {comparison.names[1]}: {first.source} → {first.text}; {second.text}",
        f"Two pictures side by side. {verdict(comparison)}.",
        [f'<rect width="{width:.0f}" height="{height:.0f}" rx="10" fill="{LIGHT.back}"/>', *parts],
    )


def comparison_html(comparison: Comparison, whole_page: bool = True) -> str:
    """HTML complete in itself: the picture, and both outputs step by step; or, for a notebook, only the picture."""
    if all(translation.weights is None for translation in comparison.translations):
        picture = ""
        if whole_page:
            _some_weights(comparison)
    else:
        picture = f"<figure>\n{comparison_svg(comparison)}</figure>\n"
    outputs = [
        (escaped(name), f'<bdi dir="auto">{escaped(t.text)}</bdi>', f"{t.log_probability:.3f}", escaped(in_words(t)))
        for name, t in zip(comparison.names, comparison.translations, strict=True)
    ]
    body = f"""{table(("model", "output", "log probability", "attention"), outputs)}
{picture}<p>{escaped(verdict(comparison))}</p>
"""
    if not whole_page:
        return f"<div>{body}</div>"
    source = comparison.translations[0].source
    heads = [head for name in comparison.names for head in (escaped(name), "looked at", "bits")]
    return page(
        f"{comparison.names[0]} and {comparison.names[1]} on {source} · attention",
        f"""<h1><bdi dir="auto">{escaped(source)}</bdi></h1>
{body}<h2>Step by step</h2>
{table([*heads, "apart"], (_row(comparison, *row) for row in rows(comparison)))}
<p><small>bits: entropy of the step's weights · apart: total variation distance, from 0 (equal) to 1 (nothing in common)</small></p>
""",
    )


def _some_weights(comparison: Comparison) -> None:
    """Raises JumokError if there is nothing to draw."""
    if all(translation.weights is None for translation in comparison.translations):
        weights_of(comparison.translations[0])


def _numbers(comparison: Comparison, numbers_of: Numbers) -> list[dict[str, list[str]]]:
    """The columns to the right of each picture; for the second also the distance of each agreeing step from the first's."""
    both: list[dict[str, list[str]]] = [
        {} if t.weights is None else numbers_of(t.weights) | column_of(t) for t in comparison.translations
    ]
    if comparison.distance is not None:
        apart = [""] * len(comparison.translations[1].tokens)
        for (_, u), distance in zip(comparison.agree, comparison.distance, strict=True):
            apart[u] = f"{distance:.2f}"
        both[1]["apart"] = apart
    return both


def _bits(weights: np.ndarray) -> dict[str, list[str]]:
    return {"bits": [f"{bits:.2f}" for bits in entropy_bits(weights)]}


def _drawn(translation: Translation, color: TerminalColor, width: int | None, numbers: dict[str, list[str]]) -> list[str]:
    """The heatmap in lines of equal width; without weights, the reason in words."""
    if translation.weights is not None:
        return terminal.draw(translation, color, width, numbers)
    lines = _wrapped(in_words(translation), min(width or WORDS, WORDS))
    size = max(map(columns, lines))
    return [line + " " * (size - columns(line)) for line in lines]


def _readable(text: str, color: TerminalColor) -> str:
    return visible(text).encode("ascii", "backslashreplace").decode("ascii") if color == "ascii" else visible(text)


def _panel(translation: Translation, numbers: dict[str, list[str]]) -> tuple[float, float, list[str]]:
    """Width, height and parts of one picture; without weights, the reason in words, in a frame."""
    if translation.weights is not None:
        lay, parts = svg.panel(translation, numbers)
        return lay.width, lay.height, parts
    width = svg.NARROWEST
    lines = _wrapped(in_words(translation), int((width - 2 * svg.MARGIN) / TEXT_WIDTH))
    height = svg.HEADING + LINE * len(lines) + svg.MARGIN
    words = [_text(line, svg.MARGIN, svg.HEADING + LINE * (k + 1)) for k, line in enumerate(lines)]
    return width, height, [frame(width, height), *svg.heading(translation, width), *words]


def _text(text: str, x: float, y: float, size: int = 12, ink: str = LIGHT.muted) -> str:
    return (
        f'<text x="{x:g}" y="{y:g}" font-family="{TEXT_FONTS}" font-size="{size}" fill="{ink}">'
        f'<tspan unicode-bidi="isolate">{safe(text)}</tspan></text>'
    )


def _wrapped(text: str, limit: int) -> list[str]:
    """The text in lines of at most `limit` columns, broken at blanks; a longer word is cut."""
    lines = [""]
    for word in text.split(" "):
        word = shorten(word, limit)
        if lines[-1] and columns(lines[-1]) + 1 + columns(word) > limit:
            lines.append(word)
        else:
            lines[-1] += " " * bool(lines[-1]) + word
    return lines


def _row(comparison: Comparison, t: int | None, u: int | None, distance: float | None) -> list[str]:
    cells: list[str] = []
    for translation, step in zip(comparison.translations, (t, u), strict=True):
        if step is None:
            cells += ["", "", ""]
        elif translation.weights is None:
            cells += [token_html(translation.tokens[step]), "", ""]
        else:
            bits = entropy_bits(translation.weights[step : step + 1])[0]
            cells += [token_html(translation.tokens[step]), looked_at(translation, step), f"{bits:.2f}"]
    return [*cells, "" if distance is None else f"{distance:.2f}"]
