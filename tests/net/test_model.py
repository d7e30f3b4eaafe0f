"""The torch model: beside the NumPy model for every attention and option, beside a naive loop, finite differences, padding."""

import dataclasses
import itertools
from typing import get_args

import numpy as np
import pytest
import torch
from finite_differences import slopes
from small_models import BATCH, SMALL, V, losses, model_of

from jumok.config import CellName, SearchConfig
from jumok.decode.search import search
from jumok.learn.evaluation import tensors
from jumok.net import cells
from jumok.net.export import export_parameters, import_parameters
from jumok.net.model import Seq2Seq, shifted
from jumok.net.steps import TorchSteps
from jumok.runtime.cells import CELLS
from jumok.runtime.model import NumpyModel
from jumok.runtime.parameters import shapes
from jumok.scores import ATTENTIONS
from jumok.text import Batch
from jumok.text.vocabulary import START

CHAINED = {
    "two layers, linear": {"layers": 2, "readout": "linear"},
    "all tied, reversed": {"tie": "all", "reverse_source": True},
}
OPTIONS = {
    "plain": {},
    "two layers": {"layers": 2},
    "one direction": {"bidirectional": False},
    "one direction, three layers": {"bidirectional": False, "layers": 3},
    "linear readout": {"readout": "linear"},
    "target tied": {"tie": "target"},
    "all tied": {"tie": "all"},
    "local-m": {"window": "local-m", "window_size": 2},
    "local-p": {"window": "local-p", "window_size": 3},
    "reversed": {"reverse_source": True},
    "reversed, one direction": {"reverse_source": True, "bidirectional": False},
    "fed": {"input_feeding": True, "readout_size": 14},
    "monotonic": {"alignment": "monotonic"},
} | {f"{cell}, two layers": {"cell": cell, "layers": 2} for cell in CELLS if cell != "lstm"}
FED = {
    "two layers": {"layers": 2},
    "all tied, three layers": {"tie": "all", "layers": 3},
    "gru": {"cell": "gru", "layers": 2},
    "rnn": {"cell": "rnn"},
    "local-m": {"window": "local-m", "window_size": 2},
    "local-p": {"window": "local-p", "window_size": 3},
    "reversed": {"reverse_source": True},
}
EVERY = [
    pytest.param({"attention": a, **o}, id=f"{a}, {n}")
    for a, (n, o) in itertools.product(ATTENTIONS, OPTIONS.items())
    if not ("window" in o and a in ("none", "location")) and not (a == "none" and ("input_feeding" in o or "alignment" in o))
]
EVERY += [pytest.param({"attention": "general", "input_feeding": True, **o}, id=f"general, fed, {n}") for n, o in FED.items()]
EVERY += [pytest.param({"attention": "concat", "alignment": "monotonic", **o}, id=f"concat, {n}") for n, o in CHAINED.items()]


@pytest.mark.parametrize("options", EVERY)
def test_numpy_model_agrees(options):
    model = model_of(options)
    parameters = export_parameters(model)
    assert {k: v.shape for k, v in parameters.items()} == shapes(model.config, V, V)
    fast = NumpyModel(model.config, parameters)
    log_probabilities, weights = fast.score(BATCH.source, BATCH.source_lengths, BATCH.target, BATCH.target_lengths)
    real = np.arange(BATCH.target.shape[1]) < BATCH.target_lengths[:, None]
    assert -log_probabilities[real].sum() == pytest.approx(float(losses(model, BATCH).nll), abs=1e-4)
    assert (weights is None) == (options["attention"] == "none")
    scored, looked = TorchSteps(model).score(BATCH.source, BATCH.source_lengths, BATCH.target, BATCH.target_lengths)
    assert scored.dtype == np.float32 and (scored[~real] == 0).all()
    np.testing.assert_allclose(scored, log_probabilities, atol=1e-5)
    if weights is not None:
        np.testing.assert_allclose(looked, weights, atol=1e-5)
    for beam in (1, 3):
        how = SearchConfig(beam=beam, nbest=beam)
        limits = np.full(4, 12)
        for ours, theirs in zip(
            search(fast, BATCH.source, BATCH.source_lengths, how, limits),
            search(TorchSteps(model), BATCH.source, BATCH.source_lengths, how, limits),
            strict=True,
        ):
            assert [h.tokens for h in ours] == [h.tokens for h in theirs]
            np.testing.assert_allclose([h.log_probability for h in ours], [h.log_probability for h in theirs], atol=1e-4)
            for a, b in zip(ours, theirs, strict=True):
                if a.weights is not None:
                    np.testing.assert_allclose(a.weights, b.weights, atol=1e-5)


