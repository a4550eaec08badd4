"""Weights by a formula, so that a reference need not carry them: no library has a part in them.

A tensor's values depend on its name and place alone, by integer arithmetic that is the same
everywhere; the scripts fill the originals with them, and the tests the tensors that they import.
"""

import math
import zlib

import numpy as np


def uniform(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """float32 in [-1, 1), by splitmix64 of the place, seeded with the name."""
    z = np.arange(1, math.prod(shape) + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    z = z + (np.uint64(zlib.crc32(name.encode())) << np.uint64(32))
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    values = (z >> np.uint64(40)).astype(np.float32) / np.float32(2**23) - np.float32(1)
    return values.reshape(shape)


def filled(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Values of a network's tensor, of a size that keeps activations near one.

    Args:
        name: as in a PyTorch state dictionary.
        shape: the tensor's.
    """
    if name.endswith("num_batches_tracked"):
        return np.zeros(shape, np.int64)
    values = uniform(name, tuple(shape))
    if name.endswith("running_var"):
        return 1 + values / 2
    if name.endswith(("bias", "running_mean")):
        return values / 5
    if len(shape) == 1 or name.endswith(("gamma", "layer_scale")):
        return 1 + values / 4
    # Of the variance of He et al. 2015: 2 / fan_in.
    return values * np.float32((6 / math.prod(shape[1:])) ** 0.5)


def state(shapes: dict[str, list[int]]) -> dict[str, np.ndarray]:
    """All tensors of a network from their shapes."""
    return {name: filled(name, tuple(shape)) for name, shape in shapes.items()}
