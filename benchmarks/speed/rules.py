"""How much time does each rule of decoding take, beside a search without rules?

    python -m benchmarks.speed.rules [MODEL TEST.tsv] [--lines 256] [--beam 5] [--batch-size 64] [--rounds 5]

Without a model: random weights at the sizes of a pronunciation model. All in turns, in one process: milliseconds a line (the least of the rounds), and how many times that of the same search without
rules. Prefixes, forbidden and required texts are the beginning and the most frequent tokens of the outputs without rules; the
list has the targets of the test file.
"""

import argparse
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import jumok
from benchmarks.support.measure import alternate, emit
from benchmarks.support.planted import SIZES, planted
from jumok.text import read_pairs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?")
    parser.add_argument("test", nargs="?")
    parser.add_argument("--lines", type=int, default=256)
    parser.add_argument("--beam", type=int, default=5)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    o = parser.parse_args()
    if o.model and not o.test:
        parser.error("give a file, too")
    if o.model:
        model = jumok.load(o.model)
        pairs = read_pairs(o.test, model.config.text, warn=lambda _: None)[: o.lines]
        compare(model, [p.source for p in pairs], [p.features for p in pairs], [p.target for p in pairs], o)
        return
    with tempfile.TemporaryDirectory() as folder:
        path, lines = planted(Path(folder) / "model", **SIZES["letters to phones"])
        model = jumok.load(path)
        compare(model, lines, None, [t.text for t in model.translate(lines)], o)


def compare(model: Any, sources: list[str], features: Any, targets: list[str], o: argparse.Namespace) -> None:
    how = {"features": features, "batch_size": o.batch_size}
    plain = model.translate(sources, **how)
    usual = [token for token, _ in Counter(token for t in plain for token in t.tokens if token[0] != "<").most_common(3)]
    word = next(w for w, _ in Counter(w for t in plain for w in t.text.split()).most_common(1))
    rules = {
        "none": {},
        "forbid": {"forbid": usual[:1]},
        "forbid_text": {"forbid_text": [word]},
        "prefix": {"prefix": [t.text[:2] for t in plain]},
        "min_length": {"min_length": 8},
        "no_repeat": {"no_repeat": 2},
        "only": {"only": targets},
        "only_words": {"only_words": sorted({w for target in targets for w in target.split()})},
    }
    figures = {}
    for beam in sorted({1, o.beam}):
        every = rules | ({"require": {"require": [word]}} if beam > len(model.codec.target.tokenizer.tokens(word)) else {})
        made = {
            name: lambda rule=rule, beam=beam: model.translate(sources, beam=beam, **how, **rule)
            for name, rule in every.items()
        }
        least = {name: min(seconds) / len(sources) for name, seconds in alternate(made, o.rounds).items()}
        figures[f"beam{beam}"] = {
            name: {"ms_a_line": round(1000 * seconds, 3), "times": round(seconds / least["none"], 2)}
            for name, seconds in least.items()
        }
    emit("speed_rules", model=o.model or "random", lines=len(sources), batch_size=o.batch_size, **figures)


if __name__ == "__main__":
    main()
