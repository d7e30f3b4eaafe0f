"""What a study is: its variants, the runs they become, and how a run is known again when it is finished."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jumok.config import TrainConfig, options
from jumok.errors import ConfigError, DataError
from jumok.studies.report import Report

FORMAT = 1  # grows when a run is done or measured in another way, so that old results are not taken for new ones
RUN, RESULT, LOG = "run.json", "result.json", "log.txt"
UNSEEN = ("pairs", "dev", "out", "threads")  # options that do not change what a run finds


class Interrupted(Exception):
    """Ctrl-C or SIGTERM ended a run; it holds the signal's number."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


@dataclass(frozen=True)
class Variant:
    """One of the things compared: its name, the training options that make it (over the study's), and what it is in words."""

    name: str
    options: Mapping[str, Any]
    note: str


@dataclass(frozen=True)
class Setting:
    """What a study is done with.

    Attributes:
        folder: of the study.
        options: training options by name, those of the user over those of the study.
        data: what `jumok.studies.data.prepare` tells of the data.
        settings: what is no training option: `model` (a trained model to look at).
    """

    folder: Path
    options: dict[str, Any]
    data: dict[str, Any]
    settings: dict[str, Any]


@dataclass(frozen=True)
class Task:
    """One run as its work sees it: its own folder, that of the data, all options with the seed, the settings."""

    folder: Path
    data: Path
    options: dict[str, Any]
    settings: dict[str, Any]


@dataclass(frozen=True)
class Outcome:
    """What a report is written from: the setting, the variants in order, and the finished runs' results."""

    setting: Setting
    variants: list[Variant]
    results: list[dict[str, Any]]

    def of(self, variant: str) -> dict[int, dict[str, Any]]:
        """What was measured in each finished run of a variant, by seed."""
        return {r["seed"]: r["measured"] for r in self.results if r["variant"] == variant}

    @property
    def done(self) -> list[Variant]:
        """The variants with a finished run."""
        return [v for v in self.variants if self.of(v.name)]


@dataclass(frozen=True)
class Study:
    """One study.

    Attributes:
        question, claim: in a sentence each; the claim with its source.
        defaults: training options that differ from those of `jumok train`; own_defaults: and further ones on `own_data`.
        own_data: makes pairs with known structure: (their description, pairs by split).
        variants: what is compared.
        work: does one run, returns what it measured (for JSON), with a `headline` for the screen.
        report: what all finished runs say together.
        train_max_length: default on its own data; see `jumok.config.StudyConfig`.
    """

    name: str
    question: str
    claim: str
    defaults: Mapping[str, Any]
    own_defaults: Mapping[str, Any]
    own_data: Callable[[], tuple[str, dict[str, list[tuple[str, str]]]]]
    variants: Callable[[Setting], list[Variant]]
    work: Callable[[Task], dict[str, Any]]
    report: Callable[[Outcome], Report]
    train_max_length: int | None = None


@dataclass(frozen=True)
class Run:
    """One training and what is measured on it.

    Attributes:
        made_from: all that its result depends on; its SHA-256 is the run's fingerprint.
    """

    study: str
    variant: str
    seed: int
    folder: Path
    options: dict[str, Any]
    settings: dict[str, Any]
    made_from: dict[str, Any] = field(repr=False)

    @property
    def name(self) -> str:
        """variant-seed"""
        return f"{self.variant}-{self.seed}"

    @property
    def fingerprint(self) -> str:
        """SHA-256 of what its result depends on."""
        return hashlib.sha256(json.dumps(self.made_from, sort_keys=True).encode()).hexdigest()

    def spec(self) -> dict[str, Any]:
        """What `jumok.studies.worker` needs, for JSON."""
        return {
            "study": self.study,
            "variant": self.variant,
            "seed": self.seed,
            "options": self.options,
            "settings": self.settings,
            "fingerprint": self.fingerprint,
            "made_from": self.made_from,
        }


def plan_runs(study: str, setting: Setting, variants: list[Variant], seeds: list[int]) -> list[Run]:
    """A run for each variant and seed, seed by seed, so that a study that is cut short has compared all variants."""
    found = []
    for seed in seeds:
        for variant in variants:
            chosen = {**setting.options, **variant.options, "seed": seed}
            made_from = {
                "format": FORMAT,
                "study": study,
                "options": {**_defaults(), **{k: v for k, v in chosen.items() if k not in UNSEEN}},
                "settings": setting.settings,
                "data": {name: split["sha256"] for name, split in setting.data["splits"].items()},
            }
            folder = setting.folder / "runs" / f"{variant.name}-{seed}"
            found.append(Run(study, variant.name, seed, folder, chosen, setting.settings, made_from))
    return found


def _defaults() -> dict[str, Any]:
    """Options as `jumok train` has them: if a default changes, so do the runs that used it."""
    return {name: f.default for name, f in options(TrainConfig).items() if name not in UNSEEN}


def finished(run: Run) -> dict[str, Any] | None:
    """The run's result, if it has one. ConfigError, naming what differs, if that is a result of other options or data."""
    path = run.folder / RESULT
    if not path.exists():
        return None
    result = read_json(path)
    if result.get("fingerprint") == run.fingerprint:
        return result
    raise ConfigError(
        f"{run.folder}: this run was done with {_differences(result.get('made_from', {}), run.made_from)}; "
        "a folder holds one study; give another --out, or the same options"
    )


def _differences(then: dict[str, Any], now: dict[str, Any]) -> str:
    if then.get("data") != now["data"]:
        return "other data"
    for part in ("options", "settings"):
        a, b = then.get(part, {}), now[part]
        found = [f"{k} {a.get(k)!r} (now {b.get(k)!r})" for k in sorted(a.keys() | b.keys()) if a.get(k) != b.get(k)]
        if found:
            return ", ".join(found[:3]) + (" and more" if len(found) > 3 else "")
    return f"another format or study ({then.get('study')}, format {then.get('format')})"


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file of a study's folder; DataError, naming it, where it is damaged."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file; the study's folder is not whole") from None
    except (OSError, ValueError) as e:
        raise DataError(f"{path}: cannot be read as JSON ({e}); delete it, and its run is done again") from None
    if not isinstance(found, dict):
        raise DataError(f"{path}: not a JSON object; delete it, and its run is done again")
    return found


def write_whole(path: Path, text: str) -> None:
    """The file is there whole or not at all, whenever the machine stops."""
    beside = path.with_name(path.name + ".new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(beside, "w", encoding="utf-8", errors="backslashreplace", newline="\n") as f:
            f.write(text)
            f.flush()
            os.fsync(f.fileno())
        os.replace(beside, path)
    except OSError as e:
        with contextlib.suppress(OSError):
            os.unlink(beside)
        raise DataError(f"{path}: cannot be written ({e.strerror}); make room, or give another --out") from None


def as_json(values: Any) -> str:
    """JSON to read and compare, numbers that are not finite refused."""
    return json.dumps(values, ensure_ascii=False, indent=1, allow_nan=False) + "\n"
