"""Attention: the scores, each written once for NumPy and torch alike; the mask, the softmax and the context beside them.

To add a score, write its `shapes`, `keys` and `score` below, as functions with names (a model that is handed to another process
knows them by these), and give it a line in `SCORES`. The tests find it there.

Letters: B sentences, T queries a sentence (decoder steps, or beams), S source positions, H size of memory and query,
A inner size of `concat`, L positions that `location` knows, K size of the keys. A function here takes arrays of either library and uses only what both spell
alike (`@`, `swapaxes`, arithmetic); `xp` is the library itself (`numpy` or `torch`) where a name is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Array = Any  # numpy.ndarray or torch.Tensor
Parameters = Mapping[str, Array]


@dataclass(frozen=True)
class Score:
    """One attention score as a formula.

    Attributes:
        shapes: (H, A, L) -> the score's parameters by name with their shapes.
        keys: (xp, parameters, memory [B, S, H]) -> keys [B, S, K], computed once a sentence.
        score: (xp, parameters, query [B, T, H], keys [B, S, K]) -> scores [B, T, S].
        formula: the formula as people write it, for docs and `jumok info`.
        source: the paper it comes from.
        by_position: whether a weight belongs to a position and not to what stands there: it knows L of them, and no window
            goes around it.
        identity: parameters that start as the identity instead of at random.
        beside: what it computes for every pair of positions that is no product, in words ("tanh").
    """

    shapes: Callable[[int, int, int], dict[str, tuple[int, ...]]]
    keys: Callable[[Any, Parameters, Array], Array]
    score: Callable[[Any, Parameters, Array, Array], Array]
    formula: str
    source: str
    by_position: bool = False
    identity: tuple[str, ...] = ()
    beside: str = ""


def _no_shapes(H: int, A: int, L: int) -> dict[str, tuple[int, ...]]:
    return {}


def _memory(xp: Any, p: Parameters, memory: Array) -> Array:
    return memory


def _products(xp: Any, p: Parameters, query: Array, keys: Array) -> Array:
    return query @ keys.swapaxes(-1, -2)


def _general_shapes(H: int, A: int, L: int) -> dict[str, tuple[int, ...]]:
    return {"W_a": (H, H)}


def _general_keys(xp: Any, p: Parameters, memory: Array) -> Array:
    return memory @ p["W_a"].swapaxes(-1, -2)


def _concat_shapes(H: int, A: int, L: int) -> dict[str, tuple[int, ...]]:
    return {"W_q": (A, H), "W_m": (A, H), "v": (A,)}


def _concat_keys(xp: Any, p: Parameters, memory: Array) -> Array:
    return memory @ p["W_m"].swapaxes(-1, -2)


def _concat_score(xp: Any, p: Parameters, query: Array, keys: Array) -> Array:
    inner = (query @ p["W_q"].swapaxes(-1, -2))[..., :, None, :] + keys[..., None, :, :]  # [B, T, S, A]
    return xp.tanh(inner) @ p["v"]


def _location_shapes(H: int, A: int, L: int) -> dict[str, tuple[int, ...]]:
    return {"W_a": (L, H)}


def _location_keys(xp: Any, p: Parameters, memory: Array) -> Array:
    return memory[..., :0]


def _location_score(xp: Any, p: Parameters, query: Array, keys: Array) -> Array:
    """The keys hold nothing but how many positions there are; those from L on get -inf, and so weigh nothing."""
    S, L = keys.shape[-2], p["W_a"].shape[0]
    found = query @ p["W_a"][:S].swapaxes(-1, -2)
    if S <= L:
        return found
    beyond = xp.broadcast_to(xp.full_like(found[..., :1], -float("inf")), (*found.shape[:-1], S - L))
    return xp.concatenate([found, beyond], -1)


SCORES: dict[str, Score] = {
    "dot": Score(
        shapes=_no_shapes,
        keys=_memory,
        score=_products,
        formula="h_t · h̄_s",
        source="Luong, Pham & Manning 2015, eq. 8",
    ),
    "general": Score(
        shapes=_general_shapes,
        keys=_general_keys,
        score=_products,
        formula="h_t · W_a h̄_s",
        source="Luong, Pham & Manning 2015, eq. 8",
        identity=("W_a",),  # starts as dot: on dev never worse than a random W_a, up to 0.9 better
    ),
    "concat": Score(
        shapes=_concat_shapes,
        keys=_concat_keys,
        score=_concat_score,
        formula="v · tanh(W_q h_t + W_m h̄_s)",
        source="Bahdanau, Cho & Bengio 2015, app. A.1.2; Luong, Pham & Manning 2015, eq. 8",
        beside="tanh",
    ),
    "location": Score(
        shapes=_location_shapes,
        keys=_location_keys,
        score=_location_score,
        formula="(W_a h_t)_s",
        source="Luong, Pham & Manning 2015, §3.1 (location)",
        by_position=True,
    ),
}

ATTENTIONS = ("none", *SCORES)


def weights(xp: Any, scores: Array, mask: Array) -> Array:
    """Softmax over the source positions that are real. scores [B, T, S], mask [B, S] True where real -> [B, T, S].

    A pad's weight is exactly 0, whatever its score; rows sum to 1. Each row must have at least one real position.
    """
    scores = xp.where(mask[..., None, :], scores, -float("inf"))
    scores = xp.exp(scores - xp.amax(scores, -1)[..., None])
    return scores / scores.sum(-1)[..., None]


def context(weights: Array, memory: Array) -> Array:
    """c_t = Σ_s a_t(s) h̄_s. weights [B, T, S], memory [B, S, H] -> [B, T, H]."""
    return weights @ memory
