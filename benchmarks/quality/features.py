"""Does every feature of decoding write the same with the compiled engine as with NumPy?

    python -m benchmarks.quality.features MODEL PAIRS [--beside OTHER] [--engine exact] [--lines 1000] [--only prefix tree …]

PAIRS is a file with source TAB target a line. Of each feature: how many lines have the same tokens in all that is written, the largest
error of a log-probability where they have, and the lines that differ. OTHER is a model with the same vocabularies, for an ensemble.
"""

import argparse
import collections
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.support.measure import emit
from jumok.decode.translator import Translator, load

Written = list[tuple[Any, float]]  # of a line: what has to be the same, and a log-probability


def written(t: Any) -> tuple[Any, float]:
    return (t.tokens, t.text, [other.tokens for other in t.alternatives]), t.log_probability


def searches(rows: list[tuple[str, str]], model: Translator, folder: Path) -> dict[str, dict[str, Any]]:
    """The options of each search; what depends on the data is taken from the targets."""
    counts = collections.Counter(token for _, target in rows for token in model.codec.target.tokenizer.tokens(target))
    tokens = [token for token, _ in counts.most_common() if token in model.codec.target.vocabulary]
    words = [word for word, _ in collections.Counter(word for _, target in rows for word in target.split()).most_common()]
    listed = folder / "only.txt"
    listed.write_text("".join(f"{target}\n" for target in dict.fromkeys(target for _, target in rows)), encoding="utf-8")
    return {
        "greedy": {},
        "beam": {"beam": 5, "nbest": 5},
        "wide beam": {"beam": 24, "nbest": 24},
        "penalties": {"beam": 5, "length_norm": "wu", "coverage_penalty": 0.2},
        "samples": {"sample": 3},
        "few to draw": {"sample": 3, "top_k": 20, "top_p": 0.9, "temperature": 1.3},
        "diverse": {"beam": 6, "groups": 3, "nbest": 6, "diversity": 3.0},
        "least risk": {"sample": 8, "mbr": "chrf"},
        "prefix": {"prefix": [target.split()[0] for _, target in rows], "beam": 4},
        "forbid": {"forbid": tuple(tokens[:40]), "beam": 4},
        "forbid text": {"forbid_text": tuple(words[:5]), "beam": 4},
        "allow": {"allow": tuple(tokens[20:]), "beam": 4},
        "require": {"require": (words[10],), "beam": 8},
        "lengths": {"min_length": 12, "no_repeat": 2, "beam": 4},
        "only": {"only": str(listed), "beam": 4, "nbest": 2},
    }


def features(rows: list[tuple[str, str]], model: Translator, folder: Path) -> dict[str, Callable[[Translator], Written]]:
    """What each feature writes for the lines."""
    sources, targets = [source for source, _ in rows], [target for _, target in rows]

    def by_search(options: dict[str, Any]) -> Callable[[Translator], Written]:
        return lambda m: [written(t) for t in m.translate(sources, **options)]

    def trees(m: Translator) -> Written:
        found = [m.tree(source, beam=4, reference=target) for source, target in rows]
        return [(([(n.parent, n.token, n.fate) for n in t.nodes], t.outputs), t.translation.log_probability) for t in found]

    def alternatives(m: Translator) -> Written:
        prefixes = [tuple(m.codec.target_tokens(m.codec.encode_target(target)[:2])) for target in targets]
        known = [tuple(p for p in own if p in m.codec.target.vocabulary and p != "</s>") for own in prefixes]
        return [([a.token for a in found], found[0].log_probability) for found in m.alternatives(sources, known, k=10)]

    def scores(m: Translator) -> Written:
        return [(t.tokens, t.log_probability) for t in m.score(sources, targets)]

    by_name = {name: by_search(options) for name, options in searches(rows, model, folder).items()}
    return by_name | {"tree": trees, "alternatives": alternatives, "score": scores}


def compared(ours: Written, theirs: Written, rows: list[tuple[str, str]]) -> dict[str, Any]:
    pairs = list(zip(ours, theirs, strict=True))
    return {
        "lines": len(pairs),
        "same": sum(a[0] == b[0] for a, b in pairs),
        "log_probability_largest": max((abs(a[1] - b[1]) for a, b in pairs if a[0] == b[0]), default=0.0),
        "others": [rows[i][0] for i, (a, b) in enumerate(pairs) if a[0] != b[0]][:10],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("pairs")
    parser.add_argument("--beside", default="")
    parser.add_argument("--engine", default="exact")
    parser.add_argument("--lines", type=int, default=1000)
    parser.add_argument("--only", nargs="+", default=[])
    o = parser.parse_args()
    lines = [line.split("\t") for line in Path(o.pairs).read_text(encoding="utf-8").splitlines()]
    rows = [(row[0], row[1]) for row in lines if len(row) > 1 and row[0].strip() and row[1].strip()][: o.lines]
    ours, theirs = load(o.model, o.engine), load(o.model, "numpy")
    figures = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, work in features(rows, theirs, Path(folder)).items():
            if not o.only or name in o.only:
                figures[name] = compared(work(ours), work(theirs), rows)
                print(f"{name}: {figures[name]}", flush=True)
        if o.beside and not o.only:
            both = [load([o.model, o.beside], engine) for engine in (o.engine, "numpy")]
            for name in ("greedy", "beam", "samples"):
                work = features(rows, theirs, Path(folder))[name]
                figures[f"ensemble, {name}"] = compared(work(both[0]), work(both[1]), rows)
                print(f"ensemble, {name}: {figures[f'ensemble, {name}']}", flush=True)
    emit("features", model=o.model, pairs=o.pairs, beside=o.beside, engine=o.engine, **figures)


if __name__ == "__main__":
    main()
