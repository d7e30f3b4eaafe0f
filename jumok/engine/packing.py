"""Weights rounded to one int8 plane in NumPy: what source/pack.h does, for machines without a compiled library.

The page needs a model's block, and its engine is wasm, which runs in a browser.
"""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

Array = np.ndarray

LEAST = np.float32(1.17549435e-38)  # a smaller largest weight counts as 0: its scale would not be a normal number


def pack_plane(base: int, matrix: Any, first: int, rows: int, columns: int, weights: int, stride: int) -> None:
    """As engine_pack, for a matrix with one plane: the same bytes. Addresses are integers; stride is in floats."""
    m = matrix._obj
    assert m.low == 0, "one plane"
    w = np.lib.stride_tricks.as_strided(
        _at(weights, ctypes.c_float, (rows - 1) * stride + columns), (rows, columns), (4 * stride, 4)
    )
    high = _at(base + 64 * m.high, ctypes.c_int8, m.rows * m.columns).reshape(m.rows // 16, m.columns // 2, 16, 2)
    scale = _at(base + 64 * m.scale, ctypes.c_float, m.rows)
    top = np.abs(w).max(1).astype(np.float32)
    top[top < LEAST] = 0
    with np.errstate(divide="ignore"):
        by = np.where(top > 0, np.float32(127) / top, np.float32(0)).astype(np.float32)
    scale[first : first + rows] = top / np.float32(127) / np.float32(256)
    plane = np.zeros((rows, m.columns), np.int8)
    plane[:, :columns] = np.rint(w * by[:, None])
    whole = np.zeros((m.rows, m.columns), np.int8)
    whole[first : first + rows] = plane
    groups = whole.reshape(m.rows // 16, 16, m.columns // 2, 2).transpose(0, 2, 1, 3)
    high += groups  # other rows are 0 here, and stay


def _at(address: int, kind: Any, count: int) -> Array:
    return np.ctypeslib.as_array((kind * count).from_address(address))
