"""Calibration: whether a model's probabilities can be believed, so that of the outputs it gives 80 %, 80 % are right.

Letters: N outputs, of which n_b are in bin b.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from jumok import __version__
from jumok.errors import DataError
from jumok.measure.metrics import Measured, MeasureOptions, Metric, References, measure

CALIBRATION = "calibration"
BINS = 10
LEAST, MOST = -1e4, 500.0  # of ln p, and of what e is raised to


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
        `fit` (constant, slope: a `Fit`) that says best how often these outputs are right, with `value_after`, the error that it leaves;
        both None where all outputs are right, or all are wrong. Find it on dev pairs, then use it on others.

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
    with np.errstate(divide="ignore"):
        logs = np.log(p)
    fit = fitted(logs, right)
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
            "fit": None if fit is None else asdict(fit),
            "value_after": None if fit is None else _error(list(_bins(fit(logs), right))),
        },
    )


@dataclass(frozen=True)
class Fit:
    """How often outputs are right by their probability p: 1 / (1 + exp(-(constant + slope · ln p))), as Platt (1999) has it.

    With a slope above 0 the order of the outputs stays.
    """

    constant: float
    slope: float

    def __call__(self, log_probability: Any) -> Any:
        """The share of outputs with these log-probabilities that are right: a number, or an array."""
        share = 1 / (1 + np.exp(np.clip(-(self.constant + self.slope * np.maximum(log_probability, LEAST)), -MOST, MOST)))
        return share if isinstance(log_probability, np.ndarray) else float(share)


def fitted(logs: np.ndarray, right: np.ndarray) -> Fit | None:
    """The likeliest fit for outputs with these log-probabilities; None if all are right, or none is.

    By Newton's method with halved steps (Lin et al. 2007). As Platt has it, being right counts as (n + 1) / (n + 2) of the n that
    are right, and being wrong likewise, so that a few outputs do not make it certain.
    """
    n = right.sum()
    if n in (0, len(right)):
        return None
    wanted = np.where(right > 0, (n + 1) / (n + 2), 1 / (len(right) - n + 2))
    rows = np.stack([np.ones(len(logs)), np.maximum(logs, LEAST)], axis=1)

    def loss(w: np.ndarray) -> float:
        x = rows @ w
        return float((np.logaddexp(0, x) - wanted * x).sum())

    w = np.zeros(2)
    for _ in range(100):
        q = 1 / (1 + np.exp(-np.clip(rows @ w, -MOST, MOST)))
        gradient = rows.T @ (q - wanted)
        step = np.linalg.solve((rows * (q * (1 - q))[:, None]).T @ rows + 1e-9 * np.eye(2), gradient)
        size = 1.0
        while size > 1e-10 and loss(w - size * step) > loss(w):
            size /= 2
        w = w - size * step
        if np.abs(size * step).max() < 1e-8:
            break
    return Fit(float(w[0]), float(w[1]))


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
    if d["fit"] is not None:
        formula = f"1 / (1 + exp(-({d['fit']['constant']:.2f} + {d['fit']['slope']:.2f} ln p)))"
        lines.append(f"  {formula} fits these outputs best, and is off by {d['value_after']:.2f} %")
    return lines
