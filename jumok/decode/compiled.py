"""The compiled engine as a backend: a model of `jumok.engine`, and NumPy beside it for what the engine does not compute.

Letters: B sentences, S source positions, T target tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np

from jumok.config import ModelConfig
from jumok.engine import library
from jumok.engine.model import EngineModel
from jumok.runtime.model import NumpyModel
from jumok.runtime.monotonic import Trace

Array = np.ndarray


class Compiled(EngineModel):
    """An `EngineModel` that says where its tokens come from, and that can be sent to a process without the engine."""

    def __init__(self, model: ModelConfig, parameters: Mapping[str, Array], copies: Array | None, engine: str) -> None:
        super().__init__(model, parameters, copies, engine, library.load_library())
        self.alignment = model.alignment

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """For pickle: where it arrives, there may be another library, or none."""
        return arrived, (self.model, self.parameters, self.copies, self.engine)

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
