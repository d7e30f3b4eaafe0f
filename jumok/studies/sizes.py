"""The sizes of models with given options on a study's data, before any is trained."""

from __future__ import annotations

import dataclasses
import functools
import math
from pathlib import Path
from typing import Any

from jumok.config import ModelConfig, TextConfig, TrainConfig, build
from jumok.runtime.parameters import shapes
from jumok.studies.plan import Setting
from jumok.text import build_codec, read_pairs


@functools.lru_cache(maxsize=2)
def _facts(path: Path, text: TextConfig) -> tuple[int, int, int, int]:
    """Sizes of the two vocabularies, tokens of the longest source, number of pairs."""
    pairs = read_pairs(str(path), text, warn=lambda _: None)
    codec = build_codec(pairs, text)
    sources, _ = codec.encode_pairs(pairs)
    kept = [len(s) for s in sources if len(s) <= text.max_tokens + 1]
    return len(codec.source.vocabulary), len(codec.target.vocabulary), max(kept, default=1), len(pairs)


def longest_source(setting: Setting) -> int:
    """Tokens of the longest training source, `</s>` counted."""
    return _facts(setting.folder / "data" / "train.jsonl", _config(setting.options).text)[2]


def monotonic_fits(setting: Setting) -> bool:
    """Whether a model with a monotonic alignment can be trained: the target vocabulary is of letters, not of words or subwords."""
    from jumok.learn.recipe import SMALL_VOCABULARY

    return _facts(setting.folder / "data" / "train.jsonl", _config(setting.options).text)[1] < SMALL_VOCABULARY


def resolved(setting: Setting, options: dict[str, Any]) -> ModelConfig:
    """The network of a run with these options over the study's, with every size chosen."""
    from jumok.learn.recipe import resolve

    run = _config({**setting.options, **options})
    source, target, _, pairs = _facts(setting.folder / "data" / "train.jsonl", run.text)
    return resolve(run, source, target, pairs).model


def usual(train: Path, options: dict[str, Any]) -> dict[str, Any]:
    """Size, layers and batch that follow from a study's training pairs and the options of a run, for those that nobody gave.

    With --minutes, a training would otherwise take smaller ones where the machine is slow, and the runs of a study would differ in them.
    """
    from jumok.learn.recipe import resolve

    run = _config(options)
    source, target, _, pairs = _facts(train, run.text)
    chosen = resolve(run, source, target, pairs)
    found = {"size": chosen.model.size, "layers": chosen.model.layers}
    if run.learn.batch_tokens is None:
        found["batch_size"] = chosen.learn.batch_size
    return {name: value for name, value in found.items() if options.get(name) is None}


def parameters(setting: Setting, model: ModelConfig) -> int:
    """The number of parameters of a model."""
    text = _config(setting.options).text
    source, target, *_ = _facts(setting.folder / "data" / "train.jsonl", text)
    arrays = shapes(model, source, target)
    return sum(math.prod(shape) for shape in arrays.values())


def matched_hidden(setting: Setting, options: dict[str, Any], wanted: int) -> int:
    """The even hidden size with which a model of these options comes nearest to `wanted` parameters."""
    model = resolved(setting, options)
    assert model.hidden is not None

    def distance(hidden: int) -> int:
        return abs(parameters(setting, dataclasses.replace(model, hidden=hidden)) - wanted)

    return min(range(2, 4 * model.hidden + 2, 2), key=distance)


def _config(options: dict[str, Any]) -> TrainConfig:
    return build(TrainConfig, options, "study")
