"""The compiled engine against NumPy, on every kind of model that it knows; and against itself: together, alone, step by step."""

import dataclasses
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_models import CASES, CHAINS, VS, V, config, padded, parameters, sources

import jumok
from jumok.cli import main
from jumok.config import ModelConfig, SearchConfig
from jumok.decode import backend as backends
from jumok.decode.backend import AUTO, make_backend
from jumok.decode.compiled import Compiled
from jumok.decode.policy import PLAIN
from jumok.decode.rules import Never
from jumok.decode.search import search, search_one
from jumok.engine import known, layout
from jumok.engine.known import unknown
from jumok.engine.library import EngineError, Library, load_library
from jumok.engine.model import EngineModel
from jumok.errors import ConfigError
from jumok.runtime.cells import CELLS
from jumok.runtime.folder import Folder, FolderConfig
from jumok.runtime.model import NumpyModel
from jumok.runtime.translation import Translation
from jumok.scores import ATTENTIONS
from jumok.text.vocabulary import END, PAD, START

GOLDEN = str(Path(__file__).parents[1] / "golden" / "2026-11" / "letters")
COPIES = np.array([i % V if i % 3 else -1 for i in range(VS)])
KNOWN = [c for c in CASES if not unknown(c)]
CHAINED = [c for c in CHAINS if not unknown(c)]
MODELS = [*KNOWN, *CHAINED, *(dataclasses.replace(c, copy=True) for c in CHAINED)]
MODELS += [dataclasses.replace(MODELS[0], cell="gru", attention=a, layers=2, bidirectional=True) for a in ("none", "dot")]
NAMES = [
    f"{c.cell}-{c.attention}-{c.readout}-{c.layers}{'-both' * c.bidirectional}-{c.tie}-{c.alignment}"
    f"{'-copy' * bool(c.copy)}{'-fed' * c.input_feeding}{'-reversed' * c.reverse_source}"
    for c in MODELS
]
# how far from NumPy: log-probabilities of a token, weights (random weights are harder than learned ones)
NEAR = {"exact": (1e-3, 2e-4), "int8": (0.2, 0.05), "float32": (2e-5, 5e-6)}
NEVER = (PAD, START)


@pytest.fixture(scope="module")
def library() -> Library:
    try:
        return load_library()
    except EngineError as e:
        pytest.skip(str(e))


def copies(c: ModelConfig) -> np.ndarray | None:
    return COPIES[: V if c.tie == "all" else VS] if c.copy else None


def compiled(c: ModelConfig, library: Library, engine: str = "exact", seed: int = 3) -> EngineModel:
    return EngineModel(c, parameters(c, seed=seed), copies(c), engine, library)


def normalised(logits: np.ndarray) -> np.ndarray:
    logits = logits - logits.max(-1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(-1, keepdims=True))


def bits(found: Any) -> Any:
    """Hypotheses, or what `greedy` gives, so that == compares every bit."""
    if isinstance(found, np.ndarray):
        return found.tobytes()
    if isinstance(found, list | tuple):
        return [bits(part) for part in found]
    return bits(list(vars(found).values())) if dataclasses.is_dataclass(found) else found


@pytest.mark.parametrize("engine", ["exact", "int8", "float32"])
@pytest.mark.parametrize("c", MODELS, ids=NAMES)
def test_every_step_is_numpys(c: ModelConfig, engine: str, library: Library) -> None:
    most, most_weight = NEAR[engine]
    reference, model = NumpyModel(c, parameters(c), copies(c)), compiled(c, library, engine)
    source, lengths = padded(sources(c), extra=2)
    wanted, state = reference.start(source, lengths), model.start(source, lengths)
    tokens, rng = np.full((len(source), 1), START), np.random.default_rng(0)
    for t in range(6):
        wanted, logits, weights = reference.step(wanted, tokens)
        state, found, looked = model.step(state, tokens)
        assert found.dtype == np.float32 and found.shape == logits.shape
        assert np.abs(normalised(logits) - found).max() < most
        assert (weights is None) == (looked is None)
        if weights is not None and looked is not None:
            assert np.abs(weights - looked).max() < most_weight and not looked[weights == 0].any()
        rows = np.arange(len(tokens)) if t != 3 else np.array([0, 2, 4])
        parents = rng.integers(0, tokens.shape[1], (len(rows), 3))
        wanted, state = reference.select(wanted, rows, parents), model.select(state, rows, parents)
        tokens = rng.integers(3, V, (len(rows), 3))


