"""A training that learns something in seconds, and whether two ended alike."""

import random

import numpy as np
from safetensors.numpy import load_file

TINY = {"hidden": 32, "embedding": 16, "readout_size": 32, "batch_size": 32, "threads": 1, "dropout": 0.0, "quiet": True}
TINY |= {"matmul": "default", "precision": "float32"}


def write_pairs(path, count, seed=0, turn=lambda s: s[::-1]):
    rng = random.Random(seed)
    words = {"".join(rng.choices("abcdefgh", k=rng.randint(2, 5))) for _ in range(count)}
    path.write_text("".join(f"{w}\t{turn(w)}\n" for w in sorted(words)), encoding="utf-8")
    return path


def same_weights(a, b):
    a, b = (load_file(folder / "model.safetensors") for folder in (a, b))
    return a.keys() == b.keys() and all(np.array_equal(a[k], b[k]) for k in a)
