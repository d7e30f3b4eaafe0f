"""Every feature of decoding, on the compiled engine and in NumPy: the same tokens, and numbers as near as docs/engine.md says."""

from __future__ import annotations

import dataclasses
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from random_folders import WORDS, random_folder

import jumok
from jumok.decode.backend import tracing
from jumok.decode.compiled import Compiled
from jumok.decode.hindsight import paths
from jumok.decode.translator import Translator
from jumok.engine.library import EngineError, load_library
from jumok.runtime.model import NumpyModel
from jumok.runtime.translation import Translation

LINES = [*WORDS, "tea", "quack", "zzz", "brown why", "jam on toast", "xyz", " "]
MODELS: dict[str, dict[str, Any]] = {
    "general": {},
    "dot, two layers": {"attention": "dot", "layers": 2, "bidirectional": False, "end": -6},
    "concat, GRU": {"attention": "concat", "cell": "gru", "readout": "linear"},
    "none": {"attention": "none", "end": 1},
    "fed": {"input_feeding": True, "end": 0},
    "monotonic": {"alignment": "monotonic", "end": 1},
    "monotonic, copying": {
        "alignment": "monotonic",
        "copy": True,
        "readout": "linear",
        "end": 1,
        "text": {"target_tokenizer": "char"},
    },
    "plain RNN": {"cell": "rnn"},  # which NumPy computes
}
SEARCHES: dict[str, dict[str, Any]] = {
    "greedy": {},
    "a line at a time": {"batch_size": 1},
    "beam": {"beam": 5, "nbest": 3},
    "wide": {"beam": 70, "nbest": 2},  # wider than the engine's own search
    "penalties": {"beam": 4, "length_norm": "wu", "coverage_penalty": 0.2},
    "samples": {"sample": 3, "temperature": 0.8},
    "few to draw": {"sample": 2, "top_k": 4, "top_p": 0.9, "seed": 3},
    "diverse": {"beam": 6, "groups": 3, "nbest": 6},
    "least risk": {"sample": 6, "mbr": "token-error-rate"},
    "prefix": {"prefix_tokens": ("A",), "beam": 3},
    "forbidden": {"forbid": ("A", "T"), "beam": 3},
    "forbidden text": {"forbid_text": ("A", "Z Z"), "min_length": 3},
    "allowed": {"allow": ("A", "T", "N"), "no_repeat": 2},
    "required": {"require": ("A",), "beam": 6},
    "unknown": {"unknown": "copy", "max_length": 4},
}


@pytest.fixture(scope="module", autouse=True)
def _library() -> None:
    try:
        load_library()
    except EngineError as e:
        pytest.skip(str(e))


@pytest.fixture(scope="module", params=MODELS)
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Translator, Translator]:
    folder = random_folder(tmp_path_factory.mktemp("model") / "m", **MODELS[request.param])
    return jumok.load(folder, "exact"), jumok.load(folder, "numpy")


def near(ours: Any, theirs: Any) -> None:
    """The same, numbers up to rounding; translations by what they hold."""
    assert type(ours) is type(theirs)
    if isinstance(ours, Translation):
        names = ["text", "tokens", "source_tokens", "finished", "problem", "replaced", "alternatives", "weights_kind"]
        names += ["log_probability", "score", "token_log_probabilities", "weights", "copied"]
        near([getattr(ours, name) for name in names], [getattr(theirs, name) for name in names])
    elif isinstance(ours, list | tuple):
        assert len(ours) == len(theirs)
        for a, b in zip(ours, theirs, strict=True):
            near(a, b)
    elif dataclasses.is_dataclass(ours):
        near(*([getattr(one, f.name) for f in dataclasses.fields(one)] for one in (ours, theirs)))
    elif isinstance(ours, np.ndarray):
        np.testing.assert_allclose(ours, theirs, atol=5e-3)
    else:
        assert ours == (pytest.approx(theirs, abs=1e-2) if isinstance(ours, float) else theirs)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("options", SEARCHES.values(), ids=SEARCHES)
def test_outputs_of_every_search_are_numpys(pair: tuple[Translator, Translator], options: dict[str, Any]) -> None:
    if pair[0].config.model.attention == "none":
        options = {name: value for name, value in options.items() if name not in ("coverage_penalty", "unknown")}
    if pair[0].codec.target.tokenizer.characters and "forbid_text" in options:
        options = {**options, "forbid_text": ("A", "ZZ")}
    ours, theirs = (model.translate(LINES, **options) for model in pair)
    near(ours, theirs)
    assert len({t.text for t in ours}) > 1 or "allow" in options or options.get("beam") == 70
    alone = [pair[0].translate(line, **options) for line in LINES[:4]]
    near(ours[:4], alone)
    if isinstance(pair[0].backend, Compiled):
        assert [t.log_probability for t in ours[:4]] == [t.log_probability for t in alone]


