"""Layers of a checkpoint that come to one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def unbiased(
    tensors: dict[str, np.ndarray], pairs: Sequence[tuple[str, str]]
) -> dict[str, np.ndarray]:
    """The tensors without biases of convolutions whose batch norm takes them away.

    A norm's mean of what has a constant added is that much larger, so the constant is taken
    off the running mean, and every output stays the same, in training too.

    Args:
        tensors: a checkpoint.
        pairs: names of a convolution and of the norm after it; those that are not a biased
            convolution and a batch norm stay.
    """
    tensors = dict(tensors)
    for conv, norm in pairs:
        mean = f"{norm}.running_mean"
        if f"{conv}.bias" in tensors and mean in tensors:
            tensors[mean] = tensors[mean] - tensors.pop(f"{conv}.bias")
    return tensors
