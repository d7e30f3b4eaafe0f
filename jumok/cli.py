"""The command line: parse, call one function, print. Options are the dataclasses here and in `jumok.config`."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any, Literal, TextIO, get_args

import tyro
from tyro.conf import FlagCreatePairsOff, OmitArgPrefixes, Positional

import jumok
from jumok import config, edge, places, toml
from jumok.config import LearnConfig, ModelConfig, SearchConfig, StudyConfig, TextConfig, TrainConfig
from jumok.console import Bar
from jumok.errors import ConfigError, DataError
from jumok.overview import overview
from jumok.places import FilePath, FolderPath, LinesPath, ModelPath, OptionsPath, Output, PairsPath


@dataclass(frozen=True)
class Train:
    """Train a model from a table of pairs; the best one, by a metric of what it writes on its own, ends in --out.

    jumok train words.tsv --dev dev.tsv --out model --target-tokenizer space --minutes 2
    """

    pairs: Positional[PairsPath] = ""
    """Training pairs: TSV or JSONL (.gz too; - = standard input), or SOURCE,TARGET for two parallel files."""
    dev: PairsPath = ""
    """Development pairs, in the same form; they pick the best model. Without: 1 in 20 training pairs, at most 2,000."""
    out: FolderPath = ""
    """Model folder to write."""
    cache: FolderPath = ""
    """Folder for the tokenised pairs, which are then read from the disk and may be larger than memory; made once, used again.
    Default: pairs stay in memory; those in files of more than 100 MB (.gz: 25 MB) go to a folder beside --out."""
    config: OptionsPath = ""
    """TOML file with any of these options but this one, by name; what stands on the command line goes over it."""
    resume: bool = False
    """Go on from the checkpoint in --out; where there is none yet, begin; where training is finished, do nothing."""
    overwrite: bool = False
    """Replace the model or the unfinished training at --out; files there that are not Jumok's own stay."""
    quiet: bool = False
    """Show nothing but errors."""
    profile: bool = False
    """Say in the end where the time went and what share of the machine's limit was reached; also as profile.json in --out."""
    tensorboard: FolderPath = ""
    """Folder for curves that TensorBoard shows (needs the extra `tensorboard`)."""
    text: OmitArgPrefixes[TextConfig] = field(default_factory=TextConfig)
    model: OmitArgPrefixes[ModelConfig] = field(default_factory=ModelConfig)
    learn: OmitArgPrefixes[LearnConfig] = field(default_factory=LearnConfig)


@dataclass(frozen=True)
class Translate:
    """Translate lines: a line in, a line out, always.

    echo attention | jumok translate model --beam 5
    """

    model: Positional[ModelPath]
    """Model folder."""
    file: Positional[LinesPath] = "-"
    """What to translate (.gz too; - = standard input): a source a line, with features SOURCE, a TAB, FEATURES; a table (line 1
    has a TAB, with features two), in the columns of the training pairs; or JSONL. Lines that have come do not wait for more."""
    search: OmitArgPrefixes[SearchConfig] = field(default_factory=SearchConfig)
    json: bool = False
    """A JSON object a line: text, tokens, attention weights, scores, and the n-best list."""


@dataclass(frozen=True)
class Evaluate:
    """Translate the sources of a test file and measure how well: each metric with its signature.

    jumok evaluate model test.tsv --beam 5
    """

    model: Positional[ModelPath]
    """Model folder."""
    test: Positional[PairsPath]
    """Test pairs, as for training; several targets of one source are alternatives, any of which is right."""
    search: OmitArgPrefixes[SearchConfig] = field(default_factory=SearchConfig)
    metrics: tuple[str, ...] = tuple(name for name in get_args(config.MetricName) if name != "loss")
    """Which metrics."""
    tokenize: str = ""
    """sacrebleu's tokenizer for BLEU (13a, none, char, …). Default: the one that the model was trained with."""
    lowercase: bool = False
    """Compare without regard to case."""
    json: bool = False
    """JSON instead of a table."""
    outputs: FilePath = ""
    """Also write source, features where the model has them, output and references of every line to this TSV."""


