"""What the scripts on many processes share: a small run, torchrun around it, its processes, and what it leaves behind."""

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

SMALL = (
    *(
        "--embedding",
        "8",
        "--hidden",
        "16",
        "--readout-size",
        "16",
        "--batch-size",
        "16",
        "--threads",
        "1",
        "--matmul",
        "default",
    ),
    *("--precision", "float32", "--device", "cpu", "--learning-rate", "1e-2", "--dropout", "0.2", "--average", "0.9"),
    *("--steps", "600", "--evaluate-every", "100", "--save-every", "25"),
)
WALL_CLOCK = ("seconds", "tokens_per_second")


def toy_pairs(folder: Path) -> Path:
    """600 words and the same words backwards."""
    rng = random.Random(0)
    words = {"".join(rng.choices("abcdef", k=rng.randint(1, 6))) for _ in range(600)}
    path = folder / "pairs.tsv"
    path.write_text("".join(f"{w}\t{w[::-1]}\n" for w in sorted(words)), encoding="utf-8")
    return path


def start(
    torchrun: Iterable[str], train: Iterable[str], log: Path, before: Sequence[str] = (), **environment: str
) -> subprocess.Popen[bytes]:
    """Starts `torchrun … -m jumok train …`, after the words `before`; what it says goes to the end of `log`."""
    command = [*before, sys.executable, "-m", "torch.distributed.run", *torchrun, "-m", "jumok", "train", *train]
    with open(log, "ab") as f:
        return subprocess.Popen(command, stdout=f, stderr=f, env=os.environ | environment)


def children(process: int) -> list[int]:
    """The processes that a process has started and that are there."""
    try:
        return [int(n) for n in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
    except OSError:
        return []


def alive(process: int) -> bool:
    """Whether a process is there and more than a status that nobody has asked for."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def kill(process: int) -> bool:
    """SIGKILL; False if it is gone already."""
    try:
        os.kill(process, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def gone(processes: Iterable[int], seconds: float) -> bool:
    """Whether all of them end by themselves within some seconds."""
    end, left = time.monotonic() + seconds, list(processes)
    while left and time.monotonic() < end:
        time.sleep(0.02)
        left = [p for p in left if alive(p)]
    return not left


def wait(process: subprocess.Popen[bytes], seconds: float) -> int:
    """Its status; -1 if it takes longer: then it and its children are killed."""
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        for one in [*descendants(process.pid), process.pid]:
            kill(one)
        process.wait()
        return -1


def descendants(process: int) -> Iterator[int]:
    for child in children(process):
        yield child
        yield from descendants(child)


def remains(out: Path) -> dict[str, Any]:
    """All that a run leaves but its place and what a clock said: file name -> hash or values."""
    found: dict[str, Any] = {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in out.iterdir()}
    config = json.loads((out / "config.json").read_text(encoding="utf-8"))
    for name in ("out", "pairs"):
        del config["training"][name]
    history = json.loads((out / "history.json").read_text(encoding="utf-8"))
    found["config.json"] = config
    found["history.json"] = [{k: v for k, v in entry.items() if k not in WALL_CLOCK} for entry in history]
    record = json.loads((out / "training.json").read_text(encoding="utf-8"))
    found["training.json"] = {k: v for k, v in record.items() if k not in ("run", "sitting")}  # names made by chance
    found["README.md"] = ""  # names the place
    return found
