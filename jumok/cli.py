"""The command line: parse, call one function, print. Options are the dataclasses here and in `jumok.config`."""

from __future__ import annotations

import itertools
import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, TextIO, get_args

import tyro
from tyro.conf import FlagCreatePairsOff, OmitArgPrefixes, Positional

import jumok
from jumok import config
from jumok.config import LearnConfig, ModelConfig, SearchConfig, StudyConfig, TextConfig, TrainConfig
from jumok.console import Bar, opened
from jumok.errors import ConfigError, DataError, JumokError


@dataclass(frozen=True)
class Train:
    """Train a model from a table of pairs; the best one, by a metric of what it writes on its own, ends in --out.

    jumok train words.tsv --dev dev.tsv --out model --target-tokenizer space --minutes 2
    """

    pairs: Positional[str] = ""
    """Training pairs: TSV or JSONL (.gz too; - = standard input), or SOURCE,TARGET for two parallel files."""
    dev: str = ""
    """Development pairs, in the same form; they pick the best model. Without: 1 in 20 training pairs, at most 2,000."""
    out: str = ""
    """Model folder to write."""
    cache: str = ""
    """Folder for the tokenised pairs, which are then read from the disk and may be larger than memory; made once, used again.
    Default: pairs stay in memory; those in files of more than 100 MB (.gz: 25 MB) go to a folder beside --out."""
    config: str = ""
    """TOML file with any of these options by name; what stands on the command line goes over it."""
    resume: bool = False
    """Go on from the checkpoint in --out; where there is none yet, begin; where training is finished, do nothing."""
    overwrite: bool = False
    """Replace what is at --out."""
    quiet: bool = False
    """Show nothing but errors."""
    profile: bool = False
    """Say in the end where the time went and what share of the machine's limit was reached; also as profile.json in --out."""
    tensorboard: str = ""
    """Folder for curves that TensorBoard shows (needs the extra `tensorboard`)."""
    text: OmitArgPrefixes[TextConfig] = field(default_factory=TextConfig)
    model: OmitArgPrefixes[ModelConfig] = field(default_factory=ModelConfig)
    learn: OmitArgPrefixes[LearnConfig] = field(default_factory=LearnConfig)


@dataclass(frozen=True)
class Translate:
    """Translate lines: a line in, a line out, always.

    echo attention | jumok translate model --beam 5
    """

    model: Positional[str]
    """Model folder."""
    file: Positional[str] = "-"
    """Lines to translate (.gz too; - = standard input). For a model with features: SOURCE, a tab, FEATURES."""
    search: OmitArgPrefixes[SearchConfig] = field(default_factory=SearchConfig)
    json: bool = False
    """A JSON object a line: text, tokens, attention weights, scores, and the n-best list."""


@dataclass(frozen=True)
class Evaluate:
    """Translate the sources of a test file and measure how well: each metric with its signature.

    jumok evaluate model test.tsv --beam 5
    """

    model: Positional[str]
    """Model folder."""
    test: Positional[str]
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
    outputs: str = ""
    """Also write source, output and references of every line to this TSV."""


@dataclass(frozen=True)
class Explain:
    """Show which source positions each output token used: a picture of the attention, and its entropy, margin and coverage.

    jumok explain model attention --out picture.svg
    """

    model: Positional[str]
    """Model folder."""
    source: Positional[str]
    """The text to translate."""
    features: tuple[str, ...] = ()
    """Features of the source, for a model that has them."""
    beam: int = 1
    """Hypotheses kept at each step; 1 = greedy."""
    compare: str = ""
    """Another model folder, whose attention on the same text is shown beside this one's."""
    out: str = ""
    """File to write: .svg, .html, .csv or .json, and but for --compare .png or .pdf. Default: a heatmap in the terminal."""


