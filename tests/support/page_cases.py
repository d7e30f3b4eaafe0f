"""What searches of the page are held against: tokens, log-probabilities and weights that Python finds with the same int8 engine.

tests/page/node/equal.test.mjs reads such cases; `python -m benchmarks.quality.page MODEL LINES --searches N` makes them for real models.
"""

from __future__ import annotations

from itertools import takewhile
from pathlib import Path
from typing import Any

from jumok.decode.translator import Translator
from jumok.page.models import natively
from jumok.runtime.folder import read_folder
from jumok.runtime.translation import Translation
from jumok.text.vocabulary import SPECIALS


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
