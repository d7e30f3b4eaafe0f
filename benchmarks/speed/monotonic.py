"""What does a monotonic alignment cost, beside a soft one? A training step, its memory, and decoding. (sizes of letters)

    python -m benchmarks.speed.monotonic [--rounds 20] [--threads 1] [--batch 16,64,256] [--length 10] [--source-length 0]
        [--vocabulary 90] [--hidden 256] [--precision float32] [--matmul default] [--device cpu] [--copy] [--taught 0] [--batches 20]
        [--no-decoding]

Random data and weights, pairs of about --length tokens a side (--source-length: of the source); all in turns in one run. Training
steps go over --batches batches, since a kernel is compiled for each new shape, which one batch would hide.
--taught N: after N steps on pairs whose targets copy their sources, so that posteriors are nearly one-hot, as in a real run.
--copy: with a copy gate. Memory is the peak of a fresh process that makes three steps, less what it had with model and optimizer, in MiB.
Decoding is NumPy's, of sources and outputs of that length: greedy in a batch, alone, and with beam 5; the text alone, and the text
with its weights, which a monotonic alignment computes afterwards.
"""

import argparse
import dataclasses
import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor

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
from jumok.text import Batch
from jumok.text.vocabulary import END

KINDS = ("soft", "monotonic")
RATE = 3e-3
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
    parser.add_argument("--batch", default="16,64,256")
    parser.add_argument("--length", type=int, default=10)
    parser.add_argument("--source-length", type=int, default=0)
    parser.add_argument("--vocabulary", default="90")
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--precision", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument("--matmul", default="default", choices=["default", "onednn"])
    parser.add_argument("--batches", type=int, default=20)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--copy", action="store_true")
    parser.add_argument("--taught", type=int, default=0)
    parser.add_argument("--no-decoding", action="store_true")
    o = parser.parse_args()
    machine = Machine(o.precision, o.matmul, o.threads, o.device)
    machine.apply()
    for V in map(int, o.vocabulary.split(",")):
        for batch in map(int, o.batch.split(",")):
            measure(o, machine, V, batch)


def measure(o: argparse.Namespace, machine: Machine, V: int, batch: int) -> None:
    configs = {kind: config(o.hidden, kind, o.copy) for kind in KINDS}
    drawn = [pairs(batch, o.source_length or o.length, o.length, V, bool(o.taught), seed) for seed in range(o.batches)]
    data = [tensors(one, o.device) for one in drawn]
    copies = torch.arange(V) if o.copy else None
    with torch.device(o.device):
        memory_mib = {kind: peak(c, V, data[:1], copies if c.copy else None) for kind, c in configs.items()}
        steps = {
            kind: training_step(c, V, data, copies if c.copy else None, RATE if o.taught else 0.0, machine)
            for kind, c in configs.items()
        }
    for step in steps.values():
        for _ in range(o.taught):
            step()
    waited = {kind: lambda step=step: (step(), machine.wait()) for kind, step in steps.items()}
    seconds = {"step": alternate(waited, o.rounds)}
    for name, rows, beam, weights in () if o.no_decoding else DECODED:
        made = {kind: decoding(c, V, rows or batch, o.length, beam, weights) for kind, c in configs.items()}
        seconds[name] = alternate(made, o.rounds)
    cost = {name: ratio(times, "monotonic", "soft") for name, times in seconds.items()}
    best = {name: {kind: round(1000 * min(t), 2) for kind, t in times.items()} for name, times in seconds.items()}
    emit("speed_monotonic", **vars(o) | {"vocabulary": V, "batch": batch}, cost=cost, best_ms=best, memory_mib=memory_mib)


def config(hidden: int, alignment: str, copy: bool) -> ModelConfig:
    sizes = {"embedding": hidden // 2, "hidden": hidden, "score_size": hidden, "readout_size": hidden}
    return ModelConfig(alignment=alignment, copy=copy and alignment == "monotonic", tie="none", **sizes)  # type: ignore[arg-type]


def pairs(rows: int, S: int, T: int, V: int, copied: bool, seed: int) -> Batch:
    """Random pairs of about S and T tokens; copied: a target is the beginning of its source."""
    sources, targets = random_batch(rows, S, V, 2 * seed), random_batch(rows, T, V, 2 * seed + 1)
    target, lengths = targets.target, targets.target_lengths
    if copied:
        lengths = np.minimum(lengths, sources.source_lengths)
        target = np.where(
            np.arange(target.shape[1]) < lengths[:, None] - 1, np.pad(sources.source, ((0, 0), (0, T)))[:, : target.shape[1]], 0
        )
        target[np.arange(rows), lengths - 1] = END
    return dataclasses.replace(sources, target=target, target_lengths=lengths)


def peak(c: ModelConfig, V: int, data: list[tuple[torch.Tensor, ...]], copies: torch.Tensor | None) -> float:
    """MiB that three steps take at most, beside model and optimizer."""
    if data[0][0].is_cuda:
        step = training_step(c, V, data, copies)
        step()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        step(), step()
        return round((torch.cuda.max_memory_allocated() - before) / 2**20, 1)
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as fresh:
        return fresh.submit(_peak, c, V, data, copies, torch.get_num_threads()).result()


def _peak(c: ModelConfig, V: int, data: list[tuple[torch.Tensor, ...]], copies: torch.Tensor | None, threads: int) -> float:
    torch.set_num_threads(threads)
    step = training_step(c, V, data, copies)
    before = _status("VmRSS")
    step(), step(), step()
    return round((_status("VmHWM") - before) / 1024, 1)


def _status(name: str) -> int:
    """KiB; HWM is the peak."""
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith(name))


def decoding(c: ModelConfig, V: int, rows: int, length: int, beam: int, weights: bool) -> Callable[[], None]:
    parameters = random_parameters(c, V, V, 1)
    parameters["readout.bias"][END] = -100  # all outputs have the same length
    model = NumpyModel(c, parameters, np.arange(V) if c.copy else None)
    source, lengths = np.random.default_rng(1).integers(4, V, (rows, length)), np.full(rows, length)

    def decode() -> None:
        found = search(model, source, lengths, SearchConfig(beam=beam), np.full(rows, length))
        for _, seen, _ in (one for own in in_hindsight(model, source.tolist(), found) for one in own):
            if weights and callable(seen):
                seen()

    return decode


if __name__ == "__main__":
    main()
