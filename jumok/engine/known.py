"""Which models the engine knows; a file by itself, since it is asked wherever a model is loaded, with a library or without."""

from __future__ import annotations

from jumok.config import ModelConfig

LAYERS = 8
MOST_COLUMNS = 8192  # of a matrix: beyond, too few bits are left for activations
# name in a model's configuration -> number in source/engine.h
CELLS = {"lstm": 0, "gru": 1}
ATTENTIONS = {"none": 0, "dot": 1, "general": 2, "concat": 3}
ALIGNMENTS = {"soft": 0, "auto": 0, "monotonic": 1}  # auto in a network for which nobody chose
READOUTS = {"tanh": 0, "linear": 1}


def unknown(model: ModelConfig) -> str:
    """What of a model the engine does not know, so that NumPy has to compute it; "" if it knows all."""
    if model.cell not in CELLS:
        return f"cell {model.cell}"
    if model.attention not in ATTENTIONS:
        return f"attention {model.attention}"
    if model.alignment not in ALIGNMENTS:
        return f"alignment {model.alignment}"
    if model.readout not in READOUTS:
        return f"readout {model.readout}"
    if model.window != "none":
        return f"window {model.window}"
    if model.depth > LAYERS:
        return f"{model.depth} layers, more than {LAYERS}"
    sizes = {"hidden": model.hidden, "embedding": model.embedding, "score_size": model.score_size}
    sizes["readout_size"] = model.readout_size
    for name, size in sizes.items():
        most = MOST_COLUMNS // 2 if name == "hidden" else MOST_COLUMNS
        if size is not None and size > most:
            return f"{name} {size}, more than {most}"
    return ""
