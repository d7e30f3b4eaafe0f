"""Does a training that is killed again and again, at any moment, end exactly as one that was left alone?

    python -m benchmarks.robust.kills [--runs 200] [--seed 1] [--keep FOLDER] [--only WORD]

Each run is killed by SIGKILL one to three times and then resumed to its end. A kill comes at a random moment of time; or at a
random call of the operating system that touches the disk; or as soon as a file that is just being written appears. After
every kill the model folder must be readable, where there was a model before there must be one, and a checkpoint that was
there must not be lost. At the end weights, configuration, card and history (but for what a clock said) are compared with
those of a run that was never killed. Ends with status 1 if anything differs.

Runs are children of one process that has imported PyTorch already, and do not wait for the disk (SIGKILL takes nothing from
what the system has been given), so that a sitting takes a tenth of a second.
"""

import argparse
import collections
import hashlib
import importlib
import itertools
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

import jumok.learn
from benchmarks.support.measure import emit
from jumok.errors import JumokError
from jumok.learn.checkpoint import has_checkpoint, read_checkpoint
from jumok.runtime.folder import CHECKPOINTS, read_folder

SMALL: dict[str, Any] = {
    **{"embedding": 8, "hidden": 16, "readout_size": 16, "batch_size": 16, "threads": 1, "matmul": "default"},
    **{"precision": "float32", "learning_rate": 1e-2, "dropout": 0.2, "average": 0.9, "quiet": True},
    **{"steps": 60, "evaluate_every": 15, "save_every": 4},
}
VARIANTS: dict[str, dict[str, Any]] = {
    "dot": {},
    "own tokens, batches by tokens": {
        "teacher_forcing": "linear",
        "own_token": "sample",
        "batch_tokens": 64,
        "attention": "general",
    },
    "input feeding, GRU, patience": {"input_feeding": True, "cell": "gru", "patience": 2, "steps": 600, "learning_rate": 1e-4},
    "over an older model": {"overwrite": True},
    "monotonic": {"alignment": "monotonic", "teacher_forcing": "linear", "accumulate": 2},
    "monotonic, copying": {"alignment": "auto", "copy": True, "attention": "general"},
}
WARM = ("jumok.learn.run", "rapidfuzz.distance", "rich.console", "rich.progress", "safetensors.torch", "torch._dynamo")
CALLS = ("open", "fsync", "replace", "rename", "mkdir", "unlink", "rmdir", "link")  # of the module os
KINDS = ("time", "call", "file")
WALL_CLOCK = ("seconds", "tokens_per_second")


@dataclass(frozen=True)
class Kill:
    """How a sitting ends: `kind`, and seconds for "time", the call's number for "call"."""

    kind: str
    at: float = 0.0


@dataclass(frozen=True)
class Reference:
    """A run that was never killed: what it left, how long it took, how often it called the disk."""

    left: dict[str, Any]
    seconds: float
    calls: int


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", default="", help="folder for the runs; default: one that is deleted")
    parser.add_argument("--only", default="", help="only the variants whose name has this in it; default: all")
    o = parser.parse_args()
    for name in [name for name in VARIANTS if o.only not in name]:
        del VARIANTS[name]
    if not VARIANTS:
        parser.error(f"--only is {o.only!r}; no variant has that in its name")
    for name in WARM:  # else every child would import them anew
        importlib.import_module(name)
    torch.set_num_threads(1)  # no pool of threads may be there when a child is made
    with tempfile.TemporaryDirectory() as made:
        return robust_kills(Path(o.keep or made), o.runs, random.Random(o.seed), o.seed)


def robust_kills(folder: Path, runs: int, rng: random.Random, seed: int) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    start, pairs = time.perf_counter(), toy_pairs(folder / "pairs.tsv")
    old = folder / "old" / "model"
    if sitting({"pairs": pairs, "out": old, **SMALL, "steps": 1, "evaluate_every": 1, "seed": 7}, None):
        raise SystemExit("the older model could not be trained")
    references = {name: reference(name, folder, pairs, old) for name in VARIANTS}
    kills: collections.Counter[str] = collections.Counter()
    unfinished, wrong = collections.Counter[str](), []
    for i in range(runs):
        name = list(VARIANTS)[i % len(VARIANTS)]
        out = place(folder / f"run {i}", name, old)
        options = {"pairs": pairs, "out": out, **SMALL, **VARIANTS[name], "resume": True}
        found = references[name]
        try:
            for kill in plan(rng, found):
                before = has_checkpoint(out)
                if sitting(options, kill) == 0:
                    kills["came too late"] += 1
                    break
                kills[kill.kind] += 1
                unfinished.update(state(out))
                check(out, before, found, model="overwrite" in VARIANTS[name])
            else:
                if status := sitting(options, None):
                    raise AssertionError(f"resumed, it ended with status {status}")
            if (left := remains(out)) != found.left:
                raise AssertionError(
                    f"not equal: {[k for k in left.keys() | found.left.keys() if left.get(k) != found.left.get(k)]}"
                )
        except (AssertionError, JumokError, OSError) as e:
            wrong.append(f"run {i} ({name}): {e}")
            print(wrong[-1], file=sys.stderr)
        shutil.rmtree(out.parent)
    emit(
        "robust_kills",
        runs=runs,
        equal=runs - len(wrong),
        wrong=wrong,
        kills=sum(kills[kind] for kind in KINDS),
        kills_by_kind=dict(kills),
        killed_when=dict(unfinished),
        seconds_of_an_undisturbed_run={name: round(found.seconds, 2) for name, found in references.items()},
        seed=seed,
        seconds=round(time.perf_counter() - start, 1),
    )
    return 1 if wrong else 0


