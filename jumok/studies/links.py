"""Study: are the weights an alignment? The links of soft attention and of a monotonic alignment, where the right ones are known."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from jumok.errors import ConfigError
from jumok.explain import VITERBI, align, entropy_bits
from jumok.measure import measure_links
from jumok.runtime import load
from jumok.studies.charts import Bar, bar_chart
from jumok.studies.outputs import TITLES, test_set, train, write_test
from jumok.studies.plan import Outcome, Setting, Study, Task, Variant
from jumok.studies.report import Block, Figure, Report, Table, Text
from jumok.studies.spelling import invented, spoken
from jumok.studies.statistics import Interval, difference, t_interval
from jumok.studies.wording import Quantity, compared, number, plus_minus

METHODS = {"soft": ("argmax", "path"), "monotonic": ("argmax", "path", VITERBI)}


def variants(setting: Setting) -> list[Variant]:
    """Soft and monotonic, everything else alike; both encoders, since memory rows that know their neighbours can mislead."""
    score = setting.options["attention"]
    if score == "none":
        raise ConfigError("study: attention is 'none', so there are no links to compare; give --attention general")
    return [
        Variant(
            alignment + ("" if both else "-one-direction"),
            {
                "attention": score,
                "alignment": alignment,
                "bidirectional": both,
                "window": "none",
                "input_feeding": False,
                "copy": False,
            },
            f"{score}, {alignment}, encoder in {'both directions' if both else 'one direction'}",
        )
        for both in (True, False)
        for alignment in ("soft", "monotonic")
    ]


def work(task: Task) -> dict[str, Any]:
    """Trains a model, makes it write the gold targets of test words, and compares its links with the right ones."""
    measured = train(task)
    measured["test"] = write_test(task)["greedy"]
    model = load(task.folder / "model")
    pairs = test_set(task.data, task.options).pairs
    gold = [spoken(pair.source)[1] for pair in pairs]
    found = {}
    for method in METHODS[model.config.model.alignment]:
        links = [frozenset(one.links) for one in align(model, pairs, method, "token")]
        found[method] = {m.name: m.value for m in measure_links(links, gold)}
    scored = model.score([pair.source for pair in pairs], [pair.target for pair in pairs])
    rows = [t.weights[:-1] for t in scored if t.weights is not None and len(t.weights) > 1]  # without </s>
    measured |= {"links": found, **spread(rows)}
    measured["headline"] = f"AER {found['argmax']['aer']:.1f} %, {measured['entropy']:.2f} bits a step"
    return measured


def spread(rows: Iterable[np.ndarray]) -> dict[str, float]:
    """Over sentences' weights [T, S]: entropy, the mean in bits a step; forward, percent of the steps whose likeliest position is not
    before that of the step before."""
    weights = list(rows)
    ahead = np.concatenate([np.diff(w.argmax(1)) >= 0 for w in weights])
    return {
        "entropy": float(np.concatenate([entropy_bits(w) for w in weights]).mean()),
        "forward": 100 * float(ahead.mean()) if len(ahead) else 100.0,
    }


def report(outcome: Outcome) -> Report:
    """The table, and charts of the error rate and of the entropy."""
    values = {v.name: _over(outcome, v.name) for v in outcome.done}
    blocks: list[Block] = [
        Text(
            "The model is made to write the right phones of the test words; its weights are read as links. Both are trained alike. argmax: each "
            "phone with the letter of largest weight; path: the best links that never go back, by the weights; viterbi: those of the likeliest "
            "alignment. AER is the alignment error rate. Entropy is that of the weights at a step, in bits. Forward is the share of steps whose "
            "likeliest letter is not before that of the step before. ± is the 95 % t-interval over seeds."
        ),
        _table(outcome, values),
        _chart("Alignment error rate", "AER (%), argmax", "aer.svg", {n: v["argmax aer"] for n, v in values.items()}),
        _chart("Entropy of the weights", "bits a step", "entropy.svg", {n: v["entropy"] for n, v in values.items()}),
    ]
    table = {
        v.name: {str(s): {k: x for k, x in m.items() if k != "history"} for s, m in outcome.of(v.name).items()}
        for v in outcome.done
    }
    return Report(_findings(values), blocks, {"models": table})


def _over(outcome: Outcome, variant: str) -> dict[str, dict[int, float]]:
    """Each measure's values by seed: those of the weights, and of the links by "method measure"."""
    found: dict[str, dict[int, float]] = {}
    for seed, m in outcome.of(variant).items():
        flat = {"entropy": m["entropy"], "forward": m["forward"], **m["test"]}
        flat |= {f"{method} {name}": x for method, measures in m["links"].items() for name, x in measures.items()}
        for name, x in flat.items():
            found.setdefault(name, {})[seed] = x
    return found


