"""Study: what does teacher forcing cost? Teacher-forced against free-running quality along training, for each regime."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from jumok.measure import METRICS
from jumok.runtime import load
from jumok.schedules import TEACHER_FORCING
from jumok.studies.charts import Series, line_chart
from jumok.studies.data import harmony
from jumok.studies.outputs import TITLES, UNITS, forced_loss, test_set, train, write_test
from jumok.studies.plan import Outcome, Setting, Study, Task, Variant
from jumok.studies.report import Block, Figure, Heading, Report, Table, Text
from jumok.studies.statistics import Interval, difference, t_interval
from jumok.studies.wording import compared, number, plus_minus

LOOKS = 20  # evaluations along training, where the number of steps is given
GRID = np.linspace(5, 100, 20)  # percent of training at which runs are compared
CURVES = {
    "free": "free-running {metric}",
    "loss": "teacher-forced loss (nats a token)",
    "gap": "gap: free-running less teacher-forced errors (points)",
}


def variants(setting: Setting) -> list[Variant]:
    """One a regime: all there are."""
    return [Variant(name, {"teacher_forcing": name}, forcing.note) for name, forcing in TEACHER_FORCING.items()]


def work(task: Task) -> dict[str, Any]:
    """Trains under one regime, looking at dev often; then the test set, free running and under teacher forcing."""
    found = train(task, LOOKS)
    found["test"] = write_test(task)["greedy"]
    found["test_loss"] = forced_loss(load(task.folder / "model"), test_set(task.data, task.options))
    first = next(iter(found["test"]))
    found["headline"] = f"{first} {found['test'][first]:.1f}, gap at the end {found['history'][-1]['gap']:.1f}"
    return found


def curve(history: list[dict[str, Any]], key: str, steps: int) -> np.ndarray:
    """A history's values at the points of GRID, straight lines between evaluations; NaN before the first."""
    rows = [(100 * entry["step"] / steps, entry[key]) for entry in history if key in entry]
    if not rows:
        return np.full(len(GRID), math.nan)
    x, y = (np.array(part, dtype=np.float64) for part in zip(*rows, strict=True))
    return np.where(x[0] - 1e-9 > GRID, math.nan, np.interp(GRID, x, y))


def report(outcome: Outcome) -> Report:
    """Curves along training, the table at the end, and who is ahead."""
    some = next(iter(outcome.of(outcome.done[0].name).values()))
    metric = "accuracy" if some["metric"] == "loss" else some["metric"]
    blocks: list[Block] = [_how(outcome, metric), _table(outcome, metric)]
    for key, title in CURVES.items():
        name = metric if key == "free" else key
        blocks.append(_figure(outcome, name, title.format(metric=TITLES[metric]), key))
    blocks += [Heading("The regimes"), Table(["regime", "what it is"], [[v.name, v.note] for v in outcome.done])]
    return Report(_findings(outcome, metric), blocks, _numbers(outcome, metric))


def _how(outcome: Outcome, metric: str) -> Text:
    budget = "the same time" if outcome.setting.options.get("minutes") else "the same number of steps"
    return Text(
        f"Every run has {budget}. Free running is the model in use: it reads its own tokens. The gap is percent of errors in its "
        "own tokens less percent of gold tokens that are not its first choice when it reads gold. Figures of the test set are "
        f"those of the model that was best on dev, by {metric}; ± is the 95 % t-interval over seeds."
    )


def _end(measured: dict[str, Any], key: str) -> float:
    return float(measured["history"][-1][key])


def _values(outcome: Outcome, variant: str, metric: str) -> dict[int, float]:
    return {seed: m["test"][metric] for seed, m in outcome.of(variant).items()}


def _table(outcome: Outcome, metric: str) -> Table:
    rows = []
    for v in outcome.done:
        runs = outcome.of(v.name)
        row = [v.name, str(len(runs)), plus_minus(t_interval(list(_values(outcome, v.name, metric).values())), 2)]
        row.append(plus_minus(t_interval([m["test_loss"] for m in runs.values()]), 3))
        row.append(plus_minus(t_interval([_end(m, "gap") for m in runs.values()]), 2))
        row.append(number(t_interval([m["steps"] for m in runs.values()]).mean, 0))
        row.append(number(t_interval([m["training_seconds"] for m in runs.values()]).mean, 0))
        rows.append(row)
    head = ["regime", "seeds", f"test {TITLES[metric]}, free running", "test loss, teacher-forced", "gap on dev at the end"]
    return Table([*head, "steps", "seconds"], rows)


