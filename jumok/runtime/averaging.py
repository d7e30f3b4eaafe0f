"""Averages the weights of several models into one model folder, which is as large and as fast as one of them.

This helps with folders of one training, copied at several of its steps (Junczys-Dowmunt et al. 2016). Models that began
from different weights have found different solutions, and the mean of their weights is none: an ensemble averages their
probabilities instead.
"""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from jumok import locks
from jumok.config import ModelConfig
from jumok.errors import ConfigError, FolderError, OutputError
from jumok.runtime.fitting import fitted
from jumok.runtime.folder import Folder, read_folder, refuse_to_replace, write_folder
from jumok.runtime.members import members_of
from jumok.runtime.record import readable_record

ALIKE = 0.5  # cosine of two models' weights, below which they have little in common; that of two trainings is about 0
FREE = ("size",)  # options of a model that its other options say, too


def average(
    models: Sequence[str | Path],
    *,
    out: str | Path,
    overwrite: bool = False,
    warn: Callable[[str], None] | None = None,
) -> Path:
    """Writes a model whose weights are the mean of those of several models; returns its folder.

    Args:
        models: two model folders or more, of the same shape and with the same vocabularies; a folder of `--members` is all of its models.
        out: the model folder to write.
        overwrite: replace the model at `out`; files that are not Jumok's stay.
        warn: called with a line about models whose weights have little in common, or that are given twice. Default: Python's warnings.

    Raises:
        ConfigError: fewer than two models; `out` is one of them. FolderError: a folder cannot be used, its model does not fit the
            first one, or a model is at `out` already. OutputError: `out` cannot be written.
    """
    listed = isinstance(models, Sequence) and not isinstance(models, str)
    paths, place = [member for model in models for member in members_of(model)] if listed else [], Path(out)
    if len(paths) < 2:
        raise ConfigError(f"average: {models!r:.80} came; two model folders or more were wanted")
    tell = warn or partial(warnings.warn, stacklevel=2)
    for path, n in Counter(map(os.path.realpath, paths)).items():
        if path == os.path.realpath(place):
            raise ConfigError(f"{place}: --out is one of the models; give another name")
        if n > 1:
            tell(f"{path} is given {n} times, and counts so often")

    def busy(who: str) -> FolderError:
        return FolderError(f"{place}: a training is running there ({who}); wait for its end, or give another --out")

    with locks.held(locks.beside(place), busy):
        refuse_to_replace(place, overwrite)
        folders = fitted([read_folder(path) for path in paths])
        for folder in folders[1:]:
            _check_shape(folder, folders[0])
            if (cosine := _cosine(folder, folders[0])) < ALIKE:
                tell(
                    f"{folder.path}: its weights have little in common with those of {folders[0].path} (cosine {cosine:.2f}); "
                    "the mean of two trainings is seldom a good model, their ensemble (A,B) is"
                )
        first, steps = folders[0], [_step(path) for path in paths]
        limit = tuple(max(numbers) for numbers in zip(*(folder.config.limit for folder in folders), strict=True))
        training = first.config.training | {"averaged": steps}
        config = replace(first.config, limit=limit, training=training)
        try:
            write_folder(place, config, _mean(folders), first.codec, _card(steps), [], overwrite)
        except OSError as e:
            raise OutputError(f"{place}: cannot be written ({e.strerror or e}); give --out another name") from None
    return place


def _mean(folders: Sequence[Folder]) -> dict[str, np.ndarray]:
    """The mean of each array, summed in float64."""
    names = folders[0].parameters
    means = {name: np.mean([f.parameters[name] for f in folders], axis=0, dtype=np.float64) for name in names}
    return {name: np.asarray(mean, np.float32) for name, mean in means.items()}


def _check_shape(other: Folder, first: Folder) -> None:
    for name, wanted in vars(first.config.model).items():
        own = getattr(other.config.model, name)
        if own != wanted and name not in FREE:
            raise FolderError(
                f"{other.path}: its {name} is {own!r}, that of {first.path} is {wanted!r}; only models with the same options can be "
                "averaged; an ensemble (A,B) takes any"
            )
    assert isinstance(first.config.model, ModelConfig) and other.parameters.keys() == first.parameters.keys()


def _cosine(other: Folder, first: Folder) -> float:
    """The cosine of the angle between the weights of two models, all matrices as one vector."""
    products = np.zeros(3)
    for name, array in first.parameters.items():
        if array.ndim > 1:
            a, b = array.ravel().astype(np.float64), other.parameters[name].ravel().astype(np.float64)
            products += a @ b, a @ a, b @ b
    return float(products[0] / np.sqrt(products[1] * products[2])) if products[1:].all() else 1.0


def _step(path: Path) -> dict[str, Any]:
    """Where a model comes from: its folder, and, if its record says so, the run and the step."""
    record = readable_record(path)
    return {"folder": str(path)} | ({} if record is None else {"run": record.run, "step": record.step})


def _card(steps: Sequence[dict[str, Any]]) -> str:
    """The model card."""
    rows = [f"- `{s['folder']}`" + (f", step {s['step']:,} of run {s['run']}" if "run" in s else "") for s in steps]
    lines = ["# A jumok model", "", f"Its weights are the mean of those of {len(steps)} models:", "", *rows, ""]
    lines += ["```", "echo 'your text' | jumok translate THIS_FOLDER", "jumok explain THIS_FOLDER 'your text'", "```", ""]
    return "\n".join(lines)