@pytest.mark.parametrize("engine", ["exact", "int8", "float32"])
@pytest.mark.parametrize("c", MODELS, ids=NAMES)
def test_scores_are_numpys(c: ModelConfig, engine: str, library: Library) -> None:
    most, most_weight = NEAR[engine]
    source, lengths = padded(sources(c))
    target, target_lengths = padded([[5, 6, 7, 4, 2], [2], [5, 2], [7, 7, 2], [9, 4, 2]], extra=1)
    logs, weights = NumpyModel(c, parameters(c), copies(c)).score(source, lengths, target, target_lengths)
    found, looked = compiled(c, library, engine).score(source, lengths, target, target_lengths)
    assert np.abs(logs - found).max() < most and not found[logs == 0].any()
    if weights is None or looked is None:
        assert weights is None and looked is None
    else:
        assert np.abs(weights - looked).max() < most_weight and not looked[weights == 0].any()


@pytest.mark.parametrize("c", MODELS, ids=NAMES)
def test_outputs_are_numpys(c: ModelConfig, library: Library) -> None:
    source, lengths = padded(sources(c))
    limits = np.array([9, 3, 1, 9, 7])
    for beam in (1, 3):
        options = SearchConfig(beam=beam, nbest=beam)
        wanted = search(NumpyModel(c, parameters(c), copies(c)), source, lengths, options, limits)
        found = search(compiled(c, library), source, lengths, options, limits)
        for theirs, ours in zip(wanted, found, strict=True):
            assert [h.tokens for h in ours] == [h.tokens for h in theirs]
            for h, other in zip(ours, theirs, strict=True):
                assert h.log_probability == pytest.approx(other.log_probability, abs=5e-3)
                assert (h.finished, None if h.weights is None else h.weights.shape) == (
                    other.finished,
                    None if other.weights is None else other.weights.shape,
                )


class StepByStep:
    """A backend's four calls alone, so that search does all itself."""

    normalised = True

    def __init__(self, model: EngineModel) -> None:
        self.start, self.step, self.select, self.score = model.start, model.step, model.select, model.score


@pytest.mark.parametrize("beam, nbest, penalty", [(1, 1, 1.0), (2, 1, 1.0), (5, 5, 0.6), (4, 2, 0.0), (12, 9, 1.2)])
@pytest.mark.parametrize("engine", ["exact", "int8"])
def test_its_own_searches_are_those_over_its_steps(
    engine: str, beam: int, nbest: int, penalty: float, library: Library
) -> None:
    options, limits = SearchConfig(beam=beam, nbest=nbest, length_penalty=penalty), np.array([7, 3, 1, 9, 12])
    for seed, c in enumerate(MODELS):
        model = compiled(c, library, engine, seed)
        source, lengths = padded(sources(c), extra=1)
        policy = dataclasses.replace(PLAIN, rules=(Never((PAD, START, 7)),))
        found = search(model, source, lengths, options, limits, policy)
        steps: Any = StepByStep(model)
        assert bits(found) == bits(search(steps, source, lengths, options, limits, policy))
        assert all(h.token_log_probabilities is not None for own in found for h in own)
        for own, line, length, limit in list(zip(found, source, lengths.tolist(), limits.tolist(), strict=True))[seed % 5 :: 5]:
            for way in (model, steps):  # a sentence alone
                assert bits(search_one(way, line[:length], options, limit, policy)) == bits(own)


def batch(rng: np.random.Generator, count: int) -> list[list[int]]:
    return [[*rng.integers(3, V, rng.integers(0, 9)).tolist(), END] for _ in range(count)]


