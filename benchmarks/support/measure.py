"""What all benchmarks share: the line they print (machine, versions, commit, figures) and timing in turns."""

import argparse
import json
import os
import platform
import shlex
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from jumok.runtime.members import folders_of

PACKAGES = ("jumok", "numpy", "torch", "tokenizers", "safetensors", "sacrebleu")


def machine() -> dict[str, Any]:
    """Processor, the cores this process may use, memory in GiB, system."""
    processor, memory = platform.processor() or platform.machine(), None
    if os.path.exists("/proc/cpuinfo"):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        processor = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), processor)
        memory = round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {"processor": processor, "cores": cores, "memory_gib": memory, "system": platform.platform(terse=True)}


def versions() -> dict[str, str]:
    """Python's version and those of the packages that matter, where installed."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def commit() -> str | None:
    """Short hash of the commit that ran, with + when tracked files differ from it; None outside a repository."""
    try:
        dirty = _git("status", "--porcelain", "--untracked-files=no")
        return _git("rev-parse", "--short=12", "HEAD") + ("+" if dirty else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def _git(*words: str) -> str:
    here = Path(__file__).resolve().parent
    return subprocess.run(["git", *words], cwd=here, capture_output=True, text=True, check=True).stdout.strip()


def emit(question: str, **figures: Any) -> None:
    """Print the result as one JSON line: question, figures, machine, versions, commit."""
    line = {"question": question, **figures, "machine": machine(), "versions": versions(), "commit": commit()}
    print(json.dumps(line, ensure_ascii=False), flush=True)


def alternate(functions: Mapping[str, Callable[[], Any]], rounds: int = 5) -> dict[str, list[float]]:
    """Run each function once untimed, then `rounds` times in turns; the seconds of each timed call, by name."""
    for function in functions.values():
        function()
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(rounds):
        for name, function in functions.items():
            start = time.perf_counter()
            function()
            seconds[name].append(time.perf_counter() - start)
    return seconds


def ratio(seconds: Mapping[str, list[float]], slow: str, fast: str) -> dict[str, float]:
    """How many times faster `fast` is than `slow`: ratio of the medians, and the lowest and highest ratio of one round."""
    rounds = [s / f for s, f in zip(seconds[slow], seconds[fast], strict=True)]
    medians = statistics.median(seconds[slow]) / statistics.median(seconds[fast])
    return {"ratio": round(medians, 3), "lowest": round(min(rounds), 3), "highest": round(max(rounds), 3)}


def trained(pairs: Path, dev: Path, model: Path, options: list[str]) -> dict[str, Any]:
    """`jumok train` as a user runs it: the wall-clock seconds from the command to its end, the number of steps."""
    start = time.perf_counter()
    command = [sys.executable, "-m", "jumok", "train", str(pairs), "--dev", str(dev), "--out", str(model), "--overwrite"]
    subprocess.run([*command, *options], check=True)
    seconds = time.perf_counter() - start
    return {"seconds": round(seconds, 1), "steps": steps(model)}


def history(model: Path) -> list[dict[str, Any]]:
    """One entry an evaluation on dev."""
    return json.loads((model / "history.json").read_text(encoding="utf-8"))


def steps(model: Path) -> int:
    """How many were trained; of an ensemble's folder, of all its models together."""
    return sum(history(folder)[-1]["step"] for folder in folders_of([str(model)]))


def check_single(parser: argparse.ArgumentParser, more: str) -> None:
    """Ends before any training if `more` options of `jumok train` ask for an ensemble, which has no history of its own."""
    if any(word.partition("=")[0] == "--members" for word in shlex.split(more)):
        parser.error(
            f"--more is {more!r}, but an ensemble has no evaluations of its own; benchmarks.quality.task measures --members"
        )


def evaluated(model: str | Path, test: Path, *options: str) -> dict[str, Any]:
    """The metrics of `jumok evaluate`, by name. Models joined by commas write together."""
    command = [sys.executable, "-m", "jumok", "evaluate", str(model), str(test), *options, "--json"]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)["metrics"]
