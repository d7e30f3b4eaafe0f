"""Options as they were given: which do nothing; and with --resume, which are used, and which differ from those of the run's beginning."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from jumok.config import TrainConfig, flag, options
from jumok.errors import TrainingError
from jumok.text.pairs import files_of

LENGTHS = ("minutes", "epochs", "steps")
FILES = ("pairs", "dev", "cache", "out", "from_", "source_embeddings", "target_embeddings", "teacher", "teacher_sources")
STARTS = ("from_", "source_embeddings", "target_embeddings", "teacher")  # files that a run begins with, and does not need later
# these may be changed when a run is resumed: they suit a machine or a sitting, and change no more than a model's last digits
USED = ("save_minutes", "save_every", "threads", "device")


def _members(run: TrainConfig) -> bool:
    return run.members > 1 and not run.member


def _falls(run: TrainConfig) -> bool:
    return run.learn.teacher_forcing not in ("always", "never")


def _two_phases(run: TrainConfig) -> bool:
    return run.learn.teacher_forcing == "two-phase"


def _own_words(run: TrainConfig) -> bool:
    return run.learn.teacher_forcing != "always"


def _bpe(run: TrainConfig) -> bool:
    return "bpe" in (run.text.source_tokenizer, run.text.target_tokenizer)


def _window(run: TrainConfig) -> bool:
    return run.model.window != "none"


def _location(run: TrainConfig) -> bool:
    return run.model.attention == "location"


def _inner_score(run: TrainConfig) -> bool:
    return run.model.attention == "concat" or run.model.window == "local-p"


def _tanh(run: TrainConfig) -> bool:
    return run.model.readout == "tanh"


# options that do something only beside another: their names, whether it is there, and how it is given
_BESIDE: tuple[tuple[str, Callable[[TrainConfig], bool], str], ...] = (
    ("jobs", _members, "--members"),
    ("gold_at_end", _falls, "--teacher-forcing linear, say"),
    ("switch switch_patience", _two_phases, "--teacher-forcing two-phase"),
    ("coin own_token", _own_words, "--teacher-forcing linear, say"),
    ("bpe_size", _bpe, "--target-tokenizer bpe, say"),
    ("window_size", _window, "--window local-p, say"),
    ("location_length", _location, "--attention location"),
    ("score_size", _inner_score, "--attention concat"),
    ("readout_size", _tanh, "--readout tanh"),
)


def idle(run: TrainConfig, given: Collection[str]) -> list[str]:
    """A line for each option that was given and does nothing, since it works only beside another."""
    return [
        f"--{flag(name)} has no effect here: it works with {other}"
        for names, works, other in _BESIDE
        for name in names.split()
        if name in given and not works(run)
    ]


def flat(config: TrainConfig) -> dict[str, Any]:
    """Every option's value by its name."""
    parts = (config, config.text, config.model, config.learn)
    return {name: getattr(part, name) for name in options(TrainConfig) for part in parts if hasattr(part, name)}


def asked_for(asked: TrainConfig) -> dict[str, Any]:
    """The options that differ from their defaults; files are not among them."""
    usual = flat(TrainConfig())
    return {name: value for name, value in flat(asked).items() if name not in FILES and value != usual[name]}


def resumed(stored: TrainConfig, now: TrainConfig, given: Collection[str]) -> TrainConfig:
    """The configuration `stored` in a checkpoint, with those options of `now` that may be changed.

    Raises:
        TrainingError: pairs that the checkpoint names are not there, and none are given now.
    """
    for name in ("pairs", "dev"):
        if not getattr(now, name):
            _check_there(name, getattr(stored, name))
    files = {name: getattr(now, name) or getattr(stored, name) for name in ("pairs", "dev", "cache")}
    wanted, usual = flat(now), flat(TrainConfig())
    used = {n: wanted[n] for n in USED if n in given or wanted[n] != usual[n]}
    if used.get("threads") == 0:
        del used["threads"]  # all cores, as always: the run keeps the number it has
    return dataclasses.replace(stored, **files, out=now.out, learn=dataclasses.replace(stored.learn, **used))


def _check_there(name: str, value: str) -> None:
    missing = [file for file in files_of(value) if not Path(file).exists() and file != "-"] if value else []
    if missing:
        option, kind = ("PAIRS", "training") if name == "pairs" else ("--dev", "dev")
        raise TrainingError(
            f"{missing[0]}: there is no such file here; the checkpoint names its {kind} pairs so, relative to the folder where "
            f"training began: give {option} again with --resume, or go to that folder"
        )


def differences(then: dict[str, Any], config: TrainConfig, now: TrainConfig, given: Collection[str]) -> str:
    """The options given now that differ from the run's, in words: "steps 60 (5000), learning_rate 1e-05 (0.003)"; or "".

    Args:
        then: options as the run was begun with, by name; those left out had their defaults.
        config: the run's, with nothing left open.
        given: names of options that were given, also where they equal their default.
    """
    wanted, usual, has = flat(now), flat(TrainConfig()), flat(config)
    lines = []
    for name, value in wanted.items():
        if name in (*FILES, *USED) or (value == usual[name] and name not in given):
            continue
        was = then.get(name, usual[name])
        if value in (was, has[name]):
            continue
        shown = f"{has['steps']} steps" if name in LENGTHS and was is None else has[name] if was is None else was
        lines.append(f"{name} {_word(value)} ({_word(shown)})")
    for name in STARTS:
        if wanted[name] and wanted[name] != has[name]:
            lines.append(f"{flag(name)} {wanted[name]} ({has[name] or 'none'})")
    return ", ".join(lines)


def _word(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "on", False: "off", None: "by default"}[value]
    return f"{value:g}" if isinstance(value, float) else str(value)