@dataclass(frozen=True)
class Align:
    """Link the words of given pairs by what the model attends to when it has to write the target: a line in, a line out.

    jumok align model pairs.tsv --gold gold.tsv
    """

    model: Positional[str]
    """Model folder."""
    pairs: Positional[str]
    """Pairs to align, as for training. A line that cannot be used gets an empty line and a warning."""
    method: Literal["argmax", "path"] = "argmax"
    """argmax: each target token with the source token it weighs most; path: the same, but links never go back."""
    unit: Literal["word", "token"] | None = None
    """What is numbered: words (between ASCII blanks) or tokens. Default: tokens on a side in characters, else words."""
    reverse_model: str = ""
    """Model folder of the other direction, target to source, whose links are combined with the first model's."""
    combine: Literal["grow-diagonal", "intersection", "union"] = "grow-diagonal"
    """How, with --reverse-model. grow-diagonal: what both say, and links beside it of words without a link."""
    gold: str = ""
    """Gold links to measure against: i-j sure, ipj possible, counted from 1; alone on a line, or in column 3 (as in PAIRS)."""
    out: str = ""
    """File to write the links to. Default: standard output (the measures then go to standard error)."""
    json: bool = False
    """A JSON object a line: source, target, links, log-probability; and the measures as JSON."""


@dataclass(frozen=True)
class Info:
    """Tell what a model folder holds.

    jumok info model
    """

    model: Positional[str]
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
    pairs: Positional[str] = ""
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

    out: str = "quickstart"
    """Folder for data, model and picture."""
    minutes: float = 4.75
    """Training time."""


def train(o: Train) -> int:
    from jumok.learn import train

    run = TrainConfig(o.pairs, o.dev, o.out, o.cache, o.text, o.model, o.learn)
    done = train(
        config=config.check(run, "command line"),
        resume=o.resume,
        overwrite=o.overwrite,
        quiet=o.quiet,
        profile=o.profile,
        tensorboard=o.tensorboard,
    )
    return 128 + done.interrupted if done.interrupted else 0


def translate(o: Translate) -> int:
    from jumok.runtime import load
    from jumok.text import read_lines

    config.check(o.search, "command line")
    model = load(o.model)

    text = model.config.text

    def lines() -> Iterator[tuple[str, tuple[str, ...]]]:
        for line in read_lines(o.file, warn=lambda w: _say(f"warning: {w}")):
            if line.problem:
                _say(f"{o.file}:{line.number}: {line.problem}; an empty line is written for it")
            source, _, features = (line.text or "").partition("\t") if text.features_column else (line.text or "", "", "")
            yield source, tuple(f for f in features.split(text.features_separator) if f)

    interactive = o.file == "-" and sys.stdin.isatty()
    for t in model.translate_lines(lines(), **vars(o.search) | ({"batch_size": 1} if interactive else {})):
        if o.json:
            from jumok.explain import to_json_line

            print(to_json_line(t), flush=interactive)
        elif o.search.nbest > 1:
            print("\t".join(f"{_one_line(n.text)}\t{n.score:.4f}" for n in (t, *t.alternatives)), flush=interactive)
        else:
            print(_one_line(t.text), flush=interactive)
    return 0


def evaluate(o: Evaluate) -> int:
    from jumok.measure import as_dict, table
    from jumok.measure.evaluating import evaluate
    from jumok.runtime import load
    from jumok.text import read_pairs

    config.check(o.search, "command line")
    model = load(o.model)
    pairs = read_pairs(o.test, model.config.text, warn=_warn)
    with Bar("translating", len(pairs)) as bar:
        found = evaluate(model, pairs, o.metrics, o.search, o.tokenize, o.lowercase, _warn, advance=bar.advance)
    sources, references = found.gold.sources, found.gold.references
    if o.outputs:
        with open(o.outputs, "w", encoding="utf-8", newline="\n") as f:
            for (source, _), t, gold in zip(sources, found.outputs, references, strict=True):
                f.write("\t".join([source, _one_line(t.text), *gold]) + "\n")
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
        print(json.dumps(facts | {"metrics": as_dict(found.measured)}, ensure_ascii=False))
    else:
        print(f"{len(sources):,} sources of {o.test}, {searched}")
        print("\n".join(table(found.measured)))
    return 0


def explain(o: Explain) -> int:
    from jumok.explain.showing import show

    print(show(o.model, o.source, o.features, o.beam, o.compare, o.out))
    return 0


