"""The door to training: options become a configuration, and the process is made ready before torch is imported."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jumok.config import TrainConfig, build, to_dict
from jumok.errors import ConfigError, JumokError, MissingExtra, need
from jumok.learn import memory, threads
from jumok.runtime.folder import CONFIG

if TYPE_CHECKING:
    from jumok.net.model import Seq2Seq


@dataclass(frozen=True)
class Trained:
    """What a training left behind: the model folder, its history, and how it ended.

    Attributes:
        folder: where the best model is.
        config: the run's configuration with nothing left open, as written beside the model.
        history: one dict an evaluation.
        best: best value of the dev metric (`config.learn.metric`); best_step: when it was reached.
        interrupted: 0, or the number of the signal that ended training early.
    """

    folder: Path
    config: TrainConfig = field(repr=False)
    history: list[dict[str, Any]] = field(repr=False)
    best: float | None
    best_step: int
    interrupted: int = 0


def train(
    pairs: str | Path = "",
    dev: str | Path = "",
    out: str | Path = "",
    *,
    config: TrainConfig | None = None,
    resume: bool = False,
    overwrite: bool = False,
    quiet: bool = False,
    profile: bool = False,
    tensorboard: str | Path = "",
    observe: Callable[[int, Seq2Seq], None] | None = None,
    given: Collection[str] = (),
    **options: Any,
) -> Trained:
    """Trains a model from a table of pairs and writes the best one, by a free-running dev metric, to the folder `out`.

    Args:
        pairs, dev, out: files and folder, as in `TrainConfig`.
        config: a whole configuration; `pairs`, `dev`, `out` and `options` go over it.
        resume: go on from the checkpoint in `out`, with the configuration written there; where there is none yet, begin; where
            training is finished, do nothing. So the same call can be repeated until the run is done.
        overwrite: replace a model folder that is already at `out`: its own files; what else is there stays.
        quiet: show nothing.
        profile: say in the end where the time went, and write it to `profile.json` in `out`.
        tensorboard: folder for curves that TensorBoard shows; none if empty.
        observe: given the step and the model (its weights, not their average), before the first step and after each evaluation;
            it must leave the model as it is. Of many processes, only the lead's.
        given: names of options in `config` that were given, also where they equal their defaults: with `resume`, a line names
            those that are not used because the checkpoint says otherwise.
        options: any option of `jumok.config.TrainConfig` by its name, e.g. attention="dot", minutes=5.

    Raises:
        JumokError: anything a user can mend; its message says how.
    """
    start = time.perf_counter()
    given = {*given, *options}
    if config is not None:
        known = to_dict(config)
        flat = {k: v for section in ("text", "model", "learn") for k, v in known.pop(section).items()} | known
        options = flat | options
    files = {name: str(value) for name, value in (("pairs", pairs), ("dev", dev), ("out", out)) if value}
    asked = build(TrainConfig, options | files, "jumok.train")
    if not asked.out:
        raise ConfigError("out is missing; name the model folder to write")
    threads.check(asked.learn.threads)
    threads.bound_environment(lambda text: None if quiet else print(f"warning: {text}", file=sys.stderr))
    memory.settle(_whole(asked, resume and not overwrite))
    try:
        import torch  # noqa: F401
    except ModuleNotFoundError as e:
        raise MissingExtra("training", "train", "torch") from e
    need("training", "train", "rich")
    from jumok.learn.run import run

    return run(
        asked,
        start,
        resume=resume,
        overwrite=overwrite,
        quiet=quiet,
        profile=profile,
        tensorboard=tensorboard,
        observe=observe,
        given=given,
    )


def _whole(asked: TrainConfig, resume: bool) -> TrainConfig:
    """The run; one that is resumed has its options from its folder, if a model is there already."""
    try:
        written = json.loads((Path(asked.out) / CONFIG).read_text(encoding="utf-8")) if resume else None
        return build(TrainConfig, written["training"], asked.out) if written else asked
    except (OSError, ValueError, KeyError, TypeError, JumokError):
        return asked  # whatever is wrong there is said where the checkpoint is read
