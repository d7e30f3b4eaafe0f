"""What attention weights are worth to a model, found by disturbing it: tokens left out, weights permuted. NumPy alone.

Letters: S source tokens (`</s>` counted), T output steps, V target vocabulary, P permutations.
Jain & Wallace 2019 (leave-one-out, permuted attention); Wiegreffe & Pinter 2019 for what this does and does not say.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from jumok.explain import entropy
from jumok.runtime.model import NumpyModel, State
from jumok.study.statistics import kendall, spearman
from jumok.text.vocabulary import START


@dataclass(frozen=True)
class Probe:
    """One sentence, step by step of its own greedy output.

    Attributes:
        weights: [T, S].
        left_out: [T, S-1] total variation distance of the step's distribution when source token s is left out (never `</s>`).
        permuted: [T] median over permutations of the distance when the weights are permuted among positions.
        entropy: [T] nats.
    """

    weights: np.ndarray
    left_out: np.ndarray
    permuted: np.ndarray
    entropy: np.ndarray

    def correlations(self) -> list[tuple[float, float]]:
        """(Kendall's τ, Spearman's ρ) of the tokens' weights and what leaving them out changes, for each step that has both."""
        found = []
        for a, b in zip(self.weights[:, :-1], self.left_out, strict=True):
            tau, rho = kendall(a, b), spearman(a, b)
            if tau is not None and rho is not None:
                found.append((tau, rho))
        return found


def distributions(
    model: NumpyModel, source: np.ndarray, output: list[int]
) -> tuple[np.ndarray, np.ndarray | None, list[State]]:
    """p(y_t) at each step of a given output, for each of N sources of one length.

    Args:
        source: int [N, S], no padding. output: T ids, what the decoder is made to write.

    Returns:
        [N, T, V] float64, weights [N, T, S] or None, and the state before each step.
    """
    N = len(source)
    state = model.start(source, np.full(N, source.shape[1]))
    found, weights, states = [], [], []
    for token in [START, *output[:-1]]:
        states.append(state)
        state, logits, seen = model.step(state, np.full((N, 1), token))
        found.append(softmax(logits[:, 0]))
        weights.append(None if seen is None else seen[:, 0])
    shown = None if weights[0] is None else np.stack([w for w in weights if w is not None], axis=1)
    return np.stack(found, axis=1), shown, states


def softmax(logits: np.ndarray) -> np.ndarray:
    """[..., V] -> probabilities, float64."""
    x = logits.astype(np.float64)
    x = np.exp(x - x.max(-1, keepdims=True))
    return x / x.sum(-1, keepdims=True)


def distance(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Total variation distance ½ Σ_v |p(v) − q(v)|, from 0 to 1: [..., V] -> [...]."""
    return 0.5 * np.abs(p - q).sum(-1)


def probe(model: NumpyModel, source: list[int], output: list[int], permutations: int, rng: np.random.Generator) -> Probe:
    """Disturbs one sentence in every way; `output` is what the model wrote for `source`, END last in both; S ≥ 3."""
    S = len(source)
    ids = np.array([source])
    base, weights, states = distributions(model, ids, output)
    assert weights is not None and S >= 3
    without = np.array([source[:s] + source[s + 1 :] for s in range(S - 1)])
    changed, _, _ = distributions(model, without, output)
    permuted = np.empty(len(output))
    for t, token in enumerate([START, *output[:-1]]):
        permuted[t] = np.median(distance(base[0, t], _permuted(model, states[t], token, permutations, rng)))
    return Probe(weights[0], distance(base, changed).T, permuted, entropy(weights[0]))


def _permuted(model: NumpyModel, state: State, token: int, permutations: int, rng: np.random.Generator) -> np.ndarray:
    """The step's distribution under weights permuted among positions, [P, V].

    Which position gets which weight is a matter of the values alone: permuting them is permuting the weights the other way.
    """
    zeros = np.zeros(permutations, np.int64)
    many = model.select(state, zeros, zeros[:, None])
    assert many.values is not None
    orders = np.stack([rng.permutation(many.values.shape[1]) for _ in range(permutations)])
    shuffled = np.take_along_axis(many.values, orders[:, :, None], axis=1)
    _, logits, _ = model.step(replace(many, values=shuffled), np.full((permutations, 1), token))
    return softmax(logits[:, 0])
