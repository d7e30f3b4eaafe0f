"""Which model do the defaults keep, and how good is it, on data that BLEU of words or accuracy alone says little about?

    python -m benchmarks.quality.defaults DATA OUT [--minutes 5] [--tasks enja,enko,koen] [--jumok OTHER/.venv/bin/jumok] [--seed 1]

enja: small_parallel_enja, the Japanese joined (no blanks), bpe on both sides. enko: en-ko-transliteration, bpe on both sides.
koen: ko-en/split, all defaults. One JSON line a task: all evaluations on dev, the step that was kept, and figures of that model on
dev and test. --jumok trains with another checkout, an older one, say; figures are measured here in either case, alike.
DATA is $JUMOK_DATA or ../shared/data beside the repository where it is given as "-".
"""

import argparse
import gzip
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jumok
from benchmarks.support.measure import check_single, emit, history
from jumok.measure import MeasureOptions, gold_text, measure
from jumok.text import read_pairs

BPE = ["--source-tokenizer", "bpe", "--target-tokenizer", "bpe"]
PARTS = ("train", "dev", "test")
HERE = Path(__file__).resolve().parents[2]


def joined(line: str) -> str:
    """The target's words without the blanks between them."""
    source, target, *_ = line.rstrip("\n").split("\t")
    return f"{source}\t{target.replace(' ', '')}\n"


# task -> files of train, dev and test; what becomes of a line; options; BLEU's tokenizer
TASKS: dict[str, tuple[tuple[str, ...], Any, list[str], str]] = {
    "enja": (tuple(f"small_parallel_enja/{part}.en-ja.tsv" for part in PARTS), joined, BPE, "char"),
    "enko": (tuple(f"en-ko-transliteration/{part}.tsv" for part in PARTS), None, BPE, "char"),
    "koen": (tuple(f"ko-en/split/{part}.eng-kor.tsv" for part in PARTS), None, [], "13a"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("out", type=Path)
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--tasks", default=",".join(TASKS))
    parser.add_argument("--jumok", type=Path, default=None, help="the command `jumok` of the checkout that trains")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--more", default="", help="further options of jumok train, in one string")
    o = parser.parse_args()
    check_single(parser, o.more)
    given = os.environ.get("JUMOK_DATA") or HERE.parent / "shared" / "data"
    data = Path(given if o.data == "-" else o.data)
    for task in o.tasks.split(","):
        facts = one(task, data, o.out, [*o.more.split(), "--minutes", str(o.minutes), "--seed", str(o.seed)], o.jumok)
        emit("quality_defaults", task=task, minutes=o.minutes, seed=o.seed, more=o.more, **facts)


def one(task: str, data: Path, out: Path, options: list[str], command: Path | None) -> dict[str, Any]:
    """Trains, and measures what was kept."""
    names, change, own, tokenize = TASKS[task]
    folder = out / task
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / f"{part}.tsv" for part in PARTS]
    for name, file in zip(names, files, strict=True):
        file.write_text("".join(change(line) if change else line for line in lines(data / name)), encoding="utf-8")
    train, dev, test = files
    jumok_ = [str(command)] if command else [sys.executable, "-m", "jumok"]
    model = folder / "model"
    start = time.perf_counter()
    subprocess.run([*jumok_, "train", train, "--dev", dev, "--out", model, "--overwrite", *own, *options], check=True)
    seconds = time.perf_counter() - start
    seen = history(model)
    kept = [e["step"] for e in seen if e["best"]]
    settled = json.loads((model / "config.json").read_text(encoding="utf-8"))["training"]["learn"]
    return {
        "trained_by": trained_by(command),
        "seconds": round(seconds, 1),
        "metric": settled["metric"],
        "tokenize": settled.get("tokenize"),
        "kept_step": kept[-1],
        "steps": seen[-1]["step"],
        "evaluations": [{name: e[name] for name in ("step", *e["metrics"])} for e in seen],
        "dev": figures(model, dev, tokenize),
        "test": figures(model, test, tokenize),
    }


def lines(path: Path) -> Iterator[str]:
    """Of a file that may be packed, whatever the name given says."""
    packed = path.with_name(path.name + ".gz")
    with gzip.open(packed, "rt", encoding="utf-8") if packed.exists() else path.open(encoding="utf-8") as file:
        yield from file


def figures(model: Path, test: Path, tokenize: str) -> dict[str, Any]:
    """Greedy outputs against gold in the model's form; characters are the tokens of the token error rate."""
    translator = jumok.load(model)
    gold = gold_text(read_pairs(str(test), translator.config.text, warn=print), translator.codec.written, warn=print)
    outputs = [t.text for t in translator.translate([s for s, _ in gold.sources], features=[f for _, f in gold.sources])]
    options = MeasureOptions(unit="char", tokenize=tokenize, form="NFC")
    found = [measure(name, outputs, gold.references, options) for name in ("accuracy", "token-error-rate", "bleu", "chrf")]
    return {m.name: round(m.value, 2) for m in found} | {"signatures": [m.signature for m in found]}


def trained_by(command: Path | None) -> str | None:
    """The commit of the checkout that trained; None outside a repository."""
    place = HERE if command is None else Path(os.path.abspath(command)).parent
    done = subprocess.run(["git", "rev-parse", "--short=12", "HEAD"], cwd=place, capture_output=True, text=True, check=False)
    return done.stdout.strip() or None


if __name__ == "__main__":
    main()
