"""What a profile says in plain words: where the time went, how near the machine's limit training came, and what holds it back."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jumok import disk
from jumok.errors import TrainingError
from jumok.learn.profile.profiler import Profile
from jumok.net import sections as s
from jumok.runtime.folder import PROFILE
from jumok.scores import SCORES

GOOD = 0.6  # of the limit: from here on nothing is amiss

_STEPWISE = "its products go from step to step and are narrower than the large one that the limit is measured with"
WHY = {  # a part far from its limit
    s.ENCODER: _STEPWISE,
    s.DECODER: _STEPWISE,
    s.FED: "--input-feeding goes step by step, in small products",
    s.OWN: "free running goes step by step to find the decoder's own words: the price of --teacher-forcing other than always",
    s.ATTENTION: "its products are small, and what is not a product (softmax, tanh, dropout) is not in the limit",
    s.OUTPUT: "the softmax over the vocabulary is no product, and moves every logit through memory",
    s.CLIP: "updates of many small arrays",
}
WHY |= {s.backward(part): why for part, why in WHY.items()}


def lines(p: Profile) -> list[str]:
    """The profile as lines of text, for people."""
    found = [
        f"where the time went: {p.total:,.1f} s in all, {p.training:,.1f} s of it in {p.steps:,} steps "
        f"({p.in_training(p.target_tokens):,.0f} target tokens a second)",
        f"{'':<38}{'seconds':>10}{'share':>8}{'at best':>10}",
    ]
    for name, seconds in p.seconds.items():
        least = f"{p.limits[name]:>10,.2f}" if p.limits.get(name) else ""
        found.append(f"  {name:<36}{seconds:>10,.2f}{seconds / p.total:>8.1%}{least}")
    found += [
        f"parts of a step as in {p.sampled:,} of the steps; at best: real tokens, at this machine's highest rates",
        f"training reached {p.reached:.0%} of what this machine could do at best ({p.machine}): {2 * p.multiply_adds / 1e12:,.2f} T "
        f"operations of products take {p.rates.products(p.multiply_adds):,.1f} s at {p.rates.operations_per_second / 1e9:,.0f} GFLOP/s, "
        f"clipping and Adam {p.limits.get(s.CLIP, 0.0):,.1f} s at {p.rates.bytes_per_second / 1e9:,.0f} GB/s",
        "padding: {:.1%} of the source positions, {:.1%} of the target positions".format(*p.tokens.padding),
        f"dev evaluations: {p.evaluations:,}, {p.share(s.DEV):.1%} of the time from the first step on",
    ]
    return found + [f"- {reason}" for reason in reasons(p)]


def reasons(p: Profile) -> Iterator[str]:
    """What holds training back, the probable cause and what to do, a sentence each; nothing where nothing is amiss."""
    dev, writing, waiting = p.share(s.DEV), p.share(s.KEEP, s.SAVE), p.in_training(p.seconds[s.WAIT])
    if dev > 0.15:
        yield f"dev evaluation takes {dev:.0%} of the time: evaluate less often (--evaluate-every), or on fewer dev pairs"
    if writing > 0.05:
        yield f"writing models and checkpoints takes {writing:.0%} of the time: evaluate less often (--evaluate-every)"
    if waiting > 0.05:
        yield f"training waits for its batches {waiting:.0%} of its time: they are small; raise --batch-size"
    if p.reached >= GOOD:
        return
    gaps = {name: p.seconds[name] - least for name, least in p.limits.items() if name in p.seconds}
    if gaps:
        widest = max(gaps, key=lambda name: gaps[name])
        far = f"{p.seconds[widest]:,.1f} s instead of {p.limits[widest]:,.1f}"
        yield f"furthest from the limit: {widest}, {far} ({WHY[widest]})"
    if p.alone is not None and p.alone > 0.3:
        yield (
            f"one pair alone takes {p.alone:.0%} of the time of a whole batch, so most of a step's time does not depend on the batch: "
            "the model or the batch is small for this machine, and starting each operation is what takes time; raise --batch-size"
        )
    if p.tokens.pads > 0.15:
        yield f"{p.tokens.pads:.0%} of all positions are padding, computed for nothing: raise --pool, or lower --batch-size"
    if (gathering := p.in_training(p.seconds.get(s.GATHER, 0.0))) > 0.1:
        yield (
            f"adding up the gradients of all processes, and waiting for the slowest, takes {gathering:.0%} of training: "
            "larger batches (--batch-size, --accumulate) do it less often"
        )
    name = p.model.attention
    if name in SCORES and (dear := SCORES[name].beside):
        cheap = ", ".join(other for other, score in SCORES.items() if not score.beside)
        yield f"most of what attention {name} does is {dear}, which the limit does not count; without it: {cheap}"
    if p.one_thread and (times := p.rates.operations_per_second / p.one_thread.operations_per_second) < 1.3:
        others = "the other cores are busy, or halves of the same one; try --threads 1"
        yield f"{p.threads} threads reach only {times:.1f} times the rate of one: {others}"


def as_dict(p: Profile) -> dict[str, Any]:
    """The profile as JSON values, what it says in words under `findings`."""
    source, target = p.tokens.padding
    sections = [
        {"name": name, "seconds": seconds, "share": seconds / p.total, "seconds_at_best": p.limits.get(name)}
        for name, seconds in p.seconds.items()
    ]
    limit = {"multiply_adds": p.multiply_adds, "parameters": p.parameters, "seconds": sum(p.limits.values()), **vars(p.rates)}
    return {
        "machine": p.machine,
        "total_seconds": p.total,
        "training_seconds": p.training,
        "steps": p.steps,
        "steps_looked_into": p.sampled,
        "evaluations": p.evaluations,
        "sections": sections,
        "target_tokens": p.target_tokens,
        "target_tokens_per_second": p.in_training(p.target_tokens),
        "source_padding_share": source,
        "target_padding_share": target,
        "dev_evaluation_share": p.share(s.DEV),
        "limit": limit | {"one_thread": None if p.one_thread is None else vars(p.one_thread)},
        "share_of_limit": p.reached,
        "one_pair_share_of_batch": p.alone,
        "findings": list(reasons(p)),
    }


def write(folder: Path, profile: Profile) -> None:
    """Writes `profile.json`, there whole or not at all; TrainingError if the disk is full or not writable."""
    text = json.dumps(as_dict(profile), ensure_ascii=False, indent=1) + "\n"
    try:
        os.replace(disk.write_beside(folder / PROFILE, text.encode(errors="backslashreplace")), folder / PROFILE)
    except OSError as e:
        raise TrainingError(f"{folder / PROFILE}: could not be written: {e.strerror or e}; the model is whole") from e
