"""Small models for tests of the page: every kind that its engine knows, with random weights and tokens that try to break out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from jumok.config import ModelConfig, TextConfig
from jumok.runtime.folder import FolderConfig, write_folder
from jumok.runtime.parameters import random_parameters
from jumok.text.codec import Codec, Side
from jumok.text.tokenizers import TOKENIZERS, train_tokenizer
from jumok.text.vocabulary import Vocabulary

# Tokens of the target that HTML, CSV and JSON must not take for their own.
HOSTILE = [
    "</script>",
    "<img src=x onerror=alert(1)>",
    "=1+1",
    '"',
    "a,b",
    "&amp;",
    "\u2028",
    "\u202e",
    "한",
    "ᄒ",
    "👩‍👩‍👧",
    "é",
    "AH",
    "T",
    "N",
]
LETTERS = [*"abcdefghijklmnopqrstuvwxyz '-<>&\"", "한", "글", "ᄒ", "\u0301", "א", "ب", "👩", "\u200d", "\t"]
SIZES = {"embedding": 20, "hidden": 24, "score_size": 18, "readout_size": 22, "tie": "none"}
KINDS: dict[str, dict[str, object]] = {
    "dot": {"attention": "dot"},
    "general": {"attention": "general", "readout": "linear"},
    "concat": {"attention": "concat", "layers": 2, "bidirectional": False},
    "none": {"attention": "none"},
    "gru": {"attention": "general", "cell": "gru", "reverse_source": True},
    "fed": {"attention": "dot", "input_feeding": True},
    "tied": {"attention": "dot", "tie": "target", "readout_size": 20},
    "monotonic": {"attention": "general", "alignment": "monotonic"},
    "copying": {"attention": "dot", "alignment": "monotonic", "copy": True, "readout": "linear"},
}


def codec(text: TextConfig, source: list[str] = LETTERS, target: list[str] = HOSTILE) -> Codec:
    sides = [
        Side(TOKENIZERS[name]("none"), Vocabulary(tokens, [1] * len(tokens)))
        for name, tokens in ((text.source_tokenizer, source), (text.target_tokenizer, target))
    ]
    return Codec(*sides, text)


TEXTS = {  # name -> settings of the text, for models of other languages
    "words": TextConfig(source_tokenizer="word", target_tokenizer="word"),
    "subwords": TextConfig(source_tokenizer="bpe", target_tokenizer="bpe", joint_vocabulary=True),
    "jamo": TextConfig(source_form="NFD", target_form="NFD"),
    "features": TextConfig(features_column=3, target_form="NFKD"),
}
LINES = [
    "a man walks",
    "the cat sat on the mat",
    "한국어를 배우다",
    "é è Ångström",
    "don't stop - go!",
    "ﬁne ½ x²",
    "ab ba aab",
]


def text_codec(name: str) -> Codec:
    """Tokenizers trained on LINES, vocabularies of what they cut."""
    text = TEXTS[name]
    extra = [f"‹{f}›" for f in ("V", "PST")] if text.features_column else []

    def side(tokenizer: str, form: Any, more: list[str]) -> Side:
        made = train_tokenizer(tokenizer, form, LINES, 60)
        tokens = dict.fromkeys([*more, *(token for cut in made.batch(LINES) for token in cut)])
        return Side(made, Vocabulary(list(tokens), [1] * len(tokens)))

    source = side(text.source_tokenizer, text.source_form, extra)
    return Codec(source, source if text.joint_vocabulary else side(text.target_tokenizer, text.target_form, []), text)


def write_text_model(path: Path, name: str, seed: int = 3, scale: float = 3, **changes: object) -> Path:
    """A model folder whose text is cut as TEXTS says."""
    own = text_codec(name)
    tie = "all" if own.joint else "none"
    model = ModelConfig(**({**SIZES, "tie": tie, "readout_size": 20, "attention": "dot"} | changes))  # type: ignore[arg-type]
    made = random_parameters(model, len(own.source), len(own.target), seed).items()
    folder = FolderConfig(own.config, model, (1.2, 4.0), {})
    write_folder(path, folder, {n: a * np.float32(scale) for n, a in made}, own, "a random model\n", [])
    return path


def write_model(
    path: Path,
    kind: str = "dot",
    seed: int = 1,
    features: tuple[str, ...] = (),
    scale: float = 2.5,
    further: int = 0,
    **changes: object,
) -> Path:
    """Writes a model folder with weights large enough for peaked distributions, so that few steps are ties.

    further: so many tokens more in the target vocabulary.
    """
    model = ModelConfig(**(SIZES | KINDS[kind] | changes))  # type: ignore[arg-type]
    text = TextConfig(source_tokenizer="char", target_tokenizer="space", features_column=3 if features else 0)
    letters = [*(f"‹{f}›" for f in features), *LETTERS]
    own = codec(text, letters, [*HOSTILE, *"abcde", *(f"t{i}" for i in range(further))])
    arrays = {
        name: (a * np.float32(scale)) for name, a in random_parameters(model, len(own.source), len(own.target), seed).items()
    }
    write_folder(path, FolderConfig(text, model, (1.2, 4.0), {}), arrays, own, "a random model\n", [])
    return path
