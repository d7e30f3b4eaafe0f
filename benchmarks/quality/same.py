"""Does the compiled engine write the same as NumPy, and how far are its log-probabilities and weights from NumPy's?

    python -m benchmarks.quality.same MODEL LINES [LINES …] [--beam 1] [--engines exact int8] [--lines 10000]

LINES are files with a source a line (what stands before a TAB). Of each engine: how many outputs have the same tokens, and of these
the largest and mean error of a sentence's log-probability and of a weight. With pairs of the targets (a TAB in the line), also
the largest error of a target's log-probability, token by token.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.support.measure import emit
from jumok.decode.translator import load


def read(files: list[str], most: int) -> list[list[str]]:
    rows = [line.split("\t") for file in files for line in Path(file).read_text(encoding="utf-8").splitlines()]
    return [row for row in rows if row[0].strip()][:most]


def compared(wanted: list[Any], found: list[Any]) -> dict[str, Any]:
    same = [(a, b) for a, b in zip(wanted, found, strict=True) if a.tokens == b.tokens]
    logs = [abs(a.log_probability - b.log_probability) for a, b in same]
    weights = [float(np.abs(a.weights - b.weights).max(initial=0)) for a, b in same if a.weights is not None]
    return {
        "lines": len(wanted),
        "same": len(same),
        "percent": round(100 * len(same) / max(1, len(wanted)), 3),
        "log_probability_largest": max(logs, default=0.0),
        "log_probability_mean": float(np.mean(logs)) if logs else 0.0,
        "weight_largest": max(weights, default=0.0),
        "others": [(a.source, a.text, b.text) for a, b in zip(wanted, found, strict=True) if a.tokens != b.tokens][:5],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("files", nargs="+")
    parser.add_argument("--beam", type=int, default=1)
    parser.add_argument("--engines", nargs="+", default=["exact", "int8"])
    parser.add_argument("--lines", type=int, default=10_000)
    o = parser.parse_args()
    rows = read(o.files, o.lines)
    reference = load(o.model, "numpy")
    texts, pairs = [row[0] for row in rows], [row for row in rows if len(row) > 1 and row[1].strip()]
    wanted = reference.translate(texts, beam=o.beam)
    scored = reference.score([p[0] for p in pairs], [p[1] for p in pairs]) if pairs else []
    figures = {}
    for engine in o.engines:
        model = load(o.model, engine)
        figures[engine] = compared(wanted, model.translate(texts, beam=o.beam))
        if pairs:
            again = model.score([p[0] for p in pairs], [p[1] for p in pairs])
            figures[engine]["scores_largest"] = max(
                abs(a.log_probability - b.log_probability) for a, b in zip(scored, again, strict=True)
            )
        print(f"{engine}: {figures[engine]}", flush=True)
    emit("same", model=o.model, files=o.files, beam=o.beam, **figures)


if __name__ == "__main__":
    main()
