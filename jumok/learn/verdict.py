"""What a profile says in plain words: where the time went, how near the machine's limit training came, and what holds it back."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from jumok.errors import TrainingError
from jumok.learn.floor import Rates
from jumok.learn.profile import (
    ATTENTION,
    CLIP,
    DECODER,
    DEV,
    ENCODER,
    FED,
    GATHER,
    KEEP,
    OUTPUT,
    OWN,
    SAVE,
    WAIT,
    Profile,
    backward,
)
from jumok.runtime.folder import PROFILE

GOOD = 0.6  # of the limit: from here on nothing is amiss
DEV_SHARE = 0.15  # of the time in the loop
WRITING_SHARE = WAITING_SHARE = 0.05
PADS = 0.15
ALONE = 0.3
GATHERING = 0.1
SECOND_THREAD = 1.3

_STEPWISE = "its products go from step to step and are narrower than the large one that the limit is measured with"
_SMALL = "its products are small, and what is not a product (softmax, tanh, dropout) is not in the limit"
WHY = {  # a part far from its limit
    ENCODER: _STEPWISE,
    DECODER: _STEPWISE,
    FED: "--input-feeding goes step by step, in small products",
    OWN: "free running goes step by step to find the decoder's own words: the price of --teacher-forcing other than always",
    ATTENTION: _SMALL,
    OUTPUT: "the softmax over the vocabulary is no product, and moves every logit through memory",
    CLIP: "updates of many small arrays",
}
WHY |= {backward(part): why for part, why in WHY.items()}


def lines(profile: Profile) -> list[str]:
    """The profile as lines of text, for people."""
    p = profile
    found = [
        f"where the time went: {p.total:,.1f} s in all, {p.training:,.1f} s of it in {p.steps:,} steps "
        f"({_tokens_per_second(p):,.0f} target tokens a second)",
        f"{'':<38}{'seconds':>10}{'share':>8}{'at best':>10}",
    ]
    for name, seconds in p.seconds.items():
        least = f"{p.limits[name]:>10,.2f}" if p.limits.get(name) else ""
        found.append(f"  {name:<36}{seconds:>10,.2f}{seconds / p.total:>8.1%}{least}")
    source, target = _pads(p)
    found += [
        f"parts of a step as in {p.sampled:,} of the steps; at best: real tokens, at this machine's highest rates",
        f"training reached {p.reached:.0%} of what this machine could do at best ({p.machine}): "
        f"{2 * p.multiply_adds / 1e12:,.2f} T operations of products take {p.rates.products(p.multiply_adds):,.1f} s at {_gigas(p.rates.operations)} GFLOP/s, "
        f"clipping and Adam {p.limits.get(CLIP, 0.0):,.1f} s at {_gigas(p.rates.bytes)} GB/s",
        f"padding: {source:.1%} of the source positions, {target:.1%} of the target positions",
        f"dev evaluations: {p.evaluations:,}, {_dev_share(p):.1%} of the time from the first step on",
    ]
    return found + [f"- {reason}" for reason in reasons(p)]


def reasons(profile: Profile) -> list[str]:
    """What holds training back, the probable cause and what to do, a sentence each; nothing where nothing is amiss."""
    p, found = profile, []
    after = p.training + sum(p.seconds[name] for name in (DEV, KEEP, SAVE))
    if _dev_share(p) > DEV_SHARE:
        found.append(
            f"dev evaluation takes {_dev_share(p):.0%} of the time: evaluate less often (--evaluate-every), or on fewer dev pairs"
        )
    writing = (p.seconds[KEEP] + p.seconds[SAVE]) / max(after, 1e-9)
    if writing > WRITING_SHARE:
        found.append(f"writing models and checkpoints takes {writing:.0%} of the time: evaluate less often (--evaluate-every)")
    waiting = p.seconds[WAIT] / max(p.training, 1e-9)
    if waiting > WAITING_SHARE:
        found.append(f"training waits for its batches {waiting:.0%} of its time: they are small; raise --batch-size")
    return found + (_below_the_limit(p) if p.reached < GOOD else [])


def _below_the_limit(p: Profile) -> list[str]:
    gaps = {name: p.seconds[name] - least for name, least in p.limits.items() if name in p.seconds}
    found = []
    if gaps:
        widest = max(gaps, key=lambda name: gaps[name])
        far = f"furthest from the limit: {widest}, {p.seconds[widest]:,.1f} s instead of {p.limits[widest]:,.1f}"
        found.append(f"{far} ({WHY[widest]})")
    if p.alone is not None and p.alone > ALONE:
        found.append(
            f"one pair alone takes {p.alone:.0%} of the time of a whole batch, so most of a step's time does not depend on the batch: "
            "the model or the batch is small for this machine, and starting each operation is what takes time; raise --batch-size"
        )
    n = p.tokens
    pads = 1 - (n.source + n.target) / max(1, n.source_places + n.target_places)
    if pads > PADS:
        found.append(f"{pads:.0%} of all positions are padding, computed for nothing: raise --pool, or lower --batch-size")
    gathering = p.seconds.get(GATHER, 0.0) / max(p.training, 1e-9)
    if gathering > GATHERING:
        found.append(
            f"adding up the gradients of all processes, and waiting for the slowest, takes {gathering:.0%} of training: "
            "larger batches (--batch-size, --accumulate) do it less often"
        )
    if p.model.attention == "concat":
        found.append("most of what attention concat does is tanh, which the limit does not count; dot and general do without")
    if p.one_thread is not None and p.rates.operations < SECOND_THREAD * p.one_thread.operations:
        found.append(
            f"{p.threads} threads reach only {p.rates.operations / p.one_thread.operations:.1f} times the rate of one: the other "
            "cores are busy, or halves of the same one; try --threads 1"
        )
    return found


def as_dict(profile: Profile) -> dict[str, Any]:
    """The profile as JSON values, what it says in words under `findings`."""
    p = profile
    source, target = _pads(p)
    return {
        "machine": p.machine,
        "total_seconds": p.total,
        "training_seconds": p.training,
        "steps": p.steps,
        "steps_looked_into": p.sampled,
        "evaluations": p.evaluations,
        "sections": [
            {"name": name, "seconds": s, "share": s / p.total, "seconds_at_best": p.limits.get(name)}
            for name, s in p.seconds.items()
        ],
        "target_tokens": p.target_tokens,
        "target_tokens_per_second": _tokens_per_second(p),
        "source_padding_share": source,
        "target_padding_share": target,
        "dev_evaluation_share": _dev_share(p),
        "limit": {
            "multiply_adds": p.multiply_adds,
            "parameters": p.parameters,
            "seconds": sum(p.limits.values()),
            **_rates(p.rates),
            "one_thread": None if p.one_thread is None else _rates(p.one_thread),
        },
        "share_of_limit": p.reached,
        "one_pair_share_of_batch": p.alone,
        "findings": reasons(p),
    }


def write(folder: Path, profile: Profile) -> None:
    """Writes `profile.json`, there whole or not at all.

    Raises:
        TrainingError: the disk is full or not writable.
    """
    new = folder / f".{PROFILE}.new"
    try:
        new.write_text(
            json.dumps(as_dict(profile), ensure_ascii=False, indent=1) + "\n", encoding="utf-8", errors="backslashreplace"
        )
        os.replace(new, folder / PROFILE)
    except OSError as e:
        raise TrainingError(f"{folder / PROFILE}: could not be written: {e.strerror or e}; the model is whole") from e


def _rates(rates: Rates) -> dict[str, float]:
    return {"operations_per_second": rates.operations, "bytes_per_second": rates.bytes}


def _tokens_per_second(p: Profile) -> float:
    return p.target_tokens / max(p.training, 1e-9)


def _pads(p: Profile) -> tuple[float, float]:
    n = p.tokens
    return 1 - n.source / max(1, n.source_places), 1 - n.target / max(1, n.target_places)


def _dev_share(p: Profile) -> float:
    return p.seconds[DEV] / max(p.training + sum(p.seconds[name] for name in (DEV, KEEP, SAVE)), 1e-9)


def _gigas(rate: float) -> str:
    return f"{rate / 1e9:,.0f}"
