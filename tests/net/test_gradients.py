"""Gradients of source positions: against finite differences, against a hand-made linear network, and leaving no trace."""

import numpy as np
import pytest
import torch

from jumok.config import ModelConfig
from jumok.net import cells
from jumok.net.export import export_parameters
from jumok.net.gradients import forget_openness, source_gradients
from jumok.net.model import Seq2Seq, shifted
from jumok.text.vocabulary import END

VOCABULARY = 12
SOURCE = np.array([[4, 5, 6, 7, END], [8, 9, 10, 11, END]])
TARGET = np.array([[4, 5, END], [6, END, 0]])


def model(**options):
    torch.manual_seed(3)
    sizes = {"embedding": 3, "hidden": 4, "score_size": 4, "readout_size": 5, "tie": "none", "bidirectional": False}
    return Seq2Seq(ModelConfig(**{**sizes, **options}), VOCABULARY, VOCABULARY, dropout=0.5)


def loss_of(made, row):
    """The loss of one sentence alone, in float64, without dropout."""
    target = torch.tensor(TARGET[row : row + 1][:, TARGET[row] > 0])
    real = torch.arange(target.numel())
    return float(made.loss(torch.tensor(SOURCE[row : row + 1]), torch.tensor([5]), shifted(target), target, real).loss.detach())


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
@pytest.mark.parametrize("attention", ["none", "general", "concat"])
@pytest.mark.parametrize("more", [{}, {"bidirectional": True}, {"reverse_source": True}, {"layers": 2}])
def test_norms_are_those_of_finite_differences(cell, attention, more):
    """Each token occurs once, so that its embedding is what one position reads."""
    made = model(cell=cell, attention=attention, **more)
    norms = source_gradients(made, SOURCE, TARGET)
    exact = made.double().eval()
    step = 1e-5
    for row, s in ((0, 0), (0, 3), (1, 1)):
        slope = []
        for e in range(3):
            ends = []
            for sign in (1, -1):
                with torch.no_grad():
                    exact.source_embedding[SOURCE[row, s], e] += sign * step / exact.scale
                ends.append(loss_of(exact, row))
                with torch.no_grad():
                    exact.source_embedding[SOURCE[row, s], e] -= sign * step / exact.scale
            slope.append((ends[0] - ends[1]) / (2 * step))
        assert norms[row, s] == pytest.approx(np.linalg.norm(slope), rel=1e-5)


def linear(factor, **options):
    """An RNN near 0, where tanh is a straight line: a step back in time multiplies the gradient by `factor`."""
    made = model(cell="rnn", attention="none", **options)
    w_ih = torch.zeros(4, 3)
    w_ih[:3, :3] = torch.eye(3) * 1e-6
    cells.put(made.encoder.forwards[0], {"w_ih": w_ih, "w_hh": factor * torch.eye(4), "bias": torch.zeros(4)})
    return made


@pytest.mark.parametrize("factor", [0.5, 0.9, 1.0])
def test_a_linear_network_loses_a_factor_a_step(factor):
    source = np.array([[4, 5, 6, 7, 8, 9, 10, END]])
    norms = source_gradients(linear(factor), source, TARGET[:1])[0]
    assert norms / norms[-1] == pytest.approx(factor ** np.arange(7, -1, -1.0), rel=1e-6)


def test_a_reversed_source_keeps_its_own_order():
    norms = source_gradients(linear(0.5, reverse_source=True), SOURCE[:1], TARGET[:1])[0]
    assert norms / norms[-1] == pytest.approx([0.5, 0.25, 0.125, 0.0625, 1.0], rel=1e-6)


def test_vanished_gradients_are_still_numbers():
    source = np.array([[*range(4, 12)] * 40 + [END]])
    norms = source_gradients(linear(0.5), source, TARGET[:1])[0]
    assert 0 < norms[0] < 1e-90 and norms[0] / norms[-1] == pytest.approx(0.5**320, rel=1e-3)


def test_the_model_is_left_as_it_is():
    made = model(cell="lstm", attention="general")
    made.train()
    before = export_parameters(made)
    source_gradients(made, SOURCE, TARGET)
    forget_openness(made, SOURCE)
    after = export_parameters(made)
    assert all(np.array_equal(before[name], after[name]) for name in before)
    assert made.training and all(p.grad is None and p.dtype == torch.float32 for p in made.parameters())
    assert not made.encoder._forward_pre_hooks


def test_openness_of_planted_gates():
    made = model(cell="lstm")
    bias = torch.zeros(16)
    bias[4:8] = 2.0
    cells.put(made.encoder.forwards[0], {"w_ih": torch.zeros(16, 3), "w_hh": torch.zeros(16, 4), "bias": bias})
    assert forget_openness(made, SOURCE) == pytest.approx(1 / (1 + np.exp(-2)))
    assert forget_openness(model(cell="gru"), SOURCE) is None


def test_openness_is_that_of_the_cell_step_by_step():
    made = model(cell="lstm")
    w = {k: v.detach().double().numpy() for k, v in cells.arrays(made.encoder.forwards[0]).items()}
    table = made.source_embedding.detach().double().numpy() * made.scale
    sigmoid = lambda v: 1 / (1 + np.exp(-v))  # noqa: E731
    seen = []
    for ids in SOURCE:
        h = c = np.zeros(4)
        for token in ids:
            i, f, g, o = np.split(w["w_ih"] @ table[token] + w["w_hh"] @ h + w["bias"], 4)
            seen.append(sigmoid(f))
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(c)
    assert forget_openness(made, SOURCE) == pytest.approx(np.mean(seen), rel=1e-6)
