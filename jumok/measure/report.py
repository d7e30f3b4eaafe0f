"""Measured values as a plain table and as JSON, with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from jumok.measure.aer import LINK_METRICS, LinkMetric
from jumok.measure.metrics import METRICS, Measured, Metric
from jumok.measure.reliability import ABOUT, CALIBRATION, reliability

RESAMPLES = 1000
SEED = 12345
_CHUNK_ELEMENTS = 4_000_000


@dataclass(frozen=True)
class Spread:
    """How far the choice of test lines (not the training seed) may move a value, in the metric's unit."""

    standard_error: float
    low: float
    """Lower end of the 95 % interval."""
    high: float


def spread(measured: Measured) -> Spread | None:
    """Percentile bootstrap over lines (Koehn 2004, §3), 1000 resamples, the same for every call. None if counts are None."""
    if measured.counts is None:
        return None
    counts = measured.counts
    N = len(counts)
    rng = np.random.default_rng(SEED)
    sums = np.zeros((RESAMPLES, 2))
    chunk = max(1, _CHUNK_ELEMENTS // N)
    for start in range(0, RESAMPLES, chunk):
        rows = rng.integers(0, N, size=(min(chunk, RESAMPLES - start), N))
        sums[start : start + chunk] = counts[rows].sum(axis=1)
    sums = sums[sums[:, 1] > 0]  # a resample with only empty references has no rate
    values = 100 * sums[:, 0] / sums[:, 1]
    low, high = np.percentile(values, [2.5, 97.5])
    return Spread(standard_error=float(values.std()), low=float(low), high=float(high))


def table(measured: Sequence[Measured]) -> list[str]:
    """Lines of plain text: name, value, 95 % interval, signature; with an accuracy also the word error rate, with a calibration
    the reliability table."""
    rows = [("metric", "value", "95 % interval", "signature")]
    for m in measured:
        unit = f" {_about(m).unit}" if _about(m).unit else ""
        s = spread(m)
        rows.append((m.name, f"{m.value:.2f}{unit}", f"{s.low:.2f} – {s.high:.2f}" if s else "", m.signature))
        if "wer" in m.detail:
            interval = f"{100 - s.high:.2f} – {100 - s.low:.2f}" if s else ""
            rows.append(("  wer = 100 − accuracy", f"{m.detail['wer']:.2f}{unit}", interval, ""))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = [
        f"{name:<{widths[0]}}  {value:<{widths[1]}}  {interval:<{widths[2]}}  {signature}".rstrip()
        for name, value, interval, signature in rows
    ]
    for m in measured:
        if m.name == CALIBRATION:
            lines += ["calibration: outputs by their probability, and how many are right", *reliability(m)]
    return lines


def as_dict(measured: Sequence[Measured]) -> dict[str, dict[str, Any]]:
    """The content of JSON output: for each metric its value, unit, signature, detail and, if there is one, its spread."""
    return {
        m.name: {
            "value": m.value,
            "unit": _about(m).unit,
            "higher_is_better": _about(m).higher_is_better,
            "signature": m.signature,
            "detail": m.detail,
            "spread": asdict(s) if (s := spread(m)) else None,
        }
        for m in measured
    }


def _about(measured: Measured) -> Metric | LinkMetric:
    return ABOUT if measured.name == CALIBRATION else METRICS.get(measured.name) or LINK_METRICS[measured.name]
