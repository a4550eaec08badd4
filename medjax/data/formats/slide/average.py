"""Averages over the area of each pixel of a coarser grid."""

from __future__ import annotations

import numpy as np
from scipy import sparse


def overlaps(start: float, factor: float, count: int, size: int) -> sparse.csr_array:
    """How much of each output pixel each input pixel makes up.

    Args:
        start: where the first output pixel begins, in input pixels, at least 0.
        factor: length of an output pixel, in input pixels.
        count: output pixels.
        size: input pixels; at least ``start + count * factor``.

    Returns:
        float32 ``(count, size)``, whose rows sum to 1.
    """
    edges = start + factor * np.arange(count + 1)
    low, high = edges[:-1, None], edges[1:, None]
    columns = np.floor(low).astype(int) + np.arange(int(np.ceil(factor)) + 1)
    shares = np.minimum(columns + 1, high) - np.maximum(columns, low)
    # What rounding left of a share must not count as one, nor reach past the last pixel.
    keep = (shares > 1e-9 * factor) & (columns < size)
    shares = np.where(keep, shares, 0)
    shares /= shares.sum(axis=1, keepdims=True)
    rows = np.broadcast_to(np.arange(count)[:, None], columns.shape)
    entries = (shares[keep].astype(np.float32), (rows[keep], columns[keep]))
    return sparse.coo_array(entries, shape=(count, size)).tocsr()


def average(image: np.ndarray, rows: sparse.csr_array, columns: sparse.csr_array) -> np.ndarray:
    """uint8 ``(y, x, channel)`` averaged by the `overlaps` of its rows and columns."""
    height, width, channels = image.shape
    tall = rows @ image.reshape(height, width * channels).astype(np.float32)
    turned = tall.reshape(-1, width, channels).transpose(1, 0, 2)
    both = columns @ turned.reshape(width, -1)
    both = both.reshape(columns.shape[0], rows.shape[0], channels).transpose(1, 0, 2)
    return np.ascontiguousarray(np.rint(both).astype(np.uint8))
