"""How good is a task's default recipe, and variants of it? One command a task.

    python -m benchmarks.quality.task g2p-few DATA OUT [--parts hin,lit] [--seeds 1,2,3] [--minutes 1 | --steps 800]
        [--variants "default | soft: --alignment soft | copy: --alignment monotonic --copy"] [--beams 1,5] [--threads 0]
        [--ensemble] [--distilled "--teacher-gold 0.3"] [--words 100000] [--before OTHER/.venv/bin/jumok]

The tasks are in benchmarks.support.tasks.py. A line of JSON for each run as it ends, and one of means: the first metric
on dev (greedy), the test metrics with each beam, the gain of each variant over the first, paired by part and seed, with its
standard error. A run that is in OUT already is not trained again, only measured with the beams it lacks; a
model folder stays for other questions.

With --ensemble, the models of all seeds of a variant write together, too (VARIANT+ensemble); with --distilled, which takes more
options of `jumok train` or "", one model of the first seed learns from what they write (VARIANT+distilled). The gain of these is
over the mean of the single models. With --words, each training with a teacher also learns from what the teacher writes for so many
real words of the language, the commonest that no file of the task has (`pip install wordfreq`).

With --before, the command `jumok` of another checkout, an older one say, trains first, with the task's options (variant before).
Its models are measured here, like all others, and the gains are over them.
"""

import argparse
import itertools
import json
import os
import shlex
import signal
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.support import words
from benchmarks.support.measure import emit, evaluated, steps
from benchmarks.support.tasks import TASKS, Task, content

BEFORE = "before"  # the variant that another checkout trains


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
    parser.add_argument("--ensemble", action="store_true")
    parser.add_argument("--distilled", default=None)
    parser.add_argument("--words", type=int, default=0)
    parser.add_argument("--before", type=Path, default=None, metavar="JUMOK")
    o = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # an exception, which ends the training that is waited for, too
    task = TASKS[o.task]
    parts = o.parts.split(",") if o.parts else task.parts
    variants = dict(
        (name.strip(), shlex.split(options)) for name, _, options in (v.partition(":") for v in o.variants.split("|"))
    )
    if BEFORE in variants:
        parser.error(f"--variants: {BEFORE!r} is the name of what --before trains; give another")
    if o.words and o.distilled is None and not any("--teacher" in options for options in variants.values()):
        parser.error("--words: they are for a teacher, and no training has one; give --distilled, or a variant with --teacher")
    if o.before is not None:
        variants = {BEFORE: []} | variants
    o.out.mkdir(parents=True, exist_ok=True)
    seeds = [int(seed) for seed in o.seeds.split(",")]
    rows = []
    for part, variant in itertools.product(parts, variants):
        runs = [Run(o, task, part, seed, variant, tuple(variants[variant])) for seed in seeds]
        rows += [run.row() for run in runs]
        if variant == BEFORE:
            continue
        members = ",".join(str(run.model) for run in runs)
        if o.ensemble:
            rows.append(runs[0].together(members))
        if o.distilled is not None:
            options = (*runs[0].more, "--teacher", members, *shlex.split(o.distilled))
            rows.append(Run(o, task, part, seeds[0], f"{variant}+distilled", options).row())
    kinds = list(dict.fromkeys(row["variant"] for row in rows))
    emit("quality_task", task=o.task, minutes=o.minutes, steps=o.steps, runs=len(rows), **summary(task, rows, kinds))


