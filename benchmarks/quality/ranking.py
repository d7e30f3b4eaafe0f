"""What do coverage penalty, length normalisation, diverse beams and minimum Bayes risk do to a model's outputs?

    python -m benchmarks.quality.ranking MODEL TEST.tsv [--lines N] [--ways beam5,coverage,…] [--metrics bleu,chrf] [--tokenize none]

One JSON line. For each way of decoding: the metrics; of 100 n-grams (words between blanks, n = 1, 2, 3) how many are in the same
output already; the mean length in words; seconds; and the gain over the first way in chrF of single sentences, the mean with
its standard error. The references' own repetitions and length stand beside them.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sacrebleu.metrics import CHRF

import jumok
from benchmarks.support.measure import emit
from jumok.text.pairs import read_pairs

BEAM = {"beam": 5}
WU = {"beam": 5, "length_norm": "wu", "length_penalty": 0.2}
WAYS: dict[str, dict[str, Any]] = {
    "greedy": {},
    "beam5": BEAM,
    "beam5-coverage-0.1": BEAM | {"coverage_penalty": 0.1},
    "beam5-coverage-0.2": BEAM | {"coverage_penalty": 0.2},
    "beam5-coverage-0.4": BEAM | {"coverage_penalty": 0.4},
    "wu-0.2": WU,
    "wu-0.6": WU | {"length_penalty": 0.6},
    "wu-1.0": WU | {"length_penalty": 1.0},
    "wu-0.2-coverage-0.2": WU | {"coverage_penalty": 0.2},
    "wu-1.0-coverage-0.2": WU | {"length_penalty": 1.0, "coverage_penalty": 0.2},
    "sample": {"sample": 1},
    "mbr-chrf-20-samples": {"sample": 20, "mbr": "chrf"},
    "mbr-chrf-20-samples-0.7": {"sample": 20, "mbr": "chrf", "temperature": 0.7},
    "mbr-chrf-beam20": {"beam": 20, "mbr": "chrf"},
    "mbr-chrf-groups": {"beam": 20, "groups": 5, "mbr": "chrf"},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("test", type=Path)
    parser.add_argument("--lines", type=int, default=0, help="only the first so many; 0 = all")
    parser.add_argument("--ways", default=",".join(WAYS))
    parser.add_argument("--metrics", default="bleu,chrf")
    parser.add_argument("--tokenize", default="")
    o = parser.parse_args()
    model = jumok.load(o.model)
    pairs = read_pairs(str(o.test), model.config.text, warn=lambda text: print(text, file=sys.stderr))
    pairs = pairs[: o.lines] if o.lines else pairs
    rows: list[dict[str, Any]] = []
    first: list[str] = []
    for way in o.ways.split(","):
        start = time.perf_counter()
        done = jumok.evaluate(model, pairs, o.metrics.split(","), tokenize=o.tokenize, **WAYS[way])
        seconds = time.perf_counter() - start
        row: dict[str, Any] = {"way": way, **{name: round(m.value, 2) for name, m in done.metrics.items()}}
        texts = [t.text for t in done.outputs]
        first = first or texts
        rows.append(row | gain(texts, first, done.references) | repeated(texts) | {"seconds": round(seconds, 1)})
        print(rows[-1], file=sys.stderr, flush=True)
    emit(
        "quality_ranking",
        model=str(o.model),
        test=str(o.test),
        sources=len(done.outputs),
        references=repeated([r[0] for r in done.references]),
        signatures={name: m.signature for name, m in done.metrics.items()},
        rows=rows,
    )


def gain(texts: Sequence[str], first: Sequence[str], references: Sequence[Sequence[str]]) -> dict[str, float]:
    """By how much chrF of a sentence is higher than the first way's: mean and standard error."""
    score = CHRF().sentence_score
    differences = np.array([score(a, r).score - score(b, r).score for a, b, r in zip(texts, first, references, strict=True)])
    error = differences.std(ddof=1) / np.sqrt(len(differences)) if len(differences) > 1 else 0.0
    return {"gain": round(float(differences.mean()), 2), "gain_error": round(float(error), 2)}


def repeated(texts: Sequence[str]) -> dict[str, Any]:
    """Percent of n-grams that are in the same text already, and words a text."""
    found: dict[str, Any] = {"words": round(sum(len(t.split()) for t in texts) / len(texts), 2)}
    for n in (1, 2, 3):
        total = again = 0
        for text in texts:
            words = text.split()
            grams = list(zip(*(words[i:] for i in range(n)), strict=False))
            total, again = total + len(grams), again + len(grams) - len(set(grams))
        found[f"repeated_{n}"] = round(100 * again / max(1, total), 3)
    return found


if __name__ == "__main__":
    main()
