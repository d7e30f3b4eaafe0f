"""The attention of one line, drawn: `jumok explain`."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from tyro.conf import OmitArgPrefixes, Positional

from jumok.cli._options import Options
from jumok.cli._printing import warn
from jumok.config import LoadConfig
from jumok.places import FilePath, ModelPath


@dataclass(frozen=True)
class Explain(Options):
    """Show which source positions each output token used: a picture of the attention, and its entropy, margin and coverage.

    jumok explain model attention --out picture.svg
    """

    model: Positional[ModelPath]
    """Model folder."""
    source: Positional[str]
    """The text to translate."""
    features: tuple[str, ...] = ()
    """Features of the source, for a model that has them: V PST, or 'V;PST' as in a table."""
    beam: int = 1
    """Hypotheses kept at each step; 1 = greedy."""
    compare: ModelPath = ""
    """Another model folder, whose attention on the same text is shown beside this one's."""
    loading: OmitArgPrefixes[LoadConfig] = field(default_factory=LoadConfig)
    out: FilePath = ""
    """File to write: .svg, .html, .csv or .json, and but for --compare .png or .pdf. Default: a heatmap in the terminal."""


def explain(o: Explain, given: Collection[str]) -> int:
    from jumok.explain.showing import show

    folders = [o.model, *([o.compare] if o.compare else [])]
    print(show([(folder, o.loading.engine) for folder in folders], o.source, o.features, o.beam, o.out, warn))
    return 0
