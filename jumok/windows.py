"""Windows: where around a position attention may look, each written once for NumPy and torch alike; the table WINDOWS.

To add a window, write its `prior` below and give it a line in `WINDOWS`. The tests find it there.

A window is what is added to the scores before the softmax: -inf outside, the logarithm of its factor inside. Luong et al.
multiply the softmaxed weights with the Gaussian and leave their sum below 1; here the rows sum to 1 as always, which is
the same weights divided by their sum. It needs at least one real position inside, in every row.

Letters: B sentences, T queries a sentence (decoder steps, or beams), S source positions, H size of a query, A inner size
of `local-p`, D size of the window (D to each side). `xp` is `numpy` or `torch`, as in `jumok.scores`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Array = Any  # numpy.ndarray or torch.Tensor
Parameters = Mapping[str, Array]


@dataclass(frozen=True)
class Window:
    """One window as a formula.

    Attributes:
        shapes: (H, A) -> the window's parameters by name with their shapes.
        prior: (xp, parameters, query [B, T, H], mask [B, S], steps int [T] or [1], D) -> [B or 1, T or 1, S], to be added to
            the scores. `steps` are the numbers of the decoder's steps that the queries belong to, from 0.
        formula: the formula as people write it, for docs and `jumok info`.
        source: the paper it comes from.
    """

    shapes: Callable[[int, int], dict[str, tuple[int, ...]]]
    prior: Callable[[Any, Parameters, Array, Array, Array, int], Array]
    formula: str
    source: str


def _positions(xp: Any, query: Array, mask: Array) -> tuple[Array, Array]:
    """Numbers of the real positions [B, 1, S] (on pads anything) and how many they are [B, 1, 1], both of the query's kind."""
    ones = xp.where(mask, xp.ones_like(query[:, 0, :1]), 0.0)[:, None, :]
    return ones.cumsum(-1) - 1, ones.sum(-1)[..., None]


def _no_shapes(H: int, A: int) -> dict[str, tuple[int, ...]]:
    return {}


def _monotone(xp: Any, p: Parameters, query: Array, mask: Array, steps: Array, size: int) -> Array:
    """Once the window has left the source at its end, the last real position is all there is to see."""
    position, length = _positions(xp, query, mask)
    t = steps[:, None]
    inside = ((position >= t - size) | (position >= length - 1)) & (position <= t + size)
    return xp.where(inside, xp.zeros_like(position), -float("inf"))


def _predictive_shapes(H: int, A: int) -> dict[str, tuple[int, ...]]:
    return {"W_p": (A, H), "v_p": (A,)}


def _predictive(xp: Any, p: Parameters, query: Array, mask: Array, steps: Array, size: int) -> Array:
    """σ(x) is written tanh(x/2)/2 + 1/2, which cannot overflow. As 0 <= p_t <= S and D >= 1, a real position is always inside."""
    position, length = _positions(xp, query, mask)
    inner = xp.tanh(query @ p["W_p"].swapaxes(-1, -2)) @ p["v_p"]  # [B, T]
    centre = length * (0.5 * xp.tanh(0.5 * inner) + 0.5)[..., None]
    distance = position - centre  # [B, T, S]
    return xp.where(xp.abs(distance) <= size, -2.0 / size**2 * distance * distance, -float("inf"))  # 2σ² = D²/2


WINDOWS: dict[str, Window] = {
    "local-m": Window(
        shapes=_no_shapes,
        prior=_monotone,
        formula="t - D <= s <= t + D",
        source="Luong, Pham & Manning 2015, §3.2 (local-m)",
    ),
    "local-p": Window(
        shapes=_predictive_shapes,
        prior=_predictive,
        formula="exp(-(s - p_t)² / 2(D/2)²) for |s - p_t| <= D, p_t = S · σ(v_p · tanh(W_p h_t))",
        source="Luong, Pham & Manning 2015, §3.2, eq. 9 and 10",
    ),
}