@dataclass(frozen=True)
class Explain:
    """Show which source positions each output token used: a picture of the attention, and its entropy, margin and coverage.

    jumok explain model attention --out picture.svg
    """

    model: Positional[ModelPath]
    """Model folder."""
    source: Positional[str]
    """The text to translate."""
    features: tuple[str, ...] = ()
    """Features of the source, for a model that has them: V PST, or 'V;PST' as in a table."""
    beam: int = 1
    """Hypotheses kept at each step; 1 = greedy."""
    compare: ModelPath = ""
    """Another model folder, whose attention on the same text is shown beside this one's."""
    out: FilePath = ""
    """File to write: .svg, .html, .csv or .json, and but for --compare .png or .pdf. Default: a heatmap in the terminal."""


@dataclass(frozen=True)
class Align:
    """Link the words of given pairs by what the model attends to when it has to write the target: a line in, a line out.

    jumok align model pairs.tsv --gold gold.tsv
    """

    model: Positional[ModelPath]
    """Model folder."""
    pairs: Positional[PairsPath]
    """Pairs to align, as for training. A line that cannot be used gets an empty line and a warning."""
    method: Literal["argmax", "path"] = "argmax"
    """argmax: each target token with the source token it weighs most; path: the same, but links never go back."""
    unit: Literal["word", "token"] | None = None
    """What is numbered: words (between ASCII blanks) or tokens. Default: tokens on a side in characters, else words."""
    reverse_model: ModelPath = ""
    """Model folder of the other direction, target to source, whose links are combined with the first model's."""
    combine: Literal["grow-diagonal", "intersection", "union"] = "grow-diagonal"
    """How, with --reverse-model. grow-diagonal: what both say, and links beside it of words without a link."""
    gold: LinesPath = ""
    """Gold links to measure against: i-j sure, ipj possible, counted from 1; alone on a line, or in column 3 (as in PAIRS)."""
    out: FilePath = ""
    """File to write the links to. Default: standard output (the measures then go to standard error)."""
    json: bool = False
    """A JSON object a line: source, target, links, log-probability; and the measures as JSON."""


@dataclass(frozen=True)
class Info:
    """Tell what a model folder holds.

    jumok info model
    """

    model: Positional[ModelPath]
    """Model folder."""
    json: bool = False
    """JSON instead of lines."""


@dataclass(frozen=True)
class Study:
    """Train and compare: what does attention repair, what does teacher forcing cost? A table, figures and a page in --out.

    jumok study bottleneck --out bottleneck --jobs 2
    """

    name: Positional[Literal["bottleneck", "gradients", "exposure", "scores", "faithful"]]
    """bottleneck: quality by source length without and with attention. gradients: how much of the loss reaches the first
    token. exposure: teacher forcing against free running. scores: Luong's tables. faithful: do the weights tell the truth?"""
    pairs: Positional[PairsPath] = ""
    """Training pairs, as for train. Without: strings with known structure, made for the study; a result in minutes."""
    plan: OmitArgPrefixes[StudyConfig] = field(default_factory=StudyConfig)
    text: OmitArgPrefixes[TextConfig] = field(default_factory=TextConfig)
    model: OmitArgPrefixes[ModelConfig] = field(default_factory=ModelConfig)
    learn: OmitArgPrefixes[LearnConfig] = field(default_factory=LearnConfig)


@dataclass(frozen=True)
class Quickstart:
    """Train a model that pronounces English words, from the CMU dictionary, and look at what it does.

    jumok quickstart
    """

    out: FolderPath = "quickstart"
    """Folder for data, model and picture."""
    minutes: float = 4.75
    """Training time."""


def train(o: Train, given: Collection[str] = ()) -> int:
    from jumok.learn import train

    run = TrainConfig(o.pairs, o.dev, o.out, o.cache, o.text, o.model, o.learn)
    done = train(
        config=config.check(run, "command line"),
        resume=o.resume,
        overwrite=o.overwrite,
        quiet=o.quiet,
        profile=o.profile,
        tensorboard=o.tensorboard,
        given=given,
    )
    return 128 + done.interrupted if done.interrupted else 0


