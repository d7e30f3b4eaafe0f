"""A million random calls of the compiled engine under sanitizers, and hours of libFuzzer: is memory ever misused, an answer ever wrong?

    python -m benchmarks.robust.engine_calls [--cases 90000] [--first 1] [--fuzz SECONDS] [--same] [--threads]

A case (engine_calls.c, beside this) is a model of any shape, whose numbers may be huge, infinite or NaN and whose header may be
damaged, and some eleven calls with memory of exactly the sizes that the engine asks for. Checked: what the sanitizers see (address,
undefined behaviour, conversions of floats that overflow), that ids and lengths out of range are refused before anything is written,
that a row by itself has the bits that it has among others, with tables and without.

- --cases: built with the machine's compiler for this CPU, address and undefined-behaviour sanitizers.
- --fuzz: libFuzzer draws the cases, for so many seconds; needs clang with its runtime libraries.
- --same: builds without sanitizers for every target that can be run here (each level of this CPU, plain C, and 64-bit ARM under
  qemu-aarch64 if ziglang is installed) and compares one hash of all results. tests/engine/test_same_bits.py does so for wasm.

- --threads: eight threads share each model and its tables, under the thread sanitizer; their bits are those of one alone.

Ends with status 1 if anything is wrong.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.support.measure import emit
from jumok.engine.library import load_library
from jumok.engine.platforms import CC_LEVELS, SOURCE, here

CALLS = Path(__file__).with_suffix(".c")
PLAIN = ["-std=c11", "-D_POSIX_C_SOURCE=200809L", "-ffp-contract=off", "-fno-math-errno", "-Wno-psabi", f"-I{SOURCE}"]
FILES = [str(CALLS), str(SOURCE / "engine.c")]
CHECKS = "address,undefined,float-cast-overflow"
SANITIZED = ["-g", "-O1", f"-fsanitize={CHECKS}", "-fno-sanitize-recover=all"]


def levels() -> dict[str, list[str]]:
    """Plain C, and each level that this CPU runs -> options of the compiler."""
    options = CC_LEVELS.get(str(here()).split("-")[-1], {1: ()})
    return {"plain": ["-DENGINE_PLAIN"]} | {f"level {n}": list(options[n]) for n in options if n <= load_library().level}


def build(command: list[str], out: Path, *options: str) -> Path:
    subprocess.run([*command, *PLAIN, *options, *FILES, "-o", str(out)], check=True)
    return out


def run(command: list[str], cases: int, first: int) -> dict[str, object]:
    """What the program says of its cases. Ends this one if it finds something."""
    done = subprocess.run([*command, str(cases), str(first)], capture_output=True, text=True)
    if done.returncode:
        print(done.stderr, file=sys.stderr)
        sys.exit(f"{' '.join(command)}: status {done.returncode}; SHOW_SEEDS=1 tells the case")
    return json.loads(done.stdout)


def sanitized(folder: Path, cases: int, first: int) -> dict[str, object]:
    """Random cases under the sanitizers, in steps, so that something is seen in between."""
    program, total, step = build(["cc"], folder / "calls", *SANITIZED, "-march=native"), dict[str, int](), 5000
    for start in range(0, cases, step):
        found = run([str(program)], min(step, cases - start), first + start)
        total = {k: total.get(k, 0) + v for k, v in found.items() if isinstance(v, int)}
        print(f"{total['cases']:,} cases, {total['calls']:,} calls", file=sys.stderr)
    return dict(total)


def threaded(folder: Path, cases: int, first: int) -> dict[str, object]:
    """Eight threads a case under the thread sanitizer."""
    options = ["-g", "-O1", "-fsanitize=thread", "-DTHREADED", "-pthread", "-march=native", "-Wno-unused-function"]
    return run([str(build(["cc"], folder / "threads", *options))], cases, first)


def fuzz(folder: Path, seconds: int) -> dict[str, object]:
    """libFuzzer for so many seconds; what it finds lies in the folder that it names."""
    program = build(["clang"], folder / "fuzz", *SANITIZED, f"-fsanitize=fuzzer,{CHECKS}", "-DFUZZER", "-march=native")
    corpus, finds = folder / "corpus", Path(tempfile.mkdtemp(prefix="engine-finds-"))
    corpus.mkdir()
    limits = [f"-max_total_time={seconds}", "-max_len=4096", "-timeout=120", "-rss_limit_mb=2048", "-print_final_stats=1"]
    done = subprocess.run([program, corpus, *limits, f"-artifact_prefix={finds}/"], capture_output=True, text=True)
    stats = dict(line.removeprefix("stat::").split(":") for line in done.stderr.splitlines() if line.startswith("stat::"))
    if done.returncode:
        sys.exit(f"{done.stderr[-5000:]}\nlibFuzzer: status {done.returncode}; its input is in {finds}")
    finds.rmdir()
    covered = [line for line in done.stderr.splitlines() if "cov:" in line][-1].split()
    return {"inputs": int(stats["number_of_executed_units"]), "covered": int(covered[covered.index("cov:") + 1])}


def same(folder: Path, cases: int, first: int) -> dict[str, object]:
    """The hash of all results on every target that can be run here. Ends this program if they differ."""
    programs = {name: [str(build(["cc"], folder / name.replace(" ", "-"), "-O2", *o))] for name, o in levels().items()}
    zig = [sys.executable, "-m", "ziglang", "cc", "-O2"]
    if shutil.which("qemu-aarch64") and subprocess.run([*zig[:3], "version"], capture_output=True).returncode == 0:
        arm = build(zig, folder / "arm64", "-target", "aarch64-linux-musl", "-static")
        programs["arm64, qemu"] = ["qemu-aarch64", str(arm)]
    hashes = {name: run(command, cases, first)["hash"] for name, command in programs.items()}
    print(json.dumps(hashes, indent=1), file=sys.stderr)
    if len(set(hashes.values())) != 1:
        sys.exit("not the same bits everywhere")
    return {"targets": list(hashes), "hash": next(iter(hashes.values()))}


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--cases", type=int, default=90_000)
    parser.add_argument("--first", type=int, default=1, help="the first case; the others follow")
    parser.add_argument("--fuzz", type=int, metavar="SECONDS", help="libFuzzer instead")
    parser.add_argument("--same", action="store_true", help="compare the bits of all targets instead")
    parser.add_argument("--threads", action="store_true", help="the thread sanitizer instead")
    o = parser.parse_args()
    began = time.perf_counter()
    os.environ.setdefault("ASAN_OPTIONS", "detect_leaks=1:allocator_may_return_null=0")
    with tempfile.TemporaryDirectory(prefix="engine-calls-") as work:
        if o.fuzz:
            found = fuzz(Path(work), o.fuzz)
        elif o.threads:
            found = threaded(Path(work), o.cases, o.first)
        elif o.same:
            found = same(Path(work), o.cases, o.first)
        else:
            found = sanitized(Path(work), o.cases, o.first)
    emit(str(__doc__).splitlines()[0], **found, seconds=round(time.perf_counter() - began, 1))


if __name__ == "__main__":
    main()
