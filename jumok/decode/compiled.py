"""The compiled engine as a backend: a model of `jumok.engine`, with float32 where int8 planes are not exact enough, and NumPy
beside it for what the engine does not compute.

Letters: B sentences, K beams a sentence, S source positions, T target tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np

from jumok.config import ModelConfig
from jumok.engine import library
from jumok.engine.model import EngineModel, State
from jumok.runtime.model import NumpyModel
from jumok.runtime.monotonic import Trace

Array = np.ndarray

NEAR_TIE = 1e-3  # in log-probability: an `exact` search that is so near to another choice is done again in float32


class Compiled(EngineModel):
    """An `EngineModel` that says where its tokens come from, and that can be sent to a process without the engine.

    `exact` searches with two planes what is greedy search and plain beam search, and again in float32 where two choices were nearly
    equally good. Steps and scores, which other searches are made of, are float32.
    """

    def __init__(self, model: ModelConfig, parameters: Mapping[str, Array], copies: Array | None, engine: str) -> None:
        super().__init__(model, parameters, copies, engine, library.load_library())
        self.alignment = model.alignment

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """For pickle: where it arrives, there may be another library, or none."""
        return arrived, (self.model, self.parameters, self.copies, self.engine)

    @cached_property
    def careful(self) -> EngineModel:
        """The same model with float32 weights for `exact`, summed in the same order everywhere; made when it is first used."""
        return EngineModel(self.model, self.parameters, self.copies, "float32", self.library)

    def _steps(self) -> EngineModel | None:
        if self.engine != "exact":
            return None
        self.careful.threads = self.threads
        return self.careful

    def start(self, source: Array, lengths: Array) -> State:
        """See `EngineModel`; `step` and `score` likewise."""
        careful = self._steps()
        return super().start(source, lengths) if careful is None else careful.start(source, lengths)

    def step(self, state: State, tokens: Array) -> tuple[State, Array, Array | None]:
        careful = self._steps()
        return super().step(state, tokens) if careful is None else careful.step(state, tokens)

    def score(self, source: Array, lengths: Array, target: Array, target_lengths: Array) -> tuple[Array, Array | None]:
        given, careful = (source, lengths, target, target_lengths), self._steps()
        return super().score(*given) if careful is None else careful.score(*given)

    def greedy(
        self, source: Array, lengths: Array, limits: Array, never: Sequence[int]
    ) -> list[tuple[list[int], list[float], Array | None]]:
        """See `EngineModel.greedy`; near ties are decided in float32."""
        found = self.greedily(source, lengths, limits, never)
        return self._surely(found, lambda m, *given: m.greedy(*given, never), source, lengths, limits)

    def beam(
        self, source: Array, lengths: Array, limits: Array, never: Sequence[int], sizes: tuple[int, int], divisors: Array
    ) -> list[list[tuple[list[int], list[float], float, Array | None]]]:
        """See `EngineModel.beam`; near ties are decided in float32."""
        found = self.by_beam(source, lengths, limits, never, sizes, divisors)
        return self._surely(found, lambda m, *given: m.beam(*given, never, sizes, divisors), source, lengths, limits)

    def _surely(
        self, found: tuple[list[Any], Array], again: Callable[..., list[Any]], source: Array, lengths: Array, limits: Array
    ) -> list[Any]:
        """The outputs that were found, and for sentences with a near tie those that `again` finds in float32."""
        (outputs, margins), careful = found, self._steps()
        ties = np.flatnonzero(margins < NEAR_TIE)
        if careful is not None and len(ties):
            own = np.asarray(lengths)[ties]
            surely = again(careful, source[ties, : own.max()], own, np.asarray(limits)[ties])
            for b, other in zip(ties.tolist(), surely, strict=True):
                outputs[b] = other
        return outputs

    @cached_property
    def beside(self) -> NumpyModel:
        """The same model in NumPy; made when it is first used."""
        return NumpyModel(self.model, self.parameters, self.copies)

    def trace(self, source: Array, lengths: Array, target: Array, target_lengths: Array, path: bool = False) -> Trace:
        """See `jumok.decode.backend.Tracing`. Log-probabilities and weights are the engine's; NumPy finds copies and the path."""
        given = source, lengths, target, target_lengths
        log_probabilities, weights = self.score(*given)
        assert weights is not None
        if self.copies is None and not path:
            return Trace(log_probabilities, weights, None, None)
        return replace(self.beside.trace(*given, path), log_probabilities=log_probabilities, weights=weights)


def arrived(model: ModelConfig, parameters: Mapping[str, Array], copies: Array | None, engine: str) -> Any:
    """A compiled model that pickle has brought here; NumPy's where there is no library."""
    from jumok.decode.backend import without_engine

    if without_engine(model):
        return NumpyModel(model, parameters, copies)
    return Compiled(model, parameters, copies, engine)
