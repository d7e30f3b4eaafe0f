"""What does --profile see in training at Multi30k's sizes, what does looking cost, and how long does a batch take to prepare?

    python -m benchmarks.speed.profile [--sizes multi30k] [--device cpu] [--precision float32] [--matmul onednn] [--threads 0] [--steps 20] [--rounds 3]

Random pairs, as many and as long as Multi30k's; the loop, its batches and its model are those of `jumok train`. Runs with and
without a profiler go in turns; so short a run is looked into at every step, a long one only at every tenth. A batch's share of a step is what a thread that
prepares batches ahead could win at most: it is measured over a whole epoch, whose plan is made before its first batch.
"""

import argparse
import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from benchmarks.speed.train import SIZES
from benchmarks.support.measure import alternate, emit, ratio
from jumok.config import LearnConfig, ModelConfig, TrainConfig
from jumok.learn import memory
from jumok.learn.display import Display
from jumok.learn.loop import Loop
from jumok.learn.machine import Machine
from jumok.learn.material import Material
from jumok.learn.profile import verdict
from jumok.learn.profile.profiler import Profiler
from jumok.learn.recipe import Recipe
from jumok.net.model import Seq2Seq
from jumok.text import END, Batches

PAIRS = 29_000


class NoDevelopment:
    """Training alone is timed."""

    metric = "loss"

    def evaluate(self, model: Seq2Seq, machine: Machine) -> dict[str, float]:
        return {"loss": 1.0}

    def better(self, new: float, old: float | None) -> bool:
        return False


def main() -> None:
    memory.prepare(TrainConfig())  # as in training; torch is imported, so that all compiled kernels are kept
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", choices=SIZES, default="multi30k")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--precision", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument("--matmul", default="onednn", choices=["onednn", "default"])
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    o = parser.parse_args()
    machine = Machine(o.precision, o.matmul, o.threads or len(os.sched_getaffinity(0)), o.device)
    machine.apply()
    E, H, R, layers, V, length, rows, tied = SIZES[o.sizes]
    model = ModelConfig(
        size="medium",
        attention="general",
        embedding=E,
        hidden=H,
        score_size=H,
        readout_size=R,
        layers=layers,
        tie="all" if tied else "none",
        copy=False,
    )
    learn = LearnConfig(
        steps=o.steps,
        evaluate_every=o.steps,
        batch_size=rows,
        learning_rate=1e-4,
        dropout=0.1,
        weight_decay=0.0,
        threads=machine.threads,
        metric="loss",
        tokenize="none",
    )
    batches = Batches(*pairs(length, V), batch_size=rows, seed=1)
    nothing: Any = None
    dev: Any = NoDevelopment()
    data = Material(batches, dev, codec=nothing, limit=(2.0, 5.0), pairs=PAIRS, describe=str)
    recipe = Recipe(TrainConfig(model=model, learn=learn), machine)
    seen: list[Profiler] = []

    def loop() -> Loop:
        torch.manual_seed(1)
        display = Display(quiet=True)
        display.start(o.steps)
        made = Seq2Seq(model, V, V, dropout=0.1).to(o.device).train()
        return Loop(made, data, recipe, display=display)  # nothing is written

    def watched() -> None:
        with Profiler(loop(), time.perf_counter()) as profiler:
            profiler.loop.run()
        seen.append(profiler)

    functions: dict[str, Callable[[], None]] = {"profiled": watched, "plain": lambda: loop().run()}
    seconds = alternate(functions, o.rounds)
    tick = time.perf_counter()
    for _ in batches.epoch(1):
        pass
    prepared = (time.perf_counter() - tick) / batches.length(1)
    profile = seen[-1].profile()
    print("\n".join(verdict.lines(profile)))
    found = verdict.as_dict(profile)
    emit(
        "speed_profile",
        sizes=o.sizes,
        cost_of_looking=ratio(seconds, "profiled", "plain"),
        step_ms=1e3 * profile.training / profile.steps,
        batch_ms=1e3 * prepared,
        batch_share_of_step=prepared * profile.steps / profile.training,
        profile=found,
    )


def pairs(length: int, vocabulary: int) -> list[list[list[int]]]:
    """Two sides of PAIRS pairs of about `length` tokens, END last: spread by two sevenths, and the sides of a pair by half of that."""
    random = np.random.default_rng(1)
    usual, spread = np.full(PAIRS, float(length)), length / 3.5
    usual += random.normal(0, spread * 0.87, PAIRS)
    sides = []
    for _ in range(2):
        lengths = np.clip(np.rint(usual + random.normal(0, spread * 0.5, PAIRS)), 3, 3 * length).astype(int)
        sides.append([[*random.integers(4, vocabulary, n - 1).tolist(), END] for n in lengths])
    return sides


if __name__ == "__main__":
    main()
