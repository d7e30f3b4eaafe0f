"""The statistics of studies against planted answers: intervals, bootstrap, rank correlation, buckets; and what sentences say."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jumok.studies.statistics import (
    Interval,
    bootstrap_difference,
    buckets,
    difference,
    kendall,
    ranks,
    spearman,
    t_interval,
    t_quantile,
)
from jumok.studies.wording import compared, number


@pytest.mark.parametrize(
    ("freedom", "quantile"), [(1, 12.706), (2, 4.303), (9, 2.262), (11, 2.201), (15, 2.131), (30, 2.042), (120, 1.980)]
)
def test_t_quantiles_are_those_of_the_tables(freedom, quantile):
    assert t_quantile(freedom) == pytest.approx(quantile, abs=6e-4)


def test_t_quantile_is_the_distributions_own():
    """Integrating Student's density from 0 gives 0.475, for both ways the quantile is found."""
    for v in (3, 10, 11, 14):
        x = np.linspace(0, t_quantile(v), 200_001)
        density = (
            np.exp(math.lgamma((v + 1) / 2) - math.lgamma(v / 2)) / math.sqrt(v * math.pi) * (1 + x**2 / v) ** (-(v + 1) / 2)
        )
        assert float(((density[1:] + density[:-1]) / 2 * np.diff(x)).sum()) == pytest.approx(0.475, abs=2e-5)


def test_t_interval_worked_by_hand():
    found = t_interval([2.0, 4.0, 6.0])  # s = 2, t = 4.3027, half = 4.3027 · 2 / √3
    assert (found.mean, found.n) == (4.0, 3)
    assert found.half == pytest.approx(4.9683, abs=1e-3)
    assert not found.clear and t_interval([4.0, 4.1, 4.2]).clear
    assert t_interval([7.0]) == Interval(7.0, None, 1) and not t_interval([7.0]).clear


def test_t_interval_covers_as_often_as_it_says():
    rng = np.random.default_rng(1)
    samples = rng.normal(3.0, 2.0, (2000, 3))
    covered = np.mean([abs(t_interval(s).mean - 3.0) <= t_interval(s).half for s in samples])
    assert 0.93 < covered < 0.97


def test_difference_is_paired_by_seed():
    a, b = {1: 10.0, 2: 20.0, 3: 30.0, 4: 99.0}, {1: 9.0, 2: 19.0, 3: 29.1}
    found = difference(a, b)
    assert found.n == 3 and found.mean == pytest.approx(2.9 / 3)
    assert found.clear  # though the two overlap widely when they are not paired


def test_bootstrap_finds_the_planted_difference():
    rng = np.random.default_rng(2)
    a = np.stack([rng.random(4000) < 0.8, np.ones(4000)], axis=1).astype(float)
    b = np.stack([rng.random(4000) < 0.5, np.ones(4000)], axis=1).astype(float)
    low, high = bootstrap_difference(a, b)
    assert 26 < low < 30 < high < 34
    assert bootstrap_difference(a, a) == (0.0, 0.0)  # paired: the same sentences are drawn on both sides


def test_ranks_share_ties():
    assert ranks(np.array([10.0, 20.0, 20.0, 5.0])).tolist() == [2.0, 3.5, 3.5, 1.0]


def test_rank_correlations_worked_by_hand():
    x, y = np.array([1.0, 2, 3, 4]), np.array([1.0, 2, 4, 3])
    assert kendall(x, y) == pytest.approx(4 / 6)  # 5 pairs in the same order, 1 in the other
    assert spearman(x, y) == pytest.approx(0.8)  # 1 - 6 · 2 / (4 · 15)
    tied = np.array([1.0, 1, 2, 2])
    assert kendall(tied, x) == pytest.approx(4 / math.sqrt(4 * 6))  # τ-b
    assert kendall(x, np.ones(4)) is None and spearman(x, np.ones(4)) is None and kendall(x[:1], x[:1]) is None


@given(st.lists(st.integers(0, 5), min_size=2, max_size=12), st.randoms())
def test_kendall_is_the_count_over_pairs(values, random):
    other = [random.randint(0, 5) for _ in values]
    pairs = [
        ((a > c) - (a < c), (b > d) - (b < d)) for (a, b), (c, d) in itertools.combinations(zip(values, other, strict=True), 2)
    ]
    scale = math.sqrt(sum(a * a for a, _ in pairs) * sum(b * b for _, b in pairs))
    found = kendall(np.array(values, float), np.array(other, float))
    assert found is None if scale == 0 else found == pytest.approx(sum(a * b for a, b in pairs) / scale)


@given(st.permutations(range(8)))
def test_correlations_of_an_order_with_itself_and_its_reverse(order):
    x = np.array(order, float)
    assert kendall(x, x) == pytest.approx(1) and spearman(x, x) == pytest.approx(1)
    assert kendall(x, -x) == pytest.approx(-1) and spearman(x, -x) == pytest.approx(-1)


def test_quarters_by_length():
    found = buckets(np.array([8, 1, 2, 3, 4, 5, 6, 7]), 4)
    assert [b.label for b in found] == ["1–2", "3–4", "5–6", "7–8"]
    assert found[3].rows.tolist() == [0, 7] and not any(b.beyond for b in found)


def test_what_is_longer_than_training_is_a_part_of_its_own():
    found = buckets(np.arange(1, 13), 4, longest=8, beyond_parts=2)
    assert [(b.label, b.beyond) for b in found][-2:] == [("9–10", True), ("11–12", True)]
    assert [b.high for b in found if not b.beyond][-1] == 8


@given(st.lists(st.integers(1, 9), min_size=1, max_size=60), st.integers(1, 6), st.integers(1, 9))
def test_buckets_part_the_sentences_and_never_a_length(lengths, parts, longest):
    a = np.array(lengths)
    found = buckets(a, parts, longest, 2)
    assert sorted(i for b in found for i in b.rows.tolist()) == list(range(len(a)))
    assert len(found) <= parts + 2
    for b in found:
        assert {b.low, b.high} <= set(a[b.rows].tolist()) and ((a[b.rows] > longest) == b.beyond).all()
    for one, other in itertools.pairwise(found):
        assert one.high < other.low


def test_sentences_follow_from_the_numbers():
    assert compared("a", "b", Interval(3.0, 1.0, 3), "BLEU", "here") == "a is ahead of b by 3.0 ± 1.0 BLEU here (3 seeds)."
    assert compared("a", "b", Interval(-3.0, 1.0, 3), "BLEU") == "b is ahead of a by 3.0 ± 1.0 BLEU (3 seeds)."
    assert compared("a", "b", Interval(-3.0, 1.0, 3), "errors", higher_is_better=False).startswith(
        "a is ahead of b by 3.0 ± 1.0"
    )
    assert compared("a", "b", Interval(0.5, 1.0, 3), "BLEU").startswith("No clear difference between a and b: 0.5 ± 1.0 BLEU")
    assert "one seed only" in compared("a", "b", Interval(9.0, None, 1), "BLEU")
    assert "level" in compared("a", "b", Interval(0.01, None, 1), "BLEU")
    assert number(-0.04) == "0.0" and number(-0.06) == "-0.1" and number(12345.6, 0) == "12,346"
