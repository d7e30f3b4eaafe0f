"""Study: which score, which further options? Luong's Tables 1 and 4 (Luong, Pham & Manning 2015) in one command."""

from __future__ import annotations

import math
from typing import Any

from jumok.measure import METRICS
from jumok.runtime import load
from jumok.scores import SCORES
from jumok.studies import sizes
from jumok.studies.charts import Bar, bar_chart
from jumok.studies.data import turned_words
from jumok.studies.outputs import SECOND, TITLES, UNITS, forced_loss, test_set, train, write_test
from jumok.studies.plan import Outcome, Setting, Study, Task, Variant
from jumok.studies.report import Block, Figure, Heading, Points, Report, Table, Text
from jumok.studies.statistics import difference, t_interval
from jumok.studies.wording import Quantity, compared, number, plus_minus
from jumok.windows import WINDOWS

BEAM = 5
# The orders of Luong et al. 2015 on WMT en-de: the first is ahead of the second in their Table 1 (a row and the row before it)
# or Table 4 (scores, all with input feeding). Only their order is compared: the numbers depend on data and size.
LUONG = (
    ("none-reversed", "none", "Table 1: the reversed source"),
    ("none-reversed", "none-reversed-no-dropout", "Table 1: dropout"),
    ("location", "none-reversed", "Table 1: global attention"),
    ("input-feeding", "general", "Table 1: input feeding"),
    ("local-p", "general", "Table 1 and 4: local attention"),
    ("dot", "location", "Table 4: content scores"),
    ("dot", "general", "Table 4, sec. 5.4: dot works well for global attention"),
    ("local-p", "local-m", "Table 4: predicted positions"),
    ("general", "concat", "sec. 5.4, note: concat did not do well"),
)


def variants(setting: Setting) -> list[Variant]:
    """All scores and windows, and small changes of general and none; monotonic alignments where the targets are in letters."""
    with_: dict[str, Any] = {"attention": "general", "window": "none", "reverse_source": False, "input_feeding": False}
    with_ |= {"alignment": "soft", "copy": False}
    plain = with_ | {"attention": "none"}
    reach = max(256, sizes.longest_source(setting))
    reversed_ = plain | {"reverse_source": True}
    models = [
        Variant("none", plain, "no attention"),
        Variant("none-reversed", reversed_, "no attention, the source read backwards"),
        Variant("none-reversed-no-dropout", reversed_ | {"dropout": 0.0}, "the same without dropout"),
    ]
    for name, score in SCORES.items():
        more = {"attention": name} | ({"location_length": reach} if score.by_position else {})
        models.append(Variant(name, with_ | more, score.formula + ", a weight by position only" * score.by_position))
    models += [Variant(name, with_ | {"window": name}, f"general in a window: {w.formula}") for name, w in WINDOWS.items()]
    monotonic = with_ | {"alignment": "monotonic"}
    exact = [
        Variant("monotonic", monotonic, "general, one source position a token, which only goes forward"),
        Variant("monotonic-dot", monotonic | {"attention": "dot"}, "dot, one source position a token, which only goes forward"),
    ]
    return [
        *models,
        *(exact if sizes.monotonic_fits(setting) else []),
        Variant("general-reversed", with_ | {"reverse_source": True}, "general, the source read backwards"),
        Variant("general-no-dropout", with_ | {"dropout": 0.0}, "general without dropout"),
        Variant("input-feeding", with_ | {"input_feeding": True}, "general, the readout fed to the next step"),
    ]


def work(task: Task) -> dict[str, Any]:
    """Trains one model; translates the test set greedily and with a beam; loss and perplexity of the test targets."""
    measured = train(task)
    measured["test"] = write_test(task, (1, BEAM))
    measured["test_loss"] = forced_loss(load(task.folder / "model"), test_set(task.data, task.options))
    first = next(iter(measured["test"]["greedy"]))
    measured["headline"] = f"{first} {measured['test']['greedy'][first]:.1f}, perplexity {math.exp(measured['test_loss']):.2f}"
    return measured


def report(outcome: Outcome) -> Report:
    """The table, a chart, and a comparison with Luong's order."""
    some = next(iter(outcome.of(outcome.done[0].name).values()))
    metric = "accuracy" if some["metric"] == "loss" else some["metric"]
    values = {v.name: _values(outcome, v.name, metric) for v in outcome.done}
    blocks: list[Block] = [
        Text(
            "Every run has the same data, sizes and length of training, so that models with more parts have more parameters. ± is "
            "the 95 % t-interval over seeds. Perplexity is that of the test targets under teacher forcing."
        ),
        _table(outcome, metric),
        _figure(values, metric),
        Heading("Compared with Luong's order"),
        Text(
            "Luong et al. trained on WMT en-de, 4 layers of 1000, words, input feeding in all of Table 4. Only the "
            "order is compared here, not the numbers. AER is left out: most data have no gold links (`jumok align --gold` measures it if they do)."
        ),
        Points([text for text, _ in _beside(values, metric)] or ["Too few variants have finished to compare."]),
    ]
    return Report(_findings(outcome, values, metric), blocks, _numbers(outcome, metric))


def _values(outcome: Outcome, variant: str, metric: str, search: str = "greedy") -> dict[int, float]:
    return {seed: m["test"][search][metric] for seed, m in outcome.of(variant).items()}


