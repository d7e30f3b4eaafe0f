"""Model folders with large random weights, whose outputs differ, for tests of what is done with several models."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jumok.config import ModelConfig, TextConfig
from jumok.runtime.folder import FolderConfig, write_folder
from jumok.runtime.parameters import random_parameters
from jumok.text import Pair, build_codec

WORDS = ("attention", "cat", "zebra", "jumok", "a", "quick brown", "why", "tatata", "naive")
SIZES = {"embedding": 8, "hidden": 12, "score_size": 6, "readout_size": 9, "tie": "none"}


def random_folder(
    path: Path,
    seed: int = 6,
    *,
    words: Sequence[str] = WORDS,
    text: dict[str, Any] | None = None,
    limit: tuple[float, float] = (1.0, 4.0),
    features: tuple[str, ...] = (),
    end: float = 3,
    **model: Any,
) -> Path:
    """A model of letters into phones; `words` and their order decide its vocabularies, `seed` its weights, `end` how soon outputs end."""
    texts = TextConfig(**{"target_tokenizer": "space", "joint_vocabulary": False, **(text or {})})
    config = ModelConfig(**{"attention": "general", **SIZES, **model})
    pairs = [Pair(w, " ".join(w.replace(" ", "").upper()), features, f"w:{i}") for i, w in enumerate(words)]
    codec = build_codec(pairs, texts)
    arrays = {n: 4 * a for n, a in random_parameters(config, len(codec.source), len(codec.target), seed).items()}
    arrays["readout.bias"][:4] = (-9, -9, end, -9)  # many outputs end, and none has <unk>
    write_folder(path, FolderConfig(texts, config, limit, {}), arrays, codec, "card", [])
    return path
