"""What a study is: its variants, its runs, and how a finished run is recognised."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jumok import disk
from jumok.config import TrainConfig, options
from jumok.errors import ConfigError, DataError
from jumok.studies.report import Report

FORMAT = 1  # increased when runs are done or measured differently, so that old results are not reused
RUN, RESULT, LOG = "run.json", "result.json", "log.txt"
WITHOUT_EFFECT = ("pairs", "dev", "out", "threads")  # options that do not change the result of a run


class Interrupted(Exception):
    """Ctrl-C or SIGTERM ended a run; it holds the signal's number."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


@dataclass(frozen=True)
class Variant:
    """One of the models compared: its name, its training options (over the study's), and a description."""

    name: str
    options: Mapping[str, Any]
    note: str


@dataclass(frozen=True)
class Setting:
    """The inputs of a study.

    Attributes:
        folder: of the study.
        options: training options by name; the user's override the study's.
        data: what `jumok.studies.data.write_splits` returns.
        settings: options that are not training options: `model` (a trained model to examine).
    """

    folder: Path
    options: dict[str, Any]
    data: dict[str, Any]
    settings: dict[str, Any]


@dataclass(frozen=True)
class Task:
    """What the work of one run is given: its folder, the data folder, all options including the seed, the settings."""

    folder: Path
    data: Path
    options: dict[str, Any]
    settings: dict[str, Any]


@dataclass(frozen=True)
class Outcome:
    """What a report is made from: the setting, the variants in order, and the results of the finished runs."""

    setting: Setting
    variants: list[Variant]
    results: list[dict[str, Any]]

    def of(self, variant: str) -> dict[int, dict[str, Any]]:
        """The measurements of each finished run of a variant, by seed."""
        return {r["seed"]: r["measured"] for r in self.results if r["variant"] == variant}

    @property
    def done(self) -> list[Variant]:
        """The variants with at least one finished run."""
        return [v for v in self.variants if self.of(v.name)]


@dataclass(frozen=True)
class Study:
    """One study.

    Attributes:
        question, claim: a sentence each; the claim with its source.
        defaults: training options that differ from those of `jumok train`; own_defaults: and further ones on `own_data`.
        own_data: makes pairs with known structure: (description, pairs by split).
        variants: the models to compare.
        work: does one run, and returns its measurements (for JSON), with a `headline` for the screen.
        report: makes the report of all finished runs.
        train_max_length: default on its own data; see `jumok.config.StudyConfig`.
        own_only: why it takes no pairs of the user's, and what to do; "" if it does.
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
    own_only: str = ""


@dataclass(frozen=True)
class Run:
    """One training and what is measured on it.

    Attributes:
        made_from: everything that its result depends on; its SHA-256 is the fingerprint of the run.
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
        """SHA-256 of everything that its result depends on."""
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
    """A run for each variant and seed, seed by seed, so that a study that is stopped early has compared all variants."""
    runs = []
    for seed in seeds:
        for variant in variants:
            chosen = {**setting.options, **variant.options, "seed": seed}
            made_from = {
                "format": FORMAT,
                "study": study,
                "options": {**_defaults(), **{k: v for k, v in chosen.items() if k not in WITHOUT_EFFECT}},
                "settings": setting.settings,
                "data": {name: split["sha256"] for name, split in setting.data["splits"].items()},
            }
            folder = setting.folder / "runs" / f"{variant.name}-{seed}"
            runs.append(Run(study, variant.name, seed, folder, chosen, setting.settings, made_from))
    return runs


def _defaults() -> dict[str, Any]:
    """The defaults of `jumok train`: if one changes, so does the fingerprint of the runs that used it."""
    return {name: f.default for name, f in options(TrainConfig).items() if name not in WITHOUT_EFFECT}


def result_of(run: Run) -> dict[str, Any] | None:
    """The result of a run, or None. ConfigError, naming what differs, if the result has other options or data."""
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
        changed = [f"{k} {a.get(k)!r} (now {b.get(k)!r})" for k in sorted(a.keys() | b.keys()) if a.get(k) != b.get(k)]
        if changed:
            return ", ".join(changed[:3]) + (" and more" if len(changed) > 3 else "")
    return f"another format or study ({then.get('study')}, format {then.get('format')})"


def read_json(path: Path) -> dict[str, Any]:
    """Reads a JSON object from a file of a study. DataError, naming the file, if it is damaged."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file; the folder of the study is incomplete") from None
    except (OSError, ValueError) as e:
        raise DataError(f"{path}: cannot be read as JSON ({e}); delete it, and the run will be done again") from None
    if not isinstance(values, dict):
        raise DataError(f"{path}: not a JSON object; delete it, and the run will be done again")
    return values


def write_whole(path: Path, text: str) -> None:
    """Writes a text file atomically, and makes its folder. DataError if that is impossible."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        disk.write_file(path, text.encode("utf-8", "backslashreplace"))
    except OSError as e:
        raise DataError(f"{path}: cannot be written ({e.strerror}); make room, or give another --out") from None


def as_json(values: Any) -> str:
    """Readable JSON; numbers that are not finite are refused."""
    return json.dumps(values, ensure_ascii=False, indent=1, allow_nan=False) + "\n"
