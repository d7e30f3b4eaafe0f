"""One study from what was asked for to its report: data, runs, study.json, figures, page."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jumok
from jumok import config, locks
from jumok.config import StudyConfig, TrainConfig, build
from jumok.errors import ConfigError, need
from jumok.learn import threads
from jumok.places import expand, expanded
from jumok.processes import cores
from jumok.studies.data import as_pairs, prepare, read_splits
from jumok.studies.engine import carry_out
from jumok.studies.plan import Outcome, Run, Setting, Study, Variant, as_json, finished, plan_runs, read_json, write_whole
from jumok.studies.report import Block, Heading, Points, Report, Table, Text, html, markdown
from jumok.studies.studies import STUDIES
from jumok.text.pairs import files_of

SCHEMA = "jumok.study/1"
LENGTHS = ("minutes", "epochs", "steps")
EQUAL_TIME_DROPOUT = 0.2  # by default dropout follows from the epochs, and those from the time a step takes: from the variant
# the same on every run: a study compares models, not what a probe found fastest at that moment
EVERYWHERE = {"precision": "float32", "matmul": "default"}


@dataclass(frozen=True)
class Studied:
    """What a study left behind.

    Attributes:
        folder: with study.json, report.md, report.html, the figures, and every run.
        findings: what was found, in sentences.
        table: the numbers behind them.
        missing: names of the runs that are not finished.
        interrupted: 0, or the number of the signal that ended it early; the same call goes on.
    """

    folder: Path
    findings: list[str]
    table: dict[str, object]
    missing: list[str]
    interrupted: int = 0


def study(
    name: str,
    pairs: str | Path = "",
    dev: str | Path = "",
    test: str | Path = "",
    out: str | Path = "",
    *,
    seeds: int = 3,
    jobs: int = 1,
    minutes_per_run: float | None = None,
    train_max_length: int | None = None,
    variants: Sequence[str] = (),
    model: str | Path = "",
    quiet: bool = False,
    **options: Any,
) -> Studied:
    """Trains and compares: one of the studies, on your pairs or on pairs it makes itself. Finished runs are not done again.

    Args:
        name: bottleneck, gradients, exposure, scores or faithful.
        pairs, dev, test, out: files and the folder to write. Without pairs the study makes its own; without dev or test, 1 in 20
            pairs is set aside.
        seeds, jobs, minutes_per_run, train_max_length, variants, model: as in `jumok.config.StudyConfig`.
        quiet: show nothing.
        options: any option of `jumok.config.TrainConfig`, for every run; `seed` is the first run's.

    Raises:
        JumokError: anything a user can mend; its message says how.
    """
    asked = StudyConfig(
        dev=str(dev),
        test=str(test),
        out=str(out),
        seeds=seeds,
        jobs=jobs,
        minutes_per_run=minutes_per_run,
        train_max_length=train_max_length,
        variants=tuple(variants),
        model=str(model),
    )
    say = (lambda _: None) if quiet else (lambda text: print(text, file=sys.stderr, flush=True))
    asked = expanded(config.check(asked, "study"))
    if jobs > cores():
        say(f"warning: jobs is {jobs}, but there are {cores()} cores: runs side by side will wait for each other")
    return _conduct(chosen(name), expand(str(pairs), "pairs"), asked, options, say)


def chosen(name: str) -> Study:
    """The study of that name; ConfigError with those there are."""
    if name not in STUDIES:
        raise ConfigError(f"study: there is no study {name!r}; there are {', '.join(STUDIES)}")
    return STUDIES[name]


def training_options(study: Study, own_data: bool, asked: StudyConfig, given: dict[str, Any]) -> dict[str, Any]:
    """Options of every run: those given over the study's own. ConfigError as from `jumok.config.build`."""
    if given.get("minutes") is not None:
        raise ConfigError("study: minutes is given; a study has many runs: say how long each is with minutes_per_run")
    given = {k: v for k, v in given.items() if v is not None}
    defaults = {**EVERYWHERE, **study.defaults, **(study.own_defaults if own_data else {})}
    if asked.minutes_per_run is not None:
        given["minutes"] = asked.minutes_per_run
        given.setdefault("dropout", EQUAL_TIME_DROPOUT)
    if any(length in given for length in LENGTHS):
        defaults = {k: v for k, v in defaults.items() if k not in LENGTHS}
    found = {**defaults, **given}
    for name in ("pairs", "dev", "out"):
        if name in given:
            raise ConfigError(f"study: {name} is no option of a run")
    build(TrainConfig, found, "study")
    return found