@pytest.mark.parametrize("engine", ["exact", "int8"])
@settings(max_examples=12)
@given(st.data())
def test_a_sentence_has_the_same_bits_in_any_company(engine: str, library: Library, data: st.DataObject) -> None:
    c = data.draw(st.sampled_from(MODELS))
    rng = np.random.default_rng(data.draw(st.integers(0, 9)))
    lines, beam = batch(rng, 67), data.draw(st.sampled_from([1, 4]))
    limits, options = rng.integers(1, 9, len(lines)), SearchConfig(beam=beam, nbest=beam)
    model = compiled(c, library, engine)

    def found(order: np.ndarray, size: int, threads: int) -> dict[int, Any]:
        model.threads, outputs = threads, {}
        for i in range(0, len(order), size):
            rows = order[i : i + size]
            source, lengths = padded([lines[row] for row in rows], extra=int(rng.integers(0, 3)))
            outputs |= dict(zip(rows.tolist(), search(model, source, lengths, options, limits[rows]), strict=True))
        return {row: bits(outputs[row]) for row in range(len(lines))}

    alone = found(np.arange(len(lines)), 1, 1)
    assert found(rng.permutation(len(lines)), 7, 1) == alone
    assert found(rng.permutation(len(lines)), 64, 3) == alone


def test_steps_and_scores_have_the_same_bits_with_threads(library: Library) -> None:
    for c in MODELS[::5]:
        source, lengths = padded(batch(np.random.default_rng(1), 40))
        target, target_lengths = padded([[*line[:-1], END] for line in batch(np.random.default_rng(2), 40)])
        results = []
        for threads in (1, 2, 5):
            model = compiled(c, library)
            model.threads = threads
            state = model.start(source, lengths)
            results.append(
                bits([model.step(state, np.full((40, 1), START))[1:], *model.score(source, lengths, target, target_lengths)])
            )
        assert results[0] == results[1] == results[2]


