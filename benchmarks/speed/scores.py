"""What does each score cost a training step, beside dot? (Multi30k sizes)

    python -m benchmarks.speed.scores [--rounds 6] [--threads 0] [--length 15]

Random data, 64 sentences of about --length tokens a side, 8,000-token vocabulary; float32, oneDNN products, all in turns in one run.
"""

import argparse
import os

import torch

from benchmarks.speed.input_feeding import training_step
from benchmarks.support.batches import random_batch
from benchmarks.support.measure import alternate, emit, ratio
from jumok.config import ModelConfig, TrainConfig
from jumok.learn import memory
from jumok.learn.evaluation import tensors
from jumok.learn.machine import Machine

V = 8000
ATTENTIONS = ("dot", "none", "general", "concat", "location")


def main() -> None:
    memory.prepare(TrainConfig())  # as in training; torch is imported, so that all compiled kernels are kept
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--length", type=int, default=15)
    o = parser.parse_args()
    Machine("float32", "onednn", o.threads or len(os.sched_getaffinity(0))).apply()
    data = tensors(random_batch(64, o.length, V), "cpu")
    sizes = {"embedding": 256, "hidden": 512, "score_size": 512, "readout_size": 256}
    names = {a: training_step(ModelConfig(attention=a, tie="all", **sizes), V, [data]) for a in ATTENTIONS}
    seconds = alternate(names, o.rounds)
    cost = {a: ratio(seconds, a, "dot") for a in ATTENTIONS if a != "dot"}
    emit("speed_scores", length=o.length, threads=torch.get_num_threads(), cost=cost, seconds=seconds)


if __name__ == "__main__":
    main()
