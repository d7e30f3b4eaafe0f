"""Does an LSTM with an odd number of inputs, or of units, take longer than its even neighbours?

    python -m benchmarks.speed.inputs [--inputs 256,257,258] [--hidden 128] [--batch-size 64] [--length 9] [--rounds 7] [--threads 1]

One torch layer of each number of inputs, forward and backward, in float32 and (where the machine has it) bfloat16, in turns:
milliseconds (medians), and how many times as long as the first one. `jumok.net.cells` says what Jumok makes of the answer.
"""

import argparse
import statistics
from collections.abc import Callable
from itertools import product

import torch

from benchmarks.support.measure import alternate, emit

PASSES = 20  # in a measurement


def numbers(text: str) -> list[int]:
    """The whole numbers between commas."""
    return [int(part) for part in text.split(",")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=numbers, default=[256, 257, 258])
    parser.add_argument("--hidden", type=numbers, default=[128])
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--length", type=int, default=9)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    o = parser.parse_args()
    torch.set_num_threads(o.threads)
    sizes = list(product(o.inputs, o.hidden))
    kinds = [torch.float32, *([torch.bfloat16] if torch.ops.mkldnn._is_mkldnn_bf16_supported() else [])]
    figures = {}
    for kind in kinds:
        named = {f"{inputs}->{hidden}": step(inputs, hidden, o.batch_size, o.length, kind) for inputs, hidden in sizes}
        found = {name: 1000 / PASSES * statistics.median(s) for name, s in alternate(named, o.rounds).items()}
        first = next(iter(found.values()))
        figures[str(kind).removeprefix("torch.")] = {
            name: {"milliseconds": round(ms, 2), "times": round(ms / first, 2)} for name, ms in found.items()
        }
    emit("speed_inputs", batch_size=o.batch_size, length=o.length, threads=o.threads, **figures)


def step(inputs: int, hidden: int, batch: int, length: int, kind: torch.dtype) -> Callable[[], None]:
    """PASSES times forward and backward through one layer."""
    layer = torch.nn.LSTM(inputs, hidden, batch_first=True)
    x = torch.randn(batch, length, inputs, requires_grad=True)

    def passes() -> None:
        for _ in range(PASSES):
            with torch.autocast("cpu", kind, enabled=kind is not torch.float32):
                outputs, _ = layer(x)
            outputs.sum().backward()

    return passes


if __name__ == "__main__":
    main()