def _figure(outcome: Outcome, key: str, title: str, file: str) -> Figure:
    series = []
    for v in outcome.done:
        curves = [curve(m["history"], key, m["steps"]) for m in outcome.of(v.name).values()]
        points = np.stack(curves)
        kept = np.flatnonzero(np.isfinite(points).all(0))
        intervals = [t_interval(points[:, k].tolist()) for k in kept]
        series.append(
            Series(
                v.name,
                GRID[kept].tolist(),
                [i.mean for i in intervals],
                [i.low for i in intervals],
                [i.high for i in intervals],
            )
        )
    svg = line_chart(f"{title}, on dev along training", "percent of the training", title, series)
    return Figure(f"{file}.svg", svg, f"{title} on dev along training; bands are 95 % intervals over seeds.")


def _numbers(outcome: Outcome, metric: str) -> dict[str, object]:
    return {
        "metric": metric,
        "regimes": {
            v.name: {
                str(seed): {
                    "test": m["test"],
                    "test_loss": m["test_loss"],
                    "gap": _end(m, "gap"),
                    "steps": m["steps"],
                    "seconds": m["training_seconds"],
                }
                for seed, m in outcome.of(v.name).items()
            }
            for v in outcome.done
        },
    }


def _findings(outcome: Outcome, metric: str) -> list[str]:
    names = [v.name for v in outcome.done]
    if "always" not in names:
        return ["The regime `always` has not finished, so there is nothing to compare the others with."]
    higher, unit = METRICS[metric].higher_is_better, UNITS[metric]
    base = _values(outcome, "always", metric)
    found = []
    mixed = [n for n in names if TEACHER_FORCING[n].mixed]
    best = max(mixed, key=lambda n: _sign(higher) * _mean(_values(outcome, n, metric)), default=None)
    for name, what in (("two-phase", ""), (best, ", the best of the mixtures," if len(mixed) > 1 else ""), ("never", "")):
        if name in names and name is not None:
            gap = difference(_values(outcome, name, metric), base)
            found.append(compared(f"{name}{what}", "always", gap, unit, "on the test set, free running", higher, 2))
    if best is not None and len(mixed) > 1:
        found.append("Which mixture is the best one was chosen by the same test figures, so its lead is a little too good.")
    gaps = {n: {seed: _end(m, "gap") for seed, m in outcome.of(n).items()} for n in names}
    found.append(_bias(t_interval(list(gaps["always"].values()))))
    for name in names:
        if name != "always":
            less = difference(gaps["always"], gaps[name])
            if less.clear:
                word = "smaller" if less.mean > 0 else "larger"
                size = abs(less.mean)
                found.append(
                    f"The gap between free running and teacher forcing is {word} with {name} than with always, by "
                    f"{number(size, 2)} ± {number(less.half or 0, 2)} points."
                )
            elif less.half is not None:
                found.append(f"The gap is not clearly another one with {name} than with always ({plus_minus(less, 2)} points).")
    loss = {n: {seed: m["test_loss"] for seed, m in outcome.of(n).items()} for n in names}
    for name in names:
        rise = difference(loss[name], loss["always"])
        if name != "always" and rise.clear:
            word = "higher" if rise.mean > 0 else "lower"
            found.append(
                f"The teacher-forced loss is {word} with {name} than with always, by {number(abs(rise.mean), 3)} nats a token."
            )
    return found


def _bias(gap: Interval) -> str:
    """Whether there is exposure bias at all."""
    if gap.half is None:
        return f"Under always, errors on dev are {number(gap.mean, 2)} points more when the model runs free than when it reads gold (one seed)."
    if not gap.clear:
        return f"Under always, there is no clear gap between free running and reading gold on dev: {plus_minus(gap, 2)} points of errors."
    word = "more" if gap.mean > 0 else "fewer"
    size = Interval(abs(gap.mean), gap.half, gap.n)
    return (
        f"Under always, errors on dev are {plus_minus(size, 2)} points {word} when the model runs free than when it reads gold."
    )


def _sign(higher: bool) -> int:
    return 1 if higher else -1


def _mean(values: dict[int, float]) -> float:
    return sum(values.values()) / len(values)


STUDY = Study(
    name="exposure",
    question="What does teacher forcing cost, and do its mixtures with free running repair it?",
    claim=(
        "Under teacher forcing a model never meets its own errors, so it does worse when it lives with its own words (exposure "
        "bias); reading its own tokens more and more often in training repairs this (Bengio et al. 2015). Free running from the "
        "start learns slowly."
    ),
    defaults={},
    own_defaults={"embedding": 32, "hidden": 64, "readout_size": 64, "dropout": 0.0, "steps": 600, "learning_rate": 5e-3},
    own_data=harmony,
    variants=variants,
    work=work,
    report=report,
)
