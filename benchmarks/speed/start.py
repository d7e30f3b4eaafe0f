"""How long from starting the process to the first translated line, and what is imported on the way?

    python -m benchmarks.speed.start [MODEL] [--line WORD] [--rounds 10]

Without a model: random weights at the size of a pronunciation model.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.speed.translate import SIZES, planted
from benchmarks.support.measure import emit

HEAVY = ("torch", "tokenizers", "rich", "sacrebleu", "rapidfuzz", "matplotlib")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?")
    parser.add_argument("--line", default="attention")
    parser.add_argument("--rounds", type=int, default=10)
    o = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        model = o.model or planted(Path(folder) / "model", **SIZES["letters to phones"])[0]
        command = [sys.executable, "-m", "jumok", "translate", model]
        seconds = []
        for _ in range(o.rounds + 1):
            start = time.perf_counter()
            subprocess.run(command, input=o.line + "\n", text=True, capture_output=True, check=True)
            seconds.append(time.perf_counter() - start)
        code = f"import sys; from jumok.cli import main; main({command[3:]!r}); print(*sys.modules)"
        found = subprocess.run([sys.executable, "-c", code], input=o.line + "\n", text=True, capture_output=True, check=True)
        modules = set(found.stdout.split())
        emit(
            "speed_start",
            seconds_median=round(statistics.median(seconds[1:]), 3),
            seconds_longest=round(max(seconds[1:]), 3),
            seconds_first=round(seconds[0], 3),
            heavy_imports=[name for name in HEAVY if name in modules],
        )


if __name__ == "__main__":
    main()
