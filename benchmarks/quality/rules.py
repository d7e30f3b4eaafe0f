"""What do rules bring on real data: a list of valid outputs, no n-gram twice, copied unknowns?

    python -m benchmarks.quality.rules MODEL TEST.tsv [--only OUTPUTS] [--no-repeat 3] [--unknown copy] [--beam 5]

Evaluates the model on the test pairs without rules and with each of those that are given: all metrics, the share of outputs
that are not in the list, and the repeated 3-grams among all 3-grams of tokens. For the list, the figures name the test pairs
whose target is in it. A list may be given as a table: with --column 2, its targets.
"""

import argparse
import tempfile
import time
from collections import Counter
from pathlib import Path

import jumok
from benchmarks.support.measure import emit
from jumok.text import read_lines

GRAM = 3  # tokens


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("test")
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--column", type=int, default=1)
    parser.add_argument("--no-repeat", type=int, default=0)
    parser.add_argument("--unknown", default="keep")
    parser.add_argument("--beam", type=int, default=5)
    o = parser.parse_args()
    model = jumok.load(o.model)
    listed = {line.text.split("\t")[o.column - 1] for file in o.only for line in read_lines(file, warn=print) if line.text}
    variants: dict[str, dict[str, object]] = {"none": {}}
    with tempfile.TemporaryDirectory() as folder:
        if listed:
            (Path(folder) / "outputs").write_text("".join(f"{text}\n" for text in sorted(listed)), encoding="utf-8")
            variants["only"] = {"only": str(Path(folder) / "outputs")}
        variants |= {"no_repeat": {"no_repeat": o.no_repeat}} if o.no_repeat else {}
        variants |= {"unknown": {"unknown": o.unknown}} if o.unknown != "keep" else {}
        figures = {name: measured(model, o, options, listed) for name, options in variants.items()}
    emit("quality_rules", model=o.model, test=o.test, beam=o.beam, listed=len(listed), **figures)


def measured(model: jumok.Translator, o: argparse.Namespace, options: dict, listed: set[str]) -> dict[str, object]:
    begun = time.perf_counter()
    done = jumok.evaluate(model, o.test, beam=o.beam, warn=lambda _: None, **options)
    grams = [Counter(t.tokens[i : i + GRAM] for i in range(len(t.tokens) - GRAM + 1)) for t in done.outputs]
    own = set(model.codec.written(sorted(listed)))
    return {
        **{name: round(m.value, 2) for name, m in done.metrics.items()},
        "repeated_grams": round(sum(n - 1 for own in grams for n in own.values()) / max(1, sum(map(Counter.total, grams))), 5),
        "outside_list": sum(t.text not in own for t in done.outputs) if own else None,
        "reachable": sum(any(r in own for r in references) for references in done.references) if own else None,
        "unknown_written": sum("<unk>" in t.tokens for t in done.outputs),
        "without_output": sum(bool(t.problem) for t in done.outputs),
        "sources": len(done.outputs),
        "seconds": round(time.perf_counter() - begun, 1),
    }


if __name__ == "__main__":
    main()
