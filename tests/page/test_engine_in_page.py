"""The page's engine and search, in node, against the compiled engine and the search of Python: planted models of every kind."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from itertools import islice, takewhile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from page_models import KINDS, LINES, write_model, write_text_model
from page_models import TEXTS as LANGUAGES

from jumok.decode.translator import Translator
from jumok.engine.library import EngineError, load_library
from jumok.page import build_page
from jumok.page.models import natively, page_models
from jumok.runtime.folder import read_folder
from jumok.runtime.translation import Translation
from jumok.text.tokenizers import train_tokenizer
from jumok.text.vocabulary import SPECIALS

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


def listed(t: Translation) -> list[dict]:
    return [{"tokens": list(h.tokens), "finished": h.finished, "logp": h.log_probability} for h in (t, *t.alternatives)]


def asked(model: Translator, text: str, **options: Any) -> dict:
    """What a search with a prefix or with forbidden tokens finds: greedy, and a beam of 3."""
    return {
        "greedy": listed(model.translate(text, **options)),
        "beam": listed(model.translate(text, beam=3, nbest=3, **options)),
    }


def tree_of(model: Translator, text: str, beam: int, reference: str) -> dict:
    """All that a beam search kept, as path -> [log-probability, score], and what became of the reference."""
    tree = model.tree(text, beam=beam, nbest=beam, reference=reference)
    kept = {}
    for node in tree.nodes[1:]:
        if node.fate != "pruned":
            kept[" ".join(n.token for n in tree.path(node.id))] = [node.total, node.score]
    assert tree.reference is not None
    verdict = {"output": "found", "search error": "search", "model error": "model", "not allowed": "barred"}[
        tree.reference.verdict
    ]
    fell = -1 if tree.reference.step is None or verdict == "found" else tree.reference.step - 1
    return {"beam": beam, "kept": kept, "reference": reference, "kind": verdict, "fell": fell}


def case(page: Path, index: int, folder: Path, text: str, beams: tuple[int, ...], features: tuple[str, ...] = ()) -> dict:
    model = natively(read_folder(folder))
    more = {"features": features} if features else {}
    greedy = model.translate(text, **more)
    found = {str(beam): listed(model.translate(text, beam=beam, nbest=beam, **more)) for beam in beams}
    written = list(takewhile(lambda token: token not in SPECIALS, greedy.tokens))
    half = written[: len(written) // 2]
    after = model.alternatives(text, tuple(half), **more)
    own = next((a.token for a in after[1:] if a.token not in SPECIALS), None)
    prefix = [*half, own] if own else half
    gold = "AH T N" if "AH" in model.codec.target.vocabulary else "the cat"
    return {
        "page": str(page),
        "model": index,
        "text": text,
        "features": list(features),
        "prefix": {"tokens": prefix, **asked(model, text, prefix_tokens=prefix, **more)},
        "never": {"tokens": written[:3], **asked(model, text, forbid=tuple(written[:3]), **more)},
        "tree": tree_of(model, text, 4, greedy.text if len(text) % 2 else gold) if not features else None,
        "source_tokens": list(greedy.source_tokens),
        "greedy": {
            "tokens": list(greedy.tokens),
            "text": greedy.text,
            "log_probability": greedy.log_probability,
            "weights": None if greedy.weights is None else greedy.weights.tolist(),
        },
        "beams": found,
        "forced": {"text": gold, "log_probability": model.score(text, gold, **more).log_probability},
        "alternatives": {"prefix": half, "tokens": [a.token for a in after], "logps": [a.log_probability for a in after]},
    }


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