@pytest.mark.parametrize("options", EVERY)
def test_fused_pass_equals_a_naive_loop_over_single_sentences(options):
    """One sentence at a time without padding, one decoder step at a time: the same loss and gradient."""
    model = model_of(options, torch.float64)
    fused = losses(model, BATCH)
    gradient = torch.autograd.grad(fused.loss, list(model.parameters()), allow_unused=True)
    total = torch.zeros((), dtype=torch.float64)
    for row in range(len(BATCH.rows)):
        source = torch.tensor(BATCH.source[row : row + 1, : BATCH.source_lengths[row]])
        (encoded, state), previous = model.begin(source, torch.tensor([source.shape[1]])), START
        for t, token in enumerate(BATCH.target[row, : BATCH.target_lengths[row]]):
            logits, state, _ = model.step(torch.tensor([[previous]]), state, encoded, t)
            total = total - logits.log_softmax(-1)[0, 0, token]
            previous = int(token)
    torch.testing.assert_close(fused.loss, total, rtol=1e-10, atol=0)
    if "alignment" in options:
        return  # its steps have no gradient; that of the loss is held against all alignments in test_monotonic.py
    naive = torch.autograd.grad(total, list(model.parameters()), allow_unused=True)
    for (name, _), a, b in zip(model.named_parameters(), gradient, naive, strict=True):
        assert (a is None) == (b is None), name
        if a is not None:
            torch.testing.assert_close(a, b, rtol=1e-8, atol=1e-10, msg=lambda m, name=name: f"{name}: {m}")


CHECKED = [(*p.values, 0.0) for p in EVERY if "plain" in p.id or ("general" in p.id and "fed" not in p.id)]
CHECKED += [(*p.values, rate) for p in EVERY for rate in (0.0, 0.4) if "fed" in p.id]


@pytest.mark.parametrize(("options", "dropout"), CHECKED, ids=str)
def test_gradient_by_finite_differences(options, dropout):
    model = model_of(options, torch.float64)
    model.drop.rate = dropout
    model.train(dropout > 0)

    def loss():
        torch.manual_seed(2)  # the same numbers dropped every time
        return losses(model, BATCH, 0.1).loss

    by_gradient, by_differences = slopes(model, loss)
    assert by_gradient == pytest.approx(by_differences, rel=1e-6, abs=2e-6)


@pytest.mark.parametrize("options", EVERY)
def test_padding_and_company_change_nothing(options):
    model = model_of(options, torch.float64)
    wide = dataclasses.replace(
        BATCH,
        source=np.pad(BATCH.source, ((0, 0), (0, 4))),
        target=np.pad(BATCH.target, ((0, 0), (0, 3))),
    )
    assert losses(model, wide).loss.item() == pytest.approx(losses(model, BATCH).loss.item(), rel=1e-12)
    assert losses(model, wide).tokens == BATCH.target_lengths.sum()
    alone = sum(
        losses(model, Batch(*(x[i : i + 1] for x in dataclasses.astuple(BATCH)))).loss.item() for i in range(len(BATCH.rows))
    )
    assert alone == pytest.approx(losses(model, BATCH).loss.item(), rel=1e-12)


@pytest.mark.parametrize("cell", CELLS)
def test_the_last_state_is_that_of_the_last_real_position(cell):
    """What is handed to the decoder, found again with torch's own packed layer."""
    model = model_of({"attention": "none", "cell": cell}, torch.float64)
    source, lengths, *_ = tensors(BATCH, "cpu")
    state = model.encode(source, lengths).state
    p = export_parameters(model)
    layer = cells.CELLS[cell].layer(12, 8, bidirectional=True, batch_first=True, dtype=torch.float64)
    with torch.no_grad():
        for way, suffix in (("forward", "l0"), ("backward", "l0_reverse")):
            getattr(layer, f"weight_ih_{suffix}").copy_(torch.tensor(p[f"encoder.0.{way}.w_ih"]))
            getattr(layer, f"weight_hh_{suffix}").copy_(torch.tensor(p[f"encoder.0.{way}.w_hh"]))
            getattr(layer, f"bias_ih_{suffix}").copy_(torch.tensor(p[f"encoder.0.{way}.bias"]))
            getattr(layer, f"bias_hh_{suffix}").zero_()
    x = torch.tensor(p["source.embedding"], dtype=torch.float64)[source]
    packed = torch.nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    _, last = layer(packed)
    last = last if cell == "lstm" else (last,)
    assert len(state[0]) == len(last) == CELLS[cell].parts
    for ours, theirs in zip(state[0], last, strict=True):
        torch.testing.assert_close(ours, torch.cat([theirs[0], theirs[1]], -1), rtol=0, atol=1e-6)


def test_every_cell_is_on_both_sides_and_an_option():
    assert set(cells.CELLS) == set(CELLS) == set(get_args(CellName))
    assert all(c.formula and c.source and c.title for c in CELLS.values())


