"""The fused loss beside torch's own cross-entropy, values and gradients."""

import pytest
import torch
from torch.nn import functional as F

from jumok.learn.loss import linear_cross_entropy

N, R, V = 9, 5, 13


def leaves(dtype=torch.float64):
    g = torch.Generator().manual_seed(0)
    readout, weight, bias = (torch.randn(*s, generator=g, dtype=dtype).requires_grad_() for s in ((N, R), (V, R), (V,)))
    return readout, weight, bias, torch.randint(V, (N,), generator=g)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.7])
def test_equals_torch(smoothing):
    readout, weight, bias, target = leaves()
    loss, nll = linear_cross_entropy(readout, weight, bias, target, smoothing)
    logits = F.linear(readout, weight, bias)
    expected = F.cross_entropy(logits, target, reduction="sum", label_smoothing=smoothing)
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(nll, F.cross_entropy(logits, target, reduction="sum"))
    found = torch.autograd.grad(loss * 0.37, (readout, weight, bias))
    for a, b in zip(found, torch.autograd.grad(expected * 0.37, (readout, weight, bias)), strict=True):
        torch.testing.assert_close(a, b)


def test_large_logits_are_safe():
    readout, weight, bias, target = leaves(torch.float32)
    loss, _ = linear_cross_entropy(readout * 1e3, weight, bias, target, 0.1)
    assert torch.isfinite(loss)


def test_without_gradient():
    readout, weight, bias, target = leaves()
    with torch.no_grad():
        loss, nll = linear_cross_entropy(readout, weight, bias, target)
    torch.testing.assert_close(loss, nll)
