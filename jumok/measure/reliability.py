"""Calibration: whether a model's probabilities can be believed: of the outputs that it gives 80 %, are 80 % right?

Letters: N outputs, of which n_b are in bin b.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from jumok import __version__
from jumok.errors import DataError
from jumok.measure.metrics import Measured, MeasureOptions, Metric, References, measure

CALIBRATION = "calibration"
BINS = 10


def calibration(
    probabilities: Sequence[float | None],
    hypotheses: Sequence[str],
    references: References,
    options: MeasureOptions | None = None,
) -> Measured:
    """The expected calibration error of the probabilities of N outputs, in percent, and the reliability table behind it.

    Outputs are sorted by their probability into BINS bins of equal width; ECE = Σ_b n_b / N · |share right in b − mean probability
    in b| (Naeini et al. 2015; Guo et al. 2017, eq. 3). An output is right if it equals one of its references, as for `accuracy`.

    Args:
        probabilities: of the whole outputs, from 0 to 1; None for an output that no model wrote, which is left out.
        hypotheses, references, options: as for `measure`.

    Returns:
        A `Measured` whose detail has `bins` (from, to, outputs, probability: the mean, right: the share), `probability` and `right` of
        all together, `brier` (mean squared distance of the probability from 1 if right, else 0; Brier 1950), `lines`, `left_out`; and
        `power`, the a for which probability ** a fits these outputs best, with `value_after`, the error that it leaves (None where
        all outputs are right, or all are wrong). Fit it on dev pairs, then use it on others.

    Raises:
        DataError: not as many probabilities as outputs; no output has one. What `measure` raises.
    """
    if len(probabilities) != len(hypotheses):
        raise DataError(
            f"measuring calibration: {len(probabilities)} probabilities for {len(hypotheses)} outputs; each needs one"
        )
    accuracy = measure("accuracy", hypotheses, references, options or MeasureOptions())
    assert accuracy.counts is not None
    known = np.array([p is not None for p in probabilities])
    if not known.any():
        raise DataError("measuring calibration: no output has a probability; wanted outputs that a model wrote")
    p = np.array([p for p in probabilities if p is not None], float)
    if not ((p >= 0) & (p <= 1)).all():
        raise DataError("measuring calibration: a probability is not from 0 to 1")
    right = accuracy.counts[known, 0]
    bins = list(_bins(p, right))
    power = fitted_power(p, right)
    signature = accuracy.signature.removeprefix("accuracy|").replace(f"|version:jumok-{__version__}", "")
    return Measured(
        name=CALIBRATION,
        value=_error(bins),
        signature=f"ece|bins:{BINS}|{signature}|version:jumok-{__version__}",
        detail={
            "bins": bins,
            "probability": float(p.mean()),
            "right": float(right.mean()),
            "brier": float(((p - right) ** 2).mean()),
            "lines": len(p),
            "left_out": int((~known).sum()),
            "power": power,
            "value_after": None if power is None else _error(list(_bins(p**power, right))),
        },
    )


def fitted_power(p: np.ndarray, right: np.ndarray) -> float | None:
    """The a that makes p ** a likeliest to be the probabilities of being right; None if all are right, or none is.

    It is the temperature 1 / a of log p (Guo et al. 2017, §4.2), of whole outputs: one number, which leaves their order as it is.
    The likelihood has one maximum, which a golden-section search over log a finds, for a from 0.01 to 100.
    """
    if right.all() or not right.any():
        return None
    logs = np.log(np.clip(p, 1e-300, 1 - 1e-12))

    def loss(log_a: float) -> float:
        scaled = math.exp(log_a) * logs
        return float(-(right * scaled + (1 - right) * np.log(-np.expm1(np.minimum(scaled, -1e-300)))).sum())

    low, high, ratio = math.log(0.01), math.log(100), (math.sqrt(5) - 1) / 2
    while high - low > 1e-4:
        left, middle = high - ratio * (high - low), low + ratio * (high - low)
        low, high = (low, middle) if loss(left) < loss(middle) else (left, high)
    return math.exp((low + high) / 2)


def _error(bins: Sequence[dict[str, Any]]) -> float:
    total = sum(b["outputs"] for b in bins)
    return 100 * sum(b["outputs"] * abs(b["right"] - b["probability"]) for b in bins) / total


def _bins(p: np.ndarray, right: np.ndarray) -> list[dict[str, Any]]:
    """The bins that have outputs; a probability of 1 is in the last."""
    of = np.minimum((p * BINS).astype(int), BINS - 1)
    return [
        {
            "from": b / BINS,
            "to": (b + 1) / BINS,
            "outputs": int((of == b).sum()),
            "probability": float(p[of == b].mean()),
            "right": float(right[of == b].mean()),
        }
        for b in sorted(set(of.tolist()))
    ]


def _unmeasured(hypotheses: Sequence[str], references: References, options: MeasureOptions) -> Measured:
    raise DataError("measuring calibration: it needs the probabilities of the outputs; call jumok.measure.calibration")


# For tables and JSON. It is not one of METRICS, which know texts alone.
ABOUT = Metric(
    CALIBRATION,
    _unmeasured,
    unit="%",
    higher_is_better=False,
    needs=None,
    title="expected calibration error",
    column="ECE",
)


def reliability(measured: Measured) -> list[str]:
    """The reliability table, as lines of plain text."""
    rows = [("probability", "outputs", "mean", "right")]
    for b in measured.detail["bins"]:
        edges = f"{100 * b['from']:.0f} – {100 * b['to']:.0f} %"
        rows.append((edges, f"{b['outputs']:,}", f"{100 * b['probability']:.1f} %", f"{100 * b['right']:.1f} %"))
    d = measured.detail
    rows.append(("all", f"{d['lines']:,}", f"{100 * d['probability']:.1f} %", f"{100 * d['right']:.1f} %"))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = ["  " + "  ".join(f"{cell:>{width}}" for cell, width in zip(row, widths, strict=True)) for row in rows]
    if d["power"] is not None:
        lines.append(f"  probability ** {d['power']:.2f} fits these outputs best, and is off by {d['value_after']:.2f} %")
    return lines