def _conduct(study: Study, pairs: str, asked: StudyConfig, given: dict[str, Any], say: Callable[[str], None]) -> Studied:
    if not asked.out:
        raise ConfigError("study: out is missing; name the folder to write")
    if asked.model and study.name != "faithful":
        raise ConfigError(
            f"study: model is given; the study {study.name} trains its own, only faithful can look at a given one"
        )
    if not asked.model:
        need("training", "train", "torch", "rich")  # said before anything is written
    folder = Path(asked.out)

    def busy(who: str) -> ConfigError:
        return ConfigError(f"{folder}: this study is under way ({who}); wait for its end, or give another --out")

    with locks.held(locks.beside(folder), busy):
        return _alone(study, pairs, asked, given, folder, say)


def _alone(
    study: Study, pairs: str, asked: StudyConfig, given: dict[str, Any], folder: Path, say: Callable[[str], None]
) -> Studied:
    _check_inputs(folder, pairs, asked)
    options = training_options(study, not pairs and not asked.model, asked, given)
    threads.check(options.get("threads") or 0)
    _claim(folder, study)
    setting = Setting(folder, options, {}, {"model": asked.model} if asked.model else {})
    data = _data(study, pairs, asked, options, folder, say)
    setting = Setting(folder, options, data, setting.settings)
    variants = _wanted(study.variants(setting), asked.variants)
    first = int(options.get("seed", 1))
    runs = plan_runs(study.name, setting, variants, [first] if asked.model else list(range(first, first + asked.seeds)))
    splits = ", ".join(f"{split['pairs']:,} {name}" for name, split in data["splits"].items())
    say(f"study {study.name}: {len(runs)} runs ({', '.join(v.name for v in variants)}) · {splits} pairs")
    signal = carry_out(runs, folder / "data", asked.jobs, say)
    studied = _write(study, setting, variants, runs, signal)
    done = len(runs) - len(studied.missing)
    if signal:
        say(f"stopped: {done} of {len(runs)} runs are finished and stay; the same command goes on with the others")
    return studied


def _check_inputs(folder: Path, pairs: str, asked: StudyConfig) -> None:
    """ConfigError if what the study reads is among what it writes."""
    for given in filter(None, (pairs, asked.dev, asked.test, asked.model)):
        for file in files_of(given):
            parts = [os.path.realpath(folder / part) for part in ("data", "runs")]
            if any(os.path.commonpath([part, os.path.realpath(file)]) == part for part in parts):
                raise ConfigError(
                    f"{file}: is a part of the study in {folder}, which writes over it; copy it, or give another --out"
                )


def _claim(folder: Path, study: Study) -> None:
    """The folder is new, empty, or has this study; else ConfigError."""
    path = folder / "study.json"
    if path.exists():
        there = read_json(path)
        if there.get("schema") != SCHEMA or there.get("study") != study.name:
            raise ConfigError(f"{folder}: has the study {there.get('study')!r}; a folder holds one study; give another --out")
        return
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"{folder}: is there and not a study; wanted a new folder; give another --out")
    write_whole(path, as_json({"schema": SCHEMA, "study": study.name}))


