"""Functions of batches of one size, for arrays of any length."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


def in_batches(
    function: Callable[[Any], Any], batch_size: int = 256
) -> Callable[[np.ndarray], np.ndarray]:
    """A function of batches of one size, for host arrays of any length.

    Args:
        function: jitted, from an array ``(batch, ...)`` to one ``(batch, ...)``.
        batch_size: how many samples are on the device at a time; shorter inputs and the last
            batch are filled up with their last sample, so that one program is compiled.

    Returns:
        A function of NumPy arrays, such as frozen features of images.
    """

    def mapped(inputs: np.ndarray) -> np.ndarray:
        parts = []
        for start in range(0, len(inputs), batch_size):
            part = inputs[start : start + batch_size]
            fill = np.repeat(part[-1:], batch_size - len(part), axis=0)
            parts.append(np.asarray(function(np.concatenate([part, fill])))[: len(part)])
        return np.concatenate(parts)

    return mapped
