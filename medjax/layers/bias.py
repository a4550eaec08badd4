"""The bias that every layer with kernels has."""

from __future__ import annotations

import flax.linen as nn
import jax.numpy as jnp

from medjax.core.types import Array

from .spread import biased


def with_bias(module: nn.Module, y: Array, axes: int = 1) -> Array:
    """``y`` and the module's "bias", where its ``use_bias`` asks for one.

    Args:
        module: in its compact method; a parameter "bias" of it is made or read.
        y: floating ``(*place, *channel)``.
        axes: of the channels.

    Returns:
        An array of the shape and dtype of ``y``.
    """
    if not module.use_bias:
        return y
    shape = y.shape[y.ndim - axes :]
    return biased(y, module.param("bias", nn.initializers.zeros, shape, jnp.float32))
