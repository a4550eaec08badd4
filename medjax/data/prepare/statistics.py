"""What is told of a case in numbers: its intensities as scanned, and its labels."""

from __future__ import annotations

from typing import Any

import numpy as np

from medjax.data.image import Image

from .normalise import mean_and_deviation

PERCENTS = (1, 50, 99)
_MOST = 1_000_000  # voxels that percentiles are taken of


def intensities(image: Image) -> dict[str, dict[str, float]]:
    """Statistics of every channel; the name is "" where there is one without a name.

    Percentiles are of every n-th voxel, about a million of them.
    """
    if not image.channels:
        return {"": _intensities(image.array)}
    return {name: _intensities(image.array[..., c]) for c, name in enumerate(image.channels)}


def label_counts(labels: np.ndarray) -> dict[str, int]:
    """Voxels of every label that is there, smallest first."""
    low, high = int(labels.min()), int(labels.max())
    if high - low < 2**16:
        # In pieces: bincount makes 64-bit integers of what it counts.
        counts = np.zeros(high - low + 1, np.int64)
        for part in labels:
            counts += np.bincount(part.ravel().astype(np.int64) - low, minlength=len(counts))
        values = np.flatnonzero(counts)
        return {str(low + int(v)): int(counts[v]) for v in values}
    values, counts = np.unique(labels, return_counts=True)
    return {str(v): int(n) for v, n in zip(values, counts, strict=True)}


def _intensities(array: np.ndarray) -> dict[str, Any]:
    low, high = array.min(), array.max()
    mean, deviation = mean_and_deviation(array)
    step = max(array.size // _MOST, 1) | 1  # odd, or even sizes would be met in planes
    first, median, last = np.percentile(array.ravel()[::step], PERCENTS)
    return {
        "min": float(low),
        "max": float(high),
        "mean": mean,
        "sd": deviation,
        "p1": float(first),
        "p50": float(median),
        "p99": float(last),
        "zero": float(np.mean(array == 0)),
        "at_min": float(np.mean(array == low)),
        "at_max": float(np.mean(array == high)),
    }
