"""Do the NumPy model, the torch model and the tutorial's loop write the same, whatever the batch size and order?

    python -m benchmarks.quality.agreement MODEL TEST.tsv [--lines 1000]

Greedy and beam 5 on every line: tokens must be equal, log-probabilities within 1e-4; then NumPy at batch sizes 1, 7 and 64
and in shuffled order. The tutorial's loop knows models of one layer with soft attention.
"""

import argparse
import random

import numpy as np
import torch

from benchmarks.support.measure import emit
from benchmarks.support.naive import Naive
from jumok.config import SearchConfig
from jumok.decode.backend import make_backend
from jumok.decode.search import search
from jumok.decode.translator import Translator, load
from jumok.net.export import import_parameters
from jumok.net.model import Seq2Seq
from jumok.net.steps import TorchSteps
from jumok.runtime.folder import read_folder
from jumok.text import in_length_order, read_pairs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("test")
    parser.add_argument("--lines", type=int, default=1000)
    o = parser.parse_args()
    ours, folder = load(o.model, "numpy"), read_folder(o.model)
    pairs = read_pairs(o.test, ours.config.text, warn=print)[: o.lines]
    lines, features = [p.source for p in pairs], [p.features for p in pairs]
    sources = [folder.codec.encode_source(p.source, p.features) for p in pairs]
    kind = ours.config.model
    figures: dict[str, object] = {"lines": len(lines)}
    if kind.attention != "none" and kind.layers == 1 and kind.alignment == "soft":
        naive, greedy = Naive(o.model), ours.translate(lines, features=features)
        vocabulary = folder.codec.target.vocabulary
        loops = [naive.greedy(source) for source in sources]
        figures["loop_greedy_equal"] = sum(
            tuple(vocabulary.tokens(ids)) == t.tokens for (ids, _, _), t in zip(loops, greedy, strict=True)
        )
        figures["loop_weights_off"] = max(
            float(np.abs(w - t.weights).max()) for (_, w, _), t in zip(loops, greedy, strict=True) if w.shape == t.weights.shape
        )
    for beam in (1, 5):
        figures |= torch_beside_numpy(folder, sources, beam) | orders(ours, lines, features, beam)
    emit("quality_agreement", **figures)


def torch_beside_numpy(folder, sources: list[list[int]], beam: int) -> dict[str, object]:
    config, codec = folder.config.model, folder.codec
    copies = torch.from_numpy(codec.copies()) if config.copy else None
    model = Seq2Seq(config, len(codec.source.vocabulary), len(codec.target.vocabulary), copies=copies).eval()
    import_parameters(model, folder.parameters)
    torch.set_float32_matmul_precision("highest")
    equal, off = 0, 0.0
    for batch in in_length_order(sources, None, 64):
        limits = np.ceil(folder.config.limit[0] * batch.source_lengths + folder.config.limit[1]).astype(np.int64)
        found = [
            search(steps, batch.source, batch.source_lengths, SearchConfig(beam=beam), limits)
            for steps in (make_backend("numpy", folder), TorchSteps(model))
        ]
        for a, b in zip(*found, strict=True):
            equal += a[0].tokens == b[0].tokens
            if a[0].tokens == b[0].tokens:
                off = max(off, abs(a[0].log_probability - b[0].log_probability))
    return {f"torch_equal_beam{beam}": equal, f"torch_log_probability_off_beam{beam}": off}


def orders(model: Translator, lines: list[str], features: list[tuple[str, ...]], beam: int) -> dict[str, object]:
    expected = [t.tokens for t in model.translate(lines, features=features, beam=beam)]
    figures: dict[str, object] = {}
    for size in (1, 7, 64):
        order = random.Random(size).sample(range(len(lines)), len(lines))
        mixed = [lines[i] for i in order], [features[i] for i in order]
        found = model.translate(mixed[0], features=mixed[1], beam=beam, batch_size=size)
        figures[f"batch{size}_shuffled_equal_beam{beam}"] = sum(
            t.tokens == expected[i] for i, t in zip(order, found, strict=True)
        )
    return figures


if __name__ == "__main__":
    main()
