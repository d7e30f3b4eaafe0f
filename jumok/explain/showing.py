"""The work of `jumok explain`: translates one line with a model, or two, and shows the attention."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

from jumok.config import SearchConfig
from jumok.decode.remarks import Remarks, whose_weights
from jumok.errors import DataError
from jumok.explain.comparison import Comparison, compare
from jumok.explain.confidence import in_words as confidence_in_words
from jumok.explain.files import check, write
from jumok.explain.side_by_side import comparison_terminal
from jumok.explain.spread import in_words
from jumok.explain.terminal import terminal_color, to_terminal
from jumok.outputs import check_output
from jumok.places import models
from jumok.runtime import Translator, load
from jumok.runtime.translation import Translation
from jumok.text.oddities import Oddities
from jumok.text.pairs import features_in


@dataclass(frozen=True)
class Asked:
    """A model folder, with the engine that computes it. It is read once, when its model is first needed."""

    folder: str
    engine: str

    @cached_property
    def model(self) -> Translator:
        return load(self.folder, self.engine)


def show(
    asked: Sequence[Asked],
    source: str,
    features: Sequence[str] = (),
    options: SearchConfig | None = None,
    out: str = "",
    warn: Callable[[str], None] = lambda _: None,
) -> str:
    """The picture with its numbers, for standard output; or, with `out`, the outputs and a line that the file is written.

    Args:
        asked: a model folder, or two to compare.
        source: as for `Translator.translate`.
        options: those of the search; None: their defaults.
        features: each is one feature, or several joined by the model's separator, as in a table.
        warn: called with one-line messages about oddities in the source, unknown tokens, and cut outputs.
    """
    check_output(out, "--out")
    if out:
        check(out, len(asked) > 1)
    folders = [one.folder for one in asked]
    models = [one.model for one in asked]
    odd = Oddities(models[0].config.text, ("the text",), ("source",))
    odd.see(1, source)
    odd.tell(warn)
    translations = [_translated(loaded, source, features, options, warn) for loaded in models]
    for t in translations:
        if t.problem and Path(out).suffix.lower() != ".json":
            raise DataError(f"explain: {t.problem}")
    drawn = compare(translations[0], translations[1], _names(*folders)) if len(folders) > 1 else None
    if out:
        _written(drawn or translations[0], out)
        return "\n".join([*(t.text for t in translations), f"written to {out}"])
    color = terminal_color(sys.stdout, os.environ)
    width = shutil.get_terminal_size((100, 24)).columns if sys.stdout.isatty() else None
    if drawn:
        return comparison_terminal(drawn, color, width)
    (t,) = translations
    picture = to_terminal(t, color, width, numbers=True)
    sure = ", ".join(filter(None, (f"log-probability {t.log_probability:.3f}", confidence_in_words(t))))
    return f"{picture}\n{t.text}   ({sure})\n{in_words(t)}"


def _written(drawn: Translation | Comparison, out: str) -> None:
    """An output as .html is the living page without its model; everything else is as `write` has it."""
    if isinstance(drawn, Translation) and Path(out).suffix.lower() == ".html":
        from jumok.page.recording import write_recording

        write_recording(drawn, out)
    else:
        write(drawn, out)


def _translated(
    model: Translator, source: str, features: Sequence[str], options: SearchConfig | None, warn: Callable[[str], None]
) -> Translation:
    separator = model.config.text.features_separator
    given = [feature for cell in features for feature in features_in(cell, separator)]
    translation = model.translate(source, features=given or None, **({} if options is None else asdict(options)))
    if about := whose_weights(model):
        warn(about)
    remarks = Remarks(model, "it is not read")
    remarks.see(model.name, translation)
    remarks.tell(warn)
    return translation


def _names(first: str, second: str) -> tuple[str, str]:
    """The names of the folders, if they differ; else their paths."""
    one, two = (",".join(Path(part).name for part in models(folders)) for folders in (first, second))
    return (one, two) if one and two and one != two else (first, second)
