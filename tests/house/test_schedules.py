"""The schedules: every entry of the table runs from 1 to its end, and the rate as worked by hand."""

import itertools
from typing import get_args

import pytest

from jumok.config import DecayName, TeacherForcingName
from jumok.schedules import DECAYS, TEACHER_FORCING, gold_share, learning_rate


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


@pytest.mark.parametrize("name", TEACHER_FORCING)
def test_gold_share_stays_a_share_and_never_rises(name):
    shares = [gold_share(name, step, 200, 0.1, 120) for step in range(200)]
    assert all(0 <= share <= 1 for share in shares)
    assert all(a >= b for a, b in itertools.pairwise(shares))
    if name not in ("always", "never"):
        assert shares[0] == pytest.approx(1, abs=0.01)
        assert shares[-1] == pytest.approx(0.1, abs=0.02)


def test_gold_shares_by_hand():
    assert [gold_share("two-phase", step, 10, 0.2, 6) for step in (0, 5, 6, 9)] == [1, 1, 0.2, 0.2]
    assert gold_share("linear", 5, 10, 0.0, 0) == pytest.approx(0.5)
    assert gold_share("exponential", 5, 10, 0.25, 0) == pytest.approx(0.5)
    assert gold_share("inverse-sigmoid", 5, 10, 0.0, 0) == pytest.approx(0.5)


def test_tables_and_options_name_the_same():
    assert set(get_args(TeacherForcingName)) == set(TEACHER_FORCING)
    assert set(get_args(DecayName)) == set(DECAYS)
