"""The arrays of a model: their names and shapes, a check against them, and random ones for tests and benchmarks.

Letters: H hidden, h size of one encoder direction (H/2 where there are two, else H), E embedding, I input of a layer,
A inner size of the concat score and of the local-p window, L positions of the location score, R inner size of the readout, V entries of a vocabulary, G gates of a cell.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from jumok.alignments import copying, named
from jumok.config import ModelConfig
from jumok.errors import FolderError
from jumok.runtime.cells import CELLS
from jumok.scores import SCORES
from jumok.windows import WINDOWS

Shape = tuple[int, ...]


def shapes(model: ModelConfig, source_size: int, target_size: int) -> dict[str, Shape]:
    """The shape of every array of a model, by name.

    Args:
        model: all its sizes are chosen (none is None).
        source_size, target_size: entries of the two vocabularies.

    Gates stand in torch's order along the first axis: i, f, g, o of an LSTM; r, z, n of a GRU. A tied array is listed once,
    under `target.embedding`.
    """
    H, E, A, R = model.hidden, model.embedding, model.score_size, model.readout_size
    assert H is not None and E is not None and A is not None and R is not None and model.tie is not None, model
    assert not (model.bidirectional and H % 2), H
    arrays: dict[str, Shape] = {"target.embedding": (target_size, E)}
    if model.tie != "all":
        arrays["source.embedding"] = (source_size, E)
    directions = ("forward", "backward") if model.bidirectional else ("forward",)
    gates = CELLS[model.cell].gates
    for layer in range(model.depth):
        I = E if layer == 0 else H
        for direction in directions:
            arrays |= _layer(f"encoder.{layer}.{direction}", gates, I, H // len(directions))
        arrays |= _layer(f"decoder.{layer}", gates, I, H)
    if model.input_feeding:
        arrays["decoder.0.w_feed"] = (gates * H, R)
    attends = model.attention != "none"
    if attends:
        arrays |= {
            f"attention.{name}": shape for name, shape in SCORES[model.attention].shapes(H, A, model.location_length).items()
        }
    if model.window != "none":
        arrays |= {f"window.{name}": shape for name, shape in WINDOWS[model.window].shapes(H, A).items()}
    arrays |= {f"alignment.{name}": shape for name, shape in named(model.alignment).shapes(H).items()}
    if model.copy:
        arrays |= {f"copy.{name}": shape for name, shape in copying(H).items()}
    if model.readout == "tanh":
        arrays["readout.w_h"] = (R, H)
        if attends:
            arrays["readout.w_c"] = (R, H)
        if model.tie == "none":
            arrays["readout.output"] = (target_size, R)
    else:
        arrays["readout.output"] = (target_size, 2 * H if attends else H)
    arrays["readout.bias"] = (target_size,)
    return arrays


def _layer(name: str, gates: int, inputs: int, size: int) -> dict[str, Shape]:
    return {f"{name}.w_ih": (gates * size, inputs), f"{name}.w_hh": (gates * size, size), f"{name}.bias": (gates * size,)}


def check(
    parameters: Mapping[str, np.ndarray], model: ModelConfig, source_size: int, target_size: int, where: str = "parameters"
) -> None:
    """Raises FolderError, naming an array, unless the arrays are exactly those of the model, float32 and finite."""
    wanted = shapes(model, source_size, target_size)
    for name, shape in wanted.items():
        if name not in parameters:
            raise FolderError(f"{where}: the array {name} is missing; wanted one of shape {list(shape)}; write the model again")
        array = parameters[name]
        if array.shape != shape:
            raise FolderError(
                f"{where}: the array {name} has shape {list(array.shape)}; the model's config and vocabularies want "
                f"{list(shape)}; they do not belong together, write the model again"
            )
        if array.dtype != np.float32:
            raise FolderError(f"{where}: the array {name} is {array.dtype}; wanted float32; write the model again")
        if not np.isfinite(array).all():
            raise FolderError(f"{where}: the array {name} holds numbers that are not finite; train the model again")
    for name in parameters:
        if name not in wanted:
            raise FolderError(f"{where}: the array {name} is not part of this model; wanted {', '.join(sorted(wanted))}")


def random_parameters(model: ModelConfig, source_size: int, target_size: int, seed: int) -> dict[str, np.ndarray]:
    """Arrays as `shapes` wants them, uniform in ±1/√columns (±0.1 for vectors), float32; for tests and benchmarks."""
    generator = np.random.default_rng(seed)
    made = {}
    for name, shape in shapes(model, source_size, target_size).items():
        bound = 0.1 if len(shape) == 1 else shape[-1] ** -0.5
        made[name] = generator.uniform(-bound, bound, shape).astype(np.float32)
    return made