def test_without_tables_the_bits_are_the_same(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    source, lengths = padded(sources(MODELS[0]))
    kept = [compiled(c, library).greedy(source, lengths, np.full(5, 6), NEVER) for c in MODELS[:3]]
    monkeypatch.setattr("jumok.engine.model.TABLE_BYTES", 0)
    assert bits(kept) == bits([compiled(c, library).greedy(source, lengths, np.full(5, 6), NEVER) for c in MODELS[:3]])


def large(rows: int = 3000, sharp: float = 6.0) -> tuple[ModelConfig, dict[str, np.ndarray]]:
    c = config(hidden=40, embedding=24, readout_size=24, tie="target", attention="dot")
    p = parameters(c, scale=3)
    rng = np.random.default_rng(5)
    for name in ("target.embedding", "readout.bias"):
        p[name] = (sharp * rng.standard_normal((rows, *p[name].shape[1:]))).astype(np.float32)
    return c, p


@pytest.mark.parametrize("sharp", [0.05, 1.0, 6.0])
def test_a_screened_output_layer_is_exact_where_it_matters(
    sharp: float, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The best 16 tokens, and all within 5 of the best, have the very bits that both planes give; none is far off."""
    c, p = large(sharp=sharp)
    source, lengths = padded(sources(c))
    found = []
    for screened in (512, 1 << 30):
        monkeypatch.setattr(layout, "SCREENED", screened)
        model = EngineModel(c, p, None, "exact", library)
        state = model.start(source, lengths)
        for tokens in ([[START]] * 5, [[100], [7], [8], [9], [2999]]):
            state, logs, _ = model.step(state, np.array(tokens))
        found.append(logs[:, 0])
    screened_logs, full = found
    assert np.abs(screened_logs - full).max() < 0.1 * sharp
    for ours, theirs in zip(screened_logs, full, strict=True):
        best = np.argsort(-theirs, kind="stable")[:16]
        assert (np.argsort(-ours, kind="stable")[:16] == best).all()
        near = theirs > theirs.max() - 4.9
        apart = (ours - ours.max()) - (theirs - theirs.max())  # what is far off, and less exact, also counts in the normaliser
        assert np.abs(apart)[near].max() < 2e-5 * max(1, sharp)


@pytest.mark.parametrize("changes", [{}, {"readout": "linear"}, {"alignment": "monotonic"}], ids=str)
def test_steps_and_scores_of_exact_are_float32(changes: dict[str, Any], library: Library) -> None:
    """For what rules, samples and wide beams may choose, far behind the best: as near to NumPy as float32 can be."""
    c, p = large()
    c = dataclasses.replace(c, **changes, tie="none")
    p = parameters(c, scale=3) | {"target.embedding": p["target.embedding"], "readout.bias": p["readout.bias"]}
    width = c.readout_size if c.readout == "tanh" else 2 * c.hidden
    p["readout.output"] = np.random.default_rng(1).standard_normal((3000, width)).astype(np.float32)
    source, lengths = padded(sources(c))
    exact, planes, reference = Compiled(c, p, None, "exact"), EngineModel(c, p, None, "exact", library), NumpyModel(c, p)
    assert planes.ranked == (V if changes.get("alignment") == "monotonic" and c.readout == "linear" else layout.BEST)
    found = [m.step(m.start(source, lengths), np.full((5, 1), START))[1] for m in (exact, planes, reference)]
    ours, rough, wanted = (normalised(logs) for logs in found)
    assert np.abs(ours - wanted).max() < 2e-5 < 10 * np.abs(rough - wanted).max()
    target, ends = np.array([[7, 2999, END]] * 5), np.full(5, 3)
    scores = [m.score(source, lengths, target, ends)[0] for m in (exact, reference)]
    assert np.abs(scores[0] - scores[1]).max() < 5e-5


def nearly_tied(apart: float) -> tuple[ModelConfig, dict[str, np.ndarray]]:
    """A model whose tokens 100 and 200 are `apart` in log-probability at every step, and the others far behind."""
    c, p = large()
    p["target.embedding"][200] = p["target.embedding"][100]
    p["readout.bias"][:] = 0
    p["readout.bias"][[100, 200]] = 200, 200 + apart
    return c, p


@pytest.mark.parametrize("apart", [3e-5, -3e-5, 1e-2])
def test_a_near_tie_is_decided_in_float32(apart: float, library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two tokens that two planes cannot tell apart; greedy search and beam search, alone and among others."""
    c, p = nearly_tied(apart)
    p["target.embedding"][200] *= np.float32(1 + 1e-7)  # other planes, nearly the same row
    model, reference = Compiled(c, p, None, "exact"), NumpyModel(c, p)
    source, lengths = padded(sources(c))
    limits, divisors = np.full(5, 4), np.arange(1, 6, dtype=float)
    _, margins = model.greedily(source, lengths, limits, NEVER)
    assert margins == pytest.approx(abs(apart), abs=5e-4)
    for beam in (1, 3):
        wanted = search(reference, source, lengths, SearchConfig(beam=beam), limits)
        found = search(model, source, lengths, SearchConfig(beam=beam), limits)
        assert [h[0].tokens for h in found] == [h[0].tokens for h in wanted]
        assert {h[0].tokens[0] for h in found} == {200 if apart > 0 else 100}
    monkeypatch.setattr("jumok.decode.compiled.NEAR_TIE", 2.0)
    surely = EngineModel(c, p, None, "float32", library)
    assert bits(model.greedy(source, lengths, limits, NEVER)) == bits(surely.greedy(source, lengths, limits, NEVER))
    both = (m.beam(source, lengths, limits, NEVER, (3, 2), divisors) for m in (model, surely))
    assert bits(list(next(both))) == bits(list(next(both)))


def test_more_tokens_than_a_screened_layer_knows_are_not_asked_of_it(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    """What many forbidden tokens, or a wide beam, leave to be chosen: as with the whole layer, token for token."""
    c, p = large()
    source, lengths = padded(sources(c))
    model, reference = Compiled(c, p, None, "exact"), NumpyModel(c, p)
    for beam, forbidden in ((1, 0), (1, 30), (3, 0), (3, 30), (9, 0), (20, 2)):
        options = SearchConfig(beam=beam, nbest=beam)
        free = search(reference, source, lengths, options, np.full(5, 3))
        never = tuple(sorted({token for own in free for h in own for token in h.tokens} - {END}))[:forbidden]
        policy = dataclasses.replace(
            PLAIN,
            rules=(
                Never(
                    (PAD, START, *never, *range(3, 3 + max(0, forbidden - len(never)))),
                ),
            ),
        )
        found, wanted = (search(m, source, lengths, options, np.full(5, 3), policy) for m in (model, reference))
        assert [[h.tokens for h in own] for own in found] == [[h.tokens for h in own] for own in wanted], (beam, forbidden)
        for ours, theirs in zip(found, wanted, strict=True):
            for h, other in zip(ours, theirs, strict=True):
                assert h.log_probability == pytest.approx(other.log_probability, abs=0.05)


@settings(max_examples=30)
@given(st.integers(1, 70), st.integers(1, 40), st.integers(0, 1000), st.sampled_from([1e-20, 0.01, 1.0, 1e20]))
def test_planes_are_the_weights_within_half_a_step(rows: int, columns: int, seed: int, size: float) -> None:
    try:
        pack = load_library().function("pack")
    except EngineError as e:
        pytest.skip(str(e))
    import ctypes

    pack.argtypes = [ctypes.c_void_p, ctypes.c_void_p, *[ctypes.c_int32] * 3, ctypes.c_void_p, ctypes.c_int64]
    pack.restype = None
    rng = np.random.default_rng(seed)
    w = (size * rng.standard_normal((rows, columns))).astype(np.float32)
    w[rng.random(rows) < 0.1] = 0
    for planes, order in ((2, layout.GROUPS), (2, layout.BY_ROWS), (1, layout.GROUPS)):
        R, C = layout.padded(rows), layout.padded(columns)
        blocks = -(-R * C // 64)
        memory = np.zeros((2 + 2 * blocks + 2 * R) * 64, np.uint8)
        low = blocks if planes == 2 else 0
        matrix = layout.Matrix(R, C, 0, low, 2 * blocks, 2 * blocks + R, order, 0)
        if planes == 2 and low == 0:
            continue
        pack(memory.ctypes.data, ctypes.byref(matrix), 0, rows, columns, w.ctypes.data, columns)
        scale = memory[2 * blocks * 64 :].view(np.float32)[:rows, None]
        by_group = memory[: R * C].view(np.int8).reshape(R // 16, C // 2, 16, 2).swapaxes(1, 2).reshape(R, C)
        seconds = memory[low * 64 :][: R * C].view(np.int8)
        if order == layout.GROUPS:
            seconds = seconds.reshape(R // 16, C // 2, 16, 2).swapaxes(1, 2)
        whole = 256 * by_group.astype(np.int64) + (seconds.reshape(R, C) if planes == 2 else 0)
        step = scale * (1 if planes == 2 else 256)
        assert np.abs(by_group).max(initial=0) <= 127 and not whole[rows:].any() and not whole[:, columns:].any()
        assert (np.abs(whole[:rows, :columns] * scale.astype(np.float64) - w) <= 0.51 * step).all()
        if order == layout.BY_ROWS:
            bound = memory[(2 * blocks + R) * 64 :].view(np.float32)[:rows]
            exact = np.linalg.norm(seconds.reshape(R, C)[:rows].astype(np.float64), axis=1) * scale[:, 0]
            assert (bound >= exact).all() and (bound <= exact * 1.001).all()


def test_sums_do_not_overflow_where_all_weights_and_activations_are_extreme(library: Library) -> None:
    """8,192 columns of the largest high, or of the lowest low, all of one sign, times the largest activations."""
    R = 8192
    c = config(hidden=4, embedding=3, attention="none", readout_size=R)
    p = {name: np.zeros_like(array) for name, array in parameters(c).items()}
    p["encoder.0.forward.bias"][:] = p["decoder.0.bias"][:] = 40  # all gates are 1: h is not 0
    p["readout.w_h"][:] = 100
    p["readout.output"][3] = 1
    p["readout.output"][4] = -1
    p["readout.output"][5] = -128 / 32512  # high 0, low -128
    p["readout.output"][5, 0] = 1
    reference = NumpyModel(c, p)
    start = np.array([[5, END]]), np.array([2])
    _, wanted, _ = reference.step(reference.start(*start), np.array([[START]]))
    for engine in ("exact", "int8"):
        model = EngineModel(c, p, None, engine, library)
        _, found, _ = model.step(model.start(*start), np.array([[START]]))
        for token in (3, 4, 5) if engine == "exact" else (3, 4):
            difference, should = found[0, 0, token] - found[0, 0, 6], wanted[0, 0, token] - wanted[0, 0, 6]
            assert difference == pytest.approx(float(should), rel=2e-3) and abs(should) > 30


def test_huge_weights_give_an_output_all_the_same(library: Library) -> None:
    for c in MODELS[::3]:
        p = {name: array * np.float32(1e37) for name, array in parameters(c).items()}
        source, lengths = padded(sources(c))
        for engine in ("exact", "int8"):
            model = EngineModel(c, p, copies(c), engine, library)
            for beam in (1, 3):
                for outputs in search(model, source, lengths, SearchConfig(beam=beam), np.full(5, 6)):
                    assert all(0 <= token < V and token not in NEVER for h in outputs for token in h.tokens)


def test_ids_beyond_the_vocabulary_are_refused(library: Library) -> None:
    model = compiled(MODELS[0], library)
    for source, lengths in (([[VS, END]], [2]), ([[-1, END]], [2]), ([[5, END]], [3]), ([[5, END]], [0])):
        with pytest.raises(IndexError):
            model.greedy(np.array(source), np.array(lengths), np.array([4]), NEVER)


@pytest.mark.parametrize("beam", [1, 3])
def test_a_limit_that_no_memory_would_hold_is_none(beam: int, library: Library) -> None:
    """The engine's own searches take memory for the longest output; beyond that, search goes step by step, in float32."""
    model = jumok.load(GOLDEN, "exact")
    texts = ["abc", "cab", "b"]
    for text in ("abc", texts):
        wanted, found = (model.translate(text, beam=beam, max_length=most) for most in (60, 10**9))
        for t, other in zip(*([x] if isinstance(x, Translation) else x for x in (wanted, found)), strict=True):
            assert t.finished and t.tokens == other.tokens
            assert t.log_probability == pytest.approx(other.log_probability, abs=1e-3)
            assert t.weights is not None and other.weights is not None and np.abs(t.weights - other.weights).max() < 1e-3


# --- which engine


def test_what_it_knows() -> None:
    """A new cell or score goes to NumPy until the engine knows it."""
    assert set(CELLS) - set(known.CELLS) == {"rnn"} and set(ATTENTIONS) - set(known.ATTENTIONS) == {"location"}
    assert unknown(config(cell="rnn")) == "cell rnn" and unknown(config(window="local-m", attention="dot")) == "window local-m"
    assert (
        unknown(config(attention="location")) == "attention location" and unknown(config(layers=9)) == "9 layers, more than 8"
    )
    assert unknown(config(hidden=5000)) == "hidden 5000, more than 4096" and not unknown(config(hidden=4096, layers=8))


class Texts:
    def copies(self) -> np.ndarray:
        return COPIES


def folder(c: ModelConfig) -> Folder:
    settings_ = FolderConfig(None, c, (1.0, 1.0), {})  # type: ignore[arg-type]
    return Folder(Path("m"), settings_, parameters(c), Texts())  # type: ignore[arg-type]


@pytest.mark.parametrize("engine", [AUTO, "exact", "int8", "numpy"])
def test_models_that_it_does_not_know_go_to_numpy(engine: str) -> None:
    for c in (config(cell="rnn"), config(attention="location"), config(window="local-p"), config(layers=9)):
        made = make_backend(engine, folder(c))
        assert isinstance(made, NumpyModel) and backends.engines_of(made) == ["numpy"]


def test_the_engine_that_is_asked_for_is_taken(library: Library) -> None:
    for engine, wanted in ((AUTO, "exact"), ("exact", "exact"), ("int8", "int8")):
        made = make_backend(engine, folder(dataclasses.replace(CHAINED[0], copy=True)))
        assert isinstance(made, EngineModel) and made.engine == wanted and made.copies is COPIES
        assert backends.engines_of(made) == [f"{wanted}, {library.instructions}"]
    with pytest.raises(ConfigError, match="engine: 'fast' came; one of auto, numpy, exact, int8 was wanted"):
        make_backend("fast", folder(KNOWN[0]))


def test_without_a_library_numpy_computes_unless_the_engine_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> Library:
        raise EngineError("there is no compiled engine for this test")

    monkeypatch.setattr("jumok.engine.library.load_library", none)
    assert isinstance(make_backend(AUTO, folder(KNOWN[0])), NumpyModel)
    assert backends.without_engine(KNOWN[0]) == "there is no compiled engine for this test"
    for engine in ("exact", "int8"):
        with pytest.raises(EngineError, match="no compiled engine"):
            make_backend(engine, folder(KNOWN[0]))


def test_a_model_that_was_sent_elsewhere_computes_the_same_or_goes_to_numpy(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    c = dataclasses.replace(CHAINED[0], copy=True)
    made = make_backend("int8", folder(c))
    source, lengths = padded(sources(c))
    assert isinstance(made, EngineModel)
    wanted = made.greedy(source, lengths, np.full(5, 6), NEVER)
    sent = pickle.dumps(made)
    again = pickle.loads(sent)
    assert again.engine == "int8" and bits(again.greedy(source, lengths, np.full(5, 6), NEVER)) == bits(wanted)
    monkeypatch.setattr(backends, "without_engine", lambda model: "there is none")
    assert isinstance(pickle.loads(sent), NumpyModel)


# --- on the command line


def words(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert main(arguments) == 0
    return capsys.readouterr().out


def test_commands_take_the_engine(library: Library, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pairs = tmp_path / "pairs.tsv"
    pairs.write_text("abc\tA B\n", encoding="utf-8")
    lines = tmp_path / "lines.txt"
    lines.write_text("abc\ncab\n", encoding="utf-8")
    made: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        for name, function in backends.BACKENDS.items():
            patch.setitem(backends.BACKENDS, name, lambda folder, name=name, do=function: made.append(name) or do(folder))
        for engine, wanted in (("numpy", "numpy"), ("int8", "int8"), ("exact", "exact"), ("auto", "exact")):
            words(["translate", GOLDEN, str(lines), "--engine", engine], capsys)
            words(["evaluate", GOLDEN, str(pairs), "--engine", engine], capsys)
            words(["align", GOLDEN, str(pairs), "--reverse-model", GOLDEN, "--engine", engine], capsys)
            words(["explain", GOLDEN, "abc", "--compare", GOLDEN, "--engine", engine], capsys)
            words(["score", GOLDEN, str(pairs), "--engine", engine], capsys)
            words(["next", GOLDEN, "abc", "--engine", engine], capsys)
            words(["info", GOLDEN, "--engine", engine], capsys)
            assert made == [wanted] * 9
            made.clear()


def test_info_says_which_engine_and_why(library: Library, capsys: pytest.CaptureFixture[str]) -> None:
    assert f"exact, {library.instructions}" in words(["info", GOLDEN], capsys)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backends, "without_engine", lambda model: "the engine does not know cell rnn")
        patch.setattr("jumok.decode.info.without_engine", lambda model: "the engine does not know cell rnn")
        shown = words(["info", GOLDEN], capsys)
        assert next(line for line in shown.splitlines() if line.startswith("engine")).endswith(
            "numpy: the engine does not know cell rnn"
        )
