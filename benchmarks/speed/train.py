"""How many target tokens a second does training reach, beside the tutorial's loop, and what share of the machine's own floor?

    python -m benchmarks.speed.train [--sizes multi30k] [--device cpu] [--precision float32] [--threads 0] [--attention general] [--rounds 5] [--loop yes]

Random data; every entry is a whole step: forward, backward, clipping, Adam. The floor is the multiply-adds of the model on real
tokens at the rate of a large product in the same format, measured in the same run, plus the optimizer's traffic at the rate of a
large copy. The loop is what tutorials teach: a packed encoder, then step by step a cell, the scores, the output layer, the loss.
"""

import argparse
import os
import statistics
from collections.abc import Callable

import torch
from torch import Tensor, nn

from benchmarks.support.batches import random_batch
from benchmarks.support.measure import alternate, emit, ratio
from jumok.config import ModelConfig, TrainConfig
from jumok.learn import memory
from jumok.learn.evaluation import tensors
from jumok.learn.machine import Machine
from jumok.learn.profile.limit import rates
from jumok.learn.work import multiply_adds, tokens_of
from jumok.net.model import Seq2Seq, shifted
from jumok.text import PAD, START, Batch

# embedding, hidden, readout, layers, vocabulary, length, rows, tied
SIZES = {
    "multi30k": (256, 512, 256, 1, 8000, 15, 64, True),
    "letters": (128, 256, 256, 1, 50, 9, 64, False),
    "large": (512, 1024, 512, 4, 32000, 25, 128, True),
}
STEPS = 5  # a round


def main() -> None:
    memory.settle(TrainConfig())  # as in training; torch is imported, so that all compiled kernels are kept
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", choices=SIZES, default="multi30k")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--precision", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument("--matmul", default="onednn", choices=["onednn", "default"])
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--attention", default="general", choices=["none", "dot", "general", "concat"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--loop", choices=["yes", "no"], default="yes")
    o = parser.parse_args()
    machine = Machine(o.precision, o.matmul, o.threads or len(os.sched_getaffinity(0)), o.device)
    machine.apply()
    E, H, R, layers, V, length, rows, tied = SIZES[o.sizes]
    config = ModelConfig(
        attention=o.attention,
        embedding=E,
        hidden=H,
        score_size=H,
        readout_size=R,
        layers=layers,
        tie="all" if tied else "none",
    )
    torch.manual_seed(1)
    batch = random_batch(rows, length, V)
    data = tensors(batch, o.device)
    tokens = len(data[3])
    model = Seq2Seq(config, V, V, dropout=0.2).to(o.device)
    steps = {"jumok": repeated(fused(model, data, machine), machine)}
    if o.loop == "yes":
        steps["tutorial loop"] = repeated(loop(Tutorial(config, V).to(o.device), data, machine), machine)
    seconds = alternate(steps, o.rounds)
    step_seconds = {name: statistics.median(s) / STEPS for name, s in seconds.items()}
    low = floor(model, config, batch, V, machine)
    emit(
        "speed_train",
        sizes=o.sizes,
        attention=o.attention,
        on=str(machine),
        parameters=sum(p.numel() for p in model.parameters()),
        target_tokens_per_second={name: round(tokens / s) for name, s in step_seconds.items()},
        step_ms={name: round(1e3 * s, 2) for name, s in step_seconds.items()},
        floor_ms=round(1e3 * low, 2),
        share_of_floor=round(low / step_seconds["jumok"], 3),
        over_loop=ratio(seconds, "tutorial loop", "jumok") if o.loop == "yes" else None,
        peak_memory_mib=round(torch.cuda.max_memory_allocated() / 2**20) if o.device == "cuda" else None,
    )


def repeated(step: Callable[[], None], machine: Machine) -> Callable[[], None]:
    def run() -> None:
        for _ in range(STEPS):
            step()
        machine.wait()

    return run


