"""How many times faster than NumPy is the compiled engine, and how near to what memory allows?

    python -m benchmarks.speed.engine [--model MODEL --lines LINES.txt] [--count 256] [--rounds 5]

NumPy, exact and int8 in turns: greedy and beam 5, a line at a time and in batches of 64; two threads over one, where there are two
cores. Then the share of the memory bandwidth (how fast NumPy finds the largest number of the same block) that a greedy step
reaches for the weights that it must read. Without a model: one with random weights of a Multi30k model's size, of which the
lines mean nothing, but whose probabilities are as peaked as a trained model's.
"""

import argparse
import ctypes
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.support.measure import alternate, emit, ratio
from jumok.config import ModelConfig, SearchConfig
from jumok.decode.compiled import Compiled
from jumok.decode.search import search, search_one
from jumok.engine.layout import BY_ROWS, Model
from jumok.engine.library import load_library
from jumok.processes import cores
from jumok.runtime.folder import read_folder
from jumok.runtime.model import NumpyModel
from jumok.runtime.parameters import random_parameters
from jumok.text.vocabulary import END, PAD, START

ENGINES = ("exact", "int8")
RATIO, CONSTANT = 1.5, 5.0  # the longest output of a random model, which never ends by itself


def random_case(count: int) -> tuple[ModelConfig, dict[str, np.ndarray], list[list[int]], tuple[float, float], None]:
    config = ModelConfig(attention="dot", embedding=256, hidden=512, readout_size=256, score_size=256, tie="all", size="medium")
    parameters = random_parameters(config, 8000, 8000, seed=1)
    for name, factor in (("target.embedding", 24), ("readout.w_h", 12), ("readout.w_c", 12)):
        parameters[name] = parameters[name] * np.float32(factor)
    rng = np.random.default_rng(0)
    ids = [[*rng.integers(4, 8000, rng.integers(8, 20)).tolist(), END] for _ in range(count)]
    return config, parameters, ids, (RATIO, CONSTANT), None


def real_case(model: str, lines: str, count: int) -> tuple[Any, ...]:
    folder = read_folder(model)
    texts = [line for line in Path(lines).read_text(encoding="utf-8").splitlines() if line.strip()][:count]
    vocabulary = folder.codec.source.vocabulary
    ids = [[*vocabulary.ids(folder.codec.source_tokens(text.split("\t")[0], ())), END] for text in texts]
    copies = folder.codec.copies() if folder.config.model.copy else None
    return folder.config.model, folder.parameters, ids, folder.config.limit, copies


def batches(ids: list[list[int]], size: int) -> list[tuple[np.ndarray, np.ndarray]]:
    made = []
    order = sorted(ids, key=len, reverse=True)
    for i in range(0, len(order), size):
        rows = order[i : i + size]
        lengths = np.array([len(row) for row in rows])
        source = np.full((len(rows), lengths.max()), PAD)
        for row, line in zip(source, rows, strict=True):
            row[: len(line)] = line
        made.append((source, lengths))
    return made


def step_bytes(model: Compiled) -> int:
    """Bytes of weights that a greedy step reads; the low plane of a screened output layer hardly counts."""
    s = Model.from_buffer_copy(model._ready().block.tobytes()[: ctypes.sizeof(Model)])
    needed = [s.feed, s.score_query, s.readout_query, s.output]
    needed += [s.decoder[l].recurrent for l in range(s.layers)] + [s.decoder[l].input for l in range(1, s.layers)]
    return sum(m.rows * m.columns * (1 if m.order == BY_ROWS or m.low == 0 else 2) for m in needed)


def bandwidth(model: Compiled) -> float:
    """Bytes a second, at its best of many tries."""
    words = model._ready().block.view(np.uint64)
    best = min(_timed(lambda: words.max()) for _ in range(200))
    return words.nbytes / best


def step_seconds(model: Compiled, source: list[int]) -> float:
    """A greedy step: the difference of a long and a short output."""
    never, ids = (PAD, START, END), np.array(source)
    both = [(_timed(lambda: model.one(ids, 60, never)), _timed(lambda: model.one(ids, 20, never))) for _ in range(60)]
    return (min(long for long, _ in both) - min(short for _, short in both)) / 40


def _timed(call: Any) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model")
    parser.add_argument("--lines")
    parser.add_argument("--count", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=5)
    o = parser.parse_args()
    if (o.model is None) != (o.lines is None):
        parser.error("--model and --lines go together")
    config, parameters, ids, (by, more), copies = (
        real_case(o.model, o.lines, o.count) if o.model else random_case(min(o.count, 128))
    )
    library = load_library()
    models: dict[str, Any] = {"numpy": NumpyModel(config, parameters, copies)}
    models |= {engine: Compiled(config, parameters, copies, engine) for engine in ENGINES}
    for engine in ENGINES:
        models[engine].threads = 1

    def limit(length: int) -> int:
        return max(1, int(np.ceil(by * length + more)))

    def alone(model: Any, beam: int) -> Any:
        def run() -> None:
            for line in ids[: max(16, o.count // 4)]:
                search_one(model, np.array(line), SearchConfig(beam=beam), limit(len(line)))

        return run

    def together(model: Any, beam: int) -> Any:
        def run() -> None:
            for source, lengths in batches(ids, 64):
                search(model, source, lengths, SearchConfig(beam=beam), np.array([limit(n) for n in lengths.tolist()]))

        return run

    figures: dict[str, Any] = {}
    for beam in (1, 5):
        for name, way in (("batch 1", alone), ("batch 64", together)):
            seconds = alternate({engine: way(model, beam) for engine, model in models.items()}, o.rounds)
            lines = len(ids) if way is together else len(ids[: max(16, o.count // 4)])
            row: dict[str, Any] = {k: round(1000 * statistics.median(s) / lines, 4) for k, s in seconds.items()}
            row |= {f"{engine} over numpy": ratio(seconds, "numpy", engine) for engine in ENGINES}
            figures[f"{'greedy' if beam == 1 else 'beam 5'}, {name}, milliseconds a line"] = row
            print(f"{'greedy' if beam == 1 else 'beam 5'}, {name}: {row}", flush=True)
    if cores() > 1:
        two = Compiled(config, parameters, copies, "exact")
        two.threads = 2
        seconds = alternate({"one": together(models["exact"], 1), "two": together(two, 1)}, o.rounds)
        figures["two threads over one, exact, greedy, batch 64"] = ratio(seconds, "one", "two")
    for engine in ENGINES:
        reached = step_bytes(models[engine]) / step_seconds(models[engine], ids[0])
        whole = bandwidth(models[engine])
        figures[f"{engine}: share of memory bandwidth"] = {
            "share": round(reached / whole, 3),
            "gigabytes_per_second": round(reached / 1e9, 1),
            "bandwidth": round(whole / 1e9, 1),
            "megabytes_a_step": round(step_bytes(models[engine]) / 1e6, 3),
        }
    emit("engine", model=o.model or "random", instructions=library.instructions, lines=len(ids), **figures)


if __name__ == "__main__":
    main()
