"""Models with random weights, for benchmarks that nobody gave a model: how long they take does not depend on what they have learned."""

from pathlib import Path

import numpy as np

from jumok.config import ModelConfig, TextConfig
from jumok.runtime.folder import FolderConfig, write_folder
from jumok.runtime.parameters import random_parameters
from jumok.text import Pair, build_codec

SIZES = {
    "letters to phones": dict(embedding=128, hidden=256, readout_size=256, vocabulary=50, length=8),
    "Multi30k": dict(embedding=256, hidden=512, readout_size=256, vocabulary=8000, length=14),
}


def planted(path: Path, embedding: int, hidden: int, readout_size: int, vocabulary: int, length: int) -> tuple[str, list[str]]:
    """A folder with random weights that writes `length` tokens for every source, and sources of that length."""
    words = [f"w{i}" for i in range(vocabulary - 4)]
    text = TextConfig(source_tokenizer="space", target_tokenizer="space", joint_vocabulary=False)
    codec = build_codec([Pair(w, w, (), "") for w in words], text)
    model = ModelConfig(
        embedding=embedding, hidden=hidden, score_size=hidden, readout_size=readout_size, tie="none", size="small"
    )
    parameters = random_parameters(model, vocabulary, vocabulary, seed=1)
    parameters["readout.bias"][2] = -1e4  # the end token is never written: every output runs to the limit
    write_folder(path, FolderConfig(text, model, (1.0, 0.0), {}), parameters, codec, "", [])
    random = np.random.default_rng(1)
    return str(path), [" ".join(random.choice(words, length - 1)) for _ in range(60)]
