"""The heatmap as text for a terminal: a row for each output token, a column for each source token.

Letters: T output steps (rows), S source positions (columns).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, TextIO

import numpy as np

from jumok.explain.alignment import weights_of
from jumok.explain.color import color_of, text_on
from jumok.explain.labels import clusters, columns, is_rtl, label, shorten
from jumok.runtime.translation import Translation

TerminalColor = Literal["truecolor", "plain", "ascii"]

LONGEST = 16  # columns of a label at most
TALLEST = 10  # lines of a vertical label at most
CELL = 3
SHADES = ((0.75, "█"), (0.5, "▓"), (0.25, "▒"), (0.05, "░"), (0.0, " "))
RESET = "\x1b[0m"
LEFT_TO_RIGHT = "\u200e"  # no width; keeps terminals that turn Hebrew and Arabic around from turning the columns around


def terminal_color(stream: TextIO, environ: Mapping[str, str]) -> TerminalColor:
    """What a stream can show: "ascii" where its encoding has no shades; "plain" for a file, a pipe, $NO_COLOR
    (https://no-color.org), TERM=dumb, or a terminal that does not claim true colour in $COLORTERM; else "truecolor"."""
    try:
        "░▒▓█␣".encode(getattr(stream, "encoding", None) or "ascii")
    except (UnicodeEncodeError, LookupError):
        return "ascii"
    if not stream.isatty() or environ.get("NO_COLOR") or environ.get("TERM") == "dumb":
        return "plain"
    claims = environ.get("COLORTERM", "").lower() in ("truecolor", "24bit") or environ.get("TERM", "").endswith("-direct")
    return "truecolor" if claims else "plain"


def to_terminal(translation: Translation, color: TerminalColor = "plain", width: int | None = None) -> str:
    """The heatmap as lines of one display width, joined by newlines.

    Args:
        translation: what to draw. Raises JumokError where it has no weights.
        color: "truecolor": background colours with percents; "plain": shades ░▒▓█ from 5, 25, 50 and 75 %; "ascii": tenths.
        width: columns to stay within (down to about 20). Labels are set upright where lying they would not fit, and
            what still does not fit goes on below in further blocks. None: no limit.
    """
    weights = weights_of(translation)
    longest = LONGEST if width is None else min(LONGEST, max(4, width // 3))
    head, side = (
        [_label(token, longest, color) for token in tokens] for tokens in (translation.source_tokens, translation.tokens)
    )
    gutter = max(map(columns, side)) + 1
    room = np.inf if width is None else max(width - gutter, 1)
    widths = [max(CELL, columns(text) + 1) for text in head]
    stacks = [[text] for text in head]
    if sum(widths) > room and max(widths) > CELL:
        stacks = [_upright(text, "~" if color == "ascii" else "…") for text in head]
        widths = [max(CELL, *map(columns, stack)) for stack in stacks]
    lines: list[str] = []
    lengths: list[int] = []
    for block in _blocks(widths, room):
        drawn = [" " * gutter + line for line in _head([stacks[s] for s in block], [widths[s] for s in block])]
        for t, text in enumerate(side):
            cells = "".join(_cell(float(weights[t, s]), widths[s], color) for s in block)
            mark = LEFT_TO_RIGHT if is_rtl(text) else ""
            drawn.append(
                " " * (gutter - 1 - columns(text)) + text + mark + " " + cells + (RESET if color == "truecolor" else "")
            )
        if lines:
            drawn.insert(0, " " * (gutter + sum(widths[s] for s in block)))
        lines += drawn
        lengths += [gutter + sum(widths[s] for s in block)] * len(drawn)
    return "\n".join(line + " " * (max(lengths) - length) for line, length in zip(lines, lengths, strict=True))


def _label(token: str, longest: int, color: TerminalColor) -> str:
    text = label(token)
    if color == "ascii":
        text = text.replace("␣", "_").replace("▁", "_").encode("ascii", "backslashreplace").decode("ascii")
        return text if len(text) <= longest else text[: longest - 1] + "~"
    return shorten(text, longest)


def _blocks(widths: Sequence[int], room: float) -> list[list[int]]:
    """Source positions in runs that each fit into the room; a run holds at least one."""
    blocks: list[list[int]] = [[]]
    used = 0
    for s, width in enumerate(widths):
        if blocks[-1] and used + width > room:
            blocks.append([])
            used = 0
        blocks[-1].append(s)
        used += width
    return blocks


def _upright(text: str, ellipsis: str) -> list[str]:
    """A label from top to bottom, a line each."""
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
