"""The fused loss beside torch's own cross-entropy, values and gradients."""

import pytest
import torch
from torch.nn import functional as F

from jumok.net import loss as losses
from jumok.net.loss import linear_cross_entropy

N, R, V = 9, 5, 13


def leaves(dtype=torch.float64, count=N):
    g = torch.Generator().manual_seed(0)
    readout, weight, bias = (torch.randn(*s, generator=g, dtype=dtype).requires_grad_() for s in ((count, R), (V, R), (V,)))
    return readout, weight, bias, torch.randint(V, (count,), generator=g)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.7])
@pytest.mark.parametrize("count", [N, 70])
@pytest.mark.parametrize(  # of 70 positions: three pieces, the last one of six; one piece; and so for what is gathered
    ("piece", "gathered"), [(1, 1 << 20), (1 << 20, 1 << 20), (1, 1), (1, 64 * 32 * 8), (1 << 20, 64 * 32 * 8)]
)
def test_equals_torch(smoothing, count, piece, gathered, monkeypatch):
    monkeypatch.setitem(losses.PIECE, "cpu", piece)
    monkeypatch.setitem(losses.GATHERED, "cpu", gathered)
    readout, weight, bias, target = leaves(count=count)
    loss, nll = linear_cross_entropy(readout, weight, bias, target, smoothing)
    logits = F.linear(readout, weight, bias)
    expected = F.cross_entropy(logits, target, reduction="sum", label_smoothing=smoothing)
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(nll, F.cross_entropy(logits, target, reduction="sum"))
    found = torch.autograd.grad(loss * 0.37, (readout, weight, bias))
    for a, b in zip(found, torch.autograd.grad(expected * 0.37, (readout, weight, bias)), strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("filling", [1, 40, 64])  # inside the last piece, across pieces, a piece of nothing else
@pytest.mark.parametrize("gathered", [1, 1 << 20])
def test_filling_counts_for_nothing(smoothing, filling, gathered, monkeypatch):
    monkeypatch.setitem(losses.PIECE, "cpu", 1)
    monkeypatch.setitem(losses.GATHERED, "cpu", gathered)
    readout, weight, bias, target = leaves(count=32)
    more = torch.cat([readout, torch.full((filling, R), 3.0)])
    plain, filled = (linear_cross_entropy(r, weight, bias, target, smoothing) for r in (readout, more))
    torch.testing.assert_close(filled, plain)
    found, expected = (torch.autograd.grad(loss, (readout, weight, bias)) for loss, _ in (filled, plain))
    torch.testing.assert_close(found, expected)


def test_bfloat16_is_near_the_truth():
    """Its logits and their gradient are rounded to 8 bits; sums over positions are not."""
    readout, weight, bias, target = leaves(torch.float32, count=70)
    rounded = [x.detach().bfloat16() for x in (readout, weight)]
    half = rounded[0].requires_grad_()
    loss, nll = linear_cross_entropy(half, rounded[1].float().requires_grad_(), bias, target, 0.1)
    exact = F.linear(half.float(), rounded[1].float(), bias)
    expected = F.cross_entropy(exact, target, reduction="sum", label_smoothing=0.1)
    assert (loss.dtype, nll.dtype) == (torch.float32, torch.float32)
    torch.testing.assert_close(loss, expected, rtol=2e-3, atol=0)
    (found,), (right,) = torch.autograd.grad(loss, half), torch.autograd.grad(expected, half)
    assert (found - right).norm() < 0.02 * right.norm()


@pytest.mark.parametrize("often", [False, True])
@pytest.mark.parametrize("matmul", ["highest", "medium"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("count", [N, 70])
def test_a_weight_put_in_order_gives_the_same(dtype, matmul, count, often):
    """The output layer alone, whichever library and order of the weight it takes, also of fewer rows than in the last call."""
    readout, weight, bias, _ = (x.detach().to(dtype) for x in leaves(torch.float32, count=count))
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision(matmul)
        layer = losses._layer(weight, bias, often)
        found = [layer(readout), layer(readout[:1]), layer(readout)]
    finally:
        torch.set_float32_matmul_precision(before)
    right = F.linear(*(x.double() for x in (readout, weight, bias)))
    for logits, exact in zip(found, (right, right[:1], right), strict=True):
        torch.testing.assert_close(logits.double(), exact, rtol=2e-5 if dtype == torch.float32 else 0.02, atol=1e-5)


def test_large_logits_are_safe():
    """A gold token whose probability is 0 in this format has its true surprise all the same."""
    readout, weight, bias, target = leaves(torch.float32)
    logits = F.linear(readout * 1e3, weight, bias)
    loss, nll = linear_cross_entropy(readout * 1e3, weight, bias, target, 0.1)
    assert (logits.softmax(1).gather(1, target[:, None]) == 0).any()
    torch.testing.assert_close(nll, F.cross_entropy(logits, target, reduction="sum"))
    torch.testing.assert_close(loss, F.cross_entropy(logits, target, reduction="sum", label_smoothing=0.1))


def test_without_gradient():
    readout, weight, bias, target = leaves()
    with torch.no_grad():
        loss, nll = linear_cross_entropy(readout, weight, bias, target)
    torch.testing.assert_close(loss, nll)
