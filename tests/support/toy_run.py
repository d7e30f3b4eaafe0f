"""A training that takes a tenth of a second, ways to kill it, and what it leaves behind."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from faulty_disk import Death

from jumok.learn import loop as loops
from jumok.learn.progress import Display

TINY: dict[str, Any] = {
    **{"hidden": 8, "embedding": 4, "readout_size": 8, "batch_size": 8, "dropout": 0.2, "learning_rate": 1e-2},
    **{"threads": 1, "matmul": "default", "precision": "float32", "quiet": True, "average": 0.9},
}
SHORT = {"steps": 8, "evaluate_every": 4, "save_every": 3, "metric": "loss", **TINY}  # dev loss falls: a better model each time
WALL_CLOCK = ("seconds", "tokens_per_second")
NAMES = ("run", "sitting")  # made by chance


def write_pairs(path: Path) -> Path:
    """Words and the same words backwards."""
    rng = random.Random(0)
    words = {"".join(rng.choices("abcd", k=rng.randint(1, 4))) for _ in range(90)}
    path.write_text("".join(f"{w}\t{w[::-1]}\n" for w in sorted(words)), encoding="utf-8")
    return path


def remains(out: Path) -> dict[str, Any]:
    """All that a run leaves behind but its names and what a clock said; nothing may lie about beside it."""
    found: dict[str, Any] = {p.name: p.read_bytes() for p in out.iterdir()}
    config = json.loads(found["config.json"])
    del config["training"]["out"]
    history = [{k: v for k, v in e.items() if k not in WALL_CLOCK} for e in json.loads(found["history.json"])]
    record = {k: v for k, v in json.loads(found["training.json"]).items() if k not in NAMES}
    found |= {"training.json": record}
    return found | {"config.json": config, "history.json": history, "beside": [p.name for p in out.parent.iterdir()]}


def die_at(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """The run is killed in its update number `step` (from 0)."""
    real = loops.Loop.update

    def update(self: loops.Loop, *arguments: Any) -> Any:
        if self.position.step == step:
            raise Death
        return real(self, *arguments)

    monkeypatch.setattr(loops.Loop, "update", update)


def listen(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What a run tells, as lines, even if it is quiet (which a test's run is, for then it measures nothing)."""
    lines: list[str] = []
    monkeypatch.setattr(Display, "note", lambda self, text: lines.append(text))
    return lines
