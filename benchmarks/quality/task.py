"""How good is a task's default recipe, and variants of it? One command a task.

    python -m benchmarks.quality.task g2p-few DATA OUT [--parts hin,lit] [--seeds 1,2,3] [--minutes 1 | --steps 800]
        [--variants "default | soft: --alignment soft | copy: --alignment monotonic --copy"] [--beams 1,5] [--threads 0]

The tasks are in benchmarks.support.tasks.py. A line of JSON for each run as it ends, and one of means: the dev metric that
picked the step (greedy), the test metrics with each beam, the gain of each variant over the first, paired by part and seed, with
its standard error. A run that is in OUT already is not trained again; a model folder stays for other questions.
"""

import argparse
import itertools
import json
import os
import shlex
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.support.measure import emit, evaluated, history
from benchmarks.support.tasks import TASKS, Task, content


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=TASKS)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--parts", default="")
    parser.add_argument("--variants", default="default")
    parser.add_argument("--seeds", default="1")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--minutes", type=float)
    length.add_argument("--steps", type=int)
    parser.add_argument("--beams", default="1,5")
    parser.add_argument("--threads", type=int, default=0)
    o = parser.parse_args()
    task = TASKS[o.task]
    parts = o.parts.split(",") if o.parts else task.parts
    variants = dict(
        (name.strip(), shlex.split(options)) for name, _, options in (v.partition(":") for v in o.variants.split("|"))
    )
    o.out.mkdir(parents=True, exist_ok=True)
    runs = itertools.product(parts, [int(seed) for seed in o.seeds.split(",")], variants)
    rows = [one(o, task, part, seed, variant, variants[variant]) for part, seed, variant in runs]
    emit("quality_task", task=o.task, minutes=o.minutes, steps=o.steps, runs=len(rows), **summary(task, rows, list(variants)))


def one(o: argparse.Namespace, task: Task, part: str, seed: int, variant: str, more: list[str]) -> dict[str, Any]:
    length = ["--minutes", str(o.minutes)] if o.minutes else ["--steps", str(o.steps)] if o.steps else []
    options = [*task.options, *more, *length, *(["--threads", str(o.threads)] if o.threads else [])]
    model = o.out / f"{o.task}-{part}-{seed}-{variant}"
    kept = model.with_name(f"{model.name}.json")
    if kept.exists() and (row := json.loads(kept.read_text()))["options"] == options:
        return row
    files = {name: prepared(o, task, part, name) for name in ("train", "dev", "test")}
    command = [sys.executable, "-m", "jumok", "train", str(files["train"]), "--dev", str(files["dev"]), "--out", str(model)]
    start = time.perf_counter()
    env = os.environ | ({"OMP_NUM_THREADS": str(o.threads)} if o.threads else {})
    done = subprocess.run([*command, "--overwrite", *options, "--seed", str(seed)], env=env, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{shlex.join(command)}: {done.stderr.strip()}")
    seconds, entries = time.perf_counter() - start, history(model)
    row = {
        "task": o.task,
        "part": part,
        "seed": seed,
        "variant": variant,
        "steps": entries[-1]["step"],
        "seconds": round(seconds, 1),
    }
    row["dev"] = round(max(e[task.metrics[0]] for e in entries), 2)
    for beam in o.beams.split(","):
        found = evaluated(model, files["test"], "--beam", beam, "--metrics", *task.metrics)
        row |= {f"{name}_{beam}": round(found[name]["value"], 2) for name in task.metrics}
    row["options"] = options
    kept.write_text(json.dumps(row))
    emit("quality_task_run", **row)
    return row


def prepared(o: argparse.Namespace, task: Task, part: str, name: str) -> Path:
    """The file of the data, or what is made of it, in OUT."""
    made = o.out / f"{o.task}-{part}-{name}.tsv"
    if task.made is not None:
        lines = task.made(part, name)
    else:
        assert task.files is not None
        path = task.files(o.data, part, name)
        if task.lines is None:
            return path
        lines = task.lines(content(path), name)
    made.write_text("".join(lines), encoding="utf-8")
    return made


def summary(task: Task, rows: list[dict[str, Any]], variants: list[str]) -> dict[str, Any]:
    """Means of each variant over parts and seeds, of each part, and the paired gain over the first variant."""
    found: dict[str, Any] = {}
    numbers = [name for name, value in rows[0].items() if isinstance(value, float) and name != "seconds"]
    for variant in variants:
        own = [row for row in rows if row["variant"] == variant]
        found[variant] = {name: round(statistics.mean(row[name] for row in own), 2) for name in numbers}
        found[variant]["parts"] = {
            part: round(statistics.mean(row[numbers[1]] for row in own if row["part"] == part), 2)
            for part in dict.fromkeys(row["part"] for row in own)
        }
        base = {(row["part"], row["seed"]): row for row in rows if row["variant"] == variants[0]}
        if variant != variants[0]:
            for name in numbers:
                gains = [row[name] - base[row["part"], row["seed"]][name] for row in own]
                error = round(statistics.stdev(gains) / len(gains) ** 0.5, 2) if len(gains) > 1 else None
                found[variant][f"gain_{name}"] = [round(statistics.mean(gains), 2), error]
    return found | ({"known": task.known} if task.known else {})


if __name__ == "__main__":
    main()
