"""The block of memory that a model is for the engine: the structs of source/engine.h, and the way from a model folder's arrays.

Letters: H hidden, h of one direction, E embedding, A inner size of concat, R inner size of the readout, G gates, V target
vocabulary. A padded size is the next multiple of 16.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from jumok.config import ModelConfig
from jumok.engine.known import ALIGNMENTS, ATTENTIONS, CELLS, LAYERS, READOUTS

Array = np.ndarray

MAGIC, ABI, JUMPS = 0x4B4D554A, 1, 5
BLOCK = 64  # bytes: every array begins at a multiple
BEST = 16  # tokens of a step that a screened output layer computes with both planes; more where they are near the best
SCREENED = 512  # an output layer of more tokens is screened: its low plane is read where it can matter
GROUPS, BY_ROWS, FLOATS = 0, 1, 2


class Planes(NamedTuple):
    """Of how many int8 planes a weight is made; 0: it stays float32."""

    steps: int  # of matrices that each step reads whole: recurrent layers, and what goes from layer to layer
    others: int  # embeddings and the first layers' inputs, whose products are kept in a table, and the output layer, if it is screened


# page: as few bytes as there can be
PLANES = {"exact": Planes(2, 2), "int8": Planes(1, 2), "float32": Planes(0, 0), "page": Planes(1, 1)}

_int, _offset = ctypes.c_int32, ctypes.c_uint32


class Matrix(ctypes.Structure):
    """struct engine_matrix."""

    _fields_ = [
        ("rows", _int),
        ("columns", _int),
        ("high", _offset),
        ("low", _offset),
        ("scale", _offset),
        ("bound", _offset),
        ("order", _int),
        ("unused", _int),
    ]


class Layer(ctypes.Structure):
    """struct engine_layer."""

    _fields_ = [("input", Matrix), ("recurrent", Matrix), ("bias", _offset), ("unused", _offset)]


_NUMBERS = ("cell", "layers", "directions", "reversed", "attention", "alignment", "copying", "feeding", "readout")
_SIZES = ("hidden", "half", "embedding", "inner", "features", "source_size", "target_size", "unused")
_MATRICES = (
    "feed",
    "score_memory",
    "score_query",
    "readout_query",
    "readout_context",
    "output",
    "output_context",
)
_ARRAYS = (
    "output_bias",
    "score_vector",
    "jump_weights",
    "jump_bias",
    "copy_memory",
    "copy_query",
    "copy_bias",
    "copies",
)


class Model(ctypes.Structure):
    """struct engine_model."""

    _fields_ = [
        ("magic", _offset),
        ("abi", _offset),
        ("blocks", _offset),
        *((name, _int) for name in (*_NUMBERS, *_SIZES)),
        ("source_embedding", Matrix),
        ("target_embedding", Matrix),
        ("encoder", Layer * 2 * LAYERS),
        ("decoder", Layer * LAYERS),
        *((name, Matrix) for name in _MATRICES),
        *((name, _offset) for name in _ARRAYS),
    ]


def padded(size: int) -> int:
    """The next multiple of 16."""
    return size + -size % 16


def block(
    model: ModelConfig, parameters: Mapping[str, Array], copies: Array | None, planes: Planes, pack: Callable[..., None]
) -> Array:
    """The model as one block, uint8, aligned: weights as int8 planes, or as they are.

    Args:
        parameters: as `jumok.runtime.parameters.shapes` names them, float32.
        copies: what `Codec.copies` gives, for a model with a copy gate.
        pack: the function engine_pack.
    """
    return _Maker(model, parameters, copies, planes).made(pack)


class _Maker:
    """Lays the arrays out, one behind the other; then the block is made, and filled."""

    def __init__(self, model: ModelConfig, parameters: Mapping[str, Array], copies: Array | None, planes: Planes) -> None:
        self.model, self.p, self.planes = model, parameters, planes
        self.size = -(-ctypes.sizeof(Model) // BLOCK)
        self.weights: list[tuple[Matrix, list[tuple[int, Array]]]] = []  # matrix, its parts: first row, array
        self.arrays: list[tuple[int, Array]] = []
        self.struct = Model(magic=MAGIC, abi=ABI)
        self._numbers()
        self._layers()
        self._attention()
        self._readout()
        self._chain(copies)
        self.struct.blocks = self.size

    def made(self, pack: Callable[..., None]) -> Array:
        raw = np.zeros(self.size * BLOCK + BLOCK, np.uint8)
        whole = raw[-raw.ctypes.data % BLOCK :][: self.size * BLOCK]
        for place, array in self.arrays:
            whole[place * BLOCK :][: array.nbytes] = array.reshape(-1).view(np.uint8)
        for matrix, parts in self.weights:
            for first, array in parts:
                pack(whole.ctypes.data, ctypes.byref(matrix), first, *array.shape, array.ctypes.data, array.strides[0] // 4)
        whole[: ctypes.sizeof(Model)] = np.frombuffer(bytes(self.struct), np.uint8)
        return whole

    def _take(self, size: int) -> int:
        here = self.size
        self.size += -(-size // BLOCK)
        return here

    def _array(self, array: Array) -> int:
        array = np.ascontiguousarray(array)
        self.arrays.append((place := self._take(array.nbytes), array))
        return place

    def _vector(self, values: Array, size: int | None = None) -> int:
        return self._array(_wider(np.atleast_2d(values), size or padded(values.shape[-1])))

    def _matrix(self, w: Array, blocks: int = 1, order: int = GROUPS, planes: int = 2) -> Matrix:
        """w: [blocks x size, columns]; each block of rows is padded by itself. In a model of float32, planes do not count."""
        size = len(w) // blocks
        rows, columns = blocks * padded(size), padded(w.shape[1])
        if self.planes.others == 0:
            matrix = Matrix(rows=rows, columns=columns, high=self._take(4 * rows * columns), order=FLOATS)
        else:
            matrix = Matrix(rows=rows, columns=columns, high=self._take(rows * columns), scale=self._take(4 * rows))
        if self.planes.others and planes > 1:
            matrix.low, matrix.order = self._take(rows * columns), order
            matrix.bound = self._take(4 * rows) if order == BY_ROWS else 0
        w = np.ascontiguousarray(w, np.float32)
        parts = [(k * padded(size), w[k * size : (k + 1) * size]) for k in range(blocks)]
        self.weights.append((matrix, parts if padded(size) > size else [(0, w)]))
        return matrix

    def _layer(self, name: str, first: bool) -> Layer:
        w_ih, w_hh, bias = (self.p[f"{name}.{part}"] for part in ("w_ih", "w_hh", "bias"))
        gates = len(w_hh) // w_hh.shape[1]
        padded_bias = _wider(bias.reshape(gates, -1), padded(len(bias) // gates))
        steps, others = self.planes
        return Layer(
            self._matrix(w_ih, blocks=gates, planes=others if first else steps),
            self._matrix(w_hh, blocks=gates, planes=steps),
            self._array(padded_bias),
        )

    def _numbers(self) -> None:
        m, s = self.model, self.struct
        target = self.p["target.embedding"]
        values: dict[str, Any] = {
            "cell": CELLS[m.cell],
            "layers": m.depth,
            "directions": 2 if m.bidirectional else 1,
            "reversed": m.reverse_source,
            "attention": ATTENTIONS[m.attention],
            "alignment": ALIGNMENTS[m.alignment],
            "copying": bool(m.copy),
            "feeding": m.input_feeding,
            "readout": READOUTS[m.readout],
            "hidden": m.hidden,
            "half": m.hidden // (2 if m.bidirectional else 1),  # type: ignore[operator]
            "embedding": target.shape[1],
            "inner": m.score_size if m.attention == "concat" else 0,
            "features": m.readout_size if m.readout == "tanh" else m.hidden,
            "source_size": len(self.p.get("source.embedding", target)),
            "target_size": len(target),
        }
        for name, value in values.items():
            setattr(s, name, int(value))

    def _layers(self) -> None:
        m, s = self.model, self.struct
        for l in range(m.depth):
            for d, direction in enumerate(("forward", "backward")[: s.directions]):
                s.encoder[l][d] = self._layer(f"encoder.{l}.{direction}", l == 0)
            s.decoder[l] = self._layer(f"decoder.{l}", l == 0)
        if m.input_feeding:
            gates = len(self.p["decoder.0.w_hh"]) // self.p["decoder.0.w_hh"].shape[1]
            s.feed = self._matrix(self.p["decoder.0.w_feed"], blocks=gates, planes=self.planes.steps)

    def _attention(self) -> None:
        s = self.struct
        if self.model.attention == "general":
            s.score_memory = self._matrix(self.p["attention.W_a"])
        elif self.model.attention == "concat":
            s.score_memory = self._matrix(self.p["attention.W_m"])
            s.score_query = self._matrix(self.p["attention.W_q"])
            s.score_vector = self._vector(self.p["attention.v"])

    def _readout(self) -> None:
        m, s, p = self.model, self.struct, self.p
        attends, tanh, chained = m.attention != "none", m.readout == "tanh", m.alignment == "monotonic"
        order = BY_ROWS if s.target_size > SCREENED and (tanh or not chained) else GROUPS
        w = p.get("readout.output", p["target.embedding"])
        H = s.hidden
        if tanh:
            s.readout_query = self._matrix(p["readout.w_h"])
            if attends:
                s.readout_context = self._matrix(p["readout.w_c"])
        elif attends and chained:
            s.output_context, w = self._matrix(w[:, :H], planes=self.planes.steps), w[:, H:]
        elif attends:
            w = np.concatenate([_wider(w[:, :H], padded(H)), _wider(w[:, H:], padded(H))], axis=1)
        whole = s.target_size > SCREENED and order == GROUPS  # large, and read whole at each step
        s.output = self._matrix(w, order=order, planes=self.planes.steps if whole else self.planes.others)
        s.output_bias = self._vector(p["readout.bias"])
        tied = "readout.output" not in p
        s.target_embedding = s.output if tied else self._matrix(p["target.embedding"], planes=self.planes.others)
        s.source_embedding = (
            self._matrix(p["source.embedding"], planes=self.planes.others) if "source.embedding" in p else s.target_embedding
        )

    def _chain(self, copies: Array | None) -> None:
        m, s, p = self.model, self.struct, self.p
        if m.alignment == "monotonic":
            s.jump_weights = self._array(_wider(p["alignment.W_j"], padded(s.hidden)))
            s.jump_bias = self._vector(p["alignment.b_j"])
        if m.copy:
            assert copies is not None
            s.copy_memory, s.copy_query = self._vector(p["copy.w_m"]), self._vector(p["copy.w_h"])
            s.copy_bias, s.copies = self._vector(p["copy.b"]), self._array(np.asarray(copies, np.int32))


def _wider(w: Array, columns: int) -> Array:
    """w [rows, at most columns], with zeros behind, float32."""
    out = np.zeros((len(w), columns), np.float32)
    out[:, : w.shape[1]] = w
    return out
