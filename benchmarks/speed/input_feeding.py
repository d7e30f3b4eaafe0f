"""What does input feeding cost a training step, beside the fused pass that needs no loop? (Multi30k sizes)

    python -m benchmarks.speed.input_feeding [--rounds 4] [--threads 0] [--attentions general] [--cell lstm] [--layers 1]
                           [--embedding 256] [--hidden 512] [--batch 64] [--length 20] [--vocabulary 8000]

Random data; source and target of about --length tokens. Every entry is a whole training step, in turns in one run.
"""

import argparse
import contextlib
import dataclasses
import itertools
import os
from collections.abc import Callable, Sequence

import torch

from benchmarks.support.batches import random_batch
from benchmarks.support.measure import alternate, emit, ratio
from jumok.config import ModelConfig, TrainConfig
from jumok.learn import memory
from jumok.learn.evaluation import tensors
from jumok.learn.machine import Machine
from jumok.net.model import Seq2Seq, shifted


def main() -> None:
    memory.prepare(TrainConfig())  # as in training; torch is imported, so that all compiled kernels are kept
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--attentions", default="general")
    parser.add_argument("--cell", default="lstm", choices=["lstm", "gru", "rnn"])
    sizes = {"layers": 1, "embedding": 256, "hidden": 512, "batch": 64, "length": 20, "vocabulary": 8000}
    for name, default in sizes.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    o = parser.parse_args()
    Machine("float32", "onednn", o.threads or len(os.sched_getaffinity(0))).apply()
    asked = {name: getattr(o, name) for name in sizes}
    for attention in o.attentions.split(","):
        config = ModelConfig(
            attention=attention,
            cell=o.cell,
            layers=o.layers,
            embedding=o.embedding,
            hidden=o.hidden,
            score_size=o.hidden,
            readout_size=o.embedding,
            tie="all",
        )
        data = tensors(random_batch(o.batch, o.length, o.vocabulary), "cpu")
        names = {
            "fused pass": training_step(config, o.vocabulary, [data]),
            "input feeding": training_step(dataclasses.replace(config, input_feeding=True), o.vocabulary, [data]),
        }
        seconds = alternate(names, o.rounds)
        cost = ratio(seconds, "input feeding", "fused pass")
        threads = torch.get_num_threads()
        emit("speed_input_feeding", attention=attention, cell=o.cell, **asked, threads=threads, cost=cost, seconds=seconds)


def training_step(
    config: ModelConfig,
    vocabulary: int,
    batches: Sequence[tuple[torch.Tensor, ...]],
    copies: torch.Tensor | None = None,
    rate: float = 1e-4,
    machine: Machine | None = None,
) -> Callable[[], None]:
    """A step on one of the batches, in turn; in the machine's precision, else in float32."""
    torch.manual_seed(1)
    model = Seq2Seq(config, vocabulary, vocabulary, dropout=0.3, copies=copies)
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, fused=True)
    turns = itertools.cycle(batches)

    def step() -> None:
        source, lengths, target, real = next(turns)
        with machine.autocast() if machine else contextlib.nullcontext():
            loss = model.loss(source, lengths, shifted(target), target, real, 0.1).loss
        optimizer.zero_grad(set_to_none=True)
        (loss / len(real)).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    return step


if __name__ == "__main__":
    main()