@dataclass(frozen=True)
class Run:
    """One model: trained, or there already, and measured.

    Attributes:
        o: the words of the command line.
        part, seed, variant: which run it is.
        more: options of `jumok train` beside the task's.
    """

    o: argparse.Namespace
    task: Task
    part: str
    seed: int
    variant: str
    more: tuple[str, ...]

    @property
    def model(self) -> Path:
        return self.o.out / f"{self.o.task}-{self.part}-{self.seed}-{self.variant}"

    def file(self, name: str) -> Path:
        return prepared(self.o, self.task, self.part, name)

    def row(self) -> dict[str, Any]:
        """The figures of the model, which is trained if it has none yet."""
        o = self.o
        length = ["--minutes", str(o.minutes)] if o.minutes else ["--steps", str(o.steps)] if o.steps else []
        options = [*self.task.options, *self.more, *length, *(["--threads", str(o.threads)] if o.threads else [])]
        word_file = self.word_file() if o.words and "--teacher" in self.more else None
        options += ["--teacher-sources", str(word_file)] if word_file else []
        if row := self.kept(str(self.model), options):
            return row
        if word_file:
            columns = ([line.split("\t")[0] for line in content(self.file(name))] for name in ("train", "dev", "test"))
            found = itertools.islice(words.new(words.common(self.part), *columns), o.words)
            word_file.write_text("".join(f"{word}\n" for word in found), encoding="utf-8")
        jumok = [str(o.before.absolute())] if self.variant == BEFORE else [sys.executable, "-m", "jumok"]
        command = [*jumok, "train", str(self.file("train")), "--dev", str(self.file("dev"))]
        command += ["--out", str(self.model), "--overwrite", *options, "--seed", str(self.seed)]
        start = time.perf_counter()
        env = os.environ | ({"OMP_NUM_THREADS": str(o.threads)} if o.threads else {})
        if self.variant == BEFORE:
            env.pop("PYTHONPATH", None)  # which could lead the other command to this checkout
        done = subprocess.run(command, env=env, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"{shlex.join(command)}: {done.stderr.strip()}")
        seconds = time.perf_counter() - start
        facts = {"steps": steps(self.model), "seconds": round(seconds, 1), "dev": self.on_dev(str(self.model))}
        return self.measured(str(self.model), self.named() | facts, options)

    def word_file(self) -> Path | None:
        """Where the words for the teacher go; None, and a line on stderr, if there is no list of the language."""
        if self.part not in words.CODES:
            print(f"{self.part}: no list of words is known for it; trained without", file=sys.stderr)
            return None
        return self.o.out / f"{self.o.task}-{self.part}-words-{self.o.words}.txt"

    def together(self, members: str) -> dict[str, Any]:
        """The figures of an ensemble of models like this one, whose folders are joined by commas."""
        run = replace(self, variant=f"{self.variant}+ensemble")
        if row := run.kept(members, [members]):
            return row
        return run.measured(members, run.named() | {"dev": run.on_dev(members)}, [members])

    def on_dev(self, model: str) -> float:
        """The first metric on all of dev, measured here: trainings compute it in ways of their own, and leave some pairs out."""
        name = self.task.metrics[0]
        return round(evaluated(model, self.file("dev"), "--beam", "1", "--metrics", name)[name]["value"], 2)

    def kept(self, model: str, options: list[str]) -> dict[str, Any] | None:
        """The row of an earlier run with these options, and with the test metrics of beams that were not asked for then."""
        file = self.model.with_name(f"{self.model.name}.json")
        if not file.exists() or (row := json.loads(file.read_text(encoding="utf-8"))).pop("options") != options:
            return None
        return self.measured(model, row, options)

    def named(self) -> dict[str, Any]:
        """What tells this run from the others."""
        return {"task": self.o.task, "part": self.part, "seed": self.seed, "variant": self.variant}

    def measured(self, model: str, row: dict[str, Any], options: list[str]) -> dict[str, Any]:
        """`row` with the test metrics of `model` that it lacks; kept, and printed if there were any."""
        missing = [beam for beam in self.o.beams.split(",") if f"{self.task.metrics[0]}_{beam}" not in row]
        for beam in missing:
            found = evaluated(model, self.file("test"), "--beam", beam, "--metrics", *self.task.metrics)
            row |= {f"{name}_{beam}": round(found[name]["value"], 2) for name in self.task.metrics}
        row["options"] = options
        if missing:
            self.model.with_name(f"{self.model.name}.json").write_text(json.dumps(row), encoding="utf-8")
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
        if variant == variants[0]:
            continue
        for name in numbers:
            gains = [row[name] - base(row, rows, variants[0], name) for row in own]
            error = round(statistics.stdev(gains) / len(gains) ** 0.5, 2) if len(gains) > 1 else None
            found[variant][f"gain_{name}"] = [round(statistics.mean(gains), 2), error]
    return found | ({"known": task.known} if task.known else {})


def base(row: dict[str, Any], rows: list[dict[str, Any]], first: str, name: str) -> float:
    """What a row is compared with: the first variant's run of the same part and seed, or the mean of the single models."""
    variant, _, many = row["variant"].partition("+")
    alike = [r for r in rows if r["part"] == row["part"] and r["variant"] == (variant if many else first)]
    return statistics.mean(r[name] for r in alike if many or r["seed"] == row["seed"])


if __name__ == "__main__":
    main()
