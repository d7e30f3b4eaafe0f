"""What a profile says in plain words: where the time went, how near the machine's limit training came, and what holds it back."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from jumok.errors import TrainingError
from jumok.learn.profile import sections as s
from jumok.learn.profile.limit import Rates
from jumok.learn.profile.profiler import Profile
from jumok.runtime import disk
from jumok.scores import SCORES

NAME = "profile.json"
GOOD = 0.6  # of the limit: from here on nothing is amiss
SECOND_THREAD = 1.3

_STEPWISE = "its products go from step to step and are narrower than the large one that the limit is measured with"
_SMALL = "its products are small, and what is not a product (softmax, tanh, dropout) is not in the limit"
WHY = {  # a part far from its limit
    s.ENCODER: _STEPWISE,
    s.DECODER: _STEPWISE,
    s.FED: "--input-feeding goes step by step, in small products",
    s.OWN: "free running goes step by step to find the decoder's own words: the price of --teacher-forcing other than always",
    s.ATTENTION: _SMALL,
    s.OUTPUT: "the softmax over the vocabulary is no product, and moves every logit through memory",
    s.CLIP: "updates of many small arrays",
}
WHY |= {s.backward(part): why for part, why in WHY.items()}


def lines(p: Profile) -> list[str]:
    """The profile as lines of text, for people."""
    found = [
        f"where the time went: {p.total:,.1f} s in all, {p.training:,.1f} s of it in {p.steps:,} steps "
        f"({p.tokens_per_second:,.0f} target tokens a second)",
        f"{'':<38}{'seconds':>10}{'share':>8}{'at best':>10}",
    ]
    for name, seconds in p.seconds.items():
        least = f"{p.limits[name]:>10,.2f}" if p.limits.get(name) else ""
        found.append(f"  {name:<36}{seconds:>10,.2f}{seconds / p.total:>8.1%}{least}")
    found += [
        f"parts of a step as in {p.sampled:,} of the steps; at best: real tokens, at this machine's highest rates",
        f"training reached {p.reached:.0%} of what this machine could do at best ({p.machine}): {2 * p.multiply_adds / 1e12:,.2f} T "
        f"operations of products take {p.rates.products(p.multiply_adds):,.1f} s at {p.rates.operations / 1e9:,.0f} GFLOP/s, "
        f"clipping and Adam {p.limits.get(s.CLIP, 0.0):,.1f} s at {p.rates.bytes / 1e9:,.0f} GB/s",
        "padding: {:.1%} of the source positions, {:.1%} of the target positions".format(*p.tokens.padding),
        f"dev evaluations: {p.evaluations:,}, {p.share(s.DEV):.1%} of the time from the first step on",
    ]
    return found + [f"- {reason}" for reason in reasons(p)]


def reasons(p: Profile) -> list[str]:
    """What holds training back, the probable cause and what to do, a sentence each; nothing where nothing is amiss."""
    waiting, gathering = (p.seconds.get(name, 0.0) / max(p.training, 1e-9) for name in (s.WAIT, s.GATHER))
    writing, below = p.share(s.KEEP, s.SAVE), p.reached < GOOD
    dear = SCORES[p.model.attention].beside if p.model.attention in SCORES else ""
    cheap = [name for name, score in SCORES.items() if not score.beside]
    second = p.rates.operations / p.one_thread.operations if p.one_thread else SECOND_THREAD
    gaps = {name: p.seconds[name] - least for name, least in p.limits.items() if name in p.seconds}
    widest = max(gaps, key=lambda name: gaps[name], default="")
    causes = [  # whether something is amiss, and what
        (
            p.share(s.DEV) > 0.15,
            f"dev evaluation takes {p.share(s.DEV):.0%} of the time: evaluate less often (--evaluate-every), or on fewer dev pairs",
        ),
        (
            writing > 0.05,
            f"writing models and checkpoints takes {writing:.0%} of the time: evaluate less often (--evaluate-every)",
        ),
        (waiting > 0.05, f"training waits for its batches {waiting:.0%} of its time: they are small; raise --batch-size"),
        (
            below and widest != "",
            f"furthest from the limit: {widest}, {p.seconds.get(widest, 0.0):,.1f} s instead of {p.limits.get(widest, 0.0):,.1f} "
            f"({WHY.get(widest)})",
        ),
        (
            below and (p.alone or 0.0) > 0.3,
            f"one pair alone takes {p.alone or 0.0:.0%} of the time of a whole batch, so most of a step's time does not depend on the "
            "batch: the model or the batch is small for this machine, and starting each operation is what takes time; raise --batch-size",
        ),
        (
            below and p.tokens.pads > 0.15,
            f"{p.tokens.pads:.0%} of all positions are padding, computed for nothing: raise --pool, or lower --batch-size",
        ),
        (
            below and gathering > 0.1,
            f"adding up the gradients of all processes, and waiting for the slowest, takes {gathering:.0%} of training: "
            "larger batches (--batch-size, --accumulate) do it less often",
        ),
        (
            below and dear != "",
            f"most of what attention {p.model.attention} does is {dear}, which the limit does not count; "
            f"{', '.join(cheap)} do without",
        ),
        (
            below and second < SECOND_THREAD,
            f"{p.threads} threads reach only {second:.1f} times the rate of one: the other cores are busy, or halves of the same one; "
            "try --threads 1",
        ),
    ]
    return [cause for amiss, cause in causes if amiss]


def as_dict(p: Profile) -> dict[str, Any]:
    """The profile as JSON values, what it says in words under `findings`."""
    source, target = p.tokens.padding
    sections = [
        {"name": name, "seconds": seconds, "share": seconds / p.total, "seconds_at_best": p.limits.get(name)}
        for name, seconds in p.seconds.items()
    ]
    limit = {"multiply_adds": p.multiply_adds, "parameters": p.parameters, "seconds": sum(p.limits.values()), **_rates(p.rates)}
    return {
        "machine": p.machine,
        "total_seconds": p.total,
        "training_seconds": p.training,
        "steps": p.steps,
        "steps_looked_into": p.sampled,
        "evaluations": p.evaluations,
        "sections": sections,
        "target_tokens": p.target_tokens,
        "target_tokens_per_second": p.tokens_per_second,
        "source_padding_share": source,
        "target_padding_share": target,
        "dev_evaluation_share": p.share(s.DEV),
        "limit": limit | {"one_thread": None if p.one_thread is None else _rates(p.one_thread)},
        "share_of_limit": p.reached,
        "one_pair_share_of_batch": p.alone,
        "findings": reasons(p),
    }


def _rates(rates: Rates) -> dict[str, float]:
    return {"operations_per_second": rates.operations, "bytes_per_second": rates.bytes}


def write(folder: Path, profile: Profile) -> None:
    """Writes `profile.json`, there whole or not at all; TrainingError if the disk is full or not writable."""
    text = json.dumps(as_dict(profile), ensure_ascii=False, indent=1) + "\n"
    try:
        os.replace(disk.write_beside(folder / NAME, text.encode()), folder / NAME)
    except OSError as e:
        raise TrainingError(f"{folder / NAME}: could not be written: {e.strerror or e}; the model is whole") from e
