"""Conducts a study, from the options to the report: data, runs, study.json, figures, page."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import os
import platform
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import jumok
from jumok import config, locks
from jumok.config import StudyConfig, TextConfig, TrainConfig, build
from jumok.errors import ConfigError, need
from jumok.keywords import done_by
from jumok.learn import threads
from jumok.learn.given import idle
from jumok.places import expand
from jumok.processes import cores
from jumok.studies.data import as_pairs, read_splits, write_splits
from jumok.studies.engine import carry_out
from jumok.studies.plan import Outcome, Run, Setting, Study, Variant, as_json, plan_runs, read_json, result_of, write_whole
from jumok.studies.report import Block, Heading, Points, Report, Table, Text, html, markdown
from jumok.studies.studies import STUDIES
from jumok.text.pairs import files_of

SCHEMA = "jumok.study/1"
LENGTHS = ("minutes", "epochs", "steps")
USED_BY_ALL = ("seed", "threads")  # options of training that work also where nothing is trained
EQUAL_TIME_DROPOUT = 0.2  # the default follows from the epochs, and with equal time these depend on the variant
# the same in every run: a study compares models, not what a probe found fastest at that moment, or what suits the pairs
EVERYWHERE = {"precision": "float32", "matmul": "default", "alignment": "soft"}


@dataclass(frozen=True)
class Studied:
    """The result of a study.

    Attributes:
        folder: holds study.json, report.md, report.html, the figures, and every run.
        findings: the findings, in sentences.
        table: the numbers behind them.
        missing: names of the runs that are not finished.
        interrupted: 0, or the number of the signal that stopped it early; the same call continues.
    """

    folder: Path
    findings: list[str]
    table: dict[str, object]
    missing: list[str]
    interrupted: int = 0


def _study(name: str, pairs: str | Path = "", *files: str | Path, quiet: bool = False, **options: Any) -> Studied:
    named = {f.name for f in dataclasses.fields(StudyConfig)}
    options |= dict(zip(("dev", "test", "out"), files, strict=False))
    asked = build(StudyConfig, {key: value for key, value in options.items() if key in named}, "study")
    options = {key: value for key, value in options.items() if key not in named}
    say = (lambda _: None) if quiet else (lambda text: print(text, file=sys.stderr, flush=True))
    if asked.jobs > cores():
        say(f"warning: jobs is {asked.jobs}, but there are {cores()} cores: parallel runs will slow each other down")
    return _conduct(chosen(name), expand(str(pairs), "pairs"), asked, options, say)


@done_by(_study)
def study(
    name: str,
    pairs: str | Path = "",
    dev: str | Path = "",
    test: str | Path = "",
    out: str | Path = "",
    *,
    quiet: bool = False,
    # options: StudyConfig TextConfig ModelConfig LearnConfig -dev -test -out
    seeds: int = 3,
    jobs: int = 1,
    minutes_per_run: float | None = None,
    train_max_length: int | None = None,
    variants: Sequence[str] = (),
    model: str | Path = "",
    source_column: int | str = 1,
    target_column: int = 2,
    features_column: int = 0,
    features_separator: str = ";",
    source_tokenizer: config.TokenizerName = "char",
    target_tokenizer: config.TokenizerName = "char",
    source_form: config.UnicodeForm = "none",
    target_form: config.UnicodeForm = "none",
    bpe_size: int = 8000,
    joint_vocabulary: bool | None = None,
    min_count: int = 1,
    max_tokens: int = 250,
    attention: config.AttentionName = "dot",
    alignment: config.AlignmentName = "auto",
    copy: bool | None = None,
    size: config.SizeName | None = None,
    embedding: int | None = None,
    hidden: int | None = None,
    layers: int | None = None,
    cell: config.CellName = "lstm",
    bidirectional: bool = True,
    reverse_source: bool = False,
    score_size: int | None = None,
    location_length: int = 256,
    window: config.WindowName = "none",
    window_size: int = 10,
    readout: Literal["tanh", "linear"] = "tanh",
    input_feeding: bool = False,
    readout_size: int | None = None,
    tie: config.TieName | None = None,
    minutes: float | None = None,
    epochs: float | None = None,
    steps: int | None = None,
    batch_size: int | None = None,
    batch_tokens: int | None = None,
    accumulate: int = 1,
    pool: int = 512,
    learning_rate: float | None = None,
    warmup: float = 0.05,
    decay: config.DecayName = "cosine",
    weight_decay: float | None = None,
    clip: float = 1.0,
    dropout: float | None = None,
    bpe_dropout: float = 0.0,
    label_smoothing: float = 0.1,
    freeze: float = 0.0,
    average: float = 0.998,
    teacher_forcing: config.TeacherForcingName = "always",
    gold_at_end: float = 0.0,
    switch: float = 0.5,
    switch_patience: int = 0,
    coin: config.CoinName = "token",
    own_token: config.OwnTokenName = "argmax",
    metric: config.MetricName | None = None,
    tokenize: str | None = None,
    evaluate_every: int | None = None,
    patience: int = 0,
    save_minutes: float = 5.0,
    save_every: int = 0,
    on_bad_loss: config.BadLossName = "skip",
    seed: int = 1,
    precision: config.PrecisionName = "auto",
    matmul: config.MatmulName = "auto",
    threads: int = 0,
    device: config.DeviceName = "auto",
    # end of options
) -> Studied:
    """Conducts a study on your pairs, or on pairs that it makes itself. Finished runs are not done again.

    Args:
        name: bottleneck, gradients, exposure, scores, faithful or links.
        pairs, dev, test, out: files and the folder to write. Without pairs the study makes its own; without dev or test, 1 in 20
            pairs is set aside.
        quiet: print nothing.
        all others: options of every run, as `help(jumok.train)` says; `seed` is the first run's. The defaults are those of the
            study (`jumok study NAME --help` shows them), which may not be those of `train` that stand here.

    The study's own, options of `StudyConfig`:
        dev: Development pairs. Without: 1 in 20 of PAIRS, at most 2,000.
        test: Test pairs, on which everything is compared. Without: 1 in 20 of PAIRS, at most 2,000.
        out: Folder to write. If the command is repeated, it does only the runs that are missing there.
        seeds: Runs of each variant, with seeds from seed on. Fewer than 3 say little about chance.
        jobs: Runs at the same time, each with its share of the cores.
        minutes_per_run: Equal time instead of equal steps: wall-clock minutes of each training.
        train_max_length: Leave longer sources (characters for char, else words) out of training and dev, so that only the test
            has them.
        variants: Only these of the study's variants. Default: all.
        model: faithful only: a trained model folder to look at, instead of training.

    Raises:
        JumokError: an error that the user can correct; its message says how.
    """
    raise NotImplementedError


def chosen(name: str) -> Study:
    """The study of this name. ConfigError, listing the names, if there is none."""
    if name not in STUDIES:
        raise ConfigError(f"study: there is no study {name!r}; there are {', '.join(STUDIES)}")
    return STUDIES[name]


def training_options(study: Study, own_data: bool, asked: StudyConfig, given: dict[str, Any]) -> dict[str, Any]:
    """The options of every run: given ones override the study's. ConfigError as from `jumok.config.build`."""
    if given.get("minutes") is not None:
        raise ConfigError("study: minutes is given, but a study has many runs; use minutes_per_run, the length of each")
    given = {k: v for k, v in given.items() if v is not None}
    defaults = {**EVERYWHERE, **study.defaults, **(study.own_defaults if own_data else {})}
    if asked.minutes_per_run is not None:
        given["minutes"] = asked.minutes_per_run
        given.setdefault("dropout", EQUAL_TIME_DROPOUT)
    if any(length in given for length in LENGTHS):
        defaults = {k: v for k, v in defaults.items() if k not in LENGTHS}
    options = {**defaults, **given}
    for name in ("pairs", "dev", "out"):
        if name in given:
            raise ConfigError(f"study: {name} is not an option of a run")
    _check_sources(build(TrainConfig, options, "study").text)
    return options


