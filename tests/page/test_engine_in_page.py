"""The page's engine and search, in node, against the compiled engine and the search of Python: planted models of every kind."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from page_models import KINDS, write_model

from jumok.decode.translator import Translator
from jumok.engine.library import EngineError, load_library
from jumok.page import build_page
from jumok.page.models import page_models
from jumok.runtime.folder import read_folder
from jumok.text.tokenizers import train_tokenizer
from jumok.text.vocabulary import START

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


def case(page: Path, index: int, folder: Path, text: str, beams: tuple[int, ...] = (2, 5, 10)) -> dict:
    model = Translator(read_folder(folder), "int8")
    greedy = model.translate(text)
    source = np.array([model.codec.encode_source(text)])
    state = model.backend.start(source, np.array([source.shape[1]]))
    _, logps, _ = model.backend.step(state, np.array([[START]]))
    row = logps[0, 0].copy()
    row[:2] = -np.inf
    best = np.argsort(-row, kind="stable")[:10].tolist()
    found = {}
    for beam in beams:
        t = model.translate(text, beam=beam, nbest=beam)
        found[str(beam)] = [
            {"tokens": list(h.tokens), "finished": h.finished, "logp": h.log_probability} for h in (t, *t.alternatives)
        ]
    return {
        "page": str(page),
        "model": index,
        "text": text,
        "features": [],
        "source_tokens": list(greedy.source_tokens),
        "greedy": {
            "tokens": list(greedy.tokens),
            "text": greedy.text,
            "log_probability": greedy.log_probability,
            "weights": None if greedy.weights is None else greedy.weights.tolist(),
        },
        "beams": found,
        "forced": {"text": "AH T N", "log_probability": model.score(text, "AH T N").log_probability},
        "alternatives": [[i, float(row[i])] for i in best],
    }


def test_the_engine_in_the_page_is_the_compiled_engine(tmp_path):
    try:
        load_library()
    except EngineError as e:
        pytest.skip(str(e))
    cases = []
    for k in range(0, len(KINDS), 4):
        folders = [write_model(tmp_path / kind, kind) for kind in list(KINDS)[k : k + 4]]
        page = tmp_path / f"page{k}.html"
        page.write_text(build_page(page_models([str(f) for f in folders])), encoding="utf-8")
        cases += [case(page, i, folder, text) for i, folder in enumerate(folders) for text in TEXTS]
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
