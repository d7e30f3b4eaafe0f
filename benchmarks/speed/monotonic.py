"""What does a monotonic alignment cost, beside a soft one? A training step, and decoding. (sizes of letters)

    python -m benchmarks.speed.monotonic [--rounds 20] [--threads 1] [--batch 64] [--length 10] [--vocabulary 60,90] [--hidden 256] [--matmul default] [--device cpu]

Random data and weights, 64 pairs of about --length tokens a side; float32; all in turns in one run. Decoding is
NumPy's, of sources and outputs of that length: greedy in a batch, alone, and with beam 5; the text alone, and the text with its
weights, which a monotonic alignment computes afterwards.
"""

import argparse
from collections.abc import Callable

import numpy as np
import torch

from benchmarks.speed.input_feeding import training_step
from benchmarks.support.batches import random_batch
from benchmarks.support.measure import alternate, emit, ratio
from jumok.config import ModelConfig, SearchConfig, TrainConfig
from jumok.decode.hindsight import in_hindsight
from jumok.decode.search import search
from jumok.learn import memory
from jumok.learn.evaluation import tensors
from jumok.learn.machine import Machine
from jumok.runtime.model import NumpyModel
from jumok.runtime.parameters import random_parameters
from jumok.text.vocabulary import END

KINDS = ("soft", "monotonic")
# name, sentences (0: a batch), beam, with weights or not
DECODED = (
    ("greedy", 0, 1, False),
    ("greedy_weights", 0, 1, True),
    ("alone", 1, 1, False),
    ("beam5", 0, 5, False),
    ("beam5_weights", 0, 5, True),
)


def main() -> None:
    memory.prepare(TrainConfig())  # as in training; torch is imported, so that all compiled kernels are kept
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--length", type=int, default=10)
    parser.add_argument("--vocabulary", default="60,90")
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--matmul", default="default", choices=["default", "onednn"])
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    o = parser.parse_args()
    Machine("float32", o.matmul, o.threads, o.device).apply()
    for V in map(int, o.vocabulary.split(",")):
        configs = {kind: config(o.hidden, kind) for kind in KINDS}
        data = tensors(random_batch(o.batch, o.length, V), o.device)
        with torch.device(o.device):
            steps = {kind: training_step(c, V, data) for kind, c in configs.items()}
        waited = {
            kind: lambda step=step: (step(), Machine("float32", "default", 1, o.device).wait()) for kind, step in steps.items()
        }
        seconds = {"step": alternate(waited, o.rounds)}
        for name, rows, beam, weights in DECODED:
            made = {kind: decoding(c, V, rows or o.batch, o.length, beam, weights) for kind, c in configs.items()}
            seconds[name] = alternate(made, o.rounds)
        cost = {name: ratio(times, "monotonic", "soft") for name, times in seconds.items()}
        best = {name: {kind: round(1000 * min(t), 2) for kind, t in times.items()} for name, times in seconds.items()}
        emit("speed_monotonic", **vars(o) | {"vocabulary": V}, cost=cost, best_ms=best)


def config(hidden: int, alignment: str) -> ModelConfig:
    sizes = {"embedding": hidden // 2, "hidden": hidden, "score_size": hidden, "readout_size": hidden}
    return ModelConfig(alignment=alignment, tie="none", **sizes)  # type: ignore[arg-type]


def decoding(c: ModelConfig, V: int, rows: int, length: int, beam: int, weights: bool) -> Callable[[], None]:
    parameters = random_parameters(c, V, V, 1)
    parameters["readout.bias"][END] = -100  # all outputs have the same length
    model = NumpyModel(c, parameters)
    source, lengths = np.random.default_rng(1).integers(4, V, (rows, length)), np.full(rows, length)

    def decode() -> None:
        found = search(model, source, lengths, SearchConfig(beam=beam), np.full(rows, length))
        for _, seen, _ in (one for own in in_hindsight(model, source.tolist(), found) for one in own):
            if weights and callable(seen):
                seen()

    return decode


if __name__ == "__main__":
    main()
