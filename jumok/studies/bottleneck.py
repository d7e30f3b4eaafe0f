"""Study: does attention repair the bottleneck? Quality by source length with none, none reversed, and attention."""

from __future__ import annotations

from typing import Any

import numpy as np

from jumok.measure import METRICS
from jumok.studies import sizes
from jumok.studies.charts import Series, line_chart
from jumok.studies.data import substitution
from jumok.studies.outputs import SECOND, TITLES, UNITS, TestSet, measured_on, outputs_of, test_set, train, write_test
from jumok.studies.plan import Outcome, Setting, Study, Task, Variant
from jumok.studies.report import Block, Figure, Heading, Report, Table, Text
from jumok.studies.statistics import Bucket, Interval, bootstrap_difference, buckets, difference, t_interval
from jumok.studies.wording import compared, number, plus_minus

ATTENTION, NONE, REVERSED = "attention", "none", "none-reversed"
CURVE = 8  # points of a curve up to the longest length in training
BEYOND = 3  # and beyond it


def variants(setting: Setting) -> list[Variant]:
    """Three models of about the same number of parameters: without attention, the states are larger instead."""
    score = setting.options["attention"]
    score = "general" if score == "none" else score
    wanted = sizes.parameters(setting, sizes.resolved(setting, {"attention": score, "reverse_source": False}))
    plain = {"attention": "none", "window": "none", "reverse_source": False, "input_feeding": False}
    hidden = sizes.matched_hidden(setting, plain, wanted)
    plain |= {"hidden": hidden}
    return [
        Variant(NONE, plain, f"encoder-decoder without attention, hidden {hidden}"),
        Variant(REVERSED, plain | {"reverse_source": True}, "the same, the source read backwards (Sutskever et al. 2014)"),
        Variant(ATTENTION, {"attention": score, "reverse_source": False}, f"attention with the score {score}"),
    ]


def work(task: Task) -> dict[str, Any]:
    """Trains one model and lets it write the test set, greedily."""
    found = train(task)
    found["test"] = write_test(task)["greedy"]
    found["headline"] = ", ".join(f"{name} {value:.1f}" for name, value in found["test"].items())
    return found


def report(outcome: Outcome) -> Report:
    """Curves of quality by length, the table of quarters, and what differs."""
    setting = outcome.setting
    some = next(iter(outcome.of(outcome.done[0].name).values()))
    test = test_set(setting.folder / "data", setting.options, some.get("tokenize"))
    metric = some["metric"]
    metric = "accuracy" if metric == "loss" else metric
    longest = setting.data["splits"]["train"]["longest"]
    quarters = buckets(test.lengths, 4, longest)
    blocks: list[Block] = []
    tables: dict[str, object] = {}
    for name in (metric, SECOND[metric]):
        by_seed = _by_bucket(outcome, quarters, name, test)
        blocks += [
            _figure(outcome, name, test, longest),
            Heading(f"{TITLES[name]}, by source length"),
            _table(by_seed, quarters),
        ]
        tables[name] = [
            {"variant": variant, "lengths": b.label, "beyond training": b.beyond, "sentences": len(b.rows), "by seed": values}
            for variant, found in by_seed.items()
            for b, values in zip(quarters, found, strict=True)
        ]
    findings = [
        finding
        for name in (metric, SECOND[metric])
        for finding in _findings(outcome, _by_bucket(outcome, quarters, name, test), quarters, name, test)
    ]
    head: list[Block] = [
        Text(
            f"Each point is the mean over seeds, with its 95 % t-interval. The test set is cut into quarters by source length, in "
            f"{setting.data['unit']}; the longest source in training has {longest}. `none` and `none-reversed` have larger "
            f"states, so that all three have about the same number of parameters."
        ),
        _models(outcome),
    ]
    return Report(findings, head + blocks, {"parts": tables})


def _by_bucket(outcome: Outcome, parts: list[Bucket], name: str, test: TestSet) -> dict[str, list[dict[int, float]]]:
    """variant -> for each part the metric by seed."""
    return {
        v.name: [
            {seed: measured_on(part.rows, name, _outputs(outcome, v.name, seed), test).value for seed in outcome.of(v.name)}
            for part in parts
        ]
        for v in outcome.done
    }


def _outputs(outcome: Outcome, variant: str, seed: int) -> list[str]:
    return outputs_of(outcome.setting.folder / "runs" / f"{variant}-{seed}")


def _figure(outcome: Outcome, name: str, test: TestSet, longest: int) -> Figure:
    points = buckets(test.lengths, CURVE, longest, BEYOND)
    series = []
    for variant, found in _by_bucket(outcome, points, name, test).items():
        intervals = [t_interval(list(by_seed.values())) for by_seed in found]
        x = [part.middle(test.lengths) for part in points]
        series.append(Series(variant, x, [i.mean for i in intervals], [i.low for i in intervals], [i.high for i in intervals]))
    unit = outcome.setting.data["unit"]
    beyond = float(longest) if any(part.beyond for part in points) else None
    svg = line_chart(
        f"{TITLES[name]} by source length",
        f"source length in {unit}",
        TITLES[name],
        series,
        mark_x=beyond,
        mark_label="longest in training",
    )
    return Figure(f"{name}-by-length.svg", svg, f"{TITLES[name]} by source length; bands are 95 % intervals over seeds.")


