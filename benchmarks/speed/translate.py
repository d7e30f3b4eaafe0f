"""How much faster does Jumok's NumPy runtime write than the tutorial's torch loop, one sentence at a time, same model?

    python -m benchmarks.speed.translate [MODEL TEST.tsv] [--lines 100] [--rounds 5]

Both use all cores that the process may use (`taskset -c 0` for one). Without a model: random weights at the sizes of a pronunciation model and of Multi30k, all outputs of one length.
"""

import argparse
import os
import tempfile
from pathlib import Path

import torch

from benchmarks.support.measure import alternate, emit, ratio
from benchmarks.support.naive import Naive
from benchmarks.support.planted import SIZES, planted
from jumok.runtime import load
from jumok.runtime.folder import read_folder
from jumok.text import read_pairs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?")
    parser.add_argument("test", nargs="?")
    parser.add_argument("--lines", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    o = parser.parse_args()
    if o.model and not o.test:
        parser.error("give a file, too")
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    if o.model:
        text = read_folder(o.model).config.text
        lines = [p.source for p in read_pairs(o.test, text, warn=print)]
        compare(o.model, lines[:: max(1, len(lines) // o.lines)][: o.lines], o.rounds, o.model)
        return
    for name, sizes in SIZES.items():
        with tempfile.TemporaryDirectory() as folder:
            compare(*planted(Path(folder) / "model", **sizes), o.rounds, name)


def compare(model: str, lines: list[str], rounds: int, name: str) -> None:
    ours, naive, codec = load(model), Naive(model), read_folder(model).codec
    sources = [codec.encode_source(line) for line in lines]
    assert [len(t.tokens) for t in ours.translate(lines)] == [len(naive.greedy(s)[0]) for s in sources]
    seconds = alternate(
        {
            "torch loop": lambda: [naive.greedy(s) for s in sources],
            "jumok": lambda: [ours.translate(line) for line in lines],
            "jumok, batches of 64": lambda: ours.translate(lines),
        },
        rounds,
    )
    per_second = {f"{k}, sentences_per_second": round(len(lines) * rounds / sum(v), 1) for k, v in seconds.items()}
    emit("speed_translate", model=name, threads=torch.get_num_threads(), **per_second, **ratio(seconds, "torch loop", "jumok"))


if __name__ == "__main__":
    main()
