"""The tokens that could come next: `jumok next`."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import ClassVar

from jumok.cli._options import Options, Positional
from jumok.cli._printing import warn
from jumok.config import LoadConfig
from jumok.errors import ConfigError
from jumok.places import ModelPath


@dataclass(frozen=True)
class Next(Options):
    """Show the likeliest next tokens after the beginning of an output: how likely each is, and where it would look.

    jumok next model attention --prefix "AH T"
    jumok next model "a man" --prefix-tokens ▁ein ▁ma --k 5
    """

    model: Positional[ModelPath]
    """Model folder, or several that write together, an ensemble: A,B,C."""
    source: Positional[str]
    """The text to translate; of several sources, with a TAB between two: $'one\\tother' in the shell."""
    features: tuple[str, ...] = ()
    """Features of the source, for a model that has them: V PST, or 'V;PST' as in a table."""
    prefix: str = ""
    """How the output begins: a text, which is cut into tokens as if it were whole. Default: nothing, so that the first token is next."""
    prefix_tokens: tuple[str, ...] = ()
    """As --prefix, but as target tokens: for subwords, where the last word is to go on."""
    k: int | None = None
    """How many tokens. Default: 10, or all if the model has fewer."""
    loading: LoadConfig = field(default_factory=LoadConfig)
    json: bool = False
    """JSON instead of a table."""

    READ_ON: ClassVar[str] = "docs/decoding.md, docs/commands.md"

    def check(self, where: str) -> None:
        if self.prefix and self.prefix_tokens:
            raise ConfigError(f"{where}: prefix and prefix_tokens are both given; give one of the two")


def next(o: Next, given: Collection[str]) -> int:
    from jumok.explain.nexts import show_next

    print(show_next((o.model, o.loading.engine), (o.source, o.features), o.prefix_tokens or o.prefix, o.k, o.json, warn))
    return 0
