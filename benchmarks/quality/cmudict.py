"""How well does the default recipe pronounce English, after how many minutes? (CMUdict 0.7b, the split of CNTK)

    python -m benchmarks.quality.cmudict DATA/cmudict-0.7b OUT [--minutes 2,5,15] [--seed 1] [--more "--dropout 0.2"]

A run of its own for each length. A word is right if it is any of its pronunciations in the test set. Dev picks the model; test is
looked at once, here. What is in OUT already is not trained again.
"""

import argparse
import json
import sys
from pathlib import Path

from benchmarks.quality.g2p import OPTIONS, words
from benchmarks.support.measure import emit, trained


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--minutes", default="2,5,15")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--more", default="", help="further options of jumok train, in one string")
    o = parser.parse_args()
    o.out.mkdir(parents=True, exist_ok=True)
    rows = [one(o, float(minutes)) for minutes in o.minutes.split(",")]
    emit("quality_cmudict", seed=o.seed, more=o.more, rows=rows)


def one(o: argparse.Namespace, minutes: float) -> dict[str, object]:
    model = o.out / f"{minutes:g}-{o.seed}"
    kept = o.out / f"{model.name}.json"
    if kept.exists():
        return json.loads(kept.read_text())
    row: dict[str, object] = {"minutes": minutes}
    options = [*OPTIONS, "--minutes", str(minutes), "--seed", str(o.seed), *o.more.split()]
    row |= trained(o.data / "train.tsv.gz", o.data / "dev.tsv", model, options)
    row |= words(model, o.data / "test.tsv")
    kept.write_text(json.dumps(row))
    print(row, file=sys.stderr, flush=True)
    return row


if __name__ == "__main__":
    main()
