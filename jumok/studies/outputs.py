"""What most runs do: train a model, translate the test set, and keep outputs and figures, so that reports need no model.

Letters: N distinct test sources.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from jumok.config import TextConfig, TrainConfig, build
from jumok.decode.translator import Translator, load
from jumok.measure import METRICS, Measured, MeasureOptions, gold_text, measure, options_for
from jumok.measure.evaluating import trained_options
from jumok.studies.data import length_of
from jumok.studies.plan import Interrupted, Task, read_json, write_whole
from jumok.studies.sizes import usual
from jumok.text import TOKENIZERS, Pair, Tokenizer, read_pairs, train_tokenizer
from jumok.text.codec import written

OUTPUTS = "outputs.json"
LOOKS = 10
SECOND = {m.name: m.second for m in METRICS.values()} | {"loss": "accuracy"}
TITLES = {m.name: f"{m.title} (%)" if m.unit else m.title for m in METRICS.values()} | {"loss": "loss"}
UNITS = {m.name: f"points of {m.title}" if m.unit else m.title for m in METRICS.values()}


@dataclass(frozen=True)
class TestSet:
    """The test split: N distinct sources with their features, references (all targets of a source) and lengths."""

    pairs: list[Pair]
    sources: list[str]
    features: list[tuple[str, ...]]
    references: list[list[str]]
    lengths: np.ndarray
    options: MeasureOptions


@functools.lru_cache(maxsize=4)
def _test_set(path: Path, text: TextConfig, tokenize: str | None) -> TestSet:
    pairs = read_pairs(str(path), text, warn=lambda _: None)
    gold = gold_text(pairs, functools.partial(written, tokenizer_of(text)), warn=lambda _: None)
    sources = [source for source, _ in gold.sources]
    lengths = np.array([length_of(s, text.source_tokenizer) for s in sources])
    options = options_for(text, tokenize)
    return TestSet(pairs, sources, [features for _, features in gold.sources], gold.references, lengths, options)


def test_set(data: Path, options: dict[str, Any], tokenize: str | None = None) -> TestSet:
    """The test split of a study's data folder, as models with these options read it, with gold in their form.

    Args:
        tokenize: the unit of BLEU of a run (`tokenize` of its results).
    """
    return _test_set(data / "test.jsonl", build(TrainConfig, options, "study").text, tokenize)


def tokenizer_of(text: TextConfig) -> Tokenizer:
    """A tokenizer that writes targets as the models' do; `word` stands for `bpe`, since both reproduce any text."""
    name = "word" if TOKENIZERS[text.target_tokenizer].learned else text.target_tokenizer
    return train_tokenizer(name, text.target_form, (), 0)


test_set.__test__ = False  # type: ignore[attr-defined]  # for pytest: it is not a test
TestSet.__test__ = False  # type: ignore[attr-defined]


def train(task: Task, looks: int = LOOKS, **more: Any) -> dict[str, Any]:
    """Trains the model of a run into its folder `model`, and returns what to keep. Raises Interrupted on Ctrl-C or SIGTERM.

    If --steps or --epochs is given and --evaluate-every is not, there are about `looks` evaluations: the same number on every
    machine.
    """
    from jumok.learn import train
    from jumok.learn.memory import reads_letters
    from jumok.learn.recipe import network_and_batch

    options, pairs = dict(task.options), task.data / "train.jsonl"
    if options.get("minutes") is not None:
        options |= usual(pairs, options)
    steps = options.get("steps")
    if options.get("epochs") and not options.get("batch_tokens"):
        count = read_json(task.data / "about.json")["splits"]["train"]["pairs"]
        asked = build(TrainConfig, options, "study")
        *_, batch = network_and_batch(asked, reads_letters(asked), count)
        steps = options["epochs"] * count / batch
    if steps and not options.get("evaluate_every"):
        options["evaluate_every"] = math.ceil(steps / looks)
    trained = train(pairs, task.data / "dev.jsonl", task.folder / "model", overwrite=True, quiet=True, **options, **more)
    if trained.interrupted:
        raise Interrupted(trained.interrupted)
    learn, model = trained.config.learn, trained.config.model
    return {
        "metric": learn.metric,
        "tokenize": learn.tokenize,
        "steps": learn.steps,
        "best_step": trained.best_step,
        "dev": trained.best,
        "training_seconds": trained.history[-1]["seconds"],
        "hidden": model.hidden,
        "dropout": learn.dropout,
        "parameters": load(trained.folder).info()["parameters"],
        "history": [_plain(entry) for entry in trained.history],
    }


def _plain(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in entry.items() if not isinstance(v, float) or math.isfinite(v)}


def write_test(task: Task, beams: tuple[int, ...] = (1,)) -> dict[str, Any]:
    """Translates the test set with the trained model, and writes the outputs to `outputs.json`.

    Returns:
        {"greedy": {metric: value}, "beam 5": …} for the two metrics of the run.
    """
    model = load(task.folder / "model")
    test = test_set(task.data, task.options)
    options = trained_options(model)
    outputs_by: dict[str, list[str]] = {}
    for beam in beams:
        translations = model.translate(test.sources, features=test.features, beam=beam)
        outputs_by["greedy" if beam == 1 else f"beam {beam}"] = [t.text for t in translations]
    write_whole(task.folder / OUTPUTS, _outputs_json(outputs_by))
    metric = model.config.training["learn"]["metric"]
    names = [name for name in (metric, SECOND[metric]) if name != "loss"]
    return {
        search: {name: measure(name, outputs, test.references, options).value for name in names}
        for search, outputs in outputs_by.items()
    }


def _outputs_json(written: dict[str, list[str]]) -> str:
    import json

    return json.dumps(written, ensure_ascii=False, indent=0) + "\n"


def forced_loss(model: Translator, test: TestSet) -> float:
    """Negative log-likelihood per token of the test targets, in nats, `</s>` counted: the loss under teacher forcing."""
    forced = model.score([p.source for p in test.pairs], [p.target for p in test.pairs], [p.features for p in test.pairs])
    return -sum(t.log_probability for t in forced) / sum(len(t.tokens) for t in forced)


def outputs_of(folder: Path, search: str = "greedy") -> list[str]:
    """What a finished run wrote for the test set."""
    return read_json(folder / OUTPUTS)[search]


def measured_on(rows: np.ndarray, name: str, outputs: list[str], test: TestSet) -> Measured:
    """One metric on some of the test sources."""
    return measure(name, [outputs[i] for i in rows], [test.references[i] for i in rows], test.options)