def _check_sources(text: TextConfig) -> None:
    if text.several:
        raise ConfigError(
            f"study: source_column is {text.source_column}, but studies compare models of one source: give one column"
        )


def _conduct(study: Study, pairs: str, asked: StudyConfig, given: dict[str, Any], say: Callable[[str], None]) -> Studied:
    if not asked.out:
        raise ConfigError("study: out is missing; name the folder to write")
    if asked.model and study.name != "faithful":
        raise ConfigError(f"study: model is given, but the study {study.name} trains its own models; only faithful takes one")
    if study.own_only and (pairs or asked.dev or asked.test):
        raise ConfigError(f"study: pairs are given, but the study {study.name} takes none: {study.own_only}")
    if not asked.model:
        need("training", "train", "torch", "rich")  # before anything is written
    folder = Path(asked.out)

    def busy(who: str) -> ConfigError:
        return ConfigError(f"{folder}: this study is already running ({who}); wait until it ends, or give another --out")

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
    for line in without_effect(variants, options, given, asked.model):
        say(f"warning: {line}")
    first = int(options.get("seed", 1))
    runs = plan_runs(study.name, setting, variants, [first] if asked.model else list(range(first, first + asked.seeds)))
    splits = ", ".join(f"{split['pairs']:,} {name}" for name, split in data["splits"].items())
    say(f"study {study.name}: {len(runs)} runs ({', '.join(v.name for v in variants)}) · {splits} pairs")
    signal = carry_out(runs, folder / "data", asked.jobs, say)
    studied = _write(study, setting, variants, runs, signal)
    done = len(runs) - len(studied.missing)
    if signal:
        say(f"stopped: {done} of {len(runs)} runs are finished and kept; the same command continues with the others")
    return studied


