"""The schedules: every entry of the table runs from 1 to its end, and the rate as worked by hand."""

import itertools

import pytest

from jumok.schedules import DECAYS, learning_rate


@pytest.mark.parametrize("name", DECAYS)
def test_a_decay_starts_at_one_and_never_rises(name):
    values = [DECAYS[name](i / 100) for i in range(101)]
    assert values[0] == 1
    assert all(a >= b for a, b in itertools.pairwise(values))
    assert values[-1] == pytest.approx(1 if name == "constant" else 0)


def test_rate_by_hand():
    rates = [learning_rate(step, 10, 2.0, 0.2, "linear") for step in range(10)]
    assert rates == pytest.approx([1.0, 2.0, 2.0, 1.75, 1.5, 1.25, 1.0, 0.75, 0.5, 0.25])


def test_a_run_of_one_step():
    assert learning_rate(0, 1, 3.0, 0.05, "cosine") == 3.0
