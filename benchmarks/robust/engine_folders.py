"""Damaged model folders through the reader, the quantiser and the compiled engine together: does one ever crash, hang, or show a traceback?

    python -m benchmarks.robust.engine_folders [--inputs 10000000] [--first 1] [--minutes M] [--engine exact|int8]

Small models of every kind are damaged at random: bits, bytes, pieces cut out, put in or doubled; numbers in JSON replaced by others,
huge, negative, not finite, of another type; names swapped; lengths in the header of the weights changed; weights replaced by NaN,
infinities, denormals and the largest floats. Each is loaded, and translates two words, greedily and with a beam, and scores a pair.
Right is an answer, or one JumokError. A child process does the work, so that a crash ends the child; 20 seconds without an answer
are a hang. An input is known by its number: --first N --inputs 1 makes it again.

Ends with status 1 if anything is wrong. In 10 million inputs it is a run of a night; --minutes ends it earlier.
"""

import argparse
import collections
import contextlib
import functools
import multiprocessing
import random
import re
import signal
import struct
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import jumok
from benchmarks.support.measure import emit
from jumok.config import ModelConfig, TextConfig
from jumok.engine.library import load_library
from jumok.runtime.folder import FolderConfig, write_folder
from jumok.runtime.parameters import random_parameters
from jumok.text import Pair, build_codec

PATIENCE = 20  # seconds without an answer that are a hang
WORDS = ("attention", "cat", "zebra", "quick", "why")
KINDS: list[dict[str, Any]] = [
    {"attention": "general"},
    {"attention": "concat", "cell": "gru", "readout": "linear", "layers": 2},
    {"attention": "dot", "bidirectional": False, "reverse_source": True, "tie": "target", "readout_size": 6},
    {"attention": "none", "layers": 2},
    {"attention": "general", "input_feeding": True},
    {"attention": "general", "alignment": "monotonic", "copy": True},
    {"attention": "dot", "alignment": "monotonic", "readout": "linear"},
]
NUMBERS = [
    "0",
    "1",
    "-1",
    "2",
    "3",
    "7",
    "16",
    "255",
    "65536",
    "2147483647",
    "-2147483648",
    "4294967296",
    "1e308",
    "1.5",
    "NaN",
]
NUMBERS += ["Infinity", "null", "true", '"x"', "[]", "{}", "1" * 30]
FLOATS = np.array([np.nan, np.inf, -np.inf, 3.4e38, -3.4e38, 1e-45, 0, -0.0, 1e30, 1e-30], np.float32)


def folders(place: Path) -> list[dict[str, bytes]]:
    """A folder of each kind, with random weights: file name -> content."""
    text = TextConfig(target_tokenizer="char", joint_vocabulary=False)
    codec = build_codec([Pair(w, w[::-1].upper() + w[:1], (), f"words:{i}") for i, w in enumerate(WORDS, 1)], text)
    found = []
    for i, kind in enumerate(KINDS):
        values = {"size": "small", "embedding": 6, "hidden": 8, "score_size": 5, "readout_size": 7, "tie": "none"} | kind
        model = ModelConfig(**values)
        parameters = random_parameters(model, len(codec.source.vocabulary), len(codec.target.vocabulary), seed=i)
        folder = place / str(i)
        write_folder(folder, FolderConfig(text, model, (1.0, 5.0), {}), parameters, codec, "# Random\n", [])
        found.append({f.name: f.read_bytes() for f in sorted(folder.iterdir()) if f.suffix in (".json", ".safetensors")})
        del found[-1]["history.json"]
    return found


def damaged_bytes(data: bytearray, rng: random.Random) -> None:
    """Bits, bytes, and pieces cut out, put in, doubled."""
    at, length = rng.randrange(len(data) + 1), min(rng.randrange(1, 40), len(data))
    match rng.randrange(6):
        case 0 if data:
            data[at % len(data)] ^= 1 << rng.randrange(8)
        case 1:
            data[at : at + length] = rng.randbytes(length)
        case 2:
            del data[at : at + length]
        case 3:
            data[at:at] = rng.randbytes(length)
        case 4:
            del data[at:]
        case _:
            data[at:at] = data[at : at + length]


def damaged_text(data: bytearray, rng: random.Random) -> None:
    """A number, a word or a name of JSON, replaced by another one."""
    places = where_values_are(bytes(data))
    if places:
        start, end = rng.choice(places)
        other = data[slice(*rng.choice(places))] if rng.random() < 0.4 else rng.choice(NUMBERS).encode()
        data[start:end] = other


@functools.lru_cache(100)
def where_values_are(data: bytes) -> list[tuple[int, int]]:
    """The beginning and end of each value and name of a JSON text."""
    return [place.span() for place in re.finditer(rb"-?\d+(?:\.\d+)?|true|false|null|\"[^\"]*\"", data)]


