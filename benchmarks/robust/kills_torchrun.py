"""Does a run of several processes that is killed again and again end exactly as one that was left alone?

    python -m benchmarks.robust.kills_torchrun [--runs 20] [--processes 2] [--seed 1] [--keep FOLDER]

Each run is `torchrun --max-restarts 3 … jumok train …`, with one or two kills by SIGKILL at random moments: of one process,
which torchrun answers by starting all of them anew; or of torchrun itself, after which its processes must end by themselves
and the same command with --resume goes on; or of everything at once. At the end weights, configuration and history (but for
what a clock said) are compared with those of a run that was never killed. Ends with status 1 if anything differs.
"""

import argparse
import collections
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.support.measure import emit
from benchmarks.support.torchrun import SMALL, children, gone, kill, remains, start, toy_pairs, wait

LONGEST = 180.0  # seconds of one torchrun
ORPHANS = 30.0  # seconds in which processes without their torchrun must end
EARLY = "before the first checkpoint"
EARLY_SHARE = 0.25  # of the kills: before then, most of the time goes by with importing PyTorch
VICTIMS = ("a process", "torchrun", "all")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", default="", help="folder for the runs; default: one that is deleted")
    o = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        return robust_kills(Path(o.keep or made), o.runs, o.processes, o.seed)


def robust_kills(folder: Path, runs: int, processes: int, seed: int) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    rng, pairs, begin = random.Random(seed), toy_pairs(folder), time.perf_counter()
    torchrun = ("--standalone", "--nproc-per-node", str(processes), "--max-restarts", "3")
    seconds = undisturbed(torchrun, (str(pairs), "--out", str(folder / "undisturbed"), *SMALL), folder / "undisturbed")
    expected = remains(folder / "undisturbed")
    kills: collections.Counter[str] = collections.Counter()
    when: collections.Counter[str] = collections.Counter()
    wrong = []
    for i in range(runs):
        out, log = folder / f"run {i}", folder / f"run {i}.log"
        train = (str(pairs), "--out", str(out), *SMALL)
        try:
            disturbed(rng, torchrun, train, out, log, seconds, kills, when)
            if (left := remains(out)) != expected:
                raise AssertionError(f"not equal: {[k for k in left.keys() | expected if left.get(k) != expected.get(k)]}")
            shutil.rmtree(out)
        except (AssertionError, OSError) as e:
            wrong.append(f"run {i}: {e}")
            print(wrong[-1], log.read_text(), sep="\n", file=sys.stderr)
    emit(
        "robust_kills_torchrun",
        processes=processes,
        runs=runs,
        equal=runs - len(wrong),
        wrong=wrong,
        kills=sum(kills[victim] for victim in VICTIMS),
        kills_of=dict(kills),
        killed_when=dict(when),
        seconds_of_an_undisturbed_run=[round(s, 1) for s in seconds],
        seed=seed,
        seconds=round(time.perf_counter() - begin, 1),
    )
    return 1 if wrong else 0


def undisturbed(torchrun: tuple[str, ...], train: tuple[str, ...], out: Path) -> tuple[float, float]:
    """The run that is left alone: seconds to its first checkpoint, and to its end."""
    tick, log = time.perf_counter(), out.with_suffix(".log")
    agent = start(torchrun, train, log)
    while state(out) == EARLY and agent.poll() is None:
        time.sleep(0.01)
    first = time.perf_counter() - tick
    if wait(agent, LONGEST):
        raise SystemExit(f"the undisturbed run failed:\n{log.read_text()}")
    return first, time.perf_counter() - tick


def disturbed(
    rng: random.Random,
    torchrun: tuple[str, ...],
    train: tuple[str, ...],
    out: Path,
    log: Path,
    seconds: tuple[float, float],
    kills: collections.Counter[str],
    when: collections.Counter[str],
) -> None:
    """One run to its end, with one or two kills on the way."""
    agent = start(torchrun, train, log)
    for _ in range(rng.randint(1, 2)):
        first, end = seconds
        time.sleep(rng.uniform(0, first) if rng.random() < EARLY_SHARE else rng.uniform(first, end))
        if agent.poll() is not None:
            kills["came too late"] += 1
            break
        victim, workers = rng.choice(VICTIMS), children(agent.pid)
        when[state(out)] += 1
        kills[victim] += 1
        if victim == "a process" and workers:
            kill(rng.choice(workers))
            continue
        kill(agent.pid)
        agent.wait()
        if victim == "all":
            for worker in workers:
                kill(worker)
        if not gone(workers, ORPHANS):
            for worker in workers:
                kill(worker)
            raise AssertionError(f"processes were there {ORPHANS:.0f} s after their torchrun was killed")
        agent = start(torchrun, (*train, "--resume"), log)
    status = wait(agent, LONGEST)
    if status:
        raise AssertionError(f"it ended with status {status}")


def state(out: Path) -> str:
    """How far the run has come, as far as one can see."""
    if not out.exists():
        return EARLY
    return "between checkpoints" if (out / "checkpoint.safetensors").exists() else "no checkpoint, being written or over"


if __name__ == "__main__":
    sys.exit(main())
