"""What does attention buy in translation, and which score buys most, at the same budget? (Multi30k, English to German)

    quality_multi30k.py DATA/multi30k/tok OUT [--minutes 11] [--attentions none,dot,general,concat] [--seed 1]

One BPE recipe for all; dev picks the model; test_2016_flickr is measured once, greedy and with beam 5, sacrebleu tokenize none.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

from measure import emit


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--minutes", type=float, default=11)
    parser.add_argument("--attentions", default="general,none,dot,concat")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--more", default="", help="further options of jumok train, in one string")
    o = parser.parse_args()
    o.out.mkdir(parents=True, exist_ok=True)
    rows = [one(o, attention) for attention in o.attentions.split(",")]
    emit("quality_multi30k", minutes=o.minutes, seed=o.seed, more=o.more, rows=rows)


def one(o: argparse.Namespace, attention: str) -> dict[str, object]:
    model = o.out / f"{attention}-{o.seed}"
    kept = model.with_suffix(".json")
    if kept.exists():
        return json.loads(kept.read_text())
    jumok = [sys.executable, "-m", "jumok"]
    options = ["--source-tokenizer", "bpe", "--target-tokenizer", "bpe", "--attention", attention, "--minutes", str(o.minutes)]
    files = [str(o.data / "train.en-de.tsv.gz"), "--dev", str(o.data / "val.en-de.tsv"), "--out", str(model)]
    start = time.perf_counter()
    subprocess.run([*jumok, "train", *files, *options, "--seed", str(o.seed), "--overwrite", *o.more.split()], check=True)
    row: dict[str, object] = {"attention": attention, "seconds": round(time.perf_counter() - start, 1)}
    history = json.loads((model / "history.json").read_text())
    row |= {
        "steps": history[-1]["step"],
        "dev_bleu": round(max(e["bleu"] for e in history), 2),
        "dev_loss": round(history[-1]["loss"], 3),
    }
    for name, beam in (("greedy", 1), ("beam5", 5)):
        options = ["--beam", str(beam), "--metrics", "bleu", "--tokenize", "none", "--json"]
        test = str(o.data / "test_2016_flickr.en-de.tsv")
        found = subprocess.run([*jumok, "evaluate", str(model), test, *options], check=True, capture_output=True, text=True)
        metric = json.loads(found.stdout)["metrics"]["bleu"]
        row |= {f"{name}_bleu": round(metric["value"], 2), "signature": metric["signature"]}
    kept.write_text(json.dumps(row))
    print(row, file=sys.stderr, flush=True)
    return row


if __name__ == "__main__":
    main()