def align(o: Align) -> int:
    from jumok.explain import align, align_both, links_json, pharaoh
    from jumok.measure import as_dict, check_range, measure_links, read_gold, table
    from jumok.runtime import load
    from jumok.text import read_every_pair

    if o.gold == o.pairs == "-":
        raise ConfigError("--gold -: the pairs come from standard input already; give one of the two as a file")
    model = load(o.model)
    gold = read_gold(o.gold, warn=lambda w: None if o.gold == o.pairs else _say(f"warning: {w}")) if o.gold else None
    pairs = list(read_every_pair(o.pairs, model.config.text, warn=lambda w: _say(f"warning: {w}")))
    if gold is not None and len(gold) != len(pairs):
        raise DataError(f"{o.gold}: {len(gold):,} lines of gold links, but {len(pairs):,} lines in {o.pairs}; wanted as many")
    if o.reverse_model:
        found = align_both(model, load(o.reverse_model), pairs, o.method, o.unit, o.combine)
    else:
        found = align(model, pairs, o.method, o.unit)
    links = []
    shown = bool(o.out) or not sys.stdout.isatty()  # a bar and lines on one terminal garble each other
    with opened(o.out) as out, Bar(f"aligning {len(pairs):,} pairs", len(pairs), shown) as bar:
        for k, (pair, aligned) in enumerate(zip(pairs, found, strict=True)):
            if pair and aligned.problem:
                _say(f"warning: {pair.where}: {aligned.problem}; it gets an empty line")
            elif pair and gold is not None:
                check_range(gold[k], len(aligned.source), len(aligned.target))
            print(links_json(aligned) if o.json else pharaoh(aligned.links), file=out)
            links.append(frozenset(aligned.links))
            bar.advance(1)
    if gold is not None:
        measured = measure_links(links, gold)
        lines = [json.dumps(as_dict(measured))] if o.json else table(measured)
        _say("\n".join(lines), sys.stdout if o.out else sys.stderr)
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
    from jumok.study.command import run

    return run(o.name, o.pairs, o.plan, TrainConfig(text=o.text, model=o.model, learn=o.learn))


def quickstart(o: Quickstart) -> int:
    from jumok.quickstart import run

    return run(o.out, o.minutes)


COMMANDS: dict[str, tuple[type, Callable[[Any], int]]] = {
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
    arguments = sys.argv[1:] if arguments is None else arguments
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")  # whatever the locale: our text is UTF-8
    try:
        return _run(arguments)
    except JumokError as e:
        if not e.told:
            _say(f"jumok: {e}")
        return e.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader has gone (… | head): nothing to say, and nobody to say it to
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _run(arguments: list[str]) -> int:
    name = arguments[0] if arguments else "--help"
    if name in ("-h", "--help", "help"):
        print(_overview())
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
    default = _from_config_file(rest) if kind is Train else _of_the_study(rest) if kind is Study else None
    given: dict[str, Any] = {} if default is None else {"default": default}
    return command(tyro.cli(kind, args=rest, prog=f"jumok {name}", config=(FlagCreatePairsOff,), **given))


def _overview() -> str:
    title = f"jumok {jumok.__version__}: sequence-to-sequence models with attention"
    lines = [title, "", "usage: jumok COMMAND …   (jumok COMMAND --help)", ""]
    for name, (kind, _) in COMMANDS.items():
        first, *_, example = (line.strip() for line in (kind.__doc__ or "").strip().splitlines())
        lines += [f"  {name:<11} {first}", f"  {'':<11}   $ {example}"]
    return "\n".join(lines)


def _from_config_file(arguments: list[str]) -> Train | None:
    """The defaults that a --config file sets for `train`, so that the command line goes over them."""
    path = next((b for a, b in itertools.pairwise(arguments) if a == "--config"), None)
    path = path or next((a.partition("=")[2] for a in arguments if a.startswith("--config=")), None)
    if path is None:
        return None
    run = config.build(TrainConfig, config.from_toml(path), path)
    return Train(run.pairs, run.dev, run.out, run.cache, text=run.text, model=run.model, learn=run.learn)


def _of_the_study(arguments: list[str]) -> Study | None:
    """The defaults that a study has for its trainings, so that --help shows them and the command line goes over them."""
    from jumok.study.command import defaults

    run = defaults(arguments[0] if arguments else "")
    return None if run is None else Study(arguments[0], text=run.text, model=run.model, learn=run.learn)  # type: ignore[arg-type]


def _one_line(text: str) -> str:
    """A line out for a line in: whatever an output holds, it stays on its line."""
    return text.replace("\n", " ").replace("\r", " ").replace("\t", " ")


def _warn(text: str) -> None:
    _say(f"warning: {text}")


def _say(text: str, stream: TextIO | None = None) -> None:
    print(text, file=stream or sys.stderr)
