"""Does the page write what the compiled int8 engine writes, bit for bit, over thousands of lines?

    python -m benchmarks.quality.page MODEL LINES [--lines 5000] [--browser 500] [--searches 50]

Makes the page of a model, and compares tokens, log-probabilities and weights of greedy search: in node, and, for the first
lines, in Chromium through the page itself (needs `make .venv/ready-page` and chromium). Prints a JSON line.

With --searches, then also, for so many lines, beams, prefixes, forbidden tokens, alternatives and trees, by the node tests of the page.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

import numpy as np

from benchmarks.support.measure import emit
from benchmarks.support.pages import ROOT, measured
from jumok.decode.translator import Translator
from jumok.page import build_page
from jumok.page.models import natively, page_models
from jumok.runtime.folder import read_folder
from jumok.text.vocabulary import END

HERE = Path(__file__).parent


def checksums(model: Translator, lines: list[str]) -> list[int]:
    """A CRC of ids, log-probabilities and weights of each line's output; 0 for a line that is not read."""
    found = []
    for line in lines:
        ids = np.array([model.codec.encode_source(line)])
        S = ids.shape[1]
        if not line.strip() or model.longest < S:
            found.append(0)
            continue
        ratio, constant = model.config.limit
        limit, token, state, crc = max(1, int(np.ceil(ratio * S + constant))), 1, model.backend.start(ids, np.array([S])), 0
        for _ in range(limit):
            state, logps, weights = model.backend.step(state, np.array([[token]]))
            row = logps[0, 0]
            row[:2] = -np.inf
            token = int(row.argmax())
            crc = zlib.crc32(np.int32(token).tobytes() + row[token].tobytes(), crc)
            if weights is not None:
                crc = zlib.crc32(np.ascontiguousarray(weights[0, 0]).tobytes(), crc)
            if token == END:
                break
        found.append(crc)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("file", help="lines of sources; of a table, the part before the first TAB")
    parser.add_argument("--lines", type=int, default=5000)
    parser.add_argument("--browser", type=int, default=500)
    parser.add_argument("--searches", type=int, default=0)
    o = parser.parse_args()
    lines = [line.split("\t")[0] for line in Path(o.file).read_text(encoding="utf-8").split("\n") if line][: o.lines]
    wanted = checksums(natively(read_folder(o.model)), lines)
    with tempfile.TemporaryDirectory() as folder:
        page, cases = Path(folder) / "page.html", Path(folder) / "cases.json"
        page.write_text(build_page(page_models([o.model])), encoding="utf-8")
        cases.write_text(json.dumps({"lines": lines, "wanted": wanted, "browser": o.browser}), encoding="utf-8")
        figures = measured(HERE / "page.mjs", page, cases)
        if o.searches:
            sys.path.insert(0, str(ROOT / "tests" / "support"))
            from page_cases import case

            asked = [line for line in lines if line.strip()][: o.searches]
            found = [case(page, 0, Path(o.model), line, (i % 9 + 2, (i + 4) % 9 + 2)) for i, line in enumerate(asked)]
            cases.write_text(json.dumps(found), encoding="utf-8")
            script = str(ROOT / "tests" / "page" / "node" / "equal.test.mjs")
            subprocess.run(
                ["node", "--test", script], env=os.environ | {"CASES": str(cases)}, check=True, timeout=3600, stdout=sys.stderr
            )
            figures["same_searches"] = len(found)
    emit("quality_page", **figures)


if __name__ == "__main__":
    main()