@pytest.mark.parametrize("cell", CELLS)
def test_only_the_forget_gate_starts_open(cell):
    p = export_parameters(Seq2Seq(dataclasses.replace(SMALL, cell=cell), V, V))
    for name, size in (("encoder.0.forward.bias", 8), ("encoder.0.backward.bias", 8), ("decoder.0.bias", 16)):
        expected = np.zeros(CELLS[cell].gates * size)
        expected[size : 2 * size] = cell == "lstm"
        if cell == "rnn":
            expected[:] = 0
        np.testing.assert_array_equal(p[name], expected)


@pytest.mark.parametrize("pads", [False, True])
@pytest.mark.parametrize("size", [7, 8])
@pytest.mark.parametrize("cell", CELLS)
def test_a_layer_has_an_even_number_of_inputs(cell, size, pads):
    """What makes it even learns nothing, whether a caller has filled its input or not."""
    torch.manual_seed(0)
    layer, x = cells.new_layer(cell, size, 5, pads), torch.randn(3, 4, size)
    used = size + (pads or cell == "gru")
    assert layer.input_size == used + used % 2
    outputs, _ = cells.run(layer, x)
    torch.testing.assert_close(cells.run(layer, cells.widened(layer, x))[0], outputs, rtol=0, atol=0)
    outputs.sum().backward()
    gradient = layer.weight_ih_l0.grad
    assert (gradient[:, :used] != 0).any(0).all() and not gradient[:, used:].any() and not layer.weight_ih_l0[:, used:].any()


def test_a_reversed_source_is_read_backwards_and_its_weights_lie_in_its_own_order():
    """As the same weights read a source that was turned around by hand; NumPy as torch."""
    options = {"attention": "general", "bidirectional": False}
    plain, turned = model_of(options, torch.float64), model_of(options | {"reverse_source": True}, torch.float64)
    by_hand = BATCH.source.copy()
    for row, n in zip(by_hand, BATCH.source_lengths, strict=True):
        row[: n - 1] = row[: n - 1][::-1].copy()
    source, lengths, target, _ = tensors(BATCH, "cpu")
    inputs = shifted(target)
    found, wanted = turned.encode(source, lengths), plain.encode(torch.tensor(by_hand), lengths)
    torch.testing.assert_close(found.state, wanted.state, rtol=0, atol=0)
    weights = turned.attend(turned.decode(inputs, found.state)[0], found)[1]
    as_read = plain.attend(plain.decode(inputs, wanted.state)[0], wanted)[1]
    for row, n in enumerate(BATCH.source_lengths):
        torch.testing.assert_close(weights[row, :, : n - 1].flip(-1), as_read[row, :, : n - 1])
        torch.testing.assert_close(weights[row, :, n - 1 :], as_read[row, :, n - 1 :])
    assert not torch.allclose(weights, as_read, atol=1e-3)
    numpy_weights = NumpyModel(turned.config, export_parameters(turned)).score(
        BATCH.source, BATCH.source_lengths, BATCH.target, BATCH.target_lengths
    )[1]
    rows = np.arange(inputs.shape[1]) < BATCH.target_lengths[:, None]
    np.testing.assert_allclose(numpy_weights[rows], weights.detach().numpy()[rows], atol=1e-5)


@pytest.mark.parametrize("options", EVERY)
def test_parameters_out_and_in_again(options):
    model, other = model_of(options), model_of(options, seed=5)
    import_parameters(other, export_parameters(model))
    assert float(losses(other, BATCH).loss) == pytest.approx(float(losses(model, BATCH).loss), rel=1e-6)


def test_dropout_keeps_one_mask_a_sentence():
    torch.manual_seed(0)
    model = Seq2Seq(SMALL, V, V, dropout=0.5).train()
    x = model.drop.by_sentence(torch.ones(3, 5, 8))
    assert set(x.unique().tolist()) == {0.0, 2.0}
    assert (x == x[:, :1]).all()
    assert not (x[0] == x[1]).all()
    assert (model.eval().drop.by_sentence(torch.ones(3, 5, 8)) == 1).all()


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_dropout_by_number(rate):
    """As many are dropped as it says, each by itself, and the mean stays; the same seed drops the same."""
    drop, x = Seq2Seq(SMALL, V, V, dropout=rate).train().drop, torch.ones(301, 1001)
    torch.manual_seed(3)
    found = drop.by_number(x)
    torch.manual_seed(3)
    assert torch.equal(found, drop.by_number(x)) and not torch.equal(found, drop.by_number(x))
    kept = found != 0
    assert found[kept].unique().tolist() == pytest.approx([1 / (1 - rate)], rel=1e-4)
    deviation = (rate * (1 - rate) / x.numel()) ** 0.5
    assert float((~kept).double().mean()) == pytest.approx(rate, abs=5 * deviation)
    pairs = (~kept[:, :-1] & ~kept[:, 1:]).double().mean()  # neighbours, most of them out of one draw
    assert float(pairs) == pytest.approx(rate**2, abs=10 * deviation)
    assert drop.eval().by_number(x) is x