def _table(by_seed: dict[str, list[dict[int, float]]], parts: list[Bucket]) -> Table:
    head = ["variant", *(f"{p.label}{' (beyond training)' if p.beyond else ''}, n = {len(p.rows)}" for p in parts)]
    rows = [[name, *(plus_minus(t_interval(list(v.values()))) for v in found)] for name, found in by_seed.items()]
    return Table(head, rows)


def _models(outcome: Outcome) -> Table:
    rows = []
    for v in outcome.done:
        first = next(iter(outcome.of(v.name).values()))
        seconds = t_interval([m["training_seconds"] for m in outcome.of(v.name).values()])
        rows.append([v.name, v.note, number(first["parameters"], 0), number(first["steps"], 0), f"{seconds.mean:.0f}"])
    return Table(["variant", "what it is", "parameters", "steps", "seconds of training"], rows)


def _findings(
    outcome: Outcome, by_seed: dict[str, list[dict[int, float]]], parts: list[Bucket], metric: str, test: TestSet
) -> list[str]:
    within = [k for k, p in enumerate(parts) if not p.beyond]
    beyond = [k for k, p in enumerate(parts) if p.beyond]
    if not within:
        return ["Every test source is longer than all in training, so there are no quarters to compare."]
    higher = METRICS[metric].higher_is_better
    unit = UNITS[metric]
    found = []
    if {ATTENTION, NONE} <= by_seed.keys():
        for k, what in ((within[-1], "longest"), (within[0], "shortest")):
            a, b = by_seed[ATTENTION][k], by_seed[NONE][k]
            found.append(
                compared(ATTENTION, NONE, difference(a, b), unit, f"in the {what} quarter ({parts[k].label})", higher)
                + _bootstrapped(outcome, parts[k], metric, test)
            )
        widening = {
            seed: (by_seed[ATTENTION][within[-1]][seed] - by_seed[NONE][within[-1]][seed])
            - (by_seed[ATTENTION][within[0]][seed] - by_seed[NONE][within[0]][seed])
            for seed in by_seed[ATTENTION][0].keys() & by_seed[NONE][0].keys()
        }
        found.append(_widening(t_interval(list(widening.values())), unit, higher))
    if {REVERSED, NONE} <= by_seed.keys():
        k = within[-1]
        gap = difference(by_seed[REVERSED][k], by_seed[NONE][k])
        found.append(compared(REVERSED, NONE, gap, unit, "in the longest quarter", higher))
    for name, values in by_seed.items():
        for k in beyond:
            found.append(_beyond(name, difference(values[k], values[within[-1]]), parts[k].label, unit, higher))
    return found


def _widening(gap: Interval, unit: str, higher: bool) -> str:
    text = f"From the shortest to the longest quarter the lead of {ATTENTION} over {NONE} changes by {plus_minus(gap)} {unit}"
    if gap.half is None:
        return text + " (one seed)."
    if not gap.clear:
        return text + ": no clear sign that length makes the difference."
    return text + (": it grows with length." if (gap.mean > 0) == higher else ": it shrinks with length.")


def _beyond(name: str, change: Interval, label: str, unit: str, higher: bool) -> str:
    text = f"Beyond the lengths seen in training ({label}), {name} is {plus_minus(change)} {unit} away from its own longest quarter"
    if change.half is None:
        return text + " (one seed)."
    if not change.clear:
        return text + ": no clear change."
    return text + (": it falls." if (change.mean < 0) == higher else ": it does not fall.")


def _bootstrapped(outcome: Outcome, part: Bucket, metric: str, test: TestSet) -> str:
    """How far the choice of test sentences alone moves the lead, where the metric is a ratio of sums."""
    sums: list[np.ndarray] = []
    for variant in (ATTENTION, NONE):
        counts = [measured_on(part.rows, metric, _outputs(outcome, variant, s), test).counts for s in outcome.of(variant)]
        if any(c is None for c in counts):
            return ""
        sums.append(sum(c for c in counts if c is not None))  # type: ignore[arg-type]
    low, high = bootstrap_difference(sums[0], sums[1])
    return (
        f" As far as the choice of test sentences goes (paired bootstrap), {ATTENTION} less {NONE} is between {number(low)} and "
        f"{number(high)}."
    )


STUDY = Study(
    name="bottleneck",
    question="Does attention repair the information bottleneck of the encoder-decoder?",
    claim=(
        "A plain encoder-decoder has to press the whole source into one state, so it gets worse with length; with attention "
        "it does not (Cho et al. 2014; Bahdanau, Cho & Bengio 2015, fig. 2). Reading the source backwards helps the plain one "
        "(Sutskever, Vinyals & Le 2014, sec. 3.3)."
    ),
    defaults={"attention": "general", "bidirectional": False},
    own_defaults={"embedding": 32, "hidden": 64, "readout_size": 64, "dropout": 0.0, "steps": 1500, "learning_rate": 5e-3},
    own_data=substitution,
    variants=variants,
    work=work,
    report=report,
    train_max_length=14,
)
