"""A model, and whatever the public functions give, can be handed to another process; what they are is told in one short line."""

import copy
import importlib
import multiprocessing
import pickle
import pkgutil
import shutil
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import jumok
from jumok.config import ModelConfig, TextConfig, TrainConfig
from jumok.errors import JumokError
from jumok.explain import compare
from jumok.learn import Trained
from jumok.measure import MeasureOptions, measure
from jumok.runtime import Translation, Translator
from jumok.runtime.cells import CELLS
from jumok.runtime.folder import FolderConfig, write_folder
from jumok.runtime.parameters import random_parameters
from jumok.scores import ATTENTIONS
from jumok.text import TOKENIZERS, Pair, build_codec

LINES = ["cat", "attention", "", "zebra why"]
MODULES = [m.name for m in pkgutil.walk_packages(jumok.__path__, "jumok.") if not m.name.endswith("__main__")]


def made(folder: Path, text: dict[str, Any], model: dict[str, Any]) -> Translator:
    texts = TextConfig(**text)
    sizes = {"size": "small", "embedding": 6, "hidden": 8, "score_size": 8, "readout_size": 8, "tie": "none"}
    config = ModelConfig(**{**sizes, **model})
    codec = build_codec([Pair(w, " ".join(w.upper())) for w in ("attention", "cat", "zebra why", "why not")], texts)
    parameters = random_parameters(config, len(codec.source.vocabulary), len(codec.target.vocabulary), seed=1)
    write_folder(folder, FolderConfig(texts, config, (1.0, 5.0), {}), parameters, codec, "# x\n", [])
    return jumok.load(folder)


def same(a: Translation, b: Translation) -> bool:
    weights = a.weights is b.weights or np.array_equal(a.weights, b.weights)  # type: ignore[arg-type]
    return bool(weights and (a.text, a.tokens, a.score, a.log_probability) == (b.text, b.tokens, b.score, b.log_probability))


KINDS = [
    *({"model": {"attention": name}} for name in ATTENTIONS),
    *({"model": {"cell": name, "layers": 2}} for name in CELLS),
    *({"text": {"source_tokenizer": name, "target_tokenizer": name, "bpe_size": 40}} for name in TOKENIZERS),
    {"model": {"window": "local-p", "bidirectional": False, "reverse_source": True}},
    {"model": {"input_feeding": True, "window": "local-m"}},
    {"model": {"readout": "linear"}},
    {"model": {"alignment": "monotonic", "copy": True}},
]


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("way", ["pickle", "copy"])
def test_a_copied_model_gives_the_same_to_the_last_bit(kind: dict[str, Any], way: str, tmp_path: Path) -> None:
    model = made(tmp_path / "m", kind.get("text", {"target_tokenizer": "space"}), kind.get("model", {}))
    before = model.translate(LINES, beam=2)
    other = pickle.loads(pickle.dumps(model)) if way == "pickle" else copy.deepcopy(model)
    shutil.rmtree(tmp_path / "m")  # it has all its arrays
    assert all(map(same, other.translate(LINES, beam=2), before))
    assert all(map(same, other.translate(LINES), model.translate(LINES)))
    assert same(other.score("cat", "C A T"), model.score("cat", "C A T")) and other.info() == model.info()
    assert other.codec.joint == model.codec.joint


def test_what_only_saves_time_is_not_handed_over(model_folder: Path) -> None:
    model = jumok.load(model_folder)
    size = len(pickle.dumps(model))
    model.translate(LINES)
    assert len(pickle.dumps(model)) == size < 3 * (model_folder / "model.safetensors").stat().st_size


def test_a_model_goes_to_a_process_that_is_spawned(model_folder: Path) -> None:
    model = jumok.load(model_folder)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        found = pool.map(model.translate, ["cat", "zebra"])
    assert all(map(same, found, map(model.translate, ["cat", "zebra"])))  # alone, as there: NumPy's bits depend on the batch


def test_results_can_be_pickled(model_folder: Path) -> None:
    model = jumok.load(model_folder)
    one, _ = model.translate(["cat", "why"], beam=3, nbest=2)
    assert same(pickle.loads(pickle.dumps(one)).alternatives[0], one.alternatives[0])
    trained = Trained(model_folder, TrainConfig(), [{"step": 1, "accuracy": 3.0}], 3.0, 1)
    measured = measure("accuracy", ["a"], [["a"]], MeasureOptions())
    for result in (trained, model.config, compare(one, one), measured, TrainConfig()):
        again = pickle.loads(pickle.dumps(result))
        assert type(again) is type(result) and repr(again) == repr(result)


def subclasses(kind: type) -> list[type]:
    return [kind, *(found for each in kind.__subclasses__() for found in subclasses(each))]


def test_errors_can_be_pickled() -> None:
    """An error of a process of a pool comes back by pickle; one that does not leaves the pool waiting for ever."""
    made = {"MissingExtra": ("a picture", "plots", "matplotlib"), "Empty": ("a.tsv:1", "blank"), "_Damaged": (Path("x"), "why")}
    for name in MODULES:
        importlib.import_module(name)
    kinds = [kind for kind in subclasses(JumokError) if kind.__module__.startswith("jumok.")]
    assert {"DataError", "Empty", "_Damaged"} <= {kind.__name__ for kind in kinds}
    for kind in kinds:
        error = kind(*made.get(kind.__name__, ("what",)))
        again = pickle.loads(pickle.dumps(error))
        assert type(again) is kind and str(again) == str(error) and vars(again) == vars(error)


@pytest.mark.parametrize("name", MODULES)
def test_tables_can_be_pickled(name: str) -> None:
    """What a module holds in capitals: a lambda or a function inside a function in it, and nothing that has it goes anywhere."""
    module = importlib.import_module(name)
    for constant, value in vars(module).items():
        if constant.isupper() and not isinstance(value, ModuleType):
            pickle.loads(pickle.dumps(value))


def test_what_a_model_and_a_translation_are_is_told_shortly(model_folder: Path) -> None:
    model = jumok.load(model_folder)
    told = repr(model)
    assert str(model_folder) in told and "attention general" in told and "LSTM 1 x 8" in told and "\n" not in told
    long = model.translate("cat" * 60)
    assert len(repr([long, model.translate("cat")])) < 300 and "array" not in repr(long)
    assert repr(model.translate("cat")).startswith("<Translation 'cat' → ") and "weights" in repr(long)
    assert "no weights" in repr(model.translate("")) and "2 alternatives" in repr(model.translate("cat", beam=3, nbest=3))
    assert len(repr(Trained(model_folder, TrainConfig(), [{"step": 1}] * 1000, None, 0))) < 300
