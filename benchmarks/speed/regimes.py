"""What do scheduled sampling and free running cost a step, beside teacher forcing and the naive loop? (Multi30k sizes)

    python -m benchmarks.speed.regimes [--rounds 4] [--threads 0] [--attention general]

Random data: 64 sentences, about 15 tokens a side, 8,000-token vocabulary. Every entry is a whole training step.
"""

import argparse
import os

import torch

from benchmarks.support.batches import random_batch
from benchmarks.support.measure import alternate, emit, ratio
from jumok.config import ModelConfig, TrainConfig
from jumok.learn import memory
from jumok.learn.evaluation import tensors
from jumok.learn.machine import Machine
from jumok.net.model import Seq2Seq, shifted
from jumok.net.sampling import own_inputs, toss
from jumok.text import PAD, START

V = 8000


def main() -> None:
    memory.settle(TrainConfig())  # as in training; torch is imported, so that all compiled kernels are kept
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--attention", default="general")
    o = parser.parse_args()
    Machine("float32", "onednn", o.threads or len(os.sched_getaffinity(0))).apply()
    torch.manual_seed(1)
    config = ModelConfig(attention=o.attention, embedding=256, hidden=512, score_size=512, readout_size=256, tie="all")
    model = Seq2Seq(config, V, V, dropout=0.3)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    source, lengths, target, real = tensors(random_batch(64, 15, V), "cpu")

    def step(gold_share: float) -> None:
        inputs = shifted(target)
        if gold_share < 1:
            inputs = own_inputs(model, source, lengths, target, toss(target, gold_share, "token"), "argmax")
        update(model.loss(source, lengths, inputs, target, real, 0.1).loss)

    def naive(gold_share: float) -> None:
        gold = toss(target, gold_share, "token")
        encoded = model.encode(source, lengths)
        state, token, loss = encoded.state, torch.full((len(target),), START), torch.zeros(())
        for t in range(target.shape[1]):
            query, state = model.decode(token[:, None], state)
            logits = model.logits(model.read(query, model.attend(query, encoded)[0]))[:, 0]
            loss = loss + torch.nn.functional.cross_entropy(
                logits, target[:, t], ignore_index=PAD, reduction="sum", label_smoothing=0.1
            )
            if t + 1 < target.shape[1]:
                token = torch.where(gold[:, t + 1], target[:, t], logits.argmax(-1))
        update(loss)

    def update(loss: torch.Tensor) -> None:
        optimizer.zero_grad(set_to_none=True)
        (loss / len(real)).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    names = {
        "teacher forcing": lambda: step(1.0),
        "own tokens p=.25": lambda: step(0.75),
        "free running": lambda: step(0.0),
        "naive loop p=.25": lambda: naive(0.75),
    }
    seconds = alternate(names, o.rounds)
    cost = {name: ratio(seconds, name, "teacher forcing") for name in names if name != "teacher forcing"}
    emit("speed_regimes", attention=o.attention, threads=torch.get_num_threads(), cost=cost, seconds=seconds)


if __name__ == "__main__":
    main()
