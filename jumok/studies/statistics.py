"""How sure a number is: t-intervals over seeds, the paired bootstrap over sentences, rank correlation, buckets by length."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from jumok.errors import DataError

# 97.5 % quantiles of Student's t for 1 to 10 degrees of freedom; beyond, `t_quantile` is exact to four digits without them
_T = (12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622, 2.2281)
_Z = 1.959964
RESAMPLES = 1000


@dataclass(frozen=True)
class Interval:
    """A mean of n values, and half the width of its 95 % interval (None where one value says nothing of chance)."""

    mean: float
    half: float | None
    n: int

    @property
    def low(self) -> float:
        """Lower end; the mean itself where there is no interval."""
        return self.mean - (self.half or 0.0)

    @property
    def high(self) -> float:
        """Upper end; the mean itself where there is no interval."""
        return self.mean + (self.half or 0.0)

    @property
    def clear(self) -> bool:
        """Whether 0 lies outside: a difference that chance alone would seldom make."""
        return self.half is not None and not self.low <= 0 <= self.high


def t_quantile(freedom: int) -> float:
    """97.5 % quantile of Student's t; for more than 10 degrees of freedom by Cornish and Fisher's series (Abramowitz & Stegun 26.7.5)."""
    assert freedom >= 1
    if freedom <= len(_T):
        return _T[freedom - 1]
    z, v = _Z, float(freedom)
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / v + second / v**2 + third / v**3


def t_interval(values: Sequence[float]) -> Interval:
    """The mean and its 95 % t-interval, mean ± t · s / √n (Student 1908): for values that differ by seed alone, which are few."""
    if not len(values):
        raise DataError("interval: no values came; at least one was wanted")
    a = np.asarray(values, dtype=np.float64)
    n = len(a)
    half = None if n < 2 else t_quantile(n - 1) * float(a.std(ddof=1)) / math.sqrt(n)
    return Interval(float(a.mean()), half, n)


def difference(a: dict[int, float], b: dict[int, float]) -> Interval:
    """a − b paired by seed (the keys): runs of one seed saw the same pairs in the same order. Seeds that only one has are left out."""
    return t_interval([a[seed] - b[seed] for seed in sorted(a.keys() & b.keys())])


def bootstrap_difference(a: np.ndarray, b: np.ndarray, seed: int = 12345) -> tuple[float, float]:
    """95 % percentile interval of a − b over the choice of test sentences, paired (Koehn 2004, §4).

    Args:
        a, b: [N, 2] numerators and denominators of each sentence, as `jumok.measure.Measured.counts`; of several runs, summed.

    Returns:
        Lower and upper end, in percent points.
    """
    assert a.shape == b.shape and a.shape[1] == 2
    rng = np.random.default_rng(seed)
    N, found = len(a), np.empty(RESAMPLES)
    for k in range(RESAMPLES):
        times = np.bincount(rng.integers(0, N, N), minlength=N)
        (x, n), (y, m) = times @ a, times @ b
        found[k] = 100 * (x / max(n, 1e-9) - y / max(m, 1e-9))
    low, high = np.percentile(found, [2.5, 97.5])
    return float(low), float(high)


def ranks(values: np.ndarray) -> np.ndarray:
    """Ranks from 1, equal values sharing their mean rank: [N] float64."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    return (last - (count - 1) / 2)[place]


def spearman(x: np.ndarray, y: np.ndarray) -> float | None:
    """Spearman's ρ, the correlation of ranks, −1 to 1; None where one side is all alike, or there are fewer than 2 values."""
    if len(x) < 2:
        return None
    a, b = (ranks(np.asarray(v)) for v in (x, y))
    a, b = a - a.mean(), b - b.mean()
    scale = math.sqrt(float(a @ a) * float(b @ b))
    return float(a @ b) / scale if scale > 0 else None


def kendall(x: np.ndarray, y: np.ndarray) -> float | None:
    """Kendall's τ-b, ties accounted for (Kendall 1945): pairs in the same order less pairs in the other. None as `spearman`."""
    if len(x) < 2:
        return None
    upper = np.triu_indices(len(x), 1)
    a, b = (np.sign(np.subtract.outer(v, v))[upper] for v in (np.asarray(x), np.asarray(y)))
    scale = math.sqrt(float(a @ a) * float(b @ b))
    return float(a @ b) / scale if scale > 0 else None


@dataclass(frozen=True)
class Bucket:
    """Test sentences of like source length: `low` to `high` tokens, both counted in; `beyond` those longer than any in training."""

    low: int
    high: int
    rows: np.ndarray
    beyond: bool = False

    @property
    def label(self) -> str:
        """As people write it: 5–8."""
        return f"{self.low}" if self.low == self.high else f"{self.low}–{self.high}"

    def middle(self, lengths: np.ndarray) -> float:
        """Mean length of its sentences."""
        return float(lengths[self.rows].mean())


def buckets(lengths: np.ndarray, parts: int, longest: int | None = None, beyond_parts: int = 1) -> list[Bucket]:
    """Sentences in `parts` of about equal size by length, shortest first; equal lengths are never parted, so parts may be fewer.

    Args:
        lengths: [N].
        longest: length of the longest source in training; what is longer goes to `beyond_parts` of their own.
    """
    lengths = np.asarray(lengths)
    within = lengths <= (lengths.max() if longest is None else longest)
    return _parts(lengths, np.flatnonzero(within), parts, False) + _parts(lengths, np.flatnonzero(~within), beyond_parts, True)


def _parts(lengths: np.ndarray, rows: np.ndarray, parts: int, beyond: bool) -> list[Bucket]:
    if not len(rows):
        return []
    own = lengths[rows]
    # a length belongs to the part in which the middle of its run in sorted order falls
    different, counts = np.unique(own, return_counts=True)
    middle = (np.cumsum(counts) - counts / 2) / len(own)
    part_of = dict(zip(different.tolist(), np.minimum((middle * parts).astype(int), parts - 1).tolist(), strict=True))
    which = np.array([part_of[int(n)] for n in own])
    found = []
    for part in sorted(set(which.tolist())):
        chosen = rows[which == part]
        found.append(Bucket(int(lengths[chosen].min()), int(lengths[chosen].max()), chosen, beyond))
    return found