def without_effect(
    variants: Sequence[Variant], options: dict[str, Any], given: dict[str, Any], model: str | Path = ""
) -> list[str]:
    """A line for each option that was given and changes no run: nothing is trained, all variants set it, or it lacks another.

    Args:
        options: of training, by name, for all variants.
        given: those of them that the user set.
        model: what is examined in place of trained variants.
    """
    names = [name for name, value in given.items() if value is not None]
    if model:
        idle_here = [name for name in names if name not in USED_BY_ALL]
        return [f"--{config.flag(name)} has no effect: nothing is trained, {model} is examined" for name in idle_here]
    lines = []
    for name in names:
        own = [v.options.get(name, options[name]) for v in variants]
        if options[name] not in own:
            has = ", ".join(dict.fromkeys(map(str, own)))
            lines.append(f"--{config.flag(name)} {options[name]} has no effect: each variant has its own ({has})")
    idle_of = [idle(build(TrainConfig, {**options, **v.options}, "study"), names) for v in variants]
    return lines + [line for line in idle_of[0] if all(line in others for others in idle_of)]


def _check_inputs(folder: Path, pairs: str, asked: StudyConfig) -> None:
    """ConfigError if the study would overwrite a file that it reads."""
    for given in filter(None, (pairs, asked.dev, asked.test, asked.model)):
        for file in files_of(given):
            parts = [os.path.realpath(folder / part) for part in ("data", "runs")]
            if any(os.path.commonpath([part, os.path.realpath(file)]) == part for part in parts):
                raise ConfigError(
                    f"{file}: is part of the study in {folder} and would be overwritten; copy it, or give another --out"
                )


def _claim(folder: Path, study: Study) -> None:
    """Takes a folder that is new, empty, or has this study. ConfigError for any other."""
    path = folder / "study.json"
    if path.exists():
        claimed = read_json(path)
        if claimed.get("schema") != SCHEMA or claimed.get("study") != study.name:
            raise ConfigError(
                f"{folder}: holds the study {claimed.get('study')!r}; a folder holds one study; give another --out"
            )
        return
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"{folder}: exists and is not a study; give a new folder with --out")
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
            raise ConfigError("study: test is missing; with a model, name the pairs to examine with --test")
        text = load(asked.model).config.text
        _check_sources(text)
        name = asked.test or pairs
        return write_splits(
            folder / "data", f"test pairs of {Path(name).name}", {"test": read_pairs(name, text, warn=say)}, text, None
        )
    if not pairs:
        if asked.dev or asked.test:
            raise ConfigError("study: dev or test is given without pairs; give training pairs too, or leave both out")
        description, made = study.own_data()
        splits = {name: as_pairs(made[name]) for name in ("train", "dev", "test")}
        return write_splits(folder / "data", description, splits, text, longest or study.train_max_length)
    splits = read_splits(pairs, asked.dev, asked.test, text, say)
    return write_splits(folder / "data", f"pairs of {Path(pairs).name}", splits, text, longest)


def _wanted(variants: list[Variant], names: Sequence[str]) -> list[Variant]:
    known = [v.name for v in variants]
    for name in names:
        if name not in known:
            raise ConfigError(f"study: there is no variant {name!r}; there are {', '.join(known)}")
    return [v for v in variants if not names or v.name in names]


def _write(study: Study, setting: Setting, variants: list[Variant], runs: list[Run], signal: int) -> Studied:
    results = {run.name: result_of(run) for run in runs}
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
        Heading("Findings"),
        Points(report.findings),
        Text(f"{state} Seeds: {', '.join(map(str, seeds))}. Intervals from so few seeds are wide."),
        Heading("The numbers"),
        *report.blocks,
        Heading("Data and options"),
        Text(f"{data['description'][0].upper()}{data['description'][1:]}."),
        Table(["split", "pairs", "source length"], rows),
        Text(
            f"Options of every run that differ from those of `jumok train`: `{options or 'none'}`. The options of each variant are in `study.json`."
        ),
        Text(
            f"{', '.join(f'{k} {v}' for k, v in _versions().items())}; {platform.system()} {platform.machine()}, {cores()} cores."
        ),
    ]


def _versions() -> dict[str, str]:
    versions = {"jumok": jumok.__version__, "python": platform.python_version()}
    for package in ("numpy", "torch"):
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions
