"""How large is a page, how soon does it write, how long does each output take, and does its memory stay?

    python -m benchmarks.speed.page [MODEL LINES] [--outputs 1000]

Without a model: random weights at the sizes of a pronunciation model. Opens the page in headless Chromium (needs
`make .venv/ready-page` and chromium; without these it says so, and measures nothing). Prints a JSON line: size of the
file; the median time from opening to the first output, of five; of each further greedy output, of occlusion and of a tree of
beam 10, seen from the page; the longest pause of typing meanwhile; what the page holds before and after the outputs: bytes of its heap and of
the worker's, nodes, and by how much the engine's memory has grown.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

from benchmarks.support.measure import emit
from benchmarks.support.pages import environment, measured
from benchmarks.support.planted import SIZES, planted
from jumok.page import Example, build_page
from jumok.page.models import page_models

HERE = Path(__file__).parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?")
    parser.add_argument("file", nargs="?", help="lines of sources; of a table, the part before the first TAB")
    parser.add_argument("--outputs", type=int, default=1000)
    o = parser.parse_args()
    if o.model and not o.file:
        parser.error("give a file, too")
    if not environment():
        emit("speed_page", skipped="chromium and playwright-core are needed: make .venv/ready-page")
        return
    with tempfile.TemporaryDirectory() as folder:
        if o.model:
            model = o.model
            lines = [line.split("\t")[0] for line in Path(o.file).read_text(encoding="utf-8").split("\n") if line]
        else:
            model, lines = planted(Path(folder) / "model", **SIZES["letters to phones"])
        page, cases = Path(folder) / "page.html", Path(folder) / "lines.json"
        page.write_text(build_page(page_models([model]), [Example(lines[0])]), encoding="utf-8")
        cases.write_text(json.dumps((lines * (o.outputs // len(lines) + 1))[: o.outputs]), encoding="utf-8")
        emit("speed_page", **measured(HERE / "page.mjs", page, cases))


if __name__ == "__main__":
    main()