def _data(
    study: Study, pairs: str, asked: StudyConfig, options: dict[str, Any], folder: Path, say: Callable[[str], None]
) -> dict[str, Any]:
    text = build(TrainConfig, options, "study").text
    longest = asked.train_max_length
    if asked.model:
        from jumok.runtime import load
        from jumok.text import read_pairs

        if not (asked.test or pairs):
            raise ConfigError("study: test is missing; with a model, name the pairs to look at with --test")
        text = load(asked.model).config.text
        name = asked.test or pairs
        return prepare(
            folder / "data", f"test pairs of {Path(name).name}", {"test": read_pairs(name, text, warn=say)}, text, None
        )
    if not pairs:
        if asked.dev or asked.test:
            raise ConfigError("study: dev or test is given without pairs; give training pairs too, or neither")
        description, made = study.own_data()
        splits = {name: as_pairs(made[name]) for name in ("train", "dev", "test")}
        return prepare(folder / "data", description, splits, text, longest or study.train_max_length)
    splits = read_splits(pairs, asked.dev, asked.test, text, say)
    return prepare(folder / "data", f"pairs of {Path(pairs).name}", splits, text, longest)


def _wanted(found: list[Variant], names: Sequence[str]) -> list[Variant]:
    known = [v.name for v in found]
    for name in names:
        if name not in known:
            raise ConfigError(f"study: there is no variant {name!r}; there are {', '.join(known)}")
    return [v for v in found if not names or v.name in names]


def _write(study: Study, setting: Setting, variants: list[Variant], runs: list[Run], signal: int) -> Studied:
    results = {run.name: finished(run) for run in runs}
    missing = [name for name, result in results.items() if result is None]
    outcome = Outcome(setting, variants, [r for r in results.values() if r is not None])
    report = study.report(outcome) if outcome.results else Report(["No run has finished yet."], [])
    facts = {
        "schema": SCHEMA,
        "study": study.name,
        "question": study.question,
        "claim": study.claim,
        "findings": report.findings,
        "table": report.table,
        "options": setting.options,
        "settings": setting.settings,
        "variants": {v.name: {"options": dict(v.options), "note": v.note} for v in variants},
        "data": setting.data,
        "runs": [
            {
                "name": run.name,
                "variant": run.variant,
                "seed": run.seed,
                "seconds": r["seconds"],
                "fingerprint": run.fingerprint,
            }
            for run in runs
            if (r := results[run.name]) is not None
        ],
        "missing": missing,
        "machine": {"system": platform.system(), "processor": platform.machine(), "cores": cores()},
        "versions": _versions(),
    }
    for figure in report.figures:
        write_whole(setting.folder / figure.name, figure.svg)
    title = f"Study: {study.name}"
    page = _page(study, setting, report, runs, missing)
    write_whole(setting.folder / "report.md", markdown(title, page))
    write_whole(setting.folder / "report.html", html(title, page))
    write_whole(setting.folder / "study.json", as_json(facts))
    return Studied(setting.folder, report.findings, report.table, missing, signal)


def _page(study: Study, setting: Setting, report: Report, runs: list[Run], missing: list[str]) -> list[Block]:
    data, seeds = setting.data, sorted({run.seed for run in runs})
    rows = [
        [name, f"{s['pairs']:,}", f"{s['shortest']} to {s['longest']} {data['unit']}"] for name, s in data["splits"].items()
    ]
    state = (
        f"All {len(runs)} runs are finished."
        if not missing
        else f"{len(missing)} of {len(runs)} runs are missing: {', '.join(missing)}."
    )
    options = " ".join(f"{k}={v}" for k, v in sorted(setting.options.items()) if k != "seed")
    return [
        Text(study.question),
        Text(f"The claim: {study.claim}"),
        Heading("What was found"),
        Points(report.findings),
        Text(f"{state} Seeds: {', '.join(map(str, seeds))}. An interval from so few seeds is wide, and honest."),
        Heading("The numbers"),
        *report.blocks,
        Heading("Data and options"),
        Text(f"{data['description'][0].upper()}{data['description'][1:]}."),
        Table(["split", "pairs", "source length"], rows),
        Text(
            f"Options of every run that differ from those of `jumok train`: `{options or 'none'}`. What each variant changes is in `study.json`."
        ),
        Text(
            f"{', '.join(f'{k} {v}' for k, v in _versions().items())}; {platform.system()} {platform.machine()}, {cores()} cores."
        ),
    ]


def _versions() -> dict[str, str]:
    found = {"jumok": jumok.__version__, "python": platform.python_version()}
    for package in ("numpy", "torch"):
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
