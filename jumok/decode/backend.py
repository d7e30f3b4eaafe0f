"""Backends: the four calls that search makes on a model, whatever library computes them, and the table BACKENDS.

To add a backend, write a class with `start`, `step`, `select` and `score` in a new file and give it a line in `BACKENDS`.
Search, translator, alignments and studies need nothing else.

Letters: B sentences, K beams a sentence, S source positions, T target tokens, V target vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from jumok.alignments import named
from jumok.errors import ConfigError

if TYPE_CHECKING:
    from jumok.config import ModelConfig
    from jumok.runtime.folder import Folder
    from jumok.runtime.monotonic import Trace

Array = np.ndarray


class Backend(Protocol):
    """A model that can be searched. Arrays are NumPy's; only the backend knows what a state is.

    State goes in and comes out: a state can be used again, and the result of a call depends only on its arguments.
    Weights are None for a model without attention, and 0 on a source's padding. If those of `score` are posteriors of an
    alignment, which a step cannot know yet, the backend has an attribute `weights`, "posterior".
    """

    def start(self, source: Array, lengths: Array) -> Any:
        """source int [B, S] padded at the end, lengths int [B] -> state with one beam a sentence."""

    def step(self, state: Any, tokens: Array) -> tuple[Any, Array, Array | None]:
        """tokens int [B, K] -> state, logits float32 [B, K, V] that the caller may write to, weights [B, K, S] or None."""

    def select(self, state: Any, sentences: Array, parents: Array) -> Any:
        """The state with only these sentences, int [B'], and of each these beams, int [B', K']."""

    def score(self, source: Array, lengths: Array, target: Array, target_lengths: Array) -> tuple[Array, Array | None]:
        """The log-probabilities and weights of given targets.

        target int [B, T], each ending with the end token, padded at the end; target_lengths int [B]. Returns the
        log-probabilities of the target's tokens, float32 [B, T], and weights [B, T, S] or None; both 0 on the target's padding.
        """


class ManySentences(Protocol):
    """Additions that a backend may offer for batches, each taken where it is there.

    A backend whose `step` gives log-probabilities that need no normalising, and which normalised once more would lose bits, has an
    attribute `normalised`, True. One whose own searches know only so many of a step's best tokens exactly has an attribute `ranked`,
    that number; they are not asked for more.
    """

    def greedy(
        self, source: Array, lengths: Array, limits: Array, never: Sequence[int]
    ) -> list[tuple[list[int], list[float], Array | None]]:
        """Of each sentence what `one` gives: a faster greedy search, taken if nothing else is asked for.

        source int [B, S] padded at the end, lengths and limits int [B]; never as for `one`.
        """


class Beams(Protocol):
    """An addition that a backend may offer: a faster beam search, taken if the policy asks for nothing else."""

    def beam(
        self, source: Array, lengths: Array, limits: Array, never: Sequence[int], sizes: tuple[int, int], divisors: Array
    ) -> list[list[tuple[list[int], list[float], float, Array | None]]]:
        """The outputs of `jumok.decode.search.beam`: of each sentence tokens, their log-probabilities, score, weights [T, S] or None.

        Args:
            source, lengths, limits, never: as for `ManySentences.greedy`.
            sizes: beam and nbest, as in the options.
            divisors: [largest limit + 1]; the score is the sum of the log-probabilities / the divisor of the length.
        """


class OneSentence(Protocol):
    """Additions that a backend may offer for a sentence alone, each taken where it is there.

    `one` is a faster greedy search, if nothing else is asked for; `start_one` and `step_one`, together, make beam search faster.
    """

    def one(self, source: Array, limit: int, never: Sequence[int]) -> tuple[list[int], list[float], Array | None]:
        """The output of greedy search: tokens (END last, unless cut at `limit`), their log-probabilities, weights [T, S] or None.

        The tokens are the same as with `start` and `step` in any batch, unless two tokens are equally likely up to rounding.
        Each backend says how far log-probabilities and weights may differ.

        Args:
            source: int [S], END last.
            limit: the most tokens, END counted; 1 or more.
            never: tokens that are not written. They keep their share of the probability.
        """

    def start_one(self, source: Array) -> Any:
        """source int [S], END last -> the state with one beam, of which only `step_one` knows what it is."""

    def step_one(self, state: Any, parents: Array, tokens: Array) -> tuple[Any, Array, Array | None]:
        """`select` and `step`: parents int [K], the beams of the state that go on, tokens int [K], what each has written.

        Returns the state, logits float32 [K, V] that the caller may write to, weights [K, S] or None.
        """


_FIRST = np.zeros(1, np.int64)


def for_one(backend: Backend) -> tuple[Callable[[Array], Any], Callable[[Any, Array, Array], tuple[Any, Array, Array | None]]]:
    """`start_one` and `step_one` of a backend; made from its other calls, if it has none."""
    start, step = getattr(backend, "start_one", None), getattr(backend, "step_one", None)
    if start is not None and step is not None:
        return start, step

    def start_one(source: Array) -> Any:
        return backend.start(source[None], np.array([len(source)]))

    def step_one(state: Any, parents: Array, tokens: Array) -> tuple[Any, Array, Array | None]:
        state, logits, weights = backend.step(backend.select(state, _FIRST, parents[None]), tokens[None])
        return state, logits[0], None if weights is None else weights[0]

    return start_one, step_one


class Tracing(Protocol):
    """An addition that a backend may offer for models with a monotonic alignment: the likeliest alignment, and what was copied.

    `copies` is not None if the model copies tokens. Other models have no such alignment: there, `trace` is not called.
    """

    alignment: str
    copies: Array | None

    def trace(self, source: Array, lengths: Array, target: Array, target_lengths: Array, path: bool = False) -> Trace:
        """As `score`; also which tokens were copied, and with `path` the likeliest alignment."""


def tracing(backend: Backend) -> Tracing | None:
    """The backend, if it can say which tokens come from where; None without a monotonic alignment."""
    able: Any = backend
    return able if hasattr(backend, "trace") and able.alignment == "monotonic" else None


def _numpy(folder: Folder) -> Backend:
    from jumok.runtime.model import NumpyModel

    return NumpyModel(folder.config.model, folder.parameters, folder.codec.copies() if folder.config.model.copy else None)


def _exact(folder: Folder) -> Backend:
    return _compiled("exact", folder)


def _int8(folder: Folder) -> Backend:
    return _compiled("int8", folder)


# name -> a function that makes a backend from the content of a model folder, and imports what it needs
BACKENDS: dict[str, Callable[[Folder], Backend]] = {
    "numpy": _numpy,
    "exact": _exact,
    "int8": _int8,
}
AUTO = "auto"  # exact where it is there and knows the model, else numpy


def make_backend(name: str, folder: Folder) -> Backend:
    """Makes the backend of this name for a model folder.

    A model that the compiled engine does not know goes to NumPy.

    Raises:
        ConfigError: there is no such backend.
        EngineError: the compiled engine was asked for by its name, but there is none for this machine.
    """
    if name == AUTO:
        return BACKENDS["numpy" if without_engine(folder.config.model) else "exact"](folder)
    if name not in BACKENDS:
        raise ConfigError(f"engine: {name!r} came; one of {', '.join((AUTO, *BACKENDS))} was wanted")
    return BACKENDS[name](folder)


def make_ensemble(name: str, folders: Sequence[Folder]) -> Backend:
    """Makes one backend of several, with the same codec: an ensemble of models. Errors as for `make_backend`."""
    from jumok.decode.ensemble import Ensemble

    models = [folder.config.model for folder in folders]
    kinds = [None if model.attention == "none" else named(model.alignment).weights for model in models]
    return Ensemble([make_backend(name, folder) for folder in folders], kinds)


def without_engine(model: ModelConfig) -> str:
    """Why NumPy has to compute a model, in a few words; "" if the compiled engine can."""
    from jumok.engine.known import unknown
    from jumok.engine.library import EngineError, load_library

    if what := unknown(model):
        return f"the engine does not know {what}"
    try:
        load_library()
    except EngineError as e:
        return str(e)
    return ""


def engines_of(backend: Backend) -> list[str]:
    """What computes the numbers of each of a backend's models: exact or int8 with the instructions that it uses, or numpy."""
    engines = []
    members: Sequence[Any] = getattr(backend, "members", (backend,))
    for member in members:
        library = getattr(member, "library", None)
        engines.append("numpy" if library is None else f"{member.engine}, {library.instructions}")
    return engines


def _compiled(name: str, folder: Folder) -> Backend:
    from jumok.decode.compiled import Compiled
    from jumok.engine.known import unknown

    model = folder.config.model
    if unknown(model):
        return _numpy(folder)
    return Compiled(model, folder.parameters, folder.codec.copies() if model.copy else None, name)