def _table(outcome: Outcome, metric: str) -> Table:
    second = SECOND[metric]
    head = [
        "variant",
        "what it is",
        "seeds",
        f"test {TITLES[metric]}",
        f"beam {BEAM}",
        f"test {TITLES[second]}",
        f"dev {TITLES[metric]}",
    ]
    rows = []
    for v in outcome.done:
        runs = list(outcome.of(v.name).values())
        cells = [
            t_interval([m["test"]["greedy"][metric] for m in runs]),
            t_interval([m["test"][f"beam {BEAM}"][metric] for m in runs]),
            t_interval([m["test"]["greedy"][second] for m in runs]),
            t_interval([_best(m)[metric] for m in runs]),
        ]
        rows.append([v.name, v.note, str(len(runs)), *(plus_minus(c, 2) for c in cells)])
        rows[-1].append(plus_minus(t_interval([math.exp(m["test_loss"]) for m in runs]), 2))
        rows[-1].append(number(runs[0]["parameters"], 0))
        rows[-1].append(number(t_interval([m["training_seconds"] for m in runs]).mean, 0))
    return Table([*head, "perplexity", "parameters", "seconds"], rows)


def _best(measured: dict[str, Any]) -> dict[str, Any]:
    return next(entry for entry in measured["history"] if entry["step"] == measured["best_step"])


def _figure(values: dict[str, dict[int, float]], metric: str) -> Figure:
    bars = []
    for name, by_seed in values.items():
        interval = t_interval(list(by_seed.values()))
        ends = (None, None) if interval.half is None else (interval.low, interval.high)
        bars.append(Bar(name, interval.mean, *ends))
    title = f"test {TITLES[metric]}, greedy"
    return Figure("scores.svg", bar_chart(title, TITLES[metric], bars), f"{title}; whiskers are 95 % intervals over seeds.")


def _beside(values: dict[str, dict[int, float]], metric: str) -> list[tuple[str, str]]:
    """A sentence and a verdict (same, other, open) for each pair in LUONG."""
    higher = METRICS[metric].higher_is_better
    comparisons = []
    for ahead, behind, where in LUONG:
        if ahead in values and behind in values:
            gap = difference(values[ahead], values[behind])
            same = (gap.mean > 0) == higher
            verdict = "open" if not gap.clear else "same" if same else "other"
            word = {"same": "as in Luong", "other": "**the reverse** of Luong", "open": "open here"}[verdict]
            sentence = compared(ahead, behind, gap, Quantity(UNITS[metric], higher, 2))
            comparisons.append((f"{where}, {ahead} over {behind}: {word}. {sentence}", verdict))
    return comparisons


def _findings(outcome: Outcome, values: dict[str, dict[int, float]], metric: str) -> list[str]:
    higher = METRICS[metric].higher_is_better
    quantity = Quantity(UNITS[metric], higher, 2)
    order = sorted(values, key=lambda n: t_interval(list(values[n].values())).mean, reverse=higher)
    findings = [f"From best to worst by mean test {TITLES[metric]}: {', '.join(order)}."]
    if len(order) > 1:
        gap = difference(values[order[0]], values[order[1]])
        findings.append(compared(order[0], order[1], gap, quantity))
    for a, b in (("general", "none"), ("monotonic", "general"), ("monotonic-dot", "dot")):
        if {a, b} <= values.keys():
            findings.append(compared(a, b, difference(values[a], values[b]), quantity))
    beams = {
        name: difference(_values(outcome, name, metric, f"beam {BEAM}"), _values(outcome, name, metric)) for name in values
    }
    helped = [name for name, gap in beams.items() if gap.clear and (gap.mean > 0) == higher]
    hurt = [name for name, gap in beams.items() if gap.clear and (gap.mean > 0) != higher]
    findings.append(
        f"Beam {BEAM} is clearly better than greedy for {', '.join(helped) or 'none of them'}"
        + (f", and clearly worse for {', '.join(hurt)}." if hurt else ".")
    )
    verdicts = [v for _, v in _beside(values, metric)]
    if verdicts:
        findings.append(
            f"Of the orders that Luong et al. found ({len(verdicts)} of them), {verdicts.count('same')} are clearly the same here, "
            f"{verdicts.count('other')} clearly the other way round, and {verdicts.count('open')} open at this number of seeds."
        )
    return findings


def _numbers(outcome: Outcome, metric: str) -> dict[str, object]:
    keys = ("test", "test_loss", "dev", "parameters", "training_seconds", "steps")
    runs = {v.name: {str(s): {k: m[k] for k in keys} for s, m in outcome.of(v.name).items()} for v in outcome.done}
    return {"metric": metric, "variants": runs}


STUDY = Study(
    name="scores",
    question="Which score, and which options beside it, make the better model?",
    claim=(
        "Attention is worth more than reversing and dropout; content scores beat location, a local window with predicted positions "
        "beats global attention, and input feeding adds to both (Luong, Pham & Manning 2015, Tables 1 and 4)."
    ),
    defaults={"bidirectional": False, "dropout": 0.2},
    own_defaults={"embedding": 32, "hidden": 64, "readout_size": 64, "dropout": 0.1, "steps": 500, "learning_rate": 5e-3}
    | {"metric": "accuracy"},
    own_data=turned_words,
    variants=variants,
    work=work,
    report=report,
)
