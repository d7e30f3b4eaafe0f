"""What one process of a team does, scene by scene; `test_parallel.py` starts two of it, and reads what each has seen.

RANK=0 WORLD_SIZE=2 MASTER_ADDR=127.0.0.1 MASTER_PORT=… one_of_many.py FOLDER
"""

import dataclasses
import json
import os
import random
import signal
import sys
from pathlib import Path
from typing import Any

import torch

import jumok
from jumok.config import LearnConfig, ModelConfig, TrainConfig
from jumok.errors import JumokError
from jumok.learn import calibrate
from jumok.learn import loop as loops
from jumok.learn.loop import Loop
from jumok.learn.machine import Machine
from jumok.learn.material import Material
from jumok.learn.parallel import ALONE, Team, joined
from jumok.learn.recipe import Recipe
from jumok.net.model import Seq2Seq
from jumok.text import Batches
from jumok.text.vocabulary import END

VOCABULARY, STEPS, RATE = 20, 50, 1e-2
MODEL = ModelConfig(
    size="small", embedding=6, hidden=8, layers=1, score_size=8, readout_size=8, tie="none", attention="general", copy=False
)
LEARN = LearnConfig(
    steps=STEPS,
    evaluate_every=STEPS,
    learning_rate=RATE,
    dropout=0.0,
    weight_decay=0.0,
    batch_size=7,
    device="cpu",
    metric="loss",
    tokenize="none",
)
TINY: dict[str, Any] = {
    **{"hidden": 8, "embedding": 4, "readout_size": 8, "batch_size": 9, "learning_rate": 1e-2, "average": 0.9},
    **{"threads": 1, "matmul": "default", "precision": "float32", "device": "cpu", "quiet": True},
    **{"steps": 30, "evaluate_every": 10, "save_minutes": 0.0},
}


def batches(count: int = 61, batch_size: int = 7) -> Batches:
    """Pairs of unequal lengths; with 61 pairs in batches of 7, the last batch of an epoch has 5."""
    dice = random.Random(3)
    sources = [[dice.randrange(3, VOCABULARY) for _ in range(dice.randrange(1, 9))] + [END] for _ in range(count)]
    targets = [[*s[-2::-1], END] if len(s) % 2 else [*s[:1], END] for s in sources]
    return Batches(sources, targets, batch_size=batch_size, seed=5)


def new_loop(learn: LearnConfig = LEARN, model: ModelConfig = MODEL, team: Team = ALONE, count: int = 61) -> Loop:
    """A loop in float64, with the same weights every time; nothing is evaluated, nothing written."""
    torch.manual_seed(1)
    made = Seq2Seq(model, VOCABULARY, VOCABULARY).double()
    nothing: Any = None
    data = Material(batches(count), dev=nothing, codec=nothing, limit=(2.0, 5.0), pairs=count, describe=nothing)
    recipe = Recipe(TrainConfig(model=model, learn=learn), Machine("float32", "default", 1))
    return Loop(made, data, recipe, team)


def losses(loop: Loop, steps: int = STEPS) -> list[float]:
    """Loss a token of every step."""
    found, stream = [], loop._batches_from(0)
    for _ in range(steps):
        nll, tokens = loop.update(next(stream), RATE)
        found.append(float(nll) / tokens)
    return found


def write_pairs(path: Path) -> Path:
    """Words and the same words backwards: more than a hundred and a half, so that dev is more than one batch."""
    rng = random.Random(0)
    words = {"".join(rng.choices("abcdef", k=rng.randint(1, 4))) for _ in range(400)}
    path.write_text("".join(f"{w}\t{w[::-1]}\n" for w in sorted(words)), encoding="utf-8")
    return path


def in_float64(accumulate: int, count: int) -> list[float]:
    with joined(LEARN) as team:
        return losses(new_loop(dataclasses.replace(LEARN, accumulate=accumulate), team=team, count=count))


def at_step(step: int, do: Any) -> Any:
    """`Loop.update` that first does something in the update number `step` that counts."""
    real = loops.Loop.update

    def update(self: Loop, batch: Any, rate: float, *more: Any) -> Any:
        if rate and self.position.step == step:
            do(self)
        return real(self, batch, rate, *more)

    return update


def slower_each(rank: int) -> Any:
    """`calibrate.step_seconds` that makes a few steps, and finds what this process has of its own."""
    real = calibrate.step_seconds

    def step_seconds(loop: Loop, stream: Any, budget: float, most: float, **_: Any) -> float:
        assert real(loop, stream, 0.0, most) > 0
        return 0.02 * (1 + rank)

    return step_seconds


def train(folder: Path, out: str, **options: Any) -> dict[str, Any]:
    options = {"pairs": folder / "pairs.tsv", "dev": folder / "pairs.dev.tsv", "out": folder / out, **TINY, **options}
    try:
        done = jumok.train(**options)
    except JumokError as e:
        return {"error": str(e), "told": e.reported}
    return {
        "history": [e.to_dict() for e in done.history],
        "interrupted": done.interrupted,
        "settled": dataclasses.asdict(done.config.learn),
    }


def main(folder: Path, rank: int) -> None:
    seen: dict[str, Any] = {}
    real = loops.Loop.update

    def write() -> None:
        (folder / f"seen by {rank}.json").write_text(json.dumps(seen), encoding="utf-8")

    seen["float64"] = in_float64(accumulate=1, count=61)
    seen["float64 in parts"] = in_float64(accumulate=2, count=61)
    seen["float64, one pair left over"] = in_float64(accumulate=1, count=15)

    mine = "own " * rank  # a second process that wrote would write elsewhere
    seen["plain"] = train(folder, mine + "plain", dropout=0.0)
    seen["whole"] = train(folder, mine + "whole", dropout=0.2)
    if rank == 1:
        loops.Loop.update = at_step(13, lambda loop: setattr(loop, "interrupted", True))  # type: ignore[method-assign]
    seen["stopped"] = train(folder, mine + "resumed", dropout=0.2)
    loops.Loop.update = real  # type: ignore[method-assign]
    os.environ["TORCHELASTIC_RESTART_COUNT"] = str(rank)  # as after a failure that one host has seen, and the other not yet
    seen["resumed"] = train(folder, mine + "resumed", dropout=0.2)
    del os.environ["TORCHELASTIC_RESTART_COUNT"]

    calibrate.step_seconds = slower_each(rank)
    seen["measured"] = train(folder, mine + "measured", steps=None, minutes=0.1, evaluate_every=None, threads=0)
    missing = {"pairs": folder / "missing.tsv"} if rank == 1 else {}
    seen["missing"] = train(folder, mine + "missing", **missing)
    other = {"pairs": folder / "pairs.dev.tsv", "dev": folder / "pairs.tsv"} if rank == 1 else {}
    seen["other data"] = train(folder, mine + "other", **other)
    write()
    if rank == 1:
        loops.Loop.update = at_step(13, lambda loop: os.kill(os.getpid(), signal.SIGKILL))  # type: ignore[method-assign]
    seen["killed"] = train(folder, mine + "killed")
    write()


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]), int(os.environ["RANK"]))
