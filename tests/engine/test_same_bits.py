"""The engine's bits are the same on every level of instructions, in plain C, and in wasm under node."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from engine_builds import NEEDS_CC, ROOT
from random_models import CASES, CHAINS, VS, V, config, parameters
from random_models import SOURCES as OTHERS

from jumok.engine import layout
from jumok.engine.known import unknown
from jumok.engine.library import load_library
from jumok.engine.model import EngineModel
from jumok.engine.platforms import WASM_FILE
from jumok.errors import JumokError
from jumok.text.vocabulary import END, PAD, START

# Every kind of model that the engine knows, one whose output layer is screened, and one with a copy gate.
SMALL = [c for c in (*CASES, *CHAINS) if not unknown(c)]
LARGE = config(hidden=70, embedding=33, readout_size=50, layers=2)
COPY = config(alignment="monotonic", copy=True, attention="concat")
LIMIT = 7
SOURCES = [[min(token, V - 1) for token in source] for source in OTHERS]  # a joint vocabulary has V entries


def models(library: Any, engine: str) -> list[tuple[EngineModel, int]]:
    """Each kind with random weights, and the size of its target vocabulary."""
    made = [(EngineModel(c, parameters(c), None, engine, library), V) for c in SMALL]
    made.append((EngineModel(COPY, parameters(COPY), np.arange(VS) % V, engine, library), V))
    large = parameters(LARGE)
    rng = np.random.default_rng(5)
    for name in ("target.embedding", "readout.output", "readout.bias"):
        large[name] = rng.standard_normal((700, *large[name].shape[1:])).astype(np.float32)
    return [*made, (EngineModel(LARGE, large, None, engine, library), 700)]


def greedy(model: EngineModel, sources: list[list[int]], together: bool) -> list[Any]:
    """Tokens, and the bits of log-probabilities and of weights, of greedy search."""
    if not together:
        return [result for s in sources for result in greedy(model, [s], True)]
    lengths = np.array([len(s) for s in sources])
    source = np.full((len(sources), max(lengths)), PAD)
    for row, s in zip(source, sources, strict=True):
        row[: len(s)] = s
    found = model.greedy(source, lengths, np.full(len(sources), LIMIT), (PAD, START))
    return [(tokens, p, b"" if w is None else w.tobytes()) for tokens, p, w in found]


@pytest.fixture(scope="module")
def library() -> Any:
    try:
        return load_library()
    except JumokError as e:
        pytest.skip(str(e))


def beams(model: EngineModel, sources: list[list[int]]) -> list[Any]:
    """The same of beam search, of each output."""
    divisors, found = np.arange(1, LIMIT + 2, dtype=float), []
    for s in sources:
        found += model.beam(np.array([s]), np.array([len(s)]), np.array([LIMIT]), (PAD, START), (4, 3), divisors)[0]
    return [(tokens, p, score, b"" if w is None else w.tobytes()) for tokens, p, score, w in found]


@pytest.mark.parametrize("engine", ["exact", "int8", "float32"])
def test_every_level_has_the_same_bits(library: Any, engine: str) -> None:
    levels = [n for n in (1, 3, 4) if library.handle.engine_levels() >> n & 1 and n <= library.handle.engine_best_level()]
    wanted = [greedy(m, SOURCES, True) + beams(m, SOURCES) for m, _ in models(library, engine)]
    for level in levels:
        found = [greedy(m, SOURCES, level != 3) + beams(m, SOURCES) for m, _ in models(load_library(level), engine)]
        assert found == wanted, level


@pytest.mark.slow
@NEEDS_CC
def test_plain_c_has_the_same_bits(library: Any, tmp_path: Path) -> None:
    """Without any instruction that is named: level 0 of a library of its own."""
    from jumok.engine.build import build_here

    build_here(tmp_path, {0: ("-DENGINE_PLAIN",), 1: ()})
    plain = load_library(0, tmp_path)
    for engine in ("exact", "float32"):
        for (m, _), (n, _) in zip(models(library, engine), models(plain, engine), strict=True):
            assert greedy(m, SOURCES, True) + beams(m, SOURCES) == greedy(n, SOURCES, True) + beams(n, SOURCES), m.model


@pytest.mark.skipif(not shutil.which("node"), reason="node is not installed")
@pytest.mark.parametrize("engine", ["exact", "int8"])
def test_wasm_has_the_same_bits(library: Any, engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "SCREENED", 1 << 30)  # a page's output layer is not screened
    made = models(library, engine)
    cases = []
    for i, (model, size) in enumerate(made):
        model._ready().block.tofile(tmp_path / f"{i}.bin")
        common = {"limit": LIMIT, "never": [PAD, START], "V": size, "start": START, "end": END}
        cases.append({"name": f"{i}.bin", "sources": SOURCES, **common})
    (tmp_path / "cases.json").write_text(json.dumps(cases), encoding="utf-8")
    script = ROOT / "tests" / "support" / "engine_wasm.mjs"
    done = subprocess.run(["node", script, WASM_FILE, tmp_path / "cases.json"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for (model, _), found in zip(made, json.loads(done.stdout), strict=True):
        for source, result in zip(SOURCES, found, strict=True):
            tokens, each, weights = model.one(np.array(source), LIMIT, (PAD, START))
            assert result["tokens"] == tokens, model.model
            assert np.array(result["logs"], np.int32).view(np.float32).tolist() == each, model.model
            assert weights is None or result["weights"] == weights.view(np.int32).reshape(-1).tolist(), model.model
