"""Two trainings started at random moments into one --out: is the folder ever mixed, do both ever win, does a lock ever stay?

    python -m benchmarks.robust.two_runs [--pairs 200] [--seed 1] [--keep FOLDER]

Each pair of runs has two recipes with vocabularies in another order, other seeds and other lengths, so that every file tells
whose it is. Beforehand each recipe is trained alone, and what it writes at each evaluation is written down: digests of weights,
vocabularies, settings and history. Then two runs start at random moments, each with or without --overwrite and --resume, some
over an older model, one in two is to be killed by SIGKILL at a random moment, and in one pair in four the disk has no locks (then
only the record keeps them apart). Afterwards:

- all that is in the folder is of one recipe, and of one evaluation of it, as the run alone had it; or is the older model;
- the record names the run whose model it is, and says "finished" only of one that ended well;
- at most one run that was not told to replace the other's ended well, and one that did ended with the last word;
- no lock, no hidden file stays beside or in the folder, but for a killed run's; and the next run clears that up.

Runs are children of one process that has imported PyTorch already. Ends with status 1 if anything is wrong.
"""

import argparse
import collections
import contextlib
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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

import jumok.learn
from benchmarks.support.measure import emit
from jumok import locks
from jumok.errors import JumokError
from jumok.runtime.folder import HISTORY, OWN, read_folder
from jumok.runtime.record import FINISHED, read_record

SMALL: dict[str, Any] = {
    **{"embedding": 4, "hidden": 8, "readout_size": 8, "batch_size": 16, "threads": 1, "matmul": "default", "metric": "loss"},
    **{"precision": "float32", "learning_rate": 1e-2, "dropout": 0.2, "average": 0.9, "device": "cpu", "quiet": True},
    **{"evaluate_every": 4, "save_every": 3},
}
RECIPES: dict[str, dict[str, Any]] = {
    "a": {"seed": 1, "steps": 16},
    "b": {"seed": 2, "steps": 24, "source_column": 2, "target_column": 1},
}
WARM = ("jumok.learn.run", "rapidfuzz.distance", "rich.console", "rich.progress", "safetensors.torch", "torch._dynamo")
WALL_CLOCK = ("seconds", "tokens_per_second")
KILL_SHARE, OLDER_SHARE, LOCKLESS_SHARE = 0.5, 0.4, 0.25
FLAGS = [{"overwrite": o, "resume": r} for o in (False, True) for r in (False, True)]

Looks = dict[str, Any]


@dataclass(frozen=True)
class Started:
    """One of the two runs: its recipe and flags, when it starts and is killed (seconds, None = never)."""

    recipe: str
    flags: dict[str, bool]
    starts: float
    killed: float | None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", default="", help="folder for the runs; default: one that is deleted")
    o = parser.parse_args()
    for name in WARM:  # else every child would import them anew
        importlib.import_module(name)
    torch.set_num_threads(1)  # no pool of threads may be there when a child is made
    with tempfile.TemporaryDirectory() as made:
        return robust_two_runs(Path(o.keep or made), o.pairs, random.Random(o.seed), o.seed)


def robust_two_runs(folder: Path, pairs: int, rng: random.Random, seed: int) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()
    known: dict[str, list[Looks]] = {}
    write_pairs(folder / "pairs.tsv")
    for name in RECIPES:
        known[name], seconds = trained_alone(folder, name)
    older = folder / "alone b" / "model"
    counts: collections.Counter[str] = collections.Counter()
    wrong = []
    for i in range(pairs):
        place = folder / f"pair {i}"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        out, old = place / "model", rng.random() < OLDER_SHARE
        if old:
            shutil.copytree(older, out)
            (out / "notes.txt").write_text("mine")
        lockless = rng.random() < LOCKLESS_SHARE
        both = [
            Started(
                name,
                rng.choice(FLAGS),
                rng.choice((0.0, rng.uniform(0, 0.8 * seconds))),
                rng.uniform(0.02, 0.9 * seconds) if rng.random() < KILL_SHARE else None,
            )
            for name in rng.sample(sorted(RECIPES), 2)
        ]
        try:
            ended = run_both(folder, out, both, lockless)
            check(out, both, [status for status, _ in ended], known, counts, old, lockless)
            counts["lockless pairs"] += lockless
            after(folder, out, known, old)
        except (AssertionError, JumokError, OSError) as e:
            wrong.append(f"pair {i} {both}{' lockless' if lockless else ''}: {type(e).__name__} {e}")
            print(wrong[-1], *(said for _, said in ended), sep="\n", file=sys.stderr)
            continue
        shutil.rmtree(place)
    emit(
        "robust_two_runs",
        pairs=pairs,
        right=pairs - len(wrong),
        wrong=wrong,
        counts=dict(counts),
        seconds_of_a_run=round(seconds, 2),
        seed=seed,
        seconds=round(time.perf_counter() - start, 1),
    )
    return 1 if wrong else 0


