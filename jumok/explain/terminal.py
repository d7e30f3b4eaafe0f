"""The heatmap as text for a terminal: a row for each output token, a column for each source token.

Letters: T output steps (rows), S source positions (columns).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TextIO

import numpy as np

from jumok.explain.alignment import weights_of
from jumok.explain.color import color_of, text_on
from jumok.explain.confidence import column_of
from jumok.explain.labels import clusters, columns, is_rtl, label, shorten
from jumok.explain.spread import coverage, entropy_bits, margin
from jumok.runtime.translation import Translation

TerminalColor = Literal["truecolor", "plain", "ascii"]

LONGEST = 16  # columns of a label at most
TALLEST = 10  # lines of a vertical label at most
CELL = 3
FOOT = "sum"
SHADES = ((0.75, "█"), (0.5, "▓"), (0.25, "▒"), (0.05, "░"), (0.0, " "))
RESET = "\x1b[0m"
LEFT_TO_RIGHT = "\u200e"  # no width; where terminals reverse Hebrew and Arabic, it keeps the columns in order


def terminal_color(stream: TextIO, environ: Mapping[str, str]) -> TerminalColor:
    """What a stream can show: "ascii" if its encoding has no shades; "plain" for a file, a pipe, $NO_COLOR
    (https://no-color.org), TERM=dumb, or a terminal that does not announce true colour in $COLORTERM; else "truecolor"."""
    try:
        "░▒▓█␣".encode(getattr(stream, "encoding", None) or "ascii")
    except (UnicodeEncodeError, LookupError):
        return "ascii"
    if not stream.isatty() or environ.get("NO_COLOR") or environ.get("TERM") == "dumb":
        return "plain"
    claims = environ.get("COLORTERM", "").lower() in ("truecolor", "24bit") or environ.get("TERM", "").endswith("-direct")
    return "truecolor" if claims else "plain"


def to_terminal(
    translation: Translation, color: TerminalColor = "plain", width: int | None = None, numbers: bool = False
) -> str:
    """The heatmap as lines of equal display width, joined by newlines.

    Args:
        translation: what to draw. Raises JumokError if it has no weights.
        color: "truecolor": background colours with percents; "plain": shades ░▒▓█ from 5, 25, 50 and 75 %; "ascii": tenths.
        width: the most columns (down to about 20). Labels are set vertically if they would not fit otherwise, and
            columns that still do not fit continue below in further blocks. None: no limit.
        numbers: also show entropy (bits) and margin (percent) of each step and its token's probability `p` on the right, and
            coverage of each source token below, as `sum`.
    """
    beside = numbers_of(weights_of(translation)) | column_of(translation) if numbers else None
    return "\n".join(draw(translation, color, width, beside))


def numbers_of(weights: np.ndarray) -> dict[str, list[str]]:
    """The columns to the right of a heatmap: T texts under each heading."""
    return {
        "bits": [f"{bits:.2f}" for bits in entropy_bits(weights)],
        "margin": [f"{100 * share:.0f}%" for share in margin(weights)],
    }


@dataclass(frozen=True)
class _Column:
    """One column of the picture: heading from top to bottom, width, a text of this width for each step, and the foot."""

    head: list[str]
    width: int
    cells: list[str]
    foot: str


def draw(
    translation: Translation,
    color: TerminalColor = "plain",
    width: int | None = None,
    numbers: Mapping[str, Sequence[str]] | None = None,
) -> list[str]:
    """As `to_terminal`, as a list of lines; `numbers` are columns of T texts under their headings, and add the row of coverage."""
    weights = weights_of(translation)
    longest = LONGEST if width is None else min(LONGEST, max(4, width // 3))
    head, side = (
        [_label(token, longest, color) for token in tokens] for tokens in (translation.source_tokens, translation.tokens)
    )
    foot = "" if numbers is None else FOOT
    gutter = max(columns(text) for text in (*side, foot)) + 1
    room = np.inf if width is None else max(width - gutter, 1)
    narrowest = CELL if numbers is None else CELL + 1  # room for a coverage of 1.2 and a blank
    widths = [max(narrowest, columns(text) + 1) for text in head]
    beside = {name: max(len(text) for text in (name, *texts)) + 1 for name, texts in (numbers or {}).items()}
    stacks = [[text] for text in head]
    if sum(widths) + sum(beside.values()) > room and max(widths) > narrowest:
        stacks = [_upright(text, "~" if color == "ascii" else "…") for text in head]
        widths = [max(narrowest, *map(columns, stack)) for stack in stacks]
    plain = RESET if color == "truecolor" else ""
    drawn = [
        _Column(stack, n, [_cell(float(a), n, color) for a in weights[:, s]], "" if numbers is None else _centre(summed, n))
        for s, (stack, n, summed) in enumerate(zip(stacks, widths, map(_short, coverage(weights)), strict=True))
    ]
    for name, texts in (numbers or {}).items():
        drawn.append(_Column([f"{name:>{beside[name]}}"], beside[name], [plain + f"{t:>{beside[name]}}" for t in texts], ""))
    blocks = [_block(block, side, gutter, foot, plain) for block in _blocks(drawn, room)]
    whole = max(size for _, size in blocks)
    lines: list[str] = []
    for block, size in blocks:
        lines += [""] * bool(lines) + [line + " " * (whole - size) for line in block]
    return [line or " " * whole for line in lines]


def _block(block: Sequence[_Column], side: Sequence[str], gutter: int, foot: str, plain: str) -> tuple[list[str], int]:
    """The lines of some columns next to the output tokens, and their width."""
    lines = [" " * gutter + line for line in _head([c.head for c in block], [c.width for c in block])]
    for t, text in enumerate(side):
        mark = LEFT_TO_RIGHT if is_rtl(text) else ""
        lines.append(" " * (gutter - 1 - columns(text)) + text + mark + " " + "".join(c.cells[t] for c in block) + plain)
    if any(c.foot for c in block):
        lines.append(f"{foot:>{gutter - 1}} " + "".join(f"{c.foot:{c.width}}" for c in block))
    return lines, gutter + sum(c.width for c in block)


def _short(share: float) -> str:
    """A coverage in at most three columns: .8, 1.2, 12."""
    return f"{share:.1f}".removeprefix("0") if share < 9.95 else f"{share:.0f}"


def _label(token: str, longest: int, color: TerminalColor) -> str:
    text = label(token)
    if color == "ascii":
        text = text.replace("␣", "_").replace("▁", "_").encode("ascii", "backslashreplace").decode("ascii")
        return text if len(text) <= longest else text[: longest - 1] + "~"
    return shorten(text, longest)


def _blocks(drawn: Sequence[_Column], room: float) -> list[list[_Column]]:
    """The columns in blocks that fit into the room; a block has at least one."""
    blocks: list[list[_Column]] = [[]]
    used = 0
    for column in drawn:
        if blocks[-1] and used + column.width > room:
            blocks.append([])
            used = 0
        blocks[-1].append(column)
        used += column.width
    return blocks


def _upright(text: str, ellipsis: str) -> list[str]:
    """A label from top to bottom, one piece per line."""
    stack = clusters(text)
    return stack if len(stack) <= TALLEST else [*stack[: TALLEST - 1], ellipsis]


def _head(stacks: Sequence[list[str]], widths: Sequence[int]) -> list[str]:
    """The lines above the cells; all labels end on the last."""
    height = max(map(len, stacks))
    stacks = [[""] * (height - len(stack)) + stack for stack in stacks]
    return ["".join(_centre(stack[k], width) for stack, width in zip(stacks, widths, strict=True)) for k in range(height)]


def _centre(text: str, width: int) -> str:
    free = width - columns(text)
    mark = LEFT_TO_RIGHT if is_rtl(text) else ""
    return " " * (free // 2) + text + mark + " " * (free - free // 2)


def _cell(weight: float, width: int, color: TerminalColor) -> str:
    if color == "truecolor":
        back = color_of(weight)
        ink = text_on(back)
        percent = f"{100 * weight:.0f}" if weight >= 0.05 else ""
        return f"\x1b[48;2;{back[0]};{back[1]};{back[2]}m\x1b[38;2;{ink[0]};{ink[1]};{ink[2]}m{percent:^{width}}"
    if color == "plain":
        return next(shade for least, shade in SHADES if weight >= least) * width
    return f"{min(int(10 * weight), 9) or '.':^{width}}"