def damaged_weights(data: bytearray, rng: random.Random) -> None:
    """Floats, or numbers in the header."""
    start = 8 + struct.unpack_from("<Q", data)[0] if len(data) >= 8 else 0
    if rng.random() < 0.3:
        header = bytearray(data[8:start])
        damaged_text(header, rng)
        data[:start] = struct.pack("<Q", len(header)) + header
    elif len(data) > start + 8:
        for _ in range(rng.choice((1, 1, 5, 200))):
            at = start + 4 * rng.randrange((len(data) - start) // 4)
            data[at : at + 4] = rng.choice(FLOATS).tobytes()


def damaged(files: dict[str, bytes], rng: random.Random) -> dict[str, bytes]:
    """The files that get one to three faults together."""
    found, names = dict[str, bytes](), list(files)
    for _ in range(rng.choice((1, 1, 2, 3))):
        name = rng.choice(names)
        data = bytearray(found.get(name, files[name]))
        kinds: list[Callable[[bytearray, random.Random], None]] = [damaged_bytes]
        kinds += [damaged_weights] * 3 if name.endswith(".safetensors") else [damaged_text] * 2
        rng.choice(kinds)(data, rng)
        found[name] = bytes(data)
    return found


def use(folder: Path, engine: str) -> str:
    """What comes of the folder: "answered", or the class of a JumokError."""
    try:
        model = jumok.load(folder, engine=engine)
        for beam in (1, 3):
            model.translate(["cat", "why?"], beam=beam, max_length=12)
        model.score("cat", "TAC")
    except jumok.JumokError as e:
        assert "\n" not in str(e), f"an error of several lines: {e}"
        return type(e).__name__
    return "answered"


def work(numbers: range, engine: str, progress: Any, pipe: Any) -> None:
    """The child: each input in turn; its number is in `progress` before it is tried."""
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    counts = collections.Counter[str]()
    with tempfile.TemporaryDirectory(prefix="engine-folders-", dir=memory_disk()) as place:
        whole = folders(Path(place))
        for number in numbers:
            progress.value = number
            folder, files = Path(place) / str(number % len(whole)), whole[number % len(whole)]
            changed = damaged(files, random.Random(number))
            for name, data in changed.items():
                (folder / name).write_bytes(data)
            try:
                counts[use(folder, engine)] += 1
            except Exception as e:
                pipe.send(f"input {number}: {type(e).__name__}: {e}")
                raise
            for name in changed:
                (folder / name).write_bytes(files[name])
    pipe.send(counts)


def memory_disk() -> str | None:
    """A folder that is in memory, where there is one."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


def watch(numbers: range, engine: str) -> collections.Counter[str]:
    """Runs a child over these inputs. Ends this program if it crashes, hangs or shows a traceback."""
    context = multiprocessing.get_context("spawn")
    progress = context.Value("q", -1, lock=False)
    ours, theirs = context.Pipe(duplex=False)
    child = context.Process(target=work, args=(numbers, engine, progress, theirs), daemon=True)
    child.start()
    theirs.close()
    last, since = -1, time.monotonic()
    while not ours.poll(1):
        if progress.value != last:
            last, since = progress.value, time.monotonic()
        if time.monotonic() - since > PATIENCE and last >= 0:
            child.kill()
            sys.exit(f"input {last}: no answer in {PATIENCE} seconds; --first {last} --inputs 1 makes it again")
    try:
        found = ours.recv()
    except EOFError:
        child.join()
        name = signal.Signals(-child.exitcode).name if (child.exitcode or 0) < 0 else f"status {child.exitcode}"
        sys.exit(f"input {progress.value}: the process ended with {name}; --first {progress.value} --inputs 1 makes it again")
    if isinstance(found, str):
        sys.exit(found)
    child.join()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--inputs", type=int, default=10_000_000)
    parser.add_argument("--first", type=int, default=1, help="the number of the first input")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="stop after so many")
    parser.add_argument("--engine", choices=("exact", "int8", "numpy"), default="exact")
    o = parser.parse_args()
    if o.engine != "numpy":
        load_library()
    began, counts, step = time.monotonic(), collections.Counter[str](), 20_000
    for start in range(o.first, o.first + o.inputs, step):
        if time.monotonic() - began > 60 * o.minutes:
            break
        with contextlib.suppress(KeyboardInterrupt):
            counts += watch(range(start, min(start + step, o.first + o.inputs)), o.engine)
        print(f"{counts.total():,} inputs: {dict(counts)}", file=sys.stderr)
    seconds = round(time.monotonic() - began, 1)
    emit(str(__doc__).splitlines()[0], engine=o.engine, inputs=counts.total(), outcomes=dict(counts), seconds=seconds)


if __name__ == "__main__":
    main()