def fused(model: Seq2Seq, data: tuple[Tensor, ...], machine: Machine) -> Callable[[], None]:
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    source, lengths, target, real = data

    def step() -> None:
        with machine.autocast():
            loss = model.loss(source, lengths, shifted(target), target, real, 0.1).loss
        optimizer.zero_grad(set_to_none=True)
        (loss / len(real)).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0, foreach=True)
        optimizer.step()

    return step


class Tutorial(nn.Module):
    """The model as tutorials write it: everything of the decoder inside one loop over the target."""

    def __init__(self, config: ModelConfig, vocabulary: int) -> None:
        super().__init__()
        E, H, R = config.embedding, config.hidden, config.readout_size
        assert E and H and R
        self.attention, self.layers = config.attention, config.layers
        self.source, self.target = nn.Embedding(vocabulary, E), nn.Embedding(vocabulary, E)
        self.encoder = nn.LSTM(E, H // 2, config.layers, bidirectional=True, batch_first=True)
        self.cells = nn.ModuleList(nn.LSTMCell(E if l == 0 else H, H) for l in range(config.layers))
        self.score = nn.Linear(2 * H if config.attention == "concat" else H, H, bias=False)
        self.v = nn.Linear(H, 1, bias=False)
        self.readout = nn.Linear(H if config.attention == "none" else 2 * H, R)
        self.output = nn.Linear(R, vocabulary)
        self.drop = nn.Dropout(0.2)

    def forward(self, source: Tensor, lengths: Tensor, target: Tensor) -> Tensor:
        packed = nn.utils.rnn.pack_padded_sequence(
            self.drop(self.source(source)), lengths.cpu(), batch_first=True, enforce_sorted=False
        )
        out, (h, c) = self.encoder(packed)
        memory, _ = nn.utils.rnn.pad_packed_sequence(out, batch_first=True)
        state = [(torch.cat([*h[2 * l : 2 * l + 2]], -1), torch.cat([*c[2 * l : 2 * l + 2]], -1)) for l in range(self.layers)]
        mask = torch.arange(source.shape[1], device=source.device) < lengths[:, None]
        token, losses = torch.full_like(target[:, 0], START), []
        for t in range(target.shape[1]):
            x = self.drop(self.target(token))
            for l, cell in enumerate(self.cells):
                state[l] = cell(x, state[l])
                x = state[l][0]
            if self.attention != "none":
                weights = self.scores(x, memory).masked_fill(~mask, -1e4).softmax(-1)
                x = torch.cat([(weights[:, None] @ memory)[:, 0], x], -1)
            logits = self.output(self.drop(torch.tanh(self.readout(x))))
            losses.append(nn.functional.cross_entropy(logits.float(), target[:, t], ignore_index=PAD, reduction="sum"))
            token = target[:, t]
        return torch.stack(losses).sum()

    def scores(self, h: Tensor, memory: Tensor) -> Tensor:
        if self.attention == "concat":
            both = torch.cat([h[:, None].expand_as(memory), memory], -1)
            return self.v(torch.tanh(self.score(both)))[..., 0]
        keys = memory if self.attention == "dot" else self.score(memory)
        return (keys @ h[..., None])[..., 0]


def loop(model: Tutorial, data: tuple[Tensor, ...], machine: Machine) -> Callable[[], None]:
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)
    source, lengths, target, real = data

    def step() -> None:
        optimizer.zero_grad()
        with machine.autocast():
            loss = model(source, lengths, target)
        (loss / len(real)).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    return step


def floor(model: Seq2Seq, config: ModelConfig, batch: Batch, V: int, machine: Machine) -> float:
    """Seconds that a step takes at least (see `jumok.learn.profile.limit`)."""
    measured, work = rates(machine), multiply_adds(config, V, tokens_of(batch))
    parameters = sum(p.numel() for p in model.parameters())
    return sum(measured.limits(work, {}, parameters, steps=1).values())


if __name__ == "__main__":
    main()