def write_pairs(path: Path) -> None:
    """Words and the same words backwards, in letters of which the first is what the last was: what is frequent in one is rare in
    the other, so vocabularies of the two columns differ in their order alone."""
    rng, turned = random.Random(0), str.maketrans("abcdefgh", "hgfedcba")
    words = {"".join(rng.choices("abcdefgh", [2.0**-i for i in range(8)], k=rng.randint(3, 7))) for _ in range(100)}
    path.write_text("".join(f"{w}\t{w[::-1].translate(turned)}\n" for w in sorted(words)), encoding="utf-8")


def options_of(folder: Path, out: Path, name: str) -> dict[str, Any]:
    return {"pairs": folder / "pairs.tsv", "out": out, **SMALL, **RECIPES[name]}


def looks(out: Path) -> Looks:
    """What tells whose the model in a folder is, and of which evaluation; without record and card, which is for people."""
    config = json.loads((out / "config.json").read_text(encoding="utf-8"))
    del config["training"]["out"], config["jumok"]
    history = json.loads((out / HISTORY).read_text(encoding="utf-8"))
    names = ("model.safetensors", "source.json", "target.json")
    return {
        **{name: hashlib.sha256((out / name).read_bytes()).hexdigest() for name in names},
        "config.json": config,
        "history.json": [{k: v for k, v in entry.items() if k not in WALL_CLOCK} for entry in history],
    }


def trained_alone(folder: Path, name: str) -> tuple[list[Looks], float]:
    """What the recipe leaves at each of its evaluations and at its end, and the seconds it takes."""
    out, start = folder / f"alone {name}" / "model", time.perf_counter()
    shutil.rmtree(out.parent, ignore_errors=True)
    seen = []

    def observe(step: int, _: Any) -> None:
        if step:
            seen.append(looks(out))

    jumok.learn.train(**options_of(folder, out, name), observe=observe)
    return [*seen, looks(out)], time.perf_counter() - start


def run_both(folder: Path, out: Path, both: list[Started], lockless: bool) -> list[tuple[int, str]]:
    """Starts and kills as planned; each run's status (0 = ended well, negative = killed) and what it said."""
    begin, children, ended = time.perf_counter(), dict[int, int](), dict[int, int]()
    logs = [out.parent / f"said by {i}" for i in range(2)]
    while len(ended) < 2:
        now = time.perf_counter() - begin
        for i, run in enumerate(both):
            if i not in children and now >= run.starts:
                children[i] = os.fork()
                if children[i] == 0:
                    train_and_exit(options_of(folder, out, run.recipe) | run.flags, logs[i], lockless)
            elif i in children and i not in ended:
                done, status = os.waitpid(children[i], os.WNOHANG)
                if done:
                    ended[i] = os.waitstatus_to_exitcode(status)
                elif run.killed is not None and now >= run.starts + run.killed:
                    os.kill(children[i], signal.SIGKILL)
        time.sleep(0.001)
    said = [log.read_text() for log in logs]
    for log in logs:
        log.unlink()
    return [(ended[i], said[i]) for i in range(2)]


