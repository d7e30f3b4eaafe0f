"""Weights rounded to int8 planes in NumPy: what source/pack.h does, for machines without a compiled library.

The page needs a model's block, and its engine is wasm, which runs in a browser.
"""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

Array = np.ndarray

LEAST = np.float32(1.17549435e-38)  # a smaller largest weight counts as 0: its scale would not be a normal number
MOST = {1: np.float32(127), 2: np.float32(32512)}  # planes -> the largest integer that a weight becomes


def pack_planes(base: int, matrix: Any, first: int, rows: int, columns: int, weights: int, stride: int) -> None:
    """As engine_pack, but for a screened output layer: the same bytes. Addresses are integers; stride is in floats."""
    m = matrix._obj
    planes = 2 if m.low else 1
    assert m.order == 0, "the low plane in groups"
    w = np.lib.stride_tricks.as_strided(
        _at(weights, ctypes.c_float, (rows - 1) * stride + columns), (rows, columns), (4 * stride, 4)
    )
    top = np.abs(w).max(1).astype(np.float32)
    top[top < LEAST] = 0
    by = np.divide(MOST[planes], top, out=np.zeros_like(top), where=top > 0)
    scale = top / MOST[planes] if planes == 2 else top / MOST[planes] / np.float32(256)
    _at(base + 64 * m.scale, ctypes.c_float, m.rows)[first : first + rows] = scale
    k = np.rint(w * by[:, None]).astype(np.int32)
    high = (k + 128) >> 8 if planes == 2 else k
    _put(base + 64 * m.high, m, first, high)
    if planes == 2:
        _put(base + 64 * m.low, m, first, k - 256 * high)


def _put(address: int, matrix: Any, first: int, values: Array) -> None:
    """Puts rows, from `first` on, into a plane in groups of 16 rows and pairs of columns."""
    whole = np.zeros((matrix.rows, matrix.columns), np.int8)
    whole[first : first + len(values), : values.shape[1]] = values
    plane = _at(address, ctypes.c_int8, matrix.rows * matrix.columns).reshape(matrix.rows // 16, matrix.columns // 2, 16, 2)
    plane += whole.reshape(matrix.rows // 16, 16, matrix.columns // 2, 2).transpose(
        0, 2, 1, 3
    )  # other rows are 0 here, and stay


def _at(address: int, kind: Any, count: int) -> Array:
    return np.ctypeslib.as_array((kind * count).from_address(address))
