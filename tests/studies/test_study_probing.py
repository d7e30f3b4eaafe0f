"""Probes of attention against planted models and slow references: tokens left out, weights permuted, what is summed up."""

import math

import numpy as np
import pytest

from jumok.config import ModelConfig
from jumok.runtime.model import NumpyModel
from jumok.runtime.parameters import random_parameters
from jumok.studies import faithful
from jumok.studies.probing import Probe, distance, probe, softmax, steps
from jumok.text.vocabulary import END

SOURCE, OUTPUT = [4, 5, 6, 7, 4, END], [8, 9, 5, END]
V = 12


def made(change=lambda p: None, **options):
    sizes = {"embedding": 6, "hidden": 8, "score_size": 8, "readout_size": 8, "tie": "none", "attention": "general"}
    config = ModelConfig(**{**sizes, **options})
    parameters = random_parameters(config, V, V, seed=5)
    parameters = {name: 4 * a for name, a in parameters.items()}  # so that something depends on the source
    change(parameters)
    return NumpyModel(config, parameters), parameters


def distributions(model, source, output):
    """[N, T, V], weights [N, T, S], states"""
    p, weights, states = zip(*steps(model, source, output), strict=True)
    return np.stack(p, axis=1), np.stack(weights, axis=1), states


def test_distance_worked_by_hand():
    assert distance(np.array([1.0, 0.0]), np.array([0.0, 1.0])) == 1
    assert distance(np.array([0.5, 0.3, 0.2]), np.array([0.4, 0.3, 0.3])) == pytest.approx(0.1)
    assert softmax(np.array([0.0, math.log(3)], np.float32)) == pytest.approx([0.25, 0.75])


@pytest.mark.parametrize(
    "options",
    [{}, {"attention": "dot"}, {"attention": "concat", "readout": "linear"}, {"window": "local-p"}, {"input_feeding": True}],
)
def test_distributions_are_those_of_forced_decoding(options):
    model, _ = made(**options)
    p, weights, states = distributions(model, np.array([SOURCE, SOURCE[::-1]]), OUTPUT)
    logs, shown = model.score(np.array([SOURCE, SOURCE[::-1]]), np.array([6, 6]), np.array([OUTPUT] * 2), np.array([4, 4]))
    assert p.sum(-1) == pytest.approx(np.ones((2, 4))) and len(states) == 4
    assert np.log(p[:, np.arange(4), OUTPUT]) == pytest.approx(logs, abs=1e-4)
    assert weights == pytest.approx(shown, abs=1e-5)


def test_leaving_out_is_translating_the_shorter_source():
    model, _ = made()
    found = probe(model, SOURCE, OUTPUT, 3, np.random.default_rng(1))
    whole, _, _ = distributions(model, np.array([SOURCE]), OUTPUT)
    assert found.left_out.shape == (4, 5) and found.weights.shape == (4, 6)
    for s in range(5):
        shorter, _, _ = distributions(model, np.array([SOURCE[:s] + SOURCE[s + 1 :]]), OUTPUT)
        assert found.left_out[:, s] == pytest.approx(distance(whole, shorter)[0], abs=1e-6)


def test_permuting_is_that_of_the_formula():
    """softmax(W_s tanh(W_c Σ a_π(s) h̄_s + W_h h) + b), the permuted weights put in by hand."""
    model, p = made()
    state = model.start(np.array([SOURCE]), np.array([6]))
    after, _, weights = model.step(state, np.array([[1]]))
    h = after.layers[-1][0][0, 0]
    memory_c = state.values[0]  # W_c h̄_s
    rng, again = np.random.default_rng(7), np.random.default_rng(7)
    found = faithful.probe(model, SOURCE, OUTPUT[:1], 5, rng).permuted[0]
    base, _, _ = distributions(model, np.array([SOURCE]), OUTPUT[:1])
    slow = []
    for _ in range(5):
        order = again.permutation(6)
        permuted = np.empty(6)
        permuted[order] = weights[0, 0]  # position order[s] gets the weight of s
        r = np.tanh(permuted @ memory_c + p["readout.w_h"] @ h)
        slow.append(float(distance(base[0, 0], softmax(p["readout.output"] @ r + p["readout.bias"]))))
    assert found == pytest.approx(np.median(slow), abs=1e-5) and found > 1e-3


def test_even_weights_cannot_be_permuted():
    model, _ = made(lambda p: p["attention.W_a"].fill(0))
    found = probe(model, SOURCE, OUTPUT, 4, np.random.default_rng(1))
    assert found.permuted == pytest.approx(np.zeros(4), abs=1e-6)
    assert found.entropy == pytest.approx(np.full(4, math.log(6)))
    assert found.correlations() == []  # all weights alike: there is no order to compare


def planted(order):
    weights = np.array([[0.5, 0.3, 0.15, 0.05], [0.1, 0.2, 0.6, 0.1]])
    left_out = weights[:, :-1] if order > 0 else 1 - weights[:, :-1]
    return Probe(weights, left_out, np.array([0.2, 0.4]), np.array([1.0, 0.5]))


def test_summary_of_planted_probes():
    found = faithful.summary([planted(1)] * 3)
    assert found["kendall"] == pytest.approx(1) and found["spearman"] == pytest.approx(1) and found["agree"] == 100
    assert found["sentences"] == 3 and found["output_steps"] == 6 and found["permuted"] == pytest.approx(0.3)
    assert found["permuted_by_weight"] == [None, pytest.approx(0.2), pytest.approx(0.4), None]
    assert found["entropy_by_step"] == pytest.approx([1 / math.log(4), 0.5 / math.log(4)])
    assert found["left_out_top"] == pytest.approx((0.5 + 0.6) / 2)
    found = faithful.summary([planted(1), planted(-1)])
    assert (
        found["kendall"] == pytest.approx(0)
        and found["kendall_low"] == pytest.approx(-1)
        and found["kendall_high"] == pytest.approx(1)
    )
    assert found["histogram"][0] == found["histogram"][-1] == 2
