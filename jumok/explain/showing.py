"""One line put through a model, or through two, and what to print of their attention: the work of `jumok explain`."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from jumok.decode.remarks import Remarks
from jumok.explain.comparison import compare
from jumok.explain.files import check, write
from jumok.explain.side_by_side import comparison_terminal
from jumok.explain.spread import in_words
from jumok.explain.terminal import terminal_color, to_terminal
from jumok.outputs import check_output
from jumok.runtime import Translator, load
from jumok.runtime.translation import Translation
from jumok.text.oddities import Oddities
from jumok.text.pairs import features_in


def show(
    model: str,
    source: str,
    features: Sequence[str] = (),
    beam: int = 1,
    other: str = "",
    out: str = "",
    warn: Callable[[str], None] = lambda _: None,
) -> str:
    """The picture as standard output can show it, with the numbers; or, with `out`, the outputs and that the file is written.

    Args:
        model, other: model folders; `other` may be "", for none beside the first.
        source, beam: as for `Translator.translate`.
        features: each one feature, or several with the model's separator between them, as in a table.
        warn: given one-line messages of what is odd in the source, not known to a model, or cut.
    """
    check_output(out, "--out")
    if out:
        check(out, bool(other))
    models = [load(folder) for folder in (model, other) if folder]
    odd = Oddities(models[0].config.text, ("the text",), ("source",))
    odd.see(1, source)
    odd.tell(warn)
    found = [_translated(each, source, features, beam, warn) for each in models]
    drawn = compare(found[0], found[1], _names(model, other)) if other else None
    if out:
        write(drawn or found[0], out)
        return "\n".join([*(t.text for t in found), f"written to {out}"])
    color = terminal_color(sys.stdout, os.environ)
    width = shutil.get_terminal_size((100, 24)).columns if sys.stdout.isatty() else None
    if drawn:
        return comparison_terminal(drawn, color, width)
    (t,) = found
    picture = to_terminal(t, color, width, numbers=True)
    return f"{picture}\n{t.text}   (log-probability {t.log_probability:.3f})\n{in_words(t)}"


def _translated(model: Translator, source: str, features: Sequence[str], beam: int, warn: Callable[[str], None]) -> Translation:
    separator = model.config.text.features_separator
    given = [feature for cell in features for feature in features_in(cell, separator)]
    found = model.translate(source, features=given or None, beam=beam)
    remarks = Remarks(model, "it is not read")
    remarks.see(str(model.folder), found)
    remarks.tell(warn)
    return found


def _names(first: str, second: str) -> tuple[str, str]:
    """The folders' own names, where these tell them apart."""
    one, two = Path(first).name, Path(second).name
    return (one, two) if one and two and one != two else (first, second)