def train_and_exit(options: dict[str, Any], log: Path, lockless: bool) -> None:
    """The child: 0 for an end, 2 for one clear line, 1 for anything else."""
    status = 1
    with open(log, "w") as said, contextlib.redirect_stderr(said):
        try:
            if lockless:
                locks._lock = lambda handle: None
            os.fsync = lambda handle: None
            jumok.learn.train(**options)
            status = 0
        except JumokError as e:
            print(e, file=said)
            status = 2 if "\n" not in str(e) else 1
        except BaseException:
            traceback.print_exc(file=said)
        finally:
            said.flush()
            os._exit(status)


def whose(out: Path, known: dict[str, list[Looks]]) -> str:
    """The recipe whose model is in the folder, all of it; AssertionError for a mixture."""
    read_folder(out)
    there = looks(out)
    for name, states in known.items():
        if there in states:
            return name
        for earlier, later in itertools.pairwise(states):  # weights are renamed before the history
            if there in (later | {"history.json": earlier["history.json"]},):
                return name
    owners = {part: [n for n, states in known.items() if any(s[part] == there[part] for s in states)] for part in there}
    raise AssertionError(f"a mixed folder: {owners}")


def check(
    out: Path,
    both: list[Started],
    ended: list[int],
    known: dict[str, list[Looks]],
    counts: collections.Counter[str],
    old: bool,
    lockless: bool,
) -> None:
    """What must hold when both runs have ended."""
    killed = [status == -signal.SIGKILL for status in ended]
    if bad := [status for status in ended if status not in (0, 2, -signal.SIGKILL)]:
        raise AssertionError(f"ended with status {bad}")
    counts.update("killed" if k else "ended well" if s == 0 else "refused" for k, s in zip(killed, ended, strict=True))
    record = read_record(out) if out.exists() else None
    if (out / "config.json").exists():
        owner = whose(out, known)
        counts[f"model of {owner}"] += 1
        if record is not None and record.state == FINISHED:
            if looks(out) != known[owner][-1]:
                raise AssertionError("the record says finished, but the folder is not as at the end of that run")
            if record.asked.get("seed", 1) != RECIPES[owner]["seed"]:
                raise AssertionError(f"the record is of seed {record.asked['seed']}, the model of {owner}")
    elif old:
        raise AssertionError("the older model is gone")
    if 0 in ended:
        if (record is None or record.state != FINISHED) and not any(killed):
            raise AssertionError(f"a run ended well, but the record is {record}")
    elif not old and not any(killed):
        raise AssertionError("no run won")
    if old and (out / "notes.txt").read_text() != "mine":
        raise AssertionError("a file of the user's is not as it was")
    if ended == [0, 0]:
        counts["both ended well"] += 1
        if sum(not any(run.flags.values()) for run in both) > (
            not old
        ):  # who was told nothing may only be the first in a new place
            raise AssertionError("two winners")
    left = beside(out)
    if left and not any(killed):
        raise AssertionError(f"left behind: {left}")
    counts["left by a kill"] += bool(left)


def beside(out: Path) -> list[str]:
    """Names that are neither the folder nor files of its own, nor the user's."""
    found = [p.name for p in out.parent.iterdir() if p != out]
    return found + ([p.name for p in out.iterdir() if p.name not in (*OWN, "notes.txt")] if out.is_dir() else [])


def after(folder: Path, out: Path, known: dict[str, list[Looks]], old: bool) -> None:
    """One more run, that replaces whatever is there: it must find no lock, win, and leave nothing lying about."""
    child = os.fork()
    log = out.parent / "said at last"
    if child == 0:
        train_and_exit(options_of(folder, out, "a") | {"overwrite": True}, log, False)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    said = log.read_text()
    log.unlink()
    if status or looks(out) != known["a"][-1] or beside(out):
        raise AssertionError(f"the next run ended with {status} ({said.strip()}), left {beside(out)}")
    if old and (out / "notes.txt").read_text() != "mine":
        raise AssertionError("a file of the user's is not as it was after the next run")


if __name__ == "__main__":
    sys.exit(main())
