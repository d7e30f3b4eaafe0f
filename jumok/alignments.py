"""Alignments: how the scores of positions are used over time; the formulas of the monotonic chain, once for NumPy and torch.

soft: each step weighs all positions, and does not depend on the weights before (Bahdanau, Cho & Bengio 2015).
monotonic: one position a step, which only goes forward; which one is unknown, so all alignments are summed (Wu & Cotterell 2019):

    p(y | x) = Σ over s_1 ≤ s_2 ≤ … ≤ s_T of Π_t  a(s_t | s_{t-1}, h_t) · p(y_t | s_t, h_t),    s_0 = the first position
    a(s | s', h_t) = softmax over s ≥ s' of  score(h_t, h̄_s) + j_t(min(s - s', FAR)),          j_t = W_j h_t + b_j
    p(y_t | s, h_t) = softmax(readout(h̄_s, h_t))

Letters: B sentences, T queries a sentence (decoder steps, or beams), S source positions (S' the one before), H size of a query.
`xp` is `numpy` or `torch`, as in `jumok.scores`. Emissions are log p(y_t | s); on steps that are padding they must be 0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Array = Any  # numpy.ndarray or torch.Tensor

FAR = 4  # jumps of this many positions or more share a bias
NEVER = -1e9  # a score whose probability is 0; a row that has no other gives no NaN
MOST = 1e30  # limit of the numbers in the backward recursion: only positions that cannot be reached go beyond it
MOST_LOG = 80.0


@dataclass(frozen=True)
class Alignment:
    """One way to use a score over time.

    Attributes:
        shapes: H -> its parameters by name with their shapes.
        weights: what its weights [T, S] are: attention, or the posterior of an alignment.
        formula: as in a paper, for docs and `jumok info`.
        source: the paper it comes from.
    """

    shapes: Callable[[int], dict[str, tuple[int, ...]]]
    weights: str
    formula: str
    source: str


def _no_shapes(H: int) -> dict[str, tuple[int, ...]]:
    return {}


def _jump_shapes(H: int) -> dict[str, tuple[int, ...]]:
    return {"W_j": (FAR + 1, H), "b_j": (FAR + 1,)}


ALIGNMENTS: dict[str, Alignment] = {
    "soft": Alignment(
        shapes=_no_shapes,
        weights="attention",
        formula="p(y_t | Σ_s a_t(s) h̄_s, h_t)",
        source="Bahdanau, Cho & Bengio 2015",
    ),
    "monotonic": Alignment(
        shapes=_jump_shapes,
        weights="posterior",
        formula="Σ over s_1 ≤ … ≤ s_T of Π_t a(s_t | s_{t-1}, h_t) p(y_t | s_t, h_t)",
        source="Wu & Cotterell 2019",
    ),
}


def named(alignment: str) -> Alignment:
    """The alignment of this name. `auto`, in a network for which nobody has chosen (training does), is soft."""
    return ALIGNMENTS["soft" if alignment == "auto" else alignment]


def misfit(alignment: str, attention: str, window: str, input_feeding: bool, copy: bool | None) -> str:
    """Which of these options of a model do not combine, and what to give instead; "" if all do."""
    if alignment == "auto" and not copy:
        return ""
    if alignment == "soft":
        wrong = "copy is on with alignment 'soft'; copying needs one source position: give --alignment monotonic, or --no-copy"
        return wrong if copy else ""
    what = "alignment is 'monotonic'" if alignment == "monotonic" else "copy is on, which needs alignment 'monotonic',"
    if attention == "none":
        return f"{what} with attention 'none', but it needs a score: give --attention dot, or --alignment soft"
    if window != "none":
        return f"{what} with window {window!r}; a window may leave no position ahead: give --window none"
    if input_feeding:
        return (
            f"{what} with input_feeding; what is fed would depend on the position, and the sum over alignments "
            "could not be computed: give --no-input-feeding"
        )
    return ""


def clash(attention: str, window: str, input_feeding: bool) -> str:
    """Which of these options of a model cannot go with a monotonic alignment, by its name on the command line; "" if all can."""
    if attention == "none":
        return "--attention none"
    if window != "none":
        return f"--window {window}"
    return "--input-feeding" if input_feeding else ""


def copying(H: int) -> dict[str, tuple[int, ...]]:
    """The parameters of a copy gate by name with their shapes."""
    return {"w_m": (H,), "w_h": (H,), "b": (1,)}


def gates(xp: Any, p: Any, query: Array, memory: Array, copies: Array) -> Array:
    """The logit of copying the token at each position at each step: query [B, T, H], memory [B, S, H] -> [B, T, S].

    κ = σ(w_m · h̄_s + w_h · h_t + b), and the emission is then (1 - κ) p(v | s, h_t) + κ [v is the token at s]: a pointer-generator
    (See, Liu & Manning 2017, eq. 8 and 9), at one position instead of over all. copies [B, S] are ids of the target vocabulary,
    or -1, which is never copied, for a token that is not in it.
    """
    raw = (memory @ p["w_m"])[:, None, :] + (query @ p["w_h"] + p["b"])[:, :, None]
    return xp.where(copies[:, None, :] >= 0, raw, NEVER)


def log_sigmoid(xp: Any, x: Array) -> Array:
    """log σ(x), without overflow."""
    return -xp.logaddexp(xp.zeros_like(x), -x)


def copied(xp: Any, gates: Array, emission: Array, same: Array) -> Array:
    """log((1 - κ) p(v | s) + κ [same]): gates and log p(v | s) [..., S]; same, bool [..., S], says where the token at s is v."""
    copy = xp.where(same, log_sigmoid(xp, gates), NEVER)
    return xp.logaddexp(log_sigmoid(xp, -gates) + emission, copy)


def by_copying(xp: Any, gates: Array, whole: Array, same: Array) -> Array:
    """How much of a token's probability at a position is from copying: κ [same] / ((1 - κ) p(v | s) + κ [same]), `whole` from `copied`."""
    return xp.where(same, xp.exp(log_sigmoid(xp, gates) - whole), 0.0)


