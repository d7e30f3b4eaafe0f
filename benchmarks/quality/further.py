"""Does a model that is trained further (--from) learn new data better than one from nothing, and does it keep what it knew?

    python -m benchmarks.quality.further DATA OUT [--old dut] [--new lit] [--seeds 1,2,3] [--steps 600] [--threads 0]

Pronunciations of SIGMORPHON 2020, each word with its language as a feature. The first model learns 800 words of the old language
(fixed shuffle). The new pairs are
    language    100 words of the new language
    words       800 further words of the old one
and these learn them, in so many steps each:
    alone       a model from nothing, on the new pairs
    further     from the first model, on the new pairs
    mixed       from the first model, on new and old pairs together
    both        a model from nothing, on new and old pairs together
A line of JSON for each, and one of means. new: words right of the new data's test set. old: of the old language's, or, where that is
the new one's as well, of the 800 words that the first model learned. Greedy; dev picks the step by the new data.
"""

import argparse
import itertools
import random
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.support.measure import emit, evaluated, history
from benchmarks.support.tasks import content, pronounced

FIRST, NEW_WORDS, NEW_LANGUAGE, DEV = 800, 800, 100, 100
WAYS = ("alone", "further", "mixed", "both")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--old", default="dut")
    parser.add_argument("--new", default="lit")
    parser.add_argument("--seeds", default="1,2,3")
    parser.add_argument("--first-steps", type=int, default=1_100)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--threads", type=int, default=0)
    o = parser.parse_args()
    o.out.mkdir(parents=True, exist_ok=True)
    rows = []
    for seed, (of, new) in itertools.product(map(int, o.seeds.split(",")), (("language", o.new), ("words", o.old))):
        rows += measured(o, seed, of, new)
    means = {
        f"{of} {way}": {
            name: round(statistics.mean(row[name] for row in rows if (row["of"], row["way"]) == (of, way)), 1)
            for name in ("new", "old")
        }
        for of, way in itertools.product(("language", "words"), ("first", *WAYS))
    }
    emit("quality_further", old=o.old, new=o.new, seeds=o.seeds, steps=o.steps, means=means)


def measured(o: argparse.Namespace, seed: int, of: str, new: str) -> list[dict[str, Any]]:
    """The first model and the four ways, for one kind of new pairs and one seed."""
    old_pairs = lines(o.data, o.old, "train")
    more = old_pairs[FIRST : FIRST + NEW_WORDS] if new == o.old else lines(o.data, new, "train")[:NEW_LANGUAGE]
    files = {
        "old": written(o, "old", old_pairs[:FIRST]),
        "new": written(o, f"{of}-new", more),
        "both": written(o, f"{of}-both", old_pairs[:FIRST] + more),
        "dev-old": written(o, "dev-old", lines(o.data, o.old, "dev")[:DEV]),
        "dev-new": written(o, f"{of}-dev-new", lines(o.data, new, "dev")[:DEV]),
        "test": written(o, f"{of}-test", lines(o.data, new, "test")),
    }
    files["kept"] = files["old"] if new == o.old else written(o, "kept", lines(o.data, o.old, "test"))
    first = trained(o, f"first-{seed}", files["old"], files["dev-old"], seed, o.first_steps)
    found = []
    for way in ("first", *WAYS):
        model = first
        if way != "first":
            pairs = files["both" if way in ("mixed", "both") else "new"]
            start = ["--from", str(first)] if way in ("further", "mixed") else []
            model = trained(o, f"{of}-{way}-{seed}", pairs, files["dev-new"], seed, o.steps, *start)
        right = {
            name: round(evaluated(model, files[file], "--metrics", "accuracy")["accuracy"]["value"], 1)
            for name, file in (("new", "test"), ("old", "kept"))
        }
        found.append({"of": of, "way": way, "seed": seed, **right})
        emit("quality_further_run", **found[-1])
    return found


def lines(data: Path, language: str, name: str) -> list[str]:
    """Lines with the language as a third column, in a fixed shuffle (the files are in alphabetical order)."""
    found = [f"{line.rstrip()}\t{language}\n" for line in content(pronounced(data, language, name))]
    random.Random(20).shuffle(found)
    return found


def written(o: argparse.Namespace, name: str, some: list[str]) -> Path:
    file = o.out / f"{name}.tsv"
    file.write_text("".join(some), encoding="utf-8")
    return file


def trained(o: argparse.Namespace, name: str, pairs: Path, dev: Path, seed: int, steps: int, *more: str) -> Path:
    """The model of this name; trained, if it is not there yet."""
    model = o.out / name
    if (model / "history.json").exists() and history(model)[-1]["step"] == steps:
        return model
    command = [sys.executable, "-m", "jumok", "train", str(pairs), "--dev", str(dev), "--out", str(model), "--overwrite"]
    text = [] if "--from" in more else ["--target-tokenizer", "space", "--alignment", "monotonic"]
    options = [*text, "--features-column", "3", "--steps", str(steps), "--seed", str(seed), *more]
    done = subprocess.run([*command, *options, "--threads", str(o.threads)], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{model}: {done.stderr.strip()}")
    return model


if __name__ == "__main__":
    main()
