"""Input feeding: what it needs, that the vector really is fed, half precision, and that a step leaves nothing behind."""

import gc

import numpy as np
import pytest
import torch
from small_models import BATCH, losses, model_of

from jumok.config import ModelConfig, TrainConfig, build
from jumok.errors import ConfigError
from jumok.learn.evaluation import tensors
from jumok.net import cells
from jumok.net.export import export_parameters
from jumok.net.model import shifted
from jumok.runtime.cells import CELLS
from jumok.scores import ATTENTIONS

SOURCE, LENGTHS, TARGET, REAL = tensors(BATCH, "cpu")


@pytest.mark.parametrize("options", [{"attention": "none"}, {"readout": "linear"}])
@pytest.mark.parametrize("cls", [ModelConfig, TrainConfig])
def test_it_needs_attention_and_a_tanh_readout(cls, options):
    with pytest.raises(ConfigError, match=r"here: input_feeding is on with attention .* and readout .*; it feeds tanh"):
        build(cls, {"input_feeding": True, **options}, "here")
    assert build(cls, {"input_feeding": False, **options}, "here")


@pytest.mark.parametrize("cell", CELLS)
def test_one_step_of_each_cell_is_that_of_torchs_layer(cell):
    torch.manual_seed(0)
    layer = cells.new_layer(cell, 5, 6, pads=False)
    x, state = torch.randn(3, 1, 5), tuple(torch.randn(3, 6) for _ in range(CELLS[cell].parts))
    a = cells.arrays(layer)
    found = cells.CELLS[cell].step(x[:, 0] @ a["w_ih"].t() + a["bias"], state[0] @ a["w_hh"].t(), state)
    _, wanted = cells.run(layer, x, state)
    for ours, theirs in zip(found, wanted, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_without_its_weights_it_is_the_fused_pass():
    """And with them it is not, from the second step on."""
    fed, plain = model_of({"input_feeding": True}, torch.float64), model_of({}, torch.float64)
    weights = dict(plain.named_parameters())
    with torch.no_grad():
        for name, w in fed.named_parameters():
            if name == "decoder.layers.0.weight_ih_l0":
                weights[name].copy_(w[:, :12])
            else:
                weights[name].copy_(w)
        first = (BATCH.target_lengths.cumsum() - BATCH.target_lengths).tolist()
        rows = [model.readout(SOURCE, LENGTHS, shifted(TARGET), TARGET, REAL)[0] for model in (fed, plain)]
        torch.testing.assert_close(rows[0][first], rows[1][first])
        later = [i for i in range(len(REAL)) if i not in first]
        assert ((rows[0][later] - rows[1][later]).abs().amax(1) > 1e-3).all()
        fed.decoder.layers[0].weight_ih_l0[:, 12:] = 0
    torch.testing.assert_close(losses(fed, BATCH).loss, losses(plain, BATCH).loss, rtol=1e-12, atol=0)


def test_only_the_embeddings_half_takes_their_factor_into_the_folder():
    model = model_of({"input_feeding": True, "readout_size": 14})
    parameters, w = export_parameters(model), model.decoder.layers[0].weight_ih_l0.detach().numpy()
    np.testing.assert_array_equal(parameters["decoder.0.w_ih"], w[:, :12] * model.scale)
    np.testing.assert_array_equal(parameters["decoder.0.w_feed"], w[:, 12:])


HALF = [
    *({"attention": a, "input_feeding": True} for a in ATTENTIONS if a != "none"),
    {"input_feeding": True, "window": "local-p"},
    {"input_feeding": True, "layers": 2},
]


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("options", HALF, ids=str)
def test_half_precision_is_near_the_whole(options, cell):
    model = model_of({**options, "cell": cell})
    parameters = list(model.parameters())
    exact = losses(model, BATCH).loss
    theirs = torch.cat([g.flatten() for g in torch.autograd.grad(exact, parameters)])
    try:
        with torch.autocast("cpu", torch.bfloat16):
            found = losses(model, BATCH).loss
    except RuntimeError as e:
        if "primitive" not in str(e):
            raise
        pytest.skip(f"this CPU has no bfloat16 {cell} in oneDNN: {e}")
    assert found.item() == pytest.approx(exact.item(), rel=0.02)
    ours = torch.cat([g.flatten() for g in torch.autograd.grad(found, parameters)])
    assert ours.dtype == torch.float32
    assert float(torch.nn.functional.cosine_similarity(ours, theirs, 0)) > 0.99


def test_a_step_leaves_nothing_behind():
    """The loop's gradients are made by closures inside the graph; none of them may keep it alive."""
    model = model_of({"input_feeding": True, "layers": 2})
    counts = []
    gc.collect()
    gc.disable()
    try:
        for _ in range(4):
            losses(model, BATCH).loss.backward()
            counts.append(sum(issubclass(type(o), torch.Tensor) for o in gc.get_objects()))
    finally:
        gc.enable()
    assert counts[1] == counts[2] == counts[3]
