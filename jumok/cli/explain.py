"""The attention of one line, drawn: `jumok explain`."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from jumok import config
from jumok.cli._options import SEARCH, Options, Positional
from jumok.cli._printing import warn
from jumok.config import LoadConfig, SearchConfig
from jumok.errors import ConfigError
from jumok.places import FilePath, ModelPath


@dataclass(frozen=True)
class Explain(Options):
    """Show which source positions each output token used: a picture of the attention, and its entropy, margin and coverage.

    jumok explain model attention --out picture.svg
    jumok explain model gehen --features V PST
    jumok explain model cat --beam 5 --tree tree.json --reference "K AE T"
    """

    model: Positional[ModelPath]
    """Model folder, or several that write together, an ensemble: A,B,C."""
    source: Positional[str]
    """The text to translate; of several sources, with a TAB between two: $'one\\tother' in the shell."""
    features: tuple[str, ...] = ()
    """Features of the source, for a model that has them: V PST, or 'V;PST' as in a table."""
    search: SearchConfig = field(default_factory=SearchConfig)
    compare: ModelPath = ""
    """Another model folder, whose attention on the same text is shown beside this one's."""
    loading: LoadConfig = field(default_factory=LoadConfig)
    out: FilePath = ""
    """File to write: .svg, .html, .csv or .json, and but for --compare .png or .pdf. Default: a heatmap in the terminal."""
    tree: FilePath = ""
    """Also write the whole search, every hypothesis that it looked at and what became of it, to this file (.json)."""
    reference: str = ""
    """A right target: says where it leaves the beam, and whether that is an error of the search or of the model."""

    GROUPS: ClassVar[dict[str, tuple[str, ...]]] = {
        "files": ("model", "source", "features", "compare", "out"),
        "what the search did": ("tree", "reference"),
        **SEARCH,
        "computing": ("engine", "config"),
    }
    READ_ON: ClassVar[str] = "docs/decoding.md, docs/commands.md"

    def check(self, where: str) -> None:
        config.check(self.search, where)
        if self.search.batch_size != SearchConfig().batch_size:
            raise ConfigError(f"{where}: batch_size is {self.search.batch_size}, but explain reads one line: leave it out")
        listed = self.tree or (Path(self.out).suffix.lower() == ".json" and not self.compare)
        if self.search.outputs > 1 and not listed:
            name = "nbest" if self.search.nbest > 1 else "sample"
            tree = ", or --tree FILE.json" if name == "nbest" else ""
            raise ConfigError(
                f"{where}: {name} is {self.search.outputs}, but a picture shows one output: give --out FILE.json without --compare"
                f"{tree}, or {'leave it out' if name == 'nbest' else 'give 1'}"
            )
        if self.compare and (self.tree or self.reference):
            given = "tree" if self.tree else "reference"
            raise ConfigError(f"{where}: {given} is about the search of one model: leave out --compare or --{given}")


def explain(o: Explain, given: Collection[str]) -> int:
    from jumok.explain.showing import Asked, show
    from jumok.explain.trees import show_tree

    asked = [Asked(folder, o.loading.engine) for folder in (o.model, *[o.compare] * bool(o.compare))]
    tree, search = None, o.search
    reference = o.reference if "reference" in given else None  # an empty one is an output, too
    if (search.only or search.only_words) and (o.tree or reference is not None or o.compare):
        from jumok.decode.lists import read_once

        search = read_once(search)
    if o.tree or reference is not None:
        tree = show_tree(asked[0], (o.source, o.features), search, o.tree, reference)
    print(show(asked, o.source, o.features, search, o.out, warn))
    if tree is not None:
        print(tree())
    return 0
