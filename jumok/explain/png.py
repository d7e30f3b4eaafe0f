"""The heatmap as PNG or PDF, by matplotlib (extra `plots`)."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from jumok.errors import MissingExtra
from jumok.explain.alignment import weights_of
from jumok.explain.color import LIGHT, NUMBERED, color_of, hexadecimal, text_on
from jumok.explain.confidence import percents
from jumok.explain.labels import label, shorten
from jumok.runtime.translation import Translation

CELL = 0.32  # inches
LONGEST = 24
FONTS = (
    "DejaVu Sans",
    "Noto Sans CJK KR",
    "Noto Sans CJK JP",
    "Noto Sans KR",
    "Apple SD Gothic Neo",
    "Malgun Gothic",
    "Hiragino Sans",
    "Yu Gothic",
    "Noto Sans",
    "Noto Sans Devanagari",
    "Arial Unicode MS",
)


def to_png(translation: Translation, path: str | Path) -> None:
    """Writes the picture; the suffix of `path` chooses the format (.png, .pdf).

    Raises MissingExtra without matplotlib, JumokError if there are no weights, OSError if the path cannot be written.
    A UserWarning names characters that no installed font can draw.
    """
    weights = weights_of(translation)
    try:
        import matplotlib
        from matplotlib.colors import ListedColormap
        from matplotlib.figure import Figure  # without pyplot: no window, no state, and Agg draws
        from matplotlib.font_manager import fontManager
    except ImportError as error:
        raise MissingExtra("drawing a PNG or PDF", "plots", "matplotlib") from error
    T, S = weights.shape
    installed = set(fontManager.get_font_names())
    head = [shorten(label(token), LONGEST) for token in translation.source_tokens]
    side = [shorten(label(token), LONGEST) for token in translation.tokens]
    settings: Any = {"font.family": [name for name in FONTS if name in installed], "pdf.fonttype": 42}
    with matplotlib.rc_context(settings), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        figure = Figure(figsize=(CELL * S + 1.5, CELL * T + 1.2), layout="constrained")
        axes = figure.add_subplot()
        axes.imshow(
            weights,
            cmap=ListedColormap([hexadecimal(color_of(k / 255)) for k in range(256)]),
            vmin=0,
            vmax=1,
            aspect="equal",
            interpolation="nearest",
        )
        # parse_math=False: a token with two dollars is not a formula.
        axes.set_xticks(range(S), head, rotation=60 if max(map(len, head)) > 4 else 0, parse_math=False)
        axes.set_yticks(range(T), side, parse_math=False)
        axes.xaxis.tick_top()
        axes.tick_params(length=0, labelsize=10)
        axes.set_xticks([s - 0.5 for s in range(1, S)], minor=True)
        axes.set_yticks([t - 0.5 for t in range(1, T)], minor=True)
        axes.grid(which="minor", color="white", linewidth=1.5)
        axes.tick_params(which="minor", length=0)
        axes.spines[:].set_visible(False)
        for t, s in zip(*(weights >= NUMBERED).nonzero(), strict=True):
            ink = hexadecimal(text_on(color_of(weights[t, s])))
            axes.text(s, t, f"{100 * weights[t, s]:.0f}", ha="center", va="center", fontsize=7, color=ink)
        for t, text in enumerate(percents(translation) or ()):
            axes.text(S - 0.35, t, text, ha="left", va="center", fontsize=7, color=LIGHT.muted)
        figure.savefig(path, dpi=200)
    _pass_on(caught)


def _pass_on(caught: list[warnings.WarningMessage]) -> None:
    """Repeats the warnings, but those about missing glyphs as a single one that says what to do."""
    missing = [w for w in caught if "missing from font" in str(w.message)]
    for warning in caught:
        if warning not in missing:
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
    if missing:
        warnings.warn(
            f"the picture lacks {len({str(w.message) for w in missing})} characters that no installed font has; "
            "install a font that has them (such as Noto Sans CJK), or write .svg",
            stacklevel=3,
        )
