"""What does attention buy in translation, and which score buys most, at the same budget? (Multi30k, English to German)

    python -m benchmarks.quality.multi30k DATA/multi30k/tok OUT [--minutes 11] [--attentions none,dot,general,concat] [--seed 1]

One BPE recipe for all; dev picks the model; test_2016_flickr is measured once, greedy and with beam 5, sacrebleu tokenize none.
"""

import argparse
import json
import sys
from pathlib import Path

from benchmarks.support.measure import check_single, emit, evaluated, history, trained


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--minutes", type=float, default=11)
    parser.add_argument("--attentions", default="general,none,dot,concat")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--more", default="", help="further options of jumok train, in one string")
    o = parser.parse_args()
    check_single(parser, o.more)
    o.out.mkdir(parents=True, exist_ok=True)
    rows = [one(o, attention) for attention in o.attentions.split(",")]
    emit("quality_multi30k", minutes=o.minutes, seed=o.seed, more=o.more, rows=rows)


def one(o: argparse.Namespace, attention: str) -> dict[str, object]:
    model = o.out / f"{attention}-{o.seed}"
    kept = model.with_suffix(".json")
    if kept.exists():
        return json.loads(kept.read_text())
    options = ["--source-tokenizer", "bpe", "--target-tokenizer", "bpe", "--attention", attention, *o.more.split()]
    row: dict[str, object] = {"attention": attention}
    files = o.data / "train.en-de.tsv.gz", o.data / "val.en-de.tsv"
    row |= trained(*files, model, [*options, "--minutes", str(o.minutes), "--seed", str(o.seed)])
    seen = history(model)
    row |= {"dev_bleu": round(max(e["bleu"] for e in seen), 2), "dev_loss": round(seen[-1]["loss"], 3)}
    for name, beam in (("greedy", "1"), ("beam5", "5")):
        test = o.data / "test_2016_flickr.en-de.tsv"
        metric = evaluated(model, test, "--beam", beam, "--metrics", "bleu", "--tokenize", "none")["bleu"]
        row |= {f"{name}_bleu": round(metric["value"], 2), "signature": metric["signature"]}
    kept.write_text(json.dumps(row))
    print(row, file=sys.stderr, flush=True)
    return row


if __name__ == "__main__":
    main()