def translate(o: Translate) -> int:
    from jumok.decode.answers import answers
    from jumok.runtime import Translation, load

    config.check(o.search, "command line")
    written: Callable[[Translation], str] = lambda t: _one_line(t.text)  # noqa: E731
    if o.json:
        from jumok.explain import to_json_line as written
    elif o.search.nbest > 1:
        written = lambda t: "\t".join(f"{_one_line(n.text)}\t{n.score:.4f}" for n in (t, *t.alternatives))  # noqa: E731
    note = lambda text: _say(f"note: {text}")  # noqa: E731
    for t in answers(load(o.model), o.file, o.search, flush=lambda: sys.stdout.flush(), warn=_warn, note=note):
        print(written(t))
    return 0


def evaluate(o: Evaluate) -> int:
    with Output(o.outputs, "--outputs") as side:
        return _evaluate(o, side)


def _evaluate(o: Evaluate, side: Output) -> int:
    from jumok.measure import as_dict, table
    from jumok.measure.evaluating import evaluate
    from jumok.outputs import check_output
    from jumok.runtime import load
    from jumok.text import read_pairs

    config.check(o.search, "command line")
    check_output(o.outputs, "--outputs")
    model = load(o.model)
    pairs = read_pairs(o.test, model.config.text, warn=_warn)
    with Bar("translating", len(pairs)) as bar:
        found = evaluate(model, pairs, o.metrics, o.search, o.tokenize, o.lowercase, _warn, advance=bar.advance)
    sources, separator = found.gold.sources, model.config.text.features_separator
    marks = [[separator.join(features)] if model.config.text.features_column else [] for _, features in sources]
    columns = zip(sources, marks, found.outputs, found.gold.references, strict=True)
    rows = [[source, *mark, _one_line(t.text), *gold] for (source, _), mark, t, gold in columns]
    searched = f"beam {o.search.beam}, length penalty {o.search.length_penalty:g}" if o.search.beam > 1 else "greedy"
    if o.json:
        unfinished = sum(not t.finished for t in found.outputs)
        facts = {
            "model": o.model,
            "test": o.test,
            "search": searched,
            "lines": len(sources),
            "cut at the length limit": unfinished,
            "targets put in the model's form": found.gold.rewritten,
        }
        lines = [json.dumps(facts | found.remarks | {"metrics": as_dict(found.measured)}, ensure_ascii=False)]
    else:
        lines = [f"{len(sources):,} sources of {o.test}, {searched}", *table(found.measured)]
    try:
        print("\n".join(lines), flush=True)
    finally:  # neither is lost because the other cannot be written
        side.put("".join("\t".join(row) + "\n" for row in rows))
    return 0


def explain(o: Explain) -> int:
    from jumok.explain.showing import show

    print(show(o.model, o.source, o.features, o.beam, o.compare, o.out, _warn))
    return 0


def align(o: Align) -> int:
    with Output(o.out) as side:
        return _align(o, side)


def _align(o: Align, side: Output) -> int:
    from jumok.decode.remarks import Remarks
    from jumok.explain import align, align_both, links_json, pharaoh
    from jumok.measure import as_dict, check_range, measure_links, read_gold, table
    from jumok.outputs import check_output
    from jumok.runtime import load
    from jumok.text import read_every_pair

    check_output(o.out, "--out")
    model = load(o.model)
    gold = read_gold(o.gold, warn=lambda w: None if o.gold == o.pairs else _say(f"warning: {w}")) if o.gold else None
    pairs = list(read_every_pair(o.pairs, model.config.text, warn=_warn))
    if gold is not None and len(gold) != len(pairs):
        raise DataError(f"{o.gold}: {len(gold):,} lines of gold links, but {len(pairs):,} lines in {o.pairs}; wanted as many")
    if o.reverse_model:
        found = align_both(model, load(o.reverse_model), pairs, o.method, o.unit, o.combine)
    else:
        found = align(model, pairs, o.method, o.unit)
    links, remarks = [], Remarks(model)
    shown = bool(o.out) or not sys.stdout.isatty()  # a bar and lines on one terminal garble each other
    written = []
    with Bar(f"aligning {len(pairs):,} pairs", len(pairs), shown) as bar:
        for k, (pair, aligned) in enumerate(zip(pairs, found, strict=True)):
            if pair and aligned.problem:
                _warn(f"{pair.where}: {aligned.problem}; it gets an empty line")
            elif pair and gold is not None:
                check_range(gold[k], len(aligned.source), len(aligned.target))
            if pair and not aligned.problem:
                remarks.see_tokens(pair.where, aligned.unknown_source, aligned.unknown_target, bool(pair.features))
            written.append(links_json(aligned) if o.json else pharaoh(aligned.links))
            if not o.out:
                print(written.pop())
            links.append(frozenset(aligned.links))
            bar.advance(1)
    remarks.tell(_warn)
    if pairs and not any(pairs):
        raise DataError(f"{o.pairs}: none of its {len(pairs):,} lines could be used; wanted pairs, as for training")
    try:
        if gold is not None:
            measured = measure_links(links, gold)
            lines = [json.dumps(as_dict(measured))] if o.json else table(measured)
            print("\n".join(lines), file=sys.stdout if o.out else sys.stderr, flush=True)
    finally:
        side.put("".join(line + "\n" for line in written))
    return 0