def toy_pairs(path: Path) -> Path:
    """300 words and the same words backwards."""
    rng = random.Random(0)
    words = {"".join(rng.choices("abcdef", k=rng.randint(1, 5))) for _ in range(300)}
    path.write_text("".join(f"{w}\t{w[::-1]}\n" for w in sorted(words)), encoding="utf-8")
    return path


def place(folder: Path, name: str, old: Path) -> Path:
    """Where a run of this variant writes; an older model is there if it is to be replaced."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    if "overwrite" in VARIANTS[name]:
        shutil.copytree(old, folder / "model")
    return folder / "model"


def reference(name: str, folder: Path, pairs: Path, old: Path) -> Reference:
    out = place(folder / f"undisturbed {name}", name, old)
    start, counted = time.perf_counter(), folder / "calls"
    if sitting({"pairs": pairs, "out": out, **SMALL, **VARIANTS[name]}, None, counted):
        raise SystemExit(f"{name}: the undisturbed run failed")
    return Reference(remains(out), time.perf_counter() - start, int(counted.read_text()))


def plan(rng: random.Random, found: Reference) -> list[Kill]:
    """One to three kills, each of a random kind at a random moment."""
    kills = []
    for _ in range(rng.randint(1, 3)):
        kind = rng.choice(KINDS)
        at = {"time": rng.uniform(0, found.seconds), "call": rng.randint(1, found.calls), "file": rng.randint(0, 5)}[kind]
        kills.append(Kill(kind, at))
    return kills


def sitting(options: dict[str, Any], kill: Kill | None, counted: Path | None = None) -> int:
    """Trains in a child, up to the end or the kill; its status, 0 for an end, negative for a signal."""
    child = os.fork()
    if child == 0:
        train_and_exit(options, int(kill.at) if kill and kill.kind == "call" else 0, counted)
    start, out, appeared = time.perf_counter(), Path(options["out"]), itertools.count()
    seen: set[str] = set()
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        if kill and kill.kind == "time" and time.perf_counter() - start >= kill.at:
            os.kill(child, signal.SIGKILL)
        elif kill and kill.kind == "file":
            now = being_written(out)
            if any(next(appeared) >= kill.at for _ in now - seen):
                os.kill(child, signal.SIGKILL)
            seen = now
        else:
            time.sleep(0.001)


def train_and_exit(options: dict[str, Any], kill_at: int, counted: Path | None) -> None:
    """The child: trains, and kills itself at call number `kill_at` of the disk. With `--processes`, it would be torchrun's."""
    status = 1
    try:
        calls = itertools.count(1)
        last = [0]

        def counting(real: Callable[..., Any]) -> Callable[..., Any]:
            def call(*arguments: Any, **more: Any) -> Any:
                last[0] = next(calls)
                if last[0] == kill_at:
                    os.kill(os.getpid(), signal.SIGKILL)
                return real(*arguments, **more)

            return call

        os.fsync = lambda handle: None
        for name in CALLS:
            setattr(os, name, counting(getattr(os, name)))
        jumok.learn.train(**options)
        if counted:
            counted.write_text(str(last[0]))
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def being_written(out: Path) -> set[str]:
    """Names of files and folders that are not in their place yet."""
    found = set()
    for folder in (out, out.parent):
        try:
            found |= {name for name in os.listdir(folder) if name.endswith((".new", ".old"))}
        except OSError:
            continue
    return found


def state(out: Path) -> list[str]:
    """What a killed run was about, as far as one can see."""
    found = ["a file was being written"] if being_written(out) else []
    if not (out / CHECKPOINTS[0]).exists():
        found.append("between two renames of checkpoints" if (out / CHECKPOINTS[1]).exists() else "before the first checkpoint")
    if not (out / "config.json").exists():
        found.append("before the first model")
    return found


def check(out: Path, had_checkpoint: bool, found: Reference, model: bool) -> None:
    """What must hold after every kill: models are readable, checkpoints whole, and gone only when nothing is left to do."""
    if model or (out / "config.json").exists():
        read_folder(out)
    said: list[str] = []
    if read_checkpoint(out, said.append) is None and had_checkpoint and remains(out) != found.left:
        raise AssertionError("the checkpoint is gone before the run was over")
    if any("damaged" in line for line in said):
        raise AssertionError("; ".join(said))


def remains(out: Path) -> dict[str, Any]:
    """All that a run leaves but its place and what a clock said: file name -> hash or values; and what lies about beside it."""
    found: dict[str, Any] = {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in out.iterdir()}
    config = json.loads((out / "config.json").read_text(encoding="utf-8"))
    del config["training"]["out"]
    history = json.loads((out / "history.json").read_text(encoding="utf-8"))
    found["config.json"] = config
    found["history.json"] = [{k: v for k, v in entry.items() if k not in WALL_CLOCK} for entry in history]
    record = json.loads((out / "training.json").read_text(encoding="utf-8"))
    found["training.json"] = {k: v for k, v in record.items() if k not in ("run", "sitting")}  # names made by chance
    return found | {"beside": sorted(p.name for p in out.parent.iterdir())}


if __name__ == "__main__":
    sys.exit(main())
