"""Small models for tests of the page: every kind that its engine knows, with random weights and tokens that try to break out."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from jumok.config import ModelConfig, TextConfig
from jumok.runtime.folder import FolderConfig, write_folder
from jumok.runtime.parameters import random_parameters
from jumok.text.codec import Codec, Side
from jumok.text.tokenizers import TOKENIZERS
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


def write_model(
    path: Path, kind: str = "dot", seed: int = 1, features: tuple[str, ...] = (), scale: float = 2.5, **changes: object
) -> Path:
    """Writes a model folder with weights large enough for peaked distributions, so that few steps are ties."""
    model = ModelConfig(**(SIZES | KINDS[kind] | changes))  # type: ignore[arg-type]
    text = TextConfig(source_tokenizer="char", target_tokenizer="space", features_column=3 if features else 0)
    letters = [*(f"‹{f}›" for f in features), *LETTERS]
    own = codec(text, letters, [*HOSTILE, *"abcde"])
    arrays = {
        name: (a * np.float32(scale)) for name, a in random_parameters(model, len(own.source), len(own.target), seed).items()
    }
    write_folder(path, FolderConfig(text, model, (1.2, 4.0), {}), arrays, own, "a random model\n", [])
    return path
