"""How well does each alignment pronounce after 800 words? (SIGMORPHON 2020 task 1, ten languages)

    python -m benchmarks.quality.few DATA/sigmorphon2020-g2p OUT [--alignments soft,monotonic] [--languages arm,bul,…] [--seeds 1,2,3]
        [--minutes 1 | --steps 800] [--pairs 800] [--dev 100] [--jobs 1] [--threads 1] [--options "…"]

The files are in alphabetical order, so training and dev words are the first of a fixed shuffle; all test words are measured. A
line of JSON for each run, as it ends, and one of means at the end: percent of words wrong, greedy, on dev (where the best step
is chosen) and on test, and the gain over the first alignment, paired by language and seed, with its standard error. A run that
is in OUT already is not trained again. --options go to `jumok train` (such as "--device cuda --dropout 0.3").
"""

import argparse
import itertools
import json
import os
import random
import shlex
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.support.measure import emit, evaluated, history

LANGUAGES = "arm,bul,dut,geo,gre,hin,jpn,lit,rum,vie"
TRAIN_SEED, DEV_SEED = 20, 21


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--alignments", default="soft,monotonic")
    parser.add_argument("--languages", default=LANGUAGES)
    parser.add_argument("--seeds", default="1,2,3")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--minutes", type=float)
    length.add_argument("--steps", type=int)
    parser.add_argument("--pairs", type=int, default=800)
    parser.add_argument("--dev", type=int, default=100)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--options", default="")
    o = parser.parse_args()
    o.out.mkdir(parents=True, exist_ok=True)
    for language in o.languages.split(","):
        drawn(o.data, o.out, language, "train", o.pairs, TRAIN_SEED)
        drawn(o.data, o.out, language, "dev", o.dev, DEV_SEED)
    runs = list(itertools.product(o.languages.split(","), [int(s) for s in o.seeds.split(",")], o.alignments.split(",")))
    with ThreadPoolExecutor(o.jobs) as pool:
        rows = list(pool.map(lambda run: one(o, *run), runs))
    emit("quality_few", pairs=o.pairs, runs=len(rows), **summary(rows, o.alignments.split(",")))


def drawn(data: Path, out: Path, language: str, part: str, number: int, seed: int) -> None:
    lines = (data / f"{language}_{part}.tsv").read_text(encoding="utf-8").splitlines(keepends=True)
    random.Random(seed).shuffle(lines)
    (out / f"{language}_{part}_{number}.tsv").write_text("".join(lines[:number]), encoding="utf-8")


def one(o: argparse.Namespace, language: str, seed: int, alignment: str) -> dict[str, object]:
    length = ["--minutes", str(o.minutes)] if o.minutes else ["--steps", str(o.steps)] if o.steps else []
    options = [
        "--target-tokenizer",
        "space",
        "--alignment",
        alignment,
        *length,
        "--threads",
        str(o.threads),
        *shlex.split(o.options),
    ]
    model = o.out / f"{language}-{seed}-{alignment}"
    kept = model.with_suffix(".json")
    if kept.exists() and (row := json.loads(kept.read_text()))["options"] == options:
        return row
    files = [str(o.out / f"{language}_{part}_{n}.tsv") for part, n in (("train", o.pairs), ("dev", o.dev))]
    command = [sys.executable, "-m", "jumok", "train", files[0], "--dev", files[1], "--out", str(model), "--overwrite"]
    start = time.perf_counter()
    threads = os.environ | {"OMP_NUM_THREADS": str(o.threads)}
    done = subprocess.run([*command, *options, "--seed", str(seed)], env=threads, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: {done.stderr.strip()}")
    entries = history(model)
    metrics = evaluated(model, o.data / f"{language}_test.tsv", "--metrics", "accuracy", "token-error-rate")
    row = {
        "language": language,
        "seed": seed,
        "alignment": alignment,
        "dev_wer": round(100 - max(e["accuracy"] for e in entries), 2),
        "test_wer": round(metrics["accuracy"]["detail"]["wer"], 2),
        "test_per": round(metrics["token-error-rate"]["value"], 2),
        "steps": entries[-1]["step"],
        "seconds": round(time.perf_counter() - start, 1),
        "options": options,
    }
    kept.write_text(json.dumps(row))
    emit("quality_few_run", **row)
    return row


def summary(rows: list[dict], alignments: list[str]) -> dict[str, object]:
    """Means by alignment; gain in points of test words right over the first of them, and its standard error."""
    found: dict[str, object] = {}
    for alignment in alignments:
        own = [r for r in rows if r["alignment"] == alignment]
        found[alignment] = {k: round(statistics.mean(r[k] for r in own), 2) for k in ("dev_wer", "test_wer", "test_per")}
        gains = [
            base["test_wer"] - r["test_wer"]
            for r in own
            for base in rows
            if (base["language"], base["seed"], base["alignment"]) == (r["language"], r["seed"], alignments[0])
        ]
        if alignment != alignments[0]:
            error = statistics.stdev(gains) / len(gains) ** 0.5 if len(gains) > 1 else None
            found[f"gain_{alignment}"] = {"mean": round(statistics.mean(gains), 2), "error": error and round(error, 2)}
    return found


if __name__ == "__main__":
    main()
