"""The attention of one line, drawn: `jumok explain`."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from tyro.conf import Positional

from jumok.cli._options import Options
from jumok.cli._printing import warn
from jumok.places import FilePath, ModelPath


@dataclass(frozen=True)
class Explain(Options):
    """Show which source positions each output token used: a picture of the attention, and its entropy, margin and coverage.

    jumok explain model attention --out picture.svg
    """

    model: Positional[ModelPath]
    """Model folder; or several that write together, an ensemble: A,B,C."""
    source: Positional[str]
    """The text to translate."""
    features: tuple[str, ...] = ()
    """Features of the source, for a model that has them: V PST, or 'V;PST' as in a table."""
    beam: int = 1
    """Hypotheses kept at each step; 1 = greedy."""
    compare: ModelPath = ""
    """Another model folder, whose attention on the same text is shown beside this one's."""
    out: FilePath = ""
    """File to write: .svg, .html, .csv or .json, and but for --compare .png or .pdf. Default: a heatmap in the terminal."""


def explain(o: Explain, given: Collection[str]) -> int:
    from jumok.explain.showing import show

    print(show([o.model, *([o.compare] if o.compare else [])], o.source, o.features, o.beam, o.out, warn))
    return 0
