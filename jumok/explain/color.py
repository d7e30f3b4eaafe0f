"""The palette of every drawing and page: the ramp of the heatmaps (ANCHORS), ink and paper, and the series of charts.

The ramp is one hue from light to dark, so that it reads without colour vision, in grey print, and on white. The anchors lie
at equal steps of OKLab lightness (Ottosson 2020, https://bottosson.github.io/posts/oklab), and what lies between is mixed there.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

Color = tuple[int, int, int]

ANCHORS = ("#f1f7f8", "#cbdfe2", "#a0c8d1", "#75b1c1", "#4d99af", "#2d7f9a", "#186682", "#0d4d67", "#08354b")
# Okabe & Ito 2008: colours that colour-blind readers tell apart; yellow, weak on white, is left out
SERIES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#b8860b", "#000000")


@dataclass(frozen=True)
class Surface:
    """What text and lines stand on, and their colours there, as #rrggbb.

    Attributes:
        ink, muted: text, and text of less weight; each has a contrast of at least 4.5 on `back`.
        line: frames, and rules between rows.
        back: the page.
    """

    ink: str
    muted: str
    line: str
    back: str


LIGHT = Surface(ink="#10242c", muted="#5b6f77", line="#d5dfe2", back="#f6f9fa")
DARK = Surface(ink="#e6eef0", muted="#9db0b7", line="#33464e", back="#0d171b")
PANEL, GRID = "#ffffff", "#e7eef0"  # what a picture stands on, on any page; the lines inside a chart
NUMBERED = 0.095  # a cell of a heatmap shows its percents from this weight on, which is 10 % when rounded
BLACK: Color = (0, 0, 0)
WHITE: Color = (255, 255, 255)

_TO_CONE = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_TO_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)


def _linear(color: Color) -> np.ndarray:
    c = np.array(color) / 255
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def oklab(color: Color) -> np.ndarray:
    """sRGB -> OKLab: [3] float64, lightness from 0 to 1 first."""
    return _TO_LAB @ np.cbrt(_TO_CONE @ _linear(color))


def _srgb(lab: np.ndarray) -> Color:
    c = np.clip(np.linalg.solve(_TO_CONE, np.linalg.solve(_TO_LAB, lab) ** 3), 0, 1)
    c = np.where(c <= 0.0031308, c * 12.92, 1.055 * c ** (1 / 2.4) - 0.055)
    r, g, b = (round(float(x) * 255) for x in c)
    return r, g, b


def rgb(hexadecimal: str) -> Color:
    """The colour that #rrggbb means."""
    r, g, b = bytes.fromhex(hexadecimal.removeprefix("#"))
    return r, g, b


def hexadecimal(color: Color) -> str:
    """As SVG and matplotlib write it: #rrggbb."""
    return "#" + bytes(color).hex()


@lru_cache(maxsize=256)
def _level(level: int) -> Color:
    position = level / 255 * (len(ANCHORS) - 1)
    k = min(int(position), len(ANCHORS) - 2)
    low, high = oklab(rgb(ANCHORS[k])), oklab(rgb(ANCHORS[k + 1]))
    return _srgb(low + (position - k) * (high - low))


def color_of(weight: float) -> Color:
    """The sRGB colour of a weight from 0 (lightest) to 1 (darkest)."""
    return _level(round(255 * min(max(float(weight), 0.0), 1.0)))


def contrast(a: Color, b: Color) -> float:
    """WCAG 2 contrast ratio of two colours, from 1 to 21 (https://www.w3.org/TR/WCAG21/#dfn-contrast-ratio)."""
    dark, light = sorted(float(np.array([0.2126, 0.7152, 0.0722]) @ _linear(c)) for c in (a, b))
    return (light + 0.05) / (dark + 0.05)


@lru_cache(maxsize=256)
def text_on(color: Color) -> Color:
    """Black or white, whichever reads better on this colour; always a contrast of at least 4.5."""
    return max(BLACK, WHITE, key=lambda ink: contrast(ink, color))
