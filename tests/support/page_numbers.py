"""The numbers of the page's tour, worked out with NumPy from the same int8 weights."""

from __future__ import annotations

import numpy as np

from jumok import alignments
from jumok.page.models import natively
from jumok.runtime.folder import Folder
from jumok.runtime.model import NumpyModel
from jumok.text.vocabulary import START


def dequantised(arrays: dict[str, np.ndarray], halves: tuple[str, ...] = ()) -> dict[str, np.ndarray]:
    """What int8 planes with a scale a row make of the weights: one, or two for score and readout; vectors and jumps stay.

    halves: matrices whose left and right halves are planes of their own.
    """
    made = dict(arrays)
    for name, w in arrays.items():
        if w.ndim == 2 and not name.startswith("alignment."):
            most = 32512 if name.startswith("attention.") or name in ("readout.w_h", "readout.w_c") else 127
            made[name] = np.concatenate([_rounded(part, most) for part in np.split(w, 1 + (name in halves), axis=1)], axis=1)
    return made


def _rounded(w: np.ndarray, most: int) -> np.ndarray:
    top = np.abs(w).max(1, keepdims=True)
    return np.where(top > 0, np.rint(w * (most / top)) * (top / most), 0).astype(np.float32)


def tour_numbers(folder: Folder, text: str, gold: str, step: int) -> dict:
    """{step, stops, values: {name: numbers as the tour shows them}}."""
    c, codec = folder.config.model, folder.codec
    apart = ("readout.output",) if c.alignment == "monotonic" and c.readout == "linear" else ()
    model = NumpyModel(c, dequantised(folder.parameters, apart), codec.copies() if c.copy else None)
    ids = np.array([codec.encode_source(text)])
    lengths = np.array([ids.shape[1]])
    greedy = natively(folder).translate(text)
    (target,) = (
        [codec.target.vocabulary.ids(greedy.tokens[:-1])] if greedy.finished else [codec.target.vocabulary.ids(greedy.tokens)]
    )
    memory, _ = model._encode(ids, lengths)
    state = model.start(ids, lengths)
    first = state.layers[-1][0][0, 0]
    read = [START, *target][: step + 1]
    for token in read:
        before = state
        state, logits, weights = model.step(state, np.array([[token]]))
    query = state.layers[-1][0]
    p = np.exp(logits[0, 0] - logits[0, 0].max())
    p /= p.sum()
    p[:2] = 0
    values = {f"h̄_{s + 1}": memory[0, s, :4] for s in range(ids.shape[1])}
    values |= {"h_0": first[:4], "h_t": query[0, 0, :4], "p": np.sort(p)[::-1][:5]}
    if c.input_feeding:
        values["r_t−1"] = before.fed[0, 0, :4]
    if c.attention != "none":
        values["e"] = model.attention.score(np, model.score_parameters, query, state.keys)[0, 0]
    if c.alignment == "monotonic":
        values["prior"] = weights[0, 0]
        values["posterior"] = greedy.weights[step]
        values["reached"] = before.chain.reached(np.array([[read[-1]]]))[0, 0]
        values["jumps"] = alignments.jumps(model.jump_parameters, query)[0, 0]
        if c.copy:
            gates = alignments.gates(np, model.copy_parameters, query, memory, codec.copies()[ids])
            values["kappa"] = np.exp(alignments.log_sigmoid(np, gates))[0, 0]
    elif c.attention != "none":
        values["a"] = weights[0, 0]
        values["c_t"] = (weights[0, 0] @ memory[0])[:4]
    if c.readout == "tanh" and c.alignment != "monotonic":
        features, _ = model._attend(before, query, np.array([step]))
        values["r_t"] = features[0, :4]
    wanted = np.array([codec.encode_target(gold)])
    losses, _ = model.score(ids, lengths, wanted, np.array([wanted.shape[1]]))
    values["loss"] = -losses[0]
    stops = 8 if c.alignment == "monotonic" else 6 if c.attention == "none" else 9
    return {"step": step, "stops": stops, "values": {k: np.asarray(v, float).tolist() for k, v in values.items()}}