def info(o: Info) -> int:
    from jumok.runtime import load

    facts = load(o.model).info()
    if o.json:
        print(json.dumps(facts, ensure_ascii=False))
    else:
        width = max(len(name) for name in facts)
        for name, value in facts.items():
            print(f"{name:<{width}}  {value}")
    return 0


def study(o: Study) -> int:
    from jumok.studies.command import run

    return run(o.name, o.pairs, o.plan, TrainConfig(text=o.text, model=o.model, learn=o.learn))


def quickstart(o: Quickstart) -> int:
    from jumok.quickstart import run

    return run(o.out, o.minutes)


COMMANDS: dict[str, tuple[type, Callable[..., int]]] = {
    "train": (Train, train),
    "translate": (Translate, translate),
    "evaluate": (Evaluate, evaluate),
    "explain": (Explain, explain),
    "align": (Align, align),
    "study": (Study, study),
    "info": (Info, info),
    "quickstart": (Quickstart, quickstart),
}


def main(arguments: list[str] | None = None) -> int:
    """Runs one command; returns the exit status: 0, 2 for what the user can mend, 130 for Ctrl-C."""
    return edge.guarded(lambda: _run(sys.argv[1:] if arguments is None else arguments))


def _run(arguments: list[str]) -> int:
    name = arguments[0] if arguments else "--help"
    if name in ("-h", "--help", "help"):
        print(overview({name: kind for name, (kind, _) in COMMANDS.items()}))
        return 0
    if name in ("-V", "--version"):
        print(f"jumok {jumok.__version__}")
        return 0
    if name not in COMMANDS:
        import difflib

        near = difflib.get_close_matches(name, COMMANDS, n=1)
        raise ConfigError(
            f"there is no command {name!r}" + (f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(COMMANDS)}")
        )
    kind, command = COMMANDS[name]
    rest = arguments[1:]
    default, given = _from_config_file(rest) if kind is Train else (_of_the_study(rest) if kind is Study else None, None)
    more: dict[str, Any] = {} if default is None else {"default": default}
    parsed = tyro.cli(kind, args=toml.without_echoes(rest, default), prog=f"jumok {name}", config=(FlagCreatePairsOff,), **more)
    options = places.settle(parsed)
    return command(options) if given is None else command(options, given)


def _from_config_file(arguments: list[str]) -> tuple[Train | None, set[str]]:
    """The defaults that a --config file sets for `train`, so that the command line goes over them; and all options given."""
    path, values, given = toml.defaults(arguments, Train, lambda w: _say(f"warning: {w}"))
    if path is None:
        return None, given
    o = config.build(Train, values, path)
    config.check(TrainConfig(o.pairs, o.dev, o.out, o.cache, o.text, o.model, o.learn), path)
    return o, given


def _of_the_study(arguments: list[str]) -> Study | None:
    """The defaults that a study has for its trainings, so that --help shows them and the command line goes over them."""
    from jumok.studies.command import defaults

    run = defaults(arguments[0] if arguments else "")
    return None if run is None else Study(arguments[0], text=run.text, model=run.model, learn=run.learn)  # type: ignore[arg-type]


def _one_line(text: str) -> str:
    """A line out for a line in: whatever an output holds, it stays on its line."""
    return text.replace("\n", " ").replace("\r", " ").replace("\t", " ")


def _warn(text: str) -> None:
    _say(f"warning: {text}")


def _say(text: str, stream: TextIO | None = None) -> None:
    print(text, file=stream or sys.stderr)