def jumps(p: Any, query: Array) -> Array:
    """j_t: the bias of a jump of 0, 1, …, FAR or more positions. query [B, T, H] -> [B, T, FAR + 1]."""
    return query @ p["W_j"].swapaxes(-1, -2) + p["b_j"]


def moves(xp: Any, scores: Array, jumps: Array, mask: Array) -> Array:
    """a(s | s', h_t). scores [B, T, S], jumps [B, T, FAR + 1], mask [B, S] -> [B, T, S', S].

    Rows of real s' sum to 1, exactly 0 for s < s' and for pads. Rows of pads have no meaning, and are never reached.
    """
    B, T, S = scores.shape
    position = xp.cumsum(xp.ones_like(mask[0], dtype=xp.int64), 0)
    distance = xp.clip(position - position[:, None], -1, FAR).reshape(-1)  # s - s'
    # a product with columns of a 1 and zeros picks each jump's bias, and is faster than an index
    back = xp.zeros_like(jumps[..., :1]) + NEVER
    kinds = xp.stack([distance == d for d in (*range(FAR + 1), -1)])
    chosen = xp.concatenate([jumps, back], -1) @ xp.where(kinds, xp.ones_like(jumps[0, 0, 0]), xp.zeros_like(jumps[0, 0, 0]))
    raw = chosen.reshape(B, T, S, S)
    raw += xp.where(mask[:, None, :], xp.clip(scores, NEVER, None), NEVER)[..., None, :]
    raw -= xp.amax(raw, -1)[..., None]
    xp.exp(raw, out=raw)
    raw /= raw.sum(-1)[..., None]
    return raw


def first(xp: Any, like: Array) -> Array:
    """The chain before the first step: certainly at position 0. like [..., S] -> of its shape and type."""
    here = xp.zeros_like(like)
    here[..., 0] = 1
    return here


def filtered(xp: Any, prior: Array, emission: Array) -> tuple[Array, Array]:
    """Bayes' rule for the position, once y_t is known: prior [..., S], emission [..., S] -> p(s_t | y_1…y_t), log p(y_t | y_<t) [...].

    A prior of 0 stays 0; the caller silences NumPy's warning about its logarithm.
    """
    joint = xp.log(prior) + emission
    top = xp.amax(joint, -1)
    joint = xp.exp(joint - top[..., None])
    total = joint.sum(-1)
    return joint / total[..., None], top + xp.log(total)


def forward(xp: Any, moves: Array, emissions: Array) -> tuple[Array, Array, Array]:
    """The forward recursion, normalised at each step.

    moves [B, T, S', S], emissions [B, T, S] -> priors p(s_t | y_<t) [B, T, S]; p(s_t | y_1…y_t) before each step and after the
    last [B, T + 1, S]; log p(y_t | y_<t) [B, T], whose sum is log p(y | x).
    """
    reached, priors, totals = [first(xp, emissions[:, 0])], [], []
    for t in range(emissions.shape[1]):
        priors.append((reached[-1][:, None, :] @ moves[:, t])[:, 0])
        here, total = filtered(xp, priors[-1], emissions[:, t])
        reached.append(here)
        totals.append(total)
    return xp.stack(priors, 1), xp.stack(reached, 1), xp.stack(totals, 1)


def backward(xp: Any, moves: Array, emissions: Array, reached: Array, totals: Array) -> tuple[Array, Array]:
    """The backward recursion, from the results of `forward`.

    Returns:
        posteriors p(s_t | y_1…y_T) [B, T + 1, S], the first of them before the first step; and pulls [B, T, S]: the pairwise
        posterior of s_{t-1} = s' and s_t = s is reached_{t-1}(s') · moves_t(s', s) · pulls_t(s).
    """
    T = emissions.shape[1]
    later, pulls = [xp.ones_like(emissions[:, 0])], []
    factor = xp.exp(xp.clip(emissions - totals[..., None], None, MOST_LOG))
    for t in reversed(range(T)):
        pulls.append(xp.clip(factor[:, t] * later[-1], None, MOST))
        later.append((moves[:, t] @ pulls[-1][..., None])[..., 0])
    return reached * xp.stack(later[::-1], 1), xp.stack(pulls[::-1], 1)


def likeliest(xp: Any, moves: Array, emissions: Array, real: Array) -> Array:
    """The alignment with the highest probability together with the target, by Viterbi's recursion; the first position among equals.

    moves [B, T, S', S], emissions [B, T, S], real: bool [B, T] -> positions, int [B, T], -1 on steps that are padding. The caller
    silences NumPy's warning about the logarithm of 0.
    """
    best, came = xp.log(first(xp, emissions[:, 0])), []
    stay = xp.arange(best.shape[-1])
    for t in range(emissions.shape[1]):
        joint = best[:, :, None] + xp.log(moves[:, t])
        came.append(xp.where(real[:, t, None], xp.argmax(joint, 1), stay))
        best = xp.where(real[:, t, None], xp.amax(joint, 1) + emissions[:, t], best)
    here, path = xp.argmax(best, -1)[:, None], []
    for t in reversed(range(len(came))):
        path.append(xp.where(real[:, t, None], here, -1))
        here = xp.take_along_axis(came[t], here, 1)
    return xp.concatenate(path[::-1], 1)
