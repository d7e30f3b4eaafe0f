"""How much faster does Jumok's NumPy runtime write than the tutorial's torch loop, one sentence at a time, same model?

    python -m benchmarks.speed.translate [MODEL TEST.tsv] [--lines 100] [--rounds 5]

Both use all cores that the process may use (`taskset -c 0` for one). Without a model: random weights at the sizes of a pronunciation model and of Multi30k, all outputs of one length.
"""

import argparse
import os
import tempfile
from pathlib import Path

import numpy as np
import torch

from benchmarks.support.measure import alternate, emit, ratio
from benchmarks.support.naive import Naive
from jumok.config import ModelConfig, TextConfig
from jumok.runtime import load
from jumok.runtime.folder import FolderConfig, read_folder, write_folder
from jumok.runtime.parameters import random_parameters
from jumok.text import Pair, build_codec, read_pairs

SIZES = {
    "letters to phones": dict(embedding=128, hidden=256, readout_size=256, vocabulary=50, length=8),
    "Multi30k": dict(embedding=256, hidden=512, readout_size=256, vocabulary=8000, length=14),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?")
    parser.add_argument("test", nargs="?")
    parser.add_argument("--lines", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    o = parser.parse_args()
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


def planted(path: Path, embedding: int, hidden: int, readout_size: int, vocabulary: int, length: int) -> tuple[str, list[str]]:
    """A folder with random weights that writes `length` tokens for every source, and sources of that length."""
    words = [f"w{i}" for i in range(vocabulary - 4)]
    text = TextConfig(source_tokenizer="space", target_tokenizer="space", joint_vocabulary=False)
    codec = build_codec([Pair(w, w, (), "") for w in words], text)
    model = ModelConfig(
        embedding=embedding, hidden=hidden, score_size=hidden, readout_size=readout_size, tie="none", size="small"
    )
    parameters = random_parameters(model, vocabulary, vocabulary, seed=1)
    parameters["readout.bias"][2] = -1e4  # the end token is never written: every output runs to the limit
    write_folder(path, FolderConfig(text, model, (1.0, 0.0), {}), parameters, codec, "", [])
    random = np.random.default_rng(1)
    return str(path), [" ".join(random.choice(words, length - 1)) for _ in range(60)]


if __name__ == "__main__":
    main()
