"""Every window in the table: worked by hand, beside loops, NumPy beside torch, finite differences, pads, steps one by one."""

from typing import get_args

import numpy as np
import pytest
import torch

from jumok import scores
from jumok.config import ModelConfig, TrainConfig, WindowName, build
from jumok.errors import ConfigError
from jumok.windows import WINDOWS

H, A, B, T, S, D = 6, 5, 3, 4, 7, 2
LENGTHS = np.array([7, 1, 4])


def parameters(name, dtype=np.float64, seed=0):
    rng = np.random.default_rng(seed)
    return {k: 2 * rng.normal(size=shape).astype(dtype) for k, shape in WINDOWS[name].shapes(H, A).items()}


def inputs(dtype=np.float64, seed=1):
    rng = np.random.default_rng(seed)
    query, raw = rng.normal(size=(B, T, H)).astype(dtype), rng.normal(size=(B, T, S)).astype(dtype)
    return query, raw, np.arange(S) < LENGTHS[:, None]


def weights(xp, name, p, query, raw, mask, steps, size=D):
    return scores.weights(xp, raw + WINDOWS[name].prior(xp, p, query, mask, steps, size), mask)


def factor(name, p, h, t, s, n, size):
    """What Luong et al. multiply e to the score with: query h [H] of step t, position s of n."""
    if name == "local-m":
        nearest = n - 1  # what is left where the window lies beyond the source
        return float(t - size <= s <= t + size or (t - size > n - 1 and s == nearest))
    if name == "local-p":
        inner = sum(p["v_p"][a] * np.tanh(sum(p["W_p"][a, i] * h[i] for i in range(H))) for a in range(A))
        centre, sigma = n / (1 + np.exp(-inner)), size / 2
        return np.exp(-((s - centre) ** 2) / (2 * sigma**2)) if centre - size <= s <= centre + size else 0.0
    raise NotImplementedError(f"write window {name!r} here as its paper has it")


@pytest.mark.parametrize("xp", [np, torch], ids=["numpy", "torch"])
def test_monotone_by_hand(xp):
    """Equal scores, D = 1, a source of 4: at step 0 two positions, then three, then two, then the last one for ever."""
    mask, steps = xp.asarray(np.array([[True] * 4 + [False]])), xp.asarray(np.array([0, 1, 3, 4, 9]))
    found = weights(xp, "local-m", {}, xp.zeros((1, 5, H)), xp.zeros((1, 5, 5)), mask, steps, 1)
    half, third = 1 / 2, 1 / 3
    expected = [
        [half, half, 0, 0, 0],
        [third, third, third, 0, 0],
        [0, 0, half, half, 0],
        [0, 0, 0, 1, 0],
        [0, 0, 0, 1, 0],
    ]
    np.testing.assert_allclose(np.asarray(found[0]), expected, rtol=1e-6)


@pytest.mark.parametrize("xp", [np, torch], ids=["numpy", "torch"])
def test_predictive_by_hand(xp):
    """Weights of 0 put p_t at half of the 4 real positions: distances -2, -1, 0, 1, and with D = 2, σ = 1."""
    p = {"W_p": xp.zeros((A, H)), "v_p": xp.zeros((A,))}
    mask = xp.asarray(np.array([[True] * 4 + [False]]))
    found = weights(xp, "local-p", p, xp.ones((1, 1, H)), xp.zeros((1, 1, 5)), mask, xp.zeros((1,)), 2)
    gauss = np.array([np.exp(-2.0), np.exp(-0.5), 1.0, np.exp(-0.5), 0.0])
    np.testing.assert_allclose(np.asarray(found[0, 0]), gauss / gauss.sum(), rtol=1e-6)


@pytest.mark.parametrize("name", WINDOWS)
@pytest.mark.parametrize("size", [1, 2, 10])
def test_equals_the_formula_in_loops(name, size):
    """The softmax times the paper's factor, divided by its sum."""
    p, (query, raw, mask) = parameters(name), inputs()
    found = weights(np, name, p, query, raw, mask, np.arange(T), size)
    for b, n in enumerate(LENGTHS):
        for t in range(T):
            align = np.exp(raw[b, t, :n]) / np.exp(raw[b, t, :n]).sum()
            a = align * [factor(name, p, query[b, t], t, s, n, size) for s in range(n)]
            np.testing.assert_allclose(found[b, t, :n], a / a.sum(), rtol=1e-10)
            assert (found[b, t, n:] == 0).all()


