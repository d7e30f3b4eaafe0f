"""Study: do gradients vanish on their way to the first token? By cell, with and without attention, before and during training."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from jumok.config import TrainConfig, build
from jumok.runtime.cells import CELLS
from jumok.studies.charts import Series, line_chart
from jumok.studies.data import first_letters
from jumok.studies.outputs import train
from jumok.studies.plan import Outcome, Setting, Study, Task, Variant
from jumok.studies.report import Block, Figure, Heading, Report, Table, Text
from jumok.studies.statistics import difference, t_interval
from jumok.studies.wording import number, plus_minus
from jumok.text import END, PAD, build_codec, read_pairs

LENGTHS = (10, 20, 40, 80)
SENTENCES = 32
POINTS = 4  # measurements during training, beside the one before it
TITLES = {
    name: cell.title for name, cell in sorted(CELLS.items(), key=lambda item: item[1].gates > 1)
}  # one without gates first


def variants(setting: Setting) -> list[Variant]:
    """All cells, each without and with attention."""
    found = []
    for cell, title in TITLES.items():
        none = {"cell": cell, "attention": "none", "window": "none", "input_feeding": False}
        found.append(Variant(cell, none, f"{title} without attention"))
        found.append(Variant(f"{cell}-attention", none | {"attention": "general"}, f"{title} with attention (general)"))
    return found


def sentences(sources: list[list[int]], targets: list[list[int]], length: int) -> tuple[np.ndarray, np.ndarray]:
    """Sources of exactly `length` tokens and END, [N, length + 1]: each is cut, or goes on with the ones after it; targets [N, T].

    Args: ids as `Codec.encode_pairs` gives them, END last.
    """
    N = min(SENTENCES, len(sources))
    stream = [ids[:-1] for ids in sources]
    found = []
    for i in range(N):
        own: list[int] = []
        k = i
        while len(own) < length:
            own += stream[k % len(stream)]
            k += 1
        found.append([*own[:length], END])
    T = max(len(t) for t in targets[:N])
    gold = np.full((N, T), PAD, np.int64)
    for i, t in enumerate(targets[:N]):
        gold[i, : len(t)] = t
    return np.array(found, np.int64), gold


def work(task: Task) -> dict[str, Any]:
    """Trains one model, measuring its gradients before, during and after."""
    from jumok.net.gradients import forget_openness, source_gradients

    text = build(TrainConfig, task.options, "study").text
    codec = build_codec(read_pairs(str(task.data / "train.jsonl"), text, warn=lambda _: None), text)
    sources, targets = codec.encode_pairs(read_pairs(str(task.data / "test.jsonl"), text, warn=lambda _: None))
    measured = {length: sentences(sources, targets, length) for length in LENGTHS}
    seen: list[dict[str, Any]] = []

    def observe(step: int, model: Any) -> None:
        entry: dict[str, Any] = {"step": step, "forget": forget_openness(model, measured[LENGTHS[-1]][0]), "lengths": {}}
        for length, (source, target) in measured.items():
            norms = source_gradients(model, source, target)[:, :length].mean(0)  # `</s>` is no token of the source
            entry["lengths"][str(length)] = {"norms": norms[::-1].tolist(), "first_to_last": float(norms[0] / norms[-1])}
        seen.append(entry)

    found = train(task, POINTS, observe=observe)
    found["gradients"] = seen
    ratio = seen[-1]["lengths"][str(LENGTHS[-1])]["first_to_last"]
    found["headline"] = (
        f"first of {LENGTHS[-1]} tokens gets {ratio:.1e} of the last one's gradient, dev {found['metric']} {found['dev']:.1f}"
    )
    return found


def report(outcome: Outcome) -> Report:
    """Norms over the distance, ratios by length, forget gates, and what attention changes."""
    longest = str(LENGTHS[-1])
    blocks: list[Block] = [
        Text(
            f"L is the loss of a sentence under teacher forcing, x_s what the encoder reads at position s; norms are means over "
            f"{SENTENCES} test sentences that were cut (or went on with the next ones) to exactly 10, 20, 40 or 80 tokens. Ratios span "
            "many powers of ten, so their means and 95 % t-intervals over seeds are those of the logarithm to base 10: "
            "−4 ± 1 is a ten-thousandth, give or take a factor of ten."
        )
    ]
    for when, at in (("before training", 0), ("after training", -1)):
        blocks += [Heading(f"First token against last token, {when}"), _table(outcome, at)]
        blocks += [_by_distance(outcome, at, when, longest)]
    blocks += [_during(outcome, longest)]
    gates = _gates(outcome)
    blocks += [gates] if gates else []
    blocks += [Heading("What the models learned"), _models(outcome)]
    return Report(_findings(outcome), blocks, _numbers(outcome))


def logs(outcome: Outcome, variant: str, length: str, at: int) -> dict[int, float]:
    """log10 of the first token's norm over the last token's, by seed; a norm of 0 counts as 1e-300."""
    return {
        seed: math.log10(max(m["gradients"][at]["lengths"][length]["first_to_last"], 1e-300))
        for seed, m in outcome.of(variant).items()
    }


def _table(outcome: Outcome, at: int) -> Table:
    rows = []
    for v in outcome.done:
        cells = [t_interval(list(logs(outcome, v.name, str(length), at).values())) for length in LENGTHS]
        rows.append([v.name, *(f"{plus_minus(c, 1)} ({10**c.mean:.1e})" for c in cells)])
    return Table(["variant", *(f"{length} tokens" for length in LENGTHS)], rows)


def _by_distance(outcome: Outcome, at: int, when: str, length: str) -> Figure:
    series = []
    for v in outcome.done:
        values = np.log10(
            [np.maximum(m["gradients"][at]["lengths"][length]["norms"], 1e-300) for m in outcome.of(v.name).values()]
        )
        found = [t_interval(column.tolist()) for column in values.T]
        x = list(range(len(found)))
        # an interval over few seeds can span many powers of ten; the band is kept to what an axis can show
        low, high = ([10 ** max(v, i.mean - 3) for v, i in zip([i.low for i in found], found, strict=True)],
                     [10 ** min(v, i.mean + 3) for v, i in zip([i.high for i in found], found, strict=True)])  # fmt: skip
        series.append(Series(v.name, x, [10**i.mean for i in found], low, high))
    title = f"‖∂L/∂x‖ in sources of {length} tokens, {when}"
    svg = line_chart(title, "distance from the last token", "norm (logarithmic)", series, log_y=True)
    name = f"norms-{when.split()[0]}.svg"
    return Figure(name, svg, f"{title}: over the distance from the end of the source; bands are 95 % intervals over seeds.")


def _during(outcome: Outcome, length: str) -> Figure:
    series = []
    for v in outcome.done:
        runs = outcome.of(v.name)
        count = min(len(m["gradients"]) for m in runs.values())
        intervals = [t_interval(list(logs(outcome, v.name, length, k).values())) for k in range(count)]
        some = next(iter(runs.values()))
        x = [100 * some["gradients"][k]["step"] / some["steps"] for k in range(count)]
        series.append(Series(v.name, x, [i.mean for i in intervals], [i.low for i in intervals], [i.high for i in intervals]))
    title = f"First token against last in {length} tokens, along training"
    svg = line_chart(title, "percent of the training", "log10 of the ratio of norms", series)
    return Figure("ratio-along-training.svg", svg, f"{title}; bands are 95 % intervals over seeds.")


def _gates(outcome: Outcome) -> Figure | None:
    series = []
    for v in outcome.done:
        runs = [m for m in outcome.of(v.name).values() if m["gradients"][0]["forget"] is not None]
        if runs:
            count = min(len(m["gradients"]) for m in runs)
            found = [t_interval([m["gradients"][k]["forget"] for m in runs]) for k in range(count)]
            x = [100 * runs[0]["gradients"][k]["step"] / runs[0]["steps"] for k in range(count)]
            series.append(Series(v.name, x, [i.mean for i in found], [i.low for i in found], [i.high for i in found]))
    if not series:
        return None
    svg = line_chart("How far the LSTM's forget gates are open", "percent of the training", "mean of σ(f)", series)
    caption = "Mean of σ(f) in the encoder; over d tokens a state keeps about this to the power of d."
    return Figure("forget-gates.svg", svg, caption)


def _models(outcome: Outcome) -> Table:
    rows = []
    for v in outcome.done:
        runs = outcome.of(v.name).values()
        last = [m["history"][-1] for m in runs]
        rows.append(
            [
                v.name,
                v.note,
                plus_minus(t_interval([e["accuracy"] for e in last])),
                plus_minus(t_interval([e["loss"] for e in last]), 3),
            ]
        )
    return Table(["variant", "what it is", "dev accuracy at the end (%)", "dev loss (nats a token)"], rows)


def _findings(outcome: Outcome) -> list[str]:
    names = [v.name for v in outcome.done]
    length = str(LENGTHS[-1])
    found = []
    for when, at in (("Before training", 0), ("After training", -1)):
        for cell, title in TITLES.items():
            plain, attending = cell, f"{cell}-attention"
            if plain not in names or attending not in names:
                continue
            a, b = logs(outcome, attending, length, at), logs(outcome, plain, length, at)
            x, y, gap = t_interval(list(b.values())), t_interval(list(a.values())), difference(a, b)
            text = (
                f"{when}, the first of {length} tokens gets {10**x.mean:.1e} of the last token's gradient in the {title} without "
                f"attention, and {10**y.mean:.1e} with it: "
            )
            if gap.half is None:
                text += f"{number(gap.mean)} powers of ten apart (one seed)."
            elif not gap.clear:
                text += f"no clear difference ({plus_minus(gap)} powers of ten)."
            else:
                text += f"attention makes it {'larger' if gap.mean > 0 else 'smaller'} by {number(abs(gap.mean))} ± {number(gap.half)} powers of ten."
            found.append(text)
    if "lstm" in names and "rnn" in names:
        for when, at in (("before training", 0), ("after training", -1)):
            gap = difference(logs(outcome, "lstm", length, at), logs(outcome, "rnn", length, at))
            text = f"Without attention, {when}, the gradient of the first of {length} tokens is"
            if gap.half is None:
                found.append(f"{text} {number(gap.mean)} powers of ten larger in the LSTM than in the plain RNN (one seed).")
            elif gap.clear:
                word = "larger" if gap.mean > 0 else "smaller"
                found.append(
                    f"{text} {word} in the LSTM than in the plain RNN by {number(abs(gap.mean))} ± {number(gap.half)} powers of ten."
                )
            else:
                found.append(
                    f"{text} not clearly another one in the LSTM than in the plain RNN ({plus_minus(gap)} powers of ten)."
                )
    return found


def _numbers(outcome: Outcome) -> dict[str, object]:
    return {
        "first to last, log10": {
            v.name: {
                when: {
                    str(length): {str(s): x for s, x in logs(outcome, v.name, str(length), at).items()} for length in LENGTHS
                }
                for when, at in (("before", 0), ("after", -1))
            }
            for v in outcome.done
        },
        "forget openness": {
            v.name: {str(s): [e["forget"] for e in m["gradients"]] for s, m in outcome.of(v.name).items()} for v in outcome.done
        },
    }


STUDY = Study(
    name="gradients",
    question="Does the gradient reach the first token of a long source, and by which way?",
    claim=(
        "Through a recurrent network the gradient shrinks with every step (Hochreiter 1991; Bengio, Simard & Frasconi 1994; Pascanu, "
        "Mikolov & Bengio 2013); gates slow this down (Hochreiter & Schmidhuber 1997), and attention gives every position a short way "
        "to the loss."
    ),
    defaults={"bidirectional": False},
    own_defaults={"embedding": 32, "hidden": 64, "readout_size": 64, "dropout": 0.0, "steps": 400, "learning_rate": 3e-3},
    own_data=first_letters,
    variants=variants,
    work=work,
    report=report,
)
