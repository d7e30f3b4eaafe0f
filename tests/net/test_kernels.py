"""Torch's private operators: with each hidden alone, and with all, the plain way gives the same."""

import pytest
import torch

from jumok.learn.adam import Adam
from jumok.net import kernels, loss

ORDERED = ["_linear_pointwise", "_reorder_linear_weight", "_is_mkldnn_bf16_supported"]  # of torch.ops.mkldnn
WHOLE = ["_foreach_lerp_", "_foreach_div_", "_fused_adamw_"]  # of torch
CASES = [*([name] for name in (*ORDERED, *WHOLE)), [*ORDERED, *WHOLE]]


class Without:
    """A namespace of operators that lacks some."""

    def __init__(self, real, hidden):
        self.real, self.hidden = real, hidden

    def __getattr__(self, name):
        if name in self.hidden:
            raise AttributeError(name)
        return getattr(self.real, name)


@pytest.fixture
def hide(monkeypatch):
    def hide(names):
        kernels._puts_in_order.cache_clear()
        monkeypatch.setattr(torch.ops, "mkldnn", Without(torch.ops.mkldnn, names))
        for name in set(names) & {*WHOLE}:
            monkeypatch.delattr(torch, name)

    yield hide
    monkeypatch.undo()
    kernels._puts_in_order.cache_clear()


@pytest.fixture(params=["highest", "medium"])
def matmul(request):
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(request.param)
    yield
    torch.set_float32_matmul_precision(before)


def steps(dtype=torch.float32):
    """Weights, moments and averages after some steps, one of them skipped, one of gradients that are divided."""
    g = torch.Generator().manual_seed(0)
    weights = [torch.randn(shape, generator=g, dtype=dtype) for shape in ((7, 5), (5,), ())]
    average = [w.clone() for w in weights]
    adam = Adam(weights, weight_decay=0.01)
    for step, (skip, divisor) in enumerate([(0.0, None), (0.0, 3.0), (1.0, 2.0), (0.0, None), (None, None)]):
        for w in weights:
            w.grad = torch.randn(w.shape, generator=g, dtype=dtype)
        if step == 3:
            kernels.divide_([w.grad for w in weights], torch.tensor(1.7, dtype=dtype))
        adam.step(0.01, *(None if value is None else torch.tensor(value) for value in (skip, divisor)))
        kernels.lerp_(average, weights, 0.3)
    return [*weights, *average, *(value for state in adam.state.values() for value in state.values())]


@pytest.mark.parametrize("hidden", CASES, ids="+".join)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_updates_are_the_same_without_a_private_operator(hide, hidden, dtype):
    right = steps(dtype)
    hide(hidden)
    for found, exact in zip(steps(dtype), right, strict=True):
        torch.testing.assert_close(found, exact, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("hidden", CASES, ids="+".join)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_output_layer_is_the_same_without_a_private_operator(hide, hidden, dtype, matmul, monkeypatch):
    """Loss and gradients, with logits formed in pieces."""
    monkeypatch.setitem(loss.PIECE, "cpu", 1)
    g = torch.Generator().manual_seed(1)
    weight, bias, readout = (torch.randn(shape, generator=g) for shape in ((40, 32), (40,), (70, 32)))
    target = torch.randint(40, (70,), generator=g)

    def losses():
        given = [x.to(kind).requires_grad_() for x, kind in ((readout, dtype), (weight, torch.float32), (bias, torch.float32))]
        total, nll = loss.linear_cross_entropy(*given, target, 0.1)
        return [total, nll, *torch.autograd.grad(total, given)]

    right = losses()
    hide(hidden)
    close = {"rtol": 1e-4, "atol": 1e-4} if dtype == torch.float32 else {"rtol": 0.02, "atol": 0.1}
    for found, exact in zip(losses(), right, strict=True):
        torch.testing.assert_close(found, exact, **close)
    if set(hidden) & {"_linear_pointwise", "_reorder_linear_weight"}:
        assert kernels.linear(weight, bias) is None


def test_an_operator_of_other_arguments_or_other_results_is_left_alone(hide, matmul):
    """As a newer torch might have it."""
    weight, bias = torch.ones(4, 4), torch.ones(4)
    for other in (lambda x: x, lambda *given: given[0] * 0):
        hide([])
        torch.ops.mkldnn._linear_pointwise = other
        assert kernels.linear(weight, bias) is None


def test_private_names_of_torch_are_called_in_one_file_only():
    """And Adam's kernel, which torch's own function calls."""
    import re
    from pathlib import Path

    private = re.compile(r"(?:\btorch(?:\.\w+)*|\bops|\bnn|\bF|\bdist)\._(?!_)\w+")
    folder = Path(kernels.__file__).resolve().parent
    found = {
        path.relative_to(folder).as_posix(): names
        for path in sorted(folder.rglob("*.py"))
        if (names := private.findall(path.read_text(encoding="utf-8")))
    }
    assert set(found) == {"kernels.py"}, found
