"""The page's engine and search, in node, against the compiled engine and the search of Python: planted models of every kind."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from page_cases import case
from page_models import KINDS, LINES, write_model, write_text_model
from page_models import TEXTS as LANGUAGES

from jumok.engine.library import EngineError, load_library
from jumok.page import build_page
from jumok.page.models import page_models
from jumok.text.tokenizers import train_tokenizer

HERE = Path(__file__).parent
TEXTS = ["a", "attention", "xyz zyx", "한글 ᄒ", "👩\u200d👩 <b>&", "zzzzzzzzzzzzzzzzzzzzzzzzz", "never seen: ЖЖ"]
NEEDS_NODE = pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
pytestmark = NEEDS_NODE


def node(script: str, **environment: str) -> None:
    done = subprocess.run(
        ["node", "--test", "--test-reporter=tap", str(HERE / "node" / script)],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]


def batched(items: Iterable[str], size: int) -> Iterator[list[str]]:
    left = iter(items)
    while part := list(islice(left, size)):
        yield part


def test_the_engine_in_the_page_is_the_compiled_engine(tmp_path):
    try:
        load_library()
    except EngineError as e:
        pytest.skip(str(e))
    cases = []
    made = {kind: write_model(tmp_path / kind, kind) for kind in KINDS}
    made |= {name: write_text_model(tmp_path / name, name) for name in LANGUAGES}
    made["large"] = write_model(
        tmp_path / "large", "dot", further=600, scale=4
    )  # the exact engine would screen its output layer
    made["peaked"] = write_model(tmp_path / "peaked", "copying", scale=16)  # some of its posteriors are rounded above 1
    sizes = iter(range(1, 1000))
    for k, names in enumerate(batched(made, 4)):
        page = tmp_path / f"page{k}.html"
        page.write_text(build_page(page_models([str(made[name]) for name in names])), encoding="utf-8")
        for i, name in enumerate(names):
            for text in LINES if name in LANGUAGES else TEXTS:
                beams = (next(sizes) % 9 + 2, next(sizes) % 9 + 2)
                cases.append(case(page, i, made[name], text, beams, ("V", "<b>") if name == "features" else ()))
    (tmp_path / "cases.json").write_text(json.dumps(cases), encoding="utf-8")
    node("equal.test.mjs", CASES=str(tmp_path / "cases.json"))


def texts(seed: int) -> list[str]:
    """Text of many scripts, marks, blanks and oddities; without half characters, which no line of a file has."""
    rng = np.random.default_rng(seed)
    pieces = ["a", "an", "ing", " ", "  ", "▁", "é", "e\u0301", "한", "ᄒ", "ᆫ", "ß", "ﬁ", "½", "²", "٣", "_", "-", ".", "'", "\t", "\u00a0",
              "\u200d", "👩\u200d👧", "א", "ب", "\u0301", "क\u094d\u0937", "\u3000", "ı", "İ", "中", "𝒳", "\u2028", "x1", "O'Neil"]  # fmt: skip
    return ["".join(rng.choice(pieces, rng.integers(0, 14))) for _ in range(300)] + ["", " ", "\u3000", "aaa" * 60]


def test_texts_are_cut_as_in_python(tmp_path):
    corpus = texts(1)
    cases = []
    for name, form in (
        ("char", "none"),
        ("char", "NFD"),
        ("space", "NFKC"),
        ("word", "none"),
        ("word", "NFC"),
        ("bpe", "none"),
        ("bpe", "NFD"),
    ):
        tokenizer = train_tokenizer(name, form, corpus, 120)
        seen = sorted({token for cut in tokenizer.batch(corpus) for token in cut})
        side = {"tokenizer": tokenizer.to_dict(), "tokens": seen}
        own = [
            {"text": t, "tokens": tokenizer.tokens(t), "joined": tokenizer.text(tokenizer.tokens(t)), "blank": not t.strip()}
            for t in corpus
        ]
        cases.append({"side": side, "texts": own})
    (tmp_path / "cases.json").write_text(json.dumps(cases), encoding="utf-8")
    node("codec.test.mjs", CASES=str(tmp_path / "cases.json"))


def test_the_parts_by_hand():
    node("parts.test.mjs")
