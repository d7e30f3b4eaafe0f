"""What attention weights are worth to a model, found by disturbing it: tokens left out, weights permuted. NumPy alone.

Letters: S source tokens (`</s>` counted), T output steps, V target vocabulary, P permutations.
Jain & Wallace 2019 (leave-one-out, permuted attention); Wiegreffe & Pinter 2019 for what this does and does not say.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from jumok.explain import entropy
from jumok.runtime.model import NumpyModel, State
from jumok.studies.statistics import kendall, spearman
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


def steps(model: NumpyModel, source: np.ndarray, output: list[int]) -> Iterator[tuple[np.ndarray, np.ndarray | None, State]]:
    """The steps in which N sources of one length are made to write a given output, one at a time.

    Args:
        source: int [N, S], no padding. output: T ids.

    Yields:
        p(y_t) [N, V] float64, weights [N, S] or None, and the state before the step; T times.
    """
    N = len(source)
    state = model.start(source, np.full(N, source.shape[1]))
    for token in [START, *output[:-1]]:
        after, logits, weights = model.step(state, np.full((N, 1), token))
        yield softmax(logits[:, 0]), None if weights is None else weights[:, 0], state
        state = after


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
    assert S >= 3
    without = np.array([source[:s] + source[s + 1 :] for s in range(S - 1)])
    weights, left_out, permuted = [], [], []
    both = zip(steps(model, np.array([source]), output), steps(model, without, output), [START, *output[:-1]], strict=True)
    for (base, seen, state), (changed, _, _), token in both:
        assert seen is not None
        weights.append(seen[0])
        left_out.append(distance(base, changed))
        permuted.append(np.median(distance(base, _permuted(model, state, token, permutations, rng))))
    return Probe(np.stack(weights), np.stack(left_out), np.array(permuted), entropy(np.stack(weights)))


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