def _interval(by_seed: dict[int, float]) -> Interval:
    return t_interval(list(by_seed.values()))


def _table(outcome: Outcome, values: dict[str, dict[str, dict[int, float]]]) -> Table:
    rows = []
    for v in outcome.done:
        own = values[v.name]
        quality = [f"{TITLES[name]} {plus_minus(_interval(own[name]))}" for name in own if name in TITLES]
        for method in dict.fromkeys(name.split()[0] for name in own if name.endswith(" aer")):
            links = [plus_minus(_interval(own[f"{method} {name}"])) for name in ("aer", "link-precision", "link-recall")]
            weights = [plus_minus(_interval(own["entropy"]), 2), plus_minus(_interval(own["forward"]))]
            first = method == "argmax"
            rows.append(
                [v.name, v.note, method, *links, *(weights if first else ["", ""]), ", ".join(quality) if first else ""]
            )
    return Table(
        ["model", "what it is", "links by", "AER (%)", "precision", "recall", "entropy", "forward (%)", "quality"], rows
    )


def _chart(title: str, unit: str, file: str, values: dict[str, dict[int, float]]) -> Figure:
    bars = []
    for name, by_seed in values.items():
        interval = _interval(by_seed)
        ends = (None, None) if interval.half is None else (interval.low, interval.high)
        bars.append(Bar(name, interval.mean, *ends))
    return Figure(file, bar_chart(title, unit, bars), f"{title}; whiskers are 95 % intervals over seeds.")


def _findings(values: dict[str, dict[str, dict[int, float]]]) -> list[str]:
    findings = []
    for name, own in values.items():
        findings.append(
            f"{name}: {number(_interval(own['argmax aer']).mean)} % alignment error by argmax, {number(_interval(own['entropy']).mean, 2)} bits "
            f"of entropy a step, {number(_interval(own['forward']).mean)} % of the links forward."
        )
    aer = Quantity("points of AER", higher_is_better=False)
    for a, b in (("monotonic", "soft"), ("monotonic-one-direction", "soft-one-direction"), ("soft", "soft-one-direction")):
        if {a, b} <= values.keys():
            findings.append(compared(a, b, difference(values[a]["argmax aer"], values[b]["argmax aer"]), aer))
    for name, own in values.items():
        for method in ("path", VITERBI):
            if f"{method} aer" in own:
                gap = difference(own[f"{method} aer"], own["argmax aer"])
                findings.append(compared(f"{name} by {method}", f"{name} by argmax", gap, aer))
    return findings


STUDY = Study(
    name="links",
    question="Are the weights an alignment: do they show which letters each phone comes from?",
    claim=(
        "Soft attention acts as an alignment (Bahdanau, Cho & Bengio 2015), but nothing makes its weights one. A monotonic alignment is a "
        "part of the model, and its weights are the probabilities of where each token was written from (Wu & Cotterell 2019)."
    ),
    defaults={"attention": "general"},
    own_defaults={"embedding": 32, "hidden": 64, "readout_size": 64, "dropout": 0.1, "steps": 300, "learning_rate": 5e-3}
    | {"metric": "accuracy"},
    own_data=invented,
    variants=variants,
    work=work,
    report=report,
    own_only="its links are known only for the words that it makes itself; leave PAIRS out, or measure links with `jumok align --gold`",
)
