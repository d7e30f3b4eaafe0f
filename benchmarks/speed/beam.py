"""How much faster is beam search for one sentence alone than the search for many, given a batch of one?

    python -m benchmarks.speed.beam [MODEL TEST.tsv] [--lines 60] [--rounds 7] [--beam 5]

Without a model: random weights at the sizes of a pronunciation model and of Multi30k. What both ways write is compared first.
`benchmarks.peers.versions` compares two checkouts.
"""

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.support.measure import alternate, emit, ratio
from benchmarks.support.planted import SIZES, planted
from jumok.config import SearchConfig
from jumok.decode.choice import best_continuations
from jumok.decode.policy import policy_of
from jumok.decode.search import beam, search_one
from jumok.runtime import load
from jumok.text import read_pairs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?")
    parser.add_argument("test", nargs="?")
    parser.add_argument("--lines", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--beam", type=int, default=5)
    o = parser.parse_args()
    if o.model and not o.test:
        parser.error("give a file, too")
    options = SearchConfig(beam=o.beam)
    if o.model:
        lines = [p.source for p in read_pairs(o.test, load(o.model).config.text, warn=print)]
        compare(o.model, lines[:: max(1, len(lines) // o.lines)][: o.lines], options, o.rounds, o.model)
        return
    for name, sizes in SIZES.items():
        with tempfile.TemporaryDirectory() as folder:
            path, lines = planted(Path(folder) / "model", **sizes)
            compare(path, lines[: o.lines], options, o.rounds, name)


def compare(path: str, lines: list[str], options: SearchConfig, rounds: int, name: str) -> None:
    model, policy = load(path), policy_of(options)
    usual = replace(policy, candidates=lambda *arguments: best_continuations(*arguments))  # unknown to the search for one
    sources = [np.array(model.codec.encode_source(line)) for line in lines]
    ratio_, constant = model.config.limit
    limits = [max(1, int(np.ceil(ratio_ * len(source) + constant))) for source in sources]

    def many() -> list[tuple[int, ...]]:
        return [
            beam(model.backend, source[None], np.array([len(source)]), options, np.array([limit]), usual)[0][0].tokens
            for source, limit in zip(sources, limits, strict=True)
        ]

    def one() -> list[tuple[int, ...]]:
        return [
            search_one(model.backend, source, options, limit, policy)[0].tokens
            for source, limit in zip(sources, limits, strict=True)
        ]

    same = sum(a == b for a, b in zip(many(), one(), strict=True))
    seconds = alternate({"many": many, "one": one}, rounds)
    per_second = {f"{k}, sentences_per_second": round(len(lines) * rounds / sum(v), 1) for k, v in seconds.items()}
    emit(
        "speed_beam",
        model=name,
        beam=options.beam,
        sentences=len(lines),
        same_output=same,
        **per_second,
        **ratio(seconds, "many", "one"),
    )


if __name__ == "__main__":
    main()
