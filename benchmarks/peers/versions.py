"""Is this checkout slower than another one? Training step, greedy, batches, beam and cold start of both, in turns.

    python -m benchmarks.peers.versions OTHER MODEL LINES.txt PAIRS.tsv [--rounds 7] [--steps 150] [--target-tokenizer space]

OTHER is the python of a virtual environment in which the other checkout is installed. MODEL is a folder that both can read,
LINES.txt what it translates (the first 200 lines), PAIRS.tsv what both train on (float32, one thread). Each version lives in a
process of its own; a round asks one after the other, and the next round the other way round. A ratio above 1 says that this
checkout is faster.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.support.measure import emit

WORKER = r"""
import contextlib, io, shutil, sys, tempfile, time, jumok
model = jumok.load(sys.argv[1])
lines = [line.rstrip("\n") for line in open(sys.argv[2], encoding="utf-8")][:200]
def greedy_1():
    for line in lines:
        model.translate(line)
def greedy_64():
    for _ in range(4):
        model.translate(lines)
def beam_5():
    for line in lines[:60]:
        model.translate(line, beam=5)
def beam_5_batch_64():
    model.translate(lines, beam=5)
def step():
    out = tempfile.mkdtemp()
    options = {} if len(sys.argv) < 6 else {"target_tokenizer": sys.argv[5]}
    done = jumok.train(sys.argv[3], out=out + "/m", steps=int(sys.argv[4]), evaluate_every=int(sys.argv[4]), save_minutes=0, threads=1,
                       precision="float32", matmul="default", dropout=0.1, metric="loss", quiet=True, **options)
    shutil.rmtree(out)
    return 1 / done.history[-1]["tokens_per_second"]
for call in sys.stdin:
    start = time.perf_counter()
    seconds = globals()[call.strip()]()
    print(seconds or time.perf_counter() - start, flush=True)
"""
ELSEWHERE = os.path.abspath(os.sep)  # in a checkout, Python would take that one's package, whichever was asked for
QUESTIONS = ("greedy_1", "greedy_64", "beam_5", "beam_5_batch_64", "step", "cold_start")


class Version:
    """One checkout in a process of its own."""

    def __init__(self, python: str, words: list[str]) -> None:
        self.python, self.model = python, words[0]
        command = [python, "-c", WORKER, *words]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ELSEWHERE)

    def seconds(self, question: str) -> float:
        """What one round of it took (for `step`: seconds a target token)."""
        if question == "cold_start":
            start = time.perf_counter()
            for _ in range(5):
                command = [self.python, "-m", "jumok", "translate", self.model]
                subprocess.run(command, input="a\n", text=True, capture_output=True, check=True, cwd=ELSEWHERE)
            return time.perf_counter() - start
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(question + "\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("other", "model", "lines", "pairs"):
        parser.add_argument(name)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--target-tokenizer", default="")
    parser.add_argument("--questions", nargs="+", default=QUESTIONS, choices=QUESTIONS)
    o = parser.parse_args()
    o.model, o.lines, o.pairs = (os.path.abspath(path) for path in (o.model, o.lines, o.pairs))
    words = [str(Path(o.model).resolve()), str(Path(o.lines).resolve()), str(Path(o.pairs).resolve()), str(o.steps)]
    words += [o.target_tokenizer] * bool(o.target_tokenizer)
    versions = {"this": Version(sys.executable, words), "other": Version(o.other, words)}
    found: dict[str, Any] = {}
    for question in o.questions:
        seconds: dict[str, list[float]] = {name: [] for name in versions}
        for turn in range(o.rounds + 1):
            for name, version in sorted(versions.items(), reverse=bool(turn % 2)):
                took = version.seconds(question)
                if turn:  # the first warms up
                    seconds[name].append(took)
        rounds = [b / a for a, b in zip(seconds["this"], seconds["other"], strict=True)]
        found[question] = {
            "ratio": round(statistics.median(rounds), 3),
            "of_fastest": round(min(seconds["other"]) / min(seconds["this"]), 3),
            "lowest": round(min(rounds), 3),
            "highest": round(max(rounds), 3),
        }
        print(question, found[question], file=sys.stderr, flush=True)
    emit("peers_versions", **found)


if __name__ == "__main__":
    main()
