"""Between the torch model's parameters and the arrays of a model folder, both ways."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from jumok.net import cells
from jumok.net.model import Seq2Seq


def _layers(model: Seq2Seq) -> dict[str, nn.Module]:
    """The recurrent layers under their names in the model folder."""
    layers = {f"encoder.{l}.forward": layer for l, layer in enumerate(model.encoder.forwards)}
    layers |= {f"encoder.{l}.backward": layer for l, layer in enumerate(model.encoder.backwards)}
    return layers | {f"decoder.{l}": layer for l, layer in enumerate(model.decoder.layers)}


def _first(model: Seq2Seq) -> list[str]:
    """The layers that read embeddings: their input weights take the scale along into the folder."""
    return [name for name in _layers(model) if ".0" in name]


def export_parameters(model: Seq2Seq) -> dict[str, np.ndarray]:
    """The model's arrays under the names of the model folder (`jumok.runtime.parameters`)."""
    weights: dict[str, Tensor | None] = {"target.embedding": model.target_embedding, "source.embedding": model.source_embedding}
    for name, layer in _layers(model).items():
        arrays = cells.arrays(layer)
        if name == "decoder.0" and model.config.input_feeding:  # stands by itself, and without the embeddings' scale
            arrays["w_ih"], arrays["w_feed"] = arrays["w_ih"].tensor_split([model.target_embedding.shape[1]], 1)
        if name in _first(model):
            arrays["w_ih"] = arrays["w_ih"] * model.scale
        weights |= {f"{name}.{array}": w for array, w in arrays.items()}
    weights |= {f"attention.{name}": w for name, w in model.attention.items()}
    weights |= {f"window.{name}": w for name, w in model.window.items()}
    weights |= {f"alignment.{name}": w for name, w in model.alignment.items()}
    weights |= {f"copy.{name}": w for name, w in model.copy_gate.items()}
    weights |= {"readout.w_h": model.W_h, "readout.w_c": model.W_c, "readout.output": model.output, "readout.bias": model.bias}
    return {name: np.ascontiguousarray(w.detach().float().cpu().numpy()) for name, w in weights.items() if w is not None}


def import_parameters(model: Seq2Seq, parameters: Mapping[str, np.ndarray]) -> None:
    """The way back: a model folder's arrays into the model, in place."""

    def put(into: Tensor | None, name: str) -> None:
        if into is not None:
            into.copy_(torch.from_numpy(np.asarray(parameters[name])))

    with torch.no_grad():
        put(model.target_embedding, "target.embedding")
        put(model.source_embedding, "source.embedding")
        for name, layer in _layers(model).items():
            values = {k: torch.from_numpy(np.asarray(parameters[f"{name}.{k}"])) for k in ("w_ih", "w_hh", "bias")}
            if name in _first(model):
                values["w_ih"] = values["w_ih"] / model.scale
            if name == "decoder.0" and model.config.input_feeding:
                values["w_ih"] = torch.cat([values["w_ih"], torch.from_numpy(np.asarray(parameters["decoder.0.w_feed"]))], 1)
            cells.put(layer, values)
        for name, w in model.attention.items():
            put(w, f"attention.{name}")
        for name, w in model.window.items():
            put(w, f"window.{name}")
        for name, w in model.alignment.items():
            put(w, f"alignment.{name}")
        for name, w in model.copy_gate.items():
            put(w, f"copy.{name}")
        put(model.W_h, "readout.w_h")
        put(model.W_c, "readout.w_c")
        put(model.output, "readout.output")
        put(model.bias, "readout.bias")