@pytest.mark.parametrize("name", WINDOWS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_numpy_equals_torch_in_either_precision(name, dtype):
    p, (query, raw, mask) = parameters(name, dtype), inputs(dtype)
    found = weights(np, name, p, query, raw, mask, np.arange(T))
    theirs = weights(
        torch, name, {k: torch.tensor(v) for k, v in p.items()}, *map(torch.tensor, (query, raw, mask, np.arange(T)))
    )
    assert found.dtype == theirs.numpy().dtype == dtype
    np.testing.assert_allclose(found, theirs.numpy(), rtol=1e-4 if dtype is np.float32 else 1e-12)


@pytest.mark.parametrize("name", WINDOWS)
def test_rows_sum_to_one_and_some_of_them_are_cut(name):
    p, (query, raw, mask) = parameters(name), inputs()
    found = weights(np, name, p, query, raw, mask, np.arange(T), 1)
    np.testing.assert_allclose(found.sum(-1), 1, rtol=1e-12)
    assert (found[0] == 0).any(-1).all() and (found[1, :, 0] == 1).all()


@pytest.mark.parametrize("name", WINDOWS)
def test_gradients_by_finite_differences(name):
    p, (query, raw, mask) = parameters(name), inputs()
    leaves = [torch.tensor(x, requires_grad=True) for x in (query, raw, *p.values())]

    def found(query, raw, *values):
        return weights(torch, name, dict(zip(p, values, strict=True)), query, raw, torch.tensor(mask), torch.arange(T))

    assert torch.autograd.gradcheck(found, leaves)


@pytest.mark.parametrize("name", WINDOWS)
def test_padding_and_company_change_nothing(name):
    p, (query, raw, mask) = parameters(name), inputs()
    together = weights(np, name, p, query, raw, mask, np.arange(T))
    for b, n in enumerate(LENGTHS):
        one = slice(b, b + 1)
        alone = weights(np, name, p, query[one], raw[one, :, :n], mask[one, :n], np.arange(T))
        np.testing.assert_allclose(together[one, :, :n], alone, rtol=1e-12)


@pytest.mark.parametrize("name", WINDOWS)
def test_all_steps_at_once_equal_each_by_itself_and_beams_share_theirs(name):
    p, (query, raw, mask) = parameters(name), inputs()
    together = weights(np, name, p, query, raw, mask, np.arange(T))
    for t in range(T):
        one = slice(t, t + 1)
        np.testing.assert_allclose(
            weights(np, name, p, query[:, one], raw[:, one], mask, np.array([t])), together[:, one], rtol=1e-12
        )
        beams = weights(np, name, p, query[:, [t] * 3], raw[:, [t] * 3], mask, np.array([t]))
        np.testing.assert_allclose(beams, together[:, [t] * 3], rtol=1e-12)


@pytest.mark.parametrize("name", WINDOWS)
@pytest.mark.parametrize("far", [1e4, -1e4])
def test_something_is_always_in_sight(name, far):
    """However far the step, and wherever the prediction is driven to."""
    p, (query, raw, mask) = parameters(name, np.float32), inputs(np.float32)
    p = {k: np.full_like(v, far if k == "v_p" else 1) for k, v in p.items()}
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        found = weights(np, name, p, np.abs(query), raw, mask, np.full(T, 5000), 1)
    np.testing.assert_allclose(found.sum(-1), 1, rtol=1e-6)
    assert (found[np.broadcast_to(~mask[:, None], found.shape)] == 0).all()


def test_table_and_option_name_the_same_windows():
    assert set(get_args(WindowName)) == {"none", *WINDOWS}
    assert all(window.formula and window.source for window in WINDOWS.values())


@pytest.mark.parametrize("attention", ["none", "location"])
@pytest.mark.parametrize("cls", [ModelConfig, TrainConfig])
def test_a_window_needs_a_content_score(cls, attention):
    with pytest.raises(ConfigError, match=f"here: window is 'local-m' with attention '{attention}'"):
        build(cls, {"attention": attention, "window": "local-m"}, "here")
    with pytest.raises(ConfigError, match="window_size is 0"):
        build(cls, {"window": "local-p", "window_size": 0}, "here")
