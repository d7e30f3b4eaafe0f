"""Study: do attention weights show what matters? Compares a token's weight with the effect of leaving it out."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np

from jumok.alignments import clash
from jumok.errors import ConfigError, DataError
from jumok.runtime import load
from jumok.runtime.folder import read_folder
from jumok.runtime.model import NumpyModel
from jumok.studies import sizes
from jumok.studies.charts import Bar, Series, bar_chart, line_chart
from jumok.studies.data import turned_words
from jumok.studies.outputs import test_set, train, write_test
from jumok.studies.plan import Outcome, Setting, Study, Task, Variant
from jumok.studies.probing import Probe, probe
from jumok.studies.report import Block, Figure, Heading, Report, Table, Text
from jumok.studies.statistics import Interval, difference, t_interval
from jumok.studies.wording import number, plus_minus
from jumok.text.vocabulary import END, PAD, UNK

SENTENCES = 100
LONGEST = 100  # most tokens of a source: the work grows with the square
PERMUTATIONS = 50
STEPS = 30  # points of the curves by step
EDGES = (0.0, 0.25, 0.5, 0.75, 1.0)  # of the largest weight of a step
RESAMPLES = 1000
MODEL = "model"


def variants(setting: Setting) -> list[Variant]:
    """The given model; or two trained here, with the encoder in one direction and in both, whose memory rows know their neighbours;
    and where the targets are in letters and the options let it, one with a monotonic alignment."""
    if setting.settings.get("model"):
        return [Variant(MODEL, {}, f"the model {setting.settings['model']}")]
    score = setting.options["attention"]
    if score == "none":
        raise ConfigError("study: attention is 'none', so there are no weights to examine; give --attention general")
    if setting.options.get("copy"):
        raise ConfigError("study: copy is on, and permuted weights leave what is copied as it is; give --no-copy")
    common = {"attention": score, "copy": False}
    models = [
        Variant("one-direction", common | {"bidirectional": False}, f"{score}, encoder in one direction"),
        Variant("both-directions", common | {"bidirectional": True}, f"{score}, encoder in both directions"),
    ]
    clashes = clash(score, setting.options.get("window", "none"), setting.options.get("input_feeding", False))
    if setting.options.get("alignment", "soft") == "soft" and not clashes and sizes.monotonic_fits(setting):
        exact = common | {"bidirectional": True, "alignment": "monotonic"}
        models.append(Variant("monotonic", exact, f"{score}, monotonic alignment, encoder in both directions"))
    return models


def work(task: Task) -> dict[str, Any]:
    """Trains a model, unless one is given, and probes it on test sentences."""
    given = task.settings.get("model")
    measured: dict[str, Any] = {} if given else train(task)
    if not given:
        measured["test"] = write_test(task)["greedy"]
    folder = read_folder(given or task.folder / "model")
    if folder.config.model.attention == "none":
        raise ConfigError(
            f"{folder.path}: the model was trained with attention none, so it has no weights to examine; give one with attention"
        )
    if folder.config.model.copy:
        raise ConfigError(
            f"{folder.path}: the model copies tokens, which permuted weights leave as they are; give one trained with --no-copy"
        )
    translator = load(folder.path, "numpy")  # as the probes are computed
    model = NumpyModel(folder.config.model, folder.parameters)
    options = {f"{k}": v for k, v in vars(folder.config.text).items()} if given else task.options
    test = test_set(task.data, options)
    rng = np.random.default_rng(1)
    probes: list[Probe] = []
    for source, features in zip(test.sources, test.features, strict=True):
        if len(probes) == SENTENCES:
            break
        ids = folder.codec.encode_source(source, features)
        if not 3 <= len(ids) <= LONGEST + 1 or not source.strip():
            continue
        written = translator.translate(source, features=features)
        output = folder.codec.target.vocabulary.ids(t for t in written.tokens if t != "</s>") + [END] * written.finished
        if output and not {PAD, UNK} & set(output):
            probes.append(probe(model, ids, output, PERMUTATIONS, rng))
    if not probes:
        raise DataError(
            f"{task.data / 'test.jsonl'}: no source of 2 to {LONGEST} tokens has an output without <unk>; give other pairs"
        )
    return measured | summary(probes)


def summary(probes: list[Probe]) -> dict[str, Any]:
    """Over all sentences: mean correlations with a bootstrap interval over sentences, curves by step, changes by largest weight."""
    by_sentence = [p.correlations() for p in probes]
    taus = [[tau for tau, _ in steps] for steps in by_sentence]
    every = np.array([pair for steps in by_sentence for pair in steps]).reshape(-1, 2)
    top = np.concatenate([p.weights.max(1) for p in probes])
    permuted = np.concatenate([p.permuted for p in probes])
    agree = np.concatenate([p.weights[:, :-1].argmax(1) == p.left_out.argmax(1) for p in probes])
    spread = np.concatenate([p.entropy / math.log(p.weights.shape[1]) for p in probes])
    which = np.clip(np.searchsorted(EDGES, top, side="left") - 1, 0, len(EDGES) - 2)
    mean_tau = float(every[:, 0].mean()) if len(every) else 0.0
    low, high = _bootstrap(taus) if len(every) else (0.0, 0.0)
    return {
        "sentences": len(probes),
        "output_steps": len(top),
        "kendall": mean_tau,
        "kendall_low": low,
        "kendall_high": high,
        "spearman": float(every[:, 1].mean()) if len(every) else 0.0,
        "agree": 100 * float(agree.mean()),
        "permuted": float(np.median(permuted)),
        "left_out_top": float(np.mean(np.concatenate([_at(p) for p in probes]))),
        "entropy": float(spread.mean()),
        "histogram": np.histogram(every[:, 0], bins=10, range=(-1, 1))[0].tolist(),
        "permuted_by_weight": [
            float(permuted[which == k].mean()) if (which == k).any() else None for k in range(len(EDGES) - 1)
        ],
        "steps_by_weight": np.bincount(which, minlength=len(EDGES) - 1).tolist(),
        "entropy_by_step": _by_step([p.entropy / math.log(p.weights.shape[1]) for p in probes]),
        "permuted_by_step": _by_step([p.permuted for p in probes]),
        "headline": f"Kendall's τ {mean_tau:.2f}, median change by permuting {float(np.median(permuted)):.2f}",
    }


def _at(p: Probe) -> np.ndarray:
    """The effect of leaving out the token with the largest weight, [T]."""
    return p.left_out[np.arange(len(p.left_out)), p.weights[:, :-1].argmax(1)]


def _by_step(values: list[np.ndarray]) -> list[float]:
    """Means over the sentences with a step t, for the first steps."""
    means = []
    for t in range(STEPS):
        at_step = [v[t] for v in values if len(v) > t]
        if len(at_step) < max(1, len(values) // 10):  # a mean over the few longest says little
            break
        means.append(float(np.mean(at_step)))
    return means


def _bootstrap(taus: list[list[float]]) -> tuple[float, float]:
    """95 % percentile interval of the mean over steps, resampling sentences."""
    sums = np.array([(sum(t), len(t)) for t in taus], dtype=np.float64)
    rng = np.random.default_rng(12345)
    drawn = sums[rng.integers(0, len(sums), (RESAMPLES, len(sums)))].sum(1)
    drawn = drawn[drawn[:, 1] > 0]
    low, high = np.percentile(drawn[:, 0] / drawn[:, 1], [2.5, 97.5])
    return float(low), float(high)


def _over(outcome: Outcome, name: str, key: str) -> Interval:
    return t_interval([m[key] for m in outcome.of(name).values()])


def report(outcome: Outcome) -> Report:
    """The table, the distribution of the correlation, entropy and change by step."""
    names = [v.name for v in outcome.done]
    some = next(iter(outcome.of(names[0]).values()))
    rows = []
    for v in outcome.done:
        cells = [plus_minus(_over(outcome, v.name, key), 2) for key in ("kendall", "spearman")]
        cells.append(plus_minus(_over(outcome, v.name, "agree"), 1))
        cells += [plus_minus(_over(outcome, v.name, key), 2) for key in ("left_out_top", "permuted", "entropy")]
        quality = [
            f"{k} {t_interval([m['test'][k] for m in outcome.of(v.name).values()]).mean:.1f}" for k in some.get("test", {})
        ]
        rows.append([v.name, v.note, *cells, ", ".join(quality) or "–"])
    head = ["model", "what it is", "Kendall's τ", "Spearman's ρ", "same token (%)", "top token left out", "weights permuted"]
    blocks: list[Block] = [
        Text(
            f"{some['sentences']} test sentences per run. Each source token is left out in turn while the model is made to write its own output. "
            "How far the distribution moves at a step (total variation distance, 0 to 1) is the effect of the token there. τ and ρ "
            "compare the effects with the weights, step by step; 1 means the same order, 0 none. The column `weights permuted` is the median "
            f"over steps, at each the median of {PERMUTATIONS} permutations of the weights among positions. Entropy is a share of its maximum."
        ),
        Table([*head, "entropy", "quality"], rows),
        _histogram(outcome),
        _steps(outcome, "entropy_by_step", "Entropy of the weights", "share of ln S", "entropy-by-step.svg"),
        _steps(
            outcome, "permuted_by_step", "Change when weights are permuted", "total variation distance", "permuted-by-step.svg"
        ),
        Heading("Change when weights are permuted, by the largest weight of the step"),
        _by_weight(outcome),
    ]
    table = {
        v.name: {str(s): {k: x for k, x in m.items() if k != "history"} for s, m in outcome.of(v.name).items()}
        for v in outcome.done
    }
    return Report(_findings(outcome), blocks, {"models": table})


def _histogram(outcome: Outcome) -> Figure:
    total = np.sum([m["histogram"] for v in outcome.done for m in outcome.of(v.name).values()], axis=0)
    share = 100 * total / max(1, total.sum())
    bars = [Bar(f"{-1 + 0.2 * k:.1f} to {-0.8 + 0.2 * k:.1f}", float(x)) for k, x in enumerate(share)]
    svg = bar_chart("Kendall's τ of weights and leave-one-out, all steps", "percent of the steps", bars)
    return Figure("correlation.svg", svg, "How often each τ occurs, over all runs, sentences and steps.")


def _steps(outcome: Outcome, key: str, title: str, unit: str, file: str) -> Figure:
    series = []
    for v in outcome.done:
        runs = [m[key] for m in outcome.of(v.name).values()]
        count = min(map(len, runs))
        intervals = [t_interval([r[t] for r in runs]) for t in range(count)]
        x = list(range(1, count + 1))
        series.append(Series(v.name, x, [i.mean for i in intervals], [i.low for i in intervals], [i.high for i in intervals]))
    svg = line_chart(f"{title}, by output step", "output step", unit, series)
    return Figure(file, svg, f"{title} by output step; bands are 95 % intervals over seeds.")


def _by_weight(outcome: Outcome) -> Table:
    rows = []
    for v in outcome.done:
        cells = []
        for k in range(len(EDGES) - 1):
            values = [m["permuted_by_weight"][k] for m in outcome.of(v.name).values() if m["permuted_by_weight"][k] is not None]
            steps = sum(m["steps_by_weight"][k] for m in outcome.of(v.name).values())
            cells.append(f"{plus_minus(t_interval(values), 2)} ({steps:,} steps)" if values else "–")
        rows.append([v.name, *cells])
    return Table(["model", *(f"{a:g} to {b:g}" for a, b in pairwise(EDGES))], rows)


def _findings(outcome: Outcome) -> list[str]:
    findings = []
    for v in outcome.done:
        runs = outcome.of(v.name)
        tau = _over(outcome, v.name, "kendall")
        some = next(iter(runs.values()))
        low, high = (tau.low, tau.high) if tau.half is not None else (some["kendall_low"], some["kendall_high"])
        how = f"over {tau.n} seeds" if tau.half is not None else "over sentences, one model"
        strength = (
            "not clearly above 0: the weights do not show which tokens matter"
            if low <= 0
            else "weak"
            if tau.mean < 0.3
            else "moderate"
            if tau.mean < 0.6
            else "strong"
        )
        findings.append(
            f"{v.name}: weights and effects of leaving tokens out correlate with Kendall's τ = "
            f"{number(tau.mean, 2)} (95 %: {number(low, 2)} to {number(high, 2)} {how}): {strength}."
        )
        agree, permuted, top = (_over(outcome, v.name, key) for key in ("agree", "permuted", "left_out_top"))
        findings.append(
            f"{v.name}: in {number(agree.mean)} % of the steps the token with the largest weight is also the one with the largest effect; "
            f"leaving it out moves the distribution by {number(top.mean, 2)} on average."
        )
        kind = "matters" if permuted.mean >= 0.5 else "matters somewhat" if permuted.mean >= 0.1 else "hardly matters"
        findings.append(
            f"{v.name}: permuting the weights among positions moves the distribution by {number(permuted.mean, 2)} (median): which weight goes where {kind}."
        )
    names = [v.name for v in outcome.done]
    for one, other in (("one-direction", "both-directions"), ("monotonic", "both-directions")):
        if not {one, other} <= set(names):
            continue
        a, b = ({s: m["kendall"] for s, m in outcome.of(n).items()} for n in (one, other))
        gap = difference(a, b)
        if gap.clear:
            first, second = (one, other) if gap.mean > 0 else (other, one)
            findings.append(
                f"The weights of {first} are more faithful, by {number(abs(gap.mean), 2)} ± {number(gap.half or 0, 2)} in τ over {second}."
            )
        elif gap.half is None:
            findings.append(f"One seed cannot say whether {one} or {other} is more faithful ({number(gap.mean, 2)} in τ).")
        else:
            findings.append(f"No clear difference in τ between {one} and {other} ({plus_minus(gap, 2)}).")
    return findings


STUDY = Study(
    name="faithful",
    question="Do attention weights show which source tokens an output comes from?",
    claim=(
        "Attention is often read as an explanation. For classifiers, its weights agree only weakly with the effect of leaving tokens out, and "
        "other weights often give the same output (Jain & Wallace 2019; but see Wiegreffe & Pinter 2019). In translation, "
        "weights act as an alignment (Bahdanau, Cho & Bengio 2015)."
    ),
    defaults={"attention": "general"},
    own_defaults={"embedding": 32, "hidden": 64, "readout_size": 64, "dropout": 0.0, "steps": 600, "learning_rate": 5e-3}
    | {"metric": "accuracy"},
    own_data=turned_words,
    variants=variants,
    work=work,
    report=report,
)
