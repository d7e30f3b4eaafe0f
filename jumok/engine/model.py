"""A model that the compiled engine computes: quantised when it is first used, called with NumPy's arrays.

Letters: B sentences, K beams a sentence, N = B·K rows, S source positions, T target positions, V target vocabulary.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from jumok import alignments
from jumok.config import ModelConfig
from jumok.engine import layout
from jumok.engine.layout import BEST, BLOCK, PLANES, block
from jumok.engine.library import EngineError, Library
from jumok.processes import cores

Array = np.ndarray

TABLE_BYTES = 1 << 29  # larger tables of the rows that tokens give to the first layers are not kept
KEPT_BYTES = 1 << 26  # larger memory for a call is given back after it
MOST_BEAMS = 64
PART = 8  # rows or sentences that are worth a thread of their own


@dataclass(frozen=True, slots=True)
class State:
    """The state of a search. Its arrays are never written to again.

    Attributes:
        sources: float32 [B₀, ·], what the steps need of the sentences that `start` read; they stay for the whole search.
        lengths: int32 [B₀]; S: the batch's longest source.
        owners: int32 [B, K], the sentence of each row, and beams: float32 [B, K, ·], the state of each.
    """

    sources: Array
    lengths: Array
    S: int
    owners: Array
    beams: Array


class EngineModel:
    """A model as a `jumok.decode.backend.Backend`, with its ways for one sentence and for greedy search of many.

    The same bits whatever is computed together, in any order, by any number of threads, on every machine.

    Args:
        model, parameters, copies: as for `jumok.runtime.model.NumpyModel`; the model is one that `unknown` has nothing against.
        engine: a name in PLANES.
        library: the compiled functions.

    Attributes:
        ranked: see `jumok.decode.backend.ManySentences`.
        threads: the most that compute at once; None = one for each core of this process.
    """

    normalised = True  # the logits of `step` are log-probabilities

    def __init__(
        self,
        model: ModelConfig,
        parameters: Mapping[str, Array],
        copies: Array | None,
        engine: str,
        library: Library,
    ) -> None:
        self.model, self.parameters, self.copies, self.engine = model, parameters, copies, engine
        self.library = library
        self.threads: int | None = None
        self.attends = model.attention != "none"
        self.vocabulary = len(parameters["target.embedding"])
        screened = engine == "exact" and self.vocabulary > layout.SCREENED
        self.ranked = BEST if screened else self.vocabulary
        self._lock = threading.Lock()
        self._made: _Made | None = None

    @property
    def weights(self) -> str:
        """What the weights of `score` are: attention, or the posterior of an alignment."""
        return alignments.named(self.model.alignment).weights

    def start(self, source: Array, lengths: Array) -> State:
        """Reads the sources. source int [B, S] padded at the end, lengths int [B] -> state with one beam a sentence."""
        made, (B, S) = self._ready(), source.shape
        ids, counts = _ints(source), _ints(lengths)
        sources, beams = made.floats(B, made.source_floats(S)), made.floats(B, made.beam_floats(S))

        def part(rows: slice) -> None:
            made.call("start", rows, S, 0, ids[rows], counts[rows], sources[rows], beams[rows])

        self._spread(part, B)
        return State(sources, counts, S, np.arange(B, dtype=np.int32)[:, None], beams[:, None])

    def step(self, state: State, tokens: Array) -> tuple[State, Array, Array | None]:
        """One token further. tokens int [B, K] -> state, log-probabilities [B, K, V], weights [B, K, S] or None.

        Where the output layer is screened, the best `layout.BEST` tokens are as exact as can be, and others have 8 bits.

        With a monotonic alignment the weights are the prior of the position, before the token is known; `score` gives posteriors.
        """
        (B, K), made, S = tokens.shape, self._ready(), state.S
        written, owners, before = _ints(tokens).reshape(-1), state.owners.reshape(-1), state.beams.reshape(B * K, -1)
        after, found = np.empty_like(before), np.empty((B * K, self.vocabulary), np.float32)
        weights = np.empty((B * K, S), np.float32) if self.attends else None

        def part(rows: slice) -> None:
            looked = None if weights is None else weights[rows]
            made.call(
                "step", rows, S, 0, written[rows], owners[rows], state.lengths, state.sources, before[rows], after[rows],
                found[rows], looked,
            )  # fmt: skip

        self._spread(part, B * K)
        reached = State(state.sources, state.lengths, S, state.owners, after.reshape(B, K, -1))
        return reached, found.reshape(B, K, -1), None if weights is None else weights.reshape(B, K, S)

    def select(self, state: State, sentences: Array, parents: Array) -> State:
        """The state with only these sentences, int [B'], and of each these beams, int [B', K']."""
        rows = (np.asarray(sentences)[:, None], parents)
        return State(state.sources, state.lengths, state.S, state.owners[rows], state.beams[rows])

    def score(self, source: Array, lengths: Array, target: Array, target_lengths: Array) -> tuple[Array, Array | None]:
        """What the model makes of given targets; see `jumok.decode.backend.Backend.score`."""
        made, (B, S), T, order = self._ready(), source.shape, target.shape[1], self._dealt(len(source))
        ids, counts, gold, ends = (_ints(a)[order] for a in (source, lengths, target, target_lengths))
        found = np.empty((B, T), np.float32)
        weights = np.empty((B, T, S), np.float32) if self.attends else None

        def part(rows: slice) -> None:
            looked = None if weights is None else weights[rows]
            work = made.work(rows, S)
            made.call("score", rows, S, T, ids[rows], counts[rows], T, gold[rows], ends[rows], found[rows], looked, work)

        self._spread(part, B)
        back = np.argsort(order)
        return found[back], None if weights is None else weights[back]

    def one(self, source: Array, limit: int, never: Sequence[int]) -> tuple[list[int], list[float], Array | None]:
        """Greedy search for one sentence; see `jumok.decode.backend.OneSentence`."""
        return self.greedy(source[None], np.array([len(source)]), np.array([limit]), never)[0]

    def greedy(
        self, source: Array, lengths: Array, limits: Array, never: Sequence[int]
    ) -> list[tuple[list[int], list[float], Array | None]]:
        """Greedy search for many sentences: of each what `one` gives, with the same bits.

        source int [B, S] padded at the end, lengths and limits int [B].
        """
        return self.greedily(source, lengths, limits, never)[0]

    def greedily(
        self, source: Array, lengths: Array, limits: Array, never: Sequence[int]
    ) -> tuple[list[tuple[list[int], list[float], Array | None]], Array]:
        """What `greedy` gives, and float32 [B]: by how much log-probability the chosen token was ahead of the next, where that was least."""
        made, (B, S), L, order = self._ready(), source.shape, int(max(limits)), self._dealt(len(source))
        ids, counts, most = (_ints(a)[order] for a in (source, lengths, limits))
        out = np.array(never, np.int32)
        written, steps = np.empty((B, L), np.int32), np.empty(B, np.int32)
        found, ahead = np.empty((B, L), np.float32), np.empty(B, np.float32)
        weights = np.empty((B, L, S), np.float32) if self.attends else None

        def part(rows: slice) -> None:
            looked = None if weights is None else weights[rows]
            made.call(
                "greedy", rows, S, 0, ids[rows], counts[rows], most[rows], L, out, len(out), written[rows], found[rows], looked,
                steps[rows], ahead[rows], made.work(rows, S),
            )  # fmt: skip

        self._spread(part, B)
        results = []
        for b, (T, length) in enumerate(zip(steps.tolist(), counts.tolist(), strict=True)):
            looked = None if weights is None else weights[b, :T, :length].copy()
            results.append((written[b, :T].tolist(), found[b, :T].tolist(), looked))
        back = np.argsort(order)
        return [results[k] for k in back], ahead[back]

    def beam(
        self, source: Array, lengths: Array, limits: Array, never: Sequence[int], sizes: tuple[int, int], divisors: Array
    ) -> list[list[tuple[list[int], list[float], float, Array | None]]]:
        """Beam search, ranked by log-probability / divisors[length]: the outputs of `jumok.decode.search.beam`, the best first.

        Args:
            source, lengths, limits, never: as for `greedy`.
            sizes: beam, up to MOST_BEAMS, and nbest, at most beam.
            divisors: float64 [largest limit + 1], rising.

        Returns:
            Of each sentence 1 to nbest outputs: tokens, their log-probabilities, score, weights [T, S] or None.
        """
        return self.by_beam(source, lengths, limits, never, sizes, divisors)[0]

    def by_beam(
        self, source: Array, lengths: Array, limits: Array, never: Sequence[int], sizes: tuple[int, int], divisors: Array
    ) -> tuple[list[list[tuple[list[int], list[float], float, Array | None]]], Array]:
        """What `beam` gives, and float32 [B]: by how much log-probability what was kept was ahead of what was not, and each output
        ahead of the next, where that was least."""
        made, (B, S), L, order = self._ready(), source.shape, int(max(limits)), self._dealt(len(source))
        ids, counts, most = (_ints(a)[order] for a in (source, lengths, limits))
        out, (beam, nbest) = np.array(never, np.int32), sizes
        written, steps = np.empty((B, nbest, L), np.int32), np.empty((B, nbest), np.int32)
        found, totals, scores = np.empty((B, nbest, L), np.float32), np.empty((B, nbest)), np.empty((B, nbest))
        ahead = np.empty(B, np.float32)
        weights = np.empty((B, nbest, L, S), np.float32) if self.attends else None
        by = np.ascontiguousarray(divisors, np.float64)
        assert 1 <= nbest <= beam <= MOST_BEAMS and len(by) > L

        def part(rows: slice) -> None:
            looked = None if weights is None else weights[rows]
            n = rows.stop - rows.start
            work = made.memory("work", made.size("beam_bytes", n, S, L, beam))
            made.call(
                "beam", rows, S, 0, ids[rows], counts[rows], most[rows], L, out, len(out), beam, nbest, by, written[rows],
                found[rows], looked, steps[rows], totals[rows], scores[rows], ahead[rows], work, each=beam,
            )  # fmt: skip

        self._spread(part, B)
        results = []
        for b, length in enumerate(counts.tolist()):
            outputs = []
            for i, T in enumerate(steps[b].tolist()):
                if T:
                    looked = None if weights is None else weights[b, i, :T, :length].copy()
                    outputs.append((written[b, i, :T].tolist(), found[b, i, :T].tolist(), float(scores[b, i]), looked))
            results.append(outputs)
        back = np.argsort(order)
        return [results[k] for k in back], ahead[back]

    def _ready(self) -> _Made:
        if self._made is None:
            with self._lock:
                if self._made is None:
                    self._made = _Made(self)
        return self._made

    def _worth(self, count: int) -> int:
        """How many threads are worth their while for so many rows."""
        return max(1, min(self.threads or cores(), count // PART))

    def _dealt(self, count: int) -> Array:
        """The order in which sentences are dealt out to threads, so that each gets short and long ones."""
        threads = self._worth(count)
        return np.concatenate([np.arange(first, count, threads) for first in range(threads)])

    def _spread(self, part: Callable[[slice], None], count: int) -> None:
        """Does `part` for slices of `count` rows, on as many threads as are worth it."""
        threads = self._worth(count)
        if threads < 2:
            part(slice(0, count))
            return
        bounds = [count * k // threads for k in range(threads + 1)]
        slices = [slice(a, b) for a, b in pairwise(bounds)]
        list(_pool(threads).map(part, slices))


class _Made:
    """The block of a model, its tables, and the compiled functions with their memory."""

    def __init__(self, of: EngineModel) -> None:
        library = of.library
        names = ("abi", "model_bytes", "check", "pack", "start", "step", "greedy", "beam", "score")
        counts = ("table_bytes", "source_floats", "beam_floats", "scratch_bytes", "greedy_floats", "beam_bytes")
        self.functions = {name: library.function(name) for name in (*names, *counts)}
        for name in counts:
            self.functions[name].restype = _LONG
        self.functions["pack"].restype = None
        self.functions["pack"].argtypes = [_POINTER, _POINTER, _INT, _INT, _INT, _POINTER, _LONG]
        self.functions["check"].argtypes = [_POINTER, _LONG]
        self.block = block(of.model, of.parameters, of.copies, PLANES[of.engine], self.functions["pack"])
        self.at = self.block.ctypes.data
        wrong = self.functions["check"](self.at, self.block.nbytes)
        if wrong:
            raise EngineError(f"the compiled engine refuses this model (check {wrong}); --engine numpy can use it")
        size = self.size("table_bytes")
        self.tables = np.zeros(size, np.uint8) if size <= TABLE_BYTES else None
        self.tables_at = None if self.tables is None else self.tables.ctypes.data
        self.local = threading.local()
        self.sizes: dict[tuple[str, int], int] = {}

    def size(self, name: str, *numbers: int) -> int:
        function = self.functions[name]
        return int(function(_POINTER(self.at), *(_INT(n) for n in numbers)))

    def source_floats(self, S: int) -> int:
        return self._kept("source_floats", S)

    def beam_floats(self, S: int) -> int:
        return self._kept("beam_floats", S)

    def _kept(self, name: str, S: int) -> int:
        key = name, S
        if key not in self.sizes:
            self.sizes[key] = self.size(name, S)
        return self.sizes[key]

    def floats(self, rows: int, columns: int) -> Array:
        return np.empty((rows, columns), np.float32)

    def work(self, rows: slice, S: int) -> Array:
        return self.memory("work", 4 * self.size("greedy_floats", rows.stop - rows.start, S))

    def memory(self, name: str, size: int) -> Array:
        """Memory of this thread for the time of a call, aligned."""
        kept = getattr(self.local, name, None)
        if kept is None or len(kept) < size:
            raw = np.empty(size + BLOCK, np.uint8)
            kept = raw[-raw.ctypes.data % BLOCK :]
            if size <= KEPT_BYTES:
                setattr(self.local, name, kept)
        return kept

    def call(self, name: str, rows: slice, S: int, T: int, *arguments: Any, each: int = 1) -> None:
        """Calls a function that takes (model, tables, number of rows, S, …, scratch); `each` row needs scratch for so many."""
        n = rows.stop - rows.start
        scratch = self.memory("scratch", self.size("scratch_bytes", n * each, S, T))
        given = [
            a if a is None or isinstance(a, int) else _POINTER(a.__array_interface__["data"][0]) for a in (*arguments, scratch)
        ]
        if self.functions[name](_POINTER(self.at), _POINTER(self.tables_at), n, S, *given):
            raise IndexError(f"engine {name}: ids or lengths outside the model's, or the source's, size")


def _ints(values: Array) -> Array:
    return np.ascontiguousarray(values, np.int32)


_POINTER, _INT, _LONG = ctypes.c_void_p, ctypes.c_int32, ctypes.c_int64
_pools: dict[int, Any] = {}  # threads -> where they wait
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pools.clear)  # threads do not live on in a child


def _pool(threads: int) -> Any:
    from concurrent.futures import ThreadPoolExecutor

    if threads not in _pools:
        _pools[threads] = ThreadPoolExecutor(threads, "jumok-engine")
    return _pools[threads]
