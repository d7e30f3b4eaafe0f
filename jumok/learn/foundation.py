"""The model that a training starts from (`--from`): its settings, its vocabularies with what is new, its weights."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Collection
from typing import Any

import numpy as np

from jumok.config import ModelConfig, TextConfig, TrainConfig, flag
from jumok.decode.remarks import named
from jumok.errors import ConfigError
from jumok.net.export import export_parameters, import_parameters
from jumok.net.model import Seq2Seq
from jumok.runtime.folder import Folder
from jumok.text import Codec
from jumok.text.forms import other_form

OF_THE_FILES = ("source_column", "target_column", "features_column", "features_separator", "min_count", "max_tokens")


def inherited(asked: TrainConfig, foundation: Folder, given: Collection[str]) -> TrainConfig:
    """The configuration with the text and model options of the model that it starts from.

    Args:
        given: names of options that were given, also where they equal their default.

    Raises:
        ConfigError: an option is given that the model has otherwise, and that its weights depend on.
    """
    parts: dict[str, Any] = {}
    for part, usual in (("text", TextConfig()), ("model", ModelConfig())):
        now, has = getattr(asked, part), getattr(foundation.config, part)
        kept = {}
        for field in dataclasses.fields(now):
            value, own = getattr(now, field.name), getattr(has, field.name)
            wanted = field.name in given or value != getattr(usual, field.name)
            if wanted and field.name in OF_THE_FILES:
                kept[field.name] = value
                if field.name == "source_column" and len(asked.text.source_columns) != len(
                    foundation.config.text.source_columns
                ):
                    raise ConfigError(
                        f"--source-column is {value}, but the model to start from reads column {own} ({foundation.path}): it needs "
                        "as many sources"
                    )
            elif wanted and value not in (own, None, "auto"):
                raise ConfigError(
                    f"--{flag(field.name)} is {value!r}, but the model to start from has {own!r} ({foundation.path}), and its "
                    f"weights depend on it: leave --{flag(field.name)} out, or train anew without --from"
                )
        parts[part] = dataclasses.replace(has, **kept)
    return dataclasses.replace(asked, **parts)


def take_over(model: Seq2Seq, parameters: dict[str, np.ndarray]) -> None:
    """Puts the weights into the model, in place. Where the model has more rows, for new tokens, these stay as they are."""
    values = export_parameters(model)
    for name, fresh in values.items():
        old = parameters[name]
        if fresh.shape == old.shape:
            values[name] = old
        else:
            fresh[tuple(slice(n) for n in old.shape)] = old
    import_parameters(model, values)


def new_tokens(before: Codec, after: Codec) -> str:
    """How many tokens were added, in words."""
    sides = [("source", before.source, after.source), ("target", before.target, after.target)]
    said = [f"{len(new) - len(old):,} {name}" for name, old, new in sides if len(new) > len(old)]
    return f"new tokens: {' and '.join(said)}" if said else "no token is new"


def other_forms(before: Codec, after: Codec) -> list[str]:
    """A line for each side whose new tokens are letters that the model knows in another Unicode form."""
    lines = []
    for name, old, new in (("source", before.source, after.source), ("target", before.target, after.target)):
        known, tokens = ({*side.vocabulary.tokens(range(len(side)))} for side in (old, new))
        if form := other_form(tokens - known, known):
            shown = named(Counter(sorted(tokens - known)))
            lines.append(
                f"new {name} tokens are letters that the model knows in another Unicode form ({shown}); write the pairs in {form}"
            )
    return lines
