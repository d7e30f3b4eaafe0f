"""Options given with --resume: which of them are used, and which differ from those that the run was begun with."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from pathlib import Path
from typing import Any

from jumok.config import TrainConfig, options
from jumok.errors import TrainingError
from jumok.text.pairs import files_of

LENGTHS = ("minutes", "epochs", "steps")
FILES = ("pairs", "dev", "cache", "out")
# what does not change which model is trained, but for its last digits, and may suit this machine or this sitting better
USED = ("save_minutes", "save_every", "threads", "device")


def flat(run: TrainConfig) -> dict[str, Any]:
    """Every option's value by its name."""
    parts = (run, run.text, run.model, run.learn)
    return {name: getattr(part, name) for name in options(TrainConfig) for part in parts if hasattr(part, name)}


def asked_for(run: TrainConfig) -> dict[str, Any]:
    """The options that differ from their defaults; files are not among them."""
    usual = flat(TrainConfig())
    return {name: value for name, value in flat(run).items() if name not in FILES and value != usual[name]}


def resumed(stored: TrainConfig, now: TrainConfig, given: Collection[str]) -> TrainConfig:
    """The configuration of a checkpoint, `stored`, with what of those given `now` is used.

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
        del used["threads"]  # all cores, as ever: the run keeps to what it found
    return dataclasses.replace(stored, **files, out=now.out, learn=dataclasses.replace(stored.learn, **used))


def _check_there(name: str, value: str) -> None:
    missing = [file for file in files_of(value) if not Path(file).exists() and file != "-"] if value else []
    if missing:
        option, kind = ("PAIRS", "training") if name == "pairs" else ("--dev", "dev")
        raise TrainingError(
            f"{missing[0]}: there is no such file here; so the {kind} pairs are named in the checkpoint, seen from where training "
            f"began: give {option} again with --resume, or go to that folder"
        )


def differences(then: dict[str, Any], settled: TrainConfig, now: TrainConfig, given: Collection[str]) -> str:
    """The options given now that differ from the run's, in words: "steps 60 (5000), learning_rate 1e-05 (0.003)"; or "".

    Args:
        then: options as the run was begun with, by name; those left out had their defaults.
        settled: the run's configuration with nothing left open.
        given: names of options that were given, also where they equal their default.
    """
    wanted, usual, has = flat(now), flat(TrainConfig()), flat(settled)
    found = []
    for name, value in wanted.items():
        if name in (*FILES, *USED) or (value == usual[name] and name not in given):
            continue
        was = then.get(name, usual[name])
        if value in (was, has[name]):
            continue
        told = f"{has['steps']} steps" if name in LENGTHS and was is None else has[name] if was is None else was
        found.append(f"{name} {_word(value)} ({_word(told)})")
    return ", ".join(found)


def _word(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "on", False: "off", None: "by default"}[value]
    return f"{value:g}" if isinstance(value, float) else str(value)