def test_scores_trees_and_next_tokens_are_numpys(pair: tuple[Translator, Translator]) -> None:
    ours, theirs = pair
    targets = [" ".join(line.upper().replace(" ", "")) or "A" for line in LINES]
    near(ours.score(LINES, targets), theirs.score(LINES, targets))
    for beam in (1, 4):
        near(*(model.tree("quick", beam=beam, reference="Q U I C K") for model in pair))
    for prefix in ((), ("A",), ("C", "A", "T")):
        near(*(model.alternatives(["cat", "zebra"], prefix, k=5) for model in pair))


def test_where_tokens_come_from_is_numpys(pair: tuple[Translator, Translator]) -> None:
    """The likeliest alignment and what was copied, with log-probabilities and weights that are the engine's own, bit for bit."""
    able, theirs = (tracing(model.backend) for model in pair)
    assert (able is None) == (pair[0].config.model.alignment != "monotonic")
    if able is None or theirs is None:
        return
    codec = pair[0].codec
    sources = [codec.encode_source(line, ()) for line in WORDS]
    targets = [codec.encode_target(" ".join(line.upper())) for line in reversed(WORDS)]
    near(paths(able, sources, targets), paths(theirs, sources, targets))
    given = np.array([sources[1]]), np.array([len(sources[1])]), np.array([targets[1]]), np.array([len(targets[1])])
    traced, (logs, weights) = able.trace(*given), pair[0].backend.score(*given)
    assert traced.path is None and (traced.copied is None) == (able.copies is None)
    assert np.array_equal(traced.log_probabilities, logs) and np.array_equal(traced.weights, weights)


def test_numpy_is_made_beside_only_where_it_is_needed(tmp_path: Path) -> None:
    model = jumok.load(random_folder(tmp_path / "m", alignment="monotonic"), "exact")
    model.translate(["cat", "why"], beam=3)[0].weights  # noqa: B018 - computes the posteriors
    model.alternatives("cat", ("A",))
    model.score("cat", "C A T")
    assert isinstance(model.backend, Compiled) and "beside" not in vars(model.backend)
    again = pickle.loads(pickle.dumps(model))
    near(again.translate("cat", beam=3), model.translate("cat", beam=3))


@pytest.mark.parametrize("engine", ["exact", "int8"])
def test_ensembles_of_compiled_models(engine: str, tmp_path: Path) -> None:
    """As in NumPy; of one model its own bits; the same in any company; and what the engine does not know beside what it knows."""
    folders = [
        random_folder(tmp_path / "a", 1, end=0),
        random_folder(tmp_path / "b", 2, attention="none", hidden=10),
        random_folder(tmp_path / "c", 3, cell="rnn"),
        random_folder(tmp_path / "d", 4, alignment="monotonic"),
    ]
    for chosen in (folders[:1], folders[:2], folders):
        ours, theirs = jumok.load(chosen, engine), jumok.load(chosen, "numpy")
        kinds = [type(member) for member in getattr(ours.backend, "members", [ours.backend])]
        assert kinds == [Compiled, Compiled, NumpyModel, Compiled][: len(kinds)]
        for options in ({}, {"beam": 4, "nbest": 2}, {"sample": 2}, {"forbid": ("A",)}):
            found = ours.translate(LINES, **options)
            if engine == "exact":
                near(found, theirs.translate(LINES, **options))
            if len(chosen) < 4:  # all compiled
                alone = [ours.translate(line, **options) for line in LINES]
                for a, b in zip(found, alone, strict=True):
                    assert (a.tokens, a.log_probability) == (b.tokens, b.log_probability)
        if engine == "exact":
            near(ours.alternatives("cat", ("A",)), theirs.alternatives("cat", ("A",)))
        scored = ours.score("cat", "C A T")
        assert scored.log_probability == pytest.approx(
            sum(step[token] for step, token in zip(_steps(ours, scored), scored.tokens, strict=True)), abs=1e-4
        )


def _steps(model: Translator, scored: Translation) -> list[dict[str, float]]:
    """The log-probabilities of all tokens, at each step of an output."""
    found = [
        model.alternatives(scored.source, scored.tokens[:t], k=len(model.codec.target) - 2) for t in range(len(scored.tokens))
    ]
    return [{a.token: a.log_probability for a in step} for step in found]
