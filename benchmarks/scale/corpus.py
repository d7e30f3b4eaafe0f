"""Ten million pairs: how fast are they prepared, how soon comes the first step, and how much memory does training take?

    python -m benchmarks.scale.corpus [--pairs 10000000] [--steps 150] [--processes 0] [--tokenizer char] [--folder FOLDER]

Makes pairs of random letter strings (5 to 12 letters, and their reversal; a dev set beside them), then trains on them twice, each
time in a process of its own: cold, where the pairs are prepared first, and warm. Memory is the training process's own
(/proc/self/status): `anonymous` is what it needs, `files` is what is mapped, which the system can take back at any time.
Needs about 80 bytes a pair on the disk, in a temporary folder or in FOLDER.
"""

import argparse
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

from benchmarks.support.measure import emit

PART = 500_000
DEV = 1000
FIRST = 50  # steps that are looked at apart
KINDS = {"peak": "VmHWM", "now": "VmRSS", "anonymous": "RssAnon", "files": "RssFile"}


def write_pairs(path: Path, n: int, seed: int) -> None:
    """n lines "abcde<TAB>edcba", by columns: a row is as wide as the longest, and what it does not need is cut out."""
    random = np.random.default_rng(seed)
    with open(path, "wb") as f:
        for start in range(0, n, PART):
            rows = min(PART, n - start)
            lengths = random.integers(5, 13, rows)
            letters = random.integers(ord("a"), ord("z") + 1, (rows, 12), dtype=np.uint8)
            used = np.arange(12) < lengths[:, None]
            table = np.zeros((rows, 26), np.uint8)
            table[:, :12], table[:, 13:25] = np.where(used, letters, 0), np.where(used, letters, 0)[:, ::-1]
            table[:, 12], table[:, 25] = ord("\t"), ord("\n")
            f.write(table[table > 0].tobytes())


def memory() -> dict[str, float]:
    """MB of this process, by KINDS; the peak is counted anew from here."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    found = {name: round(int(lines[key].split()[0]) * 1024 / 1e6) for name, key in KINDS.items()}
    Path("/proc/self/clear_refs").write_text("5")
    return found


def watch_helpers(peaks: list[float]) -> None:
    """Appends the peak MB of the process that reads pairs and has the most, now and then, as long as this process lives."""
    while True:
        for status in Path("/proc").glob("[0-9]*/status"):
            with contextlib.suppress(OSError):  # it has ended meanwhile
                lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
                if int(lines["PPid"]) == os.getpid() and KINDS["peak"] in lines:
                    peaks.append(int(lines[KINDS["peak"]].split()[0]) * 1024 / 1e6)
        time.sleep(0.1)


def child(o: argparse.Namespace) -> None:
    """One training; prints what was seen, as JSON."""
    import jumok

    peaks = [0.0]
    threading.Thread(target=watch_helpers, args=(peaks,), daemon=True).start()
    seen: dict[str, object] = {"imported": memory()}

    def observe(step: int, _: object) -> None:
        seen[f"step_{step}"] = memory() | {"time": time.time()}

    options = {"hidden": 64, "embedding": 32, "readout_size": 64, "batch_size": 64, "dropout": 0.0, "seed": 1}
    options |= {"precision": "float32", "matmul": "default", "source_tokenizer": o.tokenizer, "target_tokenizer": o.tokenizer}
    folder = Path(o.folder)
    jumok.train(
        folder / "pairs.tsv",
        dev=folder / "dev.tsv",
        out=folder / "model",
        cache=folder / "corpus",
        overwrite=True,
        quiet=not sys.stderr.isatty(),
        steps=o.steps,
        evaluate_every=FIRST,
        save_minutes=0.0,
        observe=observe,
        **options,
    )
    seen["largest_helper_peak_mb"] = round(max(peaks))
    print(json.dumps(seen))


def once(o: argparse.Namespace, folder: Path) -> dict:
    """Starts a training; its figures, and the time from the command to its first step."""
    command = [
        sys.executable,
        "-m",
        "benchmarks.scale.corpus",
        "--child",
        "--folder",
        str(folder),
        "--steps",
        str(o.steps),
        "--tokenizer",
        o.tokenizer,
    ]
    start = time.time()
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    seen = json.loads(done.stdout)
    first, after = seen["step_0"], seen[f"step_{FIRST}"]
    last = seen[max((name for name in seen if name.startswith("step_")), key=lambda name: int(name[5:]))]
    return {
        "seconds_to_first_step": round(first["time"] - start, 2),
        "seconds_first_steps": round(after["time"] - first["time"], 2),
        "mb_imported": seen["imported"]["now"],
        "mb_peak_before_first_step": first["peak"],
        "mb_peak_first_steps": after["peak"],
        "mb_anonymous_first_steps": after["anonymous"],
        "mb_peak_later_steps": last["peak"],
        "mb_anonymous_later_steps": last["anonymous"],
        "mb_mapped_later_steps": last["files"],
        "mb_peak_of_largest_helper": seen["largest_helper_peak_mb"],
    }


def preparing(o: argparse.Namespace, folder: Path) -> tuple[float, float]:
    """Seconds that preparing alone takes, and MB of the corpus on the disk."""
    from jumok.config import TextConfig
    from jumok.corpus.corpus import open_corpus
    from jumok.corpus.prepare import Wanted, prepare
    from jumok.text import read_pairs

    text = TextConfig(source_tokenizer=o.tokenizer, target_tokenizer=o.tokenizer)
    dev = read_pairs(str(folder / "dev.tsv"), text, warn=print)
    wanted = Wanted(str(folder / "pairs.tsv"), text, dev, seed=1)
    start = time.perf_counter()
    prepare(folder / "alone", wanted, print, processes=o.processes or None)
    seconds = time.perf_counter() - start
    return seconds, open_corpus(folder / "alone", text).size() / 1e6


def planning(folder: Path, tokenizer: str) -> float:
    """Seconds until the first batch of an epoch is there."""
    from jumok.config import TextConfig
    from jumok.corpus.corpus import open_corpus
    from jumok.text import Batches

    corpus = open_corpus(folder / "alone", TextConfig(source_tokenizer=tokenizer, target_tokenizer=tokenizer))
    batches = Batches(corpus.sources, corpus.targets, batch_size=64)
    start = time.perf_counter()
    next(batches.epoch(1))
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=10_000_000)
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--processes", type=int, default=0)
    parser.add_argument("--tokenizer", default="char")
    parser.add_argument("--folder", default="")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    o = parser.parse_args()
    if o.child:
        child(o)
        return
    with tempfile.TemporaryDirectory(dir=o.folder or None) as name:
        folder = Path(name)
        start = time.perf_counter()
        write_pairs(folder / "pairs.tsv", o.pairs, 1)
        write_pairs(folder / "dev.tsv", DEV, 2)
        writing = time.perf_counter() - start
        seconds, size = preparing(o, folder)
        epoch = planning(folder, o.tokenizer)
        shutil.rmtree(folder / "alone")
        cold, warm = once(o, folder), once(o, folder)
        emit(
            "scale_corpus",
            pairs=o.pairs,
            tokenizer=o.tokenizer,
            mb_pairs=round((folder / "pairs.tsv").stat().st_size / 1e6),
            mb_corpus=round(size),
            seconds_writing_pairs=round(writing, 1),
            seconds_preparing=round(seconds, 2),
            lines_per_second=round(o.pairs / seconds),
            seconds_beginning_an_epoch=round(epoch, 3),
            cold=cold,
            warm=warm,
        )


if __name__ == "__main__":
    main()
